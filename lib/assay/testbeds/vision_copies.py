"""Classifiers that are asked about several copies of an image.

Part of the testbed `vision`, for papers whose networks have other columns than
classes, or whose answers come from turned or shifted copies of an image. Splits
are `val` and `test`; a copy is made of the 8 bits of an image.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import special

from assay.data import images
from assay.metrics import calibration, classification
from assay.study import replaced
from assay.testbeds import vision
from assay.testbeds import vision_nets as nets

TURNED = ('turned_0', 'turned_1', 'turned_2', 'turned_3')
SHIFTED = ('turned_0', 'shifted_down', 'shifted_up', 'shifted_right')
COPIES = {f'turned_{t}': lambda x, t=t: np.rot90(x, t, axes=(1, 2))
          for t in range(4)} | {
              # By a pixel; what comes in is what was at the edge.
              'shifted_down': lambda x: x[:, [0, *range(x.shape[1] - 1)]],
              'shifted_up': lambda x: x[:, [*range(1, x.shape[1]), -1]],
              'shifted_right': lambda x: x[:, :, [0, *range(x.shape[2] - 1)]]}


class Arm(NamedTuple):
  """What a paper may replace.

  Attributes:
    columns: K -> Q, of the network.
    train: a `vision.Arm`; its loss gets logits [B, Q].
    copies: of `COPIES`, that are shown.
    read: logits [copies, n, Q] -> [n, K].
    larger: times the batch, and the epochs, so steps stay.
  """
  columns: Callable = lambda k: k
  train: vision.Arm = vision.Arm()
  copies: tuple = ('turned_0',)
  read: Callable = lambda logits: logits[0]
  larger: int = 1


def make_model(net, arm):
  return nets.make_model(net, arm.columns(nets.num_classes(net)))


def make_apply(arms):
  """`(config, arm) -> apply` of some arms, for `assay.load`."""
  return lambda config, arm: nets.apply_of(make_model(config.net, arms[arm]))


def run(config, study, arms):
  """Trains every arm on every seed; returns the rows.

  Args:
    config, study: the run's.
    arms: name -> `Arm`.
  """
  vision.check(config)
  vision.check_names('arms', config.arms, arms, 'arm')
  for name, arm, fields, mine, data in vision.units(config, study):
    own, net = arms[arm], mine.net
    mine = replaced(mine, {'batch_size': own.larger * net.batch_size,
                           'num_epochs': own.larger * net.num_epochs})
    for block in study.blocks(name):
      model = make_model(mine.net, own)
      fitted = vision.fit(mine, data, block, own.train, model=model)
      logits = [nets.said(nets.apply_of(model), mine.net, data, block, fitted, {
          'x': np.ascontiguousarray(COPIES[copy](
              data.shared['x'][data.shared['test_rows']])),
          'y': data.labels('test'), 'rows': np.arange(len(data.labels(
              'test')), dtype=np.int32)}) for copy in own.copies]
      with block.recorder(fitted, dataset=images.label(mine.net.dataset),
                          method=arm, **fields) as add:
        record(add, mine, data, [own.read(each) for each in np.stack(
            logits, axis=1)])
  return study.rows()


def record(add, config, data, logits):
  """Adds errors, negative log-likelihood and calibration of [S, n, K]."""
  logits, labels = np.asarray(logits), data.labels('test')
  y = np.tile(labels, (len(logits), 1))
  add('error', classification.error, logits, y, split='test', wrong=[
      classification.wrong(each, labels) for each in logits])
  add('nll', classification.nll, logits, y, split='test')
  add('ece', lambda logits: calibration.expected_calibration_error(
      special.softmax(logits.astype(float), axis=1), labels, config.num_bins),
      logits, split='test')
  add.save(test=logits)
