"""Kept fits: named by what they compute, read bit for bit, trained once."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import types

import chex
import jax
import jax.experimental
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
import pytest
import toy

from assay import __main__ as door
from assay import cli, papers, results, train
from assay.cli import devices, kept
from assay.errors import UserError
from assay.study import Study
from assay.train import checkpoint, evaluate, fits, loop, naming
from assay.train.store import Damaged, Store

SEEDS = (0, 1, 2)


@pytest.fixture
def store(tmp_path):
  return Store(tmp_path / 'store')


class Asked:
  """Settings with a store, and what was told and trained."""

  def __init__(self, store, **fields):
    self.said, self.calls = [], []
    self.settings = train.Settings(
        fits=store, announce=self.said.append,
        progress=lambda *report: self.calls.append(report), **fields)

  @property
  def trained(self):
    return bool(self.calls)


def ask(store, seeds=SEEDS, directory=None, fields=(), **more):
  """(Fitted, Asked) of the toy."""
  asked = Asked(store, **dict(fields))
  return toy.fit(seeds, settings=asked.settings, directory=directory,
                 **more), asked


def assert_equal(got, want):
  """All that rows are made of, bit for bit."""
  of = lambda f: (f.state.step, f.state.params, f.state.extra, f.best,
                  f.curves)
  toy.assert_same_bits(of(got), of(want))
  assert got.broken == want.broken


# --- Hits --------------------------------------------------------------------


@pytest.fixture(scope='module')
def reference():
  """What the toy gives without a store."""
  return toy.fit(SEEDS)


def test_a_fit_is_trained_once_and_read_bit_for_bit(store, reference):
  first, asked = ask(store)
  assert asked.trained and first.taken == () and len(first.keys) == 3
  assert_equal(first, reference)
  again, asked = ask(store)
  assert not asked.trained and again.taken == (0, 1, 2)
  assert again.keys == first.keys and not asked.said
  assert_equal(again, reference)
  # Where arrays live decides what later programs do with them.
  assert jax.tree.map(lambda x: x.sharding, again.state.params) == (
      jax.tree.map(lambda x: x.sharding, first.state.params))


@pytest.mark.parametrize('form', [dict(seed_map='loop'), dict(
    steps_per_call=2), dict(mesh={'seed': 2})], ids=str)
def test_every_form_is_kept_and_read(form, store):
  first, _ = ask(store, fields=form)
  again, asked = ask(store, fields=form)
  assert not asked.trained
  assert_equal(again, first)
  assert jax.tree.map(lambda x: x.sharding, again.state.params) == (
      jax.tree.map(lambda x: x.sharding, first.state.params))


def test_without_selection_nothing_is_best(store):
  first, _ = ask(store, select=None)
  again, asked = ask(store, select=None)
  assert not asked.trained and again.best is None
  assert_equal(again, first)


def test_what_is_watched_and_extra_is_kept(store):
  more = dict(watch={'again': toy.select}, tx=optax.adam(3e-3))
  first, _ = ask(store, **more)
  again, asked = ask(store, **more)
  assert not asked.trained and 'again' in again.curves
  assert_equal(again, first)


def test_half_a_store_gives_the_same(store, reference):
  first, _ = ask(store)
  shutil.rmtree(store.folder / first.keys[1])
  again, asked = ask(store)
  assert asked.trained and again.taken == ()  # the bits are those that are kept
  assert_equal(again, reference)
  assert store.keys() == sorted(first.keys)
  _, asked = ask(store)
  assert not asked.trained


def test_hits_do_not_depend_on_grouping(store):
  alone = [ask(store, (seed,))[0] for seed in SEEDS]
  together, asked = ask(store)
  assert not asked.trained
  for i, one in enumerate(alone):
    assert one.keys == together.keys[i:i + 1]
    toy.assert_same_bits(
        jax.tree.map(lambda x, i=i: x[i:i + 1], (together.state.params,
                                                 together.best)),
        (one.state.params, one.best))


def test_of_a_seed_that_others_kept_what_they_have_counts(store):
  kept_before, _ = ask(store, (1,))
  key = kept_before.keys[0]
  arrays, info = store.read(key)
  name = next(k for k in arrays if k.endswith('params/w'))
  store.remove(key)
  store.write(key, arrays | {name: arrays[name] + 1e-6}, info)  # as if rounded
  mixed, asked = ask(store)
  assert asked.trained and mixed.taken == (1,)
  np.testing.assert_array_equal(mixed.state.params['w'][1], arrays[name] + 1e-6)
  again, _ = ask(store)
  assert_equal(again, mixed)


def test_seeds_of_different_lengths_keep_their_own_names(store):
  lengths = np.array([18, 7, 12], np.int32)
  of = lambda *i: dict(seeds=tuple(SEEDS[j] for j in i), src=toy.source(
      [SEEDS[j] for j in i], num_steps=lengths[list(i)]),
                       num_steps=int(lengths[list(i)].max()))
  alone = [ask(store, **of(i))[0] for i in range(3)]
  together, asked = ask(store, **of(0, 1, 2))
  assert not asked.trained
  assert together.keys == tuple(one.keys[0] for one in alone)
  trained = toy.fit(**of(0, 1, 2))
  chex.assert_trees_all_close(together.curves, trained.curves, rtol=1e-5)
  assert np.isnan(together.curves['loss'][2, 1])


def test_a_seed_that_diverged_is_kept_with_its_reason(store):
  shift = np.array([0., np.nan, 0.], np.float32)
  src = toy.source(SEEDS, shift=shift)
  draw = lambda shared, own, item, key: {
      k: v + own['shift'] for k, v in toy.draw(shared, own, item, key).items()}
  first, _ = ask(store, src=src, draw=draw)
  again, asked = ask(store, src=src, draw=draw)
  assert not asked.trained and set(again.broken) == {1}
  assert_equal(again, first)
  with pytest.raises(UserError, match='seed 1: loss is not finite'):
    ask(store, src=src, draw=draw, fields=dict(strict=True))


# --- Keys --------------------------------------------------------------------


def key_of(seeds=(3,), fields=(), num_steps=12, tx=None, src=None,
           eval_every=6, select=toy.select, loss=toy.loss_fn,
           init=toy.init_variables, draw=toy.draw):
  """Keys of the toy, without training it."""
  tx, settings = tx or optax.sgd(.1), train.Settings(**dict(fields))
  return naming.keys(loop.make_plan(
      train.make_init(init, tx),
      train.make_step(jax.value_and_grad(loss, has_aux=True), tx), draw,
      src or toy.source(seeds), seeds=seeds, num_steps=num_steps,
      eval_every=eval_every, select=select, watch=None, rules=(),
      settings=settings), settings)


TABLE = np.random.default_rng(0).normal(size=10_000).astype(np.float32)


def with_table(table, scale=1.):

  def loss_fn(params, extra, batch, key):
    loss, aux = toy.loss_fn(params, extra, batch, key)
    return loss + scale * jnp.sum(params['b']) * jnp.sum(table), aux

  return loss_fn


def changed_source(seeds=(3,), **what):
  """The toy's data with one number changed."""
  src = toy.source(seeds)
  shared = {k: v.copy() for k, v in src.shared.items()}
  own = {k: v.copy() for k, v in src.own.items()}
  if 'pixel' in what:
    shared['x'][what['pixel']] = np.nextafter(shared['x'][what['pixel']], 9)
  if 'row' in what:
    own['train_rows'][0, what['row']] += 1
  items = src.items
  if 'order' in what:
    items = lambda position, start, stop: np.roll(
        src.items(position, 0, 12), 1, axis=0)[start:stop]
  return train.Source(shared, own, items)


