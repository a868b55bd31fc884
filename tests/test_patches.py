"""Patches: strengths, masks and noise as asked for; the noise-free law."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from assay.data import patches
from assay.errors import UserError
from assay.models import cubic

LAW = dict(slow_strength=.4, fast_strength=1., fast_probability=.9)


def drawn(num_examples=4000, noise_scale=.125, num_patches=4, **law):
  return jax.device_get(patches.patches(
      jax.random.key(3), num_examples, num_patches=num_patches, num_dims=20,
      noise_scale=noise_scale, **LAW | law))


def test_features_are_where_they_should_be():
  data = drawn(noise_scale=0.)
  v = data['directions']
  np.testing.assert_allclose(v @ v.T, np.eye(2), atol=1e-6)
  along = data['x'] @ v.T  # [N, P, 2]
  # Each example has one slow patch, and one fast patch unless it is masked.
  np.testing.assert_allclose(along.sum(axis=1)[:, 0], .4 * data['y'], atol=1e-6)
  np.testing.assert_allclose(along.sum(axis=1)[:, 1],
                             data['y'] * data['has_fast'], atol=1e-6)
  assert (np.abs(along) > .1).sum() == len(data['y']) + data['has_fast'].sum()
  np.testing.assert_allclose(data['x'], along @ v, atol=1e-6)  # nothing else
  places = np.abs(along[..., 0]).argmax(axis=1)
  np.testing.assert_allclose(np.bincount(places) / 4000, .25, atol=.04)


def test_frequencies_and_noise():
  data = drawn()
  assert abs(data['has_fast'].mean() - .9) < .02
  assert abs(data['y'].mean()) < .06 and set(data['y']) == {-1, 1}
  v = data['directions']
  rest = data['x'] - data['x'] @ v.T @ v  # 18 of 20 dimensions of the noise
  noisy = np.abs(rest).max(axis=-1) > 1e-4
  assert (noisy.sum(axis=1) == 2).all()
  assert abs(rest[noisy].std() / (.125 * np.sqrt(18 / 20)) - 1) < .02


def test_keys_change_all_and_nothing_is_shared():
  a, b = drawn(), jax.device_get(patches.patches(
      jax.random.key(4), 4000, num_patches=4, num_dims=20, noise_scale=.125,
      **LAW))
  assert abs(np.sum(a['directions'] * b['directions'])) < 1.5
  assert (a['y'] != b['y']).any() and (a['has_fast'] != b['has_fast']).any()


def test_the_population_is_the_mean_over_noise_free_examples():
  data, law = drawn(20_000, 0., 2), patches.population(**LAW)
  w = np.random.default_rng(0).normal(0, .5, (6, 20))
  model = cubic.CubicNetwork(6, 1.)
  loss = lambda weights, data: jax.nn.softplus(-data['y'] * model.apply(
      {'params': {'weights': jnp.asarray(weights, jnp.float32)}}, data['x']))
  got = np.mean(law['weight'] * loss(w @ data['directions'].T, law))
  share = data['has_fast'].mean()  # of this sample; the law says 0.9
  want = np.mean(loss(w, data) * np.where(
      data['has_fast'], .9 / share, .1 / (1 - share)))
  np.testing.assert_allclose(got, want, rtol=1e-5)
  np.testing.assert_allclose(law['weight'].mean(), 1)


@pytest.mark.parametrize('wrong', [dict(fast_probability=1.1),
                                   dict(num_patches=1)])
def test_impossible_data_are_refused(wrong):
  with pytest.raises(UserError, match='at least 2, at least 2'):
    drawn(10, **wrong)
