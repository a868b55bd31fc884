"""Verdicts as text: lines for a terminal, a table for Markdown."""

import argparse
import collections
import re
import textwrap

import numpy as np

from assay import claims, papers, results
from assay.errors import UserError, parsed, told
from assay.report import tables

STATES = ('holds', 'fails', 'undecided')
STANDINGS = ('holds', 'holds alone', 'fails', 'fails alone', 'undecided')
STYLES = {'HOLDS': 'bold green', 'FAILS': 'bold red', 'NOT': 'bold',
          'UNDECIDED': 'bold yellow'}
ALONE = 'yellow'  # of what is decided and does not survive the correction
INDENT = 11  # verdicts stand alone to the left of all else


def word_of(item):
  """'HOLDS', 'FAILS', 'UNDECIDED', 'NOT TESTED'; 'HOLDS ALONE', 'FAILS ALONE'.

  What fails in a setting that is not the paper's own says so: 'FAILS here
  (reduced)', 'FAILS here (not in the paper)'.
  """
  if not item.verdict:
    return 'NOT TESTED'
  elsewhere = item.verdict.elsewhere
  return item.standing.upper() + f' here ({elsewhere})' * (
      item.verdict.state == 'fails' and elsewhere != '')


def count(judged):
  """{standing: how many of the claims have it}, of those that were tested."""
  found = collections.Counter(item.standing for item in judged if item.verdict)
  return {standing: found[standing] for standing in STANDINGS}


def of_state(state, counts):
  """(how many claims are in a state, how many of them after correction).

  Args:
    state: of `STATES`.
    counts: standing -> number of claims.
  """
  sure = counts.get(state, 0)
  return sure + counts.get(f'{state} alone', 0), sure


def counted(state, counts, form='{}'):
  """`9 hold (6 of them after correction)`, `1 fails`, `0 are undecided`.

  Nothing is said of the correction where it changes nothing.

  Args:
    state: of `STATES`.
    counts: standing -> number of claims.
    form: how to write `9 hold`, with a `{}` in its place.
  """
  one, more = {'holds': ('holds', 'hold'), 'fails': ('fails', 'fail'),
               'undecided': ('is undecided', 'are undecided')}[state]
  total, sure = of_state(state, counts)
  return form.format(f'{total} {one if total == 1 else more}') + (
      '' if sure == total else ' (not after correction)' if total == 1 else
      f' ({sure or "none"} of them after correction)')


def in_numbers(state, counts):
  """`9 (6)`: as `counted`, for a cell of a table."""
  total, sure = of_state(state, counts)
  return f'{total}' if sure == total else f'{total} ({sure})'


def numbers(verdict):
  """`-0.75 [-1.04, -0.457]`: the estimate and its interval."""
  if np.isnan(verdict.low):
    return f'{digits(verdict.estimate)} (no interval)'
  return f'{digits(verdict.estimate)} {_interval(verdict.low, verdict.high)}'


def _interval(low, high):
  return f'[{digits(low)}, {digits(high)}]'


def beside(verdict, examples='with test examples'):
  """The interval that stands beside that of the verdict, named; or ''."""
  if verdict.naive:
    return f'naive {_interval(*verdict.naive)}'
  if verdict.bootstrap:
    return f'{examples} {_interval(*verdict.bootstrap)}'
  return ''


def _beside_it(verdict):
  """What a cell of a table says beside the verdict."""
  return '; '.join(filter(None, [
      beside(verdict, 'examples'), '' if verdict.p_sign_flip is None else
      f'sign flips p {verdict.p_sign_flip:.2g}']))


def digits(x):
  """Three significant digits, and all before the point; 0 for rounding."""
  if abs(x) < 1e-12:
    return '0'
  return f'{x:.0f}' if 1000 <= abs(x) < 1e9 else f'{x:.3g}'


