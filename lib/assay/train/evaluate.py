"""Predictions over a whole split, each example once; means for selection."""

from collections.abc import Callable
import functools
import types
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from assay.train import sharding


class Same:
  """A function that equals those that are made anew with the same values.

  Functions are the same where their code is, and all that they close over: so
  `lambda x: model.apply(params, x)` made twice of one model is one. Arrays and
  other things that cannot be hashed are the same only where they are one
  object. What a function closes over must not be changed afterwards.
  """

  def __init__(self, function):
    self.function = function
    self._parts = _parts(function)

  def __hash__(self):
    return hash(self._parts)

  def __eq__(self, other):
    return isinstance(other, Same) and self._parts == other._parts


def _parts(x, within=()):
  """What tells a function, or what it holds, from others; can be hashed."""
  if id(x) in within:  # a function that calls itself
    return 'again', within.index(id(x))
  parts = lambda *more: tuple(_parts(each, (*within, id(x))) for each in more)
  if isinstance(x, functools.partial):
    return 'partial', *parts(x.func, x.args, x.keywords)
  if isinstance(x, types.MethodType):
    return 'method', *parts(x.__self__, x.__func__)
  if isinstance(x, types.FunctionType):
    cells = (cell.cell_contents for cell in x.__closure__ or ())
    return (x.__code__, id(x.__globals__),
            *parts(*cells, x.__defaults__, x.__kwdefaults__))
  if isinstance(x, (tuple, list)):
    return type(x), *parts(*x)
  if isinstance(x, dict):
    return dict, *parts(*x, *x.values())
  try:
    hash(x)
  except TypeError:
    return 'object', id(x)  # the function that is kept keeps it alive
  return type(x), x  # 1, 1.0 and True differ


@functools.lru_cache(maxsize=256)
def _compiled(apply, draw):
  def batched(params, extra, shared, own, items):
    def one(item):
      batch = draw.function(shared, own, item, jax.random.key(0))
      return apply.function(params, extra, batch['x']), batch['y']

    return jax.lax.map(one, items)

  return jax.jit(batched)


def predictor(apply, draw, batch_size=4096):
  """`(params, extra, shared, own, num_rows) -> (predictions, y)` of all seeds.

  Args:
    apply: `(params, extra, x) -> [B, Q]`, in evaluation mode.
    draw: `(shared, own, item, key) -> batch` of the split to predict; `item`
      are positions in the split's rows.
    batch_size: examples at a time; the last batch is padded, the padding
      dropped.

  Returns:
    A `Predictor`. What is compiled is kept for all that ask with the same
    functions, see `Same`.
  """
  return Predictor(_compiled(Same(apply), Same(draw)), batch_size)


class Pieces(NamedTuple):
  """A split that is larger than a device, in place of `shared`.

  Attributes:
    read: `(start, stop) -> shared` of these rows of the split, which `draw`
      finds at the positions 0 .. stop - start - 1.
    size: rows of a piece; with a multiple of the predictor's batch_size batches
      are those of a split that is predicted whole.
  """
  read: Callable
  size: int


def pieces(read, num_rows, row_bytes, batch_size):
  """`Pieces` of a split, or all of it where it takes a quarter of a device.

  Args:
    read: as `Pieces` takes it.
    num_rows: of the split.
    row_bytes: of one row.
    batch_size: of the predictor.
  """
  fitting = room() // max(1, row_bytes)
  if num_rows <= fitting:
    return read(0, num_rows)
  return Pieces(read, max(1, fitting // batch_size) * batch_size)


def room():
  """Bytes that what is predicted may take on a device."""
  stats = jax.local_devices()[0].memory_stats() or {}
  return stats.get('bytes_limit', 2**34) // 4


def parts(shared, num_rows):
  """(shared, its rows) of each piece of a split."""
  if not isinstance(shared, Pieces):
    yield shared, num_rows
    return
  for start in range(0, num_rows, shared.size):
    stop = min(start + shared.size, num_rows)
    yield shared.read(start, stop), stop - start


@jax.jit
def seed_of(tree, position):
  """What a tree [S, ...] has of one seed; one program, not one a leaf."""
  return jax.tree.map(lambda x: x[position], tree)


class Predictor:
  """A function of trees with a leading seed axis [S, ...] (`shared` without).

  In place of `shared` may be `Pieces`, which are read one after another.

  It returns host arrays [S, num_rows, Q]. Seeds go one after another through
  one compiled program: a mapped convolution would be slower.

  Attributes:
    compiled: `(params, extra, shared, own, items) -> (predictions, y)` of one
      seed, jitted, with leading axes [batches, B].
    batch_size: examples at a time.
  """

  def __init__(self, compiled, batch_size):
    self.compiled, self.batch_size = compiled, batch_size

  def __call__(self, params, extra, shared, own, num_rows):
    positions = range(len(jax.tree.leaves(params)[0]))
    return self.of(positions, params, extra, shared, own, num_rows)

  def of(self, positions, params, extra, shared, own, num_rows):
    """What is predicted of the seeds at some positions."""
    batch = min(self.batch_size, num_rows)
    found = []  # of each piece, (predictions, y) [S, n, ...]
    for part, count in parts(shared, num_rows):
      out = []
      for i in positions:
        mine = seed_of((params, extra), i)
        of_seed = {k: v[i] for k, v in own.items()}
        out.append(self.compiled(*mine, part, of_seed,
                                 self.items(count, batch)))
      found.append([
          np.stack([o.reshape((-1,) + o.shape[2:])[:count] for o in each])
          for each in zip(*sharding.fetch(out), strict=True)])
    return tuple(np.concatenate(each, axis=1) if len(each) > 1 else each[0]
                 for each in zip(*found, strict=True))

  def items(self, num_rows, batch=None):
    """Positions of the rows, int32 [batches, B]; the last one is repeated."""
    size = batch or min(self.batch_size, num_rows)
    items = np.minimum(np.arange(-(-num_rows // size) * size), num_rows - 1)
    return items.reshape(-1, size).astype(np.int32)


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
