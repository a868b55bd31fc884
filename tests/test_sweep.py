"""`--sweep.FIELD=A,B`: a run for each value, and all rows together."""

import pytest

from assay import cli, papers, results
from assay.cli import sweeps
from assay.errors import UserError


@pytest.fixture(autouse=True)
def at_root(monkeypatch):
  monkeypatch.chdir(papers.ROOT)


def swept(paper, workdir, *argv):
  """The rows of a sweep of the smoke variant."""
  assert cli.main(paper, [f'--config=configs/{paper}.py:smoke', '--quiet',
                          f'--workdir={workdir}', *argv]) == 0
  return results.read([workdir])


def value_of(rows, metric, **fields):
  """{(method, seed): value} of the test rows with these fields."""
  return {(r['method'], r['seed']): r['value'] for r in rows
          if r['metric'] == metric and r['split'] == 'test'
          and all(r[k] == v for k, v in fields.items())}


def test_each_value_is_the_run_that_its_override_makes(tmp_path, capsys):
  rows = swept('c_mixup', tmp_path / 'sweep', '--arms=mixup',
               '--sweep.alpha=0.5,2')
  out = capsys.readouterr().out
  assert {row['alpha'] for row in rows} == {.5, 2.}
  assert all(type(row['alpha']) is float for row in rows)
  assert {row['method'] for row in rows} == {'mixup'}
  assert cli.main('c_mixup', [
      '--config=configs/c_mixup.py:smoke', '--quiet', '--arms=mixup',
      '--config.alpha=0.5', f'--workdir={tmp_path / "single"}']) == 0
  single = results.read([tmp_path / 'single'])
  got = value_of(rows, 'rmse', alpha=.5, state='best')
  assert got == value_of(single, 'rmse', state='best') and len(got) == 2
  assert got != value_of(rows, 'rmse', alpha=2., state='best')
  table = out[out.rindex('\nsmoke\n'):]  # the last one has all
  # A wide table is cut into several, each with all arms.
  assert {tuple(line.split()[:2]) for line in table.splitlines()
          if line.startswith('mixup')} == {('mixup', '0.5'), ('mixup', '2')}
  text = (tmp_path / 'sweep' / 'table.md').read_text()
  assert '| mixup | 0.5 |' in text and '--sweep' not in text.splitlines()[0]
  assert (tmp_path / 'sweep' / 'rmse_by_alpha.png').stat().st_size > 1000


def test_more_values_extend_a_sweep(tmp_path, capsys):
  swept('c_mixup', tmp_path, '--arms=erm', '--seeds=1', '--sweep.net.width=8')
  block = tmp_path / 'width=8' / 'rows' / 'erm.0.jsonl'
  before = block.stat().st_mtime_ns
  rows = swept('c_mixup', tmp_path, '--arms=erm', '--seeds=1',
               '--sweep.net.width=8,16')
  assert {row['width'] for row in rows} == {8, 16}
  assert block.stat().st_mtime_ns == before  # not trained again


def test_a_field_of_data_that_all_arms_share_counts(tmp_path):
  """`useful` builds its data once a run."""
  rows = swept('useful', tmp_path, '--arms=sgd', '--seeds=1',
               '--config.net.model=mlp', '--config.sharpness_examples=0',
               '--sweep.net.alpha=0.5,0.9')
  masked = {row['alpha']: row['n'] for row in rows if row['seed'] == 0
            and row['group'] == 'masked' and row['split'] == 'train'
            and row['metric'] == 'forgetting'}
  assert masked[.5] == pytest.approx(5 * masked[.9], rel=.2)


def test_an_experiment_that_plans_no_sweeps_is_swept(tmp_path):
  rows = swept('calibration_overview', tmp_path, '--seeds=1',
               '--config.net.model=mlp',
               '--arms=cross_entropy',
               '--config.calibrators=("uncalibrated",)',
               '--sweep.net.schedule=cosine,piecewise')
  one, other = (value_of(rows, 'nll', schedule=s)
                for s in ('cosine', 'piecewise'))
  assert one.keys() == other.keys() and one != other


