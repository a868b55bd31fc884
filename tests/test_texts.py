"""assay.data.texts: lines, splits and verifiers of generated tasks."""

import functools

import jax
import jax.numpy as jnp
import kinds
import numpy as np
import pytest

from assay import keys
from assay.data import texts
from assay.errors import UserError

# name: (task, of its splits those that are looked at)
TASKS = {
    'sums': (texts.addition(3, 'plain'), ('test',)),
    'hinted': (texts.addition(2, 'hinted', longest=3), ('length_3',)),
    'chains': (texts.transforms(('rs', 'sr'), {'cmp': ('ss',)}),
               ('cmp', 'letters_3')),
    'rules': (texts.rewriting(64, num_letters=8), ('ends',)),
}
NUM = 64


@functools.cache
def made(name, split, num=NUM):
  return jax.tree.map(np.asarray, jax.jit(lambda: texts.lines_of(
      TASKS[name][0], split, keys.each(jax.random.key(3), jnp.arange(num))))())


def prompts(lines):
  """Prompts [B, T] without their begin."""
  inside = np.arange(lines['tokens'].shape[1]) < lines['start'][:, None]
  return np.where(inside, lines['tokens'], 0)[:, 1:]


def outputs(lines):
  """Completions as a model writes them, `EOS` behind."""
  gold = np.asarray(texts.completion_of(lines['tokens'], lines['start']))
  ends = np.arange(gold.shape[1]) == np.sum(gold != 0, axis=1)[:, None]
  return np.where(ends, texts.EOS, gold)


@pytest.mark.parametrize('name', [
    'sums', 'chains', *kinds.nightly('hinted', 'rules')])
def test_the_own_answer_is_right_and_no_other(name):
  """Also where it is cut, changed in one place, or goes on behind its end."""
  task, splits = TASKS[name]
  right = jax.jit(lambda prompt, output: texts.judged(
      task, prompt, output)['right'])
  for split in splits:
    lines = made(name, split)
    prompt, output = prompts(lines), outputs(lines)
    assert right(prompt, output).all(), split
    rng = np.random.default_rng(0)
    size = np.sum(output != 0, axis=1)
    rows, at = np.arange(NUM), rng.integers(0, size - 1)
    changed = output.copy()
    changed[rows, at] = len(texts.SPECIAL) + (
        changed[rows, at] - len(texts.SPECIAL) + 1) % len(task.symbols)
    assert not right(prompt, changed).any(), split
    cut = output.copy()
    cut[rows, size - 2], cut[rows, size - 1] = texts.EOS, 0
    assert not right(prompt, cut).any(), split
    behind = np.pad(output, ((0, 0), (0, 2)))
    behind[rows, size + 1] = texts.SEP
    assert not right(prompt, behind).any(), split
    unended = np.where(output == texts.EOS, 0, output)
    assert not right(prompt, unended).any(), split


@pytest.mark.parametrize('name', [
    'sums', *kinds.nightly('hinted', 'chains', 'rules')])
def test_no_identity_of_a_test_is_trained_on(name):
  task, splits = TASKS[name]
  splits = [split for split in splits if split != 'letters_3']
  assert set(texts.leaked(task, splits, num=20_000).values()) == {0}


def test_the_listing_finds_a_leak():
  task, _ = TASKS['sums']
  leaky = task._replace(example=lambda key, split: task.example(key, 'train'))
  assert texts.leaked(leaky, ['test'], 300)['test'] > 0


def test_held_out_is_a_sixteenth_and_the_same_everywhere():
  identities = jnp.arange(20_000)[:, None]
  share = np.mean(jax.vmap(texts.held_out)(identities))
  assert abs(share - 1 / 16) < 0.005  # three standard errors
  assert int(texts.mixed_bits(jnp.array([1, 2, 3]))) == _mixed(1, 2, 3)


def _mixed(*numbers):
  """The formula in Python's integers."""
  bits, all_ = 2_166_136_261, 2**32 - 1
  for each in numbers:
    bits = (bits ^ each) * 16_777_619 & all_
    bits ^= bits >> 15
  for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
    bits = (bits ^ (bits >> shift)) * factor & all_
  return bits ^ (bits >> 16)


def test_sums_by_hand():
  for order, prompt, answer, wrong in (
      ('plain', '97+05=', '102', '201'), ('reversed', '79+50=', '201', '102'),
      ('plain', '10+20=', '30', '030')):
    task = texts.addition(2, order)
    says = lambda text, task=task, prompt=prompt: bool(task.verify(
        texts.encode(task, prompt), texts.encode(task, text))['right'])
    assert says(answer) and not says(wrong) and not says(answer + '0')
  task = texts.addition(2, 'hinted')
  split = lambda text: [f'[{x}]' if i % 2 == 0 and x.isdigit() else x
                        for i, x in enumerate(text)]
  prompt = ['[4]', '7', '[5]', '9', '+', '[4]', '5', '[5]', '0', '=']
  says = lambda text: bool(task.verify(
      texts.encode(task, prompt), texts.encode(task, split(text)))['right'])
  assert says('425001')  # 97 + 05, from the lowest; six hints in a circle
  assert not says('524001') and not says('4250') and not says('201')


