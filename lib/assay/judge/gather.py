"""From rows of a table to one value for each name, none twice, none lost."""

import math

import numpy as np

from assay.errors import UserError, some_of
from assay.judge import files, names


def values(table, column):
  return files.numbers(table, column)[0]


def texts(table, column):
  cells = table.columns[column]
  for i, cell in enumerate(cells):
    if cell is None or str(cell).strip() == '':
      raise UserError(f'{table.place(i, column)}: is empty; each row needs its '
                      'name.')
    if isinstance(cell, str) and not cell.isprintable():
      raise UserError(f'{table.place(i, column)}: {cell!r:.60} holds what '
                      'cannot be printed; use plain text.')
  return [cell.strip() if isinstance(cell, str) else str(cell)
          for cell in cells]


def datasets(table, parts):
  return (texts(table, parts['dataset']) if 'dataset' in parts
          else [''] * len(table.lines))


def cells(table, rows, parts, options, said):
  examples = texts(table, parts['example']) if 'example' in parts else None
  if options.last:
    rows = _last(table, rows, options.last, said)
  cells, lines = {}, {}
  for i, dataset, metric, method, seed, value in rows:
    key = seed if examples is None else (seed, examples[i])
    own = cells.setdefault((dataset, metric), {}).setdefault(method, {})
    if key in own:
      _doubled(table, parts, lines[dataset, metric, method, key], i,
               f'{metric} of {method}'
               + f' on {dataset}' * bool(dataset) + f', seed {seed}'
               + (f', example {examples[i]}' if examples else ''))
    lines[dataset, metric, method, key] = i
    why = files.lacks(value)
    if why:
      value, why = None, f'{why}: {table.word} {table.lines[i]}'
    own[key] = value, why
  _drop_not_finished(table, parts, cells, lines, said)
  for (dataset, metric), methods in list(cells.items()):
    # Metrics of one data set are no columns of another in some exports.
    if all(v is None for own in methods.values() for v, _ in own.values()):
      said.append(f'{metric}' + f' on {dataset}' * bool(dataset)
                  + ' has no number at all and is left out')
      del cells[dataset, metric]
  if not cells:
    raise UserError(f'{table.name}: no column of results has a number; '
                    'write one for each seed, or name other columns by '
                    '--metric.')
  return cells


def _last(table, rows, column, said):
  if column not in table.columns:
    raise UserError(f'--last: {table.name} has no column {column!r}; use some '
                    f'of {", ".join(table.columns)}.')
  order, last = values(table, column), {}
  for row in rows:
    i, value = row[0], row[-1]
    if order[i] is None:
      raise UserError(f'{table.place(i, column)}: is empty; --last needs a '
                      'number in each row.')
    before = last.get(row[1:-1])
    if before is None or (value is not None, order[i]) >= (
        before[-1] is not None, order[before[0]]):
      last[row[1:-1]] = row
  said.append(f'of each seed the value of the last {column}: {len(last):,} of '
              f'{len(rows):,}')
  return sorted(last.values())


def _doubled(table, parts, i, j, what):
  used = set(parts.values())
  differ = [c for c, cells in table.columns.items()
            if c not in used and cells[i] != cells[j]]
  settings = [c for c in differ if not names.better(c)]
  a, b = table.lines[i], table.lines[j]
  if settings:
    c = settings[0]
    remedy = (f'they differ in {some_of(settings)}: choose by --where {c}='
              f'{table.columns[c][j]}, '
              + f'take the last by --last {c}, ' * (
                  names.plain(c) in names.PROGRESS)
              + f'or say what {c} is by --columns, as seed={c} or dataset={c}')
  else:
    remedy = 'keep one of them' + ', or add a column of seeds' * (
        'seed' not in parts)
  raise UserError(f'{table.name}: {table.word}s {a} and {b} both give {what}; '
                  f'{remedy}.')


def _drop_not_finished(table, parts, cells, lines, said):
  """Values of runs that crashed or still run are none."""
  if 'state' not in parts:
    return
  states = list(map(str, table.columns[parts['state']]))
  odd = {i for i, s in enumerate(states)
         if s.strip().lower() not in names.FINISHED}
  if not odd or len(odd) == len(states):
    return  # a column of another meaning
  for (dataset, metric, method, key), i in lines.items():
    if i in odd:
      cells[dataset, metric][method][key] = None, (
          f'no value: {parts["state"]} {states[i]}, {table.word} '
          f'{table.lines[i]}')
  said.append(f'{len(odd)} of {len(states)} rows give no value, as '
              f'{parts["state"]} is not finished')


def check_pairs(table, cells):
  """Raises a UserError if nowhere two methods have a seed in common."""
  several = [own for own in cells.values() if len(own) > 1]
  if several and all(len(set().union(*own.values())) == sum(map(
      len, own.values())) for own in several):
    raise UserError(f'{table.name}: no two methods have a seed in common, so '
                    'there are no pairs; name a column with the same values '
                    'for all methods by --columns seed=COLUMN.')


def check_scales(name, dataset, metric, methods, said):
  medians = {m: float(np.median([abs(v) for v, _ in own.values()
                                 if v is not None] or [np.nan]))
             for m, own in methods.items()}
  small = min(medians, key=lambda m: (math.isnan(medians[m]), medians[m]))
  large = max(medians, key=lambda m: (not math.isnan(medians[m]), medians[m]))
  if not 0 < medians[small] <= 1 < 1.5 < medians[large] <= 100:
    return
  where = f'{metric}' + f' on {dataset}' * bool(dataset)
  found = (f'{where} is {medians[small]:.3g} for {small} and '
           f'{medians[large]:.3g} for {large}')
  if names.is_share(metric) and medians[large] > 20 * medians[small]:
    raise UserError(f'{name}: {found}: fractions beside percent? Write all in '
                    'one unit.')
  if medians[large] > 30 * medians[small]:
    said.append(f'{found}: are both in one unit?')


def labels(table, parts):
  names_of_data = datasets(table, parts)
  examples = texts(table, parts['example'])
  try:
    known = values(table, parts['label'])
  except UserError:  # names of classes: no AUROC is asked for
    return {}
  if not set(known) <= {0, 1}:
    return {}
  found = {}
  for i, (dataset, example, value) in enumerate(
      zip(names_of_data, examples, known, strict=True)):
    if found.setdefault(dataset, {}).setdefault(example, value) != value:
      raise UserError(f'{table.place(i, parts["label"])}: {value:g}, but '
                      f'example {example} has another label before; give each '
                      'example one.')
  return found
