"""Methods on many data sets or tasks, of which one alone says little.

    records       wins, ties and losses of each pair, after Holm
    friedman      do mean ranks differ; Nemenyi's critical difference (Demsar,
                  2006)
    correlated_t  posterior of the difference on one data set, with a region of
                  practical equivalence (Benavoli et al., 2017)
    few_runs      interquartile mean, probability of improvement and performance
                  profiles with stratified bootstrap (Agarwal et al., 2021)

Ranks take the data sets as a sample of all that one cares about. Means over
data sets need scores on one scale; ranks and probabilities do not.
"""

import dataclasses
import math

import numpy as np
from scipy import special

from assay.claims import samples
from assay.errors import UserError
from assay.judge import examples
from assay.metrics import LOWER

RESAMPLES = 2000
MOST_RUNS = 50  # of a task; with more an interval of each task says it


@dataclasses.dataclass(frozen=True)
class Ranks:
  """Mean ranks over data sets, and the tests on them.

  Attributes:
    methods: names, the best mean rank first.
    ranks: [methods] mean ranks, 1 is best; equal values share theirs.
    datasets: their number.
    chi2: Friedman's statistic, corrected for ties.
    p: of Iman and Davenport's F.
    critical_difference: of mean ranks, Nemenyi's at 5 % over all pairs.
  """
  methods: tuple
  ranks: np.ndarray
  datasets: int
  chi2: float
  p: float
  critical_difference: float

  @property
  def differ(self):
    """Pairs (better, worse) whose ranks differ by the critical difference."""
    return [(a, b) for i, a in enumerate(self.methods)
            for j, b in enumerate(self.methods) if i < j and self.p < 0.05 and
            self.ranks[j] - self.ranks[i] >= self.critical_difference]

  @property
  def cliques(self):
    """(first, last) of runs of methods which ranks cannot tell apart."""
    found = []
    for i in range(len(self.methods)):
      if self.p >= 0.05:
        near = range(len(self.methods))
      else:
        near = [j for j in range(i, len(self.methods)) if
                self.ranks[j] - self.ranks[i] < self.critical_difference]
      if near[-1] > i and (not found or near[-1] > found[-1][1]):
        found.append((i, near[-1]))
    return found


def friedman(scores, methods, better):
  """The `Ranks` of methods.

  Args:
    scores: [datasets, methods] float.
    methods: their names.
    better: 'higher' or 'lower'.

  Raises:
    UserError: fewer than two data sets or three methods, or NaN.
  """
  x = np.asarray(scores, float)
  count, k = x.shape
  if count < 2 or k < 3 or k != len(methods) or not np.isfinite(x).all():
    raise UserError(f'scores {x.shape} must be numbers of two or more data '
                    'sets and of three or more methods, [datasets, methods].')
  ahead = x[:, None, :] - x[:, :, None] if better == LOWER else (
      x[:, :, None] - x[:, None, :])
  ranks = (k + 1) / 2 - np.sign(ahead).sum(axis=2) / 2
  means = ranks.mean(axis=0)
  spread = np.sum((ranks - (k + 1) / 2) ** 2)  # k (k^2 - 1) / 12, less for ties
  chi2 = ((k - 1) * count**2 * np.sum((means - (k + 1) / 2) ** 2) / spread
          if spread else 0.0)
  left = count * (k - 1) - chi2
  f = (count - 1) * chi2 / left if left > 1e-9 else math.inf
  p = float(special.fdtrc(k - 1, (k - 1) * (count - 1), f))
  q = studentized_range(0.95, k) / math.sqrt(2)
  order = np.argsort(means, kind='stable')
  return Ranks(tuple(methods[i] for i in order), means[order], count,
               float(chi2), p, float(q * math.sqrt(k * (k + 1) / (6 * count))))


