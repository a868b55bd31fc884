"""What a run will take, found by compiling it: nothing is made at full size.

The state and the data are shapes with shardings; no file of data is read, see
`data_of`. Devices may be pretended (see `cli.set_up_devices`), so that a laptop
says what a pod will hold; the compiler is the laptop's, and so are its
temporaries. What comes after training, as evaluation does, is not looked at.
"""

import math
import re

import jax
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
import numpy as np

from assay.data import files
from assay.train import items as items_lib
from assay.train import lanes as lanes_lib

# The type of the result, and what is done; a start counts, its end does not.
COLLECTIVE = re.compile(
    r'= (.*?) (all-reduce|all-gather|reduce-scatter|all-to-all|'
    r'collective-permute)(?:-start)?\(')


class DryRun(Exception):
  """Ends a dry run where training would start; its text is the report.

  Attributes:
    figures: what the text shows, see `measure`.
  """

  def __init__(self, figures):
    super().__init__(show(figures))
    self.figures = figures


def data_of(data_dir):
  """What stands for a folder of data files where none need be there."""
  return files.Described(data_dir)


def stop(arm, seeds, **run):
  """Raises `DryRun`; `Settings.dry_run` is this, with arm and seeds given.

  Args:
    arm: name of what would be trained.
    seeds: S integers.
    **run: arguments of `measure`.
  """
  raise DryRun({'arm': arm, 'seeds': tuple(seeds)} | measure(**run))


