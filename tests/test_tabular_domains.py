"""Tables with domains: files, splits, batches, and arms of the testbed."""

import numpy as np
import pytest

from assay import papers, train
from assay.data import domains, files, tabular
from assay.errors import UserError
from assay.metrics import domains as by_domain
from assay.metrics import invariance, regression
from assay.study import Study, replaced
from assay.testbeds import (
    networks,
    tabular_data,
    tabular_domains,
    tabular_images,
)
from assay.testbeds import tabular as testbed

SETS = ('skillcraft', 'crime')
TEXT = (b'"GameID","League","Age"\n1,5,"?"\n2,1,30\n\n3,?,20\n4,2\n',
        b'8,?,Some city,1,.5\n9,2,Town,x,1\n10,2,Town,3,?\n')


def test_cells_are_read_with_quotes_and_without_texts(tmp_path):
  nan, path = np.nan, tmp_path / 'f'
  path.write_bytes(TEXT[0])
  np.testing.assert_array_equal(
      files.read_cells(path, 3), [[1, 5, nan], [2, 1, 30], [3, nan, 20]])
  path.write_bytes(TEXT[1])
  np.testing.assert_array_equal(
      files.read_cells(path, 5, texts=(2,)), [[8, nan, 1, .5], [10, 2, 3, nan]])


def test_a_made_table_is_imputed_and_has_domains(monkeypatch):
  table = np.array([[7, 2, 1., 5], [7, 1, np.nan, 6], [7, 2, 3., 9]])
  monkeypatch.setitem(tabular.TABLES, 'made', dict(
      read=lambda data_dir: table, target=3, num_rows=3, unused=(0,), domain=1,
      each='league', domains={1: 1, 2: 2}, low=(1, 5), high=(3, 9)))
  got = tabular.load('made')
  np.testing.assert_array_equal(got['x'], [[1], [2], [3]])
  np.testing.assert_array_equal(got['y'], [[5], [6], [9]])
  np.testing.assert_array_equal(got['domain'], [1, 0, 1])
  assert tabular.domain_names('made') == ('league 1', 'league 2')
  assert tabular.domain_names('airfoil') == ()
  table[1, 1] = 2
  with pytest.raises(UserError, match=r"'made' has rows of \{2.0: 3\}"):
    tabular.load('made')


def test_without_its_file_a_table_says_where_it_is(monkeypatch, tmp_path):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  monkeypatch.delenv('ASSAY_DATA', raising=False)
  monkeypatch.setenv('https_proxy', 'http://127.0.0.1:1')
  with pytest.raises(UserError, match='archive.ics.uci.edu.*communities.data'):
    tabular.load('crime')


# Domains to train, validate and test on, and the first of each to test on.
PARTS = {'skillcraft': (4, 1, 3, 'league 6'), 'crime': (31, 6, 9, 'state 47')}


@pytest.mark.parametrize('name', SETS)
def test_splits_are_those_of_the_code(name):
  table = tabular.load(name, files.Described())  # needs no file
  net = networks.tabular(name)
  *sizes, first = PARTS[name]
  found = domains.parts(table['domain'])
  assert [len(part) for part in found] == sizes
  assert tabular.domain_names(name)[found[2][0]] == first
  own = domains.own_splits(table, net.split_sizes, (0, 1), name)
  for split, part in zip(tabular.SPLITS, found, strict=True):
    rows = own[f'{split}_rows']
    np.testing.assert_array_equal(*np.sort(rows))
    assert (rows[0] != rows[1]).any()
    assert set(table['domain'][rows[0]]) == set(part)
  with pytest.raises(UserError, match='split by domain into'):
    domains.own_splits(table, (10, 10, 10), (0,), name)


def test_what_cannot_be_cut_is_refused():
  np.testing.assert_array_equal(
      domains.parts(np.repeat(np.arange(10), 10))[0], np.arange(6))
  with pytest.raises(UserError, match='2 domains with'):
    domains.parts(np.array([0, 0, 0, 1]))


