"""Data of the testbed `tabular`, and what is said of each domain of a table."""

import jax.numpy as jnp
import numpy as np

from assay import metrics, train
from assay.data import domains, published, tabular
from assay.data.images import colored
from assay.errors import UserError
from assay.metrics import domains as by_domain
from assay.metrics import invariance, regression
from assay.testbeds import tabular_images

METRICS = {'rmse': regression.rmse, 'mape': regression.mape,
           'pearson': regression.pearson}


def load(net, seeds, data_dir=None, held_out=0):
  """(shared, own) of what `data.tabular` loads and splits."""
  if net.dataset == tabular_images.NAME:
    return tabular_images.load(net, seeds, data_dir)
  shared = tabular.load(net.dataset, data_dir)
  if shared['y'].shape[1] > 1:
    raise UserError(f'dataset={net.dataset} has several targets; '
                    'the networks predict one number: name one column.')
  if 'domain' in shared:
    return shared, domains.own_splits(shared, net.split_sizes, seeds,
                                      net.dataset, net.normalize)
  if published.has_splits(net.dataset):
    return shared, published.own_splits(
        shared, published.tested(net.dataset, data_dir), net.split_sizes, seeds,
        net.dataset, net.normalize)
  return shared, tabular.own_splits(shared, net.split_sizes, seeds, net.dataset,
                                    net.normalize, held_out)


def make_source(net, seeds, data_dir=None, data=load):
  """The data of a block of seeds, before an arm prepares it.

  Args:
    net: `config.net`.
    seeds: S integers.
    data_dir: where to look for files first.
    data: `(net, seeds, data_dir) -> (shared, own)`, where x and y are; own has
      train_rows, val_rows, test_rows [S, n], low and scale [S, D].
  """
  shared, own = data(net, seeds, data_dir)
  return train.Source(shared, own, make_items(net, seeds))


def make_items(net, seeds, stream='order'):
  """`items` of a source: shuffled positions of training rows, by epoch.

  Of a table with domains by seed alone, as the code of C-Mixup has it; its
  partners are others in each epoch.
  """
  reshuffle = stream != 'order' or not domain_names(net.dataset)
  orders = [tabular.epoch_items(net.split_sizes[0], net.batch_size, seed,
                                stream, reshuffle) for seed in seeds]
  return lambda position, start, stop: orders[position](start, stop)


def training_rows(source):
  """[(x [n, D] normalized, y [n, Q])] that each seed is trained on."""
  draw, found = tabular.draw_from('train'), []
  for i in range(len(source.own['train_rows'])):
    own = {k: v[i] for k, v in source.own.items()}
    batch = draw(source.shared, own, np.arange(len(own['train_rows'])), None)
    found.append((np.asarray(batch['x']), np.asarray(batch['y'])))
  return found


def label_units(source):
  """Mean and std, [S] each, of each seed's training labels; std 1 for 0."""
  labels = [y for _, y in training_rows(source)]
  spread = np.array([y.std() for y in labels])
  return {'mean': np.array([y.mean() for y in labels]),
          'std': np.where(spread > 0, spread, 1)}


def with_units(draw):
  """Batches with `mean` and `std` [B, 1], those of the seed's labels."""
  return lambda shared, own, item, key: draw(shared, own, item, key) | {
      k: jnp.full((len(item), 1), own[k]) for k in ('mean', 'std')}


def standardized(values, batch):
  """Predictions or labels [B, 1] in the units of `with_units`."""
  return (values - batch['mean']) / batch['std']


def input_shape(source):
  """The shape of one example's x."""
  if 'x' not in source.shared:  # each seed has a table of its own
    return source.own['x'].shape[2:]
  shape = source.shared['x'].shape[1:]
  offsets = source.shared.get('offsets')
  return shape if offsets is None else (len(offsets), *shape)


def batch_size(source):
  """Examples that are predicted at once; windows of many series are large."""
  return 512 if 'offsets' in source.shared else 4096


def tested_apart(net):
  """Whether the data say which rows are for testing, not the seed."""
  return ('window' in net or bool(domain_names(net.dataset))
          or published.has_splits(net.dataset))


# --- Domains -----------------------------------------------------------------


def domain_names(dataset):
  """What the domains of a data set are called, in order; ()."""
  return (colored.DOMAINS if dataset == tabular_images.NAME
          else tabular.domain_names(dataset))


def memory(source):
  """What `extra` has from the first step on, {} for most.

  `{'domains': {'weights': [E]}}`, 1 / E of each domain to train on, where a
  table has domains; `{'last_losses': {'values': [n]}}`, the largest number for
  each training row, where an arm leaves out a share of them.
  """
  found = {}
  if 'domain' in source.shared:
    count = len(np.unique(
        source.shared['domain'][source.own['train_rows'][0]]))
    found['domains'] = {'weights': jnp.full(count, 1 / count)}
  if 'noise_share' in source.own:
    found['last_losses'] = {'values': jnp.full(
        source.own['train_rows'].shape[1], np.finfo(np.float32).max)}
  return found


def record_domains(add, config, source, predictions, y):
  """Adds the errors of each test domain, and of the worst with its interval.

  Args:
    add: from `block.recorder`.
    config: its `metrics` are read; of percentages nothing is said.
    source: the data, unprepared.
    predictions, y: [S, n, 1] of the test rows of the best state.
  """
  if 'domain' not in source.shared:
    return
  where = dict(split='test', state='best')
  of = np.asarray(source.shared['domain'])[source.own['test_rows']]
  names = domain_names(config.net.dataset)
  for metric in {'rmse', 'pearson'}.intersection(config.metrics):
    function = METRICS[metric]
    for k in np.unique(of):
      add(metric, lambda p, t, d, k=k, function=function: function(
          p[d == k], t[d == k]), predictions, y, of, group=names[k],
          n=int((of[0] == k).sum()), **where)
    worst = [by_domain.worst(
        function, *each, higher_is_worse=metrics.KNOWN[
            metric].better == metrics.LOWER)
             for each in zip(predictions, y, of, strict=True)]
    for end, field in (('', 'value'), ('_low', 'low'), ('_high', 'high')):
      add(f'worst_{metric}{end}', [getattr(w, field) for w in worst],
          n=of.shape[1], **where)


def record_divergence(add, config, source, features, y):
  """Adds what training rows' representations tell of their domains.

  Beside it the same where domains are shuffled: what chance alone would give.

  Args:
    add: from `block.recorder`.
    config: its `net.dataset` is named in errors.
    source: the data, unprepared.
    features, y: [S, n, K] and [S, n, 1] of the training rows.

  Raises:
    UserError: the data have no domains.
  """
  if 'domain' not in source.shared:
    raise UserError(f'metrics=divergence: {config.net.dataset} has no domains; '
                    'leave it out, or name a column of domains.')
  of = np.asarray(source.shared['domain'])[source.own['train_rows']]
  shuffled = np.random.default_rng(0).permuted(of, axis=1)
  for group, domains_ in (('', of), ('domains shuffled', shuffled)):
    add('divergence', invariance.divergence, features, y, domains_,
        group=group, n=of.shape[1], split='train', state='best')
