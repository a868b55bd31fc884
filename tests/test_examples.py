"""Made-up rows for which a check holds, and for which it fails."""

import numpy as np
import pytest

from assay.claims import (
  Claim,
  all_of,
  any_of,
  by_hand,
  equal,
  every_seed,
  examples,
  greater,
  greater_change,
  judge,
  less,
  minimum_inside,
  monotone,
  ratio,
  rules,
  samples,
  within,
)
from assay.errors import UserError

K = lambda k: {'method': 'a', 'k': k}

# Checks that can hold and can fail.
GOOD = {
    'less': less('rmse', 'a', 'b'),
    'less by': less('error', 'a', 'b', by=.2, split='far', group='few'),
    'greater': greater('nll', K(1), K(2), by=-.03),
    'change': greater_change('error', (K(1), K(2)), (K(3), K(4)), by=.1),
    'ratio': ratio('rmse', 'a', 'b', 3, np.inf),
    'ratio between': ratio('nll_gap', 'a', 'b', .97, 1.03),
    'ratio below': ratio('rms_log_std', 'a', 'b', 0, 1 / 3),
    'within': within('accuracy', 'a', .99, 1),
    'within, open': within('pool_excess', 'a', -np.inf, 0),
    'equal': equal('auroc', 'a', 'b', .005, state='best'),
    'every seed': every_seed(less('rmse', 'a', 'b'), .5),
    'all': all_of(less('rmse', 'a', 'b'), less('rmse', 'b', 'c'),
                  within('mape', 'a', 1, 2)),
    'any': any_of(less('rmse', 'a', 'b'), less('rmse', 'a', 'c')),
    'nested': any_of(*(all_of(within('accuracy', K(k), .1, .2),
                              within('improvement', K(k), -.1, .1))
                       for k in (1, 2, 3))),
    'rising': monotone('accuracy', 'k', .03, method='a'),
    'falling': monotone('rmse', 'k', 0, increasing=False),
    'minimum': minimum_inside('rmse', 'k', method='a'),
}

# What cannot hold, with what is wrong about it.
NEVER = {
    'out of range': within('accuracy', 'a', 1.1, 2),
    'at the end of the range': greater('error', 'a', 'b', by=1),
    'parts exclude each other': all_of(less('rmse', 'a', 'b'),
                                       less('rmse', 'b', 'a')),
    'turned around': within('accuracy', 'a', .8, .2),
    'both': all_of(within('rmse', 'a', 3, 4), within('rmse', 'b', 1, 2),
                   less('rmse', 'a', 'b')),
    'no room': equal('rmse', 'a', 'b', 1e-5),
}


def state_of(check, holds, seed_varies='fresh', num_seeds=10):
  cells = examples.example(check, holds, {'k': (1., 2., 4., 8.)})
  rows = examples.rows(cells, num_seeds=num_seeds, seed_varies=seed_varies)
  judged, = judge([Claim('it', 's', 'src', check, where={})], rows)
  return judged.verdict.state


@pytest.mark.parametrize('seed_varies', ['fresh', 'fixed_split', 'resplit'])
@pytest.mark.parametrize('name', GOOD)
def test_each_check_holds_and_fails_on_its_examples(name, seed_varies):
  if seed_varies == 'resplit' and name == 'every seed':
    # No number of re-splits that share a fifth counts as the six it takes.
    with pytest.raises(UserError, match='can never hold'):
      state_of(GOOD[name], True, seed_varies)
    return
  assert [state_of(GOOD[name], holds, seed_varies)
          for holds in (True, False)] == ['holds', 'fails']


@pytest.mark.parametrize('name', NEVER)
def test_what_can_never_hold(name):
  assert examples.example(NEVER[name], True) is None
  assert examples.example(NEVER[name], False) is not None


@pytest.mark.parametrize('check', [
    within('accuracy', 'a', 0, 1), less('error', 'a', 'b', by=-1),
    within('rmse', 'a', -np.inf, np.inf),
    any_of(less('rmse', 'a', 'b'), greater('rmse', 'a', 'b', by=-1e-5))])
def test_what_can_never_fail(check):
  assert examples.example(check, True) is not None
  assert examples.example(check, False) is None


def test_means_have_the_most_room():
  found = examples.example(within('accuracy', 'a', .5, .7), True)
  assert [cell['value'] for cell in found] == [pytest.approx(.6)]
  a, b = (cell['value'] for cell in examples.example(
      less('error', 'a', 'b', by=.2), True))
  # Room of .8 for b - a > .2, a > 0 and b < 1: a third each.
  assert (a, b) == (pytest.approx(.8 / 3), pytest.approx(1 - .8 / 3))


def test_an_unknown_metric_is_named():
  with pytest.raises(ValueError, match="'rmsee' is none that assay/metrics"):
    examples.example(less('rmsee', 'a', 'b'), True)


def test_rows_have_what_their_cells_say():
  cells = [{'metric': 'rmse', 'method': 'a', 'value': 3., 'split': 'train'},
           {'metric': 'rmse', 'method': 'b', 'value': 100., 'k': 2}]
  rows = examples.rows(cells, num_seeds=7, dataset='airfoil', step=4)
  assert len(rows) == 14 and {r['dataset'] for r in rows} == {'airfoil'}
  assert [r['seed'] for r in rows[:7]] == list(range(7))
  assert {r['n'] for r in rows[:7]} == {400} and rows[7]['k'] == 2
  for cell, made in zip(cells, (rows[:7], rows[7:]), strict=True):
    values = [r['value'] for r in made]
    assert len(set(values)) == 7
    np.testing.assert_allclose(values, cell['value'], rtol=3e-6)


# By hand.


def _spread(rows):
  values = [r['value'] for r in rows if r['metric'] == 'rmse']
  return rules.mean_verdict(samples.Sample(
      np.array(values), 0, 't', '', [], {'tested': 'all', 'elsewhere': ''}),
                            None, (0, 1))


def test_a_function_brings_its_examples():
  cell = {'metric': 'rmse', 'method': 'a'}
  check = by_hand(_spread, [cell | {'value': .5}], [cell | {'value': 5.}],
                  sentence='It is small')
  assert state_of(check, True) == 'holds'
  assert state_of(check, False) == 'fails'
  assert check.cells == (cell,) and check.metric == 'rmse'
  assert check.sentence == 'It is small' and check.name == '_spread'


def test_a_function_without_examples_is_told():
  with pytest.raises(ValueError, match='write claims.by_hand'):
    examples.example(all_of(less('rmse', 'a', 'b'), _spread), True)
