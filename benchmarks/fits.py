"""What kept fits cost and save; a miss is no error.

  python -m benchmarks.fits [--only=command,parts] [--quick] [--json=FILE]

A smoke study is run as a command with the store empty, then with all fits kept,
its programs compiled before in both cases. Then the parts of a hit are timed in
one process, for a convolutional network: naming its fits (lowering, and hashing
of its data), reading them, and training them instead.
"""

import contextlib
import os
import pathlib
import resource
import sys
import tempfile
import time

from assay import papers, train
from assay.study import Study
from assay.train import fits, naming
from benchmarks import measuring

TRAINED = ('calibration_overview', 'c_mixup', 'gpicl')


def command(report, quick):
  """Smoke studies as commands."""
  for paper in TRAINED[:1] if quick else TRAINED:
    with tempfile.TemporaryDirectory() as folder:
      folder = pathlib.Path(folder)
      words = ['--quiet', f'--config=configs/{paper}.py:smoke']
      cache = str(folder / 'cache')

      def seconds(name, store, words=words, folder=folder, cache=cache,
                  paper=paper):
        """On the clock, and of processors."""
        before = _of_processors()
        with _store(folder / store):
          clock, _ = measuring.run(f'experiments.{paper}', *words,
                                   f'--workdir={folder / name}', cache=cache)
        return clock, _of_processors() - before

      seconds('compiling', 'other')
      times = {'trained': [], 'all fits kept': []}
      for i in range(1 if quick else 3):
        for what, each in times.items():
          each.append(seconds(f'{what}{i}', f'store{i}'))
      for what, each in times.items():
        clock, processors = zip(*each, strict=True)
        target = None if what == 'trained' else 5
        report(f'{paper}, smoke study: {what}', 's', clock, at_most=target)
        report(f'{paper}, smoke study: {what}', 'CPU s', processors)


def _of_processors():
  """Seconds that processes which were started have taken of processors."""
  used = resource.getrusage(resource.RUSAGE_CHILDREN)
  return used.ru_utime + used.ru_stime


@contextlib.contextmanager
def _store(folder):
  """Within it, this is the default store."""
  before = os.environ.get('ASSAY_FITS')
  os.environ['ASSAY_FITS'] = str(folder)
  try:
    yield
  finally:
    if before is None:
      del os.environ['ASSAY_FITS']
    else:
      os.environ['ASSAY_FITS'] = before


def parts(report, quick):
  """Naming, reading and training the fits of a smoke study, arm by arm."""
  paper = TRAINED[0]
  config = papers.configs(paper).get_config('smoke')
  times = {'naming': [], 'reading': [], 'training': []}

  def timed(name, function):
    def call(*args, **kwargs):
      start = time.perf_counter()
      try:
        return function(*args, **kwargs)
      finally:
        times[name].append(time.perf_counter() - start)
    return call

  with tempfile.TemporaryDirectory() as folder, _store(folder):
    patched = {(naming, 'keys'): 'naming', (fits, '_read_all'): 'reading',
               (train, '_trained'): 'training'}
    before = {(module, name): getattr(module, name) for module, name in patched}
    try:
      for (module, name), what in patched.items():
        setattr(module, name, timed(what, before[module, name]))
      for _ in range(1 if quick else 3):
        for key in fits.default_store().keys():
          fits.default_store().remove(key)
        for _ in range(2):  # trains, then reads
          made = Study(paper, 'smoke', config,
                       settings=train.Settings(mesh={'seed': 1}))
          papers.load(paper).run(config, made)
    finally:
      for (module, name), function in before.items():
        setattr(module, name, function)
    for name, values in times.items():
      report(f'{paper}, smoke: {name} the fits of an arm', 'ms',
             [1e3 * v for v in values])
    assert made.taken == made.asked  # the last one trained nothing


MEASURES = {'command': command, 'parts': parts}


if __name__ == '__main__':
  sys.exit(measuring.main(
      sys.argv[1:], 'fits', 'Measures what kept fits cost and save; some three '
      'minutes on two cores.', MEASURES))
