import math
import os

from matplotlib import image
from matplotlib.text import Text
import numpy as np
import pytest

from assay import claims, papers
from assay.errors import UserError
from assay.metrics import calibration, selective
from assay.report import plots, tables

REPORTED = {'airfoil': {
    'mixup': {'rmse': dict(mean=3.73, std=0.19, n=3)},
    'erm': {'rmse': dict(mean=2.9, std=None, n=3)}}}


def row(value, seed=0, method='erm', **more):
  return {'paper': 'made_up', 'config': 'small', 'run': '0123abcd',
          'dataset': 'airfoil', 'method': method, 'seed': seed,
          'split': 'test', 'group': '', 'metric': 'rmse', 'value': value,
          'n': 200, 'step': 10, 'state': 'best', 'seed_varies': 'fresh',
          'scale': 'reduced'} | more


def three_arms():
  """Means 2, 4 and, with one seed diverged, 7; other rows must not show."""
  rows = [row(v, s) for s, v in enumerate([1.0, 2.0, 3.0])]
  rows += [row(v, s, 'mixup') for s, v in enumerate([3.0, 4.0, 5.0])]
  rows += [row(v, s, 'sam', rho=0.5) for s, v in enumerate([6.0, 8.0])]
  rows += [row(None, 2, 'sam', rho=0.5, why='loss is nan')]
  return rows + [row(99.0, state='last'), row(99.0, split='train'),
                 row(99.0, group='a'), row(99.0, metric='mape')]


def lines(axes, marker, size=None):
  """[(x, y)] of the drawn lines with a marker; those with data."""
  return [(list(line.get_xdata()), list(line.get_ydata()))
          for line in axes.lines if line.get_marker() == marker
          and len(line.get_xdata())
          and size in (None, line.get_markersize())]


def bars(axes):
  """[(x, y)] of the drawn lines with neither a marker nor a fixed end."""
  return lines(axes, 'None')


def texts(axes):
  return [t.get_text() for t in axes.texts]


def legend(axes):
  return [t.get_text() for t in axes.get_legend().get_texts()]


def unreadable(figure):
  """Texts that leave the figure, and pairs of texts on each other."""
  figure.draw_without_rendering()
  shown = [figure._supxlabel] if figure._supxlabel else []
  for axes in figure.axes:
    key = axes.get_legend()
    for axis in axes.xaxis, axes.yaxis:
      low, high = sorted(axis.get_view_interval())
      # A panel that shares its axis has no labels of its own.
      shown += [t for t, at in zip(axis.get_ticklabels(), axis.get_ticklocs(),
                                   strict=False)
                if low <= at <= high and t.get_visible()]
    shown += [*axes.texts, axes.xaxis.label, axes.yaxis.label,
              *(key.get_texts() if key else [])]
  shown = [t for t in shown if t.get_text()]
  # The box of an annotation holds the line to what it names as well.
  boxes = [Text.get_window_extent(t) for t in shown]
  outside = [t.get_text() for t, b in zip(shown, boxes, strict=True)
             if b.x0 < -1 or b.y0 < -1 or b.x1 > figure.bbox.x1 + 1
             or b.y1 > figure.bbox.y1 + 1]
  pairs = [(a.get_text(), b.get_text())
           for i, (a, x) in enumerate(zip(shown, boxes, strict=True))
           for b, y in list(zip(shown, boxes, strict=True))[:i]
           if x.overlaps(y) and not a.get_rotation()]
  return outside + pairs


