"""Two real processes on loopback are one run, whatever becomes of them."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time

import jax
from jax.experimental import multihost_utils
import numpy as np
import pytest

from assay import cli, papers, results, study
from assay.errors import UserError
from assay.train import hosts, sharding

ARM = 'manifold_c_mixup'
STEPS = 96  # six calls, each followed by a save
AGAIN = 'Start the same command on all hosts again'


def free_port():
  with socket.socket() as free:
    free.bind(('127.0.0.1', 0))
    return free.getsockname()[1]


def start(workdir, *flags, index=0, count=1, port=0, stop_at=''):
  """The smoke study as process `index` of `count`, one device each."""
  env = os.environ | {'JAX_NUM_CPU_DEVICES': '1', 'ASSAY_STOP_AT': stop_at}
  if count > 1:
    env |= {'JAX_COORDINATOR_ADDRESS': f'127.0.0.1:{port}',
            'JAX_NUM_PROCESSES': str(count), 'JAX_PROCESS_ID': str(index)}
  return subprocess.Popen(
      [sys.executable, '-m', 'experiments.c_mixup',
       '--config=configs/c_mixup.py:smoke', f'--arms={ARM}',
       f'--config.net.num_epochs={STEPS // 16}', f'--workdir={workdir}',
       '--save_every=0', '--steps_per_call=16', *flags],
      cwd=papers.ROOT, env=env, text=True, stdout=subprocess.PIPE,
      stderr=subprocess.PIPE)


def start_two(workdir, *flags, stop_at=('', '')):
  """Both processes of a run; each has the flags and a place to die."""
  port = free_port()
  return [start(workdir, *flags, index=i, count=2, port=port,
                stop_at=stop_at[i]) for i in (0, 1)]


def ended(processes, timeout=180):
  """(exit status, stdout, stderr) of each; none is left behind."""
  try:
    outs = [process.communicate(timeout=timeout) for process in processes]
    return [(process.returncode, *out)
            for process, out in zip(processes, outs, strict=True)]
  finally:
    for process in processes:
      process.kill()


def values(workdir):
  rows = results.read_rows(workdir / 'rows.jsonl')
  # A run is named after the commit, which says nothing of the numbers.
  return {tuple(sorted((k, v) for k, v in row.items()
                       if k not in ('run', 'value'))): row['value']
          for row in rows}


def assert_same_rows(workdir, want):
  got = values(workdir)
  assert got.keys() == want.keys()
  for key, value in want.items():
    np.testing.assert_allclose(got[key], value, rtol=1e-4, err_msg=str(key))


@pytest.fixture(scope='module')
def one(tmp_path_factory):
  """The rows of one process that nothing interrupts."""
  folder = tmp_path_factory.mktemp('one')
  (status, _, error), = ended([start(folder)])
  assert status == 0, error
  return values(folder)


def test_two_processes_are_one_run_that_survives_them(tmp_path, one):
  folder = tmp_path / ARM / 'fit' / 'seeds_0-1'
  saves = lambda: sorted(int(path.name) for path in folder.iterdir()
                         if path.name.isdecimal())

  # Process 1 dies, then process 0, and JAX's service with it.
  for lost, at in ((1, 48), (0, 64)):
    sites = [f'step:{at}' if i == lost else '' for i in (0, 1)]
    outs = ended(start_two(tmp_path, '--mesh=data:2', stop_at=sites))
    assert outs[lost][0] == -signal.SIGKILL, outs
    status, _, error = outs[1 - lost]
    assert status not in (0, -signal.SIGKILL)
    last = error.strip().splitlines()[-1]
    assert last.startswith('error: ') and AGAIN in last, error
  before = saves()[-1]
  assert 16 < before < 64
  # One process continues what two began.
  (status, *_), = ended([start(tmp_path, stop_at=f'step:{STEPS}')])
  assert status == -signal.SIGKILL
  assert before < saves()[-1] < STEPS
  # Two finish it; started afresh, they would die at the first call.
  first, second = ended(start_two(tmp_path, '--mesh=seed:2',
                                  stop_at=('step:16', 'step:16')))
  assert first[0] == second[0] == 0, (first, second)
  assert not list(folder.glob('unreadable*'))
  assert_same_rows(tmp_path, one)
  # One host writes.
  assert ARM in first[1] and first[1].count('Written: ') == 1
  assert f'{ARM}, seeds 0-1: {STEPS} steps' in first[2]
  assert ARM not in second[1] + second[2]


def test_processes_that_differ_say_in_what(tmp_path):
  port = free_port()
  outs = ended([start(tmp_path, f'--config.net.width={width}', index=i, count=2,
                      port=port) for i, width in enumerate((64, 128))])
  for status, _, error in outs:
    assert status == 2
    assert ('error: the processes of this run differ in config.net.width: '
            '64 in process 0, 128 in process 1') in error


@pytest.mark.parametrize('name,other', [
    ('the file lib/assay/losses.py', {'the file lib/assay/losses.py': '2b'}),
    ('the file lib/assay/more.py', {'the file lib/assay/more.py': '3c'}),
    ('flax', {'flax': '0.1'})])
def test_hosts_with_other_code_say_which_file(name, other, monkeypatch):
  # Both commits end in a plus: the files tell what differs.
  mine = {'the file lib/assay/losses.py': '1a', 'flax': '0.2', 'commit': 'a+'}
  theirs = np.frombuffer(json.dumps(mine | other).encode(), np.uint8)

  def gathered(array):  # as from two processes
    if array.ndim == 0:
      return np.array([array, theirs.size])
    pad = lambda x: np.pad(x, (0, max(array.size, theirs.size) - x.size))
    return np.stack([pad(array), pad(theirs)])

  monkeypatch.setattr(multihost_utils, 'process_allgather', gathered)
  monkeypatch.setattr(jax, 'process_count', lambda: 2)
  monkeypatch.setattr(jax, 'device_count', lambda: 2 * jax.local_device_count())
  with pytest.raises(UserError) as error:
    hosts.agree(mine)
  assert str(error.value) == (
      f'the processes of this run differ in {name}: {mine.get(name, "none")} '
      f'in process 0, {other[name]} in process 1; start the same command, with '
      'the same code and packages, on all hosts.')
  other.clear()
  theirs = np.frombuffer(json.dumps(mine).encode(), np.uint8)
  hosts.agree(mine)


def test_what_hosts_compare_names_all_code():
  # What is compared is what runs, so a new file is compared, too.
  config = papers.configs('c_mixup').get_config('smoke')
  made = study.Study('c_mixup', 'smoke', config)
  told = []
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(hosts, 'agree', told.append)
    cli._agree(made, cli._parser('c_mixup').parse_args([]))
  for name in ('the file lib/assay/train/hosts.py', 'commit', 'jax', 'python',
               'the file experiments/c_mixup.py', 'config.net.width'):
    assert told[0][name]


def test_processes_that_never_meet_say_so():
  script = ('from assay.train import hosts\n'
            'with hosts.together(): hosts.join(patience=2)')
  env = os.environ | {'JAX_COORDINATOR_ADDRESS': f'127.0.0.1:{free_port()}',
                      'JAX_NUM_PROCESSES': '2', 'JAX_PROCESS_ID': '1'}
  done = subprocess.run([sys.executable, '-c', script], env=env, timeout=100,
                        capture_output=True, text=True)
  assert done.returncode != 0
  last = done.stderr.splitlines()[-1]
  for word in ('error: 2 processes did not come together at', 'within 2 s',
               env['JAX_COORDINATOR_ADDRESS'], 'JAX_PROCESS_ID from 0 to 1'):
    assert word in last


@pytest.mark.parametrize('address,count,index,words', [
    ('10.0.0.1', '2', '0', ['JAX_COORDINATOR_ADDRESS=10.0.0.1', 'host:port']),
    ('10.0.0.1:80', None, '0', ['JAX_NUM_PROCESSES=:', '1 or more']),
    ('10.0.0.1:80', 'two', '0', ['JAX_NUM_PROCESSES=two', '1 or more']),
    ('10.0.0.1:80', '0', '0', ['JAX_NUM_PROCESSES=0', '1 or more']),
    ('10.0.0.1:80', '2', None, ['JAX_PROCESS_ID=:', '0 to 1']),
    ('10.0.0.1:80', '2', '2', ['JAX_PROCESS_ID=2', '0 to 1']),
])
def test_a_wrong_environment_is_named(address, count, index, words,
                                      monkeypatch):
  given = {'JAX_COORDINATOR_ADDRESS': address, 'JAX_NUM_PROCESSES': count,
           'JAX_PROCESS_ID': index}
  for name, value in given.items():
    monkeypatch.delenv(name, raising=False)
    if value is not None:
      monkeypatch.setenv(name, value)
  with pytest.raises(UserError) as error:
    hosts.join()
  for word in words:
    assert word in str(error.value)


def test_a_mesh_without_a_device_of_some_process_is_refused(monkeypatch):
  mesh = sharding.make_mesh({'seed': 2})
  monkeypatch.setattr(jax, 'process_count', lambda: 2)  # all devices are of 0
  with pytest.raises(UserError, match='process 1 of 2 .*--mesh=data:4'):
    sharding.make_mesh({'seed': 2})
  with pytest.raises(UserError, match='process 1 of 2 .*--seed_map=vmap'):
    sharding.seed_lanes(mesh)


FAULTS = pytest.mark.skipif(os.environ.get('ASSAY_FAULTS') != '1',
                            reason='minutes: set ASSAY_FAULTS=1')


FORMS = [('--mesh=data:2',), ('--mesh=seed:2',),
         ('--mesh=data:2', '--seed_map=loop')]


@FAULTS
def test_killed_at_any_time_a_run_of_two_ends_right(tmp_path, one,
                                                    record_property):
  rng, slowest = random.Random(0), 0
  for round_ in range(6):
    flags = FORMS[round_ % len(FORMS)]
    lock = tmp_path / '.lock'  # process 0 makes it once the two have met
    lock.unlink(missing_ok=True)
    processes = start_two(tmp_path, *flags)
    while not lock.exists():
      time.sleep(.05)
      assert all(process.poll() is None for process in processes)
    time.sleep(rng.uniform(0, 8))
    processes[rng.randrange(2)].kill()
    started = time.monotonic()
    outs = ended(processes, 120)
    slowest = max(slowest, time.monotonic() - started)
    assert slowest < 75
    if all(status == 0 for status, *_ in outs):
      break  # it was faster
  record_property('measured', f'{round_ + 1} kills; the other process ended '
                  f'within {slowest:.0f} s')
  outs = ended(start_two(tmp_path, *FORMS[-1]))
  assert [status for status, *_ in outs] == [0, 0], outs
  assert_same_rows(tmp_path, one)


@FAULTS
@pytest.mark.parametrize('lost', [0, 1])
def test_a_process_that_hangs_ends_the_others(lost, tmp_path,
                                              record_property):
  processes = start_two(tmp_path, '--config.net.num_epochs=2000')
  try:
    while not list(tmp_path.glob(f'{ARM}/fit/seeds_0-1/[1-9]*')):
      time.sleep(.2)
      assert all(process.poll() is None for process in processes)
    processes[lost].send_signal(signal.SIGSTOP)
    started = time.monotonic()
    _, error = processes[1 - lost].communicate(timeout=200)
    seconds = time.monotonic() - started
    assert seconds < 75
    record_property('measured', f'process {lost} hangs: {seconds:.0f} s')
    assert processes[1 - lost].returncode != 0
    assert AGAIN in error.strip().splitlines()[-1]
  finally:
    for process in processes:
      process.kill()
