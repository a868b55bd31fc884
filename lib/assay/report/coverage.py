"""All papers of the plan, `configs/papers.tsv`, and what was tested of them.

    python -m assay coverage

A line of the list is a paper: `id` (its card's name, where it has one),
`title`, `authors`, `year`, `arxiv` (empty where nobody has looked), `family`,
`testbed` (`own`: a loop of its own), `standing`, `asks`, what a study would
find out, and `why`, the reason of its standing:

    tested   it has a card and rows
    planned  it can be tested at this size
    recast   a substitute can, which changes what is shown: why
    out      nothing of it can: why
"""

import argparse
import collections
import re
from typing import NamedTuple

from assay import papers
from assay.errors import UserError, parsed, told
from assay.report import tables, verdicts
from assay.report.verdicts import STATES
from assay.results import files

STANDINGS = ('tested', 'planned', 'recast', 'out')
TESTBEDS = ('own', 'tabular', 'series', 'meta', 'vision', 'ood', 'in_context',
            'tiny_lm', 'confidence', 'rlvr', 'decoding', 'preference', 'weak',
            'distill', 'editing', 'clip', 'control')


class Entry(NamedTuple):
  """A line of the list; all fields are texts, '' where there is nothing."""
  id: str
  title: str
  authors: str
  year: str
  arxiv: str
  family: str
  testbed: str
  standing: str
  asks: str
  why: str


def read(path=None):
  """The entries of the list, in its order.

  Args:
    path: default `configs/papers.tsv` of the clone.

  Raises:
    UserError: lines that are not as they should be, each with its number.
  """
  path = path or papers.ROOT / 'configs' / 'papers.tsv'
  try:
    lines = path.read_text(encoding='utf-8').splitlines()
  except (OSError, UnicodeDecodeError) as error:
    raise UserError(f'{path}: cannot be read ({error}); restore it.') from error
  if not lines or lines[0].split('\t') != list(Entry._fields):
    raise UserError(f'{path}:1: the first line must name the columns '
                    f'{", ".join(Entry._fields)}, parted by tabs.')
  entries, wrong, seen = [], [], {}
  for number, line in enumerate(lines[1:], 2):
    cells = line.split('\t')
    if len(cells) != len(Entry._fields):
      wrong.append(f'{path}:{number}: {len(cells)} columns, not '
                   f'{len(Entry._fields)}; part them by single tabs.')
      continue
    entry = Entry(*cells)
    entries.append(entry)
    texts = _faults(entry)
    if entry.id in seen:
      texts.append(f'id {entry.id!r} stands in line {seen[entry.id]} too; ids '
                   'are unique')
    seen.setdefault(entry.id, number)
    wrong += [f'{path}:{number}: {text}.' for text in texts]
  if wrong:
    raise UserError(f'{path}: change these lines.\n' + '\n'.join(wrong))
  return entries


def _faults(entry):
  """Texts: what is wrong with one line."""
  known = {'family': papers.FAMILIES, 'standing': STANDINGS,
           'testbed': TESTBEDS + ('',) * (entry.standing == 'out')}
  texts = [f'{name} {getattr(entry, name)!r} is none of {", ".join(names)}'
           for name, names in known.items()
           if getattr(entry, name) not in names]
  for name, pattern in dict(id='[a-z0-9_]+', title=r'\S.*', asks=r'\S.*\?',
                            year=papers.YEAR, arxiv=papers.ARXIV).items():
    if not re.fullmatch(pattern, getattr(entry, name)):
      texts.append(f'{name} {getattr(entry, name)!r} does not look like one')
  if entry.standing in ('recast', 'out') and not entry.why:
    texts.append(f'{entry.standing} needs a reason in the column why')
  return texts


def disagreements(entries, cards, with_rows):
  """Texts: where the list, the cards and the rows do not say the same.

  Args:
    entries: see `read`.
    cards: names of the papers that have a card.
    with_rows: names of those that have committed rows.
  """
  listed = {entry.id: entry for entry in entries}
  texts = [f'the card {name} is not in configs/papers.tsv; add a line for it'
           for name in cards if name not in listed]
  for entry in entries:
    lacks = [what for what, names in (('card', cards), ('rows', with_rows))
             if entry.id not in names]
    if entry.standing == 'tested':
      texts += [f'{entry.id} is called tested and has no {what}'
                for what in lacks]
    elif 'rows' not in lacks:
      texts.append(f'{entry.id} has rows and is called {entry.standing}; call '
                   'it tested')
  return texts


