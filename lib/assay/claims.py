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

Arms `a` and `b` are a method's name or a dict of row fields. Checks of a metric
take the keywords `split='test'`, `state='best'`, `group=''`. In every verdict
p < 0.05 says what the interval says: it is decided, one way or the other.

  python -m assay.claims WORKDIR...
"""

import bisect
import sys
from typing import Callable, NamedTuple

import numpy as np
from scipy import special

from assay.errors import UserError

MIN_SEEDS = 5  # with fewer an interval is shown and nothing is decided
MAX_SEEDS = 1_000_000  # nobody will run more
TAIL = 0.025  # probability on each side of a 95 % interval


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
  reduced: bool = False  # some row is from a run at reduced scale


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


class _Sample(NamedTuple):
  """One number per seed, and what must be known to judge their mean."""
  values: np.ndarray  # [n] float, without seeds that diverged or miss an arm
  ratio: float  # n_test / n_train of re-splits, else 0
  test: str  # name of the test
  lost: str  # '' or which seeds could not be used
  remarks: list  # of text
  tested: dict  # fields `tested` and `reduced` of the verdict


class _NoRows(UserError):
  """An arm has no row at all: `judge` calls the claim not tested."""


# From rows to one number per seed.


def _matches(row, want):
  return all(row.get(k) == v for k, v in want.items())


def _text(fields):
  return ', '.join(f'{k}={v}' for k, v in fields.items())


def _fields(arm):
  return arm if isinstance(arm, dict) else {'method': arm}


def _name(arm):
  return _text(arm) if isinstance(arm, dict) else arm


def _only(rows, field):
  """The one value of a field, or an error that lists those found."""
  values = list(dict.fromkeys(r.get(field) for r in rows))
  if len(values) > 1:
    raise UserError(f'one comparison mixes {field} {values}; select one by the '
                    "claim's `where` or by a dict as arm.")
  return values[0]


def _by_seed(rows, want):
  """{seed: row} of the rows with the fields `want`.

  Raises:
    _NoRows: there is none.
    UserError: there are two for one seed.
  """
  found = {}
  for row in rows:
    if not _matches(row, want):
      continue
    if row['seed'] in found:
      other = found[row['seed']]
      differ = [k for k in {**other, **row} if other.get(k) != row.get(k)]
      raise UserError(f'two rows for {_text(want)}, seed={row["seed"]}, '
                      f'dataset={row["dataset"]}; they differ in '
                      f'{", ".join(differ) or "nothing"}.')
    found[row['seed']] = row
  if not found:
    raise _NoRows(f'no row has {_text(want)}')
  _only(found.values(), 'config')
  return found


def _test_to_train(rows, used):
  """n_test / n_train of the re-splits that the rows `used` come from.

  A group's row has the group's n, but what two splits share depends on the
  whole split, so the largest n of the split counts.
  """
  splits = {r['split'] for r in used}
  rows = [r for r in rows if r['dataset'] == used[0]['dataset']
          and r.get('config') == used[0].get('config')]
  train = [r['n'] for r in rows if r['split'] == 'train' and r['group'] == '']
  if not train:
    raise UserError('a comparison over re-splits needs a row of split train, '
                    'whose n is the number of training rows '
                    f'(dataset={used[0]["dataset"]}).')
  return max(r['n'] for r in rows if r['split'] in splits) / min(train)


def _where(used):
  """What the verdict's line ends with: data, examples, seeds, scale."""
  def each(field):
    return '/'.join(dict.fromkeys(str(r.get(field)) for r in used))

  sizes = sorted({r['n'] for r in used})
  seeds = len({r['seed'] for r in used})
  group = ' of group ' + each('group') if any(r['group'] for r in used) else ''
  return {'tested': f'{each("dataset")}, '
                    f'{" to ".join(map(str, sizes[:1] + sizes[1:][-1:]))} '
                    f'{each("split")} examples{group}, '
                    f'{seeds} seed{"s" * (seeds > 1)}, {each("scale")}',
          'reduced': any(r.get('scale') == 'reduced' for r in used)}


