"""Results of any trainer: how they are read, and that verdicts are those of
claims."""

import json
import re

import numpy as np
import pytest
from scipy import stats

from assay import claims, disk, judge, papers, results
from assay.claims import examples as made_up
from assay.errors import UserError
from assay.judge import columns, command, events, folders, names, pairs, plan

OURS = [0.93, 0.94, 0.935, 0.945, 0.932, 0.951]
BASELINE = [0.92, 0.915, 0.925, 0.93, 0.921, 0.924]


def long_csv(more='', head='method,seed,accuracy'):
  lines = [head] + [f'{method},{seed},{value}' for method, values in (
      ('ours', OURS), ('baseline', BASELINE))
                    for seed, value in enumerate(values)]
  return '\n'.join(lines) + '\n' + more


@pytest.fixture
def write(tmp_path):
  def write(text, name='results.csv'):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
  return write


def load(path, **options):
  return columns.load(folders.read([path]), columns.Options(**options))


def run(capsys, *words):
  status = command.main(list(map(str, words)))
  out, err = capsys.readouterr()
  return status, out, err


# --- The same verdict as a claim on rows of Assay's own ----------------------


@pytest.mark.parametrize('varies', ['fresh', 'fixed_split', 'resplit'])
def test_verdict_is_that_of_a_claim(varies):
  fields = dict(config='c', dataset='d', metric='error', split='test', n=200,
                state='last', group='', seed_varies=varies, scale='reduced')
  rows = [fields | dict(method=m, seed=s, value=v) for m, values in (
      ('a', OURS), ('b', BASELINE)) for s, v in enumerate(values)]
  rows.append(rows[0] | dict(split='train', n=800))
  want = claims.less('error', 'a', 'b', by=0.01)(rows)
  got = judge.compare(OURS, BASELINE, varies, train=800, test=200,
                      metric='error', by=0.01, check='less').verdict
  same = dict(tested='', elsewhere='')
  assert got._replace(**same) == want._replace(**same)


@pytest.mark.parametrize('varies', ['fresh', 'fixed_split', 'resplit'])
def test_verdict_is_that_of_a_claim_where_seeds_are_lost(varies):
  ours = {s: (v, '') for s, v in enumerate(OURS)} | {2: (None, 'nan: line 4')}
  baseline = {s: (v, '') for s, v in enumerate(BASELINE) if s != 4}
  rows = [{'method': 'train', 'seed': 0, 'n': 4, 'value': 0, 'split': 'train'}]
  rows += [{'method': m, 'seed': s, 'value': v, 'n': 1, 'split': 'test'}
           | ({'why': why} if why else {})
           for m, own in (('a', ours), ('b', baseline))
           for s, (v, why) in own.items()]
  rows = [dict(config='c', dataset='d', metric='error', state='last', group='',
               seed_varies=varies, scale='reduced') | row for row in rows]
  want = claims.less('error', 'a', 'b')(rows)
  got = judge.by_seed([ours, baseline], ('a', 'b'), judge.Varies(
      varies, 0.25 * (varies == 'resplit')), metric='error', check='less')
  same = dict(tested='', elsewhere='')
  assert got.verdict._replace(**same) == want._replace(**same)
  assert '1 of 6 seeds diverged (nan: line 4) and 1 of 6 seeds missing' in (
      want.note)


def test_p_values_are_scipys():
  c = judge.compare(OURS, BASELINE, 'fresh', metric='accuracy')
  assert c.state == 'holds' and c.check == 'greater'
  assert c.verdict.p == pytest.approx(
      stats.ttest_rel(OURS, BASELINE).pvalue)
  assert c.sd == pytest.approx(np.std(np.subtract(OURS, BASELINE), ddof=1))
  want = stats.permutation_test(
      (np.subtract(OURS, BASELINE),), np.mean, permutation_type='samples',
      n_resamples=np.inf).pvalue
  assert c.verdict.p_sign_flip == pytest.approx(want) == 2 / 2**6
  again = stats.ttest_rel(OURS, BASELINE).confidence_interval()
  assert (c.verdict.low, c.verdict.high) == pytest.approx(tuple(again))


