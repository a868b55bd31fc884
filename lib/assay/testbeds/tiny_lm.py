"""Tiny language models that are trained on a task, and asked beyond it.

The papers ask what a transformer learns from lines of a generated task: whether
it does what it saw on new inputs, on longer ones, on compositions of its parts;
whether steps that it writes help; whether it knows when it is right. Splits are
those of the task, see `assay.data.texts`; none of `test` is trained on.

`config.net` holds what a model depends on, see `networks.tiny_lm`, with the
fields of a paper's task. Of the config are read num_prompts, of each split, and
splits, those that are asked; () for all of the task's.
"""

from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
from jax import flatten_util
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax

from assay import config as config_lib
from assay import losses, train
from assay.data import texts
from assay.errors import check_names
from assay.models import transformer
from assay.study import Study, replaced
from assay.testbeds import bounds
from assay.testbeds import tiny_lm_answers as answers
from assay.testbeds import tiny_lm_rows as rows


def cross_entropy(logits, y):
  """Of each next token: logits [B, T, V], y [B, T] int in [0, V)."""
  return losses.cross_entropy(
      logits.reshape(-1, logits.shape[-1]), y.ravel()).reshape(y.shape)


def adamw(net):
  """AdamW with clipped gradients; a linear rise, then a cosine to 0."""
  return optax.chain(
      optax.clip_by_global_norm(net.clip_norm),
      optax.scale_by_adam(b2=net.adam_b2),
      optax.add_decayed_weights(net.weight_decay),
      train.scale_by_progress(train.rise_and_fall(net.warmup)),
      optax.scale(-net.learning_rate))


class Arm(NamedTuple):
  """What a paper may replace.

  Attributes:
    task: `net -> Task`; asked with equal values again, it is one task.
    fields: of `config.net`, that this arm has in place of the config's.
    loss: `(logits [B, T, V], y [B, T]) -> [B, T]`, of which those of the mask
      are averaged, over the whole batch.
    optimizer: `net -> ` optax transformation.
    tuning: `net -> (task, fields)`, what a model is trained on afterwards, with
      which fields of its own; None: nothing.
  """
  task: Callable
  fields: dict = {}
  loss: Callable = cross_entropy
  optimizer: Callable = adamw
  tuning: Callable | None = None


# --- Training ----------------------------------------------------------------


def make_model(net, task):
  """The transformer of a `config.net` for a task's vocabulary."""
  size = texts.size_of(task)
  return transformer.Transformer(
      net.width, net.num_layers, net.num_heads, size, vocabulary=size,
      positions=net.positions, initialization=net.initialization,
      max_length=net.max_length, max_distance=net.max_distance)


def loader(arms):
  """`make_apply(config, arm)` of a paper, for `assay.load`.

  What is loaded reads tokens [B, T] int and gives logits [B, T, V].
  """

  def make_apply(config, name):
    arm = arms[name]
    net = replaced(config, arm.fields).net
    model = make_model(net, arm.task(net))
    return lambda params, extra, tokens: model.apply({'params': params}, tokens)

  return make_apply


def make_grad(model, loss, start=None):
  """Gradient of the mean loss over the tokens of a batch that count.

  Args:
    model: a `Transformer`.
    loss: see `Arm`.
    start: `vector -> parameters` where these are added to those that the batch
      has as `start`; None where they stand for themselves.
  """

  def loss_fn(params, extra, batch, key):
    del key
    if start is not None:
      params = jax.tree.map(jnp.add, start(batch['start']), params)
    y, mask = batch['y'], batch['mask']
    chex.assert_equal_shape([batch['x'], y, mask])
    logits = model.apply({'params': params}, batch['x'], batch.get('offset'),
                         batch.get('segment'))
    each = loss(logits, y)
    chex.assert_equal_shape([each, mask])
    total = jnp.sum(each * mask) / jnp.maximum(jnp.sum(mask), 1)
    return total, (extra, {})

  return jax.value_and_grad(loss_fn, has_aux=True)


