"""Rewrite rules that are told in the prompt (Only-IF, Zhang et al., 2024).

  a b > c d : x a b y a b =  gives  x c d y a b
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from assay import keys
from assay.data.texts import lines
from assay.data.texts.splits import held_out
from assay.errors import UserError, check_names

LETTERS = tuple('abcdefghijklmnopqrstuvwxyz')
# What the left side of a rule may be: its letters by the order of their first
# appearance, so that 0 1 0 has the same letter first and last.
DOMAINS = {'any': None, 'repeat': (0, 0, 1), 'ends': (0, 1, 0),
           'tail': (0, 1, 1), 'same': (0, 0, 0)}


@functools.lru_cache  # of equal values the same task again
def rewriting(num_rules, domains=('any',), text_length=12, num_letters=26,
              absent=0.25, zipf=0.0, rule_seed=0):
  """Replace the leftmost left side of a rule in a text by its right side.

  Both sides have three letters. Left sides that are held out, by their letters
  alone, belong to no rule of training. In a share of the examples the left side
  does not occur, and the text stays as it is.

  Splits: `test`, rules never seen, left sides of any kind; `seen`, rules of
  training on new texts; and the name of each domain in `DOMAINS` but `any`,
  rules never seen of it.

  Args:
    num_rules: in training; the k-th of a domain is a function of k.
    domains: of training's left sides, each with as many rules.
    text_length: letters of the text.
    num_letters: of the alphabet, 3 to 26.
    absent: share of examples without the left side.
    zipf: rule k is drawn with a weight k^-zipf; 0, all alike.
    rule_seed: of the rules.

  Raises:
    UserError: no such domain, or sizes that cannot be.
  """
  check_names('domains', domains, DOMAINS, 'domain')
  if not (3 <= num_letters <= 26 and text_length >= 6
          and num_rules >= len(domains)):
    raise UserError(f'num_letters={num_letters}, text_length={text_length}, '
                    f'num_rules={num_rules}: use 3 to 26 letters, a text of 6 '
                    'or more, and a rule for each domain or more.')
  base = len(lines.SPECIAL)
  arrow, colon, equals = (base + len(LETTERS) + i for i in range(3))
  weights = np.arange(1, num_rules + 1) ** -float(zipf)
  ladder = jnp.asarray(np.cumsum(weights) / weights.sum(), jnp.float32)
  sign = lambda token: jnp.array([token], jnp.int32)
  patterns = jnp.array([DOMAINS[name] or (-1,) * 3 for name in domains])

  def letters_of(key, pattern):
    """A left side [3] of a pattern; its letters differ where it says so."""
    free_key, key = jax.random.split(key)
    free = jax.random.randint(free_key, (3,), 0, num_letters)
    first, step = jax.random.randint(
        key, (2,), jnp.array([0, 1]), jnp.array([num_letters, num_letters]))
    told = (first + pattern * step) % num_letters
    return jnp.where(pattern[0] < 0, free, told)

  def left_side(key, pattern, test):
    """One that is held out, or one that is not."""

    def again(carry):
      i, _ = carry
      return i + 1, letters_of(jax.random.fold_in(key, i + 1), pattern)

    return jax.lax.while_loop(
        lambda carry: (held_out(carry[1]) != test) & (carry[0] < 4096), again,
        (jnp.int32(0), letters_of(jax.random.fold_in(key, 0), pattern)))[1]

  def rule_of(key, pattern, test):
    """(left, right) [3] each; they differ."""
    left_key, right_key = jax.random.split(key)
    left = left_side(left_key, pattern, test)
    right = jax.random.randint(right_key, (3,), 0, num_letters)
    right = jnp.where(jnp.all(left == right), (right + 1) % num_letters, right)
    return left, right

  def example(key, split):
    rule_key, text_key, place_key, absent_key = jax.random.split(key, 4)
    if split in ('train', 'seen'):
      k = jnp.searchsorted(ladder, jax.random.uniform(rule_key))
      k = jnp.minimum(k, num_rules - 1)
      left, right = rule_of(
          jax.random.fold_in(keys.named(rule_seed, 'rules'), k),
          patterns[k % len(domains)], False)
    else:
      pattern = jnp.array(DOMAINS.get(split) or (-1,) * 3)
      left, right = rule_of(rule_key, pattern, True)
    text = jax.random.randint(text_key, (text_length,), 0, num_letters)
    # Up to two times in the text, so that `leftmost` means something.
    places = jax.random.randint(place_key, (2,), 0, text_length - 2)
    placed = text
    for at in places:
      placed = jax.lax.dynamic_update_slice(placed, left, (at,))
    without = text  # by chance it holds the left side, which the answer knows
    text = jnp.where(jax.random.uniform(absent_key) < absent, without, placed)
    prompt = jnp.concatenate([
        base + left, sign(arrow), base + right, sign(colon), base + text,
        sign(equals)]).astype(jnp.int32)
    return {'prompt': prompt, 'completion': base + rewritten(text, left, right),
            'identity': left}

  def gold(prompt):
    text = prompt[8:8 + text_length] - base
    return base + rewritten(text, prompt[:3] - base, prompt[4:7] - base)

  return lines.Task(
      (*LETTERS, '>', ':', '='), 2 * text_length + 11, example,
      lines.exactly(gold), ('train', 'test', 'seen', *list(DOMAINS)[1:]))


def rewritten(text, left, right):
  """`text` [n] with the leftmost `left` [3] as `right` [3]; else as it is."""
  there = jnp.all(jnp.stack([text[i:len(text) - 2 + i] == left[i]
                             for i in range(3)]), axis=0)
  at = jnp.argmax(there)
  changed = jax.lax.dynamic_update_slice(text, right.astype(text.dtype), (at,))
  return jnp.where(jnp.any(there), changed, text)
