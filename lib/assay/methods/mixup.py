"""Mixup and its relatives for regression: who is paired, and where they blend.

Mixup (Zhang et al., 2018) trains on lam * a + (1 - lam) * b of two examples.
C-Mixup (Yao et al., 2022, arXiv 2210.05775) keeps that and draws the partner b
by its label: close labels are likely, far ones are not. On your own arrays:

    partner = mixup.similar_partners(key, y, y, bandwidth=1.75)  # [N] int32
    lam = mixup.sample_lam(other_key, alpha=2.0, batch_size=len(y))
    x_mixed, y_mixed = (mixup.mix(a, a[partner], lam) for a in (x, y))

x and y may have any shape behind their first axis: several targets, or series.
`bandwidth_for(y, 0.1)` is the bandwidth at which partners are some 10 % of all.

Pairing is a part of drawing: `paired(draw, choose)` wraps a `draw`, and
`choose` is one of `uniform`, `similar`, `pooled` and `matched`. Blending is a
function of the batch (`blend`) or of hidden representations (`manifold`).
"""

import jax
import jax.numpy as jnp
import numpy as np

from assay.methods.bandwidths import bandwidth_for as bandwidth_for
from assay.methods.bandwidths import distance_quantile as distance_quantile
from assay.methods.bandwidths import effective_partners as effective_partners
from assay.methods.partners import draw_columns as draw_columns
from assay.methods.partners import partner_table as partner_table
from assay.methods.partners import tabled_partners as tabled_partners
from assay.methods.sorted_partners import sort_labels as sort_labels
from assay.methods.sorted_partners import sorted_partners as sorted_partners
from assay.metrics import arguments

# --- The idea: partners by similarity ---------------------------------------


def similar_partners(key, anchors, candidates, bandwidth):
  """Partners drawn with probability prop. to exp(-|a - c|^2 / (2 s^2)).

  With labels as `anchors` and `candidates` this is C-Mixup's law (Yao et al.,
  2022), self pairs included. No matrix over all pairs is held.

  Args:
    key: typed key [].
    anchors: [B, ...] float, in the units of the bandwidth: labels [B], several
      targets [B, Q], or series of them [B, T, Q].
    candidates: [N, ...] float, same units.
    bandwidth: s > 0, [] float; towards 0 an anchor keeps to equals, inf is
      uniform.

  Returns:
    [B] int32 positions in `candidates`.

  Raises:
    ValueError: a value that is known is not finite.

  Example:
    >>> import jax, jax.numpy as jnp
    >>> from assay.methods import mixup
    >>> y, key = jnp.array([0., 1., 9.]), jax.random.key(0)
    >>> mixup.similar_partners(key, y, y, bandwidth=0.01).tolist()  # equals
    [0, 1, 2]
  """
  anchors = arguments.finite(anchors, 'anchors')
  candidates = arguments.finite(candidates, 'candidates')
  scores = log_similarity(anchors, candidates, bandwidth)
  # The largest weight of each row is 1: a tiny bandwidth cannot give 0 / 0.
  weights = jnp.exp(scores - jnp.max(scores, axis=1, keepdims=True))
  return draw_columns(key, weights)


def uniform_partners(key, num_candidates, batch_size):
  """[batch_size] int32 uniform in [0, num_candidates): mixup's law."""
  return jax.random.randint(key, (batch_size,), 0, num_candidates, jnp.int32)


