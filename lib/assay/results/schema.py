"""What a row says, and a cell: the rows that differ by their seed alone.

A cell is a dict with the fields of its rows, but for `seed` and `value` the
lists `seeds` and `values`. What else differs from seed to seed, of `LISTED`, is
a list too, with null for a row that has no such field.
"""

import base64
import functools
import math
import re
import sys

import numpy as np

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
TOLD = {'run': str, 'config_name': str, 'config': dict, 'commit': str,
        'command': str, 'versions': dict, 'wall_seconds': (float, int),
        'code': dict, 'made_with': list, 'spent': dict, 'fits': dict,
        'device_kind': str, 'device_count': int, 'num_params': int}
MAX_SEEDS = 10**6  # that a run may plan
MAX_DEPTH = 50  # of what a run's file holds
# They say more about a value and nothing about what was measured.
ATTACHED = {'why': str, 'wrong': str}
# What may be a list in a cell, beside seeds and values.
LISTED = ('run', 'n', 'step', *ATTACHED)
# No names of sweep fields: they have a meaning of their own in a file of cells.
RESERVED = ('cells', 'seeds', 'values')
_APART = {'seed', 'value', *LISTED, *JOINED}  # no part of a cell's name


def validate(row):
  """Returns nothing; the fields that `read` joins are allowed and unchecked.

  Raises:
    UserError: names the field that is missing or has a wrong type or value.
  """
  if not isinstance(row, dict):
    raise UserError(f'a row must be an object, not {type(row).__name__}.')
  for field in dict.fromkeys([*FIELDS, *row]):  # the first wrong one is named
    if field not in JOINED:
      _check_name(field, row)
      _check(field, row[field])
  _check_value(row)


def run_of(data, run):
  """What the file of a run says, with harmless texts.

  Args:
    data: dict with the types of `JOINED` and `TOLD`.
    run: the name of the file.

  Raises:
    UserError: it is that of another run, or holds a number that cannot be.
  """
  data = harmless(data)
  if data.get('run', run) != run:
    raise UserError(f'is of run {data["run"]!r:.20}, and {run} should be '
                    'there; restore the file.')
  most = {'planned_seeds': MAX_SEEDS, 'wall_seconds': 1e12}
  for place, value in [
      *((field, data.get(field, 0)) for field in most),
      *(('spent', seconds) for seconds in data.get('spent', {}).values())]:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or (
        not 0 <= value <= most.get(place, 1e12)):
      raise UserError(f'{place}: {value!r:.40} is not in [0, '
                      f'{most.get(place, 1e12):g}]; restore the file.')
  for arm, keys in data.get('fits', {}).items():
    if not isinstance(keys, list):
      raise UserError(f'fits: {arm!r:.40} must have a list; restore the file.')
  return data


def harmless(value, depth=0):
  """What JSON holds, with what cannot be printed in its texts escaped.

  Terminals obey some characters, and some are not Unicode.
  """
  if isinstance(value, str):
    return value if value.isprintable() else ''.join(
        c if c.isprintable() else repr(c)[1:-1] for c in value)
  if depth == MAX_DEPTH:
    raise UserError(f'nested more than {MAX_DEPTH} deep; restore the file.')
  if isinstance(value, dict):
    return {harmless(k): harmless(v, depth + 1) for k, v in value.items()}
  if isinstance(value, list):
    return [harmless(v, depth + 1) for v in value]
  return value


def validate_cell(cell):
  """As `validate`, for all rows of a cell at once.

  Raises:
    UserError: as `validate`; or a list is of another length than `seeds`.
  """
  if not isinstance(cell, dict):
    raise UserError(f'a cell must be an object, not {type(cell).__name__}.')
  lists = {'seed': 'seeds', 'value': 'values'}
  for field, name in lists.items():
    if not isinstance(cell.get(name), list) or field in cell:
      raise UserError(f'{name}: must be a list, in place of {field}.')
  count = len(cell['seeds'])
  for field in dict.fromkeys([*FIELDS, *cell]):
    if field in JOINED or field in ('seeds', 'values'):
      continue
    name = lists.get(field, field)
    _check_name(name, cell, reserved=('cells',))
    value = cell[name]
    if name in lists.values() or field in LISTED and isinstance(value, list):
      if len(value) != count or not count:
        raise UserError(f'{name}: {len(value)} for {count} seeds; use as many, '
                        'and one or more.')
      for each in value:
        if each is not None or field not in ATTACHED:
          _check(field, each)
    else:
      _check(field, value)
  if any(v is None for v in cell['values']) or 'wrong' in cell:
    for row in rows_of(cell):
      _check_value(row)


