"""Finds data files: the user's folder, then the cache, then the publisher.

A file is used only when its bytes, or the numbers in it, have the checksum
written down here. Nothing stands in for a missing file, nothing is unpickled.
"""
import functools
import hashlib
import http.client
import os
import pathlib
import shutil
import tempfile
import urllib.request

import numpy as np

from assay.errors import UserError

TIMEOUT_SECONDS = 30  # of each wait for the publisher, not of the download


def read_numbers(path, columns):
  """Lines of exactly `columns` numbers, [N, columns] float64.

  Numbers are separated by commas or white space. Other lines (a header, a
  preamble) are passed over: the checksum of the result says whether a line
  that counts was lost.
  """
  rows = []
  for line in pathlib.Path(path).read_text('utf-8', 'replace').splitlines():
    try:
      row = [float(field) for field in line.replace(',', ' ').split()]
    except ValueError:
      continue
    if len(row) == columns:
      rows.append(row)
  return np.array(rows, np.float64).reshape(-1, columns)


# Each name has alternatives, the preferred one first: `file` relative to the
# data folder; `size` in bytes and `sha256` of the file, None where no one here
# has seen those bytes; `array_sha256`, see `array_sha256`; `read`; `url`.
SOURCES = {
    # Airfoil Self-Noise (Brooks, Pope and Marcolini, 1989). UCI, CC BY 4.0.
    # Frequency [Hz], angle of attack [deg], chord [m], velocity [m/s],
    # displacement thickness [m], sound pressure level [dB].
    'airfoil': (
        dict(
            file='c_mixup/airfoil_self_noise.dat',
            size=59_984,
            sha256='74c75fd71783f1e6b71f8a622b993dc5'
                   '92897a97cd689c5090a07147a1b097b3',
            array_sha256='11fab2c660f61031935f9995d27929df'
                         '39a175d3551271b397c8aa254b19b6b6',
            read=functools.partial(read_numbers, columns=6),
            url='https://archive.ics.uci.edu/ml/machine-learning-databases/'
                '00291/airfoil_self_noise.dat'),
    ),
    # NO2 at Alnabru, Oslo (Aldrin, StatLib, 2004). No license stated. Log NO2,
    # log cars an hour, temperature [C], wind speed [m/s], temperature at 25 m
    # less that at 2 m [C], wind direction [deg], hour of day, day.
    'no2': (
        dict(
            file='c_mixup/no2.csv',
            size=22_405,
            sha256='0420af1d0f07ff6e613827e0e0e613ee'
                   'e4c56fefa6aebfe9fd95fac2830ad2ae',
            array_sha256='bd1b8af1ca812b6bfdc779fa35076dad'
                         '34a53a4c1bdacf7a2160616808deb855',
            read=functools.partial(read_numbers, columns=8),
            url=None),
        # The same numbers as the publisher writes them.
        dict(
            file='c_mixup/NO2.dat',
            size=None,
            sha256=None,
            array_sha256='bd1b8af1ca812b6bfdc779fa35076dad'
                         '34a53a4c1bdacf7a2160616808deb855',
            read=functools.partial(read_numbers, columns=8),
            url='http://lib.stat.cmu.edu/datasets/NO2.dat'),
    ),
}


def find(name, data_dir=None):
  """Path of a verified file of the source `name`, fetched where need be.

  Looked for in this order: `data_dir`, or else the folder that the variable
  ASSAY_DATA names; the user's cache; the publisher, into the cache.

  Args:
    name: a key of `SOURCES`.
    data_dir: folder that holds `file` of an alternative, or its bare name.

  Raises:
    UserError: the name is unknown; the folder does not exist; a file that was
      found or fetched has another checksum; the publisher was not reached.
  """
  return _find(name, data_dir)[0]


def read(name, data_dir=None):
  """The numbers of the source `name`, [N, columns] float64; see `find`."""
  path, alternative = _find(name, data_dir)
  return alternative['read'](path)


