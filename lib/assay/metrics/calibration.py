"""Calibration: how far probabilities are from frequencies.

Every function takes all predictions of a split, on the host:

    probs: [N, C] float in [0, 1]; each row sums to 1 within `TOLERANCE` and is
      used as it is, not normalized. Numbers are float64; a float32 entry counts
      as the number it stores, so that float32(0.6) = 0.60000002 is above 0.6.
    labels: [N] int in [0, C).

Each raises a ValueError that names the argument and the first index: for other
shapes or types, no example, NaN, infinity, a probability out of [0, 1], a row
that does not sum to 1, a label out of range, a `num_bins` that is not at least
1. The confidence of an example is its largest probability; it is correct if
that is the label's, of equal ones the first.

What is binned depends on the bins and is biased upward on few examples, as the
absolute value or the square of a noisy gap is: compare numbers of equal N and
`num_bins`, or take `debiased_squared_calibration_error`.
"""

from typing import NamedTuple

import numpy as np

from assay.metrics import arguments, equal_mass, selective
from assay.metrics.bootstrap import bootstrap as bootstrap

TOLERANCE = 1e-3  # of a row's sum
NUM_CELLS = 2**16  # of the grid of `smooth_calibration_error`
SUMMARY = ('error', 'nll', 'brier', 'top_label_brier', 'ece', 'adaptive_ece',
           'classwise_ece', 'max_calibration_error', 'ks', 'auroc',
           'mean_confidence')
BLOCK = 2**20  # probabilities handled at a time where a copy is needed


class Reliability(NamedTuple):
  """What a reliability diagram draws, by bin.

  Attributes:
    confidence: [num_bins] float64, mean confidence; NaN in an empty bin.
    accuracy: [num_bins] float64, fraction correct; NaN in an empty bin.
    count: [num_bins] int, examples.
  """
  confidence: np.ndarray
  accuracy: np.ndarray
  count: np.ndarray


class BrierDecomposition(NamedTuple):
  """Parts of a Brier score, all float and, but for the last, >= 0.

  score = reliability - resolution + uncertainty
          + within_bin_variance - within_bin_covariance
  """
  reliability: float
  resolution: float
  uncertainty: float
  within_bin_variance: float
  within_bin_covariance: float


def top_label(probs, labels):
  """(confidence [N] float64, correct [N] bool) of the most probable class."""
  return _checked(probs, labels)[2:]


def expected_calibration_error(probs, labels, num_bins=15):
  """ECE: |accuracy - mean confidence| of a bin, averaged over examples.

  Top label (Guo et al., 2017), equal-width bins (lo, hi] with edges k/num_bins
  in float64; 0 is in the first one.

  Returns:
    float in [0, 1].

  Example:
    >>> from assay.metrics import calibration
    >>> probs = [[0.8, 0.2]] * 5
    >>> right_in_4, right_in_all = [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]
    >>> round(calibration.expected_calibration_error(probs, right_in_4), 3)
    0.0
    >>> round(calibration.expected_calibration_error(probs, right_in_all), 3)
    0.2
  """
  confidence, correct = top_label(probs, labels)
  bins = equal_width(confidence, num_bins)
  return _mean_gap(confidence, correct, bins, num_bins)


def adaptive_calibration_error(probs, labels, num_bins=15, binning='floor'):
  """The ECE with bins of equal mass in place of equal width, top label.

  Without ties bins differ by at most one example; equal confidences share one
  and others may then be empty. (Nixon et al., 2019, use the name for a mean
  over all classes.) `binning` is 'floor' or 'array_split', see `equal_mass`.

  Returns:
    float in [0, 1].
  """
  confidence, correct = top_label(probs, labels)
  num_bins = _checked_bins(num_bins)
  bins = equal_mass.bins_of(confidence, num_bins, binning)
  return _mean_gap(confidence, correct, bins, num_bins)


