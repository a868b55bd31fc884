"""Intervals and p values of arrays with one number per seed."""

import bisect
import functools

import numpy as np
from scipy import special

TAIL = 0.025  # probability on each side of a 95 % interval
MAX_SEEDS = 1_000_000  # nobody will run more
FLIPS = 9_999  # of signs, where not all are counted


def t_interval(values, ratio=0.0, tail=TAIL, n=None):
  """Student's interval for the mean over seeds: (low, high); NaN below two.

  Args:
    values: [seeds] float.
    ratio: n_test / n_train of re-splits of one data set, for the corrected
      resampled t; 0 if the seeds are independent.
    tail: probability left out on each side.
    n: as if so many seeds had given this mean and standard deviation.
  """
  if len(values) < 2:
    return np.nan, np.nan
  return t_interval_of(np.mean(values), np.std(values, ddof=1),
                       n or len(values), ratio, tail)


def t_interval_of(mean, deviation, n, ratio=0.0, tail=TAIL):
  """`t_interval` of n > 1 values with this mean and standard deviation."""
  half = (special.stdtrit(n - 1, 1 - tail) * deviation
          * np.sqrt(1 / n + ratio))
  return float(mean - half), float(mean + half)


def t_p_value(values, bound, ratio=0.0, tail=TAIL):
  """p of the mean against a bound, below 0.05 where `t_interval` excludes it.

  None below two values, or if all are the same.
  """
  if len(values) < 2 or np.ptp(values) == 0:
    return None
  n = len(values)
  error = np.std(values, ddof=1) * np.sqrt(1 / n + ratio)
  beyond = special.stdtr(n - 1, -abs(np.mean(values) - bound) / error)
  return float(min(1, beyond * 0.05 / tail))


def sign_flip_p_value(values, bound, seed=0):
  """p of the mean against a bound if each value could as well lie beyond it.

  Two-sided sign-flip test: exact, for values that are symmetric around the
  bound, whatever their law. All 2**n flips of up to 26 values, 9,999 drawn ones
  of up to 50, then the normal limit. It knows nothing of re-splits, which are
  not independent. None below two values, or if all are the same.

  Args:
    values: [n] float.
    bound: float.
    seed: of the flips that are drawn.
  """
  if len(values) < 2 or np.ptp(values) == 0:
    return None
  away = np.asarray(values, float) - bound
  n, total = len(away), abs(away.sum()) - 1e-12 * abs(away).sum()  # ties count
  if n <= 26:
    first, second = _signed_sums(away[:n // 2]), _signed_sums(away[n // 2:])
    fewer = np.searchsorted(np.sort(second), total - first)  # for each of first
    beyond = np.mean(1 - fewer / len(second))
    return float(min(1, 2 * beyond))
  if n <= 50:
    beyond = np.sum(abs(_signs(n, seed) @ away) >= total)
    return float((1 + beyond) / (1 + FLIPS))
  return float(2 * special.ndtr(-total / np.linalg.norm(away)))


@functools.lru_cache(8)
def _signs(n, seed):
  signs = np.random.default_rng(seed).integers(2, size=(FLIPS, n), dtype='i1')
  return 2.0 * signs - 1


def _signed_sums(values):
  """[2**n] sums with all signs."""
  sums = np.zeros(1)
  for value in values:
    sums = np.concatenate([sums + value, sums - value])
  return sums


def equal_interval(value, n, reach, tail=TAIL):
  """What n equal values say of the mean of their law: (low, high).

  That all n are equal excludes no law that gives something else with a
  probability of up to 1 - tail ** (1 / n), as far away as can be.

  Args:
    value: float.
    n: how many independent values are equal; a real number.
    reach: (low, high) of what a value can be; may be infinite.
    tail: probability left out on each side.
  """
  share = 1 - tail ** (1 / n)
  return tuple(float(value + share * (end - value)) if end != value else
               float(value) for end in reach)


def equal_p_value(value, n, reach, region, closed, tail=TAIL):
  """p of n equal values against the ends of a region, as `equal_interval`.

  Against both ends from inside, which must be excluded, else the nearest.
  """
  def p(end):
    far = reach[0] if end < value or end == value == region[0] else reach[1]
    away, most = abs(end - value), abs(far - value)
    if most < away or closed and most == away:
      return 0.0  # no mean lies beyond that end
    return (1 - (away / most if away else 0)) ** n

  start, end = region
  inside = start <= value <= end if closed else start < value < end
  ends = [x for x in region if np.isfinite(x)]
  if not inside:
    ends = [min(ends, key=lambda x: abs(x - value))]
  return float(min(1, max(map(p, ends), default=0.0) * 0.05 / tail))


def clopper_pearson(k, n, tail=TAIL):
  """Exact binomial interval for k of n (real numbers): (low, high)."""
  low = special.betaincinv(k, n - k + 1, tail) if k > 0 else 0
  high = special.betaincinv(k + 1, n - k, 1 - tail) if k < n else 1
  return float(low), float(high)


def binomial_p_value(k, n, probability):
  """Twice the smaller tail of k of n (real numbers) at a probability."""
  tail = (special.betainc(k, n - k + 1, probability) if k >= probability * n
          else special.betaincc(k + 1, n - k, probability))
  return float(min(1, 2 * tail))


def seeds_needed(decided, least):
  """The smallest n >= `least` with `decided(n)`; None above `MAX_SEEDS`."""
  n = least + bisect.bisect_left(range(least, MAX_SEEDS), True, key=decided)
  return n if n < MAX_SEEDS else None


def holm(ps):
  """Holm-adjusted p values; None counts as 1 among them and stays None."""
  order = sorted(range(len(ps)), key=lambda i: 1 if ps[i] is None else ps[i])
  adjusted, highest = [None] * len(ps), 0.0
  for rank, i in enumerate(order):
    if ps[i] is not None:
      highest = max(highest, min(1.0, (len(ps) - rank) * ps[i]))
      adjusted[i] = highest
  return adjusted


def two_level_bootstrap(errors, value, tail=TAIL, num_resamples=2000, seed=0):
  """Percentile interval, over seeds and examples, of a mean: (low, high).

  Seeds and examples of one test set are both drawn with replacement, the same
  for all arms (the pigeonhole bootstrap of Owen, 2007: somewhat too wide).

  Args:
    errors: [arms, seeds, examples] float or bool.
    value: [arms, ..., seeds] float -> [..., seeds], from mean errors of each
      arm to the number whose mean over seeds is wanted.
    tail: probability left out on each side.
    num_resamples: number of resamples.
    seed: of the resampling.
  """
  errors = np.asarray(errors, float)
  if errors.ndim != 3:
    raise ValueError(f'errors {errors.shape} must be [arms, seeds, examples].')
  (num_arms, num_seeds, n), means = errors.shape, []
  columns = errors.reshape(-1, n).T
  rng = np.random.default_rng(seed)
  block = max(1, 2**21 // n)  # 16 MB for each array of examples drawn
  for start in range(0, num_resamples, block):
    size = min(block, num_resamples - start)
    drawn = rng.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
    # How often each example was drawn: its errors need not be gathered.
    counts = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
    resampled = (counts.astype(float) @ columns) / n
    values = value(np.moveaxis(
        resampled.reshape(size, num_arms, num_seeds), 0, 1))
    seeds = rng.integers(num_seeds, size=(size, num_seeds))
    means.append(np.take_along_axis(values, seeds, axis=1).mean(axis=1))
  low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
  return float(low), float(high)
