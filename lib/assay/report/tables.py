"""Tables: arms beside the published numbers, for terminal, Markdown, LaTeX."""

import collections
import re

import numpy as np

from assay import papers, results
from assay.errors import UserError

NONE = '–'  # nothing measured, or nothing published


def sweep_fields(rows):
  """Names of the sweep fields, sorted."""
  known = results.FIELDS | results.JOINED | results.ATTACHED
  return sorted({k for row in rows for k in row} - known.keys())


def summarize(rows, metric, by=None, split='test', state='best', group=''):
  """One dict per arm: the fields in `by`, and over its seeds

      mean, std: of those with a value; None without one, or two (ddof=1);
      n: seeds with a value;
      lost: {word: seeds} of those without, see `results.lost_word`.

  Args:
    by: fields; default config, dataset, method and the sweep fields.
  """
  by = by or ('config', 'dataset', 'method', *sweep_fields(rows))
  arms = {}
  for row in rows:
    if (row['metric'], row['split'], row['state'], row['group']) == (
        metric, split, state, group):
      arms.setdefault(tuple(row.get(k) for k in by), []).append(row)
  summaries = []
  for key, own in arms.items():
    known = [row['value'] for row in own if row['value'] is not None]
    lost = collections.Counter(
        results.lost_word(row) for row in own if row['value'] is None)
    summaries.append(dict(zip(by, key, strict=True)) | {
        'mean': float(np.mean(known)) if known else None,
        'std': float(np.std(known, ddof=1)) if len(known) > 1 else None,
        'n': len(known), 'lost': dict(lost)})
  return summaries


def devices(run):
  """What a run ran on: '2 x cpu'.

  Args:
    run: the content of its file. Where it went on on another kind of device it
      names both, and the count is that of the last one: it is left out.
  """
  kind, count = (run.get(field, 'unknown')
                 for field in ('device_kind', 'device_count'))
  return kind if ', ' in kind else f'{count} x {kind}'


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
  """The published entry that speaks about an arm, or None.

  Args:
    arm: values of the fields `by`, which start with dataset and method.
    arms: all arms shown; of a swept method an entry speaks only about the one
      whose sweep fields it names, e.g. `bandwidth=1.75`; of fields that it does
      not name, as those that were tuned, it says nothing.
  """
  entry = reported.get(arm[0], {}).get(arm[1], {}).get(metric)
  swept = sum(other[:2] == arm[:2] for other in arms) > 1
  named = entry and [k for k in by[2:] if k in entry] or by[2:]
  fits = entry and all(entry.get(k) == v for k, v in zip(
      by[2:], arm[2:], strict=True) if k in named)
  return entry if fits or not swept else None


def table(rows, reported, metrics=None, more=()):
  """Ours beside the published, one line per arm and sweep value.

  Args:
    rows: of one config. Shown are test rows of all groups together, in state
      `best`, or `last` where the experiment selects nothing.
    reported: dataset -> method -> metric -> dict of mean, std, n, source, tag,
      from `papers.reported`; see `published`.
    metrics: names; default those published for these data, else all measured.
    more: (metric, split) of further columns, where they were measured; a third
      '%' shows the mean alone, in percent.

  Returns:
    A dict: `config`, `metrics` shown, `columns` and `rows` of strings, the
    number of `labels` (columns that name an arm) and a `note` on the published;
    and for `folds`, `arms`, fields that name the arm of each row, and `cells`,
    column -> (metric, split, its summaries).
  """
  configs = list(results.group_by(rows, 'config'))
  if len(configs) != 1:
    raise UserError(f'a table shows one config, not {configs}; give rows of '
                    'one.')
  shown = [r for r in rows if r['split'] == 'test' and r['group'] == '']
  state = 'best' if any(r['state'] == 'best' for r in shown) else 'last'
  shown = [r for r in shown if r['state'] == state]
  datasets = results.group_by(shown, 'dataset')
  measured = results.group_by(shown, 'metric')
  metrics = list(metrics or dict.fromkeys(
      metric for dataset in datasets for arm in reported.get(
          dataset, {}).values() for metric in arm if metric in measured)
      or measured)

  by = ['dataset', 'method', *sweep_fields(shown)]
  arms = sorted_arms(shown, reported, by)
  columns = {
      'arm' if k == 'method' else k: [
          NONE if arm[i] is None else results.text_of(arm[i]) for arm in arms]
      for i, k in enumerate(by) if i or len(datasets) > 1}
  labels, cited, cells = len(columns), [], {}

  def add(name, summaries, metric, split, text=measured_text):
    ours = {tuple(s[k] for k in by): s for s in summaries}
    cells[name] = (metric, split, list(map(ours.get, arms)))
    columns[name] = list(map(text, cells[name][2]))

  for metric in metrics:
    add(metric, summarize(shown, metric, by, state=state), metric, 'test')
    entries = [published(reported, metric, arm, arms, by) for arm in arms]
    if any(entries):
      columns[f'{metric} published'] = list(map(published_text, entries))
      cited += filter(None, entries)
  plain = [r for r in rows if set(by).issuperset(sweep_fields([r]))]
  for metric, split, *unit in more:
    # What no selection touches has the state `last` alone.
    found = summarize(plain, metric, by, split, state) or summarize(
        plain, metric, by, split, 'last')
    if found:
      add(f'{metric}, {split}', found, metric, split,
          percent_text if unit else measured_text)
  return {'config': configs[0], 'metrics': metrics, 'labels': labels,
          'columns': list(columns),
          'rows': [list(row) for row in zip(*columns.values(), strict=True)],
          'note': _note(cited), 'cells': cells,
          'arms': [dict(zip(by, arm, strict=True)) for arm in arms]}


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
  lost = ''.join(f', {n} {word}' for word, n in summary['lost'].items())
  mean = summary['mean']
  return ((NONE if mean is None else number(mean, summary['std']))
          + f' ({summary["n"]}{lost})')


