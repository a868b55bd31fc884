"""Regression metrics, as the C-Mixup code computes them."""

import numpy as np


def rmse(predictions, targets):
  """Root mean squared error over all entries, in units of the target.

  Args:
    predictions: [N, Q] float.
    targets: [N, Q] float.

  Returns:
    float >= 0.

  Example:
    >>> from assay.metrics import regression
    >>> regression.rmse([[1.], [1.]], [[2.], [8.]])  # sqrt((1 + 49) / 2)
    5.0
  """
  predictions, targets = _checked(predictions, targets)
  return float(np.sqrt(np.mean((predictions - targets) ** 2)))


def mape(predictions, targets):
  """Mean absolute percentage error in percent, over nonzero targets.

  Args:
    predictions: [N, Q] float.
    targets: [N, Q] float; entries equal to zero are left out.

  Returns:
    float >= 0; NaN when every target is zero.

  Example:
    >>> from assay.metrics import regression
    >>> round(regression.mape([[110.], [45.], [1.]], [[100.], [50.], [0.]]), 3)
    10.0
  """
  predictions, targets = _checked(predictions, targets)
  kept = targets != 0
  if not kept.any():
    return float('nan')
  error = np.abs((predictions[kept] - targets[kept]) / targets[kept])
  return float(100 * np.mean(error))


def pearson(predictions, targets):
  """Pearson correlation per output, averaged over outputs that vary.

  Args:
    predictions: [N, Q] float.
    targets: [N, Q] float.

  Returns:
    float in [-1, 1]; NaN when no output varies in both arrays.
  """
  predictions, targets = _checked(predictions, targets)
  p = predictions - predictions.mean(axis=0)
  t = targets - targets.mean(axis=0)
  scale = np.sqrt((p ** 2).sum(axis=0) * (t ** 2).sum(axis=0))
  # Not `scale > 0`: the mean of a constant may round.
  varies = (np.ptp(predictions, axis=0) > 0) & (np.ptp(targets, axis=0) > 0)
  if not varies.any():
    return float('nan')
  return float(np.mean((p * t).sum(axis=0)[varies] / scale[varies]))


def _checked(predictions, targets):
  """Both arrays as float64 of one shape [N, Q]."""
  predictions = np.asarray(predictions, np.float64)
  targets = np.asarray(targets, np.float64)
  if predictions.shape != targets.shape or predictions.ndim != 2:
    raise ValueError(
        f'predictions {predictions.shape} and targets {targets.shape} must '
        'both be [N, Q].')
  return predictions, targets
