"""Random crops, flips, cutout and colors of a batch, in the compiled step.

    x = augment.standard(key, x, padding=4)  # [B, H, W, C], uint8 or float
    draw = augment.augmented(draw, augment.standard)  # for training only

All are pure functions of a key and a batch, with one draw for each example.
What a crop brings in from outside the image is `fill`. The usual CIFAR
pipelines pad the raw image with 0, black, and normalize afterwards. Zero after
normalization is the mean color: a caller who crops images that are already
normalized passes fill=(0 - mean) / std, [C], to get black. Cutout, on the
other hand, puts in 0 after normalization in the authors' code, the mean color.
"""

import jax
import jax.numpy as jnp


def random_crop(key, x, padding=4, fill=0):
  """A window of each image's own size, anywhere on the padded image.

  Args:
    key: typed key [].
    x: [B, H, W, C], any dtype.
    padding: pixels >= 0 on each side; the window's offset along each axis is
      uniform in {0, ..., 2 * padding}, and `padding` leaves the image in place.
    fill: color of the padding in the units of x, scalar or [C], cast to the
      dtype of x.

  Returns:
    [B, H, W, C], dtype of x.
  """
  offsets = jax.random.randint(key, (x.shape[0], 2), 0, 2 * padding + 1)
  fill = jnp.asarray(fill, x.dtype)

  # A gather with its mask is one fused loop; no padded copy is held.
  def window(image, offset):
    height, width, _ = image.shape
    rows = (jnp.arange(height) + offset[0] - padding)[:, None]
    columns = (jnp.arange(width) + offset[1] - padding)[None, :]
    inside = (0 <= rows) & (rows < height) & (0 <= columns) & (columns < width)
    # Where the index is not inside, some pixel is read and not used.
    return jnp.where(inside[..., None], image[rows, columns],
                     jnp.broadcast_to(fill, image.shape))

  return jax.vmap(window)(x, offsets)


def random_flip(key, x):
  """x [B, H, W, C], each image mirrored left to right with probability 1/2."""
  flipped = jax.random.bernoulli(key, shape=(x.shape[0], 1, 1, 1))
  return jnp.where(flipped, x[:, :, ::-1], x)


def cutout(key, x, size=16, fill=0):
  """One square of each image replaced by `fill` (DeVries and Taylor, 2017).

  The center is uniform over the pixels, so that the part of the square beyond
  the edge is lost. An even square has one more pixel before its center than
  after it, as in the authors' code; an odd one is symmetric.

  Args:
    key: typed key [].
    x: [B, H, W, C], any dtype.
    size: pixels a side, >= 0; the authors use 16 for CIFAR-10, 8 for CIFAR-100
      and 20 for SVHN.
    fill: color in the units of x, scalar or [C], cast to the dtype of x.

  Returns:
    [B, H, W, C], dtype of x.
  """
  num, height, width, _ = x.shape
  row_key, column_key = jax.random.split(key)

  def covered(key, length):  # [B, length] bool
    first = jax.random.randint(key, (num, 1), 0, length) - size // 2
    places = jnp.arange(length)[None]
    return (first <= places) & (places < first + size)

  square = (covered(row_key, height)[:, :, None, None]
            & covered(column_key, width)[:, None, :, None])
  return jnp.where(square, jnp.broadcast_to(jnp.asarray(fill, x.dtype),
                                            x.shape), x)


def standard(key, x, padding=4, cutout_size=0, fill=0):
  """Crop, flip and, where `cutout_size` > 0, cutout: the recipe for CIFAR.

  Args:
    key: typed key [].
    x: [B, H, W, C], any dtype.
    padding: of `random_crop`, with its `fill`.
    cutout_size: of `cutout`, which puts in 0 whatever `fill` is: the mean color
      of normalized images, but black on raw ones.
    fill: color of the padding, scalar or [C].
  """
  crop_key, flip_key, cutout_key = jax.random.split(key, 3)
  x = random_flip(flip_key, random_crop(crop_key, x, padding, fill))
  return cutout(cutout_key, x, cutout_size) if cutout_size else x


def jitter(key, x, strength=0.4, gray=0.2):
  """Brightness and contrast of each channel, and at times no color at all.

  Each channel becomes a x + b with a uniform in [1 - strength, 1 + strength]
  and b in [-strength, strength]; with probability `gray` all channels of an
  image are their mean then.

  Args:
    key: typed key [].
    x: [B, H, W, C] float, normalized: b is in its units.
    strength: in [0, 1].
    gray: in [0, 1].
  """
  scale_key, shift_key, gray_key = jax.random.split(key, 3)
  size = x.shape[0], 1, 1, x.shape[3]
  scale, shift = (strength * jax.random.uniform(k, size, x.dtype, -1, 1)
                  for k in (scale_key, shift_key))
  x = (1 + scale) * x + shift
  is_gray = jax.random.bernoulli(gray_key, gray, (x.shape[0], 1, 1, 1))
  return jnp.where(is_gray, jnp.mean(x, axis=3, keepdims=True), x)


def jittered(change):
  """`(key, x, fill) -> x`: another such, `standard` for one, then `jitter`."""

  def changed(key, x, fill=0):
    change_key, jitter_key = jax.random.split(key)
    return jitter(jitter_key, change(change_key, x, fill=fill))

  return changed


def augmented(draw, augment):
  """A draw whose batches have `augment`ed inputs; draw -> draw.

  The key of a step is split: `draw` gets one half, `augment` the other. Inside
  `mixup.paired` examples and partners are augmented apart, before they blend.
  Evaluation keeps the draw that is not wrapped.

  Args:
    draw: `(shared, own, item, key) -> batch` with batch['x'] [B, H, W, C].
    augment: `(key, x) -> x`, e.g. `standard`, or
      `functools.partial(standard, cutout_size=16)`.
  """

  def drawn(shared, own, item, key):
    draw_key, augment_key = jax.random.split(key)
    batch = draw(shared, own, item, draw_key)
    return batch | {'x': augment(augment_key, batch['x'])}

  return drawn
