"""The command `python -m assay fits`: what is kept, and what may go.

    python -m assay fits list
    python -m assay fits verify
    python -m assay fits prune --days=90 --megabytes=5000
    python -m assay fits prune KEY ...
"""

import argparse
import os

from assay import errors
from assay.errors import UserError
from assay.train import fits
from assay.train.store import Damaged

DAY = 24 * 3600


@errors.told
def main(argv=None):
  """Lists, verifies or prunes the store; returns the exit status."""
  parser = argparse.ArgumentParser(
      prog='python -m assay fits', description='Kept fits, in $ASSAY_FITS. '
      'Nothing goes by itself. Runs whose networks were read from here need '
      'them for assay.load.')
  commands = parser.add_subparsers(dest='command', required=True)
  commands.add_parser('list', help='each fit, and how much there is')
  commands.add_parser('verify', help='reads all, and names what is damaged')
  prune = commands.add_parser('prune', help='removes fits')
  prune.add_argument('keys', nargs='*', metavar='KEY', help='these')
  prune.add_argument('--days', type=float, help='not of use for so long')
  prune.add_argument('--megabytes', type=float, help='those longest not of '
                     'use, until no more than this is left')
  flags = parser.parse_args(argv)
  store = fits.default_store()
  if store is None:
    raise UserError(f'ASSAY_FITS={os.environ["ASSAY_FITS"]} keeps nothing; set '
                    'it to the folder of a store.')
  if flags.command == 'list':
    return _list(store)
  if flags.command == 'verify':
    return _verify(store)
  return _prune(store, flags)


def _list(store):
  total = 0
  for key in store.keys():
    size, age = store.size_and_age(key)
    total += size
    try:
      info = store.information(key)
      label = info['label']
      text = (f'{label.get("paper", "")}:{label.get("variant", "")} '
              f'{label.get("arm", "")} {label.get("stage", "")}, seed '
              f'{info["seed"]}, {info["num_steps"]:,} steps, block of '
              f'{len(info["seeds"])} in {info["seconds"]:g} s')
    except Damaged as error:
      text = f'damaged: {error}'
    print(f'{key}  {size / 1e6:8.1f} MB  {age / DAY:5.1f} days  {text}')
  print(f'{len(store.keys())} fits, {total / 1e6:.1f} MB, in {store.folder}')
  return 0


def _verify(store):
  """Reads all; returns 1 where something is damaged."""
  bad = [f'{part.folder / key}: {error}' for part, key in _entries(store)
         if (error := _damage(part, key))]
  for text in bad:
    print(text)
  print(f'{len(store.keys())} fits in {store.folder}: '
        + (f'{len(bad)} damaged; they are trained again when they are asked '
           'for' if bad else 'all whole'))
  return 1 if bad else 0


def _entries(store):
  """(store, key) of each fit, and of the outputs below it."""
  for key in store.keys():
    yield store, key
    outputs = store.below(key, fits.OUTPUTS)
    yield from ((outputs, each) for each in outputs.keys())


def _damage(store, key):
  """Why an entry cannot be used; None where it can."""
  try:
    store.read(key)
  except Damaged as error:
    return error
  return None


def _prune(store, flags):
  known = store.keys()
  for key in flags.keys:
    if key not in known:
      raise UserError(f'{key}: there is no such fit in {store.folder}; '
                      'python -m assay fits list names all.')
  if not flags.keys and flags.days is None and flags.megabytes is None:
    raise UserError(f'prune: which of {len(known)} fits? Give keys, --days or '
                    '--megabytes.')
  sizes = {key: store.size_and_age(key) for key in known}
  gone = set(flags.keys) | {
      key for key, (_, age) in sizes.items()
      if flags.days is not None and age > flags.days * DAY}
  left = sum(sizes[key][0] for key in known if key not in gone)
  for key in sorted(known, key=lambda k: -sizes[k][1]):
    if (key not in gone and flags.megabytes is not None
        and left > flags.megabytes * 1e6):
      gone.add(key)
      left -= sizes[key][0]
  kept = [key for key in sorted(gone) if not store.forget(key)]
  store.clean()
  freed = sum(sizes[key][0] for key in gone if key not in kept)
  print(f'{len(gone) - len(kept)} fits removed, {freed / 1e6:.1f} MB; '
        f'{len(known) - len(gone) + len(kept)} left in {store.folder}')
  for key in kept:
    print(f'{key} is being trained just now and stays')
  return 0
