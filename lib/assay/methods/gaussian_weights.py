"""Weights with noise, and what they know: MR-MAML's regularizer.

A network that can tell a training task by the inputs alone need not learn from
its support examples, and fails where tasks are new. Meta-regularization on
weights (Yin et al., 2020, arXiv 1912.03820, MR-MAML (W)) gives the weights that
are shared by all tasks a normal law of their own, pays for what they know, and
leaves the others to be adapted:

    weights = gaussian_weights.start(params['encoder'])
    encoder = gaussian_weights.sample(key, weights)  # for a batch of tasks
    loss = task_loss + 1e-4 * gaussian_weights.divergence(weights)

In testing they are their means, `weights['mean']`.
"""

import jax
import jax.numpy as jnp


def start(params, log_std=-3.):
  """Normal laws about given weights.

  Args:
    params: a tree of float arrays.
    log_std: of all, [] float.

  Returns:
    {'mean': params, 'log_std': a tree of the same form}.
  """
  return {'mean': params, 'log_std': jax.tree.map(
      lambda p: jnp.full_like(p, log_std), params)}


def sample(key, weights):
  """mean + exp(log_std) e with standard normal e: a tree as the mean.

  Args:
    key: typed key [].
    weights: as `start` gives them.
  """
  leaves, structure = jax.tree.flatten(weights['mean'])
  keys = jax.tree.unflatten(structure, jax.random.split(key, len(leaves)))
  return jax.tree.map(
      lambda key, mean, log_std: mean + jnp.exp(log_std) * jax.random.normal(
          key, mean.shape, mean.dtype),
      keys, weights['mean'], weights['log_std'])


def divergence(weights):
  """KL of N(mean, exp(2 log_std)) from N(0, 1), summed over all weights.

  The bits, in nats, that they may know of the tasks they were trained on.

  Args:
    weights: as `start` gives them.

  Returns:
    [] float >= 0.

  Example:
    >>> import jax.numpy as jnp
    >>> from assay.methods import gaussian_weights
    >>> weights = gaussian_weights.start(jnp.array([0., 2.]), log_std=0.)
    >>> float(gaussian_weights.divergence(weights))  # 2^2 / 2
    2.0
  """
  return sum(jax.tree.leaves(jax.tree.map(
      lambda mean, log_std: jnp.sum(
          (mean**2 + jnp.expm1(2 * log_std)) / 2 - log_std),
      weights['mean'], weights['log_std'])))
