"""Kept fits in an object store, for all machines that may read it.

    place/
      <key>/entry.json   as in a local store; put last, it makes an entry
            <digest>.npz the arrays of the entry of this digest
            used         when it was of use, in seconds of the Unix clock
      locks/<digest>     a lease of who trains some keys

A copy on this machine, below the user's cache folder, saves reading the arrays
again. It counts only while the store has the same entry.
"""

import contextlib
import errno
import hashlib
import math
import pathlib
import tempfile
import time

import numpy as np

from assay import disk
from assay.errors import UserError, call
from assay.stores import ABSENT, Bucket, Held, Lease, folder_name
from assay.train.store import Damaged, Store


class Distant(Store):
  """A `Store` in an object store.

  One that fails stops nobody: from then on nothing is read there or kept.

  Args:
    url: of the place.
    folder: of the copies; default below the user's cache folder.
  """

  def __init__(self, url, folder=None):
    super().__init__(folder or disk.cache_dir() / 'fits_of' / folder_name(url))
    self._copy = Store(self.folder)
    self._url, self._seen = str(url).rstrip('/'), {}  # key -> generation
    self._bucket = None
    call(self.folder, self._url)

  def __repr__(self):
    return f'Store({self._url!r})'

  @contextlib.contextmanager
  def _place(self):
    """Yields the `Bucket`; what goes wrong there is an OSError."""
    if self._url in _AWAY:
      raise OSError(errno.EIO, _AWAY[self._url])
    try:
      self._bucket = self._bucket or Bucket(self._url)
      yield self._bucket
    except UserError as error:
      _AWAY[self._url] = str(error)
      raise OSError(errno.EIO, str(error)) from error

  def below(self, key, name):
    return Distant(f'{self._url}/{key}/{name}', self.folder / key / name)

  def read(self, key):
    if self._url in _AWAY:
      return None
    try:
      with self._place() as place:
        data, self._seen[key] = place.read(f'{key}/entry.json')
        if data is None:
          return None
        digest = _digest_of(data)
        with contextlib.suppress(Damaged):
          if (found := self._copy.read(key)) and found[1]['digest'] == digest:
            return found
        self._copy.remove(key)
        arrays, _ = place.read(f'{key}/{digest}.npz')
      with tempfile.TemporaryDirectory(
          prefix=f'.{key}.', suffix='.tmp', dir=_made(self.folder),
          ignore_cleanup_errors=True) as folder:
        pathlib.Path(folder, 'entry.json').write_bytes(data)
        pathlib.Path(folder, 'arrays.npz').write_bytes(arrays or b'')
        self._copy.take_place(pathlib.Path(folder), key)
    except OSError as error:
      raise Damaged(error.strerror) from error
    try:
      return self._copy.read(key)
    except Damaged:
      self._copy.remove(key)
      raise

  def read_again(self, key):
    self._copy.remove(key)
    return self.read(key)

  def information(self, key):
    if not (self.folder / key / 'entry.json').exists():
      self.read(key)
    return self._copy.information(key)

  def write(self, key, arrays, info):
    self._copy.write(key, arrays, info)
    folder = self.folder / key
    data = (folder / 'entry.json').read_bytes()
    with self._place() as place:
      place.write(f'{key}/{_digest_of(data)}.npz',
                  (folder / 'arrays.npz').read_bytes())
      # Who was first counts, as what rests on it does.
      if place.write(f'{key}/entry.json', data,
                     self._seen.get(key, ABSENT)) is None:
        self._copy.remove(key)
    self.used(key)

  def remove(self, key):
    self._copy.remove(key)
    with self._place() as place:
      place.remove([f'{key}/entry.json'])
      place.remove(place.names(f'{key}/'))

  def used(self, key):
    self._copy.used(key)
    with contextlib.suppress(OSError), self._place() as place:
      place.write(f'{key}/used', str(int(time.time())).encode())

  def keys(self):
    with self._place() as place:
      parts = [name.split('/') for name in place.names()]
    return sorted(key for key, *rest in parts if rest == ['entry.json'])

  def size_and_age(self, key):
    with self._place() as place:
      entries = [name for name in place.names(f'{key}/')
                 if name.endswith('/entry.json')]
      found = place.read_all([*entries, f'{key}/used'])
    size = sum(map(_size_of, (found[name][0] for name in entries
                              if name in found)))
    used, _ = found.get(f'{key}/used', (b'', None))
    age = time.time() - int(used) if used.isdigit() else math.inf
    return size, age

  @contextlib.contextmanager
  def locked(self, keys, waiting=lambda: None, patient=True):
    """As that of `Store`; on other machines those wait who ask for the same."""
    name = 'locks/' + hashlib.sha256(' '.join(sorted(keys)).encode()
                                     ).hexdigest()[:16]
    with self._copy.locked(keys, waiting, patient):
      with self._place() as place:
        lease = self._leased(place, name, min(keys), waiting, patient)
      try:
        yield
      finally:
        lease.release()
        with contextlib.suppress(OSError), self._place() as place:
          place.remove([name])

  def _leased(self, place, name, key, waiting, patient):
    while True:
      try:
        return Lease(place, name, self.folder / 'locks' / key)
      except Held as error:
        if not patient:
          raise BlockingIOError from error
        waiting()
        time.sleep(0.2)


_AWAY = {}  # place -> why it is not asked any longer


def _made(folder):
  folder.mkdir(parents=True, exist_ok=True)
  return folder


def _digest_of(data):
  """The digest in the text of an entry; '' where it says none."""
  try:
    found = disk.loads(data)
  except UserError:
    return ''
  return str(found.get('digest', '')) if isinstance(found, dict) else ''


def _size_of(data):
  """Bytes of an entry and its arrays, as it tells them."""
  try:
    return len(data) + sum(
        math.prod(each['shape']) * np.dtype(each['dtype']).itemsize
        for each in disk.loads(data)['arrays'])
  except (UserError, KeyError, TypeError):
    return len(data)
