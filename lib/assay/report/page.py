"""Reports: tables, where they were measured, and verdicts; the README's too."""

import argparse
import collections
import difflib
import pathlib

from assay import claims, disk, papers, results
from assay.errors import UserError, parsed, told
from assay.report import (
    coverage,
    families,
    figures,
    folds,
    kept,
    outcome,
    stale,
    tables,
    verdicts,
)

STATES = verdicts.STATES
TITLES = {'outcome': 'What came out', 'overview': 'Variants',
          'claims': 'Verdicts'}


def sections(by_paper, runs, judged):
  """{name: Markdown} of papers: what a Markdown file may have between markers.

  `families` and `index` are those of `coverage.sections`, `<paper>/outcome` is
  what came out, `<paper>/overview` a line for each config, `<paper>/<config>`
  the table of a config, `<paper>/claims` the verdicts on all claims. `_into`
  adds `<paper>/figure`, see `figures.update`, and `<family>/curves`, see
  `families`, which has `<family>/claims` too. A card's SECTIONS come by their
  names.

  Args:
    by_paper: name of a paper -> its rows.
    runs: see `results.read_runs`.
    judged: name of a paper -> its `claims.Judged`.
  """
  texts, counts = {}, {}
  for paper, rows in by_paper.items():
    tested = {item.claim.name for item in judged[paper]}
    left = [c for c in papers.claims(paper) if c.name not in tested]
    texts |= _sections(rows, paper, runs, judged[paper], left)
    counts[paper] = verdicts.count(judged[paper])
  return texts | coverage.sections(counts) | families.sections(judged)


def _sections(rows, paper, runs, judged, left):
  return _tables(rows, paper, runs) | _written(rows, paper) | {
      f'{paper}/outcome': outcome.markdown(judged),
      f'{paper}/overview': overview(rows, paper, runs, judged),
      f'{paper}/claims': '\n\n'.join(filter(None, [
          '<details><summary>Every verdict: test, interval, source, notes'
          '</summary>', verdicts.markdown(judged), '</details>',
          _not_tested(left, paper)]))}


def _more(paper):
  """{name: function of all its rows that gives Markdown} of the card."""
  return getattr(papers.configs(paper), 'SECTIONS', {})


def _written(rows, paper):
  """{name: Markdown} of the card's own sections."""
  return {f'{paper}/{name}': write(rows)
          for name, write in _more(paper).items()}


def _not_tested(left, paper):
  """A sentence on the claims of variants that have no rows."""
  counts = collections.Counter(c.where['config'] for c in left)
  return 'Not tested: ' + '; '.join(
      f'{count} claim{"s" * (count > 1)} on {config} (`make reproduce '
      f'PAPER={paper} VARIANT={config}`)' for config, count in counts.items()
  ) + '.' if counts else ''


KEPT = ('\n\n*seconds*: of the runs that made these rows. What earlier runs '
        'had trained and kept was read: a first run may take far longer.')


def overview(rows, paper, runs, judged):
  """A line of Markdown for each config: seeds, verdicts, time and command."""
  lines = [['variant', 'seeds', *STATES, 'seconds', 'command'],
           [':--', *['--:'] * 5, ':--']]
  variants = papers.configs(paper).VARIANTS
  by_config = results.group_by(rows, 'config')
  for config in sorted(by_config, key=[*variants, *by_config].index):
    own = by_config[config]
    counts = verdicts.count([j for j in judged
                             if j.claim.where.get('config') == config])
    used = [runs[run] for run in results.group_by(own, 'run')]
    seconds = sum(run.get('wall_seconds', 0) for run in used)
    devices = {tables.devices(run) for run in used}
    lines.append([
        f'**{config}**: {variants.get(config, "")}',
        str(len(reported_seeds(own))),
        *(verdicts.in_numbers(state, counts) for state in STATES),
        f'{seconds:.0f} on {", ".join(sorted(devices))}',
        f'`make reproduce PAPER={paper} VARIANT={config}`'])
  return tables.markdown_of(lines) + KEPT * any(
      runs[row['run']].get('fits') for row in rows)


def reported_seeds(rows):
  """Seeds of test rows: those of tuning are not among them."""
  test = [r for r in rows if r['split'] == 'test' and r['group'] == '']
  return sorted(results.group_by(test or rows, 'seed'))


def report(rows, paper, runs, judged=None):
  """Markdown: the tables of these rows, and the verdicts that speak of them."""
  texts = _tables(rows, paper, runs) | _written(rows, paper)
  texts[f'{paper}/claims'] = verdicts.markdown(judged or judge(rows, paper))
  return '\n\n'.join(f'### {name}\n\n{text}' for name, text in texts.items()
                     ) + '\n'


