"""Sequences that go on beyond the lengths of training (Zhou et al., 2024).

  counting     3 6 > 3 4 5 6
  mode         2 0 2 4 > 2
  copy_unique  7 1 9 > 7 1 9
  copy_repeat  0 1 1 > 0 1 1
  sort         7 1 9 > 1 7 9
  parity       0 1 1 > 0
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from assay.data.texts import lines
from assay.data.texts.splits import held_out, length_of, redrawn
from assay.errors import UserError, check_names

# How many different numbers a sequence is drawn of; None: all, each once.
NUMBERS = {'counting': None, 'mode': 5, 'copy_unique': None, 'copy_repeat': 2,
           'sort': None, 'parity': 2}
HELD_OUT = 256  # of 1024 parts: of short sequences there are few


@functools.lru_cache  # of equal values the same task again
def sequence(kind, num_items=8, longest=16, num_numbers=24):
  """Numbers, and what follows from them; of counting, its two ends.

  The number of items is uniform. Splits: `test`, sequences that are held out;
  `length_n`, of n items, more than in training.

  Args:
    kind: one of `NUMBERS`; the mode is the only one of its sequence.
    num_items: in training, at most.
    longest: items that are asked for at most.
    num_numbers: of the vocabulary.

  Raises:
    UserError: no such kind, or sizes that cannot be.
  """
  check_names('kind', [kind], NUMBERS, 'kind')
  if not 1 <= num_items <= longest <= num_numbers:
    raise UserError(
        f'num_items={num_items}, longest={longest}, num_numbers={num_numbers}: '
        'they must be 1 or more, each at least the one before.')
  base, place = len(lines.SPECIAL), np.arange(longest)
  sign = base + num_numbers
  asked = 2 if kind == 'counting' else longest
  answered = 1 if kind in ('mode', 'parity') else longest

  def items_of(key, count):
    """Numbers [longest], of which `count` are meant."""
    if kind == 'counting':
      return place + jax.random.randint(key, (), 0, num_numbers - count + 1)
    if NUMBERS[kind] is None:
      return jax.random.permutation(key, num_numbers)[:longest]
    return jax.random.randint(key, (longest,), 0, NUMBERS[kind])

  def answer(items, count):
    """(the completion, whether there is only one)."""
    there = place < count
    if kind == 'mode':
      found = jnp.sum(there & (items == np.arange(NUMBERS[kind])[:, None]),
                      axis=1)
      best = jnp.argmax(found)
      return base + best[None], jnp.sum(found == found[best]) == 1
    if kind == 'parity':
      return base + jnp.sum(jnp.where(there, items, 0), keepdims=True) % 2, True
    if kind == 'sort':
      items = jnp.sort(jnp.where(there, items, num_numbers))
    return jnp.where(there, base + items, lines.PAD), True

  def candidate(key, smallest, largest):
    count_key, key = jax.random.split(key)
    count = jax.random.randint(count_key, (), smallest, largest + 1)
    items = items_of(key, count)
    shown = jnp.where(place < count, base + items, lines.PAD)
    if kind == 'counting':
      shown = base + items[0] + jnp.stack([0 * count, count - 1])
    completion, alone = answer(items, count)
    return {'prompt': jnp.append(shown, sign).astype(jnp.int32),
            'completion': completion.astype(jnp.int32),
            'identity': shown.astype(jnp.int32), 'alone': jnp.array(alone)}

  def example(key, split):
    count = length_of(split)
    admissible = lambda made: made['alone'] & ((count > 0) | (
        held_out(made['identity'], HELD_OUT) == (split != 'train')))
    made = redrawn(lambda key: candidate(
        key, count or 1, count or num_items), admissible, key)
    del made['alone']
    return made

  def gold(prompt):
    count, items = jnp.sum(prompt != lines.PAD) - 1, prompt[:asked] - base
    if kind == 'counting':
      return answer(items[0] + place, items[1] - items[0] + 1)[0]
    return answer(jnp.pad(items, (0, max(0, longest - len(items)))), count)[0]

  return lines.Task(
      (*map(str, range(num_numbers)), '>'), asked + answered + 3, example,
      lines.exactly(gold), ('train', 'test', *(
          f'length_{n}' for n in range(num_items + 1, longest + 1))))
