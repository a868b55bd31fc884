"""LOOK (Feng et al., 2022): features by neighbors, and what they tell besides.

  python -m experiments.look_loo_knn --config=configs/look_loo_knn.py:cifar6
"""

import sys

import jax.numpy as jnp

from assay import cli
from assay.methods import contrastive, look, ood_scores, probes
from assay.testbeds import ood

FEW = 5  # examples of a class, of the smaller probe


def contrasted(loss, **more):
  return ood.contrasted(contrastive.Head, loss, **more)


NETWORKS = {
    'ce': {'train': ood.TWO_VIEWS},
    'supcon': contrasted(contrastive.by_label),
    'simclr': contrasted(contrastive.by_image),
    'untrained': contrasted(lambda z, batch, extra: (jnp.float32(0), {}))} | {
        name: contrasted(look.loss_of(k), memory=look.memory)
        for name, k in (('look', 16), ('look_64', 64), ('look_all', None))}
ARMS = {name: ood.Arm(score=ood_scores.knn, settings={'k': (1, 3, 10, 30)},
                      **network) for name, network in NETWORKS.items()}
make_apply = ood.make_apply(ARMS)


def more(out, arm):
  """What features of known images tell of labels that were not taught."""
  del arm
  n = len(out['test']['fine'])
  return {(name, 'test', ''): (value, n) for name, value in probes.summary(
      out['train'], out['val'], out['test'], FEW).items()}


def run(config, study):
  """Scores every arm on every seed, and probes its features; the rows."""
  return ood.run(config, study, ARMS, more)


if __name__ == '__main__':
  sys.exit(cli.main('look_loo_knn'))
