"""Regression on tables: which training of a small network predicts best?

Each seed splits a table anew into rows for training, validation and test. An
arm trains a network with two hidden layers on them by Adam, without a schedule,
for a fixed number of epochs; reported are the parameters with the lowest
validation error of all epochs (`best`) and the last ones. Whatever else a paper
does fills a socket of an `Arm`.

    ARMS = {'plain': tabular.Arm(),
            'absolute': tabular.Arm(loss=lambda p, y: jnp.abs(p - y)[:, 0])}

    def run(config, study):
      return tabular.run(config, study, ARMS)

The networks depend on `config.net`, see `testbeds.configs.tabular`, and on what
an arm's sockets read of the rest. Beside them the config has

    metrics (of the test rows, keys of METRICS; of other rows: rmse)
    report_epochs (errors of training and test rows after these, of `last`)
    trials (settings tried for each arm, 0: none), tuning_seeds
"""

from collections.abc import Callable
import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

from assay import losses, train
from assay.data import tabular
from assay.errors import UserError
from assay.metrics import regression
from assay.models import mlp
from assay.study import replaced, tune
from assay.train import evaluate

METRICS = {'rmse': regression.rmse, 'mape': regression.mape,
           'pearson': regression.pearson}
SPLITS = tabular.SPLITS


class Arm(NamedTuple):
  """What a paper may replace; the defaults are regression by least squares.

  Attributes:
    draw: `(config, draw) -> draw` of training batches x [B, D], y [B, Q]; with
      `weight` [B] examples count differently.
    predict: `(model, variables, batch) -> [B, Q]`, in training alone.
    loss: `(predictions, y) -> [B]`, in training alone.
    prepare: `(config, block, source) -> source`, with what `draw` reads of each
      seed besides its table: on the host, once a block.
    noted: `(config, source) -> {metric: [S]}`, what is said about the training
      of each seed beside its errors.
    fields: names of fields that tuning varies, besides those of every arm.
  """
  draw: Callable = lambda config, draw: draw
  predict: Callable = lambda model, variables, batch: model.apply(
      variables, batch['x'])
  loss: Callable = losses.squared
  prepare: Callable = lambda config, block, source: source
  noted: Callable = lambda config, source: {}
  fields: tuple = ()


# --- Data --------------------------------------------------------------------


def load(net, seeds, data_dir=None, held_out=0):
  """(shared, own) of what `data.tabular` loads and splits."""
  shared = tabular.load(net.dataset, data_dir)
  if shared['y'].shape[1] > 1:
    raise UserError(f'dataset={net.dataset} has several targets; '
                    'the networks predict one number: name one column.')
  return shared, tabular.own_splits(shared, net.split_sizes, seeds, net.dataset,
                                    net.normalize, held_out)


def make_source(net, seeds, data_dir=None, data=load):
  """The data of a block of seeds, before an arm prepares it.

  Args:
    net: `config.net`.
    seeds: S integers.
    data_dir: where to look for files first.
    data: `(net, seeds, data_dir) -> (shared, own)`, where x and y are; own has
      train_rows, val_rows, test_rows [S, n], low and scale [S, D].
  """
  shared, own = data(net, seeds, data_dir)
  return train.Source(shared, own, make_items(net, seeds))


def make_items(net, seeds, stream='order'):
  """`items` of a source: shuffled positions of training rows, by epoch."""
  orders = [tabular.epoch_items(net.split_sizes[0], net.batch_size, seed,
                                stream) for seed in seeds]
  return lambda position, start, stop: orders[position](start, stop)


def training_rows(source):
  """[(x [n, D] normalized, y [n, Q])] that each seed is trained on."""
  draw, found = tabular.draw_from('train'), []
  for i in range(len(source.own['train_rows'])):
    own = {k: v[i] for k, v in source.own.items()}
    batch = draw(source.shared, own, np.arange(len(own['train_rows'])), None)
    found.append((np.asarray(batch['x']), np.asarray(batch['y'])))
  return found


# --- The network and its training --------------------------------------------


def make_model(net):
  """The network of `config.net`."""
  return mlp.MLP(net.width, initialization=net.initialization)


def make_apply(config, arm=None):
  """`(params, extra, x [B, D] normalized) -> [B, 1]`."""
  del arm  # all have the same model
  model = make_model(config.net)
  return lambda params, extra, x: model.apply({'params': params, **extra}, x)