def test_comparison_draws_seeds_means_published_values_and_differences():
  figure = plots.comparison(three_arms(), 'rmse', REPORTED)
  left, right = figure.axes
  # In the order of the paper's table, the others after it.
  assert [t.get_text() for t in left.get_yticklabels()] == [
      'mixup', 'erm', 'sam']
  assert [x for x, _ in lines(left, 'o', 4)] == [
      [3.0, 4.0, 5.0], [1.0, 2.0, 3.0], [6.0, 8.0]]
  assert lines(left, 'o', 7) == [([4.0], [0]), ([2.0], [1]), ([7.0], [2])]
  # Published spreads are no intervals: a mark alone.
  assert lines(left, 'D') == [([3.73, 2.9], [0.3, 1.3])]
  assert not bars(left)
  # Differences from the first arm; seed 2 of sam has none. The deviation of 3
  # and 4 is sqrt(1/2), t(1) at 0.975 is 12.7062.
  assert lines(right, 'o', 7) == [([-2.0], [1]), ([3.5], [2])]
  # Equal ones of what has no bound have no interval.
  (wide, _), = (b for b in bars(right) if b[1][0] == b[1][1])
  assert wide == pytest.approx([3.5 - 6.3531, 3.5 + 6.3531], abs=1e-4)
  hollow = [line.get_markerfacecolor() for line in right.lines
            if line.get_marker() == 'o']
  assert hollow == ['white', 'white']
  assert texts(right) == [' baseline ', '4.0 ± 1.0 (3)', '2.0 ± 1.0 (3)',
                          '7.0 ± 1.4 (2, 1 diverged)']
  assert legend(left) == ['one seed', 'mean', 'published']
  assert 'mixup' in right.get_xlabel()
  assert left.get_ylim()[0] > left.get_ylim()[1]  # the first arm on top
  assert not unreadable(figure)


def test_intervals_of_a_comparison_are_those_of_verdicts():
  rows = [r | {'seed_varies': 'resplit'} for m, values in (
      ('erm', [1., 2., 3., 5., 4.]), ('mixup', [2., 4., 4., 5., 5.]))
          for r in [row(v, s, m) for s, v in enumerate(values)]
          + [row(0.1, s, m, split='train', n=400) for s in range(5)]]
  figure = plots.comparison(rows, 'rmse', baseline='erm')
  verdict = claims.less('rmse', 'mixup', 'erm')(rows)
  drawn = [x for x, y in bars(figure.axes[1]) if y == [1, 1]]
  assert drawn == [[verdict.low, verdict.high]]
  assert 'corrected resampled t' in figure.get_supxlabel()
  naive = claims.less('rmse', 'mixup', 'erm')(
      [r | {'seed_varies': 'fresh'} for r in rows])
  assert naive.high < verdict.high


def test_a_comparison_goes_without_a_baseline_that_was_not_run():
  figure = plots.comparison(three_arms(), 'rmse', baseline='useful')
  assert 'minus that of erm' in figure.axes[1].get_xlabel()
  rows = three_arms() + [row(1.0, method='sam', rho=2.0)]
  with pytest.raises(UserError, match="no arm 'sam' without sweep fields"):
    plots.comparison(rows, 'rmse', baseline='sam')
  figure = plots.comparison(rows, 'rmse', baseline={'method': 'sam', 'rho': .5})
  assert 'minus that of sam, rho 0.5' in figure.axes[1].get_xlabel()


def test_comparison_without_published_values_or_any_finite_one():
  rows = [row(2.0), row(None, method='sam', why='nan')]
  left, right = plots.comparison(rows, 'rmse').axes
  assert legend(left) == ['one seed', 'mean']
  assert lines(left, 'o', 7) == [([2.0], [0])]
  assert texts(right) == [' baseline ', '2 (1)', '– (0, 1 diverged)']
  assert not lines(right, 'o')
  axes, = plots.comparison(rows[:1], 'rmse').axes  # nothing to compare with
  assert texts(axes) == ['2 (1)']


def test_one_figure_is_one_config_and_one_data_set():
  with pytest.raises(UserError, match='no row has metric=rmse'):
    plots.comparison([], 'rmse')
  for rows in ([row(1.0), row(1.0, dataset='no2')],
               [row(1.0), row(1.0, config='big')]):
    with pytest.raises(UserError, match='one config and one data set'):
      plots.comparison(rows, 'rmse')


