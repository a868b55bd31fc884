"""Bayes-optimal regression: two routes, closed forms, identities, limits."""

import functools

import numpy as np
import pytest
from scipy import stats

from assay.errors import UserError
from assay.methods import bayes_regression as bayes

PRIOR = bayes.uniform_nodes(.1, 1.)


@functools.cache
def prompts(num=200, length=12, dimension=3, tau=1., seed=0):
  rng = np.random.default_rng(seed)
  x = rng.normal(size=(num, length, dimension))
  w = tau * rng.normal(size=(num, dimension))
  sigma = rng.uniform(.1, 1., num)
  y = np.einsum('btd,bd->bt', x, w) + sigma[:, None] * rng.normal(
      size=(num, length))
  return x, y, w, sigma


def close(a, b, atol=1e-9):
  for one, other in zip(a, b, strict=True):
    np.testing.assert_allclose(one, other, rtol=0, atol=atol)


@pytest.mark.parametrize('nodes', [
    PRIOR, bayes.inverse_gamma_nodes(3., 1.), bayes.known_noise(.3)])
@pytest.mark.parametrize('tau', [1., .5])
def test_two_routes_agree(nodes, tau):
  x, y, _, _ = prompts(20, 14, tau=tau)
  close(bayes.predict(x, y, nodes, tau),
        bayes.predict_by_conditioning(x, y, nodes, tau))


def test_both_are_the_posterior_of_the_textbook():
  x, y, _, _ = prompts(4, 8)
  got = bayes.predict(x, y, PRIOR, .7)
  for b in range(4):
    for t in (0, 1, 2, 3, 7):
      past, query = x[b, :t], x[b, t]
      parts = []
      for sigma, log_mass in zip(*PRIOR, strict=True):
        cov = .49 * past @ past.T + sigma**2 * np.eye(t)
        evidence = stats.multivariate_normal(
            np.zeros(t), cov).logpdf(y[b, :t]) if t else 0.
        gain = .49 * np.linalg.solve(cov, past @ query) if t else np.zeros(0)
        parts.append((np.exp(log_mass + evidence), gain @ y[b, :t],
                      .49 * (query @ query - gain @ past @ query), sigma**2))
      mass, f, g, v = np.array(parts).T
      mass /= mass.sum()
      mean = mass @ f
      np.testing.assert_allclose(
          [p[b, t] for p in got],
          [mean, mass @ v, mass @ (g + (f - mean) ** 2)], atol=1e-9)


def test_known_noise_is_ridge():
  from sklearn import linear_model  # takes a second, so only where used
  x, y, _, sigma = prompts(6)
  got = bayes.predict(x, y, bayes.known_noise(sigma), tau=.5)
  for b in range(6):
    for t in (1, 2, 5, 11):
      ridge = linear_model.Ridge(sigma[b] ** 2 / .25, fit_intercept=False)
      want = ridge.fit(x[b, :t], y[b, :t]).predict(x[b, t:t + 1])
      np.testing.assert_allclose(got.mean[b, t], want[0], atol=1e-9)
  np.testing.assert_allclose(got.noise, np.tile(sigma[:, None] ** 2, 12))


def test_no_pairs():
  x, y, _, _ = prompts()
  got = bayes.predict(x, y, PRIOR, 2.)
  np.testing.assert_array_equal(got.mean[:, 0], 0)
  square = np.sum(x[:, 0] ** 2, axis=1)
  np.testing.assert_allclose(got.noise[:, 0], .37)
  np.testing.assert_allclose(got.ignorance[:, 0], 4 * square)
  np.testing.assert_allclose(got.log_std[:, 0], .5 * np.log(.37 + 4 * square))


def test_order_rotation_and_what_is_not_yet_seen():
  x, y, _, _ = prompts(50)
  want = bayes.predict(x, y, PRIOR)
  rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
  close(bayes.predict(x @ rotation, y, PRIOR), want)
  order = np.r_[np.random.default_rng(1).permutation(11), 11]
  mixed = bayes.predict(x[:, order], y[:, order], PRIOR)
  close([p[:, 11] for p in mixed], [p[:, 11] for p in want])
  later = y.copy()
  later[:, 6:] += 5
  changed = bayes.predict(x, later, PRIOR)
  for a, b in zip(changed, want, strict=True):
    np.testing.assert_array_equal(a[:, :7], b[:, :7])
    assert (a[:, 7:] != b[:, 7:]).all()


