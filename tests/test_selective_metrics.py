"""assay.metrics.selective: by hand, by loops, against scikit-learn, limits."""
import itertools
import math

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from assay.metrics import selective

NAN, INF = float('nan'), float('inf')
DETECTION = [selective.auroc, selective.aupr, selective.fpr_at_tpr]
COVERAGE = [selective.risk_coverage, selective.area_under_risk_coverage,
            selective.excess_area_under_risk_coverage]
few = hypothesis.settings(max_examples=60, deadline=None)


@st.composite
def splits(draw, both=True):
  """(scores, positive), mostly with ties."""
  levels = draw(st.sampled_from([2, 5, 10**6]))
  pairs = draw(st.lists(st.tuples(st.integers(-levels, levels), st.booleans()),
                        min_size=2 if both else 1, max_size=40))
  scores, positive = (np.array(a) for a in zip(*pairs, strict=True))
  hypothesis.assume(not both or 0 < positive.sum() < len(positive))
  return scores / 8, positive


# From the highest: positive; positive and negative in a tie; negative;
# positive.
HAND = [0.3, 0.9, 0.5, 0.5, 0.4], [1, 1, 1, 0, 0]


def test_detection_by_hand():
  # Pairs of 3 positives and 2 negatives: 0.9 wins 2, 0.5 wins 1 and ties 1,
  # 0.3 wins none.
  assert selective.auroc(*HAND) == 3.5 / 6
  # Recall 1/3 at precision 1, 2/3 at 2/3, 2/3 again, 1 at 3/5.
  assert selective.aupr(*HAND) == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
  for tpr, fpr in (0.3, 0), (1 / 3, 0), (0.34, 0.5), (2 / 3, 0.5), (0.95, 1):
    assert selective.fpr_at_tpr(*HAND, tpr) == fpr
  assert selective.fpr_at_tpr(*HAND) == 1


def test_limits_of_detection():
  scores, positive = [3., 2., 1., 0.], [1, 1, 0, 0]
  assert selective.auroc(scores, positive) == 1
  assert selective.aupr(scores, positive) == 1
  assert selective.fpr_at_tpr(scores, positive) == 0
  assert selective.auroc(scores, [0, 0, 1, 1]) == 0
  assert selective.aupr(scores, [0, 0, 1, 1]) == (1 / 3 + 2 / 4) / 2
  assert selective.fpr_at_tpr(scores, [0, 0, 1, 1]) == 1
  for positive in ([1, 0, 0, 0], [1, 1, 1, 0]):
    same = [0.5] * 4, positive
    assert selective.auroc(*same) == 0.5
    assert selective.aupr(*same) == sum(positive) / 4
    assert selective.fpr_at_tpr(*same) == 1


def test_a_rate_that_is_reached_exactly_counts():
  # 0.28 of 25 positives: the product is above 7, the 7th of them reaches it.
  assert 0.28 * 25 > 7
  positive = np.array([1] * 7 + [0] + [1] * 18 + [0])
  assert selective.fpr_at_tpr(-np.arange(27.), positive, 0.28) == 0
  assert selective.fpr_at_tpr(-np.arange(27.), positive, 0.29) == 0.5


@hypothesis.given(splits())
@few
def test_detection_agrees_with_scikit_learn_and_loops(split):
  scores, positive = split
  assert selective.auroc(scores, positive) == pytest.approx(
      sklearn_metrics.roc_auc_score(positive, scores), abs=1e-12)
  assert selective.aupr(scores, positive) == pytest.approx(
      sklearn_metrics.average_precision_score(positive, scores), abs=1e-12)
  wins = [(a > b) + (a == b) / 2 for a in scores[positive]
          for b in scores[~positive]]
  assert selective.auroc(scores, positive) == pytest.approx(
      sum(wins) / len(wins), abs=1e-14)
  for tpr in 0.05, 0.5, 0.95, 1.0:
    expected = min(
        sum(s >= t for s in scores[~positive]) / (~positive).sum()
        for t in scores
        if sum(s >= t for s in scores[positive]) / positive.sum() >= tpr)
    assert selective.fpr_at_tpr(scores, positive, tpr) == expected


@hypothesis.given(splits())
@few
def test_symmetries_of_detection(split):
  scores, positive = split
  area = selective.auroc(scores, positive)
  assert area + selective.auroc(-scores, positive) == pytest.approx(
      1, abs=1e-15)
  assert selective.auroc(-scores, ~positive) == area
  for metric in DETECTION:
    # Order alone matters: of the scores, not of the examples.
    assert metric(scores**3 + 7 * scores, positive) == metric(scores, positive)
    assert metric(scores[::-1], positive[::-1]) == pytest.approx(
        metric(scores, positive), abs=1e-15)
    assert isinstance(metric(scores, positive), float)


def test_risk_coverage_by_hand():
  coverage, risk = selective.risk_coverage([0.9, 0.6, 0.8, 0.7], [1, 1, 0, 1])
  np.testing.assert_array_equal(coverage, [0.25, 0.5, 0.75, 1])
  np.testing.assert_allclose(risk, [0, 1 / 2, 1 / 3, 1 / 4], rtol=1e-15)
  area = selective.area_under_risk_coverage([0.9, 0.6, 0.8, 0.7], [1, 1, 0, 1])
  assert area == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / 4)
  excess = selective.excess_area_under_risk_coverage(
      [0.9, 0.6, 0.8, 0.7], [1, 1, 0, 1])
  assert excess == pytest.approx(area - 1 / 4 / 4)


