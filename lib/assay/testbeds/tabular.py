"""Regression on tables: which training of a small network predicts best?

Each seed splits a table anew into rows for training, validation and test; one
with domains is split by domain, alike for all seeds, and one with published
splits by that of the seed. An arm trains a network
with two hidden layers on them by Adam, without a schedule, for a fixed number
of epochs; reported are the parameters with the lowest validation error of all
epochs (`best`) and the last ones. Whatever else a paper does fills a socket of
an `Arm`; those for domains stand in `tabular_domains`.

    ARMS = {'plain': tabular.Arm(),
            'absolute': tabular.Arm(loss=lambda p, y: jnp.abs(p - y)[:, 0])}

    def run(config, study):
      return tabular.run(config, study, ARMS)

The networks depend on `config.net`, see `testbeds.configs.tabular`, and on what
an arm's sockets read of the rest. Beside them the config has

    metrics (of the test rows, keys of METRICS; of other rows: rmse; and
      divergence, see `tabular_data.record_divergence`)
    report_epochs (errors of training and test rows after these, of `last`)
    trials (settings tried for each arm, 0: none), tuning_seeds
"""

from collections.abc import Callable
import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from assay import losses, train
from assay.data import tabular
from assay.models import mlp
from assay.study import replaced, tune
from assay.testbeds import series_data, tabular_data, tabular_images
from assay.testbeds.tabular_data import METRICS as METRICS
from assay.testbeds.tabular_data import load as load
from assay.testbeds.tabular_data import make_items as make_items
from assay.testbeds.tabular_data import make_source as make_source
from assay.testbeds.tabular_data import training_rows as training_rows
from assay.train import evaluate

SPLITS = tabular.SPLITS


class Arm(NamedTuple):
  """What a paper may replace; the defaults are regression by least squares.

  Attributes:
    draw: `(config, draw) -> draw` of training batches x [B, D], y [B, Q]; with
      `weight` [B] examples count differently.
    predict: `(model, variables, batch) -> [B, Q]`, in training alone.
    loss: `(predictions, y) -> [B]`, in training alone.
    gradient: `(config, model, gradient) -> gradient`; `extra` has the weights
      of domains, see `tabular_data.memory`.
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
  gradient: Callable = lambda config, model, gradient: gradient
  prepare: Callable = lambda config, block, source: source
  noted: Callable = lambda config, source: {}
  fields: tuple = ()


# --- The network and its training --------------------------------------------


def make_model(net):
  """The network of `config.net`."""
  if 'window' in net:
    return series_data.make_model(net)
  if 'model' in net:
    return tabular_images.make_model(net)
  return mlp.MLP(net.width, initialization=net.initialization)


def make_apply(config, arm=None):
  """`(params, extra, x [B, D] normalized) -> [B, 1]`."""
  del arm  # all have the same model
  model = make_model(config.net)
  return lambda params, extra, x: model.apply({'params': params, **extra}, x)


def make_features(config):
  """`(params, extra, x [B, D] normalized) -> [B, K]`, the last hidden layer."""
  model = make_model(config.net)
  return lambda params, extra, x: model.apply(
      {'params': params, **extra}, x, method='with_features')[1]


def make_grad(config, arm, model):
  """Gradient of the mean loss of an arm's predictions, or what it makes of it.
  """

  def loss_fn(params, extra, batch, key):
    live = tabular_images.InTraining(model, extra, key)
    predictions = arm.predict(live, {'params': params}, batch)
    loss = arm.loss(predictions, batch['y'])
    weight = batch.get('weight', jnp.ones_like(loss))
    chex.assert_equal_shape([predictions, batch['y']])
    chex.assert_shape([loss, weight], (len(predictions),))
    return jnp.mean(weight * loss), (live.extra, {})

  return arm.gradient(config, model, jax.value_and_grad(loss_fn, has_aux=True))


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
  shape = tabular_data.input_shape(source)
  steps_per_epoch = net.split_sizes[0] // net.batch_size
  mean = lambda split: evaluate.mean_loss(
      losses.squared, make_apply(config), tabular.draw_from(split),
      source.own[f'{split}_rows'].shape[1], tabular_data.batch_size(source))
  return block.fit(
      stage, config,
      train.make_init(lambda key: model.init(key, jnp.zeros((1, *shape)))
                      | tabular_data.memory(source), tx),
      train.make_step(make_grad(config, arm, model), tx),
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

    def said(function, split, found):
      return evaluate.predictor(function(config), tabular.draw_from(split),
                                tabular_data.batch_size(table))(
          found.params, found.extra, table.shared, table.own, size[split])

    for state, found in (('best', fitted.best), ('last', fitted.state)):
      for split in splits:
        record(add, config, table, *said(make_apply, split, found), split,
               state)
    if 'divergence' in config.metrics and 'test' in splits:
      tabular_data.record_divergence(
          add, config, table, *said(make_features, 'train', fitted.best))
    for epoch in config.report_epochs:
      for split in ('test', 'train'):
        add('rmse', lambda squared: squared ** 0.5,
            fitted.curves[split][epoch - 1], split=split, n=size[split],
            step=epoch * (size['train'] // config.net.batch_size), epoch=epoch)
    for metric, values in arm.noted(config, source).items():
      add(metric, values, split='train', n=size['train'], step=0)


def record(add, config, table, predictions, y, split, state):
  """Adds the errors of a split; those of test rows are kept, too.

  Args:
    add: from `block.recorder`.
    config: its `metrics` and `report_epochs` are read.
    table: the source, before an arm has prepared it.
    predictions, y: [S, n, Q].
    split, state: fields of the rows.
  """
  if split == 'test':
    add.save(**{state: predictions, 'y': y})
  if state == 'last' and config.report_epochs:
    return  # the same, by epoch, is told where the curves are
  for metric in config.metrics if split == 'test' else ('rmse',):
    if metric in METRICS:
      add(metric, METRICS[metric], predictions, y, split=split, state=state)
  if (split, state) == ('test', 'best'):
    tabular_data.record_domains(add, config, table, predictions, y)
    series_data.record_outputs(add, config, predictions, y)


def run(config, study, arms, data=load, grid=(), measure=measure):
  """Trains every arm on every seed; returns the rows.

  Args:
    config, study: as an experiment's `run` takes them.
    arms: name -> `Arm`.
    data: see `make_source`; where something is tuned, it takes `held_out` too,
      see `data.tabular.split`.
    grid: field -> values to be tried where `config.trials` is not 0; an arm
      varies learning_rate, width and its own `fields`.
    measure: what trains an arm on a block and writes its rows.
  """
  sizes, of, tuning = config.net.split_sizes, data, {}
  # Tested on rows that tuning does not see, as those of other domains are, and
  # those that come later. Published splits test on all rows, each on some.
  if config.trials and not tabular_data.tested_apart(config.net):
    of = functools.partial(data, held_out=2 * sizes[2])
    tuning = {'split_sizes': (sizes[0] - sizes[2], sizes[1], 0)}
  for unit, name, fields in study.planned():
    arm = arms[name]

    def measured(config, block, fields, name=name, arm=arm, **more):
      source = make_source(config.net, block.seeds, study.data_dir, of)
      measure(config, block, name, arm, fields, source, **more)

    if config.trials:
      has = {'learning_rate', 'width', *arm.fields}
      fields = tune.tuned(
          study, replaced(config, tuning), name,
          tune.trials(grid, has, config.trials),
          functools.partial(measured, splits=('val',)), 'rmse')
    for block in study.blocks(unit):
      measured(replaced(config, fields), block, fields)
  return study.rows()
