"""Kept fits: what was trained once is read again, by all who ask for the same.

A fit is the training of one seed, named by what it computes, see `naming`. What
is kept are the parameters and all else that a `train.Fitted` has but the state
of the optimizer and the key.

Fits are kept in `$ASSAY_FITS`, a folder or a place in an object store, by
default in the user's cache folder; the empty text or `off` keeps none. Not kept
are streamed data that tell no checksum, programs that call back into Python
(what they do is not in the program), runs on several hosts, and what is too
large to pass through the host.
"""

import contextlib
import os
import pathlib
import time

import jax
import numpy as np

from assay import disk, stores
from assay.errors import UserError
from assay.train import checkpoint, naming, sharding, whose
from assay.train.distant import Distant
from assay.train.store import Damaged, Store

NOTE = 'fits.json'  # beside a block's checkpoints
OUTPUTS = 'outputs'  # below a fit


def default_store():
  """The `Store` that `$ASSAY_FITS` names, or None where it says none."""
  named = os.environ.get('ASSAY_FITS')
  if named in ('', 'off'):
    return None
  if stores.is_url(named):
    return Distant(stores.path(named))
  return Store(pathlib.Path(named or disk.cache_dir() / 'fits').expanduser())


# --- Keeping -----------------------------------------------------------------


def fitted(plan, settings, directory, train):
  """What training a plan leaves, read where all its seeds are kept.

  Where one is missing all are trained, since bits may depend on which seeds are
  trained together; of a seed that is kept, what is kept counts.

  Args:
    plan: a `loop.Plan`.
    settings: a `train.Settings`.
    directory: of the block's checkpoints, or None.
    train: `() -> loop.Run` that has come to its end.

  Returns:
    (carry [S, ...], curves, keys [S], positions of seeds that were read); no
    keys where nothing is kept.

  Raises:
    UserError: with `settings.fresh`, where other numbers come out.
    Interrupted: while another process trained.
    What `train` raises.
  """
  store, named = settings.fits, ()
  if store is not None and jax.process_count() == 1:
    try:
      named = naming.keys(plan, settings)
    except ValueError as error:
      settings.announce(f'This training is not kept: {error}.')
  if not named:
    run = train()
    return plan.lanes.join(run.carries), run.curves, (), ()
  found = _read_all(store, plan, named, settings)
  if len(found) < len(named) or settings.fresh:
    return _trained(store, plan, named, settings, directory, train)
  return _taken(plan, named, found, settings, directory)


def _trained(store, plan, named, settings, directory, train):
  """`fitted` where something is missing; one process trains, others wait."""
  told = []

  def waiting():
    if not told:
      told.append(True)
      settings.announce('Another process trains the same; waiting for it.')
    if settings.stopping():
      raise checkpoint.Interrupted('stopped while another process trained')

  with contextlib.ExitStack() as stack:
    try:
      stack.enter_context(store.locked(named, waiting))
    except OSError as error:
      _not_kept(store, settings, error)
    found = _read_all(store, plan, named, settings)
    if len(found) == len(named) and not settings.fresh:
      return _taken(plan, named, found, settings, directory)
    owner = settings.owner(plan.seeds)
    _note(directory, owner, named, (), before=True)
    began = time.monotonic()
    run = train()
    seconds = time.monotonic() - began
    carry = plan.lanes.join(run.carries)
    made = _split(plan, carry, run.curves)
    if settings.fresh:
      _compare(plan, named, found, made)
    if not _is_its_own(run, directory, named, settings):
      return carry, run.curves, (), ()
    # Of a seed that was kept before, what is kept counts.
    other = {i: kept for i, kept in found.items() if _differ(kept, made[i])}
    _keep(store, plan, settings, seconds,
          {i: (key, made[i]) for i, key in enumerate(named) if i not in found})
    _note(directory, owner, named, other)
    if not other:
      return carry, run.curves, named, ()
    return (*_placed(plan, dict(enumerate(made)) | other), named, tuple(other))


def _taken(plan, named, found, settings, directory):
  """What `fitted` returns where all seeds are kept."""
  settings.starting(plan.num_steps, lambda: 0, plan.eval_every,
                    plan.source.own['num_steps'])
  for key in named:
    settings.fits.used(key)
  _note(directory, settings.owner(plan.seeds), named, found)
  return (*_placed(plan, found), named, tuple(found))


