"""Correctness-aware calibration: controls, who is narrowly wrong, claims."""

import jax
import numpy as np
import pytest

from assay import claims, papers
from assay.errors import UserError
from assay.methods import calibrators
from assay.metrics import calibration
from assay.study import Study, replaced
from assay.testbeds import calibrating

experiment = papers.load('correctness_aware')
settings = papers.configs('correctness_aware')


def small(**fields):
  return replaced(settings.get_config('smoke'), fields)


@pytest.fixture(scope='module')
def held_out():
  """[1 + 3, N, K] logits of images and copies, and labels, overconfident."""
  rng = np.random.default_rng(0)
  labels = rng.integers(0, 4, 400)
  clean = 3. * np.eye(4)[labels] + rng.normal(0, 3, (400, 4))
  copies = [clean + rng.normal(0, 1, clean.shape) for _ in range(3)]
  return np.stack([clean, *copies]).astype(np.float32), labels


def fitted(held_out, *arms, **fields):
  config = small(calibrator_steps=100, calibrator_batch_size=400, **fields)
  return [experiment.fit_arm(config, arm, *held_out, seed=0)(held_out[0])
          for arm in arms]


def test_matched_temperature_has_the_mean_confidence_of_the_balanced_network(
    held_out):
  balanced, matched, plain = fitted(
      held_out, 'copies_ca_balanced', 'temperature_matched', 'temperature')
  mean = lambda log_p: np.exp(log_p).max(axis=1).mean()
  assert mean(matched) == pytest.approx(mean(balanced), abs=1e-4)
  assert abs(mean(plain) - mean(balanced)) > .01
  # One temperature for all, so it cannot change an order by more than that.
  t = calibrators.temperature_with_mean_confidence(
      held_out[0][0], mean(balanced))['temperature']
  np.testing.assert_allclose(
      matched, jax.nn.log_softmax(held_out[0][0] / t), atol=1e-5)


def test_balanced_temperature_weighs_right_and_wrong_alike(held_out):
  logits, labels = held_out[0][0], held_out[1]
  log_p, = fitted(held_out, 'temperature_balanced')
  right = logits.argmax(axis=1) == labels
  assert right.mean() > .5

  def loss(t):
    p = jax.nn.log_softmax(logits / t)
    nll = -np.asarray(p)[np.arange(len(labels)), labels]
    return nll[right].mean() + nll[~right].mean()

  grid = np.geomspace(.5, 20, 400)
  best = grid[np.argmin([loss(t) for t in grid])]
  np.testing.assert_allclose(
      log_p, jax.nn.log_softmax(logits / best), atol=.05)


def test_arms_of_the_network_differ_in_features_and_objective_only(held_out):
  own, copies, balanced, mse = fitted(
      held_out, 'own_ca', 'copies_ca', 'copies_ca_balanced', 'copies_mse')
  for other in (copies, balanced, mse):
    assert np.abs(other - own).max() > 1e-3
    # Accuracy is that of the classifier, to the bit.
    assert (other.argmax(axis=1) == held_out[0][0].argmax(axis=1)).all()
  assert experiment.features_of('own', held_out[0]).shape == (400, 4)
  assert experiment.features_of('copies', held_out[0]).shape == (400, 12)
  same, = fitted(held_out, 'copies_ca')
  np.testing.assert_array_equal(same, copies)


def test_who_is_narrowly_wrong_by_hand():
  probs = np.array([[.6, .3, .1],  # right
                    [.6, .3, .1],  # the true class is second
                    [.6, .3, .1],  # far
                    [.4, .25, .35],  # third, but near: .4 - .35 <= .1
                    [.4, .3, .3]])  # tie behind the first: second by order
  labels = np.array([0, 1, 2, 2, 1])
  wrong, narrow = experiment.narrowly_wrong(probs, labels, .1)
  assert wrong.tolist() == [False, True, True, True, True]
  assert narrow.tolist() == [False, True, False, True, True]


def test_changes_of_confidence_by_hand():
  logits = np.log(np.array([[.6, .3, .1]] * 3, np.float32))
  known = {'test': logits[None, None]}  # one seed, no copies
  after = np.log(np.array([[.5, .3, .2], [.7, .2, .1], [.4, .3, .3]]))
  got = {(metric, group): (value, n) for metric, value, group, n in
         experiment.changes(small(), {'test': after}, known, 0,
                            np.array([0, 1, 2]))}
  assert got['confidence_change', 'right'] == (pytest.approx(-.1), 1)
  assert got['confidence_change', 'narrowly_wrong'] == (pytest.approx(.1), 1)
  assert got['confidence_change', 'far_wrong'] == (pytest.approx(-.2), 1)
  assert got['narrow_excess', ''] == (pytest.approx(.3), 3)


@pytest.mark.parametrize('loss, want', [('ce', .5336), ('mse', .9913),
                                        ('ca', 10.)])
def test_optimal_temperatures_of_the_example(loss, want):
  # Worked out apart, by root finding on the exact derivative.
  got = experiment.optimal_temperature(experiment.OBJECTIVES[loss])
  assert got == pytest.approx(want, abs=1e-3)