def _parts(verdict):
  return [f'{name}: {v.state}, {numbers(v)}'
          + (f' ({beside(v)})' if v.bootstrap else '')
          for name, v in verdict.parts]


def _source(claim):
  return claim.source + '; reported, not gated' * (not claim.gated)


def _paragraphs(item, width):
  """The claim's line, then what stands below it; each wrapped and indented."""
  claim, verdict, texts = item.claim, item.verdict, [item.claim.sentence]
  where = item.where_tested
  if verdict:
    shown = numbers(verdict)
    if beside(verdict):
      shown += f' ({beside(verdict)})'
    shown += f', {verdict.n} seed{"s" * (verdict.n != 1)}'
    if item.p_holm is not None:
      shown += f', Holm p {item.p_holm:.2g}'
    if verdict.p_sign_flip is not None:
      shown += f', sign-flip p {verdict.p_sign_flip:.2g}'
    texts += [shown, verdict.note, *(f'- {p}' for p in _parts(verdict))]
    where += f'; {verdict.method}'
  texts.append(f'{where}. Source: {_source(claim)}')
  return [f'{word_of(item):{INDENT - 1}} {claim.name}'] + [
      _wrapped(text, width) for text in texts if text]


def _wrapped(text, width):
  # Neither an interval nor a number is parted from what it belongs to.
  text = re.sub(r'\[[^]]*\]|Holm p \S+|\d+ seeds?',
                lambda found: found[0].replace(' ', '\xa0'), text)
  return textwrap.fill(
      text, width, initial_indent=' ' * INDENT,
      subsequent_indent=' ' * (INDENT + 2), break_on_hyphens=False
  ).replace('\xa0', ' ')


def lines(judged, width=80):
  """Plain text, for each claim one string of lines at most `width` wide."""
  return ['\n'.join(_paragraphs(item, width)) for item in judged]


def show(judged):
  """Prints the lines, with color where the terminal has it."""
  from rich.console import Console
  from rich.text import Text

  console = Console()
  for item in judged:
    title, *below, source = _paragraphs(item, console.width)
    word = word_of(item)
    style = ALONE if item.alone else STYLES[word.split()[0]]
    console.print(
        Text.assemble((word, style),
                      (title.removeprefix(word), 'bold'), '\n',
                      *(f'{text}\n' for text in below), (source, 'dim')),
        soft_wrap=True)


def markdown(judged):
  """The verdicts as a Markdown table, one claim a row."""
  if not judged:
    return ''
  rows = [['verdict', 'claim (source)', 'estimate [95 % interval]',
           'beside it', 'seeds', 'Holm p', 'tested on'],
          [':--', ':--', '--:', '--:', '--:', '--:', ':--']]
  for item in judged:
    claim, verdict, measured, where = (
        item.claim, item.verdict, [''] * 4, [item.where_tested])
    if verdict:
      measured = [
          numbers(verdict), _beside_it(verdict), str(verdict.n),
          '' if item.p_holm is None else f'{item.p_holm:.2g}']
      where = ['; '.join(filter(None, [
          item.where_tested, verdict.method, verdict.note])), *_parts(verdict)]
    rows.append([
        word_of(item),
        f'**{claim.name}**: {claim.sentence} ({_source(claim)})', *measured,
        '<br>'.join(where)])
  return tables.markdown_of(rows)


@told
def main(argv=None):
  """Prints the verdicts on the rows of workdirs; returns the exit status."""
  parser = argparse.ArgumentParser(
      prog='python -m assay claims', description='The verdicts on the rows of '
      'workdirs, without their tables.')
  parser.add_argument('paths', nargs='+', metavar='WORKDIR')
  flags = parsed(parser, argv)
  rows = results.read(flags.paths)
  if not rows:
    raise UserError(f'no rows in {" ".join(flags.paths)}; run an experiment '
                    'there first.')
  for paper, own in results.group_by(rows, 'paper').items():
    show(claims.judge(papers.claims(paper), own))
  return 0
