"""Image classifiers, as the papers on images share them: network, optimizer.

Fields of the config that are read here: model, width, normalize, dtype (see
`MODELS`); learning_rate, schedule, momentum, nesterov, weight_decay.
"""

import functools

import jax.numpy as jnp
import optax

from assay import train
from assay.errors import UserError
from assay.models import cnn, densenet, resnet, vgg

MODELS = {
    'cnn': lambda c, k, dtype: cnn.CNN(
        (c.width, 2 * c.width, 2 * c.width), k, c.normalize, dtype),
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

SCHEDULES = {
    'cosine': lambda progress: 0.5 * (1 + jnp.cos(jnp.pi * progress)),
    'piecewise': lambda progress: jnp.where(
        progress < 0.5, 1., jnp.where(progress < 0.75, .1, .01)),
}


def make_model(config, num_classes):
  """The network of a config: [B, H, W, C] float -> [B, num_classes] float32."""
  return MODELS[config.model](config, num_classes, jnp.dtype(config.dtype))


@functools.lru_cache
def make_apply(model):
  """`(params, extra, x [B, H, W, C] normalized) -> logits [B, K]`.

  In evaluation mode; of `extra` the batch statistics alone are read. The same
  object again for the same model, so that what it is compiled into is kept.
  """

  def apply(params, extra, x):
    statistics = {k: v for k, v in extra.items() if k == 'batch_stats'}
    return model.apply({'params': params, **statistics}, x)

  return apply


def in_training(model, params, extra, batch, key):
  """(logits [B, K], new batch statistics, a dict) of a batch in training mode.

  Args:
    model: from `make_model`.
    params, extra, batch, key: as a gradient takes them; of `extra` the batch
      statistics alone are read.
  """
  statistics = {k: v for k, v in extra.items() if k == 'batch_stats'}
  logits, statistics = model.apply(
      {'params': params, **statistics}, batch['x'], train=True,
      mutable=['batch_stats'], rngs={'dropout': key})
  return logits, dict(statistics)


def sgd(config, weight_decay=None):
  """SGD with momentum; its schedule goes by the share of a seed's steps.

  Args:
    config: see the top.
    weight_decay: default that of the config.
  """
  decay = config.weight_decay if weight_decay is None else weight_decay
  return optax.chain(
      optax.add_decayed_weights(decay),
      optax.trace(config.momentum, config.nesterov),
      train.scale_by_progress(SCHEDULES[config.schedule]),
      optax.scale(-config.learning_rate))


def check(config, **more):
  """Raises a UserError that names a value which is none of those known.

  Args:
    config: see the top.
    **more: field -> the values it may have.
  """
  for name, values in (('model', MODELS), ('schedule', SCHEDULES),
                       *more.items()):
    if config[name] not in values:
      raise UserError(f'{name}={config[name]!r}; use one of '
                      f'{", ".join(map(repr, values))}.')
