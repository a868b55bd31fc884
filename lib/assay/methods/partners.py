"""Draws from laws that are weights, and a table of those of C-Mixup.

Example:
  >>> import jax, jax.numpy as jnp
  >>> from assay.methods import partners
  >>> weights = jnp.array([[0., 2., 0.], [0., 0., 1.]])
  >>> partners.draw_columns(jax.random.key(0), weights).tolist()
  [1, 2]
"""

import jax
import jax.numpy as jnp
import numpy as np

from assay.methods.bandwidths import by_anchors, log_similarities

BLOCK = 32  # candidates summed together when partners are drawn


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
  """`mixup.similar_partners` of rows `item` among all, by `partner_table`.

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
