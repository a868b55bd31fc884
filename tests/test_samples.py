import numpy as np
import pytest
from test_claims import STANDARD, error_rows, rows_of, with_fields

from assay import results
from assay.claims import samples
from assay.errors import UserError


@pytest.mark.parametrize('arms, where, want', [
    (('c_mixup', 'erm'), {}, (['c_mixup', 'erm'], '')),
    (('erm',), {'split': 'val'}, (['erm'], ' (split val)')),
    (({'method': 'c', 'epoch': 4}, {'method': 'erm', 'epoch': 4}),
     {'split': 'train'}, (['c', 'erm'], ' (epoch 4, split train)')),
    (({'method': 'c', 'rho': 1}, {'method': 'c', 'rho': 2}), {},
     (['rho 1', '2'], '')),
    (({'method': 'c', 'rho': 1}, 'erm'), {}, (['c rho 1', 'erm'], '')),
    (({'method': 'c', 'rho': 1},), {}, (['c'], ' (rho 1)')),
    (('erm', 'erm'), {}, (['erm', 'erm'], ''))])
def test_names_say_what_differs(arms, where, want):
  assert samples.names_of(arms, where) == want


def group_rows(values, **fields):
  """{group: (value, n)} -> rows of seed 0."""
  return [row | {'group': group} for group, (value, n) in values.items()
          for row in rows_of('a', [value], n=n, **fields)]


def test_worst_group():
  rows = group_rows({'left': (2., 30), 'right': (3., 50), 'up': (9., 29),
                     'down': (8., 5), '': (2.5, 114)})
  row, = samples.worst_group(rows, 'rmse')
  assert (row['value'], row['n'], row['worst']) == (3, 50, 'right')
  assert row['small_groups'] == 'down (n=5), up (n=29)'
  assert {k: row[k] for k in STANDARD if k not in (
      'group', 'n', 'planned_seeds')} == {k: STANDARD[k] for k in STANDARD
      if k not in ('group', 'n', 'planned_seeds')}
  assert row['group'] == 'worst' and 'why' not in row
  best, = samples.worst_group(rows, 'rmse', higher_is_worse=False)
  assert (best['value'], best['worst']) == (2, 'left')
  assert samples.worst_group(rows, 'rmse', minimum=1)[0]['value'] == 9
  assert samples.worst_group(rows, 'mape') == []


def test_worst_group_is_taken_for_each_seed_and_sweep_field():
  rows = []
  for bandwidth in 1., 2.:
    rows += with_fields(rows_of('a', [1., 5.], n=40, bandwidth=bandwidth),
                        group='left')
    rows += with_fields(rows_of('a', [2., 4.], n=40, bandwidth=bandwidth),
                        group='right')
  worst = samples.worst_group(rows, 'rmse')
  assert {(r['bandwidth'], r['seed']): r['value'] for r in worst} == {
      (1., 0): 2, (1., 1): 5, (2., 0): 2, (2., 1): 5}


def test_the_worst_group_keeps_the_examples_it_got_wrong():
  rows = [r | {'group': group} for group, count in (('left', 10), ('right', 20))
          for r in error_rows('a', np.arange(40)[None] < count)]
  row, = samples.worst_group(rows, 'error')
  assert (row['worst'], row['value']) == ('right', 0.5)
  assert results.unpack(row['wrong'], 40).sum() == 20
  rows[1].pop('wrong')
  assert 'wrong' not in samples.worst_group(rows, 'error')[0]
  rows.append(error_rows('a', np.arange(40)[None] < 4)[0] | {'group': 'left'})
  with pytest.raises(UserError, match='two rows for group=left'):
    samples.worst_group(rows, 'error')


def test_worst_group_without_a_value():
  null, = samples.worst_group(
      group_rows({'left': (None, 40), 'right': (3., 40)}), 'rmse')
  assert null['value'] is None and null['why'] == 'loss is NaN'
  small, = samples.worst_group(group_rows({'left': (1., 4)}), 'rmse')
  assert small['value'] is None and '30' in small['why']
  with pytest.raises(UserError, match='two rows for group=left'):
    samples.worst_group(2 * group_rows({'left': (1., 40)}), 'rmse')
