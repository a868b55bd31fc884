"""A study: the arms of one config, in blocks of seeds, and its workdir.

    workdir/
      config.json                     what was asked; another config is refused
      <arm>/<stage>/seeds_0-9/        checkpoints of one block
      rows/<arm>.0.jsonl              its rows, written once, at its end
      predictions/<arm>.0.npz         its predictions
      curves/<arm>.0.npz              its learning curves
      rows.jsonl, runs/<run>.json     all rows; how they came about
"""

from collections.abc import Callable
import dataclasses
import fcntl
import functools
import hashlib
from importlib import metadata
import io
import json
import pathlib
import platform
import subprocess
import sys
import time

import jax
import numpy as np

from assay import config as config_lib
from assay import disk, papers, results, train
from assay.errors import UserError
from assay.results import code
from assay.study.blocks import Block
from assay.train import checkpoint

PACKAGES = ('jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'numpy',
            'scikit-learn')


@dataclasses.dataclass
class Study:
  """Which blocks of a config are done, and the rows of those that are.

  Attributes:
    paper: name of the experiment.
    variant: the config's name.
    config: locked ConfigDict with `arms`, `num_seeds`, `seed_varies` and
      `scale`.
    workdir: folder, or None to keep everything in memory.
    num_seeds: seeds 0 .. num_seeds - 1; default `config.num_seeds`.
    only: names of the arms to run; default all.
    seeds_at_once: largest block; default all seeds in one.
    settings: how to train; its `progress` is not used.
    data_dir: where to look for data first.
    progress: called with (arm, seeds, step, num_steps, metrics).
    announce: called with messages for the user.
  """
  paper: str
  variant: str
  config: object
  workdir: str | None = None
  num_seeds: int | None = None
  only: tuple = ()
  seeds_at_once: int | None = None
  settings: train.Settings = train.Settings()
  data_dir: str | None = None
  progress: Callable = lambda *report: None
  announce: Callable = lambda text: None

  def __post_init__(self):
    if self.num_seeds is None:
      self.num_seeds = self.config.num_seeds
    for name in ('num_seeds', 'seeds_at_once'):
      value = getattr(self, name)
      if value is not None and value < 1:
        flag = {'num_seeds': 'seeds'}.get(name, name)
        raise UserError(f'--{flag}={value}; use 1 or more.')
    self._memory = []
    self._started = time.time()
    self.commit = _commit()
    described = json.dumps([self.paper, self.config.to_dict(), self.commit],
                           sort_keys=True)
    self.run = hashlib.sha256(described.encode()).hexdigest()[:8]
    if self.workdir is not None:
      self._open()

  def _open(self):
    """Claims the workdir for this config; every process must see it."""
    self.workdir = pathlib.Path(self.workdir)
    if jax.process_index() == 0:  # it writes, for all
      self._claim()
    _wait_for_first('workdir')
    if not (self.workdir / 'config.json').exists():
      raise UserError(f'--workdir={self.workdir}: process '
                      f'{jax.process_index()} does not see what the first one '
                      'wrote there; use a folder that all hosts share.')

  def _claim(self):
    """Locks the workdir, and writes its config or compares it."""
    try:
      self.workdir.mkdir(parents=True, exist_ok=True)
      self._lock = open(self.workdir / '.lock', 'w')
    except OSError as error:
      raise UserError(f'--workdir={self.workdir}: {error.strerror}; choose a '
                      'folder that can be written.') from error
    try:
      fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
      raise UserError(f'another run is using {self.workdir}; wait for it, or '
                      'choose another --workdir.') from error
    # Not deeper: checkpoints have many files, and none of these.
    for folder in (self.workdir, *self.workdir.glob('*'),
                   *self.workdir.glob('*/*/seeds_*')):
      disk.remove_temporary(folder)
    path = self.workdir / 'config.json'
    mine = {'paper': self.paper, 'variant': self.variant,
            'config': self.config.to_dict()}
    if not path.exists():
      disk.write_json(path, mine)
      return
    theirs = disk.read_json(
        path, {'paper': str, 'variant': str, 'config': dict})
    mine = json.loads(disk.dumps(mine))
    a, b = (config_lib.leaves(each['config'])
            | {k: each[k] for k in ('variant', 'paper')}
            for each in (theirs, mine))
    if a != b:
      differ = ', '.join(f'{k}: {a.get(k)!r} there, {b.get(k)!r} here'
                         for k in sorted(a.keys() | b.keys())
                         if a.get(k) != b.get(k))
      raise UserError(f'{self.workdir} holds another config ({differ}); use '
                      'another --workdir, or the config it holds.')

  def chosen(self, arms):
    """Those of the arms that are asked for, in their order.

    Raises:
      UserError: one that is asked for does not exist.
    """
    for arm in self.only:
      if arm not in arms:
        raise UserError(f'unknown arm {arm!r} of {self.paper}:{self.variant}; '
                        f'use some of {", ".join(arms)}.')
    return [arm for arm in arms if not self.only or arm in self.only]

  def planned(self):
    """(name, arm, swept fields) of each unit of work that is asked for.

    An arm in `config.swept_arms` is run once for each of `config.sweep_values`
    of the field `config.sweep`, all others once. A field keeps its own name,
    `width` where it is `net.width`.
    """
    config = self.config
    field = config.sweep.rpartition('.')[2]
    for arm in self.chosen(config.arms):
      if arm in config.swept_arms:
        for value in config.sweep_values:
          yield f'{arm},{field}={value}', arm, {field: value}
      else:
        yield arm, arm, {}

  def blocks(self, arm, seeds=None):
    """The unfinished blocks of an arm, each a `Block`.

    Args:
      arm: a name; also part of file names.
      seeds: default 0 .. num_seeds - 1.
    """
    seeds = range(self.num_seeds) if seeds is None else seeds
    done = {row['seed'] for row in self.rows_of(arm)}
    block = []
    for seed in seeds:
      if seed in done:
        continue
      # First and last seed name a block, so it must hold all between them.
      if block and (seed != block[-1] + 1 or len(block) == self.seeds_at_once):
        yield Block(self, arm, tuple(block))
        block = []
      block.append(seed)
    if block:
      yield Block(self, arm, tuple(block))

  def rows_of(self, arm):
    """The rows of one arm's finished blocks."""
    if self.workdir is None:
      return [row for name, rows, _ in self._memory for row in rows
              if name == arm]
    return [row for name, _, path in self._row_files() if name == arm
            for row in results.read_rows(path)]

  def predictions_of(self, arm, seeds):
    """What the finished blocks of an arm saved as predictions.

    Args:
      arm: a name.
      seeds: S integers.

    Returns:
      dict of the arrays given to `Block.finish`, those of the seeds asked for,
      [S, ...].

    Raises:
      UserError: a block's file is gone or damaged.
    """
    found = {}
    for arrays in self._saved(arm):
      for i, seed in enumerate(arrays['seeds'].tolist()):
        found[seed] = {k: v[i] for k, v in arrays.items()}
    if missing := set(seeds) - found.keys():
      raise UserError(f'{self.workdir}: no predictions of {arm} for the seeds '
                      f'{sorted(missing)}; remove its rows to compute them '
                      'again.')
    return {k: np.stack([found[seed][k] for seed in seeds])
            for k in found[seeds[0]]}

  def _saved(self, arm):
    """The predictions of each finished block of an arm."""
    if self.workdir is None:
      yield from (arrays['predictions'] for name, _, arrays in self._memory
                  if name == arm)
      return
    for name, first, path in self._row_files():
      if name == arm:
        file = self.workdir / 'predictions' / f'{arm}.{first}.npz'
        if not file.exists():
          raise UserError(f'{file} is gone, and other arms need it; remove '
                          f'{path} to compute it again.')
        try:
          with np.load(file, allow_pickle=False) as arrays:
            found = dict(arrays)
          num_seeds = len(found['seeds'])
          if any(len(array) != num_seeds for array in found.values()):
            raise ValueError('its arrays are of different lengths')
        except Exception as error:  # of many kinds
          raise UserError(
              f'{file} cannot be read ({str(error) or type(error).__name__}); '
              f'remove it and {path} to compute it again.') from error
        yield found

  def _row_files(self):
    """(arm, first seed, path) of each finished block, as the config has them.

    Those that are no arm of the config, as trials are not, come last.
    """
    files, arms = [], list(self.config.arms)
    for path in (self.workdir / 'rows').glob('*.jsonl'):
      arm, first, _ = path.name.rsplit('.', 2)
      files.append((arm, int(first), path))

    def order(file):
      arm = file[0].split(',')[0]  # of a swept arm
      return arms.index(arm) if arm in arms else len(arms), *file

    return sorted(files, key=order)

  def rows(self):
    """All rows so far, with the fields that `results.read` joins."""
    if self.workdir is None:
      rows = [row for _, rows, _ in self._memory for row in rows]
      joined = {k: self.describe()[k] for k in results.JOINED}
      return [row | joined for row in rows]
    rows = [row for *_, path in self._row_files()
            for row in results.read_rows(path)]
    if jax.process_index() == 0:
      results.write(self.workdir / 'rows.jsonl', rows)
    _wait_for_first('rows')
    return results.read([self.workdir])

  def describe(self, **more):
    """How the rows of this run came about: the content of runs/<run>.json."""
    versions = {'python': platform.python_version()}
    for package in PACKAGES:
      versions[package] = metadata.version(package)
    return {
        'run': self.run, 'paper': self.paper, 'config_name': self.variant,
        'config': self.config.to_dict(),
        'command': ' '.join(['python', *sys.orig_argv[1:]]),
        'commit': self.commit, 'code': code.of(papers.ROOT, self.paper),
        'versions': versions,
        'device_kind': jax.devices()[0].device_kind,
        'device_count': jax.device_count(),
        'wall_seconds': round(time.time() - self._started, 1),
        'seed_varies': self.config.seed_varies,
        'planned_seeds': self.config.num_seeds,
        'scale': self.config.scale} | more

  def finish(self, block, rows, arrays, **more):
    """Writes a block's arrays, then its rows, then how they came about."""
    if self.workdir is None:
      self._memory.append((block.arm, rows, arrays))
      return
    if jax.process_index() == 0:
      self._write(block, rows, arrays, more)
    _wait_for_first(block.name)

  def _write(self, block, rows, arrays, more):
    for kind, data in arrays.items():
      _write_npz(self.workdir / kind / f'{block.name}.npz', data)
    checkpoint.stop_here('predictions', 0)
    path = self.workdir / 'runs' / f'{self.run}.json'
    before = disk.read_json(path, {}) if path.exists() else {}
    info = self.describe(**more)
    # A run that was continued took the time of all its parts.
    spent = before.get('spent', {}) | {str(int(self._started)):
                                       info['wall_seconds']}
    disk.write_json(path, info | {
        'spent': spent, 'wall_seconds': round(sum(spent.values()), 1)})
    checkpoint.stop_here('rows', 0)
    results.write(self.workdir / 'rows' / f'{block.name}.jsonl', rows,
                  functools.partial(checkpoint.stop_here, 'renaming', 0))


