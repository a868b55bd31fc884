"""Interrupted equals uninterrupted, bit for bit, wherever it happens."""

import pathlib
import signal
import subprocess
import sys
import textwrap

import chex
import jax
import kinds
import numpy as np
import pytest
import toy

from assay import train
from assay.train import checkpoint


class Killed(BaseException):
  """What `die` raises here: nothing may catch it on its way out."""


@pytest.fixture
def stop_at(monkeypatch):
  """`stop_at('step:12')`: the next fit dies there; `stop_at(None)` lives."""
  managers, open_manager = [], checkpoint.open_manager

  def opened(directory):
    managers.append(open_manager(directory))
    return managers[-1]

  def die():
    # Within one process the writer survives: let it end before the next fit.
    managers[-1].wait_until_finished()
    raise Killed

  monkeypatch.setattr(checkpoint, 'open_manager', opened)
  monkeypatch.setattr(checkpoint, 'die', die)

  def set_site(site):
    if site is None:
      monkeypatch.delenv('ASSAY_STOP_AT')
    else:
      monkeypatch.setenv('ASSAY_STOP_AT', site)

  yield set_site
  for manager in managers:
    manager.close()


SITES = ['step:12', 'before_save:12', 'in_save:12', 'after_save:12']


@pytest.mark.parametrize('form,sites', [
    (dict(steps_per_call=6), SITES),
    (dict(steps_per_call=1, seed_map='loop'), SITES[-1:]), *kinds.nightly(
        (dict(steps_per_call=2), SITES[-1:]),
        (dict(seed_map='loop', steps_per_call=6), SITES[-1:]))], ids=str)
def test_killed_anywhere_and_continued_is_the_same(form, sites, stop_at,
                                                   tmp_path):
  form = form | dict(mesh={'seed': 1})
  settings = train.Settings(save_every=0, **form)
  whole = toy.fit(directory=tmp_path / 'whole', settings=settings)
  for site in sites:
    folder = tmp_path / site.replace(':', '_')
    stop_at(site)
    with pytest.raises(Killed):
      toy.fit(directory=folder, settings=settings)
    stop_at(None)
    seen = []
    again = toy.fit(directory=folder, settings=train.Settings(
        save_every=0, progress=lambda step, *_, s=seen: s.append(step), **form))
    # It really went on from the middle: no step before the save ran again.
    assert min(seen) > 6, site
    toy.assert_same_bits(_arrays(again), _arrays(whole))


def _arrays(fitted):
  state = fitted.state.replace(key=jax.random.key_data(fitted.state.key))
  return state, fitted.best, fitted.curves


def test_a_finished_run_does_nothing(tmp_path):
  first = toy.fit(directory=tmp_path)
  calls = []
  again = toy.fit(directory=tmp_path, settings=train.Settings(
      progress=lambda *report: calls.append(report)))
  assert not calls
  toy.assert_same_bits(_arrays(again), _arrays(first))


@pytest.mark.parametrize('damage', [
    'flip', *kinds.nightly('truncate', 'delete')])
