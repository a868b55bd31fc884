"""Before processes meet: whether the address of the first one is any good.

What JAX says of a port that is taken is a traceback, and of an address where
nobody is a stack of C++ after minutes. Both can be asked of a socket.
"""

import errno
import socket
import sys
import time

from assay.errors import UserError

SECONDS = 10  # of silence before somebody who waits is told so
VARIABLE = 'JAX_COORDINATOR_ADDRESS'


def ready(address, index, patience, apart):
  """Returns once the first process answers, or may start to listen.

  Args:
    address: `host:port` of the first process.
    index: which process this is; 0 is the first.
    patience: seconds that the first one may take to come.
    apart: what to say where it does not.

  Raises:
    UserError: the name is not known, the port is taken or none, or nobody
      answers.
  """
  host, _, port = address.rpartition(':')
  if not 0 < int(port) < 2**16:
    raise UserError(f'{VARIABLE}={address}: {port} is no port; use one of 1 to '
                    '65535.')
  try:
    found = socket.getaddrinfo(host.strip('[]'), int(port),
                               type=socket.SOCK_STREAM)
  except (OSError, UnicodeError) as error:
    raise UserError(f'{VARIABLE}={address}: {host!r} is not known on this '
                    f'machine ({error}); give the name or number of the first '
                    "process's machine.") from error
  if index == 0:
    _free(address, int(port))
    if not any(map(_is_here, found)):
      _say(f'{VARIABLE}={address} is no address of this machine, whose process '
           'is the first; waiting for the others all the same.')
  else:
    _answered(address, found, patience, apart)


def _free(address, port):
  """Raises a UserError where the first process cannot listen."""
  with socket.socket() as listener:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
      listener.bind(('', port))
      listener.listen()
    except OSError as error:
      what = 'is taken' if error.errno == errno.EADDRINUSE else (
          f'cannot be had ({error.strerror})')
      raise UserError(f'{VARIABLE}={address}: port {port} {what} on this '
                      'machine; choose another, the same for all '
                      'processes.') from error


def _is_here(found):
  """Whether an address, from `getaddrinfo`, is one of this machine."""
  family, kind, _, _, place = found
  try:
    with socket.socket(family, kind) as probe:
      probe.bind((place[0], 0))
  except OSError:
    return False
  return True


def _answered(address, found, patience, apart):
  """Waits until somebody listens at an address."""
  began, told = time.monotonic(), False
  while True:
    for family, kind, _, _, place in found:
      left = patience - (time.monotonic() - began)
      try:
        with socket.socket(family, kind) as probe:
          probe.settimeout(max(min(5., left), .1))
          probe.connect(place)
          return
      except OSError as error:
        reason = error.strerror or 'no answer'
    waited = time.monotonic() - began
    if waited > patience:
      raise UserError(f'{apart} (Nobody answers there: {reason}; start the '
                      'first process.)')
    if waited > SECONDS and not told:
      told = True
      _say(f'Nobody answers at {VARIABLE}={address} ({reason}); waiting up to '
           f'{patience} s for the first process to start there.')
    time.sleep(min(1., patience / 10))


def _say(text):
  print(text, file=sys.stderr, flush=True)
