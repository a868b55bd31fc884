"""assay.metrics.calibration: by hand, loops, scikit-learn, limits."""
import math

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from scipy import optimize, special, stats
from sklearn import calibration as sklearn_calibration
from sklearn import metrics as sklearn_metrics

from assay.metrics import arguments, calibration, selective

NAN, INF = float('nan'), float('inf')
BINNED = [calibration.expected_calibration_error,
          calibration.adaptive_calibration_error,
          calibration.maximum_calibration_error,
          calibration.classwise_calibration_error,
          calibration.debiased_squared_calibration_error]
UNBINNED = [calibration.brier_score, calibration.top_label_brier_score,
            calibration.negative_log_likelihood,
            calibration.kolmogorov_smirnov_calibration_error,
            calibration.smooth_calibration_error]
METRICS = BINNED + UNBINNED
# Few: the smooth ECE transforms a grid of 65,537 nodes about 10 times, 15 ms.
seeds = st.integers(0, 2**32 - 1)
few = hypothesis.settings(max_examples=40, deadline=None)


def pair(confidence, correct):
  """Probabilities of two classes, confidence >= 1/2, and labels."""
  confidence = np.asarray(confidence, float)
  return (np.stack([confidence, 1 - confidence], axis=1),
          np.where(correct, 0, 1))


def triple(confidence, correct):
  """Of three classes, confidence > 1/3."""
  c = np.asarray(confidence, float)
  return (np.stack([c, (1 - c) / 2, (1 - c) / 2], axis=1),
          np.where(correct, 0, 1))


def random_split(seed, num_classes=None, ties=False):
  """(probs, labels) of 1 to 60 examples, labels drawn from the probs."""
  rng = np.random.default_rng(seed)
  num_classes = num_classes or rng.integers(1, 6)
  n = rng.integers(1, 61)
  probs = rng.dirichlet(np.full(num_classes, rng.uniform(0.2, 2)), size=n)
  if ties:  # quarters, each row a permutation of a row of the table
    table = np.array([[4, 0, 0, 0], [3, 1, 0, 0], [2, 1, 1, 0]]) / 4
    probs = rng.permuted(table[rng.integers(3, size=n)], axis=1)
  labels = np.array([rng.choice(len(p), p=p) for p in probs])
  return probs, labels


# Six examples, three classes. With 4 bins, (0.25, 0.5] holds confidences 0.4
# (wrong) and 0.5 (right), (0.5, 0.75] holds 0.6 (right), 0.75 (wrong) and 0.75
# (right), (0.75, 1] holds 0.9 (right).
HAND = triple([0.5, 0.75, 0.9, 0.6, 0.4, 0.75], [1, 0, 1, 1, 0, 1])


def test_top_label_by_hand():
  confidence, correct = calibration.top_label(*HAND)
  np.testing.assert_array_equal(confidence, [0.5, 0.75, 0.9, 0.6, 0.4, 0.75])
  np.testing.assert_array_equal(correct, [1, 0, 1, 1, 0, 1])
  assert confidence.dtype == np.float64 and correct.dtype == bool
  # A tie goes to the first class, also at the label's expense.
  np.testing.assert_array_equal(
      calibration.top_label([[0.5, 0.5], [0.5, 0.5]], [0, 1])[1], [True, False])


def test_reliability_by_hand():
  bins = calibration.reliability(*HAND, num_bins=4)
  np.testing.assert_allclose(bins.confidence, [NAN, 0.45, 0.7, 0.9])
  np.testing.assert_allclose(bins.accuracy, [NAN, 0.5, 2 / 3, 1])
  np.testing.assert_array_equal(bins.count, [0, 2, 3, 1])


def test_binned_errors_by_hand():
  # Sums of confidence - correct by bin: -0.1, 0.1 and -0.1.
  assert calibration.expected_calibration_error(
      *HAND, num_bins=4) == pytest.approx(0.3 / 6, abs=1e-15)
  # Gaps by bin: 0.05, 0.1 / 3 and 0.1, the last of one example.
  assert calibration.maximum_calibration_error(
      *HAND, num_bins=4) == pytest.approx(0.1, abs=1e-15)
  # Three bins of two: 0.4 0.5 | 0.6 0.75 0.75 | 0.9, as the ties stay together.
  assert calibration.adaptive_calibration_error(
      *HAND, num_bins=3) == pytest.approx((0.1 + 0.1 + 0.1) / 6, abs=1e-15)
  # One bin: accuracy 4/6, mean confidence 3.9/6.
  for metric in BINNED[:3]:
    assert metric(*HAND, num_bins=1) == pytest.approx(0.1 / 6, abs=1e-15)


