"""Known from unknown: classifiers, and scores of how known an input is.

The papers ask which score, of which network, tells images of classes that were
never shown from known ones. An `Arm` is a head and a training of the network,
and a score of what it puts out. Arms that share head and training read one
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

import numpy as np

from assay import config as config_lib
from assay.data import images
from assay.errors import UserError, check_names
from assay.methods import contrastive, ood_scores
from assay.metrics import classification
from assay.models import classifier
from assay.study import Block, replaced, tune
from assay.testbeds import bounds, ood_data, vision, vision_nets
from assay.testbeds import ood_nets as nets
from assay.testbeds import ood_rows as rows

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
    against: names of arms with the same head and training, on whose AUROC the
      gain is recorded with its interval over test images.
    train: a `vision.Arm`: loss, draw and what else a training has. Its loss
      gets what the head gives in training, in `extra` what the head keeps.
  """
  head: Callable = linear
  score: ood_scores.Score | None = ood_scores.msp
  settings: dict = {}
  against: tuple = ()
  train: vision.Arm = vision.Arm()


ONE_FEATURE = Arm(score=None)
TWO_VIEWS = vision.Arm(draw=contrastive.views)


def contrasted(head, loss, **more):
  """Head and training of an `Arm` on two views of each image.

  Args:
    head: as `contrastive.Head`.
    loss: as `contrastive.taught` takes it.
    **more: sockets of the training.
  """
  return {'head': head, 'train': TWO_VIEWS._replace(
      loss=contrastive.taught(loss), **more)}


def make_apply(arms):
  """`(config, arm) -> apply` of some arms, for `assay.load`."""
  return lambda config, arm: vision_nets.apply_of(
      nets.make_model(config.net, arms[arm].head))


# --- The study ---------------------------------------------------------------


def tuned(config, study, data, name, arm):
  """The config with the learning rate of a network, by its nll on `val`.

  Args:
    config, study, data: of the run; trials are on `config.tuning_seeds`.
    name: of the unit whose block trains the network.
    arm: an `Arm` with this network.
  """
  if not config.learning_rates:
    return config

  def measure(config, block, fields):
    model = nets.make_model(config.net, arm.head)
    fitted = vision.fit(config, data, block, arm.train, model=model)
    logits = vision_nets.said(
        vision_nets.apply_of(model), config.net, data, block, fitted,
        nets.shown(config, data, {})['val'], config.level)
    y = np.tile(data.labels('val'), (len(logits), 1))
    with block.recorder(fitted, dataset=images.label(config.net.dataset),
                        method=name.partition(',')[0], **fields) as add:
      add('nll', classification.nll, logits, y, split='val')

  trials = [{'learning_rate': rate} for rate in config.learning_rates]
  return replaced(config, tune.tuned(study, config, name, trials, measure,
                                     'nll', state='last'))


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


def units(config, study, arms, unknown=ood_data.unknown):
  """What is to be done, with what networks say: one at a time.

  A network is trained in the block of the first arm that has it; the others
  read what it says.

  Args:
    config, study: the run's.
    arms: name -> `Arm`.
    unknown: what else is shown to networks, as `ood_data.unknown`.

  Yields:
    (arm, config with the swept fields, `ood_nets.Said`, recorder, block).
  """
  sets, first, found = {}, {}, {}
  for name, arm, fields, mine, data in vision.units(
      config, study, ood_data.load):
    # A training has functions and no equality: the same one is the same object.
    own, same = arms[arm], repr(mine)
    leader = first.setdefault((own.head, id(own.train), same), name)
    if same not in sets:
      sets[same] = unknown(mine, data, study.data_dir)
    for block in study.blocks(name):
      key = leader, block.seeds
      if key not in found:
        found[key] = nets.said(
            tuned(mine, study, data, leader, own), data,
            Block(study, leader, block.seeds), own.head, sets[same],
            own.train)
      if name != leader:
        study.stand_on(name, found[key].fitted)
      yield arm, mine, found[key], block.recorder(
          found[key].fitted, method=arm, dataset=images.label(
              mine.net.dataset), **fields), block


def run(config, study, arms, more=lambda out, arm: {}):
  """Scores every arm on every seed; returns the rows.

  Args:
    config, study: the run's.
    arms: name -> `Arm`.
    more: what a paper measures besides: of what one network says, split ->
      name -> array, and an `Arm`, {(metric, split, group): (value, n)}.
  """
  check(config, arms)
  for arm, mine, found, recorder, _ in units(config, study, arms):
    with recorder as add:
      rows.record(add, mine, found, arms, arm, more)
  return study.rows()
