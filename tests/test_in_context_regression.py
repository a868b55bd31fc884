"""Prompts of noisy regression: the predictor knows the law that they have."""

import jax
import numpy as np

from assay import papers
from assay.study import Study, replaced
from assay.testbeds import in_context_regression as regression
from configs import icl_uncertainty as card

KEY = jax.random.key(11)


def test_priors_of_the_predictor_are_those_of_the_tasks():
  for variant in ('smoke', 'full_support'):
    net = card.get_config(variant).net
    sigma = np.asarray(jax.jit(jax.vmap(
        regression.LAWS[net.noise_law][0](*net.noise)))(
        jax.random.split(KEY, 20_000)))
    for factor in (1., 4.):
      nodes = regression.noise_nodes(net, factor)
      mass = np.exp(nodes.log_mass)
      np.testing.assert_allclose(mass.sum(), 1)
      np.testing.assert_allclose(mass @ nodes.sigma,
                                 factor * sigma.mean(), rtol=.02)


def test_a_flat_prior_is_least_squares_with_the_variance_of_its_error():
  """Student's t with k - d degrees of freedom: no other scale is better."""
  batch = regression.prompts(replaced(
      card.get_config('smoke'), {'num_prompts': 20_000}), 0, 'long')
  y = batch['y'].astype(float)
  (plain, plain_log_std), (mean, log_std) = map(
      batch['predict'], ('least_squares', 'flat_prior'))
  np.testing.assert_array_equal(mean, plain)
  np.testing.assert_allclose(  # of 3, 4, ... 9 pairs more than inputs
      np.exp(2 * (log_std - plain_log_std))[0, 5:],
      [3, 2, 5 / 3, 3 / 2, 7 / 5, 8 / 6, 9 / 7])
  in_units = lambda log_std: np.mean(
      ((y - mean) / np.exp(log_std))**2, axis=0)[7:]
  np.testing.assert_allclose(in_units(log_std), 1, rtol=.06)
  assert (in_units(plain_log_std) > 1.2).all()


def test_a_sweep_of_the_law_has_the_prompts_of_its_value():
  of = lambda **fields: replaced(card.get_config('smoke'), dict(
      arms=('oracle',), num_seeds=1) | fields)
  run = lambda config: papers.load('icl_uncertainty').run(
      config, Study('icl_uncertainty', 'smoke', config))
  swept = run(of(swept_arms=('oracle',), sweep='dimension',
                 sweep_values=(1, 2)))
  said = [[row['value'] for row in swept if row['dimension'] == value]
          for value in (1, 2)]
  assert said[0] != said[1]
  for value, got in zip((1, 2), said, strict=True):
    assert got == [row['value'] for row in run(of(dimension=value))]
