"""SDM activations: limits, the gradient, a walk along neighbors, by hand."""

import jax
import jax.numpy as jnp
import numpy as np

from assay.methods import sdm

RNG = np.random.default_rng(0)
Z, Y = jnp.asarray(RNG.normal(size=(5, 3))), jnp.array([0, 2, 1, 1, 0])


def test_limits():
  ones = jnp.ones(5)
  np.testing.assert_allclose(sdm.activation(Z, ones * (jnp.e - 2), ones),
                             jax.nn.log_softmax(Z), rtol=1e-5)
  np.testing.assert_allclose(sdm.activation(Z, 7 * ones, 0 * ones),
                             -np.log(3) * np.ones((5, 3)), rtol=1e-6)
  p = np.exp(sdm.activation(Z, 7 * ones, .5 * ones))
  assert (p.argmax(axis=1) == np.argmax(Z, axis=1)).all()
  np.testing.assert_allclose(p[0], 9 ** (.5 * Z[0]) / sum(9 ** (.5 * Z[0])),
                             rtol=1e-5)


def test_the_gradient_is_that_of_cross_entropy_times_d():
  q, d = jnp.array([0., 1, 5, 99, 3]), jnp.array([1., .5, .2, .9, 0])
  got = jax.grad(lambda z: jnp.sum(sdm.loss(z, Y, q, d)))(Z)
  # Cross entropy of the scaled logits: its gradient, without their scale.
  p = jnp.exp(sdm.activation(Z, q, d))
  np.testing.assert_allclose(got, (p - jax.nn.one_hot(Y, 3)) * d[:, None],
                             atol=1e-6)


def test_similarity_is_a_walk_along_the_nearest():
  bank = sdm.Bank(RNG.normal(size=(40, 3)), RNG.integers(3, size=40),
                  RNG.random(40) < .9)
  own = np.arange(40)
  q, nearest = sdm.similarity(bank, bank.features, bank.predicted, own)
  for i in range(40):
    away = np.linalg.norm(bank.features - bank.features[i], axis=1)
    away[i] = np.inf
    count = 0
    for j in np.argsort(away):
      if bank.predicted[j] != bank.predicted[i] or not bank.right[j]:
        break
      count += 1
    assert q[i] == count and np.isclose(nearest[i], away.min(), rtol=1e-5)


def test_an_equal_example_is_no_way_off():
  h = jnp.asarray(100 * RNG.normal(size=(9, 50)), jnp.float32)
  bank = sdm.Bank(h, jnp.zeros(9, int), jnp.ones(9, bool))
  nearest = jax.jit(sdm.similarity)(bank, h, bank.predicted)[1]
  np.testing.assert_array_equal(nearest, 0)
  near = sdm.similarity(bank, h.at[:, 0].add(.25), bank.predicted)[1]
  np.testing.assert_allclose(near, .25, rtol=1e-3)


def test_distance_by_hand():
  seen, labels = jnp.array([1., 3., 5., 2., 9.]), jnp.array([0, 0, 0, 1, 0])
  got = sdm.distance(jnp.array([0., 2., 4., 6.]), seen, labels,
                     jnp.arange(5) < 4, 2)
  np.testing.assert_allclose(got, [1, 2 / 3, 0, 0], rtol=1e-6)
  assert (sdm.distance(jnp.zeros(2), seen, labels, labels == 0, 2) == 0).all()
