"""Loki: the Frechet mean of probabilities of labels (Roberts et al., 2023).

A classifier knows K labels; a metric knows N >= K. Predicted is the label y, of
all N, with the least sum over k of p_k d(y, k)^2: so labels that were never
trained can be predicted, where the metric puts them between others.

Distances: [N, K] float, from each label to each that is observed.

Example:
  >>> import numpy as np
  >>> from assay.methods import loki
  >>> path = np.abs(np.arange(5)[:, None] - np.array([0, 4]))  # its ends
  >>> loki.frechet_mean(np.array([[1., 0.], [.5, .5], [.3, .7]]), path).tolist()
  [0, 2, 3]
  >>> loki.locus(path).tolist()  # all that can be predicted
  [0, 1, 2, 3, 4]
"""

import jax.numpy as jnp
import numpy as np
from scipy import optimize

ROUNDING = 1e-9


def frechet_mean(p, distances, power=2):
  """argmin over y of sum_k p_k d(y, k)^power; of equal ones the first.

  Args:
    p: [n, K] float, probabilities of the observed labels.
    distances: see the module.
    power: 2, or 1 for the median.

  Returns:
    [n] int32 in [0, N).
  """
  cost = jnp.asarray(p) @ (jnp.asarray(distances, float) ** power).T
  return jnp.argmin(cost, axis=1)


def locus(distances, power=2):
  """The labels [m] int that some probabilities have as a Frechet mean.

  Exact, by a linear program for each label. One that never is the only mean
  counts: it is predicted only if ties are broken for it.

  Args:
    distances: see the module.
    power: as for `frechet_mean`.
  """
  cost = np.asarray(distances, float) ** power
  found = []
  for y, own in enumerate(cost):
    # p on the simplex with own . p <= cost[other] . p for each other label.
    done = optimize.linprog(
        np.zeros(cost.shape[1]), A_ub=own - cost,
        b_ub=np.full(len(cost), ROUNDING), A_eq=np.ones((1, cost.shape[1])),
        b_eq=[1], bounds=(0, 1))
    found += [y] * (done.status == 0)
  return np.array(found, int)


def next_label(distances, observed):
  """The label to observe next: the one farthest from the locus of these.

  Args:
    distances: [N, N] float, between all labels.
    observed: labels.
  """
  distances = np.asarray(distances, float)
  reached = locus(distances[:, list(observed)])
  return int(np.argmax(distances[:, reached].min(axis=1)))
