"""What a paper's page begins with: claims in a line each, and one figure."""


import pytest
from test_results import card, make_workdir, row

from assay import claims, papers, results
from assay.claims import Claim, rules
from assay.report import (
  bars,
  figures,
  folds,
  kept,
  outcome,
  plots,
  tables,
  verdicts,
)


def verdict(state, estimate, low, high, region, p=.01):
  return rules.Verdict(state, estimate, low, high, 5, 't', region=region, p=p,
                       tested='toy, 9 test examples, 5 seeds, reduced')


INF, NAN = float('inf'), float('nan')


@pytest.mark.parametrize('state, numbers, region, drawn', [
    ('holds', (-2, -3, -1), (-INF, 0), '░══════●══════░░░░░│·'),
    ('fails', (2, 1, 3), (-INF, 0), '░│·····══════●══════·'),
    ('undecided', (1, -1, 3), (-INF, 0), '░═════╪═══●═════════·'),
    ('fails', (2, NAN, NAN), (-INF, 0), '░│·················●·'),
    # Equal values of what has no bound: the interval has none either.
    ('undecided', (-1, -INF, INF), (-INF, 0), '═●═════════════════╪═'),
    ('undecided', (-1, -INF, 1), (-INF, 0), '═●════════╪═════════·'),
    ('holds', (1, 1, 1), (0.5, 1.5), '·│░░░░░░░░●░░░░░░░░│·')])
def test_a_bar_by_eye(state, numbers, region, drawn):
  bar = bars.bar(verdict(state, *numbers, region))
  assert len(bar) == bars.WIDTH
  assert bar == drawn


@pytest.mark.parametrize('end', [0.0, 1.0])
def test_a_bar_touches_an_end_only_where_the_claim_is_open(end):
  for k in range(-40, 41):
    low, high = end + k / 20, end + k / 20 + 0.7
    state = rules.state_of((low, high), (-INF, end), False)
    bar = bars.bar(verdict(state, (low + high) / 2, low, high, (-INF, end)))
    assert bar.count('●') == 1
    inside = bar[:bar.index('│')] if '│' in bar else ''
    if state == 'undecided':
      assert '│' not in bar  # crossed, or under the estimate
    else:
      assert '╪' not in bar and ('●' in inside) == (state == 'holds'), bar


def test_a_bar_without_an_estimate_is_none():
  assert bars.bar(verdict('undecided', NAN, NAN, NAN, None)) == ''


def judged(*verdicts):
  return [claims.Judged(
      Claim(f'small: {i}', f'Sentence | {i}.', 'table 1', None,
            where={'config': 'small'}), v, v and v.p, v.tested if v else
      'no rows')
          for i, v in enumerate(verdicts)]


HOLDS = verdict('holds', -2, -3, -1, (-INF, 0))
FAILS = verdict('fails', 2, 1, 3, (-INF, 0))
OPEN = verdict('undecided', 1, -1, 3, (-INF, 0))


def test_what_came_out_names_decided_claims_and_folds_the_others():
  text = outcome.markdown(judged(OPEN, FAILS, HOLDS, None))
  first, _, rest = text.partition('\n\n')
  assert first == ('Of 3 claims **1 holds**, **1 fails** here and 1 is '
                   'undecided.')
  shown, folded = rest.split('<details>')
  assert shown.index('**holds**') < shown.index('**fails**')
  assert r'Sentence \| 2. | -2 [-3,&nbsp;-1] | `' in shown
  assert '`small`: toy, 9 test examples, 5 seeds, reduced |' in shown
  assert 'undecided' not in shown and 'Sentence \\| 0.' in folded
  assert folded.startswith('<summary>1 undecided</summary>\n\n|')


def test_what_does_not_survive_the_correction_says_so_wherever_it_stands():
  weak = [v._replace(p=.2) for v in (HOLDS, HOLDS, FAILS)]
  items = judged(HOLDS, *weak, OPEN)
  assert [item.standing for item in items] == [
      'holds', 'holds alone', 'holds alone', 'fails alone', 'undecided']
  first, *lines = outcome.markdown(items).splitlines()
  assert first == (
      'Of 5 claims **3 hold** (1 of them after correction), **1 fails** here '
      '(not after correction) and 1 is undecided.')
  found = [line for line in lines if line.startswith(('| **', '| holds',
                                                      '| fails'))]
  assert [line.split(' | ')[0] for line in found] == [
      '| **holds**', '| holds alone', '| holds alone', '| fails alone',
      '| **undecided**']
  assert ['○' in line for line in found] == [False, True, True, True, False]
  assert lines[-1] == f'{outcome.LEGEND} {outcome.ALONE}'
  assert 'after correction' not in outcome.markdown(judged(HOLDS, OPEN))
  counts = verdicts.count(items)
  assert verdicts.in_numbers('holds', counts) == '3 (1)'
  assert verdicts.in_numbers('fails', counts) == '1 (0)'
  assert verdicts.in_numbers('undecided', counts) == '1'


