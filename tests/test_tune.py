"""assay.study.tune: the settings tried and the setting chosen."""
import collections
import itertools

import numpy as np
import pytest

from assay.study import tune

GRID = {'learning_rate': (1e-3, 3e-3, 1e-2), 'alpha': (0.5, 1.0, 2.0),
        'bandwidth': (0.1, 1.0, 10.0, 100.0)}


def frozen(settings):
  return [tuple(sorted(s.items())) for s in settings]


@pytest.mark.parametrize('budget', [1, 5, 35])
def test_trials_are_different_and_within_the_budget(budget):
  got = frozen(tune.trials(GRID, GRID, budget))
  assert len(got) == len(set(got)) == budget
  for setting in got:
    assert all(value in GRID[name] for name, value in setting)


def test_trials_vary_only_the_fields_of_the_arm():
  got = tune.trials(GRID, {'bandwidth', 'learning_rate', 'batch_size'}, 100)
  want = [dict(learning_rate=a, bandwidth=b) for a, b in itertools.product(
      GRID['learning_rate'], GRID['bandwidth'])]
  assert sorted(frozen(got)) == sorted(frozen(want))  # all 12 of them


@pytest.mark.parametrize('budget', [36, 37, 1000])
def test_trials_are_all_settings_where_the_budget_reaches(budget):
  got = frozen(tune.trials(GRID, GRID, budget))
  want = [tuple(sorted(zip(GRID, values, strict=True)))
          for values in itertools.product(*GRID.values())]
  assert sorted(got) == sorted(want)


def test_an_arm_without_fields_has_one_trial():
  assert tune.trials(GRID, (), 10) == [{}]


def test_trials_are_always_the_same():
  np.random.seed(0)
  first = tune.trials(GRID, GRID, 10)
  np.random.seed(1)
  assert tune.trials(GRID, GRID, 10) == first
  assert tune.trials(GRID, GRID, 4) == first[:4]


def often(settings, *names):
  """How often each combination of some fields is tried."""
  return sorted(collections.Counter(
      tuple(s[name] for name in names) for s in settings).values())


@pytest.mark.parametrize('budget', [4, 8, 12, 24, 30])
def test_trials_cross_the_first_fields_and_balance_the_others(budget):
  """By counting: as equally often as the budget allows, in each prefix."""
  got = tune.trials(GRID, GRID, budget)
  for names in (('learning_rate',), ('learning_rate', 'alpha')):
    cells = np.prod([len(GRID[name]) for name in names])
    assert max(often(got, *names)) == -(-budget // cells)
    assert len(often(got, *names)) == min(cells, budget)
  assert np.ptp(often(got, 'bandwidth')) <= 2


def test_arms_with_fields_of_their_own_try_what_they_share():
  """As mixing with a width and a rate that training without it tries, too."""
  grid = {'learning_rate': (3e-3, 1e-2), 'width': (64, 128),
          **dict.fromkeys('abcdef', (0, 1))}
  shared = often(tune.trials(grid, ('learning_rate', 'width'), 4),
                 'learning_rate', 'width')
  for own in ('a', 'ab', 'cd', 'abcdef'):
    got = tune.trials(grid, ('learning_rate', 'width', *own), 4)
    assert often(got, 'learning_rate', 'width') == shared == [1] * 4
    for name in own:
      assert often(got, name) == [2, 2]


def row(setting, value, **fields):
  return dict(setting=setting, metric='rmse', split='val', state='best',
              value=value) | fields


def test_best_has_the_lowest_mean():
  # Means 3, 2 and 2.5; 'a' has the lowest single value, 'c' the last.
  rows = [row('a', 0.), row('b', 2.), row('c', 3.), row('a', 6.),
          row('b', 2.), row('c', 2.)]
  assert tune.best(rows, 'rmse') == 'b'
  assert tune.best(rows[::-1], 'rmse') == 'b'


def test_best_is_a_mean_and_not_a_sum():
  rows = [row('a', 2.), row('a', 2.), row('a', 2.), row('b', 3.)]
  assert tune.best(rows, 'rmse') == 'a'


def test_best_takes_null_as_infinite():
  rows = [row('a', 0.), row('a', None), row('b', 9.), row('b', 9.)]
  assert tune.best(rows, 'rmse') == 'b'
  assert tune.best([row('a', None), row('b', 1e300)], 'rmse') == 'b'
  assert tune.best([row('a', None), row('b', None)], 'rmse') == 'a'


def test_best_gives_ties_to_the_first():
  rows = [row('b', 1.), row('a', 1.), row('a', 3.), row('b', 3.)]
  assert tune.best(rows, 'rmse') == 'b'
  assert tune.best([row(7, 1.), row(3, 1.)], 'rmse') == 7


@pytest.mark.parametrize('other', [
    {'split': 'test'}, {'split': 'train'}, {'state': 'last'},
    {'metric': 'mape'}])
def test_best_ignores_other_rows(other):
  rows = [row('a', 1.), row('a', 100., **other), row('b', 2.),
          row('b', 0., **other), row('c', 0., **other)]
  assert tune.best(rows, 'rmse') == 'a'
