"""How much a bandwidth of C-Mixup selects, and the bandwidth for a wish.

On the host, from the distances of all pairs, a part of them at a time.
"""

import numpy as np

from assay.errors import UserError

MAX_PAIRS = 2**22  # distances that are held at once


def effective_partners(features, bandwidth, max_anchors=2048):
  """Mean of exp(entropy of an anchor's partner law) / n.

  1 is uniform (mixup), 1/n the self pair alone (no mixing).

  Args:
    features: [n, Q] float, labels for C-Mixup.
    bandwidth: > 0, same units; inf is allowed.
    max_anchors: average over at most so many evenly spaced rows.

  Returns:
    float in [1/n, 1].

  Example:
    >>> from assay.methods import mixup
    >>> y = [0., 1., 2., 3.]
    >>> [round(mixup.effective_partners(y, s), 3) for s in (0.01, 1e4)]
    [0.25, 1.0]
  """
  entropies = by_anchors(lambda squared: _entropies(squared, bandwidth),
                          features, max_anchors)
  return float(np.mean(np.exp(entropies)) / len(features))


def bandwidth_for(features, fraction, max_anchors=2048):
  """The bandwidth at which `effective_partners` is `fraction`.

  Args:
    features: [n, Q] float.
    fraction: wanted fraction in (1/n, 1).
    max_anchors: as in `effective_partners`.

  Returns:
    float > 0, units of `features`, relative accuracy 1e-3.

  Raises:
    UserError: no bandwidth gives this fraction (ties bound it from below).
  """
  from scipy import optimize

  squared = by_anchors(lambda squared: squared.mean(axis=1), features,
                        max_anchors)
  log_scale = 0.5 * np.log(np.mean(squared) + 1e-300)

  def excess(log_bandwidth):
    return effective_partners(features, np.exp(log_bandwidth),
                              max_anchors) - fraction

  low, high = log_scale - 16, log_scale + 7
  if not excess(low) < 0 < excess(high):
    raise UserError(
        f'no bandwidth gives {fraction} effective partners among '
        f'{len(features)} examples; the fraction must lie between '
        f'{excess(low) + fraction:.3g} and {excess(high) + fraction:.3g}.')
  return float(np.exp(optimize.brentq(excess, low, high, xtol=1e-3)))


def by_anchors(function, features, max_anchors):
  """`function` of squared distances [A, n], for parts of the anchors, joined.

  Args:
    function: `[A, n] float64 -> [A, ...]`; A is such that no part holds more
      than `MAX_PAIRS` distances, or one row.
    features: [n, Q] or [n] float.
    max_anchors: at most so many rows, evenly spaced, are anchors.
  """
  features = np.asarray(features, np.float64)
  features = features.reshape(len(features), -1)
  count = min(len(features), max_anchors)
  anchors = features[np.linspace(0, len(features) - 1, count).astype(int)]
  size = max(1, MAX_PAIRS // len(features))
  parts = []
  for start in range(0, count, size):
    part = anchors[start:start + size]
    squared = np.zeros((len(part), len(features)))
    for a, c in zip(part.T, features.T, strict=True):
      squared += np.square(a[:, None] - c)
    parts.append(function(squared))
  return np.concatenate(parts)


def log_similarities(squared, bandwidth):
  """-squared / (2 bandwidth^2), without the square, which may underflow."""
  return squared / (-2 * bandwidth) / bandwidth


def _entropies(squared, bandwidth):
  """[A] entropy in nats of each anchor's partner law."""
  scores = log_similarities(squared, bandwidth)
  weights = np.exp(scores)
  total = weights.sum(axis=1)  # the self pair alone gives 1
  product = np.where(weights > 0, weights * np.where(weights > 0, scores, 0),
                     0)
  return np.log(total) - product.sum(axis=1) / total


def distance_quantile(x, fraction, max_anchors=2048):
  """The distance below which a fraction in [0, 1] of all pairs of rows lie.

  Pairs of a row with itself count, as uniform partners may be such.
  """
  max_anchors = min(max_anchors, max(1, MAX_PAIRS // len(x)))
  squared = by_anchors(lambda squared: squared, x, max_anchors)
  return float(np.sqrt(np.quantile(squared, fraction)))