def test_debiased_error_by_hand():
  # confidence - correct by bin: (0.4, -0.5), (-0.4, 0.75, -0.25), (-0.1): means
  # -0.05 and 0.1 / 3; squared deviations sum to 0.405 and 0.785 - 0.01 / 3.
  # The bin with one example adds 0.
  expected = (2 * (0.05**2 - 0.405 / 2)
              + 3 * ((0.1 / 3)**2 - (0.785 - 0.01 / 3) / 6)) / 6
  assert calibration.debiased_squared_calibration_error(
      *HAND, num_bins=4) == pytest.approx(expected, abs=1e-15)


def test_debiased_error_is_the_published_one_for_equal_confidences():
  rng = np.random.default_rng(0)
  confidence = rng.choice([0.55, 0.7, 0.9], size=200)
  correct = rng.random(200) < 0.6
  expected = 0
  for c in 0.55, 0.7, 0.9:
    own = correct[confidence == c]
    expected += len(own) / 200 * (
        (c - own.mean())**2 - own.mean() * (1 - own.mean()) / (len(own) - 1))
  assert calibration.debiased_squared_calibration_error(
      *pair(confidence, correct)) == pytest.approx(expected, abs=1e-14)


def test_classwise_error_by_hand():
  probs = [[0.8, 0.2], [0.6, 0.4], [0.3, 0.7]]
  # Two bins. Class 0: 0.8 and 0.6 with labels 0 and 1: |1.4 - 1|; 0.3: |0.3|.
  # Class 1: 0.2 and 0.4: |0.6 - 1|; 0.7: |0.7 - 1|.
  got = calibration.classwise_calibration_error(probs, [0, 1, 1], num_bins=2)
  assert got == pytest.approx((0.4 + 0.3 + 0.4 + 0.3) / 3 / 2, abs=1e-15)


def test_scores_by_hand():
  probs, labels = [[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]], [0, 2]
  # Squares: 0.25 + 2 / 16 = 0.375 and 1/64 + 9/16 + 49/64 = 86/64.
  assert calibration.brier_score(probs, labels) == (0.375 + 86 / 64) / 2
  assert calibration.top_label_brier_score(probs, labels) == (
      0.25 + 0.5625) / 2
  assert calibration.negative_log_likelihood(probs, labels) == pytest.approx(
      (math.log(2) + math.log(8)) / 2, rel=1e-15)


def test_negative_log_likelihood_is_not_clipped():
  probs = [[1.0, 0.0], [0.5, 0.5]]
  assert calibration.negative_log_likelihood(probs, [1, 0]) == INF
  assert calibration.negative_log_likelihood(
      [[1e-300, 1.0]], [0]) == pytest.approx(300 * math.log(10))
  sure = calibration.negative_log_likelihood([[1.0, 0.0]], [0])
  assert sure == 0 and math.copysign(1, sure) == 1


def test_kolmogorov_smirnov_by_hand():
  # In order of confidence 0.4 0.5 0.6 0.75 0.75 0.9, confidence - correct is
  # 0.4, -0.5, -0.4, (0.75, -0.25 in one step), -0.1: sums 0.4, -0.1, -0.5, 0,
  # -0.1. Halfway through the tie it would be 0.25 or, the other way, -0.75.
  for rows in slice(None), slice(None, None, -1):
    assert calibration.kolmogorov_smirnov_calibration_error(
        HAND[0][rows], HAND[1][rows]) == pytest.approx(0.5 / 6, abs=1e-15)


def test_kolmogorov_smirnov_sorts_by_confidence_not_by_correctness():
  # Sorted by correctness it would be max(0.6 + 0.6, |1.2 + 1.8 - 2|) / 4.
  probs, labels = pair([0.6, 0.6, 0.9, 0.9], [0, 0, 1, 1])
  assert calibration.kolmogorov_smirnov_calibration_error(
      probs, labels) == pytest.approx(1.2 / 4)
  probs, labels = pair([0.6, 0.7, 0.8, 0.9], [0, 1, 0, 1])
  assert calibration.kolmogorov_smirnov_calibration_error(
      probs, labels) == pytest.approx((0.6 - 0.3 + 0.8) / 4)