def test_equal_seeds_are_bounded_by_the_range_of_a_metric_in_its_own_unit():
  # Of five equal seeds up to 1 - 0.025^(1/5) = 0.522 may lie elsewhere, in
  # [-1, 1] for fractions; in percent a name says no range.
  low = judge.compare([0.9] * 5, [0.4] * 5, 'fresh', metric='accuracy').verdict
  assert low.low == pytest.approx(0.5 - 0.5218 * 1.5, abs=1e-4)
  percent = judge.compare([90] * 5, [40] * 5, 'fresh', metric='accuracy')
  assert percent.verdict.low == -np.inf and percent.state == 'undecided'


def test_corrected_interval_by_hand():
  # Differences 1, 2, 3, 4, 5: s^2 = 2.5, 1/5 + 1/4 = 0.45, t(4) 2.7764451.
  c = judge.compare([1, 2, 3, 4, 5.], [0, 0, 0, 0, 0], 'resplit', ratio=0.25)
  half = 2.7764451 * np.sqrt(2.5 * 0.45)
  assert c.verdict.high == pytest.approx(3 + half, abs=1e-5)
  assert c.verdict.naive[1] == pytest.approx(3 + 2.7764451 * 0.5**0.5)


def test_sentences_can_be_pasted():
  c = judge.compare(OURS, BASELINE, 'fixed_split', metric='accuracy')
  assert c.sentence == (
      'ours has a higher accuracy than baseline (mean difference 0.0163, 95 % '
      'confidence interval 0.00821 to 0.0245, n = 6 training runs, paired t '
      'test over training runs on one test set, p = 0.0036, sign-flip p = '
      '0.031).')
  worse = judge.compare(BASELINE, OURS, 'fresh', metric='accuracy')
  assert worse.state == 'fails' and worse.sentence.startswith(
      'ours does not have a higher accuracy than baseline (')
  few = judge.compare(OURS[:3], BASELINE[:3], 'fresh', metric='accuracy')
  assert few.sentence.startswith('Whether ours has a higher accuracy than ')
  assert 'fewer than 5 seeds' in few.sentence and few.verdict.p is None
  near = judge.compare(OURS, BASELINE, 'fresh', metric='error', check='equal',
                       by=0.05)
  assert near.sentence.startswith(
      'The error of ours and of baseline differ by less than 0.05 (')
  assert '90 % confidence interval' in near.sentence
  assert '<td>holds</td>' in near._repr_html_() and 'HOLDS' in str(near)


def test_arrays_that_cannot_be_compared():
  for arrays, word in (
      (([1., 2], [1., 2, 3]), 'ours has 2 seeds and baseline 3'),
      (([], []), r'\(0,\)'), (([[1.]], [[1.]]), r'\(1, 1\)'),
      ((['x'], [1.]), 'not all are numbers'),
      (([1e200], [1.]), 'above 1e')):
    with pytest.raises(UserError, match=word):
      judge.compare(*arrays, 'fresh')
  for words, message in (
      ({'check': 'lesser'}, 'use less, greater or equal'),
      ({'check': 'equal'}, 'margin must be a number above 0'),
      ({'by': np.nan}, 'must be a number'), ({'better': 'up'}, 'use higher')):
    with pytest.raises(UserError, match=message):
      judge.compare(OURS, BASELINE, 'fresh', **words)
  with pytest.raises(UserError, match='fresh, resplit, fixed_split'):
    judge.compare(OURS, BASELINE, 'seeds')
  with pytest.raises(UserError, match='training and of test'):
    judge.compare(OURS, BASELINE, 'resplit', train=100)
  lost = judge.compare([np.nan, *OURS[1:]], BASELINE, 'fresh')
  assert lost.state == 'undecided' and '1 of 6 seeds diverged' in str(lost)


# --- Reading ------------------------------------------------------------------


