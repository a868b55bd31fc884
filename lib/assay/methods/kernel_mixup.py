"""Similarity-kernel mixup: far pairs are mixed less, whoever they are.

Bouniot, Mozharovskyi and d'Alche-Buc (ICLR 2025, arXiv 2311.01434) keep
mixup's uniform partners and let the law of lam depend on the pair's distance:
lam ~ Beta(tau, tau) with tau = tau_max exp(-(d - 1) / (2 tau_std^2)) and d the
squared distance over its mean in the batch. A small tau leaves one of the two
almost as it is. Their code warps a lam of Beta(1, 1), the uniform law, by the
inverse of Beta(tau, tau)'s distribution function, which is a draw of it. On
your own arrays:

    tau = kernel_mixup.concentration(y, y[partner], tau_max=1.0, tau_std=0.5)
    lam = mixup.sample_lam(key, tau, len(y), per_example=True)
    x_mixed, y_mixed = (mixup.mix(a, a[partner], lam) for a in (x, y))
"""

import jax.numpy as jnp

from assay.metrics import arguments

SMALLEST = 1e-6  # of tau: its lam is 0 or 1 in float32


def concentration(first, second, tau_max, tau_std):
  """tau of each pair of a batch, the parameter of its Beta(tau, tau).

  Args:
    first: [B, ...] float, labels (or inputs, or representations).
    second: [B, ...] float, those of the partners.
    tau_max: > 0, [] float: tau of a pair at the mean squared distance.
    tau_std: > 0, [] float: how fast it falls.

  Returns:
    [B] float; `tau_max` for all where all distances are 0.

  Example:
    >>> import jax.numpy as jnp
    >>> from assay.methods import kernel_mixup
    >>> y, partners = jnp.array([0., 0.]), jnp.array([0., 2.])
    >>> tau = kernel_mixup.concentration(y, partners, tau_max=1., tau_std=1.)
    >>> [round(float(t), 3) for t in tau]  # of the nearer and the farther
    [1.649, 0.607]
  """
  first, second = (arguments.array(a, name).reshape(len(a), -1)
                   for a, name in ((first, 'first'), (second, 'second')))
  squared = jnp.sum(jnp.square(first - second), axis=1)
  mean = jnp.mean(squared)
  ratio = jnp.where(mean > 0, squared / jnp.where(mean > 0, mean, 1), 1)
  tau = tau_max * jnp.exp(-(ratio - 1) / (2 * tau_std ** 2))
  return jnp.maximum(tau, SMALLEST)
