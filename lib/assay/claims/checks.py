"""Checks: statements on rows, each of which gives a verdict and a sentence.

A check is a frozen object. It is called on rows, and it has

    check(rows)      the `Verdict`
    check.judge(rows, shared)  the same as part of a whole, see `rules.Shared`
    check.cells      row fields of each mean it reads
    check.metric     the metric it reads, '' if its parts read several
    check.name       a few words, such as 'ours < erm'
    check.sentence   what it says, such as '`rmse` of ours is below that of erm'

A `Check` has `read(rows)` too, the numbers that it judges, and what is made of
other checks has `parts`. A function of rows to a `Verdict` is a check with
`ByHand`.
"""

from collections.abc import Callable
import dataclasses
import hashlib
import inspect

import numpy as np

from assay import metrics, results
from assay.claims import intervals, rules, samples
from assay.claims.intervals import TAIL
from assay.errors import UserError

ROUNDING = 1e-12  # relative; what is nearer than this is equal


@dataclasses.dataclass(frozen=True)
class Check:
  """The mean over seeds of one number lies in a region.

  The number is a metric of one arm, a difference or a ratio of two, or of four
  the difference of the first two less that of the last two.

  Attributes:
    metric: name of the metric.
    arms: one, two or four; each a method or a dict of row fields.
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
    across: fields of `samples.DECIDING` in which the arms are meant to differ.
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
  across: tuple = ()

  def __post_init__(self):
    if isinstance(self.across, str) or not (
        set(self.across) <= set(samples.DECIDING)):
      raise ValueError(f'across={self.across!r}; give a tuple of some of '
                       f'{", ".join(samples.DECIDING)}.')

  def value(self, x):
    """[arms, n] float -> [n], the number that is judged; NaN: undefined."""
    if self.logs:
      x = np.log(x, out=np.full(x.shape, np.nan), where=x > 0)
    values = x[0] if len(x) == 1 else x[0] - x[1]
    if len(x) == 4:
      values = values - (x[2] - x[3])
    return _without_rounding(
        values, 1 if self.logs else np.max(np.abs(x), initial=0))

  @property
  def reach(self):
    """(low, high) of what the number of a seed can be, by the metrics' ranges.
    """
    ranges = [metrics.KNOWN.get(cell['metric'], (-np.inf, np.inf))[:2]
              for cell in self.cells]
    if self.logs:
      with np.errstate(divide='ignore'):
        ranges = [tuple(np.log(np.clip(r, 0, None))) for r in ranges]
    lows, highs = zip(*(
        pair if sign > 0 else (-pair[1], -pair[0])
        for sign, pair in zip((1, -1, -1, 1), ranges, strict=False)),
                      strict=True)
    return sum(lows), sum(highs)

  def read(self, rows):
    """The `Sample` that is judged; see `samples.read`."""
    test = 'paired ' * (len(self.arms) > 1) + 't' + ' of logs' * self.logs
    return samples.read(rows, self.metric, self.arms, self.value, test,
                        across=self.across, **fields_read(self))

  def __call__(self, rows):
    return self.judge(rows)

  def judge(self, rows, shared=rules.ALONE):
    return self.judge_sample(self.read(rows), shared)

  def judge_sample(self, sample, shared=rules.ALONE):
    """The verdict on what `read` gave."""
    return rules.mean_verdict(
        sample, self.value, self.region, closed=self.closed,
        tail=self.tail, extra=self.extra, shared=shared, reach=self.reach,
        show=np.exp if self.logs else float)

  def is_true_of(self, value):
    """Whether the number of one seed lies in the region."""
    return rules.state_of((value, value), self.region, self.closed) == 'holds'

  @property
  def cells(self):
    return tuple(cell(self, arm) for arm in self.arms)

  @property
  def name(self):
    names, shared = samples.names_of(self.arms, fields_told(self))
    return self.words.format(*names) + shared

  @property
  def sentence(self):
    first, *second = map(in_words, self.arms)
    if len(second) == 3:  # two differences
      minus = ' minus that of '.join
      first, second = minus([first, second[0]]), [minus(second[1:])]
    return (f'{place(self)}`{self.metric}` of {first} '
            + _region_in_words(self, *second))


@dataclasses.dataclass(frozen=True)
class EverySeed:
  """Seed by seed, a `Check` is true in a fraction >= `at_least` of seeds."""
  check: Check
  at_least: float

  def __call__(self, rows):
    return self.judge(rows)

  def judge(self, rows, shared=rules.ALONE):
    sample, region = self.check.read(rows), (self.at_least, 1)
    n = len(sample.values)
    good = sum(map(self.check.is_true_of, sample.values))
    fraction = good / n if n else np.nan
    among = rules.among_at(fraction, region, True, shared)
    self._refuse_never(sample.ratio)

    def interval(n, ratio):
      number = n / (1 + n * ratio)
      return intervals.clopper_pearson(fraction * number, number, TAIL / among)

    number = n / (1 + n * sample.ratio)
    method = 'exact binomial interval' + rules.bonferroni(among) + (
        f', re-splits counted as {number:.1f} independent seeds'
        if sample.ratio else '')
    return rules.verdict_of(
        sample, fraction, interval, region, min(1.0, among * (
            intervals.binomial_p_value(fraction * number, number,
                                       self.at_least))),
        method, [f'{good} of {n} seeds'], closed=True)

  def _refuse_never(self, ratio):
    """Raises a UserError if no number of re-splits could make it hold."""
    bound = TAIL**ratio  # of all of the 1 / ratio seeds that they count as
    if ratio and self.at_least >= bound:
      raise UserError(
          f'every_seed(.., {self.at_least:g}) of re-splits with n_test/n_train '
          f'{ratio:.3g} can never hold: any number of them counts as at most '
          f'{1 / ratio:.3g} independent seeds; use at_least below {bound:.3g}.')

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
    return self.judge(rows)

  def judge(self, rows, shared=rules.ALONE):
    return rules.combined(
        list(zip(self._names(), self.parts, strict=True)), rows, shared,
        every=self.every)

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
class ByHand:
  """A function of rows, with rows for which it holds and for which it fails.

  Attributes:
    function: rows -> `Verdict`.
    holds: rows as `examples.rows` takes them: the fields that the function
      reads, and the mean over seeds as `value`.
    fails: the same.
    sentence: what it says.
  """
  function: Callable[[list], rules.Verdict]
  holds: tuple
  fails: tuple
  sentence: str = ''

  def __call__(self, rows):
    return self.function(rows)

  def example(self, holds):
    """Cells for which it holds, or fails, with the mean as `value`."""
    return list(self.holds if holds else self.fails)

  @property
  def cells(self):
    return tuple({k: v for k, v in row.items() if k != 'value'}
                 for row in self.holds)

  @property
  def metric(self):
    metrics = {cell['metric'] for cell in self.cells}
    return metrics.pop() if len(metrics) == 1 else ''

  @property
  def name(self):
    return self.function.__name__


def _without_rounding(values, scale):
  """Differences that rounding of numbers as large as `scale` makes are none."""
  unit = ROUNDING * scale
  values = np.where(np.abs(values) <= unit, 0.0, values)
  if values.size and np.ptp(values) <= unit:
    values = np.full_like(values, values.flat[0])
  return values


def fields_read(check):
  """The row fields by which a check chooses rows, whatever the arm."""
  return {'split': check.split, 'state': check.state, 'group': check.group}


def fields_told(check):
  """The row fields of a check that are not the usual ones."""
  usual = {'split': 'test', 'state': None, 'group': ''}
  return {k: v for k, v in fields_read(check).items() if v != usual[k]}


def cell(check, arm):
  """The row fields of one mean that a check reads."""
  where = {k: v for k, v in fields_read(check).items() if v is not None}
  return {'metric': check.metric, **where, **samples.fields_of(arm)}


def digest(check):
  """16 hex digits over what a check asks; of a function, see `_written`."""
  return hashlib.sha256(_asked(check).encode()).hexdigest()[:16]


def _asked(check):
  if isinstance(check, Combined):
    return f'{check.every} {list(map(_asked, check.parts))}'
  if isinstance(check, ByHand):
    return _asked(check.function)
  return (repr(check) if dataclasses.is_dataclass(check)
          else _written(check, set()))


def _written(function, seen):
  """The source of a function, and of what it uses of its own module."""
  seen.add(function)
  texts, codes = [inspect.getsource(function)], [function.__code__]
  for code in codes:  # and of the functions inside
    codes += filter(inspect.iscode, code.co_consts)
  used = {name: function.__globals__[name] for code in codes
          for name in code.co_names if name in function.__globals__}
  used |= inspect.getclosurevars(function).nonlocals
  for name, value in sorted(used.items()):
    if inspect.isfunction(value):
      if value.__module__ == function.__module__ and value not in seen:
        texts.append(_written(value, seen))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
      texts.append(f'{name} = {_asked(value)}')
    elif not (inspect.ismodule(value) or callable(value)):
      texts.append(f'{name} = {value!r}')
  return '\n'.join(texts)


# Sentences.


def place(check):
  """`far: `, what a sentence starts with; '' where a check looks as usual."""
  told = [f'state {v}' if k == 'state' else v
          for k, v in fields_told(check).items()]
  return ', '.join(told) + ': ' if told else ''


def in_words(arm):
  """`c_mixup (bandwidth 1.75)`."""
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
