
import numpy as np
import pytest
from test_results import RUN, card, diverged, make_workdir, row

from assay import papers, results
from assay.claims import Claim, within
from assay.errors import UserError
from assay.report import compare, differences

# Mean 0.3, s 0.15811, t(4) at 97.5 % 2.77645: half width 0.19632.
DIFFERENCES = (.1, .2, .3, .4, .5)


def seeds_of(values, **more):
  return [row(float(v), seed, **more) for seed, v in enumerate(values)]


def read(folder, rows, **run):
  """A `Side` of a workdir with these rows."""
  return compare.read(make_workdir(folder, rows, RUN | run))


@pytest.fixture(autouse=True)
def paper(monkeypatch):
  """A paper with two claims, so that these tests need no real experiment."""
  where = {'config': 'small'}
  monkeypatch.setattr(papers, 'configs', lambda name: card(CLAIMS=(
      Claim('low', 'ERM has a low error.', 'table 1',
            within('rmse', 'erm', 0, 5), where=where),
      Claim('mid', 'Between.', 'table 2', within('rmse', 'erm', 4, 6),
            where=where))))


@pytest.fixture
def two(tmp_path):
  """Two sides: five seeds each, B higher by `DIFFERENCES`."""
  def make(varies='fresh', more_a=(), more_b=(), **change):
    a = seeds_of((1, 2, 3, 4, 5)) + list(more_a)
    b = seeds_of(np.arange(1, 6) + DIFFERENCES) + list(more_b)
    if varies == 'resplit':  # n_test / n_train is 200 / 400
      train = seeds_of([1] * 5, split='train', n=400)
      a, b = a + train, b + train
    return (read(tmp_path / 'a', a, seed_varies=varies),
            read(tmp_path / 'b', b, seed_varies=varies, **change))
  return make


def tables_of(parts):
  return {part['config']: part for part in parts if not isinstance(part, str)}


def difference_table(parts):
  table, = [t for title, t in tables_of(parts).items()
            if title.startswith('differences')]
  return [dict(zip(table['columns'], cells, strict=True))
          for cells in table['rows']]


def test_difference_has_the_paired_interval(two):
  found, = differences.between(*(side.rows for side in two()))
  verdict = found.verdict
  np.testing.assert_allclose(
      (*found.means, verdict.estimate, verdict.low, verdict.high),
      (3, 3.3, .3, .103676, .496324), rtol=1e-5)
  assert differences.word_of(found, found.verdict.p) == 'higher'
  assert differences.word_of(found, .06) == 'higher alone'
  assert found.seeds == [0, 1, 2, 3, 4] and verdict.method == 'paired t'
  np.testing.assert_allclose(verdict.p, .013236, rtol=1e-4)


def test_difference_of_resplits_is_corrected(two):
  found, = [d for d in differences.between(*(s.rows for s in two('resplit')))
            if d.cell['split'] == 'test']
  # 2.77645 * 0.15811 * sqrt(1/5 + 1/2)
  np.testing.assert_allclose((found.verdict.low, found.verdict.high),
                             (.3 - .367289, .3 + .367289), rtol=1e-4)
  assert differences.word_of(found, 1) == 'undecided'
  assert 'n_test/n_train 0.5' in found.verdict.method


def test_difference_is_over_the_seeds_that_both_have(two):
  more = [row(9., 7), row(1., 0, method='mixup')]
  a, b = two(more_a=more, more_b=[row(-9., 8)])
  found, = differences.between(a.rows, b.rows)
  assert found.verdict.n == 5 and found.verdict.estimate == pytest.approx(.3)
  text = '\n'.join(p for p in compare.sections(a, b) if isinstance(p, str))
  assert ('Only in A: 2 rows. Whole arms: mixup (1); erm, seed 7 (1).' in text)
  assert 'Only in B: 1 rows. erm, seed 8 (1).' in text


