"""Mahalanobis distances: how far from the known, in its own units.

A covariance is that of maximum likelihood, and its eigenvalues are at least
1e-6 of their mean: a direction in which known examples do not vary at all, as a
dead unit's, counts much and not infinitely. With fewer examples than features
that is most of the distance.

Example:
  >>> from assay.methods import ood_scores
  >>> features = [[0., 2.], [0., 0.], [9., 3.], [9., 1.], [-1., 1.], [10., 2.]]
  >>> labels = [0, 0, 1, 1, 0, 1]
  >>> detector = ood_scores.mahalanobis.fit(features, labels)
  >>> detector.score([[9.5, 2.], [4.5, 1.]]).round(3).tolist()
  [-0.125, -105.125]
"""

from typing import NamedTuple

import numpy as np

from assay.methods.ood_scores.arrays import BLOCK, by_block
from assay.methods.ood_scores.detectors import Score

FLOOR = 1e-6  # of the mean eigenvalue


class Gaussian(NamedTuple):
  """Groups with means of their own and one covariance, whitened.

  Attributes:
    center: [D], taken off first.
    transform: [D, D]; (z - center) @ transform has identity covariance.
    means: [K, D], of the groups, whitened.
  """
  center: np.ndarray
  transform: np.ndarray
  means: np.ndarray

  def whitened(self, z):
    return (z - self.center) @ self.transform

  def nearest(self, z):
    """[B] squared distance of rows to the nearest mean."""
    return squared_distances(self.whitened(z), self.means).min(axis=1)


def squared_distances(a, b):
  """[N, K] squared Euclidean distances of rows [N, D] and [K, D], float64."""
  found = -2 * a @ b.T
  found += np.einsum('nd,nd->n', a, a)[:, None]
  found += np.einsum('kd,kd->k', b, b)
  return np.maximum(found, 0)  # rounding may give less


def group_means(features, groups, num_groups):
  """[K, D] float64: the mean of each group's rows."""
  total = np.zeros((num_groups, features.shape[1]))
  for i in range(0, len(features), BLOCK):
    one_hot = groups[i:i + BLOCK, None] == np.arange(num_groups)
    total += one_hot.T.astype(float) @ features[i:i + BLOCK].astype(float)
  return total / np.bincount(groups, minlength=num_groups)[:, None]


def fit_gaussian(features, labels=None):
  """The `Gaussian` of the classes that occur; of one group without labels.

  Raises:
    ValueError: features do not vary within a group.
  """
  groups = np.zeros(len(features), int) if labels is None else np.unique(
      labels, return_inverse=True)[1]
  means = group_means(features, groups, groups.max() + 1)
  scatter = 0.
  for i in range(0, len(features), BLOCK):
    off = features[i:i + BLOCK] - means[groups[i:i + BLOCK]]
    scatter = scatter + off.T @ off
  values, vectors = np.linalg.eigh(scatter / len(features))
  if not values.mean() > 0:
    raise ValueError(f'features {features.shape} do not vary within a class; '
                     'give more examples, of other features.')
  transform = vectors / np.sqrt(np.maximum(values, FLOOR * values.mean()))
  center = means.mean(axis=0)
  return Gaussian(center, transform, (means - center) @ transform)


def unit(features):
  """Rows of norm 1, float64; a row of zeros stays one."""
  z = features.astype(float)
  return z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True),
                        np.finfo(float).tiny)


def _fit_relative(features, labels):
  return fit_gaussian(features, labels), fit_gaussian(features)


def _relative(state, features):
  own, all_ = state
  return by_block(lambda z: all_.nearest(z) - own.nearest(z), features)


mahalanobis = Score(
    lambda features, labels: fit_gaussian(features, labels),
    lambda state, features: by_block(lambda z: -state.nearest(z), features))
"""-min_c (z - m_c)' S^-1 (z - m_c), S within classes (Lee et al., 2018)."""
relative_mahalanobis = Score(_fit_relative, _relative)
"""`mahalanobis` plus the squared distance to the mean of all, with the
covariance of all (Ren et al., 2021)."""
ssd = Score(
    lambda features, labels=None: fit_gaussian(unit(features)),
    lambda state, features: by_block(lambda z: -state.nearest(unit(z)),
                                     features))
"""Minus the squared distance to the mean of all, of features of norm 1 (Sehwag
et al., 2021). The authors standardize them too, which changes nothing."""
