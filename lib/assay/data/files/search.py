"""Finds a source: the user's folders, then the cache, then the publisher."""
import hashlib
import http.client
import os
import pathlib
import tempfile
import urllib.request

import numpy as np

from assay import disk
from assay.data.files import prepared, readers, sources
from assay.data.files.described import Described
from assay.errors import UserError

TIMEOUT_SECONDS = 30  # of each wait for the publisher, not of the download


def find(name, data_dir=None):
  """Path of a verified file of the source `name`, fetched where need be.

  Looked for in this order: `data_dir`, or else the folder that the variable
  ASSAY_DATA names; the user's cache; what TensorFlow Datasets has prepared, in
  the first of these folders or where it prepares (`prepared.find_folder`); the
  publisher, into the cache.

  Args:
    name: a key of `SOURCES`.
    data_dir: folder that holds `file` of an alternative, or its bare name.

  Raises:
    UserError: the name is unknown; the folder does not exist; a file that was
      found or fetched has another checksum; the publisher was not reached.
  """
  return _find(name, data_dir)[0]


def read(name, data_dir=None):
  """The numbers of the source `name`; see `find`.

  Of a table [N, columns] float64; of images and labels uint8, images with
  their channel last where there is more than one.
  """
  path, alternative, array = _find(name, data_dir)
  return alternative['read'](path) if array is None else array


def find_unverified(file, how, data_dir=None):
  """Path of a file whose checksum nobody here knows; its reader looks closely.

  Args:
    file: its path in the data folder.
    how: what makes that path, for the error.
    data_dir: as `find` takes it.

  Raises:
    UserError: it is in no folder that `find` looks in; says `how`.
  """
  folders, _ = _folders(data_dir)
  for folder in folders:
    if (folder / file).is_file():
      return folder / file
  raise UserError(f'No {file} in {" or ".join(map(str, folders))}. {how} Then '
                  'name the folder by --data_dir or ASSAY_DATA.')


def cache_dir():
  """The folder for fetched files; it may not exist yet."""
  return disk.cache_dir() / 'data'


def array_sha256(array):
  """sha256 of the values of an array in C order, whatever its shape.

  uint8 stays as it is; all else becomes little-endian float64, zeros unsigned.
  """
  if array.dtype != np.uint8:
    # 0.0 added: '-0.0' and '0.0' are one number in two spellings.
    array = (array + 0.0).astype('<f8', casting='same_kind', copy=False)
  return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def _known():
  """The names of all sources by folder, for an error."""
  folders = {}
  for name in sources.SOURCES:
    folder, _, file = name.partition('/')
    folders.setdefault(folder, []).append(file)
  return ', '.join(f'{folder}/{{{",".join(sorted(found))}}}' if found[0] else
                   folder for folder, found in folders.items())


def _folders(data_dir):
  """(folders to look in, the user's first; that of the user or None)."""
  if isinstance(data_dir, Described):
    data_dir = data_dir.folder
  origin = 'data_dir' if data_dir else 'ASSAY_DATA'
  data_dir = data_dir or os.environ.get('ASSAY_DATA')
  if not data_dir:
    return [cache_dir()], data_dir
  # Not by pathlib, which raises where nobody has that home or that name.
  data_dir = os.path.expanduser(data_dir)
  if not os.path.isdir(data_dir):
    raise UserError(f'{origin}={data_dir} is not a folder; name the folder '
                    'that holds the data files, or leave it unset.')
  return [pathlib.Path(data_dir), cache_dir()], data_dir


def _find(name, data_dir):
  """Path, alternative and, where checking it took that, the array or None."""
  if name not in sources.SOURCES:
    raise UserError(f'No source named {name!r}; known: {_known()}.')
  folders, data_dir = _folders(data_dir)
  in_files = [a for a in sources.SOURCES[name] if 'file' in a]
  for folder in folders:
    for alternative in in_files:
      file = pathlib.Path(alternative['file'])
      for path in (folder / file, folder / file.name):
        if path.is_file():
          array = _verify(
              path, alternative, f'{path} is not the file expected for '
                                 f'{name!r}; remove or replace it')
          return path, alternative, array
  problems = []
  for alternative in sources.SOURCES[name]:
    folder = 'tfds' in alternative and prepared.find_folder(
        alternative['tfds'], data_dir)
    if folder:
      try:
        return folder, alternative, _verify_prepared(folder, alternative)
      except prepared.Unreadable as e:
        problems.append(str(e))
  for alternative in in_files:
    if alternative['url']:
      try:
        path, array = _download(alternative)
        return path, alternative, array
      except (OSError, http.client.HTTPException) as e:
        problems.append(f'{alternative["url"]} could not be fetched '
                        f'({e or type(e).__name__}).')
  raise UserError('\n'.join(
      [f'No file for the data set {name!r}.', *problems,
       *map(_where_to_put, sources.SOURCES[name])]))


