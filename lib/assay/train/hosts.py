"""The processes of one run on several hosts: how they join, agree and end.

A process that is lost must stop the others soon and with a reason. JAX notices,
but ends a process from C++, with a stack trace and before any Python can run;
so a small second process keeps what is to be said then.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import traceback

import numpy as np

from assay.errors import UserError, plain
from assay.train import launchers, meeting

AGAIN = ('Start the same command on all hosts again: it continues from the '
         'last save.')
LOST = ('this process was ended, most likely because another one of this run '
        f'was lost; the output of the others says more. {AGAIN}')
# Prints the last line it was given, once nobody can give it another.
LISTENER = 'import sys; sys.stderr.write([*sys.stdin][-1].lstrip())'

_joined = {}  # `say` sets last words, `first`: whether it serves the others

# What a lost process looks like to the others, in the words of the libraries.
# "unhandled cuda error" is not here: that is this process's own device.
GONE = re.compile(r'''
    Gloo | coordination\ ?service | heartbeat\ timeout
    | stopped\ sending\ heartbeats | barrier\ (timed\ out|failed)
    | distributed\ service\ detected\ fatal
    | NCCL.*(remote\ (process|error) | network\ error | system\ error
             | abort | async | socket | connection)
    | ncclRemoteError | ncclSystemError''', re.I | re.S | re.X)


def join(hosts='auto', patience=300, heartbeat=45):
  """Makes this process one of several, where its environment says so.

  In this order: JAX_COORDINATOR_ADDRESS, host:port of the first process, with
  JAX_NUM_PROCESSES, how many there are, and JAX_PROCESS_ID, which this one is;
  a launcher that `jax.distributed` knows and that started more than one, see
  `launchers.find`; else it is alone.

  Args:
    hosts: 'auto', or 'none': it is alone, whatever the environment says.
    patience: seconds that the processes may take to come together.
    heartbeat: seconds without a sign of life after which a process is lost.

  Raises:
    UserError: one of the variables cannot be read, or a launcher does not say
      what is needed.
  """
  if hosts == 'none':
    return
  if address := os.environ.get('JAX_COORDINATOR_ADDRESS'):
    if not address.rpartition(':')[2].isdecimal():
      raise UserError(f'JAX_COORDINATOR_ADDRESS={address}: write host:port of '
                      'the first process, for example 10.0.0.1:8476.')
    count = _number('JAX_NUM_PROCESSES', 1, None)
    given = address, count, _number('JAX_PROCESS_ID', 0, count)
    apart = (f'{count} processes did not come together at {address} within '
             f'{patience} s. Start the same command {count} times with this '
             'JAX_COORDINATOR_ADDRESS, an address of the first process, and '
             f'JAX_PROCESS_ID from 0 to {count - 1}.')
  else:
    started, given = launchers.find(), ()
    if started is None:
      return
    apart = (f'{started} did not come together within {patience} s; the '
             'output of the others says more. Start all of them with the same '
             'command, or each on its own with --hosts=none.')

  import jax

  _joined['say'] = say = _last_words()
  say(f'error: {apart}')
  if given:
    meeting.ready(address, given[2], patience, apart)
  try:
    jax.distributed.initialize(*given, initialization_timeout=patience,
                               heartbeat_timeout_seconds=heartbeat)
  except jax.errors.JaxRuntimeError as error:
    raise UserError(f'{apart} They must all start within {patience} s '
                    f'({_first_line(error)}).') from error
  except Exception as error:  # of the launcher, of many kinds
    if given:
      raise
    raise UserError(f'{started} cannot be joined ({_first_line(error)}); give '
                    'JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and '
                    'JAX_PROCESS_ID, or use --hosts=none to run each alone.'
                    ) from error
  _joined['first'] = jax.process_index() == 0
  say(f'error: {LOST}')


def _number(name, least, below):
  """The integer in a variable of the environment."""
  text = os.environ.get(name, '')
  if not text.isdecimal() or not least <= int(text) < (below or np.inf):
    bound = f'{least} or more' if below is None else f'{least} to {below - 1}'
    raise UserError(f'{name}={text}: JAX_COORDINATOR_ADDRESS is set, so this '
                    f'must be an integer, {bound}.')
  return int(text)


def _last_words():
  """Starts a process that speaks on stderr when this one was ended by force.

  Returns:
    `say(text)`: `text` is the line it would print from now on; '' is none.
  """
  listener = subprocess.Popen(
      [sys.executable, '-ISc', LISTENER], stdin=subprocess.PIPE, text=True,
      start_new_session=True)  # Ctrl-C is not for it

  def say(text):
    with contextlib.suppress(BrokenPipeError):
      listener.stdin.write(text + '\n')
      listener.stdin.flush()

  return say


@contextlib.contextmanager
def together(debug=False):
  """Around the work of a process that may have joined others.

  Where it fails after that, it says why and ends at once, with status 2: the
  usual exit waits for the others, which wait for this process.

  Args:
    debug: print every error with its traceback.
  """
  try:
    yield
  except BaseException as error:
    if not _joined:
      raise
    _joined['say']('')
    if debug or not isinstance(error, UserError) and not _lost(error):
      traceback.print_exc()
    else:
      print(f'error: {plain(_lost(error) or error)}', file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    if _joined.get('first'):
      time.sleep(1)  # it takes the others with it: they may say why they failed
    os._exit(2)
  if _joined:
    import jax

    jax.distributed.shutdown()  # waits for the others
    _joined['say']('')
    _joined.clear()


def _lost(error):
  """What to say where an error comes from the loss of a process, else None."""
  while error is not None and not isinstance(error, UserError):
    text = str(error)
    if GONE.search(text):
      return ('another process of this run was lost, or the network to it; its '
              f'output says more. {AGAIN} ({_first_line(error)})')
    error = error.__cause__ or error.__context__
  return None


def _first_line(error):
  return str(error).partition('\n')[0]


def agree(settings):
  """Compares what the processes of a run were started with.

  Args:
    settings: dict of what must be the same; its values can be printed.

  Raises:
    UserError: on every process, where they differ, or where the processes do
      not have equally many devices.
  """
  import jax

  count, here = jax.process_count(), jax.local_device_count()
  if count == 1:
    return
  if jax.device_count() != count * here:
    raise UserError(
        f'process {jax.process_index()} has {here} of {jax.device_count()} '
        f'devices, and all {count} processes must have equally many; start the '
        'same command on all hosts.')

  from jax.experimental.multihost_utils import process_allgather

  text = np.frombuffer(json.dumps(
      {k: str(v) for k, v in settings.items()}).encode(), np.uint8)
  longest = int(process_allgather(np.array(text.size)).max())
  told = [json.loads(bytes(x).rstrip(b'\0')) for x in process_allgather(
      np.pad(text, (0, longest - text.size)))]
  for i, theirs in enumerate(told):
    for name in told[0] | theirs:  # a file may be there on one host alone
      values = [each.get(name, 'none') for each in (told[0], theirs)]
      if values[0] != values[1]:
        raise UserError(
            f'the processes of this run differ in {name}: {values[0]} in '
            f'process 0, {values[1]} in process {i}; start the same command, '
            'with the same code and packages, on all hosts.')
