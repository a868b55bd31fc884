"""Two methods, one number a seed: the verdict a card's claim would have.

A pair is judged by the checks of `assay.claims`, so that equal numbers have
equal verdicts, whoever brings them.
"""

import dataclasses
import itertools

import numpy as np

from assay import claims
from assay.claims import intervals, rules, samples
from assay.errors import UserError, some_of
from assay.judge import files, show
from assay.judge import names as known_names
from assay.judge.varies import Varies
from assay.metrics import HIGHER, LOWER

MOST = 5000  # comparisons in one table; above it nobody reads them


@dataclasses.dataclass(frozen=True)
class Comparison:
  """A verdict on two methods, and what stands beside it.

  Attributes:
    ours: name of the first method.
    baseline: name of the second.
    metric: what was measured.
    check: 'less', 'greater' or 'equal', of ours and baseline.
    verdict: `claims.Verdict` on the mean of ours - baseline.
    means: of ours and of baseline, over what both have.
    by: the margin of the check.
    dataset: '' where there is one.
    better: 'higher', 'lower', or None: not known.
    varies: `Varies`; None where examples or data sets vary.
    unit: what n counts.
    sd: standard deviation of the differences, which `plan` asks for.
    p_holm: of the verdict, over all comparisons made together.
    count: of these.
  """
  ours: str
  baseline: str
  metric: str
  check: str
  verdict: claims.Verdict
  means: tuple
  by: float = 0.0
  dataset: str = ''
  better: str | None = None
  varies: Varies | None = None
  unit: str = 'seeds'
  sd: float | None = None
  p_holm: float | None = None
  count: int = 1

  @property
  def state(self):
    """'holds', 'fails' or 'undecided': the verdict's own."""
    return self.verdict.state

  @property
  def corrected(self):
    """The state after Holm's correction for all comparisons made together."""
    return 'undecided' if self.alone else self.state

  @property
  def alone(self):
    """Whether it is decided, but not after that correction."""
    return self.count > 1 and self.state != 'undecided' and (
        self.p_holm is None or self.p_holm > rules.LEVEL)

  @property
  def standing(self):
    """'holds', 'holds alone', 'fails', 'fails alone' or 'undecided'."""
    return self.state + ' alone' * self.alone

  @property
  def sentence(self):
    """One that can be pasted into a paper."""
    return show.sentence(self)

  def __str__(self):
    return show.paragraph(self)

  def _repr_html_(self):
    return show.html([self])


def as_pairs(ours, baseline):
  """{seed: (value, why)} of two arrays [n], NaN where a seed diverged."""
  found = []
  for name, values in (('ours', ours), ('baseline', baseline)):
    try:
      values = np.asarray(values, float)
    except (TypeError, ValueError) as error:
      raise UserError(f'{name}: not all are numbers ({error}); give an array '
                      'of one number a seed.') from error
    if values.ndim != 1 or not len(values):
      raise UserError(f'{name} {values.shape}: give one number a seed, [n].')
    if np.any(np.abs(values[np.isfinite(values)]) > files.LARGEST):
      raise UserError(f'{name}: {np.nanmax(np.abs(values)):g} is above '
                      f'{files.LARGEST:g}; use another unit.')
    found.append({i: (float(v), '') if np.isfinite(v) else (None, str(v))
                  for i, v in enumerate(values)})
  if len(found[0]) != len(found[1]):
    raise UserError(f'ours has {len(found[0])} seeds and baseline '
                    f'{len(found[1])}; give the same seeds in the same order, '
                    'or a table with a column of seeds.')
  return found


def by_seed(cells, names, varies, *, metric, check=None, by=0.0, dataset='',
            better=None, common=False):
  """The `Comparison` of two methods with one value a seed.

  Args:
    cells: for each method, {seed: (value or None, why)}.
    names: of the methods: ours, baseline.
    varies: `Varies`.
    metric: its name.
    check: 'less', 'greater' or 'equal'. None: that ours is better; where that
      is not known, on the side on which its mean lies. Intervals have two
      sides, so this is no second look.
    by: the margin of the check.
    dataset: a name, for the sentence.
    better: 'higher', 'lower' or None; by default as the metric's name tells.
    common: use the seeds that both have, where they differ; it is noted.
  """
  note = ''
  if common and cells[0].keys() != cells[1].keys():
    count = len(cells[0].keys() | cells[1].keys())
    cells = [{s: own[s] for s in own if all(s in other for other in cells)}
             for own in cells]
    note = f'on the {len(cells[0])} of {count} seeds that both have'
    if not cells[0]:
      raise UserError(f'{names[0]} and {names[1]} have no seed in common; '
                      'pairs need the same seeds.')
  _check_words(check, by, better)
  better = better or known_names.better(metric)
  seeds, (a, b) = numbered(cells), cells
  both = np.array([(x, b[s][0]) for s, (x, _) in a.items() if x is not None
                   and s in b and b[s][0] is not None])
  # Claims take the range of a metric from its name.
  named = metric if known_names.in_range(metric, both) else 'value'
  means = tuple(map(float, both.mean(axis=0))) if len(both) else (np.nan,) * 2
  check = check or side(means, better)
  test = _check(check, named, by)
  values, _, lost = samples.numbers_of(
      [{seeds[s]: {'value': value, 'why': why}
        for s, (value, why) in own.items()} for own in cells],
      test.value, named)
  sample = samples.Sample(
      values, varies.ratio, samples.test_over(varies.kind, 'paired t'),
      ' and '.join(lost), [], {})
  verdict = test.judge_sample(sample)
  note = '; '.join(filter(None, (note, verdict.note)))
  tested = (f'{dataset}, ' if dataset else '') + (
      f'{len(seeds)} {varies.unit}')
  return Comparison(
      *names, metric, check, verdict._replace(tested=tested, elsewhere='',
                                        note=note),
      means, by, dataset, better, varies, varies.unit,
      sd_of(sample.values))


