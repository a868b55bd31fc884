"""Bins of equal mass: two ways in use to cut N ordered examples into B bins.

    floor        the example with j lower ones is in bin floor(B j / N); where B
                 does not divide N, the larger bins are spread over the order.
    array_split  as `np.array_split` cuts the order: the first N mod B bins have
                 one example more than the others.

Either way equal confidences share the bin of the first of them, whatever the
order of the examples, where code that sorts cuts them apart as they came.
"""

import numpy as np

BINNINGS = ('floor', 'array_split')


def bins_of(confidence, num_bins, binning='floor'):
  """The bin of each example: [N] int in [0, num_bins).

  Args:
    confidence: [N] float.
    num_bins: at least 1.
    binning: 'floor' or 'array_split'.

  Raises:
    ValueError: another binning.

  Example:
    >>> import numpy as np
    >>> from assay.metrics.equal_mass import bins_of
    >>> confidence = np.array([.1, .2, .3, .4, .5])
    >>> bins_of(confidence, 3, 'floor').tolist()
    [0, 0, 1, 1, 2]
    >>> bins_of(confidence, 2, 'array_split').tolist()
    [0, 0, 0, 1, 1]
  """
  if binning not in BINNINGS:
    raise ValueError(f'binning={binning!r} is none of {", ".join(BINNINGS)}.')
  below, n = np.searchsorted(np.sort(confidence), confidence), len(confidence)
  if binning == 'floor':
    return below * num_bins // n
  size, larger = divmod(n, num_bins)
  first = larger * (size + 1)  # examples in the larger bins
  return np.where(below < first, below // (size + 1),
                  larger + (below - first) // max(size, 1))
