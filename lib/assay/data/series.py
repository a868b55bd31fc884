"""Several series over time: loading, scaling, windows and a split by time.

A series is a column and a time step a row. An example is a window of rows, all
series, and as its label the first series some steps after the window's end:
with a horizon of 1 at the next step.
"""
import functools
import os

import numpy as np

from assay import keys
from assay.data import files, tables
from assay.data.tabular import SPLITS, is_own
from assay.errors import UserError

# `low` and `high`, where they are known, are the ends of each series.
SERIES = {
    # Daily exchange rates to the US dollar, 1990 to 2016.
    'exchange_rate': dict(
        shape=(7588, 8),
        names=('Australia', 'Britain', 'Canada', 'Switzerland', 'China',
               'Japan', 'New Zealand', 'Singapore'),
        low=(0.483297, 1.211534, 0.618582, 0.548617, 0.109292, 0.006254,
             0.393153, 0.523834),
        high=(1.102536, 2.109, 1.091524, 1.374079, 0.237954, 0.013202,
              0.882379, 0.832556)),
    # Hourly consumption of clients, 2012 to 2014.
    'electricity': dict(
        shape=(26_304, 321),
        names=tuple(f'client {i}' for i in range(321))),
    'waves': dict(shape=(1200, 4),
                  names=tuple(f'wave {i}' for i in range(4)))}


def load(name, data_dir=None):
  """Series as published, or a user's own, in their own units.

  Args:
    name: a key of `SERIES`, or the path of a CSV file, with a folder or a
      suffix such as '.csv' in it, and after it the columns to predict, by
      default all: 'my.csv:price'. See `tables.read_series`.
    data_dir: folder with the data files, see `files.find`; or what a
      `files.Described` makes up.

  Returns:
    [N, D] float32; the first `num_outputs(name)` series, or all, are predicted.

  Raises:
    UserError: the name is unknown, the file is missing or another one; a user's
      file cannot be used, with the line, the column and what to do.
  """
  if is_own(name):
    return _own(name).x
  if name not in SERIES:
    raise UserError(f'No series named {name!r}; known: {sorted(SERIES)}, or '
                    'the path of a CSV file.')
  spec = SERIES[name]
  num_steps, num_series = spec['shape']
  if name == 'waves':
    values = waves(num_steps, num_series)
  elif isinstance(data_dir, files.Described):
    values = data_dir.table(name, num_steps, spec.get('low', [0.] * num_series),
                            spec.get('high', [1.] * num_series))
  else:
    values = files.read(name, data_dir)
  ends = values.min(axis=0), values.max(axis=0)
  if values.shape != spec['shape'] or not np.isfinite(ends).all() or (
      'low' in spec and not np.array_equal(ends, (spec['low'], spec['high']))):
    raise UserError(
        f'Series {name!r} are {values.shape[0]} steps of {values.shape[1]} '
        f'from {ends[0].tolist()!s:.60} to {ends[1].tolist()!s:.60}; use the '
        'file as published.')
  return values.astype(np.float32)


def names(name):
  """What the series of a data set are called, those to predict first."""
  return tuple(_own(name).names) if is_own(name) else SERIES[name]['names']


def num_outputs(name):
  """How many series are predicted; 0: all."""
  return len(_parts(name)[1])


def _parts(name):
  """The path of a user's own file, and the columns to predict."""
  path, colon, columns = name.rpartition(':')
  if not is_own(name) or not colon:
    return name, ()
  return path, tuple(columns.split(','))


def _own(name):
  path, columns = _parts(name)
  return tables.read_series(os.path.expanduser(path), columns)


def waves(num_steps, num_series):
  """Series without a file, [num_steps, num_series] float64, positive.

  Each is a wave of 24 steps, one of a week of these, and noise that forgets a
  tenth of itself at each step.
  """
  rng = keys.generator(0, 'waves')
  phase, size = rng.random((2, 2, num_series))
  steps = np.arange(num_steps)[:, None]
  values = 4 + sum((.5 + s) * np.sin(2 * np.pi * (steps / period + p))
                   for period, p, s in zip((24, 168), phase, size, strict=True))
  noise = rng.normal(0, .15, values.shape)
  for t in range(1, num_steps):
    noise[t] += .9 * noise[t - 1]
  return values + noise


def scales(values, num_fitted=None):
  """What takes the largest absolute value of each series to 1, [D] float32.

  Args:
    values: [N, D] float.
    num_fitted: of the first so many steps; default of all, those to be tested
      on among them, as the code of C-Mixup has it. A series that is 0 there
      stays as it is.
  """
  largest = np.abs(values[:num_fitted]).max(axis=0).astype(np.float64)
  return (1 / np.where(largest > 0, largest, 1)).astype(np.float32)


def split(num_steps, sizes, window, horizon, name):
  """When the labels of each part are: the last steps are for testing.

  Args:
    num_steps: of the series.
    sizes: how many examples for training, validation and test.
    window: steps that an example sees.
    horizon: steps from the last of these to its label, >= 1.
    name: of the data set, for errors.

  Returns:
    dict of 'train', 'val', 'test', each an int32 array of steps, all in order.
    No label is in two of them; windows reach back into the part before.

  Raises:
    UserError: the sizes are not three counts, or the series are too short.
  """
  if len(sizes) != 3 or min(sizes) < 1:
    raise UserError(f'sizes={tuple(sizes)} must be three counts (train, val, '
                    'test), each at least 1.')
  first = num_steps - sum(sizes)
  if first < window + horizon - 1:
    raise UserError(
        f'sizes={tuple(sizes)} of windows of {window} steps with a horizon of '
        f'{horizon} take {sum(sizes) + window + horizon - 1} steps, and '
        f'{name!r} has {num_steps}; use smaller ones.')
  ends = np.cumsum(sizes)
  steps = np.arange(first, num_steps, dtype=np.int32)
  return dict(zip(SPLITS, np.split(steps, ends[:-1]), strict=True))


@functools.cache
def offsets(window, horizon):
  """Where the window lies before its label's step, [window] int32."""
  return np.arange(1 - window - horizon, 1 - horizon, dtype=np.int32)
