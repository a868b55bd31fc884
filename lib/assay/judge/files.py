"""Tables of results from files: columns of cells, and the line of each row.

CSV, TSV and their like, JSON lines, JSON, Parquet, and data frames of pandas
or polars. A cell is what the file holds: a text, a number, None. What a column
means is the matter of `assay.judge.columns`.
"""

import csv
import dataclasses
import io
import json
import math
import pathlib

from assay.errors import UserError

DELIMITERS = ',;\t|'
# A cell without a value. NaN and infinity are what a run that diverged wrote.
EMPTY = {'', 'na', 'n/a', '<na>', 'null', 'none', '-', '--', '–', '—', '?'}
LARGEST = 1e100  # a value; squares of larger ones are no numbers
KINDS = 'CSV, TSV, JSON lines (.jsonl), JSON or Parquet'


@dataclasses.dataclass(frozen=True)
class Table:
  """Columns of equal length, in the order of the file.

  Attributes:
    name: of the file, for messages.
    columns: name -> list of cells.
    lines: where each row stands in the file.
    word: what a number of `lines` counts: 'line', or 'row' of a data frame.
  """
  name: str
  columns: dict
  lines: list
  word: str = 'line'

  def place(self, i, column):
    return f'{self.name}, {self.word} {self.lines[i]}, column {column}'


def read(path):
  """The `Table` of one file.

  Raises:
    UserError: the file cannot be read as its ending says, or has no rows.
  """
  path = pathlib.Path(path)
  suffix = path.suffix.lower()
  if suffix == '.parquet':
    return from_columns(_parquet(path), str(path), 'row')
  try:
    text = path.read_bytes().decode('utf-8-sig')
  except UnicodeDecodeError as error:
    raise UserError(f'{path}: is not UTF-8 text ({error}); give '
                    f'{KINDS}.') from error
  if suffix in ('.jsonl', '.ndjson') or (
      suffix not in ('.csv', '.tsv', '.json') and text.lstrip()[:1] == '{'):
    return _of_records(*_json_lines(text, path), str(path))
  if suffix == '.json':
    return _of_json(text, path)
  return _of_csv(text, path, suffix)


def from_frame(frame, name='the table'):
  """The `Table` of a data frame, a dict of columns or a list of dicts.

  Raises:
    UserError: it is none of these, or has no rows.
  """
  if isinstance(frame, dict):
    return from_columns(frame, name, 'row')
  if hasattr(frame, 'columns'):  # pandas or polars: neither is imported
    if any(getattr(getattr(frame, 'index', None), 'names', None) or ()):
      frame = frame.reset_index()
    return from_columns({column: frame[column].to_list()
                         for column in frame.columns}, name, 'row')
  try:
    records = [dict(record) for record in frame]
  except (TypeError, ValueError) as error:
    raise UserError(f'{name}: {type(frame).__name__} is no table; give a data '
                    'frame, a dict of columns or a list of dicts.') from error
  return _of_records(records, list(range(1, len(records) + 1)), name, 'row')


def from_columns(columns, name, word):
  """The `Table` of a dict of columns."""
  columns = {str(k): list(v) for k, v in columns.items()}
  lengths = {k: len(v) for k, v in columns.items()}
  if len(set(lengths.values())) > 1:
    raise UserError(f'{name}: columns differ in length ({lengths}); give one '
                    'cell a row.')
  count = next(iter(lengths.values()), 0)
  return _with_rows(Table(name, columns, list(range(1, count + 1)), word))


def number(cell):
  """A cell as a float; None if it is empty; NaN or inf as they are.

  Raises:
    ValueError: it is neither.
  """
  if isinstance(cell, str):
    cell = cell.strip()
    if cell.lower() in EMPTY:
      return None
    if '_' in cell:  # which Python takes for a separator of digits
      raise ValueError(cell)
    return float(cell)
  return None if cell is None else float(cell)


def numbers(table, column):
  """The cells of a column as floats, None where empty; and in percent or not.

  Returns:
    (values, whether every cell was written with a percent sign).

  Raises:
    UserError: names the first cell that is no number.
  """
  values, bare = _numbers(table, column)
  for i, value in enumerate(values):
    if value is not None and LARGEST < abs(value) < math.inf:
      raise UserError(f'{table.place(i, column)}: {value:g} is above '
                      f'{LARGEST:g}; write it in another unit.')
  return values, bare


def _numbers(table, column):
  cells = table.columns[column]
  try:
    return list(map(number, cells)), False
  except (TypeError, ValueError, OverflowError):
    pass
  filled = [i for i, c in enumerate(cells)
            if not isinstance(c, str) or c.strip().lower() not in EMPTY]
  signs = [str(cells[i]).strip().endswith('%') for i in filled]
  values, bare = [None] * len(cells), all(signs)
  if any(signs) and not bare:
    odd = filled[signs.index(signs.count(True) * 2 <= len(signs))]
    raise UserError(f'{table.place(odd, column)}: {cells[odd]!r:.40} stands '
                    'among cells with and without a percent sign; write all '
                    'in one unit.')
  for i in filled:
    cell = str(cells[i]).strip().removesuffix('%') if bare else cells[i]
    try:
      values[i] = number(cell)
    except (TypeError, ValueError, OverflowError) as error:
      raise UserError(f'{table.place(i, column)}: {cells[i]!r:.40} is no '
                      'number; ' + _what_to_write(str(cells[i]))) from error
  return values, bare


