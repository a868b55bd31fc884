import fcntl
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import types

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from assay import disk, papers, results
from assay.errors import UserError
from assay.report import tables

LIB = pathlib.Path(disk.__file__).parents[1]
RUN = {'run': '0123abcd', 'paper': 'made_up', 'config_name': 'small',
       'config': {'width': 2}, 'command': 'python -m experiments.made_up',
       'commit': '0123456789abcdef0123+', 'versions': {}, 'device_kind': 'cpu',
       'device_count': 1, 'wall_seconds': 1.5, 'num_params': 3,
       'seed_varies': 'fresh', 'planned_seeds': 2, 'scale': 'reduced',
       'claims': [], 'reported': {}}
REPORTED = {'airfoil': {
    'erm': {'rmse': dict(mean=2.901, std=0.067, n=3, tag='2src',
                         source='table 1')},
    'c_mixup': {'rmse': dict(mean=2.7, std=None, n=None, tag='recall',
                             source='table 1', bandwidth=1.75)}}}


PUBLISHED = papers.published(
    'table 1', 'rmse', {'erm': (2.901, 0.067)}, of='small', dataset='airfoil',
    n=3, tag='2src') + papers.published(
        'table 1', 'rmse', {'c_mixup': 2.7}, of='small', dataset='airfoil',
        tag='recall', bandwidth=1.75)


def card(**more):
  """The card of a made-up paper, of which `REPORTED` is published."""
  return types.SimpleNamespace(**{
      'VARIANTS': {'small': 'a small one'}, 'PUBLISHED': PUBLISHED,
      'CLAIMS': (), 'PAPER': papers.Paper(
          'Made up', authors='', year='', family='ood_and_shift',
          idea='An idea. Another.')} | more)


def row(value=1.5, seed=0, method='erm', **more):
  return {'paper': 'made_up', 'config': 'small', 'run': '0123abcd',
          'dataset': 'airfoil', 'method': method, 'seed': seed,
          'split': 'test', 'group': '', 'metric': 'rmse', 'value': value,
          'n': 200, 'step': 10, 'state': 'best'} | more


def diverged(**more):
  return row(None, why='loss is nan at step 3', **more)


def make_workdir(folder, rows=None, run=None):
  rows = rows or [row(1.0), row(3.0, seed=1)]
  for r in rows:
    disk.write_json(folder / 'runs' / f'{r["run"]}.json',
                       (run or RUN) | {'run': r['run']})
  results.write(folder / 'rows' / 'erm.0.jsonl', rows)
  return folder


@pytest.mark.parametrize('change, message', [
    ({'value': math.nan}, 'value: nan is not finite'),
    ({'value': math.inf}, 'value: inf is not finite'),
    ({'value': 10**400}, 'value: .* is not finite'),
    ({'value': True}, 'value: cannot be of type bool'),
    ({'value': '1'}, 'value: cannot be of type str'),
    ({'value': None}, 'why: missing'),
    ({'value': None, 'why': ''}, 'why: missing'),
    ({'value': None, 'why': 3}, 'why: cannot be of type int'),
    ({'seed': 1.0}, 'seed: cannot be of type float'),
    ({'seed': True}, 'seed: cannot be of type bool'),
    ({'seed': -1}, 'seed: -1 is not in'),
    ({'n': None}, 'n: cannot be of type NoneType'),
    ({'step': 2**63}, 'step: .* is not in'),
    ({'state': 'final'}, 'state: .final. is not a word'),
    ({'run': '../../x'}, 'run: '),
    ({'paper': 'a/b'}, 'paper: '),
    ({'config': ''}, 'config: '),
    ({'method': ''}, 'method: '),
    ({'group': None}, 'group: cannot be of type NoneType'),
    ({'method': 'a\x1b[2J'}, 'method: '),
    ({'bandwidth': [1]}, 'bandwidth: cannot be of type list'),
    ({'bandwidth': None}, 'bandwidth: cannot be of type NoneType'),
    ({'bandwidth': math.nan}, 'bandwidth: nan is not finite'),
])
def test_validate_names_the_wrong_field(change, message):
  with pytest.raises(UserError, match=message):
    results.validate(row() | change)


