"""The reference of the benchmark does the work of `fit`."""

import numpy as np

from benchmarks import c_mixup, reference


def test_reference_ends_at_the_parameters_of_fit():
  seeds = (3, 8)
  config = c_mixup.make_config(num_epochs=2, split_sizes=(101, 300, 200))
  source = c_mixup.make_source(config, seeds, 101)
  fitted = c_mixup.fit(config, seeds, source)
  calls = list(c_mixup.make_reference(config, seeds, source, 1))
  carry = calls[-1][0]
  assert c_mixup.difference(fitted, carry) < 1e-5
  np.testing.assert_array_equal(fitted.best.step, carry[4][1])
  for i, name in enumerate(('loss', 'grad_norm', 'val')):
    values = np.concatenate([means[i] for _, means in calls], axis=1)
    np.testing.assert_allclose(values.T, fitted.curves[name], rtol=1e-4)


def test_reference_is_short_and_stands_alone():
  with open(reference.__file__) as file:
    lines = file.read().splitlines()
  assert len(lines) < 80
  assert not [line for line in lines
              if line.startswith(('import assay', 'from assay'))]
