"""CoT information: its formula by hand, its bound, and the families."""

import numpy as np
import pytest

from assay import keys
from assay.data import families, texts
from assay.methods import cot_information as cot


def test_information_by_hand():
  # Of two hypotheses that differ on a share p, -log(1 - p), if nearest.
  wrong = np.zeros((3, 10), bool)
  wrong[1, :3], wrong[2, :6] = True, True
  for error, p in ((.1, .3), (.3, .3), (.5, .6)):
    assert np.isclose(cot.information(~wrong, wrong, error), -np.log(1 - p))
  assert np.isnan(cot.information(~wrong, wrong, .7))
  shown = ~wrong & (np.arange(3) == 0)[:, None]
  assert cot.information(shown, wrong, .1) == np.inf
  rng = np.random.default_rng(0)
  assert cot.examples_needed(shown, wrong, .1, rng, 20) == 1


@pytest.mark.parametrize('beside', [
    lambda rng: families.automata_beside(*rng.integers([16, 4]), 2, 5),
    lambda rng: families.linear_maps_beside(rng.integers(512), 3)])
def test_what_holds_for_every_target(beside):
  """Chains tell at least as much, and no more examples than the bound."""
  rng = np.random.default_rng(3)
  for _ in range(4):
    chain, answer, wrong = beside(rng)
    assert not (chain & ~answer).any() and (answer != wrong).all()
    told = [cot.information(same, wrong, .1) for same in (chain, answer)]
    assert not told[0] < told[1]
    if np.isfinite(told[0]):
      needed = cot.examples_needed(chain, wrong, .1, rng, 30)
      assert 1 <= needed <= (np.log(len(wrong)) + np.log(10)) / told[0] + 1


def test_an_automaton_by_hand():
  chains, last, accepts = families.automata(2, 2)
  assert chains.shape == last.shape == (16, 4) and accepts.shape == (4, 2)
  assert (last[0b0001] == 0).all()  # it never leaves 0
  # Table 0110 is the parity of ones: words 00, 01, 10, 11.
  assert last[0b0110].tolist() == [0, 1, 1, 0]
  assert chains[0b0110].tolist() == [0b00, 0b01, 0b11, 0b10]


def test_words_of_a_machine():
  task = texts.automaton(3, length=4)
  assert texts.leaked(task, ['test'], 300) == {'test': 0}
  line = texts.line_of(task, task.example(keys.named(0, 'x'), 'train'))
  tokens = np.asarray(line['tokens'])
  start, size = int(line['start']), np.sum(tokens != texts.PAD)
  said = lambda output: {k: bool(v) for k, v in task.verify(
      tokens[1:start], output).items()}
  gold = tokens[start:size - 1]
  assert said(gold) == {'right': True, 'answer_right': True}
  assert said(np.append(gold[0] ^ 1, gold[1:])) == {
      'right': False, 'answer_right': True}
