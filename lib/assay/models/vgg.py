"""VGG with batch norm for small images."""

import functools
from typing import Any

from flax import linen as nn
import jax.numpy as jnp

from assay.models import convolution

# N(0, 2 / fan_out), as torchvision.
KAIMING = nn.initializers.variance_scaling(2., 'fan_out', 'normal')


class VGG(nn.Module):
  """[B, H, W, C] float -> logits [B, num_classes] float32.

  Simonyan and Zisserman (2015) in the form that is in wide use for CIFAR: 3x3
  convolutions with a bias, each followed by batch norm and ReLU; after each
  stage 2x2 max pooling; and one dense layer (Flax's default initialization) in
  place of three. VGG-19 leaves one pixel of a 32x32 image; of a larger one the
  dense layer reads the average.

  In training the gradient of a convolution's bias is zero up to rounding: the
  batch norm behind it takes the mean away.

  Attributes:
    stages: features of each convolution of each stage.
    num_classes: logits.
    dtype: of the convolutions; parameters, statistics and logits are float32.

  Raises:
    ValueError: the pooling leaves nothing of the image.
  """
  stages: tuple[tuple[int, ...], ...]
  num_classes: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, train=False):
    if min(x.shape[1:3]) < 2 ** len(self.stages):
      raise ValueError(f'{len(self.stages)} stages need images of at least '
                       f'{2 ** len(self.stages)} pixels a side, not '
                       f'{x.shape[1]}x{x.shape[2]}.')
    for stage in self.stages:
      for features in stage:
        x = convolution.Conv(features, (3, 3), padding=1, dtype=self.dtype,
                             kernel_init=KAIMING)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9,
                                 epsilon=1e-5, dtype=self.dtype)(x))
      x = nn.max_pool(x, (2, 2), (2, 2))
    return nn.Dense(self.num_classes)(x.mean((1, 2), dtype=jnp.float32))


vgg19 = functools.partial(
    VGG, ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4))
