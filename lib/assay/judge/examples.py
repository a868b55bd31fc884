"""Two methods on the same examples: right or wrong, losses, scores.

    mcnemar      right or wrong, one run of each: exact McNemar
    paired       a loss or a score of each example: paired t and bootstrap
    delong       scores of two classes: AUROC, DeLong et al. (1988)
    two_level    several runs on one test set: seeds and examples both vary

A verdict says whether the difference would be found again on other examples of
the same kind; of one run each it says nothing about other training runs.
"""

import numpy as np
from scipy import special

from assay.claims import intervals, rules, samples
from assay.claims.intervals import TAIL
from assay.errors import UserError
from assay.judge import names as known_names
from assay.judge import pairs
from assay.judge.varies import Varies
from assay.metrics import selective

MOST_FOR_BOOTSTRAP = 5000  # examples; with more it says what the t says
NAMES = ('ours', 'baseline')


def mcnemar(ours, baseline, metric='correct', *, names=NAMES, check=None,
            better=None, **more):
  """Exact McNemar's test of two classifiers on the same examples.

  The estimate is the difference of the two rates. Only examples on which they
  differ tell; the interval takes their number as given, and excludes 0 where
  p < 0.05.

  Args:
    ours: [n] of 0 and 1, as right and wrong.
    baseline: the same, of the same examples.
    metric: what 1 stands for: 'correct', 'error' ...
    names: of the methods.
    check: 'less' or 'greater'; None: that ours is better, as `compare` has it.
    better: 'higher' or 'lower', if the metric's name does not tell.
    **more: fields of the `Comparison`.

  Raises:
    UserError: other values than 0 and 1, or of different examples.
  """
  x = _pair(ours, baseline)
  if not np.isin(x, (0, 1)).all():
    raise UserError(f'{metric}: must be 0 or 1 for each example; for losses '
                    'and scores use `paired`.')
  only_ours, only_baseline = np.sum(x[0] > x[1]), np.sum(x[1] > x[0])
  differ, size = only_ours + only_baseline, x.shape[1]

  def interval(n, ratio):
    del ratio
    k, of = only_ours * n / size, differ * n / size
    if not of:
      return 0.0, 0.0
    return tuple((2 * v - 1) * differ / size
                 for v in intervals.clopper_pearson(k, of))

  p = intervals.binomial_p_value(only_ours, differ, 0.5) if differ else None
  return _judged(
      x, metric, names, check, better, more, interval, p,
      f'exact McNemar test ({only_ours} : {only_baseline} of {size} differ)',
      [] if differ else ['no example tells them apart'])


def paired(ours, baseline, metric='loss', *, names=NAMES, check=None,
           better=None, bootstrap=True, **more):
  """Paired t over examples, with the paired bootstrap beside it.

  Args:
    ours: [n] float: a loss or a score of each example.
    baseline: as for `mcnemar`, as are metric, names, check and better.
    metric: see `baseline`.
    names: see `baseline`.
    check: see `baseline`.
    better: see `baseline`.
    bootstrap: whether to draw it.
    **more: fields of the `Comparison`.
  """
  x = _pair(ours, baseline)
  sample = _sample(x[0] - x[1], 'paired t over examples')._replace(
      wrong=x[:, None, :] if bootstrap else None)
  return of_sample(sample, x, metric, names, check, better, more)


def two_level(ours, baseline, metric='loss', *, names=NAMES, check=None,
              better=None, **more):
  """Paired t over training runs, and the bootstrap over runs and examples.

  The t speaks about other runs on this one test set, the bootstrap beside it
  about other examples too; where it would not decide, the note says so.

  Args:
    ours: [seeds, n] float or bool: a number for each run and example.
    baseline: as for `mcnemar`, as are metric, names, check and better.
    metric: see `baseline`.
    names: see `baseline`.
    check: see `baseline`.
    better: see `baseline`.
    **more: fields of the `Comparison`.
  """
  x = _pair(ours, baseline, 2)
  values = x.mean(axis=-1)
  sample = samples.Sample(
      values[0] - values[1], 0, 'paired t over training runs on one test set',
      '', [], {'tested': f'{x.shape[2]} examples, {x.shape[1]} training runs'},
      x)
  return of_sample(sample, x, metric, names, check, better, more | {
      'varies': Varies('fixed_split'), 'unit': 'training runs'})


def delong(ours, baseline, labels, metric='auroc', *, names=NAMES, check=None,
           **more):
  """DeLong's test of the AUROC of two scores on the same examples.

  Args:
    ours: [n] float, scores that are higher for label 1.
    baseline: the same, of the same examples.
    labels: [n] of 0 and 1.
    metric: its name.
    names: of the methods.
    check: 'less' or 'greater'; None: greater.
    **more: fields of the `Comparison`.

  Raises:
    UserError: labels that are not 0 and 1, or fewer than two of one.
  """
  x, labels = _pair(ours, baseline), np.asarray(labels)
  if labels.shape != x.shape[1:] or not np.isin(labels, (0, 1)).all():
    raise UserError(f'labels {labels.shape}: must be 0 or 1 for each of '
                    f'{x.shape[1]} examples.')
  if min(np.sum(labels == 0), np.sum(labels == 1)) < 2:
    raise UserError(f'labels: {np.sum(labels == 1)} of {labels.size} are 1; '
                    'AUROC needs two or more examples of each of 0 and 1.')
  parts = [selective.auroc_parts(scores, labels) for scores in x]
  error = np.sqrt(sum(np.var(parts[0][i] - parts[1][i], ddof=1)
                      / len(parts[0][i]) for i in (1, 2)))
  difference, size = parts[0][0] - parts[1][0], x.shape[1]

  def interval(n, ratio):
    del ratio
    half = special.ndtri(1 - TAIL) * error * np.sqrt(size / n)
    return difference - half, difference + half

  p = float(2 * special.ndtr(-abs(difference) / error)) if error else None
  return _judged(x, metric, names, check, 'higher', more, interval, p,
                 f"DeLong's test ({np.sum(labels == 1)} of {size} positive)",
                 [], means=(parts[0][0], parts[1][0]))


