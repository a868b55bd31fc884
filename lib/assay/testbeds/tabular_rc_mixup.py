"""RC-Mixup on the testbed `tabular`: bandwidths chosen among rivals.

What the arm reads of the config, beside what `tabular_mixing` does:

    noise_share (how many examples are left out)
    rival_partners (bandwidths, by their effective partners)
    num_phases (how often one of them is chosen)
"""

import jax
import jax.numpy as jnp
import numpy as np

from assay import losses
from assay.methods import mixup, rc_mixup
from assay.testbeds import tabular


def prepare(config, block, source):
  """The source with the bandwidth of each phase, chosen among rivals."""
  rows, num_epochs = tabular.training_rows(source), config.net.num_epochs
  own = source.own | {
      'alpha': np.full(len(rows), config.alpha, np.float32),
      'features': np.stack([y for _, y in rows]).astype(np.float32),
      'noise_share': np.full(len(rows), config.noise_share, np.float32)}
  rivals = np.array([[mixup.bandwidth_for(y, partners) for _, y in rows]
                     for partners in config.rival_partners], np.float32)
  errors = [tabular.fit(
      config, block, ARM, source._replace(own=own | {
          'bandwidths': rival[:, None]}, items=_phased(
              source.items, np.zeros(num_epochs, int), config)),
      f'rival={i}').curves['val'] for i, rival in enumerate(rivals)]
  which = rc_mixup.chosen(errors, config.num_phases)  # [phases, S]
  phases = np.concatenate([np.full(len(part), i) for i, part in enumerate(
      np.array_split(np.arange(num_epochs), config.num_phases))])
  return source._replace(
      own=own | {'bandwidths': np.take_along_axis(rivals, which, axis=0).T},
      items=_phased(source.items, phases, config))


def _phased(items, phases, config):
  """Items [2, B] of each step: rows, and the phase of its epoch."""
  steps = config.net.split_sizes[0] // config.net.batch_size

  def found(position, start, stop):
    first = items(position, start, stop)
    phase = phases[np.arange(start, stop) // steps].astype(np.int32)
    return np.stack([first, np.broadcast_to(phase[:, None], first.shape)], 1)

  return found


def draw(config, draw):
  """Mixtures with near partners, the positions and the rows they are of."""
  del config

  def drawn(shared, own, item, key):
    draw_key, choose_key, lam_key = jax.random.split(key, 3)
    anchors, features = item[0], own['features']
    partners = mixup.similar_partners(
        choose_key, features[anchors], features,
        own['bandwidths'][item[1, 0]])
    both = draw(shared, own, jnp.concatenate([anchors, partners]), draw_key)
    size = len(anchors)
    batch = {'x': both['x'][:size], 'y': both['y'][:size]}
    lam = mixup.sample_lam(lam_key, own['alpha'], size)
    mixed = mixup.blend(batch | {
        'partner_x': both['x'][size:], 'partner_y': both['y'][size:],
        'lam': lam})
    return {'x': mixed['x'], 'y': mixed['y'], 'own_x': batch['x'],
            'own_y': batch['y'], 'anchors': anchors, 'partners': partners,
            'noise_share': jnp.broadcast_to(own['noise_share'], (size,))}

  return drawn


def clean_alone(config, model, plain):
  """The socket `gradient` of mixtures of examples whose last loss was small."""
  del config

  def found(params, extra, batch, key):
    memory = extra['last_losses']['values']
    clean = rc_mixup.small_losses(memory, batch['noise_share'][0])
    (loss, (extra, metrics)), grads = plain(params, extra, batch | {
        'weight': rc_mixup.pair_weights(
            clean, batch['anchors'], batch['partners'])}, key)
    now = losses.squared(model.apply({'params': params}, batch['own_x']),
                         batch['own_y'])
    memory = rc_mixup.remembered(memory, batch['anchors'], now)
    return (loss, (extra | {'last_losses': {'values': memory}}, metrics)), grads

  return found


ARM = tabular.Arm(draw=draw, gradient=clean_alone, prepare=prepare,
                  fields=('alpha', 'noise_share'))