@pytest.mark.parametrize('num_bins', [5, 10, 15, 20, 25, 49])
def test_a_confidence_on_an_edge_is_in_the_bin_below(num_bins):
  for k in range(1, num_bins + 1):
    # One class less sure than 1/2 is not the top one: put the rest elsewhere.
    edge = k / num_bins
    others = 2 * num_bins
    probs = np.full((1, others + 1), (1 - edge) / others)
    probs[0, 0] = edge
    count = calibration.reliability(probs, [0], num_bins).count
    assert count[k - 1] == 1, k
    probs[0, 0] = np.nextafter(edge, 2)
    if k < num_bins:
      count = calibration.reliability(probs, [0], num_bins).count
      assert count[k] == 1, k


def test_decimal_confidences_on_edges():
  # What a product or linspace gets wrong: these are the edges 3/5, 9/15, 7/25.
  assert np.linspace(0, 1, 6)[3] > 0.6 and 0.28 * 25 > 7
  for value, num_bins, bin_ in [
      (0.2, 5, 0), (0.4, 5, 1), (0.6, 5, 2), (0.8, 5, 3), (1.0, 5, 4),
      (0.2, 15, 2), (0.4, 15, 5), (0.6, 15, 8), (0.8, 15, 11), (1.0, 15, 14),
      (0.28, 25, 6), (0.3, 10, 2), (0.6, 10, 5), (0.7, 10, 6)]:
    probs = [[value] + [(1 - value) / 10] * 10]
    count = calibration.reliability(probs, [0], num_bins).count
    assert count.argmax() == bin_, (value, num_bins)
  # Of a class, 0 and 1 are probabilities too: the first and the last bin.
  assert calibration.classwise_calibration_error([[1.0, 0.0]], [1]) == 1


def test_float32_is_binned_as_the_number_it_is():
  value = np.float32(0.6)
  assert float(value) > 0.6
  probs = np.array([[value, np.float32(1) - value]], np.float32)
  assert calibration.reliability(probs, [0], 5).count.argmax() == 3
  # Everything else is that of the same numbers in float64.
  probs, labels = random_split(3, 4)
  single = probs.astype(np.float32)
  for metric in METRICS:
    assert metric(single, labels) == pytest.approx(
        metric(single.astype(np.float64), labels), rel=1e-13, abs=1e-15)
    assert isinstance(metric(single, labels), float)


