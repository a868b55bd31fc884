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
from assay.methods.bandwidths import by_anchors, log_similarities
from assay.methods.bandwidths import distance_quantile as distance_quantile
from assay.methods.bandwidths import effective_partners as effective_partners
from assay.metrics import arguments

BLOCK = 32  # candidates summed together when partners are drawn

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


def draw_columns(key, weights):
  """One column per row, with probability proportional to its weight.

  Inverts the cumulative sum in two levels (block sums, then inside a block),
  one uniform per row: a third of the cost of one long cumulative sum, and
  far below one random number per entry. Exact up to float32 rounding: entries
  below 2^-24 of the row's total may never be drawn, zeros never are.

  Args:
    key: typed key [].
    weights: [B, N] float >= 0, at least one positive per row.

  Returns:
    [B] int32 in [0, N).
  """
  num_rows, num_columns = weights.shape
  block = max(BLOCK, int(np.ceil(num_columns ** 0.5)))
  blocks = jnp.pad(weights, ((0, 0), (0, -num_columns % block)))
  blocks = blocks.reshape(num_rows, -1, block)
  uniform = jax.random.uniform(key, (num_rows, 1), weights.dtype)
  sums = jnp.sum(blocks, axis=2)
  which, target, cumulative = _invert(sums, uniform)
  before = jnp.max(jnp.where(jnp.arange(sums.shape[1]) < which[:, None],
                             cumulative, 0), axis=1, keepdims=True)
  here = jnp.take_along_axis(sums, which[:, None], axis=1)
  inner = jnp.take_along_axis(blocks, which[:, None, None], axis=1)[:, 0]
  inside, *_ = _invert(inner, jnp.clip((target - before) / here, 0, 1))
  return which * block + inside


def _invert(weights, uniform):
  """The first position of each row at which its cumulative weight is reached.

  Args:
    weights: [B, N] float >= 0.
    uniform: [B, 1] float in [0, 1], a share of the row's total.

  Returns:
    Positions [B] int32 of positive weight; the cumulative weight that was
    wanted, [B, 1]; and cumulative weights [B, N], 0 where the weight is.
  """
  # XLA sums in a tree, whose rounding moves sums at zeros and downwards too:
  # a position counts only where its weight is positive.
  sums = jnp.where(weights > 0, jnp.cumsum(weights, axis=1), 0)
  top = jnp.max(sums, axis=1, keepdims=True)
  # Rounding can lift the target to the total: then take the last positive.
  target = jnp.minimum(uniform * top, jnp.nextafter(top, 0.))
  return jnp.argmax(sums > target, axis=1).astype(jnp.int32), target, sums


# The upper level does not change while a network trains: it can be a table.


def partner_table(features, bandwidth):
  """The partner law of every row by blocks of `BLOCK` candidates, cumulated.

  Costs n^2 on the host, once, and n / 32 numbers a row: for up to some 10,000
  rows. With it a draw looks at one block instead of all candidates.

  Args:
    features: [n, Q] float.
    bandwidth: > 0, same units; inf is allowed.

  Returns:
    [n, 1 + ceil(n / 32)] float32, rows that rise from 0 to 1.
  """
  starts = np.arange(0, len(features), BLOCK)

  def rows(squared):
    weights = np.exp(log_similarities(squared, bandwidth))
    sums = np.add.reduceat(weights, starts, axis=1)
    sums /= sums.sum(axis=1, keepdims=True)
    # A uniform of exactly 0 must not reach what has next to no weight.
    sums[sums < 1e-12] = 0
    table = np.cumsum(sums, axis=1)
    return np.pad(table / table[:, -1:], ((0, 0), (1, 0))).astype(np.float32)

  return by_anchors(rows, features, len(features))


def tabled_partners(key, item, features, bandwidth, table):
  """`similar_partners` of rows `item` among all rows, by `partner_table`.

  Args:
    key: typed key [].
    item: [B] int, rows of `features`.
    features: [n, Q] float.
    bandwidth: > 0, [] float.
    table: from `partner_table`, of the same features and bandwidth.

  Returns:
    [B] int32 rows of `features`.
  """
  uniform = jax.random.uniform(key, (len(item), 1))  # below 1, the last column
  rows = table[item]
  which = jnp.sum(rows <= uniform, axis=1, keepdims=True) - 1
  before = jnp.take_along_axis(rows, which, axis=1)
  rest = (uniform - before) / (jnp.take_along_axis(rows, which + 1, axis=1)
                               - before)
  columns = which * BLOCK + jnp.arange(BLOCK)  # [B, 32]
  inside = columns < len(features)
  block = features[jnp.minimum(columns, len(features) - 1)]
  gap = (block - features[item][:, None]) / bandwidth
  scores = jnp.where(inside, -jnp.sum(gap * gap, axis=2) / 2, -jnp.inf)
  weights = jnp.exp(scores - jnp.max(scores, axis=1, keepdims=True))
  return which[:, 0] * BLOCK + _invert(weights, rest)[0]


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

  Reads `own['bandwidth']` [], and `own['partner_table']` where there is one.
  """
  features, bandwidth = own['features'], own['bandwidth']
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