def test_paired_differences_by_hand():
  rows = three_arms()
  rows[3] = row(3.5, 0, 'mixup')  # mixup - erm: 2.5, 2, 2
  figure = plots.paired_differences(rows, 'rmse', 'erm')
  axes, = figure.axes
  assert [t.get_text() for t in axes.get_yticklabels()] == [
      'mixup', 'sam']
  # Seed 2 of sam diverged: its pair is not there, nor is erm's mean changed.
  assert [x for x, _ in lines(axes, 'o', 4)] == [[2.5, 2.0, 2.0], [5.0, 6.0]]
  assert [x for x, _ in lines(axes, 'o', 7)] == [
      [pytest.approx(6.5 / 3)], [5.5]]
  # std of 2.5, 2, 2 is sqrt(1/12): half = 4.302653 / 6.
  assert bars(axes)[0][0] == pytest.approx(
      [6.5 / 3 - 4.302653 / 6, 6.5 / 3 + 4.302653 / 6], abs=1e-6)
  assert texts(axes) == ['2.17 ± 0.29 (3)', '5.50 ± 0.71 (2, 1 lost)']
  assert 'rmse minus that of erm' in axes.get_xlabel()
  assert 'paired t' in figure.get_supxlabel()
  for baseline in 'erm', 'mixup':  # all differences above 0, and one below
    axes, = plots.paired_differences(rows[:6], 'rmse', baseline).axes
    low, high = axes.get_xlim()
    assert low <= 0 <= high
  assert not unreadable(figure)


def test_paired_differences_need_the_baseline_and_another_arm():
  rows = three_arms() + [row(1.0, method='sam', rho=2.0)]
  with pytest.raises(UserError, match="no arm 'sam' without sweep fields"):
    plots.paired_differences(rows, 'rmse', 'sam')
  with pytest.raises(UserError, match='nothing to compare'):
    plots.paired_differences([row(1.0)], 'rmse', 'erm')


def swept(values, **more):
  return [row(1.0 + i + s, s, 'c_mixup', bandwidth=v, **more)
          for i, v in enumerate(values) for s in (0, 1)]


def test_sweep_by_hand_with_ends_at_zero_and_infinity():
  values = [0.0, 0.1, 1.0, 10.0, math.inf]
  rows = swept(values) + [row(v, s) for s, v in enumerate([2.0, 3.0])]
  figure = plots.sweep(rows[::-1], 'rmse', 'bandwidth', ['erm'])
  axes, = figure.axes
  assert axes.get_xscale() == 'log'
  assert [t.get_text() for t in axes.get_xticklabels()] == [
      '0', '0.1', '1', '10', 'inf']
  (x, y), = lines(axes, 'o')
  assert y == [1.5, 2.5, 3.5, 4.5, 5.5]
  assert x[1:4] == [0.1, 1.0, 10.0] and 0 < x[0] < 0.1 and 10 < x[4] < 100
  bands, = (c for c in axes.collections if len(c.get_segments()))
  # Two seeds that differ by 1: half = 12.7062 / 2.
  assert bands.get_segments()[0][:, 1] == pytest.approx(
      [1.5 - 6.3531, 1.5 + 6.3531], abs=1e-4)
  # Only finite positive values are joined by a full line.
  assert [line.get_xdata().tolist() for line in axes.lines
          if line.get_linestyle() == '-' and len(line.get_xdata()) == 3] == [
              [0.1, 1.0, 10.0]]
  band, = axes.patches
  assert sorted({*band.get_extents().transformed(
      axes.transData.inverted()).intervaly}) == pytest.approx(
          [2.5 - 6.3531, 2.5 + 6.3531], abs=1e-4)
  assert sorted(texts(axes)) == ['c_mixup', 'erm (band)']
  assert not unreadable(figure)


@pytest.mark.parametrize('values, scale', [
    ([1.0, 20.0], 'linear'), ([1.0, 21.0], 'log'), ([-1.0, 50.0], 'linear'),
    ([0, 1, 2], 'linear'), ([0.0, 1.0, 30.0], 'log'), ([5.0], 'linear'),
    ([math.inf], 'linear')])
def test_sweep_is_logarithmic_above_a_span_of_twenty(values, scale):
  axes, = plots.sweep(swept(values), 'rmse', 'bandwidth').axes
  assert axes.get_xscale() == scale
  (x, _), = lines(axes, 'o')
  assert x == sorted(x) and len(set(x)) == len(values)
  assert ('log' in axes.get_xlabel()) == (scale == 'log')


