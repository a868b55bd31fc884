"""Splits of generated examples as predicates, and whether they leak."""

import jax
import jax.numpy as jnp
import numpy as np

from assay import keys

TEST = 64  # of 1024 parts of all identities, those that are held out


def mixed_bits(identity):
  """32 bits of an identity [k] int, uint32 []: the same on every machine.

  The rounds of FNV-1a over the integers, then the last mix of MurmurHash3.
  """
  bits = jnp.uint32(2_166_136_261)
  for each in identity.astype(jnp.uint32):
    bits = (bits ^ each) * jnp.uint32(16_777_619)
    bits = bits ^ (bits >> 15)
  for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
    bits = (bits ^ (bits >> shift)) * jnp.uint32(factor)
  return bits ^ (bits >> 16)


def held_out(identity, parts=TEST):
  """Whether an identity [k] int is one of those that are never trained on."""
  return mixed_bits(identity) % 1024 < parts


def length_of(split):
  """n of a split `length_n`, the length that it asks for; 0 of all others."""
  name, _, number = split.rpartition('_')
  return int(number) if name == 'length' else 0


def redrawn(draw, admissible, key, most=4096):
  """The first of the candidates `draw(key)` that is admissible.

  With a predicate that one identity in sixteen meets, none of so many does
  with a probability of e^-264.

  Args:
    draw: key -> dict of arrays.
    admissible: such a dict -> bool [].
    key: each candidate has one of its own.
    most: candidates, after which the last one is taken.
  """

  def again(carry):
    i, _ = carry
    return i + 1, draw(jax.random.fold_in(key, i + 1))

  first = jnp.int32(0), draw(jax.random.fold_in(key, 0))
  return jax.lax.while_loop(
      lambda carry: ~admissible(carry[1]) & (carry[0] < most), again, first)[1]


def leaked(task, splits, num=20_000, seed=0):
  """How many of a split's examples training meets too, found by listing.

  Args:
    task: a `Task`.
    splits: names.
    num: examples of training that are listed, and of each split.
    seed: of their keys.

  Returns:
    {split: examples whose identity is one of training's}.
  """

  def listed(name):
    made = jax.jit(jax.vmap(lambda key: _identity(task.example(key, name))))(
        keys.each(keys.named(seed, name), jnp.arange(num)))
    return np.asarray(made)

  trained = {row.tobytes() for row in listed('train')}
  return {split: sum(row.tobytes() in trained for row in listed(split))
          for split in splits}


def _identity(example):
  return example.get('identity', example['prompt'])
