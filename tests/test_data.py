"""assay.data: files, tables, splits, batches and generated data."""
import contextlib
import functools
import hashlib
import http.server
import socket
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from assay.data import files, synthetic, tabular
from assay.data.files import search, sources
from assay.errors import UserError

TEXT = b'a,b\r\n1.50,2\r\n-3,4e1\r\n'  # a header and two rows
ARRAY = np.array([[1.5, 2.0], [-3.0, 40.0]])
# Worked out without `files`: the four float64, row by row.
ARRAY_SHA256 = hashlib.sha256(ARRAY.astype('<f8').tobytes()).hexdigest()
WRONG = b'<html>Please log in</html>'


def sha256(content):
  return hashlib.sha256(content).hexdigest()


def alternative(**changes):
  return dict(file='sets/tiny.csv', size=len(TEXT), sha256=sha256(TEXT),
              array_sha256=ARRAY_SHA256, url=None,
              read=functools.partial(files.read_numbers, columns=2)) | changes


@pytest.fixture
def cache(tmp_path, monkeypatch):
  """An empty cache, no ASSAY_DATA, no proxy; the folder of the cache."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'xdg'))
  monkeypatch.delenv('ASSAY_DATA', raising=False)
  monkeypatch.setenv('no_proxy', '*')
  return tmp_path / 'xdg' / 'assay' / 'data'


@pytest.fixture
def source(monkeypatch):
  """Makes 'tiny' the one source, with the alternatives given."""

  def set_alternatives(*alternatives):
    monkeypatch.setattr(sources, 'SOURCES', {'tiny': alternatives})

  return set_alternatives


@contextlib.contextmanager
def publisher(content, promised=None, status=200):
  """A server on loopback; yields the URL and the list of requested paths."""
  requests = []

  class Handler(http.server.BaseHTTPRequestHandler):

    def do_GET(self):
      requests.append(self.path)
      self.send_response(status)
      self.send_header('Content-Length', str(promised or len(content)))
      self.end_headers()
      self.wfile.write(content)

    def log_message(self, *args):
      pass

  with http.server.HTTPServer(('127.0.0.1', 0), Handler) as server:
    threading.Thread(
        target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
      yield f'http://127.0.0.1:{server.server_port}/tiny.csv', requests
    finally:
      server.shutdown()


def write(path, content):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(content)
  return path


def contents(folder):
  return sorted(p.name for p in folder.rglob('*') if p.is_file())


# files: reading and checksums.


def test_read_numbers_passes_over_other_lines(tmp_path):
  path = write(tmp_path / 'f', b'names of 2 columns\n1 2\n\n3,4\n5\n6\t 7\r\n')
  got = files.read_numbers(path, columns=2)
  np.testing.assert_array_equal(got, [[1, 2], [3, 4], [6, 7]])
  assert got.dtype == np.float64
  assert files.read_numbers(path, columns=3).shape == (0, 3)


def test_array_sha256_is_of_values_not_of_layout():
  assert files.array_sha256(ARRAY) == ARRAY_SHA256
  assert files.array_sha256(np.asfortranarray(ARRAY)) == ARRAY_SHA256
  assert files.array_sha256(ARRAY.astype('>f8')) == ARRAY_SHA256
  assert files.array_sha256(ARRAY.T) != ARRAY_SHA256
  assert (files.array_sha256(np.array([-0.0]))
          == files.array_sha256(np.array([0.0])))


# files: where they are looked for.


@pytest.mark.parametrize('place', ['sets/tiny.csv', 'tiny.csv'])
def test_find_in_data_dir(place, tmp_path, cache, source):
  source(alternative())
  path = write(tmp_path / 'd' / place, TEXT)
  assert files.find('tiny', tmp_path / 'd') == path
  np.testing.assert_array_equal(files.read('tiny', tmp_path / 'd'), ARRAY)


def test_find_order_is_argument_environment_cache(
    tmp_path, cache, source, monkeypatch):
  source(alternative())
  in_cache = write(cache / 'sets/tiny.csv', TEXT)
  in_environment = write(tmp_path / 'e/tiny.csv', TEXT)
  in_argument = write(tmp_path / 'a/tiny.csv', TEXT)
  assert files.find('tiny') == in_cache
  monkeypatch.setenv('ASSAY_DATA', str(tmp_path / 'e'))
  assert files.find('tiny') == in_environment
  assert files.find('tiny', tmp_path / 'a') == in_argument
  in_argument.unlink()  # the argument replaces the variable
  assert files.find('tiny', tmp_path / 'a') == in_cache


def test_cache_defaults_to_the_home_folder(monkeypatch, tmp_path):
  monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
  monkeypatch.setenv('HOME', str(tmp_path))
  assert files.cache_dir() == tmp_path / '.cache/assay/data'


def test_find_takes_equal_numbers_in_other_bytes(tmp_path, cache, source):
  source(alternative())
  other = b'1.5 2.0\n-3.0 40\n'
  path = write(tmp_path / 'tiny.csv', other)
  assert files.find('tiny', tmp_path) == path


def test_find_does_not_read_the_numbers_of_the_right_bytes(
    tmp_path, cache, source):
  source(alternative(read=None))
  path = write(tmp_path / 'tiny.csv', TEXT)
  assert files.find('tiny', tmp_path) == path


def test_find_takes_a_later_alternative_that_is_there(tmp_path, cache, source):
  source(alternative(), alternative(file='sets/tiny.dat', sha256=None))
  path = write(tmp_path / 'tiny.dat', b'1.5 2.0\n-3.0 40\n')
  assert files.find('tiny', tmp_path) == path


def test_find_names_the_checksums_of_a_wrong_file(tmp_path, cache, source):
  # A good copy in the cache and at the publisher must not hide the wrong one.
  write(cache / 'sets/tiny.csv', TEXT)
  changed = TEXT.replace(b'1.50', b'1.51')
  path = write(tmp_path / 'sets/tiny.csv', changed)
  with publisher(TEXT) as (url, requests):
    source(alternative(url=url))
    with pytest.raises(UserError) as e:
      files.find('tiny', tmp_path)
  assert not requests
  for part in (str(path), 'remove or replace', sha256(TEXT), sha256(changed),
               ARRAY_SHA256, f'{len(TEXT)} bytes', '2x2 numbers', url,
               str(cache / 'sets/tiny.csv'), 'ASSAY_DATA=DIR',
               'DIR/sets/tiny.csv'):
    assert part in str(e.value)


def test_find_rejects_a_wrong_file_in_the_cache(cache, source):
  source(alternative())
  path = write(cache / 'sets/tiny.csv', WRONG)
  with pytest.raises(UserError, match='remove or replace') as e:
    files.find('tiny')
  assert str(path) in str(e.value) and sha256(WRONG) in str(e.value)


def test_find_names_a_folder_that_is_not_there(
    tmp_path, cache, source, monkeypatch):
  source(alternative())
  write(cache / 'sets/tiny.csv', TEXT)
  with pytest.raises(UserError, match='^data_dir=.*/nope is not a folder'):
    files.find('tiny', tmp_path / 'nope')
  monkeypatch.setenv('ASSAY_DATA', str(tmp_path / 'gone'))
  with pytest.raises(UserError, match='^ASSAY_DATA=.*/gone is not a folder'):
    files.find('tiny')


def test_find_lists_the_names_it_knows():
  with pytest.raises(UserError, match='airfoil, no2, crime, .*, mnist/{te'):
    files.find('airfoi')


# files: the publisher.


def test_download_once_then_cache(cache, source):
  with publisher(TEXT) as (url, requests):
    source(alternative(url=url))
    assert files.find('tiny') == cache / 'sets/tiny.csv'
    np.testing.assert_array_equal(files.read('tiny'), ARRAY)
    assert requests == ['/tiny.csv']
  assert contents(cache) == ['tiny.csv']
  assert (cache / 'sets/tiny.csv').read_bytes() == TEXT


def test_download_verifies_numbers_where_bytes_are_unknown(
    tmp_path, cache, source):
  sent = write(tmp_path / 'sent', b'A preamble of 2 lines\n1.500 2\n-3 40.0\n')
  source(alternative(), alternative(
      file='sets/tiny.dat', size=None, sha256=None, url=sent.as_uri()))
  assert files.find('tiny') == cache / 'sets/tiny.dat'
  np.testing.assert_array_equal(files.read('tiny'), ARRAY)


@pytest.mark.parametrize('content, promised', [(WRONG, None), (TEXT[:9], 99)],
                         ids=['other', 'torn'])
def test_download_of_other_bytes_leaves_nothing(
    content, promised, cache, source):
  with publisher(content, promised) as (url, _):
    source(alternative(url=url))
    with pytest.raises(UserError) as e:
      files.find('tiny')
  for part in (url, 'tiny.csv', sha256(TEXT), str(cache / 'sets/tiny.csv'),
               'ASSAY_DATA=DIR'):
    assert part in str(e.value)
  assert contents(cache) == []


def fails_to_fetch(url, cache):
  """The error's text, after the checks that hold for every failed fetch."""
  with pytest.raises(UserError) as e:
    files.find('tiny')
  text = str(e.value)
  for part in ("'tiny'", f'{url} could not be fetched', sha256(TEXT),
               str(cache / 'sets/tiny.csv'),
               'DIR/sets/tiny.csv with ASSAY_DATA=DIR'):
    assert part in text
  assert contents(cache) == []
  return text


