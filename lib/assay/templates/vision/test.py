"""TODO: a value worked out by hand, and a limit that gives a known method."""

import jax
import numpy as np

from assay import losses
from experiments import my_paper as paper


def test_the_method_by_hand():
  logits = np.log(np.array([[.25, .75], [.04, .96]], np.float32))
  # (1 - sqrt(p_y)) / 0.5
  np.testing.assert_allclose(
      paper.mine(logits, np.array([0, 0]), q=.5), [1., 1.6], rtol=1e-5)


def test_towards_zero_the_method_is_cross_entropy():
  logits = jax.random.normal(jax.random.key(0), (20, 10))
  labels = np.arange(20) % 10
  np.testing.assert_allclose(paper.mine(logits, labels, q=1e-4),
                             losses.cross_entropy(logits, labels), rtol=1e-3)


def test_the_bound_is_reached_where_the_network_is_surely_wrong():
  logits = np.array([[0., 200.]], np.float32)
  np.testing.assert_allclose(paper.mine(logits, np.array([0]), q=.5), 2.)
