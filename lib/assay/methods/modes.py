"""Prototypes of the modes of a class: found by k-means, and looked at.

Example:
  >>> import numpy as np
  >>> from assay.methods import modes
  >>> cosines = np.array([[[.9], [.1]], [[.2], [.8]], [[.7], [.6]]])
  >>> modes.nearest(cosines, np.zeros(3, int)).tolist()  # one class of two
  [0, 1, 0]
  >>> found = modes.summary(cosines, np.zeros(3, int), np.array([4, 5, 5]))
  >>> round(found['evenness'], 4)
  0.9183
"""

import numpy as np

from assay.methods.ood_scores import Score
from assay.methods.ood_scores.gaussians import unit
from assay.metrics import clusters


def nearest(cosines, labels):
  """[n] int in [0, K): which prototype of its class an example is nearest to.

  Args:
    cosines: [n, K, C], of an example and prototype k of class c.
    labels: [n] int.
  """
  return np.argmax(cosines[np.arange(len(labels)), :, labels], axis=1)


def summary(cosines, labels, fine):
  """How pure and how even the prototypes of classes are.

  Args:
    cosines, labels: as for `nearest`.
    fine: [n] int, labels within classes, of which nothing was told.

  Returns:
    dict of purity, of all C K prototypes; and evenness, the mean over classes
    of that of the class, NaN for one prototype.
  """
  found, number = nearest(cosines, labels), cosines.shape[1]
  return {'purity': clusters.purity(found + number * labels, fine),
          'evenness': np.nan if number == 1 else float(np.mean([
              clusters.evenness(found[labels == c], number)
              for c in np.unique(labels)]))}


def cosines_of(out, split, score):
  """[n, K, C] of a split: of `kmeans`, or what the network says for others.

  Args:
    out: split -> name -> array, of one network, see `testbeds.ood_nets`.
    split: a name.
    score: a `Score`.
  """
  if score is not kmeans:
    return out[split]['cosines']
  train = out['train']
  return _cosines(score.fit(train['features'], train['labels']).state,
                  out[split]['features'])


def _centers(features, labels, *, number=6):
  from sklearn import cluster  # slow to import, and only used here
  z = unit(features)
  return (np.stack([unit(cluster.KMeans(
      number, n_init=3, random_state=0).fit(z[labels == c]).cluster_centers_)
                    for c in np.unique(labels)], axis=1),)


def _cosines(state, features):
  return np.einsum('nd,kcd->nkc', unit(features), state[0])


kmeans = Score(_centers, lambda state, features: _cosines(
    state, features).max(axis=(1, 2)))
"""Largest cosine with a prototype: number (default 6) for each class, which
k-means finds in its features of norm 1."""
