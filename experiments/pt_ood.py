"""PT-OOD (Miyai et al., 2023): is what was in pretraining hard to see?

  python -m experiments.pt_ood --config=configs/pt_ood.py:fashion
"""

import sys

import jax.numpy as jnp
import numpy as np

from assay import cli
from assay.methods import contrastive, ood_scores, probes
from assay.metrics import detection
from assay.testbeds import ood, ood_probes

knn = ood_scores.knn
# The same neighbors, of logits in place of features.
LOGIT_KNN = ood_scores.Score(
    lambda logits, *, k=None: knn.state_of(logits, k=k), lambda state, logits:
    knn.values(state, logits))
NETWORKS = {
    'ce': {'train': ood.TWO_VIEWS},
    'simclr': ood.contrasted(contrastive.Head, contrastive.by_image),
    'untrained': ood.contrasted(contrastive.Head, lambda z, batch, extra: (
        jnp.float32(0), {}))}
SCORES = {name: getattr(ood_scores, name) for name in (
    'msp', 'energy', 'entropy', 'knn', 'mahalanobis', 'vim')} | {
        'logit_knn': LOGIT_KNN}
ARMS = {'one_feature': ood.Arm(score=None, **NETWORKS['ce'])} | {
    f'{network}_{score}': ood.Arm(score=SCORES[score], **NETWORKS[network])
    for network in NETWORKS for score in SCORES}
make_apply = ood.make_apply(ARMS)


def more(out, arm):
  """How well a probe that was shown both tells pretrained classes apart."""
  if arm.score is not ood_scores.msp:
    return {}
  both = lambda known, other: (
      np.concatenate([out[split]['features'] for split in (known, other)]),
      np.repeat([1, 0], [len(out[split]['features'])
                         for split in (known, other)]))
  weights, bias = probes.linear(*both('train', 'pretrained_train'),
                                *both('val', 'pretrained_val'))
  known, other = (np.diff(out[split]['features'] @ weights + bias, axis=1)[:, 0]
                  for split in ('test', 'pretrained'))
  return {('auroc', 'pretrained', 'separable'): (
      detection.summary(known, other)['auroc'], len(known) + len(other))}


def run(config, study):
  """Scores probes of every arm on every seed; returns the rows."""
  return ood_probes.run(config, study, ARMS, more)


if __name__ == '__main__':
  sys.exit(cli.main('pt_ood'))
