"""Anchor data augmentation (ADA): examples move to or from the mean of a group.

Schneider, Goshtasbpour and Perez-Cruz (NeurIPS 2023, arXiv 2311.06965) take
anchor regression's change of a table, x + (sqrt(gamma) - 1) P x with P the
projection onto the columns of an anchor matrix, and divide each row by the sum
of its weights, so that labels keep their level. The anchor matrix says in which
cluster of k-means on inputs and labels an example is: P x is the mean of its
cluster in the batch. As their released code has it, a large gamma pulls an
example to that mean, one below 1 pushes it away. On your own arrays:

    group = anchor_augmentation.clusters(x, y, num_clusters=8)  # [N], once
    gamma = jax.random.choice(key, anchor_augmentation.gammas(2.0))
    x_new, y_new = (anchor_augmentation.toward_means(a, group, gamma)
                    for a in (x, y))
"""

import jax.numpy as jnp
import numpy as np

from assay.errors import UserError
from assay.metrics import arguments


def toward_means(values, group, gamma):
  """(v + (sqrt(gamma) - 1) m) / sqrt(gamma), m the mean of v's group.

  Args:
    values: [B, ...] float, inputs, representations or labels of a batch.
    group: [B] int, its examples' groups.
    gamma: > 0, [] float; 1 changes nothing, inf leaves the means alone.

  Returns:
    [B, ...] float.

  Example:
    >>> import jax.numpy as jnp
    >>> from assay.methods import anchor_augmentation
    >>> y, group = jnp.array([0., 4., 9.]), jnp.array([5, 5, 7])
    >>> anchor_augmentation.toward_means(y, group, 4.).tolist()  # half way
    [1.0, 3.0, 9.0]
  """
  values = arguments.array(values, 'values')
  group = arguments.array(group, 'group')
  same = (group[:, None] == group[None]).astype(values.dtype)
  flat = values.reshape(len(values), -1)
  means = (same / jnp.sum(same, axis=1, keepdims=True)) @ flat
  kept = 1 / jnp.sqrt(jnp.asarray(gamma, values.dtype))
  # This form returns a mean exactly where `values` is one.
  return (means + kept * (flat - means)).reshape(values.shape)


def gammas(spread, count=20):
  """The values that gamma takes: half above 1, half their reciprocals.

  Args:
    spread: the largest, >= 1; the smallest is 1 / spread.
    count: how many, even.

  Returns:
    [count] float32: evenly spaced from above 1 to `spread`, and 1 / each.

  Raises:
    UserError: the spread is below 1, or the count is odd or below 2.

  Example:
    >>> from assay.methods import anchor_augmentation
    >>> anchor_augmentation.gammas(3., 4).tolist()
    [2.0, 3.0, 0.5, 0.3333333432674408]
  """
  if not spread >= 1:
    raise UserError(f'spread={spread} must be 1 or more.')
  if count < 2 or count % 2:
    raise UserError(f'count={count} must be an even number, 2 or more.')
  above = 1 + (spread - 1) * np.arange(1, count // 2 + 1) / (count // 2)
  return np.concatenate([above, 1 / above]).astype(np.float32)


def clusters(x, y, num_clusters, seed=0):
  """Clusters of k-means on inputs and labels side by side, on the host.

  Neither is scaled, as in the released code: labels of a wide range decide.

  Args:
    x: [N, ...] float.
    y: [N, ...] float.
    num_clusters: at least 1; N where it is more.
    seed: of the first centers.

  Returns:
    [N] int32 in [0, num_clusters).

  Raises:
    UserError: there is to be none.
  """
  if num_clusters < 1:
    raise UserError(f'num_clusters={num_clusters} must be 1 or more.')
  from sklearn import cluster  # half a second to import

  both = np.concatenate([np.reshape(a, (len(a), -1)) for a in (x, y)], axis=1)
  means = cluster.KMeans(min(num_clusters, len(both)), n_init=1,
                         random_state=seed)
  return means.fit_predict(both.astype(np.float64)).astype(np.int32)
