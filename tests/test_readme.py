"""The README is true: its diff applies and runs, its code works."""

import re
import shutil
import subprocess
import sys

import pytest

from assay import papers

README = (papers.ROOT / 'README.md').read_text()


def blocks(language):
  return re.findall(rf'```{language}\n(.*?)```', README, re.DOTALL)


def test_the_diff_of_a_new_paper_applies_and_runs(tmp_path):
  diff, = blocks('diff')
  for folder in ('configs', 'experiments', 'lib'):
    shutil.copytree(papers.ROOT / folder, tmp_path / folder,
                    ignore=shutil.ignore_patterns('__pycache__'))
  applied = subprocess.run(['git', 'apply', '-'], input=diff, text=True,
                           cwd=tmp_path, capture_output=True)
  assert applied.returncode == 0, applied.stderr
  added = [line for line in diff.splitlines() if line.startswith('+')]
  assert len(added) < 20  # a small diff
  done = subprocess.run(
      [sys.executable, '-m', 'experiments.c_mixup', '--seeds=1',
       '--config.num_epochs=1', '--arms=manifold_c_mixup,tophat_mixup'],
      cwd=tmp_path, capture_output=True, text=True,
      env={'PYTHONPATH': str(tmp_path / 'lib'), 'PATH': '/usr/bin:/bin',
           'HOME': str(tmp_path), 'JAX_PLATFORMS': 'cpu'})
  assert done.returncode == 0, done.stderr
  assert 'tophat_mixup' in done.stdout and 'kernel' in done.stdout


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


@pytest.mark.parametrize('variant', re.findall(r'c_mixup\.py:(\w+)', README))
def test_commands_name_variants_that_exist(variant):
  assert variant in papers.configs('c_mixup').VARIANTS
