"""Residual networks for small images: ResNet-8, -18, -20, -34, WideResNet.

    model = resnet.resnet18(num_classes=10, dtype=jnp.bfloat16)
    variables = model.init(key, jnp.zeros((1, 32, 32, 3)))
    logits = model.apply(variables, x)
    logits, new = model.apply(variables, x, train=True, mutable='batch_stats')

In training a batch is normalized by its own mean and variance, and `new` holds
the running ones, 0.9 * old + 0.1 * those of the batch. The running variance is
that of Flax, divided by the number of values n; PyTorch divides by n - 1.
"""

import functools
from typing import Any

from flax import linen as nn
import jax.numpy as jnp

from assay.models.convolution import Conv

# N(0, 2 / fan_out), as the published code of both papers.
KAIMING = nn.initializers.variance_scaling(2., 'fan_out', 'normal')


def convolution(features, size, stride, dtype):
  """A convolution of `size` x `size`, zero-padded evenly, without a bias."""
  return Conv(features, (size, size), stride, padding=size // 2,
              use_bias=False, dtype=dtype, kernel_init=KAIMING)


def batch_norm(train, dtype):
  return nn.BatchNorm(use_running_average=not train, momentum=0.9,
                      epsilon=1e-5, dtype=dtype)


class Block(nn.Module):
  """The basic block: relu(shortcut(x) + norm(conv(relu(norm(conv(x))))))."""
  features: int
  stride: int
  dtype: Any

  @nn.compact
  def __call__(self, x, train):
    norm = functools.partial(batch_norm, train, self.dtype)
    y = convolution(self.features, 3, self.stride, self.dtype)(x)
    y = nn.relu(norm()(y))
    y = norm()(convolution(self.features, 3, 1, self.dtype)(y))
    if self.stride != 1 or x.shape[-1] != self.features:
      x = norm()(convolution(self.features, 1, self.stride, self.dtype)(x))
    return nn.relu(x + y)


class ResNet(nn.Module):
  """[B, H, W, C] float -> logits [B, num_classes] float32.

  He et al. (2016) in the form that is in wide use for CIFAR: a 3x3 stem of
  stride 1 and no pooling before the blocks; then stages of `width`, 2 `width`,
  4 `width` ... features, each but the first halving the image; a global
  average; one dense layer (Flax's default initialization). A shortcut whose
  shape changes is a 1x1 convolution and a batch norm.

  Attributes:
    stage_sizes: blocks of each stage.
    num_classes: logits; 0 gives what they are made of, [B, features].
    width: features of the stem and the first stage.
    dtype: of the convolutions; parameters, statistics and logits are float32.
  """
  stage_sizes: tuple[int, ...]
  num_classes: int
  width: int = 64
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, train=False):
    x = convolution(self.width, 3, 1, self.dtype)(x)
    x = nn.relu(batch_norm(train, self.dtype)(x))
    for stage, num_blocks in enumerate(self.stage_sizes):
      for i in range(num_blocks):
        stride = 2 if stage > 0 and i == 0 else 1
        x = Block(self.width * 2 ** stage, stride, self.dtype)(x, train)
    x = x.mean((1, 2), dtype=jnp.float32)
    return nn.Dense(self.num_classes)(x) if self.num_classes else x


resnet8 = functools.partial(ResNet, (1, 1, 1))
resnet20 = functools.partial(ResNet, (3, 3, 3))
resnet18 = functools.partial(ResNet, (2, 2, 2, 2))
resnet34 = functools.partial(ResNet, (3, 4, 6, 3))


class WideBlock(nn.Module):
  """The pre-activation block: x + conv(dropout(act(conv(act(x))))).

  `act` is batch norm and ReLU. Where the number of features changes, the
  shortcut is a 1x1 convolution of act(x) and not of x, as published.
  """
  features: int
  stride: int
  dropout_rate: float
  dtype: Any

  @nn.compact
  def __call__(self, x, train):
    norm = functools.partial(batch_norm, train, self.dtype)
    y = nn.relu(norm()(x))
    if x.shape[-1] != self.features:
      x = convolution(self.features, 1, self.stride, self.dtype)(y)
    y = convolution(self.features, 3, self.stride, self.dtype)(y)
    y = nn.relu(norm()(y))
    y = nn.Dropout(self.dropout_rate, deterministic=not train)(y)
    return x + convolution(self.features, 3, 1, self.dtype)(y)


class WideResNet(nn.Module):
  """[B, H, W, C] float -> logits [B, num_classes] float32.

  Zagoruyko and Komodakis (2016): WRN-`depth`-`widen` for small images. A 3x3
  stem of 16 features; three stages of (depth - 4) / 6 pre-activation blocks
  with 16, 32 and 64 times `widen` features, the last two halving the image;
  batch norm, ReLU, a global average; one dense layer.

  Attributes:
    depth: 6n + 4, e.g. 16, 28, 40.
    widen: >= 1, factor on the features.
    num_classes: logits.
    dropout_rate: in [0, 1), between the two convolutions of each block; above
      0 training needs a key: `apply(..., train=True, rngs={'dropout': key})`.
    dtype: of the convolutions; parameters, statistics and logits are float32.

  Raises:
    ValueError: depth is not 6n + 4.
  """
  depth: int = 28
  widen: int = 10
  num_classes: int = 10
  dropout_rate: float = 0.
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, train=False):
    num_blocks, rest = divmod(self.depth - 4, 6)
    if rest or num_blocks < 1:
      raise ValueError(f'depth={self.depth} must be 6n + 4 with n >= 1.')
    x = convolution(16, 3, 1, self.dtype)(x)
    for stage in range(3):
      for i in range(num_blocks):
        stride = 2 if stage > 0 and i == 0 else 1
        x = WideBlock(16 * self.widen * 2 ** stage, stride, self.dropout_rate,
                      self.dtype)(x, train)
    x = nn.relu(batch_norm(train, self.dtype)(x))
    return nn.Dense(self.num_classes)(x.mean((1, 2), dtype=jnp.float32))
