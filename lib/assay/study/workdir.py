"""What a study leaves: files in its workdir, or the same in memory.

    workdir/
      config.json                     what was asked; another config is refused
      <arm>/<stage>/seeds_0-9/        checkpoints of one block
      rows/<arm>.0.jsonl              its rows, written once, at its end
      predictions/<arm>.0.npz         its predictions
      curves/<arm>.0.npz              its learning curves
      rows.jsonl, runs/<run>.json     all rows; how they came about

One in an object store is worked on in a folder here, see `stores.mirror`.
"""

import functools
import io
import json
import pathlib
import weakref

import jax
import numpy as np

from assay import config as config_lib
from assay import disk, results, stores
from assay.errors import UserError
from assay.train import checkpoint, whose


class Memory:
  """The blocks of a study without a workdir."""

  def __init__(self):
    self._blocks = []

  def rows_of(self, arm):
    return [row for name, rows, _ in self._blocks for row in rows
            if name == arm]

  def predictions_of(self, arm):
    return [arrays['predictions'] for name, _, arrays in self._blocks
            if name == arm]

  def write(self, block, rows, arrays, info):
    del info
    self._blocks.append((block.arm, rows, arrays))

  def rows(self, joined):
    """All rows, each with the fields `joined`."""
    return [row | joined for _, rows, _ in self._blocks for row in rows]


