"""With which code a workdir was made, where it was edited in between.

    workdir/code.json    {'states': [{'commit': ..., 'sources': ...}, ...],
                          'files': {file: digest} of the last of them}

The states are those under which something was left there, the oldest first;
`made_with` of a run's file has them, too.
"""

import hashlib
import json

from assay import disk
from assay.errors import some_of

FILE = 'code.json'
UNKNOWN = {'commit': 'unknown', 'sources': 'unknown'}


def state(commit, files):
  """What tells one state of the code from another.

  Args:
    commit: of the checkout, with + where files differ from it.
    files: {file: digest}, see `results.code.sources`.
  """
  told = json.dumps(files, sort_keys=True).encode()
  return {'commit': commit, 'sources': hashlib.sha256(told).hexdigest()[:16]}


def note(folder, commit, files):
  """Notes that a run goes on in a workdir with the code of today.

  Args:
    folder: the workdir.
    commit, files: as `state` takes them.

  Returns:
    (states, text): all of them, that of today last; and what to tell the user,
    '' where nothing was edited since the run began.

  Raises:
    UserError: what is written there is damaged.
  """
  path, mine = folder / FILE, state(commit, files)
  found = disk.read_json(path, {'states': list, 'files': dict}) if (
      path.exists()) else {'states': [], 'files': {}}
  before, text = found['states'], ''
  if not _has_begun(folder):  # what was edited then has made nothing
    before = []
  elif not before:
    before = [UNKNOWN]
  if before and before[-1] != mine:
    text = _told(folder, before[-1], mine, found['files'], files)
  if not before or before[-1] != mine:
    before = [*before, mine]
  if before != found['states']:
    disk.write_json(path, {'states': before, 'files': files})
  return before, text


def _has_begun(folder):
  """Whether a workdir holds rows, or a save of a training."""
  return any(any(folder.glob(pattern)) for pattern in (
      'rows/*.jsonl', '*/*/seeds_*/[0-9]*'))


def _told(folder, before, mine, old, new):
  changed = sorted(name for name in old.keys() | new.keys()
                   if old.get(name) != new.get(name)) if old else []
  what = f'{some_of(changed, 3)} differ' if changed else (
      f'commit {before["commit"][:13]} there, {mine["commit"][:13]} here')
  return (f'{folder} was begun with other code ({what}). This run goes on with '
          'the code of today; its file tells both. Use another --workdir for '
          'numbers of one code.')
