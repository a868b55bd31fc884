"""Four fake CPU devices, and an empty cache of programs for each process."""

import os
import pathlib
import tempfile

os.environ['JAX_PLATFORMS'] = 'cpu'
# Most of the time of these tests goes into compiling programs that run briefly.
os.environ['XLA_FLAGS'] = ' '.join(filter(None, [
    os.environ.get('XLA_FLAGS'), '--xla_backend_optimization_level=1']))
os.environ['XDG_CACHE_HOME'] = tempfile.mkdtemp(prefix='assay-test-')

import jax
import pytest

# Real files are found where the user says, or in a folder beside the clone.
DATA = [pathlib.Path(os.environ['ASSAY_DATA'])] if os.environ.get(
    'ASSAY_DATA') else sorted(pathlib.Path(__file__).parents[2].glob('*/data'))

jax.config.update('jax_num_cpu_devices', 4)
# Many tests run the same program in a new `fit`: compile it once.
jax.config.update('jax_compilation_cache_dir', os.environ['XDG_CACHE_HOME'])
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.)
jax.config.update('jax_persistent_cache_min_entry_size_bytes', -1)


@pytest.fixture
def data_dir():
  """The folder with the real files, or skips the test that asks."""
  for folder in DATA:
    if (folder / 'c_mixup').is_dir():
      return folder
  pytest.skip('no real data: set ASSAY_DATA to a folder that has c_mixup/')
