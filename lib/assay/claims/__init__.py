"""Claims as functions of rows, and their verdicts: holds, fails, undecided.

A check maps rows to a `Verdict`: it takes one number per seed (a difference of
two arms, say), makes an interval for its mean and asks whether all of it lies
inside the region that the claim names (holds), all of it outside (fails), or
neither (undecided). What the seeds vary chooses the interval:

    fresh        independent data: paired t.
    resplit      splits of one data set share rows, so seeds are not independent
                 and the paired t is far too sure: corrected resampled t, half
                 width t(n-1) * s * sqrt(1/n + n_test/n_train) (Nadeau and
                 Bengio, 2003), the naive interval beside it.
    fixed_split  paired t; it speaks about training runs on one test set only.
                 If the rows of metric `error` have the field `wrong`, a
                 bootstrap over seeds and test examples stands beside it. It
                 decides nothing; the note says where it would leave undecided.

Arms `a` and `b` are a method's name or a dict of row fields. Checks of a metric
take the keywords `split='test'`, `state='best'`, `group=''`. In every verdict
p < 0.05 says what the interval says: it is decided, one way or the other.

    python -m assay claims WORKDIR...
"""

from collections.abc import Callable
import math
from typing import NamedTuple

import numpy as np

from assay.claims import intervals, rules, samples
from assay.claims.intervals import TAIL
from assay.claims.rules import Verdict
from assay.errors import UserError


class Claim(NamedTuple):
  name: str
  sentence: str
  source: str  # where the paper says so
  check: Callable[[list], Verdict]
  where: dict  # row fields that select the rows, e.g. {'config': 'airfoil'}
  gated: bool = True  # False: reported, not gated (recalled numbers never are)


class Judged(NamedTuple):
  claim: Claim
  verdict: Verdict | None  # None: not tested
  p_holm: float | None
  where_tested: str  # or why it was not


def _check(name, metric, arms, value, test, region, where, closed=False,
           **how):
  """Check that a mean over seeds lies in a region; see `samples.sampler`.

  It has a `name` and a `metric`, and `read` and `good` for `every_seed`.
  """
  read = samples.sampler(metric, arms, value, test, **where)

  def check(rows):
    return rules.mean_verdict(read(rows), value, region, closed=closed, **how)

  names, shared = samples.names_of(arms, where)
  check.name = name.format(*names) + shared
  check.metric, check.read = metric, read
  check.good = lambda value: 'holds' == rules.state_of(
      (value, value), region, closed)
  return check


def _difference(name, metric, a, b, region, where, **how):
  return _check(name, metric, (a, b), lambda x: x[0] - x[1], 'paired t', region,
                where, **how)


# The checks that claims are made of.


def less(metric, a, b, by=0, **where):
  """The mean over seeds of a - b is below -by.

  Example:
    >>> from assay import claims
    >>> same = dict(config='toy', dataset='toy', metric='rmse', split='test',
    ...             state='best', group='', n=100, seed_varies='fresh')
    >>> rows = [same | {'method': method, 'seed': seed, 'value': value + seed}
    ...         for method, value in (('ours', 1.), ('erm', 2.))
    ...         for seed in range(5)]
    >>> verdict = claims.less('rmse', 'ours', 'erm')(rows)
    >>> verdict.state, float(verdict.estimate), verdict.n
    ('holds', -1.0, 5)
  """
  return _difference('{} < {}' + f' by {by:g}' * bool(by), metric, a, b,
                     (-np.inf, -by), where)


def greater(metric, a, b, by=0, **where):
  """The mean over seeds of a - b is above by."""
  return _difference('{} > {}' + f' by {by:g}' * bool(by), metric, a, b,
                     (by, np.inf), where)


def ratio(metric, a, b, low, high, **where):
  """The geometric mean over seeds of a / b is in [low, high], low >= 0.

  Undecided if a seed has a value that is not positive. Without an interval over
  test examples if a resample of them has no error.
  """

  def log_ratio(x):
    logs = np.log(x, out=np.full(x.shape, np.nan), where=x > 0)
    return logs[0] - logs[1]

  return _check(f'{{}} / {{}} in [{low:g}, {high:g}]', metric, (a, b),
                log_ratio, 'paired t of logs',
                (math.log(low) if low else -np.inf, math.log(high)), where,
                closed=True, show=np.exp)


def within(metric, a, low, high, **where):
  """The mean over seeds of a is in [low, high]."""
  return _check(f'{{}} in [{low:g}, {high:g}]', metric, (a,), lambda x: x[0],
                't', (low, high), where, closed=True)


def equal(metric, a, b, margin, **where):
  """The mean over seeds of a - b is in (-margin, margin), two tests of 5 %."""
  return _difference(f'{{}} = {{}} ± {margin:g}', metric, a, b,
                     (-margin, margin), where, tail=0.05,
                     extra=', two one-sided tests, 90 % interval')


