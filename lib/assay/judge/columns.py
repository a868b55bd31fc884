"""What the columns of a table mean, and the results in them by their names.

Long: a row names its method, and holds one metric (columns `metric`, `value`)
or a column for each. Wide: a column for each method. What is guessed, and what
is left out, is said in `Data.said`.
"""

import collections
import dataclasses
import re

from assay.errors import UserError, some_of
from assay.judge import files, gather, names

METHOD, SEED, DATASET = 'method', 'seed', 'dataset'


@dataclasses.dataclass(frozen=True)
class Data:
  """Results by their names.

  Attributes:
    name: of where they come from.
    cells: (dataset, metric) -> method -> seed -> (value, why); the value is
      None where there is none, and `why` says so. Of results of each example,
      (seed, example) is in the place of the seed.
    better: metric -> 'higher', 'lower' or None.
    said: sentences on what was guessed and what was left out.
    labels: dataset -> {example: 0 or 1}, for AUROC; {} without.
    by_example: whether the results are of single examples.
  """
  name: str
  cells: dict
  better: dict
  said: list
  labels: dict = dataclasses.field(default_factory=dict)
  by_example: bool = False

  @property
  def datasets(self):
    return list(dict.fromkeys(dataset for dataset, _ in self.cells))

  @property
  def metrics(self):
    return list(dict.fromkeys(metric for _, metric in self.cells))

  @property
  def methods(self):
    return list(dict.fromkeys(m for own in self.cells.values() for m in own))


@dataclasses.dataclass(frozen=True)
class Options:
  """What the person says about the columns, in place of guesses.

  Attributes:
    columns: part -> column, for the parts in `names.PARTS`.
    metrics: names of metrics to use; () for all.
    where: column -> value of the rows to use.
    last: a column of numbers; of doubled rows the last by it is used.
    better: 'higher', 'lower', or '' to go by the metric's name.
  """
  columns: dict = dataclasses.field(default_factory=dict)
  metrics: tuple = ()
  where: dict = dataclasses.field(default_factory=dict)
  last: str = ''
  better: str = ''


def load(table, options=Options()):
  """The `Data` of a table.

  Raises:
    UserError: names the column, line or flag that has to be mended.
  """
  said = []
  parts = _parts(table, options, said)
  table = _chosen(table, parts, options, said)
  if METHOD not in parts:
    rows, metrics = _wide(table, parts, options, said)
  elif 'metric' in parts:
    rows, metrics = _long(table, parts, options)
  else:
    rows, metrics = _half_long(table, parts, options, said)
  cells = gather.cells(table, rows, parts, options, said)
  gather.check_pairs(table, cells)
  by_example = 'example' in parts
  alike = {}
  for method in dict.fromkeys(m for own in cells.values() for m in own):
    alike.setdefault(method.lower(), []).append(method)
  said += [f'{" and ".join(own)} are taken for two methods'
           for own in alike.values() if len(own) > 1]
  better = {m: options.better or names.better(m) for m in metrics}
  said.append('metrics: ' + ', '.join(
      f'{m} ({_better_in_words(better[m], options)})' for m in metrics))
  for (dataset, metric), methods in cells.items():
    gather.check_scales(table.name, dataset, metric, methods, said)
  lost = [(value, why) for own in cells.values() for seeds in own.values()
          for value, why in seeds.values() if value is None]
  if lost:
    said.append(f'cells without a number: {len(lost)} ({lost[0][1]}'
                + '; ...' * (len(lost) > 1) + ')')
  labels = gather.labels(table, parts) if by_example and (
      'label' in parts) else {}
  return Data(table.name, cells, better, said, labels, by_example)


def _better_in_words(better, options):
  by = 'as said' if options.better else 'by its name'
  return f'{better} is better, {by}' if better else (
      'better which way? give --higher_is_better or --lower_is_better')


# --- Which column plays which part -------------------------------------------


