"""Selection by a score: error detection, out-of-distribution, abstention.

All functions take one score and one truth for each example of a split, on the
host. What is wanted is positive (a correct prediction, an input from the
distribution of the training data), and a larger score says more of it; for the
other class as positive pass `-scores` and `~positive`.

Equal scores cannot be told apart by any threshold: they are selected together,
or, for a risk at each coverage, in a random order of which the expectation is
taken. So the order of examples never matters.

Each function raises a ValueError that names the argument and the first index:
for other shapes or types, no example, NaN or infinity.
"""

import numpy as np


def auroc(scores, positive):
  """Area under the ROC curve: P(positive above negative) + P(equal) / 2.

  Args:
    scores: [N] float, finite; larger is more positive.
    positive: [N] bool or 0 and 1; both must occur.

  Returns:
    float in [0, 1]; 0.5 if all scores are equal.

  Example:
    >>> from assay.metrics import selective
    >>> selective.auroc([0.9, 0.4, 0.6], [True, True, False])  # 1 pair of 2
    0.5
  """
  hits, alarms = _counts(scores, positive)
  # Twice the trapezoids under the curve: integers, so nothing is rounded yet.
  area = np.diff(alarms) @ (hits[1:] + hits[:-1])
  return float(area / (2 * hits[-1] * alarms[-1]))


def auroc_parts(scores, labels):
  """(AUROC, what each positive and each negative adds): DeLong's placements.

  Args:
    scores: [n] float, higher for label 1.
    labels: [n] of 0 and 1.

  Returns:
    AUROC, float; [positives] and [negatives] float in [0, 1], whose means are
    the AUROC.
  """
  positive, negative = (np.sort(scores[labels == k]) for k in (1, 0))

  def share_below(x, of):  # a tie counts half
    return (np.searchsorted(of, x, 'left')
            + np.searchsorted(of, x, 'right')) / (2 * len(of))

  of_positive = share_below(scores[labels == 1], negative)
  of_negative = 1 - share_below(scores[labels == 0], positive)
  return float(of_positive.mean()), of_positive, of_negative


def aupr(scores, positive):
  """Average precision: sum of precision times the step in recall.

  At the thresholds between different scores, from the highest down; no
  interpolation, so not the trapezoidal area under the precision-recall curve.

  Args:
    scores: [N] float, finite; larger is more positive.
    positive: [N] bool or 0 and 1; both must occur.

  Returns:
    float in (0, 1]; the share of positives if all scores are equal.
  """
  hits, alarms = _counts(scores, positive)
  precision = hits[1:] / (hits[1:] + alarms[1:])
  return float(np.diff(hits) @ precision / hits[-1])


def fpr_at_tpr(scores, positive, tpr=0.95):
  """The smallest false positive rate of a threshold with at least that TPR.

  No interpolation between thresholds. `fpr_at_tpr(scores, positive)` is the
  FPR95 of the out-of-distribution literature.

  Args:
    scores: [N] float, finite; larger is more positive.
    positive: [N] bool or 0 and 1; both must occur.
    tpr: least true positive rate, in (0, 1].

  Returns:
    float in [0, 1].
  """
  if not 0 < tpr <= 1:
    raise ValueError(f'tpr={tpr} must be in (0, 1].')
  hits, alarms = _counts(scores, positive)
  # Not hits >= tpr * positives: a product such as 0.28 * 25 is above 7.
  first = np.argmax(hits / hits[-1] >= tpr)
  return float(alarms[first] / alarms[-1])


def risk_coverage(confidence, correct):
  """Fraction of errors among the k most confident examples, for all k.

  Of equal confidences a random order is meant, and the risk is its expectation:
  errors are spread evenly over them.

  Args:
    confidence: [N] float, finite.
    correct: [N] bool or 0 and 1.

  Returns:
    coverage: [N] float64, k / N, ascending to 1.
    risk: [N] float64 in [0, 1]; the last is the error.

  Example:
    >>> from assay.metrics import selective
    >>> coverage, risk = selective.risk_coverage([0.9, 0.1], [True, False])
    >>> coverage.tolist(), risk.tolist()
    ([0.5, 1.0], [0.0, 0.5])
  """
  confidence, correct = _checked(
      confidence, correct, 'confidence', 'correct')
  covered, errors = _cumulative(confidence, ~correct)
  k = np.arange(1, len(correct) + 1)
  return k / len(k), np.interp(k, covered, errors) / k


def area_under_risk_coverage(confidence, correct):
  """AURC: the mean of `risk_coverage` over k = 1..N (Geifman et al., 2019).

  Args:
    confidence: [N] float, finite.
    correct: [N] bool or 0 and 1.

  Returns:
    float in [0, 1]; the error if all confidences are equal.
  """
  return float(risk_coverage(confidence, correct)[1].mean())


def excess_area_under_risk_coverage(confidence, correct):
  """E-AURC: AURC less that of a score with all errors last, at equal error.

  (Geifman et al., 2019.) The optimum is the exact one of N examples, which
  tends to r + (1 - r) log(1 - r) for the error r as N grows.

  Args:
    confidence: [N] float, finite.
    correct: [N] bool or 0 and 1.

  Returns:
    float in [0, 1); 0 if each correct example is above each error.
  """
  _, risk = risk_coverage(confidence, correct)
  k = np.arange(1, len(risk) + 1)
  errors = np.count_nonzero(~np.asarray(correct, bool))
  optimal = np.maximum(k - (len(k) - errors), 0) / k
  return float(np.mean(risk - optimal))


def _counts(scores, positive):
  """[T + 1] int true and false positives, from no example selected to all."""
  scores, positive = _checked(scores, positive, 'scores', 'positive')
  if positive.all() or not positive.any():
    raise ValueError(
        f'positive is {bool(positive[0])} everywhere ({len(positive)} in all); '
        'the metric is undefined without both positives and negatives.')
  selected, hits = _cumulative(scores, positive)
  return hits, selected - hits


def _cumulative(scores, marked):
  """[T + 1] int: examples, and marked ones, at or above each of T scores."""
  order = np.argsort(-scores, kind='stable')
  ordered = scores[order]
  last = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(order) - 1)
  counts = np.cumsum(marked[order], dtype=np.int64)[last]
  return np.append(0, last + 1), np.append(0, counts)


def _checked(scores, truth, scores_name, truth_name):
  """Scores as float64 [N], the truth as bool [N]."""
  scores, truth = np.asarray(scores, np.float64), np.asarray(truth)
  if scores.ndim != 1 or truth.shape != scores.shape or not scores.size:
    raise ValueError(f'{scores_name} {scores.shape} and {truth_name} '
                     f'{truth.shape} must both be [N], with N at least 1.')
  for name, values, bad, rule in (
      (scores_name, scores, ~np.isfinite(scores), 'finite'),
      (truth_name, truth, (truth != 0) & (truth != 1), 'bool or 0 or 1')):
    if bad.any():
      i = np.argmax(bad)
      raise ValueError(f'{name}[{i}] is {values[i]}; it must be {rule}.')
  return scores, truth.astype(bool)
