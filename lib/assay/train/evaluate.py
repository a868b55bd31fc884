"""Predictions over a whole split, each example once; means for selection."""

import jax
import jax.numpy as jnp
import numpy as np

from assay.train import sharding


def predictor(apply, draw, batch_size=4096):
  """`(params, extra, shared, own, num_rows) -> (predictions, y)` of all seeds.

  Args:
    apply: `(params, extra, x) -> [B, Q]`, in evaluation mode.
    draw: `(shared, own, item, key) -> batch` of the split to predict; `item`
      are positions in the split's rows.
    batch_size: examples at a time; the last batch is padded, the padding
      dropped.

  Returns:
    A function of trees with a leading seed axis [S, ...] (`shared` without)
    that returns host arrays [S, num_rows, Q]. Seeds go one after another
    through one compiled program: a mapped convolution would be slower.
  """

  def batched(params, extra, shared, own, items):
    def one(item):
      batch = draw(shared, own, item, jax.random.key(0))
      return apply(params, extra, batch['x']), batch['y']

    return jax.lax.map(one, items)

  compiled = jax.jit(batched)

  def predict(params, extra, shared, own, num_rows):
    size = min(batch_size, num_rows)
    items = np.minimum(np.arange(-(-num_rows // size) * size), num_rows - 1)
    items = items.reshape(-1, size).astype(np.int32)
    out = []
    for i in range(len(jax.tree.leaves(params)[0])):
      mine = jax.tree.map(lambda x, i=i: x[i], (params, extra))
      of_seed = {k: v[i] for k, v in own.items()}
      out.append(compiled(*mine, shared, of_seed, items))
    return tuple(
        np.stack([o.reshape((-1,) + o.shape[2:])[:num_rows] for o in each])
        for each in zip(*sharding.fetch(out), strict=True))

  return predict


def mean_loss(per_example, apply, draw, num_rows, batch_size=4096):
  """`select` of `fit`: the mean loss over a whole split.

  Args:
    per_example: `(predictions, y) -> [B]`.
    apply: `(params, extra, x) -> [B, Q]`, in evaluation mode.
    draw: of the split, as in `predictor`.
    num_rows: of the split.
    batch_size: examples at a time.

  Returns:
    `(params, extra, shared, own) -> []`.
  """
  size = min(batch_size, num_rows)
  count = -(-num_rows // size)
  items = np.arange(count * size, dtype=np.int32).reshape(count, size)

  def select(params, extra, shared, own):
    def one(item):
      batch = draw(shared, own, jnp.minimum(item, num_rows - 1),
                   jax.random.key(0))
      loss = per_example(apply(params, extra, batch['x']), batch['y'])
      return jnp.sum(jnp.where(item < num_rows, loss, 0))

    total = one(items[0]) if count == 1 else jnp.sum(jax.lax.map(one, items))
    return total / num_rows

  return select
