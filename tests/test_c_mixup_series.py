"""C-Mixup on series: its partners, and limits that give known methods."""

import jax
import numpy as np
import pytest

from assay import papers
from assay.methods import mixup
from assay.study import Block, Study, replaced
from assay.testbeds import series, tabular

experiment = papers.load('c_mixup_series')


def small(**fields):
  return replaced(papers.configs('c_mixup_series').get_config('smoke'), fields)


def prepared(config, arm):
  block = Block(Study('c_mixup_series', 'smoke', config), arm, (0, 1))
  source = tabular.make_source(config.net, (0, 1), data=series.load)
  return block, experiment.ARMS[arm].prepare(config, block, source)


def trained(config, arm):
  block, source = prepared(config, arm)
  return series.fit(config, block, experiment.ARMS[arm], source).state.params


def test_labels_are_all_series_at_the_horizon():
  config = small()
  _, source = prepared(config, 'manifold_c_mixup')
  (x, y), _ = tabular.training_rows(source)
  assert x.shape == (96, 48, 4)
  np.testing.assert_array_equal(source.own['features'][0], y)
  # What is seen from 12 steps later ends where this label is.
  np.testing.assert_allclose(x[12:, -1], y[:-12], rtol=1e-6)
  law = experiment.ARMS['manifold_c_mixup'].noted(config, source)
  assert law['effective_partners'][0] == pytest.approx(
      mixup.effective_partners(y, config.bandwidth), rel=1e-6)
  assert .02 < law['effective_partners'][0] < .9


@pytest.mark.parametrize('dropout, equal', [(0., True), (.2, False)])
def test_a_bandwidth_near_zero_is_erm_but_for_dropout(dropout, equal):
  # Both of a pair are one window: without dropout mixing is the identity.
  config = small(dropout=dropout, bandwidth=1e-6)
  far = jax.tree.leaves(jax.tree.map(
      lambda a, b: float(np.abs(a - b).max()),
      trained(config, 'manifold_c_mixup'), trained(config, 'erm')))
  assert (max(far) < 1e-4) == equal
