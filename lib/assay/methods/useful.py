"""USEFUL: examples that are learned late, one more copy of each.

Nguyen et al. (NeurIPS 2024, arXiv 2404.17768): train for a few epochs, split
each class in two by k-means on the network's outputs, take the half with the
higher loss as slow, add a copy of each of its examples, and train again from
the same initialization. Everything here is on the host, between two runs.
"""

import hashlib
from typing import NamedTuple

import numpy as np

from assay.errors import UserError


class Separated(NamedTuple):
  """Which examples a class's clusters call slow.

  Attributes:
    slow: bool [N].
    remarks: texts, one for each class that could not be split.
  """
  slow: np.ndarray
  remarks: tuple


def elbow(errors, fraction=0.1, window=3):
  """The epoch after which training error stops to fall fast.

  The first t with e_t - e_(t+1) < fraction * max_s (e_s - e_(s+1)) at or after
  the steepest fall, e smoothed by a centered mean of `window` epochs (shorter
  at the ends). The paper takes the elbow by eye; this rule for it is ours, and
  so is waiting for the steepest fall: a network that has not begun to learn
  has a flat error too.

  Args:
    errors: [T] training error after each epoch, T >= 2.
    fraction: in (0, 1].
    window: odd number of epochs.

  Returns:
    t in 1 .. T; T where the error still falls fast at the end, or never falls.

  Raises:
    UserError: fewer than two epochs, or an error that is not finite.

  Example:
    >>> from assay.methods import useful
    >>> useful.elbow([0.9, 0.5, 0.1, 0.1, 0.1], window=1)
    3
  """
  errors = np.asarray(errors, float)
  if len(errors) < 2 or not np.isfinite(errors).all():
    raise UserError(f'the elbow of {errors.tolist()} needs at least two finite '
                    'errors; train for more epochs, or give the epoch.')
  half = window // 2
  smooth = np.array([errors[max(0, t - half):t + half + 1].mean()
                     for t in range(len(errors))])
  falls = smooth[:-1] - smooth[1:]
  steepest = int(np.argmax(falls))
  if falls[steepest] <= 0:
    return len(errors)
  slower = np.flatnonzero(falls[steepest:] < fraction * falls[steepest])
  return steepest + int(slower[0]) + 1 if len(slower) else len(errors)


def separate(outputs, labels, losses, seed=0, num_starts=10):
  """Splits each class in two by its outputs; slow is the higher mean loss.

  k-means with k = 2 (scikit-learn) on outputs that are standardized within the
  class, as early outputs are tiny and k-means stops at an absolute tolerance.

  Args:
    outputs: [N, C] float, logits or probabilities, in evaluation mode.
    labels: [N] int.
    losses: [N] float, loss of each example at the same parameters.
    seed: of k-means.
    num_starts: of k-means, the best is kept.

  Returns:
    A `Separated`. No example is slow in a class whose outputs are all the
    same, or whose two clusters have the same mean loss; a remark says so.

  Raises:
    UserError: outputs or losses are not finite, or sizes differ.

  Example:
    >>> from assay.methods import useful
    >>> outputs, losses = [[0.], [1.], [8.], [9.]], [2., 2., 0., 0.]
    >>> useful.separate(outputs, [7, 7, 7, 7], losses).slow.tolist()
    [True, True, False, False]
  """
  from sklearn import cluster  # takes a second, so only where used

  outputs, losses = np.asarray(outputs, float), np.asarray(losses, float)
  labels = np.asarray(labels)
  if not len(outputs) == len(labels) == len(losses):
    raise UserError(f'{len(outputs)} outputs, {len(labels)} labels and '
                    f'{len(losses)} losses must be of the same examples.')
  if not (np.isfinite(outputs).all() and np.isfinite(losses).all()):
    raise UserError('outputs or losses are not finite; lower the learning '
                    'rate, or separate at an earlier epoch.')
  slow, remarks = np.zeros(len(labels), bool), []
  for label in np.unique(labels):
    rows = np.flatnonzero(labels == label)
    own = outputs[rows] - outputs[rows].mean(axis=0)
    spread = own.std(axis=0)
    own = own / np.where(spread > 0, spread, 1)
    if len(np.unique(own, axis=0)) < 2:
      remarks.append(f'class {label}: all {len(rows)} outputs are the same')
      continue
    side = cluster.KMeans(2, n_init=num_starts, random_state=seed
                          ).fit_predict(own)
    first, second = (losses[rows[side == i]].mean() for i in (0, 1))
    if first == second:
      remarks.append(f'class {label}: both clusters have loss {first:g}')
      continue
    slow[rows[side == int(second > first)]] = True
  return Separated(slow, tuple(remarks))


def upsample(own, copies, batch_size, num_epochs):
  """Adds rows to each seed's training set, and the steps that they take.

  Args:
    own: dict with train_rows [S, N] int32.
    copies: S arrays of positions in a seed's train_rows, each position as
      often as it is to be added; lengths may differ.
    batch_size: B; an epoch's last, incomplete batch is dropped.
    num_epochs: E, each over the enlarged set.

  Returns:
    `own` with train_rows [S, L] int32, padded with its last row to the
    longest; num_train [S] int32, how many of them count; num_steps [S] int32,
    E * (num_train // B), so that schedules stretch over the same epochs.

  Example:
    >>> import numpy as np
    >>> from assay.methods import useful
    >>> own = {'train_rows': np.array([[7, 8, 9]])}
    >>> own = useful.upsample(own, [[2]], batch_size=2, num_epochs=5)
    >>> own['train_rows'].tolist(), own['num_steps'].tolist()
    ([[7, 8, 9, 9]], [10])
  """
  rows = [np.concatenate([r, r[np.asarray(c, int)]])
          for r, c in zip(own['train_rows'], copies, strict=True)]
  num_train = np.array([len(r) for r in rows], np.int32)
  padded = [np.pad(r, (0, num_train.max() - len(r)), 'edge') for r in rows]
  return own | {
      'train_rows': np.stack(padded).astype(np.int32), 'num_train': num_train,
      'num_steps': (num_train // batch_size * num_epochs).astype(np.int32)}


def same_number(candidates, count, rng):
  """`count` of the positions where `candidates` [N] is true, at random.

  Each at most once more than any other, so that a small set is repeated.
  """
  positions = np.flatnonzero(candidates)
  if not len(positions):
    return np.zeros(0, int)
  rounds = -(-count // len(positions))
  return np.concatenate(
      [rng.permutation(positions) for _ in range(rounds)] or [positions[:0]]
  )[:count]


def weights(slow, factor=2.):
  """Loss weights [N] float32 in place of copies, with mean 1.

  The mean gradient over an epoch is then that of `factor` copies.
  """
  found = np.where(slow, factor, 1.)
  return (found / found.mean()).astype(np.float32)


def weighted(draw):
  """Adds `weight` [B] to a batch: that of its rows in own['weight']."""

  def drawn(shared, own, item, key):
    batch = draw(shared, own, item, key)
    return batch | {'weight': own['weight'][batch['index']]}

  return drawn


def digest(slow):
  """First 16 hex digits of a sha256 over a bool [N], to tell sets apart."""
  return hashlib.sha256(np.packbits(slow).tobytes()).hexdigest()[:16]