def error_row(wrong, **more):
  return row(float(np.mean(wrong)), metric='error', n=len(wrong),
             wrong=results.pack(wrong)) | more


@hypothesis.given(st.lists(st.booleans()))
@hypothesis.settings(deadline=None)
def test_wrong_examples_come_back_exactly(wrong):
  text = results.pack(wrong)
  got = results.unpack(text, len(wrong))
  assert got.dtype == bool and got.tolist() == wrong
  with pytest.raises(ValueError, match='wrong: '):
    results.unpack(text, len(wrong) + 8)
  if wrong:
    results.validate(error_row(wrong))


def test_wrong_by_hand():
  # Bits 01000001 and 1, then seven zeros: bytes 65 and 128.
  wrong = [False, True, False, False, False, False, False, True, True]
  assert results.pack(wrong) == results.pack(np.array(wrong)) == 'QYA='
  assert results.unpack('QYA=', 9).tolist() == wrong


@pytest.mark.parametrize('text', [
    'QYA', 'QYA==', 'QYB=', 'QY A=', 'QYA=\n', 'Q_A=', 'é', 'QQ==', 'QYAA',
    'QYE=', '', '='])  # QYE= has a bit behind the ninth example
def test_malformed_text_of_wrong_is_refused(text):
  with pytest.raises(UserError, match='^wrong: '):
    results.unpack(text, 9)
  with pytest.raises(UserError, match='^wrong: '):
    results.validate(error_row([True] * 9) | {'wrong': text})


@pytest.mark.parametrize('change, message', [
    ({'wrong': 3}, 'wrong: cannot be of type int'),
    ({'wrong': None}, 'wrong: cannot be of type NoneType'),
    ({'n': 20}, 'wrong: 1 bytes do not fit n=20'),
    ({'n': 2**62}, 'wrong: 1 bytes do not fit'),
    ({'n': 7}, 'wrong: .* is not how 7 bits are written'),
    ({'value': 0.25001}, 'wrong: 2 of 8 examples, but the error is 0.25001'),
    ({'value': 10**300}, 'wrong: 2 of 8 examples'),
    ({'value': None, 'why': 'loss is nan'}, 'wrong: there, but the value is')])
def test_wrong_has_to_fit_the_row(change, message):
  good = error_row([True] + [False] * 6 + [True])
  results.validate(good | {'value': 0.2500001})
  results.validate(good | {'metric': 'nll', 'value': 3.0})
  with pytest.raises(UserError, match=message):
    results.validate(good | change)


@pytest.mark.parametrize('field', results.FIELDS)
def test_validate_names_a_missing_field(field):
  broken = row()
  del broken[field]
  with pytest.raises(UserError, match=f'^{field}: missing'):
    results.validate(broken)


def test_validate_refuses_what_is_no_row():
  with pytest.raises(UserError, match='not list'):
    results.validate([])


@hypothesis.given(st.floats(allow_nan=False, allow_infinity=False),
                  st.floats(allow_nan=False))
@hypothesis.settings(max_examples=50, deadline=None)
def test_rows_come_back_exactly(tmp_path_factory, value, bandwidth):
  folder = tmp_path_factory.mktemp('exact')
  rows = [row(value, bandwidth=bandwidth, clip=True, kernel='é|"'),
          diverged(seed=1)]
  results.write(folder / 'a.jsonl', rows)
  got = results.read_rows(folder / 'a.jsonl')
  assert got == rows
  assert repr(got[0]['value']) == repr(value)  # -0.0 as well


def write_lines(path, rows):
  """Rows as they were written before cells, and as a person writes them."""
  path.write_text(''.join(json.dumps(r) + '\n' for r in rows))