def test_one_table_in_every_form(write, tmp_path):
  want = load(write(long_csv())).cells['', 'accuracy']
  assert want['ours'][1] == (0.94, '')
  records = [dict(zip(('method', 'seed', 'accuracy'), line.split(','),
                      strict=True)) for line in long_csv().split()[1:]]
  for r in records:
    r |= {'seed': int(r['seed']), 'accuracy': float(r['accuracy'])}
  wide = 'seed;ours;baseline\n' + '\n'.join(
      f'{i};{a};{b}' for i, (a, b) in enumerate(zip(OURS, BASELINE,
                                                    strict=True)))
  forms = {
      'a.tsv': long_csv().replace(',', '\t'),
      'b.csv': '\ufeff' + long_csv().replace(',', ';'),
      'c.jsonl': '\n'.join(map(json.dumps, records)),
      'd.json': json.dumps(records),
      'e.json': json.dumps({k: [r[k] for r in records] for k in records[0]}),
      'f.csv': 'algo,trial,metric,score\n' + '\n'.join(
          f'{r["method"]},{r["seed"]},accuracy,{r["accuracy"]}'
          for r in records),
      'h.csv': 'Name,test_metric,x\n' + '\n'.join(
          f'{r["method"]}-seed{r["seed"]},{r["accuracy"]},1' for r in records)}
  for name, text in forms.items():
    got = load(write(text, name)).cells
    (key, methods), = got.items()
    assert methods == want, name
  assert load(write(wide, 'g.csv'), metrics=('accuracy',)
              ).cells['', 'accuracy'] == want
  parquet = pytest.importorskip('pyarrow.parquet')
  import pyarrow
  parquet.write_table(pyarrow.Table.from_pylist(records),
                      tmp_path / 'i.parquet')
  assert load(tmp_path / 'i.parquet').cells['', 'accuracy'] == want
  table = judge.table(records, 'fresh')
  assert len(table) == 1 and table[0].state == 'holds'
  assert 'accuracy' in table._repr_html_() and 'HOLDS' in str(table)


class Frame:
  """What of a pandas data frame is used."""

  def __init__(self, columns):
    self.columns = columns
    self.index = type('Index', (), {'names': [None]})

  def __getitem__(self, name):
    values = self.columns[name]
    return type('Series', (), {'to_list': lambda self: values})()


def test_a_data_frame_is_read_without_pandas():
  frame = Frame({'method': ['a'] * 5 + ['b'] * 5, 'seed': [*range(5)] * 2,
                 'loss': OURS[:5] + BASELINE[:5]})
  c, = judge.table(frame, 'fresh')
  assert (c.ours, c.check, c.better) == ('b', 'less', 'lower')


def test_what_is_guessed_is_said(write):
  data = load(write('algo,run,split,accuracy,lr,energy,status\n' + '\n'.join(
      f'{m},{s},{split},{0.5 + s / 100},{0.1 if m == "a" else 0.2},{s},finished'
      for m in 'ab' for s in range(5) for split in ('train', 'test'))))
  said = '\n'.join(data.said)
  for words in ('method = algo', 'seed = run', 'split = test; 10 others are',
                'not used: lr', 'accuracy (higher is better, by its name)',
                'energy (better which way? give --higher_is'):
    assert words in said, words
  data = load(write(long_csv(head='who,k,accuracy')),
              columns={'method': 'who', 'seed': 'k'})
  assert set(data.methods) == {'ours', 'baseline'}


def test_a_column_that_counts_is_of_seeds(write):
  foreign = long_csv(head='méthode,graine,accuracy')
  assert any('seed = graine' in text for text in load(write(foreign)).said)
  assert load(write(foreign)).metrics == ['accuracy']
  # Not if the methods have other values, or if it has a meaning of its own.
  for head, row in (('method,x,accuracy', 'ours,7,0.9\n'),
                    ('method,epoch,accuracy', '')):
    said = load(write(long_csv(row, head))).said
    assert any('no column of seeds' in text for text in said)


def test_last_value_and_chosen_rows(write):
  text = 'method,seed,epoch,loss\n' + '\n'.join(
      f'{m},{s},{e},{"" if e == 3 else 10 * s + e}'
      for m in 'ab' for s in range(5) for e in range(4))
  path = write(text)
  with pytest.raises(UserError, match=r'lines 2 and 3 .*--where epoch=1.*'
                                      r'--last epoch'):
    load(path)
  last = load(path, last='epoch')
  assert last.cells['', 'loss']['a'][2] == (22, '')  # at 3 nothing was logged
  assert any('10 of 40' in text for text in last.said)
  assert load(path, where={'epoch': '1'}).cells['', 'loss']['b'][0] == (1, '')


BAD = {
    'doubled': ('ours,0,0.5\n', 'lines 2 and 14 both give accuracy of ours, '
                'seed 0; keep one'),
    'text': ('ours,7,good\n', "line 14, column accuracy: 'good' is no number"),
    'huge': ('ours,7,1e300\n', '1e.300 is above 1e.100'),
    'comma': ('ours,7,"0,93"\n', 'decimal point'),
    'mean': ('ours,7,0.9±0.1\n', 'value of each seed'),
    'sign': ('ours,7,93%\n', 'percent sign'),
    'short': ('ours,7\n', 'line 14: 2 cells for 3 columns'),
    'method': (',7,0.5\n', 'line 14, column method: is empty'),
    'seed': ('ours,,0.5\n', 'line 14, column seed: is empty')}


