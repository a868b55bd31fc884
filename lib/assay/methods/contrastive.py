"""Contrast of projections: what belongs together is near, all else is far.

A batch has two views of each image, and a head gives each a direction z, [2 B,
D] of norm 1. `supervised` has all other views of an image's class as positives
(Khosla et al., 2020); with a label of its own for each image it is NT-Xent
(SimCLR, Chen et al., 2020).

Example:
  >>> import jax.numpy as jnp
  >>> from assay.methods import contrastive
  >>> z = jnp.array([[1., 0.], [1., 0.], [0., 1.]])
  >>> loss = contrastive.supervised(z, jnp.array([0, 0, 1]), 1.)
  >>> [round(each, 3) + 0 for each in loss.tolist()]
  [0.313, 0.313, 0.0]
"""

from flax import linen as nn
import jax
import jax.numpy as jnp

from assay import losses

SIZE = 64  # of a projection


class Head(nn.Module):
  """Features [B, D] -> a direction in training, logits in evaluation.

  In training [B, SIZE + K]: a projection of norm 1, and the logits of a linear
  probe that does not teach the features; see `parted`. In evaluation the
  logits alone, [B, K].
  """
  num_classes: int

  @nn.compact
  def __call__(self, z, train=False):
    hidden = nn.relu(nn.Dense(z.shape[1])(z))
    p = directions(nn.Dense(SIZE)(hidden))
    self.beside(p)
    logits = nn.Dense(self.num_classes, name='probe')(jax.lax.stop_gradient(z))
    return jnp.concatenate([p, logits], axis=1) if train else logits

  def beside(self, p):
    """What another head keeps and says of projections."""


def directions(z):
  """Rows of norm 1; zeros stay zeros, with a gradient."""
  squared = jnp.sum(jnp.square(z), axis=-1, keepdims=True)
  return z * jax.lax.rsqrt(jnp.maximum(squared, 1e-12))


def views(draw):
  """draw -> draw of two views of each image: [2 B], first all first ones."""

  def both(shared, own, item, key):
    a, b = (draw(shared, own, item, k) for k in jax.random.split(key))
    return {k: jnp.concatenate([v, b[k]]) for k, v in a.items()}

  return both


def taught(loss):
  """The loss of a training whose network has a `Head`, probe included.

  Args:
    loss: `(z [2 B, SIZE], batch, extra) -> ([], new)`.
  """

  def of_both(outputs, batch, extra):
    z, logits = outputs[:, :SIZE], outputs[:, SIZE:]
    value, new = loss(z, batch, extra)
    return value + jnp.mean(losses.cross_entropy(logits, batch['y'])), new, {}

  return of_both


def supervised(z, labels, temperature=.1):
  """[n] minus the mean log-probability of an example's positives.

  Its positives are the others with its label; the probability is a softmax of
  z_i . z_j / temperature over all others. 0 for one without positives.

  Args:
    z: [n, D] float, of norm 1.
    labels: [n] int.
    temperature: > 0.
  """
  other = ~jnp.eye(len(z), dtype=bool)
  logits = jnp.where(other, z @ z.T / temperature, -jnp.inf)
  log_p = jax.nn.log_softmax(logits, axis=1)
  positive = other & (labels[:, None] == labels)
  return -jnp.sum(jnp.where(positive, log_p, 0.), axis=1) / jnp.maximum(
      jnp.sum(positive, axis=1), 1)


def by_label(z, batch, extra):
  """The mean of `supervised`, for `taught`."""
  del extra
  return supervised(z, batch['y']).mean(), {}


def by_image(z, batch, extra):
  """The same where each image is a class of its own: NT-Xent."""
  del extra
  return supervised(z, batch['index']).mean(), {}
