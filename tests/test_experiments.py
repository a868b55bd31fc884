"""What every paper must do in its smoke variant, and every way to run one.

Rows are asked of all papers. What a run owes (to go on after a kill, to map
seeds, to extend a folder) is asked of `OWING`; `--all` asks all, as
`make nightly` does.
"""

import collections
import dataclasses
import json
import shutil

import frozen
import kinds
import numpy as np
import pytest

from assay import disk, metrics, papers, results, train
from assay.report import stale
from assay.results import code
from assay.study import Study
from assay.train import checkpoint, fits

# Seeds mapped in one program, seeds one after another, and a loop of its own.
OWING = ('c_mixup', 'calibration_overview', 'simplicity_bias')
CALLS = collections.Counter()  # of a whole run of a paper, to train


class Killed(BaseException):
  """What takes the place of kill -9 within this process."""


def study(paper, workdir, **fields):
  config = papers.configs(paper).get_config('smoke')
  # One device: a program is compiled for each.
  settings = train.Settings(save_every=0, mesh={'seed': 1},
                            **fields.pop('settings', {}))
  return config, Study(paper, 'smoke', config, workdir=workdir,
                       settings=settings, **fields)


def run(paper, workdir, **fields):
  config, made = study(paper, workdir, **fields)
  return papers.load(paper).run(config, made)


def by_name(rows):
  """What each row measured -> (value, step), without how it was run."""
  named = {}
  for row in rows:
    key = tuple(sorted((k, v) for k, v in row.items()
                       if k not in ('value', 'run', 'step',
                                    *results.ATTACHED)))
    assert key not in named
    named[key] = (row['value'], row['step'])
  return named


def owing(paper, request):
  """Whether what a run owes is asked of a paper."""
  return paper in OWING or request.config.getoption('all')


@pytest.fixture(scope='module', params=papers.names())
def whole(request, tmp_path_factory):
  """(paper, rows, workdir) of an uninterrupted run, two calls an arm."""
  workdir = tmp_path_factory.mktemp(request.param) / 'whole'
  CALLS[request.param] = 0
  with pytest.MonkeyPatch.context() as patched:
    if owing(request.param, request):
      patched.setenv('ASSAY_FITS', str(workdir.parent / 'store'))
    # Small calls, so that there is a middle to be killed in.
    rows = run(request.param, workdir, settings=dict(steps_per_call=4),
               progress=lambda *report: CALLS.update([request.param]))
  return request.param, rows, workdir


@pytest.fixture(scope='module')
def contract(whole, request):
  """As `whole`, of the papers that all is asked of."""
  if not owing(whole[0], request):
    pytest.skip(f'asked of {", ".join(OWING)}')
  return whole


def test_rows_are_rows(whole):
  paper, rows, workdir = whole
  config = papers.configs(paper).get_config('smoke')
  for row in rows:
    results.validate(row)
    assert row['paper'] == paper and row['config'] == 'smoke'
    known = metrics.KNOWN[row['metric']]
    if row['value'] is not None:  # up to rounding
      assert known.low - 1e-6 <= row['value'] <= known.high + 1e-6, row
  assert {row['seed'] for row in rows} == set(range(config.num_seeds))
  assert {row['method'] for row in rows} == set(config.arms)
  assert (workdir / 'rows.jsonl').exists()
  assert results.read([workdir]) == rows
  for run_id in {row['run'] for row in rows}:
    assert (workdir / 'runs' / f'{run_id}.json').exists()


def test_rows_are_those_that_were_frozen(whole, request):
  """Bit for bit on the machine they were frozen on, else up to rounding."""
  paper, rows, _ = whole
  file, got = frozen.FOLDER / f'{paper}.json', frozen.cells(rows)
  if not file.exists() and not request.config.getoption('freeze'):
    pytest.skip('a new paper: nothing is frozen')
  if request.config.getoption('freeze'):
    disk.write_bytes(file, (json.dumps(
        {'machine': frozen.machine(), 'cells': got}, indent=0) + '\n').encode())
  want = json.loads(file.read_text())
  assert got.keys() == want['cells'].keys()
  if want['machine'] == frozen.machine():
    assert got == want['cells']
    if commits := request.config.getoption('moved'):
      disk.write_json(papers.ROOT / 'results' / paper / stale.MOVED, {
          'commits': commits.split(','), 'code': code.of(papers.ROOT, paper)})
    return
  for name, cell in got.items():
    for (seed, _, value), (same, _, old) in zip(cell, want['cells'][name],
                                                strict=True):
      assert seed == same and (value is None) == (old is None), name
      if value is not None:
        np.testing.assert_allclose(value, old, rtol=2e-3, err_msg=name)


def test_committed_rows_are_those_that_were_frozen(request):
  """Each variant by itself: new ones may come, old ones do not change."""
  got = {}
  for path in sorted((papers.ROOT / 'results').iterdir()):
    if path.is_dir():
      for row in results.read([path]):
        got.setdefault(f'{path.name}:{row["config"]}', []).append(row)
  got = {name: frozen.digest(rows) for name, rows in got.items()}
  file = frozen.FOLDER / 'committed.json'
  if request.config.getoption('freeze'):
    disk.write_json(file, got)
  want = json.loads(file.read_text())
  assert {name: got.get(name) for name in want} == want


def test_claims_and_figures_take_the_rows(whole):
  paper, rows, _ = whole
  from assay import claims
  from assay.report import figures
  everything = papers.claims(paper)
  claims.judge(claims.about(everything, rows), rows)
  assert figures.of(paper, rows)


