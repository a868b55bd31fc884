"""Small regression tables: loading, splitting, normalizing, drawing."""
import functools
import os

import jax.numpy as jnp
import numpy as np

from assay import keys
from assay.data import files, tables, uci
from assay.errors import UserError

SPLITS = ('train', 'val', 'test')


def _diabetes(data_dir):
  del data_dir
  return np.column_stack([files.read_shipped('diabetes_data_raw.csv.gz'),
                          files.read_shipped('diabetes_target.csv.gz')])


# `shipped`: no file has to be found; `target` is a column of what `read` gives;
# `low` and `high` are the smallest
# and largest value of each predictor, then of the target. A table with domains
# has `domain`, their column; `domains`, what it holds there -> rows, in order;
# `each`, what one is called; and `unused` columns. One with published splits
# has `splits`, how many, and how many rows each tests on.
TABLES = {
    # Diabetes progression (Efron et al., 2004): age, sex, body mass index,
    # blood pressure, six serum measurements; progression after one year.
    'diabetes': dict(
        read=_diabetes, shipped=True, target=10, num_rows=442,
        low=(19, 1, 18, 62, 97, 41.6, 22, 2, 3.2581, 58, 25),
        high=(79, 2, 42.2, 133, 301, 242.4, 99, 9.09, 6.107, 124, 346)),
    # Units in `files.SOURCES`; the target is the sound pressure level [dB].
    'airfoil': dict(
        read=functools.partial(files.read, 'airfoil'), target=5,
        num_rows=1503,
        low=(200, 0, 0.0254, 31.7, 0.000400682, 103.38),
        high=(20000, 22.2, 0.3048, 71.3, 0.0584113, 140.987)),
    # The target is the log of the NO2 concentration.
    'no2': dict(
        read=functools.partial(files.read, 'no2'), target=0, num_rows=500,
        low=(4.12713, -18.6, 0.3, -5.4, 2, 1, 32, 1.22378),
        high=(8.34854, 21.1, 9.9, 4.3, 359, 24, 608, 6.39509)),
    # The target is the latency of a player's actions [ms]; domains are leagues.
    'skillcraft': dict(
        read=functools.partial(files.read, 'skillcraft'), target=13,
        num_rows=3395, unused=(0,), domain=1, each='league',
        domains=dict(enumerate((167, 347, 553, 811, 806, 621, 35, 55), 1)),
        low=(16, 0, 3, 22.0596, 0, 0, 0, 0, 0, 0.0006789964, 6.6667, 2.0389, 5,
             7.6982e-05, 2, 0, 0, 24.0936),
        high=(44, 168, 1e6, 389.8314, 0.043088364, 0.0017521902, 10,
              0.0030193465, 0.0040408028, 0.0079706424, 237.1429, 18.5581, 58,
              0.0051493, 13, 0.0009022744, 0.0030837, 176.3721)),
    # The target is the rate of violent crimes, scaled to [0, 1] as all columns.
    'crime': dict(
        read=functools.partial(files.read, 'crime'), target=126, num_rows=1994,
        unused=(1, 2, 3), domain=0, each='state', domains={
            1: 43, 2: 3, 4: 20, 5: 25, 6: 278, 8: 25, 9: 69, 10: 1, 11: 1,
            12: 90, 13: 37, 16: 7, 18: 48, 19: 20, 20: 1, 21: 26, 22: 22,
            23: 17, 24: 12, 25: 121, 27: 7, 28: 19, 29: 42, 32: 5, 33: 21,
            34: 211, 35: 10, 36: 46, 37: 46, 38: 8, 39: 109, 40: 36, 41: 31,
            42: 101, 44: 26, 45: 28, 46: 9, 47: 35, 48: 156, 49: 24, 50: 4,
            51: 33, 53: 40, 54: 14, 55: 60, 56: 7},
        low=(0,) * 123, high=(1,) * 123),
} | uci.TABLES


