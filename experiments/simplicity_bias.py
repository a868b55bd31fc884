"""Simplicity bias in a network that theory can follow (Nguyen et al., 2024).

  python -m experiments.simplicity_bias --config=configs/simplicity_bias.py:rho

An arm is how gradients are taken and which examples weigh more: see `ARMS`.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

from assay import cli, keys, train
from assay.data import patches
from assay.methods import milestones, sam, useful
from assay.metrics import curves
from assay.models import cubic
from assay.study import replaced
from assay.train import sharding

# arm: (direction of the perturbation, which examples are upsampled)
ARMS = {
    'gd': (None, None),
    'gd_masked': (None, 'masked'),  # those without the fast feature, if known
    'gd_useful': (None, 'clusters'),  # those that clusters of outputs call slow
    'gd_random': (None, 'random'),  # as many, at random
    'sam': ('gradient', None),
    'sam_masked': ('gradient', 'masked'),
    'sam_useful': ('gradient', 'clusters'),
    'sam_random': ('random', None),  # control: a random perturbation
}

# Metrics of the masked test examples; all others are of all training data.
ON_MASKED = ('masked_accuracy', 'steps_to_accuracy', 'total_steps')


def make_model(config):
  """The network of a config."""
  return cubic.CubicNetwork(config.width, config.init_scale)


def make_apply(config, arm=None):
  """`(params, extra, x [B, P, D]) -> [B]` logits."""
  del arm  # all have the same model
  model = make_model(config)
  return lambda params, extra, x: model.apply({'params': params}, x)


def make_data(config, seeds):
  """`own` of S seeds: training data, and test data of the same law."""
  law = {k: config[k] for k in ('slow_strength', 'fast_strength',
                                'fast_probability')}
  size = {k: config[k] for k in ('num_patches', 'num_dims', 'noise_scale')}
  return patches.own_splits(seeds, config.num_examples, law,
                            size if config.noise else None)


def draw(shared, own, item, key):
  """All of a seed's training data, at every step."""
  del shared, item, key
  batch = {k: own[k] for k in ('x', 'y', 'weight')}
  return batch | {'directions': jnp.broadcast_to(  # leading axis B, as all
      own['directions'], own['y'].shape + own['directions'].shape)}


def make_loss(config):
  """Weighted mean of log(1 + exp(-y f(x))); weights have mean 1."""
  apply = make_apply(config)

  def loss_fn(params, extra, batch, key):
    del key
    margin = batch['y'] * apply(params, extra, batch['x'])
    return jnp.mean(batch['weight'] * jax.nn.softplus(-margin)), (extra, {})

  return loss_fn


def events(config):
  """(what, level) of which the first step above the level is noted."""
  return [('start', 0.), ('slow', config.slow_level),
          ('fast', config.fast_level),
          *(('fast', level) for level in config.more_fast_levels),
          *(('loss', drop) for drop in config.loss_drops)]


def make_grad(arm, config):
  """Gradient of an arm, with milestones."""
  grad_fn = jax.value_and_grad(make_loss(config), has_aux=True)
  along, _ = ARMS[arm]
  if along is not None:
    grad_fn = sam.sam(grad_fn, config.rho,
                      direction=sam.random if along == 'random' else None)

  def reached(params, loss, batch):
    slow, fast = cubic.alignments(params['weights'], batch['directions'][0])
    now = {'start': jnp.inf, 'slow': slow, 'fast': fast,
           'loss': 1 - loss / np.log(2)}
    return jnp.stack([now[what] > level for what, level in events(config)])

  return milestones.noted(grad_fn, reached)


def make_watch(config):
  """What the curves show."""
  apply = make_apply(config)
  aligned = lambda params, extra, shared, own: cubic.alignments(
      params['weights'], own['directions'])
  watch = {
      'slow_alignment': lambda *args: aligned(*args)[0],
      'alignment_gap': lambda *args: jnp.diff(aligned(*args))[0],
      'masked_accuracy': lambda params, extra, shared, own: jnp.mean(
          own['test_y'] * apply(params, extra, own['test_x']) > 0,
          where=~own['test_has_fast'])}
  return {name: watch[name] for name in config.curves}


def train_block(config, block, arm, stage, own):
  """Full-batch descent of one arm on a block of seeds."""
  model, loss_fn = make_model(config), make_loss(config)
  tx = optax.sgd(config.learning_rate)

  def init_variables(key):
    variables = model.init(key, own['x'][0])
    return variables | {'milestones': milestones.start(
        variables['params'], len(events(config)))}

  select = lambda params, extra, shared, own: loss_fn(
      params, extra, draw(shared, own, None, None), None)[0]
  return block.fit(
      stage, config, train.make_init(init_variables, tx),
      train.make_step(make_grad(arm, config), tx), draw,
      train.Source({}, own, lambda position, *steps: np.arange(*steps)),
      num_steps=config.num_steps, eval_every=config.eval_every, select=select,
      watch=make_watch(config))