def test_a_file_has_a_line_for_what_is_shared_and_one_for_each_cell(tmp_path):
  rows = [dict(reversed(list(row(
      value, seed, width=2, bandwidth=math.inf, scale='reduced', step=step,
      metric=metric).items()))) for seed, (value, step) in enumerate([
          (0.1, 5), (-0.0, 7)]) for metric in ('rmse', 'mape')]
  rows[2] |= {'value': None, 'why': 'loss is nan', 'run': 'ffffffff'}
  results.write(tmp_path / 'a.jsonl', rows)
  assert (tmp_path / 'a.jsonl').read_text() == (
      '{"cells": 2, "paper": "made_up", "config": "small", "dataset": '
      '"airfoil", "method": "erm", "split": "test", "group": "", "state": '
      '"best", "bandwidth": "inf", "width": 2, "n": 200, "step": [5, 7], '
      '"seeds": [0, 1]}\n'
      '{"metric": "rmse", "run": ["0123abcd", "ffffffff"], "why": [null, '
      '"loss is nan"], "values": [0.1, null]}\n'
      '{"metric": "mape", "run": "0123abcd", "values": [0.1, -0.0]}\n')
  got = results.read_rows(tmp_path / 'a.jsonl')
  want = [{k: v for k, v in r.items() if k != 'scale'} for r in rows]
  assert got == [want[i] for i in (0, 2, 1, 3)]
  assert list(got[0])[:len(results.FIELDS)] == list(results.FIELDS)


ROWS = st.lists(st.builds(
    lambda seed, value, sweep, more: row(value, seed, **sweep, **more),
    st.integers(0, 5), st.floats(allow_nan=False, allow_infinity=False),
    st.dictionaries(st.sampled_from(['rho', 'kernel']), st.sampled_from(
        [0.0, -0.0, 0, 1, 1.0, True, 'a', math.inf]), max_size=2),
    st.dictionaries(st.sampled_from(['n', 'step']), st.integers(0, 3))
    | st.just({'why': ''}) | st.just({'method': 'mixup'})))


@hypothesis.given(ROWS)
@hypothesis.settings(max_examples=200, deadline=None)
def test_both_forms_hold_the_same_rows(tmp_path_factory, rows):
  folder = tmp_path_factory.getbasetemp()
  results.write(folder / 'cells.jsonl', rows)
  write_lines(folder / 'lines.jsonl', [
      {k: str(v) if v == math.inf else v for k, v in r.items()} for r in rows])
  told = lambda rows: sorted(repr(sorted(r.items())) for r in rows)
  for form in 'cells', 'lines':
    assert told(results.read_rows(folder / f'{form}.jsonl')) == told(rows)


def test_rows_of_lines_are_migrated(tmp_path):
  rows = [row(float(seed), seed, method=m) for m in 'ab' for seed in (0, 1)]
  make_workdir(tmp_path, rows)
  file = tmp_path / 'rows' / 'erm.0.jsonl'
  cells = file.read_bytes()
  write_lines(file, rows)
  before = results.read([tmp_path])
  assert results.migrate(tmp_path) == [file]
  assert results.read([tmp_path]) == before and file.read_bytes() == cells
  assert results.migrate(tmp_path) == []


@pytest.mark.parametrize('field', ['cells', 'seeds', 'values'])
def test_names_with_a_meaning_in_files_are_no_sweep_fields(field):
  with pytest.raises(UserError, match=f'{field}: means something else'):
    results.validate(row() | {field: 1})


CELL = {k: v for k, v in row().items() if k not in ('seed', 'value')} | {
    'seeds': [0, 1], 'values': [0.5, 1]}


