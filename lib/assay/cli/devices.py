"""JAX's devices, as the flags ask for them."""

from importlib import metadata
import math
import os

from assay import disk
from assay.cli import flags

# Devices of a CPU that share busy cores wait for each other: XLA ends the whole
# process where one waits 40 seconds. An unknown flag would end it too: this one
# is in the versions named.
PATIENT = '--xla_cpu_collective_call_terminate_timeout_seconds'
PATIENT_SECONDS = 3600
PATIENT_VERSIONS = ('0.10.',)


def set_up_devices(mesh, num_seeds, deterministic=False, pretend=False,
                   join='auto'):
  """Readies JAX, before its first use; returns the mesh's sizes.

  A CPU shows one device per core, since one program does not keep two cores
  busy (JAX_NUM_CPU_DEVICES overrules); compiled programs are kept in the user's
  cache folder.

  Args:
    mesh: the flag's text.
    num_seeds: that are to be trained.
    deterministic: the same bits on a GPU too.
    pretend: nothing will be computed, so a mesh may have more devices than
      there are; devices that a CPU pretends to have stand in for them.
    join: 'auto' or 'none', see `hosts.join`.

  Raises:
    UserError: a mesh that cannot be read, or that needs more devices than there
      are.
  """
  sizes = flags.mesh_sizes(mesh)

  import jax

  from assay.train import hosts, sharding

  if deterministic:
    _add_xla_flag('--xla_gpu_deterministic_ops=true')
  if (PATIENT not in os.environ.get('XLA_FLAGS', '')
      and metadata.version('jaxlib').startswith(PATIENT_VERSIONS)):
    _add_xla_flag(f'{PATIENT}={PATIENT_SECONDS}')
  least = math.prod(sizes.values()) if pretend else 0
  shown = jax.config.jax_num_cpu_devices
  if shown < 0:  # not chosen by JAX_NUM_CPU_DEVICES
    cores = len(os.sched_getaffinity(0))
    shown = cores if sizes else max(1, min(cores, num_seeds))
  if max(shown, least) != jax.config.jax_num_cpu_devices:
    jax.config.update('jax_num_cpu_devices', max(shown, least))
  if jax.config.jax_compilation_cache_dir is None:
    jax.config.update('jax_compilation_cache_dir',
                      str(disk.cache_dir() / 'xla'))
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.1)
  if not jax.distributed.is_initialized():  # by an earlier run of a sweep
    hosts.join(join)
  if least > jax.device_count():
    return sharding.make_mesh(sizes, devices=jax.devices('cpu'))
  sharding.make_mesh(sizes, num_seeds)  # an error comes before all else
  return sizes


def _add_xla_flag(flag):
  os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} {flag}'
