"""Blocks of seeds, and the names of what they leave."""

import json
import math

import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
import pytest

from assay import config as config_lib
from assay import disk, results, train
from assay.errors import UserError
from assay.study import Study, command, replaced

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


def test_a_finished_block_is_not_run_again(tmp_path):
  made = study(tmp_path, seeds_at_once=2)
  for block in list(made.blocks('erm'))[::2]:  # 0, 1 and 4, 5
    finish(block)
  assert seeds_of(made) == [(2, 3)]
  made.num_seeds = 8
  assert seeds_of(made) == [(2, 3), (6, 7)]
  made.seeds_at_once = None  # never one block 2 to 7 with a gap in it
  assert seeds_of(made) == [(2, 3), (6, 7)]


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


def test_run_names_config_and_commit():
  assert study().run == study().run
  assert study().run != study(config=dict(width=9)).run
  assert len(study().run) == 8


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


def test_a_workdir_that_cannot_be_written_is_refused(tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(UserError, match='folder that can be written'):
    study(tmp_path / 'file' / 'below').claim()
  with pytest.raises(UserError, match='folder that can be written'):
    study(tmp_path / ('x' * 5000))


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
