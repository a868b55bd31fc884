"""The report page: every paper, its verdicts, tables and figures as a website.

    python -m assay site results --out=site

Static files that need no server and load nothing from elsewhere: a front page,
a page for each paper that has rows, one style sheet, and figures as SVG files.
All of it is made from committed rows; the same rows give the same bytes. What a
page says about a paper beside its rows is in `PAPER` and the docstring of its
config module.
"""

import argparse
import collections
import inspect
import pathlib
import re
import textwrap

from assay import claims, disk, papers, results
from assay.errors import UserError, parsed, told
from assay.report import (
  bars,
  coverage,
  figures,
  kept,
  outcome,
  page,
  stale,
  tables,
  verdicts,
)

MARK = '<meta name="generator" content="assay site">'
STATES = page.STATES
STRIP = 240  # units of an SVG across, see `strip`
SEEDS_VARY = {
    'fresh': 'new data and all else',
    'resplit': 'the split of one data set, and all else',
    'fixed_split': 'what is random in training, not the split of the data'}


def build(folder, out, draw=True):
  """Writes the site of a results folder; returns the files' names, sorted.

  Args:
    folder: with a folder of rows for each paper, such as `results`.
    out: folder to write to; what an older build left there is removed.
    draw: whether to draw figures, which takes most of the time.

  Raises:
    UserError: no rows there, or `out` holds something else than a site.
  """
  folder, out = pathlib.Path(folder), pathlib.Path(out)
  found = results.files.of_papers(folder)
  if not found:
    raise UserError(
        f'{folder}: no rows in folders <paper>/ there; run an experiment, then '
        'python -m assay results out/<paper>/<variant> --publish.')
  _refuse_other(out)
  written, pages = {}, []
  for path in found:
    page, drawn = paper_page(path, draw)
    pages.append(page)
    written |= drawn
  shown = {page['name'] for page in pages}
  rest = [about(name) for name in papers.names() if name not in shown]
  templates = _templates()
  for page in pages:
    written[f'{page["name"]}.html'] = templates.get_template(
        'paper.html').render(page=page)
  written['index.html'] = templates.get_template('index.html').render(
      pages=pages, rest=rest, totals=_totals(pages), shown=shown,
      standings=coverage.STANDINGS, families=coverage.by_family())
  written['style.css'] = templates.get_template('style.css').render()
  for name, text in written.items():
    disk.write_bytes(out / name, text.encode())
  for file in [*out.glob('*.html'), *out.glob('figures/*.svg')]:
    if file.relative_to(out).as_posix() not in written:
      file.unlink()
  return sorted(written)


def _refuse_other(out):
  """Nothing is overwritten or removed but an older build of this module."""
  index = out / 'index.html'
  if not out.exists() or (out.is_dir() and not any(out.iterdir())) or (
      index.is_file() and MARK in index.read_text(errors='replace')):
    return
  raise UserError(f'{out}: is not empty and no site made by this command; '
                  'choose another folder with --out.')


def _templates():
  import jinja2

  templates = jinja2.Environment(
      loader=jinja2.PackageLoader('assay.report'), autoescape=True,
      undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
      keep_trailing_newline=True)
  templates.globals |= dict(strip=strip, states=STATES, width=STRIP,
                            mark=MARK, numbers=verdicts.numbers,
                            word=verdicts.word_of, beside=verdicts.beside,
                            of_state=verdicts.of_state)
  templates.filters |= dict(code=code, duration=duration, seeds=_ranges)
  return templates


def _totals(pages):
  """{state: claims} of all papers together."""
  return {state: sum(page['counts'][state] for page in pages)
          for state in pages[0]['counts']}


# What pages say.


def about(paper):
  """`papers.about` of a paper, with its name and command."""
  return papers.about(paper) | {
      'name': paper, 'command': f'make reproduce PAPER={paper}'}


def paper_page(path, draw=True):
  """What the page of one paper says, and {file name: text} of its figures."""
  paper, (rows, runs) = path.name, results.read_both([path])
  module, everything = papers.configs(paper), papers.claims(paper)
  tested = claims.about(everything, rows)
  judged = kept.judge(everything, rows, path).judged
  left = collections.defaultdict(list)
  for claim in everything:
    if claim not in tested:
      left[claim.where['config']].append(claim)
  by_config = results.group_by(rows, 'config')
  variants, written = [], {}
  for config in sorted(by_config, key=[*module.VARIANTS, *by_config].index):
    variant, drawn = _variant(paper, config, by_config[config], runs, draw)
    variant['judged'] = [j for j in judged
                         if j.claim.where.get('config') == config]
    variants.append(variant)
    written |= drawn
  first, file = None, path / figures.NAME
  if file.exists():
    name = f'figures/{paper}.svg'
    written[name] = file.read_text()
    first = dict(file=name, **figures.told(file))
  counts = verdicts.count(judged)
  counts['not tested'] = len(everything) - sum(counts.values())
  return about(paper) | dict(
      counts=counts, variants=variants, left=dict(left), figure=first,
      decided=[j for standing in verdicts.STANDINGS[:-1] for j in judged
               if j.standing == standing],
      undecided=[j for j in judged if j.standing == STATES[2]],
      one_test_set=outcome.of_one_test_set(
          [j for j in judged if j.standing not in ('', STATES[2])]),
      general=[j for j in judged if 'config' not in j.claim.where],
      seconds=sum(v['seconds'] for v in variants),
      stale=sum(v['state'] == stale.STALE for v in variants),
      text=paragraphs(inspect.getdoc(module)), choices=_choices(module),
      vary={v: SEEDS_VARY.get(v, v) for variant in variants
            for v in variant['seed_varies']},
      num_seeds=sorted({len(v['seeds']) for v in variants})), written


