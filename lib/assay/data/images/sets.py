"""Small image sets: which are known, and how they are read."""
import functools
import hashlib
import os
import re

import numpy as np

from assay.data import files, tabular
from assay.data.images import folders
from assay.errors import UserError

PARTS = ('train', 'test')
DIGITS = tuple('0123456789')
CIFAR100 = tuple('''
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl
    boy bridge bus butterfly camel can castle caterpillar cattle chair
    chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur
    dolphin elephant flatfish forest fox girl hamster house kangaroo
    keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter
    palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum
    rabbit raccoon ray road rocket rose sea seal shark shrew skunk
    skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper
    table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm
'''.split())
CIFAR100_TEST = (  # see `pairs_sha256`
    '0a8266eb897b0ef7fb98fcba2dab63e5979b72e5dd9f089213206e52efd20441')


def _read_parts(name, part, data_dir):
  """Images and labels that are a source each; one channel gets its axis."""
  x = files.read(f'{name}/{part}_images', data_dir)
  return (x[..., None] if x.ndim == 3 else x,
          files.read(f'{name}/{part}_labels', data_dir))


def _cifar10(part, data_dir):
  batches = files.TRAIN_BATCHES if part == 'train' else ('test_batch',)
  return (np.concatenate([files.read(f'cifar10/{batch}', data_dir)
                          for batch in batches]),
          files.read(f'cifar10/{part}_labels', data_dir))


