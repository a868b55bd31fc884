"""Checks: statements on rows, each of which gives a verdict and a sentence.

A check is a frozen object. It is called on rows, and it has

    check(rows)      the `Verdict`
    check.cells      row fields of each mean it reads
    check.metric     the metric it reads, '' if its parts read several
    check.name       a few words, such as 'ours < erm'
    check.sentence   what it says, such as '`rmse` of ours is below that of erm'

A `Check` has `read(rows)` too, the numbers that it judges, and what is made of
other checks has `parts`. A function of rows to a `Verdict` may stand wherever a
check does, but for `every_seed`.
"""

import dataclasses

import numpy as np

from assay import results
from assay.claims import intervals, rules, samples
from assay.claims.intervals import TAIL


@dataclasses.dataclass(frozen=True)
class Check:
  """The mean over seeds of one number lies in a region.

  The number is a metric of one arm, or a difference or a ratio of two arms.

  Attributes:
    metric: name of the metric.
    arms: one or two; each a method or a dict of row fields.
    region: (low, high) where the statement holds; may be infinite. Of logs if
      `logs`.
    words: the name, with a `{}` for each arm.
    closed: whether the ends of the region belong to it.
    logs: judge the log of the ratio of the arms, not their difference.
    tail: probability left out on each side of the interval.
    extra: goes on the name of the test.
    split: row field, which an arm that is a dict may override.
    state: the same; None: `best` where all arms have it, else `last`.
    group: the same.
  """
  metric: str
  arms: tuple
  region: tuple
  words: str
  closed: bool = False
  logs: bool = False
  tail: float = TAIL
  extra: str = ''
  split: str = 'test'
  state: str | None = None
  group: str = ''

  def value(self, x):
    """[arms, n] float -> [n], the number that is judged; NaN: undefined."""
    if self.logs:
      x = np.log(x, out=np.full(x.shape, np.nan), where=x > 0)
    return x[0] - x[1] if len(self.arms) == 2 else x[0]

  def read(self, rows):
    """The `Sample` that is judged; see `samples.read`."""
    test = 'paired ' * (len(self.arms) == 2) + 't' + ' of logs' * self.logs
    return samples.read(rows, self.metric, self.arms, self.value, test,
                        **_where(self))

  def __call__(self, rows):
    return rules.mean_verdict(
        self.read(rows), self.value, self.region, closed=self.closed,
        tail=self.tail, extra=self.extra, show=np.exp if self.logs else float)

  def is_true_of(self, value):
    """Whether the number of one seed lies in the region."""
    return rules.state_of((value, value), self.region, self.closed) == 'holds'

  @property
  def cells(self):
    return tuple(_cell(self, arm) for arm in self.arms)

  @property
  def name(self):
    names, shared = samples.names_of(self.arms, _told(self))
    return self.words.format(*names) + shared

  @property
  def sentence(self):
    first, *second = map(_in_words, self.arms)
    return (f'{_place(self)}`{self.metric}` of {first} '
            + _region_in_words(self, *second))


@dataclasses.dataclass(frozen=True)
class EverySeed:
  """Seed by seed, a `Check` is true in a fraction >= `at_least` of seeds."""
  check: Check
  at_least: float

  def __call__(self, rows):
    sample = self.check.read(rows)
    n = len(sample.values)
    good = sum(map(self.check.is_true_of, sample.values))
    fraction = good / n if n else np.nan

    def interval(n, ratio):
      number = n / (1 + n * ratio)
      return intervals.clopper_pearson(fraction * number, number)

    number = n / (1 + n * sample.ratio)
    method = 'exact binomial interval' + (
        f', re-splits counted as {number:.1f} independent seeds'
        if sample.ratio else '')
    return rules.verdict_of(
        sample, fraction, interval, (self.at_least, 1),
        intervals.binomial_p_value(fraction * number, number, self.at_least),
        method, [f'{good} of {n} seeds'], closed=True)

  @property
  def parts(self):
    return (self.check,)

  @property
  def cells(self):
    return self.check.cells

  @property
  def metric(self):
    return self.check.metric

  @property
  def name(self):
    return f'{self.check.name}, seed by seed'

  @property
  def sentence(self):
    return (f'{self.check.sentence}, in {100 * self.at_least:g} % of seeds '
            'or more')


