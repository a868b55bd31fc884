"""Images whose labels have a metric, some of which were never trained.

Part of the testbed `vision`. Images of one data set are turned by 0, `degrees`,
2 `degrees`, ...; how often is the label, so labels lie on a path. Training and
held-out images have the `observed` labels alone (a text, '0-4-9'), test images
all `num_labels`. Besides what `vision_nets` reads, these are read of
`config.net`, with `classes`, of which images are, () for all, and split_sizes,
which count images before they are turned.
"""

import functools

import jax
import numpy as np

from assay import config as config_lib
from assay import keys
from assay.data import corruptions, images
from assay.errors import UserError, check_names
from assay.testbeds import bounds
from assay.testbeds import vision_nets as nets


def check(config, arms):
  """Raises a UserError that names a value which cannot be meant."""
  config_lib.check(config, bounds.VISION_LABELS)
  check_names('arms', config.arms, arms, 'arm')


def observed(net):
  """The observed labels, ascending ints.

  Raises:
    UserError: not two or more different labels in order.
  """
  try:
    found = [int(word) for word in net.observed.split('-')]
  except ValueError:
    found = []
  if len(found) < 2 or sorted(set(found)) != found or not (
      0 <= found[0] and found[-1] < net.num_labels):
    raise UserError(f'observed={net.observed!r} must be two or more labels, '
                    f'ascending and below num_labels={net.num_labels}, like '
                    "'0-4-9'.")
  return found


def load(net, data_dir=None):
  """The `Data` of a config: y counts observed labels, but for `test` all."""
  table, kept = images.load(net.dataset, data_dir), {}
  classes = [tuple(net.classes or np.unique(table['train_y']).tolist())]
  for part in images.PARTS:
    rows, y = images.choose(table[f'{part}_y'], classes)
    kept |= {f'{part}_x': table[f'{part}_x'][rows], f'{part}_y': y}
  plain, x, y, shared = nets.of_table(net, kept).shared, [], [], {}
  for split in ('train', 'val', 'test'):
    own = plain['x'][plain[f'{split}_rows']]
    turns = range(net.num_labels) if split == 'test' else observed(net)
    start = sum(map(len, x))
    x += [np.asarray(_turned(own, turn * net.degrees)) for turn in turns]
    y += [np.full(len(own), turn if split == 'test' else k, np.int32)
          for k, turn in enumerate(turns)]
    shared[f'{split}_rows'] = np.arange(start, sum(map(len, x)), dtype=np.int32)
  return nets.Data({'x': np.concatenate(x), 'y': np.concatenate(y)} | shared)


@jax.jit
def _turned(x, degrees):
  """Images [n, H, W, C] uint8, turned counterclockwise."""
  of_one = functools.partial(corruptions.rotated, degrees=degrees)
  turned = jax.vmap(of_one)(x.astype(np.float32))
  return jax.numpy.rint(turned).astype(np.uint8)


def make_model(net):
  """The network: images -> logits of the observed labels."""
  return nets.make_model(net, len(observed(net)))


def make_apply(config, arm=None):
  """See `vision_nets.apply_of`; all arms have the same model."""
  del arm
  return nets.apply_of(make_model(config.net))


def logits(config, data, block, fitted, split):
  """[S, n, K]: what networks say about a split."""
  return nets.said(make_apply(config), config.net, data, block, fitted,
                   data.shared | {'rows': data.shared[f'{split}_rows']})


def record(add, net, data, predicted):
  """Adds how far predictions are from the labels of the test images.

  Groups `seen` and `unseen` are of the labels that were observed and the
  others.

  Args:
    add: from `block.recorder`.
    net, data: of the networks.
    predicted: [S, n] int labels.
  """
  y = data.labels('test')
  away = np.abs(np.asarray(predicted) - y)
  seen = np.isin(y, observed(net))
  for group, mine in (('', slice(None)), ('seen', seen), ('unseen', ~seen)):
    own = away[:, mine]
    add('accuracy', lambda away: np.mean(away == 0), own, split='test',
        group=group)
    add('squared_distance', lambda away: np.mean(away**2), own, split='test',
        group=group)
    add('distance', np.mean, own, split='test', group=group)
  add.save(predicted=np.asarray(predicted))


def record_made(add, config, data, block, fitted, make):
  """As `record`, of what `make` makes of the logits of each seed.

  Args:
    add, config, data, block, fitted: of the run.
    make: `(logits [n, K], held [m, K], labels [m] of them, path [N, N],
      known [K], rng) -> [n]` labels; `path` are the distances of all labels,
      `known` those that are observed.
  """
  said, held = (logits(config, data, block, fitted, split)
                for split in ('test', 'val'))
  turns = np.arange(config.net.num_labels)
  path = np.abs(turns[:, None] - turns).astype(float)
  record(add, config.net, data, [
      np.full(said.shape[1], -1) if i in add.why else np.asarray(make(
          said[i], held[i], data.labels('val'), path, observed(config.net),
          keys.generator(seed, 'labels')))
      for i, seed in enumerate(block.seeds)])
