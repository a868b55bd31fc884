"""Words that an automaton reads, and the states that it goes through."""

import functools

import jax
import jax.numpy as jnp

from assay import keys
from assay.data.texts import lines
from assay.data.texts.splits import held_out, redrawn


@functools.lru_cache  # of equal values the same task again
def automaton(machine_seed=0, num_states=3, length=8, chain=True):
  """A word of two letters, and whether one automaton accepts it.

  The machine is drawn by its seed: a table of transitions, and which states
  accept, some but not all. Half of all words are held out for `test`.

  Args:
    machine_seed: of the machine.
    num_states: states, of which the first is where each word starts.
    length: letters of a word.
    chain: whether the states are written before the answer.
  """
  rng = keys.generator(machine_seed, 'machine')
  table = jnp.asarray(rng.integers(0, num_states, (num_states, 2)))
  accepts = jnp.asarray(rng.permutation(num_states) % 2 == 0)
  letter = len(lines.SPECIAL)
  state, no = letter + 2, letter + 2 + num_states

  def run(word):
    """(states after each letter [length], whether the last one accepts)."""
    def step(at, x):
      return table[at, x], table[at, x]

    last, states = jax.lax.scan(step, jnp.int32(0), word)
    return states, accepts[last]

  def solved(word):
    states, accepted = run(word)
    answer = jnp.where(accepted, no + 1, no)[None]
    return jnp.concatenate([state + states, answer] if chain else [answer])

  def example(key, split):
    word = redrawn(
        lambda key: {'word': jax.random.randint(key, (length,), 0, 2)},
        lambda made: held_out(made['word'], 512) == (split == 'test'),
        key)['word']
    return {'prompt': letter + word, 'completion': solved(word),
            'identity': word}

  def verify(prompt, output):
    want = solved(prompt[:length] - letter)
    output = jnp.pad(output, (0, max(0, len(want) - len(output))))
    spoken = jnp.sum(output != lines.PAD)
    last = output[jnp.maximum(spoken - 1, 0)]
    return {'right': jnp.all(output[:len(want)] == want)
                     & (spoken == len(want)),
            'answer_right': (last == want[-1]) & (spoken > 0)}

  symbols = ('0', '1', *(f'<{i}>' for i in range(num_states)), '<no>', '<yes>')
  size = 2 * length + 1 if chain else length + 1
  return lines.Task(symbols, size + 2, example, verify)

