"""Which examples are answered: by a threshold, or in SDM's region.

On the host. An answer is the class with the highest probability; it is accepted
or not. What is promised, at a level alpha in (0, 1): of those accepted, by the
class that is predicted and by the true one, a share of alpha or more is right.

    accepts = sdm_region.region(.95, held)
    accepts(new)

What is said of examples, `held` and `new`, is a dict of log_p [n, C] and q [n],
see `sdm`; of held-out ones `labels` too, [n] int. Quantiles are values that
occur: the least that no smaller share of examples has, or less.

Example:
  >>> import numpy as np
  >>> from assay.methods import sdm_region
  >>> p = np.array([[.99, .01], [.6, .4], [.02, .98], [.03, .97]])
  >>> held = {'log_p': np.log(p), 'q': [9., 0., 8., 7.], 'labels': [0, 1, 1, 1]}
  >>> accepts = sdm_region.region(.9, held)
  >>> accepts(held | {'q': [9., 9., 9., 1.]})
  array([ True, False,  True, False])
"""

import numpy as np


def threshold(alpha, held=None, other=None):
  """Accepts where the highest probability is alpha or more."""
  del held, other
  return lambda said: _p(said).max(axis=1) >= alpha


def matched(alpha, held, other):
  """Accepts by the threshold that takes as many held-out examples as `region`.

  The largest that takes no fewer; none is accepted where the region is empty.

  Args:
    alpha: of the region.
    held: of which the threshold is.
    other: of which the region is.
  """
  share = region(alpha, other)(other).mean()
  top = np.sort(_p(held).max(axis=1))
  count = round(share * len(top))
  return threshold(top[-count] if count else np.inf)


def region(alpha, held, other=None):
  """Accepts in SDM's region of high reliability.

  With q' = min(q, (2 + q)^p of the prediction), and of the values t of q' above
  0, from the least up, the first with which all classes have psi_c >= alpha,
  the 1 - alpha quantile of p_c over held-out examples of true class c and q' >=
  t. Accepted is who has q' >= t and p >= psi of its prediction. Without such a
  t nothing is: then nothing can be promised.
  """
  del other
  p, labels, known = _p(held), np.asarray(held['labels']), rescaled(held)
  for t in np.unique(known[known > 0]):
    psi = _quantiles(p, labels, known >= t, 1 - alpha)
    if (psi >= alpha).all():
      return lambda said, t=t, psi=psi: (rescaled(said) >= t) & (
          _p(said).max(axis=1) >= psi[_p(said).argmax(axis=1)])
  return lambda said: np.zeros(len(said['log_p']), bool)


def rescaled(said):
  """q' [n]: min(q, (2 + q)^p of the prediction)."""
  q = np.asarray(said['q'], float)
  return np.minimum(q, (2 + q) ** _p(said).max(axis=1))


def _p(said):
  return np.exp(np.asarray(said['log_p'], float))


def _quantiles(p, labels, chosen, level):
  """[C]; -infinity for a class that has no example among the chosen."""
  found = np.full(p.shape[1], -np.inf)
  for c in range(p.shape[1]):
    mine = p[chosen & (labels == c), c]
    if len(mine):
      found[c] = np.quantile(mine, level, method='inverted_cdf')
  return found