def _sampler(metric, arms, value, test, *, split='test', state='best',
             group=''):
  """Returns `read(rows) -> _Sample`.

  Args:
    metric: a metric's name; this and the keywords are row fields, which an arm
      that is a dict may override.
    arms: one or two methods, or dicts of row fields.
    value: [arms, n] float -> [n], the number that is judged.
    test: name of the test, starting with 'paired ' if there are two arms.
  """

  def read(rows):
    want = dict(metric=metric, split=split, state=state, group=group)
    columns = [_by_seed(rows, want | _fields(arm)) for arm in arms]
    used = [row for column in columns for row in column.values()]
    for field in 'dataset', 'seed_varies':
      _only(used, field)
    tests = {
        'fresh': test,
        'fixed_split': f'{test} over training runs on one test set',
        'resplit': f'corrected resampled {test.removeprefix("paired ")}'}
    varies = used[0].get('seed_varies')
    if varies not in tests:
      raise UserError(f'seed_varies={varies} is none of {", ".join(tests)}; '
                      'assay.results.read adds it to rows.')

    seeds = sorted(set().union(*columns))
    missing = {s for s in seeds if any(s not in c for c in columns)}
    null = [r for r in used if r['value'] is None]
    diverged = {r['seed'] for r in null}
    why = '; '.join(dict.fromkeys(r['why'] for r in null if r.get('why')))
    lost = [f'{len(lost)} of {len(seeds)} seeds {what}' for lost, what in (
        (diverged, 'diverged' + f' ({why})' * bool(why)),
        (missing, 'missing')) if lost]
    kept = [s for s in seeds if s not in missing | diverged]
    values = np.array([[c[s]['value'] for s in kept] for c in columns], float)

    remarks = []
    planned = min(r.get('planned_seeds', np.inf) for r in used)
    beyond = sum(s >= planned for s in seeds)
    if beyond:
      remarks.append(f'extended from {planned} to {planned + beyond} seeds '
                     'after the run was planned')
    elif len(seeds) < planned < np.inf:
      remarks.append(f'{len(seeds)} of {planned} planned seeds')
    return _Sample(
        value(values), _test_to_train(rows, used) if varies == 'resplit' else 0,
        tests[varies], ' and '.join(lost), remarks, _where(used))

  return read


# From one number per seed to a verdict.


def t_interval(values, ratio=0.0, tail=TAIL, n=None):
  """Student's interval for the mean over seeds: (low, high).

  Args:
    values: [seeds] float, two or more.
    ratio: n_test / n_train of re-splits of one data set; 0 if the seeds are
      independent.
    tail: probability left out on each side.
    n: as if so many seeds had given this mean and standard deviation.
  """
  n = n or len(values)
  half = (special.stdtrit(n - 1, 1 - tail) * np.std(values, ddof=1)
          * np.sqrt(1 / n + ratio))
  return float(np.mean(values) - half), float(np.mean(values) + half)


def _state(interval, region, closed):
  """'holds' inside, 'fails' outside, 'undecided' across an end of the region.

  Whether the ends belong to the region (`closed`) matters when all seeds give
  the same value: equal arms are not `less`, an accuracy of 1 is `within`.
  """
  (low, high), (start, end) = interval, region
  before, after = (start <= low, high <= end) if closed else (
      start < low, high < end)
  if before and after:
    return 'holds'
  apart = (high < start or end < low) if closed else (
      high <= start or end <= low)
  return 'fails' if apart else 'undecided'


