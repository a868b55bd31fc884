"""Equal tuning for all arms: same grid, budget and rule.

Settings are compared on the mean validation loss of tuning seeds, which are
not among those reported.
"""

import itertools

import numpy as np


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


def best(rows, metric):
  """The setting with the lowest mean of a metric on validation rows.

  Args:
    rows: rows of one arm's trials, each with the field `setting` and with
      split `val`, state `best`; a null value counts as infinite.
    metric: smaller is better.

  Returns:
    The value of `setting`; ties go to the first.
  """
  values = {}
  for row in rows:
    if (row['metric'], row['split'], row['state']) == (metric, 'val', 'best'):
      value = np.inf if row['value'] is None else row['value']
      values.setdefault(row['setting'], []).append(value)
  return min(values, key=lambda setting: np.mean(values[setting]))