def studentized_range(probability, k):
  """The quantile of the range of k standard normal values."""
  z = np.linspace(-9, 9, 2001)
  density = np.exp(-z**2 / 2) * (z[1] - z[0]) / math.sqrt(2 * math.pi)
  low, high = 0.0, 20.0
  for _ in range(50):  # SciPy's takes a second to import
    q = (low + high) / 2
    inside = k * np.sum(density * (
        special.ndtr(z) - special.ndtr(z - q)) ** (k - 1))
    low, high = (q, high) if inside < probability else (low, q)
  return q


def records(comparisons):
  """{(ours, baseline): {'win', 'loss', 'tie'}} over data sets, after Holm.

  Args:
    comparisons: of each pair on each data set, adjusted together. A tie is what
      is undecided, which is not the same as equal.
  """
  found = {}
  for c in comparisons:
    pair = tuple(sorted((c.ours, c.baseline)))
    own = found.setdefault(pair, {'win': 0, 'loss': 0, 'tie': 0})
    if c.corrected == 'undecided':
      own['tie'] += 1
    else:
      won = (c.corrected == 'holds') == (
          (c.check == 'less') == ((c.better or LOWER) == LOWER))
      own['win' if won == (c.ours == pair[0]) else 'loss'] += 1
  return found


def correlated_t(differences, ratio, rope=0.0):
  """(below, inside, above): posterior of the mean difference and the rope.

  The Bayesian correlated t test with its improper prior: Student's t around
  the mean with the scale of the corrected resampled t.

  Args:
    differences: [n] float, ours - baseline of each re-split.
    ratio: n_test / n_train; 0 of independent seeds.
    rope: a difference below it does not matter.

  Raises:
    UserError: fewer than two values, or a rope below 0.
  """
  x = np.asarray(differences, float)
  if x.ndim != 1 or len(x) < 2 or not np.isfinite(x).all() or rope < 0:
    raise UserError(f'differences {x.shape}, rope={rope}: give two or more '
                    'numbers, and a rope of 0 or more.')
  scale = np.std(x, ddof=1) * math.sqrt(1 / len(x) + ratio)
  if scale == 0:
    below, above = float(x.mean() < -rope), float(x.mean() > rope)
  else:
    below = float(special.stdtr(len(x) - 1, (-rope - x.mean()) / scale))
    above = float(special.stdtr(len(x) - 1, (x.mean() - rope) / scale))
  return below, 1 - below - above, above


def interquartile_mean(scores):
  """Mean of the middle half of all values: [..., runs, tasks] -> [...]."""
  x = np.sort(np.reshape(scores, (*np.shape(scores)[:-2], -1)), axis=-1)
  cut = x.shape[-1] // 4
  return x[..., cut:x.shape[-1] - cut].mean(axis=-1)


def probability_of_improvement(ours, baseline):
  """P(a run of ours beats one of the baseline), averaged over tasks.

  Args:
    ours: [..., runs, tasks] float, higher is better.
    baseline: [..., other runs, tasks] float.

  Returns:
    [...] in [0, 1]; a tie counts half.
  """
  a, b = ours[..., :, None, :], baseline[..., None, :, :]
  return ((a > b) + 0.5 * (a == b)).mean(axis=(-3, -2, -1))


def performance_profile(scores, taus):
  """[..., len(taus)]: the share of all runs with a score above each tau."""
  x = np.reshape(scores, (*np.shape(scores)[:-2], -1))
  return (x[..., None, :] > np.asarray(taus)[:, None]).mean(axis=-1)


