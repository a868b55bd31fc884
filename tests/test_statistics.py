"""The simulation of the rules finds what is known of them."""

import numpy as np
import pytest

from benchmarks import statistics

NORMAL, SKEWED = statistics.LAWS['normal'], statistics.LAWS['exponential']


def rate(rule, draw, n, trials=300):
  return np.mean([rule(draw, np.random.default_rng(i), n)
                  for i in range(trials)])


@pytest.mark.parametrize('law', statistics.LAWS)
def test_laws_have_mean_0_and_deviation_1(law):
  values = statistics.LAWS[law](np.random.default_rng(0), 400_000)
  assert abs(values.mean()) < .01 and values.std() == pytest.approx(1, abs=.05)


def test_false_verdicts_are_as_many_as_the_rules_say():
  # 5 % of 300 is 15, standard error 3.8.
  assert .01 < rate(statistics.paired, NORMAL, 10) < .09
  assert rate(statistics.paired, SKEWED, 5) > .06
  assert rate(statistics.flipped, NORMAL, 5) == 0  # at least 2 / 32
  assert rate(statistics.majority, SKEWED, 10) < .06
  # .9^5 = 59 % of the samples are all equal, and none of them holds.
  assert rate(statistics.alike, NORMAL, 5) == 0
  assert rate(statistics.one_test_set, NORMAL, 20) > .5
  assert rate(statistics.looked_at, NORMAL, 20) > .08


def test_a_correction_keeps_one_of_many_to_the_level():
  assert rate(statistics.many, NORMAL, 5, 60) > .4
  assert rate(statistics.corrected, NORMAL, 5, 60) < .17


def test_a_table_of_rates(capsys):
  text = statistics.table({'paired': statistics.paired}, 4).splitlines()
  assert text[0] == '| rule | normal | exponential | heavy-tailed |'
  assert text[2].count(' / ') == 6 and 'paired' in capsys.readouterr().out
