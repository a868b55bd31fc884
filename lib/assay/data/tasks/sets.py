"""Sets of images to make classification tasks of, few numbers an image."""

import math
import zlib

import jax
import numpy as np

from assay import keys
from assay.data import images
from assay.data.tasks import classification
from assay.errors import UserError

REDUCTIONS = ('components', 'pixels')


def image_sets(dataset, classes, reduce, num_inputs, others=(),
               random_points=20, data_dir=None):
  """A set of images and others that are only tested on, normalized.

  Args:
    dataset: as `images.load` knows it.
    classes: those of 0 to 9 that are kept, as labels 0, 1, ... in order.
    reduce: 'components', the first principal ones of each set, or 'pixels',
      gray ones of a square.
    num_inputs: n.
    others: `other_classes`, those of the set that are not kept; `clusters` and
      `random`, generated, the same for all seeds; and sets that
      `images.load_test` knows.
    random_points: images of `random`.
    data_dir: where to look for files first.

  Returns:
    {(name, split): (images [N, n] float32, labels [N] int32)}: of the set
    `test`, `seen` (its training images) and `seen_test` (those of `test`), of
    others `test`. Not all others have all classes.

  Raises:
    UserError: an argument that cannot be meant.
  """
  if reduce not in REDUCTIONS:
    raise UserError(f"reduce={reduce!r}; use 'components' or 'pixels'.")
  if reduce == 'pixels' and math.isqrt(num_inputs)**2 != num_inputs:
    raise UserError(f'num_inputs={num_inputs} is no square of pixels; use a '
                    'square.')
  chosen = {*classes}
  if not 2 <= len(chosen) == len(classes) or not chosen <= {*range(10)}:
    raise UserError(f'classes={classes} must be two or more of 0 to 9, each '
                    'once.')
  if 'other_classes' in others and len(chosen) > 8:
    raise UserError(f'classes={classes} leave fewer than two for other_sets='
                    'other_classes; leave that out.')
  table = images.load(dataset, data_dir)
  parts = [table[f'{part}_{k}'] for part in ('train', 'test') for k in 'xy']
  train, test = _reduced(classes, reduce, num_inputs, *parts)
  sets = {(dataset, 'test'): test, (dataset, 'seen'): train,
          (dataset, 'seen_test'): test}
  for name in others:
    if name == 'other_classes':
      rest = tuple(k for k in range(10) if k not in chosen)
      made = _reduced(rest, reduce, num_inputs, *parts)[1]
    elif name in ('clusters', 'random'):
      made = _generated(name, num_inputs, len(classes), random_points)
    else:
      made = _held_out(name, classes, reduce, num_inputs, data_dir)
    sets[name, 'test'] = made
  return sets


def gray_pixels(x, num_inputs):
  """Gray images of a square of pixels, [N, side, side] float32.

  Args:
    x: [N, H, W, C] number.
    num_inputs: side^2.
  """
  side = math.isqrt(num_inputs)
  gray = x.astype(np.float32).mean(axis=-1)
  if gray.shape[1:] == (side, side):
    return gray
  return np.asarray(jax.image.resize(gray, (len(x), side, side), 'linear'))


def _reduced(classes, reduce, num_inputs, train_x, train_y, test_x, test_y):
  """((images, labels) of training, of testing), of some classes."""
  found = []
  for x, y in ((train_x, train_y), (test_x, test_y)):
    keep = np.isin(y, classes)
    found.append((x[keep], np.searchsorted(np.sort(classes), y[keep])))
  (x, y), (test, test_y) = found
  if reduce == 'components':
    flat = lambda x: x.reshape(len(x), -1).astype(np.float64)
    project = classification.principal_components(flat(x), num_inputs)
    x, test = project(flat(x)), project(flat(test))
  else:
    # Scalars of the set as a whole, as the paper's re-implementations.
    both = classification.normalized(gray_pixels(
        np.concatenate([x, test]), num_inputs))
    x, test = both[:len(x)], both[len(x):]
  return (x, y.astype(np.int32)), (test, test_y.astype(np.int32))


def _held_out(name, classes, reduce, num_inputs, data_dir):
  """Test images of a set that is never trained on.

  Half of them, at random, make its principal components; the others are
  evaluated on.
  """
  x, y = images.load_test(name, data_dir)
  rows = keys.generator(0, name).permutation(len(y))
  first, second = np.split(rows, [len(rows) // 2])
  first = first[:4000]  # enough for a few components of a few numbers
  return _reduced(classes, reduce, num_inputs, x[first], y[first], x[second],
                  y[second])[1]


def _generated(name, num_inputs, num_classes, random_points):
  key = jax.random.key(zlib.crc32(name.encode()))
  if name == 'random':
    made = classification.random_20(key, num_inputs, random_points,
                                    num_classes)
  else:
    made = classification.gaussian_clusters(key, 2000, num_inputs, num_classes)
    made = classification.normalized(made[0]), made[1]
  return tuple(map(np.asarray, made))
