"""SDM activations: similarity, distance and magnitude (Schmaltz, 2025).

A linear adaptor of frozen features gives h' and logits z'. Beside its logits an
example has

    q  of its nearest training examples in h', how many come one after another
       that are predicted as it is, and rightly
    d  the least over classes of the share of held-out examples of that class
       that lie farther from training than it does

and the activation is (2 + q)^(d z'_c) / sum of these: softmax for q = e - 2 and
d = 1, uniform for d = 0. arXiv 2502.20167 and 2509.12760; the choice among
restarts, by the balanced loss on held-out examples, is that of the second.

Example:
  >>> import jax.numpy as jnp
  >>> from assay.methods import sdm
  >>> bank = sdm.Bank(jnp.array([[0.], [1.], [2.], [3.]]),
  ...                 jnp.array([0, 0, 1, 0]), jnp.array([1, 1, 1, 1]) == 1)
  >>> q, nearest = sdm.similarity(bank, jnp.array([[-.5], [2.]]),
  ...                             jnp.array([0, 0]))
  >>> q.tolist(), nearest.tolist()  # 0 and 1, then one of another class; none
  ([2, 0], [0.5, 0.0])
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

ROWS = 256  # of examples whose neighbors are looked for at a time


class Bank(NamedTuple):
  """Training examples: h' [N, M], predicted class [N], right [N] bool."""
  features: jax.Array
  predicted: jax.Array
  right: jax.Array


def similarity(bank, features, predicted, own_rows=None):
  """(q [n] int32, distance to the nearest [n] float32) of examples.

  An example that is as near as one that ends the row is not counted.

  Args:
    bank: a `Bank`.
    features: h' [n, M] float.
    predicted: [n] int.
    own_rows: [n] int, the row of each in the bank, which is no neighbor of
      itself; None: none is there.
  """
  own = jnp.full(len(features), -1) if own_rows is None else own_rows
  known = jnp.asarray(bank.features)
  norms = jnp.sum(jnp.square(known), axis=1)

  def of_one(example):
    h, label, row = example
    inner = jnp.matmul(known, h, precision='highest')
    squared = jnp.maximum(norms - 2 * inner + jnp.sum(jnp.square(h)), 0)
    squared = jnp.where(jnp.arange(len(norms)) == row, jnp.inf, squared)
    like = bank.right & (bank.predicted == label)
    end = jnp.min(jnp.where(like, jnp.inf, squared))
    # Sums of squares that cancel leave eps |h|^2, whose root is no distance.
    nearest = jnp.argmin(squared)
    away = jnp.linalg.norm(known[nearest] - h)
    away = jnp.where(jnp.isinf(squared[nearest]), jnp.inf, away)
    return jnp.sum(like & (squared < end)), away

  return jax.lax.map(of_one, (features, predicted, own), batch_size=ROWS)


def distance(nearest, seen, labels, counted, num_classes):
  """d [n] float32 in [0, 1]: 1 for a training example, 0 beyond all seen.

  Args:
    nearest: [n] float, distances to the nearest training example.
    seen: [m] float, those of held-out examples.
    labels: [m] int, their classes.
    counted: [m] bool, whether they are (those with q > 0); a class without any
      makes all d 0.
    num_classes: C.
  """

  def share_below(label):
    mine = counted & (labels == label)
    below = jnp.searchsorted(jnp.sort(jnp.where(mine, seen, jnp.inf)), nearest)
    count = jnp.sum(mine)
    return jnp.where(count > 0, below / jnp.maximum(count, 1), 1.)

  return 1 - jnp.max(jax.vmap(share_below)(jnp.arange(num_classes)), axis=0)


def activation(logits, q, d):
  """[n, C] float: log of the SDM activation, log softmax(d ln(2 + q) z')."""
  return jax.nn.log_softmax(logits * (d * jnp.log(2. + q))[:, None])


def loss(logits, labels, q, d):
  """[n]: - log of the activation of the label in base 2 + q; q, d constant."""
  log_p = activation(logits, jax.lax.stop_gradient(q),
                     jax.lax.stop_gradient(d))
  return -jnp.take_along_axis(log_p, labels[:, None], axis=1)[:, 0] / jnp.log(
      2. + jax.lax.stop_gradient(q))


def adapted(params, features):
  """(h' [n, M], z' [n, C]) of features [n, D].

  Args:
    params: dict of mean and std [D], `in` and `out` with kernel and bias.
    features: float.
  """
  h = ((features - params['mean']) / params['std']) @ params['in']['kernel']
  h += params['in']['bias']
  return h, h @ params['out']['kernel'] + params['out']['bias']


def bank_of(h, logits, labels):
  """The `Bank` of examples with h' [N, M], z' [N, C] and labels [N]."""
  predicted = jnp.argmax(logits, axis=1)
  return Bank(h, predicted, predicted == labels)
