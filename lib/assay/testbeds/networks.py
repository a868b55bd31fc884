"""What the networks of a testbed depend on: values alone, no JAX.

A card takes its `config.net` from here, so that two papers which train the
same network say so by the same words, and changes what differs.
"""

import ml_collections

# split_sizes are train, validation, test rows; the last value is where this
# comes from, if not from the released code of C-Mixup.
_TABLES = {
    'airfoil': dict(split_sizes=(1003, 300, 200), batch_size=16),
    # Which rows are for testing is not public.
    'no2': dict(split_sizes=(200, 200, 100), batch_size=32),
    'diabetes': dict(split_sizes=(266, 88, 88), batch_size=16),  # ours
}


def tabular(dataset='airfoil'):
  """`config.net` of `testbeds.tabular` for a data set, unlocked.

  Args:
    dataset: one of `data.tabular`; values are those of the released code of
      C-Mixup (Yao et al., 2022) for three of them, of Airfoil for others.
  """
  net = ml_collections.ConfigDict()
  net.dataset = dataset
  net.split_sizes = (1003, 300, 200)
  net.normalize = 'all'  # min and max of all rows, as the code; or 'train'
  net.width = 128
  net.initialization = 'fan_in_uniform'  # PyTorch's
  net.batch_size = 16
  net.num_epochs = 100
  net.learning_rate = 1e-2
  net.update(_TABLES.get(dataset, {}))
  return net
