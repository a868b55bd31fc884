"""Correctness-aware calibration: controls, who is narrowly wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from assay import papers
from assay.methods import calibrators
from assay.study import Study, replaced

experiment = papers.load('correctness_aware')


def small(**fields):
  return replaced(papers.configs('correctness_aware').get_config('smoke'),
                  fields)


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


def mean_confidence(log_p):
  return np.exp(log_p).max(axis=1).mean()


def test_matched_temperature_has_the_mean_confidence_of_the_balanced_network(
    held_out):
  balanced, matched, plain = fitted(
      held_out, 'copies_ca_balanced', 'temperature_matched', 'temperature')
  mean = mean_confidence(balanced)
  assert mean_confidence(matched) == pytest.approx(mean, abs=1e-4)
  assert abs(mean_confidence(plain) - mean) > .01
  # One temperature for all, so it cannot change an order by more than that.
  t = calibrators.temperature_with_mean_confidence(
      held_out[0][0], mean)['temperature']
  np.testing.assert_allclose(
      matched, jax.nn.log_softmax(held_out[0][0] / t), atol=1e-5)


def test_balanced_weights_move_confidence_towards_a_half(held_out):
  """Down where most predictions are right, up where most are wrong."""
  logits, labels = held_out
  moved = np.where(np.arange(len(labels)) % 4, (labels + 1) % 4, labels)
  for y, most_right in (labels, True), (moved, False):
    assert ((logits[0].argmax(axis=1) == y).mean() > .5) == most_right
    plain, balanced = fitted((logits, y), 'copies_ca', 'copies_ca_balanced')
    change = mean_confidence(balanced) - mean_confidence(plain)
    assert abs(change) > .01 and (change < 0) == most_right


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


@pytest.mark.parametrize('loss, want', [('ce', .5336), ('mse', .9913),
                                        ('ca', 10.)])
def test_temperatures_that_losses_like_best(loss, want):
  """Of one narrowly wrong example; worked out apart, by root finding."""
  grid = np.geomspace(0.1, 10, 20_001)
  with jax.enable_x64(True):
    logits = jnp.log(jnp.array((.412, .455, .068, .065))) / grid[:, None]
    values = experiment.OBJECTIVES[loss](logits, jnp.zeros(len(grid), int))
  assert grid[int(np.argmin(values))] == pytest.approx(want, abs=1e-3)


def test_a_calibrator_alone_trains_the_classifier_it_needs(tmp_path):
  made = Study('correctness_aware', 'smoke', small(num_epochs=1),
               workdir=tmp_path, only=('isotonic',), num_seeds=1)
  rows = experiment.run(made.config, made)
  assert {row['method'] for row in rows} == {'uncalibrated', 'isotonic'}
  assert (tmp_path / 'uncalibrated' / 'fit').exists()
