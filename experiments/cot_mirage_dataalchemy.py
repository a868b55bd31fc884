"""Chain of thought as a mirage (Zhao et al., 2026): letters, step by step.

  python -m experiments.cot_mirage_dataalchemy

Splits: `test`, known pairs of transforms on letters never seen; `cmp`, a new
pair of known transforms; `pood`, a new transform comes second; `ood`, a new one
twice; `letters_3` and so on, known pairs on fewer letters.
"""

import functools
import sys

from assay import cli
from assay.data import texts
from assay.testbeds import tiny_lm


@functools.lru_cache  # of equal values the same task again
def _task(train, others, num_letters, rotation, chain):
  return texts.transforms(train, dict(others), num_letters, rotation, chain)


def transforms(net, chain=True):
  """The task of a `config.net`."""
  others = tuple((split, net[split]) for split in ('cmp', 'pood', 'ood'))
  return _task(net.pairs[:net.num_pairs], others, net.num_letters,
               net.rotation, chain)


def on_the_new_pair(net):
  """What tuning is on, and its own fields: some lines of `cmp`."""
  task = _task(net.cmp, (('cmp', net.cmp),), net.num_letters, net.rotation,
               True)
  return task, dict(
      num_examples=net.tuning_examples, num_steps=net.tuning_steps,
      learning_rate=net.tuning_rate, batch_size=net.tuning_batch)


ARMS = {
    'learned': tiny_lm.Arm(transforms),
    'none': tiny_lm.Arm(transforms, {'positions': 'none'}),
    'relative': tiny_lm.Arm(transforms, {'positions': 'relative'}),
    'gpt2': tiny_lm.Arm(transforms, {'initialization': 'gpt2'}),
    'answer_only': tiny_lm.Arm(functools.partial(transforms, chain=False)),
    'tuned': tiny_lm.Arm(transforms, tuning=on_the_new_pair),
    'commuting': tiny_lm.Arm(
        transforms, {'pairs': ('rr', 'ss', 'rs'), 'cmp': ('sr',)}),
    'not_commuting': tiny_lm.Arm(
        transforms, {'pairs': ('ee', 'ss', 'es'), 'cmp': ('se',)}),
}
make_apply = tiny_lm.loader(ARMS)


def run(config, study):
  """Trains every arm on every seed and asks it; returns the rows."""
  return tiny_lm.run(config, study, ARMS)


if __name__ == '__main__':
  sys.exit(cli.main('cot_mirage_dataalchemy'))
