import ast
import json
import math
import shutil
import subprocess
import types

import pytest

from assay import disk, papers, study
from assay.report import stale
from assay.results import code

COMMIT = '0123456789abcdef0123'
EXPERIMENT = """
from assay import losses, train
from assay.data import tabular
from assay.methods import mixup as m, sam
from assay.metrics import regression
from assay.claims import less

ARMS = {'erm': losses.mse, 'mixup': lambda x: m.blend(x)}
CLAIMS = [less('rmse', 'erm', 'mixup')]


def figures(rows):
  return rows


def run(config, study):
  \"\"\"Runs.\"\"\"
  for arm in ARMS.values():
    measure(arm(tabular.load()), train)


def measure(x, train):
  from assay.testbeds.tabular import rmse
  return regression.rmse(x) + rmse
"""
FILES = {
    'experiments/made_up.py': EXPERIMENT,
    'lib/assay/losses.py': 'def mse(x):\n  return x\n\ndef mae(x):\n  return x',
    'lib/assay/methods/sam.py': 'def sam(x):\n  return x',
    'lib/assay/methods/mixup/__init__.py':
        'from assay.methods.mixup.blends import blend\n',
    'lib/assay/methods/mixup/blends.py':
        'SCALE = 2\n\ndef blend(x):\n  return SCALE * x\n',
    'lib/assay/metrics/regression.py': 'def rmse(x):\n  return x\n',
    'lib/assay/testbeds/tabular.py': 'rmse = 3\n',
    'lib/assay/train.py': '', 'lib/assay/data/tabular.py': 'def load(): pass\n'}


@pytest.fixture
def clone(tmp_path, monkeypatch):
  """A clone with the files of a made up paper."""
  for file, text in FILES.items():
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
  monkeypatch.setattr(papers, 'ROOT', tmp_path)
  monkeypatch.setattr(papers, 'configs', lambda name: types.SimpleNamespace())
  stale._code_at.cache_clear()
  stale.git.cache_clear()
  return tmp_path


def answers(root, change='', file='experiments/made_up.py', status=0):
  """A git in which a file once had a change in a text."""
  old, new = change or ('', '')

  def git(_, *arguments):
    if arguments[0] == 'cat-file':
      return status, ''
    path = arguments[1].partition(':./')[2]
    if not (root / path).exists():
      return 1, ''
    text = (root / path).read_text()
    return 0, text.replace(new, old) if path == file else text

  return git


def test_code_is_what_run_reaches_of_the_paper_and_its_hosts(clone):
  assert sorted(code.of(clone, 'made_up')) == [
      'assay.losses', 'assay.methods.mixup.blends', 'assay.metrics.regression',
      'assay.testbeds.tabular', 'experiments.made_up']
  assert code.of(clone, 'none') == {}


@pytest.mark.parametrize('file, old, new, state', [
    ('experiments/made_up.py', 'ARMS.values()', 'list(ARMS)', 'stale'),
    ('experiments/made_up.py', "'erm': losses.mse", "'erm': losses.mae",
     'stale'),
    ('experiments/made_up.py', '.rmse(x) +', '.rmse(x) -', 'stale'),
    ('lib/assay/methods/mixup/blends.py', 'SCALE = 2', 'SCALE = 3', 'stale'),
    ('lib/assay/losses.py', 'def mse(x):', 'def mse(x, y=0):', 'stale'),
    # Nothing that rows depend on.
    ('experiments/made_up.py', "'mixup')]", "'mixup', by=2)]", 'current'),
    ('experiments/made_up.py', 'return rows', 'return None', 'current'),
    ('experiments/made_up.py', '"""Runs."""', '"""Trains."""', 'current'),
    ('experiments/made_up.py', '  for arm', '  # All.\n  for arm', 'current'),
    ('lib/assay/losses.py', 'def mae(x):', 'def mae(x, y=0):', 'current'),
    ('lib/assay/methods/sam.py', 'return x', 'return -x', 'current'),
    # Said, not judged.
    ('lib/assay/metrics/regression.py', 'return x', 'return -x', 'current'),
    ('lib/assay/testbeds/tabular.py', '3', '4', 'current')])
