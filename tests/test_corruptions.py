"""assay.data.corruptions: levels, strength, laws, and draws of a split."""
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage, stats

from assay import keys
from assay.data import corruptions, images
from assay.errors import UserError

# Shared, so that a shape compiles once.
JITTED = {name: jax.jit(f) for name, f in corruptions.CORRUPTIONS.items()}
MAPPED = {name: jax.jit(jax.vmap(f, in_axes=(0, 0, None)))
          for name, f in corruptions.CORRUPTIONS.items()}
NAMES = tuple(JITTED)
KEY = jax.random.key(0)


def noise_image(height=12, width=10, channels=3, seed=0):
  """[height, width, channels] float32, uniform in [0, 1]."""
  rng = np.random.default_rng(seed)
  return rng.random((height, width, channels), np.float32)


@functools.cache
def digits():
  """[64, 32, 32, 1] float32 in [0, 1]: digits, each pixel four by four."""
  x = images.load('digits')['test_x'][:64].astype('float32') / 255
  return x.repeat(4, axis=1).repeat(4, axis=2)


def split(num, seed=0):
  return jax.random.split(jax.random.key(seed), num)


# --- Levels ------------------------------------------------------------------


@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('name', NAMES)
def test_level_0_is_the_image_to_the_bit(name, channels):
  image = noise_image(channels=channels)
  for level in (0, -1, -100):
    np.testing.assert_array_equal(JITTED[name](KEY, image, level), image)


@pytest.mark.parametrize('name', NAMES)
def test_above_5_is_5(name):
  image = noise_image()
  want = JITTED[name](KEY, image, 5)
  for level in (6, 2**31 - 1):
    np.testing.assert_array_equal(JITTED[name](KEY, image, level), want)


@pytest.mark.parametrize('name', NAMES)
def test_each_level_changes_more_and_stays_in_range(name):
  x, strength = digits(), []
  for level in range(6):
    got = np.asarray(MAPPED[name](split(len(x)), x, level))
    assert got.dtype == np.float32 and got.shape == x.shape
    assert got.min() >= 0 and got.max() <= 1
    strength.append(np.mean((got - x) ** 2))
  assert (np.diff(strength) > 0).all()


@pytest.mark.parametrize('name', NAMES)
def test_range_of_black_and_white(name):
  # Where weights sum to more than 1 by rounding, white would leave the range.
  for value in (0, 1):
    image = np.full((9, 9, 3), value, np.float32)
    for level in range(1, 6):
      got = np.asarray(JITTED[name](KEY, image, level))
      assert got.min() >= 0 and got.max() <= 1


def test_each_has_five_levels():
  for values in (corruptions.BLUR_STDS, corruptions.NOISE_STDS,
                 corruptions.CONTRAST_FACTORS, corruptions.ROTATION_DEGREES,
                 corruptions.FLIP_SHARES):
    assert len(values) == corruptions.NUM_LEVELS == 5


# --- Keys, jit, vmap ---------------------------------------------------------


@pytest.mark.parametrize('name', NAMES)
def test_the_key_decides(name):
  image = noise_image()
  draws = [np.asarray(JITTED[name](k, image, 3)).tobytes() for k in split(20)]
  again = [np.asarray(JITTED[name](k, image, 3)).tobytes() for k in split(20)]
  assert draws == again
  distinct = {'blur': 1, 'contrast': 1, 'flip': 2, 'rotation': 2, 'noise': 20}
  assert len(set(draws)) == distinct[name]


@pytest.mark.parametrize('name', NAMES)
def test_mapped_equals_single_for_any_batch(name):
  x, k = digits(), split(64)
  whole = np.asarray(MAPPED[name](k, x, 4))
  np.testing.assert_array_equal(MAPPED[name](k[:5], x[:5], 4), whole[:5])
  np.testing.assert_array_equal(MAPPED[name](k[7:8], x[7:8], 4), whole[7:8])
  np.testing.assert_array_equal(JITTED[name](k[9], x[9], 4), whole[9])
  # Instruction by instruction, angles and sums are rounded elsewhere.
  eager = corruptions.CORRUPTIONS[name](k[9], jnp.asarray(x[9]), 4)
  np.testing.assert_allclose(eager, whole[9], atol=1e-5)