def _download(alternative):
  """Fetches, verifies, and only then gives the file its name.

  Returns:
    (path, array), the array as `_verify` gives it.
  """
  target = cache_dir() / alternative['file']
  target.parent.mkdir(parents=True, exist_ok=True)
  # In the target's own folder, as a rename must not cross file systems.
  handle, temporary = tempfile.mkstemp(dir=target.parent, prefix='.fetch-')
  try:
    with (os.fdopen(handle, 'wb') as out,
          urllib.request.urlopen(alternative['url'],
                                 timeout=TIMEOUT_SECONDS) as response):
      while block := response.read(2**20):
        out.write(block)
        if out.tell() > readers.MAX_ARCHIVE_BYTES:
          raise UserError(f'{alternative["url"]} sends more than '
                          f'{readers.MAX_ARCHIVE_BYTES} bytes.\n'
                          + _where_to_put(alternative))
    array = _verify(
        temporary, alternative,
        f'What {alternative["url"]} sent is not the file expected')
    os.chmod(temporary, 0o644)  # mkstemp lets nobody else read
    os.replace(temporary, target)
  finally:
    pathlib.Path(temporary).unlink(missing_ok=True)
  return target, array


def _verify(path, alternative, complaint):
  """Raises UserError unless the bytes, or the numbers, are those known.

  Returns:
    The array if it had to be read, None if the bytes are known.
  """
  try:
    with open(path, 'rb') as file:
      found = hashlib.file_digest(file, 'sha256').hexdigest()
      size = file.tell()
  except OSError as e:
    raise UserError(f'{path} cannot be read ({e.strerror}).\n'
                    + _where_to_put(alternative)) from e
  if found == alternative['sha256']:
    return None
  if 'blob' in alternative:
    blob = _blob(path, size)
    if blob == alternative['blob']:
      return None
    raise UserError(f'{complaint}.\nExpected {_checksums(alternative)};\nfound '
                    f'{size} bytes, in Git {blob}.\n'
                    + _where_to_put(alternative))
  try:
    array = alternative['read'](path)
    found_array = array_sha256(array)
  except Exception as e:  # wrong bytes may break a decoder in any way
    numbers = f'no numbers ({str(e) or type(e).__name__:.200})'
  else:
    if found_array == alternative['array_sha256']:
      return array
    numbers = (f'sha256 of the {"x".join(map(str, array.shape))} numbers '
               f'{found_array}')
  raise UserError(
      f'{complaint}.\n'
      f'Expected {_checksums(alternative)};\n'
      f'found {size} bytes, sha256 {found}, {numbers}.\n'
      + _where_to_put(alternative))


def _blob(path, size):
  """What Git calls a file with these bytes."""
  digest = hashlib.sha1(f'blob {size}\0'.encode(), usedforsecurity=False)
  with open(path, 'rb') as file:
    while block := file.read(2**20):
      digest.update(block)
  return digest.hexdigest()


def _verify_prepared(folder, alternative):
  """The array of a prepared folder; a UserError if it is not the one known."""
  array = alternative['read'](folder)
  found, known = array_sha256(array), alternative['array_sha256']
  if known and found != known:
    raise UserError(f'{folder} holds other numbers than those expected: sha256 '
                    f'{found}, not {known}. Prepare it again, or remove it.\n'
                    + _where_to_put(alternative))
  return array


def _checksums(alternative):
  if 'blob' in alternative:
    return f'what Git calls {alternative["blob"]}'
  numbers = f'sha256 of the numbers {alternative["array_sha256"]}'
  if alternative['sha256'] is None:
    return numbers
  return (f'{alternative["size"]} bytes, sha256 {alternative["sha256"]}, or '
          f'{numbers}')


def _where_to_put(alternative):
  if 'tfds' in alternative:
    name = alternative['tfds']
    return ('TensorFlow Datasets can prepare it, once, where TensorFlow is '
            f'installed: `tfds build {name} --file_format=array_record` makes '
            f'~/tensorflow_datasets/{name}, or DIR/{name} with --data_dir=DIR '
            "and then TFDS_DATA_DIR=DIR; to read: pip install -e '.[tfds]'.")
  file = pathlib.Path(alternative['file'])
  source = f' from {alternative["url"]}' if alternative['url'] else ''
  return (f'Put {file.name}{source} ({_checksums(alternative)}) at '
          f'{cache_dir() / file}, or at DIR/{file} with ASSAY_DATA=DIR.')
