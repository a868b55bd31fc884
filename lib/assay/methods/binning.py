"""Post-hoc calibration by binning, isotonic regression and splines.

Calibrators as described in `calibrators`, but on the host: `fit` gives a dict
of NumPy arrays, log_p is float64, and nothing maps over more axes. They work
on probabilities, p = softmax(logits) in float64. But for the spline, no
probability is below `FLOOR` before a row is normalized, which bounds the NLL:
frequencies of 0 are common here, and the NLL of test data depends on it.
"""

import numpy as np
from scipy import special

from assay.methods import calibrators, isotonic_regression
from assay.metrics.arguments import (
    check_labels,
    check_no_probabilities,
    check_scores,
    on_host,
)

FLOOR = 1e-8
SLOPE = 1e-9  # of `multi_isotonic` where the fitted function is flat
BISECTIONS = 45  # of log T in `apply_spline`: to 1e-12


# --- Isotonic regression -----------------------------------------------------


def fit_isotonic(logits, labels):
  """Isotonic regression of 1[y = c] on p_c, class by class, then normalized.

  One against the rest (Zadrozny and Elkan, 2002), least squares, the same as
  scikit-learn's: equal p_c count as one with their mean; linear between fitted
  points, constant beyond. A row whose values are all 0 becomes uniform.
  Accuracy may change.

  Args:
    logits: [N, C] float.
    labels: [N] int in [0, C).

  Returns:
    dict of x, y: [C, K] float64, points of each class's function, the last one
    repeated.
  """
  p, labels = _probabilities(logits, labels)
  return _stacked([isotonic_regression.fit(p[:, c], labels == c)
                   for c in range(p.shape[1])])


def apply_isotonic(params, logits):
  """Log-probabilities [N, C] float64."""
  p = _of_classes(logits, params['x'])
  return _normalized(np.stack(
      [np.interp(p[:, c], x, y)
       for c, (x, y) in enumerate(zip(params['x'], params['y'], strict=True))],
      axis=1))


def fit_multi_isotonic(logits, labels):
  """One isotonic function of all N C pairs (p_c, 1[y = c]), then normalized.

  Zhang et al. (2020): as the same function serves all classes and is made to
  rise strictly, by adding `SLOPE` p, accuracy stays. Sorts N C numbers.

  Args:
    logits: [N, C] float.
    labels: [N] int in [0, C).

  Returns:
    dict of x, y: [1, K] float64, points of the function.
  """
  p, labels = _probabilities(logits, labels)
  right = labels[:, None] == np.arange(p.shape[1])
  return _stacked([isotonic_regression.fit(p.ravel(), right.ravel())])


def apply_multi_isotonic(params, logits):
  """Log-probabilities [N, C] float64; accuracy stays."""
  p, _ = _probabilities(logits)
  value = np.interp(p, params['x'][0], params['y'][0])
  log_p = _normalized(np.maximum(value, FLOOR) + SLOPE * p)
  return _keeping_top(log_p, logits)


def _stacked(points):
  """[(x [k], y [k])] of classes -> x, y [C, K], padded with the last."""
  longest = max(len(x) for x, _ in points)
  return {name: np.stack([np.pad(point[i], (0, longest - len(point[i])), 'edge')
                          for point in points]) for i, name in enumerate('xy')}


# --- Histogram binning -------------------------------------------------------


def fit_histogram(logits, labels, num_bins=15):
  """Frequency of class c among examples with p_c in a bin, then normalized.

  One against the rest (Zadrozny and Elkan, 2001; Guo et al., 2017) with bins
  (lo, hi] of equal width, 0 in the first; an empty bin keeps its middle. A row
  whose values are all 0 becomes uniform. Accuracy may change, and does with
  many classes: two of one bin differ only if their functions do.

  Args:
    logits: [N, C] float.
    labels: [N] int in [0, C).
    num_bins: >= 1.

  Returns:
    dict of values: [C, num_bins] float64.

  Example:
    >>> import numpy as np
    >>> from assay.methods.binning import histogram
    >>> logits = np.log([[0.9, 0.1]] * 4)  # 0.9 is too sure: 3 of 4 are right
    >>> params = histogram.fit(logits, [0, 0, 0, 1])
    >>> np.exp(histogram.apply(params, logits[:1])).round(3).tolist()
    [[0.75, 0.25]]
  """
  p, labels = _probabilities(logits, labels)
  if num_bins < 1:
    raise ValueError(f'num_bins={num_bins} must be at least 1.')
  middles = (np.arange(num_bins) + 0.5) / num_bins
  values = []
  for c in range(p.shape[1]):
    bins = _bins(p[:, c], num_bins)
    count = np.bincount(bins, minlength=num_bins)
    right = np.bincount(bins, labels == c, num_bins)
    values.append(np.where(count > 0, right / np.maximum(count, 1), middles))
  return {'values': np.stack(values)}


def apply_histogram(params, logits):
  """Log-probabilities [N, C] float64."""
  values = params['values']
  p = _of_classes(logits, values)
  bins = _bins(p, values.shape[1])
  return _normalized(values[np.arange(len(values)), bins])