@pytest.mark.parametrize('name', NAMES)
def test_levels_may_be_mapped(name):
  image = noise_image()
  got = jax.jit(jax.vmap(corruptions.CORRUPTIONS[name], (None, None, 0)))(
      KEY, image, jnp.arange(6))
  for level in range(6):
    np.testing.assert_allclose(got[level], JITTED[name](KEY, image, level),
                               atol=1e-5)


def test_bfloat16_stays_what_it_is():
  image = jnp.asarray(noise_image(), jnp.bfloat16)
  for name in NAMES:
    got = JITTED[name](KEY, image, 3)
    assert got.dtype == image.dtype
    np.testing.assert_allclose(
        np.asarray(got, 'float32'),
        JITTED[name](KEY, image.astype('float32'), 3),
        # Noise is drawn in the image's type.
        atol=1 if name == 'noise' else .05)
  for got in (corruptions.rotated(image, 20.), corruptions.gray(image),
              corruptions.color_jitter(KEY, image)):
    assert got.dtype == image.dtype


# --- Blur --------------------------------------------------------------------


@pytest.mark.parametrize('level', range(1, 6))
def test_blur_is_that_of_scipy(level):
  image = noise_image()
  want = ndimage.gaussian_filter(
      image, corruptions.BLUR_STDS[level - 1], mode='reflect', axes=(0, 1),
      radius=corruptions.BLUR_RADIUS)
  np.testing.assert_allclose(JITTED['blur'](KEY, image, level), want, atol=1e-6)


def test_blur_keeps_constants_and_means():
  flat = np.full((9, 7, 3), [.2, .5, 1], np.float32)
  np.testing.assert_allclose(JITTED['blur'](KEY, flat, 5), flat, atol=1e-6)
  image = noise_image()
  np.testing.assert_allclose(
      np.mean(JITTED['blur'](KEY, image, 5), (0, 1)), image.mean((0, 1)),
      atol=1e-6)


def test_blur_of_an_image_smaller_than_its_window():
  image = noise_image(2, 3)
  want = ndimage.gaussian_filter(image, 1., mode='reflect', axes=(0, 1),
                                 radius=corruptions.BLUR_RADIUS)
  np.testing.assert_allclose(JITTED['blur'](KEY, image, 5), want, atol=1e-6)


# --- Noise -------------------------------------------------------------------


@pytest.mark.parametrize('level', range(1, 6))
def test_noise_has_its_standard_deviation(level):
  middle = np.full((200, 200, 1), .5, np.float32)  # five sigma from clipping
  added = np.asarray(JITTED['noise'](KEY, middle, level), float) - .5
  std = corruptions.NOISE_STDS[level - 1]
  np.testing.assert_allclose(added.std(), std, rtol=.02)
  assert stats.kstest(added.ravel() / std, 'norm').pvalue > 1e-3
  # Neighbors, and channels, have noise of their own.
  assert abs(np.corrcoef(added[:-1].ravel(), added[1:].ravel())[0, 1]) < .02
  color = np.asarray(JITTED['noise'](KEY, middle.repeat(3, 2), level)) - .5
  assert abs(np.corrcoef(color[..., 0].ravel(),
                         color[..., 1].ravel())[0, 1]) < .02


def test_levels_scale_the_same_noise():
  middle = np.full((20, 20, 1), .5, np.float32)
  one, five = (np.asarray(JITTED['noise'](KEY, middle, level)) - .5
               for level in (1, 5))
  np.testing.assert_allclose(five, one * 2.5, atol=1e-6)


# --- Contrast ----------------------------------------------------------------


@pytest.mark.parametrize('level', range(1, 6))
def test_contrast_scales_around_the_mean_of_each_channel(level):
  image = noise_image()
  got = np.asarray(JITTED['contrast'](KEY, image, level), float)
  mean = image.mean((0, 1), dtype=float)
  np.testing.assert_allclose(got.mean((0, 1)), mean, atol=1e-6)
  np.testing.assert_allclose(
      got - mean, corruptions.CONTRAST_FACTORS[level - 1] * (image - mean),
      atol=1e-6)


