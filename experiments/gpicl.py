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

import jax.numpy as jnp
import numpy as np
import optax

from assay import cli
from assay.metrics import curves
from assay.models import mlp, recurrent, transformer
from assay.study import replaced
from assay.testbeds import in_context
from assay.testbeds import in_context_images as images
from configs import gpicl as settings

KEPT = 10  # positions that have rows, at most about


# --- Arms --------------------------------------------------------------------


def optimizer(net):
  """Adam with clipped gradients and a linear rise of the learning rate."""
  return optax.chain(
      optax.clip_by_global_norm(net.clip_norm),
      optax.adam(optax.linear_schedule(0., net.learning_rate,
                                       net.warmup_steps), eps=net.adam_eps))


def learner(model, draw=images.draw):
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


ARMS = {
    'transformer': learner(gpt),
    'transformer_no_repeats': learner(gpt, lambda net: images.draw(replaced(
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
    **{arm: images.reference(arm) for arm in settings.REFERENCES},
}
make_apply = in_context.loader(ARMS)


# --- Rows --------------------------------------------------------------------


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
      values = saved[f'{dataset}/{split}'] = images.by_position(
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


def run(config, study):
  """Trains or computes every arm on every seed; returns the rows."""
  return images.run(config, study, ARMS, add_rows)


if __name__ == '__main__':
  sys.exit(cli.main('gpicl'))