def _check_words(check, by, better):
  if check not in (None, 'less', 'greater', 'equal'):
    raise UserError(f'check={check!r}: use less, greater or equal.')
  if better not in (None, HIGHER, LOWER):
    raise UserError(f'better={better!r}: use {HIGHER} or {LOWER}.')
  if not np.isfinite(by) or check == 'equal' and by <= 0:
    raise UserError(f'by={by}: the margin must be a number'
                    + ' above 0' * (check == 'equal') + '.')


def numbered(cells):
  """{seed: number}: claims sort seeds, and these may be texts."""
  seeds = dict.fromkeys(itertools.chain(*cells))
  return {seed: i for i, seed in enumerate(seeds)}


def side(means, better):
  """The check that asks whether ours is better, or where its mean lies."""
  if better:
    return 'greater' if better == HIGHER else 'less'
  return 'less' if means[0] < means[1] else 'greater'


def _check(check, metric, by):
  if check == 'equal':
    return claims.equal(metric, 'ours', 'baseline', by, state='last')
  return getattr(claims, check)(metric, 'ours', 'baseline', by, state='last')


def sd_of(values):
  """The standard deviation of two or more values, else None."""
  return float(np.std(values, ddof=1)) if len(values) > 1 else None


def every_pair(data, varies, ours=None, common=False):
  """`Comparison`s of all pairs of methods, of each metric and data set.

  Args:
    data: `columns.Data` with one value a seed.
    varies: `Varies`.
    ours: a method: only the pairs that it is part of, and it comes first.
    common: see `by_seed`.

  Raises:
    UserError: fewer than two methods, or more pairs than one can read.
  """
  made = [by_seed([methods[a], methods[b]], (a, b), varies, metric=metric,
                  dataset=dataset, better=data.better[metric], common=common)
          for dataset, metric, a, b, methods in listed(data, ours)]
  return with_holm(made)


def lacking(data):
  """Sentences on methods without seeds that others have."""
  found = []
  for (dataset, metric), methods in data.cells.items():
    seeds = dict.fromkeys(itertools.chain(*methods.values()))
    for method, own in methods.items():
      lacks = [s for s in seeds if s not in own]
      if lacks:
        found.append(f'{method} has no {metric}' + f' on {dataset}' * bool(
            dataset) + f' of seed {some_of(lacks)}')
  return [f'{some_of(found, 3)}: add it, or compare by --common on the '
          'seeds that both have'] if found else []


def listed(data, ours=None):
  """(data set, metric, first, second, methods) of all pairs; better first."""
  if len(data.methods) < 2:
    raise UserError(f'{data.name}: one method only '
                    f'({", ".join(data.methods)}); a comparison needs two: add '
                    'the rows of another, or name the column that tells them '
                    'apart by --columns method=COLUMN.')
  if ours is not None and ours not in data.methods:
    raise UserError(f'{data.name} has no method {ours!r}; use one of '
                    f'{", ".join(data.methods[:20])}.')
  found = []
  for (dataset, metric), methods in data.cells.items():
    chosen = [(ours, b) for b in methods if b != ours] if ours else list(
        itertools.combinations(methods, 2))
    if ours and ours not in methods:
      chosen = []
    if len(found) + len(chosen) > MOST:
      raise UserError(f'{data.name}: more than {MOST:,} comparisons of '
                      f'{len(data.methods)} methods, {len(data.metrics)} '
                      f'metrics and {len(data.datasets)} data sets; choose by '
                      '--ours, --metric or --where.')
    means = {m: np.mean([v for v, _ in own.values() if v is not None] or [
        np.nan]) for m, own in methods.items()}
    for a, b in chosen:
      if ours is None and _worse(means[a], means[b], data.better[metric]):
        a, b = b, a
      found.append((dataset, metric, a, b, methods))
  return found


def _worse(a, b, better):
  return a > b if (better or LOWER) == LOWER else a < b


def with_holm(made):
  """The comparisons with p adjusted over all of them."""
  ps = intervals.holm([c.verdict.p for c in made])
  return [dataclasses.replace(c, p_holm=p, count=len(made))
          for c, p in zip(made, ps, strict=True)]


def named(data, check, metric, ours, baseline, by, varies, common=False):
  """`Comparison`s of a check of two methods, on each data set.

  Raises:
    UserError: no such metric or method.
  """
  if metric not in data.metrics:
    raise UserError(f'{data.name} has no metric {metric!r}; use one of '
                    f'{", ".join(data.metrics)}.')
  for method in (ours, baseline):
    if method not in data.methods:
      raise UserError(f'{data.name} has no method {method!r}; use one of '
                      f'{", ".join(data.methods[:20])}.')
  found = [(dataset, methods) for (dataset, m), methods in data.cells.items()
           if m == metric and {ours, baseline} <= methods.keys()]
  if not found:
    raise UserError(f'{data.name}: no data set has {metric} of both {ours} and '
                    f'{baseline}; give it for both on one.')
  return [by_seed([methods[ours], methods[baseline]], (ours, baseline), varies,
                  metric=metric, check=check, by=by, dataset=dataset,
                  better=data.better[metric], common=common)
          for dataset, methods in found]
