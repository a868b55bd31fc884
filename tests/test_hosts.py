"""Two real processes on loopback are one run, whatever becomes of them."""

import argparse
import contextlib
import http.server
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import jax
from jax.experimental import multihost_utils
import kinds
import numpy as np
import pytest

from assay import cli, papers, results, study
from assay.cli import running
from assay.errors import UserError
from assay.train import hosts, launchers, meeting, sharding

ARM = 'manifold_c_mixup'
STEPS = 96  # six calls, each followed by a save
AGAIN = 'Start the same command on all hosts again'


def free_port():
  with socket.socket() as free:
    free.bind(('127.0.0.1', 0))
    return free.getsockname()[1]


def explicit(index, count, port):
  return {'JAX_COORDINATOR_ADDRESS': f'127.0.0.1:{port}',
          'JAX_NUM_PROCESSES': count, 'JAX_PROCESS_ID': index}


def slurm(index, count, port):
  """What SLURM sets in a step of several tasks, as far as it matters."""
  return {'SLURM_JOB_ID': 1234, 'SLURM_STEP_NODELIST': '127.0.0.1,node[07-08]',
          'SLURM_NTASKS': count, 'SLURM_STEP_NUM_TASKS': count,
          'SLURM_PROCID': index, 'SLURM_LOCALID': index,
          'JAX_COORDINATOR_PORT': port}


def open_mpi(index, count, port):
  return {'OMPI_MCA_orte_hnp_uri': '1531576320.0;tcp://127.0.0.1:34911',
          'OMPI_COMM_WORLD_SIZE': count, 'OMPI_COMM_WORLD_RANK': index,
          'OMPI_COMM_WORLD_LOCAL_RANK': index, 'JAX_COORDINATOR_PORT': port}


def tpu_slice(index, count, port):
  """What GKE sets on the hosts of a slice; no TPU library is loaded."""
  return {'TPU_WORKER_HOSTNAMES': ','.join(count * ['127.0.0.1']),
          'TPU_WORKER_ID': index, 'JAX_COORDINATOR_PORT': port,
          # What is not here is asked of the machine.
          'MEGASCALE_COORDINATOR_ADDRESS': '127.0.0.1',
          'MEGASCALE_NUM_SLICES': 1, 'MEGASCALE_SLICE_ID': 0,
          'JAX_FORCE_TPU_INIT': 1, 'TPU_LIBRARY_PATH': sys.executable}


def flags_of(workdir):
  """What asks for the smoke study."""
  return [f'--config={papers.ROOT}/configs/c_mixup.py:smoke', f'--arms={ARM}',
          f'--config.net.num_epochs={STEPS // 16}', f'--workdir={workdir}',
          '--save_every=0', '--steps_per_call=16']


def start(workdir, *flags, index=0, count=1, port=0, stop_at='',
          launcher=explicit):
  """The smoke study as process `index` of `count`, one device each."""
  env = os.environ | {'JAX_NUM_CPU_DEVICES': '1', 'ASSAY_STOP_AT': stop_at}
  if count > 1:
    env |= {k: str(v) for k, v in launcher(index, count, port).items()}
  return subprocess.Popen(
      [sys.executable, '-m', 'experiments.c_mixup', *flags_of(workdir), *flags],
      cwd=papers.ROOT, env=env, text=True, stdout=subprocess.PIPE,
      stderr=subprocess.PIPE)


def start_two(workdir, *flags, stop_at=('', ''), launcher=explicit):
  """Both processes of a run; each has the flags and a place to die."""
  port = free_port()
  return [start(workdir, *flags, index=i, count=2, port=port,
                stop_at=stop_at[i], launcher=launcher) for i in (0, 1)]


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


def assert_same_rows(got, want):
  assert got.keys() == want.keys()
  for key, value in want.items():
    np.testing.assert_allclose(got[key], value, rtol=1e-4, err_msg=str(key))


def here(workdir):
  """The rows of the smoke study, by one process: this one."""
  assert cli.main('c_mixup', flags_of(workdir)) == 0
  return values(workdir)


@pytest.fixture(scope='module')
def one(tmp_path_factory):
  """The rows of one process that nothing interrupts."""
  return here(tmp_path_factory.mktemp('one'))


