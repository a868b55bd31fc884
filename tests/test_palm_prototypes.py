"""PALM: labels that are merged, and networks that are shared."""

import numpy as np
import pytest

from assay import papers
from assay.errors import UserError
from assay.study import replaced
from assay.testbeds import ood_data, ood_nets
from configs import palm_prototypes as card
from experiments import palm_prototypes as paper

CONFIG = card.get_config('smoke')


def test_two_classes_are_one_label():
  data = ood_data.load(CONFIG.net)
  y, fine = data.shared['y'], data.shared['fine']
  assert (data.num_classes, ood_data.num_classes(CONFIG.net)) == (3, 3)
  np.testing.assert_array_equal(y, fine // 2)
  assert set(fine[data.shared['train_rows']].tolist()) == set(range(6))
  plain = ood_data.load(replaced(CONFIG, {'merged': 1}).net)
  np.testing.assert_array_equal(plain.shared['y'], fine)
  assert 'fine' not in plain.shared
  with pytest.raises(UserError, match='merged=4: 6 known classes are no whole'):
    ood_data.load(replaced(CONFIG, {'merged': 4}).net)


def test_arms_of_one_network_share_it_and_others_do_not():
  network = lambda name: (paper.ARMS[name].head, id(paper.ARMS[name].train))
  for name in card.get_config().arms[1:]:
    first, _, _ = name.rpartition('_')
    assert network(name) == network(f'{first}_knn')
  assert network('one_feature') == network('ce_msp')
  assert len({network(name) for name in paper.ARMS}) == len(paper.NETWORKS)


def test_every_variant_has_what_its_claims_read():
  # An arm is asked for prototypes only where it has some.
  head = paper.ARMS['palm_ssd'].head(3)
  assert head.number == 6 and paper.ARMS['palm_1_ssd'].head(3).number == 1
  assert ood_nets.make_model(CONFIG.net, paper.ARMS['palm_ssd'].head).head == (
      head)
  assert papers.load('palm_prototypes').ARMS is paper.ARMS
