"""Language models that are counted: n-grams of bytes, interpolated.

The probability of a byte c after a context h of up to `order` - 1 bytes is

    p(c | h) = (n(h c) + t(h) p(c | h')) / (n(h) + t(h)),

with n(h c) how often it was seen there, n(h) the sum over c, t(h) how many
different c were seen, and h' the context without its first byte (Witten and
Bell, 1991); below all is 1/256. Where h was never seen p(c | h) = p(c | h').
Before a document stand `order` - 1 zero bytes, which no document may have, so
its first byte is predicted like any other.

Counts of two texts add, and a text may count several times: `added` is how such
a model is tuned.

Example:
  >>> import math
  >>> from assay.models import ngrams
  >>> model = ngrams.counted([b'ab', b'ab', b'b'], order=2)
  >>> p_b = (3 + 2 / 256) / (5 + 2)  # 3 of 5 bytes, which are of two kinds
  >>> told, = ngrams.log_p(model, [b'ab'])
  >>> math.isclose(math.exp(told[1]), (2 + p_b) / (2 + 1))  # behind an a
  True
"""

from typing import NamedTuple

import numpy as np

BYTES = 256


class Counts(NamedTuple):
  """How often runs of 1 to `order` bytes were seen.

  Attributes:
    codes: one array for each length, ascending uint64, a run as a number to
      the base of 256.
    numbers: [runs] float64 each, how often.
  """
  codes: tuple
  numbers: tuple


def counted(documents, order=5):
  """The `Counts` of documents.

  Args:
    documents: list of bytes.
    order: the longest runs that are counted, 1 to 8.

  Raises:
    ValueError: another order, no document, or a zero byte in one.
  """
  if not 1 <= order <= 8:
    raise ValueError(f'order={order} must be 1 to 8: a run is kept as one '
                     'integer.')
  runs, _ = _runs(documents, order)
  found = [np.unique(_last(runs, size), return_counts=True)
           for size in range(1, order + 1)]
  return Counts(tuple(codes for codes, _ in found),
                tuple(numbers.astype(float) for _, numbers in found))


def added(one, other, weight=1.):
  """Counts of two texts together, the second `weight` times.

  Args:
    one, other: `Counts` of the same order.
    weight: float above 0.

  Raises:
    ValueError: other orders.
  """
  if len(one.codes) != len(other.codes):
    raise ValueError(f'orders {len(one.codes)} and {len(other.codes)} must be '
                     'the same.')
  codes, numbers = [], []
  for a, b, n, m in zip(one.codes, other.codes, one.numbers, other.numbers,
                        strict=True):
    both, where = np.unique(np.concatenate([a, b]), return_inverse=True)
    codes.append(both)
    numbers.append(np.bincount(where, np.concatenate([n, weight * m])))
  return Counts(tuple(codes), tuple(numbers))


def log_p(counts, documents):
  """Log-probability of each byte of each document.

  Args:
    counts: `Counts`.
    documents: list of bytes.

  Returns:
    A list of [bytes] float64, natural logarithms.

  Raises:
    ValueError: as `counted`.
  """
  runs, sizes = _runs(documents, len(counts.codes))
  # Equal runs have equal probabilities.
  runs, where = np.unique(runs, return_inverse=True)
  p = np.full(len(runs), 1 / BYTES)
  for size, (codes, numbers) in enumerate(
      zip(counts.codes, counts.numbers, strict=True), 1):
    contexts, group, kinds = np.unique(codes >> np.uint64(8),
                                       return_inverse=True, return_counts=True)
    totals = np.bincount(group, numbers)
    own = _last(runs, size)
    seen = _found(codes, numbers, own)
    total, kind = (_found(contexts, each, own >> np.uint64(8))
                   for each in (totals, kinds))
    p = np.where(total > 0, (seen + kind * p) / np.where(
        total > 0, total + kind, 1), p)
  return np.split(np.log(p)[where], np.cumsum(sizes)[:-1])


def _last(runs, size):
  """The last `size` bytes of runs."""
  return runs & np.uint64(BYTES**size - 1)


def _found(codes, values, wanted):
  """Values of codes, 0 where there is none."""
  place = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
  return np.where(codes[place] == wanted, values[place], 0.)


def _runs(documents, order):
  """([bytes] uint64, the `order` bytes up to each; [documents] their sizes)."""
  if not documents or not all(documents):
    raise ValueError(f'documents={documents!r:.60} must be one or more, none '
                     'of them empty.')
  start = b'\0' * (order - 1)
  text = np.frombuffer(b''.join(start + each for each in documents), np.uint8)
  sizes = np.array([len(each) for each in documents])
  runs = np.zeros(len(text) - order + 1, np.uint64)
  for i in range(order):
    runs = (runs << np.uint64(8)) | text[i:len(runs) + i]
  # Where a document ends the next one's zeros begin: those are not predicted.
  mine = np.ones(len(runs), bool)
  for stop in np.cumsum(sizes + order - 1)[:-1]:
    mine[stop - order + 1:stop] = False
  runs = runs[mine]
  if not (runs & np.uint64(BYTES - 1)).all():
    raise ValueError('a document has a zero byte; leave it out: zeros stand '
                     'for the beginning of one.')
  return runs, sizes
