"""PALM (Lu et al., 2024): several prototypes a class, and scores of features.

  python -m experiments.palm_prototypes \
    --config=configs/palm_prototypes.py:cifar6
"""

import functools
import sys

from assay import cli
from assay.methods import contrastive, modes, ood_scores, palm
from assay.testbeds import ood


def prototypes(number, momentum=.9, positive=False, **changed):
  return ood.contrasted(
      functools.partial(palm.Head, number=number, positive=positive),
      palm.loss_of(max(1, number - 1), momentum, **changed))


NETWORKS = {
    'ce': {'train': ood.TWO_VIEWS},
    'supcon': ood.contrasted(contrastive.Head, contrastive.by_label),
    'palm': prototypes(6), 'palm_1': prototypes(1),
    'released': prototypes(6, .999, positive=True),
    'inside': prototypes(6, inside=True),
    'stopped': prototypes(6, through=False), 'by_lot': prototypes(6, lot=True)}
SCORES = {name: {'score': getattr(ood_scores, name)} for name in (
    'msp', 'energy', 'ssd', 'mahalanobis')} | {
        'modes': {'score': modes.kmeans}, 'cosine': {'score': palm.cosine},
        'knn': {'score': ood_scores.knn, 'settings': {'k': (1, 3, 10, 30)}}}
ARMS = {'one_feature': ood.Arm(score=None, **NETWORKS['ce'])} | {
    f'{network}_{score}': ood.Arm(**NETWORKS[network], **SCORES[score])
    for network in NETWORKS for score in SCORES
    if score != 'cosine' or network not in ('ce', 'supcon')}
make_apply = ood.make_apply(ARMS)


def more(out, arm):
  """How pure and how even the prototypes are, on known images."""
  if arm.score is not modes.kmeans and 'cosines' not in out['test']:
    return {}
  y, fine = (out['test'][k] for k in ('labels', 'fine'))
  return {(name, 'test', ''): (value, len(y)) for name, value in modes.summary(
      modes.cosines_of(out, 'test', arm.score), y, fine).items()}


def run(config, study):
  """Scores every arm on every seed, and looks at prototypes; the rows."""
  return ood.run(config, study, ARMS, more)


if __name__ == '__main__':
  sys.exit(cli.main('palm_prototypes'))