def test_batches_are_of_equal_parts_of_equally_likely_domains():
  domain = np.repeat([3, 0, 5, 1], [50, 5, 1, 44])
  items = domains.items(domain, 6, 3, seed=0)
  parts = domain[items(0, 2000)].reshape(2000, 3, 2)
  assert (parts[..., 0] == parts[..., 1]).all()
  assert all(len(set(batch)) == 3 for batch in parts[..., 0].tolist())
  np.testing.assert_allclose(
      np.unique(parts, return_counts=True)[1] / parts.size, 1 / 4, atol=.02)
  np.testing.assert_array_equal(items(33, 40), items(0, 50)[33:40])
  for per_batch in (4, 5, 0):
    with pytest.raises(UserError, match=f'domains_per_batch={per_batch}'):
      domains.items(domain, 6, per_batch, seed=0)


def test_the_worst_domain_and_its_interval():
  rng = np.random.default_rng(0)
  domain = np.repeat([4, 7], [400, 25])
  y = rng.normal(size=(425, 1)) * np.where(domain == 7, 2, 1)[:, None]
  found = by_domain.worst(regression.rmse, 0 * y, y, domain)
  of = {k: np.sqrt(np.mean(y[domain == k]**2)) for k in (4, 7)}
  assert by_domain.by_domain(regression.rmse, 0 * y, y, domain) == (
      pytest.approx(of))
  assert found.domain == 7 and found.value == pytest.approx(of[7])
  # By the law of a sum of squares.
  half = 1.96 * np.std(y[domain == 7]**2) / (2 * of[7] * 5)
  np.testing.assert_allclose((found.low, found.high),
                             (of[7] - half, of[7] + half), rtol=.12)
  assert by_domain.worst(regression.rmse, 0 * y, y, domain,
                         higher_is_worse=False).domain == 4
  for change, message in ((domain[1:], r'domains \(424,\)'),
                          (domain[:, None], r'domains \(425, 1\)'),
                          (domain.astype(float), 'dtype float64')):
    with pytest.raises(ValueError, match=message):
      by_domain.worst(regression.rmse, y, y, change)


@pytest.fixture
def made(monkeypatch):
  """A config of a made table: five domains of 20 rows, whose slopes differ."""
  rng = np.random.default_rng(0)
  domain, x = np.repeat(np.arange(5), 20), rng.normal(size=(100, 2))
  y = 60 + x[:, 0] * (5 + domain) + rng.normal(size=100)
  monkeypatch.setattr(testbed.tabular, 'load', lambda *args: {
      'x': x.astype(np.float32), 'y': y[:, None].astype(np.float32),
      'domain': domain.astype(np.int32)})
  monkeypatch.setattr(tabular, 'TABLES', {'skillcraft': dict(
      each='league', domains=dict.fromkeys('abcde', 20))})

  def config(**fields):
    return replaced(papers.configs('c_mixup').get_config('skillcraft'), dict(
        split_sizes=(60, 20, 20), batch_size=12, num_epochs=3, num_seeds=2,
        domains_per_batch=3, arms=tuple(tabular_domains.ARMS)) | fields)

  return config


def run(config, arms):
  config = replaced(config, {'arms': tuple(arms)})
  return testbed.run(config, Study('c_mixup', 'skillcraft', config), arms)


def errors(rows, metric='rmse', **where):
  where = dict(metric=metric, split='test', state='best', group='') | where
  return {(r['method'], r['seed']): r['value'] for r in rows
          if where.items() <= r.items()}


def test_arms_change_what_is_trained(made):
  plain = {'plain': tabular_domains.ARMS['irm']._replace(
      gradient=tabular_domains.penalized())}
  found = errors(run(made(), tabular_domains.ARMS | plain))
  assert len(set(found.values())) == 2 * 7
  assert max(found.values()) < 60
  # Without its penalty an arm is training on batches by domain.
  weak = run(made(strength=1e-9), {'ib_irm': tabular_domains.ARMS['ib_irm']})
  for (_, seed), value in errors(weak).items():
    assert value == pytest.approx(found['plain', seed], rel=1e-4)


def test_rows_of_domains_and_of_the_worst(made):
  rows = run(made(num_epochs=1, split_sizes=(60, 20, 20)), {
      'plain': testbed.Arm()})
  assert {r['group'] for r in rows} == {'', 'league e'}
  assert errors(rows) == errors(rows, group='league e') == errors(
      rows, 'worst_rmse')
  for key, value in errors(rows).items():
    assert errors(rows, 'worst_rmse_low')[key] < value < errors(
        rows, 'worst_rmse_high')[key]
  assert errors(rows, 'worst_pearson').keys() == errors(rows).keys()