def stratified_bootstrap(function, *scores, num_resamples=RESAMPLES, seed=0):
  """Percentile interval, 95 %, of a function of runs drawn task by task.

  Args:
    function: of one array [resamples, runs, tasks] for each of `scores`, to
      [resamples, ...].
    *scores: [runs, tasks] float each; runs are not paired.
    num_resamples: number of resamples.
    seed: of the resampling.

  Returns:
    [2, ...]: low and high.
  """
  rng, drawn = np.random.default_rng(seed), []
  block = max(1, 2**22 // max(np.size(x) for x in scores))
  for start in range(0, num_resamples, block):
    size = min(block, num_resamples - start)
    drawn.append(function(*(np.take_along_axis(
        x[None], rng.integers(len(x), size=(size, *x.shape)), axis=1)
                            for x in scores)))
  return np.quantile(np.concatenate(drawn), [0.025, 0.975], axis=0)


def few_runs(scores, better='higher'):
  """Aggregates of few runs on many tasks, with stratified bootstrap.

  Args:
    scores: method -> [runs, tasks] float, of the same tasks in one order, on
      one scale.
    better: 'higher' or 'lower'.

  Returns:
    {'iqm': method -> (value, low, high), 'improvement': (a, b) -> the same for
    P(a is better than b), of all pairs}.

  Raises:
    UserError: arrays that do not fit.
  """
  arrays = {m: np.asarray(x, float) for m, x in scores.items()}
  if any(x.ndim != 2 or x.shape[1:] != next(iter(arrays.values())).shape[1:]
         or not np.isfinite(x).all() for x in arrays.values()):
    raise UserError('scores must be numbers [runs, tasks] of the same tasks: '
                    f'{ {m: x.shape for m, x in arrays.items()} }.')
  iqm = {m: (float(interquartile_mean(x)), *map(float, stratified_bootstrap(
      interquartile_mean, x))) for m, x in arrays.items()}
  sign = -1 if better == LOWER else 1
  improvement, listed = {}, list(arrays)
  for i, a in enumerate(listed):
    for b in listed[i + 1:]:
      x, y = sign * arrays[a], sign * arrays[b]
      improvement[a, b] = (
          float(probability_of_improvement(x, y)), *map(
              float, stratified_bootstrap(probability_of_improvement, x, y,
                                          num_resamples=500)))
  return {'iqm': iqm, 'improvement': improvement}


def over_datasets(ours, baseline, metric, names, better=None):
  """The `Comparison` of two methods with one number a data set: paired t.

  Args:
    ours: [datasets] float.
    baseline: the same, of the same data sets.
    metric: its name.
    names: of the methods.
    better: 'higher' or 'lower'.
  """
  x = np.array([ours, baseline], float)
  sample = samples.Sample(x[0] - x[1], 0, 'paired t over data sets', '', [], {
      'tested': f'{x.shape[1]} data sets'}, unit='data sets')
  return examples.of_sample(sample, x, metric, names, None, better, {})


# --- From results by their names ---------------------------------------------


def matrix(data, metric):
  """([datasets, methods] means, data sets, methods, sentences on what is left).

  Data sets that lack a method, or any of whose values is none, are left out
  and said.
  """
  methods = list(dict.fromkeys(
      m for (_, own), found in data.cells.items() if own == metric
      for m in found))
  means, kept, left = [], [], []
  for (dataset, own), found in data.cells.items():
    if own != metric:
      continue
    values = [[v for v, _ in found.get(m, {}).values()] for m in methods]
    if all(values) and not any(v is None for vs in values for v in vs):
      means.append(list(map(np.mean, values)))
      kept.append(dataset)
    else:
      left.append(dataset)
  said = [f'{metric}: {len(left)} of {len(left) + len(kept)} data sets lack a '
          'method or a value and are in no rank or mean: '
          + ', '.join(left[:5]) + ', ...' * (len(left) > 5)] if left else []
  return np.array(means), kept, methods, said


def runs(data, metric, datasets, methods):
  """{method: [runs, tasks]} of few runs; None where tasks differ in runs."""
  found = {}
  for m in methods:
    columns = [[v for v, _ in data.cells[d, metric][m].values()]
               for d in datasets]
    if len({len(c) for c in columns}) != 1 or not (
        2 <= len(columns[0]) <= MOST_RUNS):
      return None
    found[m] = np.array(columns).T
  return found
