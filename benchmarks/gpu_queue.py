"""What a GPU that is at hand for minutes is used for, in order of worth.

  python -m benchmarks.gpu_queue --minutes=9 [--data_dir=DIR] [--only=A,B]

Runs what of `ENTRIES` fits the time that is left, each in a process of its own,
and ends in time: a study is asked to save and stop, and goes on from there when
the same command is given again; what was done is not done again. All is in one
folder: of each entry its log and workdir, and `queue.md`, which says after each
entry what is done and what is left. With --pack=FOLDER archives of these
results, without checkpoints, are renewed there while the queue runs, so that
they are there also where the machine is taken away.

Needs neither an installed package nor a network: python3 with `lib` in
PYTHONPATH, and the data files of the entries.
"""

import argparse
import collections
import json
import os
import pathlib
import signal
import subprocess
import sys
import tarfile
import time
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[1]
OVER = 5.  # seconds for the last archives
PART = 15 * 2**20  # bytes of an archive, about
PARTS = 4
# Not for the archives: what can be computed again, or is large.
LEFT_OUT = ('cache', 'checkpoints', 'seeds_*')


class Entry(NamedTuple):
  """One thing to run.

  Attributes:
    name: of it, and of its workdir.
    module: that is run, after `python -m`.
    variant: of the card, for a study; '' for a benchmark.
    flags: further words.
    seconds: expected, from nothing, on one H100; 0: not begun without a look
      at what is left.
    after: name of an entry that has to be done.
    workdir: that of another entry, which this one completes.
    on_cpu: on the cores of the host, beside what uses the GPU.
  """
  name: str
  module: str
  variant: str = ''
  flags: tuple = ()
  seconds: float = 60.
  after: str = ''
  workdir: str = ''
  on_cpu: bool = False

  def words(self, folder, data_dir, quick):
    """The command after `python -m`."""
    if not self.variant:
      words = [self.module, f'--json={folder / self.name}.json', *self.flags]
      return words + ['--quick'] * quick
    card = f'configs/{self.module.rpartition(".")[2]}.py'
    variant = 'smoke' if quick else self.variant
    return [self.module, f'--config={card}:{variant}',
            f'--workdir={folder / (self.workdir or self.name)}', *self.flags,
            '--hosts=none', *([f'--data_dir={data_dir}'] if data_dir else [])]


ENTRIES = (
    Entry('benchmark', 'benchmarks.gpu', flags=('--seconds=230',),
          seconds=290),
    # The classifiers; what is fitted to their logits needs no GPU.
    Entry('correctness_aware', 'experiments.correctness_aware',
          'cifar10_resnet18_reduced', ('--arms=uncalibrated',
                                       '--steps_per_call=117'), seconds=150),
    Entry('calibrators', 'experiments.correctness_aware',
          'cifar10_resnet18_reduced', workdir='correctness_aware',
          after='correctness_aware', on_cpu=True, seconds=120),
    Entry('useful', 'experiments.useful', 'cifar10_resnet18_reduced',
          ('--steps_per_call=130',), seconds=240),
    # All of a grid of learning rates and radii: an hour of two CPU cores.
    Entry('dominoes', 'experiments.useful', 'dominoes', seconds=240),
    Entry('fashion_mnist', 'experiments.useful', 'fashion_mnist', seconds=240),
    Entry('gpicl', 'experiments.gpicl', 'full_reduced',
          ('--steps_per_call=250',), seconds=200),
    # Not yet run on one: its seconds are a guess.
    Entry('abet', 'experiments.abet', 'cifar10', seconds=400),
)