def log_similarity(anchors, candidates, bandwidth):
  """[B, N] float, -|anchor - candidate|^2 / (2 bandwidth^2).

  Args:
    anchors: [B, ...] float; the norm is over all but the first axis.
    candidates: [N, ...] float.
    bandwidth: > 0, [] float.

  Example:
    >>> import jax.numpy as jnp
    >>> from assay.methods import mixup
    >>> one, others = jnp.array([0.]), jnp.array([2., 4.])
    >>> mixup.log_similarity(one, others, bandwidth=2.).tolist()
    [[-0.5, -2.0]]
  """
  # Dividing first keeps bandwidth^2 from underflowing to 0.
  a, c = anchors / bandwidth, candidates / bandwidth
  if a.ndim != 2:
    a, c = (v.reshape(len(v), -1) for v in (a, c))
  if a.shape[1] <= 16:
    # A sum over a trailing axis of [B, N, Q] would be ten times slower.
    squared = sum(jnp.square(a[:, q, None] - c[None, :, q])
                  for q in range(a.shape[1]))
  else:
    # One matrix product; centered, since the expansion cancels far from 0. It
    # still loses what is nearer than 1e-3 of the spread, and squares must not
    # overflow: inf - inf is NaN.
    center = jnp.mean(c, axis=0)
    a, c = a - center, c - center
    largest = jnp.maximum(jnp.max(jnp.abs(a)), jnp.max(jnp.abs(c)))
    shrink = jnp.minimum(1, 1e17 / jnp.maximum(largest, 1e-17))
    a, c = a * shrink, c * shrink
    product = jnp.matmul(a, c.T, precision='highest')
    squared = jnp.maximum(jnp.sum(a * a, axis=1)[:, None] - 2 * product
                          + jnp.sum(c * c, axis=1)[None], 0)
  return -squared / 2


# --- Pairing: draw -> draw ---------------------------------------------------


def paired(draw, choose, per_example=False):
  """A draw whose batches also hold `partner_x`, `partner_y` and `lam` [B].

  Args:
    draw: `(shared, own, item, key) -> batch`, where `item` [B] are positions
      in the seed's training rows.
    choose: `(key, own, item) -> (anchors [B], partners [B])`, positions.
    per_example: one lam per example; else one per batch, as C-Mixup.

  Returns:
    A draw that reads `own['alpha']`: lam ~ Beta(alpha, alpha).
  """

  def drawn(shared, own, item, key):
    draw_key, choose_key, lam_key = jax.random.split(key, 3)
    anchors, partners = choose(choose_key, own, item)
    size = len(anchors)
    both = draw(shared, own, jnp.concatenate([anchors, partners]), draw_key)
    batch = {name: values[:size] for name, values in both.items()}
    lam = sample_lam(lam_key, own['alpha'], size, per_example)
    return batch | {'partner_x': both['x'][size:],
                    'partner_y': both['y'][size:], 'lam': lam}

  return drawn


def uniform(key, own, item):
  """Any training example is the partner: mixup."""
  return item, uniform_partners(key, own['train_rows'].shape[0], len(item))


def similar(key, own, item):
  """Partners by similarity of `own['features']` [n, Q]: C-Mixup for labels.

  Reads `own['bandwidth']` [], and what makes drawing cheap where it is there:
  `partner_table`, or `label_order` and `sorted_labels`.
  """
  features, bandwidth = own['features'], own['bandwidth']
  if 'label_order' in own:
    return item, sorted_partners(key, features[item, 0], own['sorted_labels'],
                                 own['label_order'], bandwidth)
  if 'partner_table' in own:
    return item, tabled_partners(key, item, features, bandwidth,
                                 own['partner_table'])
  return item, similar_partners(key, features[item], features, bandwidth)


def pooled(key, own, item):
  """C-Mixup inside a pool: the batch and as many uniform candidates.

  For data too large for a row of weights per anchor (Yao et al., 2022, the
  code's `batch_type` 1). `item` [2, B]: anchors, then candidates.
  """
  pool = item.reshape(-1)
  features = own['features'][pool]
  return item[0], pool[similar_partners(
      key, features[:item.shape[1]], features, own['bandwidth'])]


def matched(key, own, item):
  """Partners that the host chose; `item` [2, B]: anchors, then partners."""
  del key, own
  return item[0], item[1]