def test_what_makes_a_run_stale(clone, monkeypatch, file, old, new, state):
  monkeypatch.setattr(stale, 'git', answers(clone))
  recorded = {'commit': COMMIT, 'code': code.of(clone, 'made_up')}
  assert stale.state_of(recorded, 'made_up') == ('current', [])
  text = (clone / file).read_text()
  assert old in text
  (clone / file).write_text(text.replace(old, new))
  monkeypatch.setattr(stale, 'git', answers(clone, (old, new), file))
  for run in recorded, {'commit': COMMIT}:
    got, reasons = stale.state_of(run, 'made_up')
    assert got == state
    if state == 'stale':
      module = file.removeprefix('lib/')[:-3].replace('/', '.')
      assert f'{module} has changed since' in reasons
  host = 'metrics' in file or 'testbeds' in file
  assert bool(stale.state_of(recorded, 'made_up')[1]) == (
      host or state == 'stale')


def reworded(text):
  """A file with another wording in all of its claims."""
  tree = ast.parse(text)
  for node in tree.body:
    if isinstance(node, ast.Assign) and ast.unparse(node).startswith('CLAIMS'):
      for part in ast.walk(node):
        if isinstance(part, ast.Constant) and str(part.value).endswith('.'):
          part.value = 'Reworded.'
  return ast.unparse(tree)


def test_rewording_a_claim_makes_no_committed_row_stale():
  """Of a real paper, wherever its claims stand."""
  paper, files = 'c_mixup', {}

  def read(path):
    file = papers.ROOT / path
    return files.get(path, file.read_text() if file.is_file() else None)

  before = code.digests(paper, read)
  assert before == code.of(papers.ROOT, paper) != {}
  for folder in 'experiments', 'configs':
    path = f'{folder}/{paper}.py'
    files[path] = reworded(read(path))
  assert any('Reworded.' in text for text in files.values())
  assert code.digests(paper, read) == before
  path = f'experiments/{paper}.py'
  files[path] += '\n\ndef run(config, study):\n  return []\n'
  assert code.digests(paper, read) != before


def test_a_run_says_its_code():
  config = papers.configs('c_mixup').get_config('smoke')
  said = study.Study('c_mixup', 'smoke', config).describe()['code']
  assert said == code.of(papers.ROOT, 'c_mixup')
  assert any(name.startswith('experiments.') for name in said)


@pytest.mark.parametrize('commit, status, state', [
    (COMMIT, 0, 'current'), (COMMIT, 128, 'unknown'),  # no such commit here
    (COMMIT, -1, 'unknown'),  # no git
    (COMMIT + '+', 0, 'unknown'),  # changed when it ran
    ('--output=x', 0, 'unknown'), (None, 0, 'unknown')])
def test_age_of_a_run_that_does_not_say_its_code(clone, monkeypatch, commit,
                                                 status, state):
  monkeypatch.setattr(stale, 'git', answers(clone, status=status))
  assert stale.state_of({'commit': commit}, 'made_up')[0] == state


def test_moved_code_is_as_current_as_what_it_moved_to(clone, monkeypatch):
  at_commit = answers(clone)
  then = code.of(clone, 'made_up')
  texts = {file: (clone / file).read_text() for file in FILES}

  def git(root, *arguments):  # all commits but two have what was there first
    if arguments[0] == 'show' and arguments[1][:40] in ('e' * 40, 'f' * 40):
      return 0, f'def run():\n  return "{arguments[1][0]}"\n'
    if arguments[0] == 'show':
      text = texts.get(arguments[1].partition(':./')[2])
      return (1, '') if text is None else (0, text)
    return at_commit(root, *arguments)

  monkeypatch.setattr(stale, 'git', git)
  file = clone / 'lib/assay/methods/mixup/blends.py'
  file.write_text('def blend(x):\n  return x + x\n')
  runs = {'commit': COMMIT}, {'commit': COMMIT, 'code': then}
  for run in runs:
    assert stale.state_of(run, 'made_up')[0] == 'stale'
  disk.write_json(clone / 'results/made_up' / stale.MOVED, {
      'commits': ['e' * 40, COMMIT],
      'code': code.of(clone, 'made_up')})
  for run in runs:
    state, (reason,) = stale.state_of(run, 'made_up')
    assert state == 'current'
    assert reason.startswith(f'its code has moved since {COMMIT[:12]}; ')
  # What ran before with other code did not move.
  assert stale.state_of({'commit': 'f' * 40}, 'made_up')[0] == 'stale'
  # And what is changed after the move is another thing.
  file.write_text('def blend(x):\n  return x + x + x\n')
  for run in runs:
    assert stale.state_of(run, 'made_up') == (
        'stale', ['assay.methods.mixup.blends has changed since'])


