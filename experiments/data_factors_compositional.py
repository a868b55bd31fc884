"""Data factors of composition (Zhou et al., 2023), on commands of SCAN.

  python -m experiments.data_factors_compositional

Splits: `test`, commands of training's kind that are held out; `composed`, such
as have what no command of training has in them, see `texts.commands`.
"""

import functools
import sys

from assay import cli
from assay.data import texts
from assay.testbeds import tiny_lm


def commands(net, held='jump', sizes='all'):
  """The task of a `config.net`."""
  return texts.commands(
      held, net.factor, sizes, net.most_actions,
      net.alone if held == 'jump' else 0.)  # else it is composed itself


def _of(*args, **fields):
  return tiny_lm.Arm(functools.partial(commands, **dict(zip(
      ('held', 'sizes'), args, strict=False))), fields)


ARMS = {
    'jump': _of('jump'),
    'gpt2': _of('jump', initialization='gpt2'),
    'all': _of('around_right'),
    'short': _of('around_right', 'short'),
    'long': _of('around_right', 'long'),
}
make_apply = tiny_lm.loader(ARMS)


def run(config, study):
  """Trains every arm on every seed and asks it; returns the rows."""
  return tiny_lm.run(config, study, ARMS)


if __name__ == '__main__':
  sys.exit(cli.main('data_factors_compositional'))
