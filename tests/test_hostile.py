"""Hostile and broken input gives the documented errors, in bounded memory."""

import ast
import functools
import gzip
import hashlib
import io
import json
import pathlib
import struct
import tarfile
import tracemalloc
import zipfile
import zlib

import hypothesis
import hypothesis.strategies as st
import numpy as np
from PIL import Image
import pytest
from scipy import io as scipy_io

import assay
from assay import disk, papers, results, study
from assay.data import files
from assay.data.files import readers, sources
from assay.errors import UserError
from assay.report import page

STEADY = hypothesis.settings(derandomize=True, deadline=None)


@st.composite
def damaged(draw, content):
  """The bytes, some of them cut out, doubled or replaced."""
  for _ in range(draw(st.integers(1, 3))):
    start = draw(st.integers(0, len(content)))
    stop = draw(st.integers(start, min(start + 40, len(content))))
    middle = draw(st.one_of(
        st.just(b''), st.just(2 * content[start:stop]), st.binary(max_size=9),
        st.just(b'\xff' * (stop - start)), st.just(b'\0' * (stop - start)),
        st.just(b'9' * (stop - start))))
    keep = draw(st.sampled_from((len(content), stop)))  # or cut there
    content = content[:start] + middle + content[stop:keep]
  return content


# --- Rows --------------------------------------------------------------------

ROW = {'paper': 'c_mixup', 'config': 'airfoil', 'run': '0123abcd',
       'dataset': 'airfoil', 'method': 'erm', 'seed': 0, 'split': 'test',
       'group': '', 'metric': 'rmse', 'value': 1.5, 'n': 200, 'step': 10,
       'state': 'best', 'bandwidth': 1.75}
RUN = {'seed_varies': 'resplit', 'planned_seeds': 2, 'scale': 'reduced',
       'config_name': 'airfoil', 'config': {'width': 2}, 'commit': '0' * 40,
       'versions': {'jax': '0.10'}, 'wall_seconds': 1.5}
# Near to what a row holds, and far from it.
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(),
    st.sampled_from(['', '..', '../../etc/passwd', 'a/b', '/etc', '\0', '\n',
                     '\x1b[2J', 'é', '\u202e', 'inf', '-inf', 'nan', '<b>',
                     '0123abcd', 'x' * 5000, 2**63, -1, 10**400, 1e999]))
VALUES = st.recursive(SCALARS, lambda x: st.lists(x, max_size=2)
                      | st.dictionaries(st.text(max_size=3), x, max_size=2),
                      max_leaves=4)
CHANGES = st.dictionaries(
    st.sampled_from([*ROW, *results.ATTACHED, *results.JOINED])
    | st.text(max_size=4), VALUES, max_size=3)


# Two rows as they are written, and what is near to that.
CELLS = '''{"cells": 1, "paper": "c_mixup", "run": "0123abcd", "group": ""}
{"config": "airfoil", "dataset": "airfoil", "method": "erm", "split": "test", \
"metric": "rmse", "state": "best", "n": 200, "step": [10, 12], "why": [null, \
"x"], "seeds": [0, 1], "values": [1.5, null]}
'''
CELL_CHANGES = st.dictionaries(
    st.sampled_from(['cells', 'seeds', 'values', 'wrong', 'why', *ROW])
    | st.text(max_size=4), VALUES | st.lists(VALUES, min_size=2, max_size=2),
    min_size=1, max_size=3)


def changed_cells(choice):
  lines = list(map(json.loads, CELLS.splitlines()))
  lines[choice[0]] |= choice[1]
  return '\n'.join(map(json.dumps, lines)).encode()


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  """A workdir with one row and its run."""
  folder = tmp_path_factory.mktemp('work')
  disk.write_json(folder / 'runs' / '0123abcd.json', RUN)
  results.write(folder / 'rows' / 'erm.0.jsonl', [ROW])
  return folder


def gives_rows_or_user_error(folder):
  """The rows, all valid, or None."""
  read = []
  for reader in (results.read_rows, results.read, results.read_runs):
    path = folder / 'rows' / 'erm.0.jsonl'
    try:
      read.append(reader(path if reader is results.read_rows else [folder]))
    except UserError as error:
      assert '.json' in str(error)
      read.append(None)
  rows, joined, runs = read
  for row in rows or ():
    results.validate(row)
    # They become names of files, and are printed.
    for field in 'paper', 'config', 'run':
      assert pathlib.PurePath(row[field]).name == row[field]
      assert '.' not in row[field]
    assert all(f'{k}{v}'.isprintable() for k, v in row.items() if k != 'why')
  if joined is not None:
    assert runs is not None
    assert [{k: v for k, v in row.items() if k not in results.JOINED}
            for row in joined] == rows
  return joined