def cache_dir():
  """The folder for fetched files; it may not exist yet."""
  base = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
  return pathlib.Path(base).expanduser() / 'assay' / 'data'


def array_sha256(array):
  """sha256 of an array as C-ordered little-endian float64, zeros unsigned."""
  # 0.0 added: '-0.0' and '0.0' are one number in two spellings.
  return hashlib.sha256(
      np.ascontiguousarray(array + 0.0, '<f8').tobytes()).hexdigest()


def _find(name, data_dir):
  if name not in SOURCES:
    raise UserError(f'No source named {name!r}; known: {sorted(SOURCES)}.')
  folders = [cache_dir()]
  origin = 'data_dir' if data_dir else 'ASSAY_DATA'
  data_dir = data_dir or os.environ.get('ASSAY_DATA')
  if data_dir:
    data_dir = pathlib.Path(data_dir).expanduser()
    if not data_dir.is_dir():
      raise UserError(f'{origin}={data_dir} is not a folder; name the folder '
                      'that holds the data files, or leave it unset.')
    folders.insert(0, data_dir)
  for folder in folders:
    for alternative in SOURCES[name]:
      file = pathlib.Path(alternative['file'])
      for path in (folder / file, folder / file.name):
        if path.is_file():
          _verify(path, alternative, f'{path} is not the file expected; '
                                     'remove or replace it')
          return path, alternative
  problems = []
  for alternative in SOURCES[name]:
    if alternative['url']:
      try:
        return _download(alternative), alternative
      except (OSError, http.client.HTTPException) as e:
        problems.append(f'{alternative["url"]} could not be fetched '
                        f'({e or type(e).__name__}).')
  raise UserError('\n'.join(
      [f'No file for the data set {name!r}.', *problems,
       *map(_where_to_put, SOURCES[name])]))


def _download(alternative):
  """Fetches, verifies, and only then gives the file its name."""
  target = cache_dir() / alternative['file']
  target.parent.mkdir(parents=True, exist_ok=True)
  # In the target's own folder, as a rename must not cross file systems.
  handle, temporary = tempfile.mkstemp(dir=target.parent, prefix='.fetch-')
  try:
    with (os.fdopen(handle, 'wb') as out,
          urllib.request.urlopen(alternative['url'],
                                 timeout=TIMEOUT_SECONDS) as response):
      shutil.copyfileobj(response, out)
    _verify(temporary, alternative,
            f'What {alternative["url"]} sent is not the file expected')
    os.chmod(temporary, 0o644)  # mkstemp lets nobody else read
    os.replace(temporary, target)
  finally:
    pathlib.Path(temporary).unlink(missing_ok=True)
  return target


def _verify(path, alternative, complaint):
  """Raises UserError unless the bytes, or the numbers, are those known."""
  content = pathlib.Path(path).read_bytes()
  found = hashlib.sha256(content).hexdigest()
  if found == alternative['sha256']:
    return
  array = alternative['read'](path)
  found_array = array_sha256(array)
  if found_array == alternative['array_sha256']:
    return
  raise UserError(
      f'{complaint}.\n'
      f'Expected {_checksums(alternative)};\n'
      f'found {len(content)} bytes, sha256 {found}, sha256 of the '
      f'{"x".join(map(str, array.shape))} numbers {found_array}.\n'
      + _where_to_put(alternative))


def _checksums(alternative):
  numbers = f'sha256 of the numbers {alternative["array_sha256"]}'
  if alternative['sha256'] is None:
    return numbers
  return (f'{alternative["size"]} bytes, sha256 {alternative["sha256"]}, or '
          f'{numbers}')


def _where_to_put(alternative):
  file = pathlib.Path(alternative['file'])
  source = f' from {alternative["url"]}' if alternative['url'] else ''
  return (f'Put {file.name}{source} ({_checksums(alternative)}) at '
          f'{cache_dir() / file}, or at DIR/{file} with ASSAY_DATA=DIR.')
