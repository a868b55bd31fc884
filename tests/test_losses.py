"""assay.losses: one value per example."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from assay import losses


def test_squared_by_hand():
  predictions = jnp.array([[1., 2.], [0., 0.], [5., -1.]])
  targets = jnp.array([[1., 4.], [3., 1.], [5., -1.]])
  got = losses.squared(predictions, targets)
  np.testing.assert_array_equal(got, [2, 5, 0])  # (0 + 4) / 2, (9 + 1) / 2
  np.testing.assert_array_equal(losses.squared(targets, predictions), got)


def test_squared_gradient_by_hand():
  # d/dp of (p - t)^2 / Q is 2 (p - t) / Q.
  gradient = jax.grad(lambda p: losses.squared(p, jnp.zeros((1, 2))).sum())(
      jnp.array([[3., -4.]]))
  np.testing.assert_array_equal(gradient, [[3, -4]])


@pytest.mark.parametrize('first, second', [
    ((4,), (4, 1)), ((4, 1), (4,)), ((4, 1), (1, 1)), ((4, 2), (4, 1))])
def test_squared_does_not_broadcast(first, second):
  message = rf'predictions \({first[0]},.*targets \({second[0]},.*same shape'
  for function in (losses.squared, jax.jit(losses.squared)):
    with pytest.raises(ValueError, match=message):
      function(jnp.zeros(first), jnp.zeros(second))
