"""assay.metrics.regression: values worked out by hand and against NumPy."""
import numpy as np
import pytest

from assay.metrics import regression

PREDICTIONS = np.array([[1., 2.], [3., 4.]])
TARGETS = np.array([[1., 4.], [-2., 0.]])  # errors 0, -2, 5, 4


def test_rmse_by_hand():
  got = regression.rmse(PREDICTIONS, TARGETS)
  np.testing.assert_allclose(got, (45 / 4) ** 0.5)
  assert isinstance(got, float)
  assert regression.rmse(TARGETS, TARGETS) == 0


def test_mape_by_hand():
  # |0 / 1|, |2 / 4|, |5 / -2|; the target 0 is left out.
  got = regression.mape(PREDICTIONS, TARGETS)
  np.testing.assert_allclose(got, 100 * (0 + 0.5 + 2.5) / 3)
  assert isinstance(got, float)


def test_mape_of_zero_targets_is_nan():
  assert np.isnan(regression.mape(PREDICTIONS, np.zeros((2, 2))))


def test_metrics_are_taken_in_double_precision():
  # float32 errors of 1e-3 on a target of 4096, summed a million times.
  targets = np.full((1_000_000, 1), 4096, np.float32)
  predictions = targets + np.float32(2 ** -10)
  np.testing.assert_allclose(
      regression.rmse(predictions, targets), 2 ** -10, rtol=1e-12)
  np.testing.assert_allclose(
      regression.mape(predictions, targets), 100 * 2 ** -22, rtol=1e-12)


def varying(seed):
  """[50, 3] float with a mean far from 0."""
  return np.random.default_rng(seed).normal(10, 1, (50, 3))


def correlations(predictions, targets):
  return [np.corrcoef(p, t)[0, 1]
          for p, t in zip(predictions.T, targets.T, strict=True)]


def test_pearson_against_numpy():
  targets = varying(0)
  predictions = [0.5, -0.2, 2] * targets + varying(1)
  want = correlations(predictions, targets)
  assert min(want) < 0 < max(want)
  got = regression.pearson(predictions, targets)
  np.testing.assert_allclose(got, np.mean(want), rtol=1e-9)
  assert isinstance(got, float)


def test_pearson_is_blind_to_unit_and_offset():
  targets = varying(0)
  np.testing.assert_allclose(regression.pearson(3 * targets - 7, targets), 1)
  np.testing.assert_allclose(regression.pearson(-targets, targets), -1)


# 0.1 has no exact mean in binary: its deviations are 1e-17, not 0.
@pytest.mark.parametrize('constant', [0.0, 1.0, 0.1, 125.3])
@pytest.mark.parametrize('which', ['predictions', 'targets'])
def test_pearson_leaves_out_a_constant_output(which, constant):
  arrays = {'targets': varying(0), 'predictions': varying(0) + varying(1)}
  want = np.mean(correlations(**arrays)[::2])
  arrays[which][:, 1] = constant
  np.testing.assert_allclose(regression.pearson(**arrays), want, rtol=1e-9)


@pytest.mark.parametrize('constant', [0.0, 1.0, 0.1, 125.3])
@pytest.mark.parametrize('num_rows', [1, 3, 10, 50])
def test_pearson_of_constants_alone_is_nan(num_rows, constant):
  constants = np.full((num_rows, 1), constant)
  varies = np.linspace(0, 1, num_rows)[:, None] ** 2
  assert np.isnan(regression.pearson(constants, varies))
  assert np.isnan(regression.pearson(varies, constants))


@pytest.mark.parametrize('metric', [
    regression.rmse, regression.mape, regression.pearson])
@pytest.mark.parametrize('first, second', [
    ((4,), (4,)), ((4, 1), (4,)), ((4,), (4, 1)), ((4, 1), (4, 2)),
    ((4, 1), (1, 1)), ((2, 4, 1), (2, 4, 1))])
def test_metrics_reject_other_shapes(metric, first, second):
  with pytest.raises(ValueError, match=r'must both be \[N, Q\]'):
    metric(np.ones(first), np.ones(second))