@hypothesis.settings(STEADY, max_examples=150)
@hypothesis.given(st.one_of(
    st.binary(max_size=60), damaged(json.dumps(ROW).encode()),
    damaged(b'%b\n%b\n' % ((json.dumps(ROW).encode(),) * 2)),
    damaged(CELLS.encode()),
    st.tuples(st.sampled_from([0, 1]), CELL_CHANGES).map(changed_cells),
    CHANGES.map(lambda change: json.dumps(ROW | change).encode()),
    st.sets(st.sampled_from(list(ROW))).map(lambda lost: json.dumps(
        {k: v for k, v in ROW.items() if k not in lost}).encode())))
def test_any_file_of_rows_is_read_as_valid_rows_or_refused(workdir, content):
  (workdir / 'runs' / '0123abcd.json').write_text(json.dumps(RUN))
  (workdir / 'rows' / 'erm.0.jsonl').write_bytes(content)
  gives_rows_or_user_error(workdir)


@hypothesis.settings(STEADY, max_examples=100)
@hypothesis.given(st.one_of(
    st.binary(max_size=60), damaged(json.dumps(RUN).encode()),
    st.dictionaries(st.sampled_from(list(RUN)), VALUES, max_size=3).map(
        lambda change: json.dumps(RUN | change).encode())))
def test_any_run_file_is_shown_or_refused(workdir, content):
  (workdir / 'rows' / 'erm.0.jsonl').write_text(json.dumps(ROW))
  (workdir / 'runs' / '0123abcd.json').write_bytes(content)
  rows = gives_rows_or_user_error(workdir)
  if rows:
    try:
      page.report(rows, 'c_mixup', results.read_runs([workdir]))
    except UserError:
      pass


@hypothesis.settings(STEADY, max_examples=150)
@hypothesis.given(CHANGES)
@hypothesis.example({'kernel': 'inf'})
@hypothesis.example({'bandwidth': -float('inf')})
def test_what_is_written_is_read_back(workdir, change):
  path = workdir / 'written.jsonl'
  try:
    results.write(path, [ROW | change])
  except UserError:
    return
  got, = results.read_rows(path)
  want = {k: v for k, v in (ROW | change).items() if k not in results.JOINED}
  assert {k: repr(v) for k, v in got.items()} == {
      k: repr(v) for k, v in want.items()}


@pytest.mark.parametrize('field', [3, None, 'a\x1b[2J', '\n'])
def test_the_name_of_a_field_can_be_printed(field):
  with pytest.raises(UserError, match='is no name of a field; use'):
    results.validate(ROW | {field: 1})


# --- Data files --------------------------------------------------------------


def idx(array, shape=None):
  header = bytes([0, 0, 8, array.ndim])
  return header + struct.pack(f'>{array.ndim}I', *(shape or array.shape)
                              ) + array.tobytes()


def npz(**members):
  """An npz file of arrays, or of bytes that stand for one."""
  file = io.BytesIO()
  with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as archive:
    for name, member in members.items():
      if not isinstance(member, bytes):
        content = io.BytesIO()
        np.save(content, member, allow_pickle=True)
        member = content.getvalue()
      archive.writestr(f'{name}.npy', member)
  return file.getvalue()


def npy_header(shape, dtype='|u1'):
  """The first bytes of an npy file that claims this shape."""
  text = repr({'descr': dtype, 'fortran_order': False, 'shape': shape})
  text += ' ' * (-(len(text) + 11) % 64) + '\n'
  return b'\x93NUMPY\1\0' + struct.pack('<H', len(text)) + text.encode()


def mat(compressed=True, **arrays):
  file = io.BytesIO()
  scipy_io.savemat(file, arrays, do_compression=compressed)
  return file.getvalue()


def tar(**members):
  file = io.BytesIO()
  with tarfile.open(fileobj=file, mode='w:gz', compresslevel=1) as archive:
    for name, content in members.items():
      member = tarfile.TarInfo(name)
      member.size = len(content)
      archive.addfile(member, io.BytesIO(content))
  return file.getvalue()


def picture(size, form='webp'):
  file = io.BytesIO()
  Image.new('RGB', size).save(file, form)
  return file.getvalue()


