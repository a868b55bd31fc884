"""Series: windows by hand, files and their errors, and the testbed."""
import functools
import gzip
import hashlib

import numpy as np
import pytest

from assay import papers
from assay.data import files, series
from assay.data import tabular as tables
from assay.errors import UserError
from assay.study import Study, replaced
from assay.testbeds import series as testbed
from assay.testbeds import tabular_mixing

PAPER = 'c_mixup_series'


def small(**fields):
  return replaced(papers.configs(PAPER).get_config('smoke'), fields)


def run(config, arms):
  config = replaced(config, {'arms': tuple(arms)})
  return testbed.run(config, Study(PAPER, 'smoke', config), arms)


def own_file(folder, text=None, num_steps=60):
  """A CSV file in which b is what a was four steps before."""
  lines = [f'{t % 7 + 1},{(t - 4) % 7 + 1},{t % 3}' for t in range(num_steps)]
  path = folder / 'my.csv'
  path.write_text(text or '\n'.join(['a,b,c', *lines]))
  return path


# --- Windows, scales, the split ----------------------------------------------


def test_windows_by_hand():
  assert series.offsets(3, 2).tolist() == [-4, -3, -2]
  assert series.offsets(2, 1).tolist() == [-2, -1]  # the next step
  parts = series.split(12, (4, 2, 2), 3, 2, 'mine')
  assert {k: v.tolist() for k, v in parts.items()} == {
      'train': [4, 5, 6, 7], 'val': [8, 9], 'test': [10, 11]}
  values = np.float32([[t, 10 * t] for t in range(12)])
  shared = {'x': values, 'y': values, 'offsets': series.offsets(3, 2)}
  own = {f'{k}_rows': v for k, v in parts.items()} | {
      'low': np.zeros(2, np.float32), 'scale': np.float32([1, .1])}
  batch = tables.draw_from('test')(shared, own, np.arange(3), None)
  np.testing.assert_array_equal(batch['x'][:2], [[[6, 6], [7, 7], [8, 8]],
                                                 [[7, 7], [8, 8], [9, 9]]])
  np.testing.assert_array_equal(batch['y'][:2], [[10, 100], [11, 110]])
  assert np.isnan(batch['x'][2]).all() and np.isnan(batch['y'][2]).all()


def test_published_counts():
  parts = series.split(7588, (4373, 1518, 1518), 168, 12, 'exchange_rate')
  assert parts['train'][0] == 168 + 12 - 1  # the first that has a window
  assert parts['val'][0] == int(.6 * 7588) and parts['test'][-1] == 7587
  parts = series.split(26_304, (15_591, 5261, 5261), 168, 24, 'electricity')
  assert parts['train'][0] == 168 + 24 - 1
  assert parts['val'][0] == int(.6 * 26_304)


@pytest.mark.parametrize('sizes, message', [
    ((4, 2), 'sizes=.4, 2. must be three counts'),
    ((4, 0, 2), 'must be three counts'),
    ((8, 2, 2), "take 16 steps, and 'mine' has 12; use smaller")])
def test_splits_that_cannot_be(sizes, message):
  with pytest.raises(UserError, match=message):
    series.split(12, sizes, 3, 2, 'mine')


def test_scales_by_all_steps_or_by_those_of_training():
  values = np.array([[1., 0, -8], [2, 0, 1], [4, 5, 1]])
  np.testing.assert_allclose(series.scales(values), [1 / 4, 1 / 5, 1 / 8])
  np.testing.assert_allclose(series.scales(values, 2), [1 / 2, 1, 1 / 8])


def test_scales_of_the_testbed(tmp_path):
  path = own_file(tmp_path, '\n'.join(['a,b', *(
      f'{t},{60 - t}' for t in range(1, 61))]))  # a rises, b falls
  net = lambda how: small(dataset=str(path), split_sizes=(20, 10, 10),
                          window=14, horizon=2, normalize=how).net
  (shared, own), (_, of_training) = (
      testbed.load(net(how), (0, 1)) for how in ('all', 'train'))
  np.testing.assert_allclose(own['scale'], [[1 / 60, 1 / 59]] * 2)
  np.testing.assert_allclose(of_training['scale'], [[1 / 40, 1 / 59]] * 2)
  np.testing.assert_allclose(shared['y'].max(axis=0), 1)


def test_waves_have_a_day_and_a_week():
  values = series.load('waves')
  assert values.shape == (1200, 4) and values.min() > 0
  of = np.abs(np.fft.rfft(values - values.mean(0), axis=0))
  top = np.argsort(-of, axis=0)[:2]
  periods = np.sort(1200 / top, axis=0)
  np.testing.assert_allclose(periods[0], 24, rtol=.02)
  np.testing.assert_allclose(periods[1], 168, rtol=.15)


# --- Files -------------------------------------------------------------------


def test_exchange_rate_as_published(data_dir):
  values = series.load('exchange_rate', data_dir)
  assert values.shape == (7588, 8) and values.dtype == np.float32
  np.testing.assert_allclose(values[0, :3], [.7855, 1.611, .861698], rtol=1e-6)
  assert len(series.names('exchange_rate')) == 8
  scaled = values * series.scales(values)
  y, before = scaled[-1518:], scaled[-1530:-12]  # 12 days ahead
  assert np.sqrt(np.mean((y - before) ** 2)) == pytest.approx(.013478, rel=1e-4)


