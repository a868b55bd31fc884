"""Data and network of the testbed `series`, and what is said of each series."""

import numpy as np

from assay.data import series
from assay.metrics import regression
from assay.models import lstnet

MOST_OUTPUTS = 16  # of which each has rows of its own


def make_model(net):
  """The network of `config.net`, [B, window, D] -> [B, Q]."""
  return lstnet.LSTNet(series.num_outputs(net.dataset), **{k: net[k] for k in (
      'num_filters', 'kernel_size', 'width', 'skip', 'skip_width', 'highway',
      'dropout')})


def load(net, seeds, data_dir=None):
  """(shared, own) of what `data.series` loads, the same for all seeds.

  Labels are scaled; windows are where they are drawn. `shared` has x [N, D],
  y [N, Q] and offsets [window].
  """
  values = series.load(net.dataset, data_dir)
  steps = series.split(len(values), net.split_sizes, net.window, net.horizon,
                       net.dataset)
  scale = series.scales(values, None if net.normalize == 'all'
                        else steps['val'][0])
  shared = {'x': values, 'offsets': series.offsets(net.window, net.horizon)}
  num_outputs = series.num_outputs(net.dataset) or values.shape[1]
  shared['y'] = (values * scale)[:, :num_outputs]
  own = {f'{k}_rows': v for k, v in steps.items()} | {
      'low': np.zeros_like(scale), 'scale': scale}
  return shared, {k: np.repeat(v[None], len(seeds), axis=0)
                  for k, v in own.items()}


def record_outputs(add, config, predictions, y):
  """Adds the errors of each of a few series, by its name.

  Args:
    add: from `block.recorder`.
    config: its `metrics` are read; of percentages nothing is said.
    predictions, y: [S, n, Q] of the test rows of the best state.
  """
  if 'window' not in config.net or not 1 < y.shape[2] <= MOST_OUTPUTS:
    return
  for metric, function in (('rmse', regression.rmse),
                           ('pearson', regression.pearson)):
    if metric in config.metrics:
      for q, name in enumerate(series.names(config.net.dataset)[:y.shape[2]]):
        add(metric, function, predictions[..., q:q + 1], y[..., q:q + 1],
            split='test', state='best', group=name)