def _verdict(sample, estimate, interval, region, p, *, closed=False,
             method='', notes=(), show=float):
  """The verdict on an estimate from a sample, and the rules for all tests.

  Args:
    sample: `_Sample`.
    estimate: float.
    interval: (n, ratio) -> (low, high), as if n seeds had been used.
    region: (low, high) where the claim holds; may be infinite.
    p: float or None.
    closed: whether the ends of the region belong to it.
    method: name of the test.
    notes: texts.
    show: from the scale of the test to the one that is reported.
  """
  n, ratio = len(sample.values), sample.ratio
  notes = [sample.lost] * bool(sample.lost) + list(notes)
  bounds, naive, state = (np.nan, np.nan), None, 'undecided'
  if n > 1:
    bounds = interval(n, ratio)
    naive = interval(n, 0) if ratio else None
  if n < MIN_SEEDS:
    notes.append(f'fewer than {MIN_SEEDS} seeds')
  if n < MIN_SEEDS or sample.lost:
    p = None  # a small p would be read as a result
  else:
    state = _state(bounds, region, closed)
  if n > 1 and state == 'undecided' and not sample.lost:
    number = MIN_SEEDS + bisect.bisect_left(
        range(MIN_SEEDS, MAX_SEEDS), True,
        key=lambda n: _state(interval(n, ratio), region, closed) != 'undecided')
    if number < MAX_SEEDS:
      notes.append(f'about {number:,} seeds would settle it')
    elif ratio:  # the corrected interval does not shrink to a point
      notes.append('no number of re-splits of these data can settle it')
    else:
      notes.append(f'{MAX_SEEDS:,} seeds would not settle it')
  return Verdict(
      state, float(show(estimate)), *(float(show(v)) for v in bounds), n,
      method, '; '.join(notes + sample.remarks), p,
      naive and tuple(float(show(v)) for v in naive), **sample.tested)


def _mean_verdict(sample, region, *, tail=TAIL, extra='', **how):
  """The verdict on the mean of a sample; `extra` goes on the test's name."""
  values, n = sample.values, len(sample.values)
  mean = float(np.mean(values)) if n else np.nan
  p, notes = None, []
  if n == 1:
    notes.append('one seed gives no interval')
  elif n and np.ptp(values) == 0:
    notes.append('all seeds give the same value, judged as it is')
  elif n:
    error = np.std(values, ddof=1) * np.sqrt(1 / n + sample.ratio)
    distance = min(abs(mean - bound) for bound in region)
    # Scaled so that p < 0.05 whenever less than `tail` lies beyond the bound.
    p = float(min(1, special.stdtr(n - 1, -distance / error) * 0.05 / tail))
  method = sample.test + extra + (
      f' (n_test/n_train {sample.ratio:.3g})' if sample.ratio else '')
  return _verdict(sample, mean,
                  lambda n, ratio: t_interval(values, ratio, tail, n),
                  region, p, method=method, notes=notes, **how)


def _mean_check(name, read, region, closed=False, **how):
  """Check that a mean lies in a region; the attributes are for `every_seed`."""

  def check(rows):
    return _mean_verdict(read(rows), region, closed=closed, **how)

  check.name = name
  check.read = read
  check.good = lambda value: _state((value, value), region, closed) == 'holds'
  return check


def _difference(metric, a, b, where):
  return _sampler(metric, (a, b), lambda x: x[0] - x[1], 'paired t', **where)


# The checks that claims are made of.


def less(metric, a, b, by=0, **where):
  """The mean over seeds of a - b is below -by."""
  return _mean_check(f'{metric} of {_name(a)} < {_name(b)}',
                     _difference(metric, a, b, where), (-np.inf, -by))


def greater(metric, a, b, by=0, **where):
  """The mean over seeds of a - b is above by."""
  return _mean_check(f'{metric} of {_name(a)} > {_name(b)}',
                     _difference(metric, a, b, where), (by, np.inf))


