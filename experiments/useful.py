"""USEFUL: simplicity bias, SAM and the training distribution, on images.

  python -m experiments.useful --config=configs/useful.py:dominoes

Nguyen et al. (NeurIPS 2024): examples that are learned late get one more copy.
An arm is an optimizer and what is done to the training set: see `ARMS`.
"""

import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np

from assay import cli, losses
from assay.data import images
from assay.errors import UserError
from assay.methods import copies, forgetting, sam, useful
from assay.metrics import classification
from assay.study import replaced, tune
from assay.testbeds import vision, vision_groups, vision_rows
from assay.testbeds import vision_nets as nets
from assay.testbeds.vision import make_apply  # noqa: F401, for `assay.load`
from assay.testbeds.vision_groups import groups_of, load
from configs import useful as card

# arm: (optimizer, what is changed for which examples)
ARMS = {
    'sgd': ('sgd', None),
    'sam': ('sam', None),
    'asam': ('asam', None),
    'sgd_useful': ('sgd', 'slow'),  # the method
    'sgd_random': ('sgd', 'random'),  # as many copies of any examples
    'sgd_fast': ('sgd', 'fast'),  # as many copies from the fast clusters
    'sgd_oracle': ('sgd', 'masked'),  # a copy of each without the fast half
    'sgd_weighted': ('sgd', 'weighted'),  # twice the loss of slow examples
    'sgd_equal_steps': ('sgd', 'equal_steps'),  # original data, USEFUL's steps
    'sgd_jtt': ('sgd', 'misclassified'),  # Just Train Twice
    'sam_useful': ('sam', 'slow'),
}
WITHOUT_CLUSTERS = (None, 'masked')


def enlarged(net, change, found, own, data, seeds):
  """What an arm trains on, as the socket `own` gives it.

  Args:
    net: the config's.
    change: of the arm, see `ARMS`.
    found: what `find_slow` saved: slow, wrong bool [S, num_train].
  """
  size, epochs = net.batch_size, net.num_epochs
  if change is None:
    return own
  if change == 'equal_steps':
    return copies.equal_steps(own, found['slow'], net.copies, size, epochs)
  if change == 'weighted':
    return copies.weighted_loss(own, found['slow'], net.copies,
                                len(data.shared['y']))
  masked = groups_of(net, data).get('masked')
  if change == 'masked':
    if masked is None:
      raise UserError(f'sgd_oracle needs dominoes, not {net.dataset!r}; leave '
                      'the arm out.')
    more = [np.repeat(np.flatnonzero(masked), net.copies)] * len(seeds)
  else:
    more = [copies.chosen(change, found['slow'][i], found['wrong'][i],
                          net.copies, net.jtt_copies,
                          np.random.default_rng((seed, 1)))
            for i, seed in enumerate(seeds)]
  return useful.upsample(own, more, size, epochs)


# --- Training ----------------------------------------------------------------


def loss(logits, batch, extra):
  """Cross entropy, weighted where the batch has weights; and who was right."""
  del extra
  found = losses.cross_entropy(logits, batch['y'])
  correct = jnp.argmax(logits, axis=-1) == batch['y']
  return jnp.mean(batch.get('weight', 1.) * found), {}, {'correct': correct}


def perturbed(net, optimizer, gradient):
  """The gradient at the point that the optimizer asks for; counts forgetting.

  SGD's decay is part of it where SAM has to see it.
  """
  if net.decay_in_perturbation:
    gradient = sam.decayed(gradient, net.weight_decay)
  if optimizer == 'sam':
    gradient = sam.sam(gradient, net.rho)
  if optimizer == 'asam':
    gradient = sam.sam(gradient, net.asam_rho, weights=sam.asam(net.asam_eta))
  if net.group_size and optimizer != 'sgd':
    gradient = sam.in_groups(gradient, net.group_size)
  return forgetting.counted(gradient)


def arm_of(net, arm, found=None):
  """The `vision.Arm` of a name, with what `find_slow` saved of its seeds."""
  optimizer, change = ARMS[arm]
  return vision.Arm(
      loss=loss, gradient=functools.partial(perturbed, net, optimizer),
      draw=useful.weighted if change == 'weighted' else lambda draw: draw,
      own=functools.partial(enlarged, net, change, found),
      memory=lambda num_images: {'learning': forgetting.start(num_images)})


def train(config, data, block, arm, stage='fit'):
  """Fits a `vision.Arm`, its decay once: in the gradient or the optimizer."""
  if config.net.decay_in_perturbation:
    config = replaced(config, {'weight_decay': 0.})
  return vision.fit(config, data, block, arm, stage)


