"""Tables whose rows for testing are published, split by split."""

import numpy as np

from assay import keys
from assay.data import files, tabular
from assay.errors import UserError


def tested(name, data_dir=None):
  """Which rows each published split tests on, [splits, N] bool.

  Args:
    name: a table with splits, see `has_splits`.
    data_dir: as `tabular.load` takes it.
  """
  spec = tabular.TABLES[name]
  num_splits, num_tested = spec['splits']
  if isinstance(data_dir, files.Described):
    share = np.random.default_rng(0).random((num_splits, spec['num_rows']))
    return share.argsort(axis=1) < num_tested
  found = files.read(f'uci/{name}/splits', data_dir).astype(bool)
  counts = set(found.sum(axis=1).tolist())
  if len(found) != num_splits or counts != {num_tested}:
    raise UserError(f'The {len(found)} splits of {name!r} test on {counts} '
                    f'rows, not {num_splits} on {num_tested}; use the file as '
                    'published.')
  return found


def has_splits(name):
  """Whether a data set's rows for testing are published."""
  return 'splits' in tabular.TABLES.get(name, {})


def own_splits(table, tested, sizes, seeds, name, normalize='all'):
  """As `tabular.own_splits`, seed s on the published split s.

  A seed beyond the splits begins with the first again; rows for validation are
  drawn from those that are not tested on, others for each seed.

  Args:
    table: dict with x [N, D].
    tested: from `tested`.
    sizes: three counts; the last is that of the published splits.
    seeds: S integers >= 0.
    name: of the data set.
    normalize: 'all' or 'train', the rows that ranges are of.

  Raises:
    UserError: other counts, or more rows than there are.
  """
  num_tested = int(tested[0].sum())
  rest = len(table['x']) - num_tested
  if sizes[2] != num_tested or min(sizes) < 1 or sum(sizes[:2]) > rest:
    raise UserError(f'split_sizes={tuple(sizes)}: published splits of {name!r} '
                    f'test on {num_tested} rows and leave {rest}; use '
                    f'({rest - rest // 5}, {rest // 5}, {num_tested}).')
  splits = []
  for seed in seeds:
    mask = tested[seed % len(tested)]
    others = keys.generator(seed, name).permutation(np.flatnonzero(~mask))
    splits.append(dict(
        train=others[:sizes[0]], val=others[sizes[0]:sum(sizes[:2])],
        test=np.flatnonzero(mask)))
  return tabular.own_of(table['x'], splits, normalize)
