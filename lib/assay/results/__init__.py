"""Rows: written once, read back, and shown beside the published numbers.

    python -m assay results PATH... [--format=markdown] [--into=README.md]

A row is one measured result, a flat dict: the fields in `FIELDS`, perhaps those
in `ATTACHED` (`why` there is no value; which examples a classifier got `wrong`,
see `pack`), and any other key as a sweep field (what the variant varies, by its
config name). A PATH is a workdir, a folder `results/<paper>` or a `.jsonl`
file; the folder `runs/` beside its rows tells how they were made.
"""

import base64
import math
import pathlib
import re
import sys

import numpy as np

from assay import disk
from assay.errors import UserError

FIELDS = {'paper': str, 'config': str, 'run': str, 'dataset': str,
          'method': str, 'seed': int, 'split': str, 'group': str,
          'metric': str, 'value': (float, int, type(None)), 'n': int,
          'step': int, 'state': str}
# Paper, config and run end up in paths; a run is 8 hex digits of a sha256.
WORDS = {'paper': '[a-z0-9_]+', 'config': '[A-Za-z0-9_-]+',
         'run': '[0-9a-f]{8}', 'state': 'last|best', 'group': '.*'}
JOINED = {'seed_varies': str, 'planned_seeds': int, 'scale': str}
# What tables and pages show of a run besides, where its file has it.
TOLD = {'config_name': str, 'config': dict, 'commit': str, 'versions': dict,
        'wall_seconds': (float, int)}
# They say more about a value and nothing about what was measured.
ATTACHED = {'why': str, 'wrong': str}


def validate(row):
  """Returns nothing; the fields that `read` joins are allowed and unchecked.

  Raises:
    UserError: names the field that is missing or has a wrong type or value.
  """
  if not isinstance(row, dict):
    raise UserError(f'a row must be an object, not {type(row).__name__}.')
  for field in dict.fromkeys([*FIELDS, *row]):  # the first wrong one is named
    if field in JOINED:
      continue
    if not isinstance(field, str) or not field.isprintable():
      raise UserError(f'{field!r:.60}: is no name of a field; use a printable '
                      'text.')
    if field not in row:
      raise UserError(f'{field}: missing; each row needs it.')
    value = row[field]
    types = (FIELDS | ATTACHED).get(field, (str, int, float, bool))
    types = types if isinstance(types, tuple) else (types,)
    if not isinstance(value, types) or (
        isinstance(value, bool) and field in FIELDS):
      names = ' or '.join(kind.__name__ for kind in types)
      raise UserError(f'{field}: cannot be of type {type(value).__name__}; '
                      f'use {names}.')
    if isinstance(value, str):
      pattern = WORDS.get(field, '.+' if field in FIELDS else '(?s:.*)')
      if not re.fullmatch(pattern, value) or not (
          field == 'why' or value.isprintable()):
        raise UserError(f'{field}: {value!r:.60} is not a word for it; use one '
                        f'that matches {pattern} and can be printed.')
    elif value is not None:
      # A sweep may end at infinity (bandwidth); a measured value may not.
      infinite = field not in FIELDS and abs(value) == math.inf
      if not (abs(value) <= sys.float_info.max or infinite):
        raise UserError(f'{field}: {value!r:.20} is not finite; use a number '
                        'that is.')
      if FIELDS.get(field) is int and not 0 <= value < 2**63:
        raise UserError(f'{field}: {value} is not in [0, 2**63); use a number '
                        'that is.')
  if row['value'] is None and not row.get('why'):
    raise UserError('why: missing, and the value is null; write the reason.')
  if 'wrong' in row:
    _validate_wrong(row)


def _validate_wrong(row):
  if row['value'] is None:
    raise UserError('wrong: there, but the value is null; leave it out.')
  count, n = int(unpack(row['wrong'], row['n']).sum()), row['n']
  if row['metric'] == 'error' and abs(count - row['value'] * n) > 1e-6 * n:
    raise UserError(f'wrong: {count} of {n} examples, but the error is '
                    f'{row["value"]:.9g}; use those of one evaluation.')


def pack(wrong):
  """The field `wrong` of a row: bits as text, base64 of `np.packbits`.

  Args:
    wrong: [n] bool, True where the classifier was wrong; the n examples of the
      row's split and group, in the order of its rows.
  """
  return base64.b64encode(np.packbits(np.asarray(wrong, bool))).decode()