def test_contrast_by_hand():
  image = np.float32([[[0.], [1.]]])  # mean 1 / 2, factor .4 at level 3
  np.testing.assert_allclose(JITTED['contrast'](KEY, image, 3),
                             [[[.3], [.7]]], atol=1e-6)


# --- Flip --------------------------------------------------------------------


def test_flip_is_upside_down_and_twice_is_nothing():
  image = noise_image()
  once = np.asarray(JITTED['flip'](KEY, image, 5))
  np.testing.assert_array_equal(once, image[::-1])
  np.testing.assert_array_equal(JITTED['flip'](KEY, once, 5), image)


def test_a_level_of_flip_is_a_share_of_images():
  num = 2_000
  x = np.broadcast_to(np.float32([0, 1]).reshape(2, 1, 1), (num, 2, 1, 1))
  flipped = [np.asarray(MAPPED['flip'](split(num), x, level))[:, 0, 0, 0] == 1
             for level in range(6)]
  for below, above in zip(flipped, flipped[1:], strict=False):
    assert (below <= above).all()
  for mine, share in zip(flipped[1:5], corruptions.FLIP_SHARES, strict=False):
    assert stats.binomtest(int(mine.sum()), num, share).pvalue > 1e-3
  assert not flipped[0].any() and flipped[5].all()


# --- Rotation ----------------------------------------------------------------


rotated = jax.jit(corruptions.rotated)


@pytest.mark.parametrize('size', [6, 7])
def test_rotated_by_quarters(size):
  image = noise_image(size, size)
  for quarters in range(-4, 5):
    np.testing.assert_allclose(rotated(image, 90. * quarters),
                               np.rot90(image, quarters), atol=1e-5)


@pytest.mark.parametrize('shape', [(6, 6), (7, 4), (1, 5)])
def test_rotated_by_0_is_the_image_to_the_bit(shape):
  image = noise_image(*shape)
  np.testing.assert_array_equal(rotated(image, 0.), image)
  np.testing.assert_array_equal(rotated(image, 0), image)


@pytest.mark.parametrize('degrees', [20., -35., 50.])
def test_rotated_is_that_of_scipy(degrees):
  image = noise_image(9, 12)
  want = ndimage.rotate(image, degrees, reshape=False, order=1, mode='reflect')
  np.testing.assert_allclose(rotated(image, degrees), want, atol=1e-4)


def test_rotation_goes_to_either_side():
  image = noise_image(8, 8)
  sides = [rotated(image, sign * 30.) for sign in (-1, 1)]
  got = np.stack([JITTED['rotation'](k, image, 3) for k in split(60)])
  hits = [np.abs(got - side).max((1, 2, 3)) < 1e-5 for side in sides]
  np.testing.assert_array_equal(hits[0], ~hits[1])
  assert stats.binomtest(int(hits[0].sum()), 60).pvalue > 1e-3


# --- Gray and jitter ---------------------------------------------------------


def test_gray_by_hand():
  image = np.float32([[[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1],
                       [.5, .2, .1]]])
  want = np.float32([.299, .587, .114, 1, .2783])
  np.testing.assert_allclose(corruptions.gray(image)[0],
                             np.stack([want] * 3, -1), atol=1e-6)
  assert np.max(jax.jit(corruptions.gray)(np.ones((5, 5, 3), 'float32'))) <= 1


def test_gray_of_one_channel_is_the_image():
  image = noise_image(channels=1)
  np.testing.assert_array_equal(corruptions.gray(image), image)
  with pytest.raises(ValueError, match=r'\(4, 4, 2\)'):
    corruptions.gray(noise_image(4, 4, 2))


PAIR = np.float32([[[1, 0, 0], [.5, .5, .5]]])  # lumas .299 and .5