def _what_to_write(cell):
  if '±' in cell or '+-' in cell or '+/-' in cell:
    return ('a mean with its deviation says nothing about pairs: give the '
            'value of each seed, one a row.')
  if ',' in cell:
    return 'write a decimal point, and no comma between thousands.'
  return 'write a number, or leave the cell empty if there is none.'


def is_numeric(cells):
  """Whether there are numbers in a column, and nothing else."""
  some = False
  for cell in cells:
    try:
      value = number(cell.strip().removesuffix('%') if isinstance(cell, str)
                     else cell)
    except (TypeError, ValueError, OverflowError):
      return False
    some = some or value is not None
  return some


def lacks(value):
  """Why a value is none: '' where it is one."""
  if value is None:
    return 'no value'
  return '' if math.isfinite(value) else f'{value}'


def _of_csv(text, path, suffix):
  first = text.lstrip('\r\n').partition('\n')[0]
  delimiter = '\t' if suffix == '.tsv' and '\t' in first else max(
      DELIMITERS, key=first.count)
  reader = csv.reader(io.StringIO(text, newline=''), delimiter=delimiter)
  head, records, lines = None, [], []
  try:
    for record in reader:
      if not any(map(str.strip, record)):
        continue
      if head is None:
        head = [name.strip() for name in record]
      elif len(record) != len(head):
        raise UserError(f'{path}, line {reader.line_num}: {len(record)} cells '
                        f'for {len(head)} columns; give each column a cell, '
                        'and quote what holds a separator.')
      else:
        records.append(record)
        lines.append(reader.line_num)
  except csv.Error as error:
    raise UserError(f'{path}, line {reader.line_num}: {error}; give '
                    f'{KINDS}.') from error
  if head is None:
    raise UserError(f'{path}: is empty; give {KINDS} with rows.')
  if head[0] == '':  # the index that pandas writes
    head[0] = 'index'
  twice = [name for name in head if head.count(name) > 1]
  if twice:
    raise UserError(f'{path}: two columns are called {twice[0]!r}; give each '
                    'a name of its own.')
  columns = zip(*records, strict=True) if records else [()] * len(head)
  return _with_rows(Table(str(path), {
      name: list(cells) for name, cells in zip(head, columns, strict=True)},
      lines))


def _json_lines(text, path):
  records, lines = [], []
  for i, line in enumerate(text.splitlines(), 1):
    if line.strip():
      try:
        record = json.loads(line)
      except ValueError as error:
        raise UserError(f'{path}, line {i}: is no JSON ({error}); give one '
                        'object a line.') from error
      if not isinstance(record, dict):
        raise UserError(f'{path}, line {i}: is no object; give one object a '
                        'line.')
      records.append(record)
      lines.append(i)
  return records, lines


def _of_json(text, path):
  try:
    found = json.loads(text)
  except ValueError as error:
    raise UserError(f'{path}: is no JSON ({error}); give {KINDS}.') from error
  if isinstance(found, list) and all(isinstance(r, dict) for r in found):
    return _of_records(found, list(range(1, len(found) + 1)), str(path), 'row')
  if isinstance(found, dict) and found and all(
      isinstance(v, list) for v in found.values()):
    return from_columns(found, str(path), 'row')
  raise UserError(f'{path}: give a list of objects, or an object with a list '
                  'for each column.')


def _of_records(records, lines, name, word='line'):
  flat = [_flat(record) if any(isinstance(v, dict) for v in record.values())
          else record for record in records]
  names = dict.fromkeys(k for record in flat for k in record)
  return _with_rows(Table(name, {
      str(k): [record.get(k) for record in flat] for k in names}, lines, word))


def _flat(record, prefix=''):
  found = {}
  for key, value in record.items():
    if isinstance(value, dict):
      found |= _flat(value, f'{prefix}{key}.')
    else:
      found[f'{prefix}{key}'] = value
  return found


def _parquet(path):
  try:
    from pyarrow import parquet
  except ImportError as error:
    raise UserError(f'{path}: Parquet is read by pyarrow, which is not '
                    'installed; install it, or give CSV.') from error
  try:
    return parquet.read_table(path).to_pydict()
  except (OSError, ValueError) as error:  # what pyarrow raises is of these
    raise UserError(f'{path}: cannot be read as Parquet ({error}); give '
                    f'{KINDS}.') from error


def _with_rows(table):
  if not table.lines or not table.columns:
    raise UserError(f'{table.name}: has no rows below its head; give one row '
                    'for each result.')
  for column in table.columns:
    if not column.isprintable():
      raise UserError(f'{table.name}: column {column!r:.60} holds what cannot '
                      'be printed; use plain text.')
  return table
