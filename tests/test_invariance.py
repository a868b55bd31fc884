"""Divergence between domains: SciPy's densities, laws, what changes nothing."""

import numpy as np
import pytest
from scipy import stats

from assay.metrics import invariance

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4)) * (3, 2, 1, .1)
DOMAIN, Y = RNG.integers(3, size=300), RNG.normal(size=300)
X[DOMAIN == 1] += Y[DOMAIN == 1, None]


def test_densities_are_those_of_scipy():
  points, group = X[:20, :2], X[20:90, :2]
  np.testing.assert_allclose(
      invariance._log_density(points, group),
      stats.gaussian_kde(group.T).logpdf(points.T), rtol=1e-9)
  # Without itself: the sum over the others, at the same bandwidth.
  kernel = stats.multivariate_normal(cov=stats.gaussian_kde(group.T).covariance)
  want = [np.log(np.mean([kernel.pdf(point - other) for j, other in enumerate(
      group) if i != j])) for i, point in enumerate(group)]
  np.testing.assert_allclose(invariance._log_density(group, group), want,
                             rtol=1e-9)


def test_scale_turn_and_names_do_not_matter():
  want = invariance.divergence(X, Y, DOMAIN, num_bins=2)
  turn = np.linalg.qr(RNG.normal(size=(4, 4)))[0]
  for features, y, domain in ((1e-3 * X @ turn + 7, Y, DOMAIN),
                              (X, np.exp(Y)[:, None], 5 - 2 * DOMAIN)):
    assert invariance.divergence(features, y, domain, num_bins=2) == (
        pytest.approx(want, rel=1e-6))
  assert want > .05


def test_labels_explain_what_they_explain():
  """Domains of other labels alone: far apart, but not within a bin."""
  y = RNG.uniform(size=4000)
  domain = (RNG.uniform(size=4000) < .2 + .6 * y).astype(int)
  features = np.stack([y, RNG.normal(size=4000)], axis=1)
  within, over_all = (invariance.divergence(
      features, y, domain, num_bins=bins) for bins in (8, 1))
  assert abs(within) < .05 < .1 < over_all


def test_nothing_to_compare_is_nan():
  assert np.isnan(invariance.divergence(X, Y, np.zeros(300, int)))
  assert np.isnan(invariance.divergence(X, Y, DOMAIN, least=200))
  assert np.isnan(invariance.divergence(np.ones((300, 4)), Y, DOMAIN))
  assert np.isnan(invariance.divergence(X[:, [0, 0]], Y, DOMAIN))  # on a line


@pytest.mark.parametrize('change, message', [
    (dict(features=X[:, 0]), r'features \(300,\) must be \[N, D\]'),
    (dict(domains=DOMAIN[1:]), r'domains \(299,\)'),
    (dict(labels=np.append(Y[1:], np.nan)), r'labels\[299\] is nan'),
    (dict(num_components=5), r'num_components=5 must be in \[1, 4\]'),
    (dict(num_bins=0), 'num_bins=0'), (dict(least=3), 'least=3')])
def test_bad_input_is_named(change, message):
  with pytest.raises(ValueError, match=message):
    invariance.divergence(**dict(features=X, labels=Y, domains=DOMAIN) | change)