def fit(config, block, arm, task, stage='fit', start=None):
  """Trains a model on a block of seeds; a `Fitted`.

  Args:
    config: of which `net` is read; all of it is written beside checkpoints.
    block: seeds.
    arm: an `Arm`; its `task` is not read.
    task: a `Task`.
    stage: names the folder of its checkpoints.
    start: parameters [S, ...] to go on from, in place of an initialization.
  """
  net, model, tx = config.net, make_model(config.net, task), arm.optimizer(
      config.net)
  seeds = np.array(block.seeds, np.int32)
  own = {'data_seed': seeds,
         'num_examples': np.full_like(seeds, net.num_examples)}
  tokens, of_start = jnp.zeros((1, 1), jnp.int32), None
  variables = lambda key: model.init(key, tokens)
  draw = texts.draw_lines(
      task, net.batch_size, loss_on=net.loss_on, pack=net.pack,
      row_length=net.row_length, starts=net.starts)
  if start is not None:  # what is trained is how far they move
    like = jax.eval_shape(variables, jax.random.key(0))['params']
    zeros = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), like)
    of_start = flatten_util.ravel_pytree(zeros)[1]
    own['start'] = np.asarray(_flat(start))
    variables = lambda key: {'params': zeros}
    draw = _with_start(draw)
  source = train.Source({}, own, lambda position, first, stop: np.arange(
      first, stop, dtype=np.int32))
  fitted = block.fit(
      stage, config, train.make_init(variables, tx),
      train.make_step(make_grad(model, arm.loss, of_start), tx), draw, source,
      num_steps=net.num_steps, eval_every=max(1, net.num_steps // 40),
      rules=transformer.placement_rules())
  if start is None:
    return fitted
  return fitted._replace(state=fitted.state.replace(
      params=_sum(start, fitted.state.params)))


@jax.jit
def _flat(trees):
  """Trees [S, ...], each as one vector, [S, n]."""
  return jax.vmap(lambda tree: flatten_util.ravel_pytree(tree)[0])(trees)


@jax.jit
def _sum(tree, other):
  return jax.tree.map(jnp.add, tree, other)


def _with_start(draw):
  def drawn(shared, own, item, key):
    return draw(shared, own, item, key) | {'start': own['start']}

  return drawn


# --- Measuring ---------------------------------------------------------------


def trained_on(task, net, num_seeds=1, num_prompts=500, workdir=None):
  """An `answers.Model` of a task of one's own, without card or experiment.

  Args:
    task: a `texts.Task`.
    net: from `networks.tiny_lm`.
    num_seeds: models.
    num_prompts: lines of each split that they are asked.
    workdir: where training is saved and goes on from, or None.
  """
  config = ml_collections.ConfigDict(dict(
      arms=('model',), num_seeds=num_seeds, seed_varies='fresh',
      scale='not in the paper', net=net)).lock()
  config_lib.check(config, bounds.TINY_LM)
  study = Study('own_task', 'own', config, workdir=workdir)
  block = next(study.blocks('model'))
  fitted = fit(config, block, Arm(lambda net: task), task)
  return answers.Model(block, fitted, make_model(net, task), task, num_prompts)


def run(config, study, arms, add_rows=rows.record):
  """Trains every arm on every seed and asks it; returns the rows.

  Args:
    config, study: the run's.
    arms: name -> `Arm`; or, where nothing is trained, `(config, add, seeds) ->
      None` adds the rows.
    add_rows: `(config, add, model, split) -> None`, adds those of a split;
      model is an `answers.Model`.
  """
  config_lib.check(config, bounds.TINY_LM)
  check_names('arms', config.arms, arms, 'arm')
  for name, which, fields in study.planned():
    arm = arms[which]
    if not isinstance(arm, Arm):
      for block in study.blocks(name):
        with block.recorder(dataset=config.net.dataset, method=which,
                            **fields) as add:
          arm(replaced(config, fields), add, block.seeds)
      continue
    mine = replaced(config, arm.fields | fields)
    task = arm.task(mine.net)
    for block in study.blocks(name):
      fitted = fit(mine, block, arm, task)
      if arm.tuning:
        tuned, own_fields = arm.tuning(mine.net)
        fitted = fit(replaced(mine, own_fields), block, arm, tuned, 'tune',
                     fitted.state.params)
      with block.recorder(fitted, dataset=mine.net.dataset, method=which,
                          **fields) as add:
        model = answers.Model(block, fitted, make_model(mine.net, task), task,
                              mine.num_prompts)
        for split in mine.splits or task.splits[1:]:
          add_rows(mine, add, model, split)
  return study.rows()
