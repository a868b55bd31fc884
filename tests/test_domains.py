"""assay.methods.domains: penalties, weights, walks against other formulas."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from assay import losses
from assay.methods import domains

RNG = np.random.default_rng(0)
DOMAIN = np.array([0, 2, 2, 0, 1, 2, 1, 0, 2, 0])
E = 4  # of the last there is no example
F, Y = (RNG.normal(size=(10, 1)).astype(np.float32) for _ in range(2))
FEATURES = RNG.normal(size=(10, 3)).astype(np.float32)
PRESENT = range(3)

OF_VALUES = {
    'risks': lambda v, d: domains.risks(v, d, E)[0],
    'rex': lambda v, d: domains.rex_penalty(v, d, E)}
OF_FEATURES = {
    'bottleneck': lambda v, d: domains.bottleneck_penalty(v, d, E),
    'coral': lambda v, d: domains.coral_penalty(v, d, E)}


def test_irm_is_the_squared_slope_by_finite_differences():
  def risk(w, e):
    return np.mean((w * F[DOMAIN == e].astype(float) - Y[DOMAIN == e])**2)

  want = np.mean([((risk(1 + 1e-5, e) - risk(1 - 1e-5, e)) / 2e-5)**2
                  for e in PRESENT])
  got = jax.jit(lambda f: domains.irm_penalty(losses.squared, f, Y, DOMAIN, E))
  np.testing.assert_allclose(got(F), want, rtol=1e-4)
  # 0 where each domain's best scale is 1, whatever the risks are.
  best = F.copy()
  for e in PRESENT:
    f, y = F[DOMAIN == e], Y[DOMAIN == e]
    best[DOMAIN == e] = f * (f * y).sum() / (f * f).sum()
  np.testing.assert_allclose(got(best), 0, atol=1e-10)


def test_coral_is_the_distance_of_covariances():
  covariances = [np.cov(FEATURES[DOMAIN == e].T) for e in PRESENT]
  want = np.mean([np.linalg.norm(a - b)**2 / (4 * 3**2)
                  for a, b in itertools.combinations(covariances, 2)])
  np.testing.assert_allclose(OF_FEATURES['coral'](FEATURES, DOMAIN), want, 1e-5)
  # Equal covariances about different means are no distance.
  moved = np.concatenate([FEATURES, FEATURES + 5])
  half = np.repeat([0, 1], 10)
  assert domains.coral_penalty(moved, half, 2) < 1e-5 < want


def test_bottleneck_and_rex_are_variances():
  np.testing.assert_allclose(
      OF_FEATURES['bottleneck'](FEATURES, DOMAIN),
      np.mean([FEATURES[DOMAIN == e].var(0, ddof=1) for e in PRESENT]), 1e-5)
  values = np.abs(F[:, 0])
  np.testing.assert_allclose(
      OF_VALUES['rex'](values, DOMAIN),
      np.var([values[DOMAIN == e].mean() for e in PRESENT]), 1e-5)


def test_domains_of_one_example_have_no_covariance():
  alone = np.where(np.arange(10) == 4, 3, np.where(DOMAIN == 1, 0, DOMAIN))
  without = np.arange(10) != 4
  for function in OF_FEATURES.values():
    np.testing.assert_allclose(
        function(FEATURES, alone),
        function(FEATURES[without], alone[without]), rtol=1e-5)


def test_group_weights_climb_to_the_worst_domain():
  weights, risk = jnp.full(3, 1 / 3), jnp.array([.1, .7, .3])
  want = np.full(3, 1 / 3)
  for _ in range(20):
    weights = jax.jit(domains.group_weights)(weights, risk, .5)
    want = want * np.exp(.5 * np.asarray(risk))
    want /= want.sum()
  np.testing.assert_allclose(weights, want, rtol=1e-4)
  for _ in range(200):
    weights = domains.group_weights(weights, risk, .5)
  np.testing.assert_allclose(weights, [0, 1, 0], atol=1e-6)
  huge = domains.group_weights([.5, .5], [1e30, 0.], 1.)  # no overflow
  np.testing.assert_array_equal(huge, [1, 0])
  slope = jax.grad(lambda r: domains.group_weights(weights, r, 1.) @ r)(risk)
  np.testing.assert_allclose(slope, [0, 1, 0], atol=1e-6)


def gradient(params, extra, batch, key):
  del key
  return jax.value_and_grad(lambda p: (
      jnp.mean((p - batch['y'])**2), (extra, {'y': jnp.mean(batch['y'])})),
                            has_aux=True)(params)


def test_fish_is_a_walk_of_sgd_and_a_step_towards_its_end():
  params, rate, epsilon = jnp.array(1.), .1, .5
  batch = {'y': jnp.array([0., 2., 4., 4.])}
  at = 1.
  for part in ([0., 2.], [4., 4.]):
    at -= rate * np.mean([2 * (at - y) for y in part])
  (loss, (_, metrics)), grads = jax.jit(domains.fish(gradient, 2, rate))(
      params, {}, batch, jax.random.key(0))
  tx = optax.sgd(epsilon * 2 * rate)
  updates, _ = tx.update(grads, tx.init(params))
  np.testing.assert_allclose(params + updates, 1 + epsilon * (at - 1), 1e-6)
  np.testing.assert_allclose(metrics['y'], 2.5)
  assert loss > 0
  _, plain = gradient(params, {}, batch, None)
  _, still = domains.fish(gradient, 2, 0.)(params, {}, batch,
                                           jax.random.key(0))
  np.testing.assert_allclose(still, plain, rtol=1e-6)
  with pytest.raises(ValueError, match='num_parts=3 does not divide the batch'):
    domains.fish(gradient, 3, .1)(params, {}, batch, jax.random.key(0))


@pytest.mark.parametrize('name', [*OF_VALUES, *OF_FEATURES])
def test_users_arrays(name):
  function = (OF_VALUES | OF_FEATURES)[name]
  values = F[:, 0] if name in OF_VALUES else FEATURES
  want = function(values, DOMAIN)
  for given in (values.tolist(), values.astype(np.float64), jnp.array(values)):
    np.testing.assert_allclose(function(given, DOMAIN.tolist()), want, 1e-5)
  order = RNG.permutation(10)
  np.testing.assert_allclose(function(values[order], DOMAIN[order]), want, 1e-5)
  for domain, message in (
      (np.where(DOMAIN == 2, 4, DOMAIN), r'domains\[1\] is 4; it must be in '),
      (DOMAIN - 1, r'domains\[0\] is -1'), (DOMAIN[1:], r'domains \(9,\)'),
      (DOMAIN[:, None], r'domains \(10, 1\)'),
      (DOMAIN.astype(float), 'domains have dtype float')):
    with pytest.raises(ValueError, match=message):
      function(values, domain)
  if name in OF_FEATURES:
    with pytest.raises(ValueError, match=r'features \(10,\) must be'):
      function(values[:, 0], DOMAIN)
