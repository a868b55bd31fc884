"""Prompts of noisy regression: the predictor knows the law that they have."""

import jax
import numpy as np

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