def test_lower_is_named_by_the_side_of_b(two):
  a, b = two()
  found, = differences.between(b.rows, a.rows)
  assert differences.word_of(found, .01) == 'lower'
  assert found.verdict.estimate == pytest.approx(-.3)


def test_swept_arms_and_groups_are_lines_of_their_own(tmp_path):
  rows = [row(1. + seed, seed, bandwidth=width, group=group, config='swept')
          for seed in range(5) for width in (1., 2.) for group in ('', 'left')]
  rows += seeds_of([1, 2, 3, 4, 5], config='swept')  # an arm without
  other = [r | {'value': r['value'] + r.get('bandwidth', 3.)
                + .1 * (r['seed'] % 2)} for r in rows]
  lines = difference_table(compare.sections(
      read(tmp_path / 'a', rows), read(tmp_path / 'b', other)))
  got = {(x['arm'], x['group']): x['difference'].split()[0] for x in lines}
  assert got == {('erm, bandwidth 1', ''): '1.04',
                 ('erm, bandwidth 1', 'left'): '1.04',
                 ('erm, bandwidth 2', ''): '2.04',
                 ('erm, bandwidth 2', 'left'): '2.04', ('erm', ''): '3.04'}


def test_diverged_seeds_are_counted_and_decide_nothing(two):
  a, b = two(more_b=[diverged(seed=5)], more_a=[row(6., 5)])
  line, = difference_table(compare.sections(a, b))
  assert line['outcome'] == 'undecided' and line['Holm p'] == '–'
  assert any('5 of 6 seeds' in title
             for title in tables_of(compare.sections(a, b)))


def test_fewer_than_five_seeds_decide_nothing(tmp_path):
  parts = compare.sections(read(tmp_path / 'a', seeds_of([1, 2])),
                           read(tmp_path / 'b', seeds_of([5, 6.1])))
  assert difference_table(parts)[0]['outcome'] == 'undecided'
  assert 'Fewer than 5 seeds decide nothing.' in parts[-1]


@pytest.mark.parametrize('change, run, text', [
    ({'n': 100}, {}, 'not comparable: n 200 | 100'),
    ({}, {'seed_varies': 'fixed_split'},
     'not comparable: seeds vary fresh | fixed_split')])
def test_other_examples_or_seeds_are_not_tested(tmp_path, change, run, text):
  a = read(tmp_path / 'a', seeds_of([1, 2, 3, 4, 5]))
  b = read(tmp_path / 'b', seeds_of([2, 3, 4, 5, 9], **change), **run)
  line, = difference_table(compare.sections(a, b))
  assert line['outcome'] == text and line['difference'] == '–'


def test_identical_runs_say_so(two):
  a, _ = two(more_a=[diverged(seed=5)])
  parts = compare.sections(a, a)
  assert 'Same values in all 6 rows, bit for bit.' in parts
  assert not any('differences' in title for title in tables_of(parts))
  verdicts = tables_of(parts)['verdicts: 0 of 2 changed']
  assert [r[-1] for r in verdicts['rows']] == ['', '']


@pytest.mark.parametrize('value', [-0.0, np.nextafter(0, 1)])
def test_one_bit_is_not_the_same(tmp_path, value):
  a = read(tmp_path / 'a', seeds_of([0.]))
  b = read(tmp_path / 'b', seeds_of([value]))
  parts = compare.sections(a, b)
  assert '1 rows in both: the same value, bit for bit, in 0, another in 1.' in (
      parts)


def test_a_changed_verdict_is_marked(tmp_path):
  a = read(tmp_path / 'a', seeds_of([1, 2, 1, 2, 1]))
  b = read(tmp_path / 'b', seeds_of([1, 9, 1, 9, 1]))
  table = tables_of(compare.sections(a, b))['verdicts: 2 of 2 changed']
  # 1.4 ± 2.776 * 0.5477 / sqrt(5); of B the interval is [-1.24, 9.64].
  assert table['rows'] == [
      ['low', 'HOLDS\n1.4 [0.72, 2.08]', 'UNDECIDED\n4.2 [-1.24, 9.64]', 'yes'],
      ['mid', 'FAILS here (reduced)\n1.4 [0.72, 2.08]',
       'UNDECIDED\n4.2 [-1.24, 9.64]', 'yes']]


