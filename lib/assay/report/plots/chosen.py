"""Which rows a figure shows, and how its arms are called."""

import functools

from assay import results
from assay.claims import intervals, samples
from assay.errors import UserError


def select(rows, metric, split, state, group=''):
  """Rows of the metric, split, state and group, '' for all together.

  Raises:
    NoRows: there is none.
    UserError: they are of more than one config or data set.
  """
  want = {'metric': metric, 'split': split, 'state': state, 'group': group}
  found = [r for r in rows if all(r[k] == v for k, v in want.items())]
  if not found:
    raise samples.NoRows(f'no row has {samples.describe(want)}; choose what '
                         'the rows have.')
  shown = sorted({(r['config'], r['dataset']) for r in found})
  if len(shown) != 1:
    raise UserError(f'a figure shows {metric} ({split}, {state}) of one config '
                    f'and one data set, not of {shown}.')
  return found


def interval_of(given, rows):
  """(function of values -> (low, high), its name): that of verdicts on a mean.

  Args:
    given: all rows of the variant.
    rows: those shown.
  """
  if {row.get('seed_varies') for row in rows} == {'resplit'}:
    ratio = samples.test_to_train(given, rows)
    return (functools.partial(intervals.t_interval, ratio=ratio),
            'corrected for re-splits that share rows')
  return intervals.t_interval, "Student's t"


def arm_of(row, by):
  """Values of the fields `by`, which say what an arm is."""
  return tuple(row.get(k) for k in by)


def by_seed(rows, arm, by):
  """{seed: value} of an arm, without those that have none."""
  return {r['seed']: r['value'] for r in rows
          if arm_of(r, by) == arm and r['value'] is not None}


def name_of(arm, by):
  """The method, and below it each field that is swept."""
  fields = [f'{k} {results.text_of(v)}'
            for k, v in zip(by[2:], arm[2:], strict=True) if v is not None]
  return '\n'.join([arm[1], *fields])


def names_of(arms, by):
  """`name_of` of each; settings are named only where they tell arms apart."""
  methods = [arm[1] for arm in arms]
  return [name_of(arm, by) if methods.count(arm[1]) > 1 else arm[1]
          for arm in arms]
