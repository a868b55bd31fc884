"""Scores of known and unknown images, all on the same networks.

  python -m experiments.ood_overview --config=configs/ood_overview.py:cifar6
"""

import sys

from assay import cli
from assay.methods import abet
from assay.methods import ood_scores as scores
from assay.testbeds import ood

SHARES, NEIGHBORS = (70., 80., 90., 95.), (1, 3, 10, 30)
SETTINGS = {'react': {'percentile': SHARES}, 'dice': {'percentile': SHARES},
            'ash': {'percentile': SHARES}, 'knn': {'k': NEIGHBORS},
            'energy': {'temperature': (.5, 1., 2., 5.)},
            'gen': {'gamma': (.05, .1, .2, .5)},
            'gmm': {'components': (1, 2, 3, 4)}}
NAMES = ('msp', 'max_logit', 'energy', 'entropy', 'gen', 'mahalanobis',
         'relative_mahalanobis', 'ssd', 'knn', 'prototypes', 'gmm', 'residual',
         'vim', 'react', 'ash', 'dice', 'she')

ARMS = {'one_feature': ood.ONE_FEATURE} | {
    name: ood.Arm(score=getattr(scores, name), settings=SETTINGS.get(name, {}))
    for name in NAMES} | {
        f'abet_{name}': ood.Arm(abet.Head, getattr(scores, name),
                                SETTINGS.get(name, {}))
        for name in ('msp', 'energy', 'mahalanobis', 'knn')}
ARMS['knn'] = ARMS['knn']._replace(against=('energy',))
make_apply = ood.make_apply(ARMS)


def run(config, study):
  """Scores every arm on every seed; returns the rows."""
  return ood.run(config, study, ARMS)


if __name__ == '__main__':
  sys.exit(cli.main('ood_overview'))