def replaced(config, fields):
  """The config with some fields replaced, locked.

  Args:
    config: ConfigDict.
    fields: name -> value; `net.width`, or `width` wherever it is.

  Raises:
    UserError: the config has no such field.
  """
  config = config.copy_and_resolve_references()
  for name, value in fields.items():
    group, field = config_lib.place(config, name)
    group[field] = value
  return config.lock()


def load(workdir, method, seed, state=None):
  """See `assay.load`."""
  if state not in (None, 'best', 'last'):
    raise UserError(f'state={state!r}; use best or last.')
  arms = {path.parents[2].name: path.parents[2] for path in
          pathlib.Path(workdir).glob('*/fit/seeds_*/config.json')}
  if method not in arms:
    raise UserError(f'{workdir} has no run of {method!r}; it has '
                    f'{", ".join(sorted(arms)) or "none"}.')
  for path in sorted(arms[method].glob('fit/seeds_*/config.json')):
    info = disk.read_json(
        path, {'paper': str, 'seeds': list, 'config': dict})
    if seed not in info['seeds']:
      continue
    tree = checkpoint.read(path.parent)
    if tree is None:
      raise UserError(f'{path.parent} holds no checkpoint yet; run the same '
                      'command again.')
    found = tree['carry']['state' if state == 'last' else 'best']
    if found is None and state == 'best':
      raise UserError(f'{path.parent} selected no state; use state=last.')
    found = found or tree['carry']['state']
    mine = jax.tree.map(lambda x: x[info['seeds'].index(seed)],
                        {k: found[k] for k in ('params', 'extra')})
    module = papers.load(info['paper'])
    # The arm's name comes before its swept fields.
    apply = module.make_apply(config_lib.restored(info['config']),
                              method.split(',')[0])
    return (lambda params, x: apply(params, mine['extra'], x)), mine['params']
  raise UserError(f'{workdir} has no seed {seed} of {method}; run it with more '
                  '--seeds.')


def _wait_for_first(name):
  """Returns once the first process, which writes for all, has come here."""
  if jax.process_count() > 1:
    from jax.experimental import multihost_utils
    multihost_utils.sync_global_devices(name)


def _write_npz(path, arrays):
  path.parent.mkdir(parents=True, exist_ok=True)
  buffer = io.BytesIO()
  np.savez(buffer, **arrays)
  disk.write_bytes(path, buffer.getvalue())


def _commit():
  """The commit of this checkout, with + if files differ from it."""
  here = pathlib.Path(__file__).parent
  try:
    run = lambda *words: subprocess.run(
        ['git', '-C', str(here), *words], capture_output=True, text=True,
        check=True).stdout.strip()
    dirty = run('status', '--porcelain', '--untracked-files=no',
                '--', ':/lib', ':/experiments', ':/configs')
    return run('rev-parse', 'HEAD') + ('+' if dirty else '')
  except (OSError, subprocess.CalledProcessError):
    return 'unknown'