def test_what_no_other_test_set_backs_is_counted():
  fixed = HOLDS._replace(method='paired t over training runs on one test set')
  say = lambda *found: outcome.markdown(judged(*found)).split('\n')[0]
  assert say(fixed, FAILS, OPEN).endswith(
      '1 is undecided. 1 of the 2 decided ones are over training runs on one '
      'test set, and say nothing of other data.')
  assert 'All decided ones are over' in say(fixed, fixed)
  assert 'test set' not in say(HOLDS, FAILS)


def test_without_a_decided_claim_nothing_is_folded():
  text = outcome.markdown(judged(OPEN))
  assert '<details>' not in text and '**undecided**' in text
  assert outcome.markdown(judged(None)) == ''


def test_a_run_ends_with_a_sentence_and_the_next_command(monkeypatch):
  module = card(
      CLAIMS=tuple(item.claim for item in judged(HOLDS)) + (
          Claim('large: x', 'X.', '', None, where={'config': 'large'}),),
      VARIANTS={'small': 'default', 'smoke': 'seconds', 'large': 'hours'})
  monkeypatch.setattr(papers, 'configs', lambda name: module)
  open_ = OPEN._replace(note='1 seed lost; no number of seeds can settle it')
  items = judged(HOLDS, open_, open_, FAILS)
  assert outcome.ending('toy', items, ['small']).splitlines() == [
      'Of the claims on small, 1 holds (small: 0) and 1 fails here (small: 3) '
      'and 2 are undecided (no number of seeds can settle it).',
      'Next: make reproduce PAPER=toy VARIANT=large   # hours']
  items = judged(HOLDS._replace(p=.2), HOLDS)
  assert outcome.ending('toy', items, ['small'], ['large']).count('\n') == 0
  assert outcome.ending('toy', items, ['small', 'large']) == (
      'Of the claims on small and large, 2 hold (1 of them after correction: '
      'small: 1; small: 0).')
  assert outcome.ending('toy', judged(None), ['small', 'large']) == (
      'No claim can be judged on small and large.')


# Tables without what says nothing.


def small_table():
  rows = []
  for method, values in (('ours', (.5, .6)), ('erm', (.7, .8)),
                         ('chance', (.1, .1))):
    for seed, value in enumerate(values):
      rows += [row(value, seed, method, metric='accuracy', width=8),
               row(.3 + .1 * seed + values[0] / 100, seed, method,
                   metric='nll'),  # varies by less than over seeds
               row(7.0, seed, method, metric='size')]
  rows = [r | {'width': 8} for r in rows]
  return tables.table(rows, {}, ['accuracy', 'nll', 'size'])


def test_columns_in_which_nothing_varies_are_left_out():
  read = [{'metric': 'accuracy', 'split': 'test', 'method': 'ours'}]
  got = folds.short(small_table(), read)
  assert got['columns'] == ['arm', 'accuracy'] and got['labels'] == 1
  assert [r[0] for r in got['rows']] == ['ours', 'erm', 'chance']
  # What a claim reads stays, and so does all where that is not known.
  read.append({'metric': 'nll', 'split': 'test', 'method': 'erm'})
  assert folds.short(small_table(), read)['columns'] == [
      'arm', 'accuracy', 'nll']
  assert folds.short(small_table(), None)['columns'] == [
      'arm', 'accuracy', 'nll']


def test_arms_at_chance_are_left_out_unless_a_claim_reads_them():
  chance = {'accuracy': (0, .2)}
  read = [{'metric': 'accuracy', 'split': 'test', 'method': 'ours'}]
  arms = lambda *args: [r[0] for r in folds.short(small_table(), *args)['rows']]
  assert arms(read, chance) == ['ours', 'erm']
  assert arms(None, chance) == ['ours', 'erm', 'chance']
  named = [{'metric': 'accuracy', 'split': 'test', 'method': 'chance'}]
  assert arms(read + named, chance) == ['ours', 'erm', 'chance']
  elsewhere = [named[0] | {'dataset': 'no2'}]
  assert arms(read + elsewhere, chance) == ['ours', 'erm']


