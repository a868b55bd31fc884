"""Letters that are transformed step by step (DataAlchemy, Zhao et al., 2026).

  A P P L [rotate] [shift] <think> N C C Y [shift] <answer> C C Y N
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from assay.data.texts import lines
from assay.data.texts.splits import held_out, redrawn
from assay.errors import UserError, check_names

LETTERS = tuple('ABCDEFGHIJKLMNOPQRSTUVWXYZ')
# Names of transforms; a composition is told by their first letters.
TRANSFORMS = ('rotate', 'shift', 'flip', 'exchange')


def transformed(which, letters, count, rotation=13):
  """The first `count` of letters [l] in [0, 26) after a transform.

  Args:
    which: int [], 0 `rotate`, each letter by `rotation` in the alphabet; 1
      `shift`, to the left by one; 2 `flip`, the order reversed; 3 `exchange`,
      each with its neighbor.
    letters: int [l].
    count: int [], that there are.
    rotation: of `rotate`.
  """
  place = jnp.arange(len(letters))
  last = jnp.maximum(count - 1, 0)
  neighbor = place ^ 1
  sources = jnp.stack([
      place, jnp.where(place < last, place + 1, 0), last - place,
      jnp.where(neighbor < count, neighbor, place)])
  moved = letters[jnp.clip(sources[which], 0, len(letters) - 1)]
  return jnp.where(which == 0, (moved + rotation) % len(LETTERS), moved)


def transforms(train, others, num_letters=4, rotation=13, chain=True):
  """Compositions of transforms, applied from left to right.

  Splits: `test`, compositions of training on letters that are held out;
  `letters_n`, the same of n letters, fewer than in training; and those of
  `others`. Letters are held out, whatever the composition.

  Args:
    train: compositions of training, `rs` for rotate and then shift; all have
      the same number of steps.
    others: split -> its compositions, asked on letters that are held out.
    num_letters: of each in training.
    rotation: of `rotate`; 13, as in the authors' code, is its own inverse.
    chain: whether what is between is written; else the answer alone.

  Raises:
    UserError: no such transform, or compositions of several lengths.
  """
  depth = len(train[0])
  known = dict(zip((name[0] for name in TRANSFORMS), range(4), strict=True))
  for split, group in (('train', train), *others.items()):
    check_names(split, ''.join(group), known, 'transform')
    if {len(each) for each in group} != {depth}:
      raise UserError(f'{split}={group}: all must have {depth} transforms.')
  numbers = lambda group: jnp.array(
      [[known[letter] for letter in each] for each in group], jnp.int32)
  groups = {'train': numbers(train)} | {
      split: numbers(group) for split, group in others.items()}
  base = len(lines.SPECIAL)
  first_transform = base + len(LETTERS)
  think, answer = (first_transform + len(TRANSFORMS) + i for i in (0, 1))
  symbols = (*LETTERS, *(f'[{name}]' for name in TRANSFORMS), '<think>',
             '<answer>')
  place = np.arange(num_letters)
  marker = lambda token: jnp.array([token], jnp.int32)

  def solved(letters, count, chosen):
    """(all that is written, what stands behind `answer`)."""
    told = []
    for step in range(depth):
      letters = transformed(chosen[step], letters, count, rotation)
      shown = jnp.where(place < count, base + letters, lines.PAD)
      if step + 1 == depth:
        told += [marker(answer), shown]
      elif chain:
        told += [marker(think), shown, first_transform + chosen[step + 1:]]
    return jnp.concatenate(told), shown

  def candidate(key, chosen, count):
    letters = jax.random.randint(key, (num_letters,), 0, len(LETTERS))
    letters = jnp.where(place < count, letters, 0)
    prompt = jnp.concatenate([
        jnp.where(place < count, base + letters, lines.PAD),
        first_transform + chosen])
    return {'prompt': prompt.astype(jnp.int32),
            'completion': solved(letters, count, chosen)[0].astype(jnp.int32),
            # Letters that are held out are so for all compositions.
            'identity': letters}

  def example(key, split):
    which, key = jax.random.split(key)
    group = groups.get(split, groups['train'])
    chosen = group[jax.random.randint(which, (), 0, len(group))]
    count = num_letters
    if split.startswith('letters_'):
      return candidate(key, chosen, int(split.removeprefix('letters_')))
    return redrawn(
        lambda key: candidate(key, chosen, count),
        lambda made: held_out(made['identity']) == (split != 'train'), key)

  def verify(prompt, output):
    is_letter = (prompt >= base) & (prompt < first_transform)
    count = jnp.sum(is_letter)
    letters = lines.compacted(
        jnp.where(is_letter, prompt - base + 1, 0), num_letters) - 1
    chosen = lines.compacted(
        jnp.where(prompt >= first_transform, prompt - first_transform + 1, 0),
        depth) - 1
    written, last = solved(jnp.maximum(letters, 0), count, chosen)
    size = max(len(output), len(written))
    want = lines.compacted(written, size)
    output = jnp.pad(output, (0, size - len(output)))
    same = want == output
    of_answer = jnp.cumsum(want == answer) > 0
    behind = lambda text: lines.compacted(jnp.where(
        jnp.cumsum(text == answer) - (text == answer) > 0, text, 0), size)
    return {'right': jnp.all(same),
            'chain_right': jnp.all(same | of_answer),
            'answer_right': jnp.all(behind(output) == lines.compacted(
                last, size)) & jnp.any(output == answer)}

  steps = (num_letters + 1) * depth + depth * (depth - 1) // 2 if chain else (
      num_letters + 1)
  return lines.Task(
      symbols, num_letters + depth + steps + 2, example, verify,
      ('train', 'test', *others, *(f'letters_{n}' for n in range(
          2, num_letters))))


def same_answers(composition, train, num_letters=4, rotation=13, num=64):
  """Those of `train` that give the same answers as a composition, listed.

  What is asked of a composition that equals one of training is no test of
  composing: a rotation commutes with all else, and two rotations by 13 are
  none.

  Example:
    >>> from assay.data.texts import letters
    >>> letters.same_answers('sr', ('rs', 'ss'))
    ('rs',)
  """
  letters = jax.random.randint(
      jax.random.key(0), (num, num_letters), 0, len(LETTERS))
  order = [name[0] for name in TRANSFORMS]

  def answers(composition):
    made = letters
    for letter in composition:
      made = jax.vmap(lambda x, letter=letter: transformed(
          order.index(letter), x, num_letters, rotation))(made)
    return np.asarray(made)

  mine = answers(composition)
  return tuple(other for other in train if np.array_equal(answers(other), mine))


def all_compositions(names, depth):
  """Every composition of some transforms, told by their first letters."""
  return tuple(map(''.join, itertools.product(names, repeat=depth)))
