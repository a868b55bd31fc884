"""What tells a transformer where a token stands.

`sinusoids` are added to tokens, `rotated` turns queries and keys, `distances`
chooses a learned bias of attention scores; all are functions of positions.
"""

import jax.numpy as jnp
import numpy as np


def angles(positions, size):
  """Angles p * 10000^(-2i / size), i = 0 ... size / 2 - 1.

  Args:
    positions: [...] int, p.
    size: even.

  Returns:
    [..., size / 2] float32.
  """
  rates = 10_000. ** (-np.arange(0, size, 2) / size)
  return positions[..., None] * rates.astype(np.float32)


def sinusoids(positions, width):
  """Sine and cosine of `angles` in turn (Vaswani et al., 2017).

  Args:
    positions: [...] int.
    width: even.

  Returns:
    [..., width] float32: channel 2i is a sine, 2i + 1 the cosine.

  Example:
    >>> import jax.numpy as jnp
    >>> from assay.models import positions
    >>> positions.sinusoids(jnp.array([0]), width=4).tolist()
    [[0.0, 1.0, 0.0, 1.0]]
  """
  a = angles(positions, width)
  return jnp.stack([jnp.sin(a), jnp.cos(a)], axis=-1).reshape(
      *positions.shape, width)


def rotated(x, rotation):
  """Channels i and i + d / 2 of `x`, turned by an angle (Su et al., 2021).

  Args:
    x: [B, T, heads, d] float, d even.
    rotation: cosine and sine of the angles, [B or 1, T, 1, d / 2] float32.

  Returns:
    [B, T, heads, d] of the dtype of x; the arithmetic is float32.
  """
  cosine, sine = rotation
  first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
  return jnp.concatenate([first * cosine - second * sine,
                          second * cosine + first * sine],
                         axis=-1).astype(x.dtype)


def distances(last, length, most):
  """How far back each token that may be read is, `most` - 1 at most.

  Args:
    last: [...] int, positions that read.
    length: of what is read, positions 0 .. length - 1.
    most: distances that are told apart.

  Returns:
    int32 [..., length] in [0, most); of tokens not before `last` it is 0.
  """
  return jnp.clip(last[..., None] - jnp.arange(length), 0, most - 1)


def within(segment):
  """Positions that start at 0 in each segment: int32 [B, T], of [B, T] int.

  Example:
    >>> import jax.numpy as jnp
    >>> from assay.models import positions
    >>> positions.within(jnp.array([[0, 0, 1, 1, 1]])).tolist()
    [[0, 1, 0, 1, 2]]
  """
  place = jnp.arange(segment.shape[1])
  starts = jnp.pad(segment[:, 1:] != segment[:, :-1], ((0, 0), (1, 0)))
  return place - jnp.maximum.accumulate(jnp.where(starts, place, 0), axis=1)
