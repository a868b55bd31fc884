"""USEFUL: simplicity bias, SAM and the training distribution, on images.

  python -m experiments.useful --config=configs/useful.py:dominoes

Nguyen et al. (NeurIPS 2024): examples that are learned late get one more copy.
An arm is an optimizer and what is done to the training set: see `ARMS`.
"""

import functools
import sys

import jax.numpy as jnp
import numpy as np

from assay import cli, losses
from assay.data import images
from assay.errors import UserError
from assay.methods import copies, forgetting, sam, useful
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
    found: what `find_slow` saved: slow, wrong bool [S, num_train]; or None.
  """
  masked = groups_of(net, data).get('masked')
  if change == 'masked' and masked is None:
    raise UserError(f'sgd_oracle needs dominoes, not {net.dataset!r}; leave '
                    'the arm out.')
  found = {'masked': [masked] * len(seeds)} | (found or {})
  return copies.enlarged(
      own, change, found, seeds, times=net.copies, wrong_times=net.jtt_copies,
      batch_size=net.batch_size, num_epochs=net.num_epochs,
      num_rows=len(data.shared['y']))


# --- Training, and its rows --------------------------------------------------


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
  with block.recorder(fitted, num_params=0, method=optimizer,
                      dataset=images.label(net.dataset), **fields) as add:
    add.curves = curves
    add('separating_epoch', epochs, split='train', n=data.num_train)
    vision_groups.record_slow(add, net, data, logits)


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
  net, fitted = config.net, train(
      config, data, block, arm_of(config.net, arm, found))
  with block.recorder(fitted, dataset=images.label(net.dataset), method=arm,
                      **fields) as add:
    vision_rows.record_errors(
        add, data, functools.partial(nets.logits, net, data, block, fitted),
        splits, groups_of(net, data, 'test'))
    if not splits:
      vision_groups.record_learning(add, net, data, fitted.state, slow)
      vision_rows.record_sharpness(add, config, data, fitted.state)


# --- The study ---------------------------------------------------------------


def run(config, study):
  """Trains every arm on every seed; returns the rows."""
  vision.check(config, (('separating_epoch', config.net.num_epochs),))
  vision_rows.check_sharpness(config)
  clusters = any(ARMS[arm][1] not in WITHOUT_CLUSTERS for arm in config.arms)
  for name, arm, fields, _, data in vision.units(config, study, load):
    optimizer, change = ARMS[arm]
    for block in study.blocks(name):
      mine = tuned_fields(config, data, study, optimizer) | fields
      by = functools.partial(separated, config, data, study, fields,
                             block.seeds)
      found = by(optimizer) if change not in WITHOUT_CLUSTERS else None
      # Arms are compared on the examples that are slow under plain SGD.
      slow = by('sgd')['slow'] if clusters else None
      measure(replaced(config, mine), data, block, arm, mine, found, slow)
  return study.rows()


def separated(config, data, study, fields, seeds, optimizer):
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
