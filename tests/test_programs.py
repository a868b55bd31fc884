"""assay.data.texts.programs: they solve all lengths, and read nothing later."""

import numpy as np
import pytest

from assay.data import texts
from assay.data.texts import programs

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