@pytest.mark.parametrize('old, new, same', [
    ('def f(x):\n  """Old."""\n  return x', 'def f(x):  # new\n  return x',
     True),
    ('"""Old."""\nx = 1', '"""New."""\n\nx = 1', True),
    ('def f(x):\n  return x', 'def f(x):\n  return -x', False),
    ('x = "a"', 'x = "b"', False)])
def test_code_is_compared_without_what_is_only_read(old, new, same):
  assert (code.code_of(ast.parse(old)) == code.code_of(ast.parse(new))) == same


def test_a_file_that_cannot_be_parsed_has_no_code(clone):
  (clone / 'experiments/made_up.py').write_text('def run(:')
  assert code.of(clone, 'made_up') == {}


def test_a_run_with_another_config_is_stale(clone, monkeypatch):
  monkeypatch.setattr(stale, 'git', answers(clone))
  config = {'net': {'width': 2}, 'sizes': (1, 2), 'tasks': math.inf}
  monkeypatch.setattr(papers, 'configs', lambda name: types.SimpleNamespace(
      get_config=lambda name: types.SimpleNamespace(to_dict=lambda: config)))
  # Of before there were groups, and of after.
  for was in ({'width': 2}, {'net': {'width': 2}}):
    run = {'commit': COMMIT, 'config_name': 'small',
           'config': was | {'sizes': [1, 2], 'tasks': 'inf'}}
    assert stale.state_of(run, 'made_up') == ('current', [])
    config['net']['width'] = 3
    assert stale.state_of(run, 'made_up') == (
        'stale', ['config.width was 2, is 3'])
    config['net']['width'] = 2
  config['alpha'] = 1.0
  assert stale.state_of(run, 'made_up') == (
      'stale', ['config.alpha was not there, is 1.0'])


@pytest.mark.skipif(not shutil.which('git'), reason='no git')
def test_git_tells_what_changed_since_a_commit(clone):
  def git(*arguments):
    return subprocess.run(
        ['git', '-C', str(clone), '-c', 'user.name=a', '-c', 'user.email=a@b',
         '-c', 'commit.gpgsign=false', *arguments], check=True, text=True,
        capture_output=True).stdout.strip()

  def commit(file, text):
    (clone / file).write_text((clone / file).read_text() + text)
    git('add', '.')
    git('commit', '-q', '-m', file)
    return git('rev-parse', 'HEAD')

  git('init', '-q')
  first = commit('experiments/made_up.py', '')
  second = commit('lib/assay/train.py', 'x = 1\n')  # shared: makes none stale
  third = commit('lib/assay/methods/mixup/blends.py', 'SCALE = 4\n')
  changed = ('stale', ['assay.methods.mixup.blends has changed since'])
  for name, want in {first: changed, second: changed, third: ('current', [])
                     }.items():
    assert stale.state_of({'commit': name}, 'made_up') == want
  assert stale.state_of({'commit': 'f' * 40}, 'made_up')[0] == 'unknown'


def test_a_damaged_record_of_a_move_is_named(clone, monkeypatch):
  monkeypatch.setattr(stale, 'git', answers(clone))
  file = clone / 'results/made_up' / stale.MOVED
  disk.write_json(file, {'commits': [COMMIT]})
  run = {'commit': COMMIT, 'code': {'experiments.made_up': '0'}}
  with pytest.raises(ValueError, match='moved.json: code is missing'):
    stale.state_of(run, 'made_up')
  file.write_text(json.dumps({'commits': [COMMIT], 'code': {}}))
  assert stale.state_of(run, 'made_up')[0] == 'stale'