def by_family():
  """{name of a family: its entries}."""
  entries = read()
  return {name: [e for e in entries if e.family == family]
          for family, name in papers.FAMILIES.items()}


def sections(counts):
  """{name: Markdown}: `families`, a line for each, and `index`, all papers.

  Empty where a tested paper is not counted: a part is not the whole.

  Args:
    counts: name of a paper -> {standing of `verdicts.STANDINGS`: how many}.
  """
  entries = read()
  if any(e.standing == 'tested' and e.id not in counts for e in entries):
    return {}
  return {'families': tables.markdown_of(family_table(entries, counts)),
          'index': index(entries, counts)}


def family_table(entries, counts):
  """Rows of texts: the header, its rule, a row for each family, and all."""
  rows = [['family', *STANDINGS,
           'claims: hold / fail / undecided (after correction)', 'start with'],
          [':--', *['--:'] * 5, ':--']]
  for family, name in [*papers.FAMILIES.items(), (None, '**All**')]:
    own = [e for e in entries if family in (e.family, None)]
    standings = collections.Counter(e.standing for e in own)
    tested = [e.id for e in own if e.standing == 'tested']
    link = f'[{name}](results/README.md#{anchor(name)})' if family else name
    rows.append([
        link, *(str(standings[s]) for s in STANDINGS),
        ' / '.join(verdicts.in_numbers(state, sum(
            (collections.Counter(counts[i]) for i in tested),
            collections.Counter())) for state in STATES) if tested else '',
        f'`make reproduce PAPER={tested[0]}`' if tested and family else ''])
  return rows


def index(entries, counts):
  """Markdown: all papers by family, a line for each."""
  parts = []
  for family, name in papers.FAMILIES.items():
    rows = [['paper', 'standing', 'what is asked'], [':--'] * 3]
    rows += [[_title(entry), standing_of(entry, counts),
              entry.asks + (f'<br>*{entry.why}*' if entry.why else '')]
             for entry in entries if entry.family == family]
    parts.append(f'### {name}\n\n{tables.markdown_of(rows)}')
  return '\n\n'.join(parts)


def standing_of(entry, counts):
  """`**tested**: 6 hold, 1 fails, 22 undecided`, or `planned`."""
  if entry.standing != 'tested':
    return entry.standing
  own = counts[entry.id]
  told = [*(verdicts.counted(state, own) for state in STATES[:2]),
          f'{own.get(STATES[2], 0)} undecided']
  return f'**tested**: {", ".join(told)}'


def _title(entry):
  """The title, as a link to our page or to the paper; who and when."""
  arxiv = f'https://arxiv.org/abs/{entry.arxiv}' if entry.arxiv else ''
  link = f'{entry.id}/README.md' if entry.standing == 'tested' else arxiv
  by = ', '.join(filter(None, [entry.authors, entry.year]))
  if link != arxiv and arxiv:
    by = ', '.join(filter(None, [by, f'[arXiv]({arxiv})']))
  return (f'[{entry.title}]({link})' if link else entry.title) + (
      f'<br>{by}' if by else '')


def anchor(name):
  """Of a heading, as Markdown viewers make it."""
  return re.sub('[^a-z0-9 -]', '', name.lower()).replace(' ', '-')


@told
def main(argv=None):
  """Prints the standings by family; returns 1 where list and rows differ."""
  from rich.console import Console
  from rich.table import Table

  parser = argparse.ArgumentParser(
      prog='python -m assay coverage',
      description='All papers of the plan by family: how many are tested.')
  parser.add_argument('results', nargs='?', default='results', help='folder '
                      'with a folder of rows for each paper (%(default)s)')
  flags = parsed(parser, argv)
  entries = read()
  table = Table('family', *STANDINGS, box=None, pad_edge=False)
  for family, name in papers.FAMILIES.items():
    counts = collections.Counter(
        e.standing for e in entries if e.family == family)
    table.add_row(name, *(str(counts[s] or '') for s in STANDINGS))
  Console().print(table)
  with_rows = {path.name for path in files.of_papers(flags.results)}
  wrong = disagreements(entries, papers.names('configs'), with_rows)
  print('\n'.join(wrong))
  return 1 if wrong else 0