def _bins(p, num_bins):
  # k / num_bins is the float nearest to the edge; linspace's need not be.
  return np.searchsorted(np.arange(1, num_bins) / num_bins, p)


# --- Spline ------------------------------------------------------------------


def fit_spline(logits, labels, num_knots=6):
  """Top-label recalibration by the slope of a spline (Gupta et al., 2021).

  With confidences r sorted upwards and t_i = i / N, the cumulative gap
  G(t_i) = sum_(j <= i) (1[j is right] - r_j) / N has the slope P(right | r) - r
  in t. A natural cubic spline with equidistant knots in [0, 1] is fitted to
  (0, 0) and the (t_i, G(t_i)) by least squares (of least norm, with fewer
  examples than knots); the new confidence is r + G'(t(r)).

  t(r) is linear between the examples, those of equal r at their mean t, and
  constant beyond.

  Args:
    logits: [N, C] float.
    labels: [N] int in [0, C).
    num_knots: >= 2; 6 as in the paper.

  Returns:
    dict of confidence, rank: [M] float64, t of M distinct confidences; values:
    [num_knots] float64, the spline at its knots.
  """
  p, labels = _probabilities(logits, labels)
  if num_knots < 2:
    raise ValueError(f'num_knots={num_knots} must be at least 2.')
  confidence, n = p.max(axis=1), len(p)
  order = np.argsort(confidence, kind='stable')
  levels, which, count = np.unique(confidence[order], return_inverse=True,
                                   return_counts=True)
  # Examples of equal confidence share their gap: their order is nothing.
  right = (p.argmax(axis=1) == labels)[order]
  gap = (np.bincount(which, right) / count - levels)[which]
  t = np.arange(n + 1) / n
  total = np.append(0, np.cumsum(gap)) / n
  values = np.linalg.lstsq(_spline(np.eye(num_knots))(t), total)[0]
  return {'confidence': levels, 'rank': np.bincount(which, t[1:]) / count,
          'values': values}


def apply_spline(params, logits):
  """Log-probabilities [N, C] float64; accuracy stays.

  The paper gives a new confidence alone. Ours: each row is softmax(z / T) with
  the T at which its confidence is that, or as near to it as T in [e^-20, e^20]
  gets (not below 1 / C). 45 passes over the logits.
  """
  confidence = _probabilities(logits)[0].max(axis=1)
  t = np.interp(confidence, params['confidence'], params['rank'])
  target = confidence + _spline(params['values']).derivative()(t)
  z = np.asarray(logits, np.float64)
  z = z - z.max(axis=1, keepdims=True)
  low, high = np.full(len(z), -20.), np.full(len(z), 20.)  # of log 1/T
  for _ in range(BISECTIONS):
    middle = (low + high) / 2
    above = 1 / np.exp(np.exp(middle)[:, None] * z).sum(axis=1) > target
    low, high = np.where(above, low, middle), np.where(above, middle, high)
  log_p = special.log_softmax(np.exp(low)[:, None] * z, axis=1)
  return _keeping_top(log_p, logits)


def _spline(values):
  """The natural cubic spline through values [K, ...] at K knots of [0, 1]."""
  from scipy import interpolate  # slow to import

  return interpolate.CubicSpline(np.linspace(0, 1, len(values)), values,
                                 bc_type='natural')


# --- Helpers -----------------------------------------------------------------


def _probabilities(logits, labels=None):
  """softmax(logits) as float64 [N, C], and the labels as an array."""
  logits = on_host(logits, 'logits')
  labels = None if labels is None else on_host(labels, 'labels')
  check_scores(logits, labels)
  if not np.isfinite(logits).all():
    raise ValueError('logits must be finite.')
  if labels is not None:
    check_labels(labels, logits.shape[1])
    check_no_probabilities(logits)
  return special.softmax(logits.astype(np.float64), axis=1), labels


def _of_classes(logits, fitted):
  """Probabilities [N, C], with C that of the data in `fit`."""
  p, _ = _probabilities(logits)
  if p.shape[1] != len(fitted):
    raise ValueError(f'logits {p.shape} must have the {len(fitted)} classes '
                     'of those in `fit`.')
  return p


def _normalized(p):
  """Logarithm of rows / their sums, after the floor; 0 rows are uniform."""
  p = np.maximum(p, FLOOR)
  return np.log(p / p.sum(axis=1, keepdims=True))


def _keeping_top(log_p, logits):
  """As `calibrators.keeping_top`: the first argmax stays, ties included."""
  top = np.argmax(logits, axis=1)[:, None]
  peak = np.take_along_axis(log_p, top, axis=1)
  # Roundings of float32, which the result may be cast to.
  gap = 4 * np.finfo(np.float32).eps * np.maximum(1, np.abs(peak))
  before = np.arange(log_p.shape[1])[None] < top
  return np.minimum(log_p, np.where(before, peak - gap, peak))


isotonic = calibrators.Calibrator(fit_isotonic, apply_isotonic)
multi_isotonic = calibrators.Calibrator(fit_multi_isotonic,
                                        apply_multi_isotonic)
histogram = calibrators.Calibrator(fit_histogram, apply_histogram)
spline = calibrators.Calibrator(fit_spline, apply_spline)
