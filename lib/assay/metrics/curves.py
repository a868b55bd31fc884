"""When a curve of training gets somewhere: a step, or NaN if it does not."""

import numpy as np


def first_below(curve, steps, level, window=5):
  """The first step at which the smoothed curve is below a level.

  Smoothed by a running mean of `window` points, those up to a step; of a
  shorter curve of all.

  Args:
    curve: [points] float, such as a loss.
    steps: [points] int, updates done at each.
    level: float.
    window: points, >= 1.

  Returns:
    float; NaN if it never is.

  Example:
    >>> from assay.metrics import curves
    >>> curves.first_below([4., 2., 1., 0.], [10, 20, 30, 40], 2., window=2)
    30.0
  """
  window = min(window, len(curve))
  smooth = np.convolve(curve, np.ones(window) / window, mode='valid')
  below = np.flatnonzero(smooth < level)
  return float(steps[below[0] + window - 1]) if len(below) else np.nan


def reached_for_good(curves, steps, level):
  """The first step from which each curve is never again below a level.

  Args:
    curves: [points, S] float, such as accuracies.
    steps: [points] int, updates done at each.
    level: float.

  Returns:
    [S] float; NaN where the last point is below it.

  Example:
    >>> from assay.metrics import curves
    >>> curves.reached_for_good([[.9], [.2], [.8], [.9]], [1, 2, 3, 4], .8)
    array([3.])
  """
  good = np.asarray(curves)[::-1] >= level
  since = np.where(good.all(axis=0), len(good), (~good).argmax(axis=0))
  return np.where(since > 0, np.asarray(steps)[-since], np.nan)
