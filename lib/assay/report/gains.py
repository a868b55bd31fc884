"""Arms beside one baseline on all data sets of a paper: which to use?

A card names this in SECTIONS, and its page ends in the table:

    SECTIONS = {'which': functools.partial(
        gains.markdown, metric='rmse', baseline='erm', arms=ARMS)}
"""

import collections

import numpy as np

from assay import claims, results
from assay.claims import samples
from assay.report import tables, verdicts


def compared(rows, metric, baseline, arms):
  """{arm: {config: `Verdict` on its error being at most that of `baseline`}}.

  Args:
    rows: all of a paper; a config without the arm, or the baseline, is not in
      its dict.
    metric: smaller is better, and positive.
    baseline: the arm that others are divided by.
    arms: names.
  """
  found = collections.defaultdict(dict)
  for config, own in results.group_by(rows, 'config').items():
    for arm in arms:
      try:
        found[arm][config] = claims.ratio(metric, arm, baseline, 0, 1)(own)
      except samples.NoRows:
        continue
  return {arm: found[arm] for arm in arms if found[arm]}


def markdown(rows, metric, baseline, arms):
  """A sentence for each kind of arm, and the table that says so.

  Args:
    rows, metric, baseline, arms: as `compared` takes them.

  Returns:
    Markdown; '' without rows of the baseline and another arm.
  """
  found = compared(rows, metric, baseline, arms)
  if not found:
    return ''
  configs = list(results.group_by(rows, 'config'))
  means = {arm: np.exp(np.mean([np.log(v.estimate) for v in own.values()]))
           for arm, own in found.items()}
  lines = [['arm', *configs, 'lower', 'higher', 'mean'],
           [':--', *['--:'] * (len(configs) + 3)]]
  for arm in sorted(found, key=means.get):
    states = collections.Counter(v.state for v in found[arm].values())
    lines.append([arm, *(_cell(found[arm].get(c)) for c in configs),
                  str(states['holds']), str(states['fails']),
                  f'{means[arm]:.3f}'])
  return '\n\n'.join([
      _advice(found, means, baseline), tables.markdown_of(lines),
      f'`{metric}` divided by that of {baseline}, seed by seed: geometric mean '
      'and 95 % interval; bold where all of the interval is below or above 1. '
      'Each interval stands by itself. *mean*: over the variants that the arm '
      'was run on.'])


def _cell(verdict):
  if verdict is None:
    return '–'
  text = verdicts.numbers(verdict).replace(', ', ',&nbsp;')
  return text if verdict.state == 'undecided' else f'**{text}**'


def _advice(found, means, baseline):
  """Three lines: arms that were lower somewhere, higher somewhere, neither."""
  lead = {
      'lower': f'**Try**, as the error was below that of {baseline} on some '
               'data and above it on none',
      'neither': f'**No matter**: not told apart from {baseline} on any',
      'higher': f'**Look twice**, as the error was above that of {baseline} on '
                'some data'}
  groups = {name: [] for name in lead}
  for arm in sorted(found, key=means.get):
    told = {state: [c for c, v in found[arm].items() if v.state == state]
            for state in ('holds', 'fails')}
    groups['higher' if told['fails'] else 'lower' if told['holds']
           else 'neither'].append(arm + ''.join(
               f' ({word} on {", ".join(told[state])})' for state, word in (
                   ('holds', 'lower'), ('fails', 'higher')) if told[state]))
  return '\n'.join(f'- {lead[name]}: {"; ".join(group) or "none"}.'
                   for name, group in groups.items())
