"""Arms of the testbed `tabular` that came after C-Mixup, one idea each.

Ideas are those of `methods`; what an arm reads of the config beside what
`tabular_mixing` does:

    mixed_weight (RegMixup: of the loss of mixtures, beside that of examples)
    num_clusters, spread (ADA: of k-means, and the largest gamma)
    share, small (FOMA: which singular values are scaled)
    tau_max, tau_std (similarity-kernel mixup: how distance lowers lam's law)

RC-Mixup stands in `tabular_rc_mixup`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from assay import losses
from assay.methods import (
  anchor_augmentation,
  foma,
  kernel_mixup,
  mixup,
  regmixup,
)
from assay.testbeds import tabular, tabular_data, tabular_mixing

_prepare = functools.partial(tabular_mixing.prepare, mixup.uniform, False)


def _arm(fields, **sockets):
  """An arm whose `own` has what `tabular_mixing.prepare` puts there."""
  return tabular.Arm(**{'prepare': _prepare} | sockets,
                     fields=('alpha', *fields))


# --- RegMixup, and the kernel of distances -----------------------------------


def draw_regmixup(config, draw):
  """Examples and, behind them, their mixtures."""
  paired = mixup.paired(draw, mixup.uniform)

  def drawn(*args):
    batch = paired(*args)
    return regmixup.beside(batch, mixup.blend(batch), config.mixed_weight)

  return drawn


def draw_kernel(config, draw):
  """Mixtures whose weight is near 0 or 1 where the labels are far apart."""
  paired = mixup.paired(draw, mixup.uniform)

  def drawn(shared, own, item, key):
    pair_key, lam_key = jax.random.split(key)
    batch = paired(shared, own, item, pair_key)
    tau = kernel_mixup.concentration(batch['y'], batch['partner_y'],
                                     config.tau_max, config.tau_std)
    lam = mixup.sample_lam(lam_key, tau, len(tau), per_example=True)
    return mixup.blend(batch | {'lam': lam})

  return drawn


# --- Anchor data augmentation ------------------------------------------------


def prepare_anchors(config, block, source):
  """The source with the cluster of each training row."""
  found = [anchor_augmentation.clusters(x, y, config.num_clusters, seed)
           for (x, y), seed in zip(tabular.training_rows(source), block.seeds,
                                   strict=True)]
  return source._replace(own=source.own | {'group': np.stack(found)})


def draw_anchors(config, draw, fields=('x', 'y')):
  """Batches with one gamma for all, and these fields moved by it."""
  values = anchor_augmentation.gammas(config.spread)

  def drawn(shared, own, item, key):
    draw_key, gamma_key = jax.random.split(key)
    batch, group = draw(shared, own, item, draw_key), own['group'][item]
    gamma = jax.random.choice(gamma_key, jnp.asarray(values))
    return batch | {
        'group': group, 'gamma': jnp.full(len(group), gamma)} | {
            k: anchor_augmentation.toward_means(batch[k], group, gamma)
            for k in fields}

  return drawn


def predict_anchors(model, variables, batch):
  """Predictions whose hidden representations are moved."""
  hidden = anchor_augmentation.toward_means(
      model.apply(variables, batch['x'], method='encode'), batch['group'],
      batch['gamma'][0])
  return model.apply(variables, hidden, method='decode')


# --- FOMA --------------------------------------------------------------------


def prepare_foma(config, block, source):
  """The source with the mean and deviation of each seed's training labels.

  In units of their own, labels would outweigh inputs: of Airfoil's 120 dB and
  inputs in [0, 1] the first singular value is nearly all, so none is large, and
  FOMA is the identity or shrinks everything alike.
  """
  source = _prepare(config, block, source)
  # A number [1]: of one [] the program rounds otherwise, and rows are of this.
  units = {k: v[:, None] for k, v in tabular_data.label_units(source).items()}
  return source._replace(own=source.own | units)


def draw_lam(config, draw):
  """A draw with one `lam` for the batch and units of labels, on each row."""
  del config
  with_units = tabular_data.with_units(draw)

  def drawn(shared, own, item, key):
    draw_key, lam_key = jax.random.split(key)
    return with_units(shared, own, item, draw_key) | {
        'lam': mixup.sample_lam(lam_key, own['alpha'], len(item))}

  return drawn


def _foma(config, values, batch):
  """`foma.augmented` of values [B, ...], with labels that are standardized."""
  values, y = foma.augmented(
      values, tabular_data.standardized(batch['y'], batch), batch['lam'][0],
      config.share, config.small)
  return values, batch['mean'] + batch['std'] * y


def draw_foma(config, draw):
  """Batches moved toward the subspace of their large singular values."""
  with_lam = draw_lam(config, draw)

  def drawn(*args):
    batch = with_lam(*args)
    x, y = _foma(config, batch['x'], batch)
    return batch | {'x': x, 'y': y}

  return drawn


def hidden_foma(config, model, plain):
  """The socket `gradient` of FOMA on hidden representations and labels."""
  del plain  # labels depend on the parameters, too

  def loss_fn(params, extra, batch, key):
    del key
    variables = {'params': params}
    hidden, y = _foma(
        config, model.apply(variables, batch['x'], method='encode'), batch)
    predictions = model.apply(variables, hidden, method='decode')
    return jnp.mean(losses.squared(predictions, y)), (extra, {})

  return jax.value_and_grad(loss_fn, has_aux=True)


ARMS = {
    'regmixup': _arm(('mixed_weight',), draw=draw_regmixup),
    'kernel_mixup': _arm(('tau_max',), draw=draw_kernel),
    'ada': tabular.Arm(draw=draw_anchors, prepare=prepare_anchors,
                       fields=('num_clusters', 'spread')),
    'manifold_ada': tabular.Arm(
        draw=functools.partial(draw_anchors, fields=('y',)),
        predict=predict_anchors, prepare=prepare_anchors,
        fields=('num_clusters', 'spread')),
    'foma': _arm(('share', 'small'), draw=draw_foma, prepare=prepare_foma),
    'manifold_foma': _arm(('share', 'small'), draw=draw_lam,
                          gradient=hidden_foma, prepare=prepare_foma),
}