def find_slow(config, data, block, optimizer, fields):
  """Trains to the separating epoch, splits classes, saves who is slow."""
  net, arm = config.net, arm_of(config.net, optimizer)
  steps = data.num_train // net.batch_size  # of an epoch

  def train_for(epochs, stage):  # the beginning of the whole run
    ends = {'num_steps': np.array(epochs, np.int32) * steps,
            'schedule_steps': np.int32(len(epochs) * [net.num_epochs * steps])}
    return train(config, data, block, arm._replace(
        own=lambda own, data, seeds: own | ends), stage)

  epochs, curves = [net.separating_epoch] * len(block.seeds), {}
  if not net.separating_epoch:
    curves = train_for([net.elbow_epochs] * len(block.seeds), 'elbow').curves
    epochs = [useful.elbow(errors) for errors in curves['error'].T]
  fitted = train_for(epochs, 'separate')
  if fitted.broken:
    raise UserError(f'{block.name}: {"; ".join(fitted.why.values())}; nothing '
                    'to separate by. Lower the learning rate.')
  logits = nets.logits(net, data, block, fitted, 'train')
  y, seen = data.labels('train'), {
      'logits': logits, 'probabilities': jax.nn.softmax(logits)}[net.cluster_on]
  slow = np.stack([
      useful.separate(seen[i], y, classification.losses(z, y)).slow
      for i, z in enumerate(logits)])
  hard = next(iter(groups_of(net, data).values()), None)
  with block.recorder(fitted, num_params=0, method=optimizer,
                      dataset=images.label(net.dataset), **fields) as add:
    add.curves = curves
    add.save(slow=slow, wrong=np.argmax(logits, axis=-1) != y,
             digest=np.array([useful.digest(each) for each in slow]))
    add = functools.partial(add, split='train', n=data.num_train)
    add('separating_epoch', epochs)
    add('slow_share', np.mean, slow)
    if hard is not None:
      add('cluster_recall', lambda slow: slow[hard].mean(), slow)
      add('cluster_precision', lambda slow: hard[slow].mean(), slow)


# --- Rows --------------------------------------------------------------------


def measure(config, data, block, arm, fields, found=None, slow=None,
            splits=()):
  """Trains one arm on a block of seeds and writes its rows.

  Args:
    config, data, block, arm: which; `fields` go into its rows.
    fields: tuned and swept fields of the config.
    found: what its copies are made of, see `separated`.
    slow: bool [S, num_train], the slow clusters that rows are grouped by.
    splits: those to evaluate; by default all, and how examples were learned.
  """
  fitted = train(config, data, block, arm_of(config.net, arm, found))
  net, state = config.net, fitted.state
  with block.recorder(fitted, dataset=images.label(net.dataset), method=arm,
                      **fields) as add:
    for split in splits or [k[:-5] for k in data.shared if k.endswith('_rows')]:
      logits = nets.logits(net, data, block, fitted, split)
      tested = split == 'test'
      if tested:
        add.save(last=logits, y=np.tile(data.labels(split), (len(logits), 1)))
      vision_rows.record_errors(
          add, logits, data.labels(split), split,
          groups_of(net, data, split) if tested else {},
          pack=tested or split == 'masked')
    if not splits:
      vision_groups.record_learning(add, net, data, state, slow)
      vision_rows.record_sharpness(add, config, data, state)


# --- The study ---------------------------------------------------------------


def run(config, study):
  """Trains every arm on every seed; returns the rows."""
  vision.check(config, (('separating_epoch', 0, config.net.num_epochs),))
  vision_rows.check_sharpness(config)
  clusters = any(ARMS[arm][1] not in WITHOUT_CLUSTERS for arm in config.arms)
  for name, arm, fields, _, data in vision.units(config, study, load):
    optimizer, change = ARMS[arm]
    for block in study.blocks(name):
      mine = tuned_fields(config, data, study, optimizer) | fields
      found = separated(config, data, study, optimizer, fields, block.seeds
                        ) if change not in WITHOUT_CLUSTERS else None
      # Arms are compared on the examples that are slow under plain SGD.
      slow = separated(config, data, study, 'sgd', fields, block.seeds
                       )['slow'] if clusters else None
      measure(replaced(config, mine), data, block, arm, mine, found, slow)
  return study.rows()


def separated(config, data, study, optimizer, fields, seeds):
  """What `find_slow` saved: {slow, wrong: bool [S, num_train], ...}.

  All arms of an optimizer share it.
  """
  if config.net.separate_with != 'same':
    optimizer = config.net.separate_with
  mine = tuned_fields(config, data, study, optimizer) | fields
  name = ','.join([f'separate_{optimizer}',
                   *(f'{k}={v}' for k, v in fields.items())])
  for block in study.blocks(name):
    find_slow(replaced(config, mine), data, block, optimizer, mine)
  return study.predictions_of(name, seeds)


def tuned_fields(config, data, study, optimizer):
  """The fields of the best of `config.trials` settings, by validation."""
  if not config.trials:
    return {}
  own = {'sgd': (), 'sam': ('rho',), 'asam': ('asam_rho',)}[optimizer]
  trials = tune.trials(card.GRID, ('learning_rate', *own), config.trials)
  return tune.tuned(
      study, config, optimizer, trials,
      lambda config, block, fields: measure(
          config, data, block, optimizer, fields, splits=('val',)),
      'nll', 'last')


if __name__ == '__main__':
  sys.exit(cli.main('useful'))
