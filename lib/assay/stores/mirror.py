"""A folder on this machine that stands for a place in a store.

    <cache>/workdirs/<place>/
      .lock          held by the process that works here
      .pending/      what is to be put into the store, until it is there
      ...            as in a local workdir

The store counts. What is here is made anew from there when a run begins, but
for what is pending: that is put there first, unless another run has been there
since. So who has lost the store for a while, or was killed while a file was on
its way, loses nothing on the same machine, and elsewhere only that file.

A save of a training is a folder, put as its files and then a marker that says
that all are there. A save without one is not seen, and overwritten.
"""

import atexit
import contextlib
import fnmatch
import hashlib
import os
import pathlib
import shutil
import socket
import tempfile

from assay import disk
from assay.errors import call
from assay.stores import lease
from assay.stores.bucket import ABSENT, Bucket
from assay.stores.lease import Held, Lease
from assay.stores.url import folder_name, is_url

LEASE = '.lease'
MARKER = '.whole'
PENDING = '.pending'
# What a run reads of a workdir when it begins. Saves come when they are needed.
NEEDED = ('*.json', 'rows/*', 'runs/*', 'predictions/*', '*/*/seeds_*/*.json')

_mirrors = {}  # folder -> Mirror


def of(path):
  """The `Mirror` that a local path lies in, or None."""
  path = pathlib.Path(path).absolute()
  return next((found for folder, found in _mirrors.items()
               if path.is_relative_to(folder)), None)


class Mirror:
  """See above.

  Args:
    url: of the place.
    part: tells processes of one run on one machine apart.

  Attributes:
    url: of the place.
    folder: on this machine.

  Raises:
    Held: another process of this machine works in it.
    UserError: the store fails; so do all methods.
  """

  def __init__(self, url, part=''):
    self.bucket = Bucket(url)
    self.url = self.bucket.url
    # Machines may share the folder of a user's cache.
    self.folder = (disk.cache_dir() / 'workdirs' / folder_name(
        f'{self.url}{part} {socket.gethostname()}')).absolute()
    self._seen, self._lease = {}, None  # name -> generation
    self._opened = contextlib.ExitStack()
    self.folder.mkdir(parents=True, exist_ok=True)
    try:
      self._opened.callback(disk.lock_folder(self.folder))
    except BlockingIOError as error:
      raise Held(f'{lease.holder(self.bucket, LEASE)}, on this machine'
                 ) from error
    _know(self)
    self._opened.callback(_mirrors.pop, self.folder, None)
    self._opened.callback(self._clear)
    self._clear()

  @classmethod
  def to_read(cls, url, patterns):
    """One that is only read, in a folder that goes with this process."""
    self = cls.__new__(cls)
    self.bucket = Bucket(url)
    self.url = self.bucket.url
    self.folder = pathlib.Path(tempfile.mkdtemp(prefix='assay-')).absolute()
    atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
    self._seen = {}
    _know(self)
    self.get(patterns)
    return self

  def hold(self):
    """Takes the place for this process, and gets what is needed of it.

    Raises:
      Held: another process holds it; the text says which.
    """
    self._lease = Lease(self.bucket, LEASE, self.folder)
    self._opened.callback(self._lease.release)
    self._put_pending()
    self.get(NEEDED)
    self._name_saves()
    self._opened.callback(disk.follow(self.folder, self.put))

  def close(self):
    """Lets another process have it."""
    self._opened.close()

  # --- Files -----------------------------------------------------------------

  def get(self, patterns):
    """Makes the files anew whose names match, as `fnmatch` has it.

    Those that have not changed since are left alone.
    """
    names = [name for name in self.bucket.names() if _is_plain(name) and any(
        _matches(name, pattern) for pattern in patterns)]
    for name, (data, generation) in self.bucket.read_all(names).items():
      if self._seen.get(name) != generation:
        _write(self.folder / name, data)
        self._seen[name] = generation

  def put(self, path):
    """Puts a file that is whole; `disk.write_bytes` calls it at its end.

    Raises:
      UserError: the store fails; the file is kept, and put there by the next
        run on this machine.
    """
    name = str(path.relative_to(self.folder))
    pending = self._pending(name, path)
    self._lease.check()
    self._seen[name] = self.bucket.write(name, path.read_bytes())
    shutil.rmtree(pending)

  def _pending(self, name, path):
    """A folder that keeps a file or folder until it is put, under its name."""
    folder = self.folder / PENDING / hashlib.sha256(
        name.encode()).hexdigest()[:16]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / 'name').write_text(disk.dumps(
        [name, self._seen.get(name, ABSENT).hex()]))
    if path.is_dir():
      shutil.copytree(path, folder / 'coming', copy_function=_link)
    else:
      _link(path, folder / 'coming')
    (folder / 'coming').rename(folder / 'whole')
    return folder

  def _put_pending(self):
    """Puts what a run before could not, unless another was there since."""
    found = {}
    for whole in (self.folder / PENDING).glob('*/whole'):
      name, seen = disk.loads((whole.parent / 'name').read_bytes())
      found[name] = whole, bytes.fromhex(seen)
    # Who has removed the workdir does not want it back.
    if 'config.json' in found or self.bucket.read('config.json')[0] is not None:
      for name, (whole, seen) in sorted(found.items()):
        if whole.is_file():
          self.bucket.write(name, whole.read_bytes(), seen)
        elif self.bucket.read(f'{name}/{MARKER}')[0] is None:
          self._put_save(name, whole)
    shutil.rmtree(self.folder / PENDING, ignore_errors=True)

  def _clear(self):
    """Removes what earlier runs left here, but what is pending."""
    for path in self.folder.iterdir():
      if path.name not in (disk.LOCK, PENDING):
        shutil.rmtree(path) if path.is_dir() else path.unlink()

  # --- Saves of a training ---------------------------------------------------

  def _name_saves(self):
    """Makes a folder, empty yet, for each save: that there is one matters."""
    names = self.bucket.names()
    for under in {name.rsplit('/', 2)[0] + '/' for name in names
                  if name.endswith(f'/{MARKER}') and _is_plain(name)}:
      for step in _last(under, names):
        (self.folder / under / str(step)).mkdir(parents=True, exist_ok=True)

  def get_saves(self, directory):
    """Gets the last two whole saves of a folder in the mirror."""
    under = self._under(directory)
    names = self.bucket.names(under)
    for step in _last(under, names):
      place = pathlib.Path(directory, str(step))
      if place.exists() and any(place.iterdir()):
        continue
      coming = place.with_name(f'.{step}.coming')
      start = f'{under}{step}/'
      for name, (data, _) in self.bucket.read_all(
          [name for name in names if name.startswith(start)]).items():
        if name != start + MARKER:
          _write(coming / name.removeprefix(start), data)
      coming.rename(place)

  def put_saves(self, directory):
    """Puts the saves that are not there yet; removes those that are not here.

    Called when a save is finished, by the thread that waited for it.
    """
    under = self._under(directory)
    there = _steps(under, self.bucket.names(under))
    here = {int(path.name) for path in pathlib.Path(directory).iterdir()
            if path.name.isdecimal()}
    for step in sorted(here - there):
      name, place = f'{under}{step}', pathlib.Path(directory, str(step))
      pending = self._pending(name, place)
      self._lease.check()
      self._put_save(name, pending / 'whole')
      shutil.rmtree(pending)
    # The marker goes first, and with it the save.
    gone = [name for name in self.bucket.names(under)
            if (step := _step(under, name)) is not None and step not in here]
    for part in (True, False):
      self.bucket.remove(
          [name for name in gone if name.endswith(f'/{MARKER}') == part])

  def _put_save(self, name, folder):
    """Puts the files of a folder, then the marker."""
    self.bucket.write_all({
        f'{name}/{path.relative_to(folder)}': path.read_bytes()
        for path in folder.rglob('*') if path.is_file()})
    self.bucket.write(f'{name}/{MARKER}', b'')

  def _under(self, directory):
    return f'{pathlib.Path(directory).absolute().relative_to(self.folder)}/'


