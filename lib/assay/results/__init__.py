"""Rows: written once, read back, and shown beside the published numbers.

    python -m assay results PATH... [--format=markdown] [--into=README.md]

A row is one measured result, a flat dict: the fields in `FIELDS`, perhaps those
in `ATTACHED` (`why` there is no value; which examples a classifier got `wrong`,
see `pack`), and any other key as a sweep field (what the variant varies, by its
config name). A PATH is a workdir, a folder `results/<paper>` or a `.jsonl`
file, here or in an object store (`s3://bucket/x`); the folder `runs/` beside
its rows tells how they were made.
"""

import hashlib
import json
import pathlib

from assay import disk, stores
from assay.errors import UserError
from assay.results import files, schema
from assay.results.files import write
from assay.results.schema import (
    ATTACHED,
    FIELDS,
    JOINED,
    TOLD,
    lost_word,
    pack,
    rows_of,
    unpack,
    validate,
)

__all__ = [
    'ATTACHED', 'FIELDS', 'JOINED', 'TOLD', 'code', 'digest', 'files',
    'group_by', 'lost_word', 'migrate', 'pack', 'publish', 'read', 'read_both',
    'read_rows', 'read_run', 'read_runs', 'schema', 'text_of', 'unpack',
    'validate', 'write']


def read(paths):
  """The rows of all paths, see `read_both`."""
  return read_both(paths)[0]


def read_both(paths):
  """The rows of all paths, and {run: what its file says} for all of them.

  Rows have `JOINED` added from their run.

  Raises:
    UserError: nothing to read; a damaged line (with file and line number); a
      missing or damaged run file; a result that is there twice, which would
      count as one more seed.
  """
  found = _found(paths)
  runs, rows, seen = _runs(found), [], {}
  for file, _, cells in found:
    for cell in cells:
      own = seen.setdefault(frozenset(
          (k, v) for k, v in cell.items() if k not in _BESIDE), {})
      for seed in cell['seeds']:
        if seed in own:
          raise UserError(f'{file}: seed {seed} of {cell["method"]} has a '
                          f'second {cell["metric"]}, the first: {own[seed]}; '
                          'keep one of them.')
        own[seed] = file
      rows += rows_of(cell, runs)
  return rows, runs


# What does not tell results apart.
_BESIDE = ('seeds', 'values', *schema.LISTED)


def read_runs(paths):
  """{run: what its file says} for all rows of the paths."""
  return _runs(_found(paths))


def _found(paths):
  """[(file, folder of its runs, its cells)] of all paths."""
  return [(file, folder, files.read_cells(file)) for path in paths
          for found, folder in [_files(path)] for file in found]


def _runs(found):
  """As `read_runs`, from what `_found` gives."""
  runs = {}
  for _, folder, cells in found:
    for cell in cells:
      names = cell['run'] if isinstance(cell['run'], list) else [cell['run']]
      for run in names:
        if run not in runs:
          runs[run] = read_run(folder / f'{run}.json')
  return runs


def read_run(file):
  """What the file of a run says.

  Raises:
    UserError: it is missing or damaged, or that of another run.
  """
  data = disk.read_json(file, JOINED | TOLD, TOLD)
  try:
    return schema.run_of(data, file.stem)
  except UserError as error:
    raise UserError(f'{file}: {error}') from error


def _files(path):
  """The row files of a path, and the folder of its runs."""
  path = _here(path)
  if path.is_file():
    up = path.parent.parent if path.parent.name == 'rows' else path.parent
    return [path], up / 'runs'
  # In a workdir rows.jsonl is only a copy of the blocks under rows/.
  if (path / 'rows').is_dir():
    found = [file for *_, file in files.blocks(path / 'rows')]
  else:
    found = [file for file in files.listed(path) if file.suffix == '.jsonl']
  if not found:
    raise UserError(f'{path}: no rows there; give a workdir, a folder '
                    'results/<paper> or a .jsonl file.')
  return found, path / 'runs'


def _here(path):
  """A path on this machine; of a place in a store, that of a copy."""
  if not stores.is_url(path):
    return pathlib.Path(path)
  patterns = ('*.jsonl', 'rows/*.jsonl', 'runs/*.json')
  above, _, name = str(path).rstrip('/').rpartition('/')
  if not name.endswith('.jsonl'):
    return stores.copied(path, *patterns)
  above, _, folder = above.rpartition('/') if above.endswith('/rows') else (
      above, '', '')
  return stores.copied(above, *patterns) / folder / name


def read_rows(path):
  """The rows of one file, each valid, without what `read` joins."""
  return [row for cell in files.read_cells(path) for row in rows_of(cell)]


def migrate(path):
  """Writes the rows of a folder or file anew, as `write` does today.

  Returns the files that were written in another form.
  """
  changed = []
  for file in _files(path)[0]:
    before = file.read_bytes()
    write(file, read_rows(file))
    if file.read_bytes() != before:
      changed.append(file)
  return changed


def publish(workdir, results_dir='results'):
  """Copies a finished workdir to `results/<paper>/`; returns that folder.

  Rows go to `<variant>.jsonl` (replaced), runs to `runs/<run>.json`; run files
  that no row there refers to any longer are removed. Two processes that publish
  one paper take turns.

  Raises:
    UserError: rows of several papers, or an arm lacks a planned seed.
  """
  rows, runs = read_both([workdir])
  if len({row['paper'] for row in rows}) != 1:
    raise UserError(f'{workdir}: must hold the rows of one paper.')
  for method, own in group_by(rows, 'method').items():
    planned, seeds = own[0]['planned_seeds'], {r['seed'] for r in own}
    missing = planned - sum(seed < planned for seed in seeds)
    if missing:
      first = next(i for i in range(planned) if i not in seeds)
      raise UserError(f'{workdir} is not finished: {method} lacks {missing} '
                      f'planned seeds, first {first}; run it to its end.')
  folder = pathlib.Path(results_dir) / rows[0]['paper']
  # Alone: what another writes just now may need a run that no row has yet.
  with disk.held(folder):
    # Runs first and removal last: a crash leaves no row without its run.
    for run, data in runs.items():
      disk.write_json(folder / 'runs' / f'{run}.json', data)
    for config, own in group_by(rows, 'config').items():
      write(folder / f'{config}.jsonl', own)
    needed = read_runs([folder])
    for file in (folder / 'runs').glob('*.json'):
      if file.stem not in needed:
        file.unlink()
  return folder


def digest(rows):
  """16 hex digits over the values of rows, in whatever order and of any run."""
  told, found = hashlib.sha256(), (
      _ENCODER.encode(row | {'run': ''}) for row in rows)
  for i, line in enumerate(sorted(found)):  # a million are not joined
    told.update(b'\n' * bool(i) + line.encode())
  return told.hexdigest()[:16]


_ENCODER = json.JSONEncoder(sort_keys=True)


def group_by(rows, field):
  """{value of the field: its rows}, in the order of appearance."""
  parts = {}
  for row in rows:
    parts.setdefault(row[field], []).append(row)
  return parts


def text_of(value):
  """A row's value as text: floats without digits that say nothing."""
  return f'{value:g}' if isinstance(value, float) else str(value)
