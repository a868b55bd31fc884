"""Tests on single examples, and over many data sets, against others."""

import json
import time

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from assay import claims, judge
from assay.errors import UserError
from assay.judge import columns, command, examples, files, many
from benchmarks import judging

RNG = np.random.default_rng(0)


# --- Right or wrong ----------------------------------------------------------


def test_mcnemar_is_scipys_binomial_test():
  # 121 examples only ours has right, 59 only the baseline, 134 are alike.
  ours = np.repeat([1, 0, 1, 0], [121, 59, 101, 33])
  baseline = np.repeat([0, 1, 1, 0], [121, 59, 101, 33])
  c = examples.mcnemar(ours, baseline)
  want = stats.binomtest(121, 180)
  assert c.verdict.p == pytest.approx(want.pvalue)
  assert c.verdict.p == pytest.approx(4.4344490e-06)  # statsmodels, exact
  assert c.verdict.estimate == pytest.approx(62 / 314)
  low, high = want.proportion_ci(0.95, method='exact')
  assert c.verdict.low == pytest.approx((2 * low - 1) * 180 / 314)
  assert c.verdict.high == pytest.approx((2 * high - 1) * 180 / 314)
  assert c.state == 'holds' and 'n = 314 examples' in c.sentence


def test_mcnemar_at_its_limits():
  same = examples.mcnemar([1, 0, 1, 1, 0, 1], [1, 0, 1, 1, 0, 1])
  assert same.verdict.p is None and same.state != 'holds'
  assert 'no example tells them apart' in same.verdict.note
  few = examples.mcnemar([1, 1, 0, 1, 1, 1, 0], [0, 1, 0, 1, 1, 1, 0])
  assert few.state == 'undecided' and 'examples would settle it' in (
      few.verdict.note)
  with pytest.raises(UserError, match='must be 0 or 1'):
    examples.mcnemar([0.5], [1])
  with pytest.raises(UserError, match='same examples'):
    examples.mcnemar([0, 1], [1])


# --- Losses ------------------------------------------------------------------


def test_paired_is_scipys_t_with_a_bootstrap_beside():
  a, b = RNG.gamma(1, size=(2, 300))
  c = examples.paired(a, b - 0.1, check='less')
  want = stats.ttest_rel(a, b - 0.1)
  assert c.verdict.p == pytest.approx(want.pvalue)
  again = stats.bootstrap((a - b + 0.1,), np.mean, method='percentile',
                          n_resamples=4000, rng=1).confidence_interval
  np.testing.assert_allclose(c.verdict.bootstrap, again, atol=0.015)
  with pytest.raises(UserError, match='not finite'):
    examples.paired([np.nan, 1], [1, 2])


def test_several_runs_have_both_levels():
  wrong = RNG.random((2, 6, 80)) < np.array([0.2, 0.35])[:, None, None]
  c = examples.two_level(*wrong, 'error')
  differences = wrong[0].mean(1) - wrong[1].mean(1)
  assert (c.verdict.low, c.verdict.high) == pytest.approx(
      claims.intervals.t_interval(differences))
  assert c.verdict.bootstrap == claims.intervals.two_level_bootstrap(
      wrong, lambda x: x[0] - x[1])
  assert c.verdict.n == 6 and c.unit == 'training runs'


# --- AUROC -------------------------------------------------------------------


def delong_by_pairs(x, labels):
  """(difference, its standard error) by counting all pairs, with loops."""
  kernels = []
  for scores in x:
    positive, negative = scores[labels == 1], scores[labels == 0]
    kernels.append(np.array([[1. if p > n else 0.5 if p == n else 0.
                              for n in negative] for p in positive]))
  v10 = np.cov([k.mean(axis=1) for k in kernels])
  v01 = np.cov([k.mean(axis=0) for k in kernels])
  s = v10 / kernels[0].shape[0] + v01 / kernels[0].shape[1]
  return (kernels[0].mean() - kernels[1].mean(),
          np.sqrt(s[0, 0] + s[1, 1] - 2 * s[0, 1]))


def test_delong_by_all_pairs():
  labels = (RNG.random(90) < 0.3).astype(int)
  x = (RNG.normal(size=(2, 90)) + labels * [[1.5], [0.6]]).round(1)  # ties
  want, error = delong_by_pairs(x, labels)
  c = examples.delong(*x, labels)
  assert c.means[0] == pytest.approx(metrics.roc_auc_score(labels, x[0]))
  assert c.verdict.estimate == pytest.approx(want)
  assert c.verdict.p == pytest.approx(2 * stats.norm.sf(abs(want) / error))
  assert c.verdict.high - want == pytest.approx(1.959964 * error)
  with pytest.raises(UserError, match='two or more examples of each'):
    examples.delong(*x, np.zeros(90, int))
  same = examples.delong(x[0], x[0], labels)
  assert same.verdict.p is None and same.state == 'fails'