def ours(**more):
  """A loss with other names, on other lines, than `toy.loss_fn`."""
  factor = more.get('factor', 2)

  def another_name(weights, extra, examples, key):
    del key
    # With a comment.
    difference = toy.predict(weights, examples['x']) - examples['y']
    return jnp.mean(difference ** factor), (extra, {})

  return another_name


CHANGES = {
    'learning rate': dict(tx=optax.sgd(.11)),
    'optimizer': dict(tx=optax.adam(.1)),
    'one constant': dict(loss=ours(factor=4)),
    'initialization': dict(init=lambda key: {'params': jax.tree.map(
        lambda x: 2 * x, toy.init_variables(key)['params'])}),
    'selection': dict(select=lambda *args: 2 * toy.select(*args)),
    'no selection': dict(select=None),
    'one pixel': dict(src=changed_source(pixel=(5, 1))),
    'one row': dict(src=changed_source(row=4)),
    'order': dict(src=changed_source(order=True)),
    'seed': dict(seeds=(4,), src=toy.source((3,))),
    'steps': dict(num_steps=13),
    'selections': dict(eval_every=4),
    'form': dict(fields=dict(steps_per_call=2)),
    'map': dict(fields=dict(seed_map='loop')),
    'data axis': dict(fields=dict(mesh={'data': 2, 'seed': 1})),
}


