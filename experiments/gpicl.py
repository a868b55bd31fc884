"""GPICL: a sequence model that learns to learn from augmented copies of a set.

  python -m experiments.gpicl --config=configs/gpicl.py:digits

Kirsch et al. (2022): each task is a random projection of the images and a
random permutation of the labels. A model reads (image, previous label) tokens
and predicts each label from what came before.

Splits: `test` are tasks never trained on and test images, `seen` tasks of
training and its images, `seen_test` tasks of training and test images; rows of
other data sets (`dataset`) are of split `test`. `accuracy` is that of the last
example, `first_accuracy` of the first, `improvement` the difference. Rows of
split `positions` have the field `position`, examples seen before.
"""

import functools
import math
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

from assay import cli, keys
from assay.data import tasks
from assay.errors import UserError
from assay.methods import in_context as classifiers
from assay.metrics import curves
from assay.models import mlp, recurrent, transformer
from assay.study import replaced
from assay.testbeds import in_context
from configs import gpicl as settings

KEPT = 10  # positions that have rows, at most about


# --- Arms --------------------------------------------------------------------


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


def optimizer(net):
  """Adam with clipped gradients and a linear rise of the learning rate."""
  return optax.chain(
      optax.clip_by_global_norm(net.clip_norm),
      optax.adam(optax.linear_schedule(0., net.learning_rate,
                                       net.warmup_steps), eps=net.adam_eps))


def learner(model, draw=draw):
  """An arm that is trained: `model(net)` has logits [B, T, C]."""
  return in_context.Learner(model, draw, optimizer=optimizer)


def gpt(net, width=None):
  """The paper's transformer, of another width if one is given."""
  width = width or net.width
  return transformer.Transformer(
      width, net.num_layers, net.num_heads, len(net.classes),
      head_size=min(net.head_size, width), positions='learned',
      max_length=net.length, dtype=jnp.dtype(net.dtype))


def fast_weights(net, size):
  """Eight heads, each with a state of size x size numbers."""
  return recurrent.OuterProductLSTM(8, size, len(net.classes))


class ImageMLP(mlp.MLP):
  """Reads the image alone: it can memorize, and cannot learn in context."""
  num_inputs: int = 0

  def __call__(self, tokens):
    return super().__call__(tokens[..., :self.num_inputs])


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


ARMS = {
    'transformer': learner(gpt),
    'transformer_no_repeats': learner(gpt, lambda net: draw(replaced(
        net, {'repeat_share': 0.0, 'num_distinct': 0}))),
    'transformer_16': learner(lambda net: gpt(net, 16)),
    'transformer_32': learner(lambda net: gpt(net, 32)),
    'lstm': learner(lambda net: recurrent.LSTM(net.width, len(net.classes))),
    'lstm_32': learner(lambda net: recurrent.LSTM(32, len(net.classes))),
    'lstm_256': learner(lambda net: recurrent.LSTM(256, len(net.classes))),
    'outer_product_8': learner(lambda net: fast_weights(net, 8)),
    'outer_product_16': learner(lambda net: fast_weights(net, 16)),
    'linear_attention': learner(lambda net: recurrent.LinearAttention(
        net.width, net.num_layers, net.num_heads, len(net.classes))),
    'mlp': learner(lambda net: ImageMLP(
        net.width, len(net.classes), initialization='lecun_normal',
        num_inputs=net.num_inputs)),
    **{arm: reference(arm) for arm in settings.REFERENCES},
}
make_apply = in_context.loader(ARMS)


# --- Prompts -----------------------------------------------------------------


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
    yield batch | {'tokens': tokens_of(net)(batch['x'], batch['y']),
                   'rate': rate}


@functools.partial(jax.jit, static_argnums=(5, 6, 7, 8))
def _prompts(key, seed, x, y, num_tasks, unseen, num_prompts, length,
             num_classes):
  return tasks.classification_prompts(
      key, tasks.task_key(seed), x, y, num_prompts=num_prompts, length=length,
      num_classes=num_classes, num_tasks=num_tasks, unseen=unseen)


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


# --- Rows --------------------------------------------------------------------


def by_position(outputs, y):
  """Accuracy [..., T] by position, of outputs [..., N, T, C]."""
  return np.mean(np.argmax(outputs, axis=-1) == y, axis=-2)


def add_rows(sets, rate, config, add, ask, arm, fitted):
  """Adds the rows of an arm on all sets; see `in_context.run`.

  Args:
    sets, rate: as for `prompts`.
    config, add, ask, arm, fitted: as the testbed gives them.
  """
  net, saved = config.net, {}
  add_row = functools.partial(add, n=config.num_prompts, **(
      {'sgd_learning_rate': rate()} if arm == 'online_sgd' else {}))
  if fitted:
    add_one = functools.partial(add_row, dataset=net.dataset, split='train')
    level = config.plateau_level * math.log(len(net.classes))
    add_one('plateau_steps', lambda loss: curves.first_below(
        loss, fitted.curves['step'], level), fitted.curves['loss'].T,
            why=f'not left in {net.num_steps} steps')
    size = getattr(ARMS[arm].model(net), 'state_size', lambda length: 0)
    add_one('state_size', size(net.length))
    add_one('num_params', add.num_params)
  for dataset, split in sets:
    if split == 'test' or fitted:
      values = saved[f'{dataset}/{split}'] = by_position(
          *ask((dataset, split)))
      for metric, value in (('accuracy', values[:, -1]),
                            ('first_accuracy', values[:, 0]),
                            ('improvement', values[:, -1] - values[:, 0])):
        add_row(metric, value, dataset=dataset, split=split)
    if split == 'test':
      for k in in_context.shown(net.length, KEPT):
        add_row('accuracy', values[:, k], dataset=dataset, split='positions',
                position=k)
  add.save(accuracy=np.stack(list(saved.values()), axis=1),
           sets=np.array([list(saved)] * len(values)))


# --- The study ---------------------------------------------------------------


def run(config, study):
  """Trains or computes every arm on every seed; returns the rows."""
  net = config.net
  if config.num_prompts % config.eval_batch_size:
    raise UserError(f'num_prompts={config.num_prompts} must be a multiple of '
                    f'eval_batch_size={config.eval_batch_size}.')
  sets = tasks.image_sets(
      net.dataset, net.classes, net.reduce, net.num_inputs, config.other_sets,
      config.random_points, study.data_dir)
  rate = functools.cache(lambda: tuned_rate(config, sets))
  shared = dict(zip(('images', 'labels'), sets[net.dataset, 'seen'],
                    strict=True))
  return in_context.run(
      config, study, ARMS, shared=shared,
      prompts=functools.partial(prompts, sets, rate),
      add_rows=functools.partial(add_rows, sets, rate))


if __name__ == '__main__':
  sys.exit(cli.main('gpicl'))