def ratio(metric, a, b, low, high, **where):
  """The geometric mean over seeds of a / b is in [low, high], low >= 0."""

  def log_ratio(x):
    if np.any(x <= 0):
      raise UserError(f'a ratio needs positive values; {metric} of {_name(a)} '
                      f'or {_name(b)} has {x.min():g}.')
    return np.log(x[0]) - np.log(x[1])

  return _mean_check(
      f'{metric} of {_name(a)} / {_name(b)} in [{low:g}, {high:g}]',
      _sampler(metric, (a, b), log_ratio, 'paired t of logs', **where),
      (np.log(low) if low else -np.inf, np.log(high)), closed=True, show=np.exp)


def within(metric, a, low, high, **where):
  """The mean over seeds of a is in [low, high]."""
  return _mean_check(f'{metric} of {_name(a)} in [{low:g}, {high:g}]',
                     _sampler(metric, (a,), lambda x: x[0], 't', **where),
                     (low, high), closed=True)


def equal(metric, a, b, margin, **where):
  """The mean over seeds of a - b is in (-margin, margin), two tests of 5 %."""
  return _mean_check(f'{metric} of {_name(a)} = {_name(b)} +- {margin:g}',
                     _difference(metric, a, b, where), (-margin, margin),
                     tail=0.05, extra=', two one-sided tests, 90 % interval')


def clopper_pearson(k, n, tail=TAIL):
  """Exact binomial interval for k of n (real numbers): (low, high)."""
  low = special.betaincinv(k, n - k + 1, tail) if k > 0 else 0
  high = special.betaincinv(k + 1, n - k, 1 - tail) if k < n else 1
  return float(low), float(high)


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
      return clopper_pearson(fraction * number, number)

    number = n / (1 + n * sample.ratio)
    k = fraction * number
    tail = (special.betainc(k, number - k + 1, at_least)
            if fraction >= at_least
            else special.betaincc(k + 1, number - k, at_least))
    method = 'exact binomial interval' + (
        f', re-splits counted as {number:.1f} independent seeds'
        if sample.ratio else '')
    return _verdict(sample, fraction, interval, (at_least, 1),
                    float(min(1, 2 * tail)), closed=True, method=method,
                    notes=[f'{good} of {n} seeds'])

  checked.name = f'{check.name}, seed by seed'
  return checked


def _numbers(verdict):
  if np.isnan(verdict.low):
    return f'{verdict.estimate:.4g} (no interval)'
  return f'{verdict.estimate:.4g} [{verdict.low:.4g}, {verdict.high:.4g}]'


def _combine(parts):
  """One verdict from (name, verdict) pairs, all of which must hold.

  It shows the numbers of the part that decides: the surest failure, else the
  least sure of the rest. Its note lists all parts.
  """
  states = [v.state for _, v in parts]
  state = next((s for s in ('fails', 'undecided') if s in states), 'holds')
  unknown = 2 if state == 'undecided' else 0  # for p: too few, or all the same
  pick = min if state == 'fails' else max
  shown = pick((v for _, v in parts if v.state == state),
               key=lambda v: unknown if v.p is None else v.p)
  note = '; '.join(f'{name}: {v.state} {_numbers(v)}'
                   + f' ({v.note})' * (v is shown and bool(v.note))
                   for name, v in parts)
  return shown._replace(
      n=min(v.n for _, v in parts), note=note,
      tested='; '.join(dict.fromkeys(v.tested for _, v in parts)),
      reduced=any(v.reduced for _, v in parts))


def all_of(*checks):
  """All checks hold; fails if any fails.

  That all hold needs no correction (intersection-union). That one of k fails
  by chance is likelier than for one alone: p is then k times that of the part.
  """

  def check(rows):
    verdict = _combine([(getattr(c, 'name', f'part {i}'), c(rows))
                        for i, c in enumerate(checks, 1)])
    if verdict.state == 'fails' and verdict.p is not None:
      verdict = verdict._replace(p=min(1.0, len(checks) * verdict.p))
    return verdict

  check.name = ' and '.join(getattr(c, 'name', 'a check') for c in checks)
  return check


