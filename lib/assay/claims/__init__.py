"""Claims as functions of rows, and their verdicts: holds, fails, undecided.

A check maps rows to a `Verdict`: it takes one number per seed (a difference of
two arms, say), makes an interval for its mean and asks whether all of it lies
inside the region that the claim names (holds), all of it outside (fails), or
neither (undecided). Of many claims some are decided by chance: a state whose p,
adjusted over the tested claims of the paper (Holm), is above 0.05 is said to
hold or fail alone. What the seeds vary chooses the interval:

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
take the keywords `split='test'`, `group=''` and `state=None`, which is `best`
where all arms have rows of the best state, else `last`; and `across=('step',)`,
where arms of another step budget, n, scale or run are meant to be compared: all
others that differ in one of these are undecided. In every verdict p < 0.05 says
what the interval says: it is decided, one way or the other.

Nothing is decided before each arm has all its planned seeds.

    python -m assay claims WORKDIR...
"""

from collections.abc import Callable
import dataclasses
import math
from typing import NamedTuple

import numpy as np

from assay.claims import checks, intervals, rules, samples, sweeps
from assay.claims.checks import Check
from assay.claims.ranks import ranked_by as ranked_by
from assay.claims.rules import Verdict
from assay.errors import UserError


@dataclasses.dataclass(frozen=True)
class Claim:
  name: str
  sentence: str
  source: str  # where the paper says so
  check: Callable[[list], Verdict]
  _: dataclasses.KW_ONLY
  where: dict  # row fields that select the rows, e.g. {'config': 'airfoil'}
  gated: bool = True  # False: reported, not gated (recalled numbers never are)


class Judged(NamedTuple):
  claim: Claim
  verdict: Verdict | None  # None: not tested
  p_holm: float | None
  where_tested: str  # or why it was not

  @property
  def alone(self):
    """Whether it is decided, but not after correction for the paper's claims.
    """
    return (self.verdict is not None and self.verdict.state != 'undecided'
            and (self.p_holm is None or self.p_holm > rules.LEVEL))

  @property
  def standing(self):
    """'holds', 'holds alone', 'fails', 'fails alone', 'undecided', or ''."""
    return self.verdict.state + ' alone' * self.alone if self.verdict else ''


# The checks that claims are made of.


def less(metric, a, b, by=0, **where):
  """The mean over seeds of a - b is below -by.

  Example:
    >>> from assay import claims
    >>> same = dict(config='toy', dataset='toy', metric='rmse', split='test',
    ...             state='best', group='', n=100, seed_varies='fresh')
    >>> values = {'ours': (1., 2., 3., 4., 5.), 'erm': (2., 3.2, 4., 4.8, 6.)}
    >>> rows = [same | {'method': method, 'seed': seed, 'value': value}
    ...         for method, of_seeds in values.items()
    ...         for seed, value in enumerate(of_seeds)]
    >>> verdict = claims.less('rmse', 'ours', 'erm')(rows)
    >>> verdict.state, round(float(verdict.estimate), 6), verdict.n
    ('holds', -1.0, 5)
  """
  return Check(metric, (a, b), (-np.inf, -by),
               '{} < {}' + f' by {by:g}' * bool(by), **where)


def greater(metric, a, b, by=0, **where):
  """The mean over seeds of a - b is above by."""
  return Check(metric, (a, b), (by, np.inf),
               '{} > {}' + f' by {by:g}' * bool(by), **where)


def greater_change(metric, a, b, by=0, **where):
  """The mean over seeds of one difference less another is above by.

  What an effect is more than its control: both may have a cause in common.

  Args:
    metric: name of the metric.
    a: two arms, whose difference is meant.
    b: two arms, the control.
    by: the least difference of differences.
    **where: as for all checks.
  """
  return Check(metric, (*a, *b), (by, np.inf),
               '{} - {} > {} - {}' + f' by {by:g}' * bool(by), **where)


def ratio(metric, a, b, low, high, **where):
  """The geometric mean over seeds of a / b is in [low, high], low >= 0.

  Undecided if a seed has a value that is not positive. Without an interval over
  test examples if a resample of them has no error.
  """
  region = (math.log(low) if low else -np.inf, math.log(high))
  return Check(metric, (a, b), region, f'{{}} / {{}} in [{low:g}, {high:g}]',
               closed=True, logs=True, **where)


def within(metric, a, low, high, **where):
  """The mean over seeds of a is in [low, high]."""
  return Check(metric, (a,), (low, high), f'{{}} in [{low:g}, {high:g}]',
               closed=True, **where)


def equal(metric, a, b, margin, **where):
  """The mean over seeds of a - b is in (-margin, margin), two tests of 5 %."""
  return Check(metric, (a, b), (-margin, margin), f'{{}} = {{}} ± {margin:g}',
               tail=0.05, extra=', two one-sided tests, 90 % interval', **where)


