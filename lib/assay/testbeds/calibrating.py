"""Classifiers to be calibrated, and what they say about shifted images.

A study of calibration trains a classifier, computes its logits once, on images
that were held out to calibrate on and on test sets, and then fits whatever it
compares in seconds.

Fields of the config that are read here, besides those of `classifiers`:

    dataset, split_sizes (train, calibration, test), data_seed
    augment ('' or 'crop_flip'), num_epochs, batch_size, eval_batch_size
    shifts (keys of `corruptions.CORRUPTIONS`), level (1 to 5)
    num_bins
"""

import functools

import jax.numpy as jnp
import numpy as np

from assay import train
from assay.data import augment, corruptions, images, tabular
from assay.errors import UserError, check_names
from assay.metrics import calibration
from assay.testbeds import classifiers
from assay.train import evaluate

TEST, SHIFTED = 'test', 'shifted'  # splits; the second: the mean over shifts
# What is measured on each shift alone; on the other two all of `calibration`'s.
OF_A_SHIFT = ('error', 'ece', 'auroc', 'mean_confidence')


class Data:
  """What all arms and seeds share.

  Attributes:
    shared: x uint8, y, train_rows, calibration_rows, test_rows.
    mean, std: by channel, of the training images.
  """

  def __init__(self, config, data_dir=None):
    num_train, num_held, num_test = config.split_sizes
    shared = images.subset(images.load(config.dataset, data_dir), num_train,
                           num_held, config.data_seed)
    if num_test > len(shared['test_rows']):
      raise UserError(f'split_sizes={config.split_sizes}: {config.dataset} has '
                      f'{len(shared["test_rows"])} test images; use at most as '
                      'many.')
    shared['calibration_rows'] = shared.pop('val_rows')
    shared['test_rows'] = shared['test_rows'][:num_test]
    self.shared = shared
    self.mean, self.std = images.channel_statistics(
        shared['x'], shared['train_rows'])

  def labels(self, split):
    """y [n] int32 of a split."""
    return self.shared['y'][self.shared[f'{split}_rows']]


def check(config, **more):
  """Raises a UserError that names a value which cannot be meant."""
  classifiers.check(config, augment=('', 'crop_flip'), **more)
  check_names('shifts', config.shifts, corruptions.CORRUPTIONS, 'corruption')
  for name, low, high in (
      ('batch_size', 1, config.split_sizes[0]), ('num_epochs', 1, np.inf),
      ('level', 1, corruptions.NUM_LEVELS), ('num_bins', 1, np.inf)):
    if not low <= config[name] <= high:
      raise UserError(f'{name}={config[name]} must be from {low} to {high}.')
  if min(config.split_sizes) < 1 or len(config.split_sizes) != 3:
    raise UserError(f'split_sizes={config.split_sizes} must be the numbers of '
                    'images to train on, calibrate on and test on.')


# --- The classifier ----------------------------------------------------------


def make_model(config):
  """The network of a config, for the classes of its data set."""
  return classifiers.make_model(
      config, images.IMAGES[config.dataset]['num_classes'])


def fit(config, data, block, grad_fn, more=dict):
  """Trains a classifier on a block of seeds.

  Args:
    config, data, block: which.
    grad_fn: of a loss, as `train.make_step` takes it.
    more: what it keeps in `extra`, besides what the model has.

  Returns:
    A `Fitted`.
  """
  model = make_model(config)
  tx = classifiers.sgd(config)
  shape = (1, *data.shared['x'].shape[1:])
  draw = images.draw_from('train', data.mean, data.std)
  if config.augment:
    draw = augment.augmented(draw, functools.partial(
        augment.standard, fill=-np.array(data.mean) / np.array(data.std)))
  num_train, size = len(data.shared['train_rows']), config.batch_size
  orders = [tabular.epoch_items(num_train, size, seed) for seed in block.seeds]
  source = train.Source(data.shared, {}, lambda position, start, stop: orders[
      position](start, stop))
  per_epoch = num_train // size
  return train.fit(
      train.make_init(
          lambda key: {**model.init(key, jnp.zeros(shape)), **more()}, tx),
      train.make_step(grad_fn, tx), draw, source, seeds=block.seeds,
      num_steps=config.num_epochs * per_epoch, eval_every=per_epoch,
      directory=block.directory('fit', config), settings=block.settings)


@functools.lru_cache  # one compilation for all shifts, copies and arms
def _predictor(apply, mean, std, level, batch_size):
  return evaluate.predictor(
      apply, corruptions.draw_from('eval', mean, std, level), batch_size)


def logits(config, data, state, split, shift='', copy=''):
  """[S, n, K] float32: what all seeds say about a split.

  Args:
    config, data: which.
    state: as `fit` leaves it.
    split: 'calibration' or 'test'.
    shift: '' or a key of `corruptions.CORRUPTIONS`, at the config's level.
    copy: '' or a key of `corruptions.COPIES`.
  """
  rows = data.shared[f'{split}_rows']
  predict = _predictor(
      classifiers.make_apply(make_model(config)), data.mean, data.std,
      config.level, config.eval_batch_size)
  shared = {'x': data.shared['x'][rows], 'y': data.shared['y'][rows],
            'eval_rows': np.arange(len(rows), dtype=np.int32)}
  return predict(state.params, state.extra,
                 shared | corruptions.chosen(shift, copy), {}, len(rows))[0]


# --- Rows --------------------------------------------------------------------


def measured(config, log_p, labels):
  """(split, metric, value) of one seed.

  Args:
    config: its `shifts` and `num_bins` are read.
    log_p: {'test' or a shift: [n, K] log-probabilities}, or None of a
      classifier that diverged: all values are then NaN.
    labels: [n] int.
  """
  everything = []
  for name in (TEST, *config.shifts):
    values = (dict.fromkeys(calibration.SUMMARY, np.nan) if log_p is None else
              # In float64, where few probabilities round to 0.
              calibration.summary(np.exp(log_p[name].astype(np.float64)),
                                  labels, config.num_bins))
    if name != TEST:
      everything.append(values)
    for metric, value in values.items():
      if name == TEST or metric in OF_A_SHIFT:
        yield name, metric, value
  if everything:
    for metric in everything[0]:
      yield SHIFTED, metric, np.mean([values[metric] for values in everything])
