"""Rows in files: a line a cell; what a person wrote, a line a row, is read too.

The first line of a file of cells says how many follow, and what all of them
share:

    {"cells": 2, "paper": "c_mixup", "config": "airfoil", "split": "test", ...}
    {"method": "erm", "metric": "rmse", "seeds": [0, 1], "values": [2.9, 3.1]}
    {"method": "erm", "metric": "mape", "seeds": [0, 1], "values": [1.7, 1.8]}
"""

import functools
import logging
import pathlib
import re

from assay import disk
from assay.errors import UserError
from assay.results import schema

# Names: of a block's rows in a workdir, `erm,width=0.5.10.jsonl`; of a folder
# of a paper. All else was put there by an editor, a system or a person.
BLOCK = re.compile(r'([^\s.#~()/][^\s()~/]*)\.([0-9]{1,18})\.jsonl')
PAPER = re.compile('[a-z0-9_]+')
HIDDEN = '.#~'  # how names begin of what editors and systems leave


def names_a_block(arm):
  """Whether rows of an arm of this name are found again, see `blocks`."""
  return bool(BLOCK.fullmatch(f'{arm}.0.jsonl'))


def blocks(folder):
  """[(arm, first seed, path)] of the blocks in the folder `rows/` of a workdir.

  By arm, then seed. Other files there are left alone, with a warning.
  """
  found = []
  for path in listed(folder):
    if named := BLOCK.fullmatch(path.name):
      found.append((named[1], int(named[2]), path))
    elif path.suffix == '.jsonl':
      _leave(path, '<arm>.<seed>.jsonl')
  return sorted(found)


def of_papers(folder):
  """The folders of papers in a folder of results that hold rows, sorted.

  Other folders there are left alone, with a warning.
  """
  found = []
  for path in sorted(pathlib.Path(folder).glob('*/')):
    if path.name[0] not in HIDDEN and any(
        file.suffix == '.jsonl' for file in listed(path)):
      if PAPER.fullmatch(path.name):
        found.append(path)
      else:
        _leave(path, '<paper>/')
  return found


def listed(folder):
  """The files in a folder, without hidden ones."""
  return [path for path in sorted(pathlib.Path(folder).glob('*'))
          if path.name[0] not in HIDDEN and path.is_file()]


@functools.cache  # once for each
def _leave(path, form):
  logging.getLogger(__name__).warning(
      '%s is left alone: names there are %s.', path, form)


def write(path, rows, written=lambda: None):
  """Writes rows as lines of cells, all or nothing; drops what `read` joins.

  Floats are exact. JSON has no infinity: such sweep values are written as the
  strings 'inf' and '-inf', and `read` turns these back into floats.

  Args:
    path, written: see `disk.write_bytes`.
    rows: dicts.

  Raises:
    UserError: a row is not valid, or the file cannot be written; nothing is.
  """
  rows = list(rows)
  for row in rows:
    schema.validate(row)
    for field in row:  # `read` would take such a text for the number
      if field not in schema.FIELDS and field not in schema.ATTACHED and (
          row[field] in ('inf', '-inf')):
        raise UserError(f'{field}: {row[field]!r} is a text; use a float.')
  disk.write_bytes(path, _text(schema.cells_of(rows)).encode(), written)


def _text(cells):
  """The lines of cells, what they share in the first alone."""
  if not cells:
    return ''
  shared = {field: value for field, value in cells[0].items()
            if field != 'values' and all(
                field in cell and repr(cell[field]) == repr(value)
                for cell in cells)}
  lines = [{'cells': len(cells)} | shared]
  lines += [{k: v for k, v in cell.items() if k not in shared}
            for cell in cells]
  return ''.join(disk.dumps(line) + '\n' for line in lines)


def read_cells(path):
  """The cells of a file of either form, each valid, see `schema`.

  Raises:
    UserError: a damaged line (with file and line number), or one is missing.
  """
  try:
    lines = pathlib.Path(path).read_bytes().split(b'\n')
  except OSError as error:
    raise UserError(f'{path}: cannot be read ({error.strerror}); give another '
                    'file.') from error
  shared, found = None, []
  for number, line in enumerate(lines, 1):
    if not line.strip():
      continue
    try:
      data = disk.loads(line)
      if not found and shared is None and isinstance(data, dict) and (
          'cells' in data):
        shared, count = data, data.pop('cells')
        continue
      if shared is None:
        schema.validate(data)
      else:
        data = shared | data if isinstance(data, dict) else data
        schema.validate_cell(data)
    except UserError as error:
      raise UserError(f'{path}:{number}: {error}') from error
    found.append({
        k: float(v) if k not in _KNOWN and v in ('inf', '-inf') else v
        for k, v in data.items() if k not in schema.JOINED})
  if shared is None:
    return schema.cells_of(found)
  if repr(count) != str(len(found)):
    raise UserError(f'{path}:1: cells: {count!r:.60}, but {len(found)} follow; '
                    'restore the file.')
  return found


_KNOWN = schema.FIELDS | schema.ATTACHED | dict.fromkeys(schema.RESERVED)
