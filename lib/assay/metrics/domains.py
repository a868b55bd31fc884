"""A metric by domain, and that of the worst one with what chance leaves of it.

    found = domains.by_domain(regression.rmse, predictions, y, domain)
    found = domains.worst(regression.rmse, predictions, y, domain)
"""

from typing import NamedTuple

import numpy as np

from assay.metrics import bootstrap


class Worst(NamedTuple):
  """The worst domain's metric; see `worst`."""
  value: float
  domain: int  # which it is
  low: float
  high: float


def by_domain(metric, predictions, targets, domains):
  """The metric of the examples of each domain.

  Args:
    metric: `(predictions, targets) -> float`.
    predictions: [N, ...], what `metric` takes first.
    targets: [N, ...], what it takes second.
    domains: [N] int.

  Returns:
    dict of domain -> float, in order.

  Raises:
    ValueError: lengths differ, no example, domains that are no integers.

  Example:
    >>> from assay.metrics import domains, regression
    >>> predictions, targets = [[1.], [1.], [2.]], [[1.], [3.], [5.]]
    >>> domains.by_domain(regression.rmse, predictions, targets, [7, 7, 8])
    {7: 1.4142135623730951, 8: 3.0}
  """
  predictions, targets, rows = _rows(predictions, targets, domains)
  return {k: float(metric(predictions[r], targets[r])) for k, r in rows.items()}


def worst(metric, predictions, targets, domains, *, higher_is_worse=True,
          num_resamples=500, seed=0):
  """The metric of the worst domain, with a 95 % interval by the bootstrap.

  Examples are drawn with replacement within each domain, so that none loses its
  examples, and each resample has the worst domain of its own, among those where
  the metric is defined. What is the worst of several is biased: a domain of few
  examples is the worst in many resamples by chance, and the interval may lie on
  the bad side of the value.

  Args:
    metric, predictions, targets, domains: as `by_domain` takes them.
    higher_is_worse: True for errors, False for correlations.
    num_resamples: >= 1.
    seed: of the resampling.

  Returns:
    A `Worst`; NaN where the metric of a domain is.

  Raises:
    ValueError: see `by_domain`; too few resamples.

  Example:
    >>> from assay.metrics import domains, regression
    >>> predictions, targets = [[1.], [1.], [2.]], [[1.], [3.], [5.]]
    >>> domains.worst(regression.rmse, predictions, targets, [7, 7, 8])
    Worst(value=3.0, domain=8, low=3.0, high=3.0)
  """
  values = by_domain(metric, predictions, targets, domains)
  predictions, targets, rows = _rows(predictions, targets, domains)
  sign = 1 if higher_is_worse else -1
  # A NaN is the worst.
  of = lambda found: max(found, key=lambda k: (
      np.isnan(found[k]), sign * found[k]))

  def resampled(rng):
    found = {}
    for k, mine in rows.items():
      drawn = mine[rng.integers(len(mine), size=len(mine))]
      found[k] = float(metric(predictions[drawn], targets[drawn]))
    defined = {k: v for k, v in found.items() if not np.isnan(v)} or found
    return found[of(defined)]

  name = of(values)
  return Worst(values[name], name, *bootstrap.percentile_interval(
      resampled, num_resamples, seed))


def _rows(predictions, targets, domains):
  """Both arrays, and the rows of each domain, in order."""
  predictions, targets, domains = map(np.asarray, (
      predictions, targets, domains))
  if domains.ndim != 1 or not len(domains) or not (
      predictions.shape[:1] == targets.shape[:1] == domains.shape):
    raise ValueError(f'predictions {predictions.shape} and targets '
                     f'{targets.shape} must have the N >= 1 rows of domains '
                     f'{domains.shape}, which are [N].')
  if not np.issubdtype(domains.dtype, np.integer):
    raise ValueError(f'domains have dtype {domains.dtype}; they must be '
                     'integers.')
  return predictions, targets, {
      int(k): np.flatnonzero(domains == k) for k in np.unique(domains)}