def test_sweep_over_names_draws_no_line_between_them():
  axes, = plots.sweep(swept(['label', 'input', 'hidden']), 'rmse',
                      'bandwidth').axes
  assert [t.get_text() for t in axes.get_xticklabels()] == [
      'hidden', 'input', 'label']
  (x, y), = lines(axes, 'o')
  assert (x, y) == ([0, 1, 2], [3.5, 2.5, 1.5])
  assert not [line for line in axes.lines
              if line.get_linestyle() in ('-', ':') and len(line.get_xdata())]


def test_a_value_far_from_all_others_stands_at_the_end():
  axes, = plots.sweep(swept([1e-6, 0.05, 1.0, 50.0, 1e6]), 'rmse',
                      'bandwidth').axes
  (x, _), = lines(axes, 'o')
  assert x[1:4] == [0.05, 1.0, 50.0]
  assert 0.01 < x[0] < 0.05 and 50 < x[4] < 200
  assert [t.get_text() for t in axes.get_xticklabels()] == [
      '1e-06', '0.05', '1', '50', '1e+06']
  # Two values that are far apart are the axis itself.
  axes, = plots.sweep(swept([1e-6, 1e6]), 'rmse', 'bandwidth').axes
  assert lines(axes, 'o')[0][0] == [1e-6, 1e6]


def test_heights_are_logarithmic_above_a_span_of_five():
  for top, scale in (4.9, 'linear'), (5.1, 'log'):
    rows = [row(v, s, 'c_mixup', epoch=e) for s in (0, 1)
            for e, v in ((1, top), (2, 1.0))]
    axes, = plots.sweep(rows, 'rmse', 'epoch').axes
    assert axes.get_yscale() == scale
    assert ('log scale' in axes.get_ylabel()) == (scale == 'log')


def test_a_figure_shows_the_state_that_is_asked_for():
  rows = [row(v, s) for s, v in enumerate([1.0, 2.0])]
  rows += [row(v, s, epoch=e, state='last') for e in (1, 2)
           for s, v in enumerate([3.0, 5.0])]
  axes, = plots.sweep(rows, 'rmse', 'epoch', state='last').axes
  assert lines(axes, 'o') == [([1, 2], [4.0, 4.0])]
  assert texts(axes) == ['erm']
  assert texts(plots.comparison(rows, 'rmse').axes[0]) == ['1.50 ± 0.71 (2)']
  with pytest.raises(UserError, match="'epoch'"):
    plots.sweep(rows, 'rmse', 'epoch')


def test_sweep_has_a_line_for_each_other_field_and_skips_diverged_seeds():
  rows = swept([1.0, 2.0], alpha=1) + swept([1.0, 2.0], alpha=2)
  rows[0] = row(None, 0, 'c_mixup', bandwidth=1.0, alpha=1, why='nan')
  axes, = plots.sweep(rows, 'rmse', 'bandwidth').axes
  assert lines(axes, 'o') == [([1.0, 2.0], [2.0, 2.5])]
  assert lines(axes, 's') == [([1.0, 2.0], [1.5, 2.5])]
  assert sorted(texts(axes)) == ['c_mixup\nalpha 1', 'c_mixup\nalpha 2']


def test_a_sweep_of_differences_has_the_interval_of_the_verdict():
  rows = [r | {'seed_varies': 'resplit'} for r in [
      *(row(v, s) for s, v in enumerate([1., 3., 2.])),
      *(row(v, s, 'c_mixup', bandwidth=2.) for s, v in enumerate(
          [2., 5., 2.])),
      *(row(0.1, s, split='train', n=400) for s in range(3))]]
  axes, = plots.sweep(rows, 'rmse', 'bandwidth', minus='erm').axes
  (_, y), = lines(axes, 'o')
  assert y == [1.0]
  verdict = claims.less('rmse', {'bandwidth': 2.}, 'erm')(rows)
  bar, = (s for c in axes.collections for s in c.get_segments())
  assert list(bar[:, 1]) == pytest.approx([verdict.low, verdict.high])
  assert 'minus that of erm' in axes.get_ylabel()
  with pytest.raises(UserError, match="'sam' without bandwidth"):
    plots.sweep(rows, 'rmse', 'bandwidth', minus='sam')


