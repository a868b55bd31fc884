"""Equal tuning for all arms: same grid, budget and rule.

Settings are compared on the mean validation loss of tuning seeds, which are
not among those reported.
"""

import dataclasses
import itertools

import numpy as np

from assay.study import replaced


def trials(grid, fields, budget):
  """At most `budget` settings of the grid, in a fixed random order.

  An arm varies only the fields it has. One that has fewer settings than the
  budget tries them all.

  Args:
    grid: field -> tuple of values.
    fields: names of the fields the arm has.
    budget: settings to try, >= 1.

  Returns:
    list of dicts field -> value, all different.
  """
  names = [name for name in grid if name in fields]
  full = [dict(zip(names, values, strict=True))
          for values in itertools.product(*(grid[name] for name in names))]
  order = np.random.default_rng(0).permutation(len(full))
  return [full[i] for i in order[:budget]]


def tuned(study, config, arm, trials, measure, metric, state='best'):
  """The fields of the best of an arm's trials.

  Args:
    study: the study; unfinished trials are run on `config.tuning_seeds`.
    config: the config.
    arm: its name.
    trials: from `trials`.
    measure: `(config, block, fields) -> None` trains a block of seeds with the
      fields of a trial, and writes its validation rows.
    metric, state: see `best`.
  """
  rows = []
  for i, fields in enumerate(trials):
    name = f'{arm},setting={i}'
    for block in study.blocks(name, config.tuning_seeds):
      measure(replaced(config, fields),
              dataclasses.replace(block, tolerant=True),
              fields | {'setting': i})
    rows += study.rows_of(name)
  return trials[best(rows, metric, state)]


def best(rows, metric, state='best'):
  """The setting with the lowest mean of a metric on validation rows.

  Args:
    rows: rows of one arm's trials, each with the field `setting` and with
      split `val`; a null value counts as infinite.
    metric: smaller is better.
    state: `best` or `last`, the parameters that are compared.

  Returns:
    The value of `setting`; ties go to the first.
  """
  values = {}
  for row in rows:
    if (row['metric'], row['split'], row['state']) == (metric, 'val', state):
      value = np.inf if row['value'] is None else row['value']
      values.setdefault(row['setting'], []).append(value)
  return min(values, key=lambda setting: np.mean(values[setting]))
