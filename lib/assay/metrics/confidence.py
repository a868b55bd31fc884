"""How a calibrator moves confidence, by how wrong a prediction is."""

import numpy as np


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
