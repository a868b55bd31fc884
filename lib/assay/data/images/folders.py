"""A user's own images: a folder that holds a folder for each class."""
import io
import os
import pathlib

import numpy as np

from assay import keys
from assay.errors import UserError

PARTS = ('train', 'test')
# No other format: some of Pillow's decoders start other programs.
FORMATS = {'PNG': ('.png',), 'JPEG': ('.jpg', '.jpeg'), 'BMP': ('.bmp',),
           'WEBP': ('.webp',)}
SUFFIXES = tuple(s for suffixes in FORMATS.values() for s in suffixes)
IGNORED = ('thumbs.db', 'desktop.ini')  # and what begins with a dot
MAX_FILE_BYTES = 2**26
MAX_PIXELS = 2**25  # of one image, before it is resized
MAX_BYTES = 2**30  # of all images of a part
MODES = {'L': 1, '1': 1, 'RGB': 3, 'P': 3}  # channels


def class_names(folder):
  """The sorted names of the classes: the folders in it, or in its `train`.

  Raises:
    UserError: no folder, fewer than two classes, or images outside of them.
  """
  folder = pathlib.Path(os.path.expanduser(folder))
  if not folder.is_dir():
    raise UserError(f'{folder} is not a folder; name one that holds a folder '
                    'of images for each class.')
  parts = [part for part in PARTS if (folder / part).is_dir()]
  if len(parts) == 1:
    raise UserError(f'{folder} has a folder {parts[0]!r} alone; it needs both, '
                    "'train' and 'test', or folders of classes only.")
  if parts:
    for path in _listed(folder):
      if path.is_dir() and path.name not in PARTS:
        raise UserError(f'{path} is neither train nor test; images to validate '
                        "on are taken from 'train' by each run.")
    return _classes(folder / 'train')
  return _classes(folder)


def load(folder, size=None, channels=None, test_share=0.2):
  """Images in folders of classes, with the folders' names sorted as labels.

  Either `folder/class/file`, of which each class gives `test_share` of its
  images to the test part, the same ones each time; or `folder/train/class/file`
  and `folder/test/class/file`, with the same classes. Files are PNG, JPEG, BMP
  or WebP of 8 bits, gray or in colors, without transparency, turned as their
  camera says.

  Args:
    folder: path.
    size: (H, W), to which images are resized (bilinear, antialiased); None: all
      must be of one size.
    channels: 1 or 3, to which images are converted; None: all must have the
      same number.
    test_share: in (0, 1); each class keeps at least one image in each part.

  Returns:
    dict of train_x, test_x [N, H, W, C] uint8 and train_y, test_y [N] int32,
    by class and file name.

  Raises:
    UserError: names the file or the class, and says what to do.
  """
  if size is not None and (len(size) != 2 or min(size) < 1):
    raise UserError(f'size={size!r} must be two numbers of at least 1, height '
                    'and width.')
  if channels not in (None, 1, 3):
    raise UserError(f'channels={channels!r} must be 1 (gray) or 3 (colors).')
  if not 0 < test_share < 1:
    raise UserError(f'test_share={test_share} must be between 0 and 1.')
  names = class_names(folder)
  folder = pathlib.Path(os.path.expanduser(folder))
  if (folder / 'train').is_dir():
    if others := set(names) ^ set(_classes(folder / 'test')):
      raise UserError(f'{folder}: {sorted(others)} are classes of train or of '
                      'test alone; both need the same.')
    found = {part: [_files(folder / part / name) for name in names]
             for part in PARTS}
  else:
    found = {part: [] for part in PARTS}
    for name in names:
      for part, files in _parted(folder / name, test_share).items():
        found[part].append(files)
  out, first = {}, None
  for part, by_class in found.items():
    x = []
    for path in (path for files in by_class for path in files):
      x.append(_pixels(path, size, channels))
      first = first or (path, x[0].shape)
      if x[-1].shape != first[1]:
        raise UserError(
            f'{path} is of shape {x[-1].shape} (height, width, channels), but '
            f'{first[0]} of {first[1]}; give size=(height, width) and '
            'channels=1 or 3 to make them equal.')
      if len(x) * x[0].size > MAX_BYTES:
        raise UserError(f'{folder} holds more than {MAX_BYTES} bytes of '
                        'pixels; give a smaller size=(height, width), or use '
                        '`assay.data.stream`.')
    out[f'{part}_x'] = np.stack(x)
    out[f'{part}_y'] = np.repeat(np.arange(len(names), dtype=np.int32),
                                 [len(files) for files in by_class])
  return out


