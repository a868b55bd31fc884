"""Names of fits and of outputs: hashes of what they compute.

The key of a fit is a hash of the lowered program of its start, of a step and of
what is selected by; of the bytes of its data and their order; of its seed,
lengths, versions, kind of device, and of the flags that change bits. Names,
comments, folders and the seeds that it is trained with are not part of it.
"""

import functools
import hashlib
from importlib import metadata
import json
import os
import pathlib
import platform
import re

import jax
import jax.numpy as jnp
import numpy as np

from assay.train import evaluate, lanes, sharding

# What a step means beyond its program: count up where `loop` or `lanes` change
# what they do with it.
LOOP = 1
PACKAGES = ('jax', 'jaxlib', 'flax', 'optax', 'numpy')
FLAGS = ('jax_enable_x64', 'jax_default_matmul_precision',
         'jax_default_prng_impl', 'jax_threefry_partitionable',
         'jax_numpy_dtype_promotion', 'jax_numpy_rank_promotion',
         'jax_disable_most_optimizations', 'jax_optimization_level',
         'jax_exec_time_optimization_effort', 'jax_memory_fitting_effort')
ENVIRONMENT = ('XLA_FLAGS', 'LIBTPU_INIT_ARGS', 'NVIDIA_TF32_OVERRIDE')
# They say how many devices there are, how long one waits for another, and what
# is written down.
NO_BITS = ('--xla_force_host_platform_device_count', '--xla_cpu_collective_',
           '--xla_dump')
SYMBOL = r'@("[^"]*"|[\w.$-]+)'  # a name in a lowered program
MAX_BYTES = 2**34  # of a seed that is kept: all pass through the host
CHUNK = 2**26  # bytes of a seed's order that are made at a time


def keys(plan, settings):
  """[S] keys of the fits of a plan.

  Args:
    plan: a `loop.Plan`.
    settings: a `train.Settings`; what it says of the compiled form is part of
      the keys, as the sizes of the mesh but that of `seed` are.

  Raises:
    ValueError: they cannot be kept; says why.
  """
  source, kept = plan.source, shapes(plan)
  if any(jnp.issubdtype(x.dtype, jax.dtypes.extended)
         for x in jax.tree.leaves(kept)):
    raise ValueError('the state holds random keys besides its own')
  if source.batch_size is not None and source.checksum is None:
    raise ValueError('streamed data tell no checksum')
  held = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(kept))
  if held > MAX_BYTES:
    raise ValueError(f'a seed has {held / 1e9:.0f} GB')
  common = [_program(plan), *_of_arrays(source.shared), json.dumps(
      [LOOP, plan.eval_every, source.batch_size,
       source.checksum, settings.steps_per_call, settings.seed_map,
       {k: v for k, v in plan.mesh.shape.items() if k != 'seed'},
       surroundings()], sort_keys=True)]
  return tuple(
      _hash(*common, *_of_arrays({k: v[i] for k, v in source.own.items()}),
            *_of_order(source, i, length), f'{seed} {length}')
      for i, (seed, length) in enumerate(zip(plan.seeds, plan.lengths,
                                             strict=True)))


def of_outputs(predict, state, params, extra, shared, own, num_rows):
  """[S] names of what a predictor says, below the keys of the fits it reads.

  Args:
    predict: from `evaluate.predictor`.
    state: 'last' or 'best', the parameters that are read.
    params, extra, shared, own, num_rows: as `predict` takes them.

  Raises:
    ValueError: it calls back into Python.
  """
  first = lambda tree: jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), tree)
  text, arrays = None, []
  for part, count in evaluate.parts(shared, num_rows):
    if text is None:
      leaves, structure = jax.tree.flatten(jax.eval_shape(
          lambda *args: args, first(params), first(extra), part, first(own),
          predict.items(count)))
      text = _of_predictor(predict.compiled, structure, tuple(leaves))
    arrays += _of_arrays(part)
  common = [text, state, *arrays,
            json.dumps([num_rows, predict.batch_size, surroundings()])]
  return [_hash(*common, *_of_arrays({k: v[i] for k, v in own.items()}))
          for i in range(len(jax.tree.leaves(params)[0]))]


@functools.lru_cache  # many splits and fits are shown to one program
def _of_predictor(compiled, structure, leaves):
  return lowered(compiled, *jax.tree.unflatten(structure, leaves))


