"""Prompts of noisy linear regression, and predictors that know their law.

Part of the testbed `in_context`: a sequence is pairs (x, y) with y = w . x +
sigma e, and w, sigma of its own. What is best on average is known exactly.

Of `config.net` are read: dimension; noise_law, a key of `LAWS`, and noise, its
arguments; covariance, of random covariates; batch_size and num_pairs.
"""

import functools

import numpy as np

from assay import keys
from assay.data import tasks
from assay.methods import bayes_regression as bayes
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


def prompts(net, seed, split, how, num_prompts):
  """Prompts of a split, and what predictors say to them.

  They depend on the seed and on the split, not on the key of training.

  Args:
    net: the config's.
    seed: int.
    split: its name.
    how: dict of noise and weights, what sigma and w are scaled by; covariates,
      see `covariates_of`; num_pairs, T; and perhaps pool, the number of tasks
      that all are from.
    num_prompts: N.

  Returns:
    dict of x [N, T, d] and y [N, T] float32, and `predict(arm) -> (mean,
    log_std or None)`, float64 [N, T], which keeps what it computed.
  """
  law = make_task(net, how['noise'], how['weights'])
  if 'pool' in how:
    law = tasks.pooled(law, tasks.pool_key(seed), how['pool'])
  batch = tasks.regression_prompts(
      keys.named(seed, split), law, covariates_of(net, how['covariates']),
      num_prompts, how['num_pairs'])
  x, y = np.asarray(batch['x']), np.asarray(batch['y'])
  return {'x': x, 'y': y, 'predict': functools.cache(
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
