"""Two runs of one paper side by side: what changed, and by how much.

    python -m assay compare A B [--metric=rmse] [--all] [--format=markdown]

A and B are what `assay.results` takes: workdirs, folders `results/<paper>` or
`.jsonl` files. Where each side has one variant, its name may differ. A
difference is B - A over the seeds that both have: see `differences`.
"""

import argparse
import collections
from typing import NamedTuple

import numpy as np

from assay import claims, papers, results
from assay.claims import intervals, rules
from assay.errors import UserError, told
from assay.report import differences, tables, verdicts

# What a seed shares, by what it varies.
PAIRED = {'fresh': 'the same data', 'resplit': 'the same split',
          'fixed_split': 'the same initialization and order'}


class Side(NamedTuple):
  path: str
  rows: list  # of one paper
  runs: dict  # both from `results.read_both`


def read(path):
  """The `Side` of a path.

  Raises:
    UserError: no rows, or those of several papers.
  """
  rows, runs = results.read_both([path])
  found = sorted(results.group_by(rows, 'paper'))
  if len(found) != 1:
    raise UserError(f'{path}: has rows of {", ".join(found) or "no paper"}; '
                    'give the results of one paper.')
  return Side(str(path), rows, runs)


def aligned(a, b):
  """Both sides, with one name for the variant where each has only one.

  Raises:
    UserError: they are of two papers.
  """
  mine, theirs = a.rows[0]['paper'], b.rows[0]['paper']
  if mine != theirs:
    raise UserError(f'{a.path} is of {mine}, {b.path} of {theirs}; compare '
                    'results of one paper.')
  names = [list(results.group_by(s.rows, 'config')) for s in (a, b)]
  if len(names[0]) == len(names[1]) == 1 and names[0] != names[1]:
    name = f'{names[0][0]} | {names[1][0]}'
    a, b = (s._replace(rows=[r | {'config': name} for r in s.rows])
            for s in (a, b))
  return a, b


# --- What is shown -----------------------------------------------------------


def sections(a, b, metrics=(), everything=False):
  """[text or table]: see `tables.table` for what a table is.

  Args:
    a, b: from `read`.
    metrics: names; default all.
    everything: show differences of all splits and states, not only of test, and
      of `last` only where nothing is selected.

  Raises:
    UserError: two papers, nothing in common, or no such metric.
  """
  sides = a, b
  a, b = aligned(*sides)
  found = differences.between(a.rows, b.rows)
  if not found:
    raise UserError(
        f'{a.path} and {b.path} have no result in common: '
        + '; '.join(f'{s.path} has {_contents(s.rows)}' for s in (a, b))
        + '; give results of the same variant.')
  parts = [f'A: {a.path}\nB: {b.path}', _settings(a, b),
           _verdicts(*map(_judged, sides)), *_common(a, b)]
  chosen = _chosen(found, metrics, everything)
  differ = [d for d in chosen if d.why != 'same']
  if differ:
    varies = sorted({row['seed_varies'] for row in a.rows})
    parts += [_table(differ, len(chosen)), _how(differ, varies)]
  return [part for part in parts if part]


def _chosen(found, metrics, everything):
  """The differences that are to be shown."""
  known = list(dict.fromkeys(d.cell['metric'] for d in found))
  for metric in metrics:
    if metric not in known:
      raise UserError(f'--metric={metric}: no result that both have; use some '
                      f'of {", ".join(known)}.')
  found = [d for d in found if not metrics or d.cell['metric'] in metrics]
  selected = [d.cell for d in found if d.cell['state'] == 'best']
  return [d for d in found if everything or (
      d.cell['split'] == 'test' and (d.cell['state'] == 'best' or
                                     d.cell | {'state': 'best'} not in selected)
  )]


def _contents(rows):
  """What a side has, in a few words."""
  return ', '.join(f'{field} ' + '/'.join(map(str, results.group_by(
      rows, field))) for field in ('config', 'dataset', 'method', 'seed'))


def _common(a, b):
  """Sentences: how many rows are the same, and which only one side has."""
  mine = differences.by_key(a.rows, b.rows)
  theirs = differences.by_key(b.rows, a.rows)
  both = [key for key in mine if key in theirs]
  aside = {'run', *results.JOINED}
  differ = collections.Counter()
  for key in both:
    x, y = mine[key], theirs[key]
    for k in sorted({*x, *y} - aside):
      if repr(x.get(k)) != repr(y.get(k)):
        differ[k] += 1
  only = [_only(name, [r for k, r in own.items() if k not in other],
                list(other.values()))
          for name, own, other in (('A', mine, theirs), ('B', theirs, mine))]
  if not differ:
    texts = [f'Same values in all {len(both):,} rows'
             + ' that both have' * any(only) + ', bit for bit.']
  else:
    same = len(both) - differ['value']
    texts = [f'{len(both):,} rows in both: the same value, bit for bit, in '
             f'{same:,}, another in {differ["value"]:,}'
             + ''.join(f'; another {k} in {count:,}'
                       for k, count in differ.items() if k != 'value') + '.']
  return [*texts, *filter(None, only)]


