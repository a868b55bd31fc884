"""The function of one variable that never falls and is nearest to the data."""

import bisect

import numpy as np

from assay.metrics.arguments import check_finite, on_host

RESOLUTION = 1e-15  # values nearer than this are one


def fit(x, y):
  """Isotonic regression by least squares, with values in [0, 1].

  The same as scikit-learn's `IsotonicRegression(y_min=0, y_max=1)`, whose
  import takes longer than most fits: equal x count as one with their mean.

  Args:
    x: [N] float, finite, N >= 1.
    y: [N] float or bool.

  Returns:
    (x [K], y [K]) float64, K <= N: the points between which the function is
    linear, sorted upwards; it is constant beyond them.

  Raises:
    ValueError: no two vectors of one length, or a value that is not finite.

  Example:
    >>> from assay.methods import isotonic_regression
    >>> x, y = isotonic_regression.fit([1., 2., 3., 4.], [0., 1., 0., 1.])
    >>> x.tolist(), y.tolist()
    ([1.0, 2.0, 3.0, 4.0], [0.0, 0.5, 0.5, 1.0])
  """
  from scipy import optimize  # slow to import

  x, y = on_host(x, 'x'), on_host(y, 'y')
  if x.ndim != 1 or x.shape != y.shape or not x.size:
    raise ValueError(f'x {x.shape} and y {y.shape} must be vectors of one '
                     'length, of one value at least.')
  for name, values in ('x', x), ('y', y):
    check_finite(values, name)
  order = np.argsort(x)
  x, y = x[order], y[order]
  starts = _starts(x)
  count = np.diff(starts, append=len(x))
  x, y = x[starts], np.add.reduceat(y, starts, dtype=float) / count
  y = np.clip(optimize.isotonic_regression(y, weights=count).x, 0, 1)
  inner = (y[1:-1] == y[:-2]) & (y[1:-1] == y[2:])  # says nothing of its own
  kept = np.append(np.append(True, ~inner), True)[:len(y)]
  return x[kept], y[kept]


def _starts(x):
  """Where another value begins in x [N], sorted upwards.

  As in scikit-learn, values count as equal to the first that is nearer to them
  than `RESOLUTION`.
  """
  far = np.diff(x) >= RESOLUTION
  starts = np.flatnonzero(np.append(True, far))
  ends = np.append(starts[1:], len(x))
  # Steps that are too small each, but not all of them together.
  more = []
  for i in np.flatnonzero(x[ends - 1] - x[starts] >= RESOLUTION):
    at, end = starts[i], ends[i]
    while x[end - 1] - x[at] >= RESOLUTION:
      at = bisect.bisect_left(x, RESOLUTION, at, end,
                              key=lambda value, first=x[at]: value - first)
      more.append(at)
  return np.sort(np.append(starts, more).astype(int))
