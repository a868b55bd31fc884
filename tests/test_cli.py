"""The command line as a user meets it: help, errors, stopping, continuing."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import urllib.error

import kinds
import ml_collections
import pytest

from assay import cli, papers, results
from assay.__main__ import COMMANDS
from assay.__main__ import main as assay_main
from assay.cli import devices, flags, folders, running
from assay.errors import UserError
from assay.report import page
from assay.study import progress, replaced
from assay.study import workdir as workdir_lib
from assay.train import sharding

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
  (['--arms=erm,mixap'], ["--arms, c_mixup:smoke: no arm 'mixap'",
                          'manifold_c_mixup']),
  (['--seeds=0'], ['--seeds=0', '1 or more']),
  (['--seeds_at_once=0'], ['--seeds_at_once=0', '1 or more']),
  (['--sedes=3'], ['--sedes=3', 'did you mean --seeds']),
  (['--mesh=seed:x'], ['seed:x', 'seed:2,data:4']),
  (['--mesh=seed:64'], ['64 devices', 'smaller mesh']),
  (['--config.net.batch_size=1000'], ['batch_size=1000', '266']),
  (['--config.net.split_sizes=(400,40,40)'], ['442']),
  *kinds.nightly((['--config.net.learning_rate=1e30'], [
      'seed 0', 'loss is not finite', 'learning rate'])),  # as in test_messages
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
  out = capsys.readouterr().out
  assert '(3)' in out and 'More seeds or arms' not in out
  # With fewer, these are told; what is written is about all.
  assert cli.main('c_mixup', args + ['--seeds=1']) == 0
  out = capsys.readouterr().out
  assert '(1)' in out and '(3)' not in out
  assert f'are there: python -m assay results {tmp_path}\n' in out
  assert '(3)' in (tmp_path / 'table.md').read_text()


@pytest.mark.parametrize('text', ['seed', 'sed:2', 'seed:0', 'seed:2,seed:2'])
def test_bad_meshes_are_refused(text):
  with pytest.raises(UserError, match='seed:2,data:4'):
    flags.mesh_sizes(text)


@pytest.mark.parametrize('version, given, want', [
    ('0.10.2', '--xla_dump_to=/tmp/x', f'/tmp/x {devices.PATIENT}=3600'),
    ('0.10.2', f'{devices.PATIENT}=7', f'{devices.PATIENT}=7'),  # the user's
    ('0.99.0', '', '')])  # which may not know it
def test_devices_of_busy_cores_wait_for_each_other(monkeypatch, version, given,
                                                   want):
  monkeypatch.setenv('XLA_FLAGS', given)
  monkeypatch.setattr(devices.metadata, 'version', lambda name: version)
  for _ in range(2):  # once, however often it is called
    cli.set_up_devices('', 1, join='none')
  assert os.environ['XLA_FLAGS'].endswith(want)
  assert os.environ['XLA_FLAGS'].count(devices.PATIENT) == want.count('collect')


def test_a_mesh_by_hand():
  assert flags.mesh_sizes('seed:2,data:4') == {'seed': 2, 'data': 4}
  assert flags.AXES == sharding.AXES


def test_debug_shows_the_traceback(tmp_path):
  with pytest.raises(UserError, match='seeds=0'):
    cli.main('c_mixup', [SMOKE, f'--workdir={tmp_path}', '--seeds=0',
                         '--debug'])


def test_two_runs_in_one_workdir_are_refused(capsys, tmp_path):
  from assay.study import Study
  config = papers.configs('c_mixup').get_config('smoke')
  held = Study('c_mixup', 'smoke', config, workdir=tmp_path)
  held.claim()
  text = error_of(capsys, SMOKE, f'--workdir={tmp_path}')
  assert 'another run is using' in text
  del held


def test_list_shows_every_variant_on_a_line(capsys):
  assert cli.main('c_mixup', ['--list']) == 0
  lines = capsys.readouterr().out.splitlines()
  variants = papers.configs('c_mixup').VARIANTS
  assert [line.split()[0] for line in lines] == list(variants)
  assert max(map(len, lines)) <= 80


def runs(*argv, paper='c_mixup'):
  """(variant, workdir) of the runs that a command asks for."""
  return [(run.variant, str(run.workdir))
          for run in flags.asked(paper, list(argv)).runs]


def test_a_command_that_names_no_variant_runs_the_first_ones():
  def of(folder, *variants):
    return [(v, folder.format(v)) for v in variants]

  first = papers.configs('c_mixup').FIRST
  for argv, want in (
      ([], of('out/c_mixup/{}', *first)),
      (['--workdir=x'], of('x/{}', *first)),
      (['--workdir=x', '--config.alpha=1.'], of('x', 'diabetes')),
      ([SMOKE], of('out/c_mixup/{}', 'smoke'))):
    assert runs(*argv) == want


@pytest.mark.parametrize('argv, name', [
    # What changes nothing, and how a value was typed, does not matter.
    (['--config.bandwidth=10'], 'diabetes,bandwidth=10.0'),
    (['--config.bandwidth=1e1', '--config.net.width=128'],
     'diabetes,bandwidth=10.0'),
    (['--config.net.width=128'], 'diabetes'),
    (['--config.net.width=64', '--config.alpha=1'],
     'diabetes,alpha=1.0,width=64'),
    (['--config.net.split_sizes=300,50,50'], 'diabetes,split_sizes=300+50+50'),
    (["--config.arms='erm','mixup'"], 'diabetes,arms=erm+mixup'),
    # These change no config: more of the same run.
    (['--arms=erm', '--seeds=3', '--seed_map=loop'], 'diabetes'),
    (['--sweep.bandwidth=1,2'], 'diabetes-bandwidth/bandwidth=1.0'),
    (['--sweep.bandwidth=1,2', '--config.alpha=1'],
     'diabetes-bandwidth,alpha=1.0/bandwidth=1.0')])
def test_overrides_have_a_folder_of_their_own(argv, name):
  variant = [] if any('sweep' in a or 'config.' in a for a in argv) else [
      '--config=configs/c_mixup.py:diabetes']
  assert runs(*variant, *argv)[0] == ('diabetes', f'out/c_mixup/{name}')
  assert runs(*argv, '--config=configs/c_mixup.py:diabetes', '--workdir=x')[
      0][1].startswith('x')


def test_different_overrides_have_different_folders():
  planned = ml_collections.ConfigDict(dict(
      text='a', numbers=(1.,), texts=('a',), groups=((1,),), net=dict(rate=.1)))
  values = {'text': ('b', 'b/c', 'b c', 'b,rate=1.0', 'b\n', '', '..', 'ü',
                     'y' * 300, 'y' * 301),
            'numbers': ((), (1., 2.), (12.,), (1e30,)),
            'texts': ((), ('',), ('a', 'b'), ('a+b',), ('a b',), ('b',)),
            'groups': (((1, 2),), ((1,), (2,)), ()), 'rate': (.2, 1e-30)}
  names = [folders.name_of('v', planned, replaced(planned, {k: v}))
           for k, each in values.items() for v in each]
  assert len(set(names)) == len(names)
  for name in names:
    assert re.fullmatch(r'v,[\w.,=+-]+', name, re.ASCII) and len(name) < 120
  assert folders.name_of('v', planned, planned) == 'v'


def test_what_fails_ends_the_command(monkeypatch, capsys):
  ran = []
  monkeypatch.setattr(running, '_run', lambda *given: ran.append(given) or (
      2, []))
  assert cli.main('c_mixup', []) == 2
  assert len(ran) == 1 and not capsys.readouterr().out


def test_the_end_is_told_once(monkeypatch, capsys):
  ran = []
  monkeypatch.setattr(running, '_run', lambda paper, run, given: (
      0, ran.append(run.variant) or [run.variant]))
  monkeypatch.setattr(page, 'ending', lambda paper, rows, variants, finished: (
      f'{rows} {variants}'))
  assert cli.main('c_mixup', []) == 0
  first = list(papers.configs('c_mixup').FIRST)
  assert ran == first and capsys.readouterr().out == f'\n{first} {first}\n'


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


@pytest.mark.nightly  # test_faults.py has each on its own
def test_kill_and_terminate_lose_nothing(tmp_path, environment, capsys):
  """A real process: kill -9 in a save, then SIGTERM, then to the end."""
  asked = lambda name: [SMOKE, f'--workdir={tmp_path / name}', '--save_every=0',
                        '--steps_per_call=4', '--arms=erm']

  def start(name, **env):
    return subprocess.Popen(
        command(*asked(name)), env=environment | env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)

  killed = start('cut', ASSAY_STOP_AT='in_save:20')
  assert killed.wait(120) == -signal.SIGKILL
  saves = tmp_path / 'cut' / 'erm' / 'fit' / 'seeds_0-1'
  steps = lambda: [int(p.name) for p in saves.iterdir() if p.name.isdecimal()]
  assert max(steps()) == 16  # the middle was reached and kept

  terminated = start('cut')
  while not any(step > 20 for step in steps()) and terminated.poll() is None:
    time.sleep(.01)  # it went on from there
  terminated.send_signal(signal.SIGTERM)
  _, text = terminated.communicate(timeout=120)
  if terminated.returncode:  # else it was done before the signal came
    assert terminated.returncode == 128 + signal.SIGTERM
    assert 'give the same command again' in text

  # To the end, the whole beside it, and again: the table at once.
  for name in 'cut', 'whole', 'cut':
    assert cli.main('c_mixup', asked(name)) == 0
    assert 'erm' in capsys.readouterr().out
  assert rows(tmp_path / 'cut') == rows(tmp_path / 'whole')


# --- Ctrl-C ------------------------------------------------------------------


def interrupted_at(report, monkeypatch, capsys, *argv):
  """What a run says that gets Ctrl-C at a report; its status must be 130."""
  seen = []

  def told(self, arm, seeds, step, num_steps, metrics):
    seen.append((arm, step))
    if len(seen) == report:
      signal.raise_signal(signal.SIGINT)

  with monkeypatch.context() as patched:
    patched.setattr(progress.Progress, '__call__', told)
    patched.setattr(sys, 'orig_argv', ['/usr/bin/python3', '-m', 'made.up',
                                       '--config.names=("a",)'])
    assert cli.main('c_mixup', [*argv, '--quiet']) == 130
  assert len(seen) == report
  text = capsys.readouterr().err
  assert 'Traceback' not in text
  assert text.endswith('give the same command again:\n  '
                       "python -m made.up '--config.names=(\"a\",)'\n")
  return text


def test_ctrl_c_stops_before_the_next_stage(tmp_path, monkeypatch, capsys):
  """In the last call of an arm, of one or of several; and in the middle."""
  for steps, report, said in (
      (32, 1, 'stopped after all 32 steps, saved'),
      (16, 1, 'stopped at step 16 of 32, saved'),
      (16, 2, 'stopped after all 32 steps, saved')):
    workdir = tmp_path / f'{report}-{steps}'
    argv = [SMOKE, f'--workdir={workdir}', '--arms=erm,mixup',
            f'--steps_per_call={steps}']
    assert said in interrupted_at(report, monkeypatch, capsys, *argv)
    assert not (workdir / 'mixup').exists()
    assert not (workdir / 'rows').exists()
  assert cli.main('c_mixup', argv) == 0  # goes on from there
  assert {method for method, *_ in rows(workdir)} == {'erm', 'mixup'}


def test_ctrl_c_while_an_arm_is_measured_stops_before_the_next(
    tmp_path, monkeypatch, capsys):
  written = workdir_lib.Workdir.write

  def write(*args):
    written(*args)
    signal.raise_signal(signal.SIGINT)

  for arms, said in (('erm,mixup', 'stopped before mixup'),
                     ('erm', 'all is done')):
    with monkeypatch.context() as patched:
      patched.setattr(workdir_lib.Workdir, 'write', write)
      argv = [SMOKE, f'--workdir={tmp_path / arms}', f'--arms={arms}']
      assert cli.main('c_mixup', argv) == 130
    assert said in capsys.readouterr().err
    assert {m for m, *_ in rows_of(tmp_path / arms, 'erm')} == {'erm'}
    assert not (tmp_path / arms / 'rows' / 'mixup.0.jsonl').exists()


def rows_of(workdir, arm):
  return [(row['method'], row['seed']) for row in results.read_rows(
      workdir / 'rows' / f'{arm}.0.jsonl')]


def test_ctrl_c_twice_ends_at_once_and_says_no_more(tmp_path, environment):
  """In a call that would last minutes."""
  process = subprocess.Popen(
      command(SMOKE, f'--workdir={tmp_path}', '--arms=erm', '--seeds=1',
              '--config.net.num_epochs=20000', '--steps_per_call=320000'),
      env=environment, text=True, stdout=subprocess.PIPE,
      stderr=subprocess.PIPE)
  try:
    while not (tmp_path / 'config.json').exists():
      assert process.poll() is None
      time.sleep(.01)
    process.send_signal(signal.SIGINT)
    assert not process.stderr.readline().strip()
    assert process.stderr.readline().startswith('Stopping after this call')
    process.send_signal(signal.SIGINT)
    out, text = process.communicate(timeout=20)
    assert process.returncode == 130 and not out + text
  finally:
    process.kill()


def test_ctrl_c_before_a_run_has_no_traceback(monkeypatch, capsys):
  def interrupt(*args):
    raise KeyboardInterrupt

  monkeypatch.setattr(running, 'run', interrupt)
  assert cli.main('c_mixup', [SMOKE]) == 130
  assert capsys.readouterr().err == '\nStopped.\n'
  with pytest.raises(KeyboardInterrupt):
    cli.main('c_mixup', [SMOKE, '--debug'])


# --- What is refused, of every paper ------------------------------------------

# A value that is well in itself, but not beside the others of the paper.
TOGETHER = {
    'c_mixup': '--config.net.batch_size=1000',
    'calibration_overview': '--config.shifts=("fog_of_war",)',
    'correctness_aware': '--config.net.split_sizes=9,9,9',
    'gpicl': '--config.num_prompts=31',
    'icl_uncertainty': '--config.net.segment_starts=0,900',
    'useful': '--config.net.batch_size=1000000'}
REFUSED = ['--config.nothing=1', '--config.arms=("no",)',
           '--config.num_seeds=x', '--config.num_seeds=0',
           '--arms=nobody', '--mesh=seed:64', '--seeds=-1',
           '--config.sweep=none', '--sweep.scale=a,b', '--nothing']


@pytest.mark.parametrize('paper', papers.names())
def test_a_refused_start_leaves_nothing(paper, tmp_path, capsys, monkeypatch):
  monkeypatch.setenv('ASSAY_DATA', str(tmp_path))
  workdir = tmp_path / 'w'
  for flag in filter(None, [*REFUSED, TOGETHER.get(paper)]):
    status = cli.main(paper, [f'--config=configs/{paper}.py:smoke', flag,
                              f'--workdir={workdir}', '--quiet'])
    text = capsys.readouterr().err
    assert status == 2, (flag, text)
    assert text.startswith('error: ') and len(text.splitlines()) == 1, text
    assert not workdir.exists(), flag


# --- What needs no JAX --------------------------------------------------------

QUICK = [('experiments.c_mixup', *words) for words in (
    ['--help'], ['--list'], ['--sedes=3'], ['--mesh=seed:x'], ['--seeds=0'],
    ['--config=configs/c_mixup.py:none'], ['--config.net.width=0'],
    ['--sweep.bandwidth=-1'])] + [
        ('assay', command, '--help') for command in COMMANDS] + [
            ('assay', '--help'), ('assay', 'fits', 'prune', '--days=-1')]


@pytest.mark.parametrize('words', QUICK, ids=' '.join)
def test_help_and_errors_import_nothing_slow(words):
  done = subprocess.run([sys.executable, '-X', 'importtime', '-m', *words],
                        capture_output=True, text=True)
  lines = done.stderr.splitlines()
  imported = {line.rpartition('|')[2].strip() for line in lines
              if line.startswith('import time:')}
  assert 'assay' in imported and not imported & {
      'jax', 'jaxlib', 'flax', 'optax', 'matplotlib', 'sklearn', 'scipy.stats'}
  told = [line for line in lines if not line.startswith('import time:')]
  if words[-1] in ('--help', '--list'):
    assert done.returncode == 0 and not [t for t in told if 'error' in t]
    assert len(done.stdout.splitlines()) > 3
  else:
    assert done.returncode == 2 and told[-1].startswith('error: '), told
    assert len(told) == 1


@pytest.mark.parametrize('flag', ['--workdir=ftp://bucket/x',
                                  '--workdir=s3:///x',
                                  '--data_dir=s3://bucket/data'])
def test_places_that_are_no_folder_are_refused_in_one_line(
    flag, monkeypatch, capsys):
  monkeypatch.chdir(papers.ROOT)
  assert cli.main('c_mixup', [SMOKE, flag]) == 2
  told = capsys.readouterr().err
  assert flag.partition('=')[2] in told and 'a folder.' in told
  assert told.count('\n') == 1


# --- Hostile values -----------------------------------------------------------

HOSTILE = ('', ' ', '-1', '0', '1', 'nan', 'inf', '-inf', '1e999', '9' * 400,
           '1' + '0' * 30, 'x', 'ü', '\ud800', 'a\nb', '\0', '\x1b[31m',
           '../..', 'x' * 5000, '1,2', ',', '5:3', '1:' + '9' * 99, '0:1',
           'seed:1', 'seed:' + '9' * 30, 'seed:٣', '__import__("os")')
# What each flag takes of them; a path may be anything that can be shown.
TAKEN = {
    '--config': (), '--seeds': ('1',), '--seeds_at_once': ('1',),
    '--steps_per_call': ('1',), '--save_every': ('0', '1'),
    '--arms': ('', ','), '--mesh': ('', ',', 'seed:1'), '--seed_map': (),
    '--hosts': (), '--profile': ('', '0:1')}
PATHS = ('--workdir', '--data_dir')


def test_hostile_values_of_every_flag(capsys):
  """Each is taken, or refused in a line that names the flag."""
  with_value = [action.option_strings[0]
                for action in flags.parser('c_mixup')._actions
                if action.nargs is None]
  assert sorted(with_value) == sorted([*TAKEN, *PATHS])
  for flag in with_value:
    for value in HOSTILE:
      argv = [SMOKE] * (flag != '--config') + [f'{flag}={value}']
      try:
        flags.asked('c_mixup', argv)
        refused = ''
      except UserError as error:
        refused = str(error)
      except SystemExit as end:  # of argparse
        assert end.code == 2
        refused = capsys.readouterr().err.splitlines()[-1]
      taken = value in TAKEN[flag] if flag in TAKEN else (
          value and not flags.UNSEEN.search(value))
      assert bool(refused) == (not taken), (flag, value, refused)
      assert not refused or flag[2:] in refused or (
          'cannot be shown' in refused), (flag, value, refused)
      refused.encode()  # can be printed
      assert len(refused.splitlines()) <= 1, (flag, value)


@pytest.mark.parametrize('name', ['x' * 5000, 'file', 'file/below', 'loop',
                                  'a/' * 3000])
def test_folders_that_cannot_be_are_refused(name, tmp_path, capsys):
  (tmp_path / 'file').touch()
  (tmp_path / 'loop').symlink_to(tmp_path / 'loop')
  text = error_of(capsys, SMOKE, f'--workdir={tmp_path / name}', '--quiet')
  assert 'choose a folder that can be written' in text
  assert len(text.splitlines()) == 1 and len(text) < 400


# --- What is said where it helps ----------------------------------------------


def test_a_paper_that_is_none_is_answered_with_the_papers():
  done = subprocess.run(
      [sys.executable, '-m', 'experiments.c_mixupp',
       '--config=configs/c_mixupp.py'], capture_output=True, text=True)
  assert done.returncode == 2
  assert done.stderr.startswith(
      "error: no paper 'c_mixupp' in experiments/; there are: c_mixup, ")
  assert done.stderr.count('\n') == 1


@pytest.mark.parametrize('command, wrong, near', [
    ('judge', '--varis=fresh', '--varies'), ('results', '--chek', '--check'),
    ('fits', '--dais=3', '--days')])
def test_commands_say_which_flag_may_be_meant(command, wrong, near, capsys):
  words = ['prune'] if command == 'fits' else ['results/c_mixup']
  with pytest.raises(SystemExit):
    assay_main([command, *words, wrong])
  assert f'unknown flag {wrong}; did you mean {near}?' in (
      capsys.readouterr().err)


def test_a_reader_who_leaves_is_told_nothing():
  process = subprocess.Popen(
      [sys.executable, '-m', 'assay', 'judge', 'plan', '--effect=1', '--sd=1',
       '--varies=fresh'], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
  process.stdout.close()  # as `head` does
  assert process.stderr.read() == b'' and process.wait() == 141


def test_another_configuration_has_a_folder_of_its_own(tmp_path):
  mine = tmp_path / 'mine.py'
  mine.write_text((ROOT / 'configs' / 'c_mixup.py').read_text())
  asked = [flags.asked('c_mixup', [f'--config={file}:smoke']).runs[0].workdir
           for file in ('configs/c_mixup.py', mine)]
  assert list(map(str, asked)) == ['out/c_mixup/smoke',
                                   'out/c_mixup/smoke,mine']


def test_what_is_finished_does_not_come_next(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  for name, file in (('a', 'table.md'), ('b', 'code.json')):
    path = folders.default('c_mixup') / name / file
    path.parent.mkdir(parents=True)
    path.touch()
  assert folders.finished('c_mixup') == ['a']


def test_curves_that_nobody_knows_are_refused():
  with pytest.raises(UserError, match='curves=.*no.*slow_alignment'):
    flags.asked('simplicity_bias', [
        '--config=configs/simplicity_bias.py:smoke', '--config.curves=("no",)'])