def test_two_processes_are_one_run_that_survives_them(tmp_path, one):
  """However they are started: by SLURM, then by Open MPI."""
  folder = tmp_path / 'two' / ARM / 'fit' / 'seeds_0-1'
  # Process 0 dies, and JAX's service with it.
  lost, other = ended(start_two(tmp_path / 'two', '--mesh=data:2',
                                stop_at=('step:64', ''), launcher=slurm))
  assert lost[0] == -signal.SIGKILL, lost
  status, _, error = other
  assert status not in (0, -signal.SIGKILL)
  last = error.strip().splitlines()[-1]
  assert last.startswith('error: ') and AGAIN in last, error
  saves = sorted(int(path.name) for path in folder.iterdir()
                 if path.name.isdecimal())
  assert 16 < saves[-1] < 64
  # One process continues what two began.
  shutil.copytree(tmp_path / 'two', tmp_path / 'one')
  assert_same_rows(here(tmp_path / 'one'), one)
  # Two finish it; started afresh, they would die at the first call.
  first, second = ended(start_two(tmp_path / 'two', '--mesh=data:2',
                                  launcher=open_mpi,
                                  stop_at=('step:16', 'step:16')))
  assert first[0] == second[0] == 0, (first, second)
  assert not list(folder.glob('unreadable*'))
  assert_same_rows(values(tmp_path / 'two'), one)
  # One host writes.
  assert ARM in first[1] and first[1].count('Written: ') == 1
  assert f'{ARM}, seeds 0-1: {STEPS} steps' in first[2]
  assert ARM not in second[1] + second[2]


@pytest.mark.parametrize('launcher', [tpu_slice, *kinds.nightly(explicit)])
def test_processes_that_differ_say_in_what(tmp_path, launcher):
  port = free_port()
  outs = ended([start(tmp_path, f'--config.net.width={width}', index=i, count=2,
                      port=port, launcher=launcher)
                for i, width in enumerate((64, 128))])
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
    running._agree(made, argparse.Namespace(seeds=2))
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


# Of shells, scripts and single tasks: (what is set, whether jax is to look).
ALONE = {
    'nothing': {},
    'a shell in an allocation of eight tasks': {
        'SLURM_JOB_ID': 7, 'SLURM_NTASKS': 8, 'SLURM_JOB_NODELIST': 'a[1-8]'},
    'the batch script of eight tasks': {
        'SLURM_JOB_ID': 7, 'SLURM_NTASKS': 8, 'SLURM_PROCID': 0,
        'SLURM_LOCALID': 0, 'SLURM_JOB_NODELIST': 'a[1-8]'},
    'the interactive step of an allocation of eight tasks': slurm(0, 8, 1) | {
        'SLURM_STEP_NUM_TASKS': 1},
    'a step of one task': slurm(0, 1, 1),
    'mpirun -n 1': open_mpi(0, 1, 1),
    'a TPU machine on GKE': tpu_slice(0, 1, 1),
    'a pod of no indexed job': {'KUBERNETES_SERVICE_HOST': '10.0.0.1'},
}


def given(monkeypatch, variables):
  """Leaves a process these variables and none that launchers set."""
  for name in os.environ:
    if name.startswith(('SLURM_', 'OMPI_', 'TPU_', 'MEGASCALE_', 'KUBERNETES_',
                        'JOB_', 'JAX_COORD')):
      monkeypatch.delenv(name)
  monkeypatch.setenv('TPU_SKIP_MDS_QUERY', '1')
  for name, value in variables.items():
    monkeypatch.setenv(name, str(value))


@pytest.mark.parametrize('variables', ALONE.values(), ids=ALONE)
def test_one_process_waits_for_nobody(variables, monkeypatch):
  given(monkeypatch, variables)
  monkeypatch.setattr(jax.distributed, 'initialize', None)
  hosts.join()


def test_a_user_may_say_that_there_is_one_process(monkeypatch):
  monkeypatch.setattr(jax.distributed, 'initialize', None)
  for launcher in (explicit, slurm, open_mpi, tpu_slice):
    given(monkeypatch, launcher(1, 2, 1))
    hosts.join('none')
    if launcher != explicit:
      assert '2' in launchers.find()


