"""Differences of two runs' results, seed by seed, with their intervals.

Rows of the same variant, arm, seed, split, group, metric and state belong
together. Seeds are paired because a seed draws the same thing in both runs: the
same data (`fresh`), the same split (`resplit`), the same initialization and
order (`fixed_split`). The interval is that of the claims, see `assay.claims`.
"""

from typing import NamedTuple

import numpy as np

from assay import claims
from assay.claims import rules, samples
from assay.report import tables

# What was measured, apart from the seed and swept fields.
CELL = ('config', 'dataset', 'method', 'split', 'group', 'metric', 'state')


def by_key(a, b):
  """Of each side {(cell, seed): row}; a cell is a tuple of (field, value)."""
  fields = [*CELL, *tables.sweep_fields(a + b)]
  return tuple({(tuple((k, r[k]) for k in fields if k in r), r['seed']): r
                for r in rows} for rows in (a, b))


class Difference(NamedTuple):
  """One line of the table: a cell, over the seeds that both sides have."""
  cell: dict  # the fields that name it
  seeds: list
  means: tuple  # of A and of B, over seeds with a value in both; may be NaN
  verdict: object | None  # of B < A, see `assay.rules`; None: not tested
  why: str  # it was not tested: 'same', or what forbids a comparison


def between(a, b):
  """A `Difference` for each cell that both have, in the order of A.

  Args:
    a, b: rows, from `results.read`.
  """
  mine, theirs = by_key(a, b)
  cells = {}
  for cell, seed in filter(theirs.__contains__, mine):  # in the order of A
    cells.setdefault(cell, []).append(seed)
  # Their n tells how much two re-splits share.
  train = [r | {'side': ''} for r in a + b
           if r['split'] == 'train' and r['group'] == '']
  return [_difference(dict(cell), sorted(seeds), [
      (mine[cell, s], theirs[cell, s]) for s in sorted(seeds)], train)
          for cell, seeds in cells.items()]


def _difference(cell, seeds, pairs, train):
  known = [(x['value'], y['value']) for x, y in pairs
           if x['value'] is not None and y['value'] is not None]
  means = tuple(np.mean(known, axis=0)) if known else (np.nan, np.nan)
  why = _not_comparable(pairs)
  if why:
    return Difference(cell, seeds, means, None, why)
  rows = [{k: v for k, v in row.items() if k != 'wrong'} | {'side': side}
          for pair in pairs for side, row in zip('AB', pair, strict=True)]
  arm = {k: v for k, v in cell.items() if k not in CELL or k == 'method'}
  check = claims.less(cell['metric'], arm | {'side': 'B'}, arm | {'side': 'A'},
                      across=samples.DECIDING,  # two runs are meant
                      **{k: cell[k] for k in ('split', 'state', 'group')})
  return Difference(cell, seeds, means, check(rows + train), '')


def _not_comparable(pairs):
  """Why a cell is not tested, or ''."""
  if all(repr(x['value']) == repr(y['value']) for x, y in pairs):
    return 'same'
  for field, text in (('n', 'n'), ('seed_varies', 'seeds vary')):
    values = [sorted({row[field] for row in side}) for side in zip(
        *pairs, strict=True)]
    if values[0] != values[1]:
      return 'not comparable: ' + text + ' ' + ' | '.join(
          '/'.join(map(str, v)) for v in values)
  return ''


def word_of(difference, p_holm):
  """`lower`, `higher` or `undecided`: B beside A; else why it is not tested.

  `lower alone`: not so after correction for all differences of the table.

  Args:
    difference: a `Difference`.
    p_holm: its p, adjusted for them, or None.
  """
  if difference.verdict is None:
    return difference.why
  word = {'holds': 'lower', 'fails': 'higher'}.get(difference.verdict.state)
  return word + ' alone' * (p_holm is None or p_holm > rules.LEVEL) if (
      word) else 'undecided'