def test_average_loss_is_what_it_should_be():
  x, y, _, sigma = prompts(6000, 16, 2, seed=2)
  got = bayes.predict(x, y, PRIOR)
  excess = bayes.gaussian_nll(got.mean, got.log_std, y) - got.log_std - .5
  z = excess.mean(axis=0) / excess.std(axis=0) * np.sqrt(len(x))
  assert np.abs(z).max() < 3
  # sigma^2 in place of the variance, or another prior, must be told apart.
  wrong = .5 * np.log(got.noise)
  excess = bayes.gaussian_nll(got.mean, wrong, y) - wrong - .5
  assert (excess.mean(axis=0) / excess.std(axis=0) * 77 > 3).all()
  # Better than knowing nothing of the noise, worse than knowing it.
  known = bayes.predict(x, y, bayes.known_noise(sigma))
  risk = lambda p: bayes.gaussian_nll(p.mean, p.log_std, y)[:, 4:].mean()
  assert risk(known) < risk(got) < risk(bayes.predict(
      x, y, bayes.known_noise(.55)))


@pytest.mark.parametrize('nodes', [PRIOR, bayes.inverse_gamma_nodes(3., 1.)])
def test_many_pairs_tell_the_noise(nodes):
  x, y, w, sigma = prompts(20, 1200, 2)
  got = bayes.predict(x, y, nodes)
  np.testing.assert_allclose(got.noise[:, -1], sigma**2, rtol=.15)
  assert (got.ignorance[:, -1] < .02 * got.noise[:, -1]).all()
  truth = np.einsum('bd,bd->b', x[:, -1], w)
  assert (np.abs(got.mean[:, -1] - truth) < .2 * sigma).all()


def test_enough_nodes():
  x, y, _, _ = prompts(40, 100)
  close(bayes.predict(x, y, PRIOR),
        bayes.predict(x, y, bayes.uniform_nodes(.1, 1., 256)), 1e-6)
  close(bayes.predict(x, y, bayes.inverse_gamma_nodes(3., 1.)),
        bayes.predict(x, y, bayes.inverse_gamma_nodes(3., 1., 799)), 1e-9)
  # Noise at the edge of the prior, or beyond it.
  for factor in (.25, 4.):
    scaled = factor * y
    got = bayes.predict(x, scaled, PRIOR)
    assert all(np.isfinite(p).all() for p in got)
    assert (got.noise > .1**2).all() and (got.noise < 1).all()


def test_nodes_are_their_priors():
  for power in (1, 2, 3):
    np.testing.assert_allclose(np.exp(PRIOR.log_mass) @ PRIOR.sigma**power,
                               stats.uniform(.1, .9).moment(power))
  nodes, law = bayes.inverse_gamma_nodes(4., 2.), stats.invgamma(4., scale=2.)
  for power in (1, 2):
    np.testing.assert_allclose(
        np.exp(nodes.log_mass) @ nodes.sigma ** (2 * power),
        law.moment(power), rtol=1e-6)
  for wrong in (lambda: bayes.uniform_nodes(1., .5),
                lambda: bayes.inverse_gamma_nodes(1., 1.),
                lambda: bayes.known_noise(0.)):
    with pytest.raises(UserError, match='need|above'):
      wrong()


def test_conjugate_prior_is_student():
  x, y, _, _ = prompts(5)
  got = bayes.predict_conjugate(x, y, 2., .5, tau=.8)
  for b in range(5):
    for t in (0, 1, 4, 11):
      past = x[b, :t]
      precision = past.T @ past + np.eye(3) / .64
      m = np.linalg.solve(precision, past.T @ y[b, :t])
      shape = 2 + t / 2
      scale = .5 + (y[b, :t] @ y[b, :t] - m @ precision @ m) / 2
      spread = 1 + x[b, t] @ np.linalg.solve(precision, x[b, t])
      law = stats.t(2 * shape, x[b, t] @ m, np.sqrt(scale / shape * spread))
      np.testing.assert_allclose(
          [got.mean[b, t], got.variance[b, t]], law.stats('mv'), atol=1e-9)
  # By nodes: given sigma the weights have standard deviation tau sigma, which
  # is the model of y / sigma with noise 1.
  nodes = bayes.inverse_gamma_nodes(2., .5)
  b, t = 0, 5
  cov = .64 * x[b, :t] @ x[b, :t].T + np.eye(t)
  evidence = np.array([stats.multivariate_normal(
      np.zeros(t), s**2 * cov).logpdf(y[b, :t]) for s in nodes.sigma])
  mass = np.exp(nodes.log_mass + evidence - evidence.max())
  np.testing.assert_allclose(
      got.noise[b, t], mass @ nodes.sigma**2 / mass.sum(), rtol=1e-9)
  assert np.isinf(bayes.predict_conjugate(x, y, .7, 1.).variance[:, 0]).all()