def test_rows_of_what_representations_tell_of_domains(made, monkeypatch):
  seen, original = [], invariance.divergence

  def divergence(features, y, domain):
    seen.append((features, y, domain))
    return original(features, y, domain, num_bins=1, least=10)

  monkeypatch.setattr(tabular_data.invariance, 'divergence', divergence)
  rows = run(made(metrics=('rmse', 'divergence'), num_epochs=1), {
      'plain': testbed.Arm()})
  found, shuffled = (errors(rows, 'divergence', split='train', group=group)
                     for group in ('', 'domains shuffled'))
  assert found.keys() == shuffled.keys() == {('plain', 0), ('plain', 1)}
  assert len({*found.values(), *shuffled.values()}) == 4
  (features, y, domain), (_, _, other) = seen[0], seen[2]
  assert features.shape == (60, 128) and y.shape == (60, 1)
  assert (other != domain).any()
  assert sorted(other) == sorted(domain) == [0] * 20 + [1] * 20 + [2] * 20
  with pytest.raises(UserError, match='divergence: diabetes has no domains'):
    tabular_data.record_divergence(
        None, papers.configs('c_mixup').get_config(),
        train.Source({}, {}, None), None, None)


def test_weights_of_domains_climb_with_their_errors(made):
  config, seen = made(num_epochs=30, strength=10.), []
  arm = tabular_domains.ARMS['group_dro']

  class Kept(Study):

    def stand_on(self, arm, fitted):
      seen.append((fitted.state.extra['domains']['weights'], fitted))
      return super().stand_on(arm, fitted)

  config = replaced(config, {'arms': ('group_dro',)})
  testbed.run(config, Kept('c_mixup', 'skillcraft', config), {'group_dro': arm})
  weights = np.asarray(seen[0][0])
  assert weights.shape == (2, 3)
  np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
  assert np.ptp(weights, axis=1).min() > .01


def test_tuning_looks_at_validation_domains_alone(made):
  rows = run(made(trials=2, tuning_seeds=(100,), num_epochs=1), {
      'irm': tabular_domains.ARMS['irm']._replace(fields=('strength',))})
  assert {r['split'] for r in rows if 'setting' in r} == {'val'}
  assert {r['n'] for r in rows if r['split'] == 'train'} <= {60}
  assert errors(rows).keys() == {('irm', 0), ('irm', 1)}


def test_images_are_a_table_whose_network_has_statistics(monkeypatch):
  rng = np.random.default_rng(0)
  gray = rng.integers(0, 256, (100, 28, 28, 1), np.uint8)
  monkeypatch.setattr(tabular_images.images, 'load', lambda name, data_dir: {
      'train_x': gray})
  arms = ('manifold_c_mixup',)
  config = replaced(papers.configs('c_mixup').get_config('rcf_mnist_small'), {
      'split_sizes': (48, 20, 20), 'batch_size': 16, 'num_epochs': 2,
      'width': 2, 'num_seeds': 1, 'arms': arms})
  shared, own = testbed.load(config.net, (0, 1))
  assert shared['x'].shape == (88, 28, 28, 3)
  assert [set(shared['domain'][own[f'{k}_rows'][0]]) for k in (
      'train', 'val', 'test')] == [{0, 1}, {2}, {0, 1}]
  np.testing.assert_array_equal(*np.sort(own['train_rows']))
  seen = []

  class Kept(Study):

    def stand_on(self, arm, fitted):
      seen.append(fitted.state.extra)
      return super().stand_on(arm, fitted)

  rows = papers.load('c_mixup').run(config, Kept(
      'c_mixup', 'rcf_mnist_small', config))
  assert {r['group'] for r in rows} == {
      '', 'color follows angle', 'color reversed'}
  assert {r['method'] for r in rows} == set(arms)
  for extra in seen:
    mean = extra['batch_stats']['trunk']['BatchNorm_0']['mean']
    assert np.abs(mean).min() > 0 and extra['domains']['weights'].shape == (
        1, 2)
