"""Features in order of use: nested dropout (Rippel et al., 2014).

In training only the first k features are kept, with k drawn anew,

    p(k) proportional to exp(-(k / eta)^2),  k = 1 ... D.

The first features are kept most often, so they learn what helps most;
afterwards the number of features is a choice, made on held-out examples. Chen
et al. (2022) draw one k for a whole batch.

Example:
  >>> import jax.numpy as jnp
  >>> from assay.methods import nested_dropout
  >>> p = nested_dropout.probabilities(3, eta=1.)
  >>> [round(each, 3) for each in p.tolist()]
  [0.952, 0.047, 0.0]
  >>> z, weights = jnp.array([[1., 2.]]), jnp.array([[1., 0.], [0., 1.]])
  >>> nested_dropout.by_number(z, weights).tolist()  # of one feature, of both
  [[[1.0, 0.0]], [[1.0, 2.0]]]
"""

import jax
import jax.numpy as jnp


def probabilities(size, eta):
  """[size] float32, p(1) to p(size), which sum to 1.

  Args:
    size: D, features.
    eta: > 0; towards infinity all k are alike, and about eta / sqrt(pi) is the
      mean of k where that is far below `size`.
  """
  return jax.nn.softmax(-jnp.square(jnp.arange(1, size + 1) / eta))


def truncated(key, z, eta, each=False):
  """Features [B, D] with zeros behind the first k.

  Args:
    key: of the draw of k.
    z: [B, D] float.
    eta: as for `probabilities`.
    each: whether each row has a k of its own; else one for all.
  """
  rows, size = z.shape
  k = 1 + jax.random.categorical(
      key, jnp.log(probabilities(size, eta)), shape=(rows if each else 1,))
  return jnp.where(jnp.arange(size) < k[:, None], z, 0)


def by_number(z, weights):
  """[D, B, K] logits of the first 1, 2, ..., D features.

  Args:
    z: [B, D] float.
    weights: [D, K], of a linear layer without a bias.
  """
  return jnp.cumsum(z.T[:, :, None] * weights[:, None, :], axis=0)
