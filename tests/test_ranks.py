"""Which of two quantities a metric goes with, over arms."""

import numpy as np
import pytest

from assay.claims import examples, ranked_by

ARMS = ('small', 'wide', 'deep', 'large')
CHECK = ranked_by('accuracy', 'state_size', 'num_params', ARMS)


def rows_of(accuracy, state, params):
  cells = [{'metric': metric, 'method': arm, 'value': value, 'split': split}
           for metric, split, values in (
               ('accuracy', 'test', accuracy), ('state_size', 'train', state),
               ('num_params', 'train', params))
           for arm, value in zip(ARMS, values, strict=True)]
  # Ranks that are equal in few seeds decide nothing.
  return examples.rows(cells, num_seeds=20, seed_varies='fixed_split')


def test_by_hand():
  # Ranks 1 2 3 4 beside 1 3 2 4: 1 - 6 * 2 / (4 * 15) = 0.8; reversed: -1.
  rows = rows_of((.1, .2, .3, .4), (5, 30, 20, 40), (8, 7, 6, 5))
  np.testing.assert_allclose(CHECK.read(rows).values, np.full(20, 1.8))
  verdict = CHECK(rows)
  assert verdict.state == 'holds' and verdict.n == 20
  other = ranked_by('accuracy', 'num_params', 'state_size', ARMS)
  assert other(rows).state == 'fails'


def test_a_seed_that_diverged_is_lost():
  rows = rows_of((.1, .2, .3, .4), (5, 30, 20, 40), (8, 7, 6, 5))
  rows = [row | {'value': None, 'why': 'loss is NaN'}
          if (row['seed'], row['metric'], row['method']) == (
              2, 'accuracy', 'deep') else row for row in rows]
  verdict = CHECK(rows)
  assert verdict.state == 'undecided' and verdict.n == 19
  assert '1 of 20 seeds diverged' in verdict.note


def test_it_can_hold_and_can_fail():
  for holds, state in ((True, 'holds'), (False, 'fails')):
    for arms in (ARMS, ARMS[:3]):
      check = ranked_by('accuracy', 'state_size', 'num_params', arms)
      cells = examples.example(check, holds)
      assert check(examples.rows(cells, num_seeds=20)).state == state
  assert CHECK.name == 'accuracy by state_size, not num_params'
  assert CHECK.sentence.startswith("over arms, the rank correlation")
  with pytest.raises(ValueError, match='takes three or more'):
    ranked_by('accuracy', 'state_size', 'num_params', ARMS[:2])
