"""Arms of the testbed `tabular` for tables with domains: training for shift.

Each is one idea of `methods.domains` on batches of `config.domains_per_batch`
domains with equally many rows. Predictions and labels are compared in standard
deviations from the mean of the training labels, so that a weight means the same
on all data; around another zero the penalty of IRM would keep predictions there
for good. `config.strength` is a factor on the weight of an arm's penalty, or on
the step size that it has.
"""

import jax
import jax.numpy as jnp
import numpy as np

from assay import losses
from assay.data import domains as batches
from assay.methods import domains
from assay.testbeds import tabular, tabular_data, tabular_images
from assay.testbeds.tabular_data import standardized, with_units

# At a strength of 1; ours, as no code of these baselines was released.
WEIGHTS = {'irm': 1., 'bottleneck': .1, 'rex': 1., 'coral': 1.}
GROUP_STEP_SIZE = .01
WALK_RATE = .01


def prepare(config, block, source):
  """The source with batches by domain, and mean and std of each seed's labels.
  """
  of = np.asarray(source.shared['domain'])[source.own['train_rows']]
  orders = [batches.items(each, config.net.batch_size,
                          config.domains_per_batch, seed)
            for each, seed in zip(of, block.seeds, strict=True)]
  return source._replace(
      own=source.own | tabular_data.label_units(source),
      items=lambda position, *steps: orders[position](*steps))


def penalty(name, predictions, y, features, *where):
  """One of `WEIGHTS` of a batch, [] float; `where`: domains, their number."""
  return {
      'irm': lambda: domains.irm_penalty(losses.squared, predictions, y,
                                         *where),
      'bottleneck': lambda: domains.bottleneck_penalty(features, *where),
      'rex': lambda: domains.rex_penalty(losses.squared(predictions, y),
                                         *where),
      'coral': lambda: domains.coral_penalty(features, *where)}[name]()


def penalized(*names):
  """The socket `gradient` of the mean loss with these penalties, or none."""

  def gradient(config, model, plain):
    del plain  # its loss is in units of the labels

    def loss_fn(params, extra, batch, key):
      del key
      live = tabular_images.InTraining(model, extra)
      predictions, features = live.apply(
          {'params': params}, batch['x'], method='with_features')
      predictions, y = (
          standardized(v, batch) for v in (predictions, batch['y']))
      loss = jnp.mean(losses.squared(predictions, y))
      for name in names:
        loss += config.strength * WEIGHTS[name] * penalty(
            name, predictions, y, features, batch['domain'],
            len(extra['domains']['weights']))
      return loss, (live.extra, {})

    return jax.value_and_grad(loss_fn, has_aux=True)

  return gradient


def group_dro(config, model, plain):
  """The socket `gradient` of the loss with weights of domains that climb."""
  del plain

  def loss_fn(params, extra, batch, key):
    del key
    live = tabular_images.InTraining(model, extra)
    predictions = live.apply({'params': params}, batch['x'])
    means, _ = domains.risks(
        losses.squared(*(standardized(v, batch) for v in (
            predictions, batch['y']))),
        batch['domain'], len(extra['domains']['weights']))
    weights = domains.group_weights(
        extra['domains']['weights'], means, config.strength * GROUP_STEP_SIZE)
    return weights @ means, (live.extra | {'domains': {'weights': weights}}, {})

  return jax.value_and_grad(loss_fn, has_aux=True)


def fish(config, model, plain):
  """The socket `gradient` of a walk through the domains of a batch."""
  return domains.fish(penalized()(config, model, plain),
                      config.domains_per_batch, config.strength * WALK_RATE)


def _arm(gradient):
  return tabular.Arm(draw=lambda config, draw: with_units(draw),
                     gradient=gradient, prepare=prepare,
                     fields=('strength',))


ARMS = {
    'irm': _arm(penalized('irm')),
    'ib_irm': _arm(penalized('irm', 'bottleneck')),
    'v_rex': _arm(penalized('rex')),
    'coral': _arm(penalized('coral')),
    'group_dro': _arm(group_dro),
    'fish': _arm(fish),
}
