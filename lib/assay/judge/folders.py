"""A table from what a person names: files, or a folder of some tool's making.

    samples_<task>_*.jsonl   lm-evaluation-harness: a row for each example
    *tfevents*               TensorBoard: the last value of each tag of a run
    any others               files of rows; one for each method if none tells
"""

import json
import pathlib
import re

from assay.errors import UserError
from assay.judge import events, files, names

ENDINGS = ('.csv', '.tsv', '.jsonl', '.ndjson', '.json', '.parquet')
_SAMPLES = re.compile(r'samples_(.+?)(_\d{4}-\d\d-\d\dT[\d\-.:]+)?\.jsonl')


def read(paths):
  """The `files.Table` of some paths together.

  Raises:
    UserError: nothing there can be read.
  """
  tables = []
  for path in map(pathlib.Path, paths):
    if not path.exists():
      raise UserError(f'{path}: no such file or folder; give the path of a '
                      'table of results, or of a folder of them.')
    tables += _of_folder(path) if path.is_dir() else [
        events.table([path], path.parent) if 'tfevents' in path.name
        else _of_chart(files.read(path))]
  return tables[0] if len(tables) == 1 else _joined(tables)


def _of_folder(folder):
  if (folder / 'runs').is_dir() and list(folder.glob('*.jsonl')):
    raise UserError(f'{folder}: holds rows that Assay wrote; use python -m '
                    'assay results, or give claims of your own by --claims '
                    'FILE.')
  samples = sorted(folder.rglob('samples_*.jsonl'))
  if samples:
    return [_of_samples(folder, samples)]
  found = sorted(folder.rglob('*tfevents*'))
  if found:
    return [events.table(found, folder)]
  found = sorted(f for f in folder.iterdir() if f.suffix.lower() in ENDINGS)
  if not found:
    raise UserError(f'{folder}: holds nothing that can be read; put files '
                    f'there that end in {", ".join(ENDINGS)}, samples of '
                    'lm-evaluation-harness or TensorBoard event files.')
  return [_of_chart(files.read(path)) for path in found]


def _of_chart(table):
  """A chart that Weights & Biases exports, as a row for each run.

  It has a column `RUN - METRIC` for each run, with `__MIN` and `__MAX` beside
  it; of each the last value is taken. Any other table is left as it is.
  """
  runs = [c for c in table.columns if ' - ' in c and f'{c}__MIN' in
          table.columns]
  if not runs:
    return table
  made = {}
  for column in runs:
    run, _, metric = column.rpartition(' - ')
    values = [v for v in files.numbers(table, column)[0] if v is not None]
    made.setdefault(run, {})[metric] = values[-1] if values else None
  known = names.of_runs(made)
  if known is None:
    raise UserError(f'{table.name}: names of runs must end in their seed, as '
                    'METHOD-SEED, two or more of a method; found: '
                    f'{", ".join(list(made)[:6])}.')
  rows = [{'method': known[run][0], 'seed': known[run][1]} | own
          for run, own in made.items()]
  columns = dict.fromkeys(c for row in rows for c in row)
  return files.Table(table.name, {
      c: [row.get(c) for row in rows] for c in columns}, list(made), 'run')


def _joined(tables):
  """One table; a file names a method where no column does."""
  tell = [names.find('method', t.columns) for t in tables]
  if any(tell) and not all(tell):
    lacking = tables[tell.index(None)].name
    raise UserError(f'{lacking} has no column of methods, but others have; '
                    'give each one, or none, and the file is the method.')
  columns = dict.fromkeys(c for t in tables for c in t.columns)
  if not any(tell):
    columns = {'method': None} | columns
  made = {c: [] for c in columns}
  for t in tables:
    for c in columns:
      made[c] += ([pathlib.Path(t.name).stem] * len(t.lines)
                  if c == 'method' and not any(tell)
                  else t.columns.get(c, [None] * len(t.lines)))
  lines = [f'{i} of {pathlib.Path(t.name).name}'
           for t in tables for i in t.lines]
  return files.Table(', '.join(t.name for t in tables[:3])
                     + ', ...' * (len(tables) > 3), made, lines)


def _of_samples(folder, paths):
  """Rows of lm-evaluation-harness: method, dataset, example, its metrics."""
  latest = {}
  for path in paths:
    task = _SAMPLES.fullmatch(path.name)
    if not task:
      raise UserError(f'{path}: rename it to samples_TASK_DATE.jsonl, '
                      'as lm-evaluation-harness does.')
    method = str(path.parent.relative_to(folder))
    key = (path.parent.name if method == '.' else method, task[1])
    latest[key] = max(path, latest.get(key, path))  # by date
  records, lines = [], []
  for (method, task), path in latest.items():
    for i, line in enumerate(path.read_text().splitlines(), 1):
      try:
        sample = json.loads(line)
        # Of filters (`strict-match`, `flexible-extract`) each has a line.
        scores = {k: sample[k] for k in _metrics_of(sample)}
        known = {'method': method, 'dataset': task,
                 'example': sample['doc_id']}
      except (ValueError, KeyError, TypeError) as error:
        raise UserError(f'{path}, line {i}: is no sample of '
                        'lm-evaluation-harness; give what its --log_samples '
                        'writes, or take the file away.') from error
      name = sample.get('filter', 'none')
      records.append(known | {
          k if name == 'none' else f'{k} ({name})': v
          for k, v in scores.items()})
      lines.append(f'{i} of {path.name}')
  columns = dict.fromkeys(k for r in records for k in r)
  merged, where = {}, {}
  for record, line in zip(records, lines, strict=True):
    key = record['method'], record['dataset'], record['example']
    own = merged.setdefault(key, {})
    where.setdefault(key, line)
    twice = [k for k in record if k in own
             and k not in ('method', 'dataset', 'example')]
    if twice:
      raise UserError(f'{folder}: example {key[2]} of {key[1]} has two '
                      f'{twice[0]} of {key[0]}, the second in line {line}; '
                      'keep one.')
    own |= record
  made = {c: [own.get(c) for own in merged.values()] for c in columns}
  return files.Table(str(folder), made, list(where.values()))


def _metrics_of(sample):
  listed = sample.get('metrics')
  if isinstance(listed, list):
    return [k for k in listed if isinstance(sample.get(k), (int, float))]
  other = {'doc_id', 'native_id'}
  return [k for k, v in sample.items()
          if isinstance(v, (int, float)) and k not in other]
