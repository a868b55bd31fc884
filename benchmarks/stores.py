"""What a workdir in an object store costs beside one in a folder.

  python -m benchmarks.stores [--quick] [--json=FILE] [--into=FILE]

The store is moto's S3 server, a process of its own on this machine, so what is
measured is what Assay, TensorStore and that server do, without a network: add
its round trips, and the bytes over its bandwidth.
"""

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import jax.numpy as jnp
import numpy as np

from assay import disk, stores
from assay.train import checkpoint
from benchmarks import measuring

MEGABYTES = 1, 13, 60
PLACES = 'a folder', 'a store'
ARRAYS = 20  # of a state


@contextlib.contextmanager
def _server():
  """A store in a process of its own, found by the environment."""
  with subprocess.Popen(
      [sys.executable, str(measuring.ROOT / 'tests' / 'store_server.py')],
      stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
    try:
      env = dict(line.strip().split('=', 1) for line in
                 iter(process.stdout.readline, '\n'))
      os.environ.update(env)
      yield
    finally:
      process.stdin.close()  # it ends


def saves(report, quick):
  """A save and a resume of states of several sizes, and files of rows."""
  repeats = 2 if quick else 3
  with _server(), tempfile.TemporaryDirectory() as folder:
    os.environ['XDG_CACHE_HOME'] = f'{folder}/cache'
    for size in MEGABYTES[:1] if quick else MEGABYTES:
      key = np.random.default_rng(0)
      tree = {'carry': [jnp.asarray(key.normal(
          size=(size * 250_000 // ARRAYS,)).astype(np.float32))
                        for _ in range(ARRAYS)]}
      times = {}

      def timed(what, call, times=times):
        start = time.perf_counter()
        found = call()
        times.setdefault(what, []).append(time.perf_counter() - start)
        return found

      for i in range(repeats):
        for where, place in zip(PLACES, (
            pathlib.Path(folder, f'{size}-{i}'), f's3://assay/{size}-{i}'),
                                strict=True):
          with _opened(place) as here:
            _save(here, tree, where, timed)
          timed(f'resume from {where}',
                lambda place=place: _resume(place, tree))
      for what, values in times.items():
        report(f'{size} MB: {what}', 'ms', [1e3 * v for v in values])
      for what in ('a save into', 'resume from'):
        local, distant = (np.array(times[f'{what} {place}'])
                          for place in PLACES)
        report(f'{size} MB: {what} a store / a folder', '', distant / local)
    for where, place in zip(PLACES, (pathlib.Path(folder, 'rows'),
                                     's3://assay/rows'), strict=True):
      with _opened(place) as here:
        values = []
        for i in range(10 * repeats):
          start = time.perf_counter()
          disk.write_bytes(here / 'rows' / f'erm.{i}.jsonl', bytes(10**5))
          values.append(1e3 * (time.perf_counter() - start))
      report(f'a file of 0.1 MB put into {where}', 'ms', values)


@contextlib.contextmanager
def _opened(place):
  """The folder that a run works in."""
  if not stores.is_url(place):
    place.mkdir(exist_ok=True)
    yield place
    return
  mirror = stores.Mirror(place)
  try:
    mirror.hold()
    yield mirror.folder
  finally:
    mirror.close()


def _save(here, tree, where, timed):
  folder = here / 'erm/fit/seeds_0-0'
  manager = checkpoint.open_manager(folder)
  checkpoint.save(manager, 1, tree)  # compiles
  manager.close()
  manager = checkpoint.open_manager(folder)

  def whole():
    timed(f'training waits for a save into {where}',
          lambda: checkpoint.save(manager, 2, tree))
    manager.close()

  timed(f'a save into {where}', whole)


def _resume(place, tree):
  with _opened(place) as here:
    manager = checkpoint.open_manager(here / 'erm/fit/seeds_0-0')
    step, _ = checkpoint.restore(manager, tree)
    assert step == 2
    manager.close()


MEASURES = {'saves': saves}


if __name__ == '__main__':
  sys.exit(measuring.main(
      sys.argv[1:], 'stores', 'Measures what an object store costs beside a '
      'folder; a minute on two cores.', MEASURES))
