"""LOOK: an example's nearest neighbors have its label (Feng et al., 2022).

A memory has the last direction of each image, z [N, D], and its label. Of an
example the k nearest others are asked: the loss is minus the logarithm of the
share of its label among them, weighted by exp(cosine / temperature). So only
the nearest of its class pull, and a class may stay in several parts. All others
asked make it the supervised contrast with the sum inside of the logarithm, but
for a constant.

No code was to be had. Where no example of its label is among the k nearest the
loss would be infinite: here the nearest one of its label is asked too. In place
of a second network that follows the first, the memory has what the network
itself said of an image when it was last drawn.

Example:
  >>> import jax.numpy as jnp
  >>> from assay.methods import look
  >>> bank = jnp.array([[1., 0.], [.8, .6], [0., 1.], [-1., 0.]])
  >>> loss = look.loss(bank[:1], jnp.array([0]), jnp.array([0]), bank,
  ...                  jnp.array([0, 0, 1, 1]), k=2, temperature=1.)
  >>> round(float(loss[0]), 3)  # log(1 + exp(-.8))
  0.371
"""

import jax
from jax.nn import logsumexp
import jax.numpy as jnp

from assay.methods import contrastive

TEMPERATURE = .1


def loss(z, labels, own, bank, bank_labels, k, temperature=TEMPERATURE):
  """[n] losses; 0 where the memory has no other example of the label.

  Args:
    z: [n, D] float, of norm 1.
    labels: [n] int.
    own: [n] int, the row of an example in the memory, which is not asked.
    bank: [N, D] float, of norm 1.
    bank_labels: [N] int; -1: nothing is there yet.
    k: how many are asked; None: all.
    temperature: > 0.
  """
  asked = (bank_labels >= 0) & (own[:, None] != jnp.arange(len(bank)))
  same = asked & (labels[:, None] == bank_labels)
  similar = z @ bank.T / temperature
  only = lambda which: jnp.where(which, similar, -jnp.inf)
  if k is not None:
    least = jax.lax.top_k(only(asked), k)[0][:, -1:]
    nearest = jnp.max(only(same), axis=1, keepdims=True)
    asked &= (similar >= least) | (same & (similar >= nearest))
    same &= asked
  found = jnp.any(same, axis=1)
  # Not infinity less infinity, whose gradient is no number.
  safe = lambda which: logsumexp(jnp.where(
      found[:, None], only(which), 0.), axis=1)
  return jnp.where(found, safe(asked) - safe(same), 0.)


def memory(num_images):
  """What a training keeps: an empty memory of so many images."""
  return {'bank': jnp.zeros((num_images, contrastive.SIZE)),
          'bank_labels': jnp.full(num_images, -1, jnp.int32)}


def loss_of(k):
  """What `contrastive.taught` takes, for a training with a `memory`.

  Both views of an image ask; what is kept is the second.
  """

  def of_batch(z, batch, extra):
    own = batch['index']
    bank, known = map(jnp.asarray, (extra['bank'], extra['bank_labels']))
    value = jnp.mean(loss(z, batch['y'], own, bank, known, k))
    last = len(own) // 2
    return value, {
        'bank': bank.at[own[last:]].set(jax.lax.stop_gradient(z[last:])),
        'bank_labels': known.at[own[last:]].set(batch['y'][last:])}

  return of_batch
