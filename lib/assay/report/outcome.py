"""What came out: claims in a line each for a page, in a sentence for a run."""

import collections

from assay import papers
from assay.report import bars, tables, verdicts

LEGEND = ('`░` where the claim holds, `═` its interval, `●` the estimate, each '
          'bar on a scale of its own.')
ALONE = ('*Alone*, and `○`: p < 0.05 for the claim by itself, but not after '
         'correction (Holm) for all claims of the paper that were tested, of '
         'which some are decided by chance.')


def markdown(judged):
  """How many claims hold, those that are decided, the others behind a fold.

  Args:
    judged: see `claims.judge`.
  """
  judged = [item for item in judged if item.verdict]
  if not judged:
    return ''
  by_state = collections.defaultdict(list)
  for item in judged:
    by_state[item.standing].append(item)
  *decided, open_ = (by_state[standing] for standing in verdicts.STANDINGS)
  decided = sum(decided, [])
  parts = [' '.join(filter(None, [tally(verdicts.count(judged)),
                                  of_one_test_set(decided)]))]
  parts += [_table(decided)] if decided else []
  if open_ and decided:
    parts += ['<details><summary>'
              f'{len(open_)} undecided</summary>', _table(open_), '</details>']
  elif open_:
    parts += [_table(open_)]
  legend = f'{LEGEND} {ALONE}' if any(i.alone for i in judged) else LEGEND
  return '\n\n'.join([*parts, legend])


def of_one_test_set(decided):
  """A sentence on those of the decided claims that no other test set backs."""
  count = sum('one test set' in item.verdict.method for item in decided)
  if not count:
    return ''
  told = 'All decided ones' if count == len(decided) else (
      f'{count} of the {len(decided)} decided ones')
  return (f'{told} are over training runs on one test set, and say nothing of '
          'other data.')


def tally(counts):
  """`Of 28 claims **6 hold** (2 of them after correction), ...`

  Args:
    counts: standing -> number of claims.
  """
  total = sum(counts.values())
  counted = lambda state, form: verdicts.counted(state, counts, form)
  return (f'Of {total} claim{"s" if total > 1 else ""} '
          f'{counted("holds", "**{}**")}, {counted("fails", "**{}** here")} '
          f'and {counted("undecided", "{}")}.')


def ending(paper, judged, ran, finished=()):
  """What came out of a run in a sentence, and what to run next.

  Args:
    paper: its name.
    judged: see `claims.judge`.
    ran: names of the variants that were run.
    finished: of others that were run before, and need not come next.
  """
  texts = []
  for state in verdicts.STATES:
    own = [item for item in judged
           if item.verdict and item.verdict.state == state]
    own.sort(key=lambda item: item.alone)
    # Why it is open, as most of them say; else which they are.
    why = collections.Counter(item.verdict.note.split('; ')[-1] for item in own)
    told = ([why.most_common(1)[0][0]] if own and state == 'undecided'
            else [item.claim.name for item in own])
    if own:
      here = '{} here' if state == 'fails' else '{}'
      text = verdicts.counted(state, verdicts.count(own), here)
      names = '; '.join(told[:3]) + ', ...' * (len(told) > 3)
      texts.append(f'{text[:-1]}: {names})' if text.endswith(')')
                   else f'{text} ({names})')
  ran_on = ' and '.join(ran)
  came_out = (f'Of the claims on {ran_on}, {" and ".join(texts)}.' if texts
              else f'No claim can be judged on {ran_on}.')
  later = next_variant(paper, [*ran, *finished])
  return came_out + (
      f'\nNext: make reproduce PAPER={paper} VARIANT={later}   '
      f'# {papers.configs(paper).VARIANTS[later]}' if later else '')


def next_variant(paper, ran):
  """The first of the variants that claims speak about and were not run, or ''.
  """
  told = {claim.where.get('config') for claim in papers.claims(paper)}
  return next((variant for variant in papers.configs(paper).VARIANTS
               if variant in told and variant not in ran), '')


def _table(items):
  rows = [['', 'claim', 'effect [95&nbsp;%&nbsp;interval]', '', 'tested on'],
          [':--', ':--', '--:', ':--', ':--']]
  for item in items:
    verdict, variant = item.verdict, item.claim.where.get('config')
    drawn, where = bars.bar(verdict, item.alone), item.where_tested
    if variant:  # mostly called as its data
      where = f'`{variant}`: ' + where.removeprefix(f'{variant}, ')
    rows.append([
        item.standing if item.alone else f'**{item.standing}**',
        item.claim.sentence,
        # An interval stays in one line.
        verdicts.numbers(verdict).replace(', ', ',&nbsp;'),
        f'`{drawn}`' if drawn else '', where])
  return tables.markdown_of(rows)
