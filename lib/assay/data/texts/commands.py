"""Commands and the actions that they mean (SCAN, Lake and Baroni, 2018).

  jump opposite left twice after walk =  gives  W L L J L L J
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from assay.data.texts import lines
from assay.data.texts.splits import held_out, redrawn
from assay.errors import UserError, check_names

NAMES = ('jump', 'walk', 'look', 'run')
_WORDS = ('turn', 'left', 'right', 'opposite', 'around', 'twice', 'thrice',
          'and', 'after', '=')
# What one phrase means, of its turn (1) and its action (2).
_MEANINGS = np.array([
    [2, 0, 0, 0, 0, 0, 0, 0], [1, 2, 0, 0, 0, 0, 0, 0],
    [1, 1, 2, 0, 0, 0, 0, 0], [1, 2, 1, 2, 1, 2, 1, 2]])
ALONE, TOWARDS, OPPOSITE, AROUND = range(len(_MEANINGS))
SHORT = 8  # actions at most
SIZES = {'all': (1, 48), 'short': (1, SHORT), 'long': (SHORT + 1, 48)}


@functools.lru_cache  # of equal values the same task again
def commands(held='jump', factor=1, sizes='all', most_actions=16, alone=0.1):
  """One phrase, or two with `and` or `after`; each at most three times.

  Training has nothing that is held out: with `jump` no command of more than
  this one word has it, with `around_right` none has these two words.

  Splits: `test`, commands of training's kind that are held out; `composed`,
  commands with what is held out.

  Args:
    held: `jump` or `around_right`.
    factor: 3 factor actions are composed in training, `jump` beside them; the
      names of more than three are made up.
    sizes: commands of training, of `SIZES` by their actions.
    most_actions: of any command.
    alone: share of single actions, half of them `jump`, in what is drawn; of
      other draws some are refused, so that it is more in training.

  Raises:
    UserError: no such thing is held out, or sizes that cannot be.
  """
  check_names('held', [held], ('jump', 'around_right'), 'thing to hold out')
  check_names('sizes', [sizes], SIZES, 'range of sizes')
  if not (factor >= 1 and SHORT < most_actions <= 48 and 0 <= alone <= 1):
    raise UserError(
        f'factor={factor}, most_actions={most_actions}, alone={alone}: use a '
        f'factor of 1 or more, {SHORT + 1} to 48 actions and a share of 0 to '
        '1.')
  number = 3 * factor + 1
  names = (*NAMES, *(f'do{i}' for i in range(len(NAMES), number)))
  base = len(lines.SPECIAL)
  word = {name: base + number + i for i, name in enumerate(_WORDS)}
  turns = base + number + len(_WORDS)  # left, right, then the actions
  fewest, most = SIZES[sizes]
  no_word = lines.PAD

  def phrase(verb, meaning, right, times):
    """(its words [4], its actions [24]); verb `number` is `turn`."""
    words = jnp.stack([
        jnp.where(verb < number, base + verb, word['turn']),
        jnp.array([no_word, no_word, word['opposite'], word['around']])[
            meaning],
        jnp.where(meaning == ALONE, no_word, word['left'] + right),
        jnp.array([no_word, word['twice'], word['thrice']])[times]])
    once = jnp.stack([
        jnp.int32(no_word), turns + right,
        jnp.where(verb < number, turns + 2 + verb, no_word)])[
            jnp.asarray(_MEANINGS)[meaning]]
    return words, jnp.where(
        jnp.repeat(np.arange(3), 8) <= times, jnp.tile(once, 3), no_word)

  def drawn(key):
    """A command, and whether it may be trained on."""
    of_phrases, of_form, of_alone = jax.random.split(key, 3)
    kind = jax.random.randint(of_phrases, (2,), 0, 7 * number + 6)
    verb = jnp.minimum(kind // 7, number)
    # Of 7 meanings of an action `turn` lacks the first, to stand alone.
    which = jnp.where(verb == number, kind - 7 * number + 1, kind % 7)
    meaning, right = (which + 1) // 2, (which + 1) % 2
    times = jax.random.randint(jax.random.fold_in(of_phrases, 1), (2,), 0, 3)
    # As often as among all commands: one phrase, or two in two ways.
    form = jax.random.randint(of_form, (), 0, 6 * (7 * number + 6) + 1)
    two = form > 0
    single = jax.random.uniform(of_alone) < alone
    chosen, half = jax.random.randint(
        jax.random.fold_in(of_alone, 1), (2,), jnp.array([1, 0]),
        jnp.array([number, 2]))
    first = phrase(
        jnp.where(single, chosen * half, verb[0]),
        jnp.where(single, ALONE, meaning[0]), right[0],
        jnp.where(single, 0, times[0]))
    second = phrase(verb[1], meaning[1], right[1], times[1])
    two &= ~single
    after = form % 2 == 0
    (words, acts), (more, acted) = first, jax.tree.map(
        lambda x: jnp.where(two, x, no_word), second)
    prompt = jnp.concatenate([
        words, jnp.where(two, jnp.where(after, word['after'], word['and']),
                         no_word)[None], more, jnp.array([word['='],])])
    completion = jnp.where(after, jnp.append(acted, acts),
                           jnp.append(acts, acted))
    return {'prompt': prompt.astype(jnp.int32),
            'completion': completion.astype(jnp.int32),
            'known': ~has_held(prompt)}

  def has_held(prompt):
    if held == 'jump':
      return jnp.any(prompt == base) & (jnp.sum(prompt != no_word) > 2)
    around = prompt == word['around']
    return jnp.any(around[:-1] & (prompt[1:] == word['right']))

  def example(key, split):
    def admissible(made):
      count = jnp.sum(made['completion'] != no_word)
      fits = (count <= most_actions)
      if split == 'composed':
        return fits & ~made['known']
      is_alone = jnp.sum(made['prompt'] != no_word) == 2
      mine = (held_out(made['prompt']) & ~is_alone) == (split == 'test')
      if split == 'train':
        mine &= is_alone | ((count >= fewest) & (count <= most))
      return fits & made['known'] & mine

    made = redrawn(drawn, admissible, key)
    del made['known']
    return made

  def gold(prompt):
    """Read from its words, not from how it was drawn."""
    at = jnp.argmax((prompt == word['and']) | (prompt == word['after']))
    two = jnp.any((prompt == word['and']) | (prompt == word['after']))
    place = np.arange(len(prompt))

    def meant(there):
      has = lambda name: jnp.any(there & (prompt == word[name]))
      named = there & (prompt >= base) & (prompt < base + number)
      verb = jnp.where(jnp.any(named), jnp.sum(
          jnp.where(named, prompt - base, 0)), number)
      meaning = jnp.where(has('around'), AROUND, jnp.where(
          has('opposite'), OPPOSITE, jnp.where(
              has('left') | has('right'), TOWARDS, ALONE)))
      return phrase(verb, meaning, has('right').astype(jnp.int32),
                    has('twice') + 2 * has('thrice'))[1]

    first = meant(~two | (place < at))
    second = jnp.where(two, meant(two & (place > at)), no_word)
    after = jnp.any(prompt == word['after'])
    return lines.compacted(jnp.where(
        after, jnp.append(second, first), jnp.append(first, second)), 48)

  symbols = (*names, *_WORDS, '<L>', '<R>', *(f'<{name}>' for name in names))
  return lines.Task(symbols, 10 + most_actions + 2, example,
                    lines.exactly(gold), ('train', 'test', 'composed'))
