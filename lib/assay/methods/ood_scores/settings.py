"""Checks of the settings of scores.

Example:
  >>> from assay.methods.ood_scores import settings
  >>> settings.whole(3, 'k', 1, 9)
  3
  >>> settings.setting(101, 'percentile', 0, 100)
  Traceback (most recent call last):
  ValueError: percentile=101 must be in [0, 100].
"""

import operator

import numpy as np


def setting(value, name, low, high=np.inf):
  """A number in [low, high], or a ValueError."""
  if not low <= value <= high:
    raise ValueError(f'{name}={value} must be in [{low:g}, {high:g}].')
  return value


def whole(value, name, low, high=np.inf):
  """An integer in [low, high], or a ValueError."""
  try:
    return setting(operator.index(value), name, low, high)
  except TypeError as e:
    raise ValueError(f'{name}={value} must be an integer.') from e
