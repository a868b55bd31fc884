"""From one number per seed to a verdict: the rules that all checks share."""

from typing import NamedTuple

import numpy as np

from assay.claims import intervals
from assay.claims.intervals import TAIL

MIN_SEEDS = 5  # with fewer an interval is shown and nothing is decided
OVER_EXAMPLES = 'undecided if test examples vary too'


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
  notes = [sample.lost, *notes]
  state_with = lambda n: state_of(interval(n, ratio), region, closed)
  if n < MIN_SEEDS:
    notes.append(f'fewer than {MIN_SEEDS} {sample.unit}')
  if n < MIN_SEEDS or sample.lost:
    p = None  # a small p would be read as a result
  else:
    state = state_with(n)
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
      region=shown(region), **sample.tested)


def mean_verdict(sample, value, region, *, tail=TAIL, extra='', **how):
  """The verdict on the mean of a sample.

  Args:
    sample: a `Sample`.
    value: as for `samples.sampler`, which made the sample.
    region: (low, high) where the claim holds; may be infinite.
    tail: probability left out on each side of the intervals.
    extra: goes on the test's name.
    **how: as for `verdict_of`.
  """
  values, n, note = sample.values, len(sample.values), ''
  mean = float(np.mean(values)) if n else np.nan
  if n == 1:
    note = f'one {sample.unit.removesuffix("s")} gives no interval'
  elif n and np.ptp(values) == 0:
    note = f'all {sample.unit} give the same value, judged as it is'
  nearest = min(region, key=lambda bound: abs(mean - bound))
  method = sample.test + extra + (
      f' (n_test/n_train {sample.ratio:.3g})' if sample.ratio else '')
  return verdict_of(
      sample, mean,
      lambda n, ratio: intervals.t_interval(values, ratio, tail, n), region,
      intervals.t_p_value(values, nearest, sample.ratio, tail), method, [note],
      bootstrap=_bootstrap(sample, value, tail), **how)


def _bootstrap(sample, value, tail):
  if sample.wrong is None or len(sample.values) < 2:
    return None
  interval = intervals.two_level_bootstrap(sample.wrong, value, tail)
  # No ratio where a resample has no wrong example.
  return None if np.isnan(interval).any() else interval


def combine(parts, order=('fails', 'undecided', 'holds')):
  """One verdict from (name, verdict) pairs: the first state that any part has.

  It shows the numbers of the part that decides: of several with its state the
  surest if one is enough, the least sure if it takes all of them.
  """
  states = [v.state for _, v in parts]
  state = min(states, key=order.index)
  unknown = 2 if state == 'undecided' else 0  # for p: too few, or all the same
  name, shown = (min if state == order[0] else max)(
      (part for part in parts if part[1].state == state),
      key=lambda part: unknown if part[1].p is None else part[1].p)
  # Where it takes all parts, one that is not sure is enough to say so.
  doubt = OVER_EXAMPLES if state == order[-1] and any(
      OVER_EXAMPLES in v.note for _, v in parts) else ''
  return shown._replace(
      n=min(v.n for _, v in parts), parts=tuple(parts),
      note='; '.join(filter(None, [
          f'{states.count("holds")} of {len(parts)} parts hold; the numbers '
          f'are those of {name}', shown.note,
          '' if doubt in shown.note else doubt])),
      tested='; '.join(dict.fromkeys(v.tested for _, v in parts)),
      elsewhere=next((v.elsewhere for _, v in parts if v.elsewhere), ''))
