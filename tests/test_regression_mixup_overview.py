"""Mixup's relatives on the testbed: limits that give ERM, and wrong labels."""

import jax
import numpy as np
import pytest

from assay import papers
from assay.study import Block, Study, replaced
from assay.testbeds import tabular

overview = papers.load('regression_mixup_overview')


def small(**fields):
  return replaced(papers.configs('regression_mixup_overview').get_config(
      'smoke'), fields)


def fitted(config, arm):
  block = Block(Study('regression_mixup_overview', 'smoke', config), arm, (0,))
  source = tabular.make_source(config.net, (0,), data=overview.data)
  arm = overview.ARMS[arm]
  source = arm.prepare(config, block, source)
  return source, tabular.fit(config, block, arm, source)


@pytest.mark.parametrize('arm, limit', [
    ('regmixup', dict(mixed_weight=0.)), ('ada', dict(spread=1.)),
    ('manifold_ada', dict(spread=1.)), ('foma', dict(share=1.)),
    ('manifold_foma', dict(small=False, share=0.))])
def test_limits_are_erm(arm, limit):
  params = [fitted(small(**fields), name)[1].state.params
            for name, fields in ((arm, limit), ('erm', {}))]
  jax.tree.map(lambda got, want: np.testing.assert_allclose(
      got, want, 1e-3, 1e-4), *params)


def test_bandwidths_are_chosen_and_losses_remembered():
  source, found = fitted(small(), 'rc_mixup')
  assert source.own['bandwidths'].shape == (1, 2)
  items = source.items(0, 0, 16)  # two epochs of eight steps
  assert items.shape == (16, 2, 32)
  assert items[:, 1, 0].tolist() == [0] * 8 + [1] * 8
  losses = found.state.extra['last_losses']['values'][0]
  assert losses.shape == (266,) and (losses < 1e38).sum() > 256


def test_wrong_labels_are_of_rows_trained_on_alone():
  net = small(label_noise=.25).net
  shared, _ = tabular.load(net, (0,))
  _, own = overview.data(net, (0, 1))
  wrong = own['y'][0] != shared['y']
  assert wrong.sum() == round(.25 * 266)
  assert set(np.flatnonzero(wrong)) <= set(own['train_rows'][0])
  assert (own['y'][0] != own['y'][1]).any()