def _variant(paper, config, rows, runs, draw):
  used = {run: runs[run] for run in results.group_by(rows, 'run')}
  answers = {run: stale.state_of(data, paper) for run, data in used.items()}
  states = [state for state, _ in answers.values()]
  table = page.table_of(rows, paper)
  try:
    drawn, trouble = figures.of(paper, rows) if draw else {}, ''
  except UserError as error:  # rows that a figure needs are missing
    drawn, trouble = {}, str(error)
  shown, written = [], {}
  for name, figure in drawn.items():
    file = 'figures/' + re.sub(
        '[^A-Za-z0-9._-]', '_', f'{paper}.{config}.{name}') + '.svg'
    written[file] = figures.svg(figure)
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    shown.append(dict(file=file, alt=figures.alt_text(name, figure),
                      width=width, height=height, name=name.replace('_', ' ')))
  return dict(
      name=config, text=papers.configs(paper).VARIANTS.get(config, ''),
      table=table, figures=shown,
      short=page.short_of(table, rows, paper), trouble=trouble,
      seeds=page.reported_seeds(rows),
      seconds=sum(run.get('wall_seconds', 0) for run in used.values()),
      # One stale run is enough to doubt a comparison.
      state=next(s for s in (stale.STALE, stale.UNKNOWN, stale.CURRENT)
                 if s in states),
      tested=list(dict.fromkeys(
          f'{r["dataset"]} ({r["n"]} test examples)' for r in rows
          if r['split'] == 'test' and r['group'] == '')),
      scale=list(results.group_by(rows, 'scale')),
      seed_varies=list(results.group_by(rows, 'seed_varies')),
      runs=[_run(run, data, answers[run]) for run, data in used.items()],
      command=f'make reproduce PAPER={paper} VARIANT={config}'), written


def _run(name, run, answer):
  """What is said about how a run was made; what its file lacks is unknown."""
  known = lambda field: run.get(field, 'unknown')
  config = run.get('config', {})
  return dict(
      name=name, state=answer[0], reasons=answer[1], command=known('command'),
      commit=str(known('commit')), seconds=run.get('wall_seconds', 0),
      devices=tables.devices(run),
      num_params=known('num_params'), scale=known('scale'),
      versions=', '.join(f'{k} {v}' for k, v in run.get('versions', {}).items()
                         ) or 'unknown',
      config=[f'{k} = {config[k]!r}' for k in sorted(config)])


def _choices(module):
  """Lines of a config module that say that their value is ours."""
  try:
    lines = inspect.getsource(module).splitlines()
  except (OSError, TypeError):  # a module made by hand
    return []
  return [line.strip() for line in lines
          if '# ours' in line and not line.lstrip().startswith('#')]


# Text and figures.


def paragraphs(text):
  """[(is code, text)] of a docstring: indented paragraphs are code."""
  blocks = re.split(r'\n\s*\n', text or '')
  return [(b.startswith('  '), textwrap.dedent(b)) for b in blocks if b.strip()]


def code(text):
  """HTML of a text, escaped, with what stands in backticks as code."""
  import markupsafe

  parts = re.split('`([^`\n]+)`', str(text))
  return markupsafe.Markup('').join(
      markupsafe.Markup('<code>{}</code>').format(part) if i % 2 else part
      for i, part in enumerate(parts))


def duration(seconds):
  """'44 s', '51 min', '1.4 h'."""
  for unit, name, form in ((3600, 'h', '.1f'), (60, 'min', '.0f')):
    if seconds >= 2 * unit:
      return f'{seconds / unit:{form}} {name}'
  return f'{seconds:.0f} s'


def _ranges(seeds):
  """'10 seeds (0 to 9)'."""
  return f'{len(seeds)} seed{"s" * (len(seeds) > 1)} (' + (
      f'{seeds[0]} to {seeds[-1]})' if len(seeds) > 1 else f'{seeds[0]})')


def strip(verdict):
  """`bars.places` on `STRIP` units, with the text of each end of the region.

  Returns:
    A dict as there, but `ends` are (place, text, anchor), the text '' where the
    other end's speaks for both; None without an estimate.
  """
  at = bars.places(verdict, STRIP)
  if at is None:
    return None
  places = [x for x, _ in at['ends']]
  texts = [verdicts.digits(value) for _, value in at['ends']]
  room = 24  # of a number on either side of its place
  if len(places) == 2 and places[1] - places[0] < 2.5 * room:
    both, room = ' to '.join(texts), 2.5 * room
    texts = [both, ''] if places[0] < STRIP / 2 else ['', both]
  return at | {'ends': [
      (x, text, 'start' if x < room else 'end' if x > STRIP - room
       else 'middle') for x, text in zip(places, texts, strict=True)]}


@told
def main(argv=None):
  """Writes the site; returns the exit status (2: user error)."""
  parser = argparse.ArgumentParser(
      prog='python -m assay site',
      description='The results of all papers as a website.')
  parser.add_argument('results', nargs='?', default='results', help='folder '
                      'with a folder of rows for each paper (%(default)s)')
  parser.add_argument('--out', default='site', metavar='FOLDER',
                      help='where to write it (default: %(default)s)')
  parser.add_argument('--no_figures', action='store_true',
                      help='leave out figures, which take most of the time')
  flags = parsed(parser, argv)
  written = build(flags.results, flags.out, not flags.no_figures)
  print(f'{len(written)} files; open {flags.out}/index.html in a browser.')
  return 0
