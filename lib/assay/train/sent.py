"""Saves that go into an object store, see `stores.mirror`.

Each host has a folder of its own, so that each reads alone and the first writes
for all: an array that several hosts hold is gathered for a save, and must fit
on a device and in the memory of that host.
"""

from concurrent import futures
import logging
import pathlib

import jax

from assay.train import sharding


def alone(directory):
  """Options of a `CheckpointManager` that knows of no other host.

  Args:
    directory: is made.
  """
  import orbax.checkpoint as ocp

  pathlib.Path(directory).mkdir(parents=True, exist_ok=True)
  index = jax.process_index()
  if jax.process_count() > 1:  # else each would write its part of every array
    logger = logging.getLogger('absl')
    logger.disabled = True  # it warns of what is meant
    ocp.type_handlers.register_type_handler(
        jax.Array, ocp.type_handlers.ArrayHandler(
            primary_host=index, replica_id=None, use_replica_parallel=False),
        override=True)
    logger.disabled = False
  return {'create': False,
          'multiprocessing_options': ocp.options.MultiprocessingOptions(
              primary_host=index, active_processes={index},
              barrier_sync_key_prefix=f'host_{index}')}


def send(manager, mirror, directory):
  """Has each save put into the store once it is whole, beside the training.

  The next `save`, and `close`, wait for it and raise what went wrong. Hosts
  other than the first save nothing.
  """
  if jax.process_index() > 0:
    manager.save = lambda *args, **more: None
    return
  sender, sent, save, close = (futures.ThreadPoolExecutor(1), [], manager.save,
                               manager.close)

  def put():
    manager.wait_until_finished()
    mirror.put_saves(directory)

  def wait():
    while sent:
      sent.pop().result()

  def save_and_send(*args, **more):
    wait()
    save(*args, **more)
    sent.append(sender.submit(put))

  def wait_and_close():
    wait()
    sender.shutdown()
    close()

  manager.save, manager.close = save_and_send, wait_and_close


def whole(x):
  """An array of several hosts, all of it on each of them."""
  if x.is_fully_addressable:
    return x
  everywhere = jax.sharding.NamedSharding(x.sharding.mesh,
                                          jax.sharding.PartitionSpec())
  return sharding.move(x, everywhere)
