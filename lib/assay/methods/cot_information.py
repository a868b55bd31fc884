"""How much a chain of thought tells: CoT information (Altabaa et al., 2025).

Hypotheses are the rows and inputs, equally likely, the columns of arrays, so
that all is exact. `agrees[h, x]` says whether h gives the same as the target at
x: the same answer, or the same chain and answer; `wrong[h, x]` whether its
answer differs.
"""

import numpy as np


def information(agrees, wrong, error):
  """I(e) = min over h of error >= e of -log P_x(h agrees), in nats.

  What one example tells against the hypothesis that is hardest to tell of all
  that are wrong. By answers alone it is -log(1 - error) of the nearest one. A
  consistent learner needs (log H + log 1/d) / I examples at most.

  Args:
    agrees: [H, X] bool.
    wrong: [H, X] bool.
    error: e, the least share of wrong answers that matters.

  Returns:
    float; infinite where one example tells, NaN where nothing is that wrong.

  Example:
    >>> import numpy as np
    >>> from assay.methods import cot_information
    >>> wrong = np.array([[False] * 4, [True, False, False, False]])
    >>> bool(np.isclose(cot_information.information(~wrong, wrong, .25),
    ...                 -np.log(.75)))
    True
  """
  bad = np.mean(wrong, axis=1) >= error
  if not bad.any():
    return np.nan
  with np.errstate(divide='ignore'):
    return float(-np.log(np.max(np.mean(agrees[bad], axis=1))))


def examples_needed(agrees, wrong, error, rng, num_repeats=100, share=0.9,
                    most=20_000):
  """Examples after which every hypothesis that agrees with all is right enough.

  Found by drawing: in a share of the repeats no hypothesis of at least that
  error is left after so many.

  Args:
    agrees, wrong, error: as of `information`.
    rng: a NumPy generator.
    num_repeats: sequences of examples.
    share: of them.
    most: examples of a sequence.

  Returns:
    float; infinite where it is more than `most`.
  """
  bad = np.unique(agrees[np.mean(wrong, axis=1) >= error], axis=0)
  num_inputs, needed = agrees.shape[1], np.full(num_repeats, np.inf)
  for i in range(num_repeats):
    drawn = rng.integers(0, num_inputs, most)
    new, first = np.unique(drawn, return_index=True)
    left = np.ones(len(bad), bool)
    for x in new[np.argsort(first)]:
      left &= bad[:, x]
      if not left.any():
        needed[i] = 1 + first[np.searchsorted(new, x)]
        break
  return float(np.quantile(needed, share, method='higher'))


def slope(told, needed):
  """By which log(examples needed) rises with log(1 / information).

  Least squares over targets; 1 where what the information says of them is true.

  Args:
    told: [targets] information, above 0.
    needed: [targets] examples.

  Returns:
    float; NaN where all have the same information.

  Example:
    >>> import numpy as np
    >>> from assay.methods import cot_information
    >>> told = np.array([.1, .2, .4])
    >>> bool(np.isclose(cot_information.slope(told, 3 / told), 1))
    True
  """
  x, y = -np.log(told), np.log(needed)
  x = x - x.mean()
  return float(x @ y / (x @ x)) if np.ptp(x) > 1e-9 else np.nan