def _only(name, rows, others):
  """`Only in A: 30 rows. Whole arms: k_mixup (18); erm, seed 5 to 8 (12).`"""
  arms, parts = [], []
  for arm, own in _by_arm(rows).items():
    same = _by_arm(others).get(arm, [])
    if not same:
      arms.append(f'{arm} ({len(own):,})')
      continue
    new = {k: {r[k] for r in own} - {r[k] for r in same}
           for k in ('config', 'dataset', 'seed', 'split', 'group', 'metric',
                     'state')}
    field = next((k for k, values in new.items() if values), None)
    what = f', {field} {_range(sorted(new[field]))}' if field else ''
    parts.append(f'{arm}{what} ({len(own):,})')
  parts = ['Whole arms: ' + ', '.join(arms)] * bool(arms) + parts
  return (f'Only in {name}: {len(rows):,} rows. ' + '; '.join(parts) + '.'
          ) if rows else ''


def _range(values):
  """`5 to 9` of consecutive numbers, else all values."""
  if len(values) > 2 and isinstance(values[0], int) and (
      values == list(range(values[0], values[-1] + 1))):
    return f'{values[0]} to {values[-1]}'
  return ', '.join(map(str, values))


def _by_arm(rows):
  arms = {}
  for row in rows:
    arms.setdefault(_arm(row), []).append(row)
  return arms


def _arm(fields):
  """`c_mixup, bandwidth 1.75`: method and swept fields."""
  return ', '.join([fields['method'], *(
      f'{k} {results.text_of(fields[k])}' for k in tables.sweep_fields(
          [fields]))])


def _judged(side):
  """{claim's name: `claims.Judged`} of those that this side tests."""
  everything = papers.claims(side.rows[0]['paper'])
  judged = claims.judge(claims.about(everything, side.rows), side.rows)
  return {item.claim.name: item for item in judged if item.verdict}


def _verdicts(mine, theirs):
  """The table of verdicts; a sentence where there is none."""
  names = list(mine | theirs)
  if not names:
    return 'No claim speaks about these results.'
  rows, changed = [], 0
  for name in names:
    items = mine.get(name), theirs.get(name)
    differ = None not in items and len(
        {item.verdict.state for item in items}) > 1
    changed += differ
    rows.append([name, *(
        f'{verdicts.word_of(i)}\n{verdicts.numbers(i.verdict)}' if i
        else 'not tested' for i in items), 'yes' if differ else ''])
  both = len(mine.keys() & theirs.keys())
  title = f'verdicts: {changed} of {both} changed' if both else (
      'verdicts: no claim speaks about both')
  return _as_table(title, ['claim', 'A', 'B', 'changed'], rows, 1)


def _settings(a, b):
  """The table of what the runs differ in, and of how long they took."""
  sides = [_described(side.runs) for side in (a, b)]
  fields = sorted(
      {field for side in sides for field in side},
      key=lambda f: (f.startswith('version'), f.startswith('config'), f))
  values = {f: [side.get(f, tables.NONE) for side in sides] for f in fields}
  rows = [[f, *v] for f, v in values.items()
          if v[0] != v[1] or f in ('commit', 'devices', 'seconds')]
  same = [kind for kind in ('config', 'version') if not any(
      row[0].startswith(kind) for row in rows)]
  note = f'The same: {" and ".join(f"every {k}" for k in same)}.' * bool(same)
  return _as_table('runs', ['field', 'A', 'B'], rows, 1, note)


def _described(runs):
  """{field: text} of the runs of one side; of several runs all values."""
  fields = collections.defaultdict(list)
  for run in runs.values():
    commit = str(run.get('commit'))
    flat = {'variant': run.get('config_name'), 'scale': run['scale'],
            'seeds vary': run['seed_varies'], 'commit': commit[:12] + '+' * (
                commit.endswith('+')),
            'parameters': run.get('num_params'),
            'devices': f'{run.get("device_count")} x {run.get("device_kind")}'}
    for kind in 'config', 'versions':
      flat |= {f'{kind.removesuffix("s")} {k}': v
               for k, v in run.get(kind, {}).items()}
    for field, value in flat.items():
      fields[field].append(str(value))
  seconds = sum(run.get('wall_seconds', 0) for run in runs.values())
  return {k: ', '.join(dict.fromkeys(v)) for k, v in fields.items()} | {
      'seconds': f'{seconds:,.1f}'}


