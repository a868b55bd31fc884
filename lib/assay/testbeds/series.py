"""Forecasts of series: which training of one network predicts best?

Some steps after a window of all series, each of them is predicted. The split is
by time and the same for all seeds: the last steps are for testing, those before
them for validation; a seed is another initialization, order and dropout. An arm
trains LSTNet by Adam, without a schedule, for a fixed number of epochs;
reported are the parameters with the lowest validation error of all epochs
(`best`) and the last ones, on series scaled so that the largest value of each
is 1. Errors of each series stand in groups of its name.

A series is a table whose rows are seen with those before them, so sockets and
what fills them are those of the testbed `tabular`, those of `tabular_mixing`
among them; `LAST_VALUE` is what every network is compared with.

    ARMS = {'last_value': series.LAST_VALUE, 'plain': series.Arm(),
            'mixup': tabular_mixing.ARMS['mixup']}

    def run(config, study):
      return series.run(config, study, ARMS)

The networks depend on `config.net`, see `networks.series`; a CSV file of one's
own is `net.dataset='my.csv'`, or 'my.csv:price,volume' for some of its columns.
Beside them the config has the fields of `tabular`.
"""

import numpy as np

from assay.data import tabular as tables
from assay.testbeds import tabular
from assay.testbeds.series_data import load as load
from assay.testbeds.tabular import METRICS as METRICS
from assay.testbeds.tabular import SPLITS as SPLITS
from assay.testbeds.tabular import Arm as Arm
from assay.testbeds.tabular import fit as fit
from assay.testbeds.tabular import make_apply as make_apply

# The last value of each series is the forecast; nothing is trained.
LAST_VALUE = Arm(predict=lambda model, variables, batch: batch['x'][
    :, -1, :batch['y'].shape[1]])


def measure(config, block, name, arm, fields, source, splits=SPLITS):
  """As `tabular.measure`, of `LAST_VALUE` too."""
  if arm is not LAST_VALUE:
    tabular.measure(config, block, name, arm, fields, source, splits)
    return
  states = 'best', 'last'
  with block.recorder(method=name, states=states, dataset=tables.label(
      config.net.dataset), **fields) as add:
    for split in splits:
      rows = np.arange(source.own[f'{split}_rows'].shape[1])
      batches = [tables.draw_from(split)(source.shared, {
          k: v[i] for k, v in source.own.items()}, rows, None)
                 for i in range(len(block.seeds))]
      predictions, y = (np.stack(each) for each in zip(*(
          (arm.predict(None, None, batch), batch['y'])
          for batch in batches), strict=True))
      for state in states:
        tabular.record(add, config, source, predictions, y, split, state)


def run(config, study, arms, grid=()):
  """Trains every arm on every seed; returns the rows.

  Args:
    config, study: as an experiment's `run` takes them.
    arms: name -> `Arm`.
    grid: see `tabular.run`.
  """
  return tabular.run(config, study, arms, load, grid, measure)
