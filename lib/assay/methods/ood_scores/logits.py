"""Scores of logits alone: sure predictions are of known inputs.

Softmax is not changed by a constant that is added to a row of logits; `energy`
and `max_logit` are, so log-probabilities will not do for them.

Example:
  >>> from assay.methods import ood_scores
  >>> logits = [[2., 0., 0.], [0., 0., 0.]]
  >>> for score in (ood_scores.msp, ood_scores.max_logit, ood_scores.energy):
  ...   print(score.fit().score(logits).round(3))
  [0.787 0.333]
  [2. 0.]
  [2.24  1.099]
"""

import numpy as np
from scipy import special

from assay.methods.ood_scores.arrays import by_block
from assay.methods.ood_scores.detectors import plain
from assay.methods.ood_scores.settings import setting, whole


def energy_of(logits, temperature=1.):
  """T logsumexp(l / T) of [N, C], [N] float64."""
  return temperature * special.logsumexp(logits / temperature, axis=1)


def _msp(logits):
  return by_block(lambda z: special.softmax(z, axis=1).max(axis=1), logits)


def _energy(logits, *, temperature=1.):
  setting(temperature, 'temperature', np.finfo(float).tiny)
  return by_block(lambda z: energy_of(z, temperature), logits)


def _entropy(logits):
  return by_block(
      lambda z: -special.entr(special.softmax(z, axis=1)).sum(axis=1), logits)


def _gen(logits, *, gamma=.1, top=100):
  setting(gamma, 'gamma', 0, 1)
  top = whole(top, 'top', 1)

  def values(z):
    p = np.sort(special.softmax(z, axis=1), axis=1)[:, -top:]
    return -(p**gamma * (1 - p)**gamma).sum(axis=1)

  return by_block(values, logits)


msp = plain(_msp)
"""Largest softmax probability (Hendrycks and Gimpel, 2017)."""
max_logit = plain(lambda logits: logits.max(axis=1))
"""Largest logit (Hendrycks et al., 2022)."""
energy = plain(_energy)
"""T logsumexp(l / T) (Liu et al., 2020); temperature: T > 0, default 1."""
entropy = plain(_entropy)
"""The negative entropy of the softmax."""
gen = plain(_gen)
"""- sum of p^g (1 - p)^g over the largest p (Liu et al., 2023); gamma: g, in
[0, 1], default 0.1; top: classes, default 100."""