@pytest.mark.parametrize('change, message', [
    ({'values': [0.5, 'x']}, 'value: cannot be of type str'),
    ({'values': [0.5, 10**400]}, 'value: .* is not finite'),
    ({'values': [0.5, None]}, 'why: missing'),
    ({'values': [0.5, None], 'why': ['x', None]}, 'why: missing'),
    ({'values': [0.5]}, 'values: 1 for 2 seeds'),
    ({'values': [], 'seeds': []}, 'seeds: 0 for 0 seeds'),
    ({'values': 0.5}, 'values: must be a list, in place of value'),
    ({'value': 0.5}, 'values: must be a list, in place of value'),
    ({'seeds': [0, True]}, 'seed: cannot be of type bool'),
    ({'seeds': [0, -1]}, 'seed: -1 is not in'),
    ({'n': [1, 2.0]}, 'n: cannot be of type float'),
    ({'n': [1]}, 'n: 1 for 2 seeds'),
    ({'n': None}, 'n: cannot be of type NoneType'),
    ({'run': ['0123abcd', 'x']}, "run: 'x' is not a word"),
    ({'run': ['0123abcd', None]}, 'run: cannot be of type NoneType'),
    ({'method': ['a', 'b']}, 'method: cannot be of type list'),
    ({'rho': [1, 2]}, 'rho: cannot be of type list'),
    ({'why': 3}, 'why: cannot be of type int'),
    ({'cells': 3}, 'cells: means something else'),
    ({'wrong': ['QA==', None], 'n': 8, 'metric': 'error'},
     'wrong: 1 of 8 examples, but the error is 0.5')])
def test_validate_cell_names_the_wrong_field(change, message):
  results.schema.validate_cell(CELL | {'wrong': [None, 'QA=='], 'n': 8})
  with pytest.raises(UserError, match=f'^{message}'):
    results.schema.validate_cell(CELL | change)
  with pytest.raises(UserError, match='state: missing'):
    results.schema.validate_cell(
        {k: v for k, v in CELL.items() if k != 'state'})


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
  path = tmp_path / 'a.jsonl'
  results.write(path, [row(1.0)])
  old = path.read_bytes()

  def crash(source, target):
    raise KeyboardInterrupt

  monkeypatch.setattr(os, 'replace', crash)
  with pytest.raises(KeyboardInterrupt):
    results.write(path, [row(2.0)])
  assert path.read_bytes() == old
  assert os.listdir(tmp_path) == ['a.jsonl']


def test_contents_and_folder_are_on_disk_in_this_order(tmp_path, monkeypatch):
  calls = []
  fsync, replace = os.fsync, os.replace
  monkeypatch.setattr(os, 'fsync', lambda fd: (calls.append(
      'folder' if os.path.isdir(f'/proc/self/fd/{fd}') else 'file'),
      fsync(fd)))
  monkeypatch.setattr(os, 'replace', lambda *a: (calls.append('replace'),
                                                 replace(*a)))
  disk.write_bytes(tmp_path / 'a', b'x')
  assert calls == ['file', 'replace', 'folder']
  assert (tmp_path / 'a').read_bytes() == b'x'


def test_nothing_is_written_if_one_row_is_wrong(tmp_path):
  with pytest.raises(UserError, match='seed'):
    results.write(tmp_path / 'a.jsonl', [row(), row(seed='1')])
  assert not list(tmp_path.iterdir())


def test_write_json_refuses_nan_and_spells_out_infinity(tmp_path):
  disk.write_json(tmp_path / 'a.json', {'b': (math.inf, 0.1), 'a': 1})
  assert json.loads((tmp_path / 'a.json').read_text()) == {
      'a': 1, 'b': ['inf', 0.1]}
  with pytest.raises(UserError, match='nan'):
    disk.write_json(tmp_path / 'b.json', {'a': math.nan})


def test_read_joins_the_run_of_each_row(tmp_path):
  make_workdir(tmp_path, [row(1.0), row(2.0, seed=1, run='ffffffff')])
  disk.write_json(tmp_path / 'runs' / 'ffffffff.json',
                  RUN | {'run': 'ffffffff', 'planned_seeds': 7})
  rows = results.read([tmp_path])
  assert rows[0] == row(1.0, seed_varies='fresh', planned_seeds=2,
                        scale='reduced')
  assert [r['planned_seeds'] for r in rows] == [2, 7]


