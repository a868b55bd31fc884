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
  about how much is found. `conformal.p_values(-scores, -new)` has a p-value for
  each new example; it is at most `rate` where its score is below the limit.

  Args:
    scores: [n] float of known examples, higher for known; no NaN.
    rate: of false alarms, in [0, 1].
    confidence: in (0, 1), or None.

  Returns:
    float; -infinity, so no alarm at all, if n is too small for the promise
    (n + 1 < 1 / rate, without confidence).
  """
  return -conformal.threshold(-np.asarray(scores, float), rate, confidence)
