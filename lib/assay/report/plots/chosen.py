"""Which rows a figure shows, and how its arms are called."""

from assay import results
from assay.errors import UserError


def select(rows, metric, split, state, group=''):
  """Rows of the metric, split, state and group, '' for all together."""
  want = {'metric': metric, 'split': split, 'state': state, 'group': group}
  found = [r for r in rows if all(r[k] == v for k, v in want.items())]
  shown = sorted({(r['config'], r['dataset']) for r in found})
  if len(shown) != 1:
    raise UserError(f'a figure shows {metric} ({split}, {state}) of one config '
                    f'and one data set, not of {shown}.')
  return found


def naive(rows, before):
  """`before` and a warning where rows are of re-splits of one data set."""
  shared = any(r.get('seed_varies') == 'resplit' for r in rows)
  return f'{before}naive: re-splits share rows' if shared else ''


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