def test_sweep_errors_name_what_is_missing():
  with pytest.raises(UserError, match="'width'.*bandwidth"):
    plots.sweep(swept([1.0]), 'rmse', 'width')
  with pytest.raises(UserError, match="'erm'"):
    plots.sweep(swept([1.0]), 'rmse', 'bandwidth', ['erm'])


def test_curves_by_hand():
  step = np.array([0, 10, 20])
  erm = np.array([[0., 1, 2, 3, 4], [0, 2, 4, 6, 8],
                  [np.nan, 1, np.inf, 3, np.nan]])
  figure = plots.curves({'step': step, 'erm': erm, 'sam': erm + 5,
                         'lost': erm * np.nan}, 'loss')
  axes, = figure.axes
  assert [list(line.get_ydata()) for line in axes.lines] == [
      [2, 4, 2], [7, 9, 7]]
  assert list(axes.lines[0].get_xdata()) == [0, 10, 20]
  corners = {tuple(v) for v in axes.collections[0].get_paths()[0].vertices}
  assert corners == {(0, 1), (0, 3), (10, 2), (10, 6), (20, 1.5), (20, 2.5)}
  assert sorted(texts(axes)) == ['erm', 'sam']
  assert len({line.get_linestyle() for line in axes.lines}) == 2
  assert not unreadable(figure)


def test_labels_of_equal_ends_are_moved_apart():
  curve = np.ones((4, 3))
  figure = plots.curves({'step': np.arange(4)} | {
      f'arm {i}': curve + 1e-6 * i for i in range(7)} | {'top': curve + 1})
  assert not unreadable(figure)


def test_many_long_arms_fit_a_figure():
  rows = [row(100.0 + i + s, s, f'a_rather_long_method_{i}')
          for i in range(12) for s in range(3)]
  assert not unreadable(plots.comparison(rows, 'rmse'))
  assert not unreadable(
      plots.paired_differences(rows, 'rmse', 'a_rather_long_method_0'))


def test_save_is_a_png_of_the_size_of_a_readme_and_atomic(tmp_path,
                                                          monkeypatch):
  path = tmp_path / 'a.png'
  plots.save(plots.comparison(three_arms(), 'rmse', REPORTED), path)
  height, width, _ = image.imread(path).shape
  assert width == 7 * 150 and 2 * 150 < height < 5 * 150
  old = path.read_bytes()
  assert b'Software' not in old  # a version would change the bytes
  plots.save(plots.comparison(three_arms(), 'rmse', REPORTED), path)
  assert path.read_bytes() == old  # the same figure, the same bytes

  def crash(source, target):
    raise KeyboardInterrupt

  monkeypatch.setattr(os, 'replace', crash)
  with pytest.raises(KeyboardInterrupt):
    plots.save(plots.comparison([row(1.0)], 'rmse'), path)
  assert path.read_bytes() == old and os.listdir(tmp_path) == ['a.png']


def test_numbers_beside_the_dots_are_those_of_the_table():
  rows = three_arms()
  table = tables.table(rows, {}, ['rmse'])
  _, axes = plots.comparison(rows, 'rmse').axes
  assert texts(axes)[1:] == [r[-1] for r in table['rows']]


def test_against_pairs_seeds_and_names_arms():
  rows = [row(v, s, m, metric=metric, split=split)
          for metric, split, values in (
              ('error', 'masked', {'sgd': [.1, .3], 'sam': [.2, .4]}),
              ('lambda_max', 'train', {'sgd': [10., 20.], 'sam': [1., 3.]}),
              ('learning_gap', 'train', {'sgd': [2., 1.], 'sam': [3., 5.]}))
          for m, own in values.items() for s, v in enumerate(own)]
  # A seed without a partner and one that diverged are left out.
  rows += [row(9., 2, 'sgd', metric='lambda_max', split='train'),
           row(None, 3, 'sgd', metric='error', split='masked', why='nan'),
           row(9., 3, 'sgd', metric='lambda_max', split='train')]
  y = {'metric': 'error', 'split': 'masked', 'state': 'best'}
  xs = [{'metric': m, 'split': 'train', 'state': 'best'}
        for m in ('lambda_max', 'learning_gap')]
  figure = plots.against(rows, y, xs)
  left, right = figure.axes
  marks = [(list(line.get_xdata()), list(line.get_ydata()))
           for line in left.lines]
  assert ([10., 20.], [.1, .3]) in marks and ([1., 3.], [.2, .4]) in marks
  assert any(np.allclose(m[0], [15.]) and np.allclose(m[1], [.2])
             for m in marks)
  assert left.get_xscale() == 'log' and right.get_xscale() == 'linear'
  assert left.get_ylabel() == 'error, masked split'
  assert right.get_xlabel() == 'learning_gap, train split'
  assert {t.get_text() for t in figure.legends[0].get_texts()} == {
      'sgd', 'sam'}


