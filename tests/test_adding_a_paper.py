"""docs/adding_a_paper.md is true: its diffs apply, its commands run."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from assay import papers
from assay.report import coverage

PAGE = (papers.ROOT / 'docs' / 'adding_a_paper.md').read_text()
# (language, text) of each block, in order.
BLOCKS = re.findall(r'```(\w+)\n(.*?)```', PAGE, re.DOTALL)


def shell(clone, command, given=None):
  """What a command prints; it must succeed."""
  done = subprocess.run(
      ['bash', '-c', command], cwd=clone, input=given, text=True,
      capture_output=True, env={
          'PATH': f'{os.path.dirname(sys.executable)}:/usr/bin:/bin',
          'PYTHONPATH': str(clone / 'lib'), 'HOME': str(clone),
          'XLA_FLAGS': os.environ['XLA_FLAGS'],
          'XDG_CACHE_HOME': os.environ['XDG_CACHE_HOME'],
          'JAX_PLATFORMS': 'cpu', 'GIT_CONFIG_NOSYSTEM': '1',
          'GIT_AUTHOR_NAME': 'me', 'GIT_AUTHOR_EMAIL': 'me@here',
          'GIT_COMMITTER_NAME': 'me', 'GIT_COMMITTER_EMAIL': 'me@here'})
  assert done.returncode == 0, f'{command}\n{done.stdout}\n{done.stderr}'
  return done.stdout


@pytest.fixture
def clone(tmp_path):
  """A commit of what stands here, without results and other tests."""
  for folder in ('configs', 'experiments', 'lib'):
    shutil.copytree(papers.ROOT / folder, tmp_path / folder,
                    ignore=shutil.ignore_patterns('__pycache__'))
  (tmp_path / 'tests').mkdir()
  for file in ('README.md', 'setup.cfg', 'tests/conftest.py',
               'tests/test_experiments.py', 'tests/test_papers.py'):
    shutil.copy(papers.ROOT / file, tmp_path / file)
  shell(tmp_path, 'git init --quiet . && git add . && '
        'git commit --quiet --message=start')
  return tmp_path


def added(diff):
  return sum(line.startswith('+') for line in diff.splitlines())


def test_the_new_arm_applies_and_runs(clone):
  (_, diff), (_, command) = BLOCKS[:2]
  shell(clone, 'git apply -', diff)
  assert added(diff) < 20  # a small diff
  out = shell(clone, f'{command.strip()} --seeds=1 --config.net.num_epochs=1')
  assert 'tophat_mixup' in out and 'kernel' in out


def test_the_new_paper_goes_from_nothing_to_its_page(clone):
  said = []
  for language, text in BLOCKS[2:]:
    if language == 'diff':
      assert added(text) < 12
      shell(clone, 'git apply -', text)
    else:
      said += [shell(clone, line) for line in text.splitlines()]
  said = '\n'.join(said)
  shell(clone, 'python -m pytest tests/test_papers.py -k bounded_loss')
  assert re.search('(HOLDS|FAILS|UNDECIDED).*: below smoothing', said)
  assert (clone / 'results' / 'bounded_loss' / 'digits.jsonl').exists()
  listed = coverage.read(clone / 'configs' / 'papers.tsv')
  assert listed[-1].id == 'bounded_loss'
  tables = (clone / 'results' / 'bounded_loss' / 'README.md').read_text()
  assert '| smoothing | ' in tables and '| **digits**' in tables
  page = (clone / 'site' / 'bounded_loss.html').read_text()
  assert 'below smoothing' in page and 'STALE<' not in page
  assert shell(clone, 'git log --oneline').count('\n') == 3
  committed = shell(clone, 'git ls-files')
  for file in ('configs/bounded_loss.py', 'experiments/bounded_loss.py',
               'tests/test_bounded_loss.py',
               'results/bounded_loss/digits.jsonl'):
    assert f'{file}\n' in committed


def test_the_page_stays_short():
  assert len(PAGE.splitlines()) < 200
