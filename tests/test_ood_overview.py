"""The overview has every score of images, on the networks of AbeT."""

from assay.methods import ood_scores
from configs import abet
from configs import ood_overview as card
from experiments import ood_overview as paper


def test_every_score_of_images_is_there():
  of_images = {name for name, score in vars(ood_scores).items()
               if isinstance(score, ood_scores.Score)
               and not {'log_p', 'reference_log_p'} & set(score.reads)}
  assert set(paper.NAMES) == of_images
  assert set(card.get_config().arms) == set(paper.ARMS)


def test_networks_are_those_of_abet():
  for variant in card.VARIANTS:
    ours, theirs = (each.get_config(variant) for each in (card, abet))
    assert ours.net == theirs.net
    assert (ours.near, ours.far) == (theirs.near, theirs.far)


def test_no_score_has_more_to_choose_from_than_another():
  assert {len(values) for settings in paper.SETTINGS.values()
          for values in settings.values()} == {4}
