"""A limit below which an alarm is raised, at a promised rate of false alarms.

Example:
  >>> import numpy as np
  >>> from assay.methods import ood_scores
  >>> known = np.arange(1., 100.)  # scores of 99 known examples
  >>> ood_scores.threshold(known, rate=.05)  # 4 of 99 are below
  5.0
  >>> ood_scores.threshold(known, rate=.05, confidence=.9)
  2.0
"""

import numpy as np

from assay.methods import conformal


def threshold(scores, rate, confidence=None):
  """The limit: what scores below it is called from elsewhere.

  For n known examples, exchangeable with those to come and **not** those of
  the fit, which score higher than others. Then a known example raises an alarm
  with probability at most `rate`, and more than `rate - 1 / (n + 1)` if no
  scores are equal. That is an average over sets of known examples; with one at
  hand the rate is Beta(n + 1 - k, k), k = ceil((n + 1) (1 - rate)), and with a
  `confidence` it is at most `rate` for that share of sets. It promises nothing
  about how much is found.

  Args:
    scores: [n] float of known examples, higher for known; no NaN.
    rate: of false alarms, in [0, 1].
    confidence: in (0, 1), or None.

  Returns:
    float; -infinity, so no alarm at all, if n is too small for the promise
    (n + 1 < 1 / rate, without confidence).
  """
  return -conformal.threshold(-conformal.column(scores), rate, confidence)


def p_values(scores, new):
  """(1 + number of known scores that are at most the new one) / (n + 1).

  Small for what is from elsewhere: at most `rate` exactly where the new score
  is below `threshold(scores, rate)`.

  Args:
    scores: [n] float of known examples, as for `threshold`.
    new: [N] float, scores of new examples; no NaN.

  Returns:
    [N] float64 in [1 / (n + 1), 1].

  Example:
    >>> from assay.methods import ood_scores
    >>> ood_scores.p_values([1., 2., 3., 4.], [0., 2., 9.])
    array([0.2, 0.6, 1. ])
  """
  known = np.sort(conformal.column(scores))
  as_low = np.searchsorted(known, conformal.column(new), 'right')
  return (1 + as_low) / (len(known) + 1)
