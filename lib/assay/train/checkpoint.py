"""Saves and restores: Orbax does the work; the order and the signals are ours.

A run's own latest checkpoint is used, else it starts fresh. A save that cannot
be read, or whose arrays are not those that were saved, is put aside with a
warning and the one before it is used. One that says it is of another paper,
arm, stage, config or of other seeds is an error: somebody put it there. One
that says nothing was written before saves did; it is used with a warning, since
who gives the same command again after an upgrade wants to lose no work.
"""

import asyncio
import contextlib
import logging as python_logging
import os
import pathlib
import re
import signal
import socket
import sys
import threading
import time
import warnings

from absl import logging
import jax
from jax.experimental import multihost_utils
import jax.numpy as jnp

from assay import disk, stores
from assay.errors import UserError
from assay.train import sent, whose

OWNER = 'whose'  # beside the checksums of a save


class Interrupted(Exception):
  """The run was asked to stop and has saved; the same command continues."""


def open_manager(directory):
  """An asynchronous CheckpointManager that keeps the last two saves.

  What a killed process left of a save is removed. `save` and `close` raise a
  UserError where this save, or the one before it, could not be written.
  """
  import orbax.checkpoint as ocp  # 0.7 s, not needed for --help

  _say_errors_once()
  if mirror := stores.of(directory):
    mirror.get_saves(directory)
  for path, reason in _undescribed(directory):
    _put_aside(path, reason)
  if jax.process_count() > 1:  # the first process has moved them
    multihost_utils.sync_global_devices('saves')
  with _writing(directory):
    manager = ocp.CheckpointManager(
        pathlib.Path(directory).absolute(),
        options=ocp.CheckpointManagerOptions(
            max_to_keep=2, enable_async_checkpointing=True,
            cleanup_tmp_directories=True,
            **sent.alone(directory) if mirror else {}))
  manager.save = _writing(directory)(manager.save)
  manager.close = _writing(directory)(manager.close)
  if mirror:
    sent.send(manager, mirror, directory)
  return manager


def _undescribed(directory):
  """[(path, reason)] of saves of which not even the date can be read.

  A manager does not open a folder with one.
  """
  from orbax.checkpoint import path as paths

  found = []
  for save in paths.step.standard_name_format().find_all(
      pathlib.Path(directory).absolute()):
    try:
      str(save.commit_timestamp)
    except Exception as error:  # its kind depends on what is damaged
      found.append((save.path, _reason(error)))
  return found


def _put_aside(path, reason):
  """Renames a save that cannot be read, and says so."""
  aside = f'unreadable_{path.name}_{time.time_ns()}'
  logging.warning('Skipping the checkpoint at step %s in %s, kept as %s: %s',
                  path.name, path.parent, aside, reason)
  if jax.process_index() == 0:
    path.rename(path.parent / aside)


def _reason(error):
  return f'{type(error).__name__}: {error}'.splitlines()[0][:80]


def _say_errors_once():
  """Keeps Orbax from also printing errors that it raises."""
  for name in ('absl', 'asyncio'):
    python_logging.getLogger(name).addFilter(_has_no_traceback)
  sys.unraisablehook = _unraisable
  warnings.filterwarnings('ignore', "coroutine '.*' was never awaited",
                          RuntimeWarning)


def _has_no_traceback(record):
  return not record.exc_info


def _unraisable(info):
  """Prints what Python cannot raise, as it does without this.

  But not what Orbax leaves where one of its files cannot be read or written:
  the others end in threads of their own, and find that nobody waits for them.
  """
  if not (asyncio.iscoroutine(info.object)
          or str(info.exc_value) == 'Event loop is closed'):
    sys.__unraisablehook__(info)


