"""C-Mixup: label-aware mixup for regression (Yao et al., NeurIPS 2022).

  python -m experiments.c_mixup --config=configs/c_mixup.py:airfoil

Arms that mix stand in `testbeds.tabular_mixing`, those for domains in
`testbeds.tabular_domains`.
"""

import sys

import jax
import numpy as np

from assay import cli
from assay.data import synthetic
from assay.data import tabular as tables
from assay.testbeds import tabular, tabular_domains, tabular_mixing
from configs import c_mixup as card

ARMS = tabular_mixing.ARMS | tabular_domains.ARMS
make_apply = tabular.make_apply


def data(net, seeds, data_dir=None, held_out=0):
  """As `tabular.load`; of `synthetic`, each seed has a table of its own.

  There test labels have no noise.
  """
  if net.dataset != 'synthetic':
    return tabular.load(net, seeds, data_dir, held_out)
  own = []
  for seed in seeds:
    table = synthetic.single_index(
        jax.random.fold_in(jax.random.key(seed), 1), sum(net.split_sizes),
        net.num_nuisance)
    rows = tables.split(len(table['x']), net.split_sizes, seed, net.dataset)
    y, dims = np.array(table['y']), table['x'].shape[1]
    y[rows['test']] = table['clean'][rows['test']]
    own.append({f'{k}_rows': v for k, v in rows.items()}
               | {'x': table['x'], 'y': y, 'low': np.zeros(dims, np.float32),
                  'scale': np.ones(dims, np.float32)})
  return {}, {k: np.stack([one[k] for one in own]) for k in own[0]}


def run(config, study):
  """Trains every arm on every seed; returns the rows."""
  return tabular.run(config, study, ARMS, data, card.grid_of(config))


if __name__ == '__main__':
  sys.exit(cli.main('c_mixup'))