def first_times(config, fitted):
  """(what, level) -> step [S], NaN if not reached, and weights [S, J, d]."""
  notes = sharding.fetch(fitted.state.extra['milestones'])
  steps = np.where(notes['step'] < 0, np.nan, notes['step'])
  return {event: (steps[:, j], notes['params']['weights'][:, j])
          for j, event in enumerate(events(config))}


def slow_examples(weights, own, i):
  """Which training examples of seed i clusters of their outputs call slow."""
  outputs = np.sum((own['x'][i].astype(float) @ weights.T) ** 3, axis=(1, 2))
  losses = np.logaddexp(0, -own['y'][i] * outputs)
  return useful.separate(outputs[:, None], own['y'][i], losses).slow


def upsampled(config, block, arm, own):
  """`own` with the arm's weights, and the steps that choosing them took."""
  along, who = ARMS[arm]
  if who is None:
    return own, 0
  chosen, steps = ~own['has_fast'], 0
  if who != 'masked':
    proxy = replaced(config, {'num_steps': config.proxy_steps,
                              'loss_drops': (config.cluster_drop,)})
    fitted = train_block(proxy, block, 'sam' if along else 'gd', 'proxy', own)
    steps, weights = first_times(proxy, fitted)['loss', config.cluster_drop]
    late = np.isnan(steps)  # clustered at the end
    last = sharding.fetch(fitted.state.params['weights'])
    weights = np.where(late[:, None, None], last, weights)
    steps = np.where(late, config.proxy_steps, steps)
    chosen = [slow_examples(w, own, i) for i, w in enumerate(weights)]
  if who == 'random':
    chosen = [keys.generator(seed, 'random').permutation(c)
              for seed, c in zip(block.seeds, chosen, strict=True)]
  weight = own['weight'] * [useful.weights(c, config.upsampling)
                            for c in chosen]
  weight /= weight.mean(axis=1, keepdims=True)
  return own | {'weight': weight.astype(np.float32)}, steps


def results_of(config, times, own, curve_of, proxy_steps):
  """{metric: [S]} of all that may be in `config.metrics`."""
  aligned = lambda event: np.where(
      np.isnan(times[event][0]), np.nan,
      cubic.alignments(times[event][1], own['directions']).T)
  start, learned = ('start', 0.), ('fast', config.fast_level)
  time_slow, time_fast = times['slow', config.slow_level][0], times[learned][0]
  found = {
      'time_fast': time_fast, 'time_slow': time_slow,
      'time_ratio': time_slow / time_fast,
      'slow_alignment': aligned(learned)[0],  # when the fast one is learned
      'slow_growth': aligned(learned)[0] / aligned(start)[0],
      'initial_alignment': aligned(start)[1]}
  if 'masked_accuracy' in curve_of:
    # For good: before the fast feature is learned it may be there for a while.
    steps = curves.reached_for_good(
        curve_of['masked_accuracy'], curve_of['step'], config.masked_accuracy)
    found |= {'steps_to_accuracy': steps, 'total_steps': steps + proxy_steps}
  return {metric: found[metric] for metric in config.metrics}


def measure(config, block, arm, fields):
  """Trains one arm on a block of seeds and writes its rows.

  Rows of split `test` are results; those along the way are of split `train`, or
  `masked` where they are of the test examples without the fast feature.
  """
  own = make_data(config, block.seeds)
  own, proxy_steps = upsampled(config, block, arm, own)
  fitted = train_block(config, block, arm, 'fit', own)
  times = first_times(config, fitted)
  masked = np.sum(~own['test_has_fast'], axis=1)
  with block.recorder(fitted, dataset=config.dataset, method=arm,
                      **fields) as record:

    def add(metric, values, split='test', step=config.num_steps, **more):
      record(metric, values, split=split,
             step=np.nan_to_num(step, nan=config.num_steps),
             n=masked if metric in ON_MASKED else own['y'].shape[1],
             why=f'not reached in {config.num_steps} steps', **more)

    for metric, values in results_of(config, times, own, fitted.curves,
                                     proxy_steps).items():
      add(metric, values)
    for (what, level), (step, weights) in times.items():
      slow, fast = cubic.alignments(weights, own['directions']).T + 0 * step
      if what == 'fast' and config.more_fast_levels:
        add('slow_alignment', slow, 'train', step, fast_reached=level)
      if what == 'loss':
        right = [np.mean(slow_examples(w, own, i) != own['has_fast'][i])
                 for i, w in enumerate(weights)]
        add('cluster_accuracy', right + 0 * step, 'train', step,
            loss_drop=level)
        add('fast_alignment', fast, 'train', step, loss_drop=level)
    for step in config.report_steps:
      for metric in config.curves:
        add(metric, fitted.curves[metric][step // config.eval_every - 1],
            'masked' if metric in ON_MASKED else 'train', step, iteration=step)
    record.save(**{f'weights_at_{what}_{level:g}': w
                   for (what, level), (_, w) in times.items()})


def run(config, study):
  """Trains every arm on every seed; returns the rows."""
  for name, arm, fields in study.planned():
    for block in study.blocks(name):
      measure(replaced(config, fields), block, arm, fields)
  return study.rows()


if __name__ == '__main__':
  sys.exit(cli.main('simplicity_bias'))
