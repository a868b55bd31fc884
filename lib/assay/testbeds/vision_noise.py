"""Classifiers that are trained on wrong labels, and the features they use.

Part of the testbed `vision`. Labels of training and held-out images are wrong
with a probability, each seed's in its own way; those of test images are right.
An `Arm` is a head without a bias and what it does to features in training, or
two networks that choose each other's examples in the last part of the training.

Besides what `vision_nets` reads, of `config.net` are read: label_noise, noise
('symmetric', any other class, or 'next', the class after it), forget, the share
that co-teaching leaves out, co_start, the share of the training before it, and
the knobs of the arms. An arm has one knob, or none; of the values in
`config.<knob>s` it has the one with the lowest error on held-out images, labels
as wrong as those of training, of `config.tuning_seeds`. Where features have an
order the number that is used, `first`, is chosen likewise.

Rows: `error` of `test`; in the group `first` if so many features are used as a
field `first` says, in `clean choice` if right held-out labels choose. Of
`train`, groups `wrong` and `right`: how often the given label is not said.
"""

from collections.abc import Callable
from typing import NamedTuple

from flax import linen as nn
import jax.numpy as jnp
import numpy as np

from assay import losses
from assay.data import images
from assay.errors import UserError, check_names
from assay.methods import co_teaching, nested_dropout
from assay.models import classifier
from assay.study import Block, replaced, tune
from assay.testbeds import vision
from assay.testbeds import vision_nets as nets
from assay.testbeds.ood_nets import outputs_of
from assay.train import sharding

FIRST = (1, 2, 4, 8, 16, 32, 64, 128)


class Head(nn.Module):
  """Features [B, D] -> logits [B, K], linear without a bias.

  Attributes:
    num_classes: K.
    change: `(key, z [B, D]) -> z`, of features in training, and without a key
      of those by which examples are picked; None: nothing.
    rank: units of a linear layer in between; 0: none.
  """
  num_classes: int
  change: Callable | None = None
  rank: int = 0

  @nn.compact
  def __call__(self, z, train=False, key=None, picks=False):
    if self.change is not None and (train or picks):
      z = self.change(None if picks else self.make_rng('dropout')
                      if key is None else key, z)
    if self.rank:
      z = nn.Dense(self.rank, use_bias=False, name='narrow')(z)
    return nn.Dense(self.num_classes, use_bias=False)(z)


class Pair(nn.Module):
  """Two networks, one key for both: [B, ...] -> [B, 2 K] logits.

  In training [B, 4 K], behind these the logits that pick examples. The
  parameters of the first are those of a `classifier.Classifier`.
  """
  body: nn.Module
  head: nn.Module
  other_body: nn.Module
  other_head: nn.Module

  def __call__(self, x, train=False):
    key = self.make_rng('dropout') if train else None
    parts = [(self.head, self.body(x, train=train)),
             (self.other_head, self.other_body(x, train=train))]
    return jnp.concatenate([head(z, train, key) for head, z in parts] + [
        head(z, picks=True) for head, z in parts if train], axis=1)


class Arm(NamedTuple):
  """What a paper may replace.

  Attributes:
    knob: a field of `config.net`, or ''.
    change: value of the knob -> `Head.change`.
    rank: value of the knob -> `Head.rank`.
    ordered: whether features have an order.
    pair: whether two networks choose each other's examples.
    of: the arm whose chosen value of the knob it has; default its own.
  """
  knob: str = ''
  change: Callable = lambda value: None
  rank: Callable = lambda value: 0
  ordered: bool = False
  pair: bool = False
  of: str = ''


def wrong_labels(net, data, seed):
  """[N] int32: labels of which those of training and held-out images err."""
  y = data.shared['y']
  for split in ('train', 'val'):
    new, hit = images.noisy_labels(y, data.shared[f'{split}_rows'],
                                   net.label_noise, data.num_classes, seed)
    y = np.where(hit, (y + 1) % data.num_classes if net.noise == 'next'
                 else new, y)
  return y.astype(np.int32)


