"""Blocks of seeds, and the names of what they leave."""

import math

import ml_collections
import pytest

from assay.errors import UserError
from assay.study import Study

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
  next(made.blocks('erm')).directory('fit', made.config)
  assert not said
  made.seeds_at_once = 3
  next(made.blocks('erm')).directory('fit', made.config)
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


def test_a_workdir_that_cannot_be_written_is_refused(tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(UserError, match='folder that can be written'):
    study(tmp_path / 'file' / 'below')
