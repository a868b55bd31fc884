"""Checks of the arrays that scores are handed, by their names; and blocks.

Example:
  >>> from assay.methods.ood_scores import arrays
  >>> arrays.checked({'features': [[0., 1.], [2., float('nan')]]})
  Traceback (most recent call last):
  ValueError: features[1, 1] is nan; it must be finite: leave out its row, or \
mend it.
"""

import numpy as np

from assay.metrics import arguments

BLOCK = 4096  # rows that are converted to float64 at a time
PER_CLASS = ('features', 'logits')  # [N, columns]


def checked(given):
  """Arrays by name, on the host: float32 as it is, else float64 or int64.

  None is left out. `ood_scores` says what each name must be.

  Raises:
    ValueError: an array is not that, or they have different lengths.
  """
  given = {k: v for k, v in given.items() if v is not None}
  found = {k: _OF_NAME.get(k, _numbers)(v, k) for k, v in given.items()}
  lengths = {k: len(v) for k, v in found.items() if k != 'head'}
  if len(set(lengths.values())) > 1:
    raise ValueError(', '.join(f'{k} {found[k].shape}' for k in lengths)
                     + ' must be of the same examples, a row for each.')
  if 'features' in found and 'head' in found:
    rows, columns = len(found['head'][0]), found['features'].shape[1]
    if rows != columns:
      raise ValueError(
          f'head weights {found["head"][0].shape} must be [D, C] with D = '
          f'{columns}, as features; PyTorch\'s are [C, D]: transpose them.')
  return found


def widths(found):
  """Columns of features and logits, by name, as far as these arrays tell."""
  columns = dict(zip(PER_CLASS, found['head'][0].shape, strict=True)
                 ) if 'head' in found else {}
  return columns | {k: found[k].shape[1] for k in PER_CLASS if k in found}


def by_block(function, *arrays, rows=BLOCK):
  """Joins `function(*blocks)` of blocks of rows, each as float64."""
  return np.concatenate([
      function(*(a[i:i + rows].astype(float) for a in arrays))
      for i in range(0, len(arrays[0]), rows)])


def _numbers(values, name):
  found = arguments.on_host(values, name)
  if found.dtype.itemsize < 4 and found.dtype.kind not in 'biu':
    found = found.astype(np.float32)  # float16, bfloat16
  if found.dtype != np.float32:
    found = found.astype(float, copy=False)
  if not found.ndim or not found.size:
    raise ValueError(f'{name} {found.shape} must have at least one example.')
  with np.errstate(all='ignore'):
    total = found.sum(dtype=float)
  if not np.isfinite(total):  # or it has overflowed
    arguments.finite(found, name)
  return found


def _table(values, name):
  found = _numbers(values, name)
  if found.ndim != 2:
    raise ValueError(f'{name} {found.shape} must be [N, columns]: flatten '
                     'each example, or give it a row of its own.')
  return found


def _logits(values, name):
  arguments.check_scores(arguments.on_host(values, name), name=name)
  found = _table(values, name)
  arguments.check_no_probabilities(found)
  return found


def _labels(values, name):
  found = arguments.on_host(values, name)
  if found.ndim != 1 or not found.size:
    raise ValueError(f'{name} {found.shape} must be [N], a class each.')
  arguments.check_labels(found, np.iinfo(np.int64).max, name)
  return found.astype(np.int64)


def _rows(values, name):
  found = arguments.on_host(values, name)
  if found.ndim != 1 or found.dtype.kind not in 'iu':
    raise ValueError(f'{name} {found.shape} of {found.dtype} must be [N] '
                     'integers: a row of the examples of the fit, or -1.')
  return found.astype(np.int64)


def _head(values, name):
  try:
    weights, bias = values
  except (TypeError, ValueError) as e:
    raise ValueError(f'{name} must be the pair (weights [D, C], bias [C] or '
                     'None).') from e
  weights = _table(weights, f'{name} weights').astype(float)
  bias = np.zeros(weights.shape[1]) if bias is None else _numbers(
      bias, f'{name} bias').astype(float)
  if bias.shape != weights.shape[1:]:
    raise ValueError(f'{name} weights {weights.shape} and bias {bias.shape} '
                     'must be [D, C] and [C]; PyTorch\'s weights are [C, D]: '
                     'transpose them.')
  return weights, bias


_OF_NAME = {'features': _table, 'logits': _logits, 'labels': _labels,
            'head': _head, 'own_rows': _rows, 'log_p': _table,
            'reference_log_p': _table, 'mask': _table}
