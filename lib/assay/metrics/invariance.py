"""How much a representation tells of the domain, beside what the label tells.

    value = invariance.divergence(features, y, domain)

The analysis of C-Mixup (Yao et al., 2022), without a scale: a representation is
turned to its first principal components, each of variance 1, before domains are
compared, or one of small numbers would pass for invariant.
"""

import itertools

import numpy as np
from scipy import special
from scipy.spatial import distance

from assay.metrics import arguments


def divergence(features, labels, domains, *, num_bins=5, num_components=2,
               least=20):
  """Mean KL divergence between domains, of examples of like labels, in nats.

  Densities are Gaussian kernels of Scott's bandwidth; that of a domain at an
  example of its own leaves the example out.

  Args:
    features: [N, D] float, a representation.
    labels: [N] or [N, 1] float; bins have equally many examples.
    domains: [N] int.
    num_bins: of labels, >= 1.
    num_components: in [1, D], principal ones that densities are of.
    least: examples of a domain in a bin, at least num_components + 2; domains
      with fewer are no part of the bin's pairs.

  Returns:
    float: the mean over bins and ordered pairs of domains. 0 in the limit where
    domains are alike, and an estimate may be below; NaN where there is no pair,
    or a domain's examples lie on a line.

  Raises:
    ValueError: shapes or values that cannot be; see `arguments.finite`.

  Example:
    >>> import numpy as np
    >>> from assay.metrics import invariance
    >>> rng = np.random.default_rng(0)
    >>> features = rng.normal(size=(4000, 2))
    >>> domain, moved = np.arange(4000) % 2, features.copy()
    >>> moved[domain == 1, 0] += 1  # KL of unit normals: 1 / 2
    >>> y = np.zeros(4000)
    >>> round(invariance.divergence(moved, y, domain, num_bins=1), 1)
    0.5
    >>> abs(round(invariance.divergence(features, y, domain, num_bins=1), 1))
    0.0
  """
  features, labels = np.asarray(features, float), np.ravel(labels)
  domains = np.asarray(domains)
  arguments.check_finite(features, 'features')
  arguments.check_finite(labels, 'labels')
  if features.ndim != 2 or not (
      len(features) == len(labels) == len(domains) > 0 == domains.ndim - 1):
    raise ValueError(f'features {features.shape} must be [N, D], with N labels '
                     f'{labels.shape} and domains {domains.shape}.')
  if not 1 <= num_components <= features.shape[1]:
    raise ValueError(f'num_components={num_components} must be in [1, '
                     f'{features.shape[1]}].')
  if num_bins < 1 or least < num_components + 2:
    raise ValueError(f'num_bins={num_bins} must be 1 or more, least={least} '
                     f'{num_components + 2} or more.')
  points = _components(features, num_components)
  edges = np.quantile(labels, np.arange(1, num_bins) / num_bins)
  bins = np.searchsorted(edges, labels, side='right')
  found = []
  for each in np.unique(bins):
    groups = [points[(bins == each) & (domains == k)]
              for k in np.unique(domains)]
    groups = [group for group in groups if len(group) >= least]
    found += [np.mean(_log_density(one, one) - _log_density(one, other))
              for one, other in itertools.permutations(groups, 2)]
  return float(np.mean(found)) if found else np.nan


def _components(features, number):
  """[N, number]: principal components of variance 1; of none, zeros."""
  away = features - features.mean(axis=0)
  left, singular, _ = np.linalg.svd(away, full_matrices=False)
  some = singular[:number] > 1e-9 * max(singular[0], np.finfo(float).tiny)
  return np.where(some, left[:, :number] * len(features) ** .5, 0)


def _log_density(points, group):
  """[n] log densities of a group at points; at its own, each without itself."""
  number, width = group.shape
  covariance = np.cov(group.T).reshape(width, width) * number ** (
      -2 / (width + 4))
  sign, log_volume = np.linalg.slogdet(2 * np.pi * covariance)
  if sign <= 0 or np.linalg.cond(covariance) > 1e12:
    return np.full(len(points), np.nan)
  squared = distance.cdist(points, group, 'mahalanobis',
                           VI=np.linalg.inv(covariance)) ** 2
  if points is group:
    np.fill_diagonal(squared, np.inf)
    number -= 1
  return special.logsumexp(-squared / 2, axis=1) - np.log(number) - (
      log_volume / 2)
