"""A measure of difficulty (Boopathy et al., 2023): nothing is trained.

  python -m experiments.generalization_difficulty_measure

An arm is a set of points: a sphere of known dimension, or images, of which each
seed has its own.
"""

import functools
import sys

import numpy as np

from assay import cli, keys
from assay.data import images
from assay.methods import generalization_difficulty as difficulty
from assay.study import replaced


def sphere(config, seeds, data_dir, dimension):
  """Points on a sphere in more dimensions, as many a seed; no classes."""
  del data_dir
  for seed in seeds:
    x = keys.generator(seed, 'sphere').normal(
        size=(config.num_points, dimension + 1))
    yield x / np.linalg.norm(x, axis=1, keepdims=True), None


def pictures(config, seeds, data_dir, name):
  """Images with values in [0, 1] and labels; no image is of two seeds."""
  parts = images.load(name, data_dir)
  order = keys.generator(0, 'images').permutation(len(parts['train_y']))
  for seed in seeds:
    rows = order[seed * config.num_points:][:config.num_points]
    if len(rows) < config.num_points:
      raise ValueError(f'num_points={config.num_points}: of {name} seed {seed} '
                       'would have fewer; use fewer points or seeds.')
    yield (parts['train_x'][rows].reshape(len(rows), -1) / 255.,
           parts['train_y'][rows])


ARMS = {f'sphere_{m}': functools.partial(sphere, dimension=m)
        for m in (2, 5, 10, 20)} | {
            name: functools.partial(pictures, name=name)
            for name in ('digits', 'mnist', 'fashion_mnist', 'cifar10')}


def measured(config, x, y):
  """{metric: value} of points [N, D] and their classes [N], if they have."""
  found = {'intrinsic_dimension': difficulty.dimension(x)}
  if y is not None:
    found['largest_norm'] = np.max(np.linalg.norm(x, axis=1))
    found['class_distance'] = difficulty.nearest_other(x, y)
    found['log_difficulty'] = difficulty.log_difficulty(
        dimension=found['intrinsic_dimension'], radius=found['largest_norm'],
        distance=found['class_distance'], num_examples=config.num_examples,
        error=config.error, num_classes=len(np.unique(y)))
  return found


def run(config, study):
  """Measures every arm; returns the rows."""
  for name, arm, fields in study.planned():
    mine = replaced(config, fields)
    for block in study.blocks(name):
      with block.recorder(dataset='points', method=arm, **fields) as add:
        of_seeds = [measured(mine, *each) for each in ARMS[arm](
            mine, block.seeds, study.data_dir)]
        for metric in of_seeds[0]:
          add(metric, [each[metric] for each in of_seeds], split='test',
              n=mine.num_points)
  return study.rows()


if __name__ == '__main__':
  sys.exit(cli.main('generalization_difficulty_measure'))
