"""TODO: the question. Does a bounded loss suffer less from wrong labels?

  python -m experiments.my_paper

An arm is the loss of an example: see `ARMS`. To make this paper yours, put your
idea in the place of `mine`. Another data set goes into `make_source`, a network
into `make_model`, another gradient (SAM, say) into `make_grad`, an optimizer
into `fit`.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

from assay import cli, losses, train
from assay.data import images, tabular
from assay.metrics import classification
from assay.models import mlp
from assay.study import replaced
from assay.train import evaluate


def mine(config, logits, labels):
  """TODO: the method. (1 - p_y^q) / q, at most 1/q (Zhang and Sabuncu, 2018).

  Args:
    config: its `q` in (0, 1]; towards 0 this is cross entropy.
    logits: [B, C] float.
    labels: [B] int in [0, C).

  Returns:
    [B] loss per example.
  """
  # By p_y^q = exp(q log p_y), whose gradient is finite at p_y = 0.
  return -jnp.expm1(-config.q * losses.cross_entropy(logits, labels)) / config.q


# arm: (config, logits [B, C], labels [B]) -> [B]
ARMS = {
    'baseline': lambda config, logits, labels: losses.cross_entropy(
        logits, labels),
    'mine': mine,
}


def make_source(config, seeds, data_dir=None):
  """Data of a block of seeds, as `fit` takes it: each has a split of its own.

  Args:
    config: the config.
    seeds: S integers.
    data_dir: where to look for files first.
  """
  parts = images.load(config.dataset, data_dir)
  shared = {k: np.concatenate([parts[f'train_{k}'], parts[f'test_{k}']])
            for k in ('x', 'y')}
  own = {'train_rows': [], 'test_rows': [], 'y': []}
  for seed in seeds:
    rows = tabular.split(len(shared['y']), config.split_sizes, seed,
                         config.dataset)
    y, _ = images.noisy_labels(shared['y'], rows['train'], config.label_noise,
                               images.IMAGES[config.dataset]['num_classes'],
                               seed)
    for name, array in (('train_rows', rows['train']),
                        ('test_rows', rows['test']), ('y', y)):
      own[name].append(array)
  orders = [tabular.epoch_items(config.split_sizes[0], config.batch_size, seed)
            for seed in seeds]
  return train.Source(
      shared, {k: np.stack(v) for k, v in own.items()},
      lambda position, start, stop: orders[position](start, stop))


def make_model(config):
  """The network of a config: [B, D] float -> logits [B, C]."""
  return mlp.MLP(config.width, images.IMAGES[config.dataset]['num_classes'])


def make_apply(config, arm=None):
  """`(params, extra, x [B, H, W, C] in [0, 1]) -> logits [B, C]`."""
  del arm  # all have the same model
  model = make_model(config)
  return lambda params, extra, x: model.apply(
      {'params': params, **extra}, x.reshape(len(x), -1))


def make_grad(config, arm):
  """Gradient of the mean loss of an arm."""
  apply = make_apply(config)

  def loss_fn(params, extra, batch, key):
    del key  # nothing is random here
    loss = ARMS[arm](config, apply(params, extra, batch['x']), batch['y'])
    return jnp.mean(loss), (extra, {})

  return jax.value_and_grad(loss_fn, has_aux=True)


def draw_from(split):
  """`draw` of a batch of a split: images from 0 to 1, and labels."""
  return images.draw_from(split, mean=0., std=1.)


def fit(config, block, arm, source):
  """Trains one arm on a block of seeds; a `Fitted`."""
  model, tx = make_model(config), optax.adam(config.learning_rate)
  x = jnp.zeros((1, np.prod(source.shared['x'].shape[1:])))
  epoch = config.split_sizes[0] // config.batch_size
  return block.fit(
      'fit', config, train.make_init(lambda key: model.init(key, x), tx),
      train.make_step(make_grad(config, arm), tx), draw_from('train'), source,
      num_steps=config.num_epochs * epoch, eval_every=epoch)


def measure(config, block, arm, fields, data_dir):
  """Trains one arm on a block of seeds and writes its rows.

  Those of split `train` are measured against the wrong labels too.
  """
  source = make_source(config, block.seeds, data_dir)
  fitted = fit(config, block, arm, source)
  with block.recorder(fitted, dataset=config.dataset, method=arm,
                      **fields) as add:
    for split in ('train', 'test'):
      predict = evaluate.predictor(make_apply(config), draw_from(split))
      logits, y = predict(fitted.state.params, fitted.state.extra,
                          source.shared, source.own,
                          source.own[f'{split}_rows'].shape[1])
      add('error', classification.error, logits, y, split=split)
      add('nll', classification.nll, logits, y, split=split)
      add.save(**{split: logits})


def run(config, study):
  """Trains every arm on every seed; returns the rows."""
  for name, arm, fields in study.planned():
    for block in study.blocks(name):
      measure(replaced(config, fields), block, arm, fields, study.data_dir)
  return study.rows()


if __name__ == '__main__':
  sys.exit(cli.main('my_paper'))
