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


def parts(title):
  """(language, text) of each block of a part of the page, in order."""
  _, _, text = PAGE.partition(f'\n## {title}\n')
  return re.findall(r'```(\w+)\n(.*?)```', text.partition('\n## ')[0],
                    re.DOTALL)


def shell(clone, command, given=None):
  """What a command prints; it must succeed."""
  done = subprocess.run(
      ['bash', '-c', command], cwd=clone, input=given, text=True,
      capture_output=True, env={
          'PATH': f'{os.path.dirname(sys.executable)}:/usr/bin:/bin',
          'PYTHONPATH': str(clone / 'lib'), 'HOME': str(clone),
          **{name: value for name, value in os.environ.items()
             if name.startswith(('XLA_', 'JAX_', 'XDG_'))},
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
               'tests/test_experiments.py'):
    shutil.copy(papers.ROOT / file, tmp_path / file)
  # Networks that are trained in seconds; the commands are those of the page.
  networks = tmp_path / 'lib' / 'assay' / 'testbeds' / 'networks.py'
  text = networks.read_text()
  for ours, short in (("model='cnn'", "model='mlp'"),
                      ('    num_epochs=20,\n', '    num_epochs=4,\n')):
    assert text.count(ours) == 1
    text = text.replace(ours, short)
  networks.write_text(text)
  shell(tmp_path, 'git init --quiet . && git add . && '
        'git commit --quiet --message=start')
  return tmp_path


def added(diff):
  return sum(line.startswith('+') for line in diff.splitlines())


def walked(clone, blocks):
  """What the blocks of a part of the page print, one after another."""
  said = []
  for language, text in blocks:
    if language == 'diff':
      assert added(text) < 12  # a small diff
      shell(clone, 'git apply -', text)
    else:
      said += [shell(clone, line) for line in text.splitlines()]
  return '\n'.join(said)


def test_the_new_arm_applies_and_runs(clone):
  (_, diff), (_, command) = parts('A new arm')
  assert added(diff) < 20  # a small diff
  shell(clone, 'git apply -', diff)
  out = shell(clone, f'{command.strip()} --seeds=1 --config.net.num_epochs=1')
  assert 'tophat_mixup' in out and 'the kernel matters' in out


def test_a_paper_in_a_testbed_goes_from_nothing_to_its_page(clone):
  said = walked(clone, parts('In a testbed'))
  assert re.search('(HOLDS|FAILS|UNDECIDED).* below smoothing', said)
  assert (clone / 'results' / 'bounded_loss' / 'digits.jsonl').exists()
  listed = coverage.read(clone / 'configs' / 'papers.tsv')
  assert listed[-1].id == 'bounded_loss'
  tables = (clone / 'results' / 'bounded_loss' / 'README.md').read_text()
  assert '| smoothing | ' in tables and '| **digits**' in tables
  page = (clone / 'site' / 'bounded_loss.html').read_text()
  assert 'below that of smoothing' in page and 'STALE<' not in page
  assert shell(clone, 'git log --oneline').count('\n') == 3
  committed = shell(clone, 'git ls-files')
  for file in ('configs/bounded_loss.py', 'experiments/bounded_loss.py',
               'tests/test_bounded_loss.py',
               'results/bounded_loss/digits.jsonl'):
    assert f'{file}\n' in committed


def test_a_paper_with_a_loop_of_its_own_runs(clone):
  said = walked(clone, parts('With a loop of its own'))
  assert 'experiments/wrong_labels.py' in said and 'baseline' in said


def test_the_page_stays_short():
  assert len(PAGE.splitlines()) < 200