def _sweep(rows, metric, over, method, at_least, *, split='test', state='best',
           group=''):
  """[(value, arm)] of the sweep field `over`, in order of its value."""
  want = dict(metric=metric, split=split, state=state, group=group)
  want |= {} if method is None else _fields(method)
  found = [r for r in rows if r.get(over) is not None and _matches(r, want)]
  if not found:
    raise _NoRows(f'no row has {over} and {_text(want)}')
  arm = {'method': _only(found, 'method')} if method is None else (
      _fields(method))
  values = {r[over] for r in found}
  if any(isinstance(v, str) for v in values) or len(values) < at_least:
    raise UserError(f'a claim over {over} needs at least {at_least} numbers, '
                    f'not {sorted(values, key=str)}.')
  return [(v, arm | {over: v}) for v in sorted(values)]


def monotone(metric, over, slack, *, increasing=True, method=None, **where):
  """No step of the sweep goes the wrong way by more than `slack` in the mean.

  Each step is tested at the level divided by the number of steps.
  """

  def check(rows):
    levels = _sweep(rows, metric, over, method, 2, **where)
    steps = len(levels) - 1
    region = (-slack, np.inf) if increasing else (-np.inf, slack)
    return _combine([
        (f'{over} {x:g} to {y:g}',
         _mean_verdict(_difference(metric, b, a, where)(rows), region,
                       tail=TAIL / steps, extra=f', Bonferroni over {steps}'))
        for (x, a), (y, b) in zip(levels[:-1], levels[1:], strict=True)])

  check.name = f'{metric} {"rises" if increasing else "falls"} with {over}'
  return check


def minimum_inside(metric, over, *, method=None, low=None, high=None, **where):
  """The mean is lowest inside the sweep: at neither end, or in [low, high].

  Holds if the best point inside is below each point outside (the two ends, or
  all that are not in [low, high]); fails if the best point outside is below
  each point inside.
  """
  bounds = (-np.inf if low is None else low, np.inf if high is None else high)

  def check(rows):
    levels = _sweep(rows, metric, over, method, 3, **where)
    if low is None and high is None:
      inner, outer = levels[1:-1], [levels[0], levels[-1]]
    else:
      inner = [level for level in levels if bounds[0] <= level[0] <= bounds[1]]
      outer = [level for level in levels if level not in inner]
    if not inner or not outer:
      raise UserError(f'the sweep of {over} needs points inside and outside '
                      f'{list(bounds)}; it has {[v for v, _ in levels]}.')

    def mean(level):
      read = _sampler(metric, level[1:], lambda x: x[0], 't', **where)
      values = read(rows).values
      return np.mean(values) if len(values) else np.inf

    # The seeds that test a point have also chosen it, so the level is divided
    # by the number of points it was chosen from. Choosing by half of the seeds
    # would leave half to test with, and halves of re-splits share rows.
    best_in, best_out = min(inner, key=mean), min(outer, key=mean)
    may_hold = mean(best_in) < mean(best_out)
    num = len(inner if may_hold else outer)
    pairs = ([(best_in, o) for o in outer] if may_hold
             else [(i, best_out) for i in inner])
    verdict = _combine([
        (f'{over} {i[0]:g} {"below" if may_hold else "above"} {o[0]:g}',
         _mean_verdict(_difference(metric, i[1], o[1], where)(rows),
                       (-np.inf, 0) if may_hold else (0, np.inf),
                       tail=TAIL / num, extra=f', Bonferroni over {num}'))
        for i, o in pairs])
    best = (best_in if may_hold else best_out)[0]
    if not may_hold and verdict.state == 'holds':  # the point outside is lower
      verdict = verdict._replace(state='fails')
    return verdict._replace(note=f'lowest at {over} {best:g}; {verdict.note}')

  check.name = f'{metric} has its minimum inside the range of {over}'
  return check


# Groups and examples.