def every_pair(data, ours=None):
  """`Comparison`s of all pairs of methods of results of single examples.

  Args:
    data: `columns.Data` with (seed, example) in the place of seeds.
    ours: a method: only the pairs that it is part of.

  Raises:
    UserError: two methods have different examples or seeds.
  """
  made = []
  for dataset, metric, a, b, methods in pairs.listed(data, ours):
    c = one_pair(data, dataset, metric, a, b, methods)
    if not ours and c.better == 'higher' and c.means[0] < c.means[1]:
      c = one_pair(data, dataset, metric, b, a, methods)  # by its AUROC
    made.append(c)
  return pairs.with_holm(made)


def one_pair(data, dataset, metric, a, b, methods, check=None):
  """The `Comparison` of two methods on single examples; see `every_pair`."""
  first, second = methods[a], methods[b]
  where = f'{metric}' + f' on {dataset}' * bool(dataset)
  if first.keys() != second.keys():
    odd = sorted(first.keys() ^ second.keys(), key=str)
    raise UserError(f'{data.name}: {len(odd)} examples of {where} are there '
                    f'for one of {a} and {b} only, as {odd[0][1]}; give the '
                    'same examples for both.')
  keys = sorted(first, key=str)
  lost = [why for own in (first, second) for v, why in own.values()
          if v is None]
  if lost:
    raise UserError(f'{data.name}: {len(lost)} examples of {where} for {a} or '
                    f'{b} have none ({lost[0]}); give a number for each '
                    'example, or take it away for both.')
  seeds = list(dict.fromkeys(seed for seed, _ in keys))
  x = np.array([[own[key][0] for key in keys] for own in (first, second)])
  named = dict(names=(a, b), check=check, dataset=dataset)
  better = data.better[metric] or known_names.better(metric)
  if len(seeds) > 1:
    if len(keys) % len(seeds) or len({e for _, e in keys}) * len(seeds) != len(
        keys):
      raise UserError(f'{data.name}: not each seed has each example of '
                      f'{where}; give the same examples for all seeds.')
    x = x.reshape(2, len(seeds), -1)
    return two_level(*x, metric, better=better, **named)
  labels = data.labels.get(dataset)
  if np.isin(x, (0, 1)).all():
    return mcnemar(*x, metric, better=better, **named)
  if labels:
    return delong(*x, np.array([labels[e] for _, e in keys]),
                  f'auroc of {metric}', **named)
  return paired(*x, metric, better=better, **named,
                bootstrap=x.shape[1] <= MOST_FOR_BOOTSTRAP)


def _pair(ours, baseline, ndim=1):
  """[2, ...] float of two arrays that fit.

  Raises:
    UserError: they do not, or hold NaN.
  """
  shapes = np.shape(ours), np.shape(baseline)
  if shapes[0] != shapes[1] or len(shapes[0]) != ndim or 0 in shapes[0]:
    want = '[examples]' if ndim == 1 else '[seeds, examples]'
    raise UserError(f'ours {shapes[0]} and baseline {shapes[1]} must both be '
                    f'{want}, of the same examples in the same order.')
  x = np.array([ours, baseline], float)
  if not np.isfinite(x).all():
    raise UserError(f'{np.sum(~np.isfinite(x))} values are not finite; give a '
                    'number for each example, or take it away for both.')
  return x


def _sample(values, test):
  return samples.Sample(values, 0, test, '', [], {
      'tested': f'{len(values)} examples'}, unit='examples')


def _region(check):
  return (-np.inf, 0.0) if check == 'less' else (0.0, np.inf)


def of_sample(sample, x, metric, names, check, better, more):
  """The `Comparison` of a sample of differences of x [2, ...]."""
  means = tuple(map(float, x.reshape(2, -1).mean(axis=1)))
  better = better or known_names.better(metric)
  check = check or pairs.side(means, better)
  verdict = rules.mean_verdict(sample, lambda x: x[0] - x[1], _region(check))
  return pairs.Comparison(
      *names, metric, check, verdict, means, better=better,
      **{'unit': sample.unit} | more, sd=pairs.sd_of(sample.values))


def _judged(x, metric, names, check, better, more, interval, p, method, notes,
            means=None):
  means = means or tuple(map(float, x.mean(axis=1)))
  better = better or known_names.better(metric)
  check = check or pairs.side(means, better)
  verdict = rules.verdict_of(
      _sample(x[0] - x[1], method), means[0] - means[1], interval,
      _region(check), p, method, notes)
  return pairs.Comparison(*names, metric, check, verdict, means,
                            better=better, unit='examples', **more)
