"""The command line as a user meets it: help, errors, stopping, continuing."""

import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.error

import pytest

from assay import cli, papers, results
from assay.errors import UserError
from assay.report import page

ROOT = papers.ROOT
SMOKE = '--config=configs/c_mixup.py:smoke'


@pytest.fixture(autouse=True)
def at_root(monkeypatch):
  monkeypatch.chdir(ROOT)


def error_of(capsys, *argv):
  """The message of a command that must fail with status 2."""
  assert cli.main('c_mixup', list(argv)) == 2
  text = capsys.readouterr().err
  assert 'Traceback' not in text
  assert 'error: ' in text
  return text[text.index('error: '):]


@pytest.mark.parametrize('argv,words', [
  (['--config.bandwith=1.0'], ['config.bandwith', 'mean --config.bandwidth?']),
  (['--config.bandwidth=wide'], ['config.bandwidth=wide', 'float', '19.5']),
  (['--config.net.batch_size=1.5'], ['config.net.batch_size=1.5', 'int']),
  (['--config=configs/c_mixup.py:airfoyl'], ['airfoyl', 'airfoil', 'no2']),
  (['--config=configs/nope.py'], ['configs/nope.py', 'no such file']),
  (['--arms=erm,mixap'], ["'mixap'", 'manifold_c_mixup']),
  (['--seeds=0'], ['--seeds=0', '1 or more']),
  (['--seeds_at_once=0'], ['--seeds_at_once=0', '1 or more']),
  (['--sedes=3'], ['--sedes=3', 'did you mean --seeds']),
  (['--mesh=seed:x'], ['seed:x', 'seed:2,data:4']),
  (['--mesh=seed:64'], ['64 devices', 'smaller mesh']),
  (['--config.net.batch_size=1000'], ['batch_size=1000', '266']),
  (['--config.net.learning_rate=1e30'], ['seed 0', 'loss is not finite',
                                     'learning rate']),
  (['--config.net.split_sizes=(400,40,40)'], ['442']),
])
def test_errors_name_the_value_and_the_remedy(argv, words, capsys, tmp_path):
  config = [] if argv[0].startswith('--config=') else [SMOKE]
  text = error_of(capsys, *config, f'--workdir={tmp_path}', *argv)
  for word in words:
    assert word in text


def test_missing_data_says_where_to_get_and_put_it(capsys, tmp_path,
                                                   monkeypatch):
  def refuse(*args, **kwargs):
    raise urllib.error.URLError('no network')

  monkeypatch.setattr('urllib.request.urlopen', refuse)
  monkeypatch.setenv('ASSAY_DATA', str(tmp_path))
  text = error_of(capsys, '--config=configs/c_mixup.py:airfoil',
                  f'--workdir={tmp_path / "w"}')
  for word in ('https://', 'airfoil_self_noise.dat', '74c75fd7', 'ASSAY_DATA'):
    assert word in text


def test_a_workdir_with_another_config_is_refused(capsys, tmp_path):
  args = [SMOKE, f'--workdir={tmp_path}', '--quiet', '--arms=erm']
  assert cli.main('c_mixup', args) == 0
  text = error_of(capsys, *args, '--config.net.width=64')
  for word in (str(tmp_path), 'width: 128 there, 64 here', '--workdir'):
    assert word in text
  # The same again, with more seeds or arms, is welcome.
  assert cli.main('c_mixup', args + ['--seeds=3', '--steps_per_call=4']) == 0


def test_debug_shows_the_traceback(tmp_path):
  with pytest.raises(UserError, match='seeds=0'):
    cli.main('c_mixup', [SMOKE, f'--workdir={tmp_path}', '--seeds=0',
                         '--debug'])


def test_two_runs_in_one_workdir_are_refused(capsys, tmp_path):
  from assay.study import Study
  config = papers.configs('c_mixup').get_config('smoke')
  held = Study('c_mixup', 'smoke', config, workdir=tmp_path)
  text = error_of(capsys, SMOKE, f'--workdir={tmp_path}')
  assert 'another run is using' in text
  del held


