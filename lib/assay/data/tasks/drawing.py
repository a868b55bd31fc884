"""What the laws of tasks draw with: integers, permutations, rotations."""

import jax
import jax.numpy as jnp
import numpy as np

# TF32 products would be another task than that of a CPU.
EXACT = jax.lax.Precision.HIGHEST


def below(key, shape, limit):
  """Integers in [0, limit), uint32.

  The rest of 32 random bits: frequencies are equal to limit / 2^32, exactly
  so for powers of two. `randint` takes twice as many and compiles twice as
  long.
  """
  return jax.random.bits(key, shape, jnp.uint32) % jnp.asarray(
      limit, jnp.uint32)


def permutation(key, num):
  """A uniform permutation of 0 .. num - 1, int32: ranks of random numbers.

  For the few classes of a task this is a fraction of the time of a sort.
  """
  bits = jax.random.bits(key, (num,), jnp.uint32)
  less = bits[None] < bits[:, None]
  tied = (bits[None] == bits[:, None]) & np.tri(num, k=-1, dtype=bool)
  return jnp.sum(less | tied, axis=1, dtype=jnp.int32)


def distinct(key, num, total):
  """`num` different numbers below `total`, each set of them equally likely.

  Floyd's algorithm: no permutation of all, which may be many.
  """
  lasts = np.arange(total - num, total, dtype=np.uint32)
  numbers = below(key, (num,), lasts + np.uint32(1))
  chosen = []
  for number, last in zip(numbers, lasts, strict=True):
    taken = jnp.any(jnp.array([number == c for c in chosen], bool))
    chosen.append(jnp.where(taken, last, number))
  return jnp.stack(chosen)


def rotation(key, dimension):
  """An orthogonal matrix [d, d], Haar up to the signs of its columns."""
  return jnp.linalg.qr(jax.random.normal(
      key, (dimension, dimension), jnp.float32))[0]