def test_no_network(cache, source):
  with socket.socket() as unused:
    unused.bind(('127.0.0.1', 0))
    url = f'http://127.0.0.1:{unused.getsockname()[1]}/tiny.csv'
  source(alternative(url=url))
  assert 'refused' in fails_to_fetch(url, cache)


def test_publisher_that_does_not_answer(cache, source, monkeypatch):
  monkeypatch.setattr(search, 'TIMEOUT_SECONDS', 0.2)
  with socket.socket() as silent:
    silent.bind(('127.0.0.1', 0))
    silent.listen()  # connects, and then says nothing
    url = f'http://127.0.0.1:{silent.getsockname()[1]}/tiny.csv'
    source(alternative(url=url))
    start = time.monotonic()
    assert 'timed out' in fails_to_fetch(url, cache)
    assert time.monotonic() - start < 4  # and not the default, 30


def test_publisher_without_the_file(cache, source):
  with publisher(b'gone', status=404) as (url, _):
    source(alternative(url=url))
    assert '404' in fails_to_fetch(url, cache)


def test_without_a_url_the_error_still_says_where_to_put_it(cache, source):
  source(alternative())
  with pytest.raises(UserError, match='Put tiny.csv .* with ASSAY_DATA=DIR'):
    files.find('tiny')
  assert not cache.exists()