def make_grad(arm, model):
  """Gradient of the mean loss of an arm's predictions."""

  def loss_fn(params, extra, batch, key):
    del key  # nothing random is left after drawing
    predictions = arm.predict(model, {'params': params}, batch)
    loss = arm.loss(predictions, batch['y'])
    weight = batch.get('weight', jnp.ones_like(loss))
    chex.assert_equal_shape([predictions, batch['y']])
    chex.assert_shape([loss, weight], (len(predictions),))
    return jnp.mean(weight * loss), (extra, {})

  return jax.value_and_grad(loss_fn, has_aux=True)


def fit(config, block, arm, source, stage='fit'):
  """Trains an arm on a block of seeds; selects by validation error.

  Args:
    config: its `net` and `report_epochs` are read; the arm may read more.
    block: the seeds.
    arm: an `Arm`.
    source: that the arm has prepared.
    stage: names the folder of the checkpoints.

  Returns:
    A `train.Fitted`.
  """
  net = config.net
  model, tx = make_model(net), optax.adam(net.learning_rate)
  width = (source.shared or source.own)['x'].shape[-1]
  steps_per_epoch = net.split_sizes[0] // net.batch_size
  mean = lambda split: evaluate.mean_loss(
      losses.squared, make_apply(config), tabular.draw_from(split),
      source.own[f'{split}_rows'].shape[1])
  return block.fit(
      stage, config,
      train.make_init(lambda key: model.init(key, jnp.zeros((1, width))), tx),
      train.make_step(make_grad(arm, model), tx),
      arm.draw(config, tabular.draw_from('train')), source,
      num_steps=net.num_epochs * steps_per_epoch, eval_every=steps_per_epoch,
      select=mean('val'), watch={k: mean(k) for k in ('train', 'test')}
      if config.report_epochs else {})


# --- Rows --------------------------------------------------------------------


def measure(config, block, name, arm, fields, source, splits=SPLITS):
  """Trains an arm on a block of seeds and writes its rows.

  Args:
    config, block, arm: as `fit` takes them.
    name: the arm's.
    fields: further fields of its rows.
    source: before the arm has prepared it.
    splits: of which errors are reported.
  """
  # What an arm prepares is for training: all are measured by one program.
  table, source = source, arm.prepare(config, block, source)
  fitted = fit(config, block, arm, source)
  size = {k: source.own[f'{k}_rows'].shape[1] for k in SPLITS}
  with block.recorder(fitted, method=name, dataset=tabular.label(
      config.net.dataset), **fields) as add:
    for state, found in (('best', fitted.best), ('last', fitted.state)):
      for split in splits:
        predictions, y = evaluate.predictor(
            make_apply(config), tabular.draw_from(split))(
                found.params, found.extra, table.shared, table.own,
                size[split])
        if split == 'test':
          add.save(**{state: predictions, 'y': y})
        if state == 'last' and config.report_epochs:
          continue  # the same, by epoch, below
        for metric in config.metrics if split == 'test' else ('rmse',):
          add(metric, METRICS[metric], predictions, y, split=split, state=state)
    for epoch in config.report_epochs:
      for split in ('test', 'train'):
        add('rmse', lambda squared: squared ** 0.5,
            fitted.curves[split][epoch - 1], split=split, n=size[split],
            step=epoch * (size['train'] // config.net.batch_size), epoch=epoch)
    for metric, values in arm.noted(config, source).items():
      add(metric, values, split='train', n=size['train'], step=0)


def run(config, study, arms, data=load, grid=()):
  """Trains every arm on every seed; returns the rows.

  Args:
    config, study: as an experiment's `run` takes them.
    arms: name -> `Arm`.
    data: see `make_source`; where something is tuned, it takes `held_out` too,
      see `data.tabular.split`.
    grid: field -> values to be tried where `config.trials` is not 0; an arm
      varies learning_rate, width and its own `fields`.
  """
  sizes, of = config.net.split_sizes, data
  if config.trials:  # tested on rows that tuning does not see
    of = functools.partial(data, held_out=2 * sizes[2])
  for unit, name, fields in study.planned():
    arm = arms[name]

    def measured(config, block, fields, name=name, arm=arm, **more):
      source = make_source(config.net, block.seeds, study.data_dir, of)
      measure(config, block, name, arm, fields, source, **more)

    if config.trials:
      has = {'learning_rate', 'width', *arm.fields}
      fields = tune.tuned(
          study, replaced(config, {
              'split_sizes': (sizes[0] - sizes[2], sizes[1], 0)}),
          name, tune.trials(grid, has, config.trials),
          functools.partial(measured, splits=('val',)), 'rmse')
    for block in study.blocks(unit):
      measured(replaced(config, fields), block, fields)
  return study.rows()
