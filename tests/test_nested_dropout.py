"""Nested dropout and co-teaching: formulas, frequencies, a known optimum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from assay.methods import co_teaching, nested_dropout

KEYS = jax.random.split(jax.random.key(0), 4000)


def test_numbers_are_drawn_as_the_formula_says():
  z = jnp.ones((2, 5))
  kept = jax.vmap(lambda key: nested_dropout.truncated(key, z, 2.))(KEYS)
  k = kept.sum(axis=2)
  assert (k[:, 0] == k[:, 1]).all()  # one for all rows
  p = np.exp(-np.array([1, 4, 9, 16, 25]) / 4)
  np.testing.assert_allclose(np.bincount(k[:, 0].astype(int), minlength=6)[1:]
                             / len(KEYS), p / p.sum(), atol=.03)
  each = jax.vmap(lambda key: nested_dropout.truncated(key, z, 2., True))(KEYS)
  assert .2 < (each[:, 0] != each[:, 1]).any(axis=1).mean() < .9


def test_limits_of_the_law():
  np.testing.assert_allclose(nested_dropout.probabilities(8, 1e6), 1 / 8,
                             rtol=1e-5)
  p = nested_dropout.probabilities(1000, 40.)
  assert float(p.sum()) == pytest.approx(1, abs=1e-5)
  mean = float((p * jnp.arange(1, 1001)).sum())
  assert mean == pytest.approx(40 / np.sqrt(np.pi), abs=.6)


def test_all_features_are_the_plain_layer():
  rng = np.random.default_rng(0)
  z, weights = rng.normal(size=(4, 6)), rng.normal(size=(6, 3))
  found = nested_dropout.by_number(z, weights)
  np.testing.assert_allclose(found[-1], z @ weights, rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(found[1], z[:, :2] @ weights[:2], rtol=1e-5,
                             atol=1e-6)


def test_a_linear_autoencoder_finds_principal_directions_in_order():
  rng = np.random.default_rng(1)
  turn = np.linalg.qr(rng.normal(size=(4, 4)))[0]
  x = rng.normal(size=(300, 4)) * [4, 3, 2, 1] @ turn.T
  p = nested_dropout.probabilities(3, 2.)

  def loss(weights):
    code, back = weights
    by_number = nested_dropout.by_number(x @ code, back)  # [3, n, 4]
    return jnp.sum(p * jnp.mean(jnp.square(by_number - x), axis=(1, 2)))

  step = jax.jit(lambda w: jax.tree.map(
      lambda a, b: a - .1 * b, w, jax.grad(loss)(w)))
  weights = .3 * rng.normal(size=(4, 3)), .3 * rng.normal(size=(3, 4))
  for _ in range(3000):
    weights = step(weights)
  directions = np.linalg.svd(x, full_matrices=False)[2]
  back = weights[1] / np.linalg.norm(weights[1], axis=1, keepdims=True)
  np.testing.assert_allclose(np.abs(np.sum(back * directions[:3], axis=1)), 1,
                             atol=.01)


def test_each_network_learns_what_the_other_picks():
  mine, theirs = jnp.array([5., 1., 2., 9.]), jnp.array([1., 8., 3., 2.])
  first, second = co_teaching.taught(mine, theirs, .5)
  assert first.tolist() == [5, 0, 0, 9]  # where theirs are small
  assert second.tolist() == [0, 8, 3, 0]
  by = jnp.arange(4.), jnp.arange(4.)[::-1]  # what decides may be others
  assert [each.tolist() for each in co_teaching.taught(
      mine, theirs, .5, by)] == [[0, 0, 2, 9], [1, 8, 0, 0]]
  whole = co_teaching.taught(mine, theirs, 0.)
  assert [each.tolist() for each in whole] == [mine.tolist(), theirs.tolist()]
  assert co_teaching.smallest(jnp.zeros(3), .99).tolist() == [1, 0, 0]
  slope = jax.grad(lambda x: sum(map(jnp.sum, co_teaching.taught(
      x, theirs, .5))))(mine)
  assert slope.tolist() == [1, 0, 0, 1]