ARRAY = np.arange(6, dtype=np.uint8).reshape(2, 3)
TABLE = b'a,b\n1.5,2\n-3,4e1\n'
RECORDS = bytes(range(256)) * 12 + b'\0'
NPZ = functools.partial(files.read_npz, key='x')
MAT = functools.partial(files.read_mat, key='x')
LABELS = functools.partial(files.read_binary_labels, batches=('data_batch_1',))
IMAGES = functools.partial(files.read_binary_images, batch='data_batch_1')
# Reader, a good file for it, the dtype and the number of axes it promises.
READERS = {
    'numbers': (functools.partial(files.read_numbers, columns=2), TABLE, 'f8',
                2),
    'idx': (files.read_idx, gzip.compress(idx(ARRAY), 0), 'u1', None),
    'npz': (NPZ, npz(x=ARRAY), None, None),
    'mat': (MAT, mat(x=ARRAY), 'u1', None),
    'mat_plain': (MAT, mat(False, x=ARRAY), 'u1', None),
    'sheet': (files.read_sheet, picture((32, 32)), 'u1', 4),
    'labels': (LABELS, tar(**{'data_batch_1.bin': RECORDS}), 'u1', 1),
    'images': (IMAGES, tar(**{'data_batch_1.bin': RECORDS}), 'u1', 4)}


def source(read, sha256=None, **more):
  return dict(file='sets/file', size=None, sha256=sha256, url=None,
              array_sha256='0' * 64, read=read) | more


@pytest.fixture
def place(tmp_path, monkeypatch):
  """Puts bytes where `files.find('it')` looks; returns that folder."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'xdg'))
  monkeypatch.delenv('ASSAY_DATA', raising=False)

  def put(content, **alternative):
    monkeypatch.setattr(sources, 'SOURCES', {'it': (source(**alternative),)})
    (tmp_path / 'file').write_bytes(content)
    return tmp_path

  return put


@pytest.mark.parametrize('name', READERS)
def test_good_files_are_read(name, tmp_path):
  read, content, dtype, _ = READERS[name]
  (tmp_path / 'file').write_bytes(content)
  if name == 'sheet':  # a small one is none
    with pytest.raises(ValueError, match=r'picture of \(32, 32\) pixels'):
      read(tmp_path / 'file')
    return
  assert read(tmp_path / 'file').dtype == dtype or name == 'npz'


@pytest.mark.parametrize('name', READERS)
def test_damaged_files_are_arrays_or_refused(name, tmp_path_factory):
  read, good, dtype, num_axes = READERS[name]
  folder = tmp_path_factory.mktemp(name)
  # Damage behind a compression is not found by its checksum alone.
  inner = {'idx': idx(ARRAY), 'labels': gzip.decompress(good)[:4000],
           'images': gzip.decompress(good)[:4000]}.get(
               name) if name in ('idx', 'labels', 'images') else None
  contents = st.binary(max_size=60) | damaged(good)
  if inner:
    contents |= damaged(inner).map(lambda x: gzip.compress(x, 1))

  @hypothesis.settings(STEADY, max_examples=60)
  @hypothesis.given(contents)
  def check(content):
    path = folder / 'file'
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
      patch.setattr(sources, 'SOURCES', {'it': (source(read),)})
      patch.setenv('XDG_CACHE_HOME', str(folder / 'none'))
      # Never the numbers with the checksum: always an error of the user's.
      for function in files.find, files.read:
        with pytest.raises(UserError, match='remove or replace it') as error:
          function('it', folder)
        assert len(str(error.value)) < 2000
    try:
      array = read(path)
    except Exception:  # `find` tells of it
      return
    assert isinstance(array, np.ndarray) and not array.dtype.hasobject
    assert dtype is None or array.dtype == dtype
    assert num_axes is None or array.ndim == num_axes

  check()


def test_known_bytes_are_not_looked_into_and_others_by_their_numbers(place):
  def explode(path):
    raise AssertionError(f'{path} was decoded')

  known = hashlib.sha256(TABLE).hexdigest()
  assert files.find('it', place(TABLE, read=explode, sha256=known))
  with pytest.raises(UserError, match='was decoded'):
    files.find('it', place(TABLE + b' ', read=explode, sha256=known))
  numbers = np.array([[1.5, 2.], [-3., 40.]])
  read = READERS['numbers'][0]
  folder = place(b'1.5 2\n-3 40\n', read=read, sha256=known,
                 array_sha256=hashlib.sha256(numbers.tobytes()).hexdigest())
  np.testing.assert_array_equal(files.read('it', folder), numbers)


@pytest.mark.parametrize('array', [
    np.array([{}], object), np.array(['a']), np.array([b'a']), np.array([1j]),
    np.array([(1, 2.)], 'i4,f8'), np.array(['2020'], 'M8[Y]'), np.zeros(3, 'V0')
], ids=lambda array: array.dtype.str)
def test_arrays_that_are_no_numbers_are_refused(array, place):
  with pytest.raises(UserError, match='remove or replace'):
    files.find('it', place(npz(x=array), read=NPZ))


class Marks:
  """Leaves a file where it is unpickled."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return pathlib.Path.touch, (self.path,)