@pytest.mark.parametrize('change', CHANGES)
def test_the_key_changes_with(change):
  assert key_of(**CHANGES[change]) != key_of()


def test_the_key_changes_with_one_number_of_a_closed_over_table():
  other = TABLE.copy()
  other[7_000] = np.nextafter(other[7_000], 9)
  want = key_of(loss=with_table(TABLE))
  assert key_of(loss=with_table(TABLE.copy())) == want
  assert key_of(loss=with_table(other)) != want
  assert key_of(loss=with_table(TABLE, scale=1 + 1e-6)) != want


@pytest.mark.parametrize('package', naming.PACKAGES)
def test_the_key_changes_with_versions(package, monkeypatch):
  want, version = key_of(), naming.version
  monkeypatch.setattr(naming, 'version', lambda name: (
      '9.9' if name == package else version(name)))
  assert key_of() != want


def test_versions_are_read_once(monkeypatch):
  asked, version = [], naming.metadata.version
  naming.version.cache_clear()
  monkeypatch.setattr(naming.metadata, 'version',
                      lambda name: asked.append(name) or version(name))
  assert naming.surroundings() == naming.surroundings()
  assert sorted(asked) == sorted(naming.PACKAGES)


def test_the_key_changes_with_flags_that_change_bits(monkeypatch):
  want = key_of()
  flags = os.environ.get('XLA_FLAGS', '')
  for more, same in (('--xla_gpu_deterministic_ops=true', False),
                     ('--xla_force_host_platform_device_count=8', True),
                     (f'{devices.PATIENT}=7', True),
                     ('--xla_dump_to=/tmp/x', True)):
    monkeypatch.setenv('XLA_FLAGS', f'{flags} {more}')
    assert (key_of() == want) == same, more
  monkeypatch.setenv('XLA_FLAGS', flags)
  with jax.default_matmul_precision('highest'):
    assert key_of() != want
  with jax.enable_x64(True):
    assert key_of() != want
  name = 'jax_disable_most_optimizations'
  before = jax.config.values[name]
  jax.config.update(name, not before)
  changed = key_of()
  jax.config.update(name, before)
  assert changed != want == key_of()
  monkeypatch.setattr(naming, 'LOOP', naming.LOOP + 1)
  assert key_of() != want


def test_the_key_changes_with_device_and_processor(monkeypatch):
  want = key_of()
  monkeypatch.setattr(naming, '_processor', lambda: 'another')
  assert key_of() != want


def test_the_key_does_not_change_with_names_and_comments():
  assert key_of(loss=ours()) == key_of()
  inner = jax.jit(lambda params, x: toy.predict(params, x))
  named = jax.jit(toy.predict)  # a function of its own name in the program

  def calling(predict):
    def loss_fn(params, extra, batch, key):
      del key
      return jnp.mean((predict(params, batch['x']) - batch['y']) ** 2), (
          extra, {})
    return loss_fn

  assert key_of(loss=calling(inner)) == key_of(loss=calling(named))


def test_the_key_does_not_change_with_grouping():
  together = key_of((3, 4, 5))
  assert together == key_of((3,)) + key_of((4, 5))
  assert key_of((3,), fields=dict(mesh={'seed': 1})) == key_of((3,))
  assert len(set(together)) == 3