# tabular: tables.


def test_diabetes_needs_no_file_and_is_scikit_learns():
  from sklearn import datasets
  published = datasets.load_diabetes(scaled=False)
  table = tabular.load('diabetes')
  np.testing.assert_array_equal(table['x'], published.data.astype(np.float32))
  np.testing.assert_array_equal(table['y'][:, 0], published.target)
  assert table['x'].shape == (442, 10) and table['y'].shape == (442, 1)
  assert table['x'].dtype == table['y'].dtype == np.float32
  # The first line of diabetes.tab.txt as its authors publish it.
  np.testing.assert_allclose(
      table['x'][0], [59, 2, 32.1, 101, 157, 93.2, 38, 4, 4.8598, 87],
      rtol=1e-6)
  assert table['y'][0] == 151


def test_airfoil_first_and_last_rows(data_dir):
  table = tabular.load('airfoil', data_dir)
  assert table['x'].shape == (1503, 5) and table['y'].shape == (1503, 1)
  assert table['x'].dtype == table['y'].dtype == np.float32
  np.testing.assert_allclose(
      table['x'][[0, 1, -1]],
      [[800, 0, 0.3048, 71.3, 0.00266337], [1000, 0, 0.3048, 71.3, 0.00266337],
       [6300, 15.6, 0.1016, 39.6, 0.0528487]], rtol=1e-6)
  np.testing.assert_allclose(
      table['y'][[0, 1, -1], 0], [126.201, 125.201, 104.204], rtol=1e-6)


def test_no2_target_is_the_first_column(data_dir):
  table = tabular.load('no2', data_dir)
  assert table['x'].shape == (500, 7) and table['y'].shape == (500, 1)
  np.testing.assert_allclose(
      table['x'][0], [7.6912, 9.2, 4.8, -0.1, 74.4, 20, 600], rtol=1e-6)
  np.testing.assert_allclose(
      table['y'][[0, 1, -1], 0], [3.71844, 3.10009, 4.03247], rtol=1e-6)


