"""Batches of images: statistics of channels, and draws of a split."""

import jax.numpy as jnp
import numpy as np

from assay.errors import UserError


def channel_statistics(x, rows=None):
  """Mean and standard deviation of each channel, with 255 as 1.

  Exact up to the last rounding, by counting values; ddof is 0.

  Args:
    x: [N, H, W, C] uint8.
    rows: [n] int row numbers to count; None counts all.

  Returns:
    (mean, std), each a tuple of C floats in [0, 1].
  """
  rows = np.arange(len(x)) if rows is None else rows
  if x.dtype != np.uint8 or not len(rows):
    raise ValueError(f'x has dtype {x.dtype} and {len(rows)} rows; it must be '
                     'uint8 with at least one.')
  counts = np.zeros((x.shape[3], 256), np.int64)
  for start in range(0, len(rows), 1000):  # `bincount` needs 8 bytes a pixel
    block = x[rows[start:start + 1000]]
    for c, count in enumerate(counts):
      count += np.bincount(block[..., c].ravel(), minlength=256)
  mean, std = [], []
  for count in counts.tolist():
    # Python integers: the difference below loses nothing.
    n = sum(count)
    first = sum(v * k for v, k in enumerate(count))
    second = sum(v * v * k for v, k in enumerate(count))
    mean.append(first / (255 * n))
    std.append(((n * second - first**2) / (255 * n)**2) ** 0.5)
  return tuple(mean), tuple(std)


def draw_from(split, mean, std, change=None):
  """A `draw(shared, own, item, key)` of normalized images of one split.

      x = (change(image / 255) - mean) / std

  `item` [B] int32 counts within the row list f'{split}_rows', such as 'train'
  or 'masked'. This list, the images x [N, H, W, C] uint8 and the labels y [N]
  int32 are the seed's own where `own` (that of one seed) has them, else those
  of `shared`. The batch is x [B, H, W, C] float32, y [B] int32 and index [B]
  int32, the row number. Where there is `first_row`, x and y are those from this
  row on. An item beyond the split, or below 0, gives x of NaN
  and -1 for y and index: the compiled program cannot raise an error.

  Args:
    split: name of the row list, without '_rows'.
    mean, std: floats, or a tuple of C floats for each; see
      `channel_statistics`.
    change: `(images [B, H, W, C] float32 in [0, 1], rows [B] int32) -> images`
      of the same shape, such as a corruption; None: nothing.

  Raises:
    UserError: a standard deviation is not positive. `draw` raises it where
      there is no such row list.
  """
  mean, std = (np.asarray(v, np.float32).reshape(1, 1, 1, -1)
               for v in (mean, std))
  if not (std > 0).all():
    raise UserError(f'std={std.ravel().tolist()} must be above 0.')

  def draw(shared, own, item, key):
    del key  # methods that need it wrap `draw`
    data = shared | own
    name = f'{split}_rows'
    if name not in data:
      known = sorted(k[:-5] for k in data if k.endswith('_rows'))
      raise UserError(f'No split named {split!r}; known: {known}.')
    # Integers have no NaN to fill with, so -1 stands for it.
    rows = _take(data[name], item)
    at = rows - data['first_row'] if 'first_row' in data else rows
    y = _take(data['y'], at)
    images = jnp.take(data['x'], at, axis=0, mode='clip')
    x = images.astype(jnp.float32) / 255
    if change is not None:
      x = change(x, rows)
    x = (x - mean) / std
    x = jnp.where((y < 0)[:, None, None, None], jnp.nan, x)
    return {'x': x, 'y': y, 'index': rows}

  return draw


def _take(values, item):
  """values[item], -1 where an item is out of range or negative; int32."""
  inside = (item >= 0) & (item < len(values))
  taken = jnp.take(values, item, mode='clip')
  return jnp.where(inside, taken, -1).astype(jnp.int32)