class Workdir:
  """A folder for one config, written to by one run at a time.

  Where it holds a config it is locked and compared at once. Else nothing is
  written before `claim`, so that a run that is refused leaves nothing.

  Attributes:
    folder: its path; of a place in a store, that of its mirror.
    release: lets another run have it; so does the end of this process.

  Raises:
    UserError: it cannot be read, another run uses it, or it holds another
      config.
  """

  def __init__(self, folder, paper, variant, config):
    """Looks at it; every process of a run must."""
    self._mirror = self._mirrored(folder) if stores.is_url(folder) else None
    self.folder = self._mirror.folder if self._mirror else pathlib.Path(folder)
    self._arms = list(config.arms)
    self._mine = {'paper': paper, 'variant': variant,
                  'config': config.to_dict()}
    self.release, self._claimed = None, False
    if jax.process_index() == 0:
      if self._holds():
        self._take()
      # What cannot be read is told before hours of training, not after.
      if self._files():
        results.read([self.folder])

  def claim(self):
    """Makes it the folder of this config; called before it is written to.

    Every process of a run must.

    Returns:
      Whether this was the first call.

    Raises:
      UserError: as above; it cannot be written, or not all hosts see it.
    """
    if self._claimed:
      return False
    if jax.process_index() == 0:  # it writes, for all
      self._take()
    self._wait('workdir')
    if not self._holds():
      raise UserError(f'--workdir={self.folder}: process '
                      f'{jax.process_index()} does not see what the first one '
                      'wrote there; use a folder that all hosts share.')
    self._claimed = True
    return True

  def _mirrored(self, url):
    """The mirror of a place in a store, until this is collected."""
    index = jax.process_index()
    try:
      mirror = stores.Mirror(url, f'#{index}' * (index > 0))
    except stores.Held as error:
      raise _used(url, error) from error
    weakref.finalize(self, mirror.close)
    if index > 0:
      mirror.get(stores.NEEDED)
    return mirror

  def _wait(self, name):
    """Waits for the first process; all see then what it wrote."""
    wait_for_first(name)
    if self._mirror and jax.process_index() > 0:
      self._mirror.get(stores.NEEDED)

  def _holds(self):
    """Whether there is a config."""
    if self._mirror:
      return self._mirror.bucket.read('config.json')[0] is not None
    try:
      return (self.folder / 'config.json').exists()
    except OSError as error:  # no path can be so long
      raise _unusable(self.folder, error) from error

  def _take(self):
    if self.release is None:
      self.release = self._locked()
      self._compare()

  def _locked(self):
    """Lets the folder go; it is held until then, or until this is collected."""
    try:
      if self._mirror:
        self._mirror.hold()
        return weakref.finalize(self, self._mirror.close)
      self.folder.mkdir(parents=True, exist_ok=True)
      release = disk.lock_folder(self.folder)
    except stores.Held as error:
      raise _used(self.folder, error) from error
    except BlockingIOError as error:
      raise _used(self.folder) from error
    except OSError as error:
      if (self.folder / disk.LOCK).is_symlink():
        raise UserError(f'{self.folder / disk.LOCK} is a link, and is not '
                        'followed; remove it.') from error
      raise _unusable(self.folder, error) from error
    return weakref.finalize(self, release)

  def _compare(self):
    """Writes the config, or compares it with the one that is there."""
    mine = self._mine
    # Not deeper: checkpoints have many files, and none of these.
    for folder in (self.folder, *self.folder.glob('*'),
                   *self.folder.glob('*/*/seeds_*')):
      disk.remove_temporary(folder)
    path = self.folder / 'config.json'
    if not path.exists():
      disk.write_json(path, mine)
      return
    theirs = disk.read_json(path, {'paper': str, 'variant': str,
                                   'config': dict})
    a, b = (config_lib.leaves(each['config'])
            | {k: each[k] for k in ('variant', 'paper')}
            for each in (theirs, json.loads(disk.dumps(mine))))
    if a['paper'] != b['paper']:  # of which all else follows
      raise UserError(f'{self.folder} holds a run of {a["paper"]}:'
                      f'{a["variant"]}, and this is one of {b["paper"]}:'
                      f'{b["variant"]}; use another --workdir.')
    if a != b:
      differ = ', '.join(f'{k}: {a.get(k)!r} there, {b.get(k)!r} here'
                         for k in sorted(a.keys() | b.keys())
                         if a.get(k) != b.get(k))
      raise UserError(f'{self.folder} holds another config ({differ}); use '
                      'another --workdir, or the config it holds.')

  def _files(self):
    """(arm, first seed, path) of each finished block, as the config has them.

    Those that are no arm of the config, as trials are not, come last.
    """
    def order(file):
      arm = file[0].split(',')[0]  # of a swept arm
      return (self._arms.index(arm) if arm in self._arms else len(self._arms),
              *file)

    return sorted(results.files.blocks(self.folder / 'rows'), key=order)

  def rows_of(self, arm):
    """The rows of an arm's finished blocks.

    Raises:
      UserError: a file of rows is damaged, or that of another workdir.
    """
    return [row for name, _, path in self._files() if name == arm
            for row in self._read(path)]

  def _read(self, path):
    """The rows of one block."""
    try:
      rows = results.read_rows(path)
    except UserError as error:  # few keep copies of what a run leaves
      raise UserError(f'{error} Or move it away to compute it again.'
                      ) from error
    for row in rows[:1]:
      whose.check(path, {'paper': row['paper'], 'variant': row['config']},
                  self._mine)
    return rows

  def predictions_of(self, arm):
    """What each finished block of an arm saved as predictions.

    Raises:
      UserError: a block's file is gone or damaged, or that of another.
    """
    for name, first, path in self._files():
      if name == arm:
        file = self.folder / 'predictions' / f'{arm}.{first}.npz'
        if not file.exists():
          raise UserError(f'{file} is gone, and other arms need it; remove '
                          f'{path} to compute it again.')
        try:
          with np.load(file, allow_pickle=False) as arrays:
            found = dict(arrays)
          owner = json.loads(str(found.pop('whose', '{}')))
          num_seeds = len(found['seeds'])
          if any(len(array) != num_seeds for array in found.values()):
            raise ValueError('its arrays are of different lengths')
          # Files of before say nothing but their seeds.
          owner = dict(owner, seed=int(found['seeds'][0]))
        except Exception as error:  # of many kinds
          raise UserError(
              f'{file} cannot be read ({str(error) or type(error).__name__}); '
              f'remove it and {path} to compute it again.') from error
        whose.check(file, owner, self._mine | {'arm': arm, 'seed': first})
        yield found

  def rows(self, joined):
    """All rows, with the fields that `results.read` joins."""
    del joined  # each from the run that made the row
    rows = [row for *_, path in self._files() for row in self._read(path)]
    if jax.process_index() == 0:
      results.write(self.folder / 'rows.jsonl', rows)
    self._wait('rows')
    return results.read([self.folder])

  def write(self, block, rows, arrays, info):
    """Writes a block's arrays, then how they came about, then its rows.

    Args:
      block: a `Block`.
      rows: dicts.
      arrays: name of a folder -> dict of arrays.
      info: the content of runs/<run>.json; `wall_seconds` of this part.
    """
    self.claim()
    if jax.process_index() == 0:
      for kind, data in arrays.items():
        if kind == 'predictions':  # other arms may read them
          data = data | {'whose': np.array(disk.dumps(
              self._mine | {'arm': block.arm}, sort_keys=True))}
        _write_npz(self.folder / kind / f'{block.name}.npz', data)
      checkpoint.stop_here('predictions', 0)
      self._write_run(info, block.study.started)
      checkpoint.stop_here('rows', 0)
      results.write(self.folder / 'rows' / f'{block.name}.jsonl', rows,
                    functools.partial(checkpoint.stop_here, 'renaming', 0))
    self._wait(block.name)

  def _write_run(self, info, started):
    path = self.folder / 'runs' / f'{info["run"]}.json'
    before = results.read_run(path) if path.exists() else {}
    # A run that was continued took the time of all its parts.
    spent = before.get('spent', {}) | {str(int(started)): info['wall_seconds']}
    fits = before.get('fits', {})
    fits |= {arm: list(dict.fromkeys(fits.get(arm, []) + keys))
             for arm, keys in info['fits'].items()}
    # So did what it was continued on.
    devices = filter(None, (before.get('device_kind'), info['device_kind']))
    kinds = dict.fromkeys(kind for each in devices for kind in each.split(', '))
    disk.write_json(path, info | {
        'device_kind': ', '.join(kinds), 'fits': fits, 'spent': spent,
        'wall_seconds': round(sum(spent.values()), 1)})


def _used(folder, by=''):
  by = f' ({by})' if str(by) else ''
  return UserError(f'another run is using {folder}{by}; wait for it, or choose '
                   'another --workdir.')


def _unusable(folder, error):
  return UserError(f'--workdir={str(folder):.200}: {error.strerror}; choose a '
                   'folder that can be written.')


def wait_for_first(name):
  """Returns once the first process, which writes for all, has come here."""
  if jax.process_count() > 1:
    from jax.experimental import multihost_utils
    multihost_utils.sync_global_devices(name)


def _write_npz(path, arrays):
  path.parent.mkdir(parents=True, exist_ok=True)
  buffer = io.BytesIO()
  np.savez(buffer, **arrays)
  disk.write_bytes(path, buffer.getvalue())