def bins_of(*gaps):
  """Five bins, the first empty, with accuracy = confidence - gap."""
  confidence = np.array([np.nan, 0.3, 0.5, 0.7, 0.9])
  return confidence, confidence - np.array([0, *gaps]), np.array(
      [0, 10, 20, 30, 40])


def test_reliability_diagram_by_hand():
  figure = plots.reliability_diagram({
      'erm': bins_of(0.1, 0.2, 0.1, 0.1), 'c_mixup\nalpha 2': bins_of(
          -0.1, 0, 0, 0.0), 'sam': bins_of(0, 0, 0, 0)})
  axes, = figure.axes
  # An empty bin has no mark, and the line goes on to the next one.
  shown = [line for line in axes.lines if len(line.get_xdata()) == 4]
  np.testing.assert_allclose(shown[0].get_xdata(), [0.3, 0.5, 0.7, 0.9])
  np.testing.assert_allclose(shown[0].get_ydata(), [0.2, 0.3, 0.6, 0.8])
  marks = axes.collections[0]
  np.testing.assert_allclose(marks.get_offsets()[:, 1], [0.2, 0.3, 0.6, 0.8])
  np.testing.assert_allclose(np.diff(marks.get_sizes(), 2), 0, atol=1e-9)
  assert (np.diff(marks.get_sizes()) > 0).all()
  # Told apart by line and mark, not by color alone.
  assert len({line.get_linestyle() for line in shown}) == 3
  keyed = [line for line in axes.lines if line.get_marker() != 'None']
  assert len({line.get_marker() for line in keyed}) == 3
  assert legend(axes) == ['calibrated', 'erm', 'c_mixup\nalpha 2', 'sam']
  assert not unreadable(figure)


def test_figures_of_confidence_take_what_the_metrics_give():
  probs = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8]])
  labels = np.array([1, 0, 1])
  axes, = plots.reliability_diagram(
      {'erm': calibration.reliability(probs, labels)}).axes
  assert axes.collections[0].get_offsets().tolist() == pytest.approx(
      np.array([[0.6, 0], [0.8, 1], [0.9, 1]]))
  figure = plots.risk_coverage_curves({'erm': selective.risk_coverage(
      *calibration.top_label(probs, labels))})
  axes, = figure.axes
  line, = axes.lines
  assert list(line.get_xdata()) == [1 / 3, 2 / 3, 1]
  assert list(line.get_ydata()) == [0, 0, 1 / 3]
  assert not unreadable(figure)


def test_risk_coverage_curves_by_hand():
  coverage = np.arange(1, 201) / 200
  curves = {'erm': (coverage, 0.2 * coverage), 'none': (coverage, 0 * coverage),
            'sam': (coverage, 0.1 * coverage)}
  figure = plots.risk_coverage_curves(curves)
  axes, = figure.axes
  for line, (x, y) in zip(axes.lines, curves.values(), strict=True):
    np.testing.assert_array_equal(line.get_xdata(), x)
    np.testing.assert_array_equal(line.get_ydata(), y)
  # Marks are in other places, so curves on each other can be told apart.
  places = [set(line.get_markevery()) for line in axes.lines]
  assert min(map(len, places)) >= 7 and not set.intersection(*places)
  assert axes.get_ylim()[1] == pytest.approx(0.21)
  assert axes.get_title(loc='left') == ''
  assert legend(axes) == ['erm', 'none', 'sam']
  assert not unreadable(figure)
  # An error among the first does not press all else to the ground.
  first = np.where(coverage < 0.05, 0.5, 0.2)
  axes, = plots.risk_coverage_curves({'erm': (coverage, first)}).axes
  assert axes.get_ylim()[1] == pytest.approx(0.21)
  assert 'up to 0.5 at a coverage below 0.05' in axes.get_title(loc='left')


