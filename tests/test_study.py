"""Blocks of seeds, and the names of what they leave."""

import json
import math
import re
import shutil
import types

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
import pytest
import toy

import assay
from assay import config as config_lib
from assay import disk, papers, results, train
from assay.errors import UserError
from assay.results import code
from assay.study import Study, command, replaced
from assay.train import checkpoint

CONFIG = dict(arms=('erm',), num_seeds=6, seed_varies='fresh',
              scale='reduced', width=8)


def study(workdir=None, config=(), **fields):
  return Study('made_up', 'small', ml_collections.ConfigDict(
      CONFIG | dict(config)).lock(), workdir=workdir, **fields)


def finish(block):
  rows = [block.row(seed, 'rmse', 1.5, dataset='made', method='erm',
                    split='test', n=3, step=1, state='last')
          for seed in block.seeds]
  block.finish(rows, {}, {}, num_params=1)


def seeds_of(made, arm='erm'):
  return [block.seeds for block in made.blocks(arm)]


def test_blocks_are_consecutive_seeds_of_bounded_number():
  assert seeds_of(study()) == [(0, 1, 2, 3, 4, 5)]
  assert seeds_of(study(seeds_at_once=4)) == [(0, 1, 2, 3), (4, 5)]
  assert list(study().blocks('erm', seeds=(100, 101, 7)))[1].seeds == (7,)


@pytest.mark.parametrize('name', ['erm,kernel=top hat', 'a/b', 'a(2)', '.a'])
def test_an_arm_whose_rows_would_not_be_found_is_refused(name, tmp_path):
  with pytest.raises(UserError, match='names no file of rows'):
    list(study(tmp_path).blocks(name))


def test_a_finished_block_is_not_run_again(tmp_path):
  made = study(tmp_path, seeds_at_once=2)
  for block in list(made.blocks('erm'))[::2]:  # 0, 1 and 4, 5
    finish(block)
  assert seeds_of(made) == [(2, 3)]
  made.num_seeds = 8
  assert seeds_of(made) == [(2, 3), (6, 7)]
  made.seeds_at_once = None  # never one block 2 to 7 with a gap in it
  assert seeds_of(made) == [(2, 3), (6, 7)]


def test_a_damaged_block_is_computed_again_once_it_is_moved_away(tmp_path):
  made = study(tmp_path, seeds_at_once=3)
  for block in made.blocks('erm'):
    finish(block)
  path = tmp_path / 'rows' / 'erm.3.jsonl'
  path.write_text(path.read_text().replace('1.5', 'NaN'))
  with pytest.raises(UserError, match='erm.3.jsonl:2: .* Or move it away to '
                     'compute it again.$'):
    made.rows()
  path.rename(tmp_path / 'away')
  assert seeds_of(made) == [(3, 4, 5)]


def test_arms_whose_names_begin_alike_are_kept_apart(tmp_path):
  made = study(tmp_path)
  finish(next(made.blocks('erm,width=1.5')))
  assert seeds_of(made, 'erm,width=1.5') == []
  assert seeds_of(made, 'erm,width=1') == [(0, 1, 2, 3, 4, 5)]
  assert made.rows_of('erm,width=1') == []


def test_an_infinite_setting_can_be_continued(tmp_path):
  finish(next(study(tmp_path, dict(bandwidth=math.inf)).blocks('erm')))
  assert seeds_of(study(tmp_path, dict(bandwidth=math.inf))) == []
  with pytest.raises(UserError, match="bandwidth: 'inf' there, 2.0 here"):
    study(tmp_path, dict(bandwidth=2.0))


def test_another_grouping_is_announced(tmp_path):
  said = []
  made = study(tmp_path, announce=said.append)
  next(made.blocks('erm')).claim('fit', made.config)
  assert not said
  made.seeds_at_once = 3
  next(made.blocks('erm')).claim('fit', made.config)
  assert said == ['erm: seeds 0 to 2 start afresh; the unfinished block 0 to 5 '
                  'was grouped otherwise.']


