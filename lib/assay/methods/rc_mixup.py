"""RC-Mixup: C-Mixup of examples that fit, at bandwidths chosen while training.

Hwang, Kim and Whang (KDD 2024, arXiv 2405.17938) expect noisy labels, by which
C-Mixup pairs: examples of large loss are left out as anchors and as partners,
and the bandwidth is chosen anew from a short list, by validation error.

What their released code does, and what is another way here:

* There the losses of all examples are computed before each epoch. Here the last
  loss of each is remembered, `remembered`: it is at most an epoch old.
* There every L epochs copies of the network are trained for N epochs, one for
  each bandwidth, and the best goes on. Here networks of all bandwidths are
  trained beside each other from the start, and the bandwidth of a phase is that
  whose network had the lowest validation error in it: `chosen`.
"""

import jax.numpy as jnp
import numpy as np

from assay.errors import UserError
from assay.metrics import arguments


def small_losses(losses, noise_share):
  """Which examples are taken for clean: all but those of the largest losses.

  Args:
    losses: [N] float.
    noise_share: share of the examples to leave out, in [0, 1), [] float.

  Returns:
    [N] bool: floor(noise_share N) are False, fewer where losses are tied.

  Example:
    >>> import jax.numpy as jnp
    >>> from assay.methods import rc_mixup
    >>> rc_mixup.small_losses(jnp.array([3., 1., 9., 2.]), 0.25).tolist()
    [True, True, False, True]
  """
  losses = arguments.array(losses, 'losses')
  count = len(losses)
  # In float32 0.29 * 100 is below 29.
  left_out = jnp.floor(noise_share * count * (1 + 1e-6)).astype(jnp.int32)
  return losses <= jnp.sort(losses)[count - 1 - left_out]


def remembered(memory, item, losses):
  """The memory [N] with the losses [B] of the examples `item` [B] int."""
  return arguments.array(memory, 'memory').at[item].set(losses)


def pair_weights(clean, anchors, partners):
  """Weights of mixtures: those of two clean examples count, mean 1.

  Args:
    clean: [N] bool.
    anchors: [B] int.
    partners: [B] int.

  Returns:
    [B] float32; 0 for all where no pair is clean.
  """
  clean, anchors, partners = map(jnp.asarray, (clean, anchors, partners))
  both = (clean[anchors] & clean[partners]).astype(jnp.float32)
  return both / jnp.maximum(jnp.mean(both), 1 / len(anchors))


def chosen(errors, num_phases):
  """The bandwidth of each phase: that of the lowest error in it.

  Args:
    errors: [K, E, ...] float, validation errors of K bandwidths by epoch.
    num_phases: of about equal length, at most E.

  Returns:
    [num_phases, ...] int, positions of bandwidths; ties go to the first.

  Raises:
    UserError: there are more phases than epochs, or none.

  Example:
    >>> import numpy as np
    >>> from assay.methods import rc_mixup
    >>> rc_mixup.chosen(np.array([[9., 5., 4.], [8., 6., 3.]]), 3).tolist()
    [1, 0, 1]
  """
  errors = np.asarray(errors)
  if not 1 <= num_phases <= errors.shape[1]:
    raise UserError(f'num_phases={num_phases} must be at least 1 and at most '
                    f'the {errors.shape[1]} epochs.')
  return np.stack([part.min(axis=1).argmin(axis=0) for part in np.array_split(
      errors, num_phases, axis=1)])
