"""Whose labels are wrong, who answers, and how many features are used."""

import jax
import numpy as np
import pytest

from assay.errors import UserError
from assay.study import replaced
from assay.testbeds import vision_nets, vision_noise
from configs import compress_noisy_labels as card
from experiments import compress_noisy_labels as paper

CONFIG = card.get_config('smoke')
DATA = vision_nets.load(CONFIG.net)


def test_a_seed_has_its_own_wrong_labels():
  y, right = vision_noise.wrong_labels(CONFIG.net, DATA, 0), DATA.shared['y']
  for split, number in (('train', 24), ('val', 16), ('test', 0)):
    rows = DATA.shared[f'{split}_rows']
    assert (y[rows] != right[rows]).sum() == number
  assert (y != vision_noise.wrong_labels(CONFIG.net, DATA, 1)).any()
  after = vision_noise.wrong_labels(
      replaced(CONFIG, {'noise': 'next'}).net, DATA, 0)
  assert set(((after - right) % 10).tolist()) == {0, 1}


def test_the_first_of_two_networks_answers():
  arm, x = paper.ARMS['nested_co'], np.ones((2, 8, 8, 1), np.float32)
  both = vision_noise.make_model(CONFIG.net, arm, pair=True)
  variables = both.init(jax.random.key(0), x)
  one = vision_noise.make_model(CONFIG.net, arm)
  logits = both.apply(variables, x)
  np.testing.assert_allclose(one.apply(variables, x), logits[:, :10])
  assert (logits[:, :10] != logits[:, 10:]).any()
  same = variables['params'] | {f'other_{part}': variables['params'][part]
                                for part in ('body', 'head')}
  for seed in range(5):  # in training both keep as many features
    loud = both.apply({'params': same}, x, train=True,
                      rngs={'dropout': jax.random.key(seed)})
    first, second, *picks = np.split(loud, 4, axis=1)
    np.testing.assert_array_equal(first, second)
    # By 2 eta features, of which there are fewer here.
    np.testing.assert_allclose(picks[0], logits[:, :10], rtol=1e-6)


def test_the_number_of_features_with_the_lowest_error():
  y = np.array([[0, 1]])
  logits = np.eye(2)[[[[1, 0], [0, 1], [0, 1], [0, 0]]]]  # [1, 4, 2, 2]
  np.testing.assert_array_equal(vision_noise.errors(logits, y),
                                [[1, 0, 0, .5]])
  chosen = lambda name: vision_noise.chosen(paper.ARMS[name], logits, y)
  assert chosen('nested') == [2] and chosen('ce') == [4]


def test_what_cannot_be_meant():
  with pytest.raises(UserError, match='split_sizes.*to choose by'):
    vision_noise.check(replaced(CONFIG, {'split_sizes': (60, 0, 30)}),
                       paper.ARMS)
