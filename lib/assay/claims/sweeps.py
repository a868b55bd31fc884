"""Checks of a metric over the values of a swept field; see `claims.checks`."""

import dataclasses
import itertools

import numpy as np

from assay.claims import checks, rules, samples


@dataclasses.dataclass(frozen=True)
class _Sweep:
  """What checks of a metric over a sweep share.

  Attributes:
    metric: name of the metric.
    over: the field that is swept.
    method: the arm, a method or a dict of row fields; None: the only one.
    split: row field, as for `Check`.
    state: the same.
    group: the same.
    across: the same.
  """
  metric: str
  over: str
  method: str | dict | None = None
  split: str = 'test'
  state: str | None = None
  group: str = ''
  across: tuple = ()

  def levels(self, rows, at_least):
    """[(value, arm)] in order of the value; see `samples.levels`."""
    return samples.levels(rows, self.metric, self.over, self.method, at_least,
                          **checks.fields_read(self))

  def __call__(self, rows):
    return self.judge(rows)

  def difference(self, a, b, region):
    """The `Check` of two points of the sweep."""
    return checks.Check(self.metric, (a, b), region, '{} - {}',
                        across=self.across, **checks.fields_read(self))

  @property
  def cells(self):
    return (checks.cell(self, self.method or {}),)

  def _subject(self):
    of = f' of {checks.in_words(self.method)}' if self.method else ''
    return f'{checks.place(self)}over {self.over}, `{self.metric}`{of}'


@dataclasses.dataclass(frozen=True)
class Monotone(_Sweep):
  """No step of the sweep goes the wrong way by more than `slack`."""
  slack: float = 0.0
  increasing: bool = True

  def judge(self, rows, shared=rules.ALONE):
    return rules.combined([
        (f'{self.over} {x:g} to {y:g}', self.difference(b, a, self.region))
        for (x, a), (y, b) in itertools.pairwise(self.levels(rows, 2))],
                          rows, shared)

  @property
  def region(self):
    """Where the difference of each point and the one before it lies."""
    return ((-self.slack, np.inf) if self.increasing
            else (-np.inf, self.slack))

  @property
  def name(self):
    return ('rises' if self.increasing else 'falls') + f' over {self.over}'

  @property
  def sentence(self):
    verb = 'falls' if self.increasing else 'rises'
    return (f'{self._subject()} {verb} in no step'
            + f' by {self.slack:g} or more' * bool(self.slack))


@dataclasses.dataclass(frozen=True)
class MinimumInside(_Sweep):
  """The mean is lowest inside the sweep, at neither of its ends."""

  def judge(self, rows, shared=rules.ALONE):
    levels = self.levels(rows, 3)

    def mean(level):
      alone = checks.Check(self.metric, level[1:], (0, 0), '{}',
                           **checks.fields_read(self))
      values = alone.read(rows).values
      return np.mean(values) if len(values) else np.inf

    # The seeds that test a point have also chosen it, so the level is divided
    # by the number of points it was chosen from. Choosing by half of the seeds
    # would leave half to test with, and halves of re-splits share rows.
    inner, ends = levels[1:-1], [levels[0], levels[-1]]
    inside, end = min(inner, key=mean), min(ends, key=mean)
    may_hold = mean(inside) < mean(end)
    num = len(inner if may_hold else ends)
    pairs = ([(inside, e) for e in ends] if may_hold
             else [(i, end) for i in inner])
    parts = [(f'{self.over} {i:g} below {e:g}',
              self.difference(a, b, (-np.inf, 0))) for (i, a), (e, b) in pairs]
    verdict = rules.combined(
        parts, rows, rules.Shared(num * shared.holds, num * shared.fails),
        every=may_hold)
    lowest = (inside if may_hold else end)[0]
    return verdict._replace(
        note=f'lowest at {self.over} {lowest:g}; {verdict.note}')

  @property
  def name(self):
    return f'lowest inside {self.over}'

  @property
  def sentence(self):
    return f'{self._subject()} is lowest at neither end'
