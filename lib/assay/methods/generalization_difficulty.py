"""How hard a task is to learn, before anything is learned (Boopathy et al.).

Functions on an m-dimensional manifold that differ on a scale of `distance` can
be told apart by about E numbers each; an error below `error` asks for bits of
all of them, less what n examples tell. The formula is that of the released code
(2023), whose constants differ from those that are printed beside it.
"""

import math

import numpy as np
from scipy import special


def dimension(x, num_neighbors=5):
  """The intrinsic dimension of points [N, D], by distances to near ones.

  1 over the mean, over points and j < k, of log(r_k / r_j), with r_j the
  distance to the j-th nearest (Levina and Bickel, 2004; MacKay and Ghahramani
  invert after averaging, as here). Points that stand twice are taken once.

  Example:
    >>> import numpy as np
    >>> from assay.methods import generalization_difficulty as difficulty
    >>> x = np.random.default_rng(0).uniform(size=(800, 2))
    >>> bool(1.8 < difficulty.dimension(x @ np.ones((2, 5)) + x @ np.eye(2, 5))
    ...      < 2.2)
    True
  """
  x = np.unique(np.asarray(x, float).reshape(len(x), -1), axis=0)
  near = np.sqrt(np.stack([row for part in _parts(len(x)) for row in np.sort(
      np.partition(squared_distances(x[part], x), num_neighbors, axis=1)[
          :, :num_neighbors + 1], axis=1)])[:, 1:])  # not itself
  return float(1 / np.mean(np.log(near[:, -1:] / near[:, :-1])))


def squared_distances(x, y):
  """Of all pairs, [N, M] >= 0."""
  return np.maximum(np.sum(x**2, 1)[:, None] + np.sum(y**2, 1) - 2 * x @ y.T,
                    0)


def _parts(num, size=1000):
  return [slice(i, i + size) for i in range(0, num, size)]


def nearest_other(x, y):
  """The least distance between points [N, D] of different classes y [N]."""
  x = np.asarray(x, float).reshape(len(x), -1)
  return float(np.sqrt(min(
      np.min(squared_distances(x[part], x)[y[part, None] != y])
      for part in _parts(len(x)))))


def log_difficulty(*, dimension, radius, distance, num_examples, error,
                   num_classes):
  """log10 of the bits that a task asks of what is known before.

  Args:
    dimension: m, of the inputs' manifold; 1 or more, any real number.
    radius: R, the largest norm of an input.
    distance: between inputs of different classes, the least.
    num_examples: n.
    error: that is wanted, above 0.
    num_classes: P.

  Returns:
    float; NaN where the examples tell all.

  Example:
    >>> from assay.methods import generalization_difficulty as difficulty
    >>> round(difficulty.log_difficulty(
    ...     dimension=14, radius=17.18, distance=2.399, num_examples=60_000,
    ...     error=.001, num_classes=10), 2)  # of MNIST
    16.17
  """
  m, num_outputs = dimension, num_classes - 1
  scale = 2 * math.pi * radius / distance
  k = (math.sqrt((m - 1)**2 + 4 * scale**2) - (m - 1)) / 2
  log_numbers = np.logaddexp(log_choose(m + k, m), log_choose(m + k - 1, m))
  log_width = (
      math.log(m / 6) / 2 + math.log(radius) - math.log(num_examples) / m
      + (math.log(2) + (m + 1) / 2 * math.log(math.pi) + math.log(num_classes)
         - special.gammaln((m + 1) / 2)) / m)
  bits = (math.log2(num_outputs) + math.log2(num_classes)) / 2 + (
      math.log(k * math.sqrt(num_outputs) / radius) + log_width
      - math.log(error)) / math.log(2)
  asked = math.log(2 * num_outputs * num_classes) + log_numbers
  told = math.log(num_examples * num_outputs)
  if asked <= told or bits <= 0:
    return math.nan
  return float((asked + math.log1p(-math.exp(told - asked)) + math.log(bits))
               / math.log(10))


def log_choose(n, k):
  """log of n over k, of real numbers n >= k > 0, without overflow."""
  return special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(
      n - k + 1)
