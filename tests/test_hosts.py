"""Two real processes on loopback are one run."""

import json
import os
import socket
import subprocess
import sys

import numpy as np

from assay import papers


def start(workdir, index=0, count=1, port=0):
  """The smoke study as process `index` of `count`, one device each."""
  env = os.environ | {'JAX_NUM_CPU_DEVICES': '1'}
  if count > 1:
    env |= {'JAX_COORDINATOR_ADDRESS': f'127.0.0.1:{port}',
            'JAX_NUM_PROCESSES': str(count), 'JAX_PROCESS_ID': str(index)}
  return subprocess.Popen(
      [sys.executable, '-m', 'experiments.c_mixup',
       '--config=configs/c_mixup.py:smoke', f'--workdir={workdir}',
       '--save_every=0', '--steps_per_call=16'],
      cwd=papers.ROOT, env=env, text=True, stdout=subprocess.PIPE,
      stderr=subprocess.PIPE)


def values(workdir):
  rows = map(json.loads, (workdir / 'rows.jsonl').read_text().splitlines())
  return {tuple(sorted((k, v) for k, v in row.items() if k != 'value')):
          row['value'] for row in rows}


def test_two_processes_make_the_rows_of_one(tmp_path):
  with socket.socket() as free:
    free.bind(('127.0.0.1', 0))
    port = free.getsockname()[1]
  processes = [start(tmp_path / 'two', i, 2, port) for i in (0, 1)]
  processes.append(start(tmp_path / 'one'))
  outs = [process.communicate(timeout=240) for process in processes]
  assert [process.returncode for process in processes] == [0, 0, 0], outs
  assert outs[0][0].count('manifold_c_mixup') == 1  # one host writes
  assert outs[1][0].count('manifold_c_mixup') == 0
  one, two = values(tmp_path / 'one'), values(tmp_path / 'two')
  assert one.keys() == two.keys()
  for key, value in one.items():
    np.testing.assert_allclose(two[key], value, rtol=1e-4, err_msg=str(key))