def shapes(plan):
  """What is kept of a seed, as a tree of shapes."""
  return without_optimizer(jax.eval_shape(plan.started, lanes.SEED))


def without_optimizer(carry):
  """A carry without the state of the optimizer and the key."""
  return carry.replace(state=carry.state.replace(opt_state=None, key=None))


def _program(plan):
  """Text of all that is computed of one seed, without names and places."""
  own = {k: v[0] for k, v in plan.source.own.items()}
  carry, data = jax.eval_shape(plan.started, lanes.SEED), (
      plan.source.shared, own)
  one = plan.one
  if plan.mesh.shape['data'] > 1:  # else it says nothing of devices
    one = lanes.make_one(plan.step, plan.draw, sharding.make_mesh(
        dict.fromkeys(sharding.AXES, 1)))
  texts = [lowered(plan.started, lanes.SEED),
           lowered(one, carry, plan.item, *data)]
  if plan.validate is not None:
    texts.append(lowered(plan.validate, carry, *data))
  return '\n'.join(texts)


def lowered(function, *args):
  """The text of a lowered function; its own names are replaced by numbers.

  Raises:
    ValueError: it calls back into Python.
  """
  text = jax.jit(function).lower(*args).as_text()
  if found := re.search(r'custom_call @\w*callback\w*', text):
    raise ValueError(f'the program calls back into Python ({found[0]})')
  text = re.sub(r'^module @\S+', 'module', text, count=1, flags=re.M)
  numbers = {name: f'@{i}' for i, name in enumerate(
      re.findall(r'func\.func \w+ ' + SYMBOL, text))}
  return re.sub(SYMBOL, lambda m: numbers.get(m[1], m[0]), text)


def surroundings():
  """What the bits of a program depend on besides it."""
  xla = {name: sorted(
      word for word in os.environ.get(name, '').split()
      if not word.startswith(NO_BITS)) for name in ENVIRONMENT}
  return [{package: version(package) for package in PACKAGES},
          jax.devices()[0].device_kind, _processor(), xla,
          # Those that no context manager sets are no attributes.
          {name: str(getattr(jax.config, name, jax.config.values.get(name)))
           for name in FLAGS}]


@functools.cache  # a file is read and parsed for it
def version(package):
  """The version of an installed package."""
  return metadata.version(package)


def _processor():
  """The kind of processor, where it is what computes."""
  if jax.default_backend() != 'cpu':
    return ''
  file = pathlib.Path('/proc/cpuinfo')
  found = re.search('^flags.*', file.read_text() if file.exists() else '', re.M)
  return platform.machine() + (found[0] if found else '')


def _hash(*texts):
  digest = hashlib.blake2b(digest_size=16)
  for text in texts:
    digest.update(f'{len(text)} {text}'.encode())
  return digest.hexdigest()


def _of_arrays(tree):
  """A text for each array of a tree: its path, shape, dtype and bytes."""
  for path, x in jax.tree_util.tree_leaves_with_path(tree):
    x = _numbers(x)
    digest = hashlib.blake2b(_bytes(x), digest_size=16).hexdigest()
    yield f'{jax.tree_util.keystr(path)} {x.shape} {x.dtype} {digest}'


def _numbers(x):
  """An array as numbers on the host; keys as theirs."""
  if jnp.issubdtype(getattr(x, 'dtype', None), jax.dtypes.prng_key):
    x = jax.random.key_data(x)
  return np.asarray(x)


def _bytes(x):
  """The bytes of an array, which need not be copied."""
  return np.ascontiguousarray(x).view(np.uint8)


def _of_order(source, position, length):
  """A text for all items that a seed is trained on, in `length` steps."""
  if source.checksum is not None:
    return []  # it tells of them
  size = sum(x.nbytes for x in jax.tree.leaves(source.items(position, 0, 1)))
  chunk, digests = max(1, CHUNK // max(1, size)), {}
  for start in range(0, length, chunk):
    items = source.items(position, start, min(start + chunk, length))
    for path, x in jax.tree_util.tree_leaves_with_path(items):
      name = f'{jax.tree_util.keystr(path)} {x.shape[1:]} {x.dtype}'
      digest = digests.setdefault(name, hashlib.blake2b(digest_size=16))
      digest.update(_bytes(x))
  return [f'{name} {digest.hexdigest()}' for name, digest in digests.items()]