def test_many_arms_fit_the_figures_of_confidence():
  coverage = np.arange(1, 51) / 50
  names = [f'a_rather_long_method_{i}' for i in range(12)]
  for figure in (
      plots.risk_coverage_curves(dict.fromkeys(names, (coverage, coverage))),
      plots.risk_coverage_curves({'perfect': (coverage, 0 * coverage)}),
      plots.reliability_diagram(dict.fromkeys(names, bins_of(0, 0, 0, 0)))):
    assert not unreadable(figure)


def test_bars_by_hand():
  figure = plots.bars(['right', 'wrong'], {'a': [.25, .75], 'b': [.5, .5]}, 'p')
  axes, = figure.axes
  heights = [[bar.get_height() for bar in group] for group in axes.containers]
  assert heights == [[.25, .5], [.75, .5]]  # a name over the groups
  texts = [t.get_text() for t in axes.texts]
  assert texts == ['0.250', '0.500', '0.750', '0.500']
  hatches = {group[0].get_hatch() for group in axes.containers}
  assert len(hatches) == 2  # not by color alone
  left = [bar.get_x() for group in axes.containers for bar in group]
  assert len(set(left)) == 4
  assert [t.get_text() for t in axes.get_xticklabels()] == ['a', 'b']


def test_heat_map_by_hand():
  rows = [row(value + seed, seed, split=split, size=size)
          for split, size, value in (('test', 8, 1.), ('test', 2, 3.),
                                     ('seen', 2, 7.))
          for seed in (0, 2)]
  rows.append(row(None, 5, split='test', size=2, why='loss is nan'))  # diverged
  figure = plots.heat_map(rows, 'rmse', 'method', 'size', {
      'unseen': {}, 'seen': {'split': 'seen'}}, state='best')
  unseen, seen = figure.axes
  ticks = [t.get_text() for t in unseen.get_xticklabels()]
  assert ticks == ['2', '8']  # sorted, as numbers
  np.testing.assert_array_equal(unseen.images[0].get_array(), [[4., 2.]])
  assert [t.get_text() for t in unseen.texts] == ['4.000', '2.000']
  assert [t.get_text() for t in seen.texts] == ['8.000']  # none at size 8
  assert unseen.images[0].get_clim() == seen.images[0].get_clim() == (2., 8.)
  with pytest.raises(UserError, match='no row has metric=mape'):
    plots.heat_map(rows, 'mape', 'method', 'size', {'unseen': {}})


def test_errors_of_c_mixup_are_shown_beside_those_without_mixing():
  # Arms of a workdir come by their names: the first one is c_mixup.
  rows = [row(value, seed=seed, method=method, config='diabetes',
              seed_varies='fresh', scale='reduced', run='a')
          for method, value in (('c_mixup', 1.), ('erm', 2.))
          for seed in range(3)]
  figure = papers.configs('c_mixup').FIGURES['rmse'](rows)
  assert figure.axes[1].get_xlabel() == 'minus that of erm, same seed'


def test_the_figures_of_gpicl_know_which_set_was_trained_on():
  """Which a command may change: the variant's own has no rows then."""
  draw = papers.configs('gpicl').FIGURES['comparison']
  rows = [{'paper': 'gpicl', 'config': 'digits', 'run': 'a', 'method': 'm',
           'seed': seed, 'split': split, 'group': '', 'metric': 'accuracy',
           'value': .5, 'n': 10, 'step': 1, 'state': 'last', 'dataset': name,
           'seed_varies': 'fresh', 'scale': 'reduced'}
          for seed in range(3) for name, split in (
              ('mine', 'test'), ('mine', 'seen'), ('clusters', 'test'))]
  assert draw(rows) is not None
  assert draw([row for row in rows if row['split'] == 'test']) is None
