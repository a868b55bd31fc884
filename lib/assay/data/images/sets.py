"""Small image sets: which are known, and how they are read."""
import functools

import numpy as np

from assay.data import files, tabular
from assay.errors import UserError

PARTS = ('train', 'test')
DIGITS = tuple('0123456789')


def _idx_set(name, data_dir):
  """The four files of a set in the layout of MNIST; one channel."""
  images = {}
  for part in PARTS:
    images[f'{part}_x'] = files.read(f'{name}/{part}_images',
                                     data_dir)[..., None]
    images[f'{part}_y'] = files.read(f'{name}/{part}_labels', data_dir)
  return images


def _cifar10(data_dir):
  return {
      'train_x': np.concatenate([files.read(f'cifar10/{batch}', data_dir)
                                 for batch in files.TRAIN_BATCHES]),
      'train_y': files.read('cifar10/train_labels', data_dir),
      'test_x': files.read('cifar10/test_batch', data_dir),
      'test_y': files.read('cifar10/test_labels', data_dir)}


def _digits(data_dir):
  del data_dir  # scikit-learn ships the file
  from sklearn import datasets  # takes a second, so only where used
  digits = datasets.load_digits()
  if not np.isin(digits.images, np.arange(17)).all():
    raise UserError("Image set 'digits' has other values than 0, 1, ..., 16; "
                    'install the versions in setup.cfg.')
  x = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., None]
  rows = tabular.split(len(x), (1000, 0, len(x) - 1000), 0, 'digits')
  return {f'{part}_{k}': v[rows[part]] for part in PARTS
          for k, v in (('x', x), ('y', digits.target))}


# `shape` of an image; `train_counts` and `test_counts` by class.
IMAGES = {
    'mnist': dict(
        read=functools.partial(_idx_set, 'mnist'), shape=(28, 28, 1),
        num_classes=10, class_names=DIGITS,
        train_counts=(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851,
                      5949),
        test_counts=(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)),
    'fashion_mnist': dict(
        read=functools.partial(_idx_set, 'fashion_mnist'), shape=(28, 28, 1),
        num_classes=10,
        class_names=('T-shirt/top', 'Trouser', 'Pullover', 'Dress', 'Coat',
                     'Sandal', 'Shirt', 'Sneaker', 'Bag', 'Ankle boot'),
        train_counts=(6000,) * 10, test_counts=(1000,) * 10),
    'cifar10': dict(
        read=_cifar10, shape=(32, 32, 3), num_classes=10,
        class_names=('airplane', 'automobile', 'bird', 'cat', 'deer', 'dog',
                     'frog', 'horse', 'ship', 'truck'),
        train_counts=(5000,) * 10, test_counts=(1000,) * 10),
    # The test set of Alpaydin and Kaynak (1998), with its 17 shades made
    # 0, 16, 32, ..., 255. Nobody published a split of it; this one is ours.
    'digits': dict(
        read=_digits, shape=(8, 8, 1), num_classes=10, class_names=DIGITS,
        train_counts=(101, 105, 95, 99, 102, 117, 89, 96, 109, 87),
        test_counts=(77, 77, 82, 84, 79, 65, 92, 83, 65, 93)),
}


def load(name, data_dir=None):
  """An image set as published, in its published order (`digits`: shuffled).

  Args:
    name: a key of `IMAGES`.
    data_dir: folder with the data files; see `files.find`.

  Returns:
    dict of train_x, test_x [N, H, W, C] uint8 from 0 to 255 and train_y,
    test_y [N] int32 in [0, num_classes).

  Raises:
    UserError: the name is unknown, a file is missing or another one, or the
      set is not the one known here.
  """
  if name not in IMAGES:
    raise UserError(f'No image set named {name!r}; known: {sorted(IMAGES)}.')
  spec = IMAGES[name]
  images = spec['read'](data_dir)
  out = {}
  for part in PARTS:
    x, y = images[f'{part}_x'], images[f'{part}_y']
    _check_part(name, part, x, y, spec)
    out |= {f'{part}_x': x, f'{part}_y': y.astype(np.int32)}
  return out


def _check_part(name, part, x, y, spec):
  """Raises a UserError unless this is the set that is known here."""
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


# Sets of which only a test part is known here, to be evaluated on.
TEST_ONLY = {
    'kmnist': dict(
        read=lambda data_dir: (
            files.read('kmnist/test_images', data_dir)[..., None],
            files.read('kmnist/test_labels', data_dir)),
        shape=(28, 28, 1), test_counts=(1000,) * 10),
    'notmnist': dict(
        read=lambda data_dir: (
            files.read('notmnist/test_images', data_dir)[..., None],
            files.read('notmnist/test_labels', data_dir)),
        shape=(28, 28, 1), test_counts=(1000,) * 10),
    # Sorted by class, as published.
    'usps': dict(
        read=lambda data_dir: (
            files.read('usps/images', data_dir).reshape(-1, 16, 16, 1),
            files.read('usps/labels', data_dir).ravel() - 1),
        shape=(16, 16, 1), test_counts=(1100,) * 10),
}


def load_test(name, data_dir=None):
  """The test part of an image set, of those in `TEST_ONLY` too.

  Args:
    name: a key of `IMAGES` or `TEST_ONLY`.
    data_dir: folder with the data files; see `files.find`.

  Returns:
    (x [N, H, W, C] uint8, y [N] int32), in the published order.

  Raises:
    UserError: as `load`.
  """
  if name not in TEST_ONLY:
    if name not in IMAGES:
      raise UserError(f'No image set named {name!r}; known: '
                      f'{sorted([*IMAGES, *TEST_ONLY])}.')
    table = load(name, data_dir)
    return table['test_x'], table['test_y']
  x, y = TEST_ONLY[name]['read'](data_dir)
  _check_part(name, 'test', x, y, TEST_ONLY[name])
  return x, y.astype(np.int32)