def load(name, data_dir=None, target=None, delimiter=None):
  """A table as published, or a user's own; in its own units.

  Args:
    name: a key of `TABLES`, or the path of a CSV file, with a folder or a
      suffix such as '.csv' in it, and after it the target: 'my.csv:price'. See
      `tables.read`.
    data_dir: folder with the data files, see `files.find`; or what a
      `files.Described` makes up.
    target: of a CSV file, the column to predict, or several, where it is not in
      the name.
    delimiter: of a CSV file, see `tables.read`.

  Returns:
    dict of x [N, D] float32 and y [N, Q] float32; Q is 1 as published. A table
    with domains has `domain` [N] int32 too, a position in `domain_names`; what
    it lacks is the mean of the known values of its column.

  Raises:
    UserError: the name is unknown, the file is missing or another one, or
      scikit-learn holds another table than the one known here; a user's table
      cannot be used, with the line, the column and what to do.
  """
  if is_own(name):
    path = name
    if not target:
      path, _, target = name.rpartition(':')
    if not path:
      raise UserError(f'{name} needs a target: name the column that is to be '
                      f"predicted, as in '{name}:price'.")
    own = tables.read(os.path.expanduser(path), target, delimiter)
    return {'x': own.x, 'y': own.y}
  if name not in TABLES:
    raise UserError(f'No table named {name!r}; known: {sorted(TABLES)}, or '
                    'the path of a CSV file.')
  if target:
    raise UserError(f'target={target!r} is for a CSV file; {name!r} has its '
                    'own: leave it out.')
  spec = TABLES[name]
  made_up = isinstance(data_dir, files.Described) and 'shipped' not in spec
  table = (_as_described(name, spec, data_dir) if made_up
           else spec['read'](data_dir))
  domain = {'domain': table[:, spec['domain']]} if 'domain' in spec else {}
  left_out = [*spec.get('unused', ()), *([spec['domain']] if domain else [])]
  shape = spec['num_rows'], len(spec['low']) + len(left_out)
  if table.shape != shape:
    raise UserError(f'Table {name!r} has shape {table.shape}, not {shape}; '
                    'install the versions in setup.cfg.')
  y = table[:, [spec['target']]]
  x = np.delete(table, [spec['target'], *left_out], axis=1)
  if domain:
    x = np.where(np.isnan(x), np.nanmean(x, axis=0), x)
    codes, domain['domain'] = np.unique(domain['domain'], return_inverse=True)
    found = dict(zip(codes.tolist(), np.bincount(domain['domain']).tolist(),
                     strict=True))
    if found != spec['domains']:
      raise UserError(f'Table {name!r} has rows of {found}, not of '
                      f'{spec["domains"]} by {spec["each"]}; use the file as '
                      'published.')
    domain['domain'] = domain['domain'].astype(np.int32)
  # A NaN is unequal to all, so this also says that all values are finite.
  columns = np.concatenate([x, y], axis=1)
  for bound, found in (('low', columns.min(0)), ('high', columns.max(0))):
    if not np.array_equal(found, spec[bound]):
      raise UserError(
          f'Table {name!r}: the {bound} ends of its columns are '
          f'{found.tolist()}, not {list(spec[bound])}; install the versions '
          'in setup.cfg.')
  return {'x': x.astype(np.float32), 'y': y.astype(np.float32)} | domain


def domain_names(name):
  """What the domains of a table are called, in order: 'state 47' ...; or ()."""
  spec = TABLES.get(name, {})
  return tuple(f'{spec["each"]} {code}' for code in spec.get('domains', ()))


def _as_described(name, spec, described):
  """What `read` would give, made up."""
  table = described.table(name, spec['num_rows'], spec['low'], spec['high'])
  others = {i: np.zeros(len(table)) for i in spec.get('unused', ())}
  if 'domain' in spec:
    others[spec['domain']] = np.repeat(*map(list, (
        spec['domains'], spec['domains'].values())))
  predictors = iter(table[:, :-1].T)
  others[spec['target']] = table[:, -1]
  return np.column_stack([
      others[i] if i in others else next(predictors)
      for i in range(len(spec['low']) + len(others) - 1)])


def is_own(name):
  """Whether a data set's name is the path of a user's own file."""
  return bool(os.path.dirname(name) or os.path.splitext(name)[1])


def label(name):
  """What rows call a data set: 'my:price' for '/home/me/my.csv:price'."""
  if not is_own(name):
    return name
  file, colon, target = os.path.basename(name).partition(':')
  return os.path.splitext(file)[0] + colon + target


