"""Images under random projections, and classifiers that need no training.

Part of the testbed `in_context`: a sequence is images and labels of a task of
its own, see `data.tasks.classification`. A model reads each image with the
label before, and has logits of its own label.

    ARMS = {'model': in_context.Learner(model, images.draw),
            'class_mean': images.reference('class_mean')}

    def run(config, study):
      return images.run(config, study, ARMS, add_rows)

For `config.net` see `networks.in_context_images`. Of the rest are read
other_sets and random_points, see `tasks.image_sets`; num_prompts of each split,
a multiple of eval_batch_size, and eval_seed of theirs; sgd_learning_rates, of
which the best is taken for `online_sgd`.
"""

import functools

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from assay import keys
from assay.data import tasks
from assay.errors import UserError
from assay.methods import in_context as classifiers
from assay.study import replaced
from assay.testbeds import in_context


def tokens_of(net):
  """`(x, y) -> ` tokens [B, T, n + C]."""
  return functools.partial(tasks.classification_tokens,
                           num_classes=len(net.classes))


def draw(net):
  """Sequences of tasks, as `tasks.draw_classification`, with tokens."""
  return in_context.with_tokens(
      tasks.draw_classification(
          net.batch_tasks, net.length, len(net.classes), net.bias,
          net.num_distinct, net.repeat_share), tokens_of(net))


def reference(arm):
  """An arm that learns from a sequence alone; it gives 1 at its guess."""
  return lambda config, seed, name, batch: guesses(
      arm, len(config.net.classes), batch['x'], batch['y'],
      batch['rate']() if arm == 'online_sgd' else 0.)


@functools.partial(jax.jit, static_argnums=(0, 1))
def guesses(arm, num_classes, x, y, learning_rate):
  """[B, T, C] float32: 1 at the guess of `classifiers`, else 0."""

  def guess(key, x, y):
    if arm == 'nearest_neighbor':
      return classifiers.nearest_neighbor(x, y)
    if arm == 'class_mean':
      return classifiers.class_mean(x, y, num_classes)
    return classifiers.online_sgd(key, x, y, num_classes, learning_rate)

  each = jax.random.split(jax.random.key(0), len(x))
  return jax.nn.one_hot(jax.vmap(guess)(each, x, y), num_classes)


def prompts(sets, rate, config, seed, name):
  """Batches of sequences, which do not depend on the key of training.

  Args:
    sets: from `tasks.image_sets`; tasks of split `test` are unseen.
    rate: `() -> ` the learning rate of online SGD.
    config: the config.
    seed: whose tasks.
    name: (dataset, split).

  Yields:
    dicts of x, y, task, tokens and `rate`.
  """
  key, net = keys.named(config.eval_seed, '/'.join(name)), config.net
  for i in range(config.num_prompts // config.eval_batch_size):
    batch = _prompts(
        jax.random.fold_in(key, i), seed, *sets[name],
        jnp.int32(in_context.limit_of(net)), name[1] == 'test',
        config.eval_batch_size, net.length, len(net.classes))
    yield batch | {'tokens': _tokens(batch['x'], batch['y'], len(net.classes)),
                   'rate': rate}


@functools.partial(jax.jit, static_argnums=(5, 6, 7, 8))
def _prompts(key, seed, x, y, num_tasks, unseen, num_prompts, length,
             num_classes):
  return tasks.classification_prompts(
      key, tasks.task_key(seed), x, y, num_prompts=num_prompts, length=length,
      num_classes=num_classes, num_tasks=num_tasks, unseen=unseen)


# One program, not one for each operation.
_tokens = jax.jit(tasks.classification_tokens, static_argnums=2)


def by_position(outputs, y):
  """Accuracy [..., T] by position, of outputs [..., N, T, C]."""
  return np.mean(np.argmax(outputs, axis=-1) == y, axis=-2)


def tuned_rate(config, sets):
  """The rate of online SGD that is best on training images, unseen tasks."""
  name = 'tuning', 'test'
  batches = list(prompts({name: sets[config.net.dataset, 'seen']}, None,
                         config, 0, name))

  def accuracy(rate):
    return np.mean([by_position(
        reference('online_sgd')(config, 0, name, batch | {
            'rate': lambda: rate}), batch['y'])[-1] for batch in batches])

  return max(config.sgd_learning_rates, key=accuracy)


def run(config, study, arms, add_rows):
  """`in_context.run` of these prompts; the sets are those of a sweep's value.

  Args:
    config, study, arms: as there.
    add_rows: `(sets, rate, config, add, ask, arm, fitted) -> None`, with what
      `prompts` takes first.

  Raises:
    UserError: `num_prompts` cannot be cut into batches.
  """
  for _, _, fields in study.planned():
    mine = replaced(config, fields)
    if mine.num_prompts % mine.eval_batch_size:
      raise UserError(f'num_prompts={mine.num_prompts} must be a multiple of '
                      f'eval_batch_size={mine.eval_batch_size}.')
  load = functools.lru_cache(2)(tasks.image_sets)  # most sweeps share them

  def sets_of(config):
    net = config.net
    return load(net.dataset, net.classes, net.reduce, net.num_inputs,
                config.other_sets, config.random_points, study.data_dir)

  rate = functools.cache(lambda config: tuned_rate(config, sets_of(config)))
  parts = lambda config: (sets_of(config), functools.partial(
      rate, ml_collections.FrozenConfigDict(config)))
  return in_context.run(
      config, study, arms, shared=lambda config: dict(zip(
          ('images', 'labels'), sets_of(config)[config.net.dataset, 'seen'],
          strict=True)),
      prompts=lambda config, *which: prompts(*parts(config), config, *which),
      add_rows=lambda config, *of: add_rows(*parts(config), config, *of))