def test_committed_runs_name_no_folder_of_a_machine():
  runs = list((papers.ROOT / 'results').glob('*/runs/*.json'))
  assert runs
  for path in runs:
    command = disk.read_json(path, {'command': str})['command']
    assert not re.search(r'(^|[ =])(/|~|[A-Z]:)', command), path


def test_read_takes_a_workdir_a_block_and_a_results_folder(tmp_path):
  workdir = make_workdir(tmp_path / 'work')
  results.write(workdir / 'rows.jsonl', [row(9.0)])  # a stale copy: not read
  values = [[r['value'] for r in results.read([path])] for path in (
      workdir, workdir / 'rows' / 'erm.0.jsonl', workdir / 'rows.jsonl')]
  assert values == [[1.0, 3.0], [1.0, 3.0], [9.0]]
  (workdir / 'rows' / 'erm.0.jsonl').rename(workdir / 'small.jsonl')
  (workdir / 'rows').rmdir()
  (workdir / 'rows.jsonl').unlink()
  assert [r['value'] for r in results.read([workdir])] == [1.0, 3.0]


def test_blocks_are_read_in_the_order_of_their_seeds(tmp_path):
  make_workdir(tmp_path)
  for first in 10, 5:
    results.write(tmp_path / 'rows' / f'erm.{first}.jsonl', [row(seed=first)])
  assert [r['seed'] for r in results.read([tmp_path])] == [0, 1, 5, 10]


def test_read_names_a_missing_or_damaged_run_file(tmp_path):
  make_workdir(tmp_path)
  file = tmp_path / 'runs' / '0123abcd.json'
  for text in None, '{', '[]', '{"seed_varies": "fresh", "scale": "x"}', 'NaN':
    file.unlink()
    if text is not None:
      file.write_text(text)
    with pytest.raises(UserError, match='0123abcd.json'):
      results.read([tmp_path])
    file.touch()


def test_read_refuses_a_result_that_is_there_twice(tmp_path):
  make_workdir(tmp_path)
  with pytest.raises(UserError, match='seed 0 of erm has a second rmse'):
    results.read([tmp_path, tmp_path / 'rows' / 'erm.0.jsonl'])
  make_workdir(tmp_path, [row(), row(bandwidth=1.0), row(state='last')])
  assert len(results.read([tmp_path])) == 3


@pytest.mark.parametrize('first, second', [
    (error_row([True, False]), error_row([False, True])),
    (error_row([True, False]), row(0.5, metric='error')),
    (diverged(), diverged() | {'why': 'inf'})])
def test_what_is_attached_to_a_value_does_not_tell_results_apart(
    tmp_path, first, second):
  make_workdir(tmp_path, [first])
  assert results.read([tmp_path])[0].items() >= first.items()
  results.write(tmp_path / 'rows' / 'erm.1.jsonl', [second])
  with pytest.raises(UserError, match='seed 0 of erm has a second'):
    results.read([tmp_path])
  (tmp_path / 'rows' / 'erm.0.jsonl').unlink()
  assert results.read([tmp_path])[0].items() >= second.items()


@pytest.mark.parametrize('line', [
    b'{"paper": "made_up"', b'[]', b'\xff\xfe', b'null', b'NaN', b'{}',
    b'[' * 100_000, b'1' * 5000])
@pytest.mark.parametrize('form', ['cells', 'lines'])
def test_a_broken_line_is_named_by_file_and_number(tmp_path, line, form):
  path = make_workdir(tmp_path) / 'rows' / 'erm.0.jsonl'
  if form == 'lines':
    write_lines(path, [row(), row(seed=1)])
  path.write_bytes(path.read_bytes() + line + b'\n')
  with pytest.raises(UserError, match=r'erm\.0\.jsonl:3: '):
    results.read([tmp_path])


