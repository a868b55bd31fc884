"""Length generalization and RASP-L (Zhou et al., 2024): six items, then more.

  python -m experiments.rasp_length_generalization

Splits: `test`, sequences of lengths of training that are held out; `lengths`,
longer ones, with a field `length`.
"""

import functools
import sys

from assay import cli
from assay.data import texts
from assay.testbeds import tiny_lm


def sequences(net, kind):
  """The task of a `config.net`."""
  return texts.sequence(kind, net.num_items, net.longest, net.num_numbers)


@functools.lru_cache  # of equal values the same task again
def _sums(*values):
  return texts.addition(*values)


def sums(net, order):
  """As `sequences`, of sums in an order of digits."""
  return _sums(net.num_digits, order, net.most_digits)


def _of(kind, **fields):
  return tiny_lm.Arm(functools.partial(sequences, kind=kind), fields)


ARMS = {
    **{kind: _of(kind) for kind in (
        'counting', 'copy_unique', 'sort', 'mode', 'copy_repeat', 'parity')},
    'untrained': _of('copy_unique', starts=1),  # later places are never seen
    'none': _of('copy_unique', positions='none', starts=1),
    'rotary': _of('copy_unique', positions='rotary', starts=1),
    'gpt2': _of('copy_repeat', initialization='gpt2'),
    'addition': tiny_lm.Arm(functools.partial(sums, order='reversed')),
    'hinted': tiny_lm.Arm(functools.partial(sums, order='hinted')),
}
make_apply = tiny_lm.loader(ARMS)


def run(config, study):
  """Trains every arm on every seed and asks it; returns the rows."""
  return tiny_lm.run(config, study, ARMS)


if __name__ == '__main__':
  sys.exit(cli.main('rasp_length_generalization'))
