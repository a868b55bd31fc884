"""Prompts of noisy linear regression, and predictors that know their law.

Part of the testbed `in_context`: a sequence is pairs (x, y) with y = w . x +
sigma e, and w, sigma of its own. What is best on average is known exactly.

    ARMS = {'model': regression.learner('learned'),
            'bayes': regression.reference('bayes')}

    def run(config, study):
      return regression.run(config, study, ARMS, add_rows)

For `config.net` see `networks.in_context_regression`; noise_law is a key of
`LAWS`. Of the rest are read num_prompts, and what `splits` reads.
"""

import functools

import ml_collections
import numpy as np

from assay import keys, losses
from assay.data import tasks
from assay.errors import UserError, check_names
from assay.methods import bayes_regression as bayes
from assay.models import gaussian
from assay.study import replaced
from assay.testbeds import in_context

# noise_law of a config -> (the law of sigma, nodes of its prior)
LAWS = {'uniform': (tasks.uniform_noise, bayes.uniform_nodes),
        'inverse_gamma': (tasks.inverse_gamma_noise, bayes.inverse_gamma_nodes)}


def noise_nodes(net, factor=1.):
  """The prior of factor * sigma, as nodes."""
  nodes = LAWS[net.noise_law][1](*net.noise)
  return nodes._replace(sigma=factor * nodes.sigma)


