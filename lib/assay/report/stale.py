"""Whether committed rows are older than the code or the config they speak of.

A run is stale if its recorded config differs from that of its variant today, or
if the code in a file of its method has changed since its commit: the
experiment, and those modules of `assay.methods` and `assay.losses` that it
imports. Configs are compared by value and code without comments and docstrings,
so that a new comment or variant makes nothing stale. Shared
code (the loop, data, models, metrics) is not looked at: its tests are to notice
when it changes numbers, and by it every row would soon be stale.
"""

import ast
import functools
import json
import pathlib
import re
import subprocess

from assay import disk, papers
from assay.errors import UserError

CURRENT, STALE, UNKNOWN = 'current', 'stale', 'unknown'


def state_of(run, paper):
  """(state, reasons) of a run: 'current', 'stale' or 'unknown', and texts.

  Args:
    run: what its file says, see `results.read_runs`.
    paper: its name.
  """
  changed = config_changes(run, paper)
  if changed:
    return STALE, changed
  commit = str(run.get('commit', ''))
  if commit.endswith('+'):
    return UNKNOWN, ['files differed from the commit when it ran']
  answers = {f: _changed_since(f, commit) for f in method_files(paper)}
  changed = [f'{f} has changed since' for f, yes in answers.items() if yes]
  if changed:
    return STALE, changed
  if not answers or None in answers.values():
    return UNKNOWN, ['the history of its files or its commit is not here']
  return CURRENT, []


def method_files(paper):
  """Files of a paper's method, relative to the clone: see the docstring."""
  own = pathlib.Path('experiments', f'{paper}.py')
  try:
    tree = ast.parse((papers.ROOT / own).read_bytes())
  except OSError:
    return []
  names = {f'{node.module}.{alias.name}' for node in ast.walk(tree)
           if isinstance(node, ast.ImportFrom) for alias in node.names}
  names = sorted(n for n in names
                 if re.match(r'assay\.(methods|losses)(\.|$)', n))
  files = [pathlib.Path('lib', *n.split('.')).with_suffix('.py') for n in names]
  return [str(f) for f in (own, *files) if (papers.ROOT / f).is_file()]


def config_changes(run, paper):
  """Texts: the fields in which a run's config is not that of today."""
  module, name = papers.configs(paper), run.get('config_name')
  if not hasattr(module, 'get_config') or 'config' not in run:
    return []
  try:
    today = module.get_config(name)
  except UserError:
    return [f'the variant {name} is no longer there']
  # As a run file has it: tuples are lists, infinity is a string.
  today = json.loads(disk.dumps(today.to_dict()))
  was = run['config']
  return [f'config.{k} was {was.get(k, "not there")}, is '
          f'{today.get(k, "not there")}'
          for k in sorted({*was, *today})
          if k not in was or k not in today or was[k] != today[k]]


def _changed_since(file, commit):
  """Whether a file's code is not that of a commit; None if unknown."""
  if not re.fullmatch('[0-9a-f]{7,64}', commit):
    return None
  if git(papers.ROOT, 'cat-file', '-e', commit + '^{commit}')[0]:
    return None  # no git, or no such commit here
  status, then = git(papers.ROOT, 'show', f'{commit}:./{file}')
  return bool(status) or code_of(then) != code_of(
      (papers.ROOT / file).read_text())


@functools.lru_cache(None)  # runs share files
def code_of(text):
  """What a file does: its syntax without comments and docstrings, as text."""
  try:
    tree = ast.parse(text)
  except SyntaxError:
    return text
  for node in ast.walk(tree):
    body = getattr(node, 'body', None)
    if isinstance(body, list) and body and isinstance(body[0], ast.Expr) and (
        isinstance(body[0].value, ast.Constant)):
      del body[0]
  # Python 3.12 names what 3.11 does not know, empty in either.
  return ast.dump(tree).replace(', type_params=[]', '')


@functools.lru_cache(None)  # runs share files and commits
def git(root, *arguments):
  """(exit status, output) of a git command that only reads."""
  try:
    done = subprocess.run(['git', '-C', str(root), *arguments], text=True,
                          capture_output=True, timeout=60)
  except (OSError, subprocess.TimeoutExpired):
    return -1, ''
  return done.returncode, done.stdout.strip()
