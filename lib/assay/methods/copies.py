"""What stands in for copies of slow examples: controls, and other choices.

All on the host, between two runs, as `methods.useful`, whose `upsample` takes
the positions that are chosen here.
"""

import numpy as np

from assay.methods import useful


def enlarged(own, kind, found, seeds, *, times, wrong_times, batch_size,
             num_epochs, num_rows):
  """A training set with more of some examples, and the steps that it takes.

  Args:
    own: dict with train_rows [S, N].
    kind: as `chosen` takes it; 'equal_steps' or 'weighted', which only have the
      steps, or the loss, of copies of slow examples; or None, for none.
    found: slow, wrong, masked: bool [S, N], those that `kind` needs.
    seeds: S integers, of random choices.
    times, wrong_times: see `chosen`.
    batch_size, num_epochs: of the training.
    num_rows: of the whole data set.

  Returns:
    `own`, see `equal_steps`, `weighted_loss` and `useful.upsample`.
  """
  if kind is None:
    return own
  if kind == 'equal_steps':
    return equal_steps(own, found['slow'], times, batch_size, num_epochs)
  if kind == 'weighted':
    return weighted_loss(own, found['slow'], times, num_rows)
  more = [chosen(kind, {k: v[i] for k, v in found.items()}, times, wrong_times,
                 np.random.default_rng((seed, 1)))
          for i, seed in enumerate(seeds)]
  return useful.upsample(own, more, batch_size, num_epochs)


def chosen(kind, found, times, wrong_times, rng):
  """Positions of the training examples that one seed has more of.

  Args:
    kind: 'slow'; 'masked'; as many as are slow of any examples ('random') or
      of the others ('fast'); 'misclassified', those that a first run gets wrong
      (Just Train Twice, Liu et al., 2021).
    found: slow, wrong, masked: bool [N], those that `kind` needs.
    times: copies of each; `wrong_times` of each that is misclassified.
    rng: NumPy generator, of 'random' and 'fast'.

  Returns:
    [n] int, each position as often as it is to be added.

  Example:
    >>> import numpy as np
    >>> from assay.methods import copies
    >>> found = {'slow': np.array([False, True, True])}
    >>> copies.chosen('slow', found, 2, 3, None).tolist()
    [1, 1, 2, 2]
  """
  if kind in ('random', 'fast'):
    slow = found['slow']
    return useful.same_number(
        ~slow if kind == 'fast' else np.ones_like(slow), times * slow.sum(),
        rng)
  if kind == 'misclassified':
    return np.repeat(np.flatnonzero(found['wrong']), wrong_times)
  return np.repeat(np.flatnonzero(found[kind]), times)


def equal_steps(own, slow, times, batch_size, num_epochs):
  """The steps that copies of slow examples take, on the original data.

  Args:
    own: dict with train_rows [S, N].
    slow: bool [S, N], those that are copied in the other arm.
    times: how often.
    batch_size, num_epochs: of the training.

  Returns:
    `own` with num_steps [S] int32.
  """
  total = own['train_rows'].shape[1] + times * slow.sum(axis=1)
  return own | {
      'num_steps': (total // batch_size * num_epochs).astype(np.int32)}


def weighted_loss(own, slow, times, num_rows):
  """Loss weights in place of `times` copies, see `useful.weights`.

  Args:
    own: dict with train_rows [S, N].
    slow: bool [S, N].
    times: copies of each.
    num_rows: of the whole data set.

  Returns:
    `own` with weight [S, num_rows] float32, 1 outside of train_rows.
  """
  weight = np.ones((len(slow), num_rows), np.float32)
  for each, rows, members in zip(weight, own['train_rows'], slow, strict=True):
    each[rows] = useful.weights(members, 1 + times)
  return own | {'weight': weight}
