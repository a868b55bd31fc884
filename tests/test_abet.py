"""AbeT: logits by hand, what does not matter, a limit, its scores."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from assay.methods import abet, ood_scores

HEAD = abet.Head(num_classes=2)
Z = jnp.array([[3., 4.], [0., 2.], [-1., 1.]])
VARIABLES = HEAD.init(jax.random.key(0), Z)


def said(z, **params):
  """(logits, temperature) in evaluation mode."""
  logits, found = HEAD.apply(VARIABLES | {
      'params': VARIABLES['params'] | params}, z, mutable=['intermediates'])
  return logits, found['intermediates']['temperature'][0]


def test_logits_by_hand():
  logits, t = said(
      Z, directions=jnp.array([[1., 1.], [0., 1.]]),
      Dense_0={'kernel': jnp.array([[0.], [1.]]), 'bias': jnp.zeros(1)})
  # Fresh statistics: mean 0, variance 1, and 1e-5 beside it.
  np.testing.assert_allclose(t, 1 / (1 + np.exp([-4., -2., -1.])), rtol=1e-4)
  cosine = [[.6, 1.4 / 2**.5], [0., .5**.5], [-.5**.5, 0.]]
  np.testing.assert_allclose(logits * t[:, None], cosine, atol=3e-4)


def test_the_order_does_not_change_if_directions_are_scaled():
  long = said(Z, directions=100 * VARIABLES['params']['directions'])[0]
  np.testing.assert_allclose(long, said(Z)[0], rtol=1e-3, atol=1e-3)
  # Nor by a temperature near 1, which is the energy of plain cosines.
  hot, t = said(Z, Dense_0={'kernel': jnp.zeros((2, 1)),
                            'bias': jnp.full(1, 99.)})
  np.testing.assert_allclose(t, 1, rtol=1e-6)
  for score in (abet.constant.fit(t), abet.unablated.fit()):
    np.testing.assert_allclose(score.score(hot, t),
                               ood_scores.energy.fit().score(hot), rtol=1e-5)


def test_abet_is_the_energy_over_its_temperature():
  logits, t = map(np.asarray, said(Z))
  np.testing.assert_allclose(
      ood_scores.energy.fit().score(logits) * t,
      abet.unablated.fit().score(logits, t), rtol=1e-6)
  # With the same cosines it falls as the temperature rises.
  cosine, rising = np.ones((9, 2)), np.linspace(1e-3, .9, 9)
  fell = ood_scores.energy.fit().score(cosine / rising[:, None])
  assert (np.diff(fell) < 0).all()
  assert fell[0] == pytest.approx(1000 + np.log(2))


def test_features_of_zero_have_a_gradient():
  loss = lambda z: jnp.sum(HEAD.apply(VARIABLES, z))
  assert np.isfinite(jax.grad(loss)(jnp.zeros((3, 2)))).all()
