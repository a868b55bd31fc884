"""A check across arms: which of two quantities a metric goes with."""

import dataclasses

import numpy as np

from assay.claims import checks, samples


@dataclasses.dataclass(frozen=True)
class RankedBy(checks.Check):
  """Over arms a metric is ranked by one quantity rather than by another.

  The number of a seed is Spearman's rank correlation with the first less that
  with the second. `arms` are cells: those of the metric, in the order of the
  arms, then those of the first quantity, then those of the second.
  """

  def value(self, x):
    from scipy import stats  # which takes longer than all of `claims`

    metric, first, second = np.split(x, 3)
    correlation = lambda by, i: stats.spearmanr(metric[:, i],
                                                by[:, i]).statistic
    return np.array([correlation(first, i) - correlation(second, i)
                     for i in range(x.shape[1])])

  @property
  def reach(self):
    return -2.0, 2.0

  @property
  def quantities(self):
    return tuple(dict.fromkeys(arm['metric'] for arm in self.arms))

  @property
  def name(self):
    return '{} by {}, not {}'.format(*self.quantities)

  @property
  def sentence(self):
    return ("over arms, the rank correlation (Spearman's) of `{}` with `{}` is "
            'above that with `{}`').format(*self.quantities)

  def example(self, holds):
    """Cells for which it holds, or fails, with the mean as `value`."""
    ranks = np.arange(len(self.arms) // 3)
    other = np.roll(ranks, len(ranks) // 2)
    values = [ranks / len(ranks), *((ranks, other) if holds
                                    else (other, ranks))]
    return [cell | {'value': float(value)} for cell, value in zip(
        self.cells, np.concatenate(values), strict=True)]


def ranked_by(metric, first, second, arms, *, of='train', **where):
  """Over arms, `metric` has a higher rank correlation with `first`.

  Args:
    metric, first, second: names of metrics; higher than with the second.
    arms: three or more; methods or dicts of row fields.
    of: the split of `first` and `second`.
    **where: as of other checks, of the metric.

  Raises:
    ValueError: two arms can only be ranked alike or the other way round.
  """
  if len(arms) < 3:
    raise ValueError(f'arms={arms}: a rank correlation takes three or more.')
  cells = [{'metric': name} | more | samples.fields_of(arm)
           for name, more in ((metric, {}), (first, {'split': of}),
                              (second, {'split': of})) for arm in arms]
  return RankedBy(metric, tuple(cells), (0, np.inf), '', **where)
