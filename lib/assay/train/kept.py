"""What may be done with kept fits; see `cli.kept`."""

import os

from assay.errors import UserError, plain
from assay.train import fits
from assay.train.store import Damaged

DAY = 24 * 3600


def store():
  """The store of this user.

  Raises:
    UserError: `$ASSAY_FITS` says that there is none.
  """
  found = fits.default_store()
  if found is None:
    raise UserError(f'ASSAY_FITS={os.environ["ASSAY_FITS"]} keeps nothing; set '
                    'it to the folder of a store.')
  return found


def show(store):
  """Prints a line for each fit, and how much there is."""
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
  print(plain(f'{len(store.keys())} fits, {total / 1e6:.1f} MB, in '
              f'{store.folder}'))


def verify(store):
  """Reads all, and names what is damaged; returns whether nothing is."""
  bad = [f'{part.folder / key}: {error}' for part, key in _entries(store)
         if (error := _damage(part, key))]
  for text in bad:
    print(plain(text))
  print(plain(f'{len(store.keys())} fits in {store.folder}: ')
        + (f'{len(bad)} damaged; they are trained again when they are asked '
           'for' if bad else 'all whole'))
  return not bad


def _entries(store):
  """(store, key) of each fit, and of the outputs below it."""
  for key in store.keys():
    yield store, key
    outputs = store.below(key, fits.OUTPUTS)
    yield from ((outputs, each) for each in outputs.keys())


def _damage(store, key):
  """Why an entry cannot be used; None where it can."""
  try:
    store.read_again(key)
  except Damaged as error:
    return error
  return None


def prune(store, keys, days=None, megabytes=None):
  """Removes fits.

  Args:
    store: from `store`.
    keys: of fits that go.
    days: those that were not of use for so long go, too; >= 0.
    megabytes: those longest not of use go, too, until no more than this is
      left; >= 0.

  Raises:
    UserError: a key that is not there, or nothing that is to go.
  """
  known = store.keys()
  for key in keys:
    if key not in known:
      raise UserError(f'{key}: there is no such fit in {store.folder}; '
                      'python -m assay fits list names all.')
  if not keys and days is None and megabytes is None:
    raise UserError(f'prune: which of {len(known)} fits? Give keys, --days or '
                    '--megabytes.')
  sizes = {key: store.size_and_age(key) for key in known}
  gone = set(keys) | {key for key, (_, age) in sizes.items()
                      if days is not None and age > days * DAY}
  left = sum(sizes[key][0] for key in known if key not in gone)
  for key in sorted(known, key=lambda k: -sizes[k][1]):
    if (key not in gone and megabytes is not None
        and left > megabytes * 1e6):
      gone.add(key)
      left -= sizes[key][0]
  kept = [key for key in sorted(gone) if not store.forget(key)]
  store.clean()
  freed = sum(sizes[key][0] for key in gone if key not in kept)
  print(plain(f'{len(gone) - len(kept)} fits removed, {freed / 1e6:.1f} MB; '
              f'{len(known) - len(gone) + len(kept)} left in {store.folder}'))
  for key in kept:
    print(f'{key} is being trained just now and stays')