def _parts(table, options, said):
  columns, parts = table.columns, {}
  for part, column in options.columns.items():
    if part not in names.PARTS:
      raise UserError(f'--columns: no part {part!r}; use some of '
                      f'{", ".join(names.PARTS)}.')
    if column not in columns:
      raise UserError(f'--columns: {table.name} has no column {column!r}; use '
                      f'some of {", ".join(columns)}.')
    parts[part] = column
  for part in names.PARTS:
    left = [c for c in columns if c not in parts.values()
            and c not in options.metrics]
    found = parts.get(part) or names.find(part, left)
    if part == 'value' and 'metric' not in parts:
      continue  # a column of its own name is a metric like others
    if found:
      parts[part] = found
  if 'metric' in parts and 'value' not in parts:
    raise UserError(f'{table.name}: column {parts["metric"]} names the metric, '
                    'but no column has its value; name it by --columns '
                    f'value=COLUMN, one of {some_of(columns)}.')
  if METHOD not in parts:
    texts = [c for c in columns if c not in parts.values() and _repeats(
        columns[c]) and not files.is_numeric(columns[c])]
    if len(texts) == 1:
      parts[METHOD] = texts[0]
  if 'split' in parts and files.is_numeric(columns[parts['split']]):
    column = parts.pop('split')
    parts.setdefault(SEED, column)
  if METHOD in parts and SEED not in parts:
    counts = [c for c in columns if c not in parts.values()
              and c not in options.metrics and _counts(table, parts, c)]
    if len(counts) == 1:
      parts[SEED] = counts[0]
  shown = [f'{part} = {column}' for part, column in parts.items()]
  said.append('columns: ' + (', '.join(shown) or 'one a method'))
  return parts