def maximum_calibration_error(probs, labels, num_bins=15):
  """MCE: the largest |accuracy - mean confidence| of a bin that is not empty.

  Top label, bins as in `expected_calibration_error`. The gap is not weighted by
  the bin's share of the examples, so a bin with one example may decide.

  Returns:
    float in [0, 1].
  """
  bins = reliability(probs, labels, num_bins)
  return float(np.nanmax(np.abs(bins.accuracy - bins.confidence)))


def classwise_calibration_error(probs, labels, num_bins=15):
  """The ECE of each class's probability, averaged over classes.

  Of class c, an example gives the pair probs[:, c] and labels == c; bins as in
  `expected_calibration_error`, plain mean over the C classes, also those
  without an example (the static calibration error of Nixon et al., 2019). With
  many classes most probabilities are near 0, and so is the mean.

  Returns:
    float in [0, 1].
  """
  probs, labels, *_ = _checked(probs, labels)
  n, num_classes = probs.shape
  num_bins = _checked_bins(num_bins)
  gap = np.zeros(num_bins * num_classes)
  for block in _blocks(probs):
    p, y = probs[block].astype(np.float64, order='C'), labels[block]
    of_label = equal_width(p[np.arange(len(y)), y], num_bins)
    # Most are in the first bin, whose sums are those of columns.
    above = np.flatnonzero(p > 1 / num_bins)
    values = p.ravel()[above]
    total = np.bincount(
        above % num_classes * num_bins + equal_width(values, num_bins), values,
        len(gap)).astype(float)  # NumPy's of nothing are integers
    p.ravel()[above] = 0
    total[::num_bins] = p.sum(axis=0)
    gap += total
    gap -= np.bincount(y * num_bins + of_label, minlength=len(gap))
  return float(np.abs(gap).sum() / (n * num_classes))


def brier_score(probs, labels):
  """Squared distance of a row to the one-hot label, averaged over examples.

  A sum over classes, in [0, 2]: twice the binary score if C = 2.

  Returns:
    float in [0, 2].

  Example:
    >>> from assay.metrics import calibration
    >>> calibration.brier_score([[0.5, 0.5], [0.0, 1.0]], [0, 1])
    0.25
  """
  probs, labels, *_ = _checked(probs, labels)
  total = 0.0
  for block in _blocks(probs):
    gap = probs[block].astype(np.float64)
    gap[np.arange(len(gap)), labels[block]] -= 1
    total += np.vdot(gap, gap)
  return float(total / len(labels))


def top_label_brier_score(probs, labels):
  """Mean of (confidence - correct)^2, a float in [0, 1]."""
  confidence, correct = top_label(probs, labels)
  return float(np.mean((confidence - correct) ** 2))


def negative_log_likelihood(probs, labels):
  """Mean of -log(probability of the label), in nats.

  Nothing is clipped: one label of probability 0 makes it infinite. If there are
  logits, `classification.nll` loses no digits.

  Returns:
    float >= 0, or inf.
  """
  probs, labels, *_ = _checked(probs, labels)
  with np.errstate(divide='ignore'):
    log_p = np.log(probs[np.arange(len(labels)), labels].astype(np.float64))
  return float(0.0 - log_p.mean())  # no -0.0


def kolmogorov_smirnov_calibration_error(probs, labels):
  """KS: max over t of |sum of (confidence - correct) up to t| / N, top label.

  The sum runs over examples with a confidence of at most t (Gupta et al.,
  2021). No bins; equal confidences enter together, so the order of examples
  does not matter.

  Returns:
    float in [0, 1].
  """
  confidence, correct = top_label(probs, labels)
  order = np.argsort(confidence, kind='stable')
  ordered = confidence[order]
  sums = np.cumsum(ordered - correct[order])
  last = np.append(ordered[1:] != ordered[:-1], True)  # of those equal to it
  return float(np.abs(sums[last]).max() / len(sums))