def test_cells_cut_anywhere_read_whole_or_not_at_all(tmp_path):
  path = make_workdir(tmp_path, [row(), row(seed=1), row(method='mixup')]
                      ) / 'rows' / 'erm.0.jsonl'
  data = path.read_bytes()
  assert data.count(b'\n') == 3
  for cut in range(len(data)):
    path.write_bytes(data[:cut])
    if cut in (0, len(data) - 1):
      assert len(results.read([tmp_path])) == (cut and 3)
    else:
      with pytest.raises(UserError, match=r'erm\.0\.jsonl:[123]: '):
        results.read([tmp_path])


def test_lines_cut_anywhere_read_as_whole_rows_or_not_at_all(tmp_path):
  path = make_workdir(tmp_path) / 'rows' / 'erm.0.jsonl'
  write_lines(path, [row(1.0), row(3.0, seed=1)])
  data = path.read_bytes()
  first = data.index(b'\n')
  for cut in range(len(data)):
    path.write_bytes(data[:cut])
    if cut in (0, first, first + 1, len(data) - 1):
      assert len(results.read([tmp_path])) == (cut > 0) + (cut > first + 1)
    else:
      with pytest.raises(UserError):
        results.read([tmp_path])


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda x: st.lists(x) | st.dictionaries(st.text(), x), max_leaves=5)


@hypothesis.given(st.one_of(
    st.binary(), JSON.map(lambda x: json.dumps(x).encode()),
    st.tuples(st.sampled_from([*results.FIELDS, *results.ATTACHED, 'rho', '']),
              JSON).map(lambda p: json.dumps(row() | {p[0]: p[1]}).encode())))
@hypothesis.settings(max_examples=300, deadline=None)
def test_damaged_rows_raise_only_user_errors(tmp_path_factory, data):
  folder = tmp_path_factory.getbasetemp() / 'damaged'
  folder.mkdir(exist_ok=True)
  disk.write_json(folder / 'runs' / '0123abcd.json', RUN)
  (folder / 'a.jsonl').write_bytes(data)
  try:
    rows = results.read([folder])
  except UserError:
    return
  for r in rows:  # what is accepted can be shown and written again
    results.validate(r)
    results.write(folder / 'b.txt', [r])
    tables.to_markdown(tables.table([r], {}))


@hypothesis.given(st.binary() | JSON.map(lambda x: json.dumps(x).encode()))
@hypothesis.settings(max_examples=100, deadline=None)
def test_damaged_run_files_raise_only_user_errors(tmp_path_factory, data):
  folder = tmp_path_factory.getbasetemp() / 'damaged_run'
  make_workdir(folder)
  (folder / 'runs' / '0123abcd.json').write_bytes(data)
  with pytest.raises(UserError, match='0123abcd.json'):
    results.read([folder])


def test_paths_without_rows_are_user_errors(tmp_path):
  for path in tmp_path, tmp_path / 'none', tmp_path / 'none.jsonl':
    with pytest.raises(UserError, match='no rows there'):
      results.read([path])


def test_publish_copies_rows_and_runs_and_drops_stale_runs(tmp_path):
  target = tmp_path / 'results'
  old = [row(9.0, seed=s, run='ffffffff') for s in range(2)]
  results.publish(make_workdir(tmp_path / 'old', old), target)
  other = [row(9.0, seed=s, run='eeeeeeee', config='big') for s in range(2)]
  results.publish(make_workdir(tmp_path / 'other', other), target)
  workdir = make_workdir(tmp_path / 'new')
  assert results.publish(workdir, target) == target / 'made_up'
  files = sorted(str(p.relative_to(target)) for p in target.rglob('*.*'))
  assert files == ['made_up/big.jsonl', 'made_up/runs/0123abcd.json',
                   'made_up/runs/eeeeeeee.json', 'made_up/small.jsonl']
  assert results.read([target / 'made_up' / 'small.jsonl']) == results.read(
      [workdir])
  assert results.read_runs([target / 'made_up'])['0123abcd'] == RUN


