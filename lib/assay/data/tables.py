"""A user's own table: a CSV file with named columns, checked cell by cell."""
import csv
import difflib
import io
import os
import re
from typing import NamedTuple

import numpy as np

from assay.errors import UserError

MAX_BYTES = 2**28
MAX_CATEGORIES = 50
LARGEST = float(np.finfo(np.float32).max)
MISSING = ('', '?', 'na', 'n/a', 'nan', 'null', '-', '.')
LIKE_A_NUMBER = re.compile(r'[-+.,$€£]*\s*\d')
DELIMITERS = ',;\t|'


class Table(NamedTuple):
  """A table as numbers.

  Attributes:
    x: [N, D] float32, the predictors in the order of the file.
    y: [N, Q] float32, the targets in the order in which they were named.
    names: D texts; a column of texts has become one of 0 and 1 for each text,
      named 'column=text'.
  """
  x: np.ndarray
  y: np.ndarray
  names: list


def read(path, target, delimiter=None):
  """The table in a CSV file whose first line names its columns.

  Texts are UTF-8, with or without a byte order mark. A column without any
  number is one of categories, at most `MAX_CATEGORIES`: it becomes a column of
  0 and 1 for each, sorted. All other cells must be finite numbers: nothing is
  filled in and no row is left out.

  Args:
    path: of the file.
    target: a column, or several as a tuple or separated by commas.
    delimiter: what separates the cells of a line, one character; None: of
      comma, semicolon, tab and bar the one that gives the most columns.

  Returns:
    A `Table`.

  Raises:
    UserError: names the line, the column and the cell, and says what to do.
  """
  header, lines, cells = _parse(path, _text(path), delimiter)
  targets = _targets(path, header, target)
  if len(targets) == len(header):
    raise UserError(f'{path} has no column beside the target {targets}; '
                    'give columns to predict it from.')
  x, y, names = [], {}, []
  for name, column in zip(header, zip(*cells, strict=True), strict=True):
    if name in targets:
      y[name] = _numbers(path, name, lines, column)
      if np.ptp(y[name]) == 0:
        raise UserError(f'{path}: the target {name!r} is {column[0]} in all '
                        f'{len(column)} rows; there is nothing to predict.')
    elif any(_is_number(cell) for cell in column):
      x.append(_numbers(path, name, lines, column))
      names.append(name)
    else:
      for category in _categories(path, name, lines, column):
        x.append(np.array([cell == category for cell in column], np.float32))
        names.append(f'{name}={category}')
  return Table(np.stack(x, axis=1),
               np.stack([y[name] for name in targets], axis=1), names)


def read_series(path, targets='', delimiter=None):
  """Series in a CSV file: a column each, a line for a step, the oldest first.

  Args:
    path: of the file, as `read` takes it, but all cells are numbers.
    targets: the columns to predict, as `read` takes them; '' for all.
    delimiter: as `read` takes it.

  Returns:
    A `Table`: x is all series, those to predict first, y those alone.

  Raises:
    UserError: as `read`; a column is not of numbers.
  """
  header, lines, cells = _parse(path, _text(path), delimiter)
  first = _targets(path, header, targets) if targets else header
  names = first + [name for name in header if name not in first]
  columns = dict(zip(header, zip(*cells, strict=True), strict=True))
  x = np.stack([_numbers(path, name, lines, columns[name]) for name in names],
               axis=1)
  return Table(x, x[:, :len(first)], names)


def _targets(path, header, target):
  """Names of columns to predict, as a list."""
  # A name may hold a comma; then it is not two.
  targets = ([target] if target in header else
             target.split(',') if isinstance(target, str) else list(target))
  targets = [name.strip() for name in targets]
  for name in targets:
    if name not in header:
      near = difflib.get_close_matches(name, header, 1)
      hint = f' Did you mean {near[0]!r}?' if near else ''
      raise UserError(f'{path} has no column {name!r} to be the target; its '
                      f'columns are {header}: name one.{hint}')
  if len(set(targets)) < len(targets) or not targets:
    raise UserError(f'target={target!r} must name each column once, and at '
                    'least one.')
  return targets


