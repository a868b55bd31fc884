"""What becomes of examples that are answered or not, each class for itself.

Example:
  >>> from assay.metrics import accepted
  >>> found = accepted.summary([0, 0, 1, 1], [0, 1, 1, 1], [1, 1, 1, 0], .9)
  >>> found['admitted'], found['admitted_wrong']
  (0.75, 0.25)
"""

import numpy as np


def summary(predicted, labels, accepted, alpha):
  """What rows carry of an acceptance on examples with labels.

  Args:
    predicted: [n] int.
    labels: [n] int.
    accepted: [n] bool.
    alpha: in (0, 1), the accuracy that is promised.

  Returns:
    dict of admitted, the share of examples that are; admitted_wrong, the share
    of all that are admitted and wrong; admitted_accuracy, NaN without any; and
    shortfall: over classes, by prediction and by truth, the most by which the
    accuracy of those admitted is below alpha less two standard errors of it;
    as if all were right where none is admitted.
  """
  predicted, labels, accepted = (np.asarray(x) for x in (
      predicted, labels, accepted))
  accepted, right = accepted.astype(bool), predicted == labels
  found = {'admitted': float(accepted.mean()),
           'admitted_wrong': float((accepted & ~right).mean()),
           'admitted_accuracy': float(right[accepted].mean())
           if accepted.any() else np.nan, 'shortfall': alpha - 1}
  below = []
  for of_class in (predicted, labels):
    for c in np.unique(of_class[accepted]):
      mine = right[accepted & (of_class == c)]
      error = np.sqrt(alpha * (1 - alpha) / len(mine))
      below.append(float(alpha - 2 * error - mine.mean()))
  return found | ({'shortfall': max(below)} if below else {})
