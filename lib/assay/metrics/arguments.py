"""Checks of the arrays that users hand to losses, methods and metrics.

Lists, NumPy's and JAX's arrays, data frames and the like are all taken. Shapes
and dtypes are checked also while a function is traced, values where they are
known. Each raises a ValueError that names the argument, the first index, what
is there and what it must be.

Example:
  >>> import numpy as np
  >>> from assay.metrics import arguments
  >>> arguments.check_labels(np.array([0, 3]), num_classes=3)
  Traceback (most recent call last):
  ValueError: labels[1] is 3; it must be in [0, 3).
"""

import functools
import inspect
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

CACHED = 2**20  # bytes of rows that are looked at together


def array(values, name):
  """Values as a JAX array; one that is traced stays as it is."""
  if isinstance(values, jax.Array):
    return values
  return jnp.asarray(on_host(values, name))


def on_host(values, name):
  """Values as a NumPy array of numbers."""
  try:
    found = np.asarray(values)
  except ValueError as e:
    raise ValueError(f'{name} has rows of different lengths, or arrays that '
                     'are traced; make one array of it.') from e
  if found.dtype.kind in 'OUSmMc':
    raise ValueError(f'{name} holds {found.dtype} values, such as '
                     f'{found.ravel()[:1].tolist()}; it must hold numbers.')
  return found


def finite(values, name):
  """As `array`; refuses values that are known and not finite."""
  found = array(values, name)
  if is_known(found):
    check_finite(found, name)
  return found


def check_finite(values, name):
  """Raises for the first of the known values that is not finite."""
  bad = ~np.isfinite(np.asarray(values, np.float64))
  if bad.any():
    at = tuple(np.argwhere(bad)[0].tolist())
    raise ValueError(f'{name}[{", ".join(map(str, at))}] is {values[at]}; it '
                     'must be finite: leave out its row, or mend it.')


def scores_of(logits, labels=None):
  """Logits and labels as JAX arrays; raises as `check_scores`, and where a
  label that is known is not in [0, C)."""
  logits = array(logits, 'logits')
  if labels is None:
    check_scores(logits)
    return logits
  labels = array(labels, 'labels')
  check_scores(logits, labels)
  if is_known(labels):
    check_labels(np.asarray(labels), logits.shape[1])
  return logits, labels


def is_known(values):
  """Whether an array's values can be looked at: neither traced nor far away."""
  return not isinstance(values, jax.core.Tracer) and getattr(
      values, 'is_fully_addressable', True)


def checked_first(function):
  """The function, called after `scores_of` has looked at the values.

  `logits` are an argument of it, by that name, and `labels` may be one; with
  these, logits that look like probabilities are refused.
  """
  signature = inspect.signature(function)

  @functools.wraps(function)
  def called(*args, **kwargs):
    bound = signature.bind(*args, **kwargs)
    given = bound.arguments
    if given.get('labels') is None:
      given['logits'] = scores_of(given['logits'])
    else:
      given['logits'], given['labels'] = scores_of(
          given['logits'], given['labels'])
      check_no_probabilities(given['logits'])
    return function(*bound.args, **bound.kwargs)

  return called


def check_no_probabilities(logits):
  """Refuses known logits [N, C] of which each row is a probability vector.

  Rows of 0 and 1 alone pass: they may well be logits.
  """
  if not is_known(logits) or logits.shape[1] < 2:
    return
  first = np.asarray(logits[:1], np.float64)
  # Most logits are told by their first row.
  if (first < 0).any() or abs(first.sum() - 1) > 1e-2:
    return
  values = np.asarray(logits, np.float64)
  if ((values >= 0) & (values <= 1)).all() and (
      (abs(values.sum(axis=1) - 1) < 1e-2).all()) and (values % 1).any():
    raise ValueError(f'logits[0] is {values[0].tolist()[:5]}: all rows are '
                     'probabilities; give their logarithms.')


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


def per_example(values, labels, name):
  """One number as it is, or [N] as an array; refuses other shapes."""
  if not jnp.isscalar(values):
    values = array(values, name)
    if values.shape not in ((), labels.shape):
      raise ValueError(f'{name} {values.shape} must be one number or '
                       f'{labels.shape}, as the labels.')
  return values