def test_list_shows_every_variant_on_a_line(capsys):
  assert cli.main('c_mixup', ['--list']) == 0
  lines = capsys.readouterr().out.splitlines()
  variants = papers.configs('c_mixup').VARIANTS
  assert [line.split()[0] for line in lines] == list(variants)
  assert max(map(len, lines)) <= 80


def test_a_command_that_names_no_variant_runs_the_first_ones(monkeypatch,
                                                             capsys):
  ran = []
  monkeypatch.setattr(cli, '_run', lambda paper, flags, fields: ran.append(
      (flags.config, str(flags.workdir))) or 0)
  monkeypatch.setattr(page, 'ending', lambda paper, folders: 'the end')
  monkeypatch.chdir(papers.ROOT)
  def of(folder, *variants):
    return [(f'configs/c_mixup.py:{v}', folder.format(v)) for v in variants]

  first = papers.configs('c_mixup').FIRST
  for argv, want in (
      ([], of('out/c_mixup/{}', *first)),
      (['--workdir=x'], of('x/{}', *first)),
      (['--workdir=x', '--config.alpha=1.'], of('x', 'diabetes')),
      ([SMOKE], of('out/c_mixup/{}', 'smoke'))):
    ran.clear()
    assert cli.main('c_mixup', argv) == 0
    assert ran == want
    assert capsys.readouterr().out == '\nthe end\n'  # once


def test_what_fails_ends_the_command(monkeypatch, capsys):
  ran = []
  monkeypatch.setattr(cli, '_run', lambda *given: ran.append(given) or 2)
  monkeypatch.chdir(papers.ROOT)
  assert cli.main('c_mixup', []) == 2
  assert len(ran) == 1 and not capsys.readouterr().out


def command(*argv):
  return [sys.executable, '-m', 'experiments.c_mixup', *argv]


def test_help_is_short_and_names_every_flag():
  done = subprocess.run(command('--help'), capture_output=True, text=True,
                        check=True)
  assert len(done.stdout.splitlines()) < 60
  for flag in ('--config', '--workdir', '--seeds', '--arms', '--mesh'):
    assert flag in done.stdout


@pytest.fixture
def environment():
  # The tests' fake devices are not for the processes they start.
  return {k: v for k, v in os.environ.items() if k != 'ASSAY_STOP_AT'}


def rows(workdir):
  """{what was measured: value} of a workdir's rows.jsonl."""
  named = {}
  for row in results.read_rows(pathlib.Path(workdir) / 'rows.jsonl'):
    key = tuple(row[k] for k in ('method', 'seed', 'split', 'metric', 'state'))
    named[key] = row['value']
  return named


def test_kill_and_terminate_lose_nothing(tmp_path, environment):
  """A real process: kill -9 in a save, then SIGTERM, then to the end."""
  def start(name, **env):
    return subprocess.Popen(
        command(SMOKE, f'--workdir={tmp_path / name}', '--save_every=0',
                '--steps_per_call=1', '--config.net.num_epochs=4',
                '--arms=erm'),
        env=environment | env, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE)

  whole = start('whole')
  killed = start('cut', ASSAY_STOP_AT='in_save:40')
  assert whole.wait(120) == 0
  assert killed.wait(120) == -signal.SIGKILL
  saves = tmp_path / 'cut' / 'erm' / 'fit' / 'seeds_0-1'
  steps = lambda: [int(p.name) for p in saves.iterdir() if p.name.isdecimal()]
  assert max(steps()) >= 38  # the middle was reached and kept

  terminated = start('cut')
  while not any(step > 41 for step in steps()) and terminated.poll() is None:
    time.sleep(.01)  # it went on from there
  terminated.send_signal(signal.SIGTERM)
  _, text = terminated.communicate(timeout=120)
  if terminated.returncode:  # else it was done before the signal came
    assert terminated.returncode == 128 + signal.SIGTERM
    assert 'give the same command again' in text

  last = start('cut')
  out, text = last.communicate(timeout=120)
  assert last.returncode == 0, text
  assert rows(tmp_path / 'cut') == rows(tmp_path / 'whole')
  assert 'erm' in out
  again = start('cut')  # finished: the table at once
  out_again, _ = again.communicate(timeout=120)
  assert again.returncode == 0 and 'erm' in out_again
