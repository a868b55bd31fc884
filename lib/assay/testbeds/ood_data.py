"""Known images, and sets of unknown ones. Part of the testbed `ood`.

Of `config.net` are read dataset, known (its classes that are known),
split_sizes, data_seed, and merged, if it is there: so many known classes, one
after the other, are one label. Of the config near, far (names of `SETS`),
num_unknown (images of each), and painted.

A gray image among colors gives itself away by its equal channels. So gray sets
are `painted`: black and white become two colors of a known image, drawn for
each. `best_feature` tells which sets one number of an image tells from the
known; what is so near to 1 is called trivial and is no part of a mean.
"""

import zlib

import numpy as np

from assay import keys
from assay.data import images
from assay.errors import UserError, check_names
from assay.metrics import detection, selective
from assay.testbeds import vision_nets

TRIVIAL = .99  # AUROC of one feature
KINDS = ('near', 'far')
FEATURES = ('mean', 'variance', 'color', 'compressed')


def num_classes(net):
  """K of a `config.net`, the labels of known images."""
  merged = net.get('merged', 1)
  if len(net.known) % merged:
    raise UserError(f'merged={merged}: {len(net.known)} known classes are no '
                    'whole number of labels; choose one that divides it.')
  return len(net.known) // merged


def load(net, data_dir=None):
  """The `vision_nets.Data` of the known classes, with labels 0 .. K - 1.

  Merged classes are in `shared` too, as `fine` [N] int32.
  """
  table = images.load(net.dataset, data_dir)
  classes, known = [(c,) for c in net.known], {}
  for part in images.PARTS:
    rows, y = images.choose(table[f'{part}_y'], classes)
    known |= {f'{part}_x': table[f'{part}_x'][rows], f'{part}_y': y}
  shared = vision_nets.of_table(net, known).shared
  # Images that no split has would be part of the name of every network.
  splits = [name for name in shared if name.endswith('_rows')]
  rows = np.concatenate([shared[name] for name in splits])
  ends = np.cumsum([len(shared[name]) for name in splits])
  y = shared['y'][rows]
  merged = np.int32(len(net.known) // num_classes(net))
  labels = {'y': y} if merged == 1 else {'y': y // merged, 'fine': y}
  return vision_nets.Data({'x': shared['x'][rows]} | labels | {
      name: np.arange(end - len(shared[name]), end, dtype=np.int32)
      for name, end in zip(splits, ends, strict=True)})


def unknown(config, data, data_dir=None):
  """{name: x [num_unknown, H, W, C] uint8} of the near and the far sets.

  Raises:
    UserError: no such set, one without enough images, or of another shape.
  """
  names = (*config.near, *config.far)
  check_names('near and far', names, SETS, 'set of unknown images')
  found = {}
  for name in names:
    rng = keys.generator(config.net.data_seed, f'unknown {name}')
    x = SETS[name](config, data, rng, data_dir)
    if len(x) < config.num_unknown:
      raise UserError(f'num_unknown={config.num_unknown}: {name} has {len(x)} '
                      'images; use at most as many.')
    if x.shape[1:] != data.shared['x'].shape[1:]:
      raise UserError(f'{name}: images of {x.shape[1:]} are no set beside '
                      f'{config.net.dataset} of {data.shared["x"].shape[1:]}; '
                      'choose another.')
    found[name] = x[:config.num_unknown]
  return found


def mixed(config, data):
  """[n, H, W, C] uint8: means of two held-out images of different classes.

  What settings of a score are chosen by, in the place of unknown images; as
  many as a set of those has, if so many are held out.
  """
  rng = keys.generator(config.net.data_seed, 'mixed')
  x, y = (data.shared[k][data.shared['val_rows']] for k in 'xy')
  order = rng.permutation(len(y))[:config.num_unknown]
  partner = np.array([rng.choice(np.flatnonzero(y != label))
                      for label in y[order]])
  return ((x[order].astype(int) + x[partner]) // 2).astype(np.uint8)


# --- Sets --------------------------------------------------------------------


def _other_classes(config, data, rng, data_dir):
  del data
  table, net = images.load(config.net.dataset, data_dir), config.net
  y = np.concatenate([table[f'{part}_y'] for part in images.PARTS])
  rows = rng.permutation(np.flatnonzero(~np.isin(y, net.known)))
  x = np.concatenate([table[f'{part}_x'] for part in images.PARTS])
  return x[rows]


def _known(config, data, rng):
  """Training images, in a random order, as many as a set needs."""
  rows = rng.permutation(np.resize(data.shared['train_rows'],
                                   config.num_unknown))
  return data.shared['x'][rows]


def _shuffled(config, data, rng, data_dir):
  del data_dir
  x = _known(config, data, rng)
  pixels = x.reshape(len(x), -1, x.shape[3])
  order = np.argsort(rng.random(pixels.shape[:2]), axis=1)
  return np.take_along_axis(pixels, order[..., None], axis=1).reshape(x.shape)


def _scrambled(config, data, rng, data_dir):
  """Each image with the phases of noise: its own spectrum, nothing to see."""
  del data_dir
  x = _known(config, data, rng)
  noise = np.fft.rfft2(rng.random(x.shape[:3]), axes=(1, 2))
  phase = np.exp(1j * np.angle(noise))[..., None]
  phase[:, 0, 0] = 1  # the mean stays
  found = np.fft.irfft2(np.abs(np.fft.rfft2(x, axes=(1, 2))) * phase,
                        s=x.shape[1:3], axes=(1, 2))
  return np.clip(np.rint(found), 0, 255).astype(np.uint8)


def _uniform_noise(config, data, rng, data_dir):
  del data_dir
  shape = config.num_unknown, *data.shared['x'].shape[1:]
  return rng.integers(0, 256, shape, np.uint8)


def _gaussian_noise(config, data, rng, data_dir):
  """Independent pixels with the mean and the deviation of the known."""
  del data_dir
  mean, std = 255 * np.array(data.statistics)
  shape = config.num_unknown, *data.shared['x'].shape[1:]
  return np.clip(np.rint(rng.normal(mean, std, shape)), 0, 255).astype(
      np.uint8)


def _image_set(name):
  """A set by its name in `data.images`, made as the known ones are."""

  def found(config, data, rng, data_dir):
    x = images.load_test(name, data_dir)[0]
    x = resized(x[rng.permutation(len(x))[:config.num_unknown]],
                data.shared['x'].shape[1:3])
    if x.shape[3] == 1 and data.shared['x'].shape[3] == 3:
      x = (painted(x, _known(config, data, rng)[:len(x)], rng)
           if config.painted else np.repeat(x, 3, axis=3))
    return x

  return found


SETS = {
    'other_classes': _other_classes, 'shuffled': _shuffled,
    'scrambled': _scrambled, 'uniform_noise': _uniform_noise,
    'gaussian_noise': _gaussian_noise} | {name: _image_set(name) for name in (
        'cifar10', 'svhn_cropped', 'mnist', 'fashion_mnist', 'kmnist',
        'notmnist')} | {
            # What is read of it is the whole test set.
            'cifar100': _image_set('cifar100_fifth')}


def resized(x, size):
  """[N, *size, C] uint8, bilinear and antialiased, of [N, H, W, C]."""
  from PIL import Image

  if x.shape[1:3] == tuple(size):
    return x
  return np.stack([np.stack([
      np.asarray(Image.fromarray(channel).resize(
          size[::-1], Image.Resampling.BILINEAR))
      for channel in np.moveaxis(image, -1, 0)], axis=-1) for image in x])


def painted(x, colors, rng):
  """Gray images [N, H, W, 1] in two colors each; [N, H, W, 3] uint8.

  Args:
    x: uint8; 0 becomes the first color and 255 the second.
    colors: [N, H', W', 3] uint8, of an image each is one of its pixels.
    rng: of the pixels.
  """
  pixels = colors.reshape(len(x), -1, 3)
  at = rng.integers(pixels.shape[1], size=(len(x), 2))
  dark, light = np.moveaxis(np.take_along_axis(
      pixels, at[..., None], axis=1).astype(float), 1, 0)[:, :, None, None]
  return np.rint(dark + (light - dark) * (x / 255)).astype(np.uint8)


# --- One number of an image --------------------------------------------------


def features(x):
  """[N, 4] float64 of images [N, H, W, C] uint8, see `FEATURES`.

  The mean and the variance of all pixels, the mean distance of a channel from
  the mean of its pixel, and the bytes of the image as zlib packs it.
  """
  values = x.reshape(len(x), -1).astype(float)
  color = np.abs(x - x.mean(axis=3, keepdims=True)).mean(axis=(1, 2, 3))
  packed = [len(zlib.compress(image.tobytes(), 9)) for image in x]
  return np.stack([values.mean(axis=1), values.var(axis=1), color, packed], 1)


def best_feature(known, unknown):
  """(known [N], unknown [M]): the feature that tells them best, known higher.

  Which feature and direction that is is looked up in both: no detector could,
  so this is a bound, for sets that are told from the known too easily.

  Args:
    known, unknown: from `features`.
  """
  is_known = np.arange(len(known) + len(unknown)) < len(known)
  found = [selective.auroc(np.append(a, b), is_known)
           for a, b in zip(known.T, unknown.T, strict=True)]
  best = int(np.argmax(np.abs(np.array(found) - .5)))
  sign = 1 if found[best] >= .5 else -1
  return sign * known[:, best], sign * unknown[:, best]


def counted(config, features):
  """{kind: its sets that are not trivial}, the parts of the means.

  Args:
    config: near and far are read.
    features: 'test' and name of a set -> from `features`.
  """
  return {kind: [name for name in config[kind] if detection.summary(
      *best_feature(features['test'], features[name]))['auroc'] <= TRIVIAL]
          for kind in KINDS}
