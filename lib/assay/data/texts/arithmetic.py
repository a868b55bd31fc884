"""Sums of two numbers, in digits."""

import jax
import jax.numpy as jnp
import numpy as np

from assay.data.texts import lines
from assay.data.texts.splits import held_out, length_of, redrawn
from assay.errors import UserError, check_names

ORDERS = ('plain', 'reversed', 'hinted')
DIGITS = tuple('0123456789')
# Tokens of 0, + and =.
_SIGNS = [len(lines.SPECIAL) + i for i in (0, 10, 11)]


def addition(num_digits=3, order='reversed', longest=None, fewest=None):
  """a+b= and the sum, both numbers with the same number of digits.

  The number of digits is uniform, and the digits are uniform given it. Orders:
  `plain`, the first digit is that of the highest place; `reversed`, of the
  lowest; `hinted`, reversed, and before each digit stands a symbol of its
  place, in order from a random one on.

  Splits: `test`, pairs that are held out, of as many digits; where longer ones
  are asked for, `length_n`, of n digits, of those of training held out too.
  A pair is told by its numbers, whichever comes first.

  Args:
    num_digits: in training, at most.
    order: one of `ORDERS`.
    longest: digits that are asked for at most; default `num_digits`.
    fewest: digits in training, at least; default 1.

  Raises:
    UserError: no such order, or numbers of digits that cannot be.
  """
  check_names('order', [order], ORDERS, 'order')
  low, most = fewest or 1, longest or num_digits
  if not 1 <= low <= num_digits <= most <= 9:
    raise UserError(f'fewest={low}, num_digits={num_digits}, longest={most}: '
                    'they must be from 1 to 9, each at least the one before.')
  hints = 2 * (most + 1) if order == 'hinted' else 0
  symbols = (*DIGITS, '+', '=', *(f'[{i}]' for i in range(hints)))
  zero, plus, equals = _SIGNS
  first_hint, place = equals + 1, np.arange(most + 1)

  def written(digits, count, start):
    """Digits [most + 1], the lowest first, as tokens with pads."""
    tokens = jnp.where(place < count, zero + digits, lines.PAD)
    if order == 'plain':
      return tokens[::-1]
    if order == 'hinted':
      marks = jnp.where(place < count, first_hint + (start + place) % hints,
                        lines.PAD)
      return jnp.stack([marks, tokens], axis=1).ravel()
    return tokens

  def made(a, b, n, start):
    """(prompt, completion) of digits a and b, the lowest first."""
    total, carry = [], 0
    for i in range(most + 1):  # digits behind the highest are 0
      here = a[i] + b[i] + carry
      total.append(here % 10)
      carry = here // 10
    total = jnp.stack(total)
    sign = lambda token: jnp.array([token], jnp.int32)
    prompt = jnp.concatenate([written(a, n, start), sign(plus),
                              written(b, n, start), sign(equals)])
    return prompt, written(total, n + (total[n] > 0), start)

  def candidate(key, smallest, largest):
    parts = jax.random.split(key, 4)
    n = jax.random.randint(parts[0], (), smallest, largest + 1)
    a, b = (jnp.where(place < n, jax.random.randint(
        part, (most + 1,), 0, 10), 0) for part in parts[1:3])
    prompt, completion = made(a, b, n, jax.random.randint(
        parts[3], (), 0, max(hints, 1)))
    swapped = _lexicographically_less(b, a)
    smaller, larger = (jnp.where(swapped, x, y) for x, y in ((b, a), (a, b)))
    return {'prompt': prompt, 'completion': completion,
            'identity': jnp.concatenate([n[None], smaller, larger])}

  def example(key, split):
    n = length_of(split)
    if n > num_digits:
      return candidate(key, n, n)
    return redrawn(
        lambda key: candidate(key, n or low, n or num_digits),
        lambda made: held_out(made['identity']) == (split != 'train'), key)

  def verify(prompt, output):
    return {'right': _is_sum(prompt, output, order, hints)}

  # Line: begin, two numbers, two signs, a sum of a digit more, end.
  length = (3 * most + 1) * (2 if hints else 1) + 4
  splits = ('train', 'test', *(
      f'length_{n}' for n in range(low, most + 1) if most > num_digits))
  return lines.Task(symbols, length, example, verify, splits)


def _lexicographically_less(a, b):
  """Whether digits a [n] come before b."""
  differ = a != b
  first = jnp.argmax(differ)
  return jnp.any(differ) & (a[first] < b[first])


def _is_sum(prompt, output, order, hints):
  """Whether an output is the sum, by integers and not as it was made."""
  zero, plus, equals = _SIGNS
  base = jnp.int32(10)

  def value(tokens, chosen):
    """Digits of the chosen tokens as int32; numbers below 10^9."""
    digit = chosen & (tokens >= zero) & (tokens < zero + 10)
    place = jnp.cumsum(digit) - 1
    if order == 'plain':
      place = jnp.sum(digit) - 1 - place
    return jnp.sum(jnp.where(digit, (tokens - zero) * base**jnp.clip(
        place, 0, 9), 0)), jnp.sum(digit)

  before = jnp.cumsum(prompt == plus) == 0
  until = jnp.cumsum(prompt == equals) == 0
  a, digits = value(prompt, before)
  b, _ = value(prompt, ~before & until)
  total, count = value(output, output != lines.PAD)
  numeral = (output >= zero) & (output < zero + 10)
  right = (a + b == total) & (
      count == digits + (a + b >= base**jnp.minimum(digits, 9)))
  if order != 'hinted':
    return right & jnp.all(numeral | (output == lines.PAD))
  # Hints and digits in turn, hints in a circle from that of the prompt on.
  place = jnp.arange(len(output))
  first = equals + 1
  hint = first + (prompt[0] - first + place // 2) % hints
  turns = jnp.where(place % 2 == 0, output == hint, numeral)
  return right & jnp.all(turns | (output == lines.PAD)) & (
      jnp.sum(output != lines.PAD) == 2 * count)