def copied(path, *patterns):
  """A local path as it is; of a place in a store a copy of what matches.

  Raises:
    UserError: the store fails.
  """
  if not is_url(path):
    return pathlib.Path(path)
  return Mirror.to_read(path, patterns).folder


@contextlib.contextmanager
def written(path):
  """Yields a local folder; what is in it at the end is put where it belongs.

  Args:
    path: of a folder, which is yielded, or a place in a store.
  """
  if not is_url(path):
    yield pathlib.Path(path)
    return
  with tempfile.TemporaryDirectory(prefix='assay-') as folder:
    folder = pathlib.Path(folder)
    call(folder, path)
    yield folder
    Bucket(path).write_all({
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob('*')) if file.is_file()})


def _know(mirror):
  _mirrors[mirror.folder] = mirror
  call(mirror.folder, mirror.url)


def _matches(name, pattern):
  """Like `fnmatch`, but no `*` goes over a slash."""
  names, patterns = name.split('/'), pattern.split('/')
  return len(names) == len(patterns) and all(
      map(fnmatch.fnmatchcase, names, patterns))


def _is_plain(name):
  """Whether a name is one of a file below a folder, whoever put it there."""
  parts = name.split('/')
  return not {'', '.', '..', PENDING, disk.LOCK} & set(parts)


def _step(under, name):
  """The step of the save that an object is of, or None."""
  step, _, file = name.removeprefix(under).partition('/')
  return int(step) if step.isdecimal() and file and _is_plain(name) else None


def _last(under, names):
  """The steps of the last two of them."""
  return sorted(_steps(under, names))[-2:]


def _steps(under, names):
  """The steps of the saves that are whole."""
  return {_step(under, name) for name in names if name.startswith(under)
          and name.endswith(f'/{MARKER}')} - {None}


def _link(path, other):
  """Lets two names have one content, or copies it where names cannot."""
  try:
    os.link(path, other)
  except OSError:
    shutil.copyfile(path, other)


def _write(path, data):
  """Makes a file of the mirror; what is torn by a kill is made again."""
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(data)