def every_seed(check, at_least):
  """Seed by seed, a comparison is true in a fraction >= `at_least` of seeds.

  Of re-splits, n count as n / (1 + n * n_test/n_train): as many independent
  seeds as would give a mean the variance that the corrected t gives it.

  Args:
    check: less, greater, ratio, within or equal.
    at_least: fraction in (0, 1]; 1 can fail but never hold. On re-splits one
      that can never hold is refused, .48 or more where n_test/n_train is .2.
  """
  if not isinstance(check, Check):
    raise ValueError('every_seed takes less, greater, ratio, within or equal.')
  if not 0 < at_least <= 1:
    raise ValueError(f'at_least={at_least} is not in (0, 1].')
  return checks.EverySeed(check, at_least)


def all_of(*parts):
  """All checks hold; fails if any fails.

  That all hold needs no correction (intersection-union). That one of k fails
  by chance is likelier than for one alone: each fails at a k-th of the level.
  """
  return checks.Combined(parts, every=True)


def any_of(*parts):
  """At least one of the checks holds; fails if all fail.

  That all fail needs no correction. That one of k holds by chance is likelier
  than for one alone: each holds at a k-th of the level.
  """
  return checks.Combined(parts, every=False)


def monotone(metric, over, slack, *, increasing=True, method=None, **where):
  """No step of the sweep goes the wrong way by more than `slack` in the mean.

  As `all_of` the steps: each fails at the level divided by their number.
  """
  return sweeps.Monotone(metric, over, method, slack=slack,
                         increasing=increasing, **where)


def minimum_inside(metric, over, *, method=None, **where):
  """The mean is lowest inside the sweep, at neither of its ends.

  Holds if the best point inside is below both ends; fails if the best end is
  below each point inside.
  """
  return sweeps.MinimumInside(metric, over, method, **where)


def by_hand(function, holds, fails, sentence=''):
  """A check of one's own, with examples of when it holds and when it fails.

  Args:
    function: rows -> `Verdict`.
    holds: cells for which it holds: dicts of the row fields that the function
      reads, with the mean over seeds as `value`.
    fails: cells for which it fails.
    sentence: what it says.
  """
  return checks.ByHand(function, tuple(holds), tuple(fails), sentence)


# The claims of a paper together.


def claims_of(source, variants, table, *, gated=True):
  """One table of claims for each of some variants of a paper.

  Args:
    source: where the paper says so.
    variants: names of variants.
    table: name -> check, or name -> (sentence, check) where the sentence says
      more than that of the check.
    gated: bool, or the names of the claims that are gated.

  Returns:
    A tuple of claims, named `<variant>: <name>`.

  Raises:
    ValueError: `variants` is a text, or a gated name is not in the table.
  """
  if isinstance(variants, str):
    raise ValueError(f'variants={variants!r} is one text; give a tuple of '
                     'names.')
  if not isinstance(gated, bool) and not set(gated) <= set(table):
    raise ValueError(f'gated: {", ".join(sorted(set(gated) - set(table)))} '
                     'stands for no claim; use names of the table.')
  made = []
  for variant in variants:
    for name, entry in table.items():
      sentence, check = entry if isinstance(entry, tuple) else (
          f'{entry.sentence}.', entry)
      made.append(Claim(
          f'{variant}: {name}', sentence, source, check,
          where={'config': variant},
          gated=gated if isinstance(gated, bool) else name in gated))
  return tuple(made)


def about(claims, rows):
  """Those of the claims that speak about a config which has rows."""
  configs = {None, *(row['config'] for row in rows)}
  return [c for c in claims if c.where.get('config') in configs]


def judge(claims, rows):
  """A `Judged` for each claim of one paper.

  Raises:
    UserError: rows that cannot be compared; it names the claim.
  """
  return adjusted(claims, [verdict_of(claim, rows) for claim in claims])


def verdict_of(claim, rows):
  """(verdict, where tested) of a claim; (None, why not) if it is not tested.

  Raises:
    UserError: as `judge`.
  """
  chosen = [r for r in rows if samples.matches(r, claim.where)]
  try:
    if not chosen:
      raise samples.NoRows(f'no row has {samples.describe(claim.where)}')
    verdict = rules.judged(claim.check, chosen)
    if not verdict.tested:  # a check written by hand
      verdict = verdict._replace(**samples.where_tested(
          [r for r in chosen if r['split'] != 'train'] or chosen))
    return verdict, verdict.tested
  except samples.NoRows as e:
    return None, str(e)
  except UserError as e:
    raise UserError(f'claim {claim.name}: {e}') from e


def adjusted(claims, verdicts):
  """A `Judged` for each claim, with p adjusted over all of them (Holm).

  Args:
    claims: those of one paper that are judged together.
    verdicts: what `verdict_of` gives for each.
  """
  ps = iter(intervals.holm([v.p for v, _ in verdicts if v]))
  return [Judged(claim, v, next(ps) if v else None, where)
          for claim, (v, where) in zip(claims, verdicts, strict=True)]
