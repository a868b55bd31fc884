"""What checks say of themselves, and which rows they read."""

import dataclasses

import numpy as np
import pytest
from test_claims import FIVE, rows_of, with_fields

from assay.claims import (
  all_of,
  any_of,
  by_hand,
  claims_of,
  equal,
  every_seed,
  greater,
  greater_change,
  less,
  minimum_inside,
  monotone,
  ratio,
  within,
)
from assay.claims.checks import digest
from assay.claims.samples import NoRows

LOW, HIGH = [1., 2., 3., 4., 5.], [11., 12., 13., 14., 16.]


@pytest.mark.parametrize(('check', 'sentence'), [
    (less('rmse', 'a', 'b'), '`rmse` of a is below that of b'),
    (less('rmse', 'a', 'b', by=2, split='far'),
     'far: `rmse` of a is below that of b by more than 2'),
    (greater('rmse', {'method': 'a', 'k': 2}, 'b', group='few'),
     'few: `rmse` of a (k 2) is above that of b'),
    (greater('rmse', 'a', 'b', by=-.03),
     '`rmse` of a is not below that of b by 0.03 or more'),
    (less('rmse', 'a', 'b', by=-.03),
     '`rmse` of a is not above that of b by 0.03 or more'),
    (greater_change('rmse', ('a', 'b'), ('c', 'd'), by=.1),
     '`rmse` of a minus that of b is above that of c minus that of d by more '
     'than 0.1'),
    (equal('rmse', 'a', 'b', .1),
     '`rmse` of a differs from that of b by less than 0.1'),
    (ratio('rmse', 'a', 'b', 0, .5),
     '`rmse` of a is at most 0.5 times that of b'),
    (ratio('rmse', 'a', 'b', 3, np.inf),
     '`rmse` of a is at least 3 times that of b'),
    (ratio('rmse', 'a', 'b', .5, 2),
     '`rmse` of a is 0.5 to 2 times that of b'),
    (within('rmse', 'a', 0, 1), '`rmse` of a is 0 to 1'),
    (within('rmse', 'a', -np.inf, 0), '`rmse` of a is at most 0'),
    (within('rmse', 'a', 3, np.inf), '`rmse` of a is at least 3'),
    (every_seed(less('rmse', 'a', 'b'), .5),
     '`rmse` of a is below that of b, in 50 % of seeds or more'),
    (all_of(less('rmse', 'a', 'b'), lambda rows: None),
     '`rmse` of a is below that of b; and part 2'),
    (any_of(within('rmse', 'a', 0, 1), within('rmse', 'b', 0, 1)),
     '`rmse` of a is 0 to 1; or `rmse` of b is 0 to 1'),
    (monotone('rmse', 'k', 0, method='a'),
     'over k, `rmse` of a falls in no step'),
    (monotone('rmse', 'k', .1, increasing=False),
     'over k, `rmse` rises in no step by 0.1 or more'),
    (minimum_inside('rmse', 'k', split='far'),
     'far: over k, `rmse` is lowest at neither end'),
])
def test_sentences(check, sentence):
  assert check.sentence == sentence


def test_a_change_is_judged_beside_its_control():
  """Both rise by about ten; what counts is by how much more one does."""
  rows = [row for method, values in (
      ('a', HIGH), ('b', LOW), ('c', [8., 9.1, 10., 11., 13.]), ('d', LOW))
          for row in rows_of(method, values)]
  check = greater_change('rmse', ('a', 'b'), ('c', 'd'))
  verdict = check(rows)
  assert verdict.state == 'holds'
  assert verdict.estimate == pytest.approx(2.98)
  assert check.name == 'a - b > c - d'
  assert greater_change('rmse', ('c', 'd'), ('a', 'b'))(rows).state == 'fails'
  assert greater_change('rmse', ('a', 'b'), ('c', 'd'), by=4)(
      rows).state == 'fails'


def test_a_check_is_frozen_and_equal_to_its_like():
  check = less('rmse', 'a', {'method': 'b', 'k': 2})
  assert check == less('rmse', 'a', {'method': 'b', 'k': 2})
  assert check != less('rmse', 'a', {'method': 'b', 'k': 3})
  assert repr(check) == repr(less('rmse', 'a', {'method': 'b', 'k': 2}))
  with pytest.raises(dataclasses.FrozenInstanceError):
    check.metric = 'mape'


def test_a_check_reads_one_number_a_seed():
  sample = less('rmse', 'a', 'b').read(FIVE)
  np.testing.assert_array_equal(sample.values, [1, 2, 3, 4, 5])


def test_cells():
  check = all_of(
      less('rmse', 'a', {'method': 'b', 'split': 'far'}, state='last'),
      monotone('mape', 'k', 0, method='a'), lambda rows: None)
  assert check.cells == (
      {'metric': 'rmse', 'method': 'a', 'split': 'test', 'state': 'last',
       'group': ''},
      {'metric': 'rmse', 'method': 'b', 'split': 'far', 'state': 'last',
       'group': ''},
      {'metric': 'mape', 'method': 'a', 'split': 'test', 'group': ''})
  assert check.metric == '' and less('rmse', 'a', 'b').metric == 'rmse'


