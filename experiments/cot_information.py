"""CoT information (Altabaa et al., 2025): what chains are worth, counted.

  python -m experiments.cot_information

Of `automata` and `linear_maps` it is counted what a chain tells and what every
consistent learner needs; `chain` and `answer` are transformers.
"""

import functools
import sys

import numpy as np
from scipy import stats

from assay import cli, keys
from assay.data import families, texts
from assay.methods import cot_information as cot
from assay.testbeds import tiny_lm


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
    mine = functools.partial(add, supervision=by)
    mine('information', np.mean, told[..., i])
    mine('examples_needed', np.mean, needed[..., i])
    mine('information_slope', lambda told, needed: np.polyfit(
        -np.log(told), np.log(needed), 1)[0], told[..., i], needed[..., i])
  add('rank_correlation', lambda told, needed: stats.spearmanr(*(
      x[:, 0] / x[:, 1] for x in (told, 1 / needed))).statistic, told, needed)


ARMS = {
    'automata': functools.partial(exact, families.automata_beside, (729, 8)),
    'linear_maps': functools.partial(exact, families.linear_maps_beside, 2**16),
    **{arm: tiny_lm.Arm(lambda net, chain=arm == 'chain': texts.automaton(
        net.machine_seed, chain=chain)) for arm in ('chain', 'answer')}}
make_apply = tiny_lm.loader(ARMS)


def run(config, study):
  """Counts and trains; returns the rows."""
  return tiny_lm.run(config, study, ARMS)


if __name__ == '__main__':
  sys.exit(cli.main('cot_information'))
