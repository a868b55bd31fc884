import itertools
import math
import os

import pytest
import rich.console
from test_results import REPORTED, diverged, error_row, row

from assay.errors import UserError
from assay.report import tables


def test_summarize_by_hand():
  rows = [row(1.0), row(2.0, seed=1), row(4.0, seed=2), diverged(seed=3),
          row(7.0, state='last'), row(7.0, split='val'), row(7.0, group='a'),
          row(7.0, metric='mape'), row(5.0, method='mixup', rho=0.5),
          diverged(method='sam')]
  key = {'config': 'small', 'dataset': 'airfoil', 'rho': None}
  # Deviations -4/3, -1/3, 5/3: squares sum to 42/9, by n - 1 = 2: 7/3.
  assert tables.summarize(rows, 'rmse') == [
      key | {'method': 'erm', 'mean': pytest.approx(7 / 3),
             'std': pytest.approx(math.sqrt(7 / 3)), 'n': 3,
             'lost': {'diverged': 1}},
      key | {'method': 'mixup', 'rho': 0.5, 'mean': 5.0, 'std': None, 'n': 1,
             'lost': {}},
      key | {'method': 'sam', 'mean': None, 'std': None, 'n': 0,
             'lost': {'diverged': 1}}]
  assert tables.summarize(rows, 'rmse', ['method'], group='a') == [
      {'method': 'erm', 'mean': 7.0, 'std': None, 'n': 1, 'lost': {}}]


@pytest.mark.parametrize('mean, std, text', [
    (2.8304, 0.1871, '2.83 ± 0.19'), (2.7168, 0.0671, '2.717 ± 0.067'),
    (0.02361, 0.00312, '0.0236 ± 0.0031'), (3.0, 0.0996, '3.00 ± 0.10'),
    (125.04, 12.3, '125 ± 12'), (5000.4, 1234.0, '5000 ± 1234'),
    (-1.0, 1.0, '-1.0 ± 1.0'), (2.71828, None, '2.718'),
    (2.71828, 0.0, '2.718 ± 0'), (2.5, 1e-16, '2.5 ± 1e-16'),
    (3e-12, 2e-13, '3e-12 ± 2e-13')])
def test_digits_follow_the_std(mean, std, text):
  assert tables.number(mean, std) == text


def made_up_rows():
  return [row(2.0, method='c_mixup'), row(3.0, seed=1, method='c_mixup'),
          row(2.5), row(2.5, seed=1), diverged(seed=2),
          row(0.123456, metric='mape'), row(0.8, state='last'),
          row(0.29, metric='effective_partners', split='train',
              method='c_mixup'),
          row(0.3, metric='effective_partners', split='train', seed=1,
              method='c_mixup')]


def test_devices_of_two_kinds_are_not_counted_as_one():
  run = {'device_kind': 'cpu', 'device_count': 5}
  assert tables.devices(run) == '5 x cpu'
  # It began on one GPU; the five are those that it ended on.
  assert tables.devices(run | {'device_kind': 'H100, cpu'}) == 'H100, cpu'
  assert tables.devices({}) == 'unknown x unknown'


def test_table_by_hand():
  got = tables.table(made_up_rows(), REPORTED, ['rmse', 'mape'],
                     (('effective_partners', 'train', '%'),))
  assert got.pop('arms') == [{'dataset': 'airfoil', 'method': m}
                             for m in ('erm', 'c_mixup')]
  metric, split, (first, second) = got.pop('cells')['mape']
  assert (metric, split, first['mean'], second) == (
      'mape', 'test', 0.123456, None)
  assert got == {
      'config': 'small', 'metrics': ['rmse', 'mape'], 'labels': 1,
      'columns': ['arm', 'rmse', 'rmse published', 'mape',
                  'effective_partners, train'],
      'rows': [['erm', '2.5 ± 0 (2, 1 diverged)',
                '2.901 ± 0.067 (3) 2src', '0.1235 (1)', '–'],
               ['c_mixup', '2.50 ± 0.71 (2)', '2.7 recall', '–',
                '29.5 %']],
      'note': 'Published: table 1. 2src: means agree with an independent '
              'restatement; recall: from memory, not re-read.'}


def test_a_seed_without_a_value_says_what_became_of_it():
  rows = [row(2.0)] + [row(None, seed, why=why) for seed, why in enumerate((
      'not left in 2500 steps', 'not reached in 9 steps', 'not defined',
      'loss not finite after step 7'), 1)]
  assert tables.table(rows, {})['rows'] == [
      ['erm', '2 (1, 2 not reached, 1 not defined, 1 diverged)']]


