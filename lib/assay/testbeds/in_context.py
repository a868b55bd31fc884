"""Models that learn from their prompt, beside predictors that need no training.

A sequence shows examples (x, y) of a task of its own, and a causal model says
each y from its x and from the examples before. Tasks are drawn inside the
compiled step, so there may be any number of them. What does such a model learn,
and how near is it to what could be known?

An arm is a `Learner` or a reference, `(config, seed, split, batch) -> outputs`
as a model gives them. Sockets: those of a learner (model, draw, loss,
optimizer), the reference, and of a paper `prompts` and `add_rows`, see `run`.

Fields of `config.net` that are read here: num_tasks (0 or inf: a new task in
each sequence); num_steps; eval_every, if there is one (else a curve has forty
points); and those of the default optimizer, see `adam`.
"""

from collections.abc import Callable
import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

from assay import losses, train
from assay.errors import UserError, check_names
from assay.models import transformer
from assay.study import replaced
from assay.testbeds import in_context_answers as answering
from assay.train import sharding


def cross_entropy(logits, y):
  """Of each prediction: logits [B, T, C], y [B, T] int in [0, C)."""
  return losses.cross_entropy(logits.reshape(-1, logits.shape[-1]),
                              y.reshape(-1))


def adam(net):
  """Adam with clipped gradients; a linear rise, then a cosine to 0.

  Reads learning_rate, clip_norm and warmup, the share of steps of the rise.
  """
  return optax.chain(
      optax.clip_by_global_norm(net.clip_norm), optax.scale_by_adam(),
      train.scale_by_progress(train.rise_and_fall(net.warmup)),
      optax.scale(-net.learning_rate))


class Learner(NamedTuple):
  """A model that is trained, from `config.net` alone.

  Attributes:
    model: `net -> module`, a Linen module of tokens [B, L, D], and of `offset`
      [B] where the batch has it. What it gives are arrays [B, T, ...].
    draw: `net -> draw(shared, own, item, key) -> batch` with `tokens` and `y`
      [B, T]; of `own` it may read `num_tasks` int32 [], 0 for unlimited ones,
      and `task_seed` or `pool_seed`, the seed; see `assay.data.tasks`.
    loss: `(outputs, y) -> ` the loss of each prediction, of any shape.
    optimizer: `net -> ` optax transformation.
  """
  model: Callable
  draw: Callable
  loss: Callable = cross_entropy
  optimizer: Callable = adam


def with_tokens(draw, tokens):
  """A draw whose batch has `tokens` too, `tokens(x, y)` [B, L, D]."""

  def drawn(shared, own, item, key):
    batch = draw(shared, own, item, key)
    return batch | {'tokens': tokens(batch['x'], batch['y'])}

  return drawn


def limit_of(net):
  """`net.num_tasks` as `assay.data.tasks` has it: 0 for unlimited ones.

  Raises:
    UserError: it cannot be meant.
  """
  size = 0 if net.num_tasks == np.inf else net.num_tasks
  if not (0 <= size < 2**31 and size == int(size)):
    raise UserError(f'num_tasks={size}; use 1 to 2^31 - 1, or inf.')
  return int(size)


