"""A small convolutional network for small images."""

from typing import Any

from flax import linen as nn
import jax.numpy as jnp

from assay.models import convolution


class CNN(nn.Module):
  """[B, H, W, C] float -> logits [B, num_classes] float32.

  Convolutions 3x3 of stride 2, each followed by a ReLU, then one dense layer.
  The last feature map is flattened, not averaged: the dense layer knows where
  on the image a feature was, and fits one image size only. Each convolution
  halves height and width, rounded up. Kernels of convolutions have He's
  normal law over the fan-in, the dense layer Flax's default; biases are zero.

  Attributes:
    features: channels of each convolution.
    num_classes: logits; 0 gives what they are made of, [B, features].
    normalize: batch norm between each convolution, then without a bias, and
      its ReLU; the running statistics are in the collection `batch_stats`.
    dtype: of the convolutions; parameters, statistics and logits are float32.

  Example:
    >>> import jax, jax.numpy as jnp
    >>> from assay.models import cnn
    >>> model, x = cnn.CNN(num_classes=10), jnp.ones((2, 28, 28, 1))
    >>> y, _ = jax.eval_shape(model.init_with_output, jax.random.key(0), x)
    >>> y.shape
    (2, 10)
  """
  features: tuple[int, ...] = (16, 32, 32)
  num_classes: int = 2
  normalize: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, train=False):
    for features in self.features:
      x = convolution.Conv(
          features, (3, 3), strides=2, padding=1, use_bias=not self.normalize,
          dtype=self.dtype, kernel_init=nn.initializers.he_normal())(x)
      if self.normalize:
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9,
                         epsilon=1e-5, dtype=self.dtype)(x)
      x = nn.relu(x)
    x = x.reshape(x.shape[0], -1).astype(jnp.float32)
    return nn.Dense(self.num_classes)(x) if self.num_classes else x
