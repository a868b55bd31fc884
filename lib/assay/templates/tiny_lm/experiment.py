"""TODO: the question. Does a tiny language model reverse more than was shown?

  python -m experiments.my_paper

To make this paper yours, put your task in the place of `reversing`.
"""

import functools
import sys

import jax
import jax.numpy as jnp

from assay import cli
from assay.data import texts
from assay.testbeds import tiny_lm
from assay.testbeds import tiny_lm_rows as rows


@functools.lru_cache  # of equal values the same task again
def reversing(num_letters, longest):
  """TODO: the task. Letters, a sign, and the letters from last to first."""

  def letters(key, low, high):
    count_key, key = jax.random.split(key)
    first = len(texts.SPECIAL)
    drawn = jax.random.randint(key, (longest,), first, first + 26)
    count = jax.random.randint(count_key, (), low, high + 1)
    return jnp.where(jnp.arange(longest) < count, drawn, texts.PAD)

  def example(key, split):  # TODO: an example of a split
    n = texts.length_of(split)
    prompt = letters(key, n, n) if n > num_letters else texts.redrawn(
        lambda key: letters(key, n or 1, n or num_letters),
        lambda made: texts.held_out(made) == (split != 'train'), key)
    return {'prompt': jnp.append(prompt, texts.SEP), 'completion': prompt[::-1],
            'identity': prompt}

  def answer(prompt):  # TODO: or a verifier, see `texts.Task`
    return jnp.where(prompt == texts.SEP, texts.PAD, prompt)[::-1]

  return texts.Task(
      tuple('abcdefghijklmnopqrstuvwxyz'), 2 * longest + 3, example,
      texts.exactly(answer), ('train', 'test', *(
          f'length_{n}' for n in range(1, longest + 1))))


task = lambda net: reversing(net.num_letters, net.longest)
ARMS = {'baseline': tiny_lm.Arm(task),  # TODO: what else is in `tiny_lm.Arm`
        'mine': tiny_lm.Arm(task, {'positions': 'relative'})}
make_apply = tiny_lm.loader(ARMS)


def run(config, study):
  """Trains every arm on every seed and asks it; returns the rows."""
  return tiny_lm.run(config, study, ARMS, rows.record_all)


if __name__ == '__main__':
  sys.exit(cli.main('my_paper'))