@pytest.mark.parametrize('name', sorted(
    name for name, alternatives in files.SOURCES.items()
    # Of what nobody here has seen, Git's checksum of the file is known.
    if 'file' in alternatives[0] and 'blob' not in alternatives[0]))
def test_numbers_of_the_real_file_have_their_checksum(name, data_dir):
  # With the right bytes `find` does not look at the numbers, yet whoever gets
  # other bytes depends on their checksum.
  array = files.read(name, data_dir)
  for alternative in files.SOURCES[name]:
    assert files.array_sha256(array) == alternative['array_sha256']


def test_load_lists_the_tables_it_knows():
  with pytest.raises(UserError, match="'crimes'.*'crime', 'diabetes', .*'no2'"):
    tabular.load('crimes')


@pytest.mark.parametrize('change, message', [
    (lambda t: t[:-1], r'shape \(441, 11\), not \(442, 11\)'),
    (lambda t: np.where(t == 346, 347, t), 'high ends.*347.*not.*346'),
    (lambda t: np.where(t == 19, 18, t), 'low ends'),
    (lambda t: np.where(t == 151, np.nan, t), 'nan'),
], ids=['rows', 'high', 'low', 'nan'])
def test_load_rejects_another_table(change, message, monkeypatch):
  spec = tabular.TABLES['diabetes']
  changed = change(spec['read'](None))
  monkeypatch.setitem(tabular.TABLES, 'diabetes',
                      spec | {'read': lambda data_dir: changed})
  with pytest.raises(UserError, match=f"'diabetes'.*{message}.*setup.cfg"):
    tabular.load('diabetes')


# tabular: splits and normalization.


def test_split_is_disjoint_complete_and_reproducible():
  got = tabular.split(1503, (1003, 300, 200), 0, 'airfoil')
  assert [len(got[k]) for k in ('train', 'val', 'test')] == [1003, 300, 200]
  assert {v.dtype for v in got.values()} == {np.dtype('int32')}
  rows = np.concatenate([got['train'], got['val'], got['test']])
  np.testing.assert_array_equal(np.sort(rows), np.arange(1503))
  again = tabular.split(1503, (1003, 300, 200), 0, 'airfoil')
  np.testing.assert_array_equal(got['test'], again['test'])


def test_split_depends_on_seed_and_name():
  tests = [tuple(tabular.split(100, (50, 20, 30), seed, name)['test'])
           for seed in (0, 1) for name in ('airfoil', 'no2')]
  assert len(set(tests)) == 4


def test_held_out_rows_are_those_to_be_tested_on():
  of = lambda sizes, seed: tabular.split(100, sizes, seed, 'x', held_out=40)
  tested = [set(of((50, 20, 30), seed)['test']) for seed in range(20)]
  held = set.union(*tested)
  assert len(held) == 40 and all(len(rows) == 30 for rows in tested)
  got = of((50, 20, 30), 0)  # all rows, as some held-out ones are not tested on
  assert sorted(np.concatenate(list(got.values()))) == list(range(100))
  assert held & set(got['train']) and held & set(got['val'])
  tuning = of((40, 20, 0), 0)
  assert len(tuning['test']) == 0 and len(tuning['train']) == 40
  assert not held & {*tuning['train'], *tuning['val']}
  assert {*tuning['train']} != {*of((40, 20, 0), 1)['train']}
  with pytest.raises(UserError, match='held_out=40 of 100 rows.*too few'):
    of((50, 20, 0), 0)
  with pytest.raises(UserError, match='held_out=40 of 100 rows.*too few'):
    of((10, 10, 41), 0)


def test_split_leaves_rows_beyond_the_sizes_unused():
  got = tabular.split(10, (3, 0, 2), 0, 'x')
  assert [len(v) for v in got.values()] == [3, 0, 2]
  assert len(set(np.concatenate(list(got.values())))) == 5


@pytest.mark.parametrize('sizes, seed, message', [
    ((8, 2, 1), 0, r"\(8, 2, 1\) add up to 11.*10 rows of 'x'.*at most 10"),
    ((8, 2), 0, r'\(8, 2\) must be three counts'),
    ((0, 2, 1), 0, 'at least 1'),
    ((8, -2, 1), 0, r'\(8, -2, 1\).*at least 0'),
    ((8, 1, 1), -1, 'seed=-1.*use 0 or more'),
])
def test_split_errors(sizes, seed, message):
  with pytest.raises(UserError, match=message):
    tabular.split(10, sizes, seed, 'x')