def test_a_damaged_save_is_skipped_with_a_warning(damage, tmp_path, caplog,
                                                  stop_at):
  settings = train.Settings(save_every=0, steps_per_call=6)
  whole = toy.fit(directory=tmp_path / 'whole', settings=settings)
  folder = tmp_path / 'torn'
  stop_at('after_save:12')
  with pytest.raises(Killed):
    toy.fit(directory=folder, settings=settings)
  stop_at(None)
  assert (folder / '12').is_dir()
  data = max((folder / '12' / 'default' / 'd').iterdir(),
             key=lambda f: f.stat().st_size)
  content = data.read_bytes()
  if damage == 'truncate':
    data.write_bytes(content[:len(content) // 2])
  elif damage == 'flip':
    middle = len(content) // 2
    data.write_bytes(content[:middle] + bytes(64) + content[middle + 64:])
  else:
    data.unlink()
  seen = []
  again = toy.fit(directory=folder, settings=train.Settings(
      save_every=0, steps_per_call=6, progress=lambda s, *_: seen.append(s)))
  assert seen == [12, 18]  # from the save before it
  assert any('Skipping the checkpoint at step 12' in r.getMessage()
             for r in caplog.records)
  assert list(folder.glob('unreadable_12_*'))  # it is kept
  toy.assert_same_bits(_arrays(again), _arrays(whole))


def test_asked_to_stop_saves_and_says_so(tmp_path):
  whole = toy.fit(directory=tmp_path / 'whole', settings=train.Settings(
      steps_per_call=6))
  answers = iter([False, True])
  with pytest.raises(checkpoint.Interrupted, match='step 12 of 18, saved'):
    toy.fit(directory=tmp_path / 'a', settings=train.Settings(
        steps_per_call=6, stopping=lambda: next(answers)))
  again = toy.fit(directory=tmp_path / 'a', settings=train.Settings(
      steps_per_call=6))
  toy.assert_same_bits(_arrays(again), _arrays(whole))


@pytest.mark.parametrize('before,after', [
    (dict(mesh={'seed': 1, 'data': 4}), dict(mesh={'seed': 2})),
    *kinds.nightly(
        (dict(mesh={'seed': 4}), dict(mesh={'seed': 1})),
        (dict(seed_map='loop', mesh={'seed': 2}), dict(mesh={'seed': 4})))],
                         ids=str)
def test_continues_on_other_devices(before, after, tmp_path):
  whole = toy.fit(settings=train.Settings(steps_per_call=6))
  answers = iter([False, True])
  with pytest.raises(checkpoint.Interrupted):
    toy.fit(directory=tmp_path, settings=train.Settings(
        steps_per_call=6, stopping=lambda: next(answers), **before))
  seen = []
  again = toy.fit(directory=tmp_path, settings=train.Settings(
      steps_per_call=6, progress=lambda s, *_: seen.append(s), **after))
  assert seen == [18]
  chex.assert_trees_all_close(
      again.state.params, whole.state.params, rtol=1e-5, atol=1e-6)


def test_a_save_is_not_changed_by_the_steps_after_it(tmp_path):
  # The buffers that were saved are donated to the next call at once.
  settings = train.Settings(save_every=0, steps_per_call=1)
  toy.fit(num_steps=12, directory=tmp_path, settings=settings)
  first = checkpoint.open_manager(tmp_path)
  assert sorted(first.all_steps()) == [11, 12]
  first.delete(12)
  first.close()
  at_11 = checkpoint.read(tmp_path)['carry']['state']
  want = toy.fit(num_steps=12, settings=settings)
  replayed = toy.fit(num_steps=12, directory=tmp_path, settings=settings)
  np.testing.assert_array_equal(at_11['step'], 11)
  toy.assert_same_bits(replayed.state.params, want.state.params)


def test_read_gives_what_was_saved(tmp_path):
  assert not list(pathlib.Path(tmp_path).iterdir())
  fitted = toy.fit(directory=tmp_path)
  tree = checkpoint.read(tmp_path)
  toy.assert_same_bits(tree['carry']['best']['params'], fitted.best.params)
  toy.assert_same_bits(tree['carry']['state']['step'], fitted.state.step)


def test_signals_ask_to_stop_and_are_given_back():
  before = signal.getsignal(signal.SIGTERM)
  with checkpoint.signals() as stopping:
    assert not stopping()
    signal.raise_signal(signal.SIGTERM)
    assert stopping()
    assert stopping.caught == [signal.SIGTERM]
  assert signal.getsignal(signal.SIGTERM) is before


def test_stop_here_is_honored_only_under_test(tmp_path):
  script = textwrap.dedent('''
      import os
      from assay.train import checkpoint
      if os.environ.pop('AS_USER', None):
        os.environ.pop('PYTEST_CURRENT_TEST', None)
      checkpoint.stop_here('step', 3)
      checkpoint.stop_here('step', 4)
      print('alive')
  ''')
  def run(**env):
    import os
    return subprocess.run(
        [sys.executable, '-c', script], capture_output=True, text=True,
        env=os.environ | {'ASSAY_STOP_AT': 'step:4'} | env)
  assert run().returncode == -signal.SIGKILL
  assert run(AS_USER='1').stdout == 'alive\n'
