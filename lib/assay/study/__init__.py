"""A study: the arms of one config, in blocks of seeds; see `workdir`."""

from collections.abc import Callable
import dataclasses
import hashlib
import json
import os
import pathlib
import platform
import shlex
import subprocess
import sys
import time

import jax
import numpy as np

from assay import config as config_lib
from assay import disk, papers, results, stores, train
from assay.errors import UserError, check_names
from assay.results import code, files
from assay.study import origin
from assay.study.blocks import FOLDER, Block
from assay.study.workdir import Memory, Workdir
from assay.train import checkpoint, fits, naming, sharding, whose

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
    settings: how to train; its `progress`, `label` and `announce` are not
      used; its `fits` are by default those that `$ASSAY_FITS` names.
    data_dir: where to look for data first.
    progress: called with (arm, seeds, step, num_steps, metrics).
    announce: called with messages for the user.
    fits: arm -> keys of the kept fits that its rows stand on.
    sources: file -> digest of the code that runs, see `results.code`.
    taken, asked: seeds that were read from kept fits, and all asked for.
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
        raise UserError(f'{name}={value}; use 1 or more.')
    if self.settings.fits is None:
      self.settings = dataclasses.replace(self.settings,
                                          fits=fits.default_store())
    self.fits, self.taken, self.asked = {}, 0, 0
    self.started = time.time()
    self.commit = _commit()
    self.code = code.of(papers.ROOT, self.paper)
    self.sources = code.sources(papers.ROOT, self.paper)
    self._states = [origin.state(self.commit, self.sources)]
    # What computes, not the commit: rows of two that differ elsewhere, as in
    # another paper, a page or this paper's claims, can be compared.
    named = [self.paper, self.config.to_dict(), {
        file: digest for file, digest in self.sources.items()
        if not file.startswith('configs/')}]
    self.run = hashlib.sha256(
        json.dumps(named, sort_keys=True).encode()).hexdigest()[:8]
    if self.workdir is None:
      self._kept = Memory()
    else:
      self._kept = Workdir(self.workdir, self.paper, self.variant, self.config)
      self.workdir = self._kept.folder

  def chosen(self, arms):
    """Those of the arms that are asked for, in their order.

    Raises:
      UserError: one that is asked for does not exist.
    """
    check_names(f'only, {self.paper}:{self.variant}', self.only, arms, 'arm')
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

    Raises:
      Interrupted: before one, see `stop_if_asked`.
    """
    for block in self.unfinished(arm, seeds):
      self.stop_if_asked(f'stopped before {arm}')
      yield Block(self, arm, block)

  def unfinished(self, arm, seeds=None):
    """The seeds of each of the `blocks` of an arm, as tuples.

    Raises:
      UserError: the name cannot be that of a file of rows.
    """
    if not files.names_a_block(arm):
      raise UserError(f'{arm!r} names no file of rows: leave spaces, slashes '
                      'and parentheses out of arms and swept values.')
    seeds = range(self.num_seeds) if seeds is None else seeds
    done = {row['seed'] for row in self.rows_of(arm)}
    block = ()
    for seed in seeds:
      if seed in done:
        continue
      # First and last seed name a block, so it must hold all between them.
      if block and (seed != block[-1] + 1 or len(block) == self.seeds_at_once):
        yield block
        block = ()
      block += (seed,)
    if block:
      yield block

  def stop_if_asked(self, where):
    """Called between blocks, by every process of a run.

    Args:
      where: what is said of it.

    Raises:
      Interrupted: `settings.stopping()` said so.
    """
    if sharding.on_any_host(self.settings.stopping())[0]:
      raise checkpoint.Interrupted(where)

  def asks_for(self, row):
    """Whether a row is of the seeds and arms that this run was asked for."""
    seeds, arm = self.config.get('tuning_seeds', ()), row['method']
    return (row['seed'] < self.num_seeds or row['seed'] in seeds) and (
        not self.only or arm in self.only or arm not in self.config.arms)

  def claim(self):
    """Called before anything is written, once all has been checked."""
    if self.workdir is not None and self._kept.claim() and (
        jax.process_index() == 0):
      self._states, text = origin.note(self.workdir, self.commit, self.sources)
      if text:
        self.announce(text)

  def rows_of(self, arm):
    """The rows of one arm's finished blocks."""
    return self._kept.rows_of(arm)

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
    for arrays in self._kept.predictions_of(arm):
      for i, seed in enumerate(arrays['seeds'].tolist()):
        found[seed] = {k: v[i] for k, v in arrays.items()}
    if missing := set(seeds) - found.keys():
      raise UserError(f'{self.workdir}: no predictions of {arm} for the seeds '
                      f'{sorted(missing)}; remove its rows to compute them '
                      'again.')
    return {k: np.stack([found[seed][k] for seed in seeds])
            for k in found[seeds[0]]}

  def rows(self):
    """All rows so far, with the fields that `results.read` joins."""
    return self._kept.rows({k: self.describe()[k] for k in results.JOINED})

  def describe(self, **more):
    """How the rows of this run came about: the content of runs/<run>.json."""
    return {
        'run': self.run, 'paper': self.paper, 'config_name': self.variant,
        'config': self.config.to_dict(),
        'command': command(sys.orig_argv[1:]),
        'commit': self.commit, 'code': self.code, 'made_with': self._states,
        'versions': versions(),
        'device_kind': jax.devices()[0].device_kind,
        'device_count': jax.device_count(),
        'wall_seconds': round(time.time() - self.started, 1),
        'fits': self.fits, 'seed_varies': self.config.seed_varies,
        'planned_seeds': self.config.num_seeds,
        'scale': self.config.scale} | more

  def stand_on(self, arm, fitted):
    """Notes the kept fits that the rows of an arm stand on."""
    self.taken += len(fitted.taken)
    self.asked += len(fitted.state.step)
    known = self.fits.setdefault(arm, []) if fitted.keys else []
    known += [key for key in fitted.keys if key not in known]

  def finish(self, block, rows, arrays, **more):
    """Writes a block's arrays, then its rows, then how they came about."""
    self.claim()
    self._kept.write(block, rows, arrays, self.describe(**more))