def sample_lam(key, alpha, batch_size, per_example=False):
  """[batch_size] float32 of Beta(alpha, alpha); one value for all by default.

  Exact without rejection: T / sqrt(2 alpha + T^2) / 2 + 1/2 is Beta(alpha,
  alpha) for T of Student's t with 2 alpha degrees of freedom, and Bailey's
  polar form (1994) makes T of two uniforms. `jax.random.beta` has nested loops,
  which compile for two seconds and tie the seeds of a `vmap` together.

  Args:
    key: typed key [].
    alpha: > 0, [] float.
    batch_size: B.
    per_example: draw B values instead of one.
  """
  u, v = jax.random.uniform(key, (2, batch_size if per_example else 1))
  # 1 - u lies in (0, 1]; radius^2 = (1 - w) / w, written without overflow.
  w = (1 - u) ** (1 / jnp.asarray(alpha, jnp.float32))
  cosine = jnp.cos(2 * jnp.pi * v)
  ratio = (1 - w) / jnp.maximum(w + (1 - w) * cosine ** 2, 1e-30)
  lam = jnp.clip(0.5 + 0.5 * cosine * jnp.sqrt(ratio), 0, 1)
  return jnp.broadcast_to(lam, (batch_size,))


# --- Blending ----------------------------------------------------------------


def mix(first, second, lam):
  """lam * first + (1 - lam) * second; arrays [B, ...], lam [B].

  Integers are mixed as float32.

  Example:
    >>> import jax.numpy as jnp
    >>> from assay.methods import mixup
    >>> x, lam = jnp.array([0., 8.]), jnp.array([0.25, 0.25])
    >>> mixup.mix(x, x[::-1], lam).tolist()
    [6.0, 2.0]
  """
  first, second = (arguments.array(a, name) for a, name in (
      (first, 'first'), (second, 'second')))
  if not jnp.issubdtype(first.dtype, jnp.floating):
    first, second = first.astype(jnp.float32), second.astype(jnp.float32)
  lam = jnp.asarray(lam, first.dtype)  # bfloat16 stays bfloat16
  lam = jnp.reshape(lam, lam.shape + (1,) * (first.ndim - 1))
  # This form returns `first` exactly where both are equal.
  return second + lam * (first - second)


def blend(batch, fields=('x', 'y')):
  """The batch with these fields mixed with their partners'."""
  return batch | {name: mix(batch[name], batch[f'partner_{name}'],
                            batch['lam']) for name in fields}


def manifold(encode, decode):
  """Predictor `(params, batch) -> [B, Q]` that mixes at a hidden layer.

  Manifold Mixup (Verma et al., 2019) with the layer fixed, as in C-Mixup's
  code: both inputs are encoded apart, the representations mixed.

  Args:
    encode: `(params, x) -> [B, ...]`, or a tree of such.
    decode: `(params, hidden) -> [B, Q]`.
  """

  def predict(params, batch):
    both = jnp.concatenate([batch['x'], batch['partner_x']])
    mixed = lambda hidden: mix(*jnp.split(hidden, 2), batch['lam'])
    return decode(params, jax.tree.map(mixed, encode(params, both)))

  return predict


# --- Peers -------------------------------------------------------------------


def local_weights(batch, threshold):
  """The batch with `weight` [B]: 1 where the pair's inputs are near, else 0.

  Local Mixup (Baena et al., 2022) in its thresholded form: mixed examples of
  pairs farther apart than `threshold` (in units of x) are dropped.
  """
  difference = batch['x'] - batch['partner_x']
  squared = jnp.sum(jnp.square(difference.reshape(len(difference), -1)), 1)
  return batch | {'weight': (squared <= threshold ** 2).astype(jnp.float32)}


def match(first, second):
  """Partner order that minimizes the total squared distance of two batches.

  The matching of k-Mixup (Greenewald et al., 2021), with k the batch size; on
  the host, for a whole chunk of steps.

  Args:
    first: [T, B, D] float, inputs of T batches.
    second: [T, B, D] float.

  Returns:
    [T, B] int: `second[t, order[t]]` are the partners of `first[t]`.

  Example:
    >>> import numpy as np
    >>> from assay.methods import mixup
    >>> first, second = np.array([[[0.], [5.]]]), np.array([[[6.], [1.]]])
    >>> mixup.match(first, second).tolist()
    [[1, 0]]
  """
  from scipy import optimize  # half a second to import

  cost = (np.square(first).sum(-1)[:, :, None]
          - 2 * first @ second.swapaxes(1, 2)
          + np.square(second).sum(-1)[:, None])
  return np.stack([optimize.linear_sum_assignment(c)[1] for c in cost])