def test_the_key_does_not_change_between_processes_and_folders(tmp_path):
  program = (
      'import jax; jax.config.update("jax_num_cpu_devices", 4); '
      'import sys; sys.path.insert(0, sys.argv[1]); import test_fits; '
      'print(*test_fits.key_of((3, 4)))')
  out = subprocess.run(
      [sys.executable, '-c', program, str(pathlib.Path(__file__).parent)],
      cwd=tmp_path, env=os.environ | {'PYTHONHASHSEED': '7'}, text=True,
      capture_output=True, check=True).stdout
  assert tuple(out.split()) == tuple(key_of((3, 4)))


def test_streams_are_kept_only_with_a_checksum(store):
  src = toy.source(SEEDS)
  items = lambda position, start, stop, rows=slice(None): src.items(
      position, start, stop)[:, rows]
  streamed = train.Source(src.shared, src.own, items, toy.BATCH)
  _, asked = ask(store, src=streamed)
  assert asked.said == ['This training is not kept: streamed data tell no '
                        'checksum.'] and not store.keys()
  ask(store, src=streamed._replace(checksum='abc'))
  assert len(store.keys()) == 3
  _, asked = ask(store, src=streamed._replace(checksum='abc'))
  assert not asked.trained
  _, asked = ask(store, src=streamed._replace(checksum='abd'))
  assert asked.trained


@pytest.mark.parametrize('call', [
    lambda: jax.pure_callback(lambda: np.float32(1), jax.ShapeDtypeStruct(
        (), np.float32)),
    lambda: jax.experimental.io_callback(
        lambda: np.float32(1), jax.ShapeDtypeStruct((), np.float32)),
    lambda: jax.debug.print('a line') or 1], ids=['pure', 'io', 'debug'])
def test_programs_that_call_back_have_no_key(call):

  def loss_fn(params, extra, batch, key):
    loss, aux = toy.loss_fn(params, extra, batch, key)
    return call() * loss, aux

  with pytest.raises(ValueError, match='calls back into Python'):
    key_of(loss=loss_fn)


# --- Damage ------------------------------------------------------------------


def flip(path, at=0.5):
  data = bytearray(path.read_bytes())
  data[int(len(data) * at)] ^= 1
  path.write_bytes(data)


def link(path):
  aside = path.with_name(f'aside_{path.name}')
  path.rename(aside)
  path.symlink_to(aside)


def other_format(folder):
  file = folder / 'entry.json'
  entry = json.loads(file.read_text())
  file.write_text(json.dumps(entry | {'format': 99}))


def rewritten(change):
  """Whole by its checksums, and not what is asked for."""

  def damage(folder):
    store = Store(folder.parent)
    arrays, info = store.read(folder.name)
    store.remove(folder.name)
    store.write(folder.name, change(arrays), info)

  return damage


def moved(folder):
  """Another key's entry, whole."""
  other = folder.parent / 'other'
  folder.rename(other)
  shutil.copytree(other, folder)
  other_entry = json.loads((folder / 'entry.json').read_text())
  (folder / 'entry.json').write_text(json.dumps(other_entry | {'key': 'other'}))
  shutil.rmtree(other)


DAMAGE = {
    'torn arrays': lambda f: (f / 'arrays.npz').write_bytes(
        (f / 'arrays.npz').read_bytes()[:-300]),
    'empty arrays': lambda f: (f / 'arrays.npz').write_bytes(b''),
    'a flipped bit': lambda f: flip(f / 'arrays.npz'),
    'a flipped bit of the entry': lambda f: flip(f / 'entry.json', .7),
    'no arrays': lambda f: (f / 'arrays.npz').unlink(),
    'no entry': lambda f: (f / 'entry.json').unlink(),
    'an empty folder': lambda f: (shutil.rmtree(f), f.mkdir()),
    'no JSON': lambda f: (f / 'entry.json').write_text('{'),
    'not Unicode': lambda f: (f / 'entry.json').write_bytes(b'\xff\xfe{'),
    'other JSON': lambda f: (f / 'entry.json').write_text('[1]'),
    'another format': other_format,
    'another key': moved,
    'other arrays': rewritten(lambda arrays: dict(list(arrays.items())[1:])),
    'another shape': rewritten(
        lambda arrays: {k: v[None] for k, v in arrays.items()}),
    'another type': rewritten(
        lambda arrays: {k: v.astype('float64') for k, v in arrays.items()}),
    'a linked file': lambda f: link(f / 'arrays.npz'),
    'a linked entry': lambda f: link(f / 'entry.json'),
    'a linked folder': link,
    'a file in its place': lambda f: (shutil.rmtree(f), f.write_text('x')),
    'a folder in its place': lambda f: (
        (f / 'arrays.npz').unlink(), (f / 'arrays.npz').mkdir()),
}