def percent_text(summary):
  """The mean of a summary as a cell, in percent."""
  known = summary and summary['mean'] is not None
  return f'{100 * summary["mean"]:.3g} %' if known else NONE


def published_text(entry):
  """A published entry as a cell, to the digits given there."""
  if not entry:
    return NONE
  given = [float(entry[k]) for k in ('mean', 'std') if entry.get(k) is not None]
  decimals = max(len(repr(g).partition('.')[2]) for g in given)
  parts = [' ± '.join(f'{g:.{decimals}f}' for g in given)]
  parts += [f'({entry["n"]})'] if entry.get('n') else []
  return ' '.join([*parts, *filter(None, [entry.get('tag')])])


def _note(entries):
  """Where the published numbers are from, and what their tags mean."""
  if not entries:
    return ''
  sources = dict.fromkeys(e['source'] for e in entries if e.get('source'))
  used = {e.get('tag') for e in entries}
  return '. '.join(filter(None, [
      'Published: ' + ', '.join(sources) if sources else '',
      '; '.join(f'{k}: {v}' for k, v in papers.TAGS.items()
                if k in used)])) + '.'


def to_terminal(table, width=80):
  """A rich renderable: as many metrics side by side as fit into `width`.

  Neither arms nor numbers are broken. Where one metric alone is too wide, the
  sweep fields share a column of running text. A table with `texts` is shown
  whole, its cells broken to fit.
  """
  from rich import box
  from rich.console import Group
  from rich.table import Table
  from rich.text import Text

  columns = {c: [row[i] for row in table['rows']]
             for i, c in enumerate(table['columns'])}
  labels, groups = table['columns'][:table['labels']], []
  for name in table['columns'][table['labels']:]:
    if name.endswith(' published'):
      groups[-1].append(name)  # stays beside ours
    else:
      groups.append([name])
  heads = {c: c.replace(' ', '\n') for c in columns} | {
      f'{c} published': 'published' for c in columns}

  texts = table.get('texts')
  groups = [sum(groups, [])] if texts else groups

  def width_of(names):
    return 2 * (len(names) - 1) + sum(
        max(map(len, heads[c].splitlines() + columns[c])) for c in names)

  if len(labels) > 2 and any(width_of(labels + g) > width for g in groups):
    columns['settings'], heads['settings'] = [
        ', '.join(f'{k} {columns[k][i]}' for k in labels
                  if k != 'arm' and columns[k][i] != NONE)
        for i in range(len(table['rows']))], 'settings'
    labels = ['arm', 'settings']
  parts = []
  for group in groups:
    if parts and width_of(labels + parts[-1] + group) <= width:
      parts[-1] += group
    else:
      parts.append(group)

  shown = [Text(table['config'], 'bold')]
  for part in parts:
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0),
                 pad_edge=False)
    for name in labels + part:
      fixed = not texts and name != 'settings' and (
          width_of(['arm', *part]) <= width)
      grid.add_column(Text(heads[name]), no_wrap=not texts and (
          fixed or name not in labels), overflow='fold', vertical='top')
    for cells in zip(*(columns[c] for c in labels + part), strict=True):
      grid.add_row(*map(Text, cells))
    shown += [grid, '']
  shown[-1:] = [Text(table['note'], 'dim')] if table['note'] else []
  return Group(*shown)


def to_markdown(table):
  """A Markdown table, and its note below."""
  align = [':--' if c in ('dataset', 'arm') else '--:'
           for c in table['columns']]
  return markdown_of([table['columns'], align, *table['rows']]) + (
      f'\n\n{harmless(table["note"])}' if table['note'] else '')


def markdown_of(rows):
  """A Markdown table of rows of texts, the second of which is its rule."""
  return '\n'.join(
      '| ' + ' | '.join(
          harmless(cell).replace('|', r'\|').replace('\n', '<br>')
          for cell in row) + ' |' for row in rows)


def harmless(text):
  """Markdown without HTML but for line breaks: names in rows may hold some."""
  return re.sub('<(?=[A-Za-z/!?])(?!br>)', '&lt;', text)


def to_latex(table):
  """A booktabs tabular, and its note below."""
  special = {'\\': r'\textbackslash{}', '~': r'\textasciitilde{}',
             '^': r'\textasciicircum{}', '±': r'$\pm$', NONE: '--'}
  special |= {c: '\\' + c for c in '&%$#_{}'}

  def escaped(text):
    return ''.join(special.get(c, c) for c in text)

  def line(cells):
    return ' & '.join(map(escaped, cells)) + r' \\'

  align = ''.join('l' if c in ('dataset', 'arm') else 'r'
                  for c in table['columns'])
  return '\n'.join([
      rf'\begin{{tabular}}{{{align}}}', r'\toprule', line(table['columns']),
      r'\midrule', *map(line, table['rows']), r'\bottomrule', r'\end{tabular}',
      *[r'\par\footnotesize ' + escaped(table['note'])][:bool(table['note'])]])