def versions():
  """{'python' or a package: its version} of what rows depend on."""
  return {'python': platform.python_version()} | {
      package: naming.version(package) for package in PACKAGES}


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
  workdir = stores.copied(workdir, '*/fit/seeds_*/*.json')
  found = [path for path in sorted(workdir.glob(
      '*/fit/seeds_*/config.json')) if FOLDER.fullmatch(path.parent.name)]
  arms = sorted({path.parents[2].name for path in found})
  if method not in arms:
    raise UserError(f'{workdir} has no run of {method!r}; it has '
                    f'{", ".join(arms) or "none"}.')
  for path in found:
    first, last = map(int, FOLDER.fullmatch(path.parent.name).groups())
    if path.parents[2].name != method or not first <= seed <= last:
      continue
    info = disk.read_json(
        path, {'paper': str, 'seeds': list, 'config': dict})
    here = {'arm': method, 'stage': 'fit'}
    ends = [*info['seeds'][:1], *info['seeds'][-1:], len(info['seeds'])]
    whose.check(path, info | {'ends': ends},
                here | {'ends': [first, last, last + 1 - first]})
    mine = fits.load(path.parent, seed - first, info | here, state)
    module = papers.load(info['paper'])
    # The arm's name comes before its swept fields.
    apply = module.make_apply(config_lib.restored(info['config']),
                              method.split(',')[0])
    return (lambda params, x: apply(params, mine['extra'], x)), mine['params']
  raise UserError(f'{workdir} has no seed {seed} of {method}; run it with more '
                  '--seeds.')


def command(words):
  """A command as others can give it, from Python's words for this one.

  Quoted for a shell, and without folders of this machine: where data and
  results lie changes no number.
  """
  told, words = ['python'], iter(words)
  for word in words:
    if word in ('--workdir', '--data_dir'):
      next(words, '')
    elif not word.startswith(('--workdir=', '--data_dir=')):
      told.append(_placeless(word))
  return shlex.join(told)


def _placeless(word):
  """A word, or `flag=value`, with a path from the clone's root or a name."""
  flag, given, value = word.rpartition('=')
  path = pathlib.Path(value)
  if path.is_absolute():
    value = path.relative_to(papers.ROOT) if path.is_relative_to(
        papers.ROOT) else path.name
  return f'{flag}{given}{value}'


def _commit():
  """What `$ASSAY_COMMIT` says, of a copy that has another history or none.

  Else the commit of this checkout, with + if files differ from it.
  """
  if os.environ.get('ASSAY_COMMIT'):
    return os.environ['ASSAY_COMMIT']
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
