"""Scores of the log-probabilities of tokens: [N, T], a row for each text.

A sum grows with the length of a text, so it tells long texts from short ones
too; a ratio to a second model takes what both find likely out (Ren et al.,
2019; Zhang et al., 2025: tuned on what is known, over not tuned).

Example:
  >>> from assay.methods import ood_scores
  >>> log_p = [[-1., -1.], [-1., -9.]]  # of the second text one token counts
  >>> reference, mask = [[-2., -3.], [-1.5, -9.]], [[1, 1], [1, 0]]
  >>> ood_scores.likelihood.fit().score(log_p, mask)
  array([-2., -1.])
  >>> ood_scores.normalized_likelihood_ratio.fit().score(
  ...     log_p, reference, mask)
  array([1.5, 0.5])
"""

import numpy as np

from assay.methods.ood_scores.detectors import plain


def _sum(log_p, mask):
  """([N] sums over tokens that count, [N] their number)."""
  mask = np.ones(log_p.shape) if mask is None else mask
  if mask.shape != log_p.shape or not np.isin(mask, (0, 1)).all():
    raise ValueError(f'mask {mask.shape} must be {log_p.shape}, as log_p, of 0 '
                     'and 1.')
  number = mask.sum(axis=1)
  if not number.all():
    raise ValueError(f'mask[{np.argmin(number)}] has no token that counts; '
                     'leave out that text.')
  return np.where(mask, log_p, 0).sum(axis=1, dtype=float), number


def _difference(log_p, reference_log_p):
  if log_p.shape != reference_log_p.shape:
    raise ValueError(f'log_p {log_p.shape} and reference_log_p '
                     f'{reference_log_p.shape} must be of the same tokens.')
  return log_p.astype(float) - reference_log_p


def _mean(log_p, mask):
  total, number = _sum(log_p, mask)
  return total / number


likelihood = plain(lambda log_p, mask=None: _sum(log_p, mask)[0])
"""Sum of log p over tokens."""
normalized_likelihood = plain(lambda log_p, mask=None: _mean(log_p, mask))
"""Mean of log p over tokens."""
likelihood_ratio = plain(
    lambda log_p, reference_log_p, mask=None:
    _sum(_difference(log_p, reference_log_p), mask)[0])
"""Sum over tokens of log p - log p of the reference."""
normalized_likelihood_ratio = plain(
    lambda log_p, reference_log_p, mask=None:
    _mean(_difference(log_p, reference_log_p), mask))
"""Mean over tokens of log p - log p of the reference."""
