"""Shifted test sets: corruptions of five levels, and transformed copies.

    x = corruptions.noise(key, image, level)  # one image [H, W, C]
    draw = corruptions.draw_from('test', mean, std, level=3)  # of a split

`CORRUPTIONS` maps names to functions `(key, image, level) -> image`:

    key: typed key []; blur and contrast draw nothing and ignore it.
    image: [H, W, C] float in [0, 1].
    level: int [], 0 (the image as it is, bit for bit) to 5 (the strongest).
      What is below counts as 0, what is above as 5; it may be traced.
    Returns [H, W, C] in [0, 1], dtype of the image.

All are pure, for use inside `jit` and `vmap`. Levels of blur, noise and
contrast are those of CIFAR-10-C (Hendrycks and Dietterich, 2019), for images
of 32 x 32; images stay float where that set was rounded to 8 bits.

`rotated`, `gray` and `color_jitter` are the transformed copies that a
correctness-aware calibrator sees of each image.
"""
import math

import jax
import jax.numpy as jnp
from jax.scipy import ndimage

from assay import keys
from assay.data import images
from assay.errors import UserError

NUM_LEVELS = 5
# Of levels 1 to 5. Rotation and flip are ours.
BLUR_STDS = (.4, .6, .7, .8, 1.)  # pixels
NOISE_STDS = (.04, .06, .08, .09, .1)  # with the range of the image as 1
CONTRAST_FACTORS = (.75, .5, .4, .3, .15)
ROTATION_DEGREES = (10., 20., 30., 40., 50.)
FLIP_SHARES = (.2, .4, .6, .8, 1.)
BLUR_RADIUS = 4  # pixels; four standard deviations of the strongest
COPY_DEGREES = 20.  # of the rotated copy; ours
LUMA = (.299, .587, .114)  # red, green, blue; ITU-R BT.601


# --- Corruptions -------------------------------------------------------------


def blur(key, image, level):
  """Convolution with a Gaussian of `BLUR_STDS`, cut off at `BLUR_RADIUS`.

  The image is continued by its mirror image, the edge pixel included, so that
  its mean stays. (CIFAR-10-C repeats the edge pixel.) See the top for the
  arguments.
  """
  del key
  offsets = jnp.arange(-BLUR_RADIUS, BLUR_RADIUS + 1)
  weights = jnp.exp(-.5 * jnp.square(offsets / _of_level(BLUR_STDS, level)))
  weights = (weights / jnp.sum(weights)).astype(image.dtype)
  out = image
  for axis in (0, 1):
    padding = [(0, 0)] * 3
    padding[axis] = (BLUR_RADIUS, BLUR_RADIUS)
    padded = jnp.pad(out, padding, mode='symmetric')
    # Weighted shifts: a mapped convolution would become a grouped one, which
    # is slow on a CPU.
    out = sum(
        w * jax.lax.slice_in_dim(padded, i, i + image.shape[axis], axis=axis)
        for i, w in enumerate(weights))
  return _corrupted(image, out, level)


def noise(key, image, level):
  """The image + Gaussian noise of `NOISE_STDS`, clipped to [0, 1].

  Each pixel and channel has its own; the same key gives the same noise on all
  levels, but for its size. See the top for the arguments.
  """
  added = jax.random.normal(key, image.shape, image.dtype)
  return _corrupted(image, image + _of_level(NOISE_STDS, level) * added, level)


def contrast(key, image, level):
  """mean + factor (image - mean), the mean of each channel over the pixels.

  The factors are `CONTRAST_FACTORS`. See the top for the arguments.
  """
  del key
  mean = _mean(image)
  factor = _of_level(CONTRAST_FACTORS, level)
  return _corrupted(image, mean + factor * (image - mean), level)


