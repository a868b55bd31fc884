"""assay.metrics.classification: values worked out by hand, and limits."""
import math

import numpy as np
import pytest

from assay.metrics import classification

NAN, INF = float('nan'), float('inf')
# exp gives 1, 2, 1 and 1, 1, 6: probabilities in quarters and in eighths.
LOGITS = np.log([[1., 2., 1.], [1., 1., 6.]])


def test_wrong_and_error_by_hand():
  logits = np.array([[3, 1], [1, 3], [0, -1], [-5, -4]])
  got = classification.wrong(logits, np.array([0, 0, 1, 1]))
  np.testing.assert_array_equal(got, [False, True, True, False])
  assert got.dtype == bool
  error = classification.error(logits, np.array([0, 0, 1, 0]))
  assert error == 0.75 and isinstance(error, float)


def test_a_tie_goes_to_the_first_class():
  np.testing.assert_array_equal(
      classification.wrong([[2., 2.], [2., 2.]], [0, 1]), [False, True])


@pytest.mark.parametrize('row', [(NAN, 0., 1.), (0., NAN, 9.), (9., 0., NAN)])
def test_a_row_with_nan_is_wrong_for_every_label(row):
  assert classification.wrong([row] * 3, [0, 1, 2]).all()
  assert classification.error([row, (1., 0., 0.)], [0, 0]) == 0.5


def test_nll_by_hand():
  got = classification.nll(LOGITS, [1, 0])
  np.testing.assert_allclose(got, (math.log(2) + math.log(8)) / 2, rtol=1e-14)
  assert isinstance(got, float)


def test_losses_by_hand():
  got = classification.losses(LOGITS.astype(np.float32), [2, 2])
  np.testing.assert_allclose(got, [math.log(4), math.log(4 / 3)], rtol=1e-6)
  assert got.shape == (2,) and got.dtype == np.float64


def test_nll_does_not_depend_on_a_constant_of_the_row():
  moved = LOGITS + np.array([[700.], [-3e4]])
  np.testing.assert_allclose(classification.nll(moved, [1, 0]),
                             classification.nll(LOGITS, [1, 0]), rtol=1e-10)


def test_nll_of_extreme_logits():
  assert classification.nll([[1e5, 0.]], [1]) == 1e5
  sure = classification.nll([[1e5, 0.]], [0])
  assert sure == 0 and math.copysign(1, sure) == 1
  assert classification.nll([[0., -INF]], [1]) == INF
  assert math.isnan(classification.nll([[0., NAN], [0., 0.]], [0, 0]))


def test_nll_is_taken_in_double_precision():
  # In float32, 1e4 + log(2) is 10000.693, and the rest is lost.
  logits = np.array([[1e4, 1e4], [0, 0]], np.float32)
  np.testing.assert_allclose(
      classification.nll(logits, [0, 1]), math.log(2), rtol=1e-11)


@pytest.mark.parametrize(
    'metric', [classification.wrong, classification.error, classification.nll])
@pytest.mark.parametrize('logits, labels, message', [
    (np.zeros((2, 3)), [0, 1, 2], r'logits \(2, 3\) and labels \(3,\)'),
    (np.zeros((2, 3)), [[0], [1]], r'labels \(2, 1\)'),
    (np.zeros(3), [0, 1, 2], r'logits \(3,\)'),
    (np.zeros((0, 3)), [], 'at least 1'),
    (np.zeros((2, 3)), [0, 3], r'labels\[1\] is 3; it must be in \[0, 3\)'),
    (np.zeros((2, 3)), [-1, 0], r'labels\[0\] is -1'),
    (np.zeros((2, 3)), [0., 1.], 'float64'),
])
def test_errors(metric, logits, labels, message):
  with pytest.raises(ValueError, match=message):
    metric(logits, labels)
