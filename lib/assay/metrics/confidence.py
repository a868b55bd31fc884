"""How confident one should be: a number for each answer, right or wrong.

Also how a calibrator moves confidence, by how wrong a prediction is.
"""

import numpy as np

from assay.metrics import calibration


def narrowly_wrong(probs, labels, margin):
  """Which predictions are wrong, and which of them narrowly, [N] bool each.

  Narrowly: the true class is second, or at most `margin` below the first.

  Args:
    probs: [N, K] float.
    labels: [N] int in [0, K).
    margin: 0 or more.
  """
  order = np.argsort(-probs, axis=1, kind='stable')
  wrong = order[:, 0] != labels
  at = np.arange(len(labels))
  near = probs[at, order[:, 0]] - probs[at, labels] <= margin
  return wrong, wrong & (near | (order[:, 1] == labels))


def changes(probs, after, labels, margin):
  """{group: (mean change of confidence, n)}, by how wrong a prediction was.

  Args:
    probs: [N, K] float, before.
    after: [N] confidence after, or NaN where there is none.
    labels: [N] int in [0, K).
    margin: of `narrowly_wrong`.

  Returns:
    Of the groups `narrowly_wrong`, `far_wrong` and `right`; NaN of an empty
    one.

  Example:
    >>> import numpy as np
    >>> from assay.metrics import confidence
    >>> found = confidence.changes(
    ...     np.array([[.75, .25]]), np.array([.5]), np.array([0]), margin=.1)
    >>> float(found['right'][0]), int(found['right'][1])
    (-0.25, 1)
  """
  wrong, narrow = narrowly_wrong(probs, labels, margin)
  change = np.broadcast_to(after - probs.max(axis=1), len(labels))
  return {group: (change[members].mean() if members.any() else np.nan,
                  members.sum())
          for group, members in (('narrowly_wrong', narrow),
                                 ('far_wrong', wrong & ~narrow),
                                 ('right', ~wrong))}


def reliability(stated, correct, num_bins=10):
  """Mean confidence, share that is right, and number, of each bin.

  Of answers that come with a confidence, and not with a distribution over
  classes, for which there is `calibration.reliability`. Bins (lo, hi] of equal
  width; NaN where one is empty.

  Args:
    stated: [N] float in [0, 1].
    correct: [N] bool.
    num_bins: bins M.

  Returns:
    A `calibration.Reliability`.
  """
  stated, correct = np.asarray(stated, float), np.asarray(correct, bool)
  return calibration.by_bin(
      stated, correct, calibration.equal_width(stated, num_bins), num_bins)


def calibration_error(stated, correct, num_bins=15):
  """The mean over answers of a bin's |confidence - share that is right|.

  Args:
    stated, correct, num_bins: as of `reliability`.

  Example:
    >>> from assay.metrics import confidence
    >>> confidence.calibration_error([.75, .75, 1.], [True, False, True])
    0.16666666666666666
  """
  mean, right, count = reliability(stated, correct, num_bins)
  return float(np.nansum(np.abs(mean - right) * count) / count.sum())
