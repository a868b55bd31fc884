"""Four fake CPU devices, a new cache of programs, and the order of tests."""

import atexit
import gc
from importlib import metadata
import os
import pathlib
import shutil
import tempfile

import jax
import pytest

os.environ['JAX_PLATFORMS'] = 'cpu'
jax.config.update('jax_platforms', 'cpu')
CACHE = 'assay-test-'  # how names of its folders begin
# Processes that tests start share what this one has.
if CACHE not in os.environ.get('XDG_CACHE_HOME', ''):
  os.environ['XDG_CACHE_HOME'] = tempfile.mkdtemp(prefix=CACHE)
  atexit.register(shutil.rmtree, os.environ['XDG_CACHE_HOME'],
                  ignore_errors=True)
  # Most of the time goes into compiling programs that run briefly: as little as
  # can be. An unknown flag ends the process: this one where it was tried.
  os.environ['JAX_DISABLE_MOST_OPTIMIZATIONS'] = '1'
  if metadata.version('jaxlib').startswith('0.10.'):
    # Nor is a program cut into 32 for as many threads: here are two processes.
    os.environ['XLA_FLAGS'] = ' '.join(filter(None, [
        os.environ.get('XLA_FLAGS'), '--xla_cpu_use_fusion_emitters=false',
        '--xla_cpu_parallel_codegen_split_count=1']))
# A process of `-n 2` stays on a core of its own, with those that it starts: a
# fifth less CPU time, which threads that change cores cost.
worker = os.environ.get('PYTEST_XDIST_WORKER', '')
if worker and hasattr(os, 'sched_setaffinity'):  # Linux
  cores = sorted(os.sched_getaffinity(0))
  os.sched_setaffinity(0, {cores[int(worker[2:]) % len(cores)]})
# On any machine, and there too: the devices that a smoke run has on two cores.
os.environ['JAX_NUM_CPU_DEVICES'] = '2'
# What is trained is kept, and read, only where a test says so.
os.environ['ASSAY_FITS'] = 'off'
# But not the processes of `-n 2`: JAX does not write its files at once.
if not os.environ['XDG_CACHE_HOME'].endswith(worker):
  os.environ['XDG_CACHE_HOME'] += f'/{worker}'

# Real files are found where the user says, or in a folder beside the clone.
DATA = [pathlib.Path(os.environ['ASSAY_DATA'])] if os.environ.get(
    'ASSAY_DATA') else sorted(pathlib.Path(__file__).parents[2].glob('*/data'))

# A trace makes many objects, of which few are garbage.
gc.set_threshold(50_000, 20, 20)

jax.config.update('jax_num_cpu_devices', 4)
PLAIN = bool(os.environ.get('JAX_DISABLE_MOST_OPTIMIZATIONS'))
jax.config.update('jax_disable_most_optimizations', PLAIN)
# Many tests run the same program in a new `fit`, here or in a process that
# they start: compile it once.
for name, value in (
    ('jax_compilation_cache_dir', os.environ['XDG_CACHE_HOME']),
    ('jax_persistent_cache_min_compile_time_secs', 0.),
    ('jax_persistent_cache_min_entry_size_bytes', -1)):
  os.environ[name.upper()] = str(value)
  jax.config.update(name, value)


CONFIG = dict(jax.config.values)


def pytest_addoption(parser):
  parser.addoption('--freeze', action='store_true',
                   help='write tests/frozen/ anew: numbers are meant to change')
  parser.addoption('--moved', metavar='COMMITS', help='where the frozen smoke '
                   'rows are the same: write that the code of a paper has '
                   'moved since these commits (A,B), see assay.report.stale')
  parser.addoption('--all', action='store_true',
                   help='the long forms too: what a run owes asked of every '
                   'paper, notebooks in full, dry runs at published size')


def pytest_configure(config):
  # Files go out in the order below, not by their number of tests.
  config.option.loadscopereorder = False
  config.addinivalue_line('markers', 'nightly: `make test` has no time for it')


def pytest_collection_modifyitems(config, items):
  # What takes long comes first, so that the processes end together.
  items.sort(key=lambda item: 'whole' not in item.fixturenames)
  if not config.getoption('all'):
    for item in items:
      if item.get_closest_marker('nightly'):
        item.add_marker(pytest.mark.skip(reason='a long form: make nightly'))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
  """A file leaves JAX as it was; caches keep what is not to be collected."""
  if nextitem is None or nextitem.path != item.path:
    assert CONFIG == jax.config.values, item.path
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
  """With `--dist loadfile`: a file to a process, but an experiment to one."""
  if config.getvalue('dist') != 'loadfile':
    return None
  from xdist import scheduler

  def unit(test):
    file, _, name = test.partition('::')
    if not file.endswith('test_experiments.py'):
      return file
    return file + name.partition('[')[2]  # what it is run with

  made = scheduler.LoadScopeScheduling(config, log)
  made._split_scope = unit
  return made


@pytest.fixture
def data_dir():
  """The folder with the real files, or skips the test that asks."""
  for folder in DATA:
    if (folder / 'c_mixup').is_dir():
      return folder
  pytest.skip('no real data: set ASSAY_DATA to a folder that has c_mixup/')


@pytest.fixture
def optimized():
  """Programs are compiled as users have them: where the last bit counts."""
  jax.config.update('jax_disable_most_optimizations', False)
  jax.clear_caches()
  yield
  jax.config.update('jax_disable_most_optimizations', PLAIN)
  jax.clear_caches()
