"""What stands in for copies of slow examples, by hand."""

import numpy as np
import pytest

from assay.methods import copies, useful

SLOW = np.arange(20) % 5 == 0
WRONG = np.roll(SLOW, 1)


def chosen(kind, times=1, seed=0):
  return np.bincount(copies.chosen(
      kind, {'slow': SLOW, 'wrong': WRONG, 'masked': ~WRONG}, times, 3,
      np.random.default_rng(seed)), minlength=20)


@pytest.mark.parametrize('times', [1, 2])
def test_who_is_chosen(times):
  np.testing.assert_array_equal(chosen('slow', times), times * SLOW)
  np.testing.assert_array_equal(chosen('masked', times), times * ~WRONG)
  np.testing.assert_array_equal(chosen('misclassified', times), 3 * WRONG)
  random, fast = chosen('random', times), chosen('fast', times)
  assert random.sum() == fast.sum() == 4 * times
  assert not fast[SLOW].any() and random.max() == fast.max() == 1
  assert (random != chosen('random', times, seed=1)).any()
  assert (random != SLOW).any()


def test_equal_steps():
  own = {'train_rows': np.zeros((2, 20), int), 'other': 1}
  slow = np.stack([SLOW, np.zeros(20, bool)])
  got = copies.equal_steps(own, slow, 2, batch_size=8, num_epochs=10)
  assert got['num_steps'].tolist() == [30, 20]  # 28 // 8 and 20 // 8, each * 10
  assert got['num_steps'].dtype == np.int32 and got['other'] == 1


def test_weighted_loss_weighs_the_rows_of_slow_examples():
  rows = np.arange(39, -1, -2)  # every other row, from the end
  own = {'train_rows': np.tile(rows, (2, 1))}
  weight = copies.weighted_loss(own, np.stack([SLOW, ~SLOW]), 1, 40)['weight']
  assert weight.shape == (2, 40) and weight.dtype == np.float32
  np.testing.assert_array_equal(weight[:, ::2], 1)  # trained on by nobody
  for each, slow in zip(weight, (SLOW, ~SLOW), strict=True):
    np.testing.assert_array_equal(each[rows], useful.weights(slow, 2))