def smooth_calibration_error(probs, labels):
  """Smooth ECE, top label (Blasiok and Nakkiran, 2023): s with smECE_s = s.

  smECE_s is the integral over t in [0, 1] of |g(t)|, where g(t) is the mean of
  K_s(t, confidence) (correct - confidence) and K_s the Gaussian of standard
  deviation s reflected at 0 and 1. It falls as s grows, so there is one fixed
  point, at least |accuracy - mean confidence| and at most the smECE of s = 0:
  the ECE with a bin for each confidence.

  Computed on a grid of cells of width h = 1 / `NUM_CELLS` = 1.5e-5. Each
  example is split linearly between the two nodes beside it, the kernel is exact
  in the cosine basis (where reflection is free), the integral is a trapezoidal
  sum. This moves the result by at most 0.4 (h / s)^2, 1e-6 at s = 0.01; gaps of
  both signs closer to each other than h cancel. (The authors' package bisects
  ten times and takes the last smECE_s, which differs by up to 1e-3.)

  Returns:
    float in [0, 1].
  """
  from scipy import fft, optimize  # slow to import

  confidence, correct = top_label(probs, labels)
  # The node to the left of each example, and how far beyond it that is.
  left = np.minimum((confidence * NUM_CELLS).astype(int), NUM_CELLS - 1)
  beyond = confidence * NUM_CELLS - left
  gap = (correct - confidence) / len(confidence)
  mass = (np.bincount(left, gap * (1 - beyond), NUM_CELLS + 1)
          + np.bincount(left + 1, gap * beyond, NUM_CELLS + 1))
  weight = np.ones(NUM_CELLS + 1)  # of nodes in the trapezoidal sum
  weight[[0, -1]] = 0.5
  # DCT-I counts what is between the ends twice, hence half of it goes in.
  waves = fft.dct(mass * (1.5 - weight), type=1)
  decay = -0.5 * (np.pi * np.arange(NUM_CELLS + 1)) ** 2

  def excess(s):
    smoothed = fft.dct(waves * np.exp(decay * s**2), type=1)
    return np.abs(smoothed) @ weight / NUM_CELLS - s

  if excess(0.0) <= 0:
    return 0.0
  # An integral above 1 by rounding alone must not leave the bracket open.
  return min(1.0, float(optimize.brentq(excess, 0.0, 1 + 1e-9, xtol=1e-12)))


def debiased_squared_calibration_error(probs, labels, num_bins=15):
  """Squared l2 calibration error of the binned top label, without its bias.

  Sum over bins of n_b/N (d_b^2 - v_b/n_b), with d_b the mean and v_b the
  variance (ddof 1) of confidence - correct in bin b; bins as in
  `expected_calibration_error`. Given the n_b it is an unbiased estimate of the
  sum of n_b/N (E[confidence - correct | bin b])^2, but for bins with one
  example, which add 0. So it is below 0 about as often as above it where the
  model is calibrated, is not clipped, and its root is not taken.

  Where confidences in a bin are equal, v_b/n_b is accuracy (1 - accuracy) /
  (n_b - 1), the form of Kumar, Liang and Ma (2019), whose estimator is for
  outputs that are constant in a bin. It measures the binned model: gaps of both
  signs inside a bin cancel, as in the ECE.

  Returns:
    float in [-1, 1], in units of probability squared.
  """
  confidence, correct = top_label(probs, labels)
  bins, gap = equal_width(confidence, num_bins), confidence - correct
  count = np.bincount(bins, minlength=num_bins)
  mean = np.bincount(bins, gap, num_bins) / np.maximum(count, 1)
  spread = np.bincount(bins, (gap - mean[bins]) ** 2, num_bins)
  many = count > 1
  n, mean, spread = count[many], mean[many], spread[many]
  return float((n * mean**2 - spread / (n - 1)).sum() / len(gap))