@contextlib.contextmanager
def _writing(directory):
  """Turns what the operating system refuses to write into a UserError."""
  try:
    yield
  except Exception as error:
    # TensorStore, which writes the arrays, has the number in its text.
    found = re.search(r"os_error_code='(\d+)'", str(error))
    number = int(found[1]) if found else getattr(error, 'errno', None)
    if number is None:
      raise
    raise disk.unwritable(directory, number) from error


def save(manager, step, tree, owner=None):
  """Starts a save; what is saved may be donated to a later step at once.

  Args:
    manager: from `open_manager`.
    step: of the save.
    tree: dict of trees of arrays.
    owner: dict that says whose it is, see `whose`.
  """
  import orbax.checkpoint as ocp

  # The writer runs beside the training steps, which reuse donated buffers.
  copied = jax.tree.map(jnp.copy, tree)
  if stores.of(manager.directory):
    copied = jax.tree.map(sent.whole, copied)
  stop_here('before_save', step)
  manager.save(step, args=ocp.args.StandardSave(copied),
               custom_metadata=_checksums(copied) | {
                   OWNER: whose.plain(owner or {})}, force=True)
  stop_here('in_save', step)


def _checksums(tree):
  """{name: integer} of each part of a dict, see `_checksum`."""
  # Parts may live on different devices.
  return {name: int(_checksum(part)) for name, part in tree.items()}


@jax.jit
def _checksum(tree):
  """Checksum of all bits of a tree's arrays, uint32 [].

  Orbax's files have none for arrays of more than some hundred bytes: where a
  bit of them flips, another number is read. A flipped bit is always found, any
  other damage but for one in 2**32. The sum of integers is the same on every
  mesh, and no device needs a whole array for it.
  """

  def mixed(x):  # one to one; the finalizer of MurmurHash3
    for shift, factor in ((16, 0x85ebca6b), (13, 0xc2b2ae35)):
      x = (x ^ (x >> shift)) * jnp.uint32(factor)
    return x ^ (x >> 16)

  @jax.jit  # traced once a shape, not once an array
  def of(x):
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
      x = jax.random.key_data(x)
    if x.dtype == bool:
      x = x.astype(jnp.uint8)
    kind = f'uint{8 * min(x.dtype.itemsize, 4)}'
    x = jax.lax.bitcast_convert_type(x, kind).astype(jnp.uint32)
    place = jnp.zeros(x.shape, jnp.uint32)
    for axis, size in enumerate(x.shape):
      place = place * jnp.uint32(size) + jax.lax.broadcasted_iota(
          jnp.uint32, x.shape, axis)
    return jnp.sum(mixed(x ^ mixed(place)), dtype=jnp.uint32)

  return sum(map(of, jax.tree.leaves(tree)), jnp.uint32(0))


def _restored(manager, step, target):
  """(tree, owner) of a save, the tree with the shardings of `target`.

  Raises:
    ValueError: it cannot be read, or is not what was saved; a short reason.
  """
  import orbax.checkpoint as ocp

  try:
    tree = manager.restore(step, args=ocp.args.StandardRestore(target))
    saved = dict(manager.metadata(step).custom_metadata)
  except Exception as error:  # its kind depends on where a file is torn
    raise ValueError(_reason(error)) from error
  owner = saved.pop(OWNER, None) or {}
  if _checksums(tree) != saved:
    raise ValueError('its checksum is missing or that of other arrays')
  return tree, owner


def _owner(manager, step):
  """What a save says of whose it is; {} where it says nothing."""
  try:
    return dict(manager.metadata(step).custom_metadata).get(OWNER) or {}
  except Exception:  # it is damaged: its checksums are missing, too
    return {}


