"""DenseNet for small images."""

import functools
from typing import Any

from flax import linen as nn
import jax.numpy as jnp

from assay.models import convolution

# N(0, 2 / fan_out), as the published code.
KAIMING = nn.initializers.variance_scaling(2., 'fan_out', 'normal')


class DenseNet(nn.Module):
  """[B, H, W, C] float -> logits [B, num_classes] float32.

  Huang et al. (2017), DenseNet-BC, in the form that is in wide use for CIFAR:
  a 3x3 stem of 2 `growth` features and no pooling; blocks of layers, each of
  which appends `growth` features to all features before it, by a 1x1
  convolution to 4 `growth` features and a 3x3 one; between blocks a 1x1
  convolution that keeps `reduction` of the features, and 2x2 average pooling;
  a global average; one dense layer. Batch norm and ReLU come before each
  convolution but the stem, and before the global average.

  Attributes:
    block_sizes: layers of each block.
    num_classes: logits.
    growth: features that a layer adds.
    reduction: in (0, 1], of the features between blocks; rounded down.
    dtype: of the convolutions; parameters, statistics and logits are float32.

  Raises:
    ValueError: the pooling leaves nothing of the image.
  """
  block_sizes: tuple[int, ...]
  num_classes: int
  growth: int = 32
  reduction: float = 0.5
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, train=False):
    smallest = 2 ** (len(self.block_sizes) - 1)
    if min(x.shape[1:3]) < smallest:
      raise ValueError(f'{len(self.block_sizes)} blocks need images of at '
                       f'least {smallest} pixels a side, not '
                       f'{x.shape[1]}x{x.shape[2]}.')
    conv = functools.partial(
        convolution.Conv, padding='SAME', use_bias=False, dtype=self.dtype,
        kernel_init=KAIMING)
    act = lambda x: nn.relu(nn.BatchNorm(
        use_running_average=not train, momentum=0.9, epsilon=1e-5,
        dtype=self.dtype)(x))
    x = conv(2 * self.growth, (3, 3))(x)
    for block, num_layers in enumerate(self.block_sizes):
      if block > 0:
        x = conv(int(self.reduction * x.shape[-1]), (1, 1))(act(x))
        x = nn.avg_pool(x, (2, 2), (2, 2))
      for _ in range(num_layers):
        y = conv(4 * self.growth, (1, 1))(act(x))
        x = jnp.concatenate([x, conv(self.growth, (3, 3))(act(y))], axis=-1)
    return nn.Dense(self.num_classes)(act(x).mean((1, 2), dtype=jnp.float32))


densenet121 = functools.partial(DenseNet, (6, 12, 24, 16))
