"""A transformer that says how sure it is of what it predicts."""

import functools

from flax import linen as nn
import jax.numpy as jnp

from assay.models import transformer


class GaussianTransformer(transformer.Transformer):
  """Two tokens a pair, [B, 2 T, D] -> (mean, log_std) [B, T] float32.

  What is said of a pair is read at its first token, before its answer is seen.
  log_std is bounded softly: |log_std| < largest. See `with_start`.

  Attributes:
    largest: above 0.
  """
  largest: float = 6.0

  def __call__(self, x, offset=None):
    out = super().__call__(x, offset)[:, ::2]
    return out[..., 0], self.largest * jnp.tanh(out[..., 1] / self.largest)


def with_start(log_std, *arguments, **fields):
  """A `GaussianTransformer` that says mean 0 and about this log_std at first.

  The best constant is a good start: large gradients of an exp(-2 log_std) that
  falls first would else come before the mean is learned.

  Args:
    log_std: float.
    *arguments, **fields: of the model, but for its outputs.
  """
  return GaussianTransformer(
      *arguments, num_outputs=2, read_out_init=nn.initializers.zeros,
      read_out_bias_init=_constant(0., float(log_std)), **fields)


@functools.lru_cache  # the same object again, so that equal models are equal
def _constant(*values):
  return lambda key, shape, dtype=jnp.float32: jnp.array(values, dtype)