def flip(key, image, level):
  """The image upside down, with a probability of `FLIP_SHARES`.

  A flip has no strength, so a level is the share of images that are flipped:
  all at level 5. An image flipped at one level (by its key) is so at all above.
  See the top for the arguments.
  """
  flipped = jax.random.uniform(key) < _of_level(FLIP_SHARES, level)
  return _corrupted(image, jnp.where(flipped, image[::-1], image), level)


def rotation(key, image, level):
  """The image `rotated` by `ROTATION_DEGREES`, to either side by its key.

  See the top for the arguments.
  """
  sign = jnp.where(jax.random.bernoulli(key), 1, -1)
  degrees = sign * _of_level(ROTATION_DEGREES, level)
  return _corrupted(image, rotated(image, degrees), level)


CORRUPTIONS = {'blur': blur, 'noise': noise, 'contrast': contrast,
               'flip': flip, 'rotation': rotation}


def _of_level(values, level):
  """The one of five values; level 0 takes the first, and does not use it."""
  return jnp.asarray(values, jnp.float32)[jnp.clip(level, 1, NUM_LEVELS) - 1]


def _corrupted(image, changed, level):
  """What is changed, in [0, 1] whatever was rounded; the image at level 0."""
  changed = jnp.clip(changed, 0, 1).astype(image.dtype)
  return jnp.where(jnp.asarray(level) <= 0, image, changed)


def _mean(image):
  """[1, 1, C]: the mean of each channel of an image in [0, 1], over pixels.

  A sum of integers, which has no order: that of floats depends on how many
  images are mapped at once, and an image would differ by its batch.
  """
  height, width, _ = image.shape
  unit = 2. ** (30 - math.ceil(math.log2(height * width)))
  total = jnp.sum(jnp.rint(image * unit).astype(jnp.int32), axis=(0, 1),
                  keepdims=True)
  return (total / (height * width * unit)).astype(image.dtype)


# --- Transformed copies ------------------------------------------------------


def rotated(image, degrees):
  """The image turned about its middle, linear between its pixels.

  It is continued by its mirror image, the edge pixel included, so that no
  corner is black.

  Args:
    image: [H, W, C] float.
    degrees: float [], counterclockwise; may be traced. 0 gives the image, bit
      for bit.

  Returns:
    [H, W, C], dtype of the image, within its range.
  """
  height, width, _ = image.shape
  angle = jnp.deg2rad(jnp.asarray(degrees, jnp.float32))
  cos, sin = jnp.cos(angle), jnp.sin(angle)
  middle_row, middle_column = (height - 1) / 2, (width - 1) / 2
  down = jnp.arange(height)[:, None] - middle_row
  right = jnp.arange(width)[None] - middle_column
  # Where each pixel of the result comes from: turned the other way.
  rows = middle_row + cos * down + sin * right
  columns = middle_column - sin * down + cos * right
  one = lambda channel: ndimage.map_coordinates(
      channel, [rows, columns], order=1, mode='reflect')
  return jax.vmap(one, in_axes=2, out_axes=2)(image)


def gray(image):
  """The luma .299 R + .587 G + .114 B (ITU-R BT.601) in every channel.

  Args:
    image: [H, W, C] float, C = 3, or C = 1, which stays as it is.

  Returns:
    [H, W, C], dtype of the image, within its range.
  """
  if image.shape[-1] == 1:
    return image
  if image.shape[-1] != 3:
    raise ValueError(f'image {image.shape} must be [H, W, 1] or [H, W, 3].')
  luma = sum(w * image[..., i:i + 1] for i, w in enumerate(LUMA))
  # The weights of a white pixel may sum to more than 1, by rounding.
  luma = jnp.clip(luma, jnp.min(image, -1, keepdims=True),
                  jnp.max(image, -1, keepdims=True))
  return jnp.broadcast_to(luma, image.shape)


