"""assay.data.augment: laws of crops, flips and cutout; keys and wrapping."""
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from assay.data import augment

# A right law fails one chi-square test in 10,000; keys are fixed in advance.
LEVEL = 1e-4
# Shared, so that a shape compiles once.
random_crop = jax.jit(augment.random_crop, static_argnames='padding')
random_flip = jax.jit(augment.random_flip)
cutout = jax.jit(augment.cutout, static_argnames='size')
standard = jax.jit(augment.standard,
                   static_argnames=('padding', 'cutout_size'))
METHODS = {'random_crop': random_crop, 'random_flip': random_flip,
           'cutout': functools.partial(cutout, size=4),
           'standard': functools.partial(standard, cutout_size=4)}


def images(num=6, height=8, width=6, channels=3, dtype='float32'):
  """[num, ...], no two pixels equal and none 0."""
  size = num * height * width * channels
  values = 1 + np.random.default_rng(0).permutation(size)
  return values.reshape(num, height, width, channels).astype(dtype)


def copies(num, height, width):
  """[num, height, width, 1] int32, the same image; no two pixels equal."""
  one = 1 + np.arange(height * width, dtype='int32')
  return np.broadcast_to(one.reshape(height, width, 1),
                         (num, height, width, 1))


def which(outputs, candidates):
  """[B]: the only candidate [K, ...] that equals each output [B, ...]."""
  equal = (outputs[:, None] == candidates[None]).all((2, 3, 4))
  np.testing.assert_array_equal(equal.sum(1), 1)
  return equal.argmax(1)


def windows(image, padding, fill=0):
  """[(2p + 1)^2, H, W, C] of `image` [H, W, C], by NumPy's padding."""
  height, width, _ = image.shape
  padded = np.stack([
      np.pad(image[..., c], padding, constant_values=value) for c, value in
      enumerate(np.broadcast_to(fill, image.shape[-1:]))], -1)
  return np.stack([padded[i:i + height, j:j + width]
                   for i in range(2 * padding + 1)
                   for j in range(2 * padding + 1)])


# --- Crops --------------------------------------------------------------------


def test_no_padding_is_the_identity():
  x = images()
  got = random_crop(jax.random.key(0), x, padding=0)
  np.testing.assert_array_equal(got, x)


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16', 'uint8', 'int32'])
@pytest.mark.parametrize('fill', [0, 3, (1, 2, 3)])
def test_each_crop_is_a_window_of_the_padded_image(dtype, fill):
  x = images(dtype='uint8').astype(dtype)
  got = random_crop(jax.random.key(1), x, 2, jnp.array(fill))
  assert got.dtype == x.dtype and got.shape == x.shape
  found = [which(np.asarray(g)[None], windows(one, 2, fill).astype(dtype))[0]
           for g, one in zip(got, x, strict=True)]
  assert len(set(found)) > 3  # of six: examples are drawn apart


def test_offsets_are_uniform():
  x = copies(5_000, 4, 5)
  got = random_crop(jax.random.key(2), x, 2)
  counts = np.bincount(which(np.asarray(got), windows(x[0], 2)), minlength=25)
  assert stats.chisquare(counts).pvalue > LEVEL


def test_black_after_normalization():
  mean, std = np.float32([0.5, 0.4, 0.3]), np.float32([0.2, 0.3, 0.4])
  raw = images() / np.float32(1_000)
  key = jax.random.key(3)
  want = (random_crop(key, raw) - mean) / std
  got = random_crop(key, (raw - mean) / std, fill=(0 - mean) / std)
  np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


# --- Flips --------------------------------------------------------------------


def test_flip_mirrors_left_to_right_and_twice_is_nothing():
  x = images()
  key = jax.random.key(4)
  got = np.asarray(random_flip(key, x))
  flipped = [which(g[None], np.stack([one, one[:, ::-1]]))[0]
             for g, one in zip(got, x, strict=True)]
  assert 0 < sum(flipped) < len(x)
  np.testing.assert_array_equal(random_flip(key, got), x)