def worst_group(rows, metric, minimum=30, higher_is_worse=True):
  """The worst group's row for each method, seed, split, state, sweep field.

  Args:
    rows: rows; those of other metrics and of group '' are passed over.
    metric: name of the metric.
    minimum: smallest n of a group that counts.
    higher_is_worse: True for errors, False for accuracies.

  Returns:
    Rows with group 'worst', `worst` (name of the group, whose n is given) and
    `small_groups` (text: the groups left out, with n). The value is null if
    that of a group is, or if no group is large enough.
  """
  own = ('group', 'value', 'n', 'why')
  cells = {}
  for row in rows:
    if row['metric'] == metric and row['group'] not in ('', 'worst'):
      same = {k: v for k, v in row.items() if k not in own}
      groups = cells.setdefault(tuple(sorted(same.items())), {})
      if row['group'] in groups:
        raise UserError(f'two rows for group={row["group"]}, {_text(same)}.')
      groups[row['group']] = row

  def badness(row):
    if row['value'] is None:  # a group that diverged is the worst
      return np.inf
    return row['value'] if higher_is_worse else -row['value']

  found = []
  for key, groups in cells.items():
    groups = sorted(groups.values(), key=lambda r: str(r['group']))
    none = {'group': '', 'value': None, 'n': 0,
            'why': f'no group has {minimum} examples'}
    worst = max((r for r in groups if r['n'] >= minimum), key=badness,
                default=none)
    found.append(dict(key) | {k: worst[k] for k in own if k in worst} | {
        'group': 'worst', 'worst': worst['group'],
        'small_groups': ', '.join(f'{r["group"]} (n={r["n"]})'
                                  for r in groups if r['n'] < minimum)})
  return found


