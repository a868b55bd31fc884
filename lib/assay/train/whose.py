"""Whose a file is: a run writes it there, and compares before it believes it.

Files have names, and names are easily exchanged: by a copy, a restored backup
or two terminals. So a checkpoint, what a block saved and its description hold
`{'paper': ..., 'variant': ..., 'arm': ..., 'stage': ..., 'seeds': [...],
'config': {...}}`, or those of these that are known where they are written.
"""

import json

from assay import disk
from assay.errors import UserError, some_of


def plain(fields):
  """The fields as JSON gives them back: lists for tuples, texts for inf."""
  return json.loads(disk.dumps(fields))


def check(path, theirs, mine):
  """Compares what a file says of itself with what belongs there.

  Args:
    path: of the file, for the message.
    theirs: dict that the file holds; a field it lacks is not compared.
    mine: dict of what should be there.

  Raises:
    UserError: they differ; it says in what.
  """
  theirs, mine = theirs if isinstance(theirs, dict) else {}, plain(mine)
  differ = [text for field in mine if field in theirs
            for text in _differences(field, theirs[field], mine[field])]
  if differ:
    raise UserError(
        f'{path} is of {told(theirs)}, and {told(mine)} should be there '
        f'({some_of(differ, 3, "; ")}). Put back the one that belongs '
        'there, move it away to compute it again, or use another --workdir.')


def told(fields):
  """Whose a file is, in a few words: `c_mixup:smoke erm, fit, seeds 0 to 9`."""
  name = ':'.join(str(fields[k]) for k in ('paper', 'variant') if k in fields)
  seeds = fields.get('seeds')
  if isinstance(seeds, list) and seeds:
    seeds = f'seeds {seeds[0]} to {seeds[-1]}' if len(
        seeds) > 1 else f'seed {seeds[0]}'
  arm = [str(fields[k]) for k in ('arm', 'stage') if k in fields]
  words = ', '.join(filter(None, [*arm, seeds and str(seeds)]))
  return ' '.join(filter(None, [name, words])) or 'nobody it names'


def _differences(name, theirs, mine):
  """Texts `arm: 'mixup' in the file, 'erm' here`, of each field below one."""
  if isinstance(theirs, dict) and isinstance(mine, dict):
    return [text for key in sorted(theirs.keys() | mine.keys())
            for text in _differences(f'{name}.{key}', theirs.get(key),
                                     mine.get(key))]
  if theirs == mine:
    return []
  return [f'{name}: {theirs!r:.60} in the file, {mine!r:.60} here']
