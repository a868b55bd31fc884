"""Workdirs in an object store: a real S3 server on loopback, and its faults."""

import collections
import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
import types

import kinds
import numpy as np
import pytest
import store_server
from test_hosts import explicit, free_port
import toy
import toy_study

import assay
from assay import __main__ as door
from assay import cli, disk, papers, results, stores, train
from assay.errors import UserError, plain
from assay.stores import bucket as bucket_lib
from assay.stores import lease as lease_lib
from assay.stores.bucket import ABSENT
from assay.train import distant as fits
from assay.train.distant import Distant

NAMES = itertools.count()


@pytest.fixture(scope='module')
def server():
  with store_server.serving() as made:
    yield made


@pytest.fixture
def url(server):
  """A place that nothing was written to."""
  return f's3://{store_server.BUCKET}/{next(NAMES)}'


@pytest.fixture
def impatient(monkeypatch):
  monkeypatch.setattr(bucket_lib, 'RETRIES', {
      'max_retries': 2, 'initial_delay': '10ms', 'max_delay': '20ms'})


# --- Objects ------------------------------------------------------------------


def test_objects_are_written_on_conditions(url):
  place = stores.Bucket(url)
  assert place.read('a') == (None, ABSENT)
  first = place.write('a', b'1', ABSENT)
  assert place.write('a', b'2', ABSENT) is None
  second = place.write('a', b'3', first)
  assert place.write('a', b'4', first) is None
  assert place.read('a') == (b'3', second)
  assert place.read('a', second) == (None, second)
  place.write_all({'b/c': b'', 'b/d': b'5', 'bc': b''})
  assert place.names() == ['a', 'b/c', 'b/d', 'bc']
  assert place.names('b/') == ['b/c', 'b/d']
  place.remove(['a', 'b/c', 'gone'])
  assert place.read_all(['a', 'b/d']).keys() == {'b/d'}


@pytest.mark.parametrize('text', ['s3://', 's3:///x', 'ftp://a/b', 's3://a b/c',
                                  'S3://abc/x', 'file:///x', '://'])
def test_other_places_are_refused(text):
  with pytest.raises(UserError, match='write s3://BUCKET/FOLDER'):
    stores.path(text)


def refused(call, *words):
  """Asserts that a call fails with one line that has these words."""
  with pytest.raises(UserError) as raised:
    call()
  assert '\n' not in str(raised.value)
  for word in words:
    assert word in str(raised.value)


def test_a_store_that_refuses_is_told_in_a_line(server, url, impatient):
  place = stores.Bucket(url)
  refused(lambda: stores.Bucket('s3://no-such-bucket/x').names(),
          's3://no-such-bucket/x: there is no such bucket')
  for status, words in [
      (403, 'AWS_ACCESS_KEY_ID'), (500, 'status 500, 3 tries'),
      ('drop', 'does not answer'), (501, 'cannot do')]:
    with server.fails(lambda *asked, status=status: status):
      for call in (lambda: place.write('a', b'1'), lambda: place.read('a'),
                   place.names, lambda: place.remove(['a'])):
        refused(call, url, words)
  assert place.names() == []


def test_what_is_dropped_at_times_is_asked_again(server, url, monkeypatch):
  monkeypatch.setattr(bucket_lib, 'RETRIES', {
      'max_retries': 40, 'initial_delay': '10ms', 'max_delay': '20ms'})
  tries = collections.Counter()

  def twice(*asked):
    tries[asked] += 1
    # It is written, and who wrote it does not hear of it.
    return (None, 500, 'drop', 'lose')[tries[asked] % 4]

  with server.fails(twice):
    place = stores.Bucket(url)
    place.write_all({str(i): b'x' * i for i in range(20)})
    assert len(place.read_all(place.names())) == 20
    lease = stores.Lease(place, 'lease', '/')
    lease.release()


