"""Random keys by name and by index, so that no two purposes share numbers."""

import zlib

import jax


def named(seed, name):
  """A typed key for one purpose of a seed, int [], which may be traced."""
  return jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))


def each(key, indices):
  """A typed key for each index [N]; none depends on the other indices."""
  return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, indices)