@pytest.mark.parametrize('case', BAD)
def test_bad_rows_are_named(write, case):
  row, words = BAD[case]
  with pytest.raises(UserError, match=words):
    load(write(long_csv(row)))


def test_bad_tables_are_named(write):
  for text, words in (
      ('method,seed,lr,loss\na,0,1,2\na,0,3,4\n',
       'they differ in lr: choose by --where lr=3, or say what lr is by'),
      ('', 'is empty'), ('method,seed,accuracy\n', 'no rows below its head'),
      ('a,a\n1,2\n', "two columns are called 'a'"),
      ('seed,accuracy,loss\n1,2,3\n', 'no column tells the method'),
      ('seed;a;b\n0;0,91;0,92\n', '0,91 in a: write a decimal point'),
      ('method,run_id,error\na,p,1\na,q,2\nb,r,1\nb,s,3\n',
       'no two methods have a seed in common'),
      ('method,seed,error\na\x1b[31m,0,1\nb,0,2\n', 'cannot be printed'),
      ('method,mean,std\na,1,2\nb,1,3\n', 'value of each seed, one a row'),
      ('method,seed,note\na,1,x\nb,1,y\n',
       r'no column holds results \(columns: method, seed, note\); name one by'),
      ('method,seed,metric,x\na,1,loss,2\n',
       'name it by --columns value=COLUMN, one of method, seed, metric, x'),
      ('name,accuracy\nx,1\ny,2\nz,3\nw,3\n', 'tells runs and no methods'),
      ('method,seed,accuracy\na,0,0.91\na,1,.92\nb,0,88\nb,1,90\n',
       'fractions beside percent')):
    with pytest.raises(UserError, match=words):
      load(write(text))
  with pytest.raises(UserError, match='UTF-8'):
    path = write('')
    path.write_bytes(b'\xff\xfe\x00')
    load(path)
  with pytest.raises(UserError, match='line 1: is no JSON'):
    load(write('{oops', 'x.jsonl'))


def test_nothing_is_dropped_in_silence(write):
  # One NaN, one empty cell, one seed that the other lacks, one run killed.
  text = ('method,seed,accuracy,loss,status\n' + ''.join(
      f'{m},{s},{"nan" if (m, s) == ("a", 2) else 0.5 + s / 10},'
      f'{"" if (m, s) == ("b", 3) else s},'
      f'{"crashed" if (m, s) == ("a", 4) else "finished"}\n'
      for m in 'ab' for s in range(6) if (m, s) != ('a', 5)))
  data = load(write(text))
  accuracy, loss = judge.every_pair(data, judge.Varies('fresh'))
  for c in accuracy, loss:
    assert c.state == 'undecided'
    assert '1 of 6 seeds missing' in c.verdict.note
    assert 'status crashed, line 6' in c.verdict.note
  assert '2 of 6 seeds diverged or without a value (nan: line 4' in (
      accuracy.verdict.note)
  assert '2 of 6 seeds without a value' in loss.verdict.note
  assert pairs.lacking(data) == [
      'a has no accuracy of seed 5, a has no loss of seed 5: add it, or '
      'compare by --common on the seeds that both have']
  c = judge.every_pair(data, judge.Varies('fresh'), common=True)[0]
  assert 'on the 5 of 6 seeds that both have' in c.verdict.note


def test_runs_as_mlflow_exports_them(write):
  data = load(write(
      'run_id,status,params.algo,params.seed,metrics.val_loss,start_time\n'
      + '\n'.join(f'{i:x}f,FINISHED,{m},{s},{s + i},2024-01-01 10:0{i}'
                  for i, (m, s) in enumerate((m, s) for m in 'ab'
                                             for s in range(5)))))
  assert data.metrics == ['metrics.val_loss']
  assert data.cells['', 'metrics.val_loss']['b'][1] == (7, '')


