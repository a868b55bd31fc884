"""LOOK: its networks beside those of PALM, and what its card asks."""

from configs import look_loo_knn as card
from configs import palm_prototypes as palm
from experiments import look_loo_knn as paper


def test_networks_are_those_of_palm():
  for variant in card.VARIANTS:
    ours, theirs = (each.get_config(variant) for each in (card, palm))
    assert ours.net == theirs.net
    assert (ours.learning_rates, ours.tuning_seeds) == (
        theirs.learning_rates, theirs.tuning_seeds)


def test_every_network_is_its_own():
  assert len({id(arm.train) for arm in paper.ARMS.values()}) == len(paper.ARMS)
  kept = {name: arm.train.memory(3) for name, arm in paper.ARMS.items()}
  assert {name for name, memory in kept.items() if memory} == {
      'look', 'look_64', 'look_all'}
