"""C-Mixup's partners among many rows, at a cost that hardly grows with them.

Rows that follow each other by label are a block. No row of it has a larger
weight than one at its near end would have. So a block is drawn with these
bounds in place of weights, a row of it uniformly, and the row is kept with the
share that its weight is of the bound, else all is drawn again: rejection from a
law that is above the wanted one everywhere, which is exact for each bandwidth
and for anchors at the edge. Where a bandwidth selects more than a hundredth of
the rows nearly all are kept; one that selects a few takes many rounds.
"""

import jax
import jax.numpy as jnp
import numpy as np

BLOCKS = 128
LONGEST = 1024  # rows of a block: beyond 128 times as many there are more
TRIES = 2  # of an anchor at once
MOST = 2**16  # rounds, far beyond what finite labels take


def sort_labels(labels):
  """(the labels sorted, [n] float32; of each, where it stood, [n] int32)."""
  labels = np.asarray(labels, np.float32).reshape(-1)
  order = np.argsort(labels, kind='stable').astype(np.int32)
  return labels[order], order


def sorted_partners(key, anchors, labels, order, bandwidth):
  """Partners as `mixup.similar_partners` draws them, of scalar labels.

  Args:
    key: typed key [].
    anchors: [B] float.
    labels, order: [n], from `sort_labels`.
    bandwidth: > 0, same units; inf is uniform.

  Returns:
    [B] int32 positions in the labels before they were sorted.

  Example:
    >>> import jax, jax.numpy as jnp
    >>> from assay.methods import sorted_partners as far
    >>> labels, order = far.sort_labels([9., 0., 5.])
    >>> far.sorted_partners(jax.random.key(0), jnp.array([5., 9.]), labels,
    ...                     order, bandwidth=0.01).tolist()
    [2, 0]
  """
  labels, order = jnp.asarray(labels), jnp.asarray(order)
  size = min(-(-len(labels) // BLOCKS), LONGEST)
  starts = jnp.arange(0, len(labels), size, dtype=jnp.int32)
  counts = jnp.minimum(size, len(labels) - starts)
  # Dividing first keeps bandwidth^2 from underflowing to 0.
  a = (anchors / bandwidth)[:, None]
  low, high = (labels[at] / bandwidth for at in (starts, starts + counts - 1))
  near = jnp.maximum(0, jnp.maximum(low[None] - a, a - high[None]))
  # The largest bound of each anchor is 1 a row: a tiny bandwidth cannot give
  # 0 / 0.
  closest = jnp.min(near, axis=1, keepdims=True)
  bounds = counts[None] * jnp.exp((closest - near) * (closest + near) / 2)
  sums = jnp.cumsum(bounds, axis=1)

  def tried(state):
    turn, done, chosen = state
    block, row, keep = jax.random.uniform(
        jax.random.fold_in(key, turn), (3, len(a), TRIES))
    block = jnp.sum(sums[:, None] <= (block * sums[:, -1:])[..., None], axis=2)
    block = jnp.minimum(block, len(starts) - 1)
    # Below its count also where the product rounds up.
    row = jnp.minimum((row * counts[block]).astype(jnp.int32),
                      counts[block] - 1) + starts[block]
    gap = jnp.abs(labels[row] / bandwidth - a)
    bound = jnp.take_along_axis(near, block, axis=1)
    kept = keep < jnp.exp((bound - gap) * (bound + gap) / 2)
    first = jnp.take_along_axis(
        row, jnp.argmax(kept, axis=1)[:, None], axis=1)[:, 0]
    return (turn + 1, done | jnp.any(kept, axis=1),
            jnp.where(done, chosen, first).astype(jnp.int32))

  _, _, chosen = jax.lax.while_loop(
      lambda state: (state[0] < MOST) & ~jnp.all(state[1]), tried,
      (0, jnp.zeros(len(a), bool), jnp.zeros(len(a), jnp.int32)))
  return order[chosen]