def test_nothing_is_unpickled(place, tmp_path):
  mark = tmp_path / 'mark'
  content = npz(x=np.array([Marks(mark)], object))
  np.load(io.BytesIO(content), allow_pickle=True)['x']  # it would do harm
  mark.unlink()
  # Within an npz file, as its member, and as the file itself.
  member = zipfile.ZipFile(io.BytesIO(content)).read('x.npy')
  for hostile in content, member, member[128:]:
    for read in NPZ, MAT, files.read_idx:
      with pytest.raises(UserError, match='no numbers'):
        files.find('it', place(hostile, read=read))
  assert not mark.exists()


def test_no_name_within_an_archive_is_a_path(place, tmp_path):
  names = ('../data_batch_1.bin', '/tmp/x/data_batch_1.bin',
           '../../data_batch_1.bin')
  for name in names:
    folder = place(tar(**{name: RECORDS}), read=LABELS)
    before = sorted(tmp_path.parent.rglob('*'))
    np.testing.assert_array_equal(LABELS(folder / 'file'), [0])
    assert sorted(tmp_path.parent.rglob('*')) == before
  link = tarfile.TarInfo('data_batch_1.bin')
  link.type, link.linkname = tarfile.SYMTYPE, '/etc/passwd'
  file = io.BytesIO()
  with tarfile.open(fileobj=file, mode='w:gz') as archive:
    archive.addfile(link)
  with pytest.raises(UserError, match='lacks'):
    files.find('it', place(file.getvalue(), read=LABELS))


def pax_bomb(size):
  """An archive whose first header claims `size` bytes of zeros."""
  header = tarfile.TarInfo('x')
  header.type, header.size = tarfile.XHDTYPE, size
  return gzip.compress(header.tobuf() + bytes(size), 1)


def sparse_bomb(size):
  """An archive with an empty file that claims to be `size` zeros."""
  header = bytearray(tarfile.TarInfo('data_batch_1.bin').tobuf(
      tarfile.GNU_FORMAT))
  header[156:157] = tarfile.GNUTYPE_SPARSE
  header[483:495] = b'%011o\0' % size
  header[148:156] = b' ' * 8
  header[148:156] = b'%06o\0 ' % sum(header)
  return gzip.compress(bytes(header) + bytes(1024))


def mat_bomb(size):
  """A compressed matrix of which the values are `size` zeros."""
  plain = mat(False, x=np.zeros((1, 8), np.uint8))[128:]
  head = plain[:-16] + struct.pack('<II', 2, size)
  packed = zlib.compress(head + bytes(size), 1)
  return mat(x=ARRAY)[:128] + struct.pack('<II', 15, len(packed)) + packed


LIMIT = 2**16
BOMBS = {
    'text': (READERS['numbers'][0], b'1 2\n' * LIMIT),
    'line': (READERS['numbers'][0], b'1 ' * LIMIT),
    'gzip': (files.read_idx, gzip.compress(bytes(100 * LIMIT))),
    'idx_shape': (files.read_idx, gzip.compress(idx(ARRAY, (2**32 - 1,) * 2))),
    'npz_member': (NPZ, npz(x=npy_header((2**40,)) + bytes(100 * LIMIT))),
    'npz_shape': (NPZ, npz(x=npy_header((2**62,)))),
    'npz_no_bytes': (NPZ, npz(x=npy_header((2**62,), '|V0'))),
    'npz_in_npz': (NPZ, npz(x=npz(x=ARRAY))),
    'npz_deep_header': (NPZ, npz(x=npy_header('(' * 9000))),
    'mat_values': (MAT, mat_bomb(100 * LIMIT)),
    'tar_member': (LABELS, tar(**{'data_batch_1.bin': bytes(100 * LIMIT)})),
    'tar_other': (LABELS, tar(x=bytes(100 * LIMIT))),
    'tar_header': (LABELS, pax_bomb(100 * LIMIT)),
    'tar_sparse': (LABELS, sparse_bomb(2**33 - 1))}


