"""Rotated and colored images: a color that goes along with the target.

RCF-MNIST (Yao et al., 2022, section 4.3): a gray image is turned by a random
angle, the target, and colored between blue and red by it. In training the color
follows the angle for most images; in testing it mostly runs the other way.
"""

import functools

import jax
import jax.numpy as jnp

from assay.errors import UserError

# What the color of an image has to do with its target, by its number.
DOMAINS = ('color follows angle', 'color reversed', 'color at random')
# split -> the number that `share` of its images have, and that of the others.
LINKS = {'train': (0, 1), 'val': (2, 2), 'test': (1, 0)}
DARKEST = 5  # what is not brighter keeps its gray; as the code, of 255


@functools.partial(jax.jit, static_argnames=('split', 'share'))
def rotated_and_colored(key, images, split, share=0.8):
  """RCF-MNIST of gray images.

  Each is turned by its own angle, uniform in [0, 360) degrees, and colored by
  c: of pixels brighter than 5 / 255 red is multiplied by c, blue by 1 - c, and
  green is zero. With the target t = angle / 360, c is t for `share` of the
  training images, chosen at random, and 1 - t for the others; it is uniform and
  independent in validation, and in testing as in training with both swapped.

  Args:
    key: typed key [].
    images: [N, H, W, 1] uint8.
    split: 'train', 'val' or 'test'.
    share: in [0, 1]; int(share * N) images have the more frequent link.

  Returns:
    dict of x [N, H, W, 3] uint8, rounded down; y [N, 1] float32, t; color
    [N, 1] float32, c; and domain [N] int32, a position in `DOMAINS`.

  Raises:
    UserError: no such split, or a share out of range.
  """
  if split not in LINKS:
    raise UserError(f'split={split!r} must be one of {", ".join(LINKS)}.')
  if not 0 <= share <= 1:
    raise UserError(f'share={share} must be in [0, 1].')
  angle_key, link_key, color_key = jax.random.split(key, 3)
  count = len(images)
  y = jax.random.uniform(angle_key, (count,))
  order = jax.random.permutation(link_key, count)
  domain = jnp.where(order < int(share * count), *LINKS[split]).astype(
      jnp.int32)
  color = jnp.select([domain == 0, domain == 1], [y, 1 - y],
                     jax.random.uniform(color_key, (count,)))

  def make(one):
    image, t, c = one
    gray = rotated_nearest(image, 360 * t)
    factors = jnp.array([c, 0., 1 - c])
    # Rounding may not lift a product above a whole number.
    colors = jnp.floor(gray * factors + 1e-3)
    return jnp.where(gray > DARKEST, colors, gray).astype(jnp.uint8)

  x = jax.lax.map(make, (images, y, color), batch_size=256)
  return {'x': x, 'y': y[:, None], 'color': color[:, None], 'domain': domain}


def rotated_nearest(image, degrees):
  """The image turned counterclockwise about its middle, black around it.

  Each pixel is that of the image in which its middle falls, as in Pillow's
  `Image.rotate`.

  Args:
    image: [H, W, C], any dtype.
    degrees: float [], may be traced.
  """
  image = jnp.asarray(image)
  height, width, _ = image.shape
  angle = jnp.deg2rad(jnp.asarray(degrees, jnp.float32))
  cos, sin = jnp.cos(angle), jnp.sin(angle)
  down = jnp.arange(height)[:, None] + .5 - height / 2
  right = jnp.arange(width)[None] + .5 - width / 2
  rows = jnp.floor(sin * right + cos * down + height / 2).astype(jnp.int32)
  columns = jnp.floor(cos * right - sin * down + width / 2).astype(jnp.int32)
  inside = (0 <= rows) & (rows < height) & (0 <= columns) & (columns < width)
  return jnp.where(inside[..., None], image[rows, columns], 0)
