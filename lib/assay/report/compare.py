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

from assay import config as config_lib
from assay import papers, results
from assay.claims import intervals, rules
from assay.errors import UserError, parsed, told
from assay.report import differences, kept, tables, verdicts
from assay.report.differences import CELL

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
  known = dict.fromkeys(d.cell['metric'] for d in found)
  for metric in metrics:
    if metric not in known:
      raise UserError(f'--metric={metric}: no result that both have; use some '
                      f'of {", ".join(known)}.')
  found = [d for d in found if not metrics or d.cell['metric'] in metrics]
  selected = [d.cell for d in found if d.cell['state'] == 'best']
  return [d for d in found if everything or d.cell['split'] == 'test' and (
      d.cell in selected or d.cell | {'state': 'best'} not in selected)]


def _contents(rows):
  """What a side has, in a few words."""
  return ', '.join(f'{field} ' + '/'.join(map(str, results.group_by(
      rows, field))) for field in ('config', 'dataset', 'method', 'seed'))


def _common(a, b):
  """Sentences: how many rows are the same, and which only one side has."""
  mine, theirs = differences.by_key(a.rows, b.rows)
  both = mine.keys() & theirs.keys()
  differ = collections.Counter(
      k for key in both for k in mine[key].keys() | theirs[key].keys()
      if k not in ('run', *results.JOINED)
      and repr(mine[key].get(k)) != repr(theirs[key].get(k)))
  only = [_only(name, [row for key, row in own.items() if key not in both],
                other.values())
          for name, own, other in (('A', mine, theirs), ('B', theirs, mine))]
  if not differ:
    text = (f'Same values in all {len(both):,} rows'
            + ' that both have' * any(only) + ', bit for bit.')
  else:
    count = differ.pop('value', 0)
    text = (f'{len(both):,} rows in both: the same value, bit for bit, in '
            f'{len(both) - count:,}, another in {count:,}'
            + ''.join(f'; another {k} in {differ[k]:,}' for k in sorted(differ))
            + '.')
  return [text, *filter(None, only)]


def _only(name, rows, others):
  """`Only in A: 30 rows. Whole arms: k_mixup (18); erm, seed 5 to 8 (12).`"""
  if not rows:
    return ''
  own, same = _by_arm(rows), _by_arm(others)
  whole = [f'{arm} ({len(own[arm]):,})' for arm in own if arm not in same]
  parts = ['Whole arms: ' + ', '.join(whole)] * bool(whole)
  for arm in filter(same.get, own):
    new = ((field, sorted({r[field] for r in own[arm]}
                          - {r[field] for r in same[arm]}))
           for field in (*CELL, 'seed') if field != 'method')
    what = next((f', {field} {_range(values)}' for field, values in new
                 if values), '')
    parts.append(f'{arm}{what} ({len(own[arm]):,})')
  return f'Only in {name}: {len(rows):,} rows. ' + '; '.join(parts) + '.'


def _range(values):
  """`5 to 9` of consecutive numbers, else all values."""
  if len(values) > 2 and isinstance(values[0], int) and (
      values == list(range(values[0], values[-1] + 1))):
    return f'{values[0]} to {values[-1]}'
  return ', '.join(map(str, values))


def _by_arm(rows):
  return results.group_by([row | {'arm': _arm(row)} for row in rows], 'arm')


def _arm(fields):
  """`c_mixup, bandwidth 1.75`: method and swept fields."""
  return ', '.join([fields['method'], *(
      f'{k} {results.text_of(fields[k])}' for k in tables.sweep_fields(
          [fields]) if k != 'arm')])


def _judged(side):
  """{claim's name: `claims.Judged`} of those that this side tests."""
  everything = papers.claims(side.rows[0]['paper'])
  return {item.claim.name: item for item in kept.judge(
      everything, side.rows, side.path).judged if item.verdict}


def _verdicts(mine, theirs):
  """The table of verdicts; a sentence where there is none."""
  rows, both = [], mine.keys() & theirs.keys()
  for name in mine | theirs:
    items = mine.get(name), theirs.get(name)
    differ = name in both and len({item.standing for item in items}) > 1
    rows.append([name, *(
        f'{verdicts.word_of(i)}\n{verdicts.numbers(i.verdict)}' if i
        else 'not tested' for i in items), 'yes' if differ else ''])
  changed = sum(row[-1] == 'yes' for row in rows)
  title = f'verdicts: {changed} of {len(both)} changed' if both else (
      'verdicts: no claim speaks about both')
  return _texts(title, ['claim', 'A', 'B', 'changed'], rows) if rows else (
      'No claim speaks about these results.')