def test_table_shows_by_default_what_is_published_or_else_everything():
  assert tables.table(made_up_rows(), REPORTED)['metrics'] == ['rmse']
  assert tables.table(made_up_rows(), {})['columns'] == ['arm', 'rmse', 'mape']


def test_published_value_stands_beside_its_own_sweep_value_only():
  rows = [row(2.0, method='c_mixup', bandwidth=b)
          for b in (math.inf, 1.75, 0.5)] + [row(2.5)]
  got = tables.table(rows, REPORTED)
  assert got['columns'] == ['arm', 'bandwidth', 'rmse', 'rmse published']
  assert [(r[0], r[1], r[3]) for r in got['rows']] == [
      ('erm', '–', '2.901 ± 0.067 (3) 2src'),
      ('c_mixup', '0.5', '–'), ('c_mixup', '1.75', '2.7 recall'),
      ('c_mixup', 'inf', '–')]


def test_table_without_selection_shows_the_last_state():
  got = tables.table([row(2.0, state='last')], {})
  assert got['rows'] == [['erm', '2 (1)']]


def test_further_columns_are_those_that_were_measured():
  rows = [row(2.0), row(3.0, method='sam'), row(.5, split='masked'),
          row(9., metric='sharpness', split='train', method='sam'),
          row(7., split='masked', method='sam', epoch=3)]  # of another table
  got = tables.table(rows, {}, more=(
      ('rmse', 'masked'), ('sharpness', 'train'), ('mape', 'masked')))
  assert got['columns'] == ['arm', 'rmse', 'rmse, masked', 'sharpness, train']
  assert got['rows'] == [['erm', '2 (1)', '0.5 (1)', '–'],
                         ['sam', '3 (1)', '–', '9 (1)']]


def test_table_names_data_sets_only_if_there_are_several():
  got = tables.table([row(2.0), row(3.0, dataset='no2')], {})
  assert got['columns'] == ['dataset', 'arm', 'rmse']
  assert got['rows'] == [['airfoil', 'erm', '2 (1)'], ['no2', 'erm', '3 (1)']]


def test_a_table_of_two_configs_is_refused():
  with pytest.raises(UserError, match='one config'):
    tables.table([row(), row(config='big')], {})


def test_arms_of_all_types_have_an_order():
  values = ['b', 2, None, math.inf, 'a', 0.5]
  rows = [row(rho=v) if v is not None else row() for v in values]
  assert tables.sorted_arms(rows, {}, ['method', 'rho']) == [
      ('erm', v) for v in (None, 0.5, 2, math.inf, 'a', 'b')]


def shown(table, width):
  console = rich.console.Console(width=width, file=open(os.devnull, 'w'),
                                 record=True)
  console.print(tables.to_terminal(table, width))
  text = console.export_text()
  assert max(map(len, text.splitlines())) <= width and '…' not in text
  return text


@pytest.mark.parametrize('width', [80, 120])
def test_terminal_never_truncates_or_breaks_an_arm_or_a_number(width):
  rows = []
  for seed, (i, method) in itertools.product(
      range(3), enumerate(['c_mixup', 'manifold_mixup', 'erm'])):
    for metric in 'rmse', 'mape', 'pearson':
      more = {'bandwidth': 0.0123 * i} if i else {}
      rows += [row(123.4 + i + 0.1 * seed, seed, method, metric=metric, **more),
               diverged(seed=9, method=method, metric=metric, **more)]
  table = tables.table(rows, REPORTED, ['rmse', 'mape', 'pearson'])
  text = shown(table, width)
  for cell in (c for r in table['rows'] for c in r):
    assert cell in text
  assert text.count('± 0.10 (3, 3 diverged)') == 9
  assert '2.901 ± 0.067 (3) 2src' in text
  assert ' '.join(text.split()).endswith(table['note'])


def test_terminal_shows_as_many_metrics_side_by_side_as_fit():
  rows = [row(v, s, m, metric=metric) for s, v in enumerate([2.0, 3.0])
          for m in ('erm', 'manifold_c_mixup')
          for metric in ('rmse', 'mape', 'nll')]
  heads = {width: [line.split() for line in shown(
      tables.table(rows, {}), width).splitlines() if 'arm' in line]
           for width in (80, 60, 40)}
  assert heads == {80: [['arm', 'rmse', 'mape', 'nll']],
                   60: [['arm', 'rmse', 'mape'], ['arm', 'nll']],
                   40: [['arm', m] for m in ('rmse', 'mape', 'nll')]}


