"""Four fake CPU devices, and an empty cache of programs for each process."""

import os
import tempfile

os.environ['JAX_PLATFORMS'] = 'cpu'
os.environ['XDG_CACHE_HOME'] = tempfile.mkdtemp(prefix='assay-test-')

import jax

jax.config.update('jax_num_cpu_devices', 4)
# Many tests run the same program in a new `fit`: compile it once.
jax.config.update('jax_compilation_cache_dir', os.environ['XDG_CACHE_HOME'])
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.)
jax.config.update('jax_persistent_cache_min_entry_size_bytes', -1)