def _settings(a, b):
  """The table of what the runs differ in, and of how long they took."""
  mine, theirs = (_described(side.runs) for side in (a, b))
  fields = sorted(mine | theirs, key=lambda f: (
      f.startswith('version'), f.startswith('config'), f))
  rows = [[f, mine.get(f, tables.NONE), theirs.get(f, tables.NONE)]
          for f in fields if mine.get(f) != theirs.get(f)
          or f in ('commit', 'devices', 'seconds')]
  same = [f'every {kind}' for kind in ('config', 'version') if not any(
      row[0].startswith(kind) for row in rows)]
  return _texts('runs', ['field', 'A', 'B'], rows,
                f'The same: {" and ".join(same)}.' * bool(same))


def _described(runs):
  """{field: text} of the runs of one side; of several runs all values."""
  fields = collections.defaultdict(dict)
  for run in runs.values():
    commit = str(run.get('commit'))
    said = {'variant': run.get('config_name'), 'scale': run['scale'],
            'seeds vary': run['seed_varies'], 'commit': commit[:12] + '+' * (
                commit.endswith('+')),
            'parameters': run.get('num_params'),
            'devices': tables.devices(run)}
    said |= {f'config {k}': v for k, v in config_lib.leaves(
        run.get('config', {})).items()}
    said |= {f'version {k}': v for k, v in run.get('versions', {}).items()}
    for field, value in said.items():
      fields[field][str(value)] = None  # in order, each once
  seconds = sum(run.get('wall_seconds', 0) for run in runs.values())
  return {k: ', '.join(v) for k, v in fields.items()} | {
      'seconds': f'{seconds:,.1f}'}


def _table(differ, count):
  """The table of differences; what all lines share is in its title."""
  adjusted = intervals.holm([d.verdict and d.verdict.p for d in differ])
  lines = []
  for d, p in zip(differ, adjusted, strict=True):
    labels = {'arm' if k == 'method' else k: _arm(d.cell) if k == 'method'
              else d.cell[k] for k in CELL}
    used, seeds = d.verdict, len(d.seeds)
    lines.append(labels | {
        side: tables.NONE if np.isnan(mean) else f'{mean:.4g}'
        for side, mean in zip('AB', d.means, strict=True)} | {
            'difference': verdicts.numbers(used) if used else tables.NONE,
            'outcome': differences.word_of(d, p),
            'seeds': f'{used.n} of {seeds}' if used and used.n < seeds
                     else str(seeds),
            'Holm p': tables.NONE if p is None else f'{p:.2g}'})
  shared = [k for k in (*labels, 'seeds') if k not in ('arm', 'metric')
            and len({line[k] for line in lines}) == 1]
  told = [lines[0][k] + ' seeds' * (k == 'seeds') for k in shared]
  columns = [k for k in lines[0] if k not in shared]
  return {'config': f'differences, B - A: {len(differ)} of {count} ('
                    + ', '.join(filter(None, told)) + ')', 'columns': columns,
          'rows': [[line[k] for k in columns] for line in lines],
          'labels': len(labels.keys() - set(shared)), 'note': ''}


def _how(differ, varies):
  """What the differences are: by what they were tested, and how sure."""
  tested = [d.verdict for d in differ if d.verdict]
  few = any(v.n < rules.MIN_SEEDS for v in tested)
  return ' '.join(filter(None, [
      *(f'Seeds are paired: one is {PAIRED[v]} in both, unless a field above '
        'changes that.' for v in varies if tested),
      f'95 % intervals: {"; ".join(dict.fromkeys(v.method for v in tested))}. '
      'Lower: B is below A; alone: not so after correction (Holm) for all '
      'differences of the table.' if tested else '',
      f'Fewer than {rules.MIN_SEEDS} seeds decide nothing.' if few else '']))


def _texts(title, columns, rows, note=''):
  """A table of texts, which are broken to fit."""
  return {'config': title, 'columns': columns, 'rows': rows, 'labels': 1,
          'note': note, 'texts': True}


def show(parts, form='terminal'):
  """Prints what `sections` gives, for a terminal or as Markdown."""
  from rich.console import Console

  console = Console()
  for part in parts:
    if form == 'markdown':
      print(part if isinstance(part, str) else
            f'### {part["config"]}\n\n{tables.to_markdown(part)}', end='\n\n')
    elif isinstance(part, str):
      console.print(part, '', sep='\n', highlight=False, markup=False)
    else:
      console.print(tables.to_terminal(part, console.width), '')


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
  flags = parsed(parser, argv)
  metrics = tuple(filter(None, flags.metric.split(',')))
  show(sections(read(flags.a), read(flags.b), metrics, flags.all), flags.format)
  return 0