def test_lengths_are_uniform_and_a_carry_runs_through():
  lines = made('sums', 'train', 3000)
  digits = (lines['start'] - 3) // 2
  counts = np.bincount(digits, minlength=4)[1:]
  assert (abs(counts / 3000 - 1 / 3) < 0.03).all()
  assert {4, 3} <= set(np.sum(outputs(lines) > texts.EOS, axis=1)[digits == 3])


def test_rules_by_hand():
  task = texts.rewriting(4, text_length=8)
  prompt = texts.encode(task, 'aba>xyz:caabaaba=')
  said = lambda text: bool(task.verify(prompt, texts.encode(task, text))[
      'right'])
  assert said('caxyzaba') and not said('caabaxyz')  # the leftmost
  same = texts.encode(task, 'abc>xyz:aabbccba=')
  assert task.verify(same, texts.encode(task, 'aabbccba'))['right']


def test_rules_of_training_are_so_many_and_of_their_domains():
  left = lambda task, split: {tuple(row) for row in np.asarray(jax.jit(
      jax.vmap(lambda key: task.example(key, split)['identity']))(
          keys.each(jax.random.key(0), jnp.arange(400))))}
  task = texts.rewriting(6, ('ends', 'repeat'))
  assert len(left(task, 'train')) == 6
  assert sum(a == c and a != b for a, b, c in left(task, 'train')) == 3
  # By Zipf's law the first of them comes more often.
  skewed = texts.rewriting(50, zipf=1.5)
  assert len(left(skewed, 'train')) < len(left(texts.rewriting(50), 'train'))


# --- Batches ------------------------------------------------------------------


def drawn(num_examples=0, item=0, **fields):
  task, _ = TASKS['sums']
  own = {'data_seed': jnp.int32(3), 'num_examples': jnp.int32(num_examples)}
  return task, jax.jit(texts.draw_lines(task, 4, **fields))(
      {}, own, jnp.int32(item), jax.random.key(item))


def test_what_counts_is_the_completion_and_its_end():
  task, batch = drawn()
  _, whole = drawn(loss_on='all')
  for x, y, mask, all_ in zip(batch['x'], batch['y'], batch['mask'],
                              whole['mask'], strict=True):
    assert x[0] == texts.BOS and (x[1:] == y[:-1])[all_[1:] > 0].all()
    counted, equals = y[mask > 0], list(x).index(
        texts.encode(task, '=')[0])
    assert counted[-1] == texts.EOS and np.argmax(mask) == equals
    assert all_.sum() == (y != texts.PAD).sum()


def test_a_finite_set_comes_round():
  first, second, other = (drawn(8, item)[1]['x'] for item in (0, 2, 1))
  np.testing.assert_array_equal(first, second)
  assert (first != other).any()
  assert (drawn(0, 0)[1]['x'] != drawn(0, 2)[1]['x']).any()


def test_packed_rows_hold_whole_lines():
  _, row = drawn(pack='isolated', row_length=40)
  assert row['x'].shape == (4, 40) and 'segment' not in drawn(
      pack='open', row_length=40)[1]
  for x, y, mask, segment in zip(*(row[k] for k in (
      'x', 'y', 'mask', 'segment')), strict=True):
    starts = np.flatnonzero(x == texts.BOS)
    np.testing.assert_array_equal(np.unique(segment), np.arange(len(starts)))
    np.testing.assert_array_equal(np.flatnonzero(np.diff(segment)) + 1,
                                  starts[1:])
    assert len(starts) > 1 and mask[y == texts.EOS].all()


def test_starts_are_uniform():
  _, batch = drawn(starts=3)
  assert batch['offset'].shape == (4,) and set(
      np.asarray(batch['offset'])) <= {0, 1, 2}


def test_texts_and_back_and_what_is_refused():
  task, _ = TASKS['sums']
  assert texts.decode(task, texts.encode(task, '12+34=')) == '12+34='
  with pytest.raises(UserError, match="no symbol 'x' in the vocabulary; use"):
    texts.encode(task, 'x')
  with pytest.raises(UserError, match='num_digits=9, longest=10: they must be'):
    texts.addition(9, longest=10)
  with pytest.raises(UserError, match="pack='tight'.*pack must be none, iso"):
    drawn(pack='tight')
  with pytest.raises(UserError, match='num_letters=2.*use 3 to 26 letters'):
    texts.rewriting(4, num_letters=2)