def electricity(folder, values):
  """A file of the format of Electricity, and what Git calls it."""
  (folder / 'c_mixup').mkdir()
  content = gzip.compress('\n'.join(
      ','.join(f'{v:.6f}' for v in row) for row in values).encode())
  (folder / 'c_mixup' / 'electricity.txt.gz').write_bytes(content)
  return hashlib.sha1(b'blob %d\0' % len(content) + content).hexdigest()


def test_electricity_is_read_where_git_calls_it_so(tmp_path, monkeypatch):
  values = np.random.default_rng(0).random((30, 321)).round(6)
  blob = electricity(tmp_path, values)
  with pytest.raises(UserError, match=f'(?s)what Git calls df158.*{blob}.*Put '
                     'electricity.txt.gz from https.*c_mixup/electricity'):
    series.load('electricity', tmp_path)
  one, = files.SOURCES['electricity']
  monkeypatch.setitem(files.SOURCES, 'electricity', (one | {'blob': blob},))
  with pytest.raises(UserError, match='are 30 steps of 321 from.*use the file'):
    series.load('electricity', tmp_path)
  monkeypatch.setitem(series.SERIES, 'electricity', series.SERIES[
      'electricity'] | {'shape': (30, 321)})
  np.testing.assert_allclose(series.load('electricity', tmp_path), values,
                             rtol=1e-6)
  assert len(series.names('electricity')) == 321


def test_series_are_made_up_where_only_shapes_count():
  described = files.Described()
  for name, shape in (('exchange_rate', (7588, 8)), ('electricity', (
      26_304, 321))):
    assert series.load(name, described).shape == shape
  assert described.names == ['exchange_rate', 'electricity']


def test_a_file_of_ones_own(tmp_path):
  path = own_file(tmp_path)
  assert series.load(str(path))[4].tolist() == [5, 1, 1]
  assert series.names(str(path)) == ('a', 'b', 'c')
  assert series.num_outputs(str(path)) == 0  # all
  chosen = f'{path}:b,c'
  assert series.names(chosen) == ('b', 'c', 'a')
  assert series.num_outputs(chosen) == 2
  assert series.load(chosen)[4].tolist() == [1, 1, 5]


@pytest.mark.parametrize('text, columns, message', [
    ('a,b\n1,2\n3,4', ':d', "no column 'd' to be the target.*name one"),
    ('a,b\n1,2\n3,x', '', "line 3: column 'b' holds 'x'.*mend the cell"),
    ('day,b\n2020-01-01,2\n2020-01-02,3', '', "'day' holds '2020-01-01'.*leave")
])
def test_files_that_cannot_be_used(text, columns, message, tmp_path):
  with pytest.raises(UserError, match=message):
    series.load(f'{own_file(tmp_path, text)}{columns}')


def test_no_such_series():
  with pytest.raises(UserError, match="'tides'; known: .*or the path of a CSV"):
    series.load('tides')


# --- The testbed -------------------------------------------------------------


@functools.cache
def smoke_rows():
  return run(small(num_epochs=6), {
      'last_value': testbed.LAST_VALUE, 'erm': testbed.Arm(),
      'k_mixup': tabular_mixing.ARMS['k_mixup']})


def values(rows, arm, **where):
  return [r['value'] for r in rows if r['method'] == arm
          and where.items() <= r.items()]


def test_last_value_by_hand():
  net = small().net
  steps = series.load('waves') / np.abs(series.load('waves')).max(0)
  error = steps[-40:] - steps[-40 - net.horizon:-net.horizon]
  found = lambda **where: values(smoke_rows(), 'last_value', metric='rmse',
                                 split='test', **where)
  for state in ('best', 'last'):
    np.testing.assert_allclose(found(state=state, group=''), [
        np.sqrt(np.mean(error ** 2))] * 2, rtol=1e-5)
  np.testing.assert_allclose(found(state='best', group='wave 2'), [
      np.sqrt(np.mean(error[:, 2] ** 2))] * 2, rtol=1e-5)


def test_networks_learn_and_say_so_of_each_series():
  rows = smoke_rows()
  assert {row['seed'] for row in rows} == {0, 1}
  flat = np.std(series.load('waves') / series.load('waves').max(0), axis=0)
  for arm in ('erm', 'k_mixup'):
    train, = {row['n'] for row in rows if row['method'] == arm
              and row['split'] == 'train' and row['metric'] == 'rmse'}
    assert train == 96
    one, other = values(rows, arm, metric='rmse', split='train', state='best')
    assert one != other and max(one, other) < 3 * flat.mean(), arm
  groups = {row['group'] for row in rows if row['method'] == 'erm'}
  assert groups == {'', *series.names('waves')}
  parts = [values(rows, 'erm', metric='rmse', state='best', split='test',
                  group=name, seed=0)[0] for name in series.names('waves')]
  whole, = values(rows, 'erm', metric='rmse', state='best', split='test',
                  group='', seed=0)
  assert whole == pytest.approx(np.sqrt(np.mean(np.square(parts))), rel=1e-5)


def test_a_file_of_ones_own_is_trained_on(tmp_path):
  config = small(
      dataset=f'{own_file(tmp_path)}:b', split_sizes=(20, 10, 10), window=14,
      horizon=2, skip=7, highway=7, kernel_size=2, batch_size=10)
  rows = run(config, {'last_value': testbed.LAST_VALUE, 'erm': testbed.Arm()})
  assert {row['dataset'] for row in rows} == {'my:b'}
  assert {row['group'] for row in rows} == {''}  # one output is all
  assert np.isfinite(values(rows, 'erm', metric='rmse')).all()