def test_examples_from_a_file(tmp_path, capsys):
  path = tmp_path / 'x.csv'
  label = RNG.integers(2, size=60)
  scores = {'ours': label + RNG.normal(size=60) / 2,
            'base': RNG.normal(size=60)}
  path.write_text('method,example,label,p,right\n' + '\n'.join(
      f'{m},{i},{label[i]},{s[i]},{int((s[i] > 0.5) == label[i])}'
      for m, s in scores.items() for i in range(60)))
  assert command.main([str(path)]) == 0  # nobody asks what seeds vary
  out = ' '.join(capsys.readouterr().out.split())
  assert 'higher auroc of p than base' in out and "DeLong's test" in out
  assert 'exact McNemar test' in out
  path.write_text(path.read_text().rpartition('\n')[0])
  assert command.main([str(path)]) == 2
  assert 'there for one of base and ours only' in capsys.readouterr().err


def test_a_hundred_thousand_rows_take_seconds(tmp_path, capsys):
  path, right = tmp_path / 'x.csv', RNG.random((5, 20_000)) < 0.7
  path.write_text('model,example,correct\n' + ''.join(
      f'{m},{i},{int(v)}\n' for m, own in zip('abcde', right, strict=True)
      for i, v in enumerate(own)))
  start = time.process_time()
  assert command.main([str(path)]) == 0
  assert time.process_time() - start < 5  # 0.8 on a quiet machine
  assert len(capsys.readouterr().out.splitlines()) == 16


# --- Many data sets ----------------------------------------------------------

# Made up: 14 data sets of unlike difficulty, four methods, `d` a little ahead;
# rounded, so that there are ties.
METHODS = ['a', 'b', 'c', 'd']
TABLE = (np.random.default_rng(5).uniform(0.5, 0.9, (14, 1))
         + np.random.default_rng(6).normal(0, 0.015, (14, 4))
         + [0, 0.005, 0.005, 0.015]).round(2)


def ranks_by_hand(table, sign):
  """(mean ranks [k], rank 1 the best; critical difference) by scipy."""
  count, k = table.shape
  ranks = stats.rankdata(-sign * table, axis=1).mean(axis=0)
  quantile = stats.studentized_range.ppf(0.95, k, np.inf) / np.sqrt(2)
  return ranks, quantile * np.sqrt(k * (k + 1) / (6 * count))


@pytest.mark.parametrize('better, sign', [('higher', 1), ('lower', -1)])
@pytest.mark.parametrize('gain', [0, 1])
def test_ranks_are_scipys(better, sign, gain):
  table = TABLE + sign * gain * np.array([0, 0, 0, 1])
  assert any(len(set(row)) < 4 for row in table)  # ties
  found = many.friedman(table, METHODS, better)
  ranks, critical = ranks_by_hand(table, sign)
  got = dict(zip(found.methods, found.ranks, strict=True))
  assert [got[m] for m in METHODS] == pytest.approx(ranks)
  assert list(found.ranks) == sorted(found.ranks)
  assert found.critical_difference == pytest.approx(critical, abs=1e-5)
  want = stats.friedmanchisquare(*table.T).statistic
  assert found.chi2 == pytest.approx(want)
  assert found.p == pytest.approx(stats.f.sf(
      13 * want / (14 * 3 - want), 3, 3 * 13))  # Iman and Davenport
  apart = {(a, b) for a, x in zip(METHODS, ranks, strict=True)
           for b, y in zip(METHODS, ranks, strict=True) if y - x >= critical}
  assert set(found.differ) == (apart if found.p < 0.05 else set())
  assert not gain or found.p < 0.05 and {('d', m) for m in 'abc'} & apart
  for first, last in found.cliques if found.p < 0.05 else ():
    assert found.ranks[last] - found.ranks[first] < critical


@pytest.mark.parametrize('k', [3, 7, 15])
def test_quantile_of_the_range_is_scipys(k):
  assert many.studentized_range(0.95, k) == pytest.approx(
      stats.studentized_range.ppf(0.95, k, np.inf), abs=1e-6)


INDEX = np.arange(20)
A, B = np.sin(INDEX * 1.7) + 0.3, np.sin(INDEX * 1.7 + 0.4)
# baycomp 1.0.3, two_on_single(A, B, rope): A better, rope, B better. Its
# correlation of 1 / n says n_test / n_train = 1 / (n - 1).
BAYCOMP = {0.1: (0.96651018, 0.03318929, 0.00030053),
           0.05: (0.98875355, 0.01021427, 0.00103218)}


def test_correlated_t_is_baycomps():
  for rope, want in BAYCOMP.items():
    below, inside, above = many.correlated_t(A - B, 1 / 19, rope)
    assert (above, inside, below) == pytest.approx(want, abs=1e-5)
  assert many.correlated_t([1., 1.], 0.2, 0.5) == (0, 0, 1)
  with pytest.raises(UserError, match='two or more'):
    many.correlated_t([1.], 0.2)


S = np.sin(np.arange(30).reshape(5, 6) * 2.1) ** 2
T = np.sin(np.arange(30).reshape(5, 6) * 1.3 + 1) ** 2
# rliable 1.2.0: aggregate_iqm, probability_of_improvement with their stratified
# bootstrap, and create_performance_profile at 0.25, 0.5, 0.75.
IQM, IQM_INTERVAL = 0.5708671287463996, (0.55352988, 0.59016104)
IMPROVEMENT, IMPROVEMENT_INTERVAL = 0.4833333333333332, (0.3367, 0.62)
PROFILE = [2 / 3, 2 / 3, 1 / 3]


