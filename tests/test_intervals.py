"""The arithmetic behind verdicts, by hand and against scipy.stats."""

import math

import numpy as np
import pytest
from scipy import stats

from assay.claims import intervals


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


def difference(x):
  return x[0] - x[1]


def test_bootstrap_limits():
  rng = np.random.default_rng(0)
  gap = rng.normal(loc=0.2, size=400)
  # Seeds agree: the interval of a mean over examples, 1.96 * s / sqrt(400).
  b = rng.normal(size=(6, 400))
  half = 1.96 * gap.std() / 20
  np.testing.assert_allclose(
      intervals.two_level_bootstrap([b + gap, b], difference),
      gap.mean() + half * np.array([-1, 1]), atol=0.1 * half)
  # Examples agree: the same over seeds.
  b = rng.normal(size=(400, 6))
  np.testing.assert_allclose(
      intervals.two_level_bootstrap([b + gap[:, None], b], difference),
      gap.mean() + half * np.array([-1, 1]), atol=0.1 * half)


@pytest.mark.parametrize('tail, deviations', [(0.025, 1.96), (0.05, 1.645)])
def test_bootstrap_of_equal_seeds_is_binomial(tail, deviations):
  wrong = np.arange(2000) < 400  # p = 0.2
  low, high = intervals.two_level_bootstrap(
      np.tile(wrong, (1, 7, 1)), lambda x: x[0], tail, num_resamples=10_000)
  half = deviations * np.sqrt(0.2 * 0.8 / 2000)
  np.testing.assert_allclose([low, high], [0.2 - half, 0.2 + half],
                             atol=0.05 * half)


def gathered(errors, value, num_resamples, rng):
  """The mean of each resample, by copying out its examples and seeds."""
  _, num_seeds, n = errors.shape
  means = []
  for _ in range(num_resamples):
    resample = errors[..., rng.integers(n, size=n)].mean(-1)
    seeds = rng.integers(num_seeds, size=num_seeds)
    means.append(value(resample)[seeds].mean())
  return means


def test_bootstrap_draws_what_gathering_examples_and_seeds_would():
  rng = np.random.default_rng(2)
  errors = rng.random((2, 5, 30)) ** 3
  value = lambda x: np.log(x[0]) - np.log(x[1])  # not linear in the examples
  want = np.quantile(gathered(errors, value, 8000, rng), [0.025, 0.975])
  got = intervals.two_level_bootstrap(errors, value, num_resamples=8000)
  np.testing.assert_allclose(got, want, atol=0.03 * np.diff(want).item())


def test_bootstrap_pairs_blocks_and_shapes():
  rng = np.random.default_rng(1)
  wrong = rng.random((2, 3, 50)) < 0.3
  got = intervals.two_level_bootstrap(wrong, difference, num_resamples=50)
  assert got[0] < difference(wrong.mean(-1)).mean() < got[1]
  assert got == intervals.two_level_bootstrap(wrong, difference,
                                              num_resamples=50)
  assert got != intervals.two_level_bootstrap(wrong, difference,
                                              num_resamples=50, seed=1)
  # The same errors in both arms: every resample has to use the same examples
  # and seeds on both sides.
  assert intervals.two_level_bootstrap(wrong[[0, 0]], difference) == (0, 0)
  # Blocks of one resample: as many are drawn.
  wide = np.zeros((2, 1, 2**21 + 1), bool)
  wide[0] = True
  assert intervals.two_level_bootstrap(wide, difference,
                                       num_resamples=3) == (1, 1)
  with pytest.raises(ValueError, match='arms, seeds, examples'):
    intervals.two_level_bootstrap(wrong[0], difference)


def test_bootstrap_covers_where_seeds_and_examples_vary():
  # Wrong where gap + seed + example + noise > 0, all normal: in the mean over
  # all seeds and examples Phi(gap / sqrt(1 + 0.2^2 + 1.5^2)).
  rng = np.random.default_rng(0)
  truth = stats.norm.cdf(-1 / np.sqrt(1 + 0.2**2 + 1.5**2))
  covered, by_t = 0, 0
  for _ in range(400):
    wrong = (-1 + 0.2 * rng.normal(size=(10, 1)) + 1.5 * rng.normal(size=200)
             + rng.normal(size=(10, 200))) > 0
    low, high = intervals.two_level_bootstrap(
        wrong[None], lambda x: x[0], num_resamples=500)
    covered += low <= truth <= high
    low, high = intervals.t_interval(wrong.mean(-1))
    by_t += low <= truth <= high
  assert 0.92 * 400 <= covered < 400  # 380 +- 4.4, if anything too wide
  assert by_t < 0.8 * 400  # it speaks about the one test set


@pytest.mark.parametrize('n', [5, 8, 11])
def test_sign_flip_is_scipys_permutation_test(n):
  values = np.random.default_rng(n).exponential(size=n)
  values[1] = values[0]  # a tie
  for bound in 0, 0.4, 1.7:
    want = stats.permutation_test(
        (values - bound,), np.sum, permutation_type='samples',
        n_resamples=np.inf).pvalue
    assert intervals.sign_flip_p_value(values, bound) == pytest.approx(want)


def test_sign_flip_by_hand_and_at_its_limits():
  # Of 2**5 flips only all plus and all minus reach 15.
  assert intervals.sign_flip_p_value([1, 2, 3, 4, 5], 0) == 2 / 32
  assert intervals.sign_flip_p_value([1, -1, 2, -2, 0.0], 0) == 1
  assert intervals.sign_flip_p_value([1.0], 0) is None
  assert intervals.sign_flip_p_value([2.0, 2.0], 0) is None
  rng = np.random.default_rng(0)
  for n in 26, 27, 50, 51:  # enumerated, drawn, drawn, the normal limit
    values = rng.normal(0.3 / np.sqrt(n / 30), 1, n)
    want = stats.ttest_1samp(values, 0).pvalue  # near normal, so near it
    assert intervals.sign_flip_p_value(values, 0) == pytest.approx(
        want, rel=0.1, abs=0.005)
