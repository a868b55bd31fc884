"""Data and networks of the testbed `vision`: what it trains, and its logits."""

import dataclasses
import functools

import jax.numpy as jnp
import numpy as np
import optax

from assay import losses, train
from assay.data import corruptions, images
from assay.errors import UserError
from assay.models import cnn, densenet, mlp, resnet, vgg
from assay.train import evaluate


@dataclasses.dataclass(frozen=True, eq=False)
class Data:
  """What all arms and seeds share.

  Attributes:
    shared: x [N, H, W, C] uint8, y [N] int32 in [0, K), and row lists
      `<split>_rows`.
  """
  shared: dict

  @functools.cached_property
  def statistics(self):
    """(mean, std) by channel, of the training images."""
    return images.channel_statistics(self.shared['x'],
                                     self.shared['train_rows'])

  @functools.cached_property
  def num_classes(self):
    return int(self.shared['y'].max()) + 1

  @property
  def num_train(self):
    return len(self.shared['train_rows'])

  def labels(self, split):
    """y [n] int32 of a split."""
    return self.shared['y'][self.shared[f'{split}_rows']]


def num_classes(net):
  """K of the data set of a `config.net`."""
  return len(net.slow_classes if net.dataset == 'dominoes'
             else images.class_names(net.dataset))


def load(net, data_dir=None):
  """The `Data` of a `config.net`; without `val` where it has no images."""
  return of_table(net, images.load(net.dataset, data_dir))


def of_table(net, table):
  """The same of a table as `images.load` gives it."""
  num_train, num_val, num_test = net.split_sizes
  shared = images.subset(table, num_train, num_val, net.data_seed)
  if num_test > len(shared['test_rows']):
    raise UserError(f'split_sizes={net.split_sizes}: {net.dataset} has '
                    f'{len(shared["test_rows"])} test images; use at most as '
                    'many.')
  shared['test_rows'] = shared['test_rows'][:num_test]
  if not num_val:
    del shared['val_rows']
  return Data(shared)


# --- Networks ----------------------------------------------------------------

MODELS = {
    'cnn': lambda c, k, dtype: cnn.CNN(
        (c.width, 2 * c.width, 2 * c.width), k, c.normalize, dtype),
    'mlp': lambda c, k, dtype: mlp.ImageMLP(
        (8 * c.width, 8 * c.width), k, c.normalize, dtype),
    'resnet8': lambda c, k, dtype: resnet.resnet8(k, c.width, dtype),
    'resnet20': lambda c, k, dtype: resnet.resnet20(k, c.width, dtype),
    'resnet18': lambda c, k, dtype: resnet.resnet18(k, c.width, dtype),
    'resnet34': lambda c, k, dtype: resnet.resnet34(k, c.width, dtype),
    'wide_resnet28_4': lambda c, k, dtype: resnet.WideResNet(
        28, 4, k, dtype=dtype),
    'wide_resnet28_10': lambda c, k, dtype: resnet.WideResNet(
        28, 10, k, dtype=dtype),
    'vgg19': lambda c, k, dtype: vgg.vgg19(num_classes=k, dtype=dtype),
    'densenet121': lambda c, k, dtype: densenet.densenet121(
        num_classes=k, dtype=dtype),
}
# What a model reads besides parameters: statistics of what it saw in training,
# and what a loss leaves for it.
KEPT = ('batch_stats', 'prototypes')
SCHEDULES = {
    'cosine': lambda progress: 0.5 * (1 + jnp.cos(jnp.pi * progress)),
    'piecewise': lambda progress: jnp.where(
        progress < 0.5, 1., jnp.where(progress < 0.75, .1, .01)),
}


def make_model(net, num_classes):
  """The network of a config: [B, H, W, C] float -> [B, num_classes] float32."""
  return MODELS[net.model](net, num_classes, jnp.dtype(net.dtype))


def apply_of(model):
  """`(params, extra, x [B, H, W, C] normalized) -> logits [B, K]`.

  In evaluation mode; of `extra` what is in `KEPT` alone is read.
  """

  def apply(params, extra, x):
    return model.apply({'params': params, **statistics_of(extra)}, x)

  return apply


@functools.lru_cache  # the same object again: one compilation for all
def mean_loss(model):
  """`(params, batch, extra) -> []`, the mean cross entropy in evaluation."""
  apply = apply_of(model)
  return lambda params, batch, extra: jnp.mean(losses.cross_entropy(
      apply(params, extra, batch['x']), batch['y']))


def statistics_of(extra):
  """What of `extra` a model reads, as it takes it."""
  return {k: v for k, v in extra.items() if k in KEPT}


def in_training(model, params, extra, batch, key):
  """(logits [B, K], new batch statistics) of a batch in training mode."""
  logits, new = model.apply(
      {'params': params, **statistics_of(extra)}, batch['x'], train=True,
      mutable=['batch_stats'], rngs={'dropout': key})
  return logits, dict(new)


def sgd(net):
  """SGD with momentum; its schedule goes by the share of a seed's steps."""
  return optax.chain(
      optax.add_decayed_weights(net.weight_decay),
      optax.trace(net.momentum, net.nesterov),
      train.scale_by_progress(SCHEDULES[net.schedule]),
      optax.scale(-net.learning_rate))


@functools.lru_cache  # the same object again: one compilation for all
def _draw_from(mean, std, level):
  if level is None:
    return images.draw_from('eval', mean, std)
  return corruptions.draw_from('eval', mean, std, level)


def logits(net, data, block, fitted, split, level=None, shift='', copy=''):
  """[S, n, K] float32: what all seeds say about a split.

  Args:
    net, data: which.
    block, fitted: whose networks, as training leaves them.
    split: one of `data`.
    level: 1 to 5, of the shift, where there is a shift or copy.
    shift: '' or a key of `corruptions.CORRUPTIONS`.
    copy: '' or a key of `corruptions.COPIES`.
  """
  return said(apply_of(make_model(net, data.num_classes)), net, data, block,
              fitted, data.shared | {'rows': data.shared[f'{split}_rows']},
              level, shift, copy)


def said(apply, net, data, block, fitted, shown, level=None, shift='', copy=''):
  """[S, n, Q] float32: what the networks of all seeds say about images.

  Args:
    apply: `(params, extra, x [B, H, W, C] normalized) -> [B, Q]`.
    net, data: of the networks; images are normalized as they were trained.
    block, fitted, level, shift, copy: as for `logits`.
    shown: dict of images x [N, H, W, C] uint8, y [N] int32 and rows [n] int32,
      which of these.
  """
  x, y, rows = (shown[k] for k in ('x', 'y', 'rows'))
  predict = evaluate.predictor(apply, _draw_from(*data.statistics, level),
                               net.eval_batch_size)

  def read(start, stop):
    mine = rows[start:stop]
    part = {'x': x[mine], 'y': y[mine],
            'eval_rows': np.arange(start, stop, dtype=np.int32)}
    if len(mine) < len(rows):
      part['first_row'] = np.int32(start)
    return part | corruptions.chosen(shift, copy)

  return block.outputs(fitted, predict, evaluate.pieces(
      read, len(rows), x[0].nbytes, net.eval_batch_size),
      {}, len(rows))[0]


def all_logits(config, data, block, fitted, copy=''):
  """{'val', 'test' or a shift of the config: [S, n, K] logits}, see `logits`.

  Shifts are of the test images, at the level of the config.
  """
  say = functools.partial(logits, config.net, data, block, fitted,
                          level=config.level, copy=copy)
  return {'val': say('val')} | {
      shift or 'test': say('test', shift=shift)
      for shift in ('', *config.shifts)}
