"""Randomness by name and by index, so that no two purposes share numbers."""

import zlib

import jax
import numpy as np

from assay.errors import UserError


def named(seed, name):
  """A typed key for one purpose of a seed, int [], which may be traced."""
  return jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))


def each(key, indices):
  """A typed key for each index [N]; none depends on the other indices."""
  return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, indices)


def generator(seed, name, *more):
  """A NumPy generator for one purpose of a seed, on the host.

  Args:
    seed: int >= 0.
    name: of the purpose.
    *more: integers, such as an epoch.

  Raises:
    UserError: the seed is negative.
  """
  if seed < 0:
    raise UserError(f'seed={seed} is negative; use 0 or more.')
  return np.random.default_rng((seed, zlib.crc32(name.encode()), *more))
