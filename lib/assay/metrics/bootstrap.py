"""An interval of any metric over the examples of one split."""

import numpy as np


def bootstrap(metric, probs, labels, num_resamples=1000, seed=0):
  """A metric and its 95 % percentile interval over examples.

  Rows are drawn with replacement, N at a time. The ends are values of resamples
  (the next ones outside the 2.5 % and 97.5 % points), so infinite ones stay
  infinite. An interval of the N examples of one model; it knows nothing of
  other seeds. A resample has fewer distinct examples than the data: what is
  biased upward on few examples, such as the ECE, is so once more, and its
  interval may lie above the estimate altogether.

  Time is that of `num_resamples` metrics, memory one copy of `probs`.

  Args:
    metric: `(probs, labels) -> float`, such as `expected_calibration_error`; or
      `selective.auroc`, with scores and truth in place of probs and labels.
    probs: [N, ...], what `metric` takes first.
    labels: [N, ...], what it takes second.
    num_resamples: number of resamples, >= 1.
    seed: of the resampling.

  Returns:
    (estimate, low, high), float each.

  Raises:
    ValueError: lengths differ, too few resamples; what `metric` raises.

  Example:
    >>> from assay.metrics import calibration, classification
    >>> logits, labels = [[2., 1.]] * 4, [0, 0, 0, 1]
    >>> calibration.bootstrap(classification.error, logits, labels, 200)
    (0.25, 0.0, 0.75)
  """
  probs, labels = np.asarray(probs), np.asarray(labels)
  if probs.shape[:1] != labels.shape[:1] or not probs.shape:
    raise ValueError(f'probs {probs.shape} and labels {labels.shape} must have '
                     'the same number of rows.')
  n = len(labels)

  def resampled(rng):
    rows = rng.integers(n, size=n)
    return metric(probs[rows], labels[rows])

  estimate = float(metric(probs, labels))
  return estimate, *percentile_interval(resampled, num_resamples, seed)


def percentile_interval(resampled, num_resamples, seed):
  """(low, high), float each: the 95 % interval of what is drawn.

  The ends are values that were drawn, the next ones outside, so infinite ones
  stay infinite.

  Args:
    resampled: `numpy.random.Generator -> float`, the metric of one resample.
    num_resamples: >= 1.
    seed: of the generator.

  Raises:
    ValueError: too few resamples.
  """
  if num_resamples < 1:
    raise ValueError(f'num_resamples={num_resamples} must be at least 1.')
  rng = np.random.default_rng(seed)
  values = [float(resampled(rng)) for _ in range(num_resamples)]
  low = np.quantile(values, 0.025, method='lower')
  high = np.quantile(values, 0.975, method='higher')
  return float(low), float(high)
