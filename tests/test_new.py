"""`assay.new`: the paper it makes runs, is tested, is in the house style."""

import os
import shutil
import subprocess
import sys

import pytest

from assay import new, papers
from assay.errors import UserError


def make_clone(folder):
  """What a new paper needs of a clone, without the papers that are there."""
  for package in ('configs', 'experiments', 'tests'):
    (folder / package).mkdir(parents=True)
  for file in ('configs/__init__.py', 'experiments/__init__.py', 'ruff.toml',
               'setup.cfg', 'tests/conftest.py'):
    shutil.copy(papers.ROOT / file, folder / file)
  return folder


def python(clone, *words):
  """The finished process of a command in the clone."""
  return subprocess.run(
      [sys.executable, *words], cwd=clone, text=True, capture_output=True,
      env=os.environ | {'PYTHONPATH': str(papers.ROOT / 'lib')})


NAME = 'a_paper_' + 'x' * (new.LONGEST - 8)
# testbed: (flags of a short run, a verdict that it prints)
SHORT = {'vision': ('--config.net.num_epochs=2', 'digits: calibrates better'),
         'ood': ('--config.net.num_epochs=2', 'digits: tells near classes'),
         'tiny_lm': ('--config.net.num_steps=20', 'letters: it is learned'),
         'own': ('--config.num_epochs=2', 'digits: below the baseline')}


@pytest.fixture(scope='module', params=new.TESTBEDS)
def clone(request, tmp_path_factory):
  """A clone with a paper of the longest name that is allowed."""
  folder = make_clone(tmp_path_factory.mktemp('made') / request.param)
  done = python(folder, '-m', 'assay', 'new', NAME,
                f'--testbed={request.param}')
  assert done.returncode == 0, done.stderr
  assert f'python -m experiments.{NAME}' in done.stdout
  assert f'tests/test_{NAME}.py' in done.stdout
  return folder


def test_it_runs_at_once_to_a_verdict(clone, request):
  if clone.name != 'ood' and not request.config.getoption('all'):
    pytest.skip('a long form: make nightly; the test of docs/ runs two')
  # The default variant, as the claims speak about it; shorter.
  flag, line = SHORT[clone.name]
  done = python(clone, '-m', f'experiments.{NAME}', '--quiet', '--seeds=2',
                flag)
  assert done.returncode == 0, done.stderr
  assert 'baseline' in done.stdout and 'mine' in done.stdout
  assert f'UNDECIDED  {line}' in done.stdout
  assert list((clone / 'out' / NAME).glob('*,*/*.png'))


def test_its_tests_pass(clone):
  """Those of every paper are run by the test of docs/."""
  done = python(clone, '-m', 'pytest', '-v', f'tests/test_{NAME}.py')
  assert done.returncode == 0, done.stdout
  assert ' passed' in done.stdout and ' skipped' not in done.stdout


def test_a_paper_in_a_testbed_is_thin(clone):
  if clone.name != 'own':
    lines = [len((clone / path.format(NAME)).read_text().splitlines())
             for path in new.FILES]
    assert max(lines) <= 60


def test_its_files_are_in_the_house_style(clone):
  done = python(clone, '-m', 'ruff', 'check', '--no-cache', '.')
  assert done.returncode == 0, done.stdout


def test_the_placeholder_is_gone(clone):
  for path in new.FILES:
    assert new.NAME not in (clone / path.format(NAME)).read_text()


@pytest.mark.parametrize('name', ['', 'My_Paper', '2024', 'my-paper', 'class',
                                  'a/b', '../x', 'päper', '_x', 'x\n'])
def test_a_name_that_cannot_be_one_is_refused(name, tmp_path):
  clone = make_clone(tmp_path / 'clone')
  before = sorted(clone.rglob('*'))
  with pytest.raises(UserError, match='cannot be the name of a paper'):
    new.create(name, clone)
  assert sorted(clone.rglob('*')) == before


def test_a_long_name_is_refused(tmp_path):
  with pytest.raises(UserError, match=f'longer than {new.LONGEST}'):
    new.create(NAME + 'x', make_clone(tmp_path / 'clone'))


@pytest.mark.parametrize('file', new.FILES)
def test_nothing_is_overwritten(file, tmp_path):
  clone = make_clone(tmp_path / 'clone')
  path = clone / file.format('mine')
  path.write_text('# my work\n')
  before = sorted(clone.rglob('*'))
  with pytest.raises(UserError, match=f'{path.name} exists already'):
    new.create('mine', clone)
  assert path.read_text() == '# my work\n'
  assert sorted(clone.rglob('*')) == before


@pytest.mark.parametrize('gone', ['configs/__init__.py',
                                  'experiments/__init__.py'])
def test_elsewhere_than_in_a_clone_is_refused(gone, tmp_path):
  clone = make_clone(tmp_path / 'clone')
  (clone / gone).unlink()
  with pytest.raises(UserError, match=f'no {gone} in .*root of a clone'):
    new.create('mine', clone)


def test_errors_are_printed_plainly(tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  assert new.main(['mine']) == 2
  assert capsys.readouterr().err.startswith('error: no configs/__init__.py in ')
