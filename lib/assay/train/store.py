"""Named arrays on disk that can be lost and made again: a cache with checksums.

    folder/
      <key>/entry.json   what the arrays are, with a checksum of each and of all
            arrays.npz   their bytes
      locks/<key>        held by who makes an entry

An entry is whole or not there: it is written to a temporary folder that is then
renamed. One that cannot be read, or is not what was written, is `Damaged`.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import time
import uuid

import numpy as np

from assay import disk

FORMAT = 1  # of the files; entries of another are made again


class Damaged(Exception):
  """An entry that is there and cannot be used; its text says why."""


class Store:
  """Entries of a folder, by key.

  Args:
    folder: is made with the first entry.
  """

  def __init__(self, folder):
    self.folder = pathlib.Path(folder)

  def __repr__(self):
    return f'Store({str(self.folder)!r})'

  def below(self, key, name):
    """A store of what was computed from an entry; goes where the entry goes."""
    return Store(self.folder / key / name)

  def read(self, key):
    """(arrays by name, information) of an entry, or None where there is none.

    Raises:
      Damaged: there is one and it cannot be used.
    """
    folder = self.folder / key
    if not os.path.lexists(folder):
      return None
    info = self.information(key)
    arrays = {}
    try:
      with _opened(folder / 'arrays.npz') as file, np.load(
          file, allow_pickle=False) as found:
        for i, told in enumerate(info['arrays']):
          data = found[str(i)]
          if data.dtype != np.uint8 or _digest(data) != told['digest']:
            raise Damaged(f'the bytes of {told["name"]} are not those written')
          arrays[told['name']] = data.view(np.dtype(told['dtype'])).reshape(
              told['shape'])
    except Damaged:
      raise
    except Exception as error:  # its kind depends on where a file is torn
      raise Damaged(_reason(error)) from error
    return arrays, info

  def read_again(self, key):
    """`read`, without a copy that another store has made of an entry."""
    return self.read(key)

  def information(self, key):
    """What `write` was given, and `arrays`, a list of name, shape, dtype."""
    try:
      with _opened(self.folder / key / 'entry.json') as file:
        entry = json.loads(file.read())
      if entry['format'] != FORMAT:
        raise Damaged(f'its format is {entry["format"]}, not {FORMAT}')
      if entry['digest'] != _digest_of_json(entry) or entry['key'] != key:
        raise Damaged('its checksum is that of another text')
    except Damaged:
      raise
    except Exception as error:
      raise Damaged(_reason(error)) from error
    return entry

  def write(self, key, arrays, info):
    """Makes an entry, in place of a damaged one; one that is whole stays.

    Args:
      key: its name.
      arrays: name -> array of numbers.
      info: what JSON can hold.

    Raises:
      OSError: the disk is full, or not to be written to.
    """
    temporary = self.folder / f'.{key}.{uuid.uuid4().hex}.tmp'
    plain = [np.asarray(x) for x in arrays.values()]
    data = [np.frombuffer(x.tobytes(), np.uint8) for x in plain]
    entry = json.loads(disk.dumps(info)) | {
        'format': FORMAT, 'key': key, 'arrays': [
            {'name': name, 'shape': list(x.shape), 'dtype': x.dtype.name,
             'digest': _digest(y)}
            for name, x, y in zip(arrays, plain, data, strict=True)]}
    entry['digest'] = _digest_of_json(entry)
    temporary.mkdir(parents=True)
    try:
      with open(temporary / 'arrays.npz', 'xb') as file:
        np.savez(file, **{str(i): x for i, x in enumerate(data)})
        file.flush()
        os.fsync(file.fileno())
      with open(temporary / 'entry.json', 'x') as file:
        json.dump(entry, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
      disk.sync(temporary)
      self.take_place(temporary, key)
    finally:
      shutil.rmtree(temporary, ignore_errors=True)

  def take_place(self, temporary, key):
    """Renames a folder to a key's, unless a whole entry is there."""
    try:
      if self.read(key) is not None:
        return
    except Damaged:
      self.remove(key)
    try:
      temporary.rename(self.folder / key)
    except OSError:  # another process was first, and wrote the same
      if not (self.folder / key).is_dir():
        raise
    disk.sync(self.folder)

  def remove(self, key):
    """Removes an entry, damaged or not; what a link points at stays."""
    folder = self.folder / key
    gone = self.folder / f'.{key}.{uuid.uuid4().hex}.tmp'
    with contextlib.suppress(FileNotFoundError):
      folder.rename(gone)
      if gone.is_symlink() or not gone.is_dir():
        gone.unlink()
      else:
        shutil.rmtree(gone)

  def used(self, key):
    """Notes that an entry was of use just now."""
    with contextlib.suppress(OSError):
      os.utime(self.folder / key / 'entry.json')

  def keys(self):
    """The keys of all entries, sorted; damaged ones too."""
    if not self.folder.is_dir():
      return []
    return sorted(path.name for path in self.folder.iterdir()
                  if path.name != 'locks' and not path.name.startswith('.'))

  def size_and_age(self, key):
    """(bytes with all below, seconds since it was of use) of an entry."""
    paths = [path for path in (self.folder / key).rglob('*')
             if path.is_file() and not path.is_symlink()]
    used = max((path.stat().st_mtime for path in paths),
               default=(self.folder / key).lstat().st_mtime)
    return sum(path.stat().st_size for path in paths), time.time() - used

  def clean(self, seconds=24 * 3600):
    """Removes what killed processes left that long ago."""
    if self.folder.is_dir():
      for path in self.folder.glob('.*.tmp'):
        with contextlib.suppress(OSError):
          if time.time() - path.lstat().st_mtime > seconds:
            shutil.rmtree(path)

  @contextlib.contextmanager
  def locked(self, keys, waiting=lambda: None, patient=True):
    """Holds the locks of some keys; all take them in one order.

    Args:
      keys: of entries that are to be made or removed.
      waiting: called now and then while another process holds one; what it
        raises ends the wait.
      patient: false: `BlockingIOError` where another process holds one.
    """
    with contextlib.ExitStack() as stack:
      for key in sorted(set(keys)):
        stack.callback(os.close, self._lock(key, waiting, patient))
      yield

  def _lock(self, key, waiting, patient):
    path = self.folder / 'locks' / key
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
      try:
        return disk.take_lock(path)
      except BlockingIOError:
        if not patient:
          raise
        waiting()
        time.sleep(0.2)

  def forget(self, key):
    """Removes an entry and its lock, unless somebody makes it just now."""
    try:
      with self.locked([key], patient=False):
        self.remove(key)
        (self.folder / 'locks' / key).unlink()
    except BlockingIOError:
      return False
    return True


@contextlib.contextmanager
def _opened(path):
  """A regular file that is no link, in a folder that is none."""
  if path.parent.is_symlink():
    raise Damaged('it is a link')
  number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
  with open(number, 'rb') as file:
    yield file


def _reason(error):
  text = f'{type(error).__name__}: {error}'.splitlines()[0]
  return text[:120]


def _digest(data):
  return hashlib.blake2b(data, digest_size=16).hexdigest()


def _digest_of_json(entry):
  rest = {k: v for k, v in entry.items() if k != 'digest'}
  return _digest(json.dumps(rest, sort_keys=True).encode())
