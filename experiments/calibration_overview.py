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
from assay.claims import Claim, all_of, equal, greater, less
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


# --- Claims ------------------------------------------------------------------

_FOLKLORE = 'folklore'


def _of(method, calibrator='uncalibrated', **fields):
  return {'method': method, 'calibrator': calibrator} | fields


def _claims(config):
  on = lambda split: dict(split=split, state='last')
  plain, scaled = _of('cross_entropy'), _of('cross_entropy', 'temperature')

  def claim(name, sentence, source, check):
    return Claim(f'{config}: {name}', sentence, source, check,
                 {'config': config}, False)

  yield claim(
      'focal needs no temperature', 'After focal training a temperature '
      'changes the calibration error by less than 0.01.', _FOLKLORE,
      equal('ece', _of('focal'), _of('focal', 'temperature'), 0.01,
            **on('test')))
  yield claim(
      'focal calibrates', 'Focal training has a lower calibration error than '
      'cross entropy.', 'Mukhoti et al., 2020',
      less('ece', _of('focal'), plain, **on('test')))
  yield claim(
      'a temperature leaves AUROC', 'One temperature changes the AUROC of '
      'confidence for being correct by less than 0.005.', _FOLKLORE,
      equal('auroc', scaled, plain, 0.005, **on('test')))
  yield claim(
      'smoothing hurts calibrating', 'With a temperature, a network trained '
      'with smoothed labels has a higher calibration error and negative '
      'log-likelihood than one trained with hard labels.', _FOLKLORE, all_of(
          greater('ece', _of('label_smoothing', 'temperature'), scaled,
                  **on('test')),
          greater('nll', _of('label_smoothing', 'temperature'), scaled,
                  **on('test'))))
  yield claim(
      'smoothing hurts selection', 'Smoothed labels lower the AUROC of '
      'confidence for being correct.', _FOLKLORE,
      less('auroc', _of('label_smoothing'), plain, **on('test')))
  yield claim(
      'ranking helps selection', 'The correctness ranking loss raises the '
      'AUROC of confidence for being correct.', 'Moon et al., 2020',
      greater('auroc', _of('correctness_ranking'), plain, **on('test')))
  for arm in ('brier', 'mmce', 'mdca', 'margin'):
    yield claim(
        f'{arm} against a temperature', f'Training with {arm} has a lower '
        'calibration error than cross entropy with a temperature fitted '
        'afterwards.', _FOLKLORE,
        less('ece', _of(arm), scaled, **on('test')))
  yield claim(
      'a temperature does not travel', 'Fitted in distribution, a temperature '
      'has a calibration error higher by 0.02 or more under shift.', _FOLKLORE,
      greater('ece', scaled | {'split': 'shifted'}, scaled | {'split': 'test'},
              by=0.02, state='last'))
  yield claim(
      'losses help under shift', 'Under shift, focal training alone has a '
      'lower calibration error than cross entropy with a temperature.',
      _FOLKLORE, less('ece', _of('focal'), scaled, **on('shifted')))
  yield claim(
      'more parameters calibrate no better', 'Matrix scaling has no lower '
      'negative log-likelihood than one temperature: the difference is within '
      '0.01.', _FOLKLORE,
      equal('nll', _of('cross_entropy', 'matrix'), scaled, 0.01, **on('test')))


CLAIMS = tuple(claim for config in ('digits', 'fashion_mnist',
                                    'cifar10_resnet18')
               for claim in _claims(config))


def figures(rows):
  """{file name: Figure} of one variant's rows."""
  from assay.report import plots

  panels = {'in distribution': {'split': calibrating.TEST}}
  if any(row['split'] == calibrating.SHIFTED for row in rows):
    panels['shifted: mean over corruptions'] = {'split': calibrating.SHIFTED}
  return {metric: plots.heat_map(rows, metric, 'method', 'calibrator', panels)
          for metric in ('ece', 'nll', 'auroc')}


if __name__ == '__main__':
  sys.exit(cli.main('calibration_overview'))
