"""Rows: written once, read back, and shown beside the published numbers.

  python -m assay.results PATH... [--format=markdown] [--into=README.md]

A row is one measured result, a flat dict: the fields in `FIELDS`, `why` where
there is no value, and any other key as a sweep field (what the variant varies,
by its config name). A PATH is a workdir, a folder `results/<paper>` or a
`.jsonl` file; the folder `runs/` beside its rows tells how they were made.
"""
import argparse
import difflib
import json
import math
import os
import pathlib
import re
import sys
import uuid

import numpy as np

from assay import papers
from assay.errors import UserError

FIELDS = {'paper': str, 'config': str, 'run': str, 'dataset': str,
          'method': str, 'seed': int, 'split': str, 'group': str,
          'metric': str, 'value': (float, int, type(None)), 'n': int,
          'step': int, 'state': str}
# Paper, config and run end up in paths; a run is 8 hex digits of a sha256.
WORDS = {'paper': '[a-z0-9_]+', 'config': '[A-Za-z0-9_-]+',
         'run': '[0-9a-f]{8}', 'state': 'last|best', 'group': '.*'}
JOINED = {'seed_varies': str, 'planned_seeds': int, 'scale': str}
NONE = '–'  # nothing measured, or nothing published


# --- Rows on disk ------------------------------------------------------------


def validate(row):
  """Returns nothing; the fields that `read` joins are allowed and unchecked.

  Raises:
    UserError: names the field that is missing or has a wrong type or value.
  """
  if not isinstance(row, dict):
    raise UserError(f'a row is an object, not {type(row).__name__}.')
  for field in dict.fromkeys([*FIELDS, *row]).keys() - JOINED.keys():
    if field not in row:
      raise UserError(f'{field}: missing.')
    value = row[field]
    types = FIELDS.get(
        field, str if field == 'why' else (str, int, float, bool))
    if not isinstance(value, types) or (
        isinstance(value, bool) and field in FIELDS):
      raise UserError(f'{field}: cannot be of type {type(value).__name__}.')
    if isinstance(value, str):
      pattern = WORDS.get(field, '.+' if field in FIELDS else '(?s:.*)')
      if not re.fullmatch(pattern, value) or not (
          field == 'why' or value.isprintable()):
        raise UserError(f'{field}: {value!r:.60} is not a word for it.')
    elif value is not None:
      # A sweep may end at infinity (bandwidth); a measured value may not.
      infinite = field not in FIELDS and abs(value) == math.inf
      if not (abs(value) <= sys.float_info.max or infinite):
        raise UserError(f'{field}: {value!r:.20} is not finite.')
      if FIELDS.get(field) is int and not 0 <= value < 2**63:
        raise UserError(f'{field}: {value} is not in [0, 2**63).')
  if row['value'] is None and not row.get('why'):
    raise UserError('why: missing, and the value is null.')


def write(path, rows):
  """Writes rows as JSON lines, all or nothing; drops what `read` joins.

  Floats are exact. JSON has no infinity: such sweep values are written as the
  strings 'inf' and '-inf', and `read` turns these back into floats.

  Raises:
    UserError: a row is not valid; nothing is written.
  """
  lines = []
  for row in rows:
    validate(row)
    rest = sorted(row.keys() - FIELDS.keys() - JOINED.keys())
    lines.append(_dumps({k: row[k] for k in [*FIELDS, *rest]}) + '\n')
  write_bytes(path, ''.join(lines).encode())


def write_json(path, data):
  """Writes a dict as indented JSON with sorted keys, all or nothing."""
  write_bytes(path, (_dumps(data, indent=2, sort_keys=True) + '\n').encode())


