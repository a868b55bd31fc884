import pytest
import rich.console
from test_claims import (
  FIVE,
  fixed_split,
  paper,
  rows_of,
  train_row,
  with_fields,
)

from assay.claims import Claim, all_of, greater, judge, less
from assay.report import verdicts


def resplit(rows):
  return with_fields(rows, seed_varies='resplit') + train_row(100)


def test_a_failure_at_reduced_scale_says_so():
  judged = judge(paper()[:2], with_fields(FIVE, scale='reduced'))
  assert [verdicts.word_of(j) for j in judged] == ['HOLDS',
                                                   'FAILS here (reduced)']
  other = judge(paper()[:2], with_fields(FIVE, scale='not in the paper'))
  assert [verdicts.word_of(j) for j in other] == [
      'HOLDS', 'FAILS here (not in the paper)']
  text = verdicts.lines(judged)[1]
  assert text.startswith('FAILS here (reduced) wins_big\n')
  assert '5 seeds, reduced; paired t' in text


def test_lines():
  texts = verdicts.lines(judge(paper(), resplit(FIVE)))
  assert texts[0].splitlines() == [
      'HOLDS ALONE wins',
      '           a is above b',
      '           3 [0.224, 5.78] (naive [1.04, 4.96]), 5 seeds, Holm p 0.12',
      '           airfoil, 20 test examples, 5 seeds, as published; corrected '
      'resampled',
      '             t (n_test/n_train 0.2). Source: table 1']
  assert texts[1].endswith('Source: table 1; reported, not gated')
  assert texts[3].splitlines() == [
      'NOT TESTED other',
      '           a beats c',
      '           no row has metric=rmse, split=test, state=best, method=c. '
      'Source:',
      '             table 1']
  assert all('nan' not in t for t in texts)


def test_lines_keep_intervals_whole_and_fit_the_width():
  wide = all_of(greater('rmse', 'a', 'b', by=2), greater('rmse', 'a', 'b'))
  judged = judge((Claim('both', 'Both ' * 40, 'table 1', wide, where={}),),
                 resplit(FIVE))
  for width in 60, 80, 100:
    text, = verdicts.lines(judged, width)
    assert max(map(len, text.splitlines())) <= width
    assert '- a > b by 2: undecided, 3 [0.224, 5.78]\n' in text
    assert '- a > b: holds, 3 [0.224, 5.78]\n' in text
    assert '[0.224, 5.78] (naive' in text
  assert '1 of 2 parts hold' in ' '.join(text.split())


def test_numbers_have_three_digits():
  value = lambda *values: judge((Claim(
      'c', 's', 'src', greater('rmse', 'a', 'b'), where={}),), rows_of(
          'a', values) + rows_of('b', [0.] * len(values)))[0].verdict
  assert verdicts.numbers(value(12345.6)) == '12346 (no interval)'
  assert verdicts.numbers(value(2e-5, 2e-5)) == '2e-05 [-inf, inf]'
  assert verdicts.numbers(value(1., 1.)).startswith('1 [')


@pytest.mark.parametrize('terminal', [False, True])
def test_show_prints_the_lines_and_color_only_adds(monkeypatch, terminal):
  judged = judge(paper(), resplit(FIVE))
  console = rich.console.Console(width=80, record=True, force_terminal=terminal,
                                 color_system='standard' if terminal else None)
  monkeypatch.setattr(rich.console, 'Console', lambda: console)
  verdicts.show(judged)
  colored = console.export_text(clear=False, styles=True)
  assert console.export_text() == '\n'.join(verdicts.lines(judged)) + '\n'
  assert colored.startswith('\x1b[33mHOLDS ALONE\x1b[0m')
  console.export_text()  # which clears
  verdicts.show(judge(paper()[:1], FIVE))
  assert console.export_text(styles=True).startswith(
      '\x1b[1;32mHOLDS\x1b[0m')


def test_markdown_is_a_table_of_equal_rows():
  table = verdicts.markdown(judge(paper(), FIVE)).splitlines()
  assert len(table) == 2 + 5
  bars = [line.replace(r'\|', '').count('|') for line in table]
  assert set(bars) == {8}
  assert r'a \| b, by 6 (table 1; reported, not gated)' in table[3]
  assert verdicts.markdown([]) == ''


def test_markdown_names_what_stands_beside_the_interval():
  naive = verdicts.markdown(judge(paper()[:1], resplit(FIVE))).splitlines()
  assert naive[0].split(' | ')[3] == 'beside it'
  assert naive[2].split(' | ')[2:4] == ['3 [0.224, 5.78]', 'naive [1.04, 4.96]']
  plain = verdicts.markdown(judge(paper()[:1], FIVE)).splitlines()
  assert plain[2].split(' | ')[3] == 'sign flips p 0.062'


def test_the_interval_over_test_examples_is_shown():
  below = less('error', 'a', 'b')
  both = all_of(below, greater('error', 'b', 'a'))
  claims = [Claim(name, 'Below.', 'table 1', check, where={})
            for name, check in (('below', below), ('both', both))]
  judged = judge(claims, fixed_split([10] * 4 + [11], [12] * 4 + [14]))
  low, high = judged[0].verdict.bootstrap
  one, both = verdicts.lines(judged, 100)
  examples = f'[{verdicts.digits(low)}, {verdicts.digits(high)}]'
  text = ' '.join(one.split())
  assert f'-0.022 [-0.0276, -0.0164] (with test examples {examples}), 5' in text
  assert '- b > a: holds, 0.022 [0.0164, 0.0276] (with test examples [' in both
  cells = verdicts.markdown(judged).splitlines()[2].split(' | ')
  assert cells[2:5] == ['-0.022 [-0.0276, -0.0164]',
                        f'examples {examples}; sign flips p 0.062', '5']
  assert ('undecided if test examples vary too' in cells[-1]) == (high >= 0)


def test_markdown_lists_the_parts_of_a_claim_below_each_other():
  both = all_of(greater('rmse', 'a', 'b', by=2), greater('rmse', 'a', 'b'))
  judged = judge((Claim('both', 'Both.', 'table 1', both, where={}),), FIVE)
  cell = verdicts.markdown(judged).splitlines()[2].split(' | ')[-1]
  assert cell.split('<br>')[1:] == [
      'a > b by 2: undecided, 3 [1.04, 4.96]', 'a > b: holds, 3 [1.04, 4.96] |']
