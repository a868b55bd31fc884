"""Length generalization: lines by hand, and what splits hold."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from assay import keys
from assay.data import texts
from assay.data.texts import programs
from assay.errors import UserError
from configs import rasp_length_generalization as card


def test_tasks_with_a_program_are_those_of_the_card():
  assert set(card.WITH) == set(programs.PROGRAMS)
  assert not set(card.WITHOUT) & set(programs.PROGRAMS)


def test_lines_by_hand():
  for kind, prompt, right, wrong in (
      ('counting', '36>', '3456', '345'), ('mode', '2024>', '2', '0'),
      ('copy_repeat', '0110>', '0110', '011'), ('sort', '719>', '179', '719'),
      ('parity', '0111>', '1', '0'), ('copy_unique', '719>', '719', '7199')):
    task = texts.sequence(kind, 3, 5, 10)
    said = lambda text, task=task, prompt=prompt: bool(task.verify(
        *(texts.encode(task, each) for each in (prompt, text)))['right'])
    assert said(right) and not said(wrong), kind


def test_splits_hold_what_they_say():
  task = texts.sequence('counting', 4, 8, 24)
  made = {split: np.asarray(jax.jit(jax.vmap(
      lambda key, split=split: task.example(key, split)['prompt']))(
          keys.each(keys.named(0, split), jnp.arange(200))))
          for split in ('train', 'test', 'length_8')}
  length = {k: set((v[:, 1] - v[:, 0] + 1).tolist()) for k, v in made.items()}
  assert length['train'] == {1, 2, 3, 4} and length['length_8'] == {8}
  assert length['test'] <= length['train']
  trained, asked = (set(map(tuple, made[split].tolist()))
                    for split in ('train', 'test'))
  assert not trained & asked and len(asked) > 5
  with pytest.raises(UserError, match='num_items=9, longest=8.*at least the'):
    texts.sequence('sort', 9, 8)
