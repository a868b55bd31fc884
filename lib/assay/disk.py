"""Files written at once or not at all, and JSON that is strict.

NaN is no JSON and is refused both ways; infinities are written as the texts
'inf' and '-inf'.
"""

import contextlib
import fcntl
import json
import math
import os
import pathlib
import time
import uuid

from assay.errors import UserError

LOCK = '.lock'  # in a folder that one process at a time may write
_followed = {}  # folder -> called with each file that is whole in it
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
  for folder, call in list(_followed.items()):
    if path.is_relative_to(folder):
      call(path)


def follow(folder, call):
  """Has `call(path)` follow each `write_bytes` below a folder.

  Returns a function that ends it.
  """
  _followed[folder] = call
  return lambda: _followed.pop(folder, None)


def sync(folder):
  """Lets the names in a folder survive a power cut, as the contents do."""
  number = os.open(folder, os.O_RDONLY)
  try:
    os.fsync(number)
  finally:
    os.close(number)


def take_lock(path):
  """The number of an open file that this process holds the lock of.

  The lock ends with the process, or when the file is closed. The content stays,
  and what a link points at is not touched.

  Args:
    path: of a file, which is made, or of a folder.

  Raises:
    BlockingIOError: another process holds it.
    OSError: it cannot be opened: a link, or not to be written to.
  """
  kind = os.O_RDONLY if os.path.isdir(path) else os.O_RDWR | os.O_CREAT
  while True:
    file = os.open(path, kind | os.O_NOFOLLOW, 0o666)
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      # Who removed the file in between has the lock of nothing.
      if os.path.samestat(os.fstat(file), os.stat(path, follow_symlinks=False)):
        return file
    except FileNotFoundError:
      pass  # removed in between
    except BaseException:
      os.close(file)
      raise
    os.close(file)


def lock_folder(folder):
  """Holds a folder for this process; returns a function that lets it go.

  By a file in it and, where the file system can, by the folder itself: then
  nobody comes in who deletes the file.

  Raises:
    BlockingIOError: another process holds it.
    OSError: it cannot be written.
  """
  held = contextlib.ExitStack()
  with contextlib.ExitStack() as failed:
    failed.push(held)
    try:
      held.callback(os.close, take_lock(os.path.realpath(folder)))
    except BlockingIOError:
      raise
    except OSError:  # some network file systems lock files only
      pass
    held.callback(os.close, take_lock(pathlib.Path(folder) / LOCK))
    failed.pop_all()
  return held.close


@contextlib.contextmanager
def held(folder, seconds=60):
  """Around what one process at a time may do in a folder; the others wait.

  Args:
    folder: is made.
    seconds: that this one waits at most.

  Raises:
    UserError: another process holds it for so long, or it cannot be written.
  """
  path, end = pathlib.Path(folder) / LOCK, time.monotonic() + seconds
  while True:
    try:
      path.parent.mkdir(parents=True, exist_ok=True)
      release = lock_folder(folder)
      break
    except BlockingIOError as error:
      if time.monotonic() > end:
        raise UserError(f'{folder}: another process writes there since '
                        f'{seconds} s; wait for it, or end it.') from error
      time.sleep(0.05)
    except OSError as error:
      raise unwritable(path, error.errno) from error
  try:
    yield
  finally:
    path.unlink(missing_ok=True)
    release()


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
