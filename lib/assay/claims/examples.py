"""Made-up rows for which a check holds, and for which it fails.

A check asks whether numbers lie in a region, which is linear in the means of
its cells: `a < b by 2` is a - b <= -2, and `a / b in [3, 4]` of positive
numbers is 3 b - a <= 0 and a - 4 b <= 0. So a linear program finds means, in
the ranges of their metrics, as far inside as can be. That there are none says
that a claim can never hold, or never fail.

  rows(example(less('rmse', 'ours', 'erm'), holds=True))
"""

import itertools

import numpy as np
from scipy import optimize

from assay import metrics
from assay.claims import checks, sweeps

ROOM = 1e-4  # less room than this is none: rounding could fill it
NOISE = 1e-6  # of made-up values around their mean, relative


def example(check, holds, swept=None):
  """Cells with means for which a check holds, or fails.

  Args:
    check: what `assay.claims.less` and its like give.
    holds: bool, which of the two.
    swept: field -> its values, for checks over a sweep; default 1, 2, 3.

  Returns:
    A list of dicts of row fields, with the mean as `value`; None if there are
    no such means.

  Raises:
    ValueError: an unknown metric; a function that brings no examples.
  """
  if hasattr(check, 'example'):  # what is not linear brings its own
    return check.example(holds)
  for conditions in _ways(check, holds, swept or {}):
    # All cells have rows, also those of parts that do not decide.
    found = _solved(conditions, _cells(check, swept or {}))
    if found is not None:
      return found
  return None


def rows(cells, *, num_seeds=5, seed_varies='fresh', **fields):
  """Rows of each cell, one a seed, with a little noise around its mean.

  Args:
    cells: from `example`.
    num_seeds: seeds of each.
    seed_varies: 'fresh', 'fixed_split' or 'resplit', which tests on a fifth.
    **fields: row fields of all that do not name them.
  """
  usual = dict(paper='made_up', config='small', run='0' * 8, dataset='made_up',
               split='test', group='', state='last', step=1,
               seed_varies=seed_varies, planned_seeds=num_seeds,
               scale='as published') | fields
  if seed_varies == 'resplit':  # whose size is read from rows of training
    datasets = {cell.get('dataset', usual['dataset']) for cell in cells}
    cells = [*cells, *({'dataset': dataset, 'metric': 'num_params',
                        'method': 'none', 'split': 'train', 'value': 1}
                       for dataset in datasets)]
  made = []
  for i, cell in enumerate(cells):
    noise = np.random.default_rng(i).uniform(-1, 1, num_seeds)
    size = 400 if cell.get('split') == 'train' else 100
    made += [usual | {'n': size} | cell | {
        'seed': seed, 'value': float(
            cell['value'] + NOISE * (1 + abs(cell['value'])) * noise[seed])}
             for seed in range(num_seeds)]
  return made


# The linear program. A condition is (terms, bound): the sum of coefficient
# times mean over the terms (cell, coefficient) is at most the bound.


def _key(cell):
  """A cell that can be compared; a state that is not named is `last`."""
  return tuple(sorted(({'state': 'last'} | cell).items()))


def _levels(check, swept):
  """The cells of a check over a sweep, in order of the values."""
  cell, = check.cells
  cell = {'method': 'made_up'} | cell
  return [_key(cell | {check.over: value})
          for value in sorted(swept.get(check.over, (1., 2., 3.)))]


def _cells(check, swept):
  if isinstance(check, sweeps.Monotone | sweeps.MinimumInside):
    return _levels(check, swept)
  if isinstance(check, checks.Combined):
    return [cell for part in check.parts for cell in _cells(part, swept)]
  return [_key(cell) for cell in check.cells]


def _ways(check, holds, swept):
  """Lists of conditions; each list alone makes the check hold, or fail."""
  if isinstance(check, checks.Combined):
    ways = lambda part: _ways(part, holds, swept)
    if check.every == holds:  # all parts at once
      for chosen in itertools.product(*map(ways, check.parts)):
        yield [condition for conditions in chosen for condition in conditions]
    else:
      for part in check.parts:
        yield from ways(part)
  elif isinstance(check, checks.EverySeed):
    yield from _ways(check.check, holds, swept)
  elif isinstance(check, sweeps.Monotone):
    cells = _levels(check, swept)
    steps = [_inside(check.region, b, a)
             for a, b in itertools.pairwise(cells)]
    if holds:
      yield [condition for step in steps for condition in step]
    else:
      for a, b in itertools.pairwise(cells):
        yield from _outside(check.region, b, a)
  elif isinstance(check, sweeps.MinimumInside):
    first, *inner, last = _levels(check, swept)
    lows, others = ((inner, (first, last)) if holds
                    else ((first, last), inner))
    for low in lows:
      yield [_below(low, other) for other in others]
  elif isinstance(check, checks.Check):
    yield from _of_one(check, holds)
  else:
    raise ValueError(f'{check}: is a function; write claims.by_hand(function, '
                     'holds=rows, fails=rows).')


def _of_one(check, holds):
  cells = [_key(cell) for cell in check.cells]
  if not check.logs:
    side = _inside(check.region, *cells)
    yield from [side] if holds else _outside(check.region, *cells)
    return
  a, b = cells
  positive = [(((cell, -1),), 0) for cell in cells]
  low, high = np.exp(check.region)
  if holds:
    yield positive + [
        *([(((b, low), (a, -1)), 0)] if low > 0 else []),
        *([(((a, 1), (b, -high)), 0)] if high < np.inf else [])]
  elif low > 0:
    yield [*positive, (((a, 1), (b, -low)), 0)]
  if not holds and high < np.inf:
    yield [*positive, (((b, high), (a, -1)), 0)]


def _terms(sign, cells):
  """Of one cell its mean, of two or four their difference; times the sign."""
  return tuple(zip(cells, (sign, -sign, -sign, sign), strict=False))


def _below(a, b):
  return _terms(1, (a, b)), 0


def _inside(region, *cells):
  low, high = region
  return [*([(_terms(-1, cells), -low)] if low > -np.inf else []),
          *([(_terms(1, cells), high)] if high < np.inf else [])]


def _outside(region, *cells):
  low, high = region
  if low > -np.inf:
    yield [(_terms(1, cells), low)]
  if high < np.inf:
    yield [(_terms(-1, cells), -high)]


def _solved(conditions, cells):
  """Means that meet all conditions with the most room, up to 1; or None."""
  cells = list(dict.fromkeys(cells))
  ranges = []
  for cell in cells:
    metric = dict(cell)['metric']
    if metric not in metrics.KNOWN:
      raise ValueError(f'metric {metric!r} is none that '
                       'assay/metrics/__init__.py lists.')
    ranges.append(metrics.KNOWN[metric][:2])
  for cell, (low, high) in zip(cells, ranges, strict=True):
    conditions = conditions + _inside((low, high), cell)
  left = np.zeros((len(conditions), len(cells) + 1))
  left[:, -1] = 1  # the room
  for row, (terms, _) in zip(left, conditions, strict=True):
    for cell, coefficient in terms:
      row[cells.index(cell)] += coefficient
  found = optimize.linprog(
      [*np.zeros(len(cells)), -1], left, [bound for _, bound in conditions],
      bounds=[(None, None)] * len(cells) + [(None, 1)])
  if not found.success or found.x[-1] < ROOM:
    return None
  return [dict(cell) | {'value': float(value)}
          for cell, value in zip(cells, found.x, strict=False)]