def _digits(part, data_dir):
  del data_dir
  table = files.read_shipped('digits.csv.gz', ',')  # the last column: labels
  if not np.isin(table[:, :-1], np.arange(17)).all():
    raise UserError("Image set 'digits' has other values than 0, 1, ..., 16; "
                    'install the versions in setup.cfg.')
  x = np.rint(table[:, :-1].reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
  rows = tabular.split(len(x), (1000, 0, len(x) - 1000), 0, 'digits')[part]
  return x[rows], table[rows, -1].astype(int)


def _usps(part, data_dir):
  del part
  return (files.read('usps/images', data_dir).reshape(-1, 16, 16, 1),
          files.read('usps/labels', data_dir).ravel() - 1)


def _parts(name):
  return functools.partial(_read_parts, name)


# `read` takes a part and the folder of `files.find`; `shipped`: no file has to
# be found; `shape` is that of an
# image; `train_counts` and `test_counts` are by class.
IMAGES = {
    'mnist': dict(
        read=_parts('mnist'), shape=(28, 28, 1),
        num_classes=10, class_names=DIGITS,
        train_counts=(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851,
                      5949),
        test_counts=(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)),
    'fashion_mnist': dict(
        read=_parts('fashion_mnist'), shape=(28, 28, 1),
        num_classes=10,
        class_names=('T-shirt/top', 'Trouser', 'Pullover', 'Dress', 'Coat',
                     'Sandal', 'Shirt', 'Sneaker', 'Bag', 'Ankle boot'),
        train_counts=(6000,) * 10, test_counts=(1000,) * 10),
    'cifar10': dict(
        read=_cifar10, shape=(32, 32, 3), num_classes=10,
        class_names=('airplane', 'automobile', 'bird', 'cat', 'deer', 'dog',
                     'frog', 'horse', 'ship', 'truck'),
        train_counts=(5000,) * 10, test_counts=(1000,) * 10),
    'kmnist': dict(
        read=_parts('kmnist'), shape=(28, 28, 1), num_classes=10,
        class_names=('o', 'ki', 'su', 'tsu', 'na', 'ha', 'ma', 'ya', 're',
                     'wo'),
        train_counts=(6000,) * 10, test_counts=(1000,) * 10),
    'svhn_cropped': dict(
        read=_parts('svhn_cropped'), shape=(32, 32, 3), num_classes=10,
        class_names=DIGITS,
        train_counts=(4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045,
                      4659),
        test_counts=(1744, 5099, 4149, 2882, 2523, 2384, 1977, 2019, 1660,
                     1595)),
    'cifar100': dict(
        read=_parts('cifar100'), shape=(32, 32, 3), num_classes=100,
        class_names=CIFAR100, train_counts=(500,) * 100,
        test_counts=(100,) * 100, test_pairs_sha256=CIFAR100_TEST),
    # The first fifth of the training images of each class, and all of the test
    # set, both by class and file name.
    'cifar100_fifth': dict(
        read=_parts('cifar100_fifth'), shape=(32, 32, 3), num_classes=100,
        class_names=CIFAR100, train_counts=(100,) * 100,
        test_counts=(100,) * 100, test_pairs_sha256=CIFAR100_TEST),
    # The test set of Alpaydin and Kaynak (1998), with its 17 shades made
    # 0, 16, 32, ..., 255. Nobody published a split of it; this one is ours.
    'digits': dict(
        read=_digits, shipped=True, shape=(8, 8, 1), num_classes=10,
        class_names=DIGITS,
        train_counts=(101, 105, 95, 99, 102, 117, 89, 96, 109, 87),
        test_counts=(77, 77, 82, 84, 79, 65, 92, 83, 65, 93)),
}


def load(name, data_dir=None, size=None, channels=None, test_share=0.2):
  """An image set as published, in its published order (`digits`: shuffled).

  Args:
    name: a key of `IMAGES`, or the path of a folder with a folder of images for
      each class, see `folders.load`, and after it what to make of them, if
      anything: 'pets:32x32' or, with the number of channels, 'pets:32x32x1'.
    data_dir: folder with the data files, see `files.find`; or what a
      `files.Described` makes up.
    size, channels, test_share: for a folder, see `folders.load`.

  Returns:
    dict of train_x, test_x [N, H, W, C] uint8 from 0 to 255 and train_y,
    test_y [N] int32 in [0, num_classes).

  Raises:
    UserError: the name is unknown, a file is missing or another one, or the
      set is not the one known here; an image of a folder cannot be used.
  """
  if is_own(name):
    folder, named_size, named_channels = _made_of(name)
    return folders.load(folder, size or named_size, channels or named_channels,
                        test_share)
  _check_known(name, IMAGES)
  if size or channels:
    raise UserError(f'size={size} and channels={channels} are for a folder of '
                    f'images; {name!r} is as published: leave them out.')
  spec = IMAGES[name]
  out = {}
  for part in PARTS:
    out[f'{part}_x'], out[f'{part}_y'] = _load_part(name, spec, part, data_dir)
  return out


def is_own(name):
  """Whether a name that is not known here is the path of a folder."""
  return name not in IMAGES | TEST_ONLY and bool(
      os.path.dirname(name) or os.path.isdir(_made_of(name)[0]))


def label(name):
  """What rows call a data set: 'pets:32x32' for '/home/me/pets:32x32'."""
  return os.path.basename(name.rstrip('/')) if is_own(name) else name


def _made_of(name):
  """(folder, size, channels) of 'folder:HxWxC', of which C or all may lack."""
  found = re.fullmatch(r'(.+):(\d+)x(\d+)(?:x(\d+))?', name)
  if not found:
    return name, None, None
  folder, height, width, channels = found.groups()
  return (folder, (int(height), int(width)),
          None if channels is None else int(channels))


def class_names(name):
  """The names of the classes, in order of the labels.

  Args:
    name: as in `load`.

  Raises:
    UserError: the name is unknown, or the folder has no two classes.
  """
  if is_own(name):
    return tuple(folders.class_names(_made_of(name)[0]))
  _check_known(name, IMAGES)
  return IMAGES[name]['class_names']


def _check_known(name, known):
  if name not in known:
    raise UserError(f'No image set named {name!r}; known: {sorted(known)}, or '
                    'the path of a folder with a folder for each class.')


def pairs_sha256(x, y):
  """sha256 of images [N, ...] uint8 with their labels < 256, in no order."""
  rows = np.concatenate([y.astype(np.uint8)[:, None], x.reshape(len(x), -1)], 1)
  return hashlib.sha256(b''.join(sorted(map(bytes, rows)))).hexdigest()


def _load_part(name, spec, part, data_dir):
  """(x, y int32) of a part; a UserError unless it is the one known here."""
  made_up = isinstance(data_dir, files.Described) and 'shipped' not in spec
  x, y = data_dir.images(name, spec['shape'], spec[f'{part}_counts']) if (
      made_up) else spec['read'](part, data_dir)
  num_images = sum(spec[f'{part}_counts'])
  for what, found, known in (
      ('dtype', x.dtype, np.dtype(np.uint8)),
      ('shape', x.shape, (num_images, *spec['shape'])),
      ('shape of labels', y.shape, (num_images,)),
      ('range', (int(x.min()), int(x.max())), (0, 255)),
      ('counts by class', tuple(np.bincount(y).tolist()),
       spec[f'{part}_counts'])):
    if found != known:
      raise UserError(
          f'Image set {name!r}: the {what} of the {part} part is {found}, '
          f'not {known}; install the versions in setup.cfg.')
  known = spec.get(f'{part}_pairs_sha256')
  if known and not made_up and pairs_sha256(x, y) != known:
    raise UserError(f'Image set {name!r}: the {part} part is not the one known '
                    f'here, whose images with their labels have sha256 {known} '
                    'in sorted order; prepare or fetch it again.')
  return x, y.astype(np.int32)


# Sets of which only a test part is known here, to be evaluated on.
TEST_ONLY = {
    'notmnist': dict(
        read=_parts('notmnist'), shape=(28, 28, 1), test_counts=(1000,) * 10),
    # Sorted by class, as published.
    'usps': dict(read=_usps, shape=(16, 16, 1), test_counts=(1100,) * 10),
}


def load_test(name, data_dir=None):
  """The test part of an image set, of those in `TEST_ONLY` too.

  Args:
    name: a key of `IMAGES` or `TEST_ONLY`.
    data_dir: folder with the data files, see `files.find`; or what a
      `files.Described` makes up.

  Returns:
    (x [N, H, W, C] uint8, y [N] int32), in the published order.

  Raises:
    UserError: as `load`.
  """
  known = IMAGES | TEST_ONLY
  _check_known(name, known)
  return _load_part(name, known[name], 'test', data_dir)
