"""Linear probes: what a layer can tell, by logistic regression of its features.

Example:
  >>> import numpy as np
  >>> from assay.methods import probes
  >>> z, y = np.array([[0., 1.], [1., 1.], [4., 1.], [5., 1.]]), [0, 0, 1, 1]
  >>> weights, bias = probes.linear(z, y, z, y)
  >>> np.argmax(z @ weights + bias, axis=1).tolist()
  [0, 0, 1, 1]
"""

import numpy as np

from assay.methods.ood_scores.gaussians import unit
from assay.metrics import classification, clusters

STRENGTHS = (1e-3, 1e-2, .1, 1., 10.)  # of C, the inverse of the penalty


def linear(features, labels, held, held_labels, strengths=STRENGTHS):
  """(weights [D, C], bias [C]) of a probe with a squared penalty.

  Features are standardized by the training examples. The strength is the one
  with the lowest mean negative log-likelihood of the held-out examples.

  Args:
    features: [n, D] float.
    labels: [n] int in [0, C), each of them at least once.
    held: [m, D] float.
    held_labels: [m] int, of the same.
    strengths: to choose from.
  """
  from sklearn import linear_model  # slow to import, and only used here
  mean, std = features.mean(axis=0, dtype=float), features.std(
      axis=0, dtype=float)
  std = np.where(std > 1e-6 * (std.max() or 1), std, np.inf)  # a dead unit
  best, found = np.inf, None
  for strength in strengths:
    fitted = linear_model.LogisticRegression(
        C=strength, max_iter=1000).fit((features - mean) / std, labels)
    weights, bias = fitted.coef_.T / std[:, None], fitted.intercept_
    if weights.shape[1] == 1:  # of two classes there is one logit
      weights, bias = np.append(0 * weights, weights, 1), np.append(0, bias)
    bias = bias - mean @ weights
    nll = classification.nll(held @ weights + bias, held_labels)
    if nll < best:
      best, found = nll, (weights, bias)
  return found


def few(labels, number):
  """[n] int: rows of the first `number` examples of each label."""
  labels = np.asarray(labels)
  return np.sort(np.concatenate([
      np.flatnonzero(labels == c)[:number] for c in np.unique(labels)]))


def summary(train, held, test, number):
  """What features tell of labels within classes that they were not taught.

  Args:
    train, held, test: dicts of features [n, D], labels [n] and fine [n] int,
      the labels within classes.
    number: examples of each fine label that the smaller probe learns from.

  Returns:
    dict of probe_accuracy and few_probe_accuracy, of the fine labels by probes
    of all and of few training examples; nearest_accuracy, of the label of the
    nearest training example; silhouette and participation, see
    `metrics.clusters`.
  """
  z = unit(test['features'])
  nearest = np.argmax(z @ unit(train['features']).T, axis=1)
  found = {
      'silhouette': clusters.silhouette(z, test['labels'], test['fine']),
      'participation': clusters.participation(z, test['labels']),
      'nearest_accuracy': np.mean(train['labels'][nearest] == test['labels'])}
  for name, rows in (('probe_accuracy', slice(None)),
                     ('few_probe_accuracy', few(train['fine'], number))):
    weights, bias = linear(train['features'][rows], train['fine'][rows],
                           held['features'], held['fine'])
    said = np.argmax(test['features'] @ weights + bias, axis=1)
    found[name] = np.mean(said == test['fine'])
  return {name: float(value) for name, value in found.items()}