def split(num_rows, sizes, seed, name, held_out=0):
  """Disjoint random rows for training, validation and test.

  Args:
    num_rows: rows in the table.
    sizes: three counts (train, val, test); rows beyond their sum are unused.
    seed: integer >= 0; another seed gives another split.
    name: of the data set; keeps the splits of two sets apart. Of a user's own
      file the folder does not matter, see `label`.
    held_out: so many rows, the same for all seeds, are those to be tested on;
      0: all are. A split without test rows has none of them: what is tuned on
      such splits has seen nothing that another is tested on.

  Returns:
    dict of 'train', 'val', 'test', each an int32 array of row numbers.

  Raises:
    UserError: the sizes are not three counts, or exceed the rows.
  """
  if len(sizes) != 3 or min(sizes) < 0 or sizes[0] < 1:
    raise UserError(f'sizes={tuple(sizes)} must be three counts (train, val, '
                    'test), the first at least 1 and the others at least 0.')
  if sum(sizes) > num_rows:
    raise UserError(f'sizes={tuple(sizes)} add up to {sum(sizes)}, more than '
                    f'the {num_rows} rows of {name!r}; use at most '
                    f'{num_rows}.')
  rng = keys.generator(seed, label(name))
  order = rng.permutation(num_rows).astype(np.int32)
  if held_out:
    order = _tested_on_held_out(order, sizes, label(name), held_out)
  ends = np.cumsum(sizes)
  return dict(zip(SPLITS, np.split(order[:ends[-1]], ends[:-1]), strict=True))


def _tested_on_held_out(order, sizes, name, held_out):
  """Row numbers in an order that `split` can cut; see there."""
  *rest, num_test = sizes
  may = np.isin(order, keys.generator(
      0, f'{name}, held out').permutation(len(order))[:held_out])
  tested = may & (np.cumsum(may) <= num_test)
  others = order[~tested if num_test else ~may][:sum(rest)]
  if len(others) + sum(tested) < sum(sizes):
    raise UserError(f'held_out={held_out} of {len(order)} rows leave too few '
                    f'for sizes={tuple(sizes)}; use smaller ones.')
  return np.concatenate([others, order[tested]])


def normalization(x, rows=None):
  """Low and scale that take each column to [0, 1]: (x - low) * scale.

  Args:
    x: [N, D] float.
    rows: row numbers to fit on; None fits on all.

  Returns:
    (low, scale), both [D] float32. The scale of a constant column is 1, so
    that it becomes 0 on these rows, and not NaN.
  """
  x = x if rows is None else x[rows]
  low, high = x.min(axis=0), x.max(axis=0)
  span = high.astype(np.float64) - low
  # A smaller span has no reciprocal in float32.
  span = np.where(span < np.finfo(np.float32).tiny, 1.0, span)
  return low.astype(np.float32), (1 / span).astype(np.float32)


def own_splits(table, sizes, seeds, name, normalize='all', held_out=0):
  """One split and normalization for each seed, as the data named `own`.

  Args:
    table: dict with x [N, D].
    sizes, name, held_out: see `split`.
    seeds: S integers >= 0.
    normalize: 'all' fits on all rows, as the code of C-Mixup does, so that
      test inputs leak into training; 'train' fits on the seed's training
      rows, and other rows may leave [0, 1].

  Returns:
    dict of arrays with a leading seed axis: train_rows, val_rows, test_rows
    [S, n] int32; low, scale [S, D] float32.

  Raises:
    UserError: `normalize` is neither; no seeds; see also `split`.
  """
  return own_of(table['x'], [
      split(len(table['x']), sizes, seed, name, held_out)
      for seed in seeds], normalize)


