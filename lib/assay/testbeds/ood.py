"""Known from unknown: classifiers, and scores of how known an input is.

The papers ask which score, of which network, tells images of classes that were
never shown from known ones. An `Arm` is a head, which the network is trained
with, and a score of what the network puts out. Arms with one head read one
network. Splits: `test`, known images; each set of unknown ones by its name;
`near` and `far`, the means over these sets without those that one feature tells
from the known (`ood_data`), `worst` of all sets; the shifts of the test images
with known labels, as if they were unknown, and `shifted`, their mean; and
`near_shifted`, where shifted images are what is known.

`config.net` holds what a classifier depends on, see `networks.ood`. Of the
config are read: near, far, num_unknown, painted (see `ood_data`), shifts,
level, num_bins, and learning_rates with tuning_seeds: if there are any, each
head has the one with which it has the lowest nll on held-out images.
"""

from collections.abc import Callable
from typing import NamedTuple

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from assay import config as config_lib
from assay.data import images
from assay.errors import UserError, check_names
from assay.methods import ood_scores
from assay.metrics import classification
from assay.models import classifier
from assay.study import Block, replaced, tune
from assay.testbeds import bounds, ood_data, vision, vision_nets
from assay.testbeds import ood_rows as rows
from assay.train import sharding

linear = classifier.Linear


class Arm(NamedTuple):
  """What a paper may replace.

  Attributes:
    head: `num_classes -> module` of features [B, D] that gives logits [B, K];
      what it sows in `intermediates`, [B] or [B, Q], scores may read.
    score: of `features`, `logits`, what the head sows and, with a linear head,
      `head`; None: the best feature of an image, see `ood_data`.
    settings: of the score, name -> values; those are taken that tell held-out
      images best from mixtures of two.
    against: names of arms with the same head, on whose AUROC the gain is
      recorded with its interval over test images.
  """
  head: Callable = linear
  score: ood_scores.Score | None = ood_scores.msp
  settings: dict = {}
  against: tuple = ()


ONE_FEATURE = Arm(score=None)


# --- Networks, and what they say ---------------------------------------------


def make_model(net, head):
  """The network of a config with a head: images -> logits [B, K]."""
  return classifier.Classifier(vision_nets.make_model(net, 0),
                               head(len(net.known)))


def make_apply(arms):
  """`(config, arm) -> apply` of some arms, for `assay.load`."""
  return lambda config, arm: vision_nets.apply_of(
      make_model(config.net, arms[arm].head))


def outputs_of(model, shape):
  """(apply, names) of all that a network says, one array.

  Args:
    model: a `Classifier`.
    shape: of an image.

  Returns:
    `(params, extra, x) -> [B, Q]` in evaluation mode, and (name, columns) of
    its parts: 'logits', then by name what is sown.
  """

  def apply(params, extra, x):
    logits, found = model.apply(
        {'params': params, **vision_nets.statistics_of(extra)}, x,
        mutable=['intermediates'])
    parts = {'logits': logits} | _by_name(found['intermediates'])
    return jnp.concatenate([parts[k].reshape(len(x), -1) for k in parts], 1)

  x = jnp.zeros((1, *shape))
  logits, found = jax.eval_shape(lambda key: model.init_with_output(
      key, x, mutable=True), jax.random.key(0))
  parts = {'logits': logits} | _by_name(found['intermediates'])
  return apply, [(name, part.shape[1:]) for name, part in parts.items()]


def _by_name(sown):
  """{name: array} of what modules have sown, sorted."""
  return {path[-1]: found[0] for path, found in sorted(
      traverse_util.flatten_dict(sown).items(), key=lambda item: item[0][-1])}


class Said(NamedTuple):
  """What the networks of a block say.

  Attributes:
    fitted: the networks.
    by_seed: split -> name -> [S, n, ...].
    shared: split -> name -> [n, ...], the same for all seeds.
    heads: [S] of (weights, bias), or None where the head is not linear.
    learning_rate: float.
  """
  fitted: object
  by_seed: dict
  shared: dict
  heads: list | None
  learning_rate: float

  def of(self, position):
    """split -> name -> array, of the seed at a position."""
    head = {'head': self.heads[position]} if self.heads else {}
    return {split: {k: v[position] for k, v in each.items()}
            | self.shared[split] | head
            for split, each in self.by_seed.items()}


def shown(config, data, unknown):
  """split -> what `vision_nets.said` shows of it, without shifts."""
  found = {split: data.shared | {'rows': data.shared[f'{split}_rows']}
           for split in ('train', 'val', 'test')}
  for name, x in (unknown | {
      'mixed': ood_data.mixed(config, data)}).items():
    # Not -1: an image with that label is none to `images.draw_from`.
    found[name] = {'x': x, 'y': np.zeros(len(x), np.int32),
                   'rows': np.arange(len(x), dtype=np.int32)}
  return found


