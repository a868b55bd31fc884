"""Equal tuning for all arms: same grid, budget and rule.

Settings are compared on the mean validation loss of tuning seeds, which are
not among those reported.
"""

import collections
import dataclasses
import itertools

import numpy as np

from assay.study import replaced


def trials(grid, fields, budget):
  """At most `budget` settings of the grid, which cross its first fields.

  An arm varies only the fields it has. One that has fewer settings than the
  budget tries them all. Another tries each value of the first field equally
  often, then each pair of the first two, and so on, so that all arms try what
  they share; a random subset may leave an arm without the learning rate or the
  width that is best for all. Of the other fields each value comes equally
  often, then each pair; ties are decided at random, always alike.

  Args:
    grid: field -> tuple of values; first the fields that arms share.
    fields: names of the fields the arm has.
    budget: settings to try, >= 1.

  Returns:
    list of dicts field -> value, all different; those of a smaller budget come
    first.

  Example:
    >>> from assay.study import tune
    >>> grid = {'rate': (1, 2), 'width': (8, 16), 'alpha': (.5, 2.)}
    >>> plain = tune.trials(grid, ('rate', 'width'), 4)
    >>> mixed = tune.trials(grid, ('rate', 'width', 'alpha'), 4)
    >>> sorted((t['rate'], t['width']) for t in mixed) == sorted(
    ...     (t['rate'], t['width']) for t in plain)
    True
    >>> sorted(t['alpha'] for t in mixed)
    [0.5, 0.5, 2.0, 2.0]
  """
  names = [name for name in grid if name in fields]
  full = [dict(zip(names, values, strict=True))
          for values in itertools.product(*(grid[name] for name in names))]
  left = [full[i] for i in np.random.default_rng(0).permutation(len(full))]
  counts, chosen = collections.Counter(), []

  def parts(setting):
    """What a setting shares with others: prefixes, values, pairs."""
    items = tuple(setting.items())
    return ([items[:k] for k in range(1, len(items) + 1)], items,
            list(itertools.combinations(items, 2)))

  def often(setting):
    prefixes, values, pairs = parts(setting)
    return (*(counts['prefix', p] for p in prefixes),
            sum(counts['value', v] for v in values),
            sum(counts['pair', p] for p in pairs))

  while left and len(chosen) < budget:
    chosen.append(min(left, key=often))
    left.remove(chosen[-1])
    for kind, of in zip(('prefix', 'value', 'pair'), parts(chosen[-1]),
                        strict=True):
      counts.update((kind, part) for part in of)
  return chosen


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
