"""Chain of thought as a mirage: its lines by hand, and what is held out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from assay import keys
from assay.data import texts
from assay.data.texts import letters
from assay.errors import UserError
from configs import cot_mirage_dataalchemy as card
from experiments import cot_mirage_dataalchemy as paper

NET = card.get_config().net


def test_a_line_by_hand():
  task = texts.transforms(('rs',), {})
  prompt = texts.encode(task, [*'APPL', '[rotate]', '[shift]'])
  right = [*'<think> N C C Y [shift] <answer> C C Y N'.split()]
  for output, what in (
      (right, 'right chain_right answer_right'),
      ([*right[:-1], 'A'], 'chain_right'),
      ([*right[:4], 'A', *right[5:]], 'answer_right'),
      (right[:-1], 'chain_right')):
    said = task.verify(prompt, texts.encode(task, output))
    assert {k for k, v in said.items() if v} == set(what.split()), output


def test_transforms_by_hand():
  for which, want in enumerate(([0, 1, 2, 12], [14, 15, 25, 13],
                                [25, 15, 14, 13], [14, 13, 25, 15])):
    got = letters.transformed(which, jnp.array([13, 14, 15, 25]), 4)
    assert got.tolist() == want
  assert letters.transformed(1, jnp.array([5, 6, 7, 0]), 3).tolist() == [
      6, 7, 5, 5]  # the last is none


def test_no_pair_of_training_gives_the_answers_of_the_new_one():
  same = letters.same_answers
  assert same('ss', NET.pairs) == same('se', ('ee', 'ss', 'es')) == ()
  assert same('sr', ('rr', 'ss', 'rs')) == ('rs',)  # so `orders` is about it
  assert same('ss', ('ef', 'fe')) == ('ef', 'fe')  # why these are not trained


def test_splits_hold_what_they_say():
  task = paper.transforms(NET)
  of_keys = keys.each(jax.random.key(1), np.arange(24))
  lines = lambda task, split: [texts.decode(task, line) for line in
                               texts.lines_of(task, split, of_keys)['tokens']]
  assert all(line[4:18] == '[shift][shift]' for line in lines(task, 'cmp'))
  assert all(line[3] == '[' for line in lines(task, 'letters_3'))
  tuned, fields = paper.on_the_new_pair(NET)
  assert fields['num_examples'] == 45
  assert all('[shift][shift]' in line for line in lines(tuned, 'train'))
  short = paper.transforms(NET, chain=False)
  assert all('<think>' not in line for line in lines(short, 'test'))
  with pytest.raises(UserError, match="cmp: no transform 'x'; use some of r"):
    texts.transforms(('rs',), {'cmp': ('x',)})