@pytest.mark.parametrize('name', BOMBS)
def test_bombs_are_refused_in_little_memory(name, place, monkeypatch):
  read, content = BOMBS[name]
  for limit in 'TABLE', 'ARRAY', 'ARCHIVE':
    monkeypatch.setattr(readers, f'MAX_{limit}_BYTES', LIMIT)
  folder = place(content, read=read)
  tracemalloc.start()
  try:
    with pytest.raises(UserError, match='no numbers') as error:
      files.find('it', folder)
    _, peak = tracemalloc.get_traced_memory()
  finally:
    tracemalloc.stop()
  assert peak < 20 * LIMIT and len(str(error.value)) < 2000


def test_a_picture_of_another_size_or_kind_is_not_decoded(place, monkeypatch):
  def explode(*args):
    raise AssertionError('decoded')

  cases = ((picture((3200, 3200)), 'decoded'),
           (picture((3201, 3200)), r'\(3201, 3200\) pixels'),
           (picture((3200, 3200), 'png'), 'cannot identify'),
           (b'%!PS-Adobe-3.0 EPSF-3.0\n', 'cannot identify'))
  monkeypatch.setattr(Image.Image, 'load', explode)
  monkeypatch.setattr('PIL.WebPImagePlugin.WebPImageFile.load', explode)
  for content, words in cases:
    with pytest.raises(UserError, match=rf'no numbers \(.*{words}'):
      files.find('it', place(content, read=files.read_sheet))


def test_all_known_files_are_within_the_limits(data_dir):
  sizes = {name: files.read(name, data_dir).nbytes
           for name in ('airfoil', 'no2', 'mnist/train_images', 'usps/images')}
  assert max(sizes.values()) == 47_040_000 <= readers.MAX_ARRAY_BYTES
  for alternatives in files.SOURCES.values():
    for known in alternatives:
      assert (known.get('size') or 0) <= readers.MAX_ARRAY_BYTES


def test_a_publisher_that_never_ends_is_cut_off(tmp_path, monkeypatch, place):
  sent = tmp_path / 'sent'
  sent.write_bytes(bytes(2**22))
  place(b'', read=NPZ, url=sent.as_uri())
  monkeypatch.setattr(readers, 'MAX_ARCHIVE_BYTES', 2**20)
  with pytest.raises(UserError, match='sends more than 1048576 bytes') as error:
    files.find('it')
  assert sent.as_uri() in str(error.value) and 'Put file' in str(error.value)
  assert not [p for p in (tmp_path / 'xdg').rglob('*') if p.is_file()]


def test_a_data_file_that_cannot_be_read(tmp_path, place):
  folder = place(b'', read=NPZ)
  (folder / 'file').unlink()
  (folder / 'file').symlink_to('/proc/self/mem')
  with pytest.raises(UserError, match='cannot be read.*\nPut file'):
    files.find('it', folder)


@pytest.mark.parametrize('folder', ['~nobody_here', '\0', 'x' * 5000, 'none'])
def test_a_data_folder_that_cannot_be(folder, place):
  place(b'', read=NPZ)
  with pytest.raises(UserError, match='data_dir=.* is not a folder; name'):
    files.find('it', folder)


# --- Workdirs ----------------------------------------------------------------


@pytest.fixture
def made(tmp_path):
  """A study in a workdir with the predictions of one finished block."""
  config = papers.configs('c_mixup').get_config('smoke')
  made = study.Study('c_mixup', 'smoke', config, workdir=tmp_path / 'work',
                     num_seeds=2)
  block, = made.blocks('erm')
  rows = [block.row(seed, 'rmse', 1.0, dataset='diabetes', method='erm',
                    split='test', n=88, step=1, state='best')
          for seed in (0, 1)]
  block.finish(rows, {'seeds': np.arange(2), 'y': np.ones((2, 3))},
               {'loss': np.ones(2)}, num_params=1)
  return made


def test_predictions_come_back_by_seed(made):
  got = made.predictions_of('erm', [1])
  assert got['seeds'].tolist() == [1] and got['y'].shape == (1, 3)
  with pytest.raises(UserError, match=r'no predictions of erm.*\[7\].*remove'):
    made.predictions_of('erm', [1, 7])


