"""C-Mixup on time series (Yao et al., NeurIPS 2022).

  python -m experiments.c_mixup_series \
      --config=configs/c_mixup_series.py:exchange_rate

An arm is who is paired with whom, and where the two are mixed; that of the last
value trains nothing.
"""

import sys

from assay import cli
from assay.testbeds import series, tabular_mixing
from configs import c_mixup_series as card

make_apply = series.make_apply
ARMS = {'last_value': series.LAST_VALUE} | tabular_mixing.ARMS


def run(config, study):
  """Trains every arm on every seed; returns the rows."""
  return series.run(config, study, ARMS, card.GRID)


if __name__ == '__main__':
  sys.exit(cli.main('c_mixup_series'))
