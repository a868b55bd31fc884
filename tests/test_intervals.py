"""The arithmetic behind verdicts, by hand and against scipy.stats."""

import math

import numpy as np
import pytest
from scipy import stats

from assay import intervals


def test_t_interval_by_hand():
  # t(2) at 0.975 is 4.302653; the standard error of 1, 2, 3 is 1 / sqrt(3).
  half = 4.302653 / math.sqrt(3)
  assert intervals.t_interval([1.0, 2.0, 3.0]) == pytest.approx(
      (2 - half, 2 + half), abs=1e-6)
  # n_test / n_train of 1/6: 1/3 + 1/6 = 1/2.
  assert intervals.t_interval([1.0, 2.0, 3.0], 1 / 6) == pytest.approx(
      (2 - 4.302653 / math.sqrt(2), 2 + 4.302653 / math.sqrt(2)), abs=1e-6)
  assert all(map(math.isnan, intervals.t_interval([1.0])))


@pytest.mark.parametrize('tail', [0.025, 0.05, 0.025 / 3])
@pytest.mark.parametrize('ratio', [0, 0.2])
def test_p_is_five_percent_where_the_interval_ends(tail, ratio):
  values = np.array([1.0, 2.0, 4.0, 7.0])
  for end in intervals.t_interval(values, ratio, tail):
    assert intervals.t_p_value(values, end, ratio, tail) == pytest.approx(0.05)
  assert intervals.t_p_value([1.0, 1.0], 0.0) is None
  assert intervals.t_p_value([1.0], 0.0) is None


def test_binomial_interval_and_p_agree_with_scipy():
  for k, probability in (17, 0.9), (20, 0.9), (0, 0.2), (10, 0.5):
    exact = stats.binomtest(k, 20, probability)
    assert intervals.clopper_pearson(k, 20) == pytest.approx(
        tuple(exact.proportion_ci(0.95)))
    smaller = min(stats.binomtest(k, 20, probability, side).pvalue
                  for side in ('less', 'greater'))
    assert intervals.binomial_p_value(k, 20, probability) == pytest.approx(
        min(1, 2 * smaller))


def test_seeds_needed():
  assert intervals.seeds_needed(lambda n: n >= 37, 5) == 37
  assert intervals.seeds_needed(lambda n: True, 5) == 5
  assert intervals.seeds_needed(lambda n: False, 5) is None


def test_false_verdicts_over_fresh_seeds_are_five_percent():
  rng = np.random.default_rng(0)
  wrong = 0
  for _ in range(1000):
    low, high = intervals.t_interval(rng.normal(size=8))
    wrong += not low <= 0 <= high
  assert 30 <= wrong <= 70  # 50 +- 3 standard errors of 6.9


def test_holm_by_hand():
  # Sorted 0.01, 0.02, 0.03, 0.4: times 4, 3, 2, 1 = 0.04, 0.06, 0.06, 0.4.
  # The None counts as a fifth test: times 5, 4, 3, 2 = .05, .08, .09, .8.
  np.testing.assert_allclose(intervals.holm([0.03, 0.01, 0.4, 0.02]),
                             [0.06, 0.04, 0.4, 0.06])
  got = intervals.holm([0.03, None, 0.01, 0.4, 0.02])
  assert got[1] is None
  np.testing.assert_allclose([got[i] for i in (0, 2, 3, 4)],
                             [0.09, 0.05, 0.8, 0.08])
  assert intervals.holm([0.03, 0.02]) == [0.04, 0.04]  # never falls
  assert intervals.holm([0.6, 0.7]) == [1, 1]
  assert intervals.holm([]) == []


def test_bootstrap_limits():
  rng = np.random.default_rng(0)
  gap = rng.normal(loc=0.2, size=400)
  # Seeds agree: the interval of a mean over examples, 1.96 * s / sqrt(400).
  b = rng.normal(size=(6, 400))
  estimate, low, high = intervals.two_level_bootstrap(b + gap, b)
  half = 1.96 * gap.std() / 20
  np.testing.assert_allclose(estimate, gap.mean())
  np.testing.assert_allclose([low, high], gap.mean() + half * np.array([-1, 1]),
                             atol=0.1 * half)
  # Examples agree: the same over seeds.
  b = rng.normal(size=(400, 6))
  _, low, high = intervals.two_level_bootstrap(b + gap[:, None], b)
  np.testing.assert_allclose([low, high], gap.mean() + half * np.array([-1, 1]),
                             atol=0.1 * half)


def test_bootstrap_statistic_blocks_and_shapes():
  rng = np.random.default_rng(1)
  a, b = rng.normal(size=(2, 3, 50))
  root = lambda e: np.sqrt((e**2).mean(-1))
  got = intervals.two_level_bootstrap(a, b, 50, statistic=root)
  np.testing.assert_allclose(
      got[0], np.mean([np.sqrt(np.mean(x**2)) - np.sqrt(np.mean(y**2))
                       for x, y in zip(a, b, strict=True)]))
  assert got[1] < got[0] < got[2]
  assert got == intervals.two_level_bootstrap(a, b, 50, statistic=root)
  assert got != intervals.two_level_bootstrap(a, b, 50, seed=1, statistic=root)
  # The same errors in both arms: every resample has to use the same examples
  # and seeds on both sides.
  assert intervals.two_level_bootstrap(a, a, 50) == (0, 0, 0)
  # Blocks of one resample: as many are drawn.
  wide = np.zeros((1, 2**21 + 1))
  assert intervals.two_level_bootstrap(wide + 2, wide, 3) == (2, 2, 2)
  with pytest.raises(ValueError, match='examples'):
    intervals.two_level_bootstrap(a, b[:, :-1])
