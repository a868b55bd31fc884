"""assay.metrics.detection: by hand, against scikit-learn, ties, infinities."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sklearn_metrics

from assay import metrics
from assay.metrics import detection, selective

RNG = np.random.default_rng(0)
INF = np.inf


def draw(ties):
  known, unknown = RNG.normal(1, 1, 83), RNG.normal(0, 1.5, 47)
  return (known.round(0), unknown.round(0)) if ties else (known, unknown)


@pytest.mark.parametrize('ties', [False, True])
def test_as_scikit_learn_has_it(ties):
  known, unknown = draw(ties)
  scores, truth = np.append(known, unknown), np.arange(130) < 83
  found = detection.summary(known, unknown)
  assert found['auroc'] == pytest.approx(
      sklearn_metrics.roc_auc_score(truth, scores))
  for name, s, y in (('in', scores, truth), ('out', -scores, ~truth)):
    assert found[f'aupr_{name}'] == pytest.approx(
        sklearn_metrics.average_precision_score(y, s))
    fpr, tpr, _ = sklearn_metrics.roc_curve(y, s, drop_intermediate=False)
    assert found[f'fpr95_{"id" if name == "in" else "ood"}'] == pytest.approx(
        fpr[tpr >= .95][0])
  for name, value in found.items():
    assert 0 <= value <= 1 and metrics.KNOWN[name][:2] == (0, 1)


def test_both_meanings_of_fpr95():
  # N(2, 1) known, N(0, 2) unknown: by the normal law, at a fine grid of ranks.
  p = (np.arange(20_000) + .5) / 20_000
  found = detection.summary(stats.norm.ppf(p, 2, 1), stats.norm.ppf(p, 0, 2))
  assert found['fpr95_id'] == pytest.approx(
      stats.norm.sf(2 + stats.norm.ppf(.05), 0, 2), abs=1e-3)  # .43
  assert found['fpr95_ood'] == pytest.approx(
      stats.norm.cdf(stats.norm.ppf(.95, 0, 2), 2, 1), abs=1e-3)  # .90
  # By hand: 19 of 20 known are at or above 2; of the unknown half.
  known = np.arange(1., 21)
  assert detection.summary(known, [1.5, 2., 30., .5])['fpr95_id'] == .5
  # To catch 95 % of four is to catch all: so up to 30, and with it all known.
  assert detection.summary(known, [1.5, 2., 30., .5])['fpr95_ood'] == 1


def test_infinite_scores_are_the_ends():
  known, unknown = [INF, 3., -INF, 1.], [-INF, INF, 0.]
  found = detection.summary(known, unknown)
  assert found == detection.summary([9., 3., -9., 1.], [-9., 9., 0.])
  # Pairs of 4 and 3: inf wins 2 and ties 1; 3 and 1 win 2; -inf ties 1.
  assert found['auroc'] == (2.5 + 2 + .5 + 2) / 12
  assert detection.summary([0., 0.], [0.])['auroc'] == .5


def test_any_increasing_map_gives_the_same():
  known, unknown = draw(False)
  assert detection.summary(known, unknown) == detection.summary(
      np.exp(known), np.exp(unknown))


def test_both_tasks_at_once():
  known, correct, unknown = [4., 3., 2., 1.], [1, 0, 1, 1], [3.5, 0.]
  # In order: right, unknown, wrong, right, right, unknown.
  risks = [0, 1 / 2, 2 / 3, 2 / 4, 2 / 5, 3 / 6]
  assert detection.joint_area_under_risk_coverage(
      known, correct, unknown) == pytest.approx(np.mean(risks))
  infinite = detection.joint_area_under_risk_coverage(
      [INF, 3., 2., 1.], correct, [3.5, -INF])
  assert infinite == pytest.approx(np.mean(risks))
  # At most 5 % of two unknowns is none: above 3.5 there is one, and right.
  assert detection.correct_at_rate(known, correct, unknown) == 1 / 4
  assert detection.correct_at_rate(known, correct, unknown, rate=.5) == 3 / 4
  assert detection.correct_at_rate(known, correct, unknown, rate=1) == 3 / 4
  # A tie with the unknown cannot be kept without it.
  assert detection.correct_at_rate([3.5, 9.], [1, 1], [3.5, 0.]) == 1 / 2


@pytest.mark.parametrize('rate', [0, .05, .3])
def test_correct_at_rate_by_thresholds(rate):
  known, unknown = draw(True)
  correct = RNG.integers(0, 2, 83)
  best = max(np.mean((known >= t) & (correct == 1))
             for t in np.append(np.unique([*known, *unknown]), INF)
             if np.mean(unknown >= t) <= rate)
  assert detection.correct_at_rate(known, correct, unknown, rate) == best


def test_without_unknown_it_is_the_area_of_errors_alone():
  known, correct = RNG.normal(size=40), RNG.integers(0, 2, 40)
  with pytest.raises(ValueError, match=r'unknown \(0,\) must be'):
    detection.joint_area_under_risk_coverage(known, correct, [])
  # An unknown below all adds one error at the end.
  want = (40 * selective.area_under_risk_coverage(known, correct)
          + (1 + np.sum(correct == 0)) / 41) / 41
  assert detection.joint_area_under_risk_coverage(
      known, correct, [-INF]) == pytest.approx(want)


def test_faults():
  for call, message in (
      (lambda: detection.summary([1., np.nan], [0.]), r'known\[1\] is nan'),
      (lambda: detection.summary([1.], [[0.]]), r'unknown \(1, 1\) must be'),
      (lambda: detection.summary([], [0.]), r'known \(0,\)'),
      (lambda: detection.correct_at_rate([1.], [1, 0], [0.]), r'correct \(2,'),
      (lambda: detection.correct_at_rate([1.], [2], [0.]), 'of 0 and 1'),
      (lambda: detection.correct_at_rate([1.], [1], [0.], 2), 'rate=2 must')):
    with pytest.raises(ValueError, match=message):
      call()


def test_the_gain_over_another_score_by_hand_and_in_limits():
  known, unknown = RNG.normal(1, 1, (2, 200)), RNG.normal(0, 1, (2, 3, 150))
  ours, other = ((known[i], list(unknown[i])) for i in range(2))
  gain, low, high = detection.auroc_gain(ours, other)
  assert gain == pytest.approx(np.mean([
      detection.summary(ours[0], a)['auroc']
      - detection.summary(other[0], b)['auroc']
      for a, b in zip(ours[1], other[1], strict=True)]))
  np.testing.assert_allclose(detection.auroc_gain(other, ours),
                             (-gain, -high, -low))
  assert detection.auroc_gain(ours, ours) == (0, 0, 0)
  # Over draws of examples the means vary as the interval says.
  draws = [[RNG.choice(size, size) for size in (200, 150, 150, 150)]
           for _ in range(400)]
  means = [detection.auroc_gain(*((
      known[i][rows[0]], [x[r] for x, r in zip(unknown[i], rows[1:],
                                               strict=True)])
                                  for i in range(2)))[0] for rows in draws]
  assert np.std(means) == pytest.approx((high - low) / 2 / 1.96, rel=.15)
  with pytest.raises(ValueError, match='must be the same, two or more'):
    detection.auroc_gain(ours, (other[0], other[1][:2]))
