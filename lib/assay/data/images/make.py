"""Data sets made of image sets: subsets, long tails, label noise, dominoes."""


import numpy as np

from assay import keys
from assay.errors import UserError


def choose(labels, classes, num_per_class=None, rng=None):
  """Rows of some classes, relabeled 0, ..., K - 1.

  Args:
    labels: [N] int.
    classes: K tuples: the labels that make up each new class.
    num_per_class: rows of each new class, drawn without replacement; None
      gives all, in their order.
    rng: np.random.Generator, for `num_per_class`.

  Returns:
    (rows, new_labels), both [M] int32; by class where `num_per_class` is set.

  Raises:
    UserError: a label is in two classes or on no row; too few rows.
  """
  old = [label for one in classes for label in one]
  if len(set(old)) < len(old):
    raise UserError(f'classes={classes} has a label twice; each label must '
                    'be of one new class.')
  absent = sorted(set(old) - set(np.unique(labels).tolist()))
  if absent or not all(map(len, classes)):
    raise UserError(f'classes={classes} must be tuples of at least one label '
                    f'each; no image has the labels {absent}.')
  new = np.full(max(int(np.max(labels)), *old) + 1, -1, np.int32)
  for k, one in enumerate(classes):
    new[list(one)] = k
  new_labels = new[labels]
  if num_per_class is None:
    rows = np.flatnonzero(new_labels >= 0)
  else:
    rows = np.concatenate([
        _some(np.flatnonzero(new_labels == k), num_per_class, rng,
              f'images of the labels {one}')
        for k, one in enumerate(classes)])
  return rows.astype(np.int32), new_labels[rows]


def subset(table, num_train, num_val, seed):
  """An image set with random rows for training and validation, as `shared`.

  Classes are as equal in number as their images allow; validation is chosen
  first, and a larger `num_train` keeps the rows of a smaller one. x and y do
  not depend on the seed: for several seeds keep one, and stack the row lists
  as `own`.

  Args:
    table: what `load` gives.
    num_train: >= 1.
    num_val: >= 0; both are rows of the train part.
    seed: integer >= 0.

  Returns:
    dict of x [N, H, W, C] uint8 and y [N] int32, the train part followed by
    the test part; train_rows, val_rows and test_rows (all of the test part),
    [n] int32, rows of x.

  Raises:
    UserError: more rows than there are; a count or the seed is too small.
  """
  labels = table['train_y']
  if num_train < 1 or num_val < 0:
    raise UserError(f'num_train={num_train} must be at least 1 and '
                    f'num_val={num_val} at least 0.')
  if num_train + num_val > len(labels):
    raise UserError(
        f'num_train={num_train} and num_val={num_val} add up to '
        f'{num_train + num_val}, more than the {len(labels)} images of the '
        'train part.')
  rng = keys.generator(seed, 'subset')
  pools = [rng.permutation(np.flatnonzero(labels == k))
           for k in range(labels.max() + 1)]
  shared = {'x': np.concatenate([table['train_x'], table['test_x']]),
            'y': np.concatenate([table['train_y'], table['test_y']])}
  for part, total in (('val', num_val), ('train', num_train)):
    counts = _even_counts([len(pool) for pool in pools], total)
    rows = np.concatenate(
        [pool[:n] for pool, n in zip(pools, counts, strict=True)])
    pools = [pool[n:] for pool, n in zip(pools, counts, strict=True)]
    shared[f'{part}_rows'] = rng.permutation(rows).astype(np.int32)
  shared['test_rows'] = np.arange(
      len(labels), len(shared['y']), dtype=np.int32)
  return shared