def _table(differ, count):
  """The table of differences; what all lines share is in its title."""
  labels = {k: [_label(d.cell, k) for d in differ]
            for k in ('config', 'dataset', 'arm', 'split', 'group', 'state',
                      'metric')}
  columns = labels | {
      'A': [_mean(d.means[0]) for d in differ],
      'B': [_mean(d.means[1]) for d in differ],
      'difference': [verdicts.numbers(d.verdict) if d.verdict else tables.NONE
                     for d in differ],
      'outcome': list(map(differences.word_of, differ)),
      'seeds': list(map(_seeds, differ)),
      'Holm p': [tables.NONE if p is None else f'{p:.2g}' for p in
                 intervals.holm([d.verdict and d.verdict.p for d in differ])]}
  shared = {k: columns.pop(k)[0] for k in [*labels, 'seeds']
            if len(set(columns[k])) == 1 and k not in ('arm', 'metric')}
  if 'seeds' in shared:
    shared['seeds'] += ' seeds'
  return _as_table(
      f'differences, B - A: {len(differ)} of {count} ('
      + ', '.join(filter(None, shared.values())) + ')', list(columns),
      [list(row) for row in zip(*columns.values(), strict=True)],
      len(labels.keys() - shared.keys()))


def _label(cell, field):
  return _arm(cell) if field == 'arm' else str(cell[field])


def _mean(value):
  return tables.NONE if np.isnan(value) else f'{value:.4g}'


def _seeds(difference):
  used, count = difference.verdict, len(difference.seeds)
  return f'{used.n} of {count}' if used and used.n < count else str(count)


def _how(differ, varies):
  """What the differences are: by what they were tested, and how sure."""
  tested = [d.verdict for d in differ if d.verdict]
  few = any(v.n < rules.MIN_SEEDS for v in tested)
  return ' '.join(filter(None, [
      *(f'Seeds are paired: one is {PAIRED[v]} in both, unless a field above '
        'changes that.' for v in varies if tested),
      f'95 % intervals: {"; ".join(dict.fromkeys(v.method for v in tested))}. '
      'Lower: B is below A.' if tested else '',
      f'Fewer than {rules.MIN_SEEDS} seeds decide nothing.' if few else '']))


def _as_table(title, columns, rows, labels, note=''):
  return {'config': title, 'columns': columns, 'rows': rows, 'labels': labels,
          'note': note}


def show(parts, form='terminal'):
  """Prints what `sections` gives, for a terminal or as Markdown."""
  from rich.console import Console

  console = Console()
  for part in parts:
    if form == 'markdown':
      print(part if isinstance(part, str) else
            f'### {part["config"]}\n\n{_to_markdown(part)}', end='\n\n')
    elif isinstance(part, str):
      console.print(part, '', sep='\n', highlight=False, markup=False)
    elif 'arm' in part['columns']:
      console.print(tables.to_terminal(part, console.width), '')
    else:
      console.print(_to_terminal(part), '')


def _to_markdown(table):
  return tables.to_markdown(table | {'rows': [
      [cell.replace('\n', '<br>') for cell in row] for row in table['rows']]})


def _to_terminal(table):
  """A rich renderable of a table of texts, which are broken to fit."""
  from rich import box
  from rich.console import Group
  from rich.table import Table
  from rich.text import Text

  grid = Table(*table['columns'], box=box.SIMPLE_HEAD, show_edge=False,
               padding=(0, 1, 0, 0), pad_edge=False)
  for row in table['rows']:
    grid.add_row(*map(Text, row))
  note = [Text(table['note'], 'dim')] if table['note'] else []
  return Group(Text(table['config'], 'bold'), grid, *note)


@told
def main(argv=None):
  """Prints a comparison; returns the exit status (2: user error)."""
  parser = argparse.ArgumentParser(
      prog='python -m assay compare',
      description='What changed between two runs of one paper: verdicts, '
      'values, configs.')
  parser.add_argument('a', metavar='A', help='a workdir, a folder '
                      'results/<paper> or a .jsonl file')
  parser.add_argument('b', metavar='B', help='another')
  parser.add_argument('--metric', default='', metavar='X,Y',
                      help='only these metrics (default: all)')
  parser.add_argument('--all', action='store_true', help='all splits and '
                      'states (default: test, and best where one is selected)')
  parser.add_argument('--format', default='terminal',
                      choices=['terminal', 'markdown'])
  flags = parser.parse_args(argv)
  metrics = tuple(filter(None, flags.metric.split(',')))
  show(sections(read(flags.a), read(flags.b), metrics, flags.all), flags.format)
  return 0