# The state that is read where a check names none.


def test_best_where_all_arms_have_it_else_last():
  last = rows_of('a', LOW, state='last') + rows_of('b', HIGH, state='last')
  best = rows_of('a', HIGH) + rows_of('b', LOW)
  check = less('rmse', 'a', 'b')
  assert check(last).state == 'holds'
  assert check(last + best).state == 'fails'
  # Of a, the best state is not compared with the last one of b.
  assert check(last + best[:5]).state == 'holds'
  assert less('rmse', 'a', 'b', state='last')(last + best).state == 'holds'


def test_no_arm_says_a_state_that_is_not_there():
  with pytest.raises(NoRows, match='state=best, method=c'):
    less('rmse', 'a', 'c')(rows_of('a', LOW))
  with pytest.raises(NoRows, match='state=last, method=c'):
    less('rmse', 'a', 'c')(rows_of('a', LOW, state='last'))


def test_rows_of_another_split_do_not_choose_the_state():
  last = rows_of('a', LOW, state='last') + rows_of('b', HIGH, state='last')
  other = with_fields(rows_of('a', LOW) + rows_of('b', LOW), split='far')
  assert less('rmse', 'a', 'b')(last + other).state == 'holds'


def test_a_sweep_is_read_in_one_state():
  rising = [row for k in (1, 2, 3) for row in rows_of(
      'a', np.array(LOW) * 10.**k, k=k, state='last')]
  falling = [row for k in (1, 2, 3) for row in rows_of(
      'a', np.array(LOW) / 10.**k, k=k)]
  check = monotone('rmse', 'k', 0)
  assert check(rising).state == 'holds'
  assert check(rising + falling).state == 'fails'
  assert check(rising + falling[:10]).state == 'holds'  # k = 3 has no best


# One of several.


def test_any_of_holds_if_one_does_and_multiplies_p():
  a_below = less('rmse', 'a', 'b')
  rows = rows_of('a', LOW) + rows_of('b', HIGH)
  assert any_of(a_below, within('rmse', 'a', 90, 99))(rows).state == 'holds'
  alone = a_below(rows)
  both = any_of(a_below, greater('rmse', 'a', 'b'))(rows)
  assert both.state == 'holds' and both.p == pytest.approx(2 * alone.p)
  fails = any_of(within('rmse', 'a', 90, 99), greater('rmse', 'a', 'b'))(rows)
  assert fails.state == 'fails'


# A table of claims.


def test_one_table_for_several_variants():
  table = {'below': less('rmse', 'a', 'b'),
           'near': ('They are near.', equal('rmse', 'a', 'b', 1))}
  made = claims_of('table 1', ('small', 'large'), table, gated={'near'})
  assert [claim.name for claim in made] == [
      'small: below', 'small: near', 'large: below', 'large: near']
  assert made[0].sentence == '`rmse` of a is below that of b.'
  assert made[3].sentence == 'They are near.'
  assert made[3].where == {'config': 'large'} and made[3].check == table[
      'near'][1]
  assert [claim.gated for claim in made] == [False, True, False, True]
  assert [c.gated for c in claims_of('s', ('small',), table)] == [True, True]


def test_a_table_of_claims_is_read_with_care():
  table = {'below': less('rmse', 'a', 'b')}
  with pytest.raises(ValueError, match='farther stands for no claim'):
    claims_of('s', ('small',), table, gated={'farther'})
  with pytest.raises(ValueError, match="variants='small'"):
    claims_of('s', 'small', table)


# Digests.


def test_a_digest_is_that_of_what_a_check_asks():
  one = lambda: all_of(less('rmse', 'a', 'b'), monotone('rmse', 'k', 0))
  assert digest(one()) == digest(one()) and len(digest(one())) == 16
  hand = by_hand(with_fields, [], [])
  assert digest(hand) == digest(by_hand(with_fields, [{}], []))
  assert len({digest(check) for check in (
      one(), any_of(*one().parts), less('rmse', 'a', 'b'),
      less('rmse', 'a', 'b', by=1), less('rmse', 'b', 'a'), hand,
      by_hand(rows_of, [], []))}) == 7


LIMITS = {'low': 0}


def above(rows):
  return [row for row in rows if row['value'] > LIMITS['low']]


def made_by_hand(inside):
  def check(rows):
    return inside(above(rows)) if callable(inside) else inside

  return check


def test_the_digest_of_a_function_is_of_all_that_it_uses(monkeypatch):
  want = digest(made_by_hand(1))
  assert digest(made_by_hand(1)) == want
  others = {digest(made_by_hand(x)) for x in (
      2, less('rmse', 'a', 'b'), less('rmse', 'b', 'a'))}
  assert len(others | {want}) == 4
  monkeypatch.setitem(LIMITS, 'low', 1)  # of a function that it calls
  assert digest(made_by_hand(1)) != want
