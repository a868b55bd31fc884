"""Changes of confidence by how wrong a prediction is, by hand."""

import numpy as np
import pytest

from assay.metrics import confidence


def test_who_is_narrowly_wrong():
  probs = np.array([[.6, .3, .1],  # right
                    [.6, .3, .1],  # the true class is second
                    [.6, .3, .1],  # far
                    [.4, .25, .35],  # third, but near: .4 - .35 <= .1
                    [.4, .3, .3]])  # tie behind the first: second by order
  labels = np.array([0, 1, 2, 2, 1])
  wrong, narrow = confidence.narrowly_wrong(probs, labels, .1)
  assert wrong.tolist() == [False, True, True, True, True]
  assert narrow.tolist() == [False, True, False, True, True]


def test_changes():
  probs, labels = np.array([[.6, .3, .1]] * 3), np.array([0, 1, 2])
  got = confidence.changes(probs, np.array([.5, .7, .4]), labels, .1)
  assert got == {'right': (pytest.approx(-.1), 1),
                 'narrowly_wrong': (pytest.approx(.1), 1),
                 'far_wrong': (pytest.approx(-.2), 1)}
  nothing = confidence.changes(probs, np.nan, labels, .1)
  assert all(np.isnan(value) and n == 1 for value, n in nothing.values())
  empty, count = confidence.changes(
      probs[:1], np.array([.5]), labels[:1], .1)['far_wrong']
  assert np.isnan(empty) and count == 0