def test_a_table_in_which_all_varies_is_itself():
  rows = [row(v, s, m) for m in ('a', 'b') for s, v in enumerate(
      (1., 2.) if m == 'a' else (5., 6.))]
  table = tables.table(rows, {})
  assert folds.short(table, []) is table


# The first figure.


def check(metric, a, b):
  return claims.less(metric, a, b, state='best')


@pytest.fixture
def paper(monkeypatch, tmp_path):
  """A folder of results, and the module of its card."""
  claims_ = [Claim(f'{i}', 'It is lower.', 'x', check('rmse', *arms),
                   where={'config': 'small'})
             for i, arms in enumerate([('sam', 'erm'), ('mixup', 'erm')])]
  module = card(CLAIMS=claims_)
  monkeypatch.setattr(papers, 'configs', lambda name: module)
  rows = [row(v + s, s, m) for m, v in (('mixup', 1.), ('erm', 2.), ('sam', 9.))
          for s in range(3)]
  make_workdir(tmp_path / 'work', rows)
  return results.read([tmp_path / 'work']), module


def test_the_first_figure_is_what_claims_read_most(paper):
  rows, card = paper
  judged = kept.judge(papers.claims('made_up'), rows).judged
  assert figures.first('made_up', rows, judged) == (
      'small', 'rmse', (), (('method', 'erm'),))
  card.LEAD = ('small', 'mine')
  assert figures.first('made_up', rows, judged)[:2] == ('small', 'mine')
  card.LEAD = ('big', 'mine')  # there are no such rows
  assert figures.first('made_up', rows, judged)[1] == 'rmse'
  card.FIGURES = {'mine': lambda rows: plots.comparison(rows, 'rmse')}
  assert list(figures.of('made_up', rows)) == ['mine']


def test_a_figure_is_drawn_only_where_its_rows_changed(paper, tmp_path,
                                                       monkeypatch):
  rows, _ = paper
  judged = kept.judge(papers.claims('made_up'), rows).judged
  update = lambda rows, **more: figures.update(
      tmp_path, 'made_up', rows, judged, **more)
  file = tmp_path / 'figure.svg'
  assert update(rows, check=True) == (
      '', [f'{file}: is not that of the rows of small'])
  assert not file.exists()
  text, wrong = update(rows)
  assert not wrong and text.startswith('![rmse, small. across: rmse.')
  assert '](figure.svg)' in text and text.endswith('*rmse, small*')
  drawn = file.read_bytes()
  assert b'n_train' not in drawn and b'minus that of erm' in drawn

  def fail(*args, **more):
    raise AssertionError('drawn again')

  monkeypatch.setattr(plots, 'comparison', fail)
  # The same rows in another order and of another run are the same.
  same = [r | {'run': 'ffffffff'} for r in rows[::-1]]
  assert update(same, check=True) == update(same) == (text, [])
  assert file.read_bytes() == drawn
  other = [r | {'value': r['value'] + 1} for r in rows]
  assert update(other, check=True)[1]
  with pytest.raises(AssertionError, match='drawn again'):
    update(other)


def test_a_card_chooses_its_first_figure(paper, tmp_path):
  rows, card = paper
  judged = kept.judge(papers.claims('made_up'), rows).judged
  update = lambda: figures.update(tmp_path, 'made_up', rows, judged)[0]
  card.FIGURES = {'mine': lambda rows: plots.paired_differences(
      rows, 'rmse', 'sam')}
  card.LEAD = ('small', 'mine')
  assert update().endswith('*mine, small*')
  assert 'rmse minus that of sam' in (tmp_path / 'figure.svg').read_text()
  card.LEAD = ('big', 'mine')  # of which there are no rows
  assert update().endswith('*rmse, small*')
  assert 'minus that of erm' in (tmp_path / 'figure.svg').read_text()


def test_the_same_figure_is_the_same_bytes_and_keeps_its_numbers(paper):
  rows, _ = paper
  texts = [figures.small_svg(plots.comparison(rows, 'rmse'), {'a': 'b -- c'})
           for _ in range(2)]
  assert texts[0] == texts[1]
  assert texts[0].startswith('<!-- a: b - - c -->\n<svg ')
  assert '3.0 ± 1.0 (3)' in texts[0] and 'Date' not in texts[0]
  assert len(texts[0]) < len(figures.svg(plots.comparison(rows, 'rmse'))) / 2


def test_without_a_test_row_there_is_no_figure(paper, tmp_path):
  rows = [r | {'split': 'train'} for r in paper[0]]
  assert figures.update(tmp_path, 'made_up', rows, []) == ('', [])
