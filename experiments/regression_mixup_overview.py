"""Mixup's relatives for regression beside an ERM tuned like them.

  python -m experiments.regression_mixup_overview \
    --config=configs/regression_mixup_overview.py:airfoil

The arms stand in `tabular_mixing`, `tabular_relatives` and `tabular_rc_mixup`
of the testbeds.
"""

import sys

import numpy as np

from assay import cli, keys
from assay.testbeds import (
    tabular,
    tabular_mixing,
    tabular_rc_mixup,
    tabular_relatives,
)
from configs import regression_mixup_overview as card

ARMS = tabular_mixing.ARMS | tabular_relatives.ARMS | {
    'rc_mixup': tabular_rc_mixup.ARM}
make_apply = tabular.make_apply


def data(net, seeds, data_dir=None, held_out=0):
  """As `tabular.load`; with `net.label_noise`, each seed has labels of its own.

  Of so many of the rows trained on, each label moves by a normal number of two
  standard deviations of the labels. Those to validate and test on are right.
  """
  shared, own = tabular.load(net, seeds, data_dir, held_out)
  if not net.label_noise:
    return shared, own
  labels = []
  for seed, rows in zip(seeds, own['train_rows'], strict=True):
    y, rng = np.array(shared['y']), keys.generator(seed, 'wrong labels')
    wrong = rng.permutation(rows)[:round(net.label_noise * len(rows))]
    y[wrong] += 2 * y.std() * rng.standard_normal((len(wrong), 1)).astype(
        np.float32)
    labels.append(y)
  x = np.broadcast_to(shared['x'], (len(seeds), *shared['x'].shape))
  return {}, own | {'x': x, 'y': np.stack(labels)}


def run(config, study):
  """Trains every arm on every seed; returns the rows."""
  return tabular.run(config, study, ARMS, data, card.GRID)


if __name__ == '__main__':
  sys.exit(cli.main('regression_mixup_overview'))