def show(rows, paper, form='terminal', judged=None):
  """Prints what `report` holds, for a terminal or as LaTeX."""
  from rich.console import Console

  judged = judged or judge(rows, paper)
  shown = [table_of(own, paper)
           for own in results.group_by(rows, 'config').values()]
  if form == 'latex':
    texts = verdicts.lines(judged)
    print('\n'.join([*map(tables.to_latex, shown), *(
        f'% {line}' for text in texts for line in text.splitlines())]))
    return
  console = Console()
  for table in shown:
    console.print(tables.to_terminal(table, console.width), '')
  verdicts.show([item for item in judged if item.verdict])
  if left := [item.claim.name for item in judged if not item.verdict]:
    console.print(f'Not tested, as rows they read are missing: '
                  f'{"; ".join(left)}.', markup=False, highlight=False)


def ending(paper, rows, variants, finished=()):
  """What came out of the runs of some variants, and what to run next."""
  return outcome.ending(paper, judge(rows, paper), variants, finished)


def table_of(rows, paper):
  """`tables.table` of one variant, as its config module wants it shown."""
  module = papers.configs(paper)
  return tables.table(rows, papers.reported(paper, rows[0]['config']),
                      metrics=getattr(module, 'METRICS', None),
                      more=getattr(module, 'COLUMNS', ()))


def _tables(rows, paper, runs):
  return {f'{paper}/{config}': _table_text(own, paper, runs)
          for config, own in results.group_by(rows, 'config').items()}


def _table_text(rows, paper, runs):
  """Markdown: what a table has to say, where it was tested, and all of it."""
  full = table_of(rows, paper)
  short = short_of(full, rows, paper)
  parts = [tables.to_markdown(short), tested_on(rows, runs)]
  if short != full:
    parts += ['<details><summary>All columns and arms</summary>',
              tables.to_markdown(full | {'note': ''}), '</details>']
  return '\n\n'.join(parts)


def short_of(table, rows, paper):
  """What of a `table_of` says something; see `folds.short`."""
  read = folds.cells(claims.about(papers.claims(paper), rows))
  chance = getattr(papers.configs(paper), 'CHANCE', None)
  return folds.short(table, read, chance)


def judge(rows, paper):
  """A `claims.Judged` of each claim of a paper that speaks about the rows."""
  return kept.judge(papers.claims(paper), rows).judged


def tested_on(rows, runs):
  """One line of Markdown: data, seeds, scale, device, commit and command."""
  used = [runs.get(run, {}) for run in results.group_by(rows, 'run')]
  test = [r for r in rows if r['split'] == 'test' and r['group'] == '']
  seeds = reported_seeds(rows)

  def each(texts):
    return ', '.join(dict.fromkeys(map(str, texts)))

  def of_runs(field):
    return [str(run.get(field, 'unknown')) for run in used]

  return tables.harmless(
      'mean ± standard deviation (seeds). Tested on '
      + each(f'{r["dataset"]} ({r["n"]} test examples)' for r in test)
      + f', {len(seeds)} seed{"s" * (len(seeds) > 1)} ({seeds[0]} to '
      + f'{seeds[-1]}, {each(r["seed_varies"] for r in rows)}), '
      + each(r['scale'] for r in rows)
      + f', {each(map(tables.devices, used))}, commit '
      # A + says that files differed from the commit.
      + each(c[:12] + '+' * c.endswith('+') for c in of_runs('commit'))
      + ': ' + each(f'`{c}`' for c in of_runs('command')))


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
    disk.write_bytes(path, new.encode())
  return list(difflib.unified_diff(old.splitlines(), new.splitlines(),
                                   str(path), 'results', lineterm='', n=0))


def _text(path):
  try:
    return pathlib.Path(path).read_bytes().decode()
  except (OSError, UnicodeDecodeError) as error:
    raise UserError(f'{path}: cannot be read ({error}); give another '
                    'file.') from error


