"""AbeT (LeVine et al., 2024): energy of logits over a learned temperature.

  python -m experiments.abet --config=configs/abet.py:cifar6

An arm is a head and a score: those of a plain head read one network a seed,
those of the head with a temperature another.
"""

import sys

from assay import cli
from assay.methods import abet, ood_scores
from assay.testbeds import ood

_SHARES = (70., 80., 90., 95.)  # percentiles

ARMS = {
    'one_feature': ood.ONE_FEATURE,
    'msp': ood.Arm(),
    'energy': ood.Arm(score=ood_scores.energy),
    'react': ood.Arm(score=ood_scores.react, settings={'percentile': _SHARES}),
    'dice': ood.Arm(score=ood_scores.dice, settings={'percentile': _SHARES}),
    'ash': ood.Arm(score=ood_scores.ash, settings={'percentile': _SHARES}),
    'mahalanobis': ood.Arm(score=ood_scores.mahalanobis),
    'knn': ood.Arm(score=ood_scores.knn, settings={'k': (1, 3, 10, 30)}),
    'temperature': ood.Arm(abet.Head, abet.temperature),
    'unablated': ood.Arm(abet.Head, abet.unablated),
    'constant': ood.Arm(abet.Head, abet.constant),
    'abet': ood.Arm(abet.Head, ood_scores.energy, against=('unablated',)),
}
make_apply = ood.make_apply(ARMS)


def run(config, study):
  """Scores every arm on every seed; returns the rows."""
  return ood.run(config, study, ARMS)


if __name__ == '__main__':
  sys.exit(cli.main('abet'))
