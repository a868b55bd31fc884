"""Images of which some are harder than others, and how they are learned.

Part of the testbed `vision`. Besides what `vision_nets` reads, of `config.net`
are read: fast, slow (the data sets of dominoes), fast_classes, slow_classes,
alpha, imbalance and label_noise; to find slow examples, cluster_on.
"""

import functools

import jax
import numpy as np

from assay.data import images
from assay.methods import forgetting, useful
from assay.metrics import classification
from assay.testbeds import vision_nets as nets
from assay.train import sharding


def load(net, data_dir=None):
  """The `Data` of a config; `group` is 1 where an example is easy."""
  if net.dataset == 'dominoes':
    shared = images.dominoes(
        images.load(net.fast, data_dir), images.load(net.slow, data_dir),
        net.fast_classes, net.slow_classes, net.alpha, *net.split_sizes,
        net.data_seed)
    if not net.split_sizes[1]:
      del shared['val_rows']
  else:
    shared = nets.load(net, data_dir).shared
  rows = shared['train_rows']
  if net.imbalance > 1:
    rows = shared['train_rows'] = images.long_tail(
        rows, shared['y'], net.imbalance, net.data_seed)
  if net.label_noise:
    shared['y'], noisy = images.noisy_labels(
        shared['y'], rows, net.label_noise, nets.Data(shared).num_classes,
        net.data_seed)
    shared['group'] = 1 - noisy.astype(np.int32)
  return nets.Data(shared)


def groups_of(net, data, split='train'):
  """name -> bool [n] of a split, the hard group first; {} if unknown."""
  if 'group' not in data.shared:
    return {}
  easy = data.shared['group'][data.shared[f'{split}_rows']] == 1
  names = ('noisy', 'clean') if net.label_noise else ('masked', 'present')
  return dict(zip(names, (~easy, easy), strict=True))


def record_slow(add, net, data, logits):
  """Adds which training examples clusters of outputs call slow, and saves them.

  Saved are slow and wrong, bool [S, num_train], and a `digest` of each seed's
  slow ones.

  Args:
    add: from `block.recorder`.
    net, data: of all seeds.
    logits: [S, num_train, K], at the epoch that separates.
  """
  y = data.labels('train')
  seen = (logits if net.cluster_on == 'logits'
          else np.asarray(jax.nn.softmax(logits)))
  slow = np.stack([useful.separate(each, y, classification.losses(z, y)).slow
                   for each, z in zip(seen, logits, strict=True)])
  add.save(slow=slow, wrong=np.argmax(logits, axis=-1) != y,
           digest=np.array([useful.digest(each) for each in slow]))
  add = functools.partial(add, split='train', n=data.num_train)
  add('slow_share', np.mean, slow)
  if groups := groups_of(net, data):
    hard = next(iter(groups.values()))
    add('cluster_recall', lambda slow: slow[hard].mean(), slow)
    add('cluster_precision', lambda slow: hard[slow].mean(), slow)


def record_learning(add, net, data, state, slow):
  """Adds how training examples were learned, and the norms of the weights.

  Args:
    add: from `block.recorder`.
    net, data: of all seeds.
    state: as training with `forgetting.counted` leaves it.
    slow: bool [S, num_train], further groups of examples, or None.
  """
  at, counts = data.shared['train_rows'], sharding.fetch(
      state.extra['learning'])
  params = jax.tree.leaves(sharding.fetch(state.params))
  for i in range(len(counts['step'])):
    groups = groups_of(net, data)
    if slow is not None:
      groups |= {'slow': slow[i], 'fast': ~slow[i]}
    found = forgetting.summary(
        {k: v[i] for k, v in counts.items()}, at,
        data.num_train // net.batch_size, groups) | {
            ('weight_l1', ''): (sum(np.abs(p[i]).sum(dtype=float)
                                    for p in params), data.num_train),
            ('weight_l2', ''): (sum(np.square(p[i]).sum(dtype=float)
                                    for p in params)**.5, data.num_train)}
    for (metric, group), (value, n) in found.items():
      add.one(i, metric, value, split='train', group=group, n=n)
    hard, easy = (found.get(('first_learned', group), (np.nan,))[0]
                  for group in (('masked', 'present') if 'masked' in groups
                                else ('slow', 'fast')))
    if np.isfinite(hard):
      add.one(i, 'learning_gap', hard - easy, split='train', n=data.num_train)