def said(config, data, block, head, unknown):
  """Trains a head on a block of seeds, or reads it; a `Said`."""
  model = make_model(config.net, head)
  fitted = vision.fit(config, data, block, model=model)
  apply, names = outputs_of(model, data.shared['x'].shape[1:])
  ends = np.cumsum([0] + [int(np.prod(shape)) for _, shape in names])

  def parts(each, shift=''):
    found = vision_nets.said(apply, config.net, data, block, fitted, each,
                             config.level, shift)
    return {name: found[..., start:stop].reshape(*found.shape[:2], *shape)
            for (name, shape), start, stop in zip(
                names, ends[:-1], ends[1:], strict=True)}

  sets = shown(config, data, unknown)
  by_seed = {split: parts(each) for split, each in sets.items()} | {
      shift: parts(sets['test'], shift) for shift in config.shifts}
  shared = {split: {'labels': each['y'][each['rows']]}
            if f'{split}_rows' in data.shared else {}
            for split, each in sets.items()}
  shared |= dict.fromkeys(config.shifts, shared['test'])
  for name in ('test', *unknown):
    shared[name] = shared[name] | {'image_features': ood_data.features(
        sets[name]['x'][sets[name]['rows']])}
  heads = None
  if head is linear:
    dense = sharding.fetch(fitted.state.params['head']['Dense_0'])
    heads = list(zip(dense['kernel'], dense['bias'], strict=True))
  return Said(fitted, by_seed, shared, heads, config.net.learning_rate)


def tuned(config, study, data, name, head):
  """The config with the learning rate of a head, by its nll on `val`.

  Args:
    config, study, data: of the run; trials are on `config.tuning_seeds`.
    name: of the unit whose block trains the head.
    head: see `Arm`.
  """
  if not config.learning_rates:
    return config

  def measure(config, block, fields):
    model = make_model(config.net, head)
    fitted = vision.fit(config, data, block, model=model)
    logits = vision_nets.said(
        vision_nets.apply_of(model), config.net, data, block, fitted,
        shown(config, data, {})['val'], config.level)
    y = np.tile(data.labels('val'), (len(logits), 1))
    with block.recorder(fitted, dataset=images.label(config.net.dataset),
                        method=name.partition(',')[0], **fields) as add:
      add('nll', classification.nll, logits, y, split='val')

  trials = [{'learning_rate': rate} for rate in config.learning_rates]
  return replaced(config, tune.tuned(study, config, name, trials, measure,
                                     'nll', state='last'))


# --- The study ---------------------------------------------------------------


def check(config, arms):
  """Raises a UserError that names a value which cannot be meant."""
  config_lib.check(config, bounds.OOD)
  check_names('arms', config.arms, arms, 'arm')
  sizes = config.net.split_sizes
  if min(sizes) < 2:
    raise UserError(f'split_sizes={sizes} must be 2 or more each: images to '
                    'train on, to choose by and to test on.')
  if config.net.batch_size > sizes[0]:
    raise UserError(f'batch_size={config.net.batch_size} must be at most '
                    f'{sizes[0]}.')


def units(config, study, heads):
  """What is to be done, with what networks say: one at a time.

  A head is trained in the block of the first arm that has it; the others read
  what its networks say.

  Args:
    config, study: the run's.
    heads: arm -> head.

  Yields:
    (arm, config with the swept fields, `Said`, what `block.recorder` takes, the
    block).
  """
  sets, first, found = {}, {}, {}
  for name, arm, fields, mine, data in vision.units(
      config, study, ood_data.load):
    head, same = heads[arm], repr(mine)
    leader = first.setdefault((head, same), name)
    if same not in sets:
      sets[same] = ood_data.unknown(mine, data, study.data_dir)
    for block in study.blocks(name):
      key = leader, block.seeds
      if key not in found:
        found[key] = said(tuned(mine, study, data, leader, head), data,
                          Block(study, leader, block.seeds), head, sets[same])
      if name != leader:
        study.stand_on(name, found[key].fitted)
      yield arm, mine, found[key], block.recorder(
          found[key].fitted, method=arm, dataset=images.label(
              mine.net.dataset), **fields), block


def run(config, study, arms):
  """Scores every arm on every seed; returns the rows.

  Args:
    config, study: the run's.
    arms: name -> `Arm`.
  """
  check(config, arms)
  heads = {name: arm.head for name, arm in arms.items()}
  for arm, mine, found, recorder, _ in units(config, study, heads):
    with recorder as add:
      rows.record(add, mine, found, arms, arm)
  return study.rows()
