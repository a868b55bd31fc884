"""Sets that TensorFlow Datasets has prepared, read without TensorFlow.

A prepared folder holds `dataset_info.json`, `features.json` and array records,
in an order of its own: that of md5(split name + position in the publisher's
files). It is undone here, so that rows are those of the publisher's files.
"""
import functools
import hashlib
import io
import os
import pathlib

import numpy as np

ENCODED_LIMIT = 2**16  # bytes of one image: 3 kB as pixels, in all sets known


class Unreadable(Exception):
  """Why a prepared folder gives no array."""


def find_folder(name, data_dir=None):
  """The newest prepared version of a set of TensorFlow Datasets, or None.

  Looked for in `data_dir`, then in the folder that the variable TFDS_DATA_DIR
  names, then in ~/tensorflow_datasets.
  """
  for folder in (data_dir, os.environ.get('TFDS_DATA_DIR'),
                 '~/tensorflow_datasets'):
    if folder:
      base = pathlib.Path(os.path.expanduser(folder), name)
      found = [info.parent for info in base.glob('*/dataset_info.json')
               if info.parent.name.replace('.', '').isdigit()]
      if found:
        return max(found, key=lambda f: [int(n or 0)
                                         for n in f.name.split('.')])
  return None


def read(folder, split, feature, shape, start=0):
  """Examples start .. start + N - 1 of the publisher's order, uint8.

  Args:
    folder: of one version, see `find_folder`.
    split: 'train' or 'test'.
    feature: 'image' or a label.
    shape: (N,) of labels, (N, H, W) or (N, H, W, C) of images.
    start: the first example.

  Raises:
    Unreadable: says why.
  """
  try:
    values = _columns(str(folder), split)[feature][start:start + shape[0]]
    if feature == 'image':
      values = [_pixels(value, shape[1:]) for value in values]
    values = np.array(values)
  except Unreadable:
    raise
  except Exception as e:  # wrong bytes may break a reader in any way
    raise Unreadable(
        f'{folder} holds no {split!r} images and labels as array records '
        f'({str(e) or type(e).__name__:.200}).') from e
  if values.shape != shape or values.min() < 0 or values.max() > 255:
    raise Unreadable(f'{folder} holds {split} {feature}s of shape '
                     f'{values.shape}, not {shape}, or not from 0 to 255.')
  return values.astype(np.uint8)


@functools.lru_cache(1)  # images and labels are asked for one after the other
def _columns(folder, split):
  """Lists of the examples by feature, images encoded, as published."""
  try:
    import tensorflow_datasets as tfds  # a second, and an extra
  except ImportError as e:
    raise Unreadable(f"{folder} was not read, as tensorflow-datasets is not "
                     "installed: pip install -e '.[tfds]'.") from e
  builder = tfds.builder_from_directory(folder)
  source = builder.as_data_source(
      split, decoders={'image': tfds.decode.SkipDecoding()})
  keys = [hashlib.md5(f'{split}{i}'.encode(), usedforsecurity=False).digest()
          for i in range(len(source))]
  published = np.argsort(sorted(range(len(keys)), key=keys.__getitem__))
  records = source.__getitems__(list(range(len(source))))
  return {feature: [records[i][feature] for i in published]
          for feature in records[0]}


def _pixels(encoded, shape):
  """A PNG image, [H, W] or [H, W, C] uint8."""
  from PIL import Image

  if len(encoded) > ENCODED_LIMIT:
    raise ValueError(f'an image of {len(encoded)} bytes')
  # No other format: some of Pillow's decoders start other programs.
  with Image.open(io.BytesIO(encoded), formats=('PNG',)) as image:
    if image.size != (shape[1], shape[0]):  # known before pixels are decoded
      raise ValueError(f'an image of {image.size} pixels')
    pixels = np.asarray(image)
  if pixels.shape != tuple(shape) or pixels.dtype != np.uint8:
    raise ValueError(f'an image of {pixels.shape} {pixels.dtype}')
  return pixels