def test_few_runs_are_rliables():
  found = many.few_runs({'s': S, 't': T})
  value, low, high = found['iqm']['s']
  assert value == pytest.approx(IQM) == pytest.approx(
      stats.trim_mean(S, 0.25, axis=None))
  assert (low, high) == pytest.approx(IQM_INTERVAL, abs=0.02)
  value, low, high = found['improvement']['s', 't']
  assert value == pytest.approx(IMPROVEMENT)
  assert (low, high) == pytest.approx(IMPROVEMENT_INTERVAL, abs=0.03)
  assert value == pytest.approx(np.mean([stats.mannwhitneyu(
      S[:, i], T[:, i]).statistic / 25 for i in range(6)]))
  lower = many.few_runs({'s': S, 't': T}, 'lower')
  assert lower['improvement']['s', 't'][0] == pytest.approx(1 - value)
  np.testing.assert_allclose(
      many.performance_profile(S, [0.25, 0.5, 0.75]), PROFILE)


def many_csv(lose=''):
  rng = np.random.default_rng(1)
  return 'method,task,seed,accuracy\n' + '\n'.join(
      f'{m},{d},{s},{0.5 + d / 20 + gain + rng.normal() / 50:.4f}'
      for d in range(6) for m, gain in (('ours', 0.1), ('x', 0.02), ('y', 0))
      for s in range(5) if f'{m}{d}' != lose)


def test_many_data_sets_from_a_file(tmp_path, capsys):
  path = tmp_path / 'x.csv'
  path.write_text(many_csv())
  words = [str(path), '--varies=fixed_split']
  assert command.main([*words, '--figure', str(tmp_path / 'x.png')]) == 0
  out = capsys.readouterr().out
  assert 'mean rank  1.00  ours  interquartile mean 0.7' in out
  assert 'Told apart: ours before' in out and 'P(ours is better than x)' in out
  data = columns.load(files.read(path))
  made = judge.every_pair(data, judge.Varies('fixed_split'), 'ours')
  won = sum(c.corrected == 'holds' for c in made)
  assert sum(r['win'] for r in many.records(made).values()) == won > 6
  assert (tmp_path / 'x.png').stat().st_size > 10_000
  path.write_text(many_csv(lose='y3'))
  assert command.main([*words, '--json']) == 0
  found = json.loads(capsys.readouterr().out)
  assert found['summaries'][0]['datasets'] == 5
  assert any('1 of 6 data sets lack a method' in t for t in found['said'])


def test_one_value_a_data_set(tmp_path, capsys):
  path = tmp_path / 'x.csv'
  path.write_text('dataset,a,b\n' + '\n'.join(
      f'd{i},{x[0]},{x[3]}' for i, x in enumerate(TABLE)))
  assert command.main([str(path), '--higher_is_better', '--json']) == 0
  pair = json.loads(capsys.readouterr().out)['summaries'][0]['pair']
  assert pair['n'] == 14 and pair['p'] == pytest.approx(
      stats.ttest_rel(TABLE[:, 0], TABLE[:, 3]).pvalue)
  assert 'data sets' in pair['sentence']


def test_a_region_of_practical_equivalence(tmp_path, capsys):
  path = tmp_path / 'x.csv'
  path.write_text('fold,a,b\n' + '\n'.join(
      f'{i},{a},{b}' for i, (a, b) in enumerate(zip(A, B, strict=True))))
  assert command.main([str(path), '--higher_is_better', '--varies=resplit',
                       f'--ratio={1 / 19}', '--rope=0.1']) == 0
  out = capsys.readouterr().out
  assert f'within ± 0.1 with {BAYCOMP[0.1][1]:.3f}' in ' '.join(out.split())


# --- Rates of false verdicts -------------------------------------------------


def test_rates_are_counted(monkeypatch, capsys):
  monkeypatch.setattr(judging, 'anchors', lambda: {
      'always': lambda a, b, ratio: True, 'baycomp': lambda a, b, ratio: False})
  assert judging.main(['--quick']) == 0
  lines = capsys.readouterr().out.splitlines()
  seeds = [line.split(' | ') for line in lines if line.startswith('| normal')]
  assert len(seeds) == 9  # three numbers of seeds, twice, and of data sets
  assert [row[-1] for row in seeds[:6]] == ['100.0 |'] * 3 + ['0.0 |'] * 3
  assert judging.share([True, False, False, False]) == '25.0'
  # Columns a + 0, a + 9, a + 9: two of three pairs differ for sure.
  a = np.arange(8.)
  assert judging.any_pair(np.stack([a, a + 9 + a % 2, a + 9 + a % 3], 1))
  assert not judging.any_pair(np.random.default_rng(0).normal(size=(8, 3)))


@pytest.mark.parametrize('law', judging.LAWS)
def test_laws_have_mean_zero(law):
  x = judging.LAWS[law](np.random.default_rng(0), 100_000)
  assert abs(x.mean()) < 4 * x.std() / 100_000**0.5
