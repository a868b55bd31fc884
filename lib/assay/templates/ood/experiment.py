"""TODO: the question. Does a lead over the second class tell known images?

  python -m experiments.my_paper

To make this paper yours, put your idea in the place of `mine`: see `ood.Arm`
for what else an arm may replace.
"""

import sys

import numpy as np

from assay import cli
from assay.methods import ood_scores
from assay.testbeds import ood


@ood_scores.plain
def mine(logits):
  """TODO: the method, a score. The largest logit less the second.

  Args:
    logits: [N, C] float.

  Returns:
    [N], higher for what is known.
  """
  second, first = np.sort(logits, axis=1)[:, -2:].T
  return first - second


# name: a head and a score of its network
ARMS = {
    'one_feature': ood.ONE_FEATURE,
    'baseline': ood.Arm(score=ood_scores.msp),
    'mine': ood.Arm(score=mine),
}
make_apply = ood.make_apply(ARMS)  # for `assay.load`


def run(config, study):
  """Scores every arm on every seed; returns the rows."""
  return ood.run(config, study, ARMS)


if __name__ == '__main__':
  sys.exit(cli.main('my_paper'))
