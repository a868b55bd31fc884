"""The two-layer network of which theory can follow every neuron."""

from flax import linen as nn
import jax
import jax.numpy as jnp


class CubicNetwork(nn.Module):
  """[B, P, D] patches -> [B] logits, f(x) = sum_j sum_p <w_j, x_p>^3.

  The second layer is fixed to ones and there is no bias, so f is odd.

  Attributes:
    width: neurons J.
    scale: standard deviation of the initial weights.

  Example:
    >>> import jax.numpy as jnp
    >>> from assay.models import cubic
    >>> model = cubic.CubicNetwork(width=1, scale=0.1)
    >>> params = {'weights': jnp.array([[1., 0.]])}
    >>> patches = jnp.array([[[2., 5.], [-1., 0.]]])
    >>> model.apply({'params': params}, patches).tolist()  # 2^3 - 1
    [7.0]
  """
  width: int
  scale: float

  @nn.compact
  def __call__(self, x):
    weights = self.param('weights', nn.initializers.normal(self.scale),
                         (self.width, x.shape[-1]))
    # Full precision: the first gradients are near 1e-4 and add up for long.
    hidden = jnp.einsum('bpd,jd->bpj', x, weights,
                        precision=jax.lax.Precision.HIGHEST)
    return jnp.sum(hidden ** 3, axis=(1, 2))


def alignments(weights, directions):
  """max_j <w_j, v> for each of V directions v, [..., V].

  Args:
    weights: [..., J, d] float.
    directions: [..., V, d] float.
  """
  return (weights @ directions.swapaxes(-1, -2)).max(axis=-2)