def test_seeds_that_are_texts_and_no_seeds(write):
  named = load(write('method,fold,error\n' + '\n'.join(
      f'{m},{fold},{i + (m == "b")}' for m in 'ab'
      for i, fold in enumerate(('x', 'y', 'z', 'u', 'v')))))
  c, = judge.every_pair(named, judge.Varies('fresh'))
  assert c.verdict.estimate == -1 and c.verdict.n == 5
  none = load(write('method,error\n' + '\n'.join(f'{m},{i}' for m in 'ab'
                                                for i in range(5))))
  assert any('paired in their order' in text for text in none.said)


def test_names_tell_which_end_is_better():
  for metric, better in {
      'error': 'lower', 'test/acc': 'higher', 'metrics.val_loss': 'lower',
      'Top-1 Accuracy': 'higher', 'eval_f1': 'higher', 'rmse': 'lower',
      'episode_return': 'higher', 'log_likelihood': 'higher', 'nll': 'lower',
      'negative_log_likelihood': None, 'foo': None,
      'coverage_95': None}.items():
    assert names.better(metric) == better, metric


def test_names_of_runs():
  assert names.of_run('ours/seed3') == ('ours', 3)
  assert names.of_run('sam-rho0.05-s12') == ('sam-rho0.05', 12)
  assert names.of_runs(['net50', 'other101']) is None  # parts of their names
  assert names.of_runs(['a_0', 'a_1', 'b_0', 'b_1'])['b_1'] == ('b', 1)


# --- Folders ------------------------------------------------------------------


def test_tensorboard_events(tmp_path):
  writer = pytest.importorskip('tensorboardX')
  for method, values in (('ours', OURS), ('baseline', BASELINE)):
    for seed, value in enumerate(values):
      with writer.SummaryWriter(str(tmp_path / method / f'seed{seed}')) as log:
        log.add_scalar('test/accuracy', 0.1, 1)
        log.add_scalar('test/accuracy', value, 300)
        log.add_histogram('weights', np.arange(5.), 3)
  data = load(tmp_path)
  cells = data.cells['', 'test/accuracy']
  assert [v for v, _ in cells['ours'].values()] == pytest.approx(OURS)
  path = sorted(tmp_path.rglob('*tfevents*'))[0]
  whole = path.read_bytes()
  path.write_bytes(whole[:-3])  # killed while it wrote
  assert len(list(events.scalars(path))) < 3
  path.write_bytes(b'no events at all, but some text of a kind')
  with pytest.raises(UserError, match='is no TensorBoard event file'):
    list(events.scalars(path))


def test_tensors_of_tensorboard_by_hand(tmp_path):
  # Event: step 7; summary: value: tag `x`, tensor: DT_FLOAT, float_val 0.5.
  tensor = b'\x08\x01' + b'\x2a\x04' + np.float32(0.5).tobytes()
  value = b'\x0a\x01x' + b'\x42' + bytes([len(tensor)]) + tensor
  summary = b'\x0a' + bytes([len(value)]) + value
  event = b'\x10\x07' + b'\x2a' + bytes([len(summary)]) + summary
  path = tmp_path / 'x.tfevents'
  path.write_bytes(len(event).to_bytes(8, 'little') + bytes(4) + event
                   + bytes(4))
  assert list(events.scalars(path)) == [(7, 'x', 0.5)]


def test_samples_of_a_harness(write, tmp_path):
  right = {'big': [1, 1, 1, 0, 1, 1, 1, 1], 'small': [0, 1, 0, 0, 0, 0, 1, 0]}
  for model, scores in right.items():
    for date, flip in (('2024-01-01T00-00-00.1', 1),
                       ('2024-02-01T00-00-00', 0)):
      write('\n'.join(json.dumps({
          'doc_id': i, 'doc': {'q': 'x'}, 'target': 'y', 'filter': 'none',
          'metrics': ['acc'], 'acc': float(s != flip)})
                      for i, s in enumerate(scores)),
            f'{model}/samples_arc_{date}.jsonl')
  data = load(tmp_path)
  assert data.by_example and data.datasets == ['arc']
  assert data.cells['arc', 'acc']['big'][0, '3'] == (0, '')  # the later file


def test_a_chart_of_weights_and_biases(write):
  runs = [(m, s) for m in ('ours', 'base') for s in range(5)]
  head = ['Step'] + [f'{m}-s{s} - acc{end}' for m, s in runs
                     for end in ('', '__MIN', '__MAX')]
  lines = [[str(step)] + [f'{s + step / 10 + (m == "ours")}' if step < 2 else
                          '' for m, s in runs for _ in range(3)]
           for step in range(3)]
  data = load(write('\n'.join(','.join(f'"{c}"' for c in line)
                              for line in (head, *lines))))
  assert data.cells['', 'acc']['ours'][2] == (3.1, '')
  c, = judge.every_pair(data, judge.Varies('fresh'))
  assert c.verdict.estimate == 1