def test_publish_refuses_an_unfinished_workdir(tmp_path):
  rows = [row(), row(seed=1), row(method='mixup')]
  with pytest.raises(UserError, match='mixup lacks 1 planned seeds, first 1'):
    results.publish(make_workdir(tmp_path / 'work', rows), tmp_path / 'out')
  assert not (tmp_path / 'out').exists()


PUBLISHER = '''
import pathlib, sys
from assay import disk, results
folder, who = pathlib.Path(sys.argv[1]), sys.argv[2]
row = {row}
for i in range(25):
  run, work = f'{{who}}{{i:07x}}', folder / who
  own = [row | dict(run=run, seed=seed, config='c' + who) for seed in (0, 1)]
  disk.write_json(work / 'runs' / f'{{run}}.json', {run} | dict(run=run))
  results.write(work / 'rows' / 'erm.0.jsonl', own)
  results.publish(work, folder / 'results')
'''


def test_publishing_twice_at_once_loses_no_run(tmp_path):
  script = PUBLISHER.format(row=row(), run=RUN)
  both = [subprocess.Popen([sys.executable, '-c', script, str(tmp_path), who],
                           env=os.environ | {'PYTHONPATH': str(LIB)},
                           stderr=subprocess.PIPE, text=True) for who in 'ab']
  for process in both:
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
  folder = tmp_path / 'results' / 'made_up'
  assert results.read_runs([folder]).keys() == {'a0000018', 'b0000018'}
  assert not (folder / '.lock').exists()
  assert {path.name for path in folder.rglob('*.*')} == {
      'ca.jsonl', 'cb.jsonl', 'a0000018.json', 'b0000018.json'}


def test_publishing_waits_for_who_publishes_and_says_so(tmp_path, monkeypatch):
  workdir = make_workdir(tmp_path / 'work')
  release = disk.lock_folder(results.publish(workdir, tmp_path / 'results'))
  held = disk.held
  monkeypatch.setattr(disk, 'held', lambda folder: held(folder, seconds=.1))
  with pytest.raises(UserError, match='made_up: another process writes there'):
    results.publish(workdir, tmp_path / 'results')
  release()
  results.publish(workdir, tmp_path / 'results')


# --- Locks -------------------------------------------------------------------


def test_a_lock_is_not_lost_with_its_file(tmp_path):
  release = disk.lock_folder(tmp_path)
  (tmp_path / disk.LOCK).unlink()
  with pytest.raises(BlockingIOError):
    disk.lock_folder(tmp_path)
  release()
  disk.lock_folder(tmp_path)()


def test_a_lock_is_that_of_the_file_which_is_there(tmp_path, monkeypatch):
  # Removed by who held it, between the opening and the locking.
  path, flock = tmp_path / disk.LOCK, fcntl.flock
  taken = []

  def late(file, how):
    if not taken:
      path.unlink()
    taken.append(file)
    return flock(file, how)

  monkeypatch.setattr(fcntl, 'flock', late)
  file = disk.take_lock(path)
  assert len(taken) == 2 and os.path.samestat(os.fstat(file), path.stat())
  os.close(file)


def test_a_lock_empties_nothing(tmp_path):
  (tmp_path / 'precious').write_text('mine')
  (tmp_path / 'w').mkdir()
  lock = tmp_path / 'w' / disk.LOCK
  lock.symlink_to(tmp_path / 'precious')
  with pytest.raises(OSError):
    disk.lock_folder(tmp_path / 'w')
  lock.unlink()
  os.link(tmp_path / 'precious', lock)
  disk.lock_folder(tmp_path / 'w')()
  assert (tmp_path / 'precious').read_text() == 'mine'
  (tmp_path / 'link').symlink_to(tmp_path / 'w')  # a workdir may be one
  release = disk.lock_folder(tmp_path / 'link')
  with pytest.raises(BlockingIOError):
    disk.lock_folder(tmp_path / 'w')
  release()


# --- What is committed --------------------------------------------------------

