"""Features or weights changed before the last layer, then the energy; and SHE.

`react`, `ash` and `dice` are of features after a ReLU, and of a last layer
`head = (weights [D, C], bias [C])`.

Example:
  >>> from assay.methods import ood_scores
  >>> known, head = [[1., 0.], [0., 1.]], ([[1., 0.], [0., 1.]], None)
  >>> detector = ood_scores.react.fit(known, head, percentile=100)
  >>> detector.score([[1., 0.], [9., 0.]]).round(3)  # 9 is clipped to 1
  array([1.313, 1.313])
"""

import numpy as np

from assay.methods.ood_scores.arrays import by_block
from assay.methods.ood_scores.detectors import Score
from assay.methods.ood_scores.gaussians import group_means
from assay.methods.ood_scores.logits import energy_of
from assay.methods.ood_scores.settings import setting


def _fit_react(features, head, *, percentile=90.):
  setting(percentile, 'percentile', 0, 100)
  return (*head, float(np.percentile(features, percentile)))


def _react(state, features):
  weights, bias, limit = state
  return by_block(
      lambda z: energy_of(np.minimum(z, limit) @ weights + bias), features)


def _fit_ash(head, *, percentile=90.):
  weights, bias = head
  width = len(weights)
  setting(percentile, 'percentile', 0, 100)
  return weights, bias, max(1, width - round(width * percentile / 100))


def _ash(state, features):
  weights, bias, kept = state
  if (features < 0).any():
    i, j = np.argwhere(features < 0)[0]
    raise ValueError(f'features[{i}, {j}] is {features[i, j]}; ash needs '
                     'features of at least 0, as after a ReLU.')

  def values(z):
    least = np.partition(z, -kept, axis=1)[:, -kept, None]
    pruned = np.where(z >= least, z, 0)
    total, rest = z.sum(axis=1), pruned.sum(axis=1)
    ratio = np.divide(total, rest, out=np.ones(len(z)), where=rest > 0)
    return energy_of(np.exp(ratio)[:, None] * pruned @ weights + bias)

  return by_block(values, features)


def _fit_dice(features, head, *, percentile=90.):
  weights, bias = head
  setting(percentile, 'percentile', 0, 100)
  given = features.mean(axis=0, dtype=float)[:, None] * weights
  return np.where(given > np.percentile(given, percentile), weights, 0), bias


def _dice(state, features):
  weights, bias = state
  return by_block(lambda z: energy_of(z @ weights + bias), features)


def _fit_she(features, labels, logits):
  number = logits.shape[1]
  if labels.max() >= number:
    i = np.argmax(labels)
    raise ValueError(f'labels[{i}] is {labels[i]}; it must be in '
                     f'[0, {number}), a column of logits.')
  right = logits.argmax(axis=1) == labels
  for label in range(number):
    of_class = labels == label
    if not of_class.any():
      raise ValueError(f'no example has label {label}; she needs one or more '
                       'of each class that logits have.')
    if not right[of_class].any():  # else there would be no mean
      right |= of_class
  return (group_means(features[right], labels[right], number),)


def _she(state, features, logits):
  means, = state
  return by_block(
      lambda z, scores: np.einsum('nd,nd->n', z, means[scores.argmax(axis=1)]),
      features, logits)


react = Score(_fit_react, _react)
"""Energy of features clipped from above (Sun et al., 2021); percentile: of all
known activations, in [0, 100], default 90."""
ash = Score(_fit_ash, _ash)
"""Energy of each example's largest features, times exp(sum before / sum after)
(Djurisic et al., 2023, ASH-S); percentile: that is set to 0, default 90. What
equals the smallest that is kept is kept too."""
dice = Score(_fit_dice, _dice)
"""Energy by the weights that give most to known logits, mean feature x weight,
signed (Sun and Li, 2022); percentile: set to 0, default 90."""
she = Score(_fit_she, _she)
"""Inner product with the mean of known features of the predicted class that
were predicted right (Zhang et al., 2023); where none was, with that of all."""