def test_normalization_by_hand():
  x = np.array([[1, 5, -2], [3, 5, 6], [2, 5, 0]], np.float32)
  low, scale = tabular.normalization(x)
  np.testing.assert_array_equal(low, [1, 5, -2])
  np.testing.assert_array_equal(scale, [0.5, 1, 0.125])  # not NaN
  assert low.dtype == scale.dtype == np.float32
  low, scale = tabular.normalization(x, np.array([0, 2]))
  np.testing.assert_array_equal(low, [1, 5, -2])
  np.testing.assert_array_equal(scale, [1, 1, 0.5])


def test_normalization_of_an_almost_constant_column_is_finite():
  x = np.array([[0], [1e-40]], np.float32)
  assert tabular.normalization(x)[1] == 1


SIZES = 12, 4, 4


def small_table():
  rng = np.random.default_rng(0)
  return {'x': rng.normal(size=(20, 3)).astype(np.float32),
          'y': rng.normal(size=(20, 1)).astype(np.float32)}


def test_own_splits_has_a_row_for_each_seed():
  table = small_table()
  own = tabular.own_splits(table, SIZES, (7, 3), 'x')
  assert {k: (v.shape, str(v.dtype)) for k, v in own.items()} == {
      'train_rows': ((2, 12), 'int32'), 'val_rows': ((2, 4), 'int32'),
      'test_rows': ((2, 4), 'int32'), 'low': ((2, 3), 'float32'),
      'scale': ((2, 3), 'float32')}
  np.testing.assert_array_equal(
      own['val_rows'][1], tabular.split(20, SIZES, 3, 'x')['val'])
  np.testing.assert_array_equal(own['low'], [table['x'].min(0)] * 2)


def test_normalization_on_training_rows_ignores_the_others():
  table = small_table()
  test_row = tabular.split(20, SIZES, 0, 'x')['test'][0]
  before = {n: tabular.own_splits(table, SIZES, (0,), 'x', n)
            for n in ('all', 'train')}
  table['x'][test_row] = 100
  after = {n: tabular.own_splits(table, SIZES, (0,), 'x', n)
           for n in ('all', 'train')}
  for k in ('low', 'scale'):
    np.testing.assert_array_equal(before['train'][k], after['train'][k])
  assert (before['all']['scale'] > after['all']['scale']).all()  # it leaks
  own = after['train']
  x = (table['x'][own['train_rows'][0]] - own['low'][0]) * own['scale'][0]
  np.testing.assert_allclose(x.min(0), 0, atol=1e-6)
  np.testing.assert_allclose(x.max(0), 1, atol=1e-6)


def test_own_splits_errors():
  with pytest.raises(UserError, match="normalize='test'.*'all' or 'train'"):
    tabular.own_splits(small_table(), SIZES, (0,), 'x', 'test')
  with pytest.raises(UserError, match='seeds is empty'):
    tabular.own_splits(small_table(), SIZES, (), 'x')


# tabular: batches.