def test_no_credentials_are_told_in_a_line(server, url, impatient, monkeypatch):
  monkeypatch.delenv('AWS_ACCESS_KEY_ID')
  with server.fails(lambda *asked: 403):  # as S3 answers who has none
    refused(lambda: stores.Bucket(url).names(), 'AWS_SECRET_ACCESS_KEY')


# --- Leases -------------------------------------------------------------------


@pytest.fixture
def fast(monkeypatch):
  monkeypatch.setattr(lease_lib, 'EVERY', .1)


def test_a_second_holder_is_refused_by_name(url, tmp_path, fast):
  place = stores.Bucket(url)
  first = stores.Lease(place, 'lease', tmp_path)
  with pytest.raises(stores.Held, match=f'process {os.getpid()} on '):
    stores.Lease(place, 'lease', '/')
  first.release()
  stores.Lease(place, 'lease', '/').release()


def test_a_dead_holder_holds_nothing_for_long(url, tmp_path, fast):
  place = stores.Bucket(url)
  dead = stores.Lease(place, 'lease', tmp_path)
  dead._ended.set()  # it renews no longer, and has not let go
  began = time.monotonic()
  living = stores.Lease(place, 'lease', '/')
  assert time.monotonic() - began >= lease_lib.DEAD * lease_lib.EVERY
  # It was asleep: what it writes from now on is refused.
  dead._ended.clear()
  time.sleep(3 * lease_lib.EVERY)
  with pytest.raises(UserError, match='has taken over'):
    dead.check()
  living.check()
  dead.release()  # changes nothing
  with pytest.raises(stores.Held):
    stores.Lease(place, 'lease', tmp_path / '..')
  living.release()


def test_on_the_same_machine_a_dead_holder_holds_nothing(url, tmp_path):
  place = stores.Bucket(url)
  stores.Lease(place, 'lease', tmp_path)._ended.set()
  began = time.monotonic()
  stores.Lease(place, 'lease', tmp_path).release()
  assert time.monotonic() - began < lease_lib.EVERY


def test_a_lease_outlasts_a_store_that_is_away(server, url, tmp_path, fast,
                                               impatient):
  lease = stores.Lease(stores.Bucket(url), 'lease', tmp_path)
  with server.fails(lambda *asked: 500):
    time.sleep(1)
    refused(lease.check, 'does not answer')
  lease.check()
  lease.release()


def test_a_store_without_conditions_is_refused(url, tmp_path, monkeypatch):
  place = stores.Bucket(url)
  monkeypatch.setattr(place, 'write', lambda name, data, seen=None:
                      stores.Bucket.write(place, name, data))
  refused(lambda: stores.Lease(place, 'lease', tmp_path),
          'does not write on a condition')


# --- Mirrors ------------------------------------------------------------------


def held(url):
  made = stores.Mirror(url)
  made.hold()
  return made


def test_a_mirror_is_made_anew_from_the_store(url):
  one = held(url)
  disk.write_bytes(one.folder / 'rows' / 'erm.0.jsonl', b'1')
  disk.write_bytes(one.folder / 'config.json', b'{}')
  (one.folder / 'rows' / 'made_by_hand.jsonl').write_bytes(b'2')
  one.close()
  place = stores.Bucket(url)
  assert [name for name in place.names() if name != '.lease'] == [
      'config.json', 'rows/erm.0.jsonl']
  place.write('rows/erm.1.jsonl', b'3')
  place.write_all({'rows/../../x': b'', '.pending/x': b'', 'rows//y': b''})
  place.remove(['rows/erm.0.jsonl'])
  two = held(url)
  assert {path.name for path in two.folder.glob('*/*')} == {'erm.1.jsonl'}
  with pytest.raises(stores.Held, match=f'process {os.getpid()} on .*, on'):
    stores.Mirror(url)
  two.close()
  assert not list(two.folder.glob('[!.]*'))