def brier_decomposition(probs, labels, num_bins=15):
  """Parts of `top_label_brier_score` by bins (Murphy, 1973; Stephenson, 2008).

  With f the confidence, o whether it is correct, both averaged in a bin (f_b,
  o_b) or over all (o_all), and bins as in `expected_calibration_error`, the
  means over examples of

      reliability            (f_b - o_b)^2: 0 if calibrated
      resolution             (o_b - o_all)^2: how far the bins differ
      uncertainty            o_all (1 - o_all)
      within_bin_variance    (f - f_b)^2
      within_bin_covariance  2 (f - f_b) (o - o_b)

  The first three alone sum to the score only where confidences in a bin are
  equal.

  Returns:
    `BrierDecomposition`.

  Example:
    >>> from assay.metrics import calibration
    >>> probs, labels = [[0.75, 0.25]] * 2 + [[1., 0.]] * 2, [0, 1, 0, 0]
    >>> parts = calibration.brier_decomposition(probs, labels)
    >>> parts.reliability, parts.resolution, parts.uncertainty
    (0.03125, 0.0625, 0.1875)
  """
  confidence, correct = top_label(probs, labels)
  bins = equal_width(confidence, num_bins)
  means = by_bin(confidence, correct, bins, num_bins)
  f_b, o_b, o_all = (
      means.confidence[bins], means.accuracy[bins], correct.mean())
  return BrierDecomposition(
      reliability=float(np.mean((f_b - o_b) ** 2)),
      resolution=float(np.mean((o_b - o_all) ** 2)),
      uncertainty=float(o_all * (1 - o_all)),
      within_bin_variance=float(np.mean((confidence - f_b) ** 2)),
      within_bin_covariance=float(
          2 * np.mean((confidence - f_b) * (correct - o_b))))


def reliability(probs, labels, num_bins=15):
  """`Reliability`, top label; bins as in `expected_calibration_error`."""
  confidence, correct = top_label(probs, labels)
  bins = equal_width(confidence, num_bins)
  return by_bin(confidence, correct, bins, num_bins)


def summary(probs, labels, num_bins=15):
  """What is mostly reported, by the names in `SUMMARY`.

  Returns:
    dict of error, nll, brier, top_label_brier, ece, adaptive_ece,
    classwise_ece, max_calibration_error, ks (Kolmogorov-Smirnov), auroc (of the
    confidence, for being correct; NaN if all or none are), mean_confidence.
  """
  split = _checked(probs, labels), None  # the checks are made once
  confidence, correct = top_label(*split)
  values = (
      1 - correct.mean(), negative_log_likelihood(*split),
      brier_score(*split), top_label_brier_score(*split),
      expected_calibration_error(*split, num_bins),
      adaptive_calibration_error(*split, num_bins),
      classwise_calibration_error(*split, num_bins),
      maximum_calibration_error(*split, num_bins),
      kolmogorov_smirnov_calibration_error(*split),
      selective.auroc(confidence, correct)
      if 0 < correct.sum() < len(correct) else np.nan,
      confidence.mean())
  return dict(zip(SUMMARY, map(float, values), strict=True))


def equal_width(values, num_bins):
  """Bin of each value, of (k/num_bins, (k+1)/num_bins]; 0 is in the first."""
  num_bins = _checked_bins(num_bins)
  # Neither ceil(value * num_bins) nor linspace: 0.28 * 25 is above 7, and
  # linspace(0, 1, 6)[3] above 0.6; k / num_bins is the float nearest to it.
  return np.searchsorted(np.arange(1, num_bins) / num_bins, values)


def _mean_gap(confidence, correct, bins, num_bins):
  """|accuracy - mean confidence| of a bin, averaged over examples."""
  gap = np.bincount(bins, correct - confidence, num_bins)
  return float(np.abs(gap).sum() / len(bins))


def by_bin(confidence, correct, bins, num_bins):
  """`Reliability` of answers [N] whose bins [N] are given."""
  count = np.bincount(bins, minlength=num_bins)
  with np.errstate(invalid='ignore'):
    return Reliability(np.bincount(bins, confidence, num_bins) / count,
                       np.bincount(bins, correct, num_bins) / count, count)


def _blocks(probs):
  """Slices of rows with about `BLOCK` probabilities each."""
  rows = max(1, BLOCK // probs.shape[1])
  return [slice(i, i + rows) for i in range(0, len(probs), rows)]


def _checked_bins(num_bins):
  if not isinstance(num_bins, (int, np.integer)) or num_bins < 1:
    raise ValueError(f'num_bins={num_bins} must be an integer of at least 1.')
  return int(num_bins)


def _checked(probs, labels):
  return arguments.checked_split(probs, labels, TOLERANCE)
