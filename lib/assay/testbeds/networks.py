"""What the networks of a testbed depend on: values alone, no JAX.

A card takes its `config.net` from here, so that two papers which train the
same network say so by the same words, and changes what differs.
"""

import math

import ml_collections

from assay.data import uci

# split_sizes are train, validation, test rows; the last value is where this
# comes from, if not from the released code of C-Mixup.
_TABLES = {
    'airfoil': dict(split_sizes=(1003, 300, 200), batch_size=16),
    # Which rows are for testing is not public.
    'no2': dict(split_sizes=(200, 200, 100), batch_size=32),
    'diabetes': dict(split_sizes=(266, 88, 88), batch_size=16),  # ours
    # Split by domain.
    'skillcraft': dict(split_sizes=(1878, 806, 711), batch_size=32),
    'crime': dict(split_sizes=(1390, 231, 373), num_epochs=200,
                  learning_rate=1e-3),
    # Rotated and colored Fashion-MNIST. The released code starts from weights
    # of ImageNet; this learning rate is for those.
    'rcf_mnist': dict(
        split_sizes=(40_000, 10_000, 10_000), batch_size=64, num_epochs=30,
        learning_rate=7e-5, model='resnet18', width=64, dtype='float32',
        data_seed=0),
}


def tabular(dataset='airfoil'):
  """`config.net` of `testbeds.tabular` for a data set, unlocked.

  Args:
    dataset: one of `data.tabular`; values are those of the released code of
      C-Mixup (Yao et al., 2022) for those in it, of Airfoil for others.
  """
  net = ml_collections.ConfigDict()
  net.dataset = dataset
  net.split_sizes = (1003, 300, 200)
  net.normalize = 'all'  # min and max of all rows, as the code; or 'train'
  net.width = 128
  net.initialization = 'fan_in_uniform'  # PyTorch's
  net.batch_size = 16
  net.num_epochs = 100
  net.learning_rate = 1e-2
  net.update(_TABLES.get(dataset, {}))
  if dataset in uci.TABLES:
    net.split_sizes = uci.split_sizes(dataset)
  return net


# Of Electricity; of made-up waves, where all is ours.
_SERIES = {
    'electricity': dict(
        split_sizes=(15_591, 5261, 5261), horizon=24, num_filters=100,
        width=100),
    'waves': dict(
        split_sizes=(700, 200, 200), window=48, horizon=12, num_filters=16,
        width=16, highway=12, batch_size=32, num_epochs=20, learning_rate=3e-3),
}


def series(dataset='exchange_rate'):
  """`config.net` of `testbeds.series`, unlocked: LSTNet.

  Args:
    dataset: one of `data.series`; values are those of the released code of
      C-Mixup (Yao et al., 2022) for those in it, of Exchange-Rate for others.
  """
  return ml_collections.ConfigDict(dict(
      # Data.
      dataset=dataset,
      split_sizes=(4373, 1518, 1518),  # train, validation, test, in time
      normalize='all',  # the largest value of all steps is 1; or 'train'
      window=168, horizon=12,  # steps that are seen, and how far ahead
      # Model.
      num_filters=50, kernel_size=6, width=50, skip=24, skip_width=5,
      highway=24, dropout=0.2,
      # Training: Adam.
      batch_size=128, num_epochs=100, learning_rate=1e-3)
                                 | _SERIES.get(dataset, {}))


# A small convolutional network, for 28 x 28 pixels.
_IMAGES = dict(
    # Data.
    dataset='fashion_mnist',
    split_sizes=(10_000, 5000, 5000),  # train, validation, test
    data_seed=0,
    augment='',  # or a key of `vision.AUGMENTS`
    # Model.
    model='cnn',
    width=16,  # of the first convolution; 'mlp': 8 times as many units
    normalize=False,  # batch normalization, for 'cnn' and 'mlp'
    dtype='float32',  # of the computation
    # Training: SGD.
    num_epochs=20,
    batch_size=64,
    learning_rate=0.05,
    schedule='cosine',  # or 'piecewise': a tenth after 50 % and 75 %
    momentum=0.9,
    nesterov=False,
    weight_decay=0.0,
    eval_batch_size=1000)

_DIGITS = dict(dataset='digits', split_sizes=(300, 700, 700), batch_size=20,
               eval_batch_size=700)
# What differs in other settings that several papers share.
VISION = {
    'digits': _DIGITS,
    'cifar10_resnet18': dict(
        dataset='cifar10', split_sizes=(45_000, 5000, 10_000),
        model='resnet18', width=64, augment='crop_flip', dtype='bfloat16',
        num_epochs=30, batch_size=128, learning_rate=0.1, weight_decay=5e-4),
    'smoke': _DIGITS | dict(split_sizes=(60, 40, 30), num_epochs=3, width=4,
                            eval_batch_size=40),
}

# Of which some are harder, see `vision_groups`: MNIST 0/1 above Fashion-MNIST.
DOMINOES = dict(
    dataset='dominoes', fast='mnist', slow='fashion_mnist',
    fast_classes=((0,), (1,)), slow_classes=((2,), (4,)),  # pullover, coat
    alpha=0.9,  # share of examples that have the fast half
    split_sizes=(3000, 500, 2000),
    label_noise=0.0,  # share of training labels that are wrong
    imbalance=1.0)  # largest class : smallest class in training