@pytest.mark.parametrize('variables,words', [
    ({'OMPI_COMM_WORLD_SIZE': 4}, ['OMPI_COMM_WORLD_SIZE=4', 'Open MPI']),
    ({'KUBERNETES_SERVICE_HOST': '10.0.0.1', 'JOB_COMPLETION_INDEX': 3},
     ['JOB_COMPLETION_INDEX=3', "pip install 'jax[k8s]'"])])
def test_peers_that_cannot_be_found_are_an_error(variables, words, monkeypatch):
  given(monkeypatch, variables)
  with pytest.raises(UserError) as error:
    hosts.join()
  for word in (*words, 'JAX_COORDINATOR_ADDRESS', '--hosts=none'):
    assert word in str(error.value)


@contextlib.contextmanager
def metadata(answers):
  """The address of a machine that says this of itself; None: it is silent."""

  class Handler(http.server.BaseHTTPRequestHandler):

    def do_GET(self):
      assert self.headers['Metadata-Flavor'] == 'Google'
      text = (answers or {}).get(self.path.rpartition('/')[2])
      if answers is None:
        time.sleep(2)
        return
      self.send_response(404 if text is None else 200)
      self.end_headers()
      self.wfile.write((text or '').encode())

    def log_message(self, *args):
      pass

  with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server:
    threading.Thread(target=server.serve_forever).start()
    yield f'127.0.0.1:{server.server_port}'
    server.shutdown()


HOST = 'unused:unused:10.0.0.1'


@pytest.mark.parametrize('answers,count', [
    ({'worker-network-endpoints': HOST}, None),
    ({'worker-network-endpoints': f'{HOST},{HOST},{HOST},{HOST}'}, 4),
    ({'worker-network-endpoints': f'{HOST},{HOST}',
      'tpu-env': "TYPE: 'V5'\nMEGASCALE_NUM_SLICES: '3'\n"}, 6),
    ({}, None), (None, None)])
def test_a_tpu_machine_is_asked_once_and_not_for_long(answers, count,
                                                      monkeypatch):
  given(monkeypatch, {'TPU_LIBRARY_PATH': sys.executable})
  monkeypatch.delenv('TPU_SKIP_MDS_QUERY')
  monkeypatch.setattr(launchers, 'TIMEOUT_SECONDS', 0.3)
  with metadata(answers) as address:
    monkeypatch.setenv('GCE_METADATA_IP', address)
    found = launchers.find()
  assert found == (count and f'the {count} hosts of the TPU slices')


LOST_PEERS = [
    # NCCL, by way of XLA.
    'INTERNAL: NCCL operation ncclAllReduce(send_buffer, recv_buffer, count, '
    'dtype, op, comm, stream) failed: remote process exited or there was a '
    'network error',
    'INTERNAL: nccl_utils.cc:216: NCCL operation async_err failed: remote '
    'process exited or there was a network error',
    'INTERNAL: NCCL operation ncclCommInitRank(&comm, nranks, id, rank) '
    'failed: unhandled system error (run with NCCL_DEBUG=INFO for details)',
    'ncclRemoteError: A call failed possibly due to a network error or a '
    'remote process exiting prematurely.',
    # The coordination service.
    'UNAVAILABLE: The following tasks are unhealthy (stopped sending '
    'heartbeats):\n/job:jax_worker/replica:0/task:1',
    'DEADLINE_EXCEEDED: Barrier timed out. Id: workdir:0. This usually happens '
    'because a task triggered the barrier too early or too slowly.',
    'UNAVAILABLE: Failed to send RPC to coordination service. Either the '
    'leader task was preempted/died/restarted unexpectedly',
    'UNAVAILABLE: /job:jax_worker/replica:0/task:0 heartbeat timeout. This '
    'indicates that the remote task has failed, got preempted, or crashed '
    'unexpectedly.',
    # Gloo, on CPUs.
    'FAILED_PRECONDITION: Gloo AllGather failed: Connection closed by peer']
OWN_FAULTS = [
    'RESOURCE_EXHAUSTED: Out of memory while trying to allocate 8 GiB.',
    'INTERNAL: NCCL operation ncclGroupEnd() failed: unhandled cuda error',
    'INVALID_ARGUMENT: mismatch of 2 and 3']


