"""Saves and restores: Orbax does the work; the order and the signals are ours.

A run's own latest checkpoint is used, else it starts fresh. A save that cannot
be read is put aside with a warning and the one before it is used.
"""

import contextlib
import os
import pathlib
import signal
import sys
import time

from absl import logging
import jax
import jax.numpy as jnp


class Interrupted(Exception):
  """The run was asked to stop and has saved; the same command continues."""


def open_manager(directory):
  """An asynchronous CheckpointManager that keeps the last two saves."""
  import orbax.checkpoint as ocp  # 0.7 s, not needed for --help

  return ocp.CheckpointManager(
      pathlib.Path(directory).absolute(),
      options=ocp.CheckpointManagerOptions(
          max_to_keep=2, enable_async_checkpointing=True))


def save(manager, step, tree):
  """Starts a save; `tree` may be donated to a later step at once."""
  import orbax.checkpoint as ocp

  # The writer runs beside the training steps, which reuse donated buffers.
  copied = jax.tree.map(jnp.copy, tree)
  stop_here('before_save', step)
  manager.save(step, args=ocp.args.StandardSave(copied), force=True)
  stop_here('in_save', step)


def restore(manager, target):
  """The latest readable checkpoint.

  Args:
    manager: from `open_manager`.
    target: tree of arrays or ShapeDtypeStructs with shardings.

  Returns:
    (step, tree), or (0, None) when there is none.
  """
  import orbax.checkpoint as ocp

  abstract = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding),
      target)
  for step in sorted(manager.all_steps(), reverse=True):
    try:
      return step, manager.restore(
          step, args=ocp.args.StandardRestore(abstract))
    # What a torn file raises depends on where it is torn.
    except Exception as error:
      aside = f'unreadable_{step}_{time.time_ns()}'
      logging.warning('Skipping the checkpoint at step %d in %s, kept as %s: '
                      '%s', step, manager.directory, aside,
                      str(error).splitlines()[:1])
      if jax.process_index() == 0:
        (manager.directory / str(step)).rename(manager.directory / aside)
      manager.reload()
  return 0, None


def read(directory):
  """The latest save as a tree of dicts, on the first device of any machine.

  Args:
    directory: an existing folder that `open_manager` has written.

  Returns:
    The tree, keys as raw uint32 data; None when nothing was saved.
  """
  import orbax.checkpoint as ocp

  with ocp.CheckpointManager(
      pathlib.Path(directory).absolute(),
      item_handlers=ocp.StandardCheckpointHandler()) as manager:
    step = manager.latest_step()
    if step is None:
      return None
    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    target = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here),
        manager.item_metadata(step).tree)
    return manager.restore(step, args=ocp.args.StandardRestore(target))


@contextlib.contextmanager
def signals():
  """Yields `stopping()`: true once SIGTERM or Ctrl-C has come.

  `stopping.caught` lists the signals. A second Ctrl-C ends the process as
  usual, without a save.
  """
  caught = []
  stopping = lambda: bool(caught)
  stopping.caught = caught

  def handle(number, frame):
    del frame
    caught.append(number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    print('\nStopping after this call; a save follows. Ctrl-C again quits at '
          'once.', file=sys.stderr)

  before = {number: signal.signal(number, handle)
            for number in (signal.SIGINT, signal.SIGTERM)}
  try:
    yield stopping
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)


def stop_here(site, step):
  """Dies at `ASSAY_STOP_AT=<site>:<step>`, as by kill -9; only under pytest."""
  if (os.environ.get('ASSAY_STOP_AT') == f'{site}:{step}'
      and 'PYTEST_CURRENT_TEST' in os.environ):
    die()


def die():
  """Ends this process at once; tests within one process replace it."""
  os.kill(os.getpid(), signal.SIGKILL)
