"""TODO: a value worked out by hand, a limit, what is special in the data."""

import jax
import numpy as np

from assay import losses
from assay.study import replaced
from configs import my_paper as card
from experiments import my_paper as paper


def small(**fields):
  return replaced(card.get_config('smoke'), fields)


def test_the_method_by_hand():
  logits = np.log(np.array([[.25, .75], [.04, .96]], np.float32))
  # (1 - sqrt(p_y)) / 0.5
  np.testing.assert_allclose(
      paper.mine(small(q=.5), logits, np.array([0, 0])), [1., 1.6],
      rtol=1e-5)


def test_towards_zero_the_method_is_the_baseline():
  logits = jax.random.normal(jax.random.key(0), (20, 10))
  labels = np.arange(20) % 10
  np.testing.assert_allclose(paper.mine(small(q=1e-4), logits, labels),
                             losses.cross_entropy(logits, labels), rtol=1e-3)


def test_every_seed_has_its_own_wrong_labels_in_training_alone():
  config = small()
  source = paper.make_source(config, (0, 1))
  own, y = source.own, source.shared['y']
  for i in range(2):
    wrong = np.flatnonzero(own['y'][i] != y)
    assert len(wrong) == config.label_noise * config.split_sizes[0]
    assert set(wrong) <= set(own['train_rows'][i].tolist())
    assert not set(wrong) & set(own['test_rows'][i].tolist())
  assert (own['y'][0] != own['y'][1]).any()
