"""Regression by a trunk of any kind: what it says, and an affine map."""

from flax import linen as nn


class Regressor(nn.Module):
  """[B, ...] -> [B, num_outputs]; has the parts that `mlp.MLP` has.

  Representations are compared and mixed where the trunk ends: behind a pooling,
  which is linear, as good as on the last feature map.

  Attributes:
    trunk: `(x, train) -> [B, width]`, as `resnet.ResNet` without classes.
    num_outputs: outputs Q.

  Example:
    >>> import jax, jax.numpy as jnp
    >>> from assay.models import regressor, resnet
    >>> model = regressor.Regressor(resnet.resnet8(num_classes=0, width=4))
    >>> y, _ = jax.eval_shape(model.init_with_output, jax.random.key(0),
    ...                       jnp.ones((5, 28, 28, 3)))
    >>> y.shape
    (5, 1)
  """
  trunk: nn.Module
  num_outputs: int = 1

  def setup(self):
    self.output = nn.Dense(self.num_outputs)

  def __call__(self, x, train=False):
    return self.decode(self.encode(x, train))

  def encode(self, x, train=False):
    """[B, ...] -> [B, width]."""
    return self.trunk(x, train)

  def decode(self, hidden, train=False):
    """[B, width] -> [B, num_outputs]."""
    del train
    return self.output(hidden)

  def with_features(self, x, train=False):
    """The outputs, and what they are affine in."""
    features = self.encode(x, train)
    return self.output(features), features
