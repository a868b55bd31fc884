"""Training losses times calibrators, in distribution and under shift.

  python -m experiments.calibration_overview \
    --config=configs/calibration_overview.py:fashion_mnist

An arm is a loss; each of its classifiers is then calibrated in every way of
`config.calibrators`. Rows carry the field `calibrator`.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np

from assay import cli, losses
from assay.errors import UserError
from assay.methods import binning, calibrators, correctness_ranking, linear_maps
from assay.methods import temperature_networks as networks
from assay.testbeds import calibrating, classifiers
from configs import calibration_overview as settings

# arm: (config, logits [B, K], labels [B]) -> [B] or []
LOSSES = {
    'cross_entropy': lambda c, z, y: losses.cross_entropy(z, y),
    'label_smoothing': lambda c, z, y: losses.cross_entropy(
        z, y, c.smoothing),
    'brier': lambda c, z, y: losses.brier(z, y),
    'focal': lambda c, z, y: losses.focal(z, y, c.focal_gamma),
    'mmce': lambda c, z, y: (
        losses.cross_entropy(z, y) + c.mmce_weight * losses.mmce(z, y)),
    'mdca': lambda c, z, y: (
        losses.cross_entropy(z, y) + c.mdca_weight * losses.mdca(z, y)),
    'margin': lambda c, z, y: (
        losses.cross_entropy(z, y)
        + c.margin_weight * losses.margin_penalty(z, c.margin)),
    # Its ranking term needs the history of training: see `make_grad`.
    'correctness_ranking': lambda c, z, y: losses.cross_entropy(z, y),
}

CALIBRATORS = {
    'uncalibrated': calibrators.uncalibrated,
    'temperature': calibrators.temperature,
    'ensemble_temperature': calibrators.ensemble_temperature,
    'vector': linear_maps.vector,
    'matrix': linear_maps.matrix,
    'isotonic': binning.isotonic,
    'adaptive_temperature': networks.adaptive_temperature,
    'correctness_aware': networks.correctness_aware,
}


def make_apply(config, arm=None):
  """`(params, extra, x [B, H, W, C] normalized) -> logits [B, K]`."""
  del arm  # all have the same model
  return classifiers.make_apply(calibrating.make_model(config))


def make_grad(config, model, arm):
  """Gradient of the loss of an arm."""
  ranked = arm == 'correctness_ranking'

  def loss_fn(params, extra, batch, key):
    logits, new = classifiers.in_training(model, params, extra, batch, key)
    loss = jnp.mean(LOSSES[arm](config, logits, batch['y']))
    if ranked:
      shares = correctness_ranking.shares(extra['history'], batch['index'])
      loss += config.ranking_weight * jnp.mean(losses.correctness_ranking(
          jnp.max(jax.nn.softmax(logits), axis=1), shares))
      right = jnp.argmax(logits, axis=1) == batch['y']
      new |= {'history': correctness_ranking.updated(
          extra['history'], batch['index'], right)}
    return loss, (new, {})

  return jax.value_and_grad(loss_fn, has_aux=True)


def measure(config, data, block, arm):
  """Trains an arm on a block of seeds, calibrates it in every way; its rows."""
  model = calibrating.make_model(config)
  more = dict
  if arm == 'correctness_ranking':
    more = lambda: {'history': correctness_ranking.start(len(data.shared['y']))}
  fitted = calibrating.fit(config, data, block,
                           make_grad(config, model, arm), more)
  sets = {calibrating.TEST: ''} | {shift: shift for shift in config.shifts}
  held = calibrating.logits(config, data, fitted.state, 'calibration')
  found = {name: calibrating.logits(config, data, fitted.state, 'test', shift)
           for name, shift in sets.items()}
  labels, y = data.labels('calibration'), data.labels('test')
  rows, why = [], fitted.why
  for i, seed in enumerate(block.seeds):
    for name in config.calibrators:
      log_p, calibrator = None, CALIBRATORS[name]
      if i not in why:
        params = calibrator.fit(held[i], labels)
        log_p = {split: np.asarray(calibrator.apply(params, logits[i]))
                 for split, logits in found.items()}
      rows += [
          block.row(seed, metric, value, dataset=config.dataset, method=arm,
                    split=split, n=len(y), step=fitted.state.step[i],
                    state='last', calibrator=name,
                    why=why.get(i, 'not defined'))
          for split, metric, value in calibrating.measured(config, log_p, y)
          if metric in settings.METRICS
          and split in (calibrating.TEST, calibrating.SHIFTED)]
  block.finish(
      rows, {'seeds': np.array(block.seeds), 'calibration': held, **found},
      fitted.curves, sum(x[0].size for x in jax.tree.leaves(
          fitted.state.params)))


def run(config, study):
  """Trains every arm on every seed; returns the rows."""
  calibrating.check(config)
  for field, known in (('arms', LOSSES), ('calibrators', CALIBRATORS)):
    for name in config[field]:
      if name not in known:
        raise UserError(f'{field}: {name!r} is unknown; use some of '
                        f'{", ".join(known)}.')
  data = calibrating.Data(config, study.data_dir)
  for arm in study.chosen(config.arms):
    for block in study.blocks(arm):
      measure(config, data, block, arm)
  return study.rows()


if __name__ == '__main__':
  sys.exit(cli.main('calibration_overview'))
