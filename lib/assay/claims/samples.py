"""From rows to one number per seed, for the checks of `assay.claims`.

An arm is a method's name or a dict of row fields.
"""

from typing import NamedTuple

import numpy as np

from assay import results
from assay.errors import UserError

# Scales that are not the paper's own.
ELSEWHERE = ('reduced', 'not in the paper')
# Arms that differ in one of these differ in more than their name says.
DECIDING = ('scale', 'run', 'n', 'step')


class Sample(NamedTuple):
  """One number per seed, and what must be known to judge their mean."""
  values: np.ndarray  # [n] float, without seeds that diverged or miss an arm
  ratio: float  # n_test / n_train of re-splits, else 0
  test: str  # name of the test
  lost: str  # '' or what forbids a verdict: seeds that could not be used ...
  remarks: list  # of text
  tested: dict  # fields `tested` and `elsewhere` of the verdict
  wrong: np.ndarray | None = None  # [arms, n, examples] bool; see `wrong_of`
  unit: str = 'seeds'  # what the values are one of


class NoRows(UserError):
  """An arm has no row at all: `judge` calls the claim not tested."""


def matches(row, want):
  for field, value in want.items():  # a generator takes three times as long
    if row.get(field) != value:
      return False
  return True


def describe(fields):
  return ', '.join(f'{k}={v}' for k, v in fields.items() if v != '')


def fields_of(arm):
  return arm if isinstance(arm, dict) else {'method': arm}


def names_of(arms, where):
  """Short names of arms, and the fields that they share in brackets.

  `['c_mixup', 'erm'], ' (epoch 400)'` or `['bandwidth 1', '2'], ''`: only what
  differs is part of a name, or the method where nothing does.
  """
  arms = list(map(fields_of, arms))
  shared = {k: v for k, v in arms[0].items()
            if all(arm.get(k) == v for arm in arms)}
  names, named = [], ['method']
  for arm in arms:
    own = {k: v for k, v in arm.items() if k not in shared}
    own = own or {'method': arm.get('method')}
    names.append(' '.join(
        results.text_of(v) if [k] == named or k == 'method' else
        f'{k} {results.text_of(v)}' for k, v in own.items()))
    named = list(own)
  common = ', '.join(f'{k} {results.text_of(v)}' for k, v in (
      shared | where).items() if k != 'method')
  return names, f' ({common})' if common else ''


def only(rows, field):
  """The one value of a field, or an error that lists those found."""
  values = list(dict.fromkeys(r.get(field) for r in rows))
  if len(values) > 1:
    raise UserError(f'one comparison mixes {field} {values}; select one by the '
                    "claim's `where` or by a dict as arm.")
  return values[0]


def by_seed(rows, want):
  """{seed: row} of the rows with the fields `want`.

  Raises:
    NoRows: there is none.
    UserError: there are two for one seed.
  """
  found = {}
  for row in rows:
    if not matches(row, want):
      continue
    if row['seed'] in found:
      other = found[row['seed']]
      differ = [k for k in {**other, **row} if other.get(k) != row.get(k)
                and k not in results.ATTACHED]
      raise UserError(f'two rows for {describe(want)}, seed={row["seed"]}, '
                      f'dataset={row["dataset"]}; keep one: they differ in '
                      f'{", ".join(differ) or "nothing"}.')
    found[row['seed']] = row
  if not found:
    raise NoRows(f'no row has {describe(want)}')
  only(found.values(), 'config')
  return found


def test_to_train(rows, used):
  """n_test / n_train of the re-splits that the rows `used` come from.

  A group's row has the group's n, but what two splits share depends on the
  whole split, so the largest n of the split counts.
  """
  splits = {r['split'] for r in used}
  rows = [r for r in rows if r['dataset'] == used[0]['dataset']
          and r.get('config') == used[0].get('config')]
  train = [r['n'] for r in rows if r['split'] == 'train' and r['group'] == '']
  if not train:
    raise UserError('a comparison over re-splits needs a row of split train, '
                    'whose n is the number of training rows '
                    f'(dataset={used[0]["dataset"]}).')
  return max(r['n'] for r in rows if r['split'] in splits) / min(train)


def wrong_of(columns, seeds):
  """Which examples each arm and seed got wrong: [arms, seeds, examples] bool.

  None unless all rows have it, as errors on the same examples.

  Args:
    columns: {seed: row} for each arm, on one fixed split.
    seeds: those to use.
  """
  rows = [column[seed] for column in columns for seed in seeds]
  same = {tuple(r.get(k) for k in (
      'config', 'split', 'group', 'worst', 'n')) for r in rows}
  if len(same) != 1 or not all(
      'wrong' in r and r['metric'] == 'error' for r in rows):
    return None
  return np.array([[results.unpack(column[s]['wrong'], column[s]['n'])
                    for s in seeds] for column in columns])


