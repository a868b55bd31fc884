"""The measure of difficulty: the code's constants, limits, and dimensions."""

import numpy as np
import pytest

from assay.methods import generalization_difficulty as difficulty

MNIST = dict(dimension=14, radius=17.18, distance=2.399, num_examples=60_000,
             error=.001, num_classes=10)


@pytest.mark.parametrize('bits, fields', [
    (1.49e16, {}),
    (1.21e31, dict(num_examples=73_257, dimension=19, radius=53.87,
                   distance=1.577, error=.01)),  # SVHN
    (3.44e32, dict(num_examples=50_000, dimension=27, radius=54.92,
                   distance=2.751, error=.01)),  # CIFAR-10
    (3.58e41, dict(num_examples=1_280_901, dimension=48, radius=943.6,
                   distance=65, error=.1, num_classes=1000))])  # ImageNet
def test_of_the_constants_of_the_released_code(bits, fields):
  got = difficulty.log_difficulty(**MNIST | fields)
  assert 10**got == pytest.approx(bits, rel=.01)


def test_it_grows_with_dimension_and_with_closeness():
  of = lambda **fields: difficulty.log_difficulty(**MNIST | fields)
  # Of fine classes nearly linear in the dimension; a power of 1 / distance.
  steps = np.diff([of(dimension=m, distance=1e-4) for m in (10, 20, 30, 40)])
  assert (steps > 40).all() and np.ptp(steps) < .1 * steps.mean()
  powers = np.diff([of(distance=2.**-k) for k in range(3, 7)]) / np.log10(2)
  assert np.ptp(powers) < .2 and (abs(powers - 14) < .1).all()
  assert np.isnan(of(num_examples=10**30))
  assert np.isfinite(of(dimension=3000, radius=1e5))  # E has no float64


def test_distances_by_hand():
  x, y = np.array([[0., 0.], [3., 4.], [0., 1.]]), np.array([0, 1, 0])
  assert difficulty.nearest_other(x, y) == pytest.approx(18**.5)
  line = np.arange(3.)[:, None]**2  # 0, 1, 4: distances 1 4, 1 3, 3 4
  want = 1 / np.mean(np.log([4, 3, 4 / 3]))
  assert difficulty.dimension(line, 2) == pytest.approx(want)
  assert difficulty.dimension(np.repeat(line, 2, 0), 2) == pytest.approx(want)
