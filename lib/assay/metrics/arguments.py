"""Checks of the arrays that users hand to losses, methods and metrics.

Shapes and dtypes are checked also while a function is traced; values only on
the host, by functions that say so. Each raises a ValueError that names the
argument, what it is and what it must be.

Example:
  >>> import numpy as np
  >>> from assay.metrics import arguments
  >>> arguments.check_labels(np.array([0, 3]), num_classes=3)
  Traceback (most recent call last):
  ValueError: labels[1] is 3; it must be in [0, 3).
"""

import jax.numpy as jnp
import numpy as np


def check_scores(scores, labels=None, name='logits'):
  """Refuses scores that are not [N, C], and labels that are not [N] int.

  Args:
    scores: array, traced or not.
    labels: array, traced or not, or None.
    name: of the scores, for the message; 'logits' must be float.
  """
  shape = jnp.shape(scores)
  both = '' if labels is None else f' and labels {jnp.shape(labels)}'
  if len(shape) != 2 or not all(shape) or (
      labels is not None and jnp.shape(labels) != shape[:1]):
    # [N] against [N, 1] would broadcast to [N, N].
    raise ValueError(
        f'{name} {shape}{both} must be [N, C]{" and [N]" if both else ""}, '
        'with N and C at least 1; jax.vmap maps over more axes.')
  if name == 'logits' and not jnp.issubdtype(scores.dtype, jnp.floating):
    raise ValueError(f'logits have dtype {scores.dtype}; they must be float.')
  if labels is not None and not jnp.issubdtype(labels.dtype, jnp.integer):
    raise ValueError(f'labels have dtype {labels.dtype}; they must be '
                     'integers.')


def check_same_shape(**arrays):
  """Refuses arrays of different shapes: they would broadcast."""
  if len({jnp.shape(array) for array in arrays.values()}) > 1:
    named = [f'{name} {jnp.shape(array)}' for name, array in arrays.items()]
    raise ValueError(f'{", ".join(named[:-1])} and {named[-1]} must have the '
                     'same shape.')


def check_labels(labels, num_classes):
  """Refuses labels [N] that are not integers in [0, num_classes); host."""
  if not np.issubdtype(labels.dtype, np.integer):
    raise ValueError(f'labels have dtype {labels.dtype}; they must be '
                     'integers.')
  out = (labels < 0) | (labels >= num_classes)
  if out.any():
    i = np.argmax(out)
    raise ValueError(f'labels[{i}] is {labels[i]}; it must be in '
                     f'[0, {num_classes}).')


def checked_probabilities(probs, tolerance=1e-3):
  """Probabilities [N, C] as they are, float32 or float64; host.

  Raises:
    ValueError: another shape, no example, a value that is not finite or not in
      [0, 1], a row whose sum is not 1 within `tolerance`.
  """
  probs = np.asarray(probs)
  check_scores(probs, name='probs')
  if probs.dtype not in (np.float32, np.float64):
    probs = probs.astype(np.float64)
  # Passes over all of it only; what is wrong is looked for once it is known.
  if not 0 <= probs.min() <= probs.max() <= 1:
    for bad, rule in ((~np.isfinite(probs), 'finite'),
                      ((probs < 0) | (probs > 1), 'in [0, 1]')):
      if bad.any():
        i, c = np.argwhere(bad)[0]
        raise ValueError(f'probs[{i}, {c}] is {probs[i, c]}; it must be '
                         f'{rule}.')
  sums = probs @ np.ones(probs.shape[1], probs.dtype)
  off = np.abs(sums - 1) > tolerance
  if off.any():
    i = np.argmax(off)
    raise ValueError(f'probs[{i}] sums to {sums[i]:.6g}; each row must sum to '
                     f'1 within {tolerance:g}.')
  return probs
