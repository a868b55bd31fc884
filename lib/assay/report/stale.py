"""Whether committed rows are older than the config or the code they speak of.

A run is stale if a field of its config has another value in its variant today,
or if the paper's own code is another than when it ran: `run` of the experiment
and what it reaches there, in `assay.methods` and in `assay.losses`, see
`assay.results.code`. Neither comments nor a claim, a figure or a citation are
part of that. A run file says what its code was; of older runs it is read from
their commit. What changed in a testbed or a metric is said, not judged. The
loop, data and models are not looked at: their tests are to notice when they
change numbers, and by them every row would soon be stale.

Code may move without a change in what it computes. Where the rows of a paper's
smoke variant were shown to be the same, bit for bit, before and after a move,
`results/<paper>/moved.json` says so (`pytest tests/test_experiments.py -k
frozen --moved=COMMITS` writes it): from which commits, and to what code. A run
whose code is that of one of them is as current as the code it moved to, and its
page says that it was made before.
"""

import functools
import json
import re
import subprocess

from assay import config as config_lib
from assay import disk, papers
from assay.errors import UserError
from assay.results import code

CURRENT, STALE, UNKNOWN = 'current', 'stale', 'unknown'
MOVED = 'moved.json'


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
  then = run.get('code') or _code_at(paper, commit)
  if not then:
    return UNKNOWN, ['the history of its files or its commit is not here']
  today = code.of(papers.ROOT, paper)
  own, hosts = (_differ(then, today, rooms) for rooms in (code.OWN, code.HOSTS))
  for moved in _moved_from(paper, today) if own else ():
    if not _differ(then, _code_at(paper, moved) or {}, code.OWN):
      return CURRENT, [f'its code has moved since {moved[:12]}; smoke rows '
                       'were the same before and after']
  if own:
    return STALE, [f'{name} has changed since' for name in own]
  return CURRENT, [f'{name} has changed since, which may not matter'
                   for name in hosts if 'code' in run]


def _differ(then, today, rooms):
  """Modules in these rooms of which other code is reached today."""
  return sorted(name for name in {*then, *today} if name.startswith(rooms)
                and then.get(name) != today.get(name))


def _moved_from(paper, today):
  """The commits from which code moved to that of today."""
  file = papers.ROOT / 'results' / paper / MOVED
  if not file.exists():
    return []
  moved = disk.read_json(file, {'commits': list, 'code': dict})
  return [] if _differ(moved['code'], today, code.OWN) else moved['commits']


def config_changes(run, paper):
  """Texts: the fields in which a run's config is not that of today.

  A field is compared by its name, whatever group of the config it is in.
  """
  module, name = papers.configs(paper), run.get('config_name')
  if not hasattr(module, 'get_config') or 'config' not in run:
    return []
  try:
    today = module.get_config(name)
  except UserError:
    return [f'the variant {name} is no longer there']
  # As a run file has it: tuples are lists, infinity is a string.
  today = config_lib.leaves(json.loads(disk.dumps(today.to_dict())))
  was = config_lib.leaves(run['config'])
  return [f'config.{k} was {was.get(k, "not there")}, is '
          f'{today.get(k, "not there")}'
          for k in sorted({*was, *today})
          if k not in was or k not in today or was[k] != today[k]]


@functools.cache  # runs share commits
def _code_at(paper, commit):
  """`code.digests` of a paper at a commit; None if the commit is not here."""
  if not re.fullmatch('[0-9a-f]{7,64}', commit):
    return None
  if git(papers.ROOT, 'cat-file', '-e', commit + '^{commit}')[0]:
    return None  # no git, or no such commit here

  def read(path):
    status, text = git(papers.ROOT, 'show', f'{commit}:./{path}')
    return None if status else text

  return code.digests(paper, read)


@functools.lru_cache(None)  # runs share files and commits
def git(root, *arguments):
  """(exit status, output) of a git command that only reads."""
  try:
    done = subprocess.run(['git', '-C', str(root), *arguments], text=True,
                          capture_output=True, timeout=60)
  except (OSError, subprocess.TimeoutExpired):
    return -1, ''
  return done.returncode, done.stdout.strip()