def test_what_could_not_be_put_is_put_by_the_next_run(server, url, impatient):
  one = held(url)
  files = {name: one.folder / name for name in ('config.json', 'code.json')}
  disk.write_bytes(files['config.json'], b'1')
  with server.fails(lambda *asked: 500):
    for i in range(2):
      refused(lambda i=i: disk.write_bytes(files['config.json'], b'2%d' % i),
              'does not answer')
      refused(lambda: disk.write_bytes(files['code.json'], b'3'))
    one.close()
  two = held(url)
  assert files['config.json'].read_bytes() == b'21'
  assert files['code.json'].read_bytes() == b'3'
  # Another run was there since: what it wrote stays.
  with server.fails(lambda *asked: 500):
    refused(lambda: disk.write_bytes(files['code.json'], b'4'))
    two.close()
  place = stores.Bucket(url)
  place.write('code.json', b'5')
  three = held(url)
  assert files['code.json'].read_bytes() == b'5'
  # The workdir was removed: it does not come back.
  with server.fails(lambda *asked: 500):
    refused(lambda: disk.write_bytes(files['code.json'], b'6'))
    three.close()
  place.remove(place.names())
  held(url).close()
  assert place.names() == ['.lease']


def test_a_save_is_whole_or_not_there(server, url, impatient):
  one, name = held(url), 'erm/fit/seeds_0-9'
  disk.write_bytes(one.folder / 'config.json', b'{}')
  saves = one.folder / name
  for step in (10, 20):
    (saves / f'{step}/d').mkdir(parents=True)
    (saves / f'{step}/d/array').write_bytes(b'x' * step)
  one.put_saves(saves)
  shutil.rmtree(saves / '10')
  (saves / '30').mkdir()
  (saves / '30/array').write_bytes(b'30')
  with server.fails(lambda method, path: 500 if path.endswith('.whole')
                    and method == 'PUT' else None):
    refused(lambda: one.put_saves(saves), 'does not answer')
  # Elsewhere it is not seen, and here it is put again.
  other = stores.Mirror.to_read(url, ())
  other.get_saves(other.folder / name)
  assert sorted(p.name for p in (other.folder / name).iterdir()) == ['10', '20']
  one.close()
  one = held(url)
  # Before it is read it is seen that there is one.
  assert sorted(p.name for p in saves.iterdir()) == ['20', '30']
  assert not list(saves.glob('*/*'))
  one.get_saves(saves)
  assert (saves / '20/d/array').read_bytes() == b'x' * 20
  one.put_saves(saves)
  assert {n.split('/')[3] for n in one.bucket.names(f'{name}/')} == {'20', '30'}
  one.close()


# --- Runs ---------------------------------------------------------------------


def start(url, *words, **env):
  """The toy's study in a process of its own."""
  return subprocess.Popen(
      [sys.executable, 'tests/toy_study.py', url, *words],
      cwd=papers.ROOT, text=True, stdout=subprocess.PIPE,
      stderr=subprocess.PIPE, env=os.environ | env)


def end(process, status):
  """Waits for a process; returns what it said of errors, no traceback."""
  _, text = process.communicate(timeout=240)
  assert process.returncode == status, text
  assert 'Traceback' not in text
  return text


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  """(rows, folder) of an uninterrupted run in a local workdir."""
  folder = tmp_path_factory.mktemp('whole')
  return toy_study.run(toy_study.study(folder)), folder


def assert_same(url, rows, whole):
  """Rows, predictions and curves in the store are those of a local workdir."""
  assert rows == whole[0] == results.read([url])
  place = stores.Bucket(url)
  for path in whole[1].glob('*/*.npz'):
    assert place.read(f'{path.parent.name}/{path.name}'
                      )[0] == path.read_bytes()
  assert not [name for name in place.names() if 'tmp' in name]


@pytest.mark.parametrize('sites', [
    ('renaming:0',), *kinds.nightly((('after_save:12', 'renaming:0'),))])