@hypothesis.given(seeds, st.integers(1, 20), st.booleans())
@few
def test_binned_errors_agree_with_loops(seed, num_bins, ties):
  probs, labels = random_split(seed, ties=ties)

  def gap(members, column=None):
    """Sum of probability - truth, and the number, of the examples."""
    total = 0.0
    for i in members:
      c = probs[i].tolist().index(max(probs[i])) if column is None else column
      total += probs[i, c] - (labels[i] == c)
    return total, len(members)

  def members(k, values):
    lo, hi = k / num_bins, (k + 1) / num_bins
    return [i for i, v in enumerate(values)
            if lo < v <= hi or k == 0 and v == 0]

  n, num_classes = probs.shape
  top = [gap(members(k, probs.max(axis=1))) for k in range(num_bins)]
  assert calibration.expected_calibration_error(
      probs, labels, num_bins) == pytest.approx(
          sum(abs(s) for s, _ in top) / n, abs=1e-12)
  assert calibration.maximum_calibration_error(
      probs, labels, num_bins) == pytest.approx(
          max(abs(s / m) for s, m in top if m), abs=1e-12)
  by_class = sum(abs(gap(members(k, probs[:, c]), c)[0])
                 for c in range(num_classes) for k in range(num_bins))
  assert calibration.classwise_calibration_error(
      probs, labels, num_bins) == pytest.approx(
          by_class / n / num_classes, abs=1e-12)
  # Equal mass: fill a bin, in order of confidence, up to its share of all.
  confidence = sorted({*probs.max(axis=1)})
  below, groups = 0, {}
  for value in confidence:
    tied = [i for i in range(n) if probs[i].max() == value]
    # Of the tied the first has `below` others before it.
    groups.setdefault(below * num_bins // n, []).extend(tied)
    below += len(tied)
  assert calibration.adaptive_calibration_error(
      probs, labels, num_bins) == pytest.approx(
          sum(abs(gap(g)[0]) for g in groups.values()) / n, abs=1e-12)


@pytest.mark.parametrize('n', [1, 7, 14, 15, 16, 29, 100])
def test_adaptive_bins_differ_by_at_most_one_example(n, monkeypatch):
  seen = []
  monkeypatch.setattr(
      calibration, '_mean_gap',
      lambda confidence, correct, bins, num_bins: seen.append(
          np.bincount(bins, minlength=num_bins)))
  confidence = 0.5 + np.arange(n) / (2 * n)
  calibration.adaptive_calibration_error(*pair(confidence, [True] * n), 15)
  assert seen[0].sum() == n and np.ptp(seen[0]) <= 1


@hypothesis.given(seeds)
@few
def test_scores_agree_with_scikit_learn(seed):
  probs, labels = random_split(seed, 4)
  classes = range(4)
  assert calibration.negative_log_likelihood(probs, labels) == pytest.approx(
      sklearn_metrics.log_loss(labels, probs, labels=classes), rel=1e-9)
  onehot = np.eye(4)[labels]
  assert calibration.brier_score(probs, labels) == pytest.approx(
      sum(sklearn_metrics.brier_score_loss(onehot[:, c], probs[:, c],
                                           pos_label=1) for c in classes))
  confidence, correct = calibration.top_label(probs, labels)
  assert calibration.top_label_brier_score(probs, labels) == pytest.approx(
      sklearn_metrics.brier_score_loss(correct, confidence, pos_label=1))
  accuracy, mean = sklearn_calibration.calibration_curve(
      correct, confidence, n_bins=15)
  bins = calibration.reliability(probs, labels)
  np.testing.assert_allclose(bins.accuracy[bins.count > 0], accuracy)
  np.testing.assert_allclose(bins.confidence[bins.count > 0], mean)


@hypothesis.given(seeds, st.integers(1, 20), st.booleans())
@few
def test_brier_decomposition_sums_to_the_score(seed, num_bins, ties):
  probs, labels = random_split(seed, ties=ties)
  parts = calibration.brier_decomposition(probs, labels, num_bins)
  assert (parts.reliability - parts.resolution + parts.uncertainty
          + parts.within_bin_variance - parts.within_bin_covariance
          ) == pytest.approx(
              calibration.top_label_brier_score(probs, labels), abs=1e-14)
  assert min(parts[:4]) >= 0
  if ties and num_bins == 4:  # confidences 1/2, 3/4 and 1: equal in a bin
    np.testing.assert_allclose(parts[3:], 0, atol=1e-15)


def test_brier_decomposition_by_hand():
  # Murphy's three parts: bins 0.6 (one of two right) and 0.9 (two of two).
  parts = calibration.brier_decomposition(
      *pair([0.6, 0.6, 0.9, 0.9], [1, 0, 1, 1]), num_bins=5)
  np.testing.assert_allclose(
      parts, [(0.1**2 + 0.1**2) / 2, (0.25**2 + 0.25**2) / 2, 0.1875, 0, 0],
      atol=1e-15)
  # One bin: no resolution; 0.6 right and 0.8 wrong around 0.7 and 0.5.
  parts = calibration.brier_decomposition(
      *pair([0.6, 0.8], [1, 0]), num_bins=1)
  np.testing.assert_allclose(
      parts, [0.2**2, 0, 0.25, 0.1**2, 2 * -0.1 * 0.5], atol=1e-15)


# The smooth ECE, by other means: images of the kernel in place of cosines, sums
# over midpoints in place of a transform.
def smooth_by_quadrature(confidence, correct, s, num_points=4000):
  t = (np.arange(num_points) + 0.5) / num_points
  g = np.zeros(num_points)
  for c, h in zip(confidence, correct, strict=True):
    for shift in range(-4, 6, 2):
      for image in (c + shift, -c + shift):
        g += (h - c) * stats.norm.pdf(t, image, s)
  return np.abs(g / len(confidence)).mean()


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_smooth_error_is_the_fixed_point_by_quadrature(seed):
  rng = np.random.default_rng(seed)
  confidence = rng.uniform(0.5, 1, size=25)
  correct = rng.random(25) < 0.75
  expected = optimize.brentq(
      lambda s: smooth_by_quadrature(confidence, correct, s) - s, 1e-3, 1)
  assert calibration.smooth_calibration_error(
      *pair(confidence, correct)) == pytest.approx(expected, abs=1e-6)


def test_smooth_error_of_two_opposite_gaps():
  # Gaps of -r / 2 and r / 2, d apart and far from 0 and 1 for this s: the
  # integral is r erf(d / (2 sqrt(2) s)). Four classes keep confidences small.
  n, d = 1000, 0.05
  confidence = np.repeat([0.5, 0.5 + d], n // 2)
  correct = np.concatenate([np.arange(500) < 275, np.arange(500) < 250])
  r = 0.05  # accuracies of 0.55 and 0.5
  probs = np.stack([confidence] + [(1 - confidence) / 3] * 3, axis=1)
  s = optimize.brentq(
      lambda s: r * special.erf(d / (2 * math.sqrt(2) * s)) - s, 1e-6, 1)
  assert calibration.smooth_calibration_error(
      probs, np.where(correct, 0, 1)) == pytest.approx(s, abs=1e-6)


def test_limits_of_the_smooth_error():
  # Gaps of one sign: the difference of the means, whatever the smoothing.
  assert calibration.smooth_calibration_error(
      *pair([0.8] * 4, [1, 1, 0, 0])) == pytest.approx(0.3, abs=1e-9)
  assert calibration.smooth_calibration_error(
      *pair([0.8, 0.9, 1.0], [0, 0, 0])) == pytest.approx(0.9, abs=1e-9)
  assert calibration.smooth_calibration_error(
      *pair([1.0], [0])) == pytest.approx(1, abs=1e-12)
  # Accuracy equals confidence at each confidence: 0.
  assert calibration.smooth_calibration_error(
      *pair([0.75] * 4 + [0.5] * 2, [1, 1, 1, 0, 1, 0])) < 1e-12


def test_a_smooth_error_moves_little_where_a_binned_one_jumps():
  correct = np.arange(100) < 50
  at = lambda shift: pair(
      0.6 + np.where(np.arange(100) % 2, shift, -shift), correct)
  smooth, binned = (
      [abs(f(*at(1e-6)) - f(*at(0))) for f in (
          calibration.smooth_calibration_error,
          lambda *a: calibration.reliability(*a, 5).count[3] / 100)])
  assert smooth < 1e-5 and binned == 0.5


def test_a_perfect_predictor_has_no_error():
  labels = np.arange(12) % 3
  for metric in METRICS:
    assert metric(np.eye(3)[labels], labels) == 0, metric.__name__
  parts = calibration.brier_decomposition(np.eye(3)[labels], labels)
  assert parts == (0, 0, 0, 0, 0)


def test_a_surely_wrong_predictor():
  labels, probs = np.arange(12) % 3, np.eye(3)[(np.arange(12) + 1) % 3]
  one = [*BINNED[:3], BINNED[4], *UNBINNED[1:2], *UNBINNED[3:]]
  for metric in one:
    assert metric(probs, labels) == pytest.approx(1, abs=1e-12)
  assert calibration.brier_score(probs, labels) == 2
  assert calibration.negative_log_likelihood(probs, labels) == INF
  # Of each class: a third is 1 and wrong, a third 0 and wrong.
  assert calibration.classwise_calibration_error(
      probs, labels) == pytest.approx(2 / 3)


def test_a_constant_predictor():
  labels = [0] * 6 + [1] * 3 + [2] * 1
  probs = np.tile([0.5, 0.25, 0.25], (10, 1))
  for metric in [*BINNED[:3], *UNBINNED[3:]]:
    assert metric(probs, labels) == pytest.approx(0.1, abs=1e-9)
  assert calibration.classwise_calibration_error(
      probs, labels) == pytest.approx((0.1 + 0.05 + 0.15) / 3)
  parts = calibration.brier_decomposition(probs, labels)
  np.testing.assert_allclose(parts, [0.01, 0, 0.24, 0, 0], atol=1e-15)


@pytest.mark.parametrize('metric', METRICS)
def test_one_example_and_one_class(metric):
  assert metric([[1.0]], [0]) == 0
  assert metric([[1.0]] * 3, [0] * 3) == 0
  # A row may be off by the tolerance, and is not normalized.
  got = metric([[0.9995]], [0])
  expected = {'brier_score': 0.0005**2, 'top_label_brier_score': 0.0005**2,
              'negative_log_likelihood': -math.log(0.9995),
              'debiased_squared_calibration_error': 0}
  assert got == pytest.approx(expected.get(metric.__name__, 0.0005), rel=1e-6)
  if metric not in (calibration.debiased_squared_calibration_error,
                    *UNBINNED[:3]):
    assert metric([[0.7, 0.3]], [1]) == pytest.approx(0.7)


def test_two_classes():
  probs, labels = random_split(5, 2)
  np.testing.assert_allclose(
      calibration.brier_score(probs, labels),
      2 * np.mean((probs[:, 1] - labels)**2))
  # Brier's two classes are off by the same amount: twice the top-label score.
  np.testing.assert_allclose(
      calibration.brier_score(probs, labels),
      2 * calibration.top_label_brier_score(probs, labels))


@hypothesis.given(seeds, st.booleans())
@few
def test_the_order_of_examples_does_not_matter(seed, ties):
  probs, labels = random_split(seed, ties=ties)
  order = np.random.default_rng(seed).permutation(len(labels))
  for metric in METRICS:
    np.testing.assert_allclose(
        metric(probs[order], labels[order]), metric(probs, labels),
        rtol=1e-9, atol=1e-11, err_msg=metric.__name__)


@hypothesis.given(seeds)
@few
def test_names_of_classes_do_not_matter(seed):
  probs, labels = random_split(seed)
  names = np.random.default_rng(seed).permutation(probs.shape[1])
  for metric in METRICS:
    np.testing.assert_allclose(
        metric(probs[:, np.argsort(names)], names[labels]),
        metric(probs, labels), rtol=1e-9, atol=1e-11, err_msg=metric.__name__)


@hypothesis.given(seeds, st.integers(1, 30), st.booleans())
@few
def test_inequalities(seed, num_bins, ties):
  probs, labels = random_split(seed, ties=ties)
  confidence, correct = calibration.top_label(probs, labels)
  ece = calibration.expected_calibration_error(probs, labels, num_bins)
  mean_gap = abs(confidence.mean() - correct.mean())
  slack = 1e-12
  assert mean_gap <= ece + slack
  assert ece <= calibration.maximum_calibration_error(
      probs, labels, num_bins) + slack <= 1 + 2 * slack
  # By Jensen, ECE^2 is at most the reliability term of the same bins.
  parts = calibration.brier_decomposition(probs, labels, num_bins)
  assert ece**2 <= parts.reliability + slack
  assert mean_gap <= (
      calibration.kolmogorov_smirnov_calibration_error(probs, labels) + slack)
  finest = sum(abs((confidence - correct)[confidence == c].sum())
               for c in {*confidence}) / len(labels)
  smooth = calibration.smooth_calibration_error(probs, labels)
  assert mean_gap <= smooth + 1e-9 and smooth <= finest + 1e-9


# Data with known posteriors.
def drawn(seed, n, accuracy):
  """Confidences uniform on [1/2, 1], right with probability accuracy(c)."""
  rng = np.random.default_rng(seed)
  c = rng.uniform(0.5, 1, size=n)
  return pair(c, rng.random(n) < accuracy(c))


def test_errors_of_a_calibrated_model():
  many = [drawn((7, i), 400, lambda c: c) for i in range(300)]
  debiased = [calibration.debiased_squared_calibration_error(*d) for d in many]
  squared = [calibration.brier_decomposition(*d).reliability for d in many]
  error = np.std(debiased, ddof=1) / math.sqrt(len(many))
  assert abs(np.mean(debiased)) < 4 * error
  # The plain estimate is many standard errors above 0: about 8 bins of 50
  # examples, each with a variance of mean c (1 - c) = 1/6 or so.
  assert np.mean(squared) > 20 * error
  assert np.mean(squared) == pytest.approx(8 / 6 / 400, rel=0.15)


def test_the_debiased_error_is_unbiased_for_a_miscalibrated_model():
  # Accuracy c - 0.1: the gap is 0.1 in every bin, its square 0.01.
  many = [drawn((8, i), 400, lambda c: c - 0.1) for i in range(300)]
  values = [calibration.debiased_squared_calibration_error(*d) for d in many]
  error = np.std(values, ddof=1) / math.sqrt(len(many))
  assert abs(np.mean(values) - 0.01) < 4 * error < 0.002


def test_the_bias_of_the_ece_shrinks_with_the_square_root_of_n():
  bias = [np.mean([calibration.expected_calibration_error(
      *drawn((n, i), n, lambda c: c)) for i in range(100)])
          for n in (100, 1600)]
  assert bias[0] > 0.05
  assert bias[0] / bias[1] == pytest.approx(4, rel=0.2)


def test_errors_of_a_known_miscalibration_tend_to_its_integral():
  # Accuracy c^2 < c: the mean of c - c^2 over [1/2, 1] is 1/6.
  probs, labels = drawn(0, 200_000, lambda c: c**2)
  for metric in [*BINNED[:2], *UNBINNED[3:]]:
    assert metric(probs, labels) == pytest.approx(1 / 6, abs=0.005)
  # Its square: integral of 2 (c - c^2)^2 = 2 (c^3/3 - c^4/2 + c^5/5) = 1/30.
  assert calibration.debiased_squared_calibration_error(
      probs, labels, 100) == pytest.approx(1 / 30, abs=0.002)
  # The largest gap is that of the first bin, 1/4 at c = 1/2.
  assert calibration.maximum_calibration_error(
      probs, labels, 50) == pytest.approx(0.25, abs=0.02)
  # Accuracy 3/4 everywhere: the mean of |c - 3/4| is 1/8, and the sum up to 3/4
  # half of it.
  probs, labels = drawn(1, 200_000, lambda c: 0.75)
  assert calibration.expected_calibration_error(
      probs, labels, 100) == pytest.approx(0.125, abs=0.005)
  assert calibration.kolmogorov_smirnov_calibration_error(
      probs, labels) == pytest.approx(0.0625, abs=0.004)


def test_bootstrap_of_a_mean_is_the_known_interval():
  # The top-label Brier score of 0.5 against 1: c = 0.5 or 1, a mean of 0.25 and
  # 0 with equal shares: its standard error is 0.125 / 20.
  probs, labels = pair(np.repeat([0.5, 1.0], 200), [1] * 400)
  estimate, low, high = calibration.bootstrap(
      calibration.top_label_brier_score, probs, labels)
  assert estimate == 0.125
  half = 1.96 * 0.125 / 20
  assert low == pytest.approx(0.125 - half, abs=0.0015)
  assert high == pytest.approx(0.125 + half, abs=0.0015)
  again = calibration.bootstrap(
      calibration.top_label_brier_score, probs, labels, seed=0)
  assert again == (estimate, low, high)
  assert calibration.bootstrap(
      calibration.top_label_brier_score, probs, labels, 50, seed=1) != again


def test_bootstrap_keeps_infinite_ends_and_takes_other_metrics():
  probs, labels = pair([0.9] * 19 + [1.0], [1] * 19 + [0])
  # A resample lacks the impossible example with probability 0.95^20 = 0.36.
  estimate, low, high = calibration.bootstrap(
      calibration.negative_log_likelihood, probs, labels, 200)
  assert estimate == high == INF and low == pytest.approx(-math.log(0.9))
  scores = np.arange(40) / 40
  estimate, low, high = calibration.bootstrap(
      selective.auroc, scores, scores > 0.5, 20)
  assert (estimate, low, high) == (1, 1, 1)


def test_bootstrap_ends_are_values_of_resamples():
  seen = []
  metric = lambda values, _: seen.append(values.mean()) or seen[-1]
  values = np.random.default_rng(0).normal(size=30)
  estimate, low, high = calibration.bootstrap(metric, values, values, 50)
  # Of 50, the 2.5 % point is between the second and the third.
  assert estimate == seen[0] == values.mean()
  assert (low, high) == (sorted(seen[1:])[1], sorted(seen[1:])[-2])


def test_bootstrap_of_the_ece_repeats_its_bias():
  probs, labels = drawn(2, 300, lambda c: c)
  values = [calibration.expected_calibration_error(*drawn((9, i), 300,
                                                          lambda c: c))
            for i in range(100)]
  _, low, high = calibration.bootstrap(
      calibration.expected_calibration_error, probs, labels, 200)
  assert (low + high) / 2 > 1.2 * np.mean(values)


def test_bootstrap_errors():
  metric = calibration.brier_score
  with pytest.raises(ValueError, match='num_resamples=0'):
    calibration.bootstrap(metric, [[1.0]], [0], 0)
  with pytest.raises(ValueError, match='same number of rows'):
    calibration.bootstrap(metric, [[1.0]], [0, 0])
  with pytest.raises(ValueError, match='sums to 0.5'):
    calibration.bootstrap(metric, [[0.5]], [0])


HALF = np.full((4, 2), 0.5)


def changed(*values):
  """Four rows of halves with the last ones changed."""
  probs = HALF.copy()
  probs.ravel()[-len(values):] = values
  return probs


@pytest.mark.parametrize('function', [
    *METRICS, calibration.top_label, calibration.reliability,
    calibration.brier_decomposition])
@pytest.mark.parametrize('probs, labels, message', [
    (HALF, [0] * 3, r'probs \(4, 2\) and labels \(3,\) must'),
    (HALF, [[0]] * 4, r'labels \(4, 1\)'),
    (HALF[:, 0], [0] * 4, r'probs \(4,\)'),
    (HALF[:0], [], 'at least 1'),
    (HALF[:, :0], [0] * 4, 'at least 1'),
    (changed(NAN, 0.5), [0] * 4, r'probs\[3, 0\] is nan; it must be finite'),
    (changed(0.5, INF), [0] * 4, r'probs\[3, 1\] is inf'),
    (changed(2.0, 0.5, -INF, 0.5), [0] * 4, r'probs\[3, 0\] is -inf'),
    (changed(-0.25, 1.25), [0] * 4,
     r'probs\[3, 0\] is -0.25; it must be in \[0, 1\]'),
    (changed(0.0, 1.0005), [0] * 4, r'probs\[3, 1\] is 1.0005'),
    (changed(0.5, 0.502), [0] * 4, r'probs\[3\] sums to 1.002; .* 0.001'),
    (HALF, [0, 1, 2, 3], r'labels\[2\] is 2; it must be in \[0, 2\)'),
    (HALF, [0, -1, 0, 0], r'labels\[1\] is -1'),
    (HALF, [0., 1., 0., 0.], 'float64'),
    (HALF, [True] * 4, 'bool'),
])
def test_errors(function, probs, labels, message):
  with pytest.raises(ValueError, match=message):
    function(probs, labels)
  assert calibration.top_label(changed(0.5, 0.5005), [0] * 4)


@pytest.mark.parametrize('function', [
    *BINNED, calibration.reliability, calibration.brier_decomposition])
@pytest.mark.parametrize('num_bins', [0, -1, 2.5, NAN])
def test_errors_of_the_number_of_bins(function, num_bins):
  with pytest.raises(ValueError, match=f'num_bins={num_bins} must be'):
    function(HALF, [0] * 4, num_bins)


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_the_most_probable_class_is_that_of_argmax(dtype):
  for seed in range(20):
    probs, labels = random_split(seed, 4, ties=True)
    probs = probs.astype(dtype)
    probs[probs == 0] = -0.0 if seed % 2 else 0  # which is no negative number
    confidence, correct = calibration.top_label(probs, labels)
    np.testing.assert_array_equal(confidence, probs.max(axis=1))
    np.testing.assert_array_equal(correct, probs.argmax(axis=1) == labels)


def test_a_summary_looks_at_the_probabilities_once(monkeypatch):
  looks, look = [], arguments._most_probable
  monkeypatch.setattr(arguments, '_most_probable', lambda *args: (
      looks.append(args), look(*args))[1])
  assert calibration.summary(*HAND)['ece'] == pytest.approx(
      calibration.expected_calibration_error(*HAND))
  assert len(looks) == 2


@pytest.mark.parametrize('num_bins', [1, 2, 15])
@pytest.mark.parametrize('num_classes', [2, 40])
def test_classwise_sums_are_those_of_all_places(num_classes, num_bins):
  """Bit for bit: what is added is added in the order of the rows."""
  probs, labels = random_split(3, num_classes)
  bins = np.searchsorted(np.arange(1, num_bins) / num_bins, probs)
  places = np.arange(num_classes) * num_bins + bins
  gap = np.bincount(places.ravel(), probs.ravel(), num_bins * num_classes)
  gap -= np.bincount(places[np.arange(len(labels)), labels],
                     minlength=len(gap))
  assert calibration.classwise_calibration_error(
      probs, labels, num_bins) == np.abs(gap).sum() / probs.size


def test_blocks_of_rows_do_not_show(monkeypatch):
  probs, labels = random_split(11, 5)
  whole = [m(probs, labels) for m in METRICS]
  monkeypatch.setattr(calibration, 'BLOCK', 12)
  monkeypatch.setattr(arguments, 'CACHED', 100)
  np.testing.assert_allclose([m(probs, labels) for m in METRICS], whole,
                             rtol=1e-12)
