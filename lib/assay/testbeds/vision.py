"""Image classifiers: data, networks, training, and what they say.

The papers ask how another loss, gradient or choice of examples trains a
classifier, or how one that is trained is calibrated. An `Arm` replaces what a
paper changes; what it leaves out is plain training. Splits: `train`; `val`,
held out to choose or to calibrate by; `test`; the shifts of the test images,
and `shifted`, their mean.

`config.net` holds what a classifier depends on, see `networks.vision`. Of the
config itself are read: shifts (keys of `corruptions.CORRUPTIONS`), level (1 to
5) and num_bins.
"""

from collections.abc import Callable
import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from assay import config as config_lib
from assay import losses, train
from assay.data import augment, images, tabular
from assay.errors import UserError, check_names
from assay.methods import (
    binning,
    calibrators,
    linear_maps,
    temperature_networks,
)
from assay.study import replaced
from assay.testbeds import bounds
from assay.testbeds import vision_nets as nets
from assay.testbeds import vision_rows as rows

# By `augment`: (key, x, fill) -> what is made of training images.
AUGMENTS = {
    '': None, 'crop_flip': augment.standard,
    'crop_flip_cutout': functools.partial(augment.standard, cutout_size=16),
    'crop_flip_jitter': augment.jittered(augment.standard),
    'shift_jitter': augment.jittered(functools.partial(
        augment.random_crop, padding=1))}

# All that need the logits of the held-out images alone.
CALIBRATORS = {
    'uncalibrated': calibrators.uncalibrated,
    'temperature': calibrators.temperature,
    # Right and wrong images count equally: a control of losses that do so.
    'temperature_balanced': calibrators.temperature._replace(
        fit=lambda logits, labels: calibrators.temperature.fit(
            logits, labels, calibrators.class_balanced_weights(
                logits, labels))),
    'ensemble_temperature': calibrators.ensemble_temperature,
    'vector': linear_maps.vector,
    'matrix': linear_maps.matrix,
    'dirichlet': linear_maps.dirichlet,
    'parameterized_temperature':
        temperature_networks.parameterized_temperature,
    'adaptive_temperature': temperature_networks.adaptive_temperature,
    'isotonic': binning.isotonic,
    'multi_isotonic': binning.multi_isotonic,
    'histogram': binning.histogram,
    'spline': binning.spline,
}


def mean_of(loss):
  """The socket `loss` of one `(logits [B, K], labels [B]) -> [B] or []`."""
  return lambda logits, batch, extra: (
      jnp.mean(loss(logits, batch['y'])), {}, {})


class Arm(NamedTuple):
  """What a paper may replace.

  Attributes:
    loss: `(logits [B, K], batch, extra) -> ([], new, metrics)`; what is in
      `new` replaces that in `extra`. See `mean_of`.
    gradient: gradient -> gradient, as SAM.
    draw: draw -> draw, of training batches.
    own: `(own, data, seeds) -> own`, whose train_rows [S, n] are what a seed
      trains on, the first num_train [S] of them; it may set num_steps [S].
    memory: `num_images -> dict`, what is kept in `extra` besides what the model
      has.
    calibrators: name -> `Calibrator`, fitted to the held-out images; the name
      is the field `calibrator` of rows, unless it is ''.
  """
  loss: Callable = mean_of(losses.cross_entropy)
  gradient: Callable = lambda gradient: gradient
  draw: Callable = lambda draw: draw
  own: Callable = lambda own, data, seeds: own
  memory: Callable = lambda num_images: {}
  calibrators: dict = {'': calibrators.uncalibrated}


# --- Training ----------------------------------------------------------------


def make_apply(config, arm=None):
  """See `vision_nets.apply_of`; all arms have the same model."""
  del arm
  return nets.apply_of(nets.make_model(
      config.net, nets.num_classes(config.net)))


def make_grad(model, arm):
  """The gradient of an arm, as `train.make_step` takes it."""

  def loss_fn(params, extra, batch, key):
    chex.assert_rank([batch['x'], batch['y']], [4, 1])  # as `draw` gave them
    logits, new = nets.in_training(model, params, extra, batch, key)
    loss, memory, metrics = arm.loss(logits, batch, extra)
    chex.assert_shape(loss, ())
    return loss, (extra | new | memory, metrics)

  return arm.gradient(jax.value_and_grad(loss_fn, has_aux=True))


