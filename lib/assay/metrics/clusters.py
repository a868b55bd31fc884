"""Groups of examples, and the labels that they were not told.

Example:
  >>> from assay.metrics import clusters
  >>> clusters.purity([0, 0, 0, 1], [5, 5, 7, 7])
  0.75
  >>> round(clusters.evenness([0, 0, 0, 1], 2), 3)
  0.811
"""

import numpy as np


def purity(groups, labels):
  """Share of examples whose label is the most frequent one of their group.

  With more groups it can only rise, and with as many as examples it is 1.

  Args:
    groups: [n] int.
    labels: [n] int.
  """
  groups, labels = _ints(groups, 'groups'), _ints(labels, 'labels')
  if len(groups) != len(labels):
    raise ValueError(f'groups has {len(groups)} and labels {len(labels)} '
                     'examples; they must be the same.')
  return sum(np.unique(labels[groups == each], return_counts=True)[1].max()
             for each in np.unique(groups)).item() / len(groups)


def evenness(groups, number):
  """Entropy of the shares of groups, 1 if all are equal, 0 if one has all.

  Args:
    groups: [n] int in [0, number).
    number: of groups, 2 or more.
  """
  groups = _ints(groups, 'groups')
  if number < 2 or not 0 <= groups.min() <= groups.max() < number:
    raise ValueError(f'number={number} must be 2 or more, and above every '
                     'group, of which none is below 0.')
  share = np.unique(groups, return_counts=True)[1] / len(groups)
  return float(-(share * np.log(share)).sum() / np.log(number))


def participation(features, labels):
  """Dimensions that a class fills, the mean over classes.

  (sum of l)^2 / sum of l^2, l the eigenvalues of the covariance of a class's
  features: 1 if they lie on a line, D if they vary alike in all directions.

  Args:
    features: [n, D] float; each class varies.
    labels: [n] int.
  """
  labels, found = _ints(labels, 'labels'), []
  for c in np.unique(labels):
    covariance = np.atleast_2d(np.cov(features[labels == c].T))
    found.append(np.trace(covariance)**2 / (covariance**2).sum())
  return float(np.mean(found))


def silhouette(features, labels, fine):
  """How far apart the parts of a class are, by cosine; the mean over classes.

  Of each example (b - a) / max(a, b), with a and b its mean distance from the
  others of its part and from those of the nearest other part of its class.

  Args:
    features: [n, D] float.
    labels: [n] int.
    fine: [n] int, the part of its class: two or more in each.

  Returns:
    float in [-1, 1]; 0 where parts are not told apart.
  """
  from sklearn import metrics  # slow to import, and only used here
  labels, fine = _ints(labels, 'labels'), _ints(fine, 'fine')
  return float(np.mean([metrics.silhouette_score(
      features[labels == c], fine[labels == c], metric='cosine')
                        for c in np.unique(labels)]))


def _ints(values, name):
  values = np.asarray(values)
  if values.ndim != 1 or not len(values) or values.dtype.kind not in 'iu':
    raise ValueError(f'{name} {values.shape} of {values.dtype} must be [n] '
                     'int, of one example or more.')
  return values
