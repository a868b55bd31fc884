"""Commands and actions: counts of SCAN, lines by hand, what is held out."""

import jax
import numpy as np
import pytest

from assay import keys
from assay.data import texts
from assay.errors import UserError

TASK = texts.commands(most_actions=48)


def test_lines_by_hand():
  said = lambda *of: bool(TASK.verify(*(
      texts.encode(TASK, each.split()) for each in of))['right'])
  for prompt, text in (
      ('jump =', '<jump>'), ('turn left twice =', '<L> <L>'),
      ('run opposite right =', '<R> <R> <run>'),
      ('turn around left =', '<L> <L> <L> <L>'),
      ('walk around right =', '<R> <walk> <R> <walk> <R> <walk> <R> <walk>'),
      ('look left after jump twice =', '<jump> <jump> <L> <look>'),
      ('look thrice and run =', '<look> <look> <look> <run>')):
    assert said(prompt, text), prompt
    assert not said(prompt, text + ' <run>') and not said(prompt, '<L>')


def drawn(task, split, num=3000):
  made = jax.jit(jax.vmap(lambda key: task.example(key, split)))(
      keys.each(keys.named(0, split), np.arange(num)))
  return {name: np.asarray(value) for name, value in made.items()}


def test_splits_hold_what_they_say():
  """Each command once has 34 phrases, each once, twice or thrice."""
  task = texts.commands('around_right', sizes='short', most_actions=20)
  made = {split: drawn(task, split) for split in task.splits}
  around, right = map(texts.words(task).index, ('around', 'right'))
  for split, each in made.items():
    held = (each['prompt'][:, :-1] == around) & (
        each['prompt'][:, 1:] == right)
    assert (held.any(1) == (split == 'composed')).all(), split
    assert np.sum(each['completion'] != 0, axis=1).max() <= (
        8 if split == 'train' else 20)
  trained, asked = (set(map(tuple, made[split]['prompt'].tolist()))
                    for split in ('train', 'test'))
  assert not trained & asked
  phrases = {tuple(p[:4]) for each in made.values()
             for p in each['prompt'].tolist()}
  assert len(phrases) == 102 - 8  # four actions around, thrice, have 24


def test_jump_stands_alone_in_training():
  each = drawn(TASK, 'train')['prompt']
  jump = len(texts.SPECIAL)
  alone = np.sum(each != 0, axis=1) == 2
  assert ((each == jump).any(1) <= alone).all()
  assert .05 < np.mean((each == jump).any(1)) < .1
  with pytest.raises(UserError, match='factor=0.*16'):
    texts.commands(factor=0)