@told
def main(argv=None):
  """Prints tables and verdicts; returns the exit status (2: user error)."""
  parser = argparse.ArgumentParser(
      prog='python -m assay results',
      description='Results beside the published numbers, and the verdicts.')
  parser.add_argument('paths', nargs='+', metavar='PATH', help='a workdir, a '
                      'folder results/<paper> or a .jsonl file')
  parser.add_argument('--format', default='terminal',
                      choices=['terminal', 'markdown', 'latex'])
  parser.add_argument('--publish', action='store_true', help='first copy '
                      'finished workdirs to results/<paper>/, and show that')
  parser.add_argument('--into', metavar='FILE', action='append', help='rewrite '
                      'the marked sections of this Markdown file, and print '
                      'nothing; may be given again')
  parser.add_argument('--check', action='store_true', help='with --into: '
                      'change nothing, exit 1 if FILE is not up to date')
  parser.add_argument('--migrate', action='store_true', help='write the rows '
                      'anew, a line a cell, and print the files that changed')
  flags = parsed(parser, argv)
  if flags.migrate:
    for path in flags.paths:
      for file in results.migrate(path):
        print(file)
    return 0
  if flags.check and not flags.into:
    parser.error('--check needs --into')
  paths = flags.paths
  if flags.publish:
    paths = list(dict.fromkeys(map(_publish, paths)))
  rows, runs = results.read_both(paths)
  if not rows:
    raise UserError(f'no rows in {", ".join(map(str, paths))}; run an '
                    'experiment first.')
  by_paper = results.group_by(rows, 'paper')
  folders = _folders(paths, by_paper)
  found = {paper: kept.judge(papers.claims(paper), own, folders.get(paper))
           for paper, own in by_paper.items()}
  if flags.publish or flags.into and not flags.check:
    for paper, folder in folders.items():
      kept.write(folder, found[paper])
  judged = {paper: one.judged for paper, one in found.items()}
  if flags.into:
    changes = [f'{folder}/{kept.FILE}: {change}' for paper, folder in
               folders.items() for change in found[paper].changes]
    return _into(flags, by_paper, runs, judged, changes)
  for paper, own in by_paper.items():
    if flags.format == 'markdown':
      print(report(own, paper, runs, judged[paper]), end='')
    else:
      show(own, paper, flags.format, judged[paper])
  return 0


def _folders(paths, by_paper):
  """{paper: its folder of committed rows}, {} if other rows are among them."""
  folders = {path.name: path for path in map(pathlib.Path, paths)
             if path.is_dir() and not (path / 'rows').exists()}
  return folders if folders.keys() == by_paper.keys() and (
      len(folders) == len(paths)) else {}


def _publish(workdir):
  """Publishes a workdir; returns the folder `results/<paper>`.

  Where the folder has no README.md, one with markers for all is written.

  Raises:
    UserError: a run had another config than its variant; see `results.publish`.
  """
  for run in results.read_runs([workdir]).values():
    for change in stale.config_changes(run, run['paper']):
      raise UserError(f'{workdir} is not {run["config_name"]} as it stands in '
                      f'configs/{run["paper"]}.py: {change}; make a variant of '
                      'it, or run that one again.')
  folder = results.publish(workdir)
  page = folder / 'README.md'
  if not page.exists():
    rows, paper = results.read([folder]), folder.name
    about = papers.about(paper)
    parts = [f'# {about["title"]}', about['idea']]
    for name in ('outcome', 'figure', 'overview',
                 *results.group_by(rows, 'config'), *_more(paper), 'claims'):
      parts += [f'## {TITLES.get(name, name)}' * (name != 'figure'),
                f'<!-- begin {paper}/{name} -->\n<!-- end {paper}/{name} -->']
    disk.write_bytes(page, '\n\n'.join(filter(None, parts)).encode() + b'\n')
  return folder


def _into(flags, by_paper, runs, judged, diff):
  """Rewrites files, or compares them; `diff` is what is known to differ."""
  texts = sections(by_paper, runs, judged)
  for file in flags.into:
    old = _text(file)
    for paper, rows in by_paper.items():
      if f'<!-- begin {paper}/figure -->' in old:
        text, lines = figures.update(pathlib.Path(file).parent, paper, rows,
                                     judged[paper], flags.check)
        texts |= {} if lines else {f'{paper}/figure': text}
        diff += lines
    for family in papers.FAMILIES:
      if f'<!-- begin {family}/curves -->' in old:
        text, lines = families.update(pathlib.Path(file).parent, family,
                                      by_paper, flags.check)
        texts |= {} if lines else {f'{family}/curves': text}
        diff += lines
    marked = [name for name in texts if f'<!-- begin {name} -->' in old]
    if not marked:
      raise UserError(f'{file}: no marker <!-- begin NAME --> with NAME one of '
                      f'{", ".join(texts)}; write one, and one of the end.')
    for name in marked:
      diff += insert(file, name, texts[name], flags.check)
  if flags.check and diff:
    print('\n'.join([*diff[:20], 'Not up to date: run this without --check.']))
    return 1
  return 0