def test_risk_of_a_tie_is_its_expectation():
  # The tie has one error among three.
  confidence, correct = [0.9, 0.5, 0.5, 0.5, 0.1], [0, 1, 0, 1, 1]
  _, risk = selective.risk_coverage(confidence, correct)
  np.testing.assert_allclose(
      risk, [1, (1 + 1 / 3) / 2, (1 + 2 / 3) / 3, 2 / 4, 2 / 5], rtol=1e-15)


@pytest.mark.parametrize('seed', range(5))
def test_risk_of_ties_is_the_mean_over_orders(seed):
  rng = np.random.default_rng(seed)
  confidence, correct = rng.integers(3, size=6), rng.random(6) < 0.6
  risks, areas = [], []
  for order in itertools.permutations(range(6)):
    # A stable sort leaves equal confidences as the permutation has them.
    rows = sorted(order, key=lambda i: -confidence[i])
    errors = np.cumsum(~correct[rows])
    risks.append(errors / np.arange(1, 7))
    areas.append(np.mean(risks[-1]))
  np.testing.assert_allclose(
      selective.risk_coverage(confidence, correct)[1], np.mean(risks, axis=0),
      rtol=1e-12)
  assert selective.area_under_risk_coverage(
      confidence, correct) == pytest.approx(np.mean(areas), rel=1e-12)


@hypothesis.given(splits(both=False))
@few
def test_properties_of_risk_coverage(split):
  confidence, correct = split
  n, errors = len(correct), int((~correct).sum())
  coverage, risk = selective.risk_coverage(confidence, correct)
  assert coverage[-1] == 1 and risk[-1] == pytest.approx(errors / n)
  assert ((0 <= risk) & (risk <= 1 + 1e-15)).all()
  area = selective.area_under_risk_coverage(confidence, correct)
  optimal = sum(max(0, k - (n - errors)) / k for k in range(1, n + 1)) / n
  assert optimal - 1e-15 <= area <= 1 + 1e-15
  excess = selective.excess_area_under_risk_coverage(confidence, correct)
  assert excess == pytest.approx(area - optimal, abs=1e-14)
  # Errors last are best, errors first are worst.
  assert selective.excess_area_under_risk_coverage(correct, correct) == 0
  assert area <= selective.area_under_risk_coverage(
      ~correct, correct) + 1e-14
  for metric in COVERAGE[1:]:
    assert metric(confidence[::-1], correct[::-1]) == pytest.approx(
        metric(confidence, correct), abs=1e-14)
    assert metric(confidence**3, correct) == metric(confidence, correct)


def test_limits_of_risk_coverage():
  for metric in COVERAGE[1:]:
    assert metric([0.3, 0.2], [1, 1]) == 0
    assert isinstance(metric([0.3, 0.2], [1, 1]), float)
  assert selective.area_under_risk_coverage([0.3, 0.2], [0, 0]) == 1
  assert selective.excess_area_under_risk_coverage([0.3, 0.2], [0, 0]) == 0
  assert selective.area_under_risk_coverage([0.5] * 4, [1, 0, 1, 1]) == 0.25
  assert selective.area_under_risk_coverage([0.5], [0]) == 1
  coverage, risk = selective.risk_coverage([0.5], [1])
  assert coverage == [1] and risk == [0]


def test_the_optimum_tends_to_the_published_formula():
  correct = np.arange(20_000) >= 6_000
  r = 0.3
  assert selective.area_under_risk_coverage(
      correct, correct) == pytest.approx(r + (1 - r) * math.log(1 - r),
                                         abs=1e-4)


def test_float32_and_integers_are_scores():
  positive = [1, 0, 1, 0]
  for scores in (np.float32([0.1, 0.2, 0.3, 0.1]), [1, 2, 3, 1]):
    # Wins 1 of (0.1 > 0.1 in half), 2 of 0.3: 2.5 of 4.
    assert selective.auroc(scores, positive) == 2.5 / 4


@pytest.mark.parametrize('metric, names', [
    *[(m, ('scores', 'positive')) for m in DETECTION],
    *[(m, ('confidence', 'correct')) for m in COVERAGE]])
@pytest.mark.parametrize('scores, truth, message', [
    ([0.1, NAN, INF], [0, 1, 1], r'{0}\[1\] is nan; it must be finite'),
    ([0.1, 0.2, -INF], [0, 1, 1], r'{0}\[2\] is -inf'),
    ([0.1, 0.2, 0.3], [0, 2, 1], r'{1}\[1\] is 2; it must be bool or 0 or 1'),
    ([0.1, 0.2, 0.3], [0, 1, NAN], r'{1}\[2\] is nan'),
    ([0.1, 0.2, 0.3], [0, 1], r'{0} \(3,\) and {1} \(2,\) must both be'),
    ([[0.1], [0.2]], [[0], [1]], r'{0} \(2, 1\) and'),
    ([], [], 'at least 1'),
])
def test_errors(metric, names, scores, truth, message):
  with pytest.raises(ValueError, match=message.format(*names)):
    metric(scores, truth)


@pytest.mark.parametrize('metric', DETECTION)
def test_errors_without_positives_or_negatives(metric):
  with pytest.raises(ValueError, match=r'positive is True everywhere \(2 .*'
                                       'the metric is undefined'):
    metric([0.1, 0.2], [True, True])
  with pytest.raises(ValueError, match='positive is False everywhere'):
    metric([0.1], [0])


@pytest.mark.parametrize('tpr', [0, -0.5, 1.01, NAN])
def test_errors_of_the_rate(tpr):
  with pytest.raises(ValueError, match=f'tpr={tpr} must be in'):
    selective.fpr_at_tpr([0.1, 0.2], [0, 1], tpr)