def test_what_the_runs_differ_in(two):
  a, b = two(config={'width': 3}, commit='f' * 40, wall_seconds=2.)
  table = tables_of(compare.sections(a, b))['runs']
  assert table['rows'] == [
      ['commit', '0123456789ab+', 'f' * 12],
      ['devices', '1 x cpu', '1 x cpu'], ['seconds', '1.5', '2.0'],
      ['config width', '2', '3']]
  assert table['note'] == 'The same: every version.'


def test_variants_of_two_names_are_compared_where_there_is_one_each(tmp_path):
  a = read(tmp_path / 'a', seeds_of([1, 2, 3, 4, 5]))
  b = read(tmp_path / 'b', seeds_of(np.arange(1, 6) + DIFFERENCES,
                                    config='big'))
  line, = difference_table(compare.sections(a, b))
  assert line['difference'] == '0.3 [0.104, 0.496]'


def test_metrics_splits_and_states_are_chosen(tmp_path):
  rows = [row(float(i), metric=metric, split=split, state=state)
          for i, (metric, split, state) in enumerate([
              ('rmse', 'test', 'best'), ('rmse', 'test', 'last'),
              ('rmse', 'val', 'best'), ('mape', 'test', 'last')])]
  sides = (read(tmp_path / 'a', rows), read(tmp_path / 'b', [
      r | {'value': r['value'] + 1} for r in rows]))
  values = lambda **how: [line['A'] for line in difference_table(
      compare.sections(*sides, **how))]
  # Of mape nothing is selected, so its last state counts.
  assert values() == ['0', '3']
  assert values(metrics=('mape',)) == ['3']
  assert values(everything=True) == ['0', '1', '2', '3']
  with pytest.raises(UserError, match='--metric=rsme.* rmse, mape'):
    values(metrics=('rsme',))


def test_other_papers_and_nothing_in_common_are_errors(tmp_path):
  a = read(tmp_path / 'a', seeds_of([1]))
  other = read(tmp_path / 'b', seeds_of([1], paper='other'))
  with pytest.raises(UserError, match='made_up.* of other; compare'):
    compare.sections(a, other)
  apart = read(tmp_path / 'c', [row(1., 9, method='mixup')])
  with pytest.raises(UserError, match='no result in common.*erm.*mixup'):
    compare.sections(a, apart)
  make_workdir(tmp_path / 'd', [row(1.), row(1., paper='other')])
  with pytest.raises(UserError, match='rows of made_up, other; give'):
    compare.read(tmp_path / 'd')


def test_main_prints_both_formats(two, tmp_path, capsys):
  a, b = two()
  wants = {'terminal': ['0.3 [0.104, 0.496]', 'higher', 'paired t'],
           'markdown': ['| 3 | 3.3 | 0.3 [0.104, 0.496] | higher |', '<br>']}
  for form, parts in wants.items():
    assert compare.main([a.path, b.path, f'--format={form}']) == 0
    out = capsys.readouterr().out
    assert all(part in out for part in parts), out
  results.write(tmp_path / 'c.jsonl', seeds_of([1], run='eeeeeeee'))
  for argv, text in [([a.path, str(tmp_path / 'no')], 'no rows there'),
                     ([a.path, str(tmp_path / 'c.jsonl')], 'eeeeeeee'),
                     ([a.path, b.path, '--metric=x'], '--metric=x')]:
    assert compare.main(argv) == 2
    out, err = capsys.readouterr()
    assert out == '' and err.count('\n') == 1 and text in err
