"""Readers of one format each, of bytes that nobody vouches for.

A reader holds no more than the limits below and raises whatever it raises.
Nothing is unpickled.
"""
import csv
import gzip
import importlib.util
import io
import itertools
import math
import pathlib
import struct
import tarfile
import zipfile
import zlib

import numpy as np

# Above all that is known: tables of 60 kB, arrays of 47 MB, and CIFAR-10's
# archive, 170 MB and 184 MB unpacked.
MAX_TABLE_BYTES = 2**22
MAX_ARRAY_BYTES = 2**26
MAX_ARCHIVE_BYTES = 2**28


def _bytes_of(file, limit):
  """All bytes of an open file, which is closed.

  Raises:
    ValueError: there are more than `limit`.
  """
  with file:
    content = file.read(limit + 1)
  if len(content) > limit:
    raise ValueError(f'more than {limit} bytes')
  return content


def read_numbers(path, columns, gzipped=False):
  """Lines of exactly `columns` numbers, [N, columns] float64.

  Numbers are separated by commas or white space. Other lines (a header, a
  preamble) are passed over: the checksum of the result says whether a line
  that counts was lost.
  """
  rows = []
  content = (_bytes_of(gzip.open(path), MAX_ARCHIVE_BYTES) if gzipped
             else _bytes_of(open(path, 'rb'), MAX_TABLE_BYTES))
  for line in content.decode('utf-8', 'replace').splitlines():
    try:
      row = [float(field) for field in line.replace(',', ' ').split()]
    except ValueError:
      continue
    if len(row) == columns:
      rows.append(row)
  return np.array(rows, np.float64).reshape(-1, columns)


def read_cells(path, columns, texts=()):
  """As `read_numbers`, of cells that may be quoted or missing ('?': NaN).

  Args:
    path: of a file with commas between cells.
    columns: cells of each line that counts.
    texts: positions of cells that are no numbers; they are left out.
  """
  rows = []
  content = _bytes_of(open(path, 'rb'), MAX_TABLE_BYTES)
  for line in content.decode('utf-8', 'replace').splitlines():
    cells = [cell.strip(' "') for cell in line.split(',')]
    try:
      row = [float('nan' if cell == '?' else cell)
             for i, cell in enumerate(cells) if i not in texts]
    except ValueError:
      continue
    if len(cells) == columns:
      rows.append(row)
  return np.array(rows, np.float64).reshape(-1, columns - len(texts))


def read_zipped_numbers(path, member):
  """The numbers of a text in a zip file, [N, columns] float64.

  Raises:
    ValueError: a cell is no number, or lines differ in length.
  """
  with _zip_file(path) as archive:
    return _numbers_in(archive, member)


def _zip_file(path):
  return zipfile.ZipFile(io.BytesIO(_bytes_of(
      open(path, 'rb'), MAX_ARRAY_BYTES)))


def _numbers_in(archive, member):
  content = _bytes_of(archive.open(member), MAX_ARRAY_BYTES)
  return np.array([line.split() for line in content.decode().splitlines()
                   if line.strip()], np.float64)


def read_splits(path, folder):
  """[splits, N] uint8, 1 where a split of the folder in a zip file tests.

  Raises:
    ValueError: what a split trains and tests on is not all rows, each once.
  """
  found = []
  with _zip_file(path) as archive:
    number = lambda name: _numbers_in(
        archive, f'{folder}/data/{name}.txt').astype(int).ravel()
    for i in range(number('n_splits').item()):
      train, test = number(f'index_train_{i}'), number(f'index_test_{i}')
      count = len(train) + len(test)
      if not np.array_equal(np.sort(np.concatenate([train, test])),
                            np.arange(count)):
        raise ValueError(f'split {i} in {path} is not of {count} rows')
      found.append(np.isin(np.arange(count), test))
  return np.array(found, np.uint8)


def read_idx(path):
  """The array of a gzipped idx file of bytes, uint8, as shaped in its header.

  Raises:
    ValueError: another format, or another length than the header says.
  """
  content = _bytes_of(gzip.open(path), MAX_ARRAY_BYTES)
  if content[:3] != b'\0\0\x08' or len(content) < 4 + 4 * content[3]:
    raise ValueError(f'{path} holds no idx array of bytes')
  start = 4 + 4 * content[3]
  shape = np.frombuffer(content[4:start], '>u4').tolist()
  if len(content) - start != math.prod(shape):
    raise ValueError(f'{path} holds {len(content) - start} values, but its '
                     f'header says {"x".join(map(str, shape))}')
  return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()


def read_sheet(path):
  """The images of a CIFAR-10 sheet, [10000, 32, 32, 3] uint8.

  A sheet is one picture of 100 by 100 images, row by row, stored lossless.
  """
  from PIL import Image  # for CIFAR-10 alone

  content = _bytes_of(open(path, 'rb'), MAX_ARRAY_BYTES)
  # No other format: some of Pillow's decoders start other programs.
  with Image.open(io.BytesIO(content), formats=('WEBP',)) as sheet:
    if sheet.size != (3200, 3200):  # known before the pixels are decoded
      raise ValueError(f'{path} is a picture of {sheet.size} pixels')
    pixels = np.asarray(sheet).reshape(100, 32, 100, 32, 3)
  return np.ascontiguousarray(pixels.swapaxes(1, 2)).reshape(-1, 32, 32, 3)


