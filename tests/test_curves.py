"""When a curve gets somewhere, by hand."""

import math

import numpy as np

from assay.metrics import curves

STEPS = 25 * np.arange(1, 11)


def test_first_below_by_hand():
  level = .9 * math.log(5)  # 1.45
  curve = np.array([2., 2, 2, 2, 2, 1, 1, 1, 1, 1])
  first = lambda values, steps=STEPS: curves.first_below(values, steps, level)
  # Means of five: 2, 1.8, 1.6, 1.4 at the eighth step, ...
  assert first(curve) == 200
  assert first(curve - 1) == 125
  assert math.isnan(first(np.full(10, 1.5)))
  assert math.isnan(first(np.full(10, np.nan)))
  # One point alone does not end it.
  dip = np.where(np.arange(10) == 6, .1, 1.6)
  assert first(dip) == 175
  dip[6] = 1.
  assert math.isnan(first(dip))
  # Fewer points than five: the mean of all.
  assert first(np.array([2., .5]), STEPS[:2]) == 50


def test_reached_for_good_by_hand():
  accuracy = np.array([[.9, .2, .9, np.nan], [.2, .8, .9, 1.],
                       [.8, .9, .7, 1.]])
  np.testing.assert_array_equal(
      curves.reached_for_good(accuracy, [10, 20, 30], .8),
      [30, 20, np.nan, 20])
  np.testing.assert_array_equal(
      curves.reached_for_good(np.ones((3, 1)), [10, 20, 30], .8), [10])
