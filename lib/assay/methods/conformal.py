"""Split conformal prediction: sets of classes with a promised coverage.

    s = aps(calibration_probs)                    scores of all classes
    t = threshold(true_class(s, labels), alpha)   on examples not trained on
    found = sets(aps(test_probs), t)              [N, C] bool

With n calibration examples exchangeable with the test example and a score
without ties, the true class is in the set with probability k / (n + 1), k =
ceil((n + 1) (1 - alpha)), so in [1 - alpha, 1 - alpha + 1 / (n + 1)); ties only
raise it. That is an average over calibration sets: given one of them, coverage
is Beta(k, n + 1 - k). It is marginal, not per class or per example.

Everything is on the host, in float64. A score is large where the class is
implausible. probs: [N, C] float in [0, 1], each row sums to 1 within
`calibration.TOLERANCE`; labels: [N] int in [0, C). ValueErrors name the
argument.
"""

import numpy as np
from scipy import special

from assay.metrics.arguments import check_labels, checked_probabilities


def lac(probs):
  """1 - p_c (Sadinle et al., 2019): the smallest sets on average.

  Returns:
    [N, C] float64 in [0, 1].
  """
  return 1 - _float64(probs)


def aps(probs, uniform=None):
  """Mass of the classes before c, plus u p_c (Romano et al., 2020).

  Classes come by descending probability, of equal ones the lower index first.

  Args:
    probs: [N, C].
    uniform: u, [N] float in [0, 1], one draw for each example; None is 1 for
      all, without randomization, which covers more if classes are few. With u,
      sets may be empty.

  Returns:
    [N, C] float64 in [0, 1].
  """
  return raps(probs, 0, 0., uniform)


def raps(probs, k_reg, penalty, uniform=None):
  """APS + penalty max(0, rank of c - k_reg) (Angelopoulos et al., 2021).

  Ranks count from 1, in the order of `aps`: classes beyond the first k_reg
  are discouraged.

  Args:
    probs: [N, C].
    k_reg: int >= 0.
    penalty: lambda, >= 0; 0 is APS.
    uniform: as in `aps`.

  Returns:
    [N, C] float64 >= 0.
  """
  probs = _float64(probs)
  n, num_classes = probs.shape
  if k_reg < 0 or not 0 <= penalty < np.inf:
    raise ValueError(f'k_reg={k_reg} and penalty={penalty} must be at least 0 '
                     'and finite.')
  uniform = np.ones(n) if uniform is None else np.asarray(uniform, float)
  if uniform.shape != (n,) or not ((uniform >= 0) & (uniform <= 1)).all():
    raise ValueError(f'uniform {uniform.shape} must be [N]={n} numbers in '
                     '[0, 1].')
  order = np.argsort(-probs, axis=1, kind='stable')
  ordered = np.take_along_axis(probs, order, axis=1)
  before = np.cumsum(ordered, axis=1) - ordered
  beyond = np.maximum(0, np.arange(1, num_classes + 1) - k_reg)
  score = before + uniform[:, None] * ordered + penalty * beyond
  scores = np.empty_like(probs)
  np.put_along_axis(scores, order, score, axis=1)
  return scores


def true_class(scores, labels):
  """[N] float64, the score of each example's label."""
  scores, labels = _rows(scores), np.asarray(labels)
  _same(labels, scores)
  return scores[np.arange(len(labels)), labels]