def test_half_are_flipped():
  x = copies(5_000, 1, 2)
  got = random_flip(jax.random.key(5), x)
  flipped = int((np.asarray(got) != x).any((1, 2, 3)).sum())
  assert stats.binomtest(flipped, 5_000).pvalue > LEVEL


# --- Cutout -------------------------------------------------------------------


def squares(height, width, size):
  """[H * W, H, W] bool: what a center at each pixel covers."""
  rows, columns = np.mgrid[:height, :width]
  one = lambda places, center: ((places >= center - size // 2)
                                & (places < center - size // 2 + size))
  return np.stack([one(rows, i) & one(columns, j)
                   for i in range(height) for j in range(width)])


@pytest.mark.parametrize('size', [1, 4, 5, 20])
def test_cutout_takes_a_clipped_square(size):
  x = images(40, 12, 10)
  got = np.asarray(cutout(jax.random.key(6), x, size))
  cut = got == 0
  np.testing.assert_array_equal(got[~cut], x[~cut])
  np.testing.assert_array_equal(cut.all(-1), cut.any(-1))
  possible = squares(12, 10, size)
  matches = (cut[:, None, :, :, 0] == possible[None]).all((2, 3))
  assert matches.any(1).all()
  area = cut[..., 0].sum((1, 2))
  assert area.max() == min(size, 12) * min(size, 10)
  edges = np.concatenate([cut[:, [0, -1]].reshape(40, -1),
                          cut[:, :, [0, -1]].reshape(40, -1)], axis=1)
  assert (area[~edges.any(1)] == size ** 2).all()
  assert edges.any(1).all() == (size == 20)
  assert (area < size ** 2).any() == (size > 1)


def test_no_size_is_the_identity():
  x = images()
  np.testing.assert_array_equal(cutout(jax.random.key(6), x, size=0), x)


@pytest.mark.parametrize('size', [1, 4])
def test_center_is_uniform(size):
  x = np.ones((20_000, 5, 7, 1), 'uint8')
  got = np.asarray(cutout(jax.random.key(7), x, size))
  assert got.dtype == np.uint8
  possible, times = np.unique(squares(5, 7, size), axis=0, return_counts=True)
  found = which(got, (~possible[..., None]).astype('uint8'))
  counts = np.bincount(found, minlength=len(possible))
  assert stats.chisquare(counts, times / times.sum() * len(x)).pvalue > LEVEL


def test_cutout_fill_by_channel():
  x = images()
  got = np.asarray(cutout(jax.random.key(8), x, 3, jnp.array([-1, -2, -3])))
  for c in range(3):
    assert set(got[..., c][got[..., c] < 0]) == {-1 - c}


# --- Together -----------------------------------------------------------------


def test_crop_and_flip_are_drawn_apart():
  x = copies(5_000, 3, 4)
  got = standard(jax.random.key(9), x, 1)
  shifted = windows(x[0], 1)
  found = which(np.asarray(got), np.concatenate([shifted, shifted[:, :, ::-1]]))
  counts = np.bincount(found, minlength=18)
  assert stats.chisquare(counts).pvalue > LEVEL


def test_cutout_is_drawn_apart_and_puts_in_zero_over_the_fill():
  x = np.ones((5_000, 3, 3, 1), 'int32')
  got = np.asarray(standard(jax.random.key(10), x, 1, 1, 7))[..., 0]
  cut = (got == 0).reshape(-1, 9)
  np.testing.assert_array_equal(cut.sum(1), 1)
  # A corner tells the crop (and the flip) where it is not cut out itself:
  # here whether row 0 is padding, by pixels 0, 1 and 2 of which one may be cut.
  top = ((got[:, 0] == 7) | (got[:, 0] == 0)).all(1)
  table = np.stack([np.bincount(cut.argmax(1)[where], minlength=9)
                    for where in (top, ~top)])
  assert stats.chi2_contingency(table).pvalue > LEVEL
  assert stats.binomtest(int(top.sum()), 5_000, 1 / 3).pvalue > LEVEL


def test_standard_uses_each_key_once(monkeypatch):
  seen = []
  for name in ('random_crop', 'random_flip', 'cutout'):
    monkeypatch.setattr(augment, name, lambda key, x, *_: seen.append(
        tuple(jax.random.key_data(key).tolist())) or x)
  key = jax.random.key(9)
  augment.standard(key, images(), cutout_size=4)
  seen.append(tuple(jax.random.key_data(key).tolist()))
  assert len(seen) == len(set(seen)) == 4


def test_standard_without_cutout_leaves_no_hole():
  x = images() + 1
  got = standard(jax.random.key(11), x, fill=5)
  assert (np.asarray(got) != 0).all()


@pytest.mark.parametrize('name', METHODS)
def test_the_key_decides(name):
  method, x = METHODS[name], images(20, channels=1, dtype='int32')
  first, again, other = (np.asarray(method(jax.random.key(i), x))
                         for i in (0, 0, 1))
  np.testing.assert_array_equal(first, again)
  assert (first != other).any()
  # The same image in each place of a batch is not treated alike.
  alike = np.asarray(method(jax.random.key(0), copies(20, 8, 6)))
  assert len(np.unique(alike, axis=0)) > 1


def test_mapped_over_seeds_equals_single():
  method = METHODS['standard']
  keys = jax.random.split(jax.random.key(12), 3)
  xs = np.stack([images(), images() + 7, images()[::-1]])
  got = jax.jit(jax.vmap(method))(keys, xs)
  for key, x, mapped in zip(keys, xs, got, strict=True):
    np.testing.assert_array_equal(mapped, method(key, x))


def test_augmented_splits_the_key_and_changes_x_only():
  seen = {}

  def draw(shared, own, item, key):
    seen['draw'] = key
    x = shared['x'][own['train_rows'][item]]
    return {'x': x, 'y': shared['y'][own['train_rows'][item]]}

  def method(key, x):
    seen['augment'] = key
    return standard(key, x)

  shared = {'x': jnp.asarray(images()), 'y': jnp.arange(6)}
  own, item = {'train_rows': jnp.array([5, 3, 1])}, jnp.array([2, 0])
  key = jax.random.key(13)
  batch = augment.augmented(draw, method)(shared, own, item, key)
  assert set(batch) == {'x', 'y'}
  np.testing.assert_array_equal(batch['y'], [1, 5])
  np.testing.assert_array_equal(
      batch['x'], standard(seen['augment'],
                                   shared['x'][jnp.array([1, 5])]))
  bits = {tuple(jax.random.key_data(k).tolist())
          for k in (key, seen['draw'], seen['augment'])}
  assert len(bits) == 3


def test_colors_follow_their_law():
  x = images(num=2000, height=2, width=2).astype('float32') / 1e4
  got = np.asarray(augment.jitter(jax.random.key(0), x, .5, gray=.25))
  gray = (np.ptp(got, axis=3) < 1e-5).all(axis=(1, 2))
  assert abs(gray.mean() - .25) < .04
  # Others are a x + b of each channel, a and b of an image's own.
  a = np.stack([(got[:, 1, 1, c] - got[:, 0, 0, c])
                / (x[:, 1, 1, c] - x[:, 0, 0, c]) for c in range(3)], 1)[~gray]
  b = got[~gray, 0, 0] - a * x[~gray, 0, 0]
  for values, low in ((a, .5), (b, -.5)):
    uniform = (values.ravel() - low) / 1
    assert stats.kstest(uniform, 'uniform').pvalue > LEVEL
  assert abs(np.corrcoef(a.T)[0, 1]) < .1


def test_changes_come_before_colors():
  seen = []
  change = lambda key, x, fill: seen.append(fill) or 0 * x
  x = jnp.ones((3, 2, 2, 1))
  got = augment.jittered(change)(jax.random.key(0), x, fill=-1.)
  assert seen == [-1.] and len(np.unique(got)) == 3  # b alone, of each image
