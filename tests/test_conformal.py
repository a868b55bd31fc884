"""Conformal sets: worked by hand, exact coverage, nesting, edges."""
import numpy as np
import pytest
from scipy import special, stats

from assay.methods import conformal

PROBS = np.array([[.5, .3, .2], [.1, .1, .8]])


def draw(rng, n, num_classes=5, sharpness=1.):
  """Probabilities [n, C] and labels that need not follow them."""
  logits = 2 * rng.normal(size=(n, num_classes))
  labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
  return special.softmax(sharpness * logits, axis=1), labels


def test_scores_by_hand():
  np.testing.assert_allclose(conformal.lac(PROBS), 1 - PROBS)
  # Sums down the ranks; of the equal .1 the first comes first.
  np.testing.assert_allclose(conformal.aps(PROBS),
                             [[.5, .8, 1], [.9, 1, .8]])
  np.testing.assert_allclose(conformal.aps(PROBS, [.5, 0]),
                             [[.25, .65, .9], [.8, .9, 0]])
  np.testing.assert_allclose(conformal.raps(PROBS, 1, .01),
                             [[.5, .81, 1.02], [.91, 1.02, .8]])
  np.testing.assert_allclose(conformal.raps(PROBS, 0, .1, [0, 0]),
                             [[.1, .7, 1.1], [1., 1.2, .1]])


def test_thresholds_by_hand():
  scores = np.array([.4, .1, .3, .2])
  # k = ceil(5 (1 - alpha)) of 4 scores.
  for alpha, expected in ((.2, .4), (.21, .4), (.4, .3), (.5, .3), (.6, .2),
                          (.8, .1), (.9, .1), (.19, np.inf), (0, np.inf),
                          (1, -np.inf)):
    assert conformal.threshold(scores, alpha) == expected
  assert conformal.threshold(np.arange(1., 10), .7) == 3  # not 4: 1 - .7 > .3
  assert conformal.threshold(np.arange(1., 20), .05) == 19
  assert conformal.threshold(np.arange(1., 19), .05) == np.inf
  assert conformal.threshold(np.arange(1., 1000), .1) == 900
  assert conformal.threshold([.5, .5, .5], .3) == .5


def test_sets_and_their_metrics_by_hand():
  scores = conformal.aps(PROBS)
  found = conformal.sets(scores, .8)
  np.testing.assert_array_equal(found, [[True, True, False],
                                        [False, False, True]])
  assert conformal.coverage(found, np.array([1, 0])) == .5
  assert conformal.mean_size(found) == 1.5
  assert conformal.mean_size(conformal.sets(scores, np.inf)) == 3
  assert conformal.mean_size(conformal.sets(scores, -np.inf)) == 0
  np.testing.assert_array_equal(
      conformal.sets(scores, -np.inf, at_least_one=True),
      [[True, False, False], [False, False, True]])
  np.testing.assert_array_equal(conformal.true_class(scores, np.array([2, 0])),
                                scores[[0, 1], [2, 0]])


@pytest.mark.parametrize('k_reg', [0, 2])
@pytest.mark.parametrize('randomized', [False, True])
def test_scores_equal_a_plain_loop(k_reg, randomized):
  rng = np.random.default_rng(0)
  probs, _ = draw(rng, 30)
  u = rng.random(30) if randomized else None
  got = conformal.raps(probs, k_reg, .2, u)
  for i, p in enumerate(probs):
    for c in range(5):
      before = p[p > p[c]]
      rank = len(before) + 1
      share = 1 if u is None else u[i]
      expected = before.sum() + share * p[c] + .2 * max(0, rank - k_reg)
      assert got[i, c] == pytest.approx(expected)
  np.testing.assert_array_equal(conformal.raps(probs, 3, 0., u),
                                conformal.aps(probs, u))


def coverages(rng, n, alpha, draws, score):
  """Coverage of one test example each, and that given the calibration data."""
  probs, labels = draw(rng, 20_000, sharpness=2.)
  s = conformal.true_class(score(probs), labels)
  # The pool is the population; k-th smallest of n drawn from it.
  ordered = np.sort(s)
  hit, given = [], []
  for _ in range(draws):
    rows = rng.integers(len(s), size=n + 1)
    t = conformal.threshold(s[rows[:n]], alpha)
    hit.append(s[rows[n]] <= t)
    given.append(np.searchsorted(ordered, t, side='right') / len(s))
  return np.array(hit), np.array(given)


@pytest.mark.parametrize('n, alpha, k', [
    (9, .2, 8), (20, .1, 19), (13, .35, 10)])
def test_coverage_is_exact_and_beta_given_the_calibration_set(n, alpha, k):
  rng = np.random.default_rng(n)
  hit, given = coverages(rng, n, alpha, 4000, conformal.lac)
  expected = k / (n + 1)
  assert expected >= 1 - alpha - 1e-12
  assert abs(hit.mean() - expected) < 4 * np.sqrt(
      expected * (1 - expected) / len(hit))
  beta = stats.beta(k, n + 1 - k)
  assert abs(given.mean() - beta.mean()) < 4 * beta.std() / np.sqrt(len(given))
  assert given.var() == pytest.approx(beta.var(), rel=.12)
  assert stats.kstest(given, beta.cdf).pvalue > 1e-3