def measure(*, lanes, started, rules, draw, source, num_steps, shape, chunk,
            validate):
  """What the first lane of `train.fit` would hold, in bytes on each device.

  Args:
    lanes: a `Lanes`.
    started, chunk: from `lanes.start`, `lanes.make_chunk`.
    rules, draw, source, num_steps: as `fit` takes them.
    shape: rows of a call, at most, and steps of each.
    validate: what is called between calls, or None.

  Returns:
    dict: mesh, devices (their kind), hosts, form, num_steps, steps_per_call,
    seeds_per_device (of a lane), batch, batch_per_host, batch_per_device,
    limit (of a device's memory, or None); params, a list of (path, shape of
    one seed, dtype, PartitionSpec, bytes of the seeds of a lane); bytes, of
    each kind of array; calls, by name what `_estimate` returns.
  """
  mesh, num_mapped = lanes.meshes[0], len(lanes.positions[0])
  args, batch = _arguments(lanes, started, rules, draw, source, shape)
  carry, (shared, _), own, _ = args
  one = jax.eval_shape(started, np.int32(0)).state.params
  params = [
      (jax.tree_util.keystr(path, simple=True, separator='/'), x.shape,
       x.dtype.name, P(*stacked.sharding.spec[1:]), _bytes(stacked))
      for (path, x), stacked in zip(
          jax.tree_util.tree_leaves_with_path(one),
          jax.tree.leaves(carry.state.params), strict=True)]
  state = carry.state
  held = {'parameters': _bytes(state.params),
          'optimizer state': _bytes(state.opt_state),
          'rest of the state': _bytes(
              carry.replace(best=None, state=state.replace(
                  params=None, opt_state=None))),
          'best so far': _bytes(carry.best),
          'data, shared': _bytes(shared), 'data, own': _bytes(own)}
  # Lanes that share devices all keep their seeds there.
  waiting = -(-len(lanes.meshes) // len(set(lanes.meshes))) - 1
  held['other seeds'] = waiting * _bytes((carry, own))
  calls = {'training': _estimate(lanes.program(chunk, mesh), *args)}
  if validate is not None:
    calls['selection'] = _estimate(
        lanes.program(validate, mesh), carry, shared, own)
  for call in calls.values():
    call['peak'] += held['other seeds']
  return {
      'mesh': dict(mesh.shape), 'devices': mesh.devices.flat[0].device_kind,
      'hosts': len({d.process_index for d in mesh.devices.flat}),
      'form': lanes.seed_map, 'num_steps': num_steps,
      'steps_per_call': math.prod(shape),
      'seeds_per_device': num_mapped // mesh.shape['seed'],
      'batch': batch, 'batch_per_host': _on_this_host(mesh, batch),
      'batch_per_device': batch // mesh.shape['data'], 'limit': _limit(mesh),
      'params': params, 'bytes': held, 'calls': calls}


def _arguments(lanes, started, rules, draw, source, shape):
  """The first lane's `carry, (shared, rows), own, items` as shapes, and B."""
  mesh, num_mapped = lanes.meshes[0], len(lanes.positions[0])
  over_seeds = NamedSharding(mesh, P('seed'))
  # Of one seed, with dtypes as they are on a device.
  shapes = lambda tree: jax.eval_shape(lambda x: x, tree)
  placed = lambda tree, where: jax.tree.map(
      lambda x: x.update(sharding=where), tree)
  stacked = lambda tree: jax.tree.map(
      lambda x: x.update(shape=(num_mapped, *x.shape), sharding=over_seeds),
      tree)
  first = lambda tree: jax.tree.map(
      lambda x: x.update(shape=x.shape[1:]), shapes(tree))

  one = jax.eval_shape(started, np.int32(0))
  carry = jax.tree.map(lambda x, where: x.update(sharding=where), stacked(one),
                       lanes_lib.placements(one, mesh, rules))
  shared, own = shapes(source.shared), first(source.own)
  item = shapes(items_lib.first(source))
  items = jax.tree.map(lambda x: x.update(
      shape=(num_mapped, *shape, *x.shape),
      sharding=items_lib.placement(source, mesh)), item)
  batch = jax.eval_shape(draw, shared, own, item, one.state.key)
  rows = jax.ShapeDtypeStruct((), np.int32)
  args = (carry, placed((shared, rows), NamedSharding(mesh, P())),
          stacked(own), items)
  return args, jax.tree.leaves(batch)[0].shape[0]


def _bytes(tree):
  """On each device, of a tree of shapes with shardings."""
  return sum(math.prod(x.sharding.shard_shape(x.shape)) * x.dtype.itemsize
             for x in jax.tree.leaves(tree))


def collectives(text):
  """{kind: (count, bytes)} of what devices exchange in a compiled program.

  Bytes are those of the results on one device. The body of a loop counts once.

  Args:
    text: of the program after compilation, `compiled.as_text()`.
  """
  found = {}
  for results, kind in re.findall(COLLECTIVE, text):
    count, size = found.get(kind, (0, 0))
    for bits, shape in re.findall(r'\b[a-z]+(\d+)\w*\[([\d,]*)\]', results):
      size += int(bits) * math.prod(map(int, filter(None, shape.split(',')))
                                    ) // 8
    found[kind] = count + 1, size
  return found


def _estimate(program, *args):
  """{arguments, temporaries, output, peak: bytes; flops; collectives}.

  All are of each device.
  """
  compiled = program.lower(*args).compile()
  memory, cost = compiled.memory_analysis(), compiled.cost_analysis() or {}
  found = {'arguments': memory.argument_size_in_bytes,
           'temporaries': memory.temp_size_in_bytes,
           # What takes the place of an argument takes no room of its own.
           'output': memory.output_size_in_bytes - memory.alias_size_in_bytes}
  # The compiler's own peak leaves out the temporaries on a CPU.
  peak = max(sum(found.values()), memory.peak_memory_in_bytes)
  return found | {'peak': peak, 'flops': cost.get('flops'),
                  'collectives': collectives(compiled.as_text())}


def _on_this_host(mesh, batch):
  """How much of one seed's batch this host's devices take."""
  mine = [index[1] for index, device in np.ndenumerate(mesh.devices)
          if device.process_index == jax.process_index()]
  return batch // mesh.shape['data'] * len(set(mine))


def _limit(mesh):
  """Bytes that a device has for arrays; None where that is not known."""
  for device in mesh.local_devices:
    return (device.memory_stats() or {}).get('bytes_limit')
  return None


# --- Text --------------------------------------------------------------------


def show(figures):
  """The report."""
  f = figures
  seeds = f'seed {f["seeds"][0]}' if len(f['seeds']) == 1 else (
      f'seeds {f["seeds"][0]} to {f["seeds"][-1]}')
  lines = {
      'first stage': f'{f["arm"]}, {seeds}, {f["num_steps"]:,} steps',
      'mesh': ', '.join(f'{k}:{v}' for k, v in f['mesh'].items())
              + f'; {_count(math.prod(f["mesh"].values()), "device")} ('
              f'{f["devices"]}), {_count(f["hosts"], "host")}',
      'form': f'at most {_count(f["steps_per_call"], "step")} a call; '
              + (f'{_count(f["seeds_per_device"], "seed")} mapped on each '
                 'device' if f['form'] == 'vmap' else
                 'seeds one after another, figures are of one lane'),
      'batch': f'{f["batch"]:,} of each seed; {f["batch_per_host"]:,} per '
               f'host, {f["batch_per_device"]:,} per device'}
  text = ['Dry run: nothing was trained or written. Of the first stage that '
          'would be', 'trained, as compiled for these devices:', '',
          *(f'{k:18}{v}' for k, v in lines.items()), '']
  text += _table(
      ('parameter', 'of one seed', 'placement', 'per device'),
      [(path, f'{dtype} {list(shape)}',
        f'P({", ".join(map(repr, spec))})', _size(size))
       for path, shape, dtype, spec, size in f['params']])
  text += ['', 'Held by each device:']
  text += [f'  {k:20}{_size(v):>12}' for k, v in f['bytes'].items() if v]
  for name, call in f['calls'].items():
    text += ['', f'The {name} call, estimated by the compiler for each device:']
    text += [f'  {k:20}{_size(call[k]):>12}'
             for k in ('arguments', 'temporaries', 'output')]
    limit = f' of {_size(f["limit"])}' if f['limit'] else ''
    note = ', other seeds included' if f['bytes']['other seeds'] else ''
    text.append(f'  {"peak":20}{_size(call["peak"]):>12}{limit}{note}')
    if call['flops'] is not None:
      text.append(f'  {"flops":20}{call["flops"]:>12.3g}; the body of a loop '
                  'counts once, as one step')
    text += [f'  {kind:20}{_size(size):>12} in {count}'
             for kind, (count, size) in call['collectives'].items()]
  return '\n'.join(text)


def _count(number, noun):
  return f'{number:,} {noun}' + 's' * (number != 1)


def _size(number):
  """'1.5 KiB' of 1536."""
  for unit in ('B', 'KiB', 'MiB', 'GiB'):
    if number < 1024:
      return f'{number:.4g} {unit}'
    number /= 1024
  return f'{number:.4g} TiB'


def _table(heads, rows):
  """Lines of left-aligned columns, the last one right-aligned."""
  widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
  return ['  '.join([*(f'{cell:{w}}' for cell, w in zip(
      row[:-1], widths, strict=False)), f'{row[-1]:>{widths[-1]}}'])
          for row in (heads, *rows)]
