"""What came out, for the top of a paper's page: its claims, a line each."""

import collections

from assay.report import bars, verdicts

LEGEND = ('`░` where the claim holds, `═` its interval, `●` the estimate, each '
          'bar on a scale of its own.')


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
    by_state[item.verdict.state].append(item)
  decided = by_state['holds'] + by_state['fails']
  open_ = by_state['undecided']
  parts = [tally({state: len(items) for state, items in by_state.items()})]
  parts += [_table(decided)] if decided else []
  if open_ and decided:
    parts += ['<details><summary>'
              f'{len(open_)} undecided</summary>', _table(open_), '</details>']
  elif open_:
    parts += [_table(open_)]
  return '\n\n'.join([*parts, LEGEND])


def tally(counts):
  """`Of 28 claims **6 hold**, **2 fail** here and 20 are undecided.`

  Args:
    counts: state -> number of claims.
  """
  holds, fails, undecided = (counts.get(s, 0) for s in verdicts.STATES)
  total = holds + fails + undecided
  return (f'Of {total} claim{"s" if total > 1 else ""} **{holds} '
          f'hold{"s" if holds == 1 else ""}**, **{fails} '
          f'fail{"s" if fails == 1 else ""}** here and {undecided} '
          f'{"is" if undecided == 1 else "are"} undecided.')


def _table(items):
  rows = [['', 'claim', 'effect [95&nbsp;%&nbsp;interval]', '', 'tested on'],
          [':--', ':--', '--:', ':--', ':--']]
  for item in items:
    verdict, variant = item.verdict, item.claim.where.get('config')
    drawn, where = bars.bar(verdict), item.where_tested
    if variant:  # mostly called as its data
        where = f'`{variant}`: ' + where.removeprefix(f'{variant}, ')
    rows.append([
        f'**{verdict.state}**', item.claim.sentence,
        # An interval stays in one line.
        verdicts.numbers(verdict).replace(', ', ',&nbsp;'),
        f'`{drawn}`' if drawn else '', where])
  return '\n'.join('| ' + ' | '.join(c.replace('|', r'\|') for c in row) + ' |'
                   for row in rows)