@pytest.mark.parametrize('factors, want', [
    ((1, 1, 1), PAIR[0]),
    ((.5, 1, 1), [[.5, 0, 0], [.25, .25, .25]]),
    ((1.5, 1, 1), [[1, 0, 0], [.75, .75, .75]]),
    ((1, 0, 1), np.full((2, 3), .3995)),
    ((1, .5, 1), [[.69975, .19975, .19975], [.44975] * 3]),
    ((1, 2, 1), [[1, 0, 0], [.6005] * 3]),
    ((1, 1, 0), [[.299] * 3, [.5] * 3]),
    ((1, 1, .5), [[.6495, .1495, .1495], [.5] * 3]),
    # .5, 0, 0 and .25; lumas .1495 and .25, with mean .19975;
    # contrast: .349875, .099875, .099875 and .224875; luma .174625.
    ((.5, .5, .5), [[.26225, .13725, .13725], [.224875] * 3])])
def test_adjusted_by_hand(factors, want):
  np.testing.assert_allclose(corruptions.adjusted(PAIR, *factors)[0], want,
                             atol=1e-6)


color_jitter = jax.jit(corruptions.color_jitter)


def test_jitter_without_strength_is_the_image_to_the_bit():
  for channels in (1, 3):
    image = noise_image(channels=channels)
    np.testing.assert_array_equal(color_jitter(KEY, image, 0., 0., 0.), image)


def test_jitter_draws_its_factor_uniformly():
  # Brightness alone scales a dark image by its factor.
  dark = np.full((1, 1, 3), .25, np.float32)
  draw = jax.jit(jax.vmap(lambda key, s: corruptions.color_jitter(
      key, dark, s, 0., 0.)[0, 0, 0] / .25, in_axes=(0, None)))
  factors = np.asarray(draw(split(2_000), .4))
  assert stats.kstest(factors, stats.uniform(.6, .8).cdf).pvalue > 1e-3
  factors = np.asarray(draw(split(2_000), 1.5))  # from max(0, 1 - 1.5) = 0
  assert stats.kstest(factors, stats.uniform(0, 2.5).cdf).pvalue > 1e-3


def test_jitter_is_in_range_and_its_key_decides():
  image = noise_image()
  got = np.stack([color_jitter(k, image, .9, .9, .9) for k in split(20)])
  assert got.dtype == np.float32 and got.min() >= 0 and got.max() <= 1
  assert len(np.unique(got.reshape(20, -1), axis=0)) == 20
  np.testing.assert_array_equal(color_jitter(split(20)[3], image, .9, .9, .9),
                                got[3])


# --- A split -----------------------------------------------------------------


MEAN, STD = .3, .4


@functools.cache
def shared():
  table = images.load('digits')
  return images.subset(table, 40, 20, seed=0)


def drawn(item, corruption='', level=4, copy=''):
  draw = jitted_draw(level)
  return draw(shared() | corruptions.chosen(corruption, copy), {},
              jnp.asarray(item, jnp.int32), KEY)


@functools.cache
def jitted_draw(level):
  return jax.jit(corruptions.draw_from('val', MEAN, STD, level))


def plain(rows):
  """[n, 8, 8, 1] float32 in [0, 1], the images of rows of the split."""
  return shared()['x'][shared()['val_rows'][rows]].astype('float32') / 255


@pytest.mark.parametrize('name, level', [('', 3), *((n, 0) for n in NAMES)])
def test_draw_of_nothing_is_the_plain_one(name, level):
  got = drawn(range(20), name, level)
  want = jax.jit(images.draw_from('val', MEAN, STD))(
      shared(), {}, jnp.arange(20), None)
  assert got.keys() == want.keys()
  np.testing.assert_array_equal(got['y'], want['y'])
  np.testing.assert_array_equal(got['index'], want['index'])
  # Two programs may round a quotient differently.
  np.testing.assert_allclose(got['x'], want['x'], atol=1e-6)


@pytest.mark.parametrize('name', NAMES)
def test_draw_corrupts_then_normalizes(name):
  rows = shared()['val_rows'][:4]
  got = drawn(range(4), name)
  want = (np.asarray(MAPPED[name](keys.each(keys.named(0, name), rows),
                                  plain(slice(4)), 4)) - MEAN) / STD
  np.testing.assert_allclose(got['x'], want, atol=1e-5)
  np.testing.assert_array_equal(got['index'], rows)
  np.testing.assert_array_equal(got['y'], shared()['y'][rows])