class Queue:
  """Runs entries until a deadline; what it knows is in `state`, on disk too.

  Attributes:
    state: name -> {status: 'done', 'stopped', 'failed' or 'running', seconds}.
  """

  def __init__(self, entries, folder, flags):
    self._entries, self._folder = entries, folder
    self._quick, self._at_once = flags.quick, flags.at_once
    self._grace = flags.grace
    self._data_dir, self._pack = flags.data_dir, flags.pack
    self._end = time.monotonic() + 60 * flags.minutes - OVER
    self._saved = 0.
    folder.mkdir(parents=True, exist_ok=True)
    self._file = folder / 'queue.json'
    self.state = collections.defaultdict(dict, json.loads(
        self._file.read_text()) if self._file.exists() else {})

  def left(self):
    """Seconds until studies are asked to stop."""
    return self._end - self._grace - time.monotonic()

  def run(self):
    """Runs what fits; returns when all of it ended."""
    pending, running = [
        entry for entry in self._entries if self.status(entry.name) != 'done'
    ], []
    while pending or running:
      for entry in list(pending):
        why = self._why_left(entry, pending, running)
        if why:
          self._note(entry, 'left', why=why)
        elif self._has_to_wait(entry, pending, running):
          continue
        else:
          running.append((entry, self._start(entry)))
        pending.remove(entry)
      self._watch(running)
      running = [each for each in running if not self._ended(*each)]
    self._save(all_of_it=True)

  def status(self, name):
    return self.state[name].get('status') if name in self.state else None

  def _why_left(self, entry, pending, running):
    """Why an entry will not be run, or ''."""
    there = {other.name for other, _ in running} | {
        other.name for other in pending}
    if entry.after and self.status(entry.after) != 'done' and (
        entry.after not in there):
      return f'{entry.after} is not done'
    # A study keeps what it has when it is stopped; a benchmark begins anew.
    least = entry.seconds / (4 if entry.variant else 1)
    return 'no time' if self.left() < (5 if self._quick else least) else ''

  def _has_to_wait(self, entry, pending, running):
    """Whether others have to end first; a benchmark is alone."""
    if entry.after and self.status(entry.after) != 'done':
      return True
    if entry.on_cpu:
      return False
    on_gpu = [other for other, _ in running if not other.on_cpu]
    before = [other for other in pending[:pending.index(entry)]
              if not (other.variant or other.on_cpu)]
    if before or any(not other.variant for other in on_gpu):
      return True
    return len(on_gpu) >= (self._at_once if entry.variant else 1)

  def _start(self, entry):
    """A process of its own, its output in a log."""
    env = os.environ | {
        'PYTHONPATH': os.pathsep.join(filter(None, (
            str(ROOT / 'lib'), os.environ.get('PYTHONPATH')))),
        'PYTHONUNBUFFERED': '1'}
    env.setdefault('XDG_CACHE_HOME', str(self._folder / 'cache'))
    # What is kept is named by lowering again: seconds, for who has minutes.
    env.setdefault('ASSAY_FITS', 'off')
    env.setdefault('XLA_PYTHON_CLIENT_PREALLOCATE', 'false')
    if entry.on_cpu:
      env |= {'JAX_PLATFORMS': 'cpu'}
    words = entry.words(self._folder, self._data_dir, self._quick)
    self._note(entry, 'running', command=' '.join(['python', '-m', *words]))
    with open(self._log(entry), 'ab') as log:
      process = subprocess.Popen([sys.executable, '-m', *words], cwd=ROOT,
                                 env=env, stdout=log, stderr=log)
    process.began, process.asked = time.monotonic(), False
    return process

  def _log(self, entry):
    return self._folder / f'{entry.name}.log'

  def _watch(self, running):
    """Waits a moment; at the end it stops what runs. Renews the archives."""
    if self.left() <= 0:
      late = time.monotonic() >= self._end
      for _, process in running:
        if late:
          process.kill()  # studies go on from their last save
        elif not process.asked:
          process.send_signal(signal.SIGTERM)
        process.asked = True
    if time.monotonic() - self._saved > 20:
      self._save()
    time.sleep(.2)

  def _ended(self, entry, process):
    """Whether a process did; then what came of it is noted."""
    code = process.poll()
    if code is None:
      return False
    stopped = process.asked and code in (
        128 + signal.SIGTERM, -signal.SIGTERM, -signal.SIGKILL)
    before = self.state[entry.name].get('seconds', 0)
    self._note(entry, 'done' if code == 0 else
               'stopped' if stopped else 'failed', code=code,
               seconds=round(before + time.monotonic() - process.began, 1))
    tail = self._log(entry).read_bytes()[-2500:].decode(errors='replace')
    print(f'--- {entry.name}\n{tail}', flush=True)
    self._save(all_of_it=True)
    return True

  def _note(self, entry, status, **more):
    """Sets an entry's state, and tells it."""
    self.state[entry.name] |= {'status': status, **more}
    if status != 'left':
      self.state[entry.name].pop('why', None)
    said = ', '.join(f'{k} {v}' for k, v in more.items() if k != 'command')
    print(f'{time.strftime("%X")} {entry.name}: {status}'
          + (f' ({said})' if said else '')
          + f', {max(0, self.left()):.0f} s left', flush=True)
    self._save()

  def table(self):
    """What is done and what is left, as Markdown."""
    lines = ['| entry | expected | took | status |',
             '| :-- | --: | --: | :-- |']
    for entry in self._entries:
      state = self.state[entry.name]
      took = f'{state["seconds"]:g} s' if 'seconds' in state else ''
      status = ', '.join(filter(None, (
          state.get('status', 'left'), state.get('why', ''))))
      lines.append(
          f'| {entry.name} | {entry.seconds:g} s | {took} | {status} |')
    return '\n'.join(lines) + '\n'

  def _save(self, all_of_it=False):
    """Writes the state and, where asked for, the archives."""
    self._saved = time.monotonic()
    self._file.write_text(json.dumps(self.state, indent=2) + '\n')
    (self._folder / 'queue.md').write_text(self.table())
    if self._pack:
      pack(self._folder, self._pack, all_of_it)


