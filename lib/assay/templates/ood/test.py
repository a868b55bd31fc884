"""TODO: a value worked out by hand, and a limit that gives a known method."""

import numpy as np

from assay.methods import ood_scores
from experiments import my_paper as paper


def test_the_method_by_hand():
  logits = np.array([[3., 1., -2.], [0., 0., 0.]])
  np.testing.assert_array_equal(paper.mine.fit().score(logits), [2., 0.])


def test_of_two_classes_the_order_is_that_of_the_largest_probability():
  logits = np.random.default_rng(0).normal(size=(20, 2))
  msp = ood_scores.msp.fit().score(logits)
  np.testing.assert_array_equal(np.argsort(paper.mine.fit().score(logits)),
                                np.argsort(msp))
