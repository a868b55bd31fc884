"""Multilayer perceptrons: for tabular data, and on the pixels of images."""

from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp

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


class ImageMLP(nn.Module):
  """[B, H, W, C] float -> logits [B, num_classes] float32.

  The pixels as one vector, hidden layers with ReLU, one dense layer: it knows
  nothing of neighbors. Kernels of hidden layers have He's normal law over the
  fan-in, the last layer Flax's default; biases are zero.

  Attributes:
    features: units of each hidden layer.
    num_classes: logits; 0: what the last layer would read, [B, features].
    normalize: batch norm between each hidden layer, then without a bias, and
      its ReLU; the running statistics are in the collection `batch_stats`.
    dtype: of the hidden layers; parameters, statistics and logits are float32.

  Example:
    >>> import jax, jax.numpy as jnp
    >>> from assay.models import mlp
    >>> model, x = mlp.ImageMLP(num_classes=10), jnp.ones((2, 28, 28, 1))
    >>> y, _ = jax.eval_shape(model.init_with_output, jax.random.key(0), x)
    >>> y.shape
    (2, 10)
  """
  features: tuple[int, ...] = (128, 128)
  num_classes: int = 2
  normalize: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, train=False):
    x = x.reshape(x.shape[0], -1)
    for features in self.features:
      x = nn.Dense(features, use_bias=not self.normalize, dtype=self.dtype,
                   kernel_init=nn.initializers.he_normal())(x)
      if self.normalize:
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9,
                         epsilon=1e-5, dtype=self.dtype)(x)
      x = nn.relu(x)
    x = x.astype(jnp.float32)
    return nn.Dense(self.num_classes)(x) if self.num_classes else x