def every_seed(check, at_least):
  """Seed by seed, a comparison is true in a fraction >= `at_least` of seeds.

  Of re-splits, n count as n / (1 + n * n_test/n_train): as many independent
  seeds as would give a mean the variance that the corrected t gives it.

  Args:
    check: less, greater, ratio, within or equal.
    at_least: fraction in (0, 1]; 1 can fail but never hold.
  """
  if not hasattr(check, 'good'):
    raise ValueError('every_seed takes less, greater, ratio, within or equal.')
  if not 0 < at_least <= 1:
    raise ValueError(f'at_least={at_least} is not in (0, 1].')

  def checked(rows):
    sample = check.read(rows)
    good, n = sum(map(check.good, sample.values)), len(sample.values)
    fraction = good / n if n else np.nan

    def interval(n, ratio):
      number = n / (1 + n * ratio)
      return intervals.clopper_pearson(fraction * number, number)

    number = n / (1 + n * sample.ratio)
    method = 'exact binomial interval' + (
        f', re-splits counted as {number:.1f} independent seeds'
        if sample.ratio else '')
    return rules.verdict_of(
        sample, fraction, interval, (at_least, 1),
        intervals.binomial_p_value(fraction * number, number, at_least),
        method, [f'{good} of {n} seeds'], closed=True)

  checked.name, checked.metric = f'{check.name}, seed by seed', check.metric
  return checked


def all_of(*checks):
  """All checks hold; fails if any fails.

  That all hold needs no correction (intersection-union). That one of k fails
  by chance is likelier than for one alone: p is then k times that of the part.
  """
  metrics = [getattr(c, 'metric', '') for c in checks]
  names = [getattr(c, 'name', f'part {i}') for i, c in enumerate(checks, 1)]
  if len(set(metrics)) > 1:
    names = [f'{m} of {name}' for m, name in zip(metrics, names, strict=True)]

  def check(rows):
    verdict = rules.combine([(name, c(rows))
                        for name, c in zip(names, checks, strict=True)])
    if verdict.state == 'fails' and verdict.p is not None:
      verdict = verdict._replace(p=min(1.0, len(checks) * verdict.p))
    return verdict

  check.name = ' and '.join(names)
  return check


def monotone(metric, over, slack, *, increasing=True, method=None, **where):
  """No step of the sweep goes the wrong way by more than `slack` in the mean.

  Each step is tested at the level divided by the number of steps.
  """

  def check(rows):
    levels = samples.levels(rows, metric, over, method, 2, **where)
    steps = len(levels) - 1
    region = (-slack, np.inf) if increasing else (-np.inf, slack)
    return rules.combine([
        (f'{over} {x:g} to {y:g}',
         _difference('', metric, b, a, region, where, tail=TAIL / steps,
                     extra=f', Bonferroni over {steps}')(rows))
        for (x, a), (y, b) in zip(levels[:-1], levels[1:], strict=True)])

  return check


def minimum_inside(metric, over, *, method=None, **where):
  """The mean is lowest inside the sweep, at neither of its ends.

  Holds if the best point inside is below both ends; fails if the best end is
  below each point inside.
  """

  def check(rows):
    levels = samples.levels(rows, metric, over, method, 3, **where)

    def mean(level):
      read = samples.sampler(metric, level[1:], lambda x: x[0], 't', **where)
      values = read(rows).values
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
        (f'{over} {i:g} below {e:g}',
         _difference('', metric, a, b, (-np.inf, 0), where, tail=TAIL / num,
                     extra=f', Bonferroni over {num}')(rows))
        for (i, a), (e, b) in pairs]
    verdict = rules.combine(parts) if may_hold else rules.combine(
        parts, order=('holds', 'undecided', 'fails'))
    lowest = (inside if may_hold else end)[0]
    return verdict._replace(
        note=f'lowest at {over} {lowest:g}; {verdict.note}')

  return check


# The claims of a paper together.


def about(claims, rows):
  """Those of the claims that speak about a config which has rows."""
  configs = {None, *(row['config'] for row in rows)}
  return [c for c in claims if c.where.get('config') in configs]


def judge(claims, rows):
  """A `Judged` for each claim of one paper.

  Raises:
    UserError: rows that cannot be compared; it names the claim.
  """
  verdicts, where = [], []
  for claim in claims:
    chosen = [r for r in rows if samples.matches(r, claim.where)]
    try:
      if not chosen:
        raise samples.NoRows(f'no row has {samples.describe(claim.where)}')
      verdict = claim.check(chosen)
      if not verdict.tested:  # a check written by hand
        verdict = verdict._replace(**samples.where_tested(
            [r for r in chosen if r['split'] != 'train'] or chosen))
      verdicts.append(verdict)
      where.append(verdict.tested)
    except samples.NoRows as e:
      verdicts.append(None)
      where.append(str(e))
    except UserError as e:
      raise UserError(f'claim {claim.name}: {e}') from e
  adjusted = iter(intervals.holm([v.p for v in verdicts if v]))
  return [Judged(claim, v, next(adjusted) if v else None, w)
          for claim, v, w in zip(claims, verdicts, where, strict=True)]
