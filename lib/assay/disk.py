"""Files written at once or not at all, and JSON that is strict.

NaN is no JSON and is refused both ways; infinities are written as the texts
'inf' and '-inf'.
"""

import json
import math
import os
import pathlib
import uuid

from assay.errors import UserError

TEMPORARY = '.*.' + 32 * '[0-9a-f]' + '.tmp'  # names of files not yet whole


def write_json(path, data):
  """Writes a dict as indented JSON with sorted keys, all or nothing."""
  write_bytes(path, (dumps(data, indent=2, sort_keys=True) + '\n').encode())


def dumps(data, **how):
  def plain(x):
    if isinstance(x, dict):
      return {k: plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
      return [plain(v) for v in x]
    return str(x) if isinstance(x, float) and math.isinf(x) else x

  try:
    return json.dumps(plain(data), allow_nan=False, **how)
  except ValueError as error:
    raise UserError(f'cannot be written as JSON: {error}; use finite '
                    'numbers, texts, lists and dicts.') from error


def write_bytes(path, data, written=lambda: None):
  """Replaces a file at once: a crash leaves the old content or the new.

  Args:
    path: of the file; folders are made.
    data: its new content.
    written: called between the writing and the renaming.

  Raises:
    UserError: the disk is full, or not to be written to.
  """
  path = pathlib.Path(path)
  temporary = path.with_name(f'.{path.name}.{uuid.uuid4().hex}.tmp')
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
      with open(temporary, 'xb') as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
      written()
      os.replace(temporary, path)
    finally:
      temporary.unlink(missing_ok=True)
    sync(path.parent)
  except OSError as error:
    raise unwritable(path, error.errno) from error


def sync(folder):
  """Lets the names in a folder survive a power cut, as the contents do."""
  number = os.open(folder, os.O_RDONLY)
  try:
    os.fsync(number)
  finally:
    os.close(number)


def cache_dir():
  """The folder of Assay in the user's cache; it may not exist yet."""
  base = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
  return pathlib.Path(base).expanduser() / 'assay'


def unwritable(path, number):
  """The UserError for what cannot be written for the reason of an errno."""
  return UserError(
      f'{path} cannot be written: {os.strerror(number)}. Free space there, or '
      'make it writable, and give the same command again: it continues.')


def remove_temporary(folder):
  """Removes what killed processes left of files they wrote to a folder."""
  for path in pathlib.Path(folder).glob(TEMPORARY):
    path.unlink(missing_ok=True)


def read_json(path, kinds, optional=()):
  """The dict in a JSON file.

  Args:
    path: of the file.
    kinds: field -> its type or types; other fields may be there.
    optional: those of the fields that may be missing.

  Raises:
    UserError: it cannot be read, or a field is missing or of another type.
  """
  try:
    found = loads(pathlib.Path(path).read_bytes())
  except OSError as error:
    raise UserError(f'{path}: cannot be read ({error.strerror}); restore the '
                    'file.') from error
  except UserError as error:
    raise UserError(f'{path}: {error}') from error
  for field, kind in kinds.items():
    if not isinstance(found, dict) or not (
        field in optional and field not in found
        or isinstance(found.get(field), kind)):
      raise UserError(f'{path}: {field} is missing or of a wrong type; restore '
                      'the file.')
  return found


def loads(data):
  """What bytes of JSON hold; a UserError for what is none, NaN included."""
  try:
    return _DECODER.decode(data.decode())
  except (ValueError, RecursionError) as error:
    raise UserError(f'not valid JSON ({error}); restore the file.') from error


def _refuse(constant):
  raise ValueError(f'{constant} is no number')


_DECODER = json.JSONDecoder(parse_constant=_refuse)
