"""Several Gaussians for each class, for classes that have several modes.

Example:
  >>> import numpy as np
  >>> from assay.methods import ood_scores
  >>> rng = np.random.default_rng(0)
  >>> features = rng.normal(size=(90, 2)) + np.repeat([0, 9, 18], 30)[:, None]
  >>> labels = np.repeat([0, 1, 0], 30)  # class 0 is on both sides of class 1
  >>> detector = ood_scores.gmm.fit(features, labels, components=2)
  >>> known, between = detector.score([[18., 18.], [13.5, 13.5]])
  >>> bool(known > between + 10)
  True
"""

from typing import NamedTuple

import numpy as np
from scipy import special

from assay.methods.ood_scores.arrays import by_block
from assay.methods.ood_scores.detectors import Score
from assay.methods.ood_scores.gaussians import Gaussian, fit_gaussian
from assay.methods.ood_scores.settings import whole

LEAST_VARIANCE = 1e-3  # of the variance within classes


class Mixtures(NamedTuple):
  """Mixtures of M Gaussians with diagonal covariances, for K classes.

  Attributes:
    gaussian: whitens within classes.
    log_weights: [K, M]; -infinity: no such component.
    means: [K * M, D], whitened.
    precisions: [K * M, D], inverse variances.
  """
  gaussian: Gaussian
  log_weights: np.ndarray
  means: np.ndarray
  precisions: np.ndarray


def _fit(features, labels, *, components=2):
  from sklearn import mixture  # slow to import, and only used here
  components = whole(components, 'components', 1)
  gaussian = fit_gaussian(features, labels)
  parts = []
  for label in np.unique(labels):
    z = by_block(gaussian.whitened, features[labels == label])
    m = min(components, len(z))
    fitted = mixture.GaussianMixture(
        m, covariance_type='diag', reg_covar=LEAST_VARIANCE,
        random_state=0).fit(z)
    missing = components - m, z.shape[1]
    parts.append((np.append(np.log(fitted.weights_), [-np.inf] * missing[0]),
                  np.vstack([fitted.means_, np.zeros(missing)]),
                  np.vstack([fitted.precisions_, np.ones(missing)])))
  log_weights, means, precisions = zip(*parts, strict=True)
  return Mixtures(gaussian, np.stack(log_weights), np.vstack(means),
                  np.vstack(precisions))


def _values(state, features):
  gaussian, log_weights, means, precisions = state
  constant = .5 * (np.log(precisions) - np.log(2 * np.pi)
                   - precisions * means**2).sum(axis=1)

  def values(z):
    z = gaussian.whitened(z)
    log_p = constant + z @ (precisions * means).T - .5 * z**2 @ precisions.T
    log_p = log_p.reshape(len(z), *log_weights.shape)
    return special.logsumexp(log_p + log_weights, axis=2).max(axis=1)

  return by_block(values, features)


gmm = Score(_fit, _values)
"""Log-density of the class that gives the highest, by a mixture of Gaussians.

Features are whitened within classes, covariances then diagonal and fitted by EM
from k-means, always the same. components: of each class, default 2.
"""