def restore(manager, target, owner=None):
  """The latest readable checkpoint.

  Args:
    manager: from `open_manager`.
    target: tree of arrays or ShapeDtypeStructs with shardings.
    owner: dict that says whose it should be, see `whose`.

  Returns:
    (step, tree), or (0, None) when there is none.

  Raises:
    UserError: it is that of another.
  """
  abstract = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding),
      target)
  steps = sorted(manager.all_steps(), reverse=True)
  for step in steps:
    try:
      tree, theirs = _restored(manager, step, abstract)
    except ValueError as error:
      # That of another may have arrays of other shapes.
      whose.check(manager.directory / str(step), _owner(manager, step),
                  owner or {})
      _put_aside(manager.directory / str(step), error)
      manager.reload()
      continue
    whose.check(manager.directory / str(step), theirs, owner or {})
    if owner and not theirs:
      logging.warning('The checkpoint at step %d in %s does not say whose it '
                      'is, as those of before do not; going on from it as %s. '
                      'Later ones will say it.', step, manager.directory,
                      whose.told(owner))
    return step, tree
  if steps:
    logging.warning('No checkpoint in %s can be read; starting afresh.',
                    manager.directory)
  return 0, None


def read(directory, owner=None):
  """The latest save as a tree of dicts, on the first device of any machine.

  Args:
    directory: an existing folder that `open_manager` has written.
    owner: dict that says whose it should be, see `whose`.

  Returns:
    The tree, keys as raw uint32 data; None when nothing was saved.

  Raises:
    UserError: it cannot be read, or is that of another.
  """
  import orbax.checkpoint as ocp

  _say_errors_once()
  if mirror := stores.of(directory):
    mirror.get_saves(directory)
  for path, reason in _undescribed(directory):
    raise UserError(f'{path} cannot be read ({reason}); train its seeds again, '
                    'in another workdir.')
  with ocp.CheckpointManager(
      pathlib.Path(directory).absolute(),
      item_handlers=ocp.StandardCheckpointHandler()) as manager:
    step = manager.latest_step()
    if step is None:
      return None
    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    try:
      target = jax.tree.map(
          lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here),
          manager.item_metadata(step).tree)
      tree, theirs = _restored(manager, step, target)
    except Exception as error:  # its kind depends on where a file is torn
      raise UserError(
          f'{manager.directory / str(step)} cannot be read ({error}); train '
          'its seeds again, in another workdir.') from error
    whose.check(manager.directory / str(step), theirs, owner or {})
    return tree


@contextlib.contextmanager
def signals():
  """Yields `stopping()`: true once SIGTERM or Ctrl-C has come.

  `stopping.caught` lists the signals. A Ctrl-C after the first signal ends the
  process at once with status 130, also within a call, without a save.
  """
  caught = []
  stopping = lambda: bool(caught)
  stopping.caught = caught
  before = {number: signal.signal(number, lambda n, frame: caught.append(n))
            for number in (signal.SIGINT, signal.SIGTERM)}
  # A handler waits until a call has returned; the other end is told before.
  heard, told = socket.socketpair()
  told.setblocking(False)
  threading.Thread(target=_answer, args=(heard,), daemon=True).start()
  other = signal.set_wakeup_fd(told.fileno())
  try:
    yield stopping
  finally:
    signal.set_wakeup_fd(other)
    told.close()
    for number, handler in before.items():
      signal.signal(number, handler)


def _answer(heard):
  """Answers to each signal, a byte of a socket, until its other end closes."""
  first = True
  with heard:
    while number := heard.recv(1):
      if first:
        # Live lines hide the cursor.
        os.write(2, b'\x1b[?25h' * os.isatty(2)
                 + b'\nStopping after this call; a save follows. Ctrl-C again '
                 b'quits at once.\n')
      elif number[0] == signal.SIGINT:
        os._exit(128 + signal.SIGINT)
      first = False


def stop_here(site, step):
  """Dies at `ASSAY_STOP_AT=<site>:<step>`, as by kill -9; only under pytest."""
  if (os.environ.get('ASSAY_STOP_AT') == f'{site}:{step}'
      and 'PYTEST_CURRENT_TEST' in os.environ):
    die()


def die():
  """Ends this process at once; tests within one process replace it."""
  os.kill(os.getpid(), signal.SIGKILL)