def _unfinished(columns):
  """(what lacks of the plan, how it was extended): texts, '' for nothing.

  A plan is made before a run, for the seeds 0, 1, ...; rows may have none.

  Args:
    columns: {seed: row} for each arm.
  """
  plans = [max(row.get('planned_seeds') or 0 for row in column.values())
           for column in columns]
  done = [sum(seed < plan for seed in column)
          for column, plan in zip(columns, plans, strict=True)]
  fewest, plan = min(zip(done, plans, strict=True),
                     key=lambda pair: pair[0] - pair[1])
  seeds = len(set().union(*columns))
  return (f'{fewest} of {plan} planned seeds' * (fewest < plan),
          f'extended from {min(plans)} to {seeds}'
          if 0 < min(plans) == max(plans) < seeds else '')


def _not_comparable(columns, across):
  """In what arms differ that makes their seeds no pairs, or ''.

  Rows of 0 steps are of what was not trained. Of the best state each seed has
  its own step, and of the worst group its own n.

  Args:
    columns: {seed: row} for each arm.
    across: fields in which a claim means them to differ.
  """
  def values(field, rows):
    if field == 'step':
      steps = {row['step'] for row in rows if row.get('step')}
      return steps if all(row['state'] == 'last' for row in rows) else {}
    parts = [{row[k] for row in rows} for k in ('dataset', 'split', 'group')]
    same = all(len(part) == 1 and 'worst' not in part for part in parts)
    return {row.get(field) for row in rows if field != 'n' or same}

  told, seeds = [], sorted(set.intersection(*map(set, columns)))
  pairs = [[column[seed] for column in columns] for seed in seeds]
  for field in DECIDING:
    if all(row.get(field) == first.get(field) for first, *others in pairs
           for row in others):
      continue  # as nearly always: it spares a set for each seed
    found = next((v for rows in pairs if len(v := values(field, rows)) > 1), ())
    if found and field not in across:
      told.append(f'{field} ({", ".join(sorted(map(str, found)))})')
  return 'the arms differ in ' + ' and '.join(told) if told else ''


def where_tested(used, extended=''):
  """What the verdict's line ends with: data, examples, seeds, scale."""
  def each(field):
    return '/'.join(dict.fromkeys(str(r.get(field)) for r in used))

  sizes = sorted({r['n'] for r in used})
  seeds = len({r['seed'] for r in used})
  group = ' of group ' + each('group') if any(r['group'] for r in used) else ''
  return {'tested': f'{each("dataset")}, '
                    f'{" to ".join(map(str, sizes[:1] + sizes[1:][-1:]))} '
                    f'{each("split")} examples{group}, '
                    f'{seeds} seed{"s" * (seeds > 1)}'
                    + f' ({extended})' * bool(extended)
                    + f', {each("scale")}',
          'elsewhere': next((s for s in ELSEWHERE if any(
              r.get('scale') == s for r in used)), '')}


def test_over(varies, test):
  """The name of a test over seeds that vary so.

  Raises:
    UserError: it is not known what they vary.
  """
  tests = {
      'fresh': test,
      'fixed_split': f'{test} over training runs on one test set',
      'resplit': f'corrected resampled {test.removeprefix("paired ")}'}
  if varies not in tests:
    raise UserError(f'seed_varies={varies} is none of {", ".join(tests)}; '
                    'use rows from assay.results.read, which adds it.')
  return tests[varies]


def numbers_of(columns, value, metric):
  """(values [n], their seeds, texts on the seeds that could not be used).

  Args:
    columns: {seed: row} for each arm; of a row `value` and `why` are read.
    value: as for `read`, as is metric.
    metric: see `value`.
  """
  seeds = sorted(set().union(*columns))
  missing = set(seeds).difference(set(columns[0]).intersection(*columns))
  null = [(s, r) for c in columns for s, r in c.items() if r['value'] is None]
  diverged = {s for s, _ in null}
  why = '; '.join(dict.fromkeys(
      results.schema.harmless(r['why']) for _, r in null if r.get('why')))
  words = dict.fromkeys(results.lost_word(r) for _, r in null)
  unused = missing | diverged
  kept = [s for s in seeds if s not in unused]
  values = value(np.array([[c[s]['value'] for s in kept] for c in columns],
                          float))
  undefined = {s for s, v in zip(kept, values, strict=True) if np.isnan(v)}
  lost = [f'{len(lost)} of {len(seeds)} seeds {what}' for lost, what in (
      (diverged, ' or '.join(words) + f' ({why})' * bool(why)),
      (missing, 'missing'),
      (undefined, f'have a {metric} that is not positive')) if lost]
  return (values[~np.isnan(values)], [s for s in kept if s not in undefined],
          lost)