def covariates_of(net, kind):
  """The law of x, by name."""
  d, standard = net.dimension, tasks.standard_covariates(net.dimension)
  return {'standard': lambda: standard,
          'random': lambda: tasks.random_covariance(d, *net.covariance),
          'doubled': lambda: tasks.scaled_covariates(standard, 2.),
          'halved': lambda: tasks.scaled_covariates(standard, 0.5),
          'shifted': lambda: tasks.shifted_covariates(standard, 1.),
          'low_rank': lambda: tasks.low_rank_covariates(d, max(1, d // 2)),
          }[kind]()


def make_task(net, noise=1., weights=1.):
  """The law of (w, sigma), scaled."""
  sigma = LAWS[net.noise_law][0](*net.noise)
  return tasks.scaled(tasks.regression_task(
      tasks.gaussian_weights(net.dimension), sigma), noise, weights)


def draw(net, starts=(), covariates='standard'):
  """The socket `draw` of a learner: sequences of num_pairs pairs.

  Args:
    net: the config's.
    starts: pairs that a sequence may start at, see `tasks.with_offset`.
    covariates: the law of x, see `covariates_of`.
  """
  pairs = tasks.draw_regression(
      make_task(net), covariates_of(net, covariates), net.batch_size,
      net.num_pairs)
  return in_context.with_tokens(tasks.with_offset(pairs, starts),
                                tasks.regression_tokens)


def learner(positions, starts=lambda net: (), covariates='standard'):
  """An arm that is trained to say mean and log standard deviation of each y.

  Args:
    positions: of the transformer, see `transformer.POSITIONS`.
    starts: `net -> ` pairs that a training sequence may start at.
    covariates: the law of x in training, see `covariates_of`.
  """

  def model(net):
    return gaussian.with_start(  # the deviation of y if nothing is known
        0.5 * np.log1p(net.dimension), net.width, net.num_layers,
        net.num_heads, positions=positions, max_length=2 * net.test_pairs,
        largest=net.largest_log_std)

  return in_context.Learner(
      model, lambda net: draw(net, starts(net), covariates),
      loss=lambda outputs, y: losses.gaussian(*outputs, y))


def anywhere(net):
  """All starts that fit in the table of positions."""
  return range(net.test_pairs - net.num_pairs + 1)


def splits(config):
  """{split: how its prompts are made}.

  `long` are prompts of test_pairs, all others of num_pairs pairs: `noise x 4`
  and so on of noise_shifts, `weights x 2` of weight_shifts, those of
  covariate_shifts by their name, `pool 64` where num_tasks is swept.

  Returns:
    dicts of noise and weights, what sigma and w are scaled by; covariates, see
    `covariates_of`; num_pairs; and perhaps pool, the number of tasks that all
    prompts are from.
  """
  plain = {'noise': 1., 'weights': 1., 'covariates': 'standard',
           'num_pairs': config.net.num_pairs}
  made = {'long': plain | {'num_pairs': config.net.test_pairs}}
  for by in config.noise_shifts:
    made[f'noise x {by:.3g}'] = plain | {'noise': by}
  for by in config.weight_shifts:
    made[f'weights x {by:.3g}'] = plain | {'weights': by}
  for kind in config.covariate_shifts:
    made[kind] = plain | {'covariates': kind}
  if config.sweep.rpartition('.')[2] == 'num_tasks':
    for size in filter(None, config.sweep_values):
      made[f'pool {size}'] = plain | {'pool': size}
  return made


def prompts(config, seed, split):
  """Prompts of a split of `splits`, and what predictors say to them.

  They depend on the seed and on the split, not on the key of training.

  Returns:
    dict of x [N, T, d] and y [N, T] float32, their tokens, and `predict(arm) ->
    (mean, log_std or None)`, float64 [N, T], which keeps what it computed.
  """
  net, how = config.net, splits(config)[split]
  law = make_task(net, how['noise'], how['weights'])
  if 'pool' in how:
    law = tasks.pooled(law, tasks.pool_key(seed), how['pool'])
  batch = tasks.regression_prompts(
      keys.named(seed, split), law, covariates_of(net, how['covariates']),
      config.num_prompts, how['num_pairs'])
  x, y = np.asarray(batch['x']), np.asarray(batch['y'])
  return {'x': x, 'y': y, 'tokens': np.asarray(tasks.regression_tokens(x, y)),
          'predict': functools.cache(
              lambda arm: _predicted(net, how, arm, seed, x, y))}


def reference(arm):
  """An arm that is computed, once for each seed and split."""
  return lambda config, seed, split, batch: batch['predict'](arm)


def _predicted(net, how, arm, seed, x, y):
  """What an arm of `reference` says; see `prompts`."""
  if arm == 'ridge':
    return bayes.ridge(x, y), None
  if arm == 'nearest_neighbors':
    return bayes.nearest_neighbors(x, y), None
  if arm in ('least_squares', 'flat_prior'):
    found = bayes.least_squares(x, y)
  elif arm == 'pool' and 'pool' in how:
    found = bayes.predict_pool(x, y, *map(np.asarray, tasks.pool(
        make_task(net), tasks.pool_key(seed), how['pool'])))
  elif arm == 'oracle':  # knows the shift
    found = bayes.predict(x, y, noise_nodes(net, how['noise']),
                          how['weights'])
  else:
    found = bayes.predict(x, y, noise_nodes(net))
  with np.errstate(divide='ignore', invalid='ignore'):
    if arm == 'flat_prior':  # Student's t, whose variance allows for the fit
      free = np.arange(y.shape[1]) - net.dimension
      return found.mean, found.log_std + 0.5 * np.log(free / (free - 2))
    return found.mean, found.log_std


def check(net):
  """Raises a UserError that names a value which cannot be meant."""
  check_names('noise_law', [net.noise_law], LAWS, 'law')
  lowest = 3 * net.dimension + 1
  if not lowest <= net.num_pairs <= net.test_pairs * 44 / 60:
    raise UserError(
        f'num_pairs={net.num_pairs} must be from 3 dimension + 1 = {lowest} '
        f'to 44/60 of test_pairs={net.test_pairs}.')
  last = max(net.segment_starts) + net.num_pairs
  if last > net.test_pairs:
    raise UserError(f'segment_starts={net.segment_starts}: the last segment '
                    f'ends at pair {last}, past test_pairs='
                    f'{net.test_pairs}; start it earlier.')


def run(config, study, arms, add_rows):
  """`in_context.run` of prompts that are made once: all arms are asked them."""
  for _, _, fields in study.planned():
    check(replaced(config, fields).net)
  made = functools.cache(prompts)
  return in_context.run(
      config, study, arms, add_rows=add_rows,
      prompts=lambda config, seed, split: [
          made(ml_collections.FrozenConfigDict(config), seed, split)])