def test_damaged_predictions_are_refused_and_never_unpickled(made, tmp_path):
  path = made.workdir / 'predictions' / 'erm.0.npz'
  good, mark = path.read_bytes(), tmp_path / 'mark'

  @hypothesis.settings(STEADY, max_examples=60)
  @hypothesis.given(damaged(good) | st.binary(max_size=40))
  @hypothesis.example(npz(seeds=np.arange(2), y=np.ones(3)))
  @hypothesis.example(npz(y=np.ones(2)))
  @hypothesis.example(npz(seeds=np.arange(2), y=np.array([Marks(mark)] * 2)))
  def check(content):
    path.write_bytes(content)
    try:
      got = made.predictions_of('erm', [0, 1])
    except UserError as error:
      assert 'remove' in str(error) and str(made.workdir) in str(error)
      return
    assert {k: v.tolist() for k, v in got.items()}.keys() >= {'seeds'}

  check()
  assert not mark.exists()


def test_load_refuses_a_damaged_description(tmp_path):
  path = tmp_path / 'erm' / 'fit' / 'seeds_0-1' / 'config.json'
  good = {'paper': 'c_mixup', 'variant': 'smoke', 'seeds': [0, 1], 'config': {}}
  disk.write_json(path, good)

  @hypothesis.settings(STEADY, max_examples=60)
  @hypothesis.given(damaged(path.read_bytes()) | st.binary(max_size=40)
                    | st.dictionaries(st.sampled_from(list(good)), VALUES).map(
                        lambda x: json.dumps(good | x).encode()))
  def check(content):
    path.write_bytes(content)
    with pytest.raises(UserError):  # no checkpoint is there, at the least
      assay.load(tmp_path, 'erm', 0)

  check()


def test_a_workdir_with_a_damaged_config_is_refused(made):
  path = made.workdir / 'config.json'
  made._kept.release()
  for content in b'', b'[]', b'{}', b'\xff', path.read_bytes()[:-9]:
    path.write_bytes(content)
    with pytest.raises(UserError, match='config.json.*restore'):
      study.Study('c_mixup', 'smoke', made.config, workdir=made.workdir)


# --- The code itself ---------------------------------------------------------

CODE = [path for folder in ('lib', 'experiments', 'configs', 'benchmarks')
        for path in sorted((papers.ROOT / folder).rglob('*.py'))]
MODULES = {'pickle', '_pickle', 'cPickle', 'cloudpickle', 'dill', 'joblib',
           'marshal', 'shelve', 'yaml'}
CALLS = {'eval', 'exec', 'compile', '__import__'}
ATTRIBUTES = {'system', 'popen', 'loadmat', 'read_pickle', 'extractall',
              'unpack_archive', 'fromregex'}


def dangers(text):
  """What of this code could run what it reads: (line, why)."""
  found = []
  for node in ast.walk(ast.parse(text)):
    names = []
    if isinstance(node, ast.Import):
      names = [alias.name.split('.')[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom):
      names = [(node.module or '').split('.')[0]]
    found += [(node.lineno, name) for name in names if name in MODULES]
    if not isinstance(node, ast.Call):
      continue
    function = node.func
    if isinstance(function, ast.Name) and function.id in CALLS:
      found.append((node.lineno, function.id))
    if isinstance(function, ast.Attribute) and function.attr in ATTRIBUTES:
      found.append((node.lineno, function.attr))
    for keyword in node.keywords:
      # Also what is not a constant: it could become true.
      if keyword.arg in ('shell', 'allow_pickle') and not (
          isinstance(keyword.value, ast.Constant)
          and keyword.value.value is False):
        found.append((node.lineno, keyword.arg))
  return found


@pytest.mark.parametrize('text', [
    'import pickle', 'from pickle import loads', 'import dill as d',
    'import os, marshal', 'from yaml import load', 'eval("1")', 'exec(x)',
    'os.system("ls")', 'import os; os.popen(x)', '__import__("os")',
    'subprocess.run(x, shell=True)', 'subprocess.run(x, shell=y)',
    'np.load(x, allow_pickle=True)', 'np.load(x, allow_pickle=y)',
    'tar.extractall()'])
def test_each_danger_is_found(text):
  assert len(dangers(text)) == 1
  assert not dangers('import json, ast\nast.literal_eval(x)\n'
                     'jax.eval_shape(f)\nnp.load(x, allow_pickle=False)\n'
                     'subprocess.run(["ls"])\nspec.loader.exec_module(m)')


def test_no_code_runs_what_it_reads():
  assert len(CODE) > 50
  found = {str(path.relative_to(papers.ROOT)): dangers(path.read_text())
           for path in CODE}
  assert {path: lines for path, lines in found.items() if lines} == {}
