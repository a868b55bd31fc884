"""Diversity of instructions (Zhang et al., 2024): rewrite rules in the prompt.

  python -m experiments.only_if_diversity

Splits: `test`, rules never seen, whose left sides no rule of training has;
`seen`, rules of training on new texts; `ends`, rules never seen of the domain
whose left sides have the same letter first and last.
"""

import functools
import sys

from assay import cli
from assay.data import texts
from assay.testbeds import tiny_lm


def rules(net, domains=('any',), zipf=0.):
  """The task of a `config.net`."""
  return texts.rewriting(
      net.num_rules, domains, net.text_length, net.num_letters, net.absent,
      zipf, net.rule_seed)


def _of(**fields):
  return tiny_lm.Arm(functools.partial(rules, **fields))


ARMS = {
    'any': _of(),
    'one_domain': _of(domains=('ends',)),
    'four_domains': _of(domains=('ends', 'repeat', 'tail', 'same')),
    'skewed': _of(zipf=1.),  # rule k is drawn with a weight 1 / k
    'gpt2': tiny_lm.Arm(rules, {'initialization': 'gpt2'}),
}
make_apply = tiny_lm.loader(ARMS)


def run(config, study):
  """Trains every arm on every seed and asks it; returns the rows."""
  return tiny_lm.run(config, study, ARMS)


if __name__ == '__main__':
  sys.exit(cli.main('only_if_diversity'))