def test_summary_is_the_metrics_and_shifted_is_their_mean():
  rng = np.random.default_rng(0)
  labels = rng.integers(0, 3, 50)
  log_p = {name: np.log(rng.dirichlet(np.ones(3), 50))
           for name in ('test', 'noise', 'blur')}
  config = small(shifts=('noise', 'blur'))
  got = {(split, metric): value for split, metric, value in
         calibrating.measured(config, log_p, labels)}
  for name in log_p:
    probs = np.exp(log_p[name])
    assert got[name, 'ece'] == calibration.expected_calibration_error(
        probs, labels)
  assert got['test', 'nll'] == pytest.approx(
      -log_p['test'][np.arange(50), labels].mean())
  assert got['shifted', 'nll'] == pytest.approx(np.mean([
      -log_p[name][np.arange(50), labels].mean()
      for name in ('noise', 'blur')]))
  assert ('noise', 'nll') not in got and ('noise', 'auroc') in got
  values = calibrating.measured(config, None, labels)
  assert all(np.isnan(value) for *_, value in values)


def test_a_calibrator_alone_trains_the_classifier_it_needs(tmp_path):
  made = Study('correctness_aware', 'smoke', small(num_epochs=1),
               workdir=tmp_path, only=('isotonic',), num_seeds=1)
  rows = experiment.run(made.config, made)
  assert {row['method'] for row in rows} == {'uncalibrated', 'isotonic'}
  assert (tmp_path / 'uncalibrated' / 'fit').exists()


@pytest.mark.parametrize('fields, message', [
    ({'shifts': ('fog',)}, "no corruption 'fog'; use some of blur"),
    ({'level': 6}, 'level=6 must be from 1 to 5'),
    ({'split_sizes': (60, 40, 800)}, 'digits has 797 test images'),
    ({'split_sizes': (60, 40)}, 'must be the numbers of images'),
    ({'batch_size': 61}, 'batch_size=61 must be from 1 to 60'),
    ({'arms': ('temperatur',)}, "no arm 'temperatur'; use some of"),
    ({'augment': 'flip'}, "augment='flip'; use one of '', 'crop_flip'")])
def test_values_that_cannot_be_meant_are_refused(fields, message):
  config = small(**fields)
  with pytest.raises(UserError, match=message):
    experiment.run(config, Study('correctness_aware', 'smoke', config))


# --- Claims ------------------------------------------------------------------


def rows_of(config, values):
  """Rows of five seeds; `values`: (method, metric, split, group) -> mean."""
  return [dict(paper='correctness_aware', config=config, run='0' * 8,
               dataset='cifar10', method=method, seed=seed, split=split,
               group=group, metric=metric, value=value + .0001 * (
                   seed * (seed + len(method)) % 5), n=5000, step=1,
               state='last', seed_varies='fixed_split', planned_seeds=5,
               scale='reduced')
          for (method, metric, split, group), value in values.items()
          for seed in range(5)]


GOOD = {
    **{(arm, 'ece', 'test', ''): value for arm, value in (
        ('uncalibrated', .3), ('temperature', .02), ('copies_ca', .025),
        ('copies_ca_balanced', .04), ('copies_ca_released', .4),
        ('copies_mdca', .026), ('copies_dca', .024))},
    **{(arm, 'ece', 'shifted', ''): value for arm, value in (
        ('uncalibrated', .4), ('temperature', .06), ('copies_ca', .05),
        ('copies_ca_balanced', .03), ('copies_ce', .07), ('copies_mse', .06),
        ('temperature_matched', .05), ('temperature_balanced', .05))},
    ('copies_ca_balanced', 'mean_confidence', 'test', ''): .5,
    ('copies_ca', 'mean_confidence', 'test', ''): .6,
    ('copies_ca', 'confidence_change', 'test', 'narrowly_wrong'): -.2,
    ('copies_ce', 'confidence_change', 'test', 'narrowly_wrong'): -.1,
    ('copies_ca', 'narrow_excess', 'test', ''): -.1,
    ('copies_ce', 'narrow_excess', 'test', ''): 0.,
    **{(arm, 'auroc', 'test', ''): value for arm, value in (
        ('copies_ca', .76), ('own_ca', .72), ('copies_ce', .74),
        ('temperature', .721), ('uncalibrated', .72))},
}


def states(config, values):
  rows = rows_of(config, values)
  return {judged.claim.name.partition(': ')[2]: judged.verdict.state
          for judged in claims.judge(claims.about(experiment.CLAIMS, rows),
                                     rows)}


def test_claims_hold_on_rows_as_the_paper_has_them():
  found = states('cifar10', GOOD)
  assert len(found) == 16 and set(found.values()) == {'holds'}


def test_claims_fail_on_rows_the_other_way_round():
  bad = {key: -value for key, value in GOOD.items()}
  # What is told by equality is not turned around with its sign.
  bad |= {(arm, 'ece', 'test', ''): .5 for arm in ('copies_mdca',)}
  bad |= {('temperature', 'auroc', 'test', ''): .5}
  assert set(states('cifar10', bad).values()) == {'fails'}


def test_early_claims_turn_with_the_accuracy():
  good = {('copies_ca_balanced', 'mean_confidence', 'test', ''): .5,
          ('copies_ca', 'mean_confidence', 'test', ''): .4,
          ('copies_ca_balanced', 'ece', 'shifted', ''): .1,
          ('temperature', 'ece', 'shifted', ''): .05}
  assert set(states('cifar10_early', good).values()) == {'holds'}
  bad = {key: -value for key, value in good.items()}
  assert set(states('cifar10_early', bad).values()) == {'fails'}