def _placed(plan, arrays):
  """(carry [S, ...] on devices, curves) of the arrays of each position."""
  like = naming.shapes(plan)
  each = [arrays[i] for i in range(len(plan.seeds))]
  carry = jax.tree.unflatten(
      jax.tree.structure(like),
      [np.stack([one[name] for one in each]) for name in _names(like)])

  def curve(name):
    """[points, S]: past its end a seed makes no updates, and stays as it is."""
    whole = np.zeros((plan.num_points, len(each)), np.float32)
    for i, one in enumerate(each):
      own = one[f'curves/{name}']
      whole[:len(own), i] = own
      if name in plan.watched:
        whole[len(own):, i] = own[-1]
    return whole

  return plan.lanes.place(carry), {
      name: curve(name) for name in plan.names + plan.watched}


def _names(tree):
  """Paths of the arrays of a tree, `state/params/hidden_0/kernel`."""
  return [jax.tree_util.keystr(path, simple=True, separator='/')
          for path, _ in jax.tree_util.tree_leaves_with_path(tree)]


def _split(plan, carry, curves):
  """[S] dicts of host arrays by name: what is kept of each seed."""
  carry = naming.without_optimizer(carry)
  leaves = dict(zip(_names(carry), sharding.fetch(jax.tree.leaves(carry)),
                    strict=True))
  return [
      {name: np.asarray(x[i]) for name, x in leaves.items()}
      | {f'curves/{name}': np.ascontiguousarray(curve[:points, i])
         for name, curve in curves.items()}
      for i, points in enumerate(_points(plan))]


