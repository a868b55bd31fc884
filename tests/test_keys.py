"""Keys by name and by index."""

import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from assay import keys
from assay.errors import UserError


def data(key):
  return np.asarray(jax.random.key_data(key))


def test_a_name_is_folded_into_the_seed():
  want = jax.random.fold_in(jax.random.key(3), zlib.crc32(b'pool'))
  np.testing.assert_array_equal(data(keys.named(3, 'pool')), data(want))
  traced = jax.jit(lambda seed: keys.named(seed, 'pool'))(jnp.int32(3))
  np.testing.assert_array_equal(data(traced), data(want))
  assert (data(keys.named(3, 'tasks')) != data(want)).any()
  assert (data(keys.named(4, 'pool')) != data(want)).any()


def test_a_key_for_an_index_does_not_depend_on_the_others():
  key = jax.random.key(0)
  all_ = data(keys.each(key, jnp.arange(5)))
  assert len({tuple(k) for k in all_}) == 5
  np.testing.assert_array_equal(
      data(keys.each(key, jnp.array([3, 1]))), all_[[3, 1]])
  np.testing.assert_array_equal(all_[2], data(jax.random.fold_in(key, 2)))


def test_a_generator_is_that_of_seed_and_name():
  want = np.random.default_rng((3, zlib.crc32(b'order'), 7)).random(4)
  np.testing.assert_array_equal(
      keys.generator(3, 'order', 7).random(4), want)
  assert (keys.generator(3, 'split', 7).random(4) != want).all()
  with pytest.raises(UserError, match='seed=-1 is negative'):
    keys.generator(-1, 'order')
