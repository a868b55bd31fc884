"""FOMA: inputs and labels of a batch, with some singular values scaled.

First-order manifold data augmentation (Kaufman and Azencot, ICML 2024, arXiv
2406.10914) joins inputs and labels of a batch to one matrix Z = U diag(s) V^T
and multiplies its small singular values by one lam ~ Beta(alpha, alpha): the
batch moves toward the subspace that explains most of it. On your own arrays:

    lam = mixup.sample_lam(key, alpha=1.0, batch_size=1)[0]
    x_new, y_new = foma.augmented(x, y, lam, share=0.9)

Which are small, and that some settings of the released code scale the large
ones instead, is as there. Its authors also apply it to hidden representations,
with `jax.grad` through it, and to batches of near labels.
"""

import functools

import jax
import jax.numpy as jnp

from assay.metrics import arguments


def scaled(values, lam, share, small=True):
  """The matrix with some singular values multiplied by lam.

  A singular value is large while the cumulative sum of them, as a share of all,
  is not above `share`, beginning with the largest. Where the first one alone is
  above it, none is large, and the whole matrix is multiplied.

  Args:
    values: [B, F] float.
    lam: [] float; 1 changes nothing, 0 projects.
    share: in [0, 1], [] float.
    small: whether the small ones are multiplied, or else those whose cumulative
      share is below `share`.

  Returns:
    [B, F] float. Its gradient is that of the subspace of the large ones, which
    is stable where others are equal; that of a decomposition is not.

  Example:
    >>> import jax.numpy as jnp
    >>> from assay.methods import foma
    >>> foma.scaled(jnp.diag(jnp.array([3., 1.])), 0.5, share=0.8).tolist()
    [[3.0, 0.0], [0.0, 0.5]]
  """
  values = arguments.array(values, 'values')
  large = _onto_large(small, values, share) @ values
  return lam * values + (1 - lam) * large if small else (
      values - (1 - lam) * large)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _onto_large(small, values, share):
  """[B, B], the projection onto the left vectors of large singular values."""
  left, _, large = _decomposed(small, values, share)
  return (left * large) @ left.T


@_onto_large.defjvp
def _onto_large_jvp(small, primals, tangents):
  """By first-order perturbation: only pairs across the border count."""
  values, share = primals
  left, singular, large = _decomposed(small, values, share)
  half = tangents[0] @ values.T
  turn, power = half + half.T, singular ** 2  # of values @ values.T
  across = large[:, None] - large
  gap = power[:, None] - power
  inside = left @ (jnp.where(
      (across != 0) & (gap != 0), across / jnp.where(gap == 0, 1, gap), 0)
      * (left.T @ turn @ left)) @ left.T
  # And what lies in no singular vector, with a power of 0.
  outside = (turn - left @ (left.T @ turn)) @ (
      left * jnp.where(large > 0, 1 / jnp.where(power == 0, 1, power), 0)
      ) @ left.T
  return (left * large) @ left.T, inside + outside + outside.T


def _decomposed(small, values, share):
  """Left vectors, singular values, and which are large, 1 or 0."""
  left, singular = _left(values)
  reached = jnp.cumsum(singular) / jnp.sum(singular)
  large = reached <= share if small else reached < share
  return left, singular, large.astype(values.dtype)


@jax.custom_batching.sequential_vmap
def _left(values):
  """Left vectors and singular values; of mapped seeds one after another.

  On two CPU devices a decomposition of several wide matrices at once never came
  back: it waited for threads that waited for it.
  """
  return jnp.linalg.svd(values, full_matrices=False)[:2]


def augmented(x, y, lam, share, small=True):
  """Inputs and labels of a batch, changed together.

  Args:
    x: [B, ...] float.
    y: [B, ...] float, in units in which both count alike: the singular values
      are those of both side by side.
    lam, share, small: as `scaled` takes them.

  Returns:
    (x, y), as they came in.
  """
  x, y = arguments.array(x, 'x'), arguments.array(y, 'y')
  flat = [a.reshape(len(a), -1) for a in (x, y)]
  found = scaled(jnp.concatenate(flat, axis=1), lam, share, small)
  width = flat[0].shape[1]
  return found[:, :width].reshape(x.shape), found[:, width:].reshape(y.shape)