@dataclasses.dataclass(frozen=True)
class Combined:
  """All parts hold, or at least one of them."""
  parts: tuple
  every: bool  # False: one is enough

  def __call__(self, rows):
    # Where one part decides, it is likelier to do so by chance than if it
    # stood alone.
    order = ('fails', 'undecided', 'holds')
    order = order if self.every else order[::-1]
    verdict = rules.combine(
        [(name, part(rows)) for name, part in zip(
            self._names(), self.parts, strict=True)], order)
    if verdict.state == order[0] and verdict.p is not None:
      verdict = verdict._replace(p=min(1.0, len(self.parts) * verdict.p))
    return verdict

  def _names(self):
    names = [getattr(part, 'name', f'part {i}')
             for i, part in enumerate(self.parts, 1)]
    if self.metric:
      return names
    metrics = [getattr(part, 'metric', '') for part in self.parts]
    return [f'{metric} of {name}' if metric else name
            for metric, name in zip(metrics, names, strict=True)]

  @property
  def cells(self):
    return tuple(cell for part in self.parts
                 for cell in getattr(part, 'cells', ()))

  @property
  def metric(self):
    metrics = {getattr(part, 'metric', '') for part in self.parts}
    return metrics.pop() if len(metrics) == 1 else ''

  @property
  def name(self):
    return (' and ' if self.every else ' or ').join(self._names())

  @property
  def sentence(self):
    return ('; and ' if self.every else '; or ').join(
        getattr(part, 'sentence', f'part {i}')
        for i, part in enumerate(self.parts, 1))


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
  """
  metric: str
  over: str
  method: str | dict | None = None
  split: str = 'test'
  state: str | None = None
  group: str = ''

  def levels(self, rows, at_least):
    """[(value, arm)] in order of the value; see `samples.levels`."""
    return samples.levels(rows, self.metric, self.over, self.method, at_least,
                          **_where(self))

  def difference(self, a, b, region, tail, extra):
    """The `Check` of two points of the sweep."""
    return Check(self.metric, (a, b), region, '{} - {}', tail=tail,
                 extra=extra, **_where(self))

  @property
  def cells(self):
    return (_cell(self, self.method or {}),)

  def _subject(self):
    of = f' of {_in_words(self.method)}' if self.method else ''
    return f'{_place(self)}over {self.over}, `{self.metric}`{of}'


@dataclasses.dataclass(frozen=True)
class Monotone(_Sweep):
  """No step of the sweep goes the wrong way by more than `slack`."""
  slack: float = 0.0
  increasing: bool = True

  def __call__(self, rows):
    levels = self.levels(rows, 2)
    steps = len(levels) - 1
    extra = f', Bonferroni over {steps}'
    return rules.combine([
        (f'{self.over} {x:g} to {y:g}',
         self.difference(b, a, self.region, TAIL / steps, extra)(rows))
        for (x, a), (y, b) in zip(levels[:-1], levels[1:], strict=True)])

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

  def __call__(self, rows):
    levels = self.levels(rows, 3)

    def mean(level):
      values = Check(self.metric, level[1:], (0, 0), '{}',
                     **_where(self)).read(rows).values
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
    parts = [
        (f'{self.over} {i:g} below {e:g}', self.difference(
            a, b, (-np.inf, 0), TAIL / num, f', Bonferroni over {num}')(rows))
        for (i, a), (e, b) in pairs]
    verdict = rules.combine(parts) if may_hold else rules.combine(
        parts, order=('holds', 'undecided', 'fails'))
    lowest = (inside if may_hold else end)[0]
    return verdict._replace(
        note=f'lowest at {self.over} {lowest:g}; {verdict.note}')

  @property
  def name(self):
    return f'lowest inside {self.over}'

  @property
  def sentence(self):
    return f'{self._subject()} is lowest at neither end'


def _where(check):
  return {'split': check.split, 'state': check.state, 'group': check.group}


def _told(check):
  """The row fields of a check that are not the usual ones."""
  usual = {'split': 'test', 'state': None, 'group': ''}
  return {k: v for k, v in _where(check).items() if v != usual[k]}


def _cell(check, arm):
  where = {k: v for k, v in _where(check).items() if v is not None}
  return {'metric': check.metric, **where, **samples.fields_of(arm)}


# Sentences.


def _place(check):
  told = _told(check)
  told |= {'state': f'state {told["state"]}'} if 'state' in told else {}
  return ', '.join(told.values()) + ': ' if told else ''


def _in_words(arm):
  fields = dict(samples.fields_of(arm))
  method = fields.pop('method', '')
  more = ', '.join(f'{k} {results.text_of(v)}' for k, v in fields.items())
  return f'{method} ({more})' if method and more else method or more


def _region_in_words(check, other=None):
  """`is below that of erm`."""
  low, high = check.region
  if check.logs or other is None:
    low, high = (np.exp(check.region) if check.logs else check.region)
    times = f' times that of {other}' if check.logs else ''
    if high == np.inf:
      return f'is at least {low:g}{times}'
    if low == (0 if check.logs else -np.inf):
      return f'is at most {high:g}{times}'
    return f'is {low:g} to {high:g}{times}'
  if low == -high:
    return f'differs from that of {other} by less than {high:g}'
  side, by = ('below', -high) if low == -np.inf else ('above', low)
  if by < 0:
    side = 'above' if side == 'below' else 'below'
    return f'is not {side} that of {other} by {-by:g} or more'
  return f'is {side} that of {other}' + f' by more than {by:g}' * bool(by)