def _counts(table, parts, column):
  """Whether a column of an unknown name has whole numbers as seeds have.

  The same three or more in the rows of each method, none twice.
  """
  if names.plain(column) in names.SETTINGS or names.better(column) or (
      not files.is_numeric(table.columns[column])):
    return False
  values, own = gather.values(table, column), {}
  if any(v is None or v != v // 1 for v in values):
    return False
  told = [p for p in (METHOD, DATASET, 'metric') if p in parts]
  for *key, value in zip(*(table.columns[parts[p]] for p in told), values,
                         strict=True):
    own.setdefault(tuple(key), []).append(value)
  first, *others = map(sorted, own.values())
  return (len(set(first)) == len(first) > 2 and bool(others)
          and all(other == first for other in others))


def _repeats(cells):
  return 2 <= len(set(map(str, cells))) <= len(cells) / 2


def _chosen(table, parts, options, said):
  """The table with the rows that `--where` and a column `split` choose."""
  where = dict(options.where)
  split = parts.get('split')
  if split and split not in where:
    found = collections.Counter(map(str, table.columns[split]))
    tests = [v for v in found if v.strip().lower() in ('test', 'testing')]
    if len(found) > 1 and len(tests) != 1:
      raise UserError(f'{table.name}: rows of several {split} '
                      f'({some_of(found)}) cannot be compared; choose '
                      f'by --where {split}=VALUE.')
    if len(found) > 1:
      where[split] = tests[0]
  for column, want in where.items():
    if column not in table.columns:
      raise UserError(f'--where: {table.name} has no column {column!r}; use '
                      f'some of {", ".join(table.columns)}.')
    keep = [i for i, c in enumerate(table.columns[column]) if _same(c, want)]
    if not keep:
      found = some_of(collections.Counter(map(str, table.columns[column])))
      raise UserError(f'--where: no row has {column}={want}; use one of '
                      f'{found}.')
    left = len(table.lines) - len(keep)
    if left:
      said.append(f'rows with {column} = {want}; {left} others are left out')
      table = _take(table, keep)
  return table


def _take(table, keep):
  return dataclasses.replace(
      table, lines=[table.lines[i] for i in keep],
      columns={k: [v[i] for i in keep] for k, v in table.columns.items()})


def _same(cell, want):
  if str(cell).strip() == want:
    return True
  try:
    return files.number(cell) == float(want)
  except (TypeError, ValueError):
    return False



# --- Rows: (line, dataset, metric, method, seed, value) ----------------------


def _wide(table, parts, options, said):
  columns = [c for c in table.columns if c not in parts.values()
             and names.plain(c) not in names.SETTINGS]
  methods = [c for c in columns if files.is_numeric(table.columns[c])
             and c not in options.metrics]
  known = [c for c in methods if names.better(c)]
  if len(methods) < 2 or 2 * len(known) > len(methods):
    raise UserError(
        f'{table.name}: no column tells the method (columns: '
        f'{", ".join(table.columns)}); '
        + (_hint(table) or 'name it by --columns method=COLUMN, or give a '
           'column for each of two or more methods.'))
  metric = options.metrics[0] if options.metrics else 'value'
  left = [c for c in table.columns if c not in methods
          and c not in parts.values()]
  said.append(f'wide: a column for each method ({some_of(methods)})'
              + f'; not used: {some_of(left)}' * bool(left))
  datasets = gather.datasets(table, parts)
  seeds = (_seeds(table, parts, said) if SEED in parts or DATASET not in parts
           else _counted(datasets, said))
  rows = []
  for method in methods:
    values = gather.values(table, method)
    rows += [(i, d, metric, method, s, v) for i, (d, s, v) in enumerate(
        zip(datasets, seeds, values, strict=True))]
  return rows, [metric]


def _long(table, parts, options):
  metrics = gather.texts(table, parts['metric'])
  values = gather.values(table, parts['value'])
  wanted = list(options.metrics or dict.fromkeys(metrics))
  for metric in wanted:
    if metric not in metrics:
      raise UserError(f'--metric: {table.name} has no {metric!r}; use some of '
                      f'{some_of(dict.fromkeys(metrics))}.')
  methods, seeds = _methods_and_seeds(table, parts, [])
  rows = list(zip(range(len(values)), gather.datasets(table, parts), metrics,
                  methods, seeds, values, strict=True))
  return [r for r in rows if r[2] in set(wanted)], wanted


def _half_long(table, parts, options, said):
  methods, seeds = _methods_and_seeds(table, parts, said)
  wanted = list(options.metrics)
  if 'value' in options.columns:
    wanted = wanted or [options.columns['value']]
  for metric in wanted:
    if metric not in table.columns:
      raise UserError(f'--metric: {table.name} has no column {metric!r}; use '
                      f'some of {", ".join(table.columns)}.')
  if not wanted:
    wanted = [c for c, cells in table.columns.items()
              if c not in parts.values() and _is_metric(c, cells, methods)]
  if not wanted:
    raise UserError(f'{table.name}: no column holds results (columns: '
                    f'{", ".join(table.columns)}); '
                    + (_hint(table) or 'name one by --metric COLUMN.'))
  left = [c for c in table.columns if c not in wanted
          and c not in parts.values()]
  if left:
    said.append(f'not used: {some_of(left)}')
  datasets, rows = gather.datasets(table, parts), []
  for metric in wanted:
    rows += zip(range(len(methods)), datasets, [metric] * len(methods),
                methods, seeds, gather.values(table, metric), strict=False)
  return rows, wanted


def _hint(table):
  """What is odd about a table in which no numbers were found; or ''."""
  if {'mean', 'std', 'average', 'stderr', 'sem'} & set(map(
      names.plain, table.columns)):
    return ('a mean with its deviation says nothing about pairs: give the '
            'value of each seed, one a row.')
  for column, cells in table.columns.items():
    if all(re.fullmatch(r'\s*-?\d+,\d+\s*', str(c)) for c in cells):
      return f'{cells[0]} in {column}: write a decimal point, not a comma.'
  return ''


def _is_metric(column, cells, methods):
  plain = names.plain(column)
  if plain in names.SETTINGS:
    return False
  if names.better(column):
    return any(isinstance(c, (int, float)) or str(c).strip() for c in cells)
  if not files.is_numeric(cells):
    return False
  own = {}
  for method, cell in zip(methods, cells, strict=True):
    own.setdefault(method, set()).add(str(cell))
  return any(len(values) > 1 for values in own.values())  # else a setting





def _methods_and_seeds(table, parts, said):
  methods = gather.texts(table, parts[METHOD])
  once = len(set(methods)) == len(methods) > 3
  runs = names.of_runs(methods) if once else None
  if runs:
    said.append(f'{parts[METHOD]} names runs: {methods[0]} is read as method '
                f'{runs[methods[0]][0]}, seed {runs[methods[0]][1]}')
    if SEED not in parts:
      return map(list, zip(*map(runs.get, methods), strict=True))
    methods = [runs[m][0] for m in methods]
  elif once:
    raise UserError(f'{table.name}: {parts[METHOD]} has another name in each '
                    f'of {len(methods)} rows, so it tells runs and no methods; '
                    'name the column of methods by --columns '
                    'method=COLUMN.')
  if SEED in parts or 'example' in parts:
    return methods, _seeds(table, parts, said)
  keys = list(zip(methods, gather.datasets(table, parts), gather.texts(
      table, parts['metric']) if 'metric' in parts else methods, strict=True))
  return methods, _counted(keys, said)


def _seeds(table, parts, said):
  if SEED not in parts:
    if 'example' in parts:
      return [0] * len(table.lines)
    said.append('no column of seeds: rows are paired in their order')
    return list(range(len(table.lines)))
  cells = gather.texts(table, parts[SEED])
  try:
    whole = [float(c) for c in cells]
    if all(v == int(v) for v in whole):
      return [int(v) for v in whole]
  except (ValueError, OverflowError):
    pass
  return cells


def _counted(keys, said):
  """Seeds by the order of the rows of each key."""
  counts, seeds = collections.Counter(), []
  for key in keys:
    seeds.append(counts[key])
    counts[key] += 1
  if max(counts.values()) > 1:
    said.append('no column of seeds: the rows of each method are paired in '
                'their order')
  return seeds