def test_a_file_for_each_method(write, tmp_path):
  for method, values in (('ours', OURS), ('baseline', BASELINE)):
    write('seed,accuracy\n' + '\n'.join(
        f'{i},{v}' for i, v in enumerate(values)), f'{method}.csv')
  assert set(load(tmp_path).methods) == {'ours', 'baseline'}
  write(long_csv(), 'third.csv')
  with pytest.raises(UserError, match='no column of methods, but others have'):
    load(tmp_path)
  with pytest.raises(UserError, match='no such file'):
    load(tmp_path / 'nowhere')


# --- The command --------------------------------------------------------------


def test_without_varies_nothing_is_decided(write, capsys):
  status, out, _ = run(capsys, write(long_csv()))
  assert status == 2 and 'Nothing is decided' in out
  for kind in ('fresh', 'resplit', 'fixed_split'):
    assert f'--varies {kind}: ' in out and f'\n    {kind} ' in out
  assert 'HOLDS' not in out


def test_a_claim_from_the_shell(write, capsys):
  path = write(long_csv())
  status, out, _ = run(
      capsys, path, '--greater', 'accuracy', 'ours', 'baseline', '--varies',
      'resplit', '--train=800', '--test=200')
  want = judge.compare(OURS, BASELINE, 'resplit', train=800, test=200,
                       metric='accuracy')
  assert status == 0 and 'HOLDS' in out and 'n_test/n_train 0.25' in out
  assert want.sentence in ' '.join(out.split())
  status, out, _ = run(capsys, path, '--less', 'accuracy', 'ours', 'baseline',
                       '--varies', 'fresh', '--json')
  found, = json.loads(out)['comparisons']
  assert status == 0 and found['state'] == 'fails' and found['n'] == 6
  equal = write('method,seed,loss\n' + '\n'.join(
      f'{m},{s},{m == "a":d}' for m in 'ab' for s in range(5)), 'equal.csv')
  status, out, _ = run(capsys, equal, '--varies=resplit', '--ratio=1', '--json')
  assert json.loads(out)['comparisons'][0]['naive'] == [None, None]
  near = [path, '--equal', 'accuracy', 'ours', 'baseline', '0.02',
          '--varies=fresh']
  _, out, _ = run(capsys, *near, '--json')
  found, = json.loads(out)['comparisons']
  assert found['state'] == 'undecided'
  needed = found['n_that_would_settle_it']
  assert f'about {needed:,} seeds would settle it' in found['note']
  status, out, _ = run(capsys, path, '--varies', 'fresh', '--latex')
  assert r'\begin{tabular}' in out and '\n% ours has a higher' in out


@pytest.mark.parametrize('words,message', [
    (['--less', 'error', 'ours', 'baseline', '--varies=fresh'],
     "no metric 'error'; use one of accuracy"),
    (['--less', 'accuracy', 'mine', 'baseline', '--varies=fresh'],
     "no method 'mine'; use one of ours, baseline"),
    (['--varies=resplit', '--train=9'], 'train=9, test=None: give the numbers'),
    (['--figure=x.svg'], 'nothing to draw; choose what a seed varies'),
    (['--latex'], 'no comparison to write; choose what a seed varies'),
    (['--varies=fresh', '--where=x=1'], "no column 'x'"),
    (['--varies=fresh', '--where=seed=77'],
     'no row has seed=77; use one of 0, 1, 2, 3, 4, 5.'),
    (['--varies=seeds'], "varies='seeds': use one of fresh, resplit"),
    (['--varies=resplit', '--ratio=0'], 'ratio=0: give the numbers of'),
    (['--varies=fresh', '--columns=who=method'], "no part 'who'"),
    (['--varies=fresh', '--ours=mine'], "no method 'mine'"),
    (['--varies=fresh', '--by=1'], '--by=1 is a margin of'),
    (['--varies=fresh', '--figure=x.gif'], 'must end in .svg'),
    (['--equal', 'accuracy', 'ours', 'baseline', 'x', '--varies=fresh'],
     "MARGIN 'x' is no number")])
def test_what_is_wrong_is_told(write, capsys, words, message):
  status, _, err = run(capsys, write(long_csv()), *words)
  assert status == 2 and message in err and err.count('\n') == 1