def read(rows, metric, arms, value, test, *, split='test', state=None,
         group='', across=()):
  """The `Sample` of a comparison.

  Args:
    rows: rows of one paper.
    metric: a metric's name; this and the keywords are row fields, which an arm
      that is a dict may override.
    arms: one or two methods, or dicts of row fields.
    value: [arms, n] float -> [n], the number that is judged; NaN where a seed
      has none, as the ratio of a value that is not positive.
    test: name of the test, starting with 'paired ' if there are two arms.
    split: see `metric`, as for `group`.
    state: 'best', 'last' or None, see `state_in`.
    group: see `split`.
    across: fields of `DECIDING` in which the arms are meant to differ.

  Raises:
    NoRows: an arm has no row.
    UserError: rows that cannot be compared.
  """
  if state is None:
    state = state_in(rows, [dict(metric=metric, split=split, group=group)
                            | fields_of(arm) for arm in arms])
  where = dict(metric=metric, split=split, state=state, group=group)
  columns = [by_seed(rows, where | fields_of(arm)) for arm in arms]
  used = [row for column in columns for row in column.values()]
  for field in 'dataset', 'seed_varies':
    only(used, field)
  varies = used[0].get('seed_varies')
  named = test_over(varies, test)
  values, kept, lost = numbers_of(columns, value, metric)
  unfinished, extended = _unfinished(columns)
  lost += filter(None, [unfinished, _not_comparable(columns, across)])
  remarks = []
  if extended:
    remarks.append(f'{extended} seeds: a new plan, made after a look at these '
                   'rows, which decides falsely more often')
  return Sample(
      values, test_to_train(rows, used) if varies == 'resplit' else 0,
      named, ' and '.join(lost), remarks, where_tested(used, extended),
      wrong_of(columns, kept) if varies == 'fixed_split' else None)


def state_in(rows, wants):
  """'best' where all that is wanted has rows of the best state, else 'last'.

  Args:
    rows: rows of one paper.
    wants: row fields of each arm. One that names a state, or has no row at
      all, has no say.
  """
  states = [{r['state'] for r in rows if matches(r, want)}
            for want in wants if 'state' not in want]
  return 'best' if all('best' in s for s in states if s) else 'last'


def levels(rows, metric, over, method, at_least, *, split='test', state=None,
           group=''):
  """[(value, arm)] of the sweep field `over`, in order of its value.

  All arms name one state: the one that is given, or see `state_in`.
  """
  want = dict(metric=metric, split=split, group=group)
  want |= {} if state is None else {'state': state}
  want |= {} if method is None else fields_of(method)
  found = [r for r in rows if r.get(over) is not None and matches(r, want)]
  if not found:
    raise NoRows(f'no row has {over} and {describe(want)}')
  arm = {'method': only(found, 'method')} if method is None else (
      fields_of(method))
  values = {r[over] for r in found}
  if any(isinstance(v, str) for v in values) or len(values) < at_least:
    raise UserError(f'a claim over {over} needs at least {at_least} numbers, '
                    f'not {sorted(values, key=str)}.')
  if state is None:
    state = state_in(found, [{over: v} for v in values])
  return [(v, {'state': state} | arm | {over: v}) for v in sorted(values)]


def worst_group(rows, metric, minimum=30, higher_is_worse=True):
  """The worst group's row for each method, seed, split, state, sweep field.

  Args:
    rows: rows; those of other metrics and of group '' are passed over.
    metric: name of the metric.
    minimum: smallest n of a group that counts.
    higher_is_worse: True for errors, False for accuracies.

  Returns:
    Rows with group 'worst', `worst` (name of the group, whose n is given) and
    `small_groups` (text: the groups left out, with n). The value is null if
    that of a group is, or if no group is large enough.
  """
  own = ('group', 'value', 'n', *results.ATTACHED)
  cells = {}
  for row in rows:
    if row['metric'] == metric and row['group'] not in ('', 'worst'):
      same = {k: v for k, v in row.items() if k not in own}
      groups = cells.setdefault(tuple(sorted(same.items())), {})
      if row['group'] in groups:
        raise UserError(f'two rows for group={row["group"]}, '
                        f'{describe(same)}; keep one of them.')
      groups[row['group']] = row

  def badness(row):
    if row['value'] is None:  # a group that diverged is the worst
      return np.inf
    return row['value'] if higher_is_worse else -row['value']

  found = []
  for key, groups in cells.items():
    groups = sorted(groups.values(), key=lambda r: str(r['group']))
    none = {'group': '', 'value': None, 'n': 0,
            'why': f'no group has {minimum} examples'}
    worst = max((r for r in groups if r['n'] >= minimum), key=badness,
                default=none)
    found.append(dict(key) | {k: worst[k] for k in own if k in worst} | {
        'group': 'worst', 'worst': worst['group'],
        'small_groups': ', '.join(f'{r["group"]} (n={r["n"]})'
                                  for r in groups if r['n'] < minimum)})
  return found
