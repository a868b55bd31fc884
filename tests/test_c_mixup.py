"""C-Mixup's experiment: limits that give known methods, and real labels."""

import jax
import numpy as np
import pytest

from assay import papers
from assay.data import tabular
from assay.errors import UserError
from assay.study import Block, Study, replaced

c_mixup = papers.load('c_mixup')


def small(variant='smoke', **fields):
  config = papers.configs('c_mixup').get_config(variant)
  return replaced(config, fields)


def trained(config, arm, seeds=(0, 1)):
  study = Study('c_mixup', 'smoke', config)
  block = Block(study, arm, tuple(seeds))
  features = c_mixup.make_features(config, block, study)
  source = c_mixup.make_source(config, arm, seeds, features)
  return c_mixup.train_block(config, block, arm, 'fit', source)


def assert_close(got, want, rtol):
  jax.tree.map(lambda g, w: np.testing.assert_allclose(g, w, rtol, 1e-6),
               got.state.params, want.state.params)


@pytest.fixture(scope='module')
def erm():
  return trained(small(), 'erm')


@pytest.mark.parametrize('arm', ['c_mixup', 'manifold_c_mixup'])
def test_a_bandwidth_near_zero_is_erm(arm, erm, monkeypatch):
  # Distinct labels: with ties another example of the same label may be drawn.
  table = tabular.load('diabetes')
  steps = np.arange(442, dtype=np.float32)[:, None] / 1000  # labels are whole
  table = table | {'y': table['y'] + steps}
  monkeypatch.setattr(tabular, 'load', lambda *args: table)
  assert_close(trained(small(bandwidth=1e-6), arm), trained(small(), 'erm'),
               1e-4)


def test_pairing_at_infinite_bandwidth_is_uniform():
  config = small(similarity='uniform')
  source = c_mixup.make_source(
      config, 'c_mixup', (0,), lambda x, y, position: y)
  np.testing.assert_array_equal(source.own['bandwidth'], np.inf)
  assert c_mixup.partner_laws('c_mixup', source) == pytest.approx([1.])


def test_every_arm_differs_from_erm_and_learns(erm):
  config = small(num_epochs=6)
  for arm in c_mixup.ARMS:
    fitted = trained(config, arm)
    assert (fitted.curves['val'][-1] < fitted.curves['val'][0]).all(), arm
    if arm != 'erm':
      gap = np.abs(fitted.state.params['output']['affine']['bias']
                   - erm.state.params['output']['affine']['bias'])
      assert (gap > 1e-4).all(), arm


def test_equal_partners_for_every_similarity():
  base = c_mixup.partner_laws('c_mixup', source_of('label'))
  for similarity in ('input', 'joint', 'hidden'):
    got = c_mixup.partner_laws('c_mixup', source_of(similarity))
    np.testing.assert_allclose(got, base, rtol=1e-2, err_msg=similarity)


def source_of(similarity):
  config = small(similarity=similarity, equal_partners=True)
  study = Study('c_mixup', 'smoke', config)
  block = Block(study, 'c_mixup', (0, 1))
  features = c_mixup.make_features(config, block, study)
  return c_mixup.make_source(config, 'c_mixup', (0, 1), features)


def test_matched_partners_are_near_in_input():
  config = small()
  k_mixup = c_mixup.make_source(config, 'k_mixup', (0,), None)
  x, _ = c_mixup.training_rows(k_mixup.shared, k_mixup.own, 0)
  items = k_mixup.items(0, 0, 8)
  assert items.shape == (8, 2, config.batch_size)
  near = np.linalg.norm(x[items[:, 0]] - x[items[:, 1]], axis=-1)
  far = np.linalg.norm(x[items[:, 0]] - x[np.roll(items[:, 1], 1, axis=1)],
                       axis=-1)
  assert near.sum() < far.sum()


def test_synthetic_data_is_fresh_and_its_test_labels_are_clean():
  config = small('synthetic')
  own = c_mixup.synthetic_splits(config, (0, 1))
  assert own['x'].shape == (2, 1400, 11)
  assert np.abs(own['x'][0] - own['x'][1]).max() > 1
  table = c_mixup.synthetic.single_index(
      jax.random.fold_in(jax.random.key(1), 1), 1400, 10)
  test, train = own['test_rows'][1], own['train_rows'][1]
  np.testing.assert_array_equal(own['y'][1][test], table['clean'][test])
  np.testing.assert_array_equal(own['y'][1][train], table['y'][train])


def test_normalization_by_training_rows_only():
  all_rows = c_mixup.make_source(small(), 'erm', (0,), None)
  own = c_mixup.make_source(small(normalize='train'), 'erm', (0,), None)
  x, _ = c_mixup.training_rows(own.shared, own.own, 0)
  np.testing.assert_allclose([x.min(), x.max()], [0, 1], atol=1e-6)
  assert (own.own['low'] >= all_rows.own['low']).all()
  assert (own.own['low'] > all_rows.own['low']).any()


def test_tuning_takes_the_best_trial_and_reports_it():
  config = small(arms=('erm',), trials=2, tuning_seeds=(100, 101))
  study = Study('c_mixup', 'smoke', config)
  rows = c_mixup.run(config, study)
  tuning = [r for r in rows if 'setting' in r]
  assert {r['seed'] for r in tuning} == {100, 101}
  assert {r['split'] for r in tuning} <= {'val', 'train'}
  means = {i: np.mean([r['value'] for r in tuning if r['setting'] == i
                       and r['split'] == 'val' and r['state'] == 'best'])
           for i in (0, 1)}
  best = next(r for r in tuning if r['setting'] == min(means, key=means.get))
  final = [r for r in rows if 'setting' not in r]
  assert {r['seed'] for r in final} == {0, 1}
  for row in final:
    assert row['learning_rate'] == best['learning_rate']
    assert row['width'] == best['width']


def test_unknown_names_are_refused():
  with pytest.raises(UserError, match="'airfoyl'.*airfoil"):
    papers.configs('c_mixup').get_config('airfoyl')
  with pytest.raises(UserError, match='similarity=.nose'):
    source_of('nose')
  config = small()
  with pytest.raises(UserError, match="unknown arm 'mix'.*mixup"):
    c_mixup.run(config, Study('c_mixup', 'smoke', config, only=('mix',)))