def _text(path):
  """The text of a file; a UserError if it is none, or too large."""
  try:
    size = os.path.getsize(path)
    if size > MAX_BYTES:
      raise UserError(f'{path} has {size} bytes, more than {MAX_BYTES}; use '
                      '`assay.data.stream` for data of this size.')
    with open(path, 'rb') as file:
      return file.read().decode('utf-8-sig')
  except OSError as e:
    raise UserError(f'{path} cannot be read ({e.strerror}); give a file that '
                    'can.') from e
  except UnicodeDecodeError as e:
    raise UserError(f'{path} is not UTF-8 text: byte {e.start} is '
                    f'0x{e.object[e.start]:02x}. Save it as CSV with the '
                    'encoding UTF-8.') from e


def _parse(path, text, delimiter):
  """Names of columns; of each row its line, and its cells."""
  if delimiter is None:
    first = next(filter(str.strip, text.splitlines()), '')
    delimiter = max(DELIMITERS, key=lambda d: len(next(csv.reader(
        [first], delimiter=d), ())))
  if not isinstance(delimiter, str) or len(delimiter) != 1:
    raise UserError(f'delimiter={delimiter!r} must be one character.')
  reader = csv.reader(io.StringIO(text, newline=''), delimiter=delimiter,
                      strict=True)
  lines, rows = [], []
  try:
    for row in reader:
      if any(cell.strip() for cell in row):
        lines.append(reader.line_num)
        rows.append([cell.strip() for cell in row])
  except csv.Error as e:
    raise UserError(f'{path}, line {reader.line_num}: {e}. Save it as CSV '
                    'anew.') from e
  if not rows:
    raise UserError(f'{path} is empty; its first line must name the columns.')
  (header, *cells), lines = rows, lines[1:]
  others = [d for d in DELIMITERS if d in header[0]]
  if len(header) == 1 and others:
    raise UserError(f'{path} has one column named {header[0]!r}, which looks '
                    f'like several; give delimiter={others[0]!r}.')
  for i, name in enumerate(header):
    if not name:
      raise UserError(f'{path}: column {i + 1} of {len(header)} has no name; '
                      'the first line must name all columns.')
    if name in header[:i]:
      raise UserError(f'{path} has two columns named {name!r}; rename one.')
  if all(map(_is_number, header)):
    raise UserError(f'{path} begins with numbers, {header}; its first line '
                    'must name the columns.')
  for line, row in zip(lines, cells, strict=True):
    if len(row) != len(header):
      raise UserError(
          f'{path}, line {line} has {len(row)} cells, but there are '
          f'{len(header)} columns; put cells with {delimiter!r} in them into '
          'double quotes.')
  if len(cells) < 2:
    raise UserError(f'{path} has {len(cells)} rows below its header; at least '
                    '2 are needed: give more.')
  return header, lines, cells


def _is_number(cell):
  """Whether it is a finite number, as written in a table."""
  try:
    # Python also takes digits with underscores between them. NaN fails.
    return '_' not in cell and abs(float(cell)) <= LARGEST
  except ValueError:
    return False


def _numbers(path, name, lines, column):
  """A column as float32; a UserError for the first cell that is no number."""
  for line, cell in zip(lines, column, strict=True):
    if _is_number(cell):
      continue
    if cell.lower() in MISSING:
      raise UserError(f'{path}, line {line}: column {name!r} has no value '
                      f'({cell!r}); fill it in, or leave out the row or the '
                      'column.')
    raise UserError(f'{path}, line {line}: column {name!r} holds {cell!r}, '
                    'which is not a finite number (decimal point, no unit); '
                    'mend the cell or leave out the row.')
  return np.array([float(cell) for cell in column]).astype(np.float32)


def _categories(path, name, lines, column):
  """The sorted texts of a column without numbers, or a UserError."""
  for line, cell in zip(lines, column, strict=True):
    if cell.lower() in MISSING or LIKE_A_NUMBER.match(cell):
      _numbers(path, name, [line], [cell])
  found = sorted(set(column))
  if len(found) > MAX_CATEGORIES:
    raise UserError(
        f'{path}: column {name!r} holds {len(found)} different texts, such as '
        f'{found[0]!r}; more than {MAX_CATEGORIES} are no categories. Leave '
        'out the column.')
  return found