@pytest.fixture(scope='module')
def filled(tmp_path_factory):
  """A store with the toy's three fits."""
  store = Store(tmp_path_factory.mktemp('filled') / 'store')
  return store, ask(store)[0].keys


@pytest.mark.parametrize('kind', DAMAGE)
def test_what_is_damaged_is_trained_again(kind, filled, store, reference):
  source, keys = filled
  shutil.copytree(source.folder, store.folder)
  DAMAGE[kind](store.folder / keys[1])
  aside = list(store.folder.rglob('aside*'))
  got, asked = ask(store)
  assert asked.trained and f'{keys[1]} cannot be used (' in asked.said[0]
  assert 'it is trained again' in asked.said[0]
  assert_equal(got, reference)
  again, asked = ask(store)  # mended
  assert not asked.trained and not asked.said
  assert_equal(again, reference)
  # What a link pointed at beside the entry was not followed or removed.
  assert all(p.exists() for p in aside if p.parent == store.folder)


def test_damage_is_named():
  with pytest.raises(Damaged):
    raise Damaged('x')


def test_a_store_that_cannot_be_written_stops_nobody(tmp_path, reference):
  (tmp_path / 'file').write_text('')
  got, asked = ask(Store(tmp_path / 'file' / 'below'))
  assert asked.trained and 'not kept' in asked.said[0]
  assert_equal(got, reference)


def test_a_full_disk_stops_nobody(store, monkeypatch, reference):
  def full(*args, **kwargs):
    raise OSError(28, 'No space left on device')

  monkeypatch.setattr(np, 'savez', full)
  got, asked = ask(store)
  assert 'No space left on device; this training is not kept' in asked.said[0]
  assert_equal(got, reference)
  assert not store.keys() and not list(store.folder.glob('.*'))


# --- Several processes -------------------------------------------------------


def ask_slowly(folder, seeds):
  """In a process of its own: says when it trains."""
  def progress(step, *_):
    print('step', step, flush=True)
    time.sleep(.2)

  fitted = toy.fit(tuple(seeds), settings=train.Settings(
      fits=Store(folder), progress=progress, announce=print,
      steps_per_call=6, mesh={'seed': 1}))
  print('sum', float(sum(x.sum() for x in jax.tree.leaves(
      fitted.state.params))), flush=True)


PROGRAM = ('import sys; sys.path.insert(0, sys.argv[1]); import test_fits; '
           'test_fits.ask_slowly(sys.argv[2], map(int, sys.argv[3:]))')


def start(folder, *seeds):
  return subprocess.Popen(
      [sys.executable, '-c', PROGRAM, str(pathlib.Path(__file__).parent),
       str(folder), *map(str, seeds)], stdout=subprocess.PIPE, text=True)


def test_two_processes_that_ask_at_once_train_once(store):
  outs = [p.communicate()[0] for p in [start(store.folder, 0, 1, 2),
                                       start(store.folder, 0, 1, 2)]]
  trained = [out for out in outs if 'step 18' in out]
  assert len(trained) == 1
  assert outs[0].splitlines()[-1] == outs[1].splitlines()[-1]


def test_a_process_that_dies_lets_others_train(store):
  first = start(store.folder, 0, 1, 2)
  assert first.stdout.readline() == 'step 6\n'
  first.kill()
  first.communicate()
  assert not store.keys()
  _, asked = ask(store, fields=dict(steps_per_call=6, mesh={'seed': 1}))
  assert asked.trained and len(store.keys()) == 3


def test_who_waits_can_be_stopped(store):
  keys = ask(store)[0].keys
  store.remove(keys[0])
  with store.locked(keys[:1]):
    with pytest.raises(checkpoint.Interrupted, match='another process'):
      ask(store, fields=dict(stopping=lambda: True))
    with pytest.raises(BlockingIOError):
      with store.locked(keys, patient=False):
        pass
  ask(store)


