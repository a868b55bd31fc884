"""Tasks of the testbed `meta`, each split's a pure function of a key."""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from assay import config as config_lib
from assay import keys, train
from assay.data import images
from assay.data.tasks import few_shot
from assay.errors import UserError

GENERATED = ('sinusoid', 'coded_sinusoid')  # all others are sets of images


class Law(NamedTuple):
  """What tasks are drawn from: fields of `config.net`."""
  dataset: str
  exclusive: bool
  num_support: int
  num_query: int


def law_of(net):
  """The `Law` of `config.net`."""
  return Law(*(net[name] for name in Law._fields))


def _task(law, split, shared, key):
  """One task of a split; see `data.tasks.few_shot`."""
  sizes, known = (law.num_support, law.num_query), split == 'train'
  if law.dataset == 'sinusoid':
    return few_shot.sinusoid(key, *sizes)
  if law.dataset == 'coded_sinusoid':
    return few_shot.coded_sinusoid(key, *sizes, told=not law.exclusive,
                                   known=known)
  return few_shot.pose(
      key, shared[f'{split}_views'], shared['angles'], *sizes,
      shared['zero'] if known and not law.exclusive else None)


@functools.partial(jax.jit, static_argnames=('law', 'split', 'count'))
def tasks(law, split, shared, key, count):
  """Tasks of a split; the first of them do not depend on their number.

  Returns:
    dict of x [T, n, D], y [T, n, Q], query_x [T, m, D] and query_y [T, m, Q].
  """
  return jax.vmap(functools.partial(_task, law, split, shared))(
      keys.each(key, jnp.arange(count)))


def held_out(law, split, shared, seed, count):
  """The same tasks for all arms of a seed, int32 [], which may be traced."""
  return tasks(law, split, shared, keys.named(seed, f'{split} tasks'), count)


def load(net, data_dir=None):
  """What the tasks of all seeds are drawn from; {} where they are generated.

  Args:
    net: `config.net`.
    data_dir: where to look for files first.

  Returns:
    dict of train_views, val_views and test_views, of other objects each,
    [N, V, D] uint8; angles [V]; and zero [N], of the objects to train on.

  Raises:
    UserError: fewer objects than are asked for, or images in color.
  """
  if net.dataset in GENERATED:
    return {}
  found = images.load(net.dataset, data_dir)
  num_train, num_val, num_test = net.num_objects
  if num_test > len(found['test_x']):
    raise UserError(f'num_objects={net.num_objects} has {num_test} to test on; '
                    f'{net.dataset} has {len(found["test_x"])} test images: '
                    'use at most as many.')
  table = images.subset(found, num_train, num_val, net.data_seed)
  shown = {'train': table['x'][table['train_rows']],
           'val': table['x'][table['val_rows']],
           'test': found['test_x'][:num_test]}
  made = {}
  for split, x in shown.items():
    made[f'{split}_views'], made['angles'] = few_shot.views(
        images.pad_to(x, (net.side, net.side, 1)), net.num_views, net.degrees)
  zero = keys.generator(net.data_seed, 'zero').uniform(
      0, 2 * math.pi, num_train)
  return made | {'zero': zero.astype(np.float32)}


def make_source(shared, seeds, config, fields):
  """The source of S seeds.

  Args:
    shared: from `load`.
    seeds: S integers.
    config: of which the fields are read, wherever they are.
    fields: names of numbers.
  """
  known = config_lib.leaves(config)
  return train.Source(
      shared, {k: np.full(len(seeds), known[k], np.float32) for k in fields},
      lambda position, start, stop: np.arange(start, stop, dtype=np.int32))
