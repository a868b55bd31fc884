"""Self-supervised label augmentation (Lee et al., 2020): turns times classes.

  python -m experiments.self_label_augmentation \
    --config=configs/self_label_augmentation.py:mnist
"""

import sys

import jax.numpy as jnp

from assay import cli, losses
from assay.methods import self_label_augmentation as sla
from assay.testbeds import vision, vision_copies
from assay.testbeds.vision_copies import Arm

M = sla.TURNS


def turns(loss):
  """Training on all quarter turns, with a loss of (logits, batch)."""
  return vision.Arm(lambda logits, batch, extra: (
      jnp.mean(loss(logits, batch)), {}, {}), draw=sla.turned)


_joint = Arm(lambda k: k * M, turns(sla.joint))
ARMS = {
    'baseline': Arm(),
    # As many images a step as with turns, and answers from as many copies.
    'baseline_4x': Arm(larger=M),
    'baseline_shifts': Arm(copies=vision_copies.SHIFTED,
                           read=lambda logits: logits.mean(axis=0)),
    'augmented': Arm(train=turns(
        lambda logits, batch: losses.cross_entropy(logits, batch['y']))),
    'multi_task': Arm(lambda k: k + M, turns(sla.multi_task),
                      read=lambda logits: logits[0][:, :-M]),
    'sla_single': _joint._replace(read=lambda logits: sla.single(logits[0])),
    'sla': _joint._replace(copies=vision_copies.TURNED, read=sla.aggregated),
    'sla_distilled': Arm(
        lambda k: k * (M + 1), turns(sla.distilled),
        read=lambda logits: logits[0][:, -(logits.shape[2] // (M + 1)):])}
make_apply = vision_copies.make_apply(ARMS)


def run(config, study):
  """Trains every arm on every seed; returns the rows."""
  return vision_copies.run(config, study, ARMS)


if __name__ == '__main__':
  sys.exit(cli.main('self_label_augmentation'))
