"""Distances and angles to known examples, of features of norm 1.

Only directions count, so the scale of a feature vector is no part of these.

Example:
  >>> import numpy as np
  >>> from assay.methods import ood_scores
  >>> bank = np.array([[1., 0.], [4., 3.], [0., 2.]])
  >>> detector = ood_scores.knn.fit(bank, k=1)
  >>> detector.score(bank)  # each is its own neighbor
  array([-0., -0., -0.])
  >>> detector.score(bank, own_rows=np.arange(3)).round(3)  # without itself
  array([-0.632, -0.632, -0.894])
"""

from typing import NamedTuple

import numpy as np

from assay.methods.ood_scores.arrays import by_block
from assay.methods.ood_scores.detectors import Score
from assay.methods.ood_scores.gaussians import group_means, unit
from assay.methods.ood_scores.settings import whole

AT_ONCE = 2**24  # similarities of a block of rows to the whole bank
SPARE = 16  # neighbors beyond k whose distance is computed exactly


class Bank(NamedTuple):
  """Known examples and which neighbor counts.

  Attributes:
    features: [N, D] float32, of norm 1.
    k: int.
  """
  features: np.ndarray
  k: int


def _unit32(features):
  return by_block(lambda z: unit(z).astype(np.float32), features)


def _fit_knn(features, labels=None, *, k=None):
  del labels
  number = len(features)
  k = max(1, round(number / 1000)) if k is None else whole(k, 'k', 1, number)
  return Bank(_unit32(features), k)


def _knn(state, features, own_rows=None):
  bank, k = state
  z = _unit32(features)
  if own_rows is None:
    own_rows = np.full(len(z), -1)
  for row in (own_rows.min(), own_rows.max()):
    whole(row, 'own_rows', -1, len(bank) - 1)
  whole(k, 'k', 1, len(bank) - int((own_rows >= 0).any()))
  rows = max(1, AT_ONCE // len(bank))
  return np.concatenate([_kth(bank, k, z[i:i + rows], own_rows[i:i + rows])
                         for i in range(0, len(z), rows)])


def _kth(bank, k, z, own):
  """[B] minus the distance of rows to their k-th neighbor in the bank."""
  similar = z @ bank.T
  mine = np.flatnonzero(own >= 0)
  similar[mine, own[mine]] = -np.inf
  kept = min(k + SPARE, len(bank))
  # Products of float32 round by more than small distances are: the nearest are
  # found by them, and their distances are computed anew.
  least = np.partition(similar, len(bank) - kept, axis=1)[:, len(bank) - kept]
  least = np.where(np.isfinite(least), least, np.finfo(np.float32).min)
  found = np.empty(len(z))
  for i, row in enumerate(similar):
    off = bank[row >= least[i]] - z[i]
    squared = np.einsum('nd,nd->n', off, off, dtype=float)
    found[i] = -np.sqrt(np.partition(squared, k - 1)[k - 1])
  return found


def _fit_prototypes(features, labels):
  groups = np.unique(labels, return_inverse=True)[1]
  return (unit(group_means(unit(features), groups, groups.max() + 1)),)


knn = Score(_fit_knn, _knn)
"""Minus the distance to the k-th neighbor (Sun et al., 2022).

k: int >= 1, default a thousandth of the examples, at least 1. `score` may also
be given own_rows, [N] int: the row that each example has among those of the
fit, which then is no neighbor of it; -1: none.
"""
prototypes = Score(_fit_prototypes, lambda state, features: by_block(
    lambda z: (unit(z) @ state[0].T).max(axis=1), features))
"""Largest cosine with a class's mean of features of norm 1. Learned prototypes
are features with labels of their own: `fit(found, np.arange(len(found)))`."""