def adjusted(image, brightness, contrast, saturation):
  """Brightness, contrast and saturation times a factor each, in this order.

  Each is a blend, other + factor (image - other), clipped to [0, 1], as in
  torchvision: with black; with the mean of the image's luma; with its `gray`.

  Args:
    image: [H, W, C] float in [0, 1], C = 1 or 3.
    brightness, contrast, saturation: float [] >= 0, may be traced; 1 changes
      nothing.

  Returns:
    [H, W, C] in [0, 1], dtype of the image.
  """
  blend = lambda other, image, factor: jnp.clip(
      factor * image + (1 - factor) * other, 0, 1).astype(image.dtype)
  image = blend(0, image, brightness)
  image = blend(_mean(gray(image)), image, contrast)
  return blend(gray(image), image, saturation)


def color_jitter(key, image, brightness=.4, contrast=.4, saturation=.4):
  """The image `adjusted` by random factors, as torchvision's without hue.

  Each factor is uniform in [max(0, 1 - s), 1 + s] of its strength s; the order
  is always that of `adjusted`, where torchvision draws it.

  Args:
    key: typed key [].
    image: [H, W, C] float in [0, 1], C = 1 or 3.
    brightness, contrast, saturation: strengths, float >= 0; 0 leaves that
      property as it is.

  Returns:
    [H, W, C] in [0, 1], dtype of the image.
  """
  strengths = jnp.array([brightness, contrast, saturation], jnp.float32)
  factors = jax.random.uniform(key, (3,), minval=jnp.maximum(0, 1 - strengths),
                               maxval=1 + strengths)
  return adjusted(image, *factors)


# --- A split -----------------------------------------------------------------

COPIES = {'rotated': lambda key, image: rotated(image, COPY_DEGREES),
          'gray': lambda key, image: gray(image),
          'jittered': color_jitter}


def draw_from(split, mean, std, level):
  """`images.draw_from` of a split, corrupted, transformed, then normalized.

  What is done is data, so one compiled program does all: `shared` has the
  fields that `chosen` makes. The key of an image is made of the name of what
  is done and the image's row in x, nothing else: an image is changed alike in
  each batch and run, and the levels of a corruption share one draw.

  Args:
    split: name of the row list, without '_rows'.
    mean, std: as in `images.draw_from`.
    level: int in [0, 5], of the corruption.

  Returns:
    `draw(shared, own, item, key)` as that of `images.draw_from`.

  Raises:
    UserError: no such level; what `images.draw_from` raises.
  """
  if not 0 <= level <= NUM_LEVELS:
    raise UserError(f'level={level} must be in [0, {NUM_LEVELS}].')

  def draw(shared, own, item, key):

    def apply(name, function, *others):
      def of_batch(x, rows):
        of_image = lambda key, image: function(key, image, *others)
        return jax.vmap(of_image)(keys.each(keys.named(0, name), rows), x)
      return of_batch

    corrupt = [apply(k, f, level) for k, f in CORRUPTIONS.items()]
    transform = [apply(k, f) for k, f in COPIES.items()]
    nothing = lambda x, rows: x

    def change(x, rows):
      x = jax.lax.switch(shared['corruption'], [nothing, *corrupt], x, rows)
      return jax.lax.switch(shared['transform'], [nothing, *transform], x, rows)

    return images.draw_from(split, mean, std, change)(shared, own, item, key)

  return draw


def chosen(corruption='', copy=''):
  """What `draw_from` reads in `shared`: int32 [] corruption, transform.

  Args:
    corruption: a key of `CORRUPTIONS`, or '' for none.
    copy: a key of `COPIES`, or '' for none.

  Raises:
    UserError: there is none of that name.
  """
  for name, known in ((corruption, CORRUPTIONS), (copy, COPIES)):
    if name and name not in known:
      raise UserError(f'No corruption or copy named {name!r}; known: '
                      f'{sorted(known)}.')
  return {'corruption': jnp.int32(['', *CORRUPTIONS].index(corruption)),
          'transform': jnp.int32(['', *COPIES].index(copy))}
