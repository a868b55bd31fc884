"""Tasks of a few examples each: sinusoids, and the pose of turned images.

Each is a pure function of a key and gives a task: support examples x [n, D] and
y [n, Q], query examples query_x [m, D] and query_y [m, Q], float32.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from assay.data import corruptions
from assay.errors import UserError

NUM_CODES = 20  # amplitudes that are told in training
CODED = (0.1, 4.)  # from the first of them to the last
CODED_NOISE = 0.1


def _halved(x, y, num_support):
  return {'x': x[:num_support], 'y': y[:num_support],
          'query_x': x[num_support:], 'query_y': y[num_support:]}


def sinusoid(key, num_support, num_query, amplitude=(0.1, 5.),
             phase=(0., math.pi), span=(-5., 5.)):
  """y = A sin(x + p), each task with its own A and p (Finn et al., 2017).

  Args:
    key: typed key [].
    num_support, num_query: n and m.
    amplitude, phase, span: ranges of the uniform laws of A, p and x; by default
      theirs.
  """
  keys, shape = jax.random.split(key, 3), (num_support + num_query, 1)
  a, p, x = (jax.random.uniform(key, of, minval=low, maxval=high)
             for key, of, (low, high) in zip(
                 keys, ((), (), shape), (amplitude, phase, span), strict=True))
  return _halved(x, a * jnp.sin(x + p), num_support)


def coded_sinusoid(key, num_support, num_query, told, known=True):
  """y = A sin(u) + N(0, 0.1^2), with a code in the input (Yin et al., 2020).

  x is u ~ U(-5, 5) and a one-hot code of 20 places. In training A is one of 20
  numbers from 0.1 to 4 at equal distances; in testing A ~ U(0.1, 4), and the
  code is random.

  Args:
    key: typed key [].
    num_support, num_query: n and m.
    told: whether in training the code is that of A, so that nothing need be
      learned from the support examples; else it is random there, too.
    known: whether this is training.
  """
  which, other, a_key, u_key, noise_key = jax.random.split(key, 5)
  index, random = (jax.random.randint(k, (), 0, NUM_CODES)
                   for k in (which, other))
  low, high = CODED
  a = (low + (high - low) * index / (NUM_CODES - 1) if known else
       jax.random.uniform(a_key, minval=low, maxval=high))
  count = num_support + num_query
  u = jax.random.uniform(u_key, (count, 1), minval=-5., maxval=5.)
  code = jax.nn.one_hot(index if known and told else random, NUM_CODES)
  y = a * jnp.sin(u) + CODED_NOISE * jax.random.normal(noise_key, u.shape)
  x = jnp.concatenate([u, jnp.broadcast_to(code, (count, NUM_CODES))], axis=1)
  return _halved(x, y, num_support)


def views(images, num_views, degrees=180.):
  """Images turned by angles at equal distances, as an object seen around.

  Args:
    images: [N, H, W, 1] uint8, an object each.
    num_views: V >= 2.
    degrees: the angles are 0, degrees / V, ..., counterclockwise; below 360 for
      objects that look the same upside down.

  Returns:
    (x [N, V, H * W] uint8, angles [V] float32 in radians).

  Raises:
    UserError: fewer than two views, or no images.
  """
  if num_views < 2 or not len(images):
    raise UserError(f'num_views={num_views} of {len(images)} images: give one '
                    'image or more and two views or more.')
  angles = degrees * np.arange(num_views) / num_views
  x = np.stack([_turned(image, angles.astype(np.float32)) for image in images])
  return x.reshape(*x.shape[:2], -1), np.deg2rad(angles).astype(np.float32)


@jax.jit
def _turned(image, angles):
  turn = functools.partial(corruptions.rotated, image.astype(jnp.float32))
  return jnp.rint(jax.vmap(turn)(angles)).astype(jnp.uint8)


def pose(key, x, angles, num_support, num_query, own_zero):
  """How far an object is turned, in directions from a zero that is its own.

  An object is drawn, and n + m of its views, all different; the target of a
  view is (cos, sin) of its angle plus the zero of the object: as the poses of
  Yin et al. (2020), whose objects have canonical directions of their own. In
  tasks of new objects it can only be learned from the support examples.

  Args:
    key: typed key [].
    x, angles: from `views`.
    num_support, num_query: n and m, together at most V.
    own_zero: [N] float, the zero of each object, in radians; or None, where it
      is drawn anew for each task, so that no network can know it.
  """
  object_key, view_key, zero_key = jax.random.split(key, 3)
  which = jax.random.randint(object_key, (), 0, len(x))
  shown = jax.random.permutation(view_key, len(angles))[
      :num_support + num_query]
  zero = (jax.random.uniform(zero_key, maxval=2 * math.pi) if own_zero is None
          else own_zero[which])
  direction = angles[shown] + zero
  y = jnp.stack([jnp.cos(direction), jnp.sin(direction)], axis=-1)
  return _halved(x[which, shown] / 255., y, num_support)
