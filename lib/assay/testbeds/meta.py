"""Learning across tasks: from a few examples of a task, what of the others?

A task has support examples, from which a network learns it by a few steps of
SGD, and query examples, on which it is then tested. Many tasks are there for
training what these steps begin from (MAML); tested are tasks that are new.

    ARMS = {'maml': meta.Arm(),
            'pretrained': meta.Arm(adapt=meta.not_at_all)}

    def run(config, study):
      return meta.run(config, study, ARMS)

Tasks are sinusoids, or views of an object: where does it point to? `exclusive`
are those that no network can tell from their inputs alone; else it may learn
all training tasks by heart, and need no support examples.

The networks depend on `config.net`, see `meta_networks`, and on what an
arm's sockets read of the rest. Beside them the config has test_tasks,
test_steps (the most after which errors are reported), trials (settings tried
for each arm, 0: none) and tuning_seeds. Errors are mean squares over query
examples, in rows of the splits

    test, train          after as many steps as in training
    test steps, train steps    after `updates` of them, from 0 to test_steps
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
from assay.errors import UserError
from assay.methods import maml
from assay.models import mlp
from assay.study import replaced, tune
from assay.testbeds import meta_errors, meta_tasks


class Weights(NamedTuple):
  """What is trained, and the parameters of the network that it stands for.

  Attributes:
    start: `params -> weights`.
    sample: `(key, weights) -> params`, in training, for a batch of tasks.
    penalty: `(task, weights) -> []`, added to the mean loss of the tasks.
    mean: `weights -> params`, in testing.
  """
  start: Callable = lambda params: params
  sample: Callable = lambda key, weights: weights
  penalty: Callable = lambda task, weights: 0.
  mean: Callable = lambda weights: weights


class Arm(NamedTuple):
  """What a paper may replace; the defaults are MAML.

  Attributes:
    change: `(config, key, task) -> task`, in training alone; a task is a dict
      of x [n, D], y [n, Q], query_x [m, D] and query_y [m, Q], and of numbers:
      inner_learning_rate [], and the arm's `fields`.
    adapt: `(loss, params, support, rates, num_steps) -> params`, in training
      alone; in testing it is `maml.path`.
    predict: `(config, model, variables, task) -> [m, Q]` of the query examples,
      in training alone.
    rates: `inner_learning_rate -> ` those of the steps, as `maml.adapted`
      takes them.
    weights: a `Weights`.
    noted: `(config, task) -> {metric: []}`, said of the training tasks of each
      seed, as their mean.
    fields: names of numbers of the config that a task has, too: not constants
      of the program, which is compiled once for all that tuning tries.
  """
  change: Callable = lambda config, key, task: task
  adapt: Callable = maml.adapted
  predict: Callable = lambda config, model, variables, task: model.apply(
      variables, task['query_x'])
  rates: Callable = lambda inner_learning_rate: inner_learning_rate
  weights: Weights = Weights()
  noted: Callable = lambda config, task: {}
  fields: tuple = ()


def not_at_all(loss, params, support, rates, num_steps):
  """An `adapt` that learns nothing: one network is trained for all tasks."""
  del loss, support, rates, num_steps
  return params


# --- The network and its training --------------------------------------------


def make_model(net):
  """The network of `config.net`."""
  outputs = 1 if net.dataset in meta_tasks.GENERATED else 2
  return mlp.MLP(net.width, outputs, negative_slope=0.)


def loader(arms):
  """`make_apply(config, arm)` of a paper, for `assay.load`.

  It gives `(params, extra, x [B, D]) -> [B, Q]`, before a task is learned.
  """

  def make_apply(config, arm):
    model, mean = make_model(config.net), arms[arm].weights.mean
    return lambda params, extra, x: model.apply({'params': mean(params)}, x)

  return make_apply


def make_grad(config, arm, model):
  """Gradient of the mean loss of a batch of tasks after they are learned."""
  net, loss = config.net, meta_errors.squared(model)

  def of_task(params, key, task):
    task = arm.change(config, key, task)
    support, query = meta_errors.parted(task)
    mine = arm.adapt(loss, params, support,
                     arm.rates(task['inner_learning_rate']), net.inner_steps)
    predictions = arm.predict(config, model, {'params': mine}, task)
    chex.assert_trees_all_equal_shapes_and_dtypes(mine, params)
    chex.assert_equal_shape([predictions, query['y']])
    return jnp.mean(losses.squared(predictions, query['y']))

  def loss_fn(weights, extra, batch, key):
    weight_key, task_key = jax.random.split(key)
    params = arm.weights.sample(weight_key, weights)
    of_each = jax.vmap(functools.partial(of_task, params))(
        jax.random.split(task_key, len(batch['x'])), batch)
    first = jax.tree.map(lambda x: x[0], batch)
    return jnp.mean(of_each) + arm.weights.penalty(first, weights), (extra, {})

  return jax.value_and_grad(loss_fn, has_aux=True)


def fit(config, block, arm, shared):
  """Trains an arm on a block of seeds.

  Args:
    config: its `net` is read; the arm may read more.
    block: the seeds.
    arm: an `Arm`.
    shared: from `meta_tasks.load`.

  Returns:
    A `train.Fitted`.
  """
  net, law = config.net, meta_tasks.law_of(config.net)
  model, tx = make_model(net), optax.adam(net.learning_rate)
  source = meta_tasks.make_source(shared, block.seeds, config,
                                  ('inner_learning_rate', *arm.fields))

  def draw(shared, own, item, key):
    del item
    return meta_tasks.tasks(law, 'train', shared, key, net.batch_tasks) | {
        name: jnp.full(net.batch_tasks, own[name]) for name in own
        if name != 'num_steps'}

  shapes = jax.eval_shape(functools.partial(
      meta_tasks.tasks, law, 'train', count=1), shared, jax.random.key(0))

  def init(key):
    x = jnp.zeros(shapes['x'].shape[1:])
    return {'params': arm.weights.start(model.init(key, x)['params'])}

  return block.fit(
      'fit', config, train.make_init(init, tx),
      train.make_step(make_grad(config, arm, model), tx), draw, source,
      num_steps=net.num_steps, eval_every=net.eval_every)


# --- Rows --------------------------------------------------------------------


def measure(config, block, name, arm, fields, shared, splits=('test', 'train')):
  """Trains an arm on a block of seeds and writes its rows.

  Args:
    config, block, arm: as `fit` takes them.
    name: the arm's.
    fields: further fields of its rows.
    shared: from `meta_tasks.load`.
    splits: of which errors are reported.
  """
  net, count, num_seeds = config.net, config.test_tasks, len(block.seeds)
  model, law = make_model(net), meta_tasks.law_of(net)
  fitted = fit(config, block, arm, shared)
  found = [arm.weights.mean(train.evaluate.seed_of(fitted.state.params, i))
           for i in range(num_seeds)]
  rates = [arm.rates(jnp.float32(net.inner_learning_rate))] * num_seeds
  tasks = {split: [meta_tasks.held_out(law, split, shared, seed, count)
                   for seed in block.seeds] for split in splits}
  with block.recorder(fitted, method=name, dataset=net.dataset,
                      **fields) as add:
    for split in splits:
      values = np.stack([meta_errors.compiled(
          model, config.test_steps, *each) for each in zip(
              found, rates, tasks[split], strict=True)])
      after = values[..., net.inner_steps]
      add('mse', np.mean, after, split=split)
      if split == 'test':
        add('mse_half_width', meta_errors.half_width, after, split=split)
        add.save(last=values)
      if split != 'val':
        for k in range(config.test_steps + 1):
          add('mse', np.mean, values[..., k], split=f'{split} steps', updates=k)
    if 'train' in splits:
      for metric, values in meta_errors.means(functools.partial(
          arm.noted, config), tasks['train']).items():
        add(metric, values, split='train', n=count, step=0)


def run(config, study, arms, grid=()):
  """Trains every arm on every seed; returns the rows.

  Args:
    config, study: as an experiment's `run` takes them.
    arms: name -> `Arm`.
    grid: field -> values to be tried where `config.trials` is not 0; an arm
      varies inner_learning_rate and its own `fields`.

  Raises:
    UserError: errors are asked for after fewer steps than training takes.
  """
  if config.test_steps < config.net.inner_steps:
    raise UserError(f'test_steps={config.test_steps} must be inner_steps='
                    f'{config.net.inner_steps} or more.')
  for unit, name, fields in study.planned():
    arm, mine = arms[name], replaced(config, fields)
    shared = meta_tasks.load(mine.net, study.data_dir)

    def measured(config, block, more, arm=arm, name=name, fields=fields,
                 shared=shared, **splits):
      measure(config, block, name, arm, fields | more, shared, **splits)

    chosen = {}
    if config.trials:
      has = {'inner_learning_rate', *arm.fields}
      chosen = tune.tuned(
          study, mine, unit, tune.trials(grid, has, config.trials),
          functools.partial(measured, splits=('val',)), 'mse', 'last')
    for block in study.blocks(unit):
      measured(replaced(mine, chosen), block, chosen)
  return study.rows()