def test_a_value_that_is_not_finite_becomes_null_with_a_reason():
  block = next(study().blocks('erm'))
  row = block.row(0, 'rmse', math.nan, dataset='made', method='erm',
                  split='test', n=3, step=1, state='last', why='diverged')
  assert row['value'] is None and row['why'] == 'diverged'


def test_run_names_config_and_code(monkeypatch):
  assert study().run == study().run
  assert study().run != study(config=dict(width=9)).run
  assert len(study().run) == 8
  files = {'lib/assay/losses.py': 'one', 'configs/c_mixup.py': 'two'}
  monkeypatch.setattr('assay.study.code.sources', lambda *_: files)
  before = study().run
  monkeypatch.setattr('assay.study._commit', lambda: 40 * '1')
  files['configs/c_mixup.py'] = 'a claim more'
  assert study().run == before  # what computes is the same
  files['lib/assay/losses.py'] = 'edited'
  assert study().run != before


def test_a_copy_is_told_its_commit(monkeypatch):
  monkeypatch.setenv('ASSAY_COMMIT', '0123abcd')
  assert study().commit == '0123abcd'
  monkeypatch.delenv('ASSAY_COMMIT')
  monkeypatch.setenv('PATH', '')  # no git
  assert study().commit == 'unknown'


def test_a_run_names_all_kinds_of_devices_it_was_continued_on(tmp_path):
  first, *others = study(tmp_path, seeds_at_once=2).blocks('erm')
  finish(first)
  file, = (tmp_path / 'runs').glob('*.json')
  disk.write_json(file, json.loads(file.read_text()) | {
      'device_kind': 'a GPU'})
  for block in others:
    finish(block)
  assert json.loads(file.read_text())['device_kind'] == 'a GPU, cpu'


@pytest.mark.parametrize('words', [
    '-m experiments.useful --workdir=/tmp/x --seeds=3',
    '-m experiments.useful --workdir /tmp/x --seeds=3',
    '-m experiments.useful --seeds=3 --data_dir=/data --workdir out/mine'])
def test_a_run_is_told_without_folders_of_the_machine(words):
  assert command(words.split()) == 'python -m experiments.useful --seeds=3'


def test_paths_in_a_command_are_those_of_the_clone():
  words = [f'--config={papers.ROOT}/configs/useful.py:dominoes',
           '--config.net.dataset=/home/me/my.csv:price', '/opt/x/run.py']
  assert command(words) == (
      'python --config=configs/useful.py:dominoes '
      '--config.net.dataset=my.csv:price run.py')