# --- Fresh -------------------------------------------------------------------


def test_fresh_trains_again_and_compares(store, reference):
  ask(store)
  got, asked = ask(store, fields=dict(fresh=True))
  assert asked.trained
  assert_equal(got, reference)


def test_fresh_names_key_and_array_that_differ(store):
  keys = ask(store)[0].keys
  rewritten(lambda arrays: arrays | {
      'state/params/w': arrays['state/params/w'] + 1})(store.folder / keys[1])
  with pytest.raises(UserError, match=rf'seed 1, .*{keys[1]} in state/params/w '
                     r'\(1 of '):
    ask(store, fields=dict(fresh=True))
  assert ask(store)[1].trained is False  # nothing was replaced


# --- With checkpoints --------------------------------------------------------


def test_a_save_of_another_program_is_not_kept(store, tmp_path):
  stop = iter([False, True])
  with pytest.raises(checkpoint.Interrupted):
    ask(store, directory=tmp_path / 'block', tx=optax.adam(1e-3), fields=dict(
        stopping=lambda: next(stop), steps_per_call=6))
  got, asked = ask(store, directory=tmp_path / 'block', tx=optax.adam(1e-2),
                   fields=dict(steps_per_call=6))
  assert len(asked.calls) == 1 and not store.keys()  # it went on, with both
  assert got.keys == ()
  assert any('another program' in text for text in asked.said)


def test_a_run_that_went_on_is_kept(store, tmp_path):
  stop, form = iter([False, True]), dict(steps_per_call=6)
  with pytest.raises(checkpoint.Interrupted):
    ask(store, directory=tmp_path / 'block', fields=form | dict(
        stopping=lambda: next(stop)))
  got, asked = ask(store, directory=tmp_path / 'block', fields=form)
  assert len(asked.calls) == 1 and len(store.keys()) == 3
  again, asked = ask(store, fields=form)
  assert not asked.trained
  assert_equal(again, got)


# --- Outputs -----------------------------------------------------------------


def test_outputs_are_kept_by_what_is_shown(store):
  fitted, _ = ask(store)
  src, called = toy.source(SEEDS), []

  def draw(shared, own, item, key):
    rows = own['val_rows'][item]
    return {'x': shared['x'][rows], 'y': shared['y'][rows]}

  predict = evaluate.predictor(
      lambda params, extra, x: toy.predict(params, x), draw, 8)
  of, predict.of = predict.of, lambda positions, *args: (
      called.extend(positions), of(positions, *args))[1]
  want = predict(fitted.state.params, {}, src.shared, src.own, 20)
  called.clear()

  def asked(state='last', num_rows=20, shared=src.shared, keys=fitted.keys):
    called.clear()
    found = {'last': fitted.state, 'best': fitted.best}[state]
    return fits.outputs(store, keys, state, predict, found, shared, src.own,
                        num_rows)

  toy.assert_same_bits(asked(), want)
  assert called == [0, 1, 2]
  toy.assert_same_bits(asked(), want)
  assert called == []
  for more in (dict(state='best'), dict(num_rows=19), dict(shared={
      k: v + 1 for k, v in src.shared.items()})):
    asked(**more)
    assert called == [0, 1, 2]
    asked(**more)
    assert called == []
  part = store.below(fitted.keys[1], fits.OUTPUTS)
  for name in part.keys():
    flip(part.folder / name / 'arrays.npz')
  toy.assert_same_bits(asked(), want)
  assert called == [1]
  toy.assert_same_bits(asked(keys=()), want)
  assert called == [0, 1, 2]


# --- The command -------------------------------------------------------------


@pytest.fixture
def default(store, monkeypatch):
  monkeypatch.setenv('ASSAY_FITS', str(store.folder))
  return store