def training(net, data, arm):
  """The `vision.Arm` of an arm: its labels and its loss."""
  own = lambda own, data, seeds: own | {'y': np.stack([
      wrong_labels(net, data, seed) for seed in seeds])}
  if not arm.pair:
    return vision.Arm(own=own)
  start = net.co_start * net.num_epochs * (data.num_train // net.batch_size)

  def loss(logits, batch, extra):
    mine, theirs, *seen = (losses.cross_entropy(each, batch['y'])
                           for each in jnp.split(logits, 4, axis=1))
    rate = jnp.where(extra['steps'] < start, 0., net.forget)
    size = len(mine) * (1 - rate)  # a mean over those that are kept
    taught = co_teaching.taught(mine, theirs, rate, seen)
    return sum(map(jnp.sum, taught)) / size, {'steps': extra['steps'] + 1}, {}

  return vision.Arm(loss, own=own, memory=lambda num: {'steps': jnp.int32(0)})


def make_model(net, arm, pair=False):
  """The network that answers, or the pair that is trained."""
  num, value = nets.num_classes(net), net.get(arm.knob)
  part = lambda: (nets.make_model(net, 0), Head(
      num, arm.change(value), arm.rank(value)))
  return Pair(*part(), *part()) if pair else classifier.Classifier(*part())


def make_apply(arms):
  """As `vision_copies.make_apply`."""
  return lambda config, arm: nets.apply_of(make_model(config.net, arms[arm]))


def said(config, data, block, arm, splits):
  """(fitted, {split: [S, D or 1, n, K]}): logits of the first features."""
  net = config.net
  fitted = vision.fit(config, data, block, training(net, data, arm),
                      model=make_model(net, arm, arm.pair))
  apply, ((_, (num,)), _) = outputs_of(
      make_model(net, arm), data.shared['x'].shape[1:])
  weights = sharding.fetch(fitted.state.params['head']['Dense_0']['kernel'])
  found = {}
  for split in splits:
    each = nets.said(apply, net, data, block, fitted, data.shared | {
        'rows': data.shared[f'{split}_rows']})
    found[split] = each[:, None, :, :num] if arm.rank(net.get(arm.knob)) else (
        np.stack([nested_dropout.by_number(*of) for of in zip(
            each[..., num:], weights, strict=True)]))
  return fitted, found


def errors(logits, y):
  """[S, D] of logits [S, D, n, K] and labels [S, n] or [n]."""
  return (logits.argmax(axis=3) != np.atleast_2d(y)[:, None]).mean(axis=2)


def chosen(arm, logits, y):
  """[S] how many features have the lowest error, all if they have no order."""
  if not arm.ordered:
    return np.full(len(logits), logits.shape[1])
  return 1 + errors(logits, y).argmin(axis=1)


def check(config, arms):
  """Raises a UserError that names a value which cannot be meant."""
  vision.check(config)
  check_names('arms', config.arms, arms, 'arm')
  if min(config.net.split_sizes) < 1:
    raise UserError(f'split_sizes={config.net.split_sizes} must be 1 or more: '
                    'images to train on, to choose by and to test on.')


def tuned(config, study, data, name, arms):
  """The config with the value of an arm's knob, by errors on `val`."""
  name = arms[name].of or name
  arm, values = arms[name], config.get(f'{arms[name].knob}s', ())
  if len(values) < 2:
    return config

  def measure(config, block, fields):
    fitted, logits = said(config, data, block, arm, ('val',))
    y = held_labels(config.net, data, block.seeds)
    with block.recorder(fitted, dataset=images.label(config.net.dataset),
                        method=name, **fields) as add:
      add('error', errors(logits['val'], y).min(axis=1) if arm.ordered else
          errors(logits['val'], y)[:, -1], split='val', n=y.shape[1])

  trials = [{arm.knob: value} for value in values]
  return replaced(config, tune.tuned(
      study, config, name, trials, measure, 'error', state='last'))


def held_labels(net, data, seeds, split='val'):
  """[S, n] labels of a split as a seed has them."""
  return np.stack([wrong_labels(net, data, seed)[data.shared[f'{split}_rows']]
                   for seed in seeds])


def run(config, study, arms):
  """Trains every arm, name -> `Arm`, on every seed; returns the rows."""
  check(config, arms)
  for name, arm, fields, mine, data in vision.units(config, study):
    for block in study.blocks(name):
      best = tuned(mine, study, data, arm, arms)
      fitted, logits = said(best, data, Block(study, name, block.seeds),
                            arms[arm], ('train', 'val', 'test'))
      with block.recorder(fitted, dataset=images.label(mine.net.dataset),
                          method=arm, **fields) as add:
        record(add, best, data, arms[arm], logits, block.seeds)
  return study.rows()


def record(add, config, data, arm, logits, seeds):
  """Adds the rows of the module's docstring."""
  net, rows = config.net, np.arange(len(seeds))
  of_test = errors(logits['test'], data.labels('test'))
  size, held = (len(data.labels(split)) for split in ('test', 'val'))
  first, clean = (chosen(arm, logits['val'], y) for y in (
      held_labels(net, data, seeds), data.labels('val')))
  add('error', of_test[rows, first - 1], split='test', n=size)
  if arm.knob:
    add('chosen', float(net[arm.knob]), split='val', group=arm.knob, n=held)
  if arm.ordered:
    add('error', of_test[rows, clean - 1], split='test', n=size,
        group='clean choice')
    add('chosen', first.astype(float), split='val', group='first', n=held)
  for number in FIRST:
    if number <= of_test.shape[1] > 1:
      add('error', of_test[:, number - 1], split='test', n=size,
          group='first', first=number)
  given = held_labels(net, data, seeds, 'train')
  wrong = given != data.labels('train')
  last = logits['train'][rows, first - 1].argmax(axis=2) != given
  for group, mine in (('wrong', wrong), ('right', ~wrong)):
    if mine.any():
      add('error', [each[of].mean() for each, of in zip(
          last, mine, strict=True)], split='train', group=group,
          n=int(mine[0].sum()))
