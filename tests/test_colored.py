"""RCF-MNIST: angles, the color that goes along with them, and the three splits.
"""

import jax
import numpy as np
from PIL import Image
import pytest

from assay.data.images import colored
from assay.errors import UserError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (500, 12, 12, 1), np.uint8)


def made(split, images=IMAGES, **more):
  return {k: np.asarray(v) for k, v in colored.rotated_and_colored(
      jax.random.key(0), images, split, **more).items()}


@pytest.mark.parametrize('degrees', [0., 17., 90., 180., 233.3, 270.])
def test_images_turn_as_pillow_turns_them(degrees):
  image = RNG.integers(0, 256, (28, 28), np.uint8)
  want = np.asarray(Image.fromarray(image).rotate(degrees))
  got = np.asarray(colored.rotated_nearest(image[..., None], degrees))[..., 0]
  assert (got == want).mean() > (.995 if degrees % 90 else .96)
  if degrees == 90:
    np.testing.assert_array_equal(got, np.rot90(image))


def test_angles_are_uniform_and_colors_follow_them():
  for split, (often, rarely) in colored.LINKS.items():
    got = made(split)
    y, color, domain = got['y'][:, 0], got['color'][:, 0], got['domain']
    assert (0 <= y).all() and (y < 1).all()
    np.testing.assert_allclose(
        np.histogram(y, 5, (0, 1))[0] / 500, .2, atol=.06)
    assert (domain == often).sum() == (500 if split == 'val' else 400)
    assert set(domain) == {often, rarely}
    np.testing.assert_array_equal(color[domain == 0], y[domain == 0])
    np.testing.assert_array_equal(color[domain == 1], 1 - y[domain == 1])
    # .8 - .2 of a perfect link, its reverse, and none.
    np.testing.assert_allclose(
        np.corrcoef(y, color)[0, 1],
        {'train': .6, 'val': 0, 'test': -.6}[split], atol=.1)
  assert (made('train', share=1.)['domain'] == 0).all()


def test_colors_are_the_gray_of_the_turned_image():
  got = made('test')
  for x, y, c, image in zip(got['x'][:20], got['y'], got['color'], IMAGES,
                            strict=False):
    gray = np.asarray(colored.rotated_nearest(image, 360 * y[0]))[..., 0]
    bright = gray > 5
    want = [np.floor(gray * c), 0 * gray, np.floor(gray * (1 - c))]
    for channel, values in enumerate(want):
      np.testing.assert_array_equal(x[~bright, channel], gray[~bright])
      np.testing.assert_allclose(x[bright, channel], values[bright], atol=1)
    assert x.dtype == np.uint8


def test_a_function_of_its_key_and_images():
  np.testing.assert_array_equal(made('train')['x'], made('train')['x'])
  other = colored.rotated_and_colored(jax.random.key(1), IMAGES, 'train')
  assert (np.asarray(other['y']) != made('train')['y']).all()
  for more, message in ((dict(split='valid'), "split='valid' must be one of"),
                        (dict(split='val', share=2.), 'share=2.0 must be in')):
    with pytest.raises(UserError, match=message):
      made(**more)