# Where a run is killed, one after another: the site, and at which of its calls
# since the last time. At the others of a loop `test_checkpoint` kills it.
KILLS = (('before_save', 1), ('predictions', 1), ('rows', 2))
MORE_KILLS = (('step', 2), ('before_save', 1), ('in_save', 1),
              ('after_save', 1), ('predictions', 1), ('rows', 2))


@pytest.mark.parametrize('kills', [
    KILLS, *kinds.nightly((MORE_KILLS,))], ids=len)
def test_killed_and_continued_is_the_same(contract, kills, tmp_path,
                                          monkeypatch):
  """One run, killed at each site: what a kill broke stays in its rows."""
  paper, rows, _ = contract
  steps, trains = [], CALLS[paper] > 0
  if not trains:  # it writes its rows, and saves nothing before
    kills = [kill for kill in kills if kill[0] in ('predictions', 'rows')]

  def go_on():
    return run(paper, tmp_path, settings=dict(steps_per_call=4),
               progress=lambda *report: steps.append(report))

  for site, call in kills:
    calls = collections.Counter()

    def stop_here(here, step, site=site, call=call, calls=calls):
      del step
      calls[here] += 1
      if here == site and calls[here] == call:
        raise Killed

    managers, open_manager = [], checkpoint.open_manager

    def opened(directory, managers=managers, open_manager=open_manager):
      managers.append(open_manager(directory))
      return managers[-1]

    with monkeypatch.context() as patched:
      patched.setattr(checkpoint, 'stop_here', stop_here)
      patched.setattr(checkpoint, 'open_manager', opened)
      with pytest.raises(Killed):
        go_on()
    for manager in managers:
      manager.close()  # the writer that a real kill would have ended too
  assert by_name(go_on()) == by_name(rows)
  # It went on from its saves: of calls that had ended, but one was lost, that
  # before a save.
  assert len(steps) == CALLS[paper] + trains


@pytest.fixture(scope='module')
def extended(contract, tmp_path_factory):
  """(few, more, files): rows of one seed, then of all, each seed by itself.

  `files` are those of the first seed's rows, before the others came: content
  by path.
  """
  paper, *_ = contract
  workdir = tmp_path_factory.mktemp(paper) / 'extended'
  few = run(paper, workdir, num_seeds=1, settings=dict(steps_per_call=4))
  files = {path: path.read_bytes() for path in (workdir / 'rows').iterdir()}
  more = run(paper, workdir, seeds_at_once=1, settings=dict(steps_per_call=4))
  return few, more, files


def test_mapped_seeds_are_single_seeds(contract, extended):
  _, rows, _ = contract
  single = by_name(extended[1])
  for key, (value, _) in by_name(rows).items():
    if value is None:
      assert single[key][0] is None, key
    else:
      np.testing.assert_allclose(single[key][0], value, rtol=2e-3,
                                 err_msg=str(key))


def test_more_seeds_extend_a_workdir(contract, extended):
  _, rows, _ = contract
  few, more, files = extended
  assert {row['seed'] for row in few} == {0} and files
  assert len(more) == len(rows)
  for path, content in files.items():
    assert path.read_bytes() == content  # the first block was not touched


@pytest.mark.parametrize('removed', [None, *kinds.nightly(2)])
def test_rows_do_not_depend_on_what_is_kept(contract, removed, tmp_path,
                                            monkeypatch):
  """Of a full store, in memory, nothing is trained; of half of it, the rest.

  The store was empty when the whole run filled it.
  """
  paper, rows, workdir = contract
  store = tmp_path / 'store'
  if (workdir.parent / 'store').exists():
    shutil.copytree(workdir.parent / 'store', store)
  monkeypatch.setenv('ASSAY_FITS', str(store))
  calls, store = [], fits.default_store()
  kept = store.keys()
  for key in kept[::removed] if removed else ():
    store.remove(key)
  got = run(paper, removed and tmp_path / 'half', settings=dict(
      steps_per_call=4), progress=lambda *report: calls.append(report))
  assert by_name(got) == by_name(rows)
  assert store.keys() == kept
  assert bool(calls) == (CALLS[paper] > 0 and (bool(removed) or not kept))


def test_a_finished_model_can_be_loaded(contract, monkeypatch):
  import assay
  paper, rows, workdir = contract
  # Not every arm trains: a calibrator, say, is fitted to what another learned.
  trained = [arm for arm in papers.configs(paper).get_config('smoke').arms
             if (workdir / arm / 'fit').exists()]
  if not CALLS[paper]:
    assert not trained
    pytest.skip('it trains nothing')
  made = []
  make_apply = papers.load(paper).make_apply
  monkeypatch.setattr(papers.load(paper), 'make_apply', lambda config, arm: (
      made.append(arm), make_apply(config, arm))[1])
  for method in trained:
    apply, params = assay.load(workdir, method, 1)
  assert made == trained  # each its own model
  saved = np.load(workdir / 'predictions' / f'{method}.0.npz')
  assert apply is not None and params
  assert list(saved['seeds']) == sorted({row['seed'] for row in rows})
  with pytest.raises(assay.errors.UserError, match='no seed 99'):
    assay.load(workdir, method, 99)
  with pytest.raises(assay.errors.UserError, match=f'nope.*{method}'):
    assay.load(workdir, 'nope', 0)


def test_settings_are_not_part_of_the_experiment():
  fields = {field.name for field in dataclasses.fields(train.Settings)}
  for paper in papers.names():
    module = papers.configs(paper)
    for variant in module.VARIANTS:
      assert not fields & set(module.get_config(variant).keys())