def said(error, capsys, monkeypatch):
  """What a process that has joined others says where this is raised."""
  def end(status):
    raise SystemExit(status)

  monkeypatch.setattr(hosts, '_joined', {'say': lambda text: None})
  monkeypatch.setattr(os, '_exit', end)
  with pytest.raises(SystemExit), hosts.together():
    raise error
  return capsys.readouterr().err


@pytest.mark.parametrize('text', LOST_PEERS)
def test_a_lost_peer_is_told_in_one_line(text, capsys, monkeypatch):
  for error in (jax.errors.JaxRuntimeError(text), ValueError('while saving')):
    if isinstance(error, ValueError):
      error.__cause__ = RuntimeError(text)
    told = said(error, capsys, monkeypatch)
    assert told.startswith('error: another process of this run was lost')
    assert told.count('\n') == 1 and text.partition('\n')[0] in told
    assert AGAIN in told


@pytest.mark.parametrize('text', OWN_FAULTS)
def test_what_failed_here_is_not_told_as_a_lost_peer(text, capsys, monkeypatch):
  told = said(jax.errors.JaxRuntimeError(text), capsys, monkeypatch)
  assert 'Traceback' in told and 'was lost' not in told


def joining(address, index, patience=2):
  """What a process says that cannot join, by lines."""
  script = ('from assay.train import hosts\n'
            f'with hosts.together(): hosts.join(patience={patience})')
  env = os.environ | {'JAX_COORDINATOR_ADDRESS': address,
                      'JAX_NUM_PROCESSES': '2', 'JAX_PROCESS_ID': str(index)}
  done = subprocess.run([sys.executable, '-c', script], env=env, timeout=200,
                        capture_output=True, text=True)
  assert done.returncode == 2
  return done.stderr.splitlines()


def test_a_port_that_is_taken_is_one_line():
  with socket.socket() as other:
    other.bind(('', 0))
    other.listen()
    address = f'127.0.0.1:{other.getsockname()[1]}'
    lines = joining(address, 0, patience=300)
  assert lines == [f'error: JAX_COORDINATOR_ADDRESS={address}: port '
                   f'{address[10:]} is taken on this machine; choose another, '
                   'the same for all processes.']


@pytest.mark.parametrize('address,index,words', [
    ('no.such.host.invalid:8476', 1, "'no.such.host.invalid' is not known"),
    ('no.such.host.invalid:8476', 0, 'give the name or number of the first'),
    ('127.0.0.1:70000', 0, '70000 is no port; use one of 1 to 65535'),
    ('127.0.0.1:0', 1, '0 is no port')])
def test_a_wrong_address_is_told_at_once(address, index, words):
  began = time.monotonic()
  with pytest.raises(UserError) as error:
    meeting.ready(address, index, 300, 'apart')
  assert words in str(error.value) and address in str(error.value)
  assert time.monotonic() - began < 30


def test_who_waits_for_the_first_process_is_told(monkeypatch, capsys):
  monkeypatch.setattr(meeting, 'SECONDS', .1)
  address = f'127.0.0.1:{free_port()}'
  with pytest.raises(UserError, match=r'^apart \(Nobody .*refused'):
    meeting.ready(address, 1, 1, 'apart')
  said = capsys.readouterr().err
  assert said.startswith(f'Nobody answers at JAX_COORDINATOR_ADDRESS={address}')
  assert said.count('\n') == 1
  # 192.0.2.1 is reserved for examples: no machine has it.
  meeting.ready(f'192.0.2.1:{free_port()}', 0, 1, 'apart')
  assert 'is no address of this machine' in capsys.readouterr().err


def test_the_first_process_may_come_later():
  address = f'127.0.0.1:{free_port()}'
  with socket.socket() as first:
    first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    late = threading.Timer(.5, lambda: (
        first.bind(('127.0.0.1', int(address[10:]))), first.listen()))
    late.start()
    meeting.ready(address, 1, 30, 'apart')
    late.join()
  meeting.ready(address, 0, 30, 'apart')


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
  assert_same_rows(values(tmp_path), one)


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
