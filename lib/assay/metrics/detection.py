"""Known from unknown: how well a score tells in- from out-of-distribution.

A score is **higher for known examples**. Only its order counts: equal scores
cannot be told apart by any threshold (a tie counts half in the AUROC), and
-infinity and infinity are below and above all others, ties among themselves.
NaN is refused. The AUPRs depend on how many of each there are, so they are
compared at equal numbers only.

Example:
  >>> from assay.metrics import detection
  >>> found = detection.summary([3., 2., 1., 1.], [0., 1.5])
  >>> found['auroc'], found['fpr95_id'], found['fpr95_ood']
  (0.75, 0.5, 0.5)
"""

import numpy as np
from scipy import special

from assay.metrics import selective


def summary(known, unknown):
  """What rows carry of a score on one set of known, one of unknown examples.

  The literature calls both of these FPR95, and they can differ by a factor of
  two: `fpr95_id` is the share of unknown examples that are accepted by the
  highest threshold that keeps 95 % of the known; `fpr95_ood` the share of known
  ones that are rejected by the lowest threshold that catches 95 % of the
  unknown. Each is at the first threshold to reach 95 %, no interpolation.

  Args:
    known: [N] float.
    unknown: [M] float.

  Returns:
    dict of auroc; aupr_in and aupr_out, average precisions with the known and
    with the unknown as positive; fpr95_id and fpr95_ood. All in [0, 1].

  Raises:
    ValueError: not one axis, no example, NaN.
  """
  ranks, is_known = _ranks(known, unknown), _is_known(known, unknown)
  return {'auroc': selective.auroc(ranks, is_known),
          'aupr_in': selective.aupr(ranks, is_known),
          'aupr_out': selective.aupr(-ranks, ~is_known),
          'fpr95_id': selective.fpr_at_tpr(ranks, is_known),
          'fpr95_ood': selective.fpr_at_tpr(-ranks, ~is_known)}


def joint_area_under_risk_coverage(known, correct, unknown):
  """AURC of both tasks: a wrong prediction and any unknown are errors.

  Args:
    known: [N] float.
    correct: [N] bool or 0 and 1, of the predictions on known examples.
    unknown: [M] float.

  Returns:
    float in [0, 1]; as `selective.area_under_risk_coverage`, so equal scores
    are in a random order.
  """
  ranks = _ranks(known, unknown)
  correct = _correct(correct, known)
  return selective.area_under_risk_coverage(
      ranks, np.append(correct, np.zeros(len(ranks) - len(correct))))


def correct_at_rate(known, correct, unknown, rate=.05):
  """Share of known examples that are accepted and classified correctly.

  By the lowest threshold that accepts at most `rate` of the unknown (the
  correct classification rate at a false positive rate, Dhamija et al., 2018).

  Args:
    known: [N] float.
    correct: [N] bool or 0 and 1.
    unknown: [M] float.
    rate: in [0, 1].

  Returns:
    float in [0, accuracy].
  """
  if not 0 <= rate <= 1:
    raise ValueError(f'rate={rate} must be in [0, 1].')
  known, unknown = _scores(known, 'known'), _scores(unknown, 'unknown')
  as_high = len(unknown) - np.searchsorted(np.sort(unknown), known, 'left')
  accepted = as_high / len(unknown) <= rate
  return float(np.mean(accepted & (_correct(correct, known) == 1)))


def auroc_gain(ours, other):
  """The gain in AUROC of one score over another on the same examples.

  Of the mean over sets of unknown examples, each told from the same known ones,
  with the 95 % interval of DeLong et al. (1988): it speaks about other examples
  of this kind, not about other training runs.

  Args:
    ours: (known [N], unknown sets, a list of [M] each), scores.
    other: the same of the other score, of the same examples in their order.

  Returns:
    (gain, low, high), float each.

  Raises:
    ValueError: as `summary`; fewer than two of a kind, or other numbers.

  Example:
    >>> import numpy as np
    >>> from assay.metrics import detection
    >>> known, unknown = np.array([2., 3., 4., 1.]), np.array([0., 1.5, 1.])
    >>> gain, low, high = detection.auroc_gain(
    ...     (known, [unknown]), (-known, [-unknown]))
    >>> round(gain, 3), low < gain < high
    (0.75, True)
  """
  parts = []
  for known, unknown in (ours, other):
    parts.append([selective.auroc_parts(_ranks(known, each), _is_known(
        known, each).astype(int)) for each in unknown])
  shapes = [[tuple(map(np.size, part)) for part in each] for each in parts]
  if shapes[0] != shapes[1] or min(n for part in shapes[0] for n in part[1:]
                                   ) < 2:
    raise ValueError(f'ours and other have {shapes[0]} and {shapes[1]} '
                     'examples; they must be the same, two or more of a kind.')
  gain = float(np.mean([a[0] - b[0] for a, b in zip(*parts, strict=True)]))
  of_known = np.mean([a[1] - b[1] for a, b in zip(*parts, strict=True)], axis=0)
  variance = np.var(of_known, ddof=1) / len(of_known) + sum(
      np.var(a[2] - b[2], ddof=1) / len(a[2])
      for a, b in zip(*parts, strict=True)) / len(parts[0])**2
  half = special.ndtri(.975) * np.sqrt(variance)
  return gain, float(gain - half), float(gain + half)


def _ranks(known, unknown):
  """[N + M] float: the place of each score among those that differ."""
  both = np.append(_scores(known, 'known'), _scores(unknown, 'unknown'))
  return np.unique(both, return_inverse=True)[1].astype(float)


def _is_known(known, unknown):
  return np.arange(len(known) + len(unknown)) < len(known)


def _scores(values, name):
  values = np.asarray(values, float)
  if values.ndim != 1 or not values.size:
    raise ValueError(f'{name} {values.shape} must be [N], one score for each '
                     'example, at least one.')
  if np.isnan(values).any():
    raise ValueError(f'{name}[{np.argmax(np.isnan(values))}] is nan; a score '
                     'must be a number, or -infinity where nothing is known.')
  return values


def _correct(correct, known):
  correct = np.asarray(correct)
  if correct.shape != np.shape(known) or not np.isin(correct, (0, 1)).all():
    raise ValueError(f'correct {correct.shape} must be {np.shape(known)}, as '
                     'known, of 0 and 1.')
  return correct
