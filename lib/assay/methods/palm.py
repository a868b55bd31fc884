"""PALM: a mixture of prototypes for each class (Lu et al., 2024).

Each class has K directions, [K, C, D]. An example is assigned softly to those
of its class (`assigned`), which pull it and follow it (`step`).

As in the released code: weights stand outside of the logarithm, the k largest
of them are chosen before the prototypes move and count after, and gradients
pass through the move. `inside` has the likelihood of a mixture, `through=False`
stops these gradients.

Example:
  >>> import jax.numpy as jnp
  >>> from assay.methods import palm
  >>> similar = jnp.array([[1., 0.], [0., 1.]])
  >>> [round(each, 3) for each in palm.sinkhorn(similar, .5)[0].tolist()]
  [0.881, 0.119]
"""

import jax
from jax.nn import logsumexp
import jax.numpy as jnp

from assay.methods import contrastive
from assay.methods.ood_scores import plain

TEMPERATURE, CONTRAST, EPSILON, ROUNDS = .1, .5, .05, 3


class Head(contrastive.Head):
  """`contrastive.Head` with prototypes [K, C, SIZE] beside it.

  They are in the collection `prototypes`, drawn on the sphere or, as in the
  released code, where all coordinates are positive. In evaluation the cosines
  of a projection with all, [B, K, C], are sown as `cosines`.

  Attributes:
    number: K, of each class.
    positive: whether all coordinates are.
  """
  number: int = 6
  positive: bool = False

  def start(self, key):
    shape = self.number, self.num_classes, contrastive.SIZE
    law = jax.random.uniform if self.positive else jax.random.normal
    return contrastive.directions(law(key, shape))

  def beside(self, p):
    found = self.variable('prototypes', 'prototypes', lambda: self.start(
        self.make_rng('params'))).value
    self.sow('intermediates', 'cosines', jnp.einsum('nd,kcd->nkc', p, found))


def sinkhorn(similar, epsilon=EPSILON, rounds=ROUNDS):
  """[n, M] weights exp(similar / epsilon), scaled: rows have the sum 1.

  In each round first columns, then rows are scaled to equal sums; in float32
  and by logarithms.
  """
  log_q = similar.astype(jnp.float32) / epsilon
  for _ in range(rounds):
    log_q = log_q - logsumexp(log_q, axis=0, keepdims=True)
    log_q = log_q - logsumexp(log_q, axis=1, keepdims=True)
  return jnp.exp(log_q)


def assigned(z, labels, prototypes, lot=None):
  """[n, K] of `sinkhorn` over all prototypes, those of an example's class.

  Args:
    z: [n, D] float, of norm 1.
    labels: [n] int.
    prototypes: [K, C, D].
    lot: None, or [n] int: the weights of each example are moved on by so many
      prototypes: a control, whose prototypes are no modes of a class.
  """
  number, classes, _ = prototypes.shape
  q = sinkhorn(jnp.einsum('nd,kcd->nkc', z, prototypes).reshape(len(z), -1))
  own = jnp.take_along_axis(q.reshape(-1, number, classes),
                            labels[:, None, None], axis=2)[:, :, 0]
  if lot is None:
    return own
  return jnp.take_along_axis(
      own, (jnp.arange(number) - lot[:, None]) % number, axis=1)


def step(z, labels, prototypes, kept, momentum=.999, through=True,
         inside=False, lot=None):
  """(loss [], prototypes that have moved) of a batch.

  Args:
    z, labels, prototypes, lot: as for `assigned`.
    kept: of an example's K weights how many count, the largest.
    momentum: of a prototype, in [0, 1].
    through: whether gradients pass through the move.
    inside: whether weights stand inside of the logarithm.
  """
  still = jax.lax.stop_gradient
  own = assigned(still(z), labels, prototypes, lot)
  largest = jax.nn.one_hot(jax.lax.top_k(own, kept)[1], own.shape[1]).sum(1)
  of_class = jax.nn.one_hot(labels, prototypes.shape[1])
  pull = _parts(own * largest, 1)[:, :, None] * of_class[:, None]
  mean = jnp.einsum('nkc,nd->kcd', _parts(pull, 0), z)
  moved = contrastive.directions(
      momentum * prototypes + (1 - momentum) * mean)
  if not through:
    moved = still(moved)
  own = _parts(assigned(still(z), labels, still(moved), lot) * largest, 1)
  logits = jnp.einsum('nd,kcd->nkc', z, still(moved)) / TEMPERATURE
  mine = jnp.take_along_axis(logits, labels[:, None, None], axis=2)[:, :, 0]
  near = (logsumexp(mine, axis=1, b=jnp.maximum(own, 1e-12)) if inside
          else jnp.sum(own * mine, axis=1))
  loss = jnp.mean(logsumexp(logits, axis=(1, 2)) - near)
  return loss + jnp.mean(contrast(moved)), still(moved)


def loss_of(kept, momentum, lot=False, **changed):
  """What `contrastive.taught` takes, for a network with a `Head`.

  Args:
    kept, momentum, **changed: as `step` takes them.
    lot: whether each image has a lot, its row number.
  """

  def loss(z, batch, extra):
    old = extra['prototypes']['head']['prototypes']
    value, moved = step(z, batch['y'], old, kept, momentum,
                        lot=batch['index'] if lot else None, **changed)
    return value, {'prototypes': {'head': {'prototypes': moved}}}

  return loss


def contrast(prototypes):
  """[K C]: as `contrastive.supervised`, at 0.5, of prototypes by class.

  Of one prototype a class there are no positives: the logarithm of the sum over
  all others is left, the dispersion of CIDER but for a constant.
  """
  number, classes, size = prototypes.shape
  p, of = prototypes.reshape(-1, size), jnp.tile(jnp.arange(classes), number)
  if number > 1:
    return contrastive.supervised(p, of, CONTRAST)
  return logsumexp(jnp.where(jnp.eye(classes, dtype=bool), -jnp.inf,
                             p @ p.T / CONTRAST), axis=1)


cosine = plain(lambda cosines: cosines.max(axis=(1, 2)))
"""Largest cosine of a projection with a prototype, of the `Head`."""


def _parts(weights, axis):
  """Weights >= 0, scaled to the sum 1 along an axis; zeros stay."""
  total = jnp.sum(weights, axis=axis, keepdims=True)
  return weights / jnp.maximum(total, 1e-12)
