"""Sets of images to make classification tasks of."""

import functools

import numpy as np
import pytest

from assay.data import images
from assay.data.tasks import image_sets, sets
from assay.errors import UserError

FIVE = tuple(range(5))


@functools.cache
def digits():
  return image_sets('digits', FIVE, 'components', 16,
                    ('other_classes', 'clusters', 'random'), 8)


def test_digits_are_five_classes_and_their_components():
  table = images.load('digits')
  assert list(digits()) == [
      ('digits', 'test'), ('digits', 'seen'), ('digits', 'seen_test'),
      ('other_classes', 'test'), ('clusters', 'test'), ('random', 'test')]
  for split, part in (('seen', 'train'), ('test', 'test')):
    x, y = digits()['digits', split]
    kept = table[f'{part}_y'] < 5
    assert x.shape == (kept.sum(), 16) and x.dtype == np.float32
    assert y.dtype == np.int32
    np.testing.assert_array_equal(y, table[f'{part}_y'][kept])
    assert .8 < np.mean(x**2) < 1.2
  assert digits()['digits', 'seen_test'] is digits()['digits', 'test']
  x, _ = digits()['digits', 'seen']
  np.testing.assert_allclose(np.mean(x**2), 1, rtol=1e-5)
  np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-5)
  # Components, so in the order of their variance and not correlated.
  covariance = np.cov(x.T)
  assert (np.diff(np.diag(covariance)) < 0).all()
  np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)),
                             atol=1e-4)


def test_other_sets():
  table = images.load('digits')
  others = table['test_y'][table['test_y'] >= 5]
  x, y = digits()['other_classes', 'test']
  np.testing.assert_array_equal(y, others - 5)
  assert .8 < np.mean(x**2) < 1.2  # by components of their own
  x, y = digits()['clusters', 'test']
  assert x.shape == (2000, 16) and set(y.tolist()) == set(range(5))
  np.testing.assert_allclose([x.mean(), x.std()], [0, 1], atol=1e-5)
  x, y = digits()['random', 'test']
  assert x.shape == (8, 16) and set(y.tolist()) <= set(range(5))
  again = image_sets('digits', FIVE, 'components', 16, ('random',), 8)
  np.testing.assert_array_equal(again['random', 'test'][0], x)


def test_pixels_are_gray_small_and_normalized():
  x = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), np.uint8)
  same = sets.gray_pixels(x, 16)
  assert same.shape == (3, 4, 4) and same.dtype == np.float32
  np.testing.assert_allclose(same, x.mean(axis=-1), rtol=1e-6)
  x = np.repeat(x[:, :1, :1], 28, axis=1).repeat(28, axis=2)  # of one color
  got = sets.gray_pixels(x, 14 * 14)
  assert got.shape == (3, 14, 14)
  np.testing.assert_allclose(got, np.broadcast_to(
      x[:, :14, :14].mean(axis=-1), got.shape), rtol=1e-5)
  found = image_sets('digits', FIVE, 'pixels', 16)
  both = np.concatenate([found['digits', 'seen'][0],
                         found['digits', 'test'][0]])
  assert both.shape == (502 + 399, 16)
  np.testing.assert_allclose([both.mean(), both.std()], [0, 1], atol=1e-5)


def test_sets_that_are_only_tested_on_are_halved(monkeypatch):
  rng = np.random.default_rng(0)
  x = rng.integers(0, 256, (400, 8, 8, 1), np.uint8)
  x[:, 0, 0, 0] = np.arange(400) % 256
  y = np.repeat(np.arange(10, dtype=np.int32), 40)
  monkeypatch.setattr(images, 'load_test', lambda name, folder: (x, y))
  find = lambda: image_sets('digits', FIVE, 'components', 16,
                            ('kmnist', 'usps'))
  first, again = find(), find()
  for name in ('kmnist', 'usps'):
    got, labels = first[name, 'test']
    assert got.shape == (labels.size, 16)
    assert 70 < len(labels) < 130  # half of the 200 of classes 0 to 4
    assert set(labels.tolist()) == set(range(5))
    np.testing.assert_array_equal(got, again[name, 'test'][0])
  a, b = (first[name, 'test'][0] for name in ('kmnist', 'usps'))
  assert a.shape != b.shape or (a != b).any()


@pytest.mark.parametrize('fields, text', [
    ({'reduce': 'pca'}, "reduce='pca'; use 'components' or 'pixels'"),
    ({'reduce': 'pixels', 'num_inputs': 15}, 'num_inputs=15 is no square'),
    ({'classes': (3,)}, r'classes=\(3,\) must be two or more of 0 to 9'),
    ({'classes': (3, 10)}, r'classes=\(3, 10\) must be two or more'),
    ({'classes': (3, 3)}, r'classes=\(3, 3\) must be two or more'),
    ({'classes': tuple(range(9)), 'others': ('other_classes',)},
     'leave fewer than two for other_sets=other_classes'),
])
def test_values_that_cannot_be_meant_are_refused(fields, text):
  with pytest.raises(UserError, match=text):
    image_sets('digits', **{'classes': FIVE, 'reduce': 'components',
                            'num_inputs': 16} | fields)
