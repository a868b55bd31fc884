"""SLA: one softmax over classes times transformations (Lee et al., 2020).

A batch has all M = 4 quarter turns of its images, and a class k turned t times
is a label of its own, k M + t. At the end the K columns of the turn of an image
are read: of the image as it is (single inference), or of all its turns, whose
logits are averaged (aggregation).

    batch: dict of x [4 B, H, W, C], y [4 B] classes and turn [4 B]; the first B
      are not turned, and so on.
    logits: [n, K M] float, k M + t as above.

Example:
  >>> import jax.numpy as jnp
  >>> from assay.methods import self_label_augmentation as sla
  >>> logits = jnp.arange(8.)[None]  # of two classes, one image
  >>> sla.single(logits).tolist()  # labels 0 and 4
  [[0.0, 4.0]]
  >>> sla.aggregated(jnp.stack([logits] * 4)).tolist()
  [[1.5, 5.5]]
"""

import jax
import jax.numpy as jnp

from assay import losses

TURNS = 4


def turned(draw):
  """`draw` of all quarter turns of its images, see the module."""

  def of_all(shared, own, item, key):
    batch = draw(shared, own, item, key)
    x = jnp.concatenate([jnp.rot90(batch['x'], t, axes=(1, 2))
                         for t in range(TURNS)])
    again = {k: jnp.tile(v, TURNS) for k, v in batch.items() if k != 'x'}
    return again | {'x': x, 'turn': jnp.repeat(
        jnp.arange(TURNS), len(batch['x']))}

  return of_all


def joint(logits, batch):
  """[4 B] cross entropy of the joint labels."""
  return losses.cross_entropy(logits, batch['y'] * TURNS + batch['turn'])


def multi_task(logits, batch):
  """[4 B] cross entropies of the class and of the turn, [n, K + M] logits.

  That of joint labels with logits which are sums, of class and of turn.
  """
  classes, turns = logits[:, :-TURNS], logits[:, -TURNS:]
  return (losses.cross_entropy(classes, batch['y'])
          + losses.cross_entropy(turns, batch['turn']))


def distilled(logits, batch):
  """[4 B] `joint`, and of a head of K columns behind: it learns what is
  aggregated, KL(aggregated || head), and the labels, of images as they are.
  """
  classes = logits.shape[1] // (TURNS + 1)
  joined, head = logits[:, :-classes], logits[:, -classes:]
  size = len(head) // TURNS
  target = jax.lax.stop_gradient(jax.nn.log_softmax(aggregated(
      joined.reshape(TURNS, size, -1))))
  log_p = jax.nn.log_softmax(head[:size])
  own = losses.cross_entropy(head[:size], batch['y'][:size]) + jnp.sum(
      jnp.exp(target) * (target - log_p), axis=1)
  # Each image counts once here, and its four turns once in their mean.
  return joint(joined, batch) + jnp.tile(own, TURNS)


def single(logits):
  """[n, K] logits of images as they are."""
  return logits.reshape(len(logits), -1, TURNS)[:, :, 0]


def aggregated(logits):
  """[n, K] mean logits of all turns, of [4, n, K M] logits of each turn."""
  return sum(each.reshape(len(each), -1, TURNS)[:, :, t]
             for t, each in enumerate(logits)) / TURNS