# A folder of somebody's machine; a path of a web address has a host before it.
PLACE = re.compile(r"""(?<![\w.:/<-])(/(home|root|tmp|work|Users|mnt|opt|usr|var
    |scratch|data|srv|private|content|gpfs|lustre|nfs)/\w
    | [A-Z]:\\+\w | \\\\\w+\\) | file://""", re.X)


def test_nothing_committed_tells_a_folder_of_a_machine():
  # Runs, verdicts, pages and figures: whatever is there.
  for text in ('cd /home/me/assay', '--workdir=/tmp/x', '"C:\\\\Users"',
               'file:///x', '`/root/a`'):
    assert PLACE.search(text), text
  for text in ('https://x.org/data/a', '</tmp/x>', 'and/or', 'lib/data/a',
               'a ~ b', 'results/../data/x'):
    assert not PLACE.search(text), text
  files = [path for place in ('results', 'docs', 'README.md', 'colabs')
           for path in [papers.ROOT / place, *(papers.ROOT / place).rglob('*')]
           if path.is_file() and path.suffix in (
               '.json', '.jsonl', '.md', '.svg', '.ipynb')]
  assert len(files) > 30
  found = [f'{path}: {line.strip():.200}' for path in files
           for line in path.read_text().splitlines() if PLACE.search(line)]
  assert not found, '\n'.join(found)


# --- Papers ------------------------------------------------------------------


def run_papers(folder, code, pythonpath=LIB):
  """Runs code that prints, or the UserError it raises, in a new process."""
  code = ('from assay import papers\nfrom assay.errors import UserError\n'
          f'try:\n  {code}\nexcept UserError as e:\n  print("UserError", e)')
  return subprocess.run(
      [sys.executable, '-c', code], cwd=folder, capture_output=True, text=True,
      check=True, env=os.environ | {'PYTHONPATH': str(pythonpath)}
  ).stdout.strip()


@pytest.fixture
def clone(tmp_path):
  """A clone with two papers, and the library in it."""
  for package in 'experiments', 'configs':
    (tmp_path / package).mkdir()
    for name in 'tiny', 'other_1':
      (tmp_path / package / f'{name}.py').write_text(f'NAME = "{package}"')
  (tmp_path / 'experiments' / 'Not-a-paper.py').touch()
  (tmp_path / 'configs' / '_tiny_part.py').touch()
  (tmp_path / 'lib').mkdir()
  (tmp_path / 'lib' / 'assay').mkdir()
  for name in '__init__.py', 'papers.py', 'config.py', 'errors.py':
    (tmp_path / 'lib' / 'assay' / name).write_bytes(
        (LIB / 'assay' / name).read_bytes())
  return tmp_path


def test_papers_are_found_from_the_root_and_from_anywhere(clone):
  for cwd in clone, '/':
    assert run_papers(cwd, 'print(papers.names(), papers.load("tiny").NAME, '
                      'papers.configs("other_1").NAME)', clone / 'lib') == (
                          "['other_1', 'tiny'] experiments configs")


@pytest.mark.parametrize('name', ['nothing', 'os', 'tiny.x', '../tiny', ''])
def test_an_unknown_paper_is_an_error_that_lists_the_known(clone, name):
  near = 'tiny, other_1' if 'tin' in name or 'hing' in name else 'other_1, tiny'
  assert run_papers(clone, f'papers.load({name!r})', clone / 'lib') == (
      f'UserError no paper {name!r} in experiments/; there are: {near}.')


def test_without_a_clone_there_is_a_clear_error(clone):
  (clone / 'experiments').rename(clone / 'gone')
  assert 'run from a clone' in run_papers(
      '/', 'papers.load("tiny")', clone / 'lib')


def test_a_bug_in_a_paper_is_not_hidden(clone):
  (clone / 'experiments' / 'tiny.py').write_text('import no_such_module')
  with pytest.raises(subprocess.CalledProcessError) as error:
    run_papers(clone, 'papers.load("tiny")', clone / 'lib')
  assert 'no_such_module' in error.value.stderr