def test_randomized_aps_covers_exactly_and_the_plain_one_more():
  rng = np.random.default_rng(1)
  n, alpha = 99, .1  # (n + 1) (1 - alpha) is a whole number
  u = np.random.default_rng(2).random(20_000)
  hit, given = coverages(rng, n, alpha, 3000, lambda p: conformal.aps(p, u))
  assert abs(hit.mean() - .9) < 4 * np.sqrt(.09 / len(hit))
  assert abs(given.mean() - .9) < 4 * np.sqrt(.9 * .1 / (n + 2) / len(given))


def test_with_the_true_posterior_randomized_aps_scores_are_uniform():
  rng = np.random.default_rng(3)
  probs, labels = draw(rng, 5000)
  s = conformal.true_class(conformal.aps(probs, rng.random(5000)), labels)
  assert stats.kstest(s, 'uniform').pvalue > 1e-3
  # So 1 - alpha itself is the threshold; without randomization it covers more.
  plain = conformal.true_class(conformal.aps(probs), labels)
  assert (plain <= .9).mean() < (s <= .9).mean() < .92
  assert (plain >= s).all()


def test_ties_only_raise_coverage():
  rng = np.random.default_rng(4)
  score = lambda p: np.round(4 * conformal.lac(p)) / 4
  hit, given = coverages(rng, 19, .2, 2000, score)
  assert given.mean() > .8 and hit.mean() > .8 - 4 * np.sqrt(.16 / 2000)


@pytest.mark.parametrize('score', [
    conformal.lac, conformal.aps, lambda p: conformal.raps(p, 2, .1)])
def test_sets_are_nested_and_the_likely_classes_come_first(score):
  rng = np.random.default_rng(5)
  calibration, labels = draw(rng, 200)
  probs, _ = draw(rng, 50)
  s = conformal.true_class(score(calibration), labels)
  previous = np.ones(probs.shape, bool)
  for alpha in (0., .01, .05, .2, .5, .9, 1.):
    found = conformal.sets(score(probs), conformal.threshold(s, alpha))
    assert not (found & ~previous).any()
    for p, row in zip(probs, found, strict=True):
      assert row[np.argsort(-p)].tolist() == sorted(row, reverse=True)
    previous = found
  assert not previous.any()


def test_the_penalty_of_raps_shortens_large_sets():
  rng = np.random.default_rng(6)
  calibration, labels = draw(rng, 500, num_classes=20, sharpness=.3)
  probs, _ = draw(rng, 500, num_classes=20, sharpness=.3)
  largest = []
  for penalty in (0., .05, 1.):
    score = lambda p: conformal.raps(p, 3, penalty)
    t = conformal.threshold(conformal.true_class(score(calibration), labels),
                            .1)
    largest.append(conformal.sets(score(probs), t).sum(axis=1).max())
  assert largest[0] > largest[1] >= largest[2]


def test_bad_input_is_refused():
  labels = np.array([0, 1])
  for probs, message in ((PROBS[0], 'N, C'), (PROBS[:0], 'at least 1'),
                         (2 * PROBS, r'\[0, 1\]'), (PROBS / 2, 'sums to 0.5'),
                         (PROBS * np.nan, 'nan'), (-PROBS, r'\[0, 1\]')):
    for score in conformal.lac, conformal.aps:
      with pytest.raises(ValueError, match=message):
        score(probs)
  for uniform in ([.5], [[.5, .5]], [.5, 2], [.5, np.nan]):
    with pytest.raises(ValueError, match='uniform'):
      conformal.aps(PROBS, uniform)
  for k_reg, penalty in ((-1, .1), (1, -.1), (1, np.nan)):
    with pytest.raises(ValueError, match='k_reg'):
      conformal.raps(PROBS, k_reg, penalty)
  for bad in (labels[:1], labels[None], np.array([0, 3]), np.array([-1, 0]),
              np.array([0., 1.])):
    for function in (conformal.true_class, conformal.coverage):
      with pytest.raises(ValueError, match='labels'):
        function(PROBS > .2, bad)
  for scores, alpha in (([], .1), ([[.1]], .1), ([np.nan], .1), ([.1], -.1),
                        ([.1], 1.1), ([.1], np.nan)):
    with pytest.raises(ValueError, match='scores|alpha'):
      conformal.threshold(scores, alpha)
  with pytest.raises(ValueError, match='threshold'):
    conformal.sets(PROBS, np.array([.1, .2]))
  with pytest.raises(ValueError, match='NaN'):
    conformal.sets(PROBS * np.nan, .1)
  with pytest.raises(ValueError, match='bool'):
    conformal.mean_size(PROBS)
