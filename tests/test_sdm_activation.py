"""SDM activations: the region by hand, an adaptor where it is easy."""

import numpy as np

from assay.methods import sdm_adaptor, sdm_region
from assay.metrics import accepted

RNG = np.random.default_rng(0)


def test_region_by_hand():
  p = np.array([[.9, .1], [.99, .01], [.2, .8], [.02, .98], [.7, .3]])
  held = {'log_p': np.log(p), 'q': [1., 5., 2., 9., 0.],
          'labels': [0, 0, 1, 1, 1]}
  found = sdm_region.rescaled(held)  # min(q, (2 + q)^p)
  np.testing.assert_allclose(found, [1, 5, 2, 9, 0])
  accepts = sdm_region.region(.95, held)  # from q' = 5 on; psi .99 and .98
  assert accepts(held).tolist() == [False, True, False, True, False]
  assert not sdm_region.region(.999, held)(held).any()  # nothing is promised
  assert sdm_region.matched(.95, held, held)(held).sum() == 2
  assert accepted.summary([0, 1], [0, 0], [0, 0], .9)['shortfall'] == .9 - 1


def test_softmax_alone_learns_what_can_be_separated():
  y = np.arange(200) % 2
  x = RNG.normal(size=(200, 4)) + 3 * y[:, None]
  params = sdm_adaptor.fit(x, y, 0, False, False, num_classes=2, num_epochs=9,
                           learning_rate=.01, restarts=2)
  found = sdm_adaptor.said(params, x)
  assert (found['log_p'].argmax(axis=1) == y).mean() > .95
  assert (found['d'] == 1).all() and np.allclose(found['q'], np.e - 2)