@pytest.mark.parametrize('argv,words', [
  (['--sweep.alpha=1,2', '--sweep.net.width=8'], ['one field at a time']),
  (['--sweep.alpha=1', '--config.alpha=2'], ['use one of them']),
  (['--sweep.alpha'], ['--sweep.alpha: must be of the form',
                       '--sweep.FIELD=VALUE,VALUE']),
  (['--sweep=alpha:1,2'], ['must be of the form']),
  (['--sweep.alfa=1'], ['alfa', 'did you mean --sweep.alpha']),
  (['--sweep.alpha=1,wide'], ['wide', 'float']),
  (['--sweep.alpha='], ['alpha', 'float']),
  (['--sweep.alpha=1,1.0'], ['there twice']),
  (['--sweep.metrics=rmse,mape'], ['metrics']),
  (['--sweep.net.split_sizes=1,2'], ['split_sizes=(1,) must have 3 values']),
  (['--sweep.num_seeds=1,2'], ['no number depends on num_seeds']),
  (['--sweep.net.dataset=diabetes,a/b'],
   ["'a/b' cannot be part of a file name"]),
  (['--config=configs/c_mixup.py:airfoil_bandwidths',
    '--sweep.bandwidth=1,2'], ['sweeps bandwidth itself', 'sweep_values']),
  (['--config=configs/c_mixup.py:airfoil_tuned', '--sweep.net.width=1,2'],
   ['tunes width itself', '--config.trials=0']),
])
def test_errors_come_before_the_first_run(argv, words, capsys, tmp_path):
  argv = ['--config=configs/c_mixup.py:smoke'] * (
      not argv[0].startswith('--config=')) + argv
  assert cli.main('c_mixup', [*argv, f'--workdir={tmp_path / "w"}']) == 2
  text = capsys.readouterr().err
  for word in words:
    assert word in text, text
  assert not (tmp_path / 'w').exists()


def test_a_run_that_fails_ends_the_sweep(capsys, tmp_path):
  """The second size is refused by the experiment, not by the flag."""
  assert cli.main('c_mixup', [
      '--config=configs/c_mixup.py:smoke', '--quiet', '--arms=erm', '--seeds=1',
      f'--workdir={tmp_path}', '--sweep.net.batch_size=16,1000,32']) == 2
  assert 'batch_size=1000' in capsys.readouterr().err
  assert (tmp_path / 'batch_size=16' / 'rows.jsonl').exists()
  assert not (tmp_path / 'batch_size=32').exists()
  assert not (tmp_path / 'rows.jsonl').exists()


def test_rows_that_have_the_field_already_are_refused(tmp_path):
  swept('c_mixup', tmp_path, '--arms=erm', '--seeds=1', '--sweep.net.width=8')
  with pytest.raises(UserError, match='have width=8 of their own'):
    sweeps.joined('width', {16: tmp_path})


def test_the_default_workdir_and_help_say_what_is_swept(
    tmp_path, monkeypatch, capsys):
  """The workdir is where the command is given."""
  monkeypatch.chdir(tmp_path)

  def said(*argv):
    assert cli.main('c_mixup', list(argv)) == 0
    return capsys.readouterr()

  config = f'--config={papers.ROOT}/configs/c_mixup.py:smoke'
  assert 'c_mixup:smoke with width=16' in said(
      config, '--sweep.net.width=8,16', '--arms=erm', '--dry_run').out
  assert not (tmp_path / 'out').exists()
  said(config, '--sweep.net.width=8', '--arms=erm', '--seeds=1')
  folder = tmp_path / 'out' / 'c_mixup' / 'smoke-width'
  assert (folder / 'width=8' / 'rows.jsonl').exists()
  assert (folder / 'rows.jsonl').exists()
  listed = said(config, '--list')
  assert '--sweep.FIELD=VALUE,VALUE' in listed.err
  assert said(config, '--list', '--sweep.net.width=8').out == listed.out
  with pytest.raises(SystemExit):
    said('--help')
  assert '--sweep.FIELD=VALUE,VALUE' in capsys.readouterr().out