def threshold(scores, alpha, confidence=None):
  """The k-th smallest score, k = ceil((n + 1) (1 - alpha)).

  The ceil((n + 1) (1 - alpha)) / n quantile, without interpolation. Infinity
  if k > n: too few examples, n < 1 / alpha - 1, and then sets have all
  classes. -infinity if k = 0 (alpha = 1): they are empty.

  Args:
    scores: [n] float, of the true class of calibration examples.
    alpha: in [0, 1], accepted share of misses.
    confidence: share of calibration sets, in (0, 1), for each of which the
      share of misses is at most alpha (Vovk, 2012): the least k that gives it,
      by Beta(k, n + 1 - k), infinity if none does. None: on average over them.

  Returns:
    float.

  Example:
    >>> from assay.methods import conformal
    >>> conformal.threshold([0.4, 0.1, 0.3, 0.2], alpha=0.4)  # the third of 4
    0.3
    >>> conformal.threshold([0.4, 0.1, 0.3, 0.2], alpha=0.1)  # too few
    inf
  """
  scores = column(scores)
  if not 0 <= alpha <= 1:
    raise ValueError(f'alpha={alpha} must be in [0, 1].')
  n = len(scores)
  # 10 (1 - 0.7) is above 3 by rounding, and must not count as 4.
  k = int(np.ceil((n + 1) * (1 - alpha) - 1e-12 * (n + 1)))
  if confidence is not None:
    if not 0 < confidence < 1:
      raise ValueError(f'confidence={confidence} must be in (0, 1).')
    ks = np.arange(1, n + 1)
    enough = special.betaincc(ks, n + 1 - ks, 1 - alpha) >= confidence
    k = int(ks[np.argmax(enough)]) if enough.any() else n + 1
  if k > n:
    return float('inf')
  return float(np.partition(scores, k - 1)[k - 1]) if k else float('-inf')


def sets(scores, threshold, at_least_one=False):
  """[N, C] bool: classes with a score of at most the threshold.

  Args:
    scores: [N, C] float, by the function that made those of the threshold.
    threshold: float, as `threshold` gives it.
    at_least_one: whether the class with the lowest score, the first of equal
      ones, is always in; this only adds to coverage.

  Example:
    >>> from assay.methods import conformal
    >>> scores = conformal.aps([[0.5, 0.25, 0.25], [0.75, 0.125, 0.125]])
    >>> scores.tolist()
    [[0.5, 0.75, 1.0], [0.75, 0.875, 1.0]]
    >>> conformal.sets(scores, 0.8).tolist()
    [[True, True, False], [True, False, False]]
  """
  scores = _rows(scores)
  if np.ndim(threshold) or np.isnan(threshold):
    raise ValueError(f'threshold={threshold} must be one number.')
  found = scores <= threshold
  if at_least_one:
    found[np.arange(len(found)), scores.argmin(axis=1)] = True
  return found


def coverage(sets, labels):
  """Share of examples whose label is in their set, a float in [0, 1]."""
  sets, labels = np.asarray(sets), np.asarray(labels)
  _same(labels, sets)
  return float(sets[np.arange(len(labels)), labels].mean())


def mean_size(sets):
  """Mean number of classes in a set, a float in [0, C]."""
  sets = np.asarray(sets)
  if sets.ndim != 2 or sets.dtype != bool or not sets.size:
    raise ValueError(f'sets {sets.shape} of {sets.dtype} must be [N, C] bool.')
  return float(sets.sum(axis=1).mean())


def _same(labels, rows):
  """Refuses labels that are not classes of `rows` [N, C]."""
  if rows.ndim != 2 or not rows.size or labels.shape != rows.shape[:1]:
    raise ValueError(f'labels {labels.shape} must be [N], of the rows of '
                     f'{rows.shape}.')
  check_labels(labels, rows.shape[1])


def column(scores):
  """Scores as float64 [n]; refuses other shapes, none, and NaN."""
  scores = np.asarray(scores, float)
  if scores.ndim != 1 or not scores.size or np.isnan(scores).any():
    raise ValueError(f'scores {scores.shape} must be [n], n at least 1, and '
                     'no NaN.')
  return scores


def _rows(scores):
  scores = np.asarray(scores, float)
  if scores.ndim != 2 or not scores.size or np.isnan(scores).any():
    raise ValueError(f'scores {scores.shape} must be [N, C], and no NaN.')
  return scores


def _float64(probs):
  """Probabilities as float64 [N, C]."""
  return checked_probabilities(probs).astype(np.float64, copy=False)
