"""RASP-L: programs that a causal transformer can run (Zhou et al., 2024).

A program maps tokens [T] to what comes next at each place, [T]; what stands at
t reads tokens up to t alone. It is made of functions of single elements and of
`attend`; no program does arithmetic with places, and none has a loop over them.
The conjecture: a transformer that is trained on short inputs of a task goes on
to longer ones where such a program, a short one, solves all of them.

Programs are numpy: they are for listing and for tests, not for training.
"""

import numpy as np

from assay.data.texts.lines import BOS, EOS, SPECIAL

NUMBER = len(SPECIAL)  # tokens of numbers begin


def attend(keys, queries, values, chosen, reduce='mean', default=0):
  """What each place reads, [T]: values at the places up to it that are chosen.

  Args:
    keys, queries, values: [T].
    chosen: `(key [1, T], query [T, 1]) -> ` bool [T, T].
    reduce: `mean`, `max`, `min`, or `count`, how many are chosen.
    default: what is read where none is.

  Example:
    >>> import numpy as np
    >>> from assay.data.texts import programs
    >>> x = np.array([4, 7, 4, 4])
    >>> programs.attend(x, x, x, np.equal, 'count').tolist()
    [1, 1, 2, 3]
  """
  keys, queries, values = map(np.asarray, (keys, queries, values))
  read = np.tril(chosen(keys[None], queries[:, None]))
  count = read.sum(axis=1)
  if reduce == 'count':
    return count
  if reduce == 'mean':
    found = (read * values).sum(axis=1) / np.maximum(count, 1)
  else:
    none = -np.inf if reduce == 'max' else np.inf
    found = getattr(np, reduce)(np.where(read, values, none), axis=1)
  return np.where(count > 0, found, default).astype(values.dtype)


def earlier(x, by=1):
  """x [T] moved `by` places to the right, 0 in front."""
  return np.pad(x, (by, 0))[:len(x)]


def after_last(x, sign):
  """What stands before the sign, read at all places behind it, [T]."""
  return attend(x, np.full_like(x, sign), earlier(x), np.equal)


def counting(x, sign):
  """From the first number to the second, then the end."""
  next_ = np.where(x == after_last(x, sign), EOS, x + 1)
  return np.where(x == sign, earlier(x, 2), next_)


def copy_unique(x, sign):
  """What came after the same token; behind the last one stood the sign."""
  before = earlier(x)
  asked = np.where(x == sign, BOS, x)
  found = attend(before, asked, x, np.equal, 'min')
  return np.where(found == sign, EOS, found)


def sort(x, sign):
  """The least of the numbers that are greater than the last one."""
  is_number = (x >= NUMBER) & (x != sign)
  asked = np.where(is_number, x, 0)
  return attend(asked, asked, x, np.greater, 'min', EOS)


def mode(x, sign):
  """The number that most places have, then the end."""
  is_number = (x >= NUMBER) & (x != sign)
  times = np.where(is_number, attend(x, x, x, np.equal, 'count'), 0)
  most = attend(times, times, times, np.greater_equal, 'max')
  found = attend(times, most, x, np.equal, 'max')
  return np.where(x == sign, found, EOS)


# Of these tasks; copies of repeated numbers and the parity have none that is
# short: the first must know how far it is, the second must count modulo two.
PROGRAMS = {'counting': counting, 'copy_unique': copy_unique, 'mode': mode,
            'sort': sort}