def two_level_bootstrap(a, b, num_resamples=2000, seed=0, statistic=None):
  """Percentile interval of a - b over seeds and examples of one test set.

  Seeds and examples are both drawn with replacement, the same for both arms
  (the pigeonhole bootstrap of Owen, 2007: somewhat too wide).

  Args:
    a: [seeds, examples] float, per-example errors of one arm.
    b: [seeds, examples] float, of the other.
    num_resamples: number of resamples.
    seed: of the resampling.
    statistic: [..., examples] -> [...], averaged over seeds; default the mean.

  Returns:
    (estimate, low, high), 95 %.
  """
  a, b = np.asarray(a, float), np.asarray(b, float)
  if a.shape != b.shape or a.ndim != 2:
    raise ValueError(f'a {a.shape} and b {b.shape} must both be '
                     '[seeds, examples].')
  statistic = statistic or (lambda errors: errors.mean(-1))
  (num_seeds, num_examples), means = a.shape, []
  rng = np.random.default_rng(seed)
  block = max(1, 2**21 // a.size)  # 16 MB for each array that is gathered
  for start in range(0, num_resamples, block):
    size = min(block, num_resamples - start)
    examples = rng.integers(num_examples, size=(size, num_examples))
    gaps = statistic(a[:, examples]) - statistic(b[:, examples])  # [S, size]
    seeds = rng.integers(num_seeds, size=(num_seeds, size))
    means.append(np.take_along_axis(gaps, seeds, axis=0).mean(axis=0))
  low, high = np.quantile(np.concatenate(means), [TAIL, 1 - TAIL])
  return float((statistic(a) - statistic(b)).mean()), float(low), float(high)


# The claims of a paper together.


def holm(ps):
  """Holm-adjusted p values; None counts as 1 among them and stays None."""
  order = sorted(range(len(ps)), key=lambda i: 1 if ps[i] is None else ps[i])
  adjusted, highest = [None] * len(ps), 0.0
  for rank, i in enumerate(order):
    if ps[i] is not None:
      highest = max(highest, min(1.0, (len(ps) - rank) * ps[i]))
      adjusted[i] = highest
  return adjusted


def about(claims, rows):
  """Those of the claims that speak about a config which has rows."""
  configs = {row['config'] for row in rows}
  return [c for c in claims if c.where.get('config', None) in configs | {None}]


def judge(claims, rows):
  """A `Judged` for each claim of one paper.

  Raises:
    UserError: rows that cannot be compared; it names the claim.
  """
  verdicts, where = [], []
  for claim in claims:
    chosen = [r for r in rows if _matches(r, claim.where)]
    try:
      if not chosen:
        raise _NoRows(f'no row has {_text(claim.where)}')
      verdict = claim.check(chosen)
      if not verdict.tested:  # a check written by hand
        verdict = verdict._replace(**_where(
            [r for r in chosen if r['split'] != 'train'] or chosen))
      verdicts.append(verdict)
      where.append(verdict.tested)
    except _NoRows as e:
      verdicts.append(None)
      where.append(str(e))
    except UserError as e:
      raise UserError(f'claim {claim.name}: {e}') from e
  adjusted = iter(holm([v.p for v in verdicts if v]))
  return [Judged(claim, v, next(adjusted) if v else None, w)
          for claim, v, w in zip(claims, verdicts, where, strict=True)]


def word_of(item):
  """'HOLDS', 'FAILS', 'FAILS here (reduced)', 'UNDECIDED', 'NOT TESTED'."""
  if not item.verdict:
    return 'NOT TESTED'
  here = item.verdict.state == 'fails' and item.verdict.reduced
  return item.verdict.state.upper() + ' here (reduced)' * here


def _cells(item):
  """What both forms of a verdict show, as text; '' where there is none."""
  claim, verdict = item.claim, item.verdict
  cells = {'verdict': word_of(item), 'claim': claim.sentence, 'estimate': '',
           'naive': '', 'seeds': '', 'Holm p': '', 'test': '', 'note': '',
           'source': claim.source + '; reported, not gated'
                     * (not claim.gated), 'tested on': item.where_tested}
  if verdict:
    naive = '[{:.4g}, {:.4g}]'.format(*verdict.naive) if verdict.naive else ''
    p = '' if item.p_holm is None else f'{item.p_holm:.2g}'
    cells |= {'estimate': _numbers(verdict), 'naive': naive,
              'seeds': str(verdict.n), 'Holm p': p, 'test': verdict.method,
              'note': verdict.note}
  return cells


def lines(judged):
  """Plain text, for each claim one string of a few lines."""
  texts = []
  for item in judged:
    cells = _cells(item)
    numbers = [cells['estimate']] + [
        f'{k} {cells[k]}' for k in ('naive', 'seeds', 'Holm p') if cells[k]]
    texts.append('\n    '.join(filter(None, [
        f'{cells["verdict"]}  {item.claim.name}: {cells["claim"]} '
        f'({cells["source"]})',
        ', '.join(numbers + [cells['test']]) if item.verdict else '',
        cells['note'], cells['tested on']])))
  return texts


def markdown(judged):
  """The verdicts as a Markdown table, one claim a row."""
  table = [list(_cells(item).values()) for item in judged]
  if judged:
    header = list(_cells(judged[0]))
    table = [header, ['---'] * len(header)] + table
  return '\n'.join('| ' + ' | '.join(c.replace('|', r'\|') for c in row) + ' |'
                   for row in table)


def main(argv):
  """Prints the verdicts on the rows of workdirs; returns the exit status."""
  from assay import papers, results  # only this command needs them
  try:
    if not argv:
      raise UserError('usage: python -m assay.claims WORKDIR...')
    rows = results.read(argv)
    if not rows:
      raise UserError(f'no rows in {" ".join(argv)}.')
    for paper in dict.fromkeys(r['paper'] for r in rows):
      print('\n'.join(lines(judge(papers.load(paper).CLAIMS, [
          r for r in rows if r['paper'] == paper]))))
  except UserError as e:
    print(e, file=sys.stderr)
    return 2
  return 0


if __name__ == '__main__':
  # The module that experiments import, not this second copy of it: `judge`
  # must catch the very class that their checks raise.
  from assay import claims
  sys.exit(claims.main(sys.argv[1:]))