def packed(folder):
  """(files that are small and come first, predictions) of a folder."""
  small, large = [], []
  for path in sorted(folder.rglob('*')):
    parts = path.relative_to(folder).parts
    if path.is_file() and not any(
        pathlib.PurePath(part).match(pattern)
        for part in parts for pattern in LEFT_OUT):
      (large if path.suffix == '.npz' else small).append(path)
  return small, large


def pack(folder, into, all_of_it=True):
  """Archives of what is in a folder: small files, then predictions in parts.

  An archive is written whole beside the old one, then renamed. What does not
  fit is named in `left_out.txt`.
  """
  into.mkdir(parents=True, exist_ok=True)
  small, large = packed(folder)
  archives, left = [small], []
  if all_of_it:
    sizes = []
    # Those that others are computed from first.
    for path in sorted(large, key=lambda path: 'uncalibrated' not in path.name):
      size = path.stat().st_size
      place = next((i for i, used in enumerate(sizes) if used + size <= PART),
                   None)
      if place is None and len(sizes) < PARTS and size <= PART:
        place = len(sizes)
        sizes.append(0)
        archives.append([])
      if place is None:
        left.append(str(path.relative_to(folder)))
      else:
        sizes[place] += size
        archives[1 + place].append(path)
  for i, paths in enumerate(archives):
    file = into / f'results_{i}.tar.gz'
    temporary = file.with_suffix('.new')
    with tarfile.open(temporary, 'w:gz', compresslevel=1) as archive:
      for path in paths:
        try:
          archive.add(path, path.relative_to(folder))
        except FileNotFoundError:  # a study renamed it meanwhile
          continue
    temporary.replace(file)
  if left:
    (into / 'left_out.txt').write_text('\n'.join(left) + '\n')


def main(argv=None, entries=ENTRIES):
  """The command; returns the exit status."""
  parser = argparse.ArgumentParser(prog='python -m benchmarks.gpu_queue',
                                   description='Uses a GPU that is at hand for '
                                   'minutes, in order of worth.')
  add = parser.add_argument
  add('--minutes', type=float, default=9., help='(default: %(default)g)')
  add('--only', default='', metavar='A,B', help='some of '
      f'{", ".join(entry.name for entry in entries)} (default: all)')
  add('--out', type=pathlib.Path, default=ROOT / 'out' / 'gpu', help='folder '
      'of the results (default: out/gpu)')
  add('--data_dir', help='folder of the data files (default: $ASSAY_DATA)')
  add('--at_once', type=int, default=2, help='studies on the GPU: one reads '
      'and compiles while another trains (default: %(default)s)')
  add('--grace', type=float, default=25., metavar='SECONDS', help='for a '
      'study to save, before the end (default: %(default)g)')
  add('--pack', type=pathlib.Path, help='folder of archives of the results')
  add('--quick', action='store_true', help='tiny sizes, to see that all works')
  flags = parser.parse_args(argv)
  only = set(filter(None, flags.only.split(',')))
  if not only <= {entry.name for entry in entries}:
    parser.error(f'--only={flags.only}: there is no such entry.')
  queue = Queue([entry for entry in entries if not only or entry.name in only],
                flags.out.resolve(), flags)
  queue.run()
  print(queue.table())
  return int(any(state.get('status') == 'failed'
                 for state in queue.state.values()))


if __name__ == '__main__':
  sys.exit(main())