def test_killed_and_continued_is_the_same(sites, url, whole, monkeypatch,
                                          tmp_path):
  # Killed in its saves, at its rows, and asked to stop: each goes on from the
  # one before.
  for site in sites:
    assert not end(start(url, ASSAY_STOP_AT=site), -signal.SIGKILL)
    assert results.files.blocks(stores.copied(url, 'rows/*') / 'rows') == []
  process = start(url, 'wait')
  # All saves of the first arm were there: that one is not trained again.
  assert process.stdout.readline() == 'other 6\n'
  with pytest.raises(UserError, match=f'is using s3://.*process {process.pid} '
                     'on .*, on this machine'):
    told(lambda: toy_study.study(url))
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))  # as on another machine
  with pytest.raises(UserError, match=f'{url} .process {process.pid} on'):
    told(lambda: toy_study.study(url))
  process.terminate()
  end(process, 143)
  made = toy_study.study(url)
  calls = []
  made.progress = lambda *report: calls.append(report[2])
  assert_same(url, toy_study.run(made), whole)
  assert calls == [12, 18]


def start_two(url, stop_at=''):
  """Two processes of one run; the second has a place to die."""
  port = free_port()
  return [start(url, ASSAY_STOP_AT=stop_at * i, JAX_NUM_CPU_DEVICES='1', **{
      k: str(v) for k, v in explicit(i, 2, port).items()}) for i in (0, 1)]


def test_several_hosts_are_one_run(url, whole):
  first, second = start_two(url, 'step:18')
  end(second, -signal.SIGKILL)
  assert 'another process of this run was lost' in end(first, 2)
  # Both go on from what the first has put there.
  for process in start_two(url):
    said, error = process.communicate(timeout=240)
    assert process.returncode == 0, error
    assert 'erm 6\n' not in said and 'other 18\n' in said
  rows = results.read([url])
  assert len(rows) == len(whole[0])
  for row, want in zip(rows, whole[0], strict=True):
    assert row | {'value': 0} == want | {'value': 0}
    np.testing.assert_allclose(row['value'], want['value'], rtol=1e-5)


def told(call):
  """Calls; a UserError of it as the command line tells it."""
  try:
    return call()
  except UserError as error:
    raise UserError(plain(error)) from error


def test_a_store_that_fails_ends_a_run_that_loses_nothing(
    server, url, whole, impatient, monkeypatch):
  failing = lambda method, path: 500 if method == 'PUT' and (
      '/rows/' in path or '/12/' in path) else None
  made, calls = toy_study.study(url), []
  with server.fails(failing):
    refused(lambda: toy_study.run(made), 'does not answer')
  made._kept.release()
  made = toy_study.study(url, progress=lambda *report: calls.append(report[2]))
  assert_same(url, toy_study.run(made), whole)
  # Step 12 was here and not there when the first one ended.
  assert calls[:1] == [18]
  monkeypatch.setattr(papers, 'load', lambda paper: types.SimpleNamespace(
      make_apply=lambda config, arm: lambda params, extra, x: toy.predict(
          params, x)))
  x = np.ones((2, toy.DIMS), np.float32)
  (apply, params), (like, others) = (
      assay.load(workdir, 'erm', 1) for workdir in (url, whole[1]))
  np.testing.assert_array_equal(apply(params, x), like(others, x))


def test_what_a_store_holds_is_read_as_a_folder_is(url, capsys, tmp_path):
  folder = papers.ROOT / 'results' / 'icl_uncertainty'
  with stores.written(url) as made:
    shutil.copytree(folder, made, dirs_exist_ok=True)
  for words in (['results'], ['claims'], ['results', '--format=markdown']):
    texts = []
    for path in (str(folder), url, f'{url}/small.jsonl'):
      assert door.main([words[0], path, *words[1:]]) == 0
      texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] == texts[2] != ''
  assert door.main(['compare', url, str(folder)]) == 0
  assert f'A: {url}' in capsys.readouterr().out
  assert door.main(['results', f'{url}/none']) == 2
  assert capsys.readouterr().err == (
      f'error: {url}/none: no rows there; give a workdir, a folder '
      'results/<paper> or a .jsonl file.\n')