def test_list_verify_and_prune(default, capsys):
  assert door.main(['fits', 'list']) == 0
  assert '0 fits' in capsys.readouterr().out
  keys = ask(default, fields=dict(label={'paper': 'p', 'arm': 'erm'}))[0].keys
  assert kept.main(['list']) == 0
  out = capsys.readouterr().out
  assert all(key in out for key in keys) and '3 fits' in out and 'erm' in out
  assert kept.main(['verify']) == 0
  flip(default.folder / keys[0] / 'arrays.npz')
  assert kept.main(['verify']) == 1
  assert keys[0] in capsys.readouterr().out
  assert kept.main(['prune']) == 2
  assert kept.main(['prune', 'nothing']) == 2
  assert kept.main(['prune', keys[0]]) == 0
  assert default.keys() == sorted(keys[1:])
  old = time.time() - 10 * 24 * 3600
  for path in (default.folder / keys[1]).iterdir():
    os.utime(path, (old, old))
  with default.locked([keys[1]]):
    assert kept.main(['prune', '--days=9']) == 0
    assert 'being trained' in capsys.readouterr().out
  assert kept.main(['prune', '--days=9']) == 0
  assert default.keys() == [keys[2]]
  assert kept.main(['prune', '--megabytes=0']) == 0
  assert default.keys() == []


def test_where_fits_are_kept(monkeypatch, tmp_path):
  monkeypatch.setenv('ASSAY_FITS', str(tmp_path / 'x'))
  assert fits.default_store().folder == tmp_path / 'x'
  for text in ('', 'off'):
    monkeypatch.setenv('ASSAY_FITS', text)
    assert fits.default_store() is None
  assert kept.main(['list']) == 2
  monkeypatch.delenv('ASSAY_FITS')
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  assert fits.default_store().folder == tmp_path / 'assay' / 'fits'


def test_a_store_keeps_every_kind_of_array(store):
  arrays = {'a': np.float32(1.5), 'b': np.zeros((0, 3), np.int32),
            'c': np.array([True, False]), 'd': np.asarray(
                jnp.arange(6, dtype=jnp.bfloat16).reshape(2, 3)),
            'e/f': np.arange(6, dtype=np.int64)[::2]}
  store.write('key', arrays, {'more': (1, 2)})
  got, info = store.read('key')
  assert info['more'] == [1, 2]
  for name, array in arrays.items():
    assert got[name].dtype == np.asarray(array).dtype
    np.testing.assert_array_equal(got[name], array)
    assert got[name].shape == np.shape(array)


# --- A study -----------------------------------------------------------------

CONFIG = ml_collections.ConfigDict(dict(
    arms=('a', 'b'), num_seeds=3, seed_varies='fresh', scale='reduced',
    sweep='', swept_arms=(), sweep_values=(), rate=0.01)).lock()


def run(workdir, **fields):
  """A small paper: two arms that have the same network; (rows, study)."""
  calls, said = [], []
  study = Study('made_up', 'small', CONFIG, workdir=workdir,
                progress=lambda *report: calls.append(report),
                announce=said.append, **fields)
  tx = optax.adam(CONFIG.rate)
  predict = evaluate.predictor(
      lambda params, extra, x: toy.predict(params, x), tabular_draw)
  for name, arm, _ in study.planned():
    for block in study.blocks(name):
      src = toy.source(block.seeds)
      fitted = block.fit(
          'fit', CONFIG, train.make_init(toy.init_variables, tx),
          train.make_step(jax.value_and_grad(toy.loss_fn, has_aux=True), tx),
          toy.draw, src, num_steps=18, eval_every=6, select=toy.select)
      with block.recorder(fitted, dataset='toy', method=arm) as add:
        for state in ('last', 'best'):
          predictions, y = block.outputs(fitted, predict, src.shared, src.own,
                                         toy.ROWS, state)
          add('rmse', lambda p, y: np.sqrt(np.mean((p - y) ** 2)), predictions,
              y, split='test', state=state)
        add.save(last=predictions)
  study.calls, study.said = calls, said
  return [{k: v for k, v in row.items() if k != 'run'}
          for row in study.rows()], study


def tabular_draw(shared, own, item, key):
  rows = own['val_rows'][item]
  return {'x': shared['x'][rows], 'y': shared['y'][rows]}


@pytest.fixture
def by_default(default, monkeypatch):
  """Rows without a store, and the store that is then the default."""
  monkeypatch.setenv('ASSAY_FITS', 'off')
  rows, study = run(None)
  assert study.settings.fits is None and study.fits == {}
  monkeypatch.setenv('ASSAY_FITS', str(default.folder))
  return rows, default


