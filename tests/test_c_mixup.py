"""C-Mixup on the testbed: limits that give known methods, and real labels."""

import jax
import kinds
import numpy as np
import pytest

from assay import papers
from assay.data import synthetic
from assay.data import tabular as tables
from assay.errors import UserError
from assay.study import Block, Study, replaced
from assay.testbeds import tabular

c_mixup = papers.load('c_mixup')


def small(variant='smoke', **fields):
  return replaced(papers.configs('c_mixup').get_config(variant), fields)


def prepared(config, arm, seeds=(0, 1)):
  """A block of seeds, and the arm's source."""
  block = Block(Study('c_mixup', 'smoke', config), arm, seeds)
  source = tabular.make_source(config.net, seeds, data=c_mixup.data)
  return block, c_mixup.ARMS[arm].prepare(config, block, source)


def trained(config, arm):
  return tabular.fit(config, *(lambda block, source: (
      block, c_mixup.ARMS[arm], source))(*prepared(config, arm)))


def law(config, arm='c_mixup'):
  _, source = prepared(config, arm)
  return c_mixup.ARMS[arm].noted(config, source)['effective_partners']


@pytest.mark.parametrize('arm', ['c_mixup', 'manifold_c_mixup'])
def test_a_bandwidth_near_zero_is_erm(arm, monkeypatch):
  # Distinct labels: with ties another example of the same label may be drawn.
  table = tables.load('diabetes')
  steps = np.arange(442, dtype=np.float32)[:, None] / 1000  # labels are whole
  table = table | {'y': table['y'] + steps}
  monkeypatch.setattr(tables, 'load', lambda *args: table)
  jax.tree.map(lambda got, want: np.testing.assert_allclose(
      got, want, 1e-4, 1e-6), *(trained(config, name).state.params for (
          config, name) in ((small(bandwidth=1e-6), arm), (small(), 'erm'))))


def test_pairing_at_infinite_bandwidth_is_uniform():
  config = small(similarity='uniform')
  np.testing.assert_array_equal(
      prepared(config, 'c_mixup')[1].own['bandwidth'], np.inf)
  assert law(config) == pytest.approx([1., 1.])


@pytest.mark.parametrize('arm', ['k_mixup', 'manifold_c_mixup', *kinds.nightly(
    'mixup', 'manifold_mixup', 'local_mixup', 'c_mixup')])
def test_an_arm_differs_from_erm_and_learns(arm):
  bias = lambda fitted: fitted.state.params['output']['affine']['bias']
  erm, fitted = (trained(small(num_epochs=6), each) for each in ('erm', arm))
  assert (fitted.curves['val'][-1] < fitted.curves['val'][0]).all()
  assert (np.abs(bias(fitted) - bias(erm)) > 1e-4).all()


@pytest.mark.parametrize('similarity', ['input', 'joint', 'hidden'])
def test_equal_partners_for_every_similarity(similarity):
  np.testing.assert_allclose(
      law(small(similarity=similarity, equal_partners=True)), law(small()),
      rtol=1e-2)


def test_matched_partners_are_near_in_input():
  config = small()
  _, source = prepared(config, 'k_mixup')
  x, _ = tabular.training_rows(source)[0]
  first, second = source.items(0, 0, 8).swapaxes(0, 1)
  assert first.shape == (8, config.net.batch_size)
  far = np.linalg.norm(x[first] - x[np.roll(second, 1, axis=1)], axis=-1)
  assert np.linalg.norm(x[first] - x[second], axis=-1).sum() < far.sum()


def test_synthetic_data_is_fresh_and_its_test_labels_are_clean():
  _, own = c_mixup.data(small('synthetic').net, (0, 1))
  assert own['x'].shape == (2, 1400, 11)
  assert np.abs(own['x'][0] - own['x'][1]).max() > 1
  table = synthetic.single_index(
      jax.random.fold_in(jax.random.key(1), 1), 1400, 10)
  for split, name in (('test', 'clean'), ('train', 'y')):
    rows = own[f'{split}_rows'][1]
    np.testing.assert_array_equal(own['y'][1][rows], table[name][rows])


def test_unknown_names_are_refused():
  with pytest.raises(UserError, match="'airfoyl'.*airfoil"):
    papers.configs('c_mixup').get_config('airfoyl')
  with pytest.raises(UserError, match='similarity: .*nose'):
    prepared(small(similarity='nose'), 'c_mixup')
