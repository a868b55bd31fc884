"""CoT information (Altabaa et al., 2025): what chains are worth, counted.

  python -m experiments.cot_information
"""

import functools
import sys

import numpy as np
from scipy import stats

from assay import cli, keys
from assay.data import families, texts
from assay.methods import cot_information as cot
from assay.testbeds import tiny_lm
from assay.testbeds import tiny_lm_rows as rows


def exact(beside, below, config, add, seeds):
  """Rows of a family: `beside(target)`, of targets drawn below some numbers."""
  found = []
  for seed in seeds:
    rng, mine = keys.generator(seed, beside.__name__), []
    while len(mine) < config.num_targets:
      *same, wrong = beside(*np.atleast_1d(rng.integers(0, below)))
      told = [cot.information(each, wrong, config.error) for each in same]
      if np.isfinite(told).all():  # of some nothing else is that wrong
        mine.append((told, [cot.examples_needed(
            each, wrong, config.error, rng, config.num_repeats)
            for each in same]))
    found.append(mine)
  told, needed = np.moveaxis(np.array(found), 2, 0)  # [S, targets, 2] each
  add = functools.partial(add, split='test', n=config.num_targets)
  for i, by in enumerate(('chain', 'answer')):
    each = told[..., i], needed[..., i]
    add('information', np.mean, each[0], supervision=by)
    add('examples_needed', np.mean, each[1], supervision=by)
    add('information_slope', cot.slope, *each, supervision=by)
  add('rank_correlation', lambda told, needed: stats.spearmanr(*(
      x[:, 0] / x[:, 1] for x in (told, 1 / needed))).statistic, told, needed)


CHAIN, ANSWER = (lambda net, chain=chain: texts.automaton(
    net.machine_seed, chain=chain) for chain in (True, False))
ARMS = {  # two families are counted; `chain` and `answer` are transformers
    'automata': functools.partial(exact, families.automata_beside, (729, 8)),
    'linear_maps': functools.partial(exact, families.linear_maps_beside, 2**16),
    'chain': tiny_lm.Arm(CHAIN), 'answer': tiny_lm.Arm(ANSWER),
    'majority': rows.majority(ANSWER)}
make_apply = tiny_lm.loader(ARMS)


def run(config, study):
  """Returns the rows."""
  return tiny_lm.run(config, study, ARMS)


if __name__ == '__main__':
  sys.exit(cli.main('cot_information'))
