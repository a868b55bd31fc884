"""Length generalization: programs solve all lengths, lines by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from assay import keys
from assay.data import texts
from assay.data.texts import programs
from assay.errors import UserError

SIGN, NUMBERS = 90, np.arange(programs.NUMBER, 80)


def line_of(kind, n, rng):
  """(prompt, answer) of n items, told by Python's own words."""
  items = rng.permutation(NUMBERS)[:n]
  if kind == 'counting':
    first = rng.choice(NUMBERS[:len(NUMBERS) - n])
    return [first, first + n - 1], range(first, first + n)
  if kind == 'mode':
    items = rng.permutation([*items[:n // 2], *items[:1]])
    return items, [np.bincount(items).argmax()]
  return items, sorted(items) if kind == 'sort' else items


@pytest.mark.parametrize('kind', programs.PROGRAMS)
def test_a_program_solves_all_lengths(kind):
  rng = np.random.default_rng(0)
  for n in range(1 + (kind == 'mode'), 31):
    prompt, answer = line_of(kind, n, rng)
    line = np.array([texts.BOS, *prompt, SIGN, *answer, texts.EOS])
    said = programs.PROGRAMS[kind](line[:-1], SIGN)
    start = len(prompt) + 1
    assert said[start:].tolist() == line[start + 1:].tolist(), n


def test_what_a_place_reads_by_hand():
  x, y = np.array([1, 2, 1, 1]), np.array([5, 6, 9, 2])
  read = lambda *how: programs.attend(x, x, y, np.equal, *how).tolist()
  assert read() == [5, 6, 7, 5]  # means, rounded down: 16 / 3
  assert read('max') == [5, 6, 9, 9] and read('min') == [5, 6, 5, 2]
  assert programs.attend(x, x, y, np.greater, 'max', 7).tolist() == [7, 7, 6, 6]
  assert programs.earlier(y, 2).tolist() == [0, 0, 5, 6]


def test_it_reads_nothing_later():
  rng = np.random.default_rng(1)
  x = rng.integers(5, 9, 12)
  for program in programs.PROGRAMS.values():
    changed = np.append(x[:8], rng.integers(5, 9, 4))
    np.testing.assert_array_equal(
        program(x, 7)[:8], program(changed, 7)[:8])


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
  made = lambda split: np.asarray(jax.jit(jax.vmap(
      lambda key: task.example(key, split)['prompt']))(
          keys.each(keys.named(0, split), jnp.arange(200))))
  length = {split: np.ptp(made(split)[:, :2], axis=1) + 1
            for split in ('train', 'test', 'length_8')}
  assert set(length['train']) == {1, 2, 3, 4} and length['test'].max() == 4
  assert (length['length_8'] == 8).all()
  assert texts.leaked(task, ['test'], 200) == {'test': 0}
  with pytest.raises(UserError, match='num_items=9, longest=8.*at least the'):
    texts.sequence('sort', 9, 8)