def _points(plan):
  """[S] points of a curve up to each seed's own end."""
  return [-(-length // plan.eval_every) for length in plan.lengths]


def _read_all(store, plan, named, settings):
  """{position: arrays} of the seeds that are kept and can be used."""
  like, found = naming.shapes(plan), {}
  expected = {name: (x.shape, np.dtype(x.dtype)) for name, x in zip(
      _names(like), jax.tree.leaves(like), strict=True)}
  for i, (key, points) in enumerate(zip(named, _points(plan), strict=True)):
    expected |= {f'curves/{name}': ((points,), np.dtype(np.float32))
                 for name in plan.names + plan.watched}
    try:
      entry = store.read(key)
      if entry is not None:
        if {k: (v.shape, v.dtype) for k, v in entry[0].items()} != expected:
          with contextlib.suppress(OSError):  # another must be able to write it
            store.remove(key)
          raise Damaged('its arrays have other names, shapes or types')
        found[i] = entry[0]
    except Damaged as error:
      settings.announce(f'The kept fit {store.folder / key} cannot be used '
                        f'({error}); it is trained again.')
  return found


def _differ(kept, made):
  """Names of the arrays of a seed whose bits are not the same."""
  return [name for name in made if kept[name].tobytes() != made[name].tobytes()]


def _compare(plan, named, found, made):
  """Raises a UserError where what was trained again differs."""
  for i, kept in found.items():
    if names := _differ(kept, made[i]):
      raise UserError(
          f'--fresh: seed {plan.seeds[i]}, trained again, differs from what is '
          f'kept as {named[i]} in {", ".join(names[:3])} ({len(names)} of '
          f'{len(made[i])} arrays). Bits may depend on which seeds are trained '
          'together; if these are the same, look for what is not reproducible, '
          f'or remove it: python -m assay fits prune {named[i]}')


def _keep(store, plan, settings, seconds, made):
  """Writes entries; a store that cannot be written to stops nobody."""
  info = {'label': settings.label, 'seeds': list(map(int, plan.seeds)),
          'eval_every': plan.eval_every,
          'form': [plan.lanes.seed_map, plan.most],
          'seconds': round(seconds, 1), 'surroundings': naming.surroundings()}
  try:
    for i, (key, arrays) in made.items():
      store.write(key, arrays, info | {'seed': int(plan.seeds[i]),
                                       'num_steps': plan.lengths[i]})
  except OSError as error:
    _not_kept(store, settings, error)


def _not_kept(store, settings, error):
  settings.announce(f'{store.folder}: {error.strerror}; this training is not '
                    'kept.')


# --- Beside checkpoints ------------------------------------------------------


def _note(directory, owner, named, read, before=False):
  """Writes of what fits the checkpoints of a block are, and what was read.

  Args:
    directory: of the checkpoints, or None.
    owner: dict that says whose they are, see `whose`.
    named: keys of the block's seeds.
    read: positions of those that were read.
    before: of training: what is said of saves that are there stays.
  """
  if directory is None:
    return
  directory = pathlib.Path(directory)
  saved = directory.is_dir() and any(
      path.name.isdecimal() for path in directory.iterdir())
  if not (before and saved):
    disk.write_json(directory / NOTE, {
        'keys': list(named), 'read': [named[i] for i in read],
        'whose': owner})


def _is_its_own(run, directory, named, settings):
  """Whether a run computed what its keys say, from its first step on."""
  if run.step < run.plan.num_steps:  # all seeds diverged
    return False
  if run.first == 0:
    return True
  file = pathlib.Path(directory) / NOTE
  before = disk.read_json(file, {'keys': list})['keys'] if (
      file.exists()) else []
  if before and before != list(named):
    settings.announce(
        f'{directory}: what was saved at step {run.first} is of another '
        'program, data or versions, and has been continued; use another '
        '--workdir for a training of this program alone.')
  return before == list(named)


def load(directory, position, owner, state=None):
  """The parameters of a seed, wherever its block's folder says they are.

  Args:
    directory: of a block's checkpoints.
    position: of the seed in the block.
    owner: dict that says whose they should be, see `whose`.
    state: `best` or `last`; default the best where one was selected.

  Returns:
    {'params', 'extra'}, trees of dicts.

  Raises:
    UserError: there is no such state, or nothing yet, or the store does not
      have it any longer, or what is there is of another.
  """
  carry = _from_store(directory, position, owner)
  if carry is None:
    tree = checkpoint.read(directory, owner)
    if tree is None:
      raise UserError(f'{directory} holds no checkpoint yet; run the same '
                      'command again.')
    of_seed = lambda found: found and jax.tree.map(
        lambda x: x[position], {k: found[k] for k in ('params', 'extra')})
    carry = {k: of_seed(tree['carry'][k]) for k in ('state', 'best')}
  found = carry['state' if state == 'last' else 'best']
  if found is None and state == 'best':
    raise UserError(f'{directory} selected no state; use state=last.')
  found = found or carry['state']
  return {k: found[k] for k in ('params', 'extra')}


def _from_store(directory, position, owner):
  """The carry of a seed as a tree of dicts; None where checkpoints have it."""
  file = pathlib.Path(directory) / NOTE
  note = disk.read_json(file, {'keys': list, 'read': list}) if (
      file.exists()) else {'keys': [], 'read': []}
  whose.check(file, note.get('whose'), owner)
  key = dict(enumerate(note['keys'])).get(position)
  if key not in note['read']:
    return None
  store = default_store()
  try:
    entry = store and store.read(key)
  except Damaged:
    entry = None
  if entry is None:
    raise UserError(f'{directory}: the fit {key} is not in the store that it '
                    f'was read from ({store}); set ASSAY_FITS to where it is, '
                    'or run the same command in another workdir.')
  carry = {'state': {'params': {}, 'extra': {}}, 'best': None}
  for name, array in entry[0].items():
    *groups, last = name.split('/')
    node = carry
    for group in groups:
      if node.get(group) is None:
        node[group] = {}
      node = node[group]
    node[last] = array
  if carry['best'] is not None:
    carry['best'].setdefault('extra', {})
  return carry


# --- Outputs -----------------------------------------------------------------


def outputs(store, named, state, predict, found, shared, own, num_rows):
  """`predict(found.params, ...)`, of each fit kept beside it.

  Named by the fit and which state of it, the lowered predictor and the bytes of
  what it is shown: another test set is computed, and nothing is trained.

  Args:
    store: a `Store`, or None.
    named: [S] keys of the fits; () where they are not kept.
    state: 'last' or 'best', what `found` is.
    predict: from `evaluate.predictor`.
    found: what has the `params` and `extra`, [S, ...].
    shared, own, num_rows: as `predict` takes them.

  Returns:
    (predictions [S, n, Q], y [S, n, ...]) on the host.
  """
  args = (found.params, found.extra, shared, own, num_rows)
  if store is None or not named:
    return predict(*args)
  try:
    keys = naming.of_outputs(predict, state, *args)
  except ValueError:  # it calls back into Python
    return predict(*args)
  made = []
  for i, (key, name) in enumerate(zip(named, keys, strict=True)):
    part, arrays = store.below(key, OUTPUTS), None
    try:
      arrays, _ = part.read(name) or (None, None)
    except Damaged:
      pass  # it is written again
    if arrays is None:
      predictions, y = predict.of([i], *args)
      arrays = {'predictions': predictions[0], 'y': y[0]}
      if (store.folder / key).is_dir():
        with contextlib.suppress(OSError):
          part.write(name, arrays, {'state': state, 'num_rows': num_rows})
    made.append([arrays[k] for k in ('predictions', 'y')])
  return tuple(np.stack(each) for each in zip(*made, strict=True))
