"""Data that are not read but made up, as what is known of them describes.

Where only shapes and counts matter, as in a dry run, no file is needed. What
is made up is never trained on: `train.fit` stops there before it starts.
"""

import numpy as np


class Described:
  """In place of a `data_dir`: known sets are made up, files of users are read.

  Attributes:
    folder: the `data_dir` it stands for, of what has no description.
    names: of the sets that were made up.
  """

  def __init__(self, folder=None):
    self.folder = folder
    self.names = []

  def __str__(self):
    """What there is to say of it; '' where nothing was made up."""
    if not self.names:
      return ''
    return (f'No file was read of {", ".join(dict.fromkeys(self.names))}: '
            'shapes and counts are those that are known.')

  def images(self, name, shape, counts):
    """(x [N, *shape] uint8, y [N] int) with so many of each class."""
    self.names.append(name)
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    x = rng.integers(0, 256, (len(y), *shape), np.uint8)
    x.ravel()[:2] = 0, 255
    return x, y

  def table(self, name, num_rows, low, high):
    """[num_rows, D] float64, whose columns have these ends."""
    self.names.append(name)
    low, high = np.array(low, float), np.array(high, float)
    share = np.random.default_rng(0).random((num_rows, len(low)))
    share[:2] = np.array([[0.], [1.]])
    return np.where(share == 1, high, low + share * (high - low))