def make_draw(net, data, arm):
  """The training batches of an arm, augmented as the config says."""
  mean, std = data.statistics
  draw = images.draw_from('train', mean, std)
  if net.augment:
    # Zero is the mean color of normalized images; the crop's border is black.
    draw = augment.augmented(draw, functools.partial(
        AUGMENTS[net.augment], fill=-np.array(mean) / np.array(std)))
  return arm.draw(draw)


def make_source(net, data, arm, seeds):
  """Data of a block of seeds, as `fit` takes it."""
  own = arm.own({
      'train_rows': np.tile(data.shared['train_rows'], (len(seeds), 1)),
      'num_train': np.full(len(seeds), data.num_train, np.int32)}, data, seeds)
  lengths, size = own.pop('num_train'), net.batch_size
  orders = [tabular.epoch_items(length, size, seed)
            for length, seed in zip(lengths.tolist(), seeds, strict=True)]
  steps = (lengths // size * net.num_epochs).astype(np.int32)
  return train.Source(data.shared, {'num_steps': steps} | own,
                      lambda position, *steps: orders[position](*steps))


def fit(config, data, block, arm=Arm(), stage='fit',  # noqa: B008
        model=None):
  """Trains an arm, or a model of another kind, on seeds; a `Fitted`."""
  net, tx = config.net, nets.sgd(config.net)
  model = model or nets.make_model(net, data.num_classes)
  source = make_source(net, data, arm, block.seeds)
  x = jnp.zeros((1, *data.shared['x'].shape[1:]))
  variables = lambda key: {
      **model.init(key, x), **arm.memory(len(data.shared['y']))}
  return block.fit(
      stage, config, train.make_init(variables, tx),
      train.make_step(make_grad(model, arm), tx), make_draw(net, data, arm),
      source, num_steps=int(source.own['num_steps'].max()),
      eval_every=data.num_train // net.batch_size)  # an epoch


# --- The study ---------------------------------------------------------------


def check(config, at_most=()):
  """Raises a UserError that names a value which cannot be meant.

  What a field may be by itself stands in `bounds`, which a command looks at
  before; here are configs however they were made, and fields that go together.

  Args:
    config: the config.
    at_most: (field of `config.net`, highest value) of a paper's own.
  """
  config_lib.check(config, bounds.VISION | bounds.SHIFTED)
  sizes = config.net.split_sizes
  for name, high in (('batch_size', sizes[0]), *at_most):
    if config.net[name] > high:
      raise UserError(f'{name}={config.net[name]} must be at most {high}.')
  if 'shifts' in config and min(sizes) < 1:
    raise UserError(f'split_sizes={sizes} must be 1 or more each: images to '
                    'train on, calibrate on and test on.')


def units(config, study, load=nets.load):
  """What `study.planned` gives, each with its config and its data.

  Args:
    config, study: the run's.
    load: `(net, data_dir) -> Data`; asked again where a field is swept, which
      may be one of the data.

  Yields:
    (name, arm, swept fields, config with these fields, data).
  """
  plain = load(config.net, study.data_dir)
  for name, arm, fields in study.planned():
    mine = replaced(config, fields)
    yield (name, arm, fields, mine,
           load(mine.net, study.data_dir) if fields else plain)


def run(config, study, arms, metrics=rows.METRICS, splits=rows.SPLITS):
  """Trains every arm on every seed, in all its ways to calibrate; the rows.

  Args:
    config, study: the run's.
    arms: `config -> {name: Arm}`, asked again for each value of a sweep.
    metrics, splits: of the rows.
  """
  check(config)
  check_names('arms', config.arms, arms(config), 'arm')
  for name, arm, fields, mine, data in units(config, study):
    for block in study.blocks(name):
      fitted = fit(mine, data, block, arms(mine)[arm])
      with block.recorder(fitted, dataset=images.label(mine.net.dataset),
                          method=arm, **fields) as add:
        _calibrated(add, mine, data, block, fitted, arms(mine)[arm], metrics,
                    splits)
  return study.rows()


def _calibrated(add, config, data, block, fitted, arm, metrics, splits):
  """Fits an arm's calibrators to each seed, and records what they say."""
  found, y = nets.all_logits(config, data, block, fitted), data.labels('val')
  add.save(**found)
  held = found.pop('val')
  for name, calibrator in arm.calibrators.items():
    log_p = [None] * len(held)
    for i in set(range(len(held))) - add.why.keys():
      params = calibrator.fit(held[i], y)
      log_p[i] = {split: np.asarray(calibrator.apply(params, each[i]))
                  for split, each in found.items()}
    rows.record(add, config, log_p, data.labels('test'), metrics, splits,
                **{'calibrator': name} if name else {})