def _check_name(field, among, reserved=RESERVED):
  if not isinstance(field, str) or not field.isprintable():
    raise UserError(f'{field!r:.60}: is no name of a field; use a printable '
                    'text.')
  if field in reserved:
    raise UserError(f'{field}: means something else in a file of rows; use '
                    'another name for the field.')
  if field not in among:
    raise UserError(f'{field}: missing; each row needs it.')


def _check(field, value):
  """Raises a UserError unless the field can have the value."""
  # Of what most rows share it is asked once; the rest would crowd it out.
  if type(value) in (str, int, bool) and field not in ATTACHED:
    _check_shared(field, value)
  else:
    _check_anew(field, value)


def _check_anew(field, value):
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


_check_shared = functools.lru_cache(4096, typed=True)(_check_anew)


def _check_value(row):
  """Raises a UserError unless a row's value fits what is attached to it."""
  if row['value'] is None and not row.get('why'):
    raise UserError('why: missing, and the value is null; write the reason.')
  if 'wrong' not in row:
    return
  if row['value'] is None:
    raise UserError('wrong: there, but the value is null; leave it out.')
  count, n = int(unpack(row['wrong'], row['n']).sum()), row['n']
  if row['metric'] == 'error' and abs(count - row['value'] * n) > 1e-6 * n:
    raise UserError(f'wrong: {count} of {n} examples, but the error is '
                    f'{row["value"]:.9g}; use those of one evaluation.')


def cells_of(rows):
  """Valid rows as cells, in the order of their first rows."""
  parts = {}
  for row in rows:
    # By repr: 1 and 1.0, and 0.0 and -0.0, are written differently.
    name = tuple((k, repr(row[k])) for k in sorted(row.keys() - _APART))
    parts.setdefault(name, []).append(row)
  cells = []
  for own in parts.values():
    fields = [*FIELDS, *sorted(own[0].keys() - FIELDS.keys() - _APART)]
    cell = {k: own[0][k] for k in fields if k not in _APART}
    for field in LISTED:
      found = [row.get(field) for row in own]
      if any(x is not None for x in found):
        cell[field] = found if any(x != found[0] for x in found) else found[0]
    cells.append(cell | {'seeds': [row['seed'] for row in own],
                         'values': [row['value'] for row in own]})
  return cells


def rows_of(cell, runs=None):
  """The rows of a valid cell.

  Args:
    cell: see the docstring of this module.
    runs: {run: what its file says}, to add `JOINED` from; default: not added.
  """
  listed = {k: cell[k] for k in LISTED if isinstance(cell.get(k), list)}
  same = dict.fromkeys(FIELDS) | {
      k: v for k, v in cell.items() if not isinstance(v, list)}
  if runs and 'run' in listed:
    listed |= {k: [runs[run][k] for run in listed['run']] for k in JOINED}
  elif runs:
    same |= {k: runs[same['run']][k] for k in JOINED}
  rows = []
  for i, seed in enumerate(cell['seeds']):
    row = same.copy()
    row['seed'], row['value'] = seed, cell['values'][i]
    for field, values in listed.items():
      if values[i] is not None:
        row[field] = values[i]
    rows.append(row)
  return rows


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


def lost_word(row):
  """What became of a seed without a value: 'diverged', if nothing else."""
  if re.match('not (reached|left)', row.get('why', '')):
    return 'not reached'
  if re.match('no value', row.get('why', '')):
    return 'without a value'
  return 'not defined' if row.get('why') == 'not defined' else 'diverged'