def test_draw_of_contrast_by_numpy():
  x = plain(slice(4))
  mean = x.mean((1, 2), keepdims=True)
  np.testing.assert_allclose(drawn(range(4), 'contrast', 4)['x'],
                             (mean + .3 * (x - mean) - MEAN) / STD, atol=1e-5)


@pytest.mark.parametrize('name', NAMES)
def test_an_image_is_corrupted_alike_in_each_batch(name):
  whole = np.asarray(drawn(range(20), name)['x'])
  np.testing.assert_array_equal(drawn([7, 3, 7], name)['x'], whole[[7, 3, 7]])
  np.testing.assert_array_equal(drawn([11], name)['x'], whole[11:12])


@pytest.mark.parametrize('copy', corruptions.COPIES)
def test_an_image_is_copied_alike_in_each_batch(copy):
  whole = np.asarray(drawn(range(20), 'noise', copy=copy)['x'])
  got = drawn([7, 3, 7], 'noise', copy=copy)['x']
  np.testing.assert_array_equal(got, whole[[7, 3, 7]])


def test_an_image_is_corrupted_alike_in_each_split():
  # The same rows by another list, with another key of the step.
  whole = np.asarray(drawn(range(20), 'noise')['x'])
  own = {'test_rows': shared()['val_rows'][::-1].copy()}
  draw = jax.jit(corruptions.draw_from('test', MEAN, STD, 4))
  got = draw(shared() | corruptions.chosen('noise'), own, jnp.arange(20),
             jax.random.key(9))
  np.testing.assert_array_equal(got['x'], whole[::-1])


def test_names_and_rows_have_keys_of_their_own():
  names = (*NAMES, *corruptions.COPIES)
  found = np.concatenate([jax.random.key_data(
      keys.each(keys.named(0, name), jnp.arange(50))) for name in names])
  assert len(np.unique(found, axis=0)) == len(names) * 50


def test_all_corruptions_and_copies_are_one_program():
  draw = jax.jit(corruptions.draw_from('val', MEAN, STD, 3))
  distinct = set()
  for name in ('', *NAMES):
    for copy in ('', *corruptions.COPIES):
      x = draw(shared() | corruptions.chosen(name, copy), {}, jnp.arange(3),
               KEY)['x']
      distinct.add(np.asarray(x).tobytes())
  assert draw._cache_size() == 1
  # Digits have one channel, which is gray already.
  assert len(distinct) == (1 + len(NAMES)) * len(corruptions.COPIES)


def test_a_copy_is_made_of_the_corrupted_image():
  x = np.asarray(drawn(range(5), 'noise')['x'])
  np.testing.assert_array_equal(drawn(range(5), 'noise', copy='gray')['x'], x)
  turned = jax.vmap(lambda image: rotated(image, corruptions.COPY_DEGREES))(x)
  np.testing.assert_allclose(drawn(range(5), 'noise', copy='rotated')['x'],
                             turned, atol=1e-5)
  rows = shared()['val_rows'][:5]
  jittered = jax.vmap(color_jitter)(
      keys.each(keys.named(0, 'jittered'), rows), x * STD + MEAN)
  np.testing.assert_allclose(drawn(range(5), 'noise', copy='jittered')['x'],
                             (jittered - MEAN) / STD, atol=1e-5)


def test_draw_of_an_item_beyond_the_split_is_nan():
  got = drawn([0, 20, -1], 'rotation', copy='jittered')
  assert np.isnan(got['x']).all((1, 2, 3)).tolist() == [False, True, True]
  assert got['index'].tolist()[1:] == [-1, -1]


def test_draw_errors():
  with pytest.raises(UserError, match=r"'fog'; known: \['blur', 'contrast'"):
    corruptions.chosen('fog')
  with pytest.raises(UserError, match=r"'blur'; known: \['gray', 'jittered'"):
    corruptions.chosen('', 'blur')
  for level in (-1, 6):
    with pytest.raises(UserError, match=rf'level={level} must be in \[0, 5\]'):
      corruptions.draw_from('val', MEAN, STD, level)