def test_rows_are_equal_with_the_store_empty_full_and_half(by_default,
                                                           tmp_path):
  rows, store = by_default
  for name in ('empty', 'full', 'half', 'damaged', None):
    if name == 'half':
      for key in store.keys()[:2]:
        store.remove(key)
    if name == 'damaged':
      flip(store.folder / store.keys()[0] / 'arrays.npz')
    got, study = run(name and tmp_path / name)
    assert got == rows, name
    trained = name not in ('full', None)
    assert bool(study.calls) == trained and study.asked == 6
    # The second arm has the networks of the first.
    assert study.taken == (3 if trained else 6)
    assert {report[0] for report in study.calls} <= {'a'}
  assert len(store.keys()) == 3


def test_a_run_says_which_fits_its_rows_stand_on(by_default, tmp_path):
  _, store = by_default
  run(tmp_path / 'w', num_seeds=2)
  _, study = run(tmp_path / 'w', num_seeds=3)
  info = results.read_runs([tmp_path / 'w'])[study.run]
  assert info['fits'] == {'a': info['fits']['b'], 'b': info['fits']['b']}
  assert sorted(info['fits']['a']) == store.keys()
  labels = {json.dumps(store.information(key)['label'], sort_keys=True)
            for key in store.keys()}
  assert len(labels) == 1 and '"arm": "a"' in labels.pop()


def test_networks_from_the_store_can_be_loaded(by_default, tmp_path,
                                               monkeypatch):
  import assay

  _, store = by_default
  monkeypatch.setattr(papers, 'load', lambda name: types.SimpleNamespace(
      make_apply=lambda config, arm: lambda params, extra, x: toy.predict(
          params, x)))
  run(tmp_path / 'first')
  run(tmp_path / 'second')
  assert not list((tmp_path / 'second').glob('*/fit/*/[0-9]*'))  # no saves
  x = np.ones((2, toy.DIMS), np.float32)
  for state in ('best', 'last', None):
    says = [apply(params, x) for apply, params in (
        assay.load(tmp_path / name, arm, 1, state)
        for name, arm in (('first', 'a'), ('second', 'a'), ('second', 'b')))]
    np.testing.assert_array_equal(says[0], says[1])
    np.testing.assert_array_equal(says[0], says[2])
  for key in store.keys():
    store.remove(key)
  assay.load(tmp_path / 'first', 'a', 1)
  with pytest.raises(UserError, match='is not in the store.*ASSAY_FITS'):
    assay.load(tmp_path / 'second', 'a', 1)


def test_fresh_is_a_flag():
  assert '--fresh' in cli.flags.parser('c_mixup').format_help()


def test_a_hit_lowers_once_a_block_and_compiles_no_training(store, monkeypatch):
  ask(store)
  lowered, texts = naming.lowered, []
  monkeypatch.setattr(naming, 'lowered', lambda *args: texts.append(
      lowered(*args)) or texts[-1])
  monkeypatch.setattr(loop, 'Run', None)  # it would be called to train
  _, asked = ask(store)
  assert not asked.trained
  assert len(texts) == 3  # start, step and selection, for three seeds


def test_outputs_of_many_splits_lower_once(store, monkeypatch):
  fitted, _ = ask(store)
  src = toy.source(SEEDS)
  predict = evaluate.predictor(
      lambda params, extra, x: toy.predict(params, 2 * x), tabular_draw, 8)
  lowered, texts = naming.lowered, []
  monkeypatch.setattr(naming, 'lowered', lambda *args: texts.append(
      lowered(*args)) or texts[-1])
  for shift in range(3):
    fits.outputs(store, fitted.keys, 'last', predict, fitted.state, {
        k: v + shift for k, v in src.shared.items()}, src.own, 20)
  assert len(texts) == 1


def test_what_is_too_large_is_not_kept(store, monkeypatch, reference):
  monkeypatch.setattr(naming, 'MAX_BYTES', 100)
  got, asked = ask(store)
  assert asked.said == ['This training is not kept: a seed has 0 GB.']
  assert_equal(got, reference)