def test_terminal_puts_many_settings_into_one_column_of_text():
  fields = {'learning_rate': 0.003, 'width': 256, 'bandwidth': 1.75,
            'alpha': 2.0, 'similarity': 'hidden'}
  table = tables.table([row(2.0, s, 'manifold_c_mixup', **fields)
                        for s in range(2)] + [row(1.0)], {})
  assert 'learning_rate' in shown(table, 120).splitlines()[1]
  narrow = shown(table, 60)
  assert narrow.splitlines()[1].split() == ['arm', 'settings', 'rmse']
  assert 'manifold_c_mixup' in narrow and '2 ± 0 (2)' in narrow
  for word in 'learning_rate', '0.003,', 'hidden':
    assert word in narrow


def test_terminal_breaks_long_names_rather_than_numbers():
  table = tables.table([row(1.0, method='long name ' * 20, sweep_field=0.5),
                        row(2.0, 1, 'long name ' * 20, sweep_field=0.5)], {})
  assert '1.50 ± 0.71' in shown(table, 50)


def test_terminal_takes_brackets_as_they_are():
  assert 'a[red]b' in shown(tables.table([row(method='a[red]b')], {}), 80)


def test_what_is_attached_to_a_value_is_no_sweep_field():
  rows = [error_row([True, False]), error_row([False, True], seed=1),
          row(0.5, 2, metric='error'), diverged(seed=3, metric='error')]
  assert tables.sweep_fields(rows) == []
  assert tables.table(rows, {})['rows'] == [
      ['erm', '0.5 ± 0 (3, 1 diverged)']]


def test_a_table_lists_only_arms_of_the_shown_split_and_state():
  rows = [row(1.0), row(0.5, method='mixup', split='val', setting=3)]
  rows += [row(2.0, state='last', epoch=e) for e in (1, 2)]
  assert tables.table(rows, {})['rows'] == [['erm', '1 (1)']]
  assert tables.table(rows, {})['columns'] == ['arm', 'rmse']


def test_effective_partners_are_those_of_the_reported_runs():
  trial = dict(metric='effective_partners', split='train', state='last')
  rows = [row(1.0, alpha=2.0), row(0.2876, alpha=2.0, **trial),
          row(0.9, 100, alpha=2.0, setting=7, **trial)]
  assert tables.table(rows, {}, more=(('effective_partners', 'train', '%'),))[
      'rows'] == [['erm', '2', '1 (1)', '28.8 %']]


def test_markdown_by_hand():
  table = {'config': 'x', 'metrics': ['e'], 'columns': ['arm', 'e'],
           'rows': [['a|b', '1 (1)']], 'note': ''}
  assert tables.to_markdown(table) == (
      '| arm | e |\n| :-- | --: |\n| a\\|b | 1 (1) |')
  assert tables.to_markdown(table | {'note': 'why'}).endswith('(1) |\n\nwhy')


def test_latex_escapes_and_uses_booktabs():
  table = {'config': 'x', 'metrics': ['e'], 'columns': ['arm', 'e_1'],
           'rows': [['a_b&c%d$e#f{g}', '1 ± 2'], ['\\~^', '–']],
           'note': '1 %'}
  assert tables.to_latex(table) == r"""
\begin{tabular}{lr}
\toprule
arm & e\_1 \\
\midrule
a\_b\&c\%d\$e\#f\{g\} & 1 $\pm$ 2 \\
\textbackslash{}\textasciitilde{}\textasciicircum{} & -- \\
\bottomrule
\end{tabular}
\par\footnotesize 1 \%""".strip()


def test_a_published_number_is_of_the_sweep_value_that_it_names():
  by, entry = ['dataset', 'method', 'rate', 'told'], {'mean': 1., 'told': True}
  arms = [('toy', 'maml', .1, True), ('toy', 'maml', .3, False)]  # rates: tuned
  of = lambda entry: [tables.published({'toy': {'maml': {'mse': entry}}}, 'mse',
                                       arm, arms, by) for arm in arms]
  assert of(entry) == [entry, None]
  assert of(entry | {'rate': .3}) == [None, None]  # it names another rate
  assert of({'mean': 1.}) == [None, None]  # it does not say which
