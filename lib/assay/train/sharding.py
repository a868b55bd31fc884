"""One mesh with axes seed, data and model; where arrays live on it."""

import math

import jax
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
import numpy as np

from assay.errors import UserError

AXES = ('seed', 'data', 'model')


def make_mesh(sizes=None, num_seeds=1, devices=None):
  """A mesh over (seed, data, model); axis types Auto.

  Axes that are not given: `seed` takes as many devices as there are seeds,
  `data` what is left over, `model` 1. On CPU left-over devices stay unused,
  for splitting a small batch over cores only costs.

  Args:
    sizes: {'seed': 2, 'data': 4}; not all axes need be there.
    num_seeds: seeds that will be mapped together.
    devices: default all devices of the default backend.

  Raises:
    UserError: the mesh needs more devices than there are, or leaves a process
      of several without one.
  """
  devices = list(jax.devices() if devices is None else devices)
  sizes = dict(sizes or {})
  given = math.prod(sizes.values())
  if given > len(devices):
    raise UserError(
        f'the mesh {sizes} needs {given} devices and there are '
        f'{len(devices)}; use a smaller mesh.')
  left = len(devices) // given
  if 'seed' not in sizes:
    sizes['seed'] = min(num_seeds, left)
    left //= sizes['seed']
  if 'data' not in sizes:
    sizes['data'] = 1 if devices[0].platform == 'cpu' else left
  shape = tuple(sizes.get(axis, 1) for axis in AXES)
  grid = np.array(devices[:math.prod(shape)]).reshape(shape)
  return _on_every_host(
      Mesh(grid, AXES, axis_types=(AxisType.Auto,) * len(AXES)),
      f'--mesh=data:{len(devices)}')


def seed_lanes(mesh):
  """One mesh of seed size 1 for each position on the seed axis.

  Raises:
    UserError: one would leave a process of several without a device.
  """
  return [_on_every_host(
      Mesh(mesh.devices[i:i + 1], AXES, axis_types=mesh.axis_types),
      f'--seed_map=vmap or --mesh=data:{mesh.size}')
          for i in range(mesh.shape['seed'])]


def _on_every_host(mesh, remedy):
  """The mesh, if each process has a device of it; all run each program."""
  without = set(range(jax.process_count())) - {
      device.process_index for device in mesh.devices.flat}
  if jax.process_count() > 1 and without:
    raise UserError(
        f'process {min(without)} of {jax.process_count()} has no device in the '
        f'mesh {dict(mesh.shape)}; use for example {remedy}.')
  return mesh


def state_specs(shapes, mesh, rules=(), min_size=2**16):
  """A PartitionSpec for each array of one seed's state.

  Args:
    shapes: tree of ShapeDtypeStruct, without a seed axis.
    mesh: the mesh.
    rules: pairs (suffix of the array's path, PartitionSpec), first match wins;
      a path reads `params/hidden_0/affine/kernel`. A rule over axes of one
      device says nothing.
    min_size: other arrays from so many elements on are split over `data`,
      along the first axis that divides.

  Raises:
    UserError: an array cannot be split as its rule says.
  """
  size = mesh.shape['data']

  def spec(path, leaf):
    name = jax.tree_util.keystr(path, simple=True, separator='/')
    for suffix, rule in rules:
      if name.endswith(suffix):
        parts = [math.prod(mesh.shape[k] for k in (
            (names,) if isinstance(names, str) else names or ()))
                 for names in rule]
        if max(parts, default=1) == 1:
          break
        if any(dim % n for dim, n in zip(leaf.shape, parts, strict=False)):
          raise UserError(
              f'{name} {list(leaf.shape)} cannot be split as {rule} over a '
              f'mesh with {dict(mesh.shape)}; choose an axis that divides.')
        return rule
    if size > 1 and leaf.size >= min_size:
      for axis, dim in enumerate(leaf.shape):
        if dim % size == 0:
          return P(*[None] * axis, 'data')
    return P()

  return jax.tree_util.tree_map_with_path(spec, shapes)


def over_data(batch, mesh):
  """The batch, split over the axis `data`; inside a compiled program.

  Raises:
    UserError: the batch size is no multiple of the axis.
  """
  size = mesh.shape['data']
  if size == 1:
    return batch
  # Inside shard_map the mesh in scope has `seed` manual: use that one.
  here = jax.sharding.get_abstract_mesh()
  spec = NamedSharding(mesh if here.empty else here, P('data'))
  for name, value in batch.items():
    check_divides(value.shape[0], name, mesh)
  return {k: jax.lax.with_sharding_constraint(v, spec)
          for k, v in batch.items()}


def check_divides(batch_size, name, mesh):
  """Raises a UserError unless the axis `data` divides a batch."""
  size = mesh.shape['data']
  if batch_size % size:
    raise UserError(f'a batch of {batch_size} ({name}) cannot be split over '
                    f'data:{size}; change the mesh or the batch size.')


def put(tree, mesh, axis=None):
  """Host arrays as global arrays; each host hands over its own part.

  Args:
    tree: of arrays.
    mesh: the mesh.
    axis: mesh axis that splits the leading dimension; None replicates.
  """
  sharding = NamedSharding(mesh, P(axis) if axis else P())

  def place(x):
    x = np.asarray(x)
    if sharding.is_fully_addressable:
      return jax.device_put(x, sharding)
    return jax.make_array_from_callback(x.shape, sharding, lambda i: x[i])

  return jax.tree.map(place, tree)


def move(x, sharding):
  """An array that is on devices, placed otherwise.

  On several hosts the old and the new devices must be the same.
  """
  if sharding.is_fully_addressable:
    return jax.device_put(x, sharding)
  # `device_put` knows no typed keys on several hosts.
  return jax.jit(_same, out_shardings=sharding)(x)


def _same(x):
  return x


def fetch(tree):
  """Global arrays as host arrays, the same on every host.

  What is on this host already stays as it is.
  """
  if jax.process_count() == 1:
    return jax.device_get(tree)
  from jax.experimental import multihost_utils

  def one(x):
    if isinstance(x, jax.Array) and not x.is_fully_addressable:
      return multihost_utils.process_allgather(x, tiled=True)
    return jax.device_get(x)

  return jax.tree.map(one, tree)


def on_any_host(*conditions):
  """For each condition, whether it is true on at least one host.

  Hosts must save and stop together: clocks and signals differ between them.
  """
  if jax.process_count() == 1:
    return conditions
  from jax.experimental import multihost_utils
  return tuple(multihost_utils.process_allgather(
      np.array(conditions)).any(axis=0))


def largest_on_any_host(number):
  """The largest of the hosts' numbers, the same on each of them."""
  if jax.process_count() == 1:
    return number
  from jax.experimental import multihost_utils
  return float(multihost_utils.process_allgather(np.array(number)).max())