def long_tail(rows, labels, ratio, seed):
  """Rows of an exponential long-tailed subset (Cui et al., 2019).

      n_k = n_max * (1 / ratio)^(k / (C - 1)), rounded down,

  with the largest n_max for which no class has too few images; for balanced
  rows that is all of class 0.

  Args:
    rows: [n] int row numbers to choose from.
    labels: [N] int, of all rows; the largest among `rows` is C - 1 >= 1.
    ratio: >= 1, how often class 0 is seen for each image of class C - 1.
    seed: integer >= 0.

  Returns:
    [m] int32, some of `rows`, in their order.

  Raises:
    UserError: the ratio is below 1; there is one class; a class would be left
      with no image.
  """
  rows = np.asarray(rows)
  if not ratio >= 1:
    raise UserError(f'ratio={ratio} must be at least 1.')
  counts = np.bincount(labels[rows])
  if len(counts) < 2:
    raise UserError('A long tail needs at least two classes; all rows are of '
                    'class 0.')
  share = (1 / ratio) ** (np.arange(len(counts)) / (len(counts) - 1))
  # The small number is for products that should be whole.
  kept = np.floor((counts / share).min() * share + 1e-9).astype(int)
  if not kept.all():
    raise UserError(
        f'ratio={ratio} leaves a class with no image: the classes have '
        f'{counts.tolist()} images and would keep {kept.tolist()}.')
  rng = keys.generator(seed, 'long_tail')
  chosen = [rng.permutation(np.flatnonzero(labels[rows] == k))[:n]
            for k, n in enumerate(kept)]
  return rows[np.sort(np.concatenate(chosen))].astype(np.int32)


def noisy_labels(labels, rows, fraction, num_classes, seed):
  """Labels with symmetric noise on some rows: any other class, uniformly.

  Args:
    labels: [N] int in [0, num_classes).
    rows: [n] int row numbers among which labels are changed; the labels of
      other rows (validation, test) stay.
    fraction: in [0, 1]; exactly round(fraction * n) labels become wrong.
    num_classes: >= 2.
    seed: integer >= 0.

  Returns:
    (new_labels [N] int32, changed [N] bool).

  Raises:
    UserError: the fraction or the number of classes is out of range.
  """
  if not 0 <= fraction <= 1:
    raise UserError(f'fraction={fraction} must be in [0, 1].')
  if num_classes < 2:
    raise UserError(f'num_classes={num_classes} must be at least 2.')
  rng = keys.generator(seed, 'noisy_labels')
  hit = rng.permutation(rows)[:round(fraction * len(rows))]
  new_labels = np.array(labels, np.int32)
  new_labels[hit] += rng.integers(1, num_classes, len(hit), np.int32)
  new_labels[hit] %= num_classes
  changed = np.zeros(len(new_labels), bool)
  changed[hit] = True
  return new_labels, changed


def _some(pool, num_rows, rng, what):
  """`num_rows` random rows of the pool, each at most once."""
  if num_rows > len(pool):
    raise UserError(f'{num_rows} {what} are needed, but there are '
                    f'{len(pool)}.')
  return rng.permutation(pool)[:num_rows]


