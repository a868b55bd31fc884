"""The README is true: its code works, its commands name what is there."""

import os
import re
import shlex
import subprocess
import sys

import pytest

from assay import cli, papers

README = (papers.ROOT / 'README.md').read_text()


def blocks(language):
  return re.findall(rf'```{language}\n(.*?)```', README, re.DOTALL)


def test_the_library_in_three_lines():
  import jax
  import numpy as np
  code, = blocks('python')
  rng = np.random.default_rng(0)
  scope = {'x': rng.normal(size=(50, 3)).astype(np.float32),
           'y': rng.normal(size=(50, 1)).astype(np.float32),
           'key': jax.random.key(0), 'other_key': jax.random.key(1)}
  exec(code, scope)
  partner, lam = scope['partner'], scope['lam']
  want = (lam[:, None] * scope['x']
          + (1 - lam[:, None]) * scope['x'][np.asarray(partner)])
  np.testing.assert_allclose(scope['x_mixed'], want, rtol=1e-5, atol=1e-6)


def one_minute():
  """The commands of the section of that name, as words, comments left out."""
  section = README.partition('## One minute')[2]
  block = section.split('```')[1].strip()
  return [shlex.split(line, comments=True) for line in block.splitlines()]


def test_what_is_compared_is_what_was_run_before():
  made = []
  for words in one_minute():
    if words[:3] == ['python', '-m', 'experiments.c_mixup']:
      asked = cli.flags.asked('c_mixup', words[3:])
      made += [str(run.workdir) for run in asked.runs]
    made_before = [word in made for word in words if word.startswith('out/')]
    assert all(made_before)
  assert len(made_before) == 2 and len(set(made)) == len(made) == 5


@pytest.mark.nightly
def test_one_minute_on_a_cpu(tmp_path):
  """In the order given, where nothing was run before."""
  for folder in ('configs', 'experiments', 'lib'):
    (tmp_path / folder).symlink_to(papers.ROOT / folder)
  for words in one_minute():
    if words[0] == 'python':
      subprocess.run([sys.executable, *words[1:]], cwd=tmp_path, check=True,
                     env=os.environ | {'PYTHONPATH': 'lib'}, timeout=600)


def texts():
  """Every page of text, by its path from the clone."""
  pages = [papers.ROOT / 'README.md', *papers.ROOT.glob('docs/*.md'),
           *papers.ROOT.glob('results/**/README.md')]
  return {str(page.relative_to(papers.ROOT)): page.read_text()
          for page in sorted(pages)}


@pytest.mark.parametrize('page', texts())
def test_commands_name_what_is_there(page):
  text = texts()[page]
  named = re.findall(r'configs/(\w+)\.py:(\w+)', text) + re.findall(
      r'PAPER=(\w+)\s+VARIANT=(\w+)', text)
  for paper, variant in named:
    if paper in papers.names():  # a made-up one stands for the reader's
      assert variant in papers.configs(paper).VARIANTS, (paper, variant)
  help_ = cli.flags.parser('c_mixup').format_help()
  for line in re.findall(r'python -m experiments\..*', text):
    for flag in re.findall(r'(--\w+)', line):
      assert flag in help_, flag


@pytest.mark.parametrize('page', texts())
def test_links_and_files_lead_somewhere(page):
  text, folder = texts()[page], (papers.ROOT / page).parent
  for link in re.findall(r'\]\(([^)#]+)\)', text):
    if not link.startswith('http'):
      assert (folder / link).exists(), link
  if page == 'docs/adding_a_paper.md':
    return  # it names files that its reader will write
  for path in re.findall(r'`((?:lib|docs|colabs|configs|tests|benchmarks)/'
                         r'[\w/.]+)`', text):
    assert (papers.ROOT / path).exists(), path


def test_the_readme_is_short():
  assert len(README.splitlines()) < 250
