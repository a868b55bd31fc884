"""Lines of tokens: prompt and completion, batches of them, rows of several."""

from collections.abc import Callable
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from assay import keys
from assay.errors import UserError, some_of

# The first tokens of every vocabulary.
SPECIAL = ('<pad>', '<bos>', '<eos>', '<sep>', '<unk>')
PAD, BOS, EOS, SEP, UNK = range(len(SPECIAL))


class Task(NamedTuple):
  """What is generated, and when it is right.

  Attributes:
    symbols: texts of the task's own tokens, which come after `SPECIAL`.
    length: tokens of a line at most, with its begin and end.
    example: `(key, split) -> dict` of one example: `prompt` [P] and
      `completion` [C] int32, where `PAD` stands for no token; perhaps
      `identity` [k] int32, what tells it from others (default: the prompt).
    verify: `(prompt [P], output [N]) -> dict` of bool []: `right`, perhaps
      more. Both without begin and end, `PAD` behind.
    splits: their names, `train` first; all else is for testing.
  """
  symbols: tuple
  length: int
  example: Callable
  verify: Callable
  splits: tuple = ('train', 'test')


def size_of(task):
  """Tokens of a task's vocabulary."""
  return len(SPECIAL) + len(task.symbols)


def words(task):
  """The vocabulary, in order; a symbol at index i is token i."""
  return (*SPECIAL, *task.symbols)


def encode(task, symbols):
  """Tokens, int32 [n], of texts of the vocabulary, on the host.

  Raises:
    UserError: one of them is not in it.
  """
  known = {word: i for i, word in enumerate(words(task))}
  for symbol in symbols:
    if symbol not in known:
      raise UserError(f'no symbol {symbol!r} in the vocabulary; use some of '
                      f'{some_of(known, 40)}.')
  return np.array([known[symbol] for symbol in symbols], np.int32)


def decode(task, tokens):
  """Tokens as text: symbols one behind the other, on the host.

  Args:
    task: a `Task`.
    tokens: [n] int; pads are left out, begin and end are not shown.
  """
  known = words(task)
  return ''.join(known[i] for i in np.asarray(tokens) if i > EOS)


# --- One line ----------------------------------------------------------------


def compacted(tokens, length):
  """The tokens that are no `PAD`, in their order, at the front of [length].

  Args:
    tokens: [n] int.
    length: of the result; what does not fit is left out.
  """
  there = tokens != PAD
  place = jnp.cumsum(there) - 1
  # A comparison of all pairs takes less than a sort or a scatter.
  chosen = there & (place == jnp.arange(length)[:, None])
  return jnp.sum(jnp.where(chosen, tokens, 0), axis=1).astype(jnp.int32)


def line_of(task, example):
  """{`tokens` [length], `start` []} int32 of an example, and its other fields.

  Begin, prompt, completion, end; `start` is where the completion starts.
  """
  prompt, completion = example['prompt'], example['completion']
  ends = [jnp.array([token], jnp.int32) for token in (BOS, EOS)]
  tokens = jnp.concatenate([ends[0], prompt, completion, ends[1]])
  others = {k: v for k, v in example.items()
            if k not in ('prompt', 'completion')}
  return others | {
      'tokens': compacted(tokens, task.length),
      'start': 1 + jnp.sum(prompt != PAD).astype(jnp.int32)}


def lines_of(task, split, line_keys):
  """Lines of a split, one a key: leaves [B, ...]."""
  return jax.vmap(lambda key: line_of(task, task.example(key, split)))(
      line_keys)


def completion_of(tokens, start):
  """The completions [B, T] of lines [B, T], without prompt and end."""
  length = tokens.shape[1]
  place = start[:, None] + jnp.arange(length)
  got = jnp.take_along_axis(tokens, jnp.minimum(place, length - 1), axis=1)
  return jnp.where((place < length) & (got != EOS), got, PAD)


def exactly(gold):
  """A verifier of tasks with one answer: `gold(prompt [P]) -> [C]` tokens."""

  def verify(prompt, output):
    want = gold(prompt)
    size = max(len(want), len(output))
    return {'right': jnp.all(compacted(want, size) == jnp.pad(
        output, (0, size - len(output))))}

  return verify


