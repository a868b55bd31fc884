"""What `draw` gets at each step: made on the host, placed for one call."""

import math

import jax
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
import numpy as np

from assay.train import sharding


def first(source):
  """The item of the first step of the first seed: an example of all others."""
  rows = () if source.batch_size is None else (slice(0, source.batch_size),)
  return jax.tree.map(lambda x: x[0], source.items(0, 0, 1, *rows))


def placement(source, mesh):
  """The sharding of the items of a call, leaves [S, rows, steps, ...].

  Raises:
    UserError: streamed batches cannot be split over the axis `data`.
  """
  if source.batch_size is None:
    return NamedSharding(mesh, P('seed'))
  sharding.check_divides(source.batch_size, 'streamed', mesh)
  return NamedSharding(mesh, P('seed', None, None, 'data'))


def put(source, call, lanes):
  """The items of one call, a tree per lane, leaves [S, rows, steps, ...].

  Args:
    source: a `train.Source`; of what it streams a host reads only the rows
      that its devices hold.
    call: a `loop.Call`.
    lanes: a `lanes.Lanes`.
  """
  if source.batch_size is None:
    seeds = [_of_seed(source, call, i) for i in range(lanes.num_seeds)]
    return lanes.put(jax.tree.map(lambda *x: np.stack(x), *seeds))
  return [_streamed(source, call, positions, placement(source, mesh))
          for mesh, positions in zip(lanes.meshes, lanes.positions,
                                     strict=True)]


def _streamed(source, call, positions, where):
  """The items of a lane, from those that this host reads."""
  whole = (len(positions), *call.shape, source.batch_size)
  indices = where.addressable_devices_indices_map(whole).values()
  seats = _span(whole[0], (index[0] for index in indices))
  rows = _span(whole[3], (index[3] for index in indices))
  # Padding repeats a seed, which is read once.
  read = {i: _of_seed(source, call, i, rows)
          for i in set(positions[seats].tolist())}

  def global_array(*leaves):
    mine = np.stack(leaves)

    def part(index):
      seat, points, steps, row, *rest = index
      return mine[_less(seat, seats), points, steps, _less(row, rows), *rest]

    return jax.make_array_from_callback(
        whole + mine.shape[4:], where, part)

  return jax.tree.map(global_array, *(read[i] for i in
                                      positions[seats].tolist()))


def _span(length, slices):
  """The slice from the first to the last of some slices of an axis."""
  ends = [s.indices(length)[:2] for s in slices]
  return slice(min(a for a, _ in ends), max(b for _, b in ends))


def _less(part, whole):
  """A slice of an axis as a slice of the part `whole` of it."""
  if part.start is None:
    return slice(None)
  return slice(part.start - whole.start, part.stop - whole.start)


def _of_seed(source, call, position, *rows):
  """The items of one call for one seed, leaves [rows, steps, ...]."""
  length = int(source.own['num_steps'][position])
  # Steps past a seed's end change nothing; any item will do.
  items = source.items(position, min(call.start, length - 1),
                       min(call.start + call.steps, length), *rows)

  def padded(x):
    missing = math.prod(call.shape) - len(x)
    if missing:
      x = np.concatenate([x, np.broadcast_to(x[-1:], (missing, *x.shape[1:]))])
    return x.reshape(call.shape + x.shape[1:])

  return jax.tree.map(padded, items)