def of_one_shape(**arrays):
  """JAX arrays of these; refuses different shapes, which would broadcast."""
  found = [array(values, name) for name, values in arrays.items()]
  if len({values.shape for values in found}) > 1:
    named = [f'{name} {values.shape}'
             for name, values in zip(arrays, found, strict=True)]
    raise ValueError(f'{", ".join(named[:-1])} and {named[-1]} must have the '
                     'same shape.')
  return found


def check_labels(labels, num_classes, name='labels'):
  """Refuses labels [N] that are not integers in [0, num_classes); host."""
  if not np.issubdtype(labels.dtype, np.integer):
    raise ValueError(f'{name} have dtype {labels.dtype}; they must be '
                     'integers.')
  out = (labels < 0) | (labels >= num_classes)
  if out.any():
    i = np.argmax(out)
    raise ValueError(f'{name}[{i}] is {labels[i]}; it must be in '
                     f'[0, {num_classes}).')


def checked_probabilities(probs, tolerance=1e-3):
  """Probabilities [N, C] as they are, float32 or float64; host.

  Raises:
    ValueError: another shape, no example, a value that is not finite or not in
      [0, 1], a row whose sum is not 1 within `tolerance`.
  """
  return _most_probable(probs, tolerance)[0]


class Split(NamedTuple):
  """What `checked_split` gives: all of a split that calibration looks at.

  Attributes:
    probs: [N, C] float32 or float64.
    labels: [N] int.
    confidence: [N] float64, the largest probability.
    correct: [N] bool, whether it is that of the label; of equal ones the first.
  """
  probs: np.ndarray
  labels: np.ndarray
  confidence: np.ndarray
  correct: np.ndarray


def checked_split(probs, labels, tolerance=1e-3):
  """A `Split`; one that is given as `probs` has been looked at, and is kept.

  Raises:
    ValueError: as `checked_probabilities` and `check_labels` do.
  """
  if isinstance(probs, Split):
    return probs
  probs, labels = on_host(probs, 'probs'), on_host(labels, 'labels')
  check_scores(probs, labels, 'probs')
  probs, top, largest = _most_probable(probs, tolerance)
  check_labels(labels, probs.shape[1])
  return Split(probs, labels, largest.astype(np.float64), top == labels)


def _most_probable(probs, tolerance):
  """(`checked_probabilities`, class [N] of the largest of each row, it [N]).

  Memory is read once: blocks of rows stay in a cache.
  """
  probs = np.asarray(probs)
  check_scores(probs, name='probs')
  if probs.dtype not in (np.float32, np.float64):
    probs = probs.astype(np.float64)
  # Numbers from 0 on are ordered as their bits are, as unsigned integers, and
  # below those of negative ones and of NaN: the largest tells of all.
  bits = probs.view(f'u{probs.itemsize}')
  ones, rows = np.ones(probs.shape[1], probs.dtype), max(
      1, CACHED // probs[0].nbytes)
  top, sums = np.empty(len(probs), int), np.empty(len(probs), probs.dtype)
  with np.errstate(invalid='ignore', over='ignore'):  # which are told below
    for i in range(0, len(probs), rows):
      top[i:i + rows] = bits[i:i + rows].argmax(axis=1)
      sums[i:i + rows] = probs[i:i + rows] @ ones
  largest = probs[np.arange(len(top)), top]
  if np.signbit(largest).any() or not largest.max() <= 1:
    _check_range(probs)
    top, largest = probs.argmax(axis=1), probs.max(axis=1)  # but for a -0
  off = np.abs(sums - 1) > tolerance
  if off.any():
    i = np.argmax(off)
    raise ValueError(f'probs[{i}] sums to {sums[i]:.6g}; each row must sum to '
                     f'1 within {tolerance:g}.')
  return probs, top, largest


def _check_range(probs):
  """Refuses a value that is not finite or not in [0, 1]."""
  for bad, rule in ((~np.isfinite(probs), 'finite'),
                    ((probs < 0) | (probs > 1), 'in [0, 1]')):
    if bad.any():
      i, c = np.argwhere(bad)[0]
      raise ValueError(f'probs[{i}, {c}] is {probs[i, c]}; it must be {rule}.')