def judged(task, prompt, output):
  """What a verifier says of completions that a model wrote.

  Args:
    task: a `Task`.
    prompt: int32 [B, P], without begin, `PAD` behind.
    output: int32 [B, N], as `models.sampling` writes it: `EOS`, then `PAD`.

  Returns:
    dict of bool [B] with `ended`; nothing is right that does not end, or goes
    on behind its end.
  """
  ends = output == EOS
  after = jnp.cumsum(ends, axis=1) - ends > 0
  ended = jnp.any(ends, axis=1) & ~jnp.any(after & (output != PAD), axis=1)
  said = jax.vmap(task.verify)(prompt, jnp.where(ends | after, PAD, output))
  return {k: v & ended for k, v in said.items()} | {'ended': ended}


# --- Batches -----------------------------------------------------------------


def draw_lines(task, batch_size, *, loss_on='completion', pack='none',
               row_length=0, starts=1):
  """`draw(shared, own, item, key) -> batch` of training lines.

  Of `own` it reads `num_examples` int32 [], 0 for a new line each time, and
  `data_seed`: example i of a set of N is a function of i mod N and of the seed,
  and is seen as often as any other.

  Args:
    task: a `Task`.
    batch_size: lines B of a batch, or rows of several lines.
    loss_on: `completion`, or `all` for the prompt too.
    pack: `none`, a line a row; `isolated`, a row holds several, each of which
      is read alone; `open`, a row is one text.
    row_length: tokens of a packed row.
    starts: positions that a row may start at, 0 .. starts - 1, drawn with it.

  Returns:
    A batch of x, y [B, T] int32, what is read and what comes next; mask [B, T]
    float32; packed and isolated, segment [B, T] int32; with several starts,
    offset [B] int32.
  """
  if pack not in ('none', 'isolated', 'open') or (
      loss_on not in ('completion', 'all')):
    raise UserError(f'pack={pack!r}, loss_on={loss_on!r}: pack must be none, '
                    'isolated or open, loss_on completion or all.')
  held = 1 if pack == 'none' else -(-row_length // 4)  # four tokens at least

  def draw(shared, own, item, key):
    del shared
    line_key, start_key = jax.random.split(key)
    number = batch_size * held
    fresh = jax.random.split(line_key, number)
    index = (item.astype(jnp.uint32) * number + jnp.arange(
        number, dtype=jnp.uint32)) % jnp.maximum(
            own['num_examples'], 1).astype(jnp.uint32)
    stored = keys.each(keys.named(own['data_seed'], 'lines'), index)
    made = lines_of(task, 'train', jax.lax.cond(
        own['num_examples'] > 0, lambda: stored, lambda: fresh))
    batch = next_tokens(made['tokens'], made['start'], loss_on)
    if pack != 'none':
      batch = jax.vmap(functools.partial(packed, length=row_length))(
          jax.tree.map(lambda x: x.reshape(batch_size, held, -1), batch))
      if pack == 'open':
        del batch['segment']
    if starts > 1:
      batch['offset'] = jax.random.randint(start_key, (batch_size,), 0, starts)
    return batch

  return draw


def next_tokens(tokens, start, loss_on='completion'):
  """x, y [B, T - 1] int32 and mask float32 of lines [B, T]."""
  x, y = tokens[:, :-1], tokens[:, 1:]
  counted = y != PAD
  if loss_on == 'completion':
    counted &= jnp.arange(1, tokens.shape[1]) >= start[:, None]
  return {'x': x, 'y': y, 'mask': counted.astype(jnp.float32)}


def packed(batch, length):
  """One row [length] of several lines, x, y, mask [n, T] each.

  The last line may be cut off. `segment` tells the line of each token.
  """
  sizes = jnp.sum(batch['y'] != PAD, axis=1)
  ends = jnp.cumsum(sizes)
  place = jnp.arange(length)
  line = jnp.sum(place[:, None] >= ends, axis=1)
  there = line < len(sizes)
  line = jnp.minimum(line, len(sizes) - 1)
  at = jnp.clip(place - (ends - sizes)[line], 0, batch['x'].shape[1] - 1)
  row = {k: jnp.where(there, v[line, at], 0) for k, v in batch.items()}
  return row | {'segment': line.astype(jnp.int32)}
