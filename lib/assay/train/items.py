"""What `draw` gets at each step: made on the host, placed for one call."""

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
  """The sharding of the items of a call, leaves [S, points, steps, ...].

  Raises:
    UserError: streamed batches cannot be split over the axis `data`.
  """
  if source.batch_size is None:
    return NamedSharding(mesh, P('seed'))
  sharding.check_divides(source.batch_size, 'streamed', mesh)
  return NamedSharding(mesh, P('seed', None, None, 'data'))


def put(source, start, shape, lanes):
  """The items of one call, a tree per lane, leaves [S, points, steps, ...].

  Args:
    source: a `train.Source`; of what it streams a host reads only the rows
      that its devices hold.
    start: first step.
    shape: points and steps of the call.
    lanes: a `lanes.Lanes`.
  """
  if source.batch_size is None:
    seeds = [_of_seed(source, start, shape, i) for i in range(lanes.num_seeds)]
    return lanes.put(jax.tree.map(lambda *x: np.stack(x), *seeds))
  return [_streamed(source, start, shape, positions, placement(source, mesh))
          for mesh, positions in zip(lanes.meshes, lanes.positions,
                                     strict=True)]


def _streamed(source, start, shape, positions, where):
  """The items of a lane, from those that this host reads."""
  whole = (len(positions), *shape, source.batch_size)
  indices = where.addressable_devices_indices_map(whole).values()
  seats = _span(whole[0], (index[0] for index in indices))
  rows = _span(whole[3], (index[3] for index in indices))
  # Padding repeats a seed, which is read once.
  read = {i: _of_seed(source, start, shape, i, rows)
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


def _of_seed(source, start, shape, position, *rows):
  """The items of one call for one seed, leaves [points, steps, ...]."""
  length, count = int(source.own['num_steps'][position]), shape[0] * shape[1]
  # Steps past a seed's end change nothing; any item will do.
  items = source.items(position, min(start, length - 1),
                       min(start + count, length), *rows)

  def padded(x):
    missing = count - len(x)
    if missing:
      x = np.concatenate([x, np.repeat(x[-1:], missing, 0)])
    return x.reshape(shape + x.shape[1:])

  return jax.tree.map(padded, items)