def _dumps(data, **how):
  def plain(x):
    if isinstance(x, dict):
      return {k: plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
      return [plain(v) for v in x]
    return str(x) if isinstance(x, float) and math.isinf(x) else x

  try:
    return json.dumps(plain(data), allow_nan=False, **how)
  except ValueError as error:
    raise UserError(f'cannot be written as JSON: {error}.') from error


def write_bytes(path, data):
  """Replaces a file at once: a crash leaves the old content or the new."""
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  temporary = path.with_name(f'.{path.name}.{uuid.uuid4().hex}.tmp')
  try:
    with open(temporary, 'xb') as file:
      file.write(data)
      file.flush()
      os.fsync(file.fileno())
    os.replace(temporary, path)
  finally:
    temporary.unlink(missing_ok=True)
  folder = os.open(path.parent, os.O_RDONLY)
  try:
    os.fsync(folder)  # the new name must survive a power cut too
  finally:
    os.close(folder)


def read(paths):
  """The rows of all paths, with `JOINED` added from each row's run.

  Raises:
    UserError: nothing to read; a damaged line (with file and line number); a
      missing or damaged run file; a result that is there twice, which would
      count as one more seed.
  """
  runs, rows, seen = read_runs(paths), [], {}
  for file in (file for path in paths for file in _files(path)[0]):
    for row in read_rows(file):
      key = tuple(sorted((k, v) for k, v in row.items() if k not in (
          'run', 'value', 'why', 'n', 'step')))
      if key in seen:
        raise UserError(f'{file}: seed {row["seed"]} of {row["method"]} has a '
                        f'second {row["metric"]}; the first: {seen[key]}.')
      seen[key] = file
      rows.append(row | {k: runs[row['run']][k] for k in JOINED})
  return rows


def read_runs(paths):
  """{run: what its file says} for all rows of the paths."""
  runs = {}
  for files, folder in map(_files, paths):
    for run in {row['run'] for file in files for row in read_rows(file)}:
      path = folder / f'{run}.json'
      try:
        runs[run] = _loads(path.read_bytes())
      except (OSError, UserError) as error:
        raise UserError(f'{path}: needed by rows, but: {error}') from error
      for field, kind in JOINED.items():
        if not (isinstance(runs[run], dict)
                and isinstance(runs[run].get(field), kind)):
          raise UserError(f'{path}: {field} is missing or no {kind.__name__}.')
  return runs


def _files(path):
  """The row files of a path, and the folder of its runs."""
  path = pathlib.Path(path)
  if path.is_file():
    up = path.parent.parent if path.parent.name == 'rows' else path.parent
    return [path], up / 'runs'
  # In a workdir rows.jsonl is only a copy of the blocks under rows/.
  folder = path / 'rows' if (path / 'rows').is_dir() else path
  # By arm, then seed: the length puts erm.5 before erm.10.
  files = sorted(folder.glob('*.jsonl'), key=lambda f: (
      f.stem.rpartition('.')[0], len(f.stem), f.stem))
  if not files:
    raise UserError(f'{path}: no rows there; give a workdir, a folder '
                    'results/<paper> or a .jsonl file.')
  return files, path / 'runs'


def read_rows(path):
  """The rows of one file, each valid, without what `read` joins."""
  try:
    lines = pathlib.Path(path).read_bytes().split(b'\n')
  except OSError as error:
    raise UserError(f'cannot be read: {error}.') from error
  rows = []
  for number, line in enumerate(lines, 1):
    if line.strip():
      try:
        row = _loads(line)
        validate(row)
      except UserError as error:
        raise UserError(f'{path}:{number}: {error}') from error
      rows.append({k: float(v) if k not in FIELDS and v in ('inf', '-inf')
                   else v for k, v in row.items() if k not in JOINED})
  return rows


def _loads(data):
  def refuse(constant):
    raise ValueError(f'{constant} is no number')

  try:
    return json.loads(data.decode(), parse_constant=refuse)
  except (ValueError, RecursionError) as error:
    raise UserError(f'not valid JSON: {error}.') from error


def publish(workdir, results_dir='results'):
  """Copies a finished workdir to `results/<paper>/`; returns that folder.

  Rows go to `<variant>.jsonl` (replaced), runs to `runs/<run>.json`; run files
  that no row there refers to any longer are removed.

  Raises:
    UserError: rows of several papers, or an arm lacks a planned seed.
  """
  rows = read([workdir])
  if len({row['paper'] for row in rows}) != 1:
    raise UserError(f'{workdir}: must hold the rows of one paper.')
  for method in dict.fromkeys(row['method'] for row in rows):
    own = [row for row in rows if row['method'] == method]
    missing = set(range(own[0]['planned_seeds'])) - {r['seed'] for r in own}
    if missing:
      raise UserError(f'{workdir} is not finished: {method} lacks '
                      f'{len(missing)} planned seeds, first {min(missing)}.')
  folder = pathlib.Path(results_dir) / rows[0]['paper']
  # Runs first and removal last: a crash leaves no row without its run.
  for run, data in read_runs([workdir]).items():
    write_json(folder / 'runs' / f'{run}.json', data)
  for config, own in _split(rows, 'config').items():
    write(folder / f'{config}.jsonl', own)
  needed = read_runs([folder])
  for file in (folder / 'runs').glob('*.json'):
    if file.stem not in needed:
      file.unlink()
  return folder


def _split(rows, field):
  """{value of the field: its rows}, in the order of appearance."""
  parts = {}
  for row in rows:
    parts.setdefault(row[field], []).append(row)
  return parts


# --- Tables ------------------------------------------------------------------


def sweep_fields(rows):
  """Names of the sweep fields, sorted."""
  return sorted({k for row in rows for k in row}
                - FIELDS.keys() - JOINED.keys() - {'why'})


def summarize(rows, metric, by=None, split='test', state='best', group=''):
  """One dict per arm: the fields in `by`, and over its seeds

    mean, std: of those with a value; None without one, or two (ddof=1);
    n, diverged: seeds with a value, and without.

  Args:
    by: fields; default config, dataset, method and the sweep fields.
  """
  by = by or ('config', 'dataset', 'method', *sweep_fields(rows))
  arms = {}
  for row in rows:
    if (row['metric'], row['split'], row['state'], row['group']) == (
        metric, split, state, group):
      arms.setdefault(tuple(row.get(k) for k in by), []).append(row['value'])
  summaries = []
  for key, values in arms.items():
    known = [v for v in values if v is not None]
    summaries.append(dict(zip(by, key, strict=True)) | {
        'mean': float(np.mean(known)) if known else None,
        'std': float(np.std(known, ddof=1)) if len(known) > 1 else None,
        'n': len(known), 'diverged': len(values) - len(known)})
  return summaries


def sorted_arms(rows, reported, by):
  """Distinct values of the fields `by`; methods as in the paper's table."""
  methods = [method for arms in reported.values() for method in arms]
  methods = list(dict.fromkeys(methods + [row['method'] for row in rows]))

  def order(field, value):
    # None, then numbers, then names: these do not compare.
    return (methods.index(value) if field == 'method' else
            (value is not None) + isinstance(value, str), value or 0)

  return sorted({tuple(row.get(k) for k in by) for row in rows},
                key=lambda arm: list(map(order, by, arm)))


def published(reported, metric, arm, arms, by):
  """The entry of `REPORTED` that speaks about an arm, or None.

  Args:
    arm: values of the fields `by`, which start with dataset and method.
    arms: all arms shown; of a swept method an entry speaks only about the one
      whose sweep fields it names, e.g. `bandwidth=1.75`.
  """
  entry = reported.get(arm[0], {}).get(arm[1], {}).get(metric)
  swept = sum(other[:2] == arm[:2] for other in arms) > 1
  fits = entry and all(map(lambda k, v: entry.get(k) == v, by[2:], arm[2:]))
  return entry if fits or not swept else None


def table(rows, reported, metrics=None):
  """Ours beside the published, one line per arm and sweep value.

  Args:
    rows: of one config. Shown are test rows of all groups together, in state
      `best`, or `last` where the experiment selects nothing.
    reported: `REPORTED`, dataset -> method -> metric -> dict of mean, std, n,
      source, tag; see `published`.
    metrics: names; default those published for these data, else all measured.

  Returns:
    A dict: `config`, `metrics` shown, `columns` and `rows` of strings.
  """
  configs = list(_split(rows, 'config'))
  if len(configs) != 1:
    raise UserError(f'a table shows one config, not {configs}.')
  test = [r for r in rows if r['split'] == 'test' and r['group'] == '']
  state = 'best' if any(r['state'] == 'best' for r in test) else 'last'
  datasets, measured = _split(test, 'dataset'), _split(test, 'metric')
  metrics = list(metrics or dict.fromkeys(
      metric for dataset in datasets for arm in reported.get(
          dataset, {}).values() for metric in arm if metric in measured)
      or measured)

  by = ['dataset', 'method', *sweep_fields(rows)]
  arms = sorted_arms(test, reported, by)

  columns = {'arm' if k == 'method' else k: [_label(arm[i]) for arm in arms]
             for i, k in enumerate(by) if i or len(datasets) > 1}
  for metric in metrics:
    ours = {tuple(s[k] for k in by): s
            for s in summarize(test, metric, by, state=state)}
    columns[metric] = [measured_text(ours.get(arm)) for arm in arms]
    entries = [published(reported, metric, arm, arms, by) for arm in arms]
    if any(entries):
      columns[f'{metric} published'] = list(map(published_text, entries))
  partners = [r for r in rows if r['metric'] == 'effective_partners'
              and r['split'] == 'train']
  if partners:
    means = {tuple(s[k] for k in by): s['mean'] for s in summarize(
        partners, 'effective_partners', by, 'train', partners[0]['state'])}
    columns['effective partners'] = [
        NONE if means.get(arm) is None else f'{round(100 * means[arm], 3):g} %'
        for arm in arms]
  return {'config': configs[0], 'metrics': metrics, 'columns': list(columns),
          'rows': [list(row) for row in zip(*columns.values(), strict=True)]}


def number(mean, std):
  """`mean ± std` to two digits of the std."""
  if std is None:
    return f'{mean:.4g}'
  # Without spread, or far from 1, digits after the point say nothing.
  if not max(1e-9 * abs(mean), 1e-9) < std < 1e9:
    return f'{mean:.4g} ± {std:.2g}'
  decimals = max(0, 1 - int(f'{std:.1e}'.partition('e')[2]))
  return f'{mean:.{decimals}f} ± {std:.{decimals}f}'


def measured_text(summary):
  """A summary as a cell: `2.83 ± 0.19 (18, 2 diverged)`."""
  if not summary:
    return NONE
  diverged = f', {summary["diverged"]} diverged' if summary['diverged'] else ''
  mean = summary['mean']
  return ((NONE if mean is None else number(mean, summary['std']))
          + f' ({summary["n"]}{diverged})')


def published_text(entry):
  """An entry of `REPORTED` as a cell, to the digits given there."""
  if not entry:
    return NONE
  given = [float(entry[k]) for k in ('mean', 'std') if entry.get(k) is not None]
  decimals = max(len(repr(g).partition('.')[2]) for g in given)
  text = ' ± '.join(f'{g:.{decimals}f}' for g in given)
  text += f' ({entry["n"]})' if entry.get('n') else ''
  return ', '.join([text] + [entry[k] for k in ('source', 'tag')
                             if entry.get(k)])


def _label(value):
  if value is None:
    return NONE
  return f'{value:g}' if isinstance(value, float) else str(value)


def to_terminal(table):
  """A rich Table with a part per metric: arms stand below each other."""
  import rich.box
  import rich.table
  import rich.text

  columns, rows = table['columns'], table['rows']
  labels = columns[:-1 if 'effective partners' in columns else None]
  labels = [c for c in labels if c.removesuffix(' published')
            not in table['metrics']]
  shown = rich.table.Table(title=table['config'], title_justify='left',
                           box=rich.box.SIMPLE_HEAD, pad_edge=False)
  for column in ['metric', *labels, 'here', 'published']:
    # Too long a line breaks between words, and never inside `mean ± std`.
    parts = [row[i].partition(' (')[0] for row in rows
             for i in range(len(labels), len(columns))]
    narrow = column in ('here', 'published')
    shown.add_column(column, overflow='fold', min_width=(
        max(map(len, parts), default=1) if narrow else None))
  for metric in [*table['metrics'], 'effective partners']:
    pair = [c for c in (metric, f'{metric} published') if c in columns]
    for i, row in enumerate(rows if pair else []):
      cells = [row[columns.index(c)] for c in [*labels, *pair]]
      shown.add_row(*map(rich.text.Text, [
          '' if i else metric.replace('effective ', 'effective\n'), *cells]),
                    end_section=i == len(rows) - 1)
  return shown


def to_markdown(table):
  """A Markdown table."""
  align = [':--' if c in ('dataset', 'arm') else '--:'
           for c in table['columns']]
  return '\n'.join(
      '| ' + ' | '.join(cell.replace('|', r'\|') for cell in line) + ' |'
      for line in [table['columns'], align, *table['rows']])


def to_latex(table):
  """A booktabs tabular."""
  special = {'\\': r'\textbackslash{}', '~': r'\textasciitilde{}',
             '^': r'\textasciicircum{}', '±': r'$\pm$', NONE: '--'}
  special |= {c: '\\' + c for c in '&%$#_{}'}

  def line(cells):
    return ' & '.join(''.join(special.get(c, c) for c in cell)
                      for cell in cells) + r' \\'

  align = ''.join('l' if c in ('dataset', 'arm') else 'r'
                  for c in table['columns'])
  return '\n'.join([
      rf'\begin{{tabular}}{{{align}}}', r'\toprule', line(table['columns']),
      r'\midrule', *map(line, table['rows']), r'\bottomrule', r'\end{tabular}'])


# --- Reports -----------------------------------------------------------------


def sections(rows, paper, runs):
  """{name: Markdown}: `<paper>/<config>` for each config, `<paper>/claims`."""
  from assay import claims

  reported = papers.configs(paper).REPORTED
  texts = {f'{paper}/{config}': to_markdown(table(own, reported)) + '\n\n'
           + tested_on(own, runs)
           for config, own in _split(rows, 'config').items()}
  judged = claims.judge(papers.load(paper).CLAIMS, rows)
  return texts | {f'{paper}/claims': claims.markdown(judged)}


def tested_on(rows, runs):
  """One line of Markdown: data, seeds, scale, device, commit and command."""
  used = [runs.get(run, {}) for run in _split(rows, 'run')]
  seeds = sorted(_split(rows, 'seed'))

  def each(texts):
    return ', '.join(dict.fromkeys(map(str, texts)))

  def of_runs(field):
    return [str(run.get(field, 'unknown')) for run in used]

  devices = map(' x '.join, zip(of_runs('device_count'), of_runs('device_kind'),
                                strict=True))
  return (
      'mean ± standard deviation (seeds). Tested on '
      + each(f'{r["dataset"]} ({r["n"]} test examples)' for r in rows
             if r['split'] == 'test' and r['group'] == '')
      + f', {len(seeds)} seed{"s" * (len(seeds) > 1)} ({seeds[0]} to '
      + f'{seeds[-1]}, {each(r["seed_varies"] for r in rows)}), '
      + each(r['scale'] for r in rows)
      + f', {each(devices)}, commit '
      # A + says that files differed from the commit.
      + each(c[:12] + '+' * c.endswith('+') for c in of_runs('commit'))
      + ': ' + each(f'`{c}`' for c in of_runs('command')))


def report(rows, paper, runs=None):
  """Markdown of everything about a paper: its tables, then its verdicts."""
  return '\n\n'.join(f'### {name}\n\n{text}' for name, text in
                     sections(rows, paper, runs or {}).items())


def insert(path, name, text, check=False):
  """Replaces what stands between the markers of `name` in a Markdown file.

  The markers are `<!-- begin NAME -->` and `<!-- end NAME -->`. Returns the
  lines of the diff; with `check` the file is left alone.

  Raises:
    UserError: there is not exactly one of each, in this order.
  """
  old = _text(path)
  begin, end = f'<!-- begin {name} -->', f'<!-- end {name} -->'
  before, _, rest = old.partition(begin)
  _, found, after = rest.partition(end)
  if not found or old.count(begin) != 1 or old.count(end) != 1:
    raise UserError(f'{path}: needs one {begin} and, after it, one {end}.')
  new = f'{before}{begin}\n{text.strip()}\n{end}{after}'
  if new != old and not check:
    write_bytes(path, new.encode())
  return list(difflib.unified_diff(old.splitlines(), new.splitlines(), path,
                                   'results', lineterm='', n=0))


def _text(path):
  try:
    return pathlib.Path(path).read_bytes().decode()
  except (OSError, UnicodeDecodeError) as error:
    raise UserError(f'{path}: cannot be read: {error}.') from error


def main(argv=None):
  """Prints tables and verdicts; returns the exit status (2: user error)."""
  parser = argparse.ArgumentParser(
      prog='python -m assay.results',
      description='Results beside the published numbers, and the verdicts.')
  parser.add_argument('paths', nargs='+', metavar='PATH', help='a workdir, a '
                      'folder results/<paper> or a .jsonl file')
  parser.add_argument('--format', default='terminal',
                      choices=['terminal', 'markdown', 'latex'])
  parser.add_argument('--publish', action='store_true', help='first copy '
                      'finished workdirs to results/<paper>/, and show that')
  parser.add_argument('--into', metavar='FILE', help='rewrite the marked '
                      'sections of this Markdown file, and print nothing')
  parser.add_argument('--check', action='store_true', help='with --into: '
                      'change nothing, exit 1 if FILE is not up to date')
  flags = parser.parse_args(argv)
  if flags.check and not flags.into:
    parser.error('--check needs --into')
  try:
    paths = flags.paths
    if flags.publish:
      paths = list(dict.fromkeys(publish(path) for path in paths))
    rows, runs = read(paths), read_runs(paths)
    if not rows:
      raise UserError(f'no rows in {", ".join(map(str, paths))}.')
    if flags.into:
      return _into(flags, _split(rows, 'paper'), runs)
    for paper, own in _split(rows, 'paper').items():
      if flags.format == 'markdown':
        print(report(own, paper, runs))
      else:
        _show(flags.format, own, paper)
  except (UserError, OSError) as error:
    print('error:', ' '.join(str(error).split()), file=sys.stderr)
    return 2
  return 0


def _into(flags, by_paper, runs):
  texts, old, diff = {}, _text(flags.into), []
  for paper, rows in by_paper.items():
    texts |= sections(rows, paper, runs)
  marked = [name for name in texts if f'<!-- begin {name} -->' in old]
  if not marked:
    raise UserError(f'{flags.into}: no marker <!-- begin NAME --> with NAME '
                    f'one of {", ".join(texts)}.')
  for name in marked:
    diff += insert(flags.into, name, texts[name], flags.check)
  if flags.check and diff:
    print('\n'.join([*diff[:20], f'{flags.into} is not up to date: run this '
                     'without --check.']))
    return 1
  return 0


def _show(form, rows, paper):
  import rich.console

  from assay import claims

  console = rich.console.Console()
  reported = papers.configs(paper).REPORTED
  tables = [table(own, reported) for own in _split(rows, 'config').values()]
  verdicts = claims.lines(claims.judge(papers.load(paper).CLAIMS, rows))
  if form == 'latex':
    comments = [f'% {line}' for text in verdicts for line in text.splitlines()]
    print('\n'.join([*map(to_latex, tables), *comments]))
    return
  for shown in tables:
    console.print(to_terminal(shown))
  for verdict in verdicts:
    console.print(verdict, markup=False, highlight=False)


if __name__ == '__main__':
  # Not this second copy of the module: experiments import the other one.
  from assay import results
  sys.exit(results.main())
