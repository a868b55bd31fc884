"""From one number per seed to a verdict: the rules that all checks share."""

from typing import NamedTuple

import numpy as np

from assay.claims import intervals
from assay.claims.intervals import TAIL

MIN_SEEDS = 5  # with fewer an interval is shown and nothing is decided
LEVEL = 0.05  # nothing is decided with a larger p
OVER_EXAMPLES = 'undecided if test examples vary too'
BY_FLIPS = 'undecided by sign flips'


class Verdict(NamedTuple):
  state: str  # 'holds', 'fails', 'undecided'
  estimate: float
  low: float  # NaN: no interval
  high: float
  n: int  # seeds used
  method: str  # the test
  note: str = ''
  p: float | None = None  # against the nearest boundary of the claim
  naive: tuple[float, float] | None = None  # as if re-splits were independent
  tested: str = ''  # data, examples, seeds, scale
  elsewhere: str = ''  # scale of some row, if it is not the paper's own
  parts: tuple = ()  # (name, verdict) of each check that this one is made of
  bootstrap: tuple[float, float] | None = None  # over test examples too
  region: tuple[float, float] | None = None  # where the claim holds
  p_sign_flip: float | None = None  # as `p`, without a law; decides nothing
  needed: int | None = None  # n that would settle what is undecided


class Shared(NamedTuple):
  """Among how many tests one level is shared: what decides by its side.

  Where one of k parts is enough for a state, that it has the state by chance is
  likelier than for a test alone, so that it takes a k-th of the level. Where
  all parts are needed, each may use all of it (intersection-union).
  """
  holds: int = 1
  fails: int = 1

  def among(self, k, every):
    """For each of k parts, all of which have to hold (`every`), or one."""
    return (self._replace(fails=k * self.fails) if every
            else self._replace(holds=k * self.holds))


ALONE = Shared()


def state_of(interval, region, closed):
  """'holds' inside, 'fails' outside, 'undecided' across an end of the region.

  Whether the ends belong to the region (`closed`) matters when all seeds give
  the same value: equal arms are not `less`, an accuracy of 1 is `within`.
  """
  (low, high), (start, end) = interval, region
  if closed:
    inside, outside = start <= low and high <= end, high < start or end < low
  else:
    inside, outside = start < low and high < end, high <= start or end <= low
  return 'holds' if inside else 'fails' if outside else 'undecided'


def verdict_of(sample, estimate, interval, region, p, method, notes=(), *,
               closed=False, show=float, bootstrap=None):
  """The verdict on an estimate from a sample, and the rules for all tests.

  Args:
    sample: a `Sample`.
    estimate: float.
    interval: (n, ratio) -> (low, high), as if n seeds had been used.
    region: (low, high) where the claim holds; may be infinite.
    p: float or None.
    method: name of the test.
    notes: texts.
    closed: whether the ends of the region belong to it.
    show: from the scale of the test to the one that is reported.
    bootstrap: (low, high) over test examples too, or None; it decides nothing.
  """
  n, ratio, state = len(sample.values), sample.ratio, 'undecided'
  needed = None
  notes = [sample.lost, *notes]
  state_with = lambda n: state_of(interval(n, ratio), region, closed)
  if n < MIN_SEEDS:
    notes.append(f'fewer than {MIN_SEEDS} {sample.unit}')
  if n < MIN_SEEDS or sample.lost:
    p = None  # a small p would be read as a result
  else:
    # Both say the same, but for rounding at the end of the region.
    state = 'undecided' if p is not None and p > LEVEL else state_with(n)
  if n > 1 and state == 'undecided' and not sample.lost:
    needed = intervals.seeds_needed(lambda n: state_with(n) != 'undecided',
                                    MIN_SEEDS)
    if needed:
      notes.append(f'about {needed:,} {sample.unit} would settle it')
    elif ratio:  # the corrected interval does not shrink to a point
      notes.append('no number of re-splits of these data can settle it')
    else:
      notes.append(f'{intervals.MAX_SEEDS:,} {sample.unit} would not settle '
                   'it')
  if bootstrap and state != 'undecided' and state_of(
      bootstrap, region, closed) == 'undecided':
    notes.append(OVER_EXAMPLES)
  shown = lambda bounds: tuple(float(show(v)) for v in bounds)
  return Verdict(
      state, float(show(estimate)),
      *shown(interval(n, ratio) if n > 1 else (np.nan, np.nan)), n, method,
      '; '.join(filter(None, [*notes, *sample.remarks])), p,
      shown(interval(n, 0)) if n > 1 and ratio else None,
      bootstrap=shown(bootstrap) if bootstrap else None,
      region=shown(region), needed=needed, **sample.tested)


