"""The tabular testbed: its sockets, a table of one's own, tuning."""

import jax.numpy as jnp
import numpy as np
import pytest

from assay import papers, results
from assay.data import tabular as tables
from assay.study import Study, replaced
from assay.testbeds import networks, tabular

MINE = dict(dataset='mine', split_sizes=(30, 15, 15), batch_size=10,
            num_epochs=60)


def small(**fields):
  """The smoke config of a paper on this testbed."""
  return replaced(papers.configs('c_mixup').get_config('smoke'), fields)


def run(config, arms, **more):
  config = replaced(config, {'arms': tuple(arms)})
  return tabular.run(config, Study('c_mixup', 'smoke', config), arms, **more)


def mine(net, seeds, data_dir):
  """A table of one's own, in which y is 3 x_0."""
  del data_dir
  x = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
  shared = {'x': x, 'y': 3 * x[:, :1]}
  return shared, tables.own_splits(shared, net.split_sizes, seeds, net.dataset,
                                   net.normalize)


def by_arm(rows, **where):
  return {arm: [r['value'] for r in own if where.items() <= r.items()]
          for arm, own in results.group_by(rows, 'method').items()}


def test_each_socket_changes_what_is_trained():
  prepared = []

  def prepare(config, block, source):
    prepared.append(block.seeds)
    return source._replace(own=source.own | {'alpha': np.array([1., 2.])})

  rows = run(small(**MINE), {
      'plain': tabular.Arm(),
      'same': tabular.Arm(loss=lambda p, y: jnp.square(p - y)[:, 0]),
      'absolute': tabular.Arm(loss=lambda p, y: jnp.abs(p - y)[:, 0]),
      'nothing': tabular.Arm(draw=lambda config, draw: lambda *args: draw(
          *args) | {'weight': jnp.zeros(len(args[2]))}),
      'constant': tabular.Arm(predict=lambda model, variables, batch:
                              model.apply(variables, 0 * batch['x'])),
      'noted': tabular.Arm(prepare=prepare, noted=lambda config, source: {
          'effective_partners': source.own['alpha']}),
  }, data=mine)
  error = by_arm(rows, metric='rmse', split='test', state='last')
  assert error['plain'] == error['same'] == error['noted']
  assert error['absolute'] != error['plain']
  assert max(error['plain']) < .5 < min(error['constant'] + error['nothing'])
  assert by_arm(rows, metric='effective_partners')['noted'] == [1., 2.]
  assert prepared == [(0, 1)]
  assert {row['dataset'] for row in rows} == {'mine'}


@pytest.mark.parametrize('sockets', [
    dict(loss=lambda p, y: jnp.square(p - y)),
    dict(predict=lambda model, variables, batch: model.apply(
        variables, batch['x'])[:, 0]),
    dict(draw=lambda config, draw: lambda *args: draw(*args) | {
        'weight': jnp.ones(())})])
def test_a_socket_that_gives_another_shape_is_an_error(sockets):
  with pytest.raises((AssertionError, ValueError), match='shape'):
    run(small(), {'wrong': tabular.Arm(**sockets)})


def test_normalization_by_training_rows_only():
  all_rows, own = (tabular.make_source(small(normalize=rows).net, (0,))
                   for rows in ('all', 'train'))
  (x, _), = tabular.training_rows(own)
  np.testing.assert_allclose([x.min(), x.max()], [0, 1], atol=1e-6)
  assert (own.own['low'] >= all_rows.own['low']).all()
  assert (own.own['low'] > all_rows.own['low']).any()


def test_a_sweep_of_the_data_has_the_data_of_its_value():
  swept = tabular.run(*(lambda config: (config, Study(
      'c_mixup', 'smoke', config)))(small(
          arms=('erm',), swept_arms=('erm',), sweep='normalize',
          sweep_values=('all', 'train'))), {'erm': tabular.Arm()})
  said = {value: [row['value'] for row in swept if row['normalize'] == value]
          for value in ('all', 'train')}
  assert said['all'] != said['train']
  for value, got in said.items():
    assert got == [row['value'] for row in run(
        small(normalize=value), {'erm': tabular.Arm()})]


@pytest.fixture(scope='module')
def tuned():
  """(rows of two trials and of the best one's seeds, sources by block)."""
  sources = []

  def prepare(config, block, source):
    sources.append((block.seeds, source.own))
    return source

  return run(small(trials=2, tuning_seeds=(100, 101)),
             {'erm': tabular.Arm(prepare=prepare)},
             grid=papers.configs('c_mixup').GRID), sources


def test_tuning_takes_the_best_trial_and_reports_it(tuned):
  rows, _ = tuned
  tuning = [r for r in rows if 'setting' in r]
  assert {r['seed'] for r in tuning} == {100, 101}
  assert {r['split'] for r in tuning} == {'val'}
  means = {i: np.mean([r['value'] for r in tuning if r['setting'] == i
                       and r['state'] == 'best']) for i in (0, 1)}
  best = next(r for r in tuning if r['setting'] == min(means, key=means.get))
  final = [r for r in rows if 'setting' not in r]
  assert {r['seed'] for r in final} == {0, 1}
  for row in final:
    assert row['learning_rate'] == best['learning_rate']
    assert row['width'] == best['width']


def test_what_is_tested_on_was_not_seen_in_tuning(tuned):
  seen = {'tuning': set(), 'tested': set()}
  for seeds, own in tuned[1]:
    if seeds[0] >= 100:
      assert own['test_rows'].shape == (2, 0)
      for split in ('train', 'val'):
        seen['tuning'] |= set(own[f'{split}_rows'].ravel().tolist())
    else:
      seen['tested'] |= set(own['test_rows'].ravel().tolist())
  assert len(seen['tuning']) == 442 - 2 * 88 and len(seen['tested']) > 88
  assert not seen['tuning'] & seen['tested']


def test_errors_by_epoch_are_those_of_the_rows():
  config = small(report_epochs=(1, 2))
  rows = run(config, {'erm': tabular.Arm()})
  plain = run(small(), {'erm': tabular.Arm()})
  for split in ('train', 'test'):
    where = dict(metric='rmse', split=split, state='last')
    np.testing.assert_allclose(by_arm(rows, epoch=2, **where)['erm'],
                               by_arm(plain, **where)['erm'], rtol=1e-5)


@pytest.mark.parametrize('dataset', tables.TABLES)
def test_networks_fit_their_tables(dataset):
  net = networks.tabular(dataset)
  assert net.dataset == dataset
  assert sum(net.split_sizes) <= tables.TABLES[dataset]['num_rows']
