"""Tables whose rows come from domains: splits by domain, batches by domain."""

import numpy as np

from assay import keys
from assay.data import tabular
from assay.errors import UserError

SHARES = (.7, .1)  # of the rows, for training and validation


def parts(domain, shares=SHARES):
  """Domains to train on, to validate on and to test on, as C-Mixup's code.

  Domains are taken in order. Those before the one that reaches the first share
  of the rows are for training; of the others, those before the one that reaches
  the second share, counted from the end of the first of them, for validation.

  Args:
    domain: [N] int >= 0, of each row.
    shares: two numbers above 0, of sum below 1.

  Returns:
    Three lists of domains.

  Raises:
    UserError: a part has no domain.
  """
  counts = np.bincount(domain)
  so_far, names = np.cumsum(counts), np.arange(len(counts))
  first = int(np.argmax(so_far >= int(shares[0] * len(domain))))
  second = int(np.argmax(
      so_far >= so_far[first] + int(shares[1] * len(domain))))
  found = [part[counts[part] > 0].tolist() for part in np.split(
      names, [first, max(first, second)])]
  if not all(found) or second <= first:
    raise UserError(f'{sum(counts > 0)} domains with {counts.tolist()} rows '
                    f'cannot be cut at shares={tuple(shares)}: each part needs '
                    'one; use other shares, or more and smaller domains.')
  return found


def own_splits(table, sizes, seeds, name, normalize='all'):
  """As `tabular.own_splits`, of rows by domain: only their order is the seed's.

  Args:
    table: dict with x [N, D] and domain [N] int.
    sizes: what the three parts must be, so that a config tells the truth.
    seeds: S integers >= 0.
    name: of the data set.
    normalize: 'all' or 'train', the rows that ranges are of.

  Raises:
    UserError: another number of rows; what `parts` raises.
  """
  members = [np.flatnonzero(np.isin(table['domain'], part))
             for part in parts(table['domain'])]
  found = tuple(map(len, members))
  if found != tuple(sizes):
    raise UserError(f'split_sizes={tuple(sizes)}: {name!r} is split by domain '
                    f'into {found} rows; use these.')
  rngs = [keys.generator(seed, name) for seed in seeds]
  return tabular.own_of(table['x'], [
      {split: rng.permutation(rows)
       for split, rows in zip(tabular.SPLITS, members, strict=True)}
      for rng in rngs], normalize)


def items(domain, batch_size, per_batch, seed, stream='domains'):
  """Batches of equal parts, each of one domain; domains are equally likely.

  The layout that `methods.domains.fish` walks through. Which domains a batch
  has and in what order is random, without repeats; rows of each are drawn with
  replacement.

  Args:
    domain: [n] int >= 0, of each training row.
    batch_size: B.
    per_batch: domains in a batch; divides B.
    seed, stream: as `tabular.epoch_items` takes them, as is what is returned.

  Raises:
    UserError: it does not divide B, or there are fewer domains.
  """
  rows, counts = np.argsort(domain, kind='stable'), np.unique(
      domain, return_counts=True)[1]
  if per_batch < 1 or batch_size % per_batch or per_batch > len(counts):
    raise UserError(f'domains_per_batch={per_batch} must divide batch_size='
                    f'{batch_size} and be at most {len(counts)}, the domains '
                    'to train on.')
  steps, size = len(domain) // batch_size, batch_size // per_batch
  starts = np.cumsum(counts) - counts

  def order_of(epoch):
    rng = keys.generator(seed, stream, epoch)
    chosen = rng.random((steps, len(counts))).argsort(axis=1)[:, :per_batch]
    chosen = chosen[..., None]
    within = rng.integers(0, counts[chosen], (steps, per_batch, size))
    return rows[starts[chosen] + within].reshape(
        steps, batch_size).astype(np.int32)

  return tabular.by_epoch(order_of, steps)
