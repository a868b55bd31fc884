"""Regression on images in the testbed `tabular`: RCF-MNIST and its networks.

Besides what tables have, `config.net` has model ('resnet8', 'resnet18'), dtype
and data_seed, of which the images are a function.
"""

import jax
import jax.numpy as jnp
import numpy as np

from assay import keys
from assay.data import images, tabular
from assay.data.images import colored
from assay.models import regressor, resnet

NAME = 'rcf_mnist'
MODELS = {'resnet8': resnet.resnet8, 'resnet18': resnet.resnet18}


def make_model(net):
  """The network of `config.net`, [B, H, W, C] -> [B, 1]."""
  return regressor.Regressor(MODELS[net.model](
      num_classes=0, width=net.width, dtype=jnp.dtype(net.dtype)))


class InTraining:
  """A model whose `apply` is in training mode, for one call of a gradient.

  Attributes:
    extra: with the batch statistics as the last call left them; a model that
      has neither these nor dropout is applied as it is.
    key: of the dropout, where the model has it.
  """

  def __init__(self, model, extra, key=None):
    self.model, self.extra, self.key = model, extra, key

  def apply(self, variables, *args, method=None):
    if getattr(self.model, 'dropout', 0):
      return self.model.apply(variables, *args, method=method, train=True,
                              rngs={'dropout': self.key})
    if 'batch_stats' not in self.extra:
      return self.model.apply(variables, *args, method=method)
    found, new = self.model.apply(
        variables | {'batch_stats': self.extra['batch_stats']}, *args,
        method=method, train=True, mutable=['batch_stats'])
    self.extra = self.extra | dict(new)
    return found


def load(net, seeds, data_dir=None):
  """(shared, own) of RCF-MNIST, from the training images of Fashion-MNIST.

  All seeds have the same images, in an order of their own; x is taken from
  [0, 255] to [-1, 1].
  """
  gray = images.load('fashion_mnist', data_dir)['train_x']
  order = keys.generator(net.data_seed, NAME).permutation(len(gray))
  ends = np.cumsum(net.split_sizes)
  tabular.split(len(gray), net.split_sizes, 0, NAME)  # whether there are enough
  parts = dict(zip(tabular.SPLITS, np.split(order[:ends[-1]], ends[:-1]),
                   strict=True))
  key = jax.random.key(net.data_seed)
  made = [colored.rotated_and_colored(
      jax.random.fold_in(key, i), gray[rows], split)
          for i, (split, rows) in enumerate(parts.items())]
  shared = {k: np.concatenate([np.asarray(part[k]) for part in made])
            for k in ('x', 'y', 'domain')}
  rows = dict(zip(parts, np.split(np.arange(ends[-1], dtype=np.int32),
                                  ends[:-1]), strict=True))
  rngs = [keys.generator(seed, NAME) for seed in seeds]
  return shared, {f'{split}_rows': np.stack([
      rng.permutation(mine) for rng in rngs]) for split, mine in rows.items()
                  } | {'low': np.full((len(seeds), 3), 127.5, np.float32),
                       'scale': np.full((len(seeds), 3), 1 / 127.5,
                                        np.float32)}