def test_a_finite_pool_locks_on_the_entry():
  rng = np.random.default_rng(3)
  w, sigma = rng.normal(size=(64, 3)), rng.uniform(.1, 1., 64)
  entry = rng.integers(0, 64, 100)
  x = rng.normal(size=(100, 30, 3))
  y = np.einsum('btd,bd->bt', x, w[entry]) + sigma[entry, None] * rng.normal(
      size=(100, 30))
  got = bayes.predict_pool(x, y, w, sigma)
  np.testing.assert_allclose(got.noise[:, 0], np.mean(sigma**2))
  f = x[:, 0] @ w.T
  np.testing.assert_allclose(got.ignorance[:, 0], f.var(axis=1))
  truth = np.einsum('btd,bd->bt', x, w[entry])
  assert np.median(np.abs(got.mean - truth)[:, -1]) < 1e-3
  assert np.median(np.abs(got.noise[:, -1] / sigma[entry] ** 2 - 1)) < 1e-3
  # It is the best on its own tasks, and the sum over entries by hand.
  risk = lambda p: bayes.gaussian_nll(p.mean, p.log_std, y)[:, 5:].mean()
  assert risk(got) < risk(bayes.predict(x, y, PRIOR)) - .02
  density = stats.norm(f[0], sigma).pdf(y[0, 0])
  mass = density / density.sum()
  np.testing.assert_allclose(got.mean[0, 1], mass @ (w @ x[0, 1]), atol=1e-9)


def test_a_large_pool_is_the_continuous_law():
  x, y, _, _ = prompts(30, 4, 2)
  rng = np.random.default_rng(4)
  got = bayes.predict_pool(x, y, rng.normal(size=(100_000, 2)),
                           rng.uniform(.1, 1., 100_000))
  want = bayes.predict(x, y, PRIOR)
  gap = np.abs(got.mean - want.mean)
  assert gap[:, :2].max() < .1 and np.median(gap) < .01
  assert np.median(np.abs(got.log_std - want.log_std)) < .01


def test_least_squares():
  x, y, _, _ = prompts(10)
  got = bayes.least_squares(x, y)
  for b in range(10):
    for t in range(1, 12):
      w, residual, rank, _ = np.linalg.lstsq(x[b, :t], y[b, :t])
      np.testing.assert_allclose(got.mean[b, t], x[b, t] @ w, atol=1e-9)
      if t > 3:
        noise = residual[0] / (t - rank)
        leverage = x[b, t] @ np.linalg.inv(x[b, :t].T @ x[b, :t]) @ x[b, t]
        np.testing.assert_allclose(got.variance[b, t], noise * (1 + leverage))
  assert np.isnan(got.variance[:, :4]).all() and (got.mean[:, 0] == 0).all()
  assert np.isfinite(got.variance[:, 4:]).all()
  # Covariates on a line in R^3: one degree of freedom is used.
  flat = x[..., :1] * np.array([1., 2., 3.])
  got = bayes.least_squares(flat, y)
  np.testing.assert_allclose(
      got.variance[:, 2:], bayes.least_squares(x[..., :1], y).variance[:, 2:])


def test_ridge_leaves_one_out():
  x, y, _, _ = prompts(6, 9)
  penalties = (.01, .1, 1., 10.)
  got = bayes.ridge(x, y, penalties)
  fit = lambda x, y, p: np.linalg.solve(x.T @ x + p * np.eye(3), x.T @ y)
  for b in range(6):
    for t in range(2, 9):
      past, seen = x[b, :t], y[b, :t]
      errors = [sum((seen[s] - past[s] @ fit(
          np.delete(past, s, 0), np.delete(seen, s), p)) ** 2
                    for s in range(t)) for p in penalties]
      best = penalties[int(np.argmin(errors))]
      np.testing.assert_allclose(
          got[b, t], x[b, t] @ fit(past, seen, best), atol=1e-9)
    np.testing.assert_allclose(  # one pair: no penalty is better
        got[b, 1], x[b, 1] @ fit(x[b, :1], y[b, :1], 10.), atol=1e-9)


def test_nearest_neighbors():
  x = np.array([0., 1., 5., .9, 4.])[None, :, None]
  y = np.array([1., 2., 6., 4., 0.])[None]
  np.testing.assert_allclose(bayes.nearest_neighbors(x, y, 2),
                             [[0, 1, 1.5, 1.5, 4.]])


def test_the_loss_is_least_at_the_standard_deviation_of_the_sample():
  y = np.random.default_rng(0).normal(3., 2., 500)
  grid = np.linspace(.2, 1.2, 2001)  # of log s
  losses = bayes.gaussian_nll(y.mean(), grid[:, None], y[None]).mean(axis=1)
  np.testing.assert_allclose(np.exp(grid[losses.argmin()]), y.std(), rtol=1e-3)
  np.testing.assert_allclose(losses.min(), np.log(y.std()) + .5, atol=1e-6)
  np.testing.assert_allclose(bayes.gaussian_nll(1., np.log(2.), 4.),
                             np.log(2) + 9 / 8)


def test_wrong_shapes_are_refused():
  x, y, w, sigma = prompts()
  with pytest.raises(ValueError, match=r'need \[B, T, d\]'):
    bayes.predict(x, y[..., None], PRIOR)
  with pytest.raises(ValueError, match='sigma of 7 prompts'):
    bayes.predict(x, y, bayes.known_noise(sigma[:7]))
  with pytest.raises(ValueError, match='need'):
    bayes.predict_pool(x, y, w, sigma[:7])