def unpack(text, n):
  """The [n] bool that `pack` was given.

  Raises:
    UserError: the text is not that of n bits.
  """
  try:
    packed = np.frombuffer(base64.b64decode(text), np.uint8)
  except ValueError as error:
    raise UserError(f'wrong: {text!r:.60} is not base64 ({error}); use '
                    '`pack`.') from error
  if len(packed) != -(-n // 8):
    raise UserError(f'wrong: {len(packed)} bytes do not fit n={n}; use `pack`.')
  wrong = np.unpackbits(packed, count=n).astype(bool)
  if pack(wrong) != text:  # other characters, or bits behind the last example
    raise UserError(f'wrong: {text!r:.60} is not how {n} bits are written; use '
                    '`pack`.')
  return wrong


def write(path, rows, written=lambda: None):
  """Writes rows as JSON lines, all or nothing; drops what `read` joins.

  Floats are exact. JSON has no infinity: such sweep values are written as the
  strings 'inf' and '-inf', and `read` turns these back into floats.

  Args:
    path, written: see `disk.write_bytes`.
    rows: dicts.

  Raises:
    UserError: a row is not valid, or the file cannot be written; nothing is.
  """
  lines = []
  for row in rows:
    validate(row)
    rest = sorted(row.keys() - FIELDS.keys() - JOINED.keys())
    for field in rest:  # `read` would take such a text for the number
      if field not in ATTACHED and row[field] in ('inf', '-inf'):
        raise UserError(f'{field}: {row[field]!r} is a text; use a float.')
    lines.append(disk.dumps({k: row[k] for k in [*FIELDS, *rest]}) + '\n')
  disk.write_bytes(path, ''.join(lines).encode(), written)


def read(paths):
  """The rows of all paths, see `read_both`."""
  return read_both(paths)[0]


def read_both(paths):
  """The rows of all paths, and {run: what its file says} for all of them.

  Rows have `JOINED` added from their run.

  Raises:
    UserError: nothing to read; a damaged line (with file and line number); a
      missing or damaged run file; a result that is there twice, which would
      count as one more seed.
  """
  found = _found(paths)
  runs, rows, seen = _runs(found), [], {}
  for file, _, own in found:
    for row in own:
      key = tuple(sorted((k, v) for k, v in row.items() if k not in (
          'run', 'value', 'n', 'step', *ATTACHED)))
      if key in seen:
        raise UserError(f'{file}: seed {row["seed"]} of {row["method"]} has a '
                        f'second {row["metric"]}, the first: {seen[key]}; keep '
                        'one of them.')
      seen[key] = file
      rows.append(row | {k: runs[row['run']][k] for k in JOINED})
  return rows, runs


def read_runs(paths):
  """{run: what its file says} for all rows of the paths."""
  return _runs(_found(paths))


def _found(paths):
  """[(file, folder of its runs, its rows)] of all paths."""
  return [(file, folder, read_rows(file)) for path in paths
          for files, folder in [_files(path)] for file in files]


def _runs(found):
  """As `read_runs`, from what `_found` gives."""
  runs = {}
  for _, folder, rows in found:
    for run in {row['run'] for row in rows}:
      runs[run] = disk.read_json(folder / f'{run}.json', JOINED | TOLD, TOLD)
  return runs


def _files(path):
  """The row files of a path, and the folder of its runs."""
  path = pathlib.Path(path)
  if path.is_file():
    up = path.parent.parent if path.parent.name == 'rows' else path.parent
    return [path], up / 'runs'
  # In a workdir rows.jsonl is only a copy of the blocks under rows/.
  folder = path / 'rows' if (path / 'rows').is_dir() else path
  # By arm, then seed: the length puts erm.5 before erm.10.
  files = sorted(folder.glob('*.jsonl'), key=lambda f: (
      f.stem.rpartition('.')[0], len(f.stem), f.stem))
  if not files:
    raise UserError(f'{path}: no rows there; give a workdir, a folder '
                    'results/<paper> or a .jsonl file.')
  return files, path / 'runs'


def read_rows(path):
  """The rows of one file, each valid, without what `read` joins."""
  try:
    lines = pathlib.Path(path).read_bytes().split(b'\n')
  except OSError as error:
    raise UserError(f'{path}: cannot be read ({error.strerror}); give another '
                    'file.') from error
  rows = []
  for number, line in enumerate(lines, 1):
    if line.strip():
      try:
        row = disk.loads(line)
        validate(row)
      except UserError as error:
        raise UserError(f'{path}:{number}: {error}') from error
      known = FIELDS | ATTACHED
      rows.append({k: float(v) if k not in known and v in ('inf', '-inf')
                   else v for k, v in row.items() if k not in JOINED})
  return rows


def publish(workdir, results_dir='results'):
  """Copies a finished workdir to `results/<paper>/`; returns that folder.

  Rows go to `<variant>.jsonl` (replaced), runs to `runs/<run>.json`; run files
  that no row there refers to any longer are removed.

  Raises:
    UserError: rows of several papers, or an arm lacks a planned seed.
  """
  rows, runs = read_both([workdir])
  if len({row['paper'] for row in rows}) != 1:
    raise UserError(f'{workdir}: must hold the rows of one paper.')
  for method in dict.fromkeys(row['method'] for row in rows):
    own = [row for row in rows if row['method'] == method]
    missing = set(range(own[0]['planned_seeds'])) - {r['seed'] for r in own}
    if missing:
      raise UserError(f'{workdir} is not finished: {method} lacks '
                      f'{len(missing)} planned seeds, first {min(missing)}; '
                      'run it to its end.')
  folder = pathlib.Path(results_dir) / rows[0]['paper']
  # Runs first and removal last: a crash leaves no row without its run.
  for run, data in runs.items():
    disk.write_json(folder / 'runs' / f'{run}.json', data)
  for config, own in group_by(rows, 'config').items():
    write(folder / f'{config}.jsonl', own)
  needed = read_runs([folder])
  for file in (folder / 'runs').glob('*.json'):
    if file.stem not in needed:
      file.unlink()
  return folder


def group_by(rows, field):
  """{value of the field: its rows}, in the order of appearance."""
  parts = {}
  for row in rows:
    parts.setdefault(row[field], []).append(row)
  return parts


def text_of(value):
  """A row's value as text: floats without digits that say nothing."""
  return f'{value:g}' if isinstance(value, float) else str(value)
