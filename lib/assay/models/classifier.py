"""A classifier in two parts: what makes features, and a head to read them."""

from flax import linen as nn


class Linear(nn.Module):
  """Features [B, D] float -> logits [B, num_classes]: the usual last layer."""
  num_classes: int

  @nn.compact
  def __call__(self, z, train=False):
    del train
    return nn.Dense(self.num_classes)(z)


class Classifier(nn.Module):
  """[B, ...] -> logits [B, K], and what it says besides in `intermediates`.

  Kept there are `features` [B, D], what the head reads, and what else the head
  sows: `apply(..., mutable=['intermediates'])` gives them. They are no part of
  what `init` makes.

  Attributes:
    body: [B, ...] -> [B, D].
    head: [B, D] -> [B, K].

  Example:
    >>> import jax, jax.numpy as jnp
    >>> from assay.models import classifier, cnn
    >>> model = classifier.Classifier(
    ...     cnn.CNN(num_classes=0), classifier.Linear(num_classes=7))
    >>> x = jnp.ones((2, 8, 8, 1))
    >>> y, found = jax.eval_shape(lambda key: model.apply(
    ...     model.init(key, x), x, mutable=['intermediates']),
    ...                           jax.random.key(0))
    >>> y.shape, found['intermediates']['features'][0].shape
    ((2, 7), (2, 32))
  """
  body: nn.Module
  head: nn.Module

  def __call__(self, x, train=False):
    z = self.body(x, train=train)
    self.sow('intermediates', 'features', z)
    return self.head(z, train=train)
