"""What of a feature vector lies outside the space that known ones fill.

Example:
  >>> from assay.methods import ood_scores
  >>> features = [[1., 0., 0.], [-1., 0., 0.], [2., 0., 0.], [-2., 0., 0.]]
  >>> detector = ood_scores.residual.fit(features, dimensions=1)
  >>> detector.score([[9., 0., 0.], [1., 3., 4.]]).round(6) + 0.
  array([ 0., -5.])
"""

from typing import NamedTuple

import numpy as np

from assay.methods.ood_scores.arrays import BLOCK, by_block
from assay.methods.ood_scores.detectors import Score
from assay.methods.ood_scores.logits import energy_of
from assay.methods.ood_scores.settings import whole


class Outside(NamedTuple):
  """The space beside the principal one.

  Attributes:
    origin: [D], taken off first.
    directions: [D, D - dimensions], orthonormal.
    scale: of the norm, >= 0.
  """
  origin: np.ndarray
  directions: np.ndarray
  scale: float

  def norm(self, z):
    return self.scale * np.linalg.norm(
        (z - self.origin) @ self.directions, axis=1)


def _fit(features, labels=None, head=None, *, dimensions=None):
  del labels
  width = features.shape[1]
  dimensions = width // 2 if dimensions is None else whole(
      dimensions, 'dimensions', 0, width - 1)
  if head is None:
    origin = features.mean(axis=0, dtype=float)
  else:
    weights, bias = head
    origin = -np.linalg.pinv(weights.T) @ bias  # where logits are 0, or near
  moment = 0.
  for i in range(0, len(features), BLOCK):
    off = features[i:i + BLOCK] - origin
    moment = moment + off.T @ off
  vectors = np.linalg.eigh(moment)[1]  # ascending
  return Outside(origin, vectors[:, :width - dimensions], 1.)


def _fit_vim(features, logits, head=None, *, dimensions=None):
  outside = _fit(features, head=head, dimensions=dimensions)
  largest = logits.max(axis=1).mean(dtype=float)
  norm = by_block(outside.norm, features).mean()
  if not largest > 0:
    raise ValueError(f'the largest logits have mean {largest:.3g}; vim scales '
                     'by it and needs more than 0: give logits as the head '
                     'gives them, not log-probabilities.')
  if not norm > 1e-9 * np.abs(features).max():
    raise ValueError(f'features {features.shape} have nothing outside their '
                     'main space: use fewer dimensions.')
  return outside._replace(scale=largest / norm)


residual = Score(_fit, lambda state, features: by_block(
    lambda z: -state.norm(z), features))
"""Minus the norm outside the principal space (Wang et al., 2022).

With a head its origin is -pinv(W') b, as the authors have it; without one the
mean of the features. dimensions: of the principal space, default half of D.
"""
vim = Score(_fit_vim, lambda state, features, logits: by_block(
    lambda z, scores: energy_of(scores) - state.norm(z), features, logits))
"""Energy less that norm, which is scaled by mean largest logit / mean norm
(Wang et al., 2022). Origin and dimensions as in `residual`."""
