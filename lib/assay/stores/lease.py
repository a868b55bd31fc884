"""Who holds a name in a store: an object that its holder renews.

No clock is compared with another: who finds a lease watches whether it is
renewed. It is taken and renewed on the condition that nobody else has, so two
never have it. A holder that could not renew it for long asks before it writes
anything. A request that was on its way when its sender froze may still arrive
after another has taken over; what it writes then is what the other one writes
too, since the same command computes the same bits.
"""

import json
import logging
import os
import pathlib
import socket
import threading
import time
import uuid

from assay import disk
from assay.errors import UserError
from assay.stores.bucket import ABSENT

EVERY = 10.  # seconds between renewals
DEAD = 4  # so many are missed by who is dead
FREE = {'free': True}


class Held(Exception):
  """Another process holds it; the text says which."""


class Lease:
  """A name that this process holds until `release`, or its end.

  Args:
    bucket: a `Bucket`.
    name: of the object.
    folder: a local one, locked by this process: nobody else on this machine
      holds what says that it is held from there.

  Raises:
    Held: another one holds it.
    UserError: the store fails, or knows no conditions.
  """

  def __init__(self, bucket, name, folder):
    self._bucket, self._name = bucket, name
    self._mine = {'id': uuid.uuid4().hex, 'host': socket.gethostname(),
                  'pid': os.getpid(), 'place': _place(folder), 'every': EVERY}
    self._beats, self._lost = 0, None
    self._lock, self._ended = threading.Lock(), threading.Event()
    self._generation = self._taken()
    self._beat = time.monotonic()
    # A store that knows no conditions would write this.
    if bucket.write(name, b'{}', ABSENT) is not None:
      raise UserError(f'{bucket.url}: the store does not write on a condition, '
                      'so two runs could write there at once; use another, or '
                      'a folder.')
    threading.Thread(target=self._renew_now_and_then, daemon=True).start()

  def _content(self):
    self._beats += 1
    return disk.dumps(self._mine | {'beats': self._beats}).encode()

  def _taken(self):
    """The generation of the lease, once it is this process's."""
    watched = since = told = None
    while True:
      data, generation = self._bucket.read(self._name)
      theirs = _plain(data)
      if theirs.get('id') == self._mine['id']:  # an answer was lost
        return generation
      if generation != watched:
        if watched is not None and data is not None and theirs != FREE:
          raise Held(who(theirs))  # it was renewed
        watched, since = generation, time.monotonic()
      every = min(max(theirs.get('every', EVERY), .01), EVERY)
      if data is None or theirs == FREE or (
          theirs.get('place') == self._mine['place']
          or time.monotonic() - since > DEAD * every):
        taken = self._bucket.write(self._name, self._content(), generation)
        if taken is not None:
          return taken
        continue
      if not told and time.monotonic() - since > 2:
        told = True
        logging.getLogger(__name__).warning(
            '%s is held by %s; waiting for up to %.0f s to see whether that '
            'still runs.', self._bucket.url, who(theirs), DEAD * every)
      time.sleep(min(every / 4, 1))

  def check(self):
    """Called before anything is written.

    Raises:
      UserError: another process has taken over, or the store fails.
    """
    if time.monotonic() - self._beat > 2 * EVERY:
      self._renew()
    if self._lost:
      raise UserError(
          f'{self._bucket.url}: {self._lost} has taken over, since this '
          f'process was not heard of for {DEAD * EVERY:.0f} s. Nothing more is '
          'written; give the same command again once that one has ended.')

  def _renew(self):
    with self._lock:
      if self._lost or self._ended.is_set():
        return
      began, content = time.monotonic(), self._content()
      found = self._bucket.write(self._name, content, self._generation)
      if found is None:  # or it was written, and the answer lost
        data, found = self._bucket.read(self._name)
        if data != content:
          self._lost = who(_plain(data))
          return
      self._generation, self._beat = found, began

  def _renew_now_and_then(self):
    while not self._ended.wait(EVERY):
      try:
        self._renew()
      except UserError:  # who writes next is told
        pass

  def release(self):
    """Lets another have it; a store that fails lets it end by itself."""
    self._ended.set()
    with self._lock:
      try:
        if not self._lost:
          self._bucket.write(self._name, json.dumps(FREE).encode(),
                             self._generation)
      except UserError:
        pass


def holder(bucket, name):
  """Who holds a lease, or held it last, as far as it says."""
  return who(_plain(bucket.read(name)[0]))


def who(theirs):
  """`process 3201 on node7`."""
  return (f'process {theirs.get("pid", "?")} on {theirs.get("host", "?")}'
          if theirs else 'somebody')


def _plain(data):
  """What a lease says; {} where it says nothing that can be read."""
  try:
    found = disk.loads(data or b'{}')
  except UserError:
    return {}
  return found if isinstance(found, dict) and isinstance(
      found.get('every', EVERY), (int, float)) else {}


def _place(folder):
  """A text for a local folder that no other has, on whatever machine."""
  boot = pathlib.Path('/proc/sys/kernel/random/boot_id')
  found = os.stat(folder)
  return (f'{socket.gethostname()} '
          f'{boot.read_text().strip() if boot.exists() else ""} '
          f'{found.st_dev} {found.st_ino} {os.path.realpath(folder)}')