# Turned images, see `vision_labels`: fours, which look different each time.
TURNED = dict(
    classes=(4,), num_labels=10, degrees=10.0, observed='0-4-9',
    split_sizes=(300, 100, 200), batch_size=50)


def vision(**fields):
  """`config.net` of `testbeds.vision`, unlocked: a small convolutional network.

  Args:
    **fields: in place of its own, or more, those of a paper.
  """
  return ml_collections.ConfigDict(_IMAGES | fields)


SIZES = {  # layers, width and heads of language models
    'xs': (2, 64, 4), 's': (4, 128, 4), 'm': (6, 256, 8), 'l': (8, 512, 8)}


def tiny_lm(size='xs', **fields):
  """`config.net` of `testbeds.tiny_lm`, unlocked; all values are ours.

  Args:
    size: one of `SIZES`.
    **fields: in place of its own, or more, those of a task.
  """
  layers, width, heads = SIZES[size]
  return ml_collections.ConfigDict(dict(
      # Model; what narrow ones need, see `transformer`.
      num_layers=layers, width=width, num_heads=heads,
      positions='learned', initialization='width',
      max_length=64,  # rows of a table of positions
      max_distance=32,  # that relative positions tell apart
      # Data, see `texts.draw_lines`.
      num_examples=0, loss_on='completion', pack='none', row_length=0, starts=1,
      # Training: AdamW.
      batch_size=64, num_steps=1000, learning_rate=3e-3, adam_b2=0.98,
      weight_decay=0.01, clip_norm=1.0,
      warmup=0.1) | fields)  # share of the steps


def in_context_images():
  """`config.net` of images under random projections, unlocked.

  See `data.tasks.classification`; the model is a transformer. `# ours` where
  Kirsch et al. (2022) have nothing of the kind.
  """
  return ml_collections.ConfigDict(dict(
      # Data.
      dataset='digits', classes=(0, 1, 2, 3, 4),
      reduce='components',  # or 'pixels'
      num_inputs=16,  # principal components, or pixels of a square image
      # Tasks.
      length=24,  # examples of a sequence
      num_tasks=math.inf,
      batch_tasks=32,
      bias=0.5,  # share of a batch that has one permutation of the labels
      repeat_share=0.5,  # share of a batch that has repeats  # ours
      num_distinct=8,  # images of a sequence with repeats  # ours
      # Model and training.
      width=64, num_layers=2, num_heads=2, head_size=32, dtype='float32',
      num_steps=2500, learning_rate=1e-3, adam_eps=1e-8, warmup_steps=200,
      clip_norm=1.0,
      eval_every=25))  # steps a point of the curves


def in_context_regression():
  """`config.net` of noisy linear functions, unlocked; all values are ours.

  See `data.tasks.regression`; the model is a transformer.
  """
  return ml_collections.ConfigDict(dict(
      # Tasks.
      dimension=2,
      num_pairs=16,  # of a prompt in training
      test_pairs=36,  # of a prompt in testing, and rows of the position table
      noise_law='uniform',  # sigma in (low, high); or 'inverse_gamma'
      noise=(0.1, 1.0),  # or shape and scale of sigma^2
      num_tasks=0,  # in the pool of training; 0: each sequence has its own
      covariance=(-2.0, 2.0),  # range of log eigenvalues, where they are drawn
      segment_starts=(0, 10, 20),  # pairs, where positions start in segments
      # Model and training.
      width=48, num_layers=3, num_heads=2, batch_size=32, num_steps=12_000,
      learning_rate=3e-3,
      warmup=0.05,  # share of the steps
      clip_norm=1.0,
      largest_log_std=6.0))  # its absolute value is bounded softly


_CIFAR = dict(dataset='cifar10', augment='crop_flip', batch_size=64,
              weight_decay=1e-4)
# Known classes, and what differs: `digits` needs no file. Much is held out: to
# choose settings by, and for what is fitted beside a network.
OOD = {
    'digits': dict(
        dataset='digits', known=tuple(range(7)), split_sizes=(300, 400, 500),
        batch_size=20, eval_batch_size=500, normalize=True),
    # automobile, cat, deer, dog, horse and truck are known.
    'cifar6': _CIFAR | dict(
        known=(1, 3, 4, 5, 7, 9), normalize=True,
        split_sizes=(6000, 4000, 2000), num_epochs=12),
    'cifar10': _CIFAR | dict(
        known=tuple(range(10)), model='resnet20', learning_rate=0.1,
        width=16, schedule='piecewise',
        split_sizes=(45_000, 5000, 10_000), num_epochs=200),
    'smoke': dict(
        dataset='digits', known=tuple(range(7)), split_sizes=(60, 40, 40),
        batch_size=20, num_epochs=3, width=4, eval_batch_size=40,
        normalize=True),
}


def ood(**fields):
  """`config.net` of `testbeds.ood`, unlocked: that of `vision`, of classes.

  Args:
    **fields: in place of its own, or more.
  """
  return vision(**dict(known=tuple(range(10))) | fields)