def _even_counts(available, total):
  """Counts with this total, as equal as what is available allows."""
  available = np.asarray(available)
  counts = np.zeros_like(available)
  while total:
    open_ = np.flatnonzero(counts < available)
    # As much for each as the scarcest can give, or else one for the first.
    step = min(total // len(open_), (available - counts)[open_].min())
    if step == 0:
      step, open_ = 1, open_[:total]
    counts[open_] += step
    total -= step * len(open_)
  return counts


# --- Dominoes ----------------------------------------------------------------


def pad_to(images, shape):
  """Images in the middle of a black frame; one channel becomes C equal ones.

  Args:
    images: [N, h, w, c] uint8.
    shape: (H, W, C), H >= h, W >= w, and C = c or c = 1.

  Returns:
    [N, H, W, C] uint8; of an odd margin the larger half is at the bottom and
    the right.

  Raises:
    UserError: the images do not fit.
  """
  margins = [big - small
             for big, small in zip(shape[:2], images.shape[1:3], strict=True)]
  if min(margins) < 0 or images.shape[3] not in (1, shape[2]):
    raise UserError(f'Images of shape {images.shape[1:]} do not fit into '
                    f'{tuple(shape)}; choose a larger shape.')
  images = np.pad(images, ((0, 0), *((m // 2, m - m // 2) for m in margins),
                           (0, 0)))
  return np.repeat(images, shape[2] // images.shape[3], axis=3)


def dominoes(fast, slow, fast_classes, slow_classes, alpha, num_train, num_val,
             num_test, seed):
  """Pairs of images of one label, the easy half above the hard one.

  In the spirit of Shah et al. (2020, arXiv 2006.07710), where MNIST stands
  above CIFAR-10 and a network reads MNIST alone; here the fast half is missing
  from an example with probability 1 - alpha, so that only the slow half tells
  the label of those.

  Training and validation come from the train parts, the test set from the test
  parts. No two examples of a set share a slow image, nor do training and
  validation; the same holds for fast images unless a class has fewer of them
  than examples: then they are drawn with replacement. A smaller `alpha` with
  the same seed only blanks more fast halves.

  Args:
    fast, slow: what `load` gives; the smaller images are padded, see `pad_to`.
    fast_classes, slow_classes: K >= 2 tuples each: the original labels that
      make up new class k, such as ((0,), (1,)) above ((3, 5), (8, 9)).
    alpha: in [0, 1], probability that the fast half is present.
    num_train, num_val, num_test: examples, at least 1, 0 and 0; the classes of
      each differ by at most one.
    seed: integer >= 0.

  Returns:
    dict of x [N, 2 H, W, C] uint8; y [N] int32 in [0, K); group [N] int32, 1
    where the fast half is present; and row numbers of x, int32: train_rows
    [num_train], val_rows [num_val], and, each [num_test] and in one order,
      test_rows: as in training.
      masked_rows: the same with no fast half.
      fast_shuffled_rows: every fast half present, but that of a random example
        of the test set; y is the label of the slow half.
      slow_shuffled_rows: every fast half present and right, the slow half that
        of a random example; y is the label of the fast half.
    The error on a shuffled set is 1 - 1 / K for who reads that half alone, and
    unchanged for who does not read it (randomized-half accuracy).

  Raises:
    UserError: too few images; classes that differ in number or overlap; a
      number out of range.
  """
  num_classes = len(slow_classes)
  if num_classes != len(fast_classes) or num_classes < 2:
    raise UserError(f'fast_classes={fast_classes} and slow_classes='
                    f'{slow_classes} must be equally many, at least 2.')
  if not 0 <= alpha <= 1:
    raise UserError(f'alpha={alpha} must be in [0, 1].')
  if num_train < 1 or min(num_val, num_test) < 0:
    raise UserError(f'num_train={num_train} must be at least 1, '
                    f'num_val={num_val} and num_test={num_test} at least 0.')
  shape = np.maximum(fast['train_x'].shape[1:], slow['train_x'].shape[1:])
  sets = {}  # name: (fast half, slow half, label, fast half present)
  for part, sizes in (('train', (num_train, num_val)), ('test', (num_test,))):
    rng = keys.generator(seed, f'dominoes {part}')
    labels = np.concatenate([
        rng.permutation(np.arange(n, dtype=np.int32) % num_classes)
        for n in sizes])
    slow_rows = _rows_of(labels, slow[f'{part}_y'], slow_classes, rng,
                         f'slow {part} images')
    fast_rows = _rows_of(labels, fast[f'{part}_y'], fast_classes, rng,
                         f'fast {part} images', repeat=True)
    present = rng.random(len(labels)) < alpha
    top = pad_to(fast[f'{part}_x'][fast_rows], shape.tolist())
    bottom = pad_to(slow[f'{part}_x'][slow_rows], shape.tolist())
    if part == 'train':
      for name, rows in (('train', slice(num_train)),
                         ('val', slice(num_train, None))):
        sets[name] = top[rows], bottom[rows], labels[rows], present[rows]
    else:
      always = np.ones(num_test, bool)
      other_fast, other_slow = (rng.permutation(num_test) for _ in range(2))
      sets |= {'test': (top, bottom, labels, present),
               'masked': (top, bottom, labels, ~always),
               'fast_shuffled': (top[other_fast], bottom, labels, always),
               'slow_shuffled': (top, bottom[other_slow], labels, always)}
  top, bottom, y, present = map(np.concatenate,
                                zip(*sets.values(), strict=True))
  x = np.concatenate([top * present[:, None, None, None], bottom], axis=1)
  out = {'x': x, 'y': y, 'group': present.astype(np.int32)}
  start = 0
  for name, (_, _, labels, _) in sets.items():
    stop = start + len(labels)
    out[f'{name}_rows'] = np.arange(start, stop, dtype=np.int32)
    start = stop
  return out


def _rows_of(labels, old_labels, classes, rng, what, repeat=False):
  """A random row for each of `labels` [n], among those of its new class.

  No row is used twice, or with `repeat` in a class with too few rows only.
  """
  rows, new_labels = choose(old_labels, classes)
  out = np.empty(len(labels), np.int32)
  for k, one in enumerate(classes):
    pool, mine = rows[new_labels == k], labels == k
    if repeat and mine.sum() > len(pool):
      out[mine] = rng.choice(pool, mine.sum())
    else:
      out[mine] = _some(pool, mine.sum(), rng, f'{what} of the labels {one}')
  return out