def read_npz(path, key):
  """The array `key` of an npz file that needs no unpickling."""
  packed = _bytes_of(open(path, 'rb'), MAX_ARRAY_BYTES)
  with zipfile.ZipFile(io.BytesIO(packed)) as archive:
    content = _bytes_of(archive.open(f'{key}.npy'), MAX_ARRAY_BYTES)
  file = io.BytesIO(content)
  header = {(1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0}
  shape, _, dtype = header[np.lib.format.read_magic(file)](file)
  if math.prod(shape) * dtype.itemsize > len(content):
    raise ValueError(f'{path} holds fewer than the {shape} values that its '
                     'header says')
  return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)


def read_mat(path, key):
  """The matrix `key` of a MATLAB 5 file, [rows, columns] uint8.

  For USPS alone. Not by scipy, which allocates what a file says of its sizes.

  Raises:
    ValueError: there is none that is stored as little-endian bytes.
  """
  content, start = _bytes_of(open(path, 'rb'), MAX_ARRAY_BYTES), 128
  while start + 8 <= len(content):
    kind, size = struct.unpack_from('<II', content, start)
    matrix = content[start + 8:start + 8 + size]
    start += 8 + size
    if kind == 15:  # compressed, with a head of its own
      matrix = zlib.decompressobj().decompress(matrix, MAX_ARRAY_BYTES)[8:]
    parts = list(itertools.islice(_mat_parts(matrix), 4))
    if len(parts) == 4 and parts[2][1] == key.encode():
      kind, values = parts[3]
      if kind == 2:  # bytes
        shape = np.frombuffer(parts[1][1], '<u4')
        return np.frombuffer(values, np.uint8).reshape(shape, order='F').copy()
  raise ValueError(f'{path} lacks a matrix {key!r} of bytes')


def _mat_parts(matrix):
  """(kind, content) of a matrix' flags, shape, name and values."""
  start = 0
  while start + 8 <= len(matrix):
    kind, size = struct.unpack_from('<II', matrix, start)
    if kind >> 16:  # up to four bytes of content stand in the head
      yield kind & 0xffff, matrix[start + 4:start + 4 + (kind >> 16)]
      start += 8
    else:
      yield kind, matrix[start + 8:start + 8 + size]
      start += 8 + -(-size // 8) * 8


def read_binary_images(path, batch):
  """The images of one batch of CIFAR-10's binary version; as `read_sheet`."""
  pixels = _binary_records(path, (batch,))[:, 1:].reshape(-1, 3, 32, 32)
  return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))


def read_binary_labels(path, batches):
  """The labels of batches of CIFAR-10's binary version, [N] uint8."""
  return _binary_records(path, batches)[:, 0].copy()


def _binary_records(path, batches):
  """[N, 3073] uint8: a label, then the pixels by channel, row and column."""
  found = {}
  # Unpacked in memory: no name in it becomes a file's.
  content = _bytes_of(gzip.open(path), MAX_ARCHIVE_BYTES)
  with tarfile.open(fileobj=io.BytesIO(content), mode='r|') as archive:
    for member in archive:
      batch = pathlib.PurePosixPath(member.name).stem
      if batch in batches and member.isfile():
        records = np.frombuffer(
            _bytes_of(archive.extractfile(member), MAX_ARRAY_BYTES), np.uint8)
        found[batch] = records.reshape(-1, 3073)
      if len(found) == len(batches):
        return np.concatenate([found[batch] for batch in batches])
  raise ValueError(f'{path} lacks {sorted(set(batches) - set(found))}')


def read_text(path):
  """The bytes of a text, [N] uint8; of a gzipped one those inside."""
  opened = gzip.open(path) if pathlib.Path(path).suffix == '.gz' else open(
      path, 'rb')
  return np.frombuffer(_bytes_of(opened, MAX_ARRAY_BYTES), np.uint8).copy()


def read_questions(path, subjects):
  """Questions of MMLU with their choices, [N] uint8, a zero byte between two.

  Args:
    path: of the zip file, a CSV file for each subject.
    subjects: those that are read, in order.
  """
  found = []
  with _zip_file(path) as archive:
    for subject in subjects:
      content = _bytes_of(archive.open(f'test/{subject}_test.csv'),
                          MAX_TABLE_BYTES)
      lines = csv.DictReader(io.StringIO(content.decode(), newline=''))
      found += ['\n'.join([line['question'], *(
          line[f'choice{i}'] for i in range(4))]) for line in lines]
  return np.frombuffer('\0'.join(found).encode(), np.uint8).copy()


def read_shipped(name, delimiter=None):
  """A table that scikit-learn ships, float64 [N, D], or [N] of one column.

  Its file is read as scikit-learn does, without importing it, which takes a
  second.

  Args:
    name: of its file, gzipped text.
    delimiter: between numbers; default white space.
  """
  package = pathlib.Path(importlib.util.find_spec('sklearn').origin).parent
  with gzip.open(package / 'datasets' / 'data' / name, 'rt') as file:
    return np.loadtxt(file, delimiter=delimiter)
