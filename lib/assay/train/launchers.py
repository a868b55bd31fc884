"""Who started this process, and whether it started others for the same run.

`jax.distributed` finds its peers by what launchers leave in the environment,
and asks machines for the rest. What is decided here, before it is asked, is
whether there are peers at all: a single task of an allocation, or a laptop, is
one process and must wait for nobody. Only a TPU machine of Google's cloud has
to be asked, by one request that ends in seconds.
"""

import importlib.util
import os
import urllib.request

from assay.errors import UserError

METADATA = 'metadata.google.internal'  # of a machine of Google's cloud
TIMEOUT_SECONDS = 5


def find():
  """What a launcher started this process with, a text; None: it is alone.

  Looked for in this order: Open MPI, SLURM, TPU slices (their variables, as
  GKE sets them, then the machine's metadata), indexed Kubernetes jobs.

  Raises:
    UserError: a launcher started several processes and `jax.distributed`
      could not find them.
  """
  for of in (_open_mpi, _slurm, _tpu_variables, _tpu_metadata, _kubernetes):
    found = of()
    if found is not None:
      return found
  return None


def _count(name):
  """The number in a variable; 1 where there is none."""
  text = os.environ.get(name, '')
  return int(text) if text.isdecimal() else 1


def _open_mpi():
  count = _count('OMPI_COMM_WORLD_SIZE')
  if count < 2:
    return None
  if 'OMPI_MCA_orte_hnp_uri' not in os.environ:  # Open MPI 5 has no such
    raise UserError(f'OMPI_COMM_WORLD_SIZE={count}: this version of Open MPI '
                    'does not tell where its first process is; give '
                    'JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and '
                    'JAX_PROCESS_ID, or use --hosts=none to run each alone.')
  return f'the {count} processes that Open MPI started'


def _slurm():
  # A shell or script in an allocation of many tasks is no task of a step, or
  # the only one of its own.
  if 'SLURM_STEP_NODELIST' not in os.environ or (
      'SLURM_PROCID' not in os.environ):
    return None
  count = _count('SLURM_NTASKS')
  if min(count, _count('SLURM_STEP_NUM_TASKS')
         if 'SLURM_STEP_NUM_TASKS' in os.environ else count) < 2:
    return None
  return f'the {count} tasks that SLURM started'


def _tpu_variables():
  hosts = os.environ.get('TPU_PROCESS_ADDRESSES',
                         os.environ.get('TPU_WORKER_HOSTNAMES', ''))
  count = len(hosts.split(',')) * _count('MEGASCALE_NUM_SLICES')
  if not hosts or count < 2 or not _has_libtpu():
    return None
  return f'the {count} hosts of the TPU slices'


def _tpu_metadata():
  # JAX sets the variable where the machine has no TPU.
  if not _has_libtpu():
    return None

  import jax  # noqa: F401

  if 'TPU_SKIP_MDS_QUERY' in os.environ:
    return None
  hosts = _metadata('worker-network-endpoints')
  slices = [line.partition(':')[2].strip(" '") for line in _metadata(
      'tpu-env').splitlines() if line.startswith('MEGASCALE_NUM_SLICES')]
  count = len(hosts.split(',')) * int(*slices or ['1'])
  return f'the {count} hosts of the TPU slices' if count > 1 else None


def _has_libtpu():
  return importlib.util.find_spec('libtpu') is not None or (
      'TPU_LIBRARY_PATH' in os.environ)


def _metadata(key):
  """What the machine says of itself; '' where nobody answers soon."""
  host = os.environ.get('GCE_METADATA_IP', METADATA)
  request = urllib.request.Request(
      f'http://{host}/computeMetadata/v1/instance/attributes/{key}',
      headers={'Metadata-Flavor': 'Google'})
  direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
  try:
    with direct.open(request, timeout=TIMEOUT_SECONDS) as answer:
      return answer.read(2**16).decode()
  except (OSError, ValueError):
    return ''


def _kubernetes():
  if not {'KUBERNETES_SERVICE_HOST', 'JOB_COMPLETION_INDEX'} <= {*os.environ}:
    return None
  index = os.environ['JOB_COMPLETION_INDEX']
  if importlib.util.find_spec('kubernetes') is None:
    raise UserError(f'JOB_COMPLETION_INDEX={index}: this is a process of a '
                    'Kubernetes job, and to find the others takes a package: '
                    "pip install 'jax[k8s]'; or give JAX_COORDINATOR_ADDRESS, "
                    'JAX_NUM_PROCESSES and JAX_PROCESS_ID, or use --hosts=none '
                    'to run each alone.')
  return f'the processes of the Kubernetes job, this one {index},'