def _classes(folder):
  """Sorted names of at least two folders in a folder without images."""
  names = []
  for path in _listed(folder):
    if path.is_dir():
      names.append(path.name)
    elif path.suffix.lower() in SUFFIXES:
      raise UserError(f'{path} lies in no folder of a class; move it into one.')
  if len(names) < 2:
    raise UserError(f'{folder} holds the folders {names}; at least two classes '
                    'are needed: make a folder of images for each.')
  return names


def _listed(folder):
  return sorted((path for path in folder.iterdir()
                 if not path.name.startswith('.')
                 and path.name.lower() not in IGNORED), key=lambda p: p.name)


def _files(folder):
  """The sorted image files of a class; nothing else may be there."""
  files = _listed(folder)
  for path in files:
    if path.is_dir() or path.suffix.lower() not in SUFFIXES:
      raise UserError(f'{path} is not an image ({", ".join(SUFFIXES)}); '
                      'a folder of a class must hold images alone.')
  if not files:
    raise UserError(f'{folder} holds no image; remove it, or add images.')
  return files


def _parted(folder, test_share):
  """The files of a class for training and test, each in order of names."""
  files = _files(folder)
  if len(files) < 2:
    raise UserError(f'{folder} holds one image; a class needs two, for '
                    'training and for the test.')
  rng = keys.generator(0, 'own images')
  num_test = min(max(1, round(test_share * len(files))), len(files) - 1)
  test = set(rng.permutation(len(files))[:num_test].tolist())
  return {'train': [f for i, f in enumerate(files) if i not in test],
          'test': [f for i, f in enumerate(files) if i in test]}


def bound(image):
  """Raises a ValueError for an opened image that is too large to decode."""
  if image.width * image.height > MAX_PIXELS:
    raise ValueError(f'{image.width} x {image.height} pixels, more than '
                     f'{MAX_PIXELS}; save it smaller')


def plain(image, channels=None):
  """An image of 8 bits, gray or in colors, of mode L or RGB.

  Args:
    image: of Pillow, not transparent.
    channels: 1 or 3; default those it has. A palette has colors.

  Raises:
    ValueError: transparent pixels, or more than 8 bits.
  """
  if image.has_transparency_data:
    alpha = image.convert('RGBA').getchannel('A')
    if alpha.getextrema() != (255, 255):
      raise ValueError('transparent pixels; save it without transparency')
    image = image.convert('L' if image.mode == 'LA' else 'RGB')
  if image.mode not in MODES:
    raise ValueError(f'pixels of the kind {image.mode!r}; save it with 8 bits, '
                     'gray or RGB')
  return image.convert('L' if (channels or MODES[image.mode]) == 1 else 'RGB')


def _pixels(path, size, channels):
  """One image, [H, W, C] uint8."""
  from PIL import Image, ImageOps

  try:
    if path.stat().st_size > MAX_FILE_BYTES:
      raise ValueError(f'more than {MAX_FILE_BYTES} bytes')
    with Image.open(io.BytesIO(path.read_bytes()), formats=(*FORMATS,)) as file:
      bound(file)
      image = plain(ImageOps.exif_transpose(file), channels)
      found = MODES[image.mode]
      if size is not None:
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
      return np.asarray(image).reshape(image.height, image.width, found)
  except Exception as e:  # wrong bytes may break a decoder in any way
    what = str(e) or type(e).__name__
    raise UserError(f'{path} cannot be used: {what:.200}; replace or remove '
                    'it.') from e