def test_a_workdir_that_cannot_be_written_is_refused(tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(UserError, match='folder that can be written'):
    study(tmp_path / 'file' / 'below').claim()
  with pytest.raises(UserError, match='folder that can be written'):
    study(tmp_path / ('x' * 5000))


def test_a_workdir_of_another_paper_is_refused_by_name(tmp_path):
  made = study(tmp_path)
  made.claim()
  del made  # it holds the workdir
  # What the configs differ in says nothing here.
  with pytest.raises(UserError, match='^[^()]* holds a run of made_up:small, '
                     'and this is one of other:large; use another --workdir.$'):
    Study('other', 'large', ml_collections.ConfigDict(
        CONFIG | dict(depth=3)).lock(), workdir=tmp_path)


def test_a_workdir_whose_lock_is_a_link_is_refused(tmp_path):
  (tmp_path / 'precious').write_text('mine')
  (tmp_path / '.lock').symlink_to(tmp_path / 'precious')
  with pytest.raises(UserError, match='.lock is a link.*remove it'):
    study(tmp_path).claim()
  assert (tmp_path / 'precious').read_text() == 'mine'


def test_a_workdir_is_held_without_its_lock_file(tmp_path):
  made = study(tmp_path)
  made.claim()
  (tmp_path / '.lock').unlink()
  with pytest.raises(UserError, match='another run is using'):
    study(tmp_path)
  del made
  study(tmp_path)


NESTED = dict(net=dict(depth=2, rate=0.5), classes=((0, 1), (2,)),
              bandwidth=math.inf)


def test_a_nested_config_is_the_flat_one_of_before(tmp_path):
  flat = NESTED['net'] | {k: v for k, v in NESTED.items() if k != 'net'}
  study(tmp_path, flat).claim()
  study(tmp_path, NESTED)
  with pytest.raises(UserError, match='depth: 2 there, 3 here'):
    study(tmp_path, NESTED | dict(net=dict(depth=3, rate=0.5)))


def test_what_was_written_of_a_nested_config_is_restored(tmp_path):
  made = study(tmp_path, NESTED)
  made.claim()
  written = disk.read_json(tmp_path / 'config.json', {'config': dict})
  got = config_lib.restored(written['config'])
  assert got.to_dict() == made.config.to_dict() and got.is_locked
  assert got.net.depth == 2


def test_fields_are_replaced_by_path_or_name():
  config = ml_collections.ConfigDict(CONFIG | NESTED).lock()
  for name in ('net.depth', 'depth'):
    got = replaced(config, {name: 5})
    assert got.net.depth == 5 and got.is_locked and config.net.depth == 2
  assert replaced(config, {'width': 1}).width == 1
  with pytest.raises(UserError, match='nets.depth: .* did you mean net.depth'):
    replaced(config, {'nets.depth': 1})


def test_a_swept_field_of_a_group_keeps_its_own_name():
  sweep = dict(swept_arms=('erm',), sweep_values=(1, 2))
  for name in ('depth', 'net.depth'):
    made = study(config=NESTED | sweep | dict(sweep=name))
    assert list(made.planned()) == [
        (f'erm,depth={v}', 'erm', {'depth': v}) for v in (1, 2)]


# --- Recorder ----------------------------------------------------------------


def fitted(num_seeds=6, broken=(), best=True):
  """Two parameters a seed; seed i made 10 i updates, its best after 5 i."""
  of = lambda step: dict(step=step * jnp.arange(num_seeds),
                         params={'w': jnp.ones((num_seeds, 2))}, extra={})
  return train.Fitted(
      train.State(**of(10), opt_state=optax.EmptyState(), key=None),
      train.lanes.Best(**of(5), value=jnp.zeros(num_seeds)) if best else None,
      {'loss': np.ones((3, num_seeds))}, dict.fromkeys(broken, (4, 'loss')))


COMMON = dict(dataset='made', method='erm')


def test_rows_of_a_recorder_by_hand(tmp_path):
  made = study(tmp_path)
  x = np.arange(18.).reshape(6, 3)
  with next(made.blocks('erm')).recorder(fitted(), **COMMON, depth=3) as add:
    add('sum', lambda a, b: np.sum(a + b), x, x, split='test', state='best')
    add('given', x[:, 0], split='val', n=np.arange(1, 7), group='all')
    add('one', 7, split='train', n=2, step=0, wrong=np.zeros((6, 2), bool))
    add.one(2, 'single', 0.5, split='train', n=1, more='x')
    add.save(last=jnp.ones((6, 4)))
  rows = [(r['seed'], r['metric'], r['value'], r['n'], r['step'], r['state'],
           r['split'], r['group']) for r in made.rows()]
  assert rows[:6] == [(i, 'sum', 2 * x[i].sum(), 3, 5 * i, 'best', 'test', '')
                      for i in range(6)]
  assert rows[6:12] == [(i, 'given', x[i, 0], i + 1, 10 * i, 'last', 'val',
                         'all') for i in range(6)]
  assert rows[12:18] == [(i, 'one', 7, 2, 0, 'last', 'train', '')
                         for i in range(6)]
  assert rows[18:] == [(2, 'single', .5, 1, 20, 'last', 'train', '')]
  assert all(r['depth'] == 3 and r['dataset'] == 'made' for r in made.rows())
  assert made.rows()[-1]['more'] == 'x'
  assert made.rows()[12]['wrong'] == results.pack([False, False])
  kept = made.predictions_of('erm', (1, 4))
  np.testing.assert_array_equal(kept['seeds'], [1, 4])
  assert kept['last'].shape == (2, 4)
  assert results.read_runs([tmp_path])[made.run]['num_params'] == 2
  assert seeds_of(made) == []


def test_parameters_are_counted_without_a_program(caplog):
  found = fitted()
  found = found._replace(state=found.state.replace(
      params={'w': jnp.ones((6, 5, 3, 7)), 'b': jnp.ones((6, 11))}))
  with jax.log_compiles():
    assert next(study().blocks('erm')).recorder(
        found, **COMMON).num_params == 5 * 3 * 7 + 11
  assert 'Compiling' not in caplog.text


def test_seeds_that_diverged_are_not_asked_and_say_why():
  made, asked = study(), []
  with next(made.blocks('erm')).recorder(fitted(broken=(1,)), **COMMON) as add:
    add('a', lambda x: asked.append(x) or math.nan, np.arange(6), split='test',
        n=1, why='not reached')
    add('b', np.arange(6), split='test', n=1)
  assert asked == [0, 2, 3, 4, 5]
  whys = [(r['value'], r['why']) for r in made.rows() if r['seed'] in (0, 1)
          and r['metric'] == 'a']
  assert whys == [(None, 'not reached'),
                  (None, 'loss not finite after step 4')]
  assert [r['value'] for r in made.rows()][6:] == [0, None, 2, 3, 4, 5]


def test_a_recorder_of_nothing_trained():
  made = study()
  with next(made.blocks('erm')).recorder(step=8, **COMMON) as add:
    add('a', 1, split='test', n=1)
    add.curves['mine'] = np.ones(2)
  assert {r['step'] for r in made.rows()} == {8}


def test_a_block_that_fails_is_not_finished():
  made = study()
  with pytest.raises(ZeroDivisionError):
    with next(made.blocks('erm')).recorder(**COMMON) as add:
      add('a', lambda x: 1 // int(x), np.arange(6), split='test', n=1)
  assert seeds_of(made) == [tuple(range(6))]


@pytest.mark.parametrize('what, words', [
    (lambda add: add('a', len, np.ones((5, 2)), split='test'), 'the 6 seeds'),
    (lambda add: add('a', np.ones(5), split='test', n=1), 'broadcast'),
    (lambda add: add('a', 1, split='test', n=[1, 2]), 'n of a .* the 6 seeds'),
    (lambda add: add('a', 1, split='test'), 'give n'),
    (lambda add: add('a', 1, split='test', n=1, state='best'), 'left last'),
    (lambda add: add.save(x=np.ones(3)), 'x has shape .3,.*the 6 seeds'),
])
def test_what_a_recorder_refuses(what, words):
  with pytest.raises(ValueError, match=words):
    with next(study().blocks('erm')).recorder(fitted(best=False),
                                              **COMMON) as add:
      what(add)


# --- Whose a file is ---------------------------------------------------------

FILES = {  # what a workdir holds of a block, and what is told of it
    'a/fit/seeds_0-1': r'12 is of made_up:small b, fit, seeds 0 to 1, and '
                       r'made_up:small a, fit, seeds 0 to 1 should be there '
                       r"\(arm: 'b' in the file, 'a' here\). Put back",
    'a/fit/seeds_0-1/config.json': "config.json is of made_up:small b, fit, .*"
                                   "arm: 'b' in the file, 'a' here",
    'rows/a.0.jsonl': r"a.0.jsonl is of other:small, .*paper: 'other' in the",
    'predictions/a.0.npz': "a.0.npz is of made_up:small b, .*arm: 'b' in the"}


def trained(workdir, arms=('a', 'b'), rate=0.1, stop=False, rows=True):
  """A study of two arms that trains and reads what it saved."""
  config = dict(arms=arms, num_seeds=2, rate=rate, sweep='', swept_arms=())
  answers = iter([False, True])  # before the block, and after a call
  made = study(workdir, config, settings=train.Settings(
      steps_per_call=6, stopping=lambda: stop and next(answers)))
  tx = optax.sgd(rate)
  for name in arms:
    for block in made.blocks(name):
      fitted = block.fit(
          'fit', made.config, train.make_init(toy.init_variables, tx),
          train.make_step(jax.value_and_grad(toy.loss_fn, has_aux=True), tx),
          toy.draw, toy.source(block.seeds), num_steps=12, eval_every=6)
      if rows:
        with block.recorder(fitted, dataset='toy', method=name) as add:
          add('rmse', 1., split='test', n=1)
          add.save(last=np.ones((2, 3)))
  return made, [made.predictions_of(name, (0, 1)) for name in arms if rows]


@pytest.mark.parametrize('name', FILES)
def test_an_exchanged_file_is_refused(name, tmp_path):
  trained(tmp_path, rows=not name.startswith('a/'))
  mine, other = tmp_path / name, tmp_path / name.replace('a', 'b', 1)
  if name.startswith('rows'):
    results.write(mine, [row | {'paper': 'other'}
                         for row in results.read_rows(mine)])
  elif name.startswith('predictions'):
    other = tmp_path / 'predictions' / 'b.0.npz'
    shutil.copy(other, mine)
  elif mine.is_dir():
    (mine / 'config.json').rename(tmp_path / 'kept.json')
    shutil.rmtree(mine)
    shutil.copytree(other, mine)
    (tmp_path / 'kept.json').rename(mine / 'config.json')
  else:
    shutil.copy(other, mine)
  with pytest.raises(UserError, match=FILES[name]):
    trained(tmp_path, rows=not name.startswith('a/'))


@pytest.mark.parametrize('gone', [False, True])
def test_another_learning_rate_is_not_continued(gone, tmp_path):
  with pytest.raises(checkpoint.Interrupted):
    trained(tmp_path, ('a',), stop=True)
  (tmp_path / 'config.json').unlink()
  if gone:
    (tmp_path / 'a' / 'fit' / 'seeds_0-1' / 'config.json').unlink()
  with pytest.raises(UserError, match='rate: 0.1 in the file, 0.2 here'):
    trained(tmp_path, ('a',), rate=0.2)
  (tmp_path / 'config.json').unlink()
  if gone:
    (tmp_path / 'a' / 'fit' / 'seeds_0-1' / 'config.json').unlink()
  trained(tmp_path, ('a',))


def test_a_save_that_does_not_say_whose_it_is_is_continued(tmp_path, caplog,
                                                           monkeypatch):
  with monkeypatch.context() as before:
    before.setattr(train.Settings, 'owner', lambda *args: {})
    with pytest.raises(checkpoint.Interrupted):
      trained(tmp_path, ('a',), stop=True)
  trained(tmp_path, ('a',))
  said = [r for r in caplog.records if 'not say whose' in r.getMessage()]
  assert len(said) == 1 and 'made_up:small a, fit, seeds 0 to 1' in caplog.text
  trained(tmp_path, ('a',), rows=False)
  assert caplog.text.count('not say whose') == 1


def test_predictions_of_before_are_read(tmp_path):
  made, _ = trained(tmp_path, ('a',))
  file = tmp_path / 'predictions' / 'a.0.npz'
  with np.load(file) as arrays:
    old = {k: v for k, v in arrays.items() if k != 'whose'}
  np.savez(file, **old)
  assert made.predictions_of('a', (0, 1))['last'].shape == (2, 3)
  np.savez(file, **old | {'seeds': np.array([1, 2])})
  with pytest.raises(UserError, match='seed: 1 in the file, 0 here'):
    made.predictions_of('a', (0, 1))


def test_networks_of_an_exchanged_folder_are_not_loaded(tmp_path, monkeypatch):
  monkeypatch.setattr(papers, 'load', lambda name: types.SimpleNamespace(
      make_apply=lambda config, arm: lambda *args: arm))
  trained(tmp_path)
  apply, params = assay.load(tmp_path, 'a', 1)
  assert apply(params, None) == 'a'
  folders = [tmp_path / arm / 'fit' / 'seeds_0-1' for arm in 'ab']
  saved = [next(folder.glob('[0-9]*')) for folder in folders]
  saved[0].rename(tmp_path / 'aside')
  saved[1].rename(saved[0])
  with pytest.raises(UserError, match="12 is of made_up:small b, fit, "):
    assay.load(tmp_path, 'a', 1)
  shutil.copy(folders[1] / 'config.json', folders[0])
  with pytest.raises(UserError, match="config.json is of made_up:small b, "):
    assay.load(tmp_path, 'a', 1)


# --- What others leave in a workdir ------------------------------------------

# Files and folders (with a slash) by editors, systems, copies and people.
STRAYS = ('.DS_Store', 'notes.txt', 'Thumbs.db', 'a.0 (copy).jsonl',
          'notes.jsonl', '.#a.0.jsonl', '#a.0.jsonl#', 'a.0.jsonl~',
          '._a.0.jsonl', 'a (copy).0.jsonl', 'Copy of a.0.jsonl', 'a.x.jsonl',
          'seeds_0-1 (copy)/', 'seeds_x/', 'seeds_0/', 'a (copy)/', 'run.json',
          '0123abcd (copy).json', '12 (copy)/', '6~/', 'config (copy).json')
FOLDERS = ('', 'rows', 'runs', 'predictions', 'a', 'a/fit', 'a/fit/seeds_0-1')


@pytest.mark.parametrize('begun', [False, True])
def test_what_others_leave_in_a_workdir_stops_nothing(begun, tmp_path, caplog,
                                                     monkeypatch):
  whole, _ = trained(tmp_path / 'whole', ('a',))
  folder = tmp_path / 'work'
  if begun:
    with pytest.raises(checkpoint.Interrupted):
      trained(folder, ('a',), stop=True)
  for place in FOLDERS:
    (folder / place).mkdir(parents=True, exist_ok=True)
    for name in STRAYS:
      stray = folder / place / name
      if name.endswith('/'):
        stray.mkdir()
        (stray / 'config.json').write_text('no JSON')
      else:
        stray.write_text('neither rows nor JSON')
  made, _ = trained(folder, ('a',))
  rows = lambda found: [row | {'run': ''} for row in found.rows()]
  assert rows(made) == rows(whole)
  assert 'notes.jsonl is left alone: names there are <arm>' in caplog.text
  monkeypatch.setattr(papers, 'load', lambda name: types.SimpleNamespace(
      make_apply=lambda config, arm: lambda *args: arm))
  assay.load(folder, 'a', 1)


@pytest.mark.parametrize('content', [
    '[]', '3', '{"spent": 3}', '{"fits": {"erm": 3}}', '{"wall_seconds": "x"}',
    '{"spent": {"1": "x"}}', '{"wall_seconds": -1}', '{"planned_seeds": 1e9}'])
def test_a_run_file_of_another_shape_is_told_before_training(content, tmp_path):
  made = study(tmp_path, seeds_at_once=1)
  finish(next(made.blocks('erm')))
  file = tmp_path / 'runs' / f'{made.run}.json'
  del made
  if content.startswith('{'):
    content = json.dumps(json.loads(file.read_text()) | json.loads(content))
  file.write_text(content)
  with pytest.raises(UserError, match=rf'{file.name}.*restore'):
    study(tmp_path)


def test_a_copy_of_a_block_is_told_before_training(tmp_path):
  finish(next(study(tmp_path, seeds_at_once=1).blocks('erm')))
  shutil.copy(tmp_path / 'rows' / 'erm.0.jsonl',
              tmp_path / 'rows' / 'erm_old.0.jsonl')
  with pytest.raises(UserError, match='seed 0 of erm has a second .*keep one'):
    study(tmp_path)


@pytest.mark.parametrize('paper', papers.names('configs'))
def test_names_of_blocks_are_names_of_files(paper, monkeypatch):
  monkeypatch.setattr('assay.study._commit', lambda: 'unknown')
  for name in ('of', 'sources'):
    monkeypatch.setattr(f'assay.study.code.{name}', lambda *args: {})
  module = papers.configs(paper)
  for variant in module.VARIANTS:
    made = Study(paper, variant, module.get_config(variant))
    for name, *_ in made.planned():
      assert results.files.BLOCK.fullmatch(f'{name}.0.jsonl'), name


# --- Code that is edited -----------------------------------------------------


@pytest.fixture
def edited(monkeypatch):
  """`edited(text)`: from now on a file of the code has another content."""
  def edit(text):
    monkeypatch.setattr('assay.study.code.sources', lambda root, paper: {
        'lib/assay/losses.py': text, 'lib/assay/keys.py': 'same'})
    monkeypatch.setattr('assay.study._commit', lambda: 40 * '0' + '+')
  return edit


def test_a_run_that_goes_on_under_edited_code_says_so_and_tells_both(
    tmp_path, edited):
  said, runs = [], []
  for text in ('one', 'one', 'two', 'two', 'one'):
    edited(text)
    made = study(tmp_path, announce=said.append, seeds_at_once=1)
    finish(next(made.blocks('erm')))
    runs.append(made.run)
    del made  # it holds the workdir
  assert len(said) == 2 and all(
      'was begun with other code (lib/assay/losses.py differ)' in text
      for text in said)
  # One commit with other edits is another run, so that each row has its own.
  assert runs[0] == runs[1] == runs[4] != runs[2] == runs[3]
  told = results.read_runs([tmp_path])
  states = [state['sources'] for state in told[runs[2]]['made_with']]
  assert len(states) == 2 and states[0] != states[1]
  assert [s['sources'] for s in told[runs[0]]['made_with']] == [
      *states, states[0]]


def test_edits_before_anything_was_made_are_not_told(tmp_path, edited):
  said = []
  for text in ('one', 'two'):
    edited(text)
    made = study(tmp_path, announce=said.append)
    made.claim()
    states = made.describe()['made_with']
    del made  # it holds the workdir
  assert not said and len(states) == 1


def test_a_workdir_that_does_not_tell_its_code_is_said_to(tmp_path, edited):
  edited('one')
  said = []
  finish(next(study(tmp_path, seeds_at_once=1).blocks('erm')))
  (tmp_path / 'code.json').unlink()
  study(tmp_path, announce=said.append).claim()
  assert len(said) == 1 and 'commit unknown there, 000' in said[0]


def test_the_code_of_a_run_is_what_makes_its_rows(tmp_path):
  found = code.sources(papers.ROOT, 'c_mixup')
  for name in ('lib/assay/train/loop.py', 'lib/assay/cli/running.py',
               'lib/assay/testbeds/tabular.py', 'experiments/c_mixup.py',
               'configs/c_mixup.py', 'configs/_c_mixup_shift.py'):
    assert re.fullmatch('[0-9a-f]{8}', found[name])
  assert not [name for name in found if name.startswith((
      'lib/assay/claims', 'lib/assay/report', 'experiments/useful'))]
  # What an editor leaves: a copy, a lock that is a broken link.
  folder = tmp_path / 'experiments'
  folder.mkdir()
  (folder / 'made_up.py').write_text('x = 1')
  (folder / '.#made_up.py').symlink_to('nowhere')
  first = code.sources(tmp_path, 'made_up')['experiments/made_up.py']
  (folder / 'made_up.py').write_text('x = 2')
  assert code.sources(tmp_path, 'made_up')['experiments/made_up.py'] != first