def test_what_is_written_one_by_one_is_not_written_to_stores(
    url, monkeypatch, capsys):
  monkeypatch.chdir(papers.ROOT)
  for flag in ('--tensorboard', '--profile=1:2'):
    assert cli.main('c_mixup', ['--config=configs/c_mixup.py:smoke', flag,
                                f'--workdir={url}']) == 2
    assert 'give a folder' in capsys.readouterr().err


# --- Kept fits ----------------------------------------------------------------


def ask(store, seeds=(0, 1), **fields):
  """(Fitted, what was told, the steps of calls) of the toy."""
  said, calls = [], []
  return toy.fit(seeds, settings=train.Settings(
      fits=store, announce=said.append, steps_per_call=18,
      progress=lambda step, *more: calls.append(step), **fields)), said, calls


def distant(url, folder):
  fits._AWAY.clear()  # as a process of its own
  return Distant(url, folder)


def test_fits_are_shared_by_all_machines(url, tmp_path, capsys, monkeypatch):
  mine, *_ = ask(distant(url, tmp_path / 'a'))
  store = distant(url, tmp_path / 'b')
  theirs, said, calls = ask(store)
  assert theirs.taken == (0, 1) and not calls and not said
  toy.assert_same_bits((theirs.state.params, theirs.best, theirs.curves),
                       (mine.state.params, mine.best, mine.curves))
  # The same from the copy that was made of it, without the arrays.
  place = stores.Bucket(url)
  gone, = (n for n in place.names(f'{mine.keys[1]}/') if n.endswith('.npz'))
  arrays = place.read(gone)[0]
  place.remove([gone])
  assert ask(store)[0].taken == (0, 1)
  monkeypatch.setenv('ASSAY_FITS', url)
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  assert door.main(['fits', 'verify']) == 1
  assert f'{url}/{mine.keys[1]}: ' in capsys.readouterr().out
  place.write(gone, arrays[:-100] + bytes(100))
  again, said, calls = ask(distant(url, tmp_path / 'c'))
  assert calls and 'cannot be used' in said[0]
  toy.assert_same_bits(again.state.params, mine.state.params)
  assert door.main(['fits', 'verify']) == 0
  assert door.main(['fits', 'list']) == 0
  assert '2 fits' in capsys.readouterr().out
  assert door.main(['fits', 'prune', mine.keys[0]]) == 0
  assert {n.partition('/')[0] for n in place.names()} == {mine.keys[1]}
  _, _, calls = ask(store)  # the copy counts no longer
  assert calls


def test_a_store_of_fits_that_fails_stops_nobody(server, url, tmp_path,
                                                 impatient):
  store = distant(url, tmp_path / 'a')
  with server.fails(lambda *asked: 500):
    fitted, said, calls = ask(store)
  assert calls and fitted.keys
  assert 'cannot be used' in said[0] and 'not kept' in said[-1]
  assert all('does not answer' in text for text in said)
  with server.fails(lambda *asked: 403):
    assert ask(distant(url, tmp_path / 'b'))[2]
  store = distant(url, tmp_path / 'c')
  assert store.keys() == []


def test_who_asks_for_the_same_waits(url, tmp_path, fast):
  key, waits = 'made-up', []
  a, b = (distant(url, tmp_path / name) for name in 'ab')

  def waiting():
    waits.append(True)
    if len(waits) == 2:
      held.close()

  with contextlib.ExitStack() as held:
    held.enter_context(a.locked([key]))
    with pytest.raises(BlockingIOError), b.locked([key], patient=False):
      pass
    with b.locked([key], waiting):
      assert len(waits) == 2
  assert stores.Bucket(url).names() == []