def test_claims_of_a_file(write, capsys):
  claims_file = write(
      'from assay import claims\n'
      'CLAIMS = {"better": claims.greater("accuracy", "ours", "baseline"),\n'
      '          "by much": claims.greater("accuracy", "ours", "baseline", '
      '0.1)}\n', 'my_claims.py')
  status, out, _ = run(capsys, write(long_csv()), '--claims', claims_file,
                       '--varies', 'fresh')
  assert status == 0
  assert 'HOLDS      better' in out and 'FAILS      by much' in out
  rows = made_up.rows([
      dict(metric='accuracy', method=m, value=v) for m, v in (
          ('ours', 0.9), ('baseline', 0.7))], num_seeds=6)
  folder = write('', 'work/runs/x').parents[1]
  disk.write_json(folder / 'runs' / ('0' * 8 + '.json'), {
      'seed_varies': 'fresh', 'planned_seeds': 6, 'scale': 'reduced'})
  results.write(folder / 'made.jsonl', [{
      k: v for k, v in row.items() if k not in results.JOINED}
                                        for row in rows])
  status, out, _ = run(capsys, folder, '--claims', claims_file)
  assert status == 0 and out.count('HOLDS') == 2  # rows that Assay wrote
  status, _, err = run(capsys, folder)
  assert status == 2 and 'rows that Assay wrote' in err
  status, _, err = run(capsys, write(long_csv()), '--claims',
                       write('', 'none.py'), '--varies', 'fresh')
  assert status == 2 and 'needs CLAIMS' in err


def test_the_page_names_flags_that_are_there(capsys):
  page = (papers.ROOT / 'docs' / 'judging.md').read_text()
  helps = ''
  for words in ['--help'], ['plan', '--help']:
    with pytest.raises(SystemExit):
      command.main(words)
    helps += capsys.readouterr().out
  for flag in set(re.findall(r'(?<![\w-])--[a-z_]+', page)) - {
      '--log_samples'}:
    assert flag in helps, flag


def test_figures(write, capsys, tmp_path):
  status, _, _ = run(capsys, write(long_csv()), '--varies', 'fresh',
                     '--figure', tmp_path / 'x.svg')
  assert status == 0 and b'<svg' in (tmp_path / 'x.svg').read_bytes()
  path = write(long_csv().replace('ours', '方法 é'))
  _, _, err = run(capsys, path, '--varies', 'fresh', '--figure',
                  tmp_path / 'x.svg')
  assert 'has no 方法, boxes' in err and err.count('\n') == 1


# --- Power --------------------------------------------------------------------


def test_power_is_that_of_others():
  # TTestPower of statsmodels 0.15, level 2.5 %, larger.
  for n, effect, want in ((10, 1.0, 0.8030968), (34, 0.5, 0.8077767)):
    assert plan.power(n, effect, 1) == pytest.approx(want, abs=1e-6)


def test_power_is_the_share_of_decided_samples():
  # Re-splits as the correction has it: correlation r / (1 + r), so a shift
  # common to all of standard deviation s * sqrt(r).
  rng, ratio, n = np.random.default_rng(0), 0.25, 10
  values = 1.5 + rng.normal(size=(4000, n)) + 0.5 * rng.normal(size=(4000, 1))
  low = [claims.intervals.t_interval(v, ratio)[0] for v in values]
  assert np.mean(np.greater(low, 0)) == pytest.approx(
      plan.power(n, 1.5, 1, ratio), abs=0.025)


def test_plan_says_whether_any_number_would_do(capsys):
  found = plan.plan(0.5, 1.2, 'resplit', ratio=0.2)
  assert found['seeds'] is None
  assert found['limit'] == pytest.approx(stats.norm.cdf(
      0.5 / (1.2 * 0.2**0.5) - stats.norm.ppf(0.975)))
  assert plan.plan(0.5, 1, 'fresh')['seeds'] == 34
  assert plan.main(['--effect=0.5', '--sd=1.2', '--varies=resplit',
                    '--ratio=0.2']) == 0
  assert 'No number of re-splits reaches 80 %' in capsys.readouterr().out
  for words in (['--effect=0', '--sd=1'], ['--effect=1', '--sd=0']):
    assert plan.main([*words, '--varies=fresh']) == 2
    assert 'give the' in capsys.readouterr().err