def own_of(x, splits, normalize):
  """The data named `own`, see `own_splits`, of the rows of each seed's split.

  Args:
    x: [N, D] float.
    splits: [S] of dicts, split -> row numbers.
    normalize: 'all' or 'train', the rows that ranges are of.

  Raises:
    UserError: `normalize` is neither; no seeds.
  """
  if normalize not in ('all', 'train'):
    raise UserError(f"normalize={normalize!r} must be 'all' or 'train'.")
  if not splits:
    raise UserError('seeds is empty; give at least one.')
  own = []
  for rows in splits:
    low, scale = normalization(
        x, rows['train'] if normalize == 'train' else None)
    own.append({f'{k}_rows': v.astype(np.int32) for k, v in rows.items()}
               | {'low': low, 'scale': scale})
  return {k: np.stack([one[k] for one in own]) for k in own[0]}


def draw_from(split):
  """A `draw(shared, own, item, key)` of normalized rows of one split.

  `item` [B] int32 counts within the split. `own` is that of one seed. The
  table, x [N, D] and y [N, 1], is in `shared`, or in `own` where each seed
  has its own data. The batch is x [B, D] and y [B, 1], and domain [B] where
  the table has domains. Of series, whose rows are steps in time, x is a window
  of rows, [B, T, D]: `offsets` [T] int32 in `shared` say where it lies from the
  row of y. An item beyond the split gives NaN: the compiled program cannot
  raise an error.

  Raises:
    UserError: no such split.
  """
  if split not in SPLITS:
    raise UserError(f'split={split!r} must be one of {SPLITS}.')

  def draw(shared, own, item, key):
    del key  # methods that need it wrap `draw`
    table = shared if 'x' in shared else own
    # `take` fills with NaN where indexing would repeat the last row.
    rows = jnp.take(own[f'{split}_rows'], item)
    x = jnp.take(table['x'], rows if 'offsets' not in table else
                 rows[:, None] + table['offsets'][None], axis=0)
    batch = {'x': (x - own['low'][None]) * own['scale'][None],
             'y': jnp.take(table['y'], rows, axis=0)}
    if 'domain' in table:
      batch['domain'] = jnp.take(table['domain'], rows)
    return batch

  return draw


def epoch_items(num_examples, batch_size, seed, stream='order',
                reshuffle=True):
  """Shuffled indices by step; the incomplete batch of an epoch is dropped.

  An epoch has `num_examples // batch_size` steps. The indices of a step are a
  function of the arguments and the step alone, so a resumed run sees the same.

  Args:
    num_examples: examples in the split.
    batch_size: B, at most `num_examples`.
    seed: integer >= 0.
    stream: name that keeps two orders of one seed apart.
    reshuffle: False repeats the order of the first epoch in each, as the
      loaders of C-Mixup do out of distribution.

  Returns:
    `items(start, stop)`: the indices of steps start to stop - 1,
    [stop - start, B] int32.

  Raises:
    UserError: the batch is empty or larger than the data; negative seed.
  """
  if not 1 <= batch_size <= num_examples:
    raise UserError(f'batch_size={batch_size} must be at least 1 and not '
                    f'exceed the {num_examples} examples; use at most '
                    f'{num_examples}.')
  if seed < 0:
    raise UserError(f'seed={seed} is negative; use 0 or more.')
  steps = num_examples // batch_size

  def order_of(epoch):
    order = keys.generator(seed, stream, epoch).permutation(
        num_examples)[:steps * batch_size].astype(np.int32)
    return order.reshape(steps, batch_size)

  return by_epoch(order_of, steps, reshuffle)


def by_epoch(order_of, steps, reshuffle=True):
  """`items(start, stop)` of a function that gives those of a whole epoch.

  Args:
    order_of: `epoch -> [steps, B]` int32, a pure function.
    steps: of an epoch.
    reshuffle: False takes the first epoch for all.
  """
  made = {}  # the last epoch, for callers that ask step by step

  def epoch_order(epoch):
    order = made.get(epoch)
    if order is None:
      order = order_of(epoch)
      made.clear()
      made[epoch] = order
    return order

  def items(start, stop):
    if not 0 <= start <= stop:
      raise ValueError(f'start={start}, stop={stop}: 0 <= start <= stop fails.')
    step = start
    parts = [epoch_order(start // steps if reshuffle else 0)[:0]]
    while step < stop:
      epoch, first = divmod(step, steps)
      last = min(steps, first + stop - step)
      parts.append(epoch_order(epoch if reshuffle else 0)[first:last])
      step += last - first
    return np.concatenate(parts)

  return items