def mean_verdict(sample, value, region, *, closed=False, tail=TAIL, extra='',
                 shared=ALONE, reach=(-np.inf, np.inf), **how):
  """The verdict on the mean of a sample.

  If the level is shared, the interval is that of the side where the mean lies:
  no other state than that of its own side can be decided by it.

  Args:
    sample: a `Sample`.
    value: as for `samples.sampler`, which made the sample.
    region: (low, high) where the claim holds; may be infinite.
    closed: whether the ends of the region belong to it.
    tail: probability left out on each side of the intervals.
    extra: goes on the test's name.
    shared: a `Shared`.
    reach: (low, high) of what one value can be, which bounds what equal values
      say; may be infinite.
    **how: as for `verdict_of`.
  """
  values, n, note = sample.values, len(sample.values), ''
  equal = n > 1 and np.ptp(values) == 0
  mean = float(values[0] if equal else np.mean(values)) if n else np.nan
  nearest = min(region, key=lambda bound: abs(mean - bound))
  among = among_at(mean, region, closed, shared)
  tail /= among
  flips = None
  if equal:
    number = lambda n, ratio: n / (1 + n * ratio)  # that are independent
    alike = number(n, sample.ratio)
    p = intervals.equal_p_value(mean, alike, reach, region, closed, tail)
    interval = lambda n, ratio: intervals.equal_interval(
        mean, number(n, ratio), reach, tail)
    note = (f'all {sample.unit} give the same value; up to '
            f'{1 - tail ** (1 / alike):.0%} of their law may lie elsewhere')
  else:
    p = intervals.t_p_value(values, nearest, sample.ratio, tail)
    deviation = np.std(values, ddof=1) if n > 1 else np.nan  # once for all n
    interval = lambda n, ratio: intervals.t_interval_of(
        mean, deviation, n, ratio, tail)
    if n == 1:
      note = f'one {sample.unit.removesuffix("s")} gives no interval'
    elif n and not sample.ratio and np.isfinite(nearest):
      flips = min(1.0, TAIL / tail * intervals.sign_flip_p_value(
          values, nearest))
  method = sample.test + extra + bonferroni(among) + (
      f' (n_test/n_train {sample.ratio:.3g})' if sample.ratio else '')
  verdict = verdict_of(
      sample, mean, interval, region, p, method, [note], closed=closed,
      bootstrap=_bootstrap(sample, value, tail), **how)
  if verdict.state != 'undecided' and flips is not None and flips > LEVEL:
    few = TAIL / tail * 2 ** (1 - n) > LEVEL
    told = f'{n} {sample.unit} are too few for sign flips' if few else BY_FLIPS
    verdict = verdict._replace(note='; '.join(filter(None, [
        verdict.note, f'{told} (p {flips:.2g})'])))
  return verdict._replace(p_sign_flip=flips)


def among_at(estimate, region, closed, shared):
  """Among how many tests the level is shared on the estimate's side."""
  inside = state_of((estimate, estimate), region, closed) == 'holds'
  return shared.holds if inside else shared.fails


def bonferroni(among):
  return f', Bonferroni over {among}' if among > 1 else ''


def _bootstrap(sample, value, tail):
  if sample.wrong is None or len(sample.values) < 2:
    return None
  interval = intervals.two_level_bootstrap(sample.wrong, value, tail)
  # No ratio where a resample has no wrong example.
  return None if np.isnan(interval).any() else interval


def judged(check, rows, shared=ALONE):
  """The verdict of a check, or of a function of rows, at its share of a level.

  Args:
    check: see `claims.checks`, or a function, which knows no levels: its p is
      multiplied.
    rows: rows of one paper.
    shared: a `Shared`.
  """
  if hasattr(check, 'judge'):
    return check.judge(rows, shared)
  verdict = check(rows)
  among = getattr(shared, verdict.state, 1)
  if verdict.state == 'undecided' or verdict.p is None:
    return verdict
  p = min(1.0, among * verdict.p)
  return verdict._replace(
      p=p, state=verdict.state if p <= LEVEL else 'undecided',
      method=verdict.method + bonferroni(among))


def combined(parts, rows, shared=ALONE, *, every=True):
  """One verdict from (name, check) pairs: all hold (`every`), or one does.

  It shows the numbers of the part that decides: of several with its state the
  surest if one is enough, the least sure if it takes all of them.
  """
  own = shared.among(len(parts), every)
  parts = tuple((name, judged(check, rows, own)) for name, check in parts)
  states, order = [v.state for _, v in parts], ('fails', 'undecided', 'holds')
  order = order if every else order[::-1]
  state = min(states, key=order.index)
  unknown = 2 if state == 'undecided' else 0  # for p: too few, or all the same
  name, shown = (min if state == order[0] else max)(
      (part for part in parts if part[1].state == state),
      key=lambda part: unknown if part[1].p is None else part[1].p)
  # Where it takes all parts, one that is not sure is enough to say so.
  doubt = OVER_EXAMPLES if state == order[-1] and any(
      OVER_EXAMPLES in v.note for _, v in parts) else ''
  return shown._replace(
      n=min(v.n for _, v in parts), parts=parts,
      note='; '.join(filter(None, [
          f'{states.count("holds")} of {len(parts)} parts hold; the numbers '
          f'are those of {name}', shown.note,
          '' if doubt in shown.note else doubt])),
      tested='; '.join(dict.fromkeys(v.tested for _, v in parts)),
      elsewhere=next((v.elsewhere for _, v in parts if v.elsewhere), ''))