def shown(length, at_most):
  """Positions that have rows: from 0 on, evenly apart, at most so many."""
  return range(0, length, -(-length // at_most))


# --- Training ----------------------------------------------------------------


@functools.lru_cache  # of an equal model the same object again
def make_apply(model):
  """`(params, extra, tokens [B, L, D], offset=None) -> outputs`."""

  def apply(params, extra, tokens, offset=None):
    del extra
    more = () if offset is None else (offset,)
    return model.apply({'params': params}, tokens, *more)

  return apply


def loader(arms):
  """`make_apply(config, arm)` of a paper, for `assay.load`."""
  return lambda config, arm: make_apply(arms[arm].model(config.net))


def make_grad(net, learner):
  """Gradient of the loss, its mean over predictions and sequences."""
  apply = make_apply(learner.model(net))

  def loss_fn(params, extra, batch, key):
    del key
    tokens, y = batch['tokens'], batch['y']
    chex.assert_rank([tokens, y], [3, 2])
    outputs = apply(params, extra, tokens, batch.get('offset'))
    chex.assert_tree_shape_prefix(outputs, y.shape)
    loss = learner.loss(outputs, y)
    chex.assert_size(loss, y.size)
    return jnp.mean(loss), (extra, {})

  return jax.value_and_grad(loss_fn, has_aux=True)


def make_source(net, shared, seeds):
  """What draws read, of S seeds; nothing is prepared on the host."""
  seeds = np.array(seeds, np.int32)
  own = {'num_tasks': np.full_like(seeds, limit_of(net))} | dict.fromkeys(
      ('task_seed', 'pool_seed'), seeds)
  return train.Source(shared, own, lambda position, start, stop: np.arange(
      start, stop, dtype=np.int32))


def fit(config, block, learner, shared):
  """Trains a `Learner` on a block of seeds; see `Block.fit`.

  Of the config `net` is read; all of it is written beside checkpoints.
  """
  net = config.net
  model, draw, tx = (make(net) for make in (
      learner.model, learner.draw, learner.optimizer))
  source = make_source(net, shared, block.seeds)
  like = jax.eval_shape(
      draw, shared, jax.tree.map(lambda x: x[0], source.own), np.int32(0),
      jax.random.key(0))['tokens']
  tokens = jnp.zeros((1, *like.shape[1:]), like.dtype)
  return block.fit(
      'fit', config, train.make_init(lambda key: model.init(key, tokens), tx),
      train.make_step(make_grad(net, learner), tx), draw, source,
      num_steps=net.num_steps,
      eval_every=net.get('eval_every', max(1, net.num_steps // 40)),
      rules=transformer.placement_rules())


# --- Measuring ---------------------------------------------------------------


def run(config, study, arms, *, prompts, add_rows, shared=lambda config: {}):
  """Trains or computes every arm on every seed; returns the rows.

  Args:
    config: ConfigDict with `net`.
    study: a `Study`.
    arms: name -> a `Learner` or a reference; not all need be in the config.
    prompts: `(config, seed, split) -> ` batches {y, tokens, ...} to ask, the
      same for all arms.
    add_rows: `(config, add, ask, arm, fitted) -> None` adds those of an arm.
      `add` is the block's `Recorder`; `ask(split, arm=arm)` gives the outputs,
      leaves [S, N, T, ...], to all prompts of a split, and their y [S, N, T],
      where another arm must be a reference; `fitted` is None of a reference.
    shared: `config -> ` dict of arrays that all draws read; where a field is
      swept, this and the others are asked with each of its values.

  Raises:
    UserError: an arm, or a number of tasks, that cannot be meant.
  """
  check_names('arms', config.arms, arms, 'arm')
  for _, _, fields in study.planned():
    limit_of(replaced(config, fields).net)  # before any of them is trained
  for name, arm, fields in study.planned():
    mine = replaced(config, fields)
    for block in study.blocks(name):
      fitted, known = None, arms
      if isinstance(arms[arm], Learner):
        fitted = fit(mine, block, arms[arm], shared(mine))
        known = arms | {arm: _fixed(mine.net, block, arms[arm], fitted)}
      ask = functools.partial(_asked, mine, block, known, prompts, arm)
      with block.recorder(fitted, method=arm, **fields) as add:
        add_rows(mine, add, ask, arm, fitted)
  return study.rows()


def _fixed(net, block, learner, fitted):
  """A learner after training, in the form of a reference."""
  apply = make_apply(learner.model(net))
  params = sharding.fetch(fitted.state.params)

  def answer(config, seed, split, batch):
    del config, split
    i = block.seeds.index(seed)
    return answering.kept(
        block.study.settings.fits, fitted.keys[i:i + 1], apply,
        jax.tree.map(lambda x: x[i:i + 1], params), batch)

  return answer


def _asked(config, block, arms, prompts, mine, split, arm=None):
  """(outputs, y) of all seeds; see `run`."""
  answer = arms[mine if arm is None else arm]
  return answering.joined(np.stack, [answering.joined(np.concatenate, [
      (answer(config, seed, split, batch), batch['y'])
      for batch in prompts(config, seed, split)]) for seed in block.seeds])
