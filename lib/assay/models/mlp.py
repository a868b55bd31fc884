"""Multilayer perceptrons for tabular data."""

from flax import linen as nn
import jax

INITIALIZATIONS = ('fan_in_uniform', 'lecun_normal')


def fan_in_uniform(fan_in):
  """U(-1/sqrt(fan_in), 1/sqrt(fan_in)): PyTorch's Linear, biases too."""
  bound = fan_in ** -0.5

  def init(key, shape, dtype):
    return jax.random.uniform(key, shape, dtype, -bound, bound)

  return init


class Dense(nn.Module):
  """[B, D] -> [B, features], affine.

  Attributes:
    features: outputs.
    initialization: `fan_in_uniform` (weights and biases, as PyTorch) or
      `lecun_normal` (zero biases, as Flax).
  """
  features: int
  initialization: str = 'fan_in_uniform'

  @nn.compact
  def __call__(self, x):
    if self.initialization == 'lecun_normal':
      return nn.Dense(self.features, name='affine')(x)
    if self.initialization != 'fan_in_uniform':
      raise ValueError(f'initialization={self.initialization!r}; use one of '
                       f'{", ".join(INITIALIZATIONS)}.')
    init = fan_in_uniform(x.shape[-1])
    return nn.Dense(self.features, kernel_init=init, bias_init=init,
                    name='affine')(x)


class MLP(nn.Module):
  """[B, D] -> [B, num_outputs], two hidden layers of `width` units.

  `encode` ends after the first hidden layer and `decode` goes on from there,
  so that hidden representations can be compared or mixed in between.

  Attributes:
    width: units of each hidden layer.
    num_outputs: outputs Q.
    negative_slope: of the leaky ReLU.
    initialization: see `Dense`.

  Example:
    >>> import jax, jax.numpy as jnp
    >>> from assay.models import mlp
    >>> model, x = mlp.MLP(width=8), jnp.ones((5, 3))
    >>> y, _ = jax.eval_shape(model.init_with_output, jax.random.key(0), x)
    >>> y.shape
    (5, 1)
  """
  width: int
  num_outputs: int = 1
  negative_slope: float = 0.1
  initialization: str = 'fan_in_uniform'

  def setup(self):
    self.hidden_0 = Dense(self.width, self.initialization)
    self.hidden_1 = Dense(self.width, self.initialization)
    self.output = Dense(self.num_outputs, self.initialization)

  def __call__(self, x):
    return self.decode(self.encode(x))

  def encode(self, x):
    """[B, D] -> [B, width], after the first hidden layer's activation."""
    return nn.leaky_relu(self.hidden_0(x), self.negative_slope)

  def decode(self, hidden):
    """[B, width] -> [B, num_outputs]."""
    return self.output(self._second(hidden))

  def with_features(self, x):
    """The outputs, and what they are affine in: [B, width] after both."""
    features = self._second(self.encode(x))
    return self.output(features), features

  def _second(self, hidden):
    return nn.leaky_relu(self.hidden_1(hidden), self.negative_slope)
