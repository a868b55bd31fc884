"""What a tiny language model says, part of the testbed `tiny_lm`.

Whether greedy decoding gives the wanted text is known from one pass over it: it
does if each token of it is the most likely one after those before. What else a
model would have written has to be written.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from assay import keys
from assay.data import texts
from assay.models import sampling
from assay.train import evaluate

AT_ONCE = 500  # lines in one call


@functools.lru_cache(maxsize=64)
def _lines(task, split, num):
  return jax.jit(lambda key: texts.lines_of(
      task, split, keys.each(key, jnp.arange(num))))


def asked(task, split, seeds, num):
  """Lines of a split, the same for all: leaves [S, N, ...] on the host.

  `tokens` [S, N, T] and `start` [S, N] int32, and what else the task has.
  """
  of_seed = _lines(task, split, num)
  made = [of_seed(keys.named(seed, split)) for seed in seeds]
  return jax.tree.map(lambda *leaves: np.stack(leaves), *made)


def _draw(shared, own, item, key):
  del shared, key
  return {'x': {k: own[k][item] for k in own}, 'y': item}


def forced(block, fitted, model, made):
  """What a model thinks of the wanted completions, in one pass over them.

  Returns:
    best [S, N, T - 1] bool, whether the token at t + 1 is the most likely one;
    log_p float32, its log-probability; and counted bool, those that belong to
    the completion or its end.
  """
  predict = evaluate.predictor(_forced(model), _draw, AT_ONCE)
  own = {k: made[k] for k in ('tokens', 'start')}
  found, _ = block.outputs(fitted, predict, {}, own, made['start'].shape[1])
  counted = (made['tokens'][..., 1:] != texts.PAD) & (
      np.arange(1, made['tokens'].shape[2]) >= made['start'][..., None])
  return found[..., 0] > 0, found[..., 1], counted


@functools.lru_cache  # of an equal model the same object again
def _forced(model):
  def apply(params, extra, x):
    del extra
    log_p = jax.nn.log_softmax(
        model.apply({'params': params}, x['tokens'][:, :-1]))
    wanted = x['tokens'][:, 1:]
    best = jnp.argmax(log_p, axis=-1) == wanted
    return jnp.stack([best, jnp.take_along_axis(
        log_p, wanted[..., None], axis=-1)[..., 0]], axis=-1)

  return apply


def written(block, fitted, model, task, made, temperature=0.):
  """What a model writes after the prompts, and whether it is right.

  Args:
    block, fitted: whose.
    model: the transformer.
    task: a `Task`.
    made: from `asked`.
    temperature: 0 for the most likely token each time.

  Returns:
    dict of `tokens` int32 and `log_p` float32 [S, N, C], and what the task's
    verifier says, bool [S, N].
  """
  longest, num_tokens = _sizes(task)
  prompts = np.where(np.arange(longest) < made['start'][..., None],
                     made['tokens'][..., :longest], texts.PAD)
  shown = {'prompt': prompts, 'length': made['start'].astype(np.int32),
           'key': _keys(block.seeds, prompts.shape[1])}
  predict = evaluate.predictor(
      _written(model, num_tokens, float(temperature)), _draw, AT_ONCE)
  found, _ = block.outputs(fitted, predict, {}, shown, prompts.shape[1])
  tokens = found[..., 0].astype(np.int32)
  said = [_judge(task)(prompt[:, 1:], output)
          for prompt, output in zip(prompts, tokens, strict=True)]
  return {'tokens': tokens, 'log_p': found[..., 1]} | jax.tree.map(
      lambda *leaves: np.stack(leaves), *said)


@functools.lru_cache(maxsize=64)
def _judge(task):
  return jax.jit(functools.partial(texts.judged, task))


@functools.lru_cache(maxsize=64)
def _sizes(task):
  """Tokens of a prompt with its begin, and of a completion with its end."""
  like = jax.eval_shape(lambda key: task.example(key, 'train'),
                        jax.random.key(0))
  return tuple(min(like[k].size + 1, task.length)
               for k in ('prompt', 'completion'))


def _keys(seeds, num):
  """Bits of a key for each line of each seed, uint32 [S, N, 2]."""
  return np.stack([jax.random.key_data(keys.each(
      keys.named(seed, 'written'), jnp.arange(num))) for seed in seeds])


@functools.lru_cache  # of an equal model the same object again
def _written(model, num_tokens, temperature):
  def apply(params, extra, x):
    del extra
    made = sampling.sample(
        model, {'params': params}, x['prompt'], x['length'],
        jax.random.wrap_key_data(x['key']), eos=texts.EOS,
        num_tokens=num_tokens, temperature=temperature)
    return jnp.stack([made.tokens.astype(jnp.float32), made.log_p], axis=-1)

  return apply


# --- All of it ---------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Model:
  """Trained models of a block of seeds, and what they can be asked.

  Attributes:
    block, fitted: whose.
    module: the transformer.
    task: what they were trained on.
    num_prompts: lines of each split that they are asked.
  """
  block: Any
  fitted: Any
  module: Any
  task: texts.Task
  num_prompts: int
  _written: dict = dataclasses.field(default_factory=dict, init=False,
                                     repr=False, compare=False)

  def asked(self, split):
    """Lines of a split, see `asked`."""
    return asked(self.task, split, self.block.seeds, self.num_prompts)

  def forced(self, split):
    """See `forced`."""
    return forced(self.block, self.fitted, self.module, self.asked(split))

  def written(self, split, temperature=0.):
    """See `written`; the same texts where they are asked for again."""
    which = split, temperature
    if which not in self._written:
      self._written[which] = written(
          self.block, self.fitted, self.module, self.task, self.asked(split),
          temperature)
    return self._written[which]

  def exact(self, split):
    """Whether greedy decoding gives the wanted texts, bool [S, N]."""
    best, _, counted = self.forced(split)
    return np.all(best | ~counted, axis=2)

  def shown(self, split, num=5):
    """Prompts of the first seed, what it wrote, and whether that is right."""
    said, made = self.written(split), self.asked(split)
    told = []
    for i in range(num):
      start = made['start'][0, i]
      prompt, output = (texts.decode(self.task, tokens) for tokens in (
          made['tokens'][0, i, :start], said['tokens'][0, i]))
      mark = 'right' if said['right'][0, i] else 'wrong'
      told.append(f'{mark}  {prompt} {output}')
    return told
