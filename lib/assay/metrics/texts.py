"""Texts that were written beside those that were wanted, and attempts at them.

Texts are rows of integers [N, T], 0 behind their end.
"""

import numpy as np

from assay.errors import UserError


def edit_distance(a, b):
  """Fewest insertions, deletions and changes that turn one text into another.

  Args:
    a: [N, T] int, 0 behind the end of each.
    b: [N, U] int, likewise.

  Returns:
    int [N].

  Example:
    >>> from assay.metrics import texts
    >>> texts.edit_distance([[3, 4, 5, 0]], [[4, 5, 6, 7]]).tolist()
    [3]
  """
  a, b = np.asarray(a), np.asarray(b)
  size, wide = (np.sum(x != 0, axis=1) for x in (a, b))
  row = np.tile(np.arange(b.shape[1] + 1), (len(a), 1))
  rows = [row]
  for i in range(a.shape[1]):
    new = np.empty_like(row)
    new[:, 0] = i + 1
    for j in range(b.shape[1]):  # of all texts at once
      new[:, j + 1] = np.minimum(
          np.minimum(new[:, j], row[:, j + 1]) + 1,
          row[:, j] + (a[:, i] != b[:, j]))
    row = new
    rows.append(row)
  return np.stack(rows)[size, np.arange(len(a)), wide]


def edit_similarity(a, b):
  """1 less the edit distance over the longer text's length, float [N].

  Example:
    >>> from assay.metrics import texts
    >>> texts.edit_similarity([[3, 4, 5, 0]], [[4, 5, 6, 7]]).tolist()
    [0.25]
  """
  longer = np.maximum(*(np.sum(np.asarray(x) != 0, axis=1) for x in (a, b)))
  return 1 - edit_distance(a, b) / np.maximum(longer, 1)


def pass_at(k, right, num):
  """The chance that one of k attempts is right, unbiased (Chen et al., 2021).

  1 - C(n - c, k) / C(n, k) of n attempts with c right ones, a number for each
  problem. The plain 1 - (1 - c/n)^k is biased: it is low on average.

  Args:
    k: attempts.
    right: int [N], those that were right, c.
    num: attempts that were made of each, n; k or more.

  Raises:
    UserError: fewer attempts than k.

  Example:
    >>> from assay.metrics import texts
    >>> texts.pass_at(2, [2], num=5).round(6).tolist()  # 1 - 3/10
    [0.7]
  """
  if num < k or k < 1:
    raise UserError(f'num={num} attempts of each problem say nothing of '
                    f'k={k}; make k or more, and k must be 1 or more.')
  wrong = num - np.asarray(right)
  factors = [np.clip(wrong - i, 0, None) / (num - i) for i in range(k)]
  return 1 - np.prod(factors, axis=0)
