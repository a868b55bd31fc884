"""TODO: the question. Is a network less overconfident with a bounded loss?

  python -m experiments.my_paper

To make this paper yours, put your idea in the place of `mine`: see
`vision.Arm` for what else an arm may replace.
"""

import functools
import sys

import jax.numpy as jnp

from assay import cli, losses
from assay.testbeds import vision
from assay.testbeds.vision import make_apply  # noqa: F401, for `assay.load`


def mine(logits, labels, q):
  """TODO: the method. (1 - p_y^q) / q, at most 1/q (Zhang and Sabuncu, 2018).

  Args:
    logits: [B, K] float.
    labels: [B] int in [0, K).
    q: in (0, 1]; towards 0 this is cross entropy.

  Returns:
    [B] loss per example.
  """
  # By p_y^q = exp(q log p_y), whose gradient is finite at p_y = 0.
  return -jnp.expm1(-q * losses.cross_entropy(logits, labels)) / q


def arms(config):
  """name -> `vision.Arm`."""
  return {
      'baseline': vision.Arm(),
      'mine': vision.Arm(vision.mean_of(
          functools.partial(mine, q=config.net.q))),
  }


def run(config, study):
  """Trains every arm on every seed; returns the rows."""
  return vision.run(config, study, arms)


if __name__ == '__main__':
  sys.exit(cli.main('my_paper'))