def test_draw_gives_the_normalized_rows_under_jit_and_vmap():
  table = small_table()
  own = tabular.own_splits(table, SIZES, (0, 1), 'x', 'train')
  items = np.array([[3, 0, 3], [1, 2, 0]], np.int32)
  draw = tabular.draw_from('val')
  got = jax.jit(jax.vmap(draw, in_axes=(None, 0, 0, None)))(
      table, own, items, None)
  assert set(got) == {'x', 'y'}
  for seed in range(2):
    rows = own['val_rows'][seed][items[seed]]
    want = (table['x'][rows] - own['low'][seed]) * own['scale'][seed]
    np.testing.assert_allclose(got['x'][seed], want, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(got['y'][seed], table['y'][rows])


def test_draw_reads_a_table_of_its_own():
  table = small_table()
  splits = tabular.own_splits(table, SIZES, (0,), 'x')
  own = {k: v[0] for k, v in splits.items()}
  draw, item = tabular.draw_from('train'), jnp.arange(5)
  want = draw(table, own, item, None)
  got = draw({}, own | table, item, None)
  np.testing.assert_array_equal(got['x'], want['x'])
  np.testing.assert_array_equal(got['y'], want['y'])


def test_draw_of_an_item_beyond_the_split_is_nan():
  table = small_table()
  splits = tabular.own_splits(table, SIZES, (0,), 'x')
  own = {k: v[0] for k, v in splits.items()}
  got = tabular.draw_from('val')(table, own, jnp.array([3, 4]), None)
  assert jnp.isfinite(got['y'][0]).all() and jnp.isfinite(got['x'][0]).all()
  assert jnp.isnan(got['y'][1]).all() and jnp.isnan(got['x'][1]).all()


def test_draw_lists_the_splits():
  with pytest.raises(UserError, match="'valid'.*'train', 'val', 'test'"):
    tabular.draw_from('valid')


def test_each_epoch_is_the_start_of_a_permutation():
  items = tabular.epoch_items(10, 3, seed=0)(0, 6)  # two epochs of three
  assert items.shape == (6, 3) and items.dtype == np.int32
  for epoch in (items[:3], items[3:]):
    assert len(set(epoch.ravel())) == 9
    assert set(epoch.ravel()) <= set(range(10))
  assert items[:3].tolist() != items[3:].tolist()


def test_items_by_random_access_equal_items_in_sequence():
  items = tabular.epoch_items(10, 3, seed=0)
  whole = items(0, 20)
  fresh = tabular.epoch_items(10, 3, seed=0)
  for start, stop in ((17, 20), (0, 1), (2, 4), (3, 3), (5, 14), (1, 20)):
    np.testing.assert_array_equal(fresh(start, stop), whole[start:stop])
  whole[:] = -1  # what a caller does to its copy is not seen by the next
  assert items(0, 20).min() >= 0


def test_items_differ_by_seed_and_stream():
  orders = {tabular.epoch_items(50, 50, seed, stream)(0, 1).tobytes()
            for seed in (0, 1) for stream in ('order', 'candidates')}
  assert len(orders) == 4


def test_without_reshuffling_all_epochs_are_the_first():
  items = tabular.epoch_items(10, 3, seed=0, reshuffle=False)(0, 9)
  first = tabular.epoch_items(10, 3, seed=0)(0, 3)
  np.testing.assert_array_equal(items.reshape(3, 3, 3), [first] * 3)


def test_only_the_epochs_asked_for_are_computed(monkeypatch):
  seen = []
  default_rng = np.random.default_rng
  monkeypatch.setattr(np.random, 'default_rng',
                      lambda key: seen.append(key[-1]) or default_rng(key))
  items = tabular.epoch_items(10, 3, seed=0)
  items(3_000_001, 3_000_004)
  assert seen == [1_000_000, 1_000_001]
  items(3_000_004, 3_000_005)
  assert seen == [1_000_000, 1_000_001]  # the last one is kept


def test_epoch_items_errors():
  with pytest.raises(UserError, match='batch_size=11.*10 examples.*at most 10'):
    tabular.epoch_items(10, 11, 0)
  with pytest.raises(UserError, match='batch_size=0.*at least 1'):
    tabular.epoch_items(10, 0, 0)
  with pytest.raises(UserError, match='seed=-1'):
    tabular.epoch_items(10, 2, -1)
  with pytest.raises(ValueError, match='start=-1, stop=2'):
    tabular.epoch_items(10, 2, 0)(-1, 2)


# synthetic.


def test_link_by_hand():
  # b = e: (e^(z + 1) - 1) / (e^2 - 1).
  np.testing.assert_allclose(
      synthetic.link(np.array([-1.0, 0.0, 1.0]), curvature=1.0),
      [0, 1.718281828 / 6.389056099, 1], atol=1e-9)


def test_single_index_follows_its_equation():
  draw = functools.partial(synthetic.single_index, num_examples=4000,
                           num_nuisance=3, nuisance_scale=2.0,
                           noise_scale=0.1, curvature=2.0)
  data = jax.jit(draw)(jax.random.key(0))
  assert {k: (v.shape, str(v.dtype)) for k, v in data.items()} == {
      'x': ((4000, 4), 'float32'), 'y': ((4000, 1), 'float32'),
      'clean': ((4000, 1), 'float32')}
  # The index is found from the clean target by the inverse of the link, and
  # theta from x by least squares: both are exact but for rounding.
  clean = np.asarray(data['clean'], np.float64)[:, 0]
  z = np.log1p(clean * np.expm1(4.0)) / 2 - 1
  theta, *_ = np.linalg.lstsq(np.asarray(data['x']), z, rcond=None)
  np.testing.assert_allclose(data['x'] @ theta, z, atol=1e-4)
  np.testing.assert_allclose(np.linalg.norm(theta), 1, atol=1e-4)
  assert stats.kstest(z, stats.uniform(-1, 2).cdf).pvalue > 1e-3
  # The rest of x is normal of scale 2 in each of the 3 other directions.
  rest = data['x'] - z[:, None] * theta
  np.testing.assert_allclose(
      np.sort(np.linalg.eigvalsh(np.cov(rest.T))), [0, 4, 4, 4], atol=0.4)
  np.testing.assert_allclose(np.std(data['y'] - data['clean']), 0.1, rtol=0.05)


def test_single_index_draws_another_direction_by_key():
  keys = jax.random.split(jax.random.key(0), 2)
  data = jax.vmap(lambda k: synthetic.single_index(
      k, 50, num_nuisance=4, nuisance_scale=0.0))(keys)
  first, second = (x / np.linalg.norm(x) for x in data['x'][:, 0])
  assert abs(first @ second) < 0.99
  # Without nuisance all rows of a key lie on its line.
  assert np.linalg.matrix_rank(np.asarray(data['x'][0]), tol=1e-4) == 1


def test_single_index_rejects_a_line():
  with pytest.raises(UserError, match='curvature=0 must be above 0'):
    synthetic.single_index(jax.random.key(0), 5, 1, curvature=0)


def test_jensen_gap_of_uniform_pairs_by_integration():
  # With e = b^(z + 1), E[e^p] = (b^(2p) - 1) / (2p c), and the square opens
  # into products of such moments; what is left is one integral over l.
  c, alpha = 3.0, 2.0

  def m(p):
    return np.expm1(2 * c * p) / (2 * c * p) if p else 1.0

  def square(mix):
    a, b = mix, 1 - mix
    return ((a**2 + b**2) * m(2) + 2 * a * b * m(1) ** 2
            - 2 * a * m(1 + a) * m(b) - 2 * b * m(a) * m(1 + b)
            + m(2 * a) * m(2 * b)) / np.expm1(2 * c) ** 2

  want, _ = integrate.quad(
      lambda mix: square(mix) * stats.beta(alpha, alpha).pdf(mix), 0, 1)
  np.testing.assert_allclose(
      synthetic.jensen_gap(np.inf, c, alpha), want, rtol=1e-6)


def test_jensen_gap_of_near_labels_by_sampling():
  rng = np.random.default_rng(0)
  z = rng.uniform(-1, 1, 1500)
  g = synthetic.link(z, 3.0)
  weight = np.exp(-0.5 * ((g[:, None] - g) / 0.2) ** 2)
  weight /= weight.sum(1, keepdims=True)
  mix = rng.beta(0.5, 0.5, weight.shape)
  gap = (mix * g[:, None] + (1 - mix) * g
         - synthetic.link(mix * z[:, None] + (1 - mix) * z, 3.0))
  np.testing.assert_allclose(
      synthetic.jensen_gap(0.2, alpha=0.5), np.mean((weight * gap**2).sum(1)),
      rtol=0.1)


def test_jensen_gap_shrinks_with_the_bandwidth():
  gaps = [synthetic.jensen_gap(s) for s in (0.02, 0.05, 0.2, 1.0, np.inf)]
  assert gaps == sorted(gaps)
  assert gaps[1] < gaps[-1] / 100  # label kernel against uniform pairs
  np.testing.assert_allclose(synthetic.jensen_gap(1e4), gaps[-1], rtol=1e-6)
  assert synthetic.jensen_gap(np.inf, curvature=0.01) < 1e-4 * gaps[-1]


def test_jensen_gap_says_when_the_nodes_are_too_few():
  with pytest.raises(ValueError, match='bandwidth=0.001.*raise num_nodes'):
    synthetic.jensen_gap(0.001)
