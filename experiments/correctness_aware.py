"""Correctness-aware calibration against the same network under other losses.

  python -m experiments.correctness_aware \
    --config=configs/correctness_aware.py:cifar10

Liu et al. (2024): a network g gives each example a temperature, trained such
that confidence is near 1 where the prediction is right and near 0 where it is
wrong. A classifier is trained once a seed, on none of the images that
calibrators are fitted to; all arms read its logits.
"""

import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np

from assay import cli, losses
from assay.claims import Claim, all_of, equal, greater, less
from assay.data import corruptions
from assay.errors import check_names
from assay.methods import binning, calibrators, linear_maps
from assay.methods import temperature_networks as networks
from assay.testbeds import calibrating, classifiers

TRAINED = 'uncalibrated'  # the arm whose block trains the classifier

CALIBRATORS = {
    'uncalibrated': calibrators.uncalibrated,
    'temperature': calibrators.temperature,
    'ensemble_temperature': calibrators.ensemble_temperature,
    'vector': linear_maps.vector,
    'matrix': linear_maps.matrix,
    'dirichlet': linear_maps.dirichlet,
    'parameterized_temperature': networks.parameterized_temperature,
    'adaptive_temperature': networks.adaptive_temperature,
    'isotonic': binning.isotonic,
    'multi_isotonic': binning.multi_isotonic,
    'histogram': binning.histogram,
    'spline': binning.spline,
}

OBJECTIVES = {
    'ce': losses.cross_entropy,
    'mse': losses.brier,
    'mdca': losses.mdca,
    'dca': losses.dca,
    'ca': losses.correctness_aware,
    'ca_balanced': functools.partial(losses.correctness_aware,
                                     class_balanced=True),
}

# arm: (features, objective) of the network g
NETWORKS = {f'{features}_{objective}': (features, objective)
            for features in ('own', 'copies') for objective in OBJECTIVES}
RELEASED = 'copies_ca_released'  # clamp, learning rate and epochs of their code
CONTROLS = ('temperature_balanced', 'temperature_matched')


# --- The classifier ----------------------------------------------------------


def make_apply(config, arm=None):
  """`(params, extra, x [B, H, W, C] normalized) -> logits [B, K]`."""
  del arm  # all have the same model
  return classifiers.make_apply(calibrating.make_model(config))


def make_grad(model):
  """Gradient of the cross entropy."""

  def loss_fn(params, extra, batch, key):
    logits, extra = classifiers.in_training(model, params, extra, batch, key)
    return jnp.mean(losses.cross_entropy(logits, batch['y'])), (extra, {})

  return jax.value_and_grad(loss_fn, has_aux=True)


def train_classifier(config, data, block):
  """Trains on a block of seeds; saves all logits, and rows of no calibrator.

  Saved are, by 'calibration', 'test' and each shift, [S, 1 + copies, n, K]
  logits of the images and of their transformed copies.
  """
  fitted = calibrating.fit(config, data, block,
                           make_grad(calibrating.make_model(config)))
  views = ('', *corruptions.COPIES)
  sets = {'calibration': ('calibration', ''), 'test': ('test', '')} | {
      shift: ('test', shift) for shift in config.shifts}
  saved = {name: np.stack([calibrating.logits(
      config, data, fitted.state, split, shift, copy) for copy in views], 1)
           for name, (split, shift) in sets.items()}
  why = [fitted.why.get(i, '') for i in range(len(block.seeds))]
  saved |= {'seeds': np.array(block.seeds), 'why': np.array(why),
            'step': np.asarray(fitted.state.step)}
  curves, params = fitted.curves, fitted.state.params
  write(config, data, block, TRAINED, saved, curves,
        sum(x[0].size for x in jax.tree.leaves(params)), keep=saved)


# --- Calibrators -------------------------------------------------------------


def fit_arm(config, arm, logits, labels, seed):
  """`logits [1 + copies, n, K] -> [n, K] log-probabilities` of a fitted arm.

  Args:
    config: the config.
    arm: one of its arms.
    logits: [1 + copies, N, K], of the images that were held out to calibrate.
    labels: [N] int.
    seed: of the network's initialization and order, the same for all arms.
  """
  own = logits[0]
  if arm in CALIBRATORS:
    calibrator = CALIBRATORS[arm]
    params = calibrator.fit(own, labels)
  elif arm in CONTROLS:
    calibrator = calibrators.temperature
    if arm == 'temperature_balanced':
      params = calibrator.fit(
          own, labels, calibrators.class_balanced_weights(own, labels))
    else:  # says nothing that balanced correctness-awareness does not, by level
      other = fit_arm(config, 'copies_ca_balanced', logits, labels, seed)
      target = np.exp(other(logits)).max(axis=1).mean()
      params = calibrators.temperature_with_mean_confidence(own, target)
  else:
    released = arm == RELEASED
    features, objective = ('copies', 'ca_balanced') if released else NETWORKS[
        arm]
    calibrator = (networks.correctness_aware_clamped if released
                  else networks.correctness_aware)
    params = calibrator.fit(
        own, labels, features_of(features, logits),
        objective=OBJECTIVES[objective], seed=seed,
        learning_rate=(config.released_learning_rate if released
                       else config.calibrator_learning_rate),
        num_steps=(config.released_steps if released
                   else config.calibrator_steps),
        batch_size=config.calibrator_batch_size)
    return lambda logits: np.asarray(calibrator.apply(
        params, logits[0], features_of(features, logits)))
  return lambda logits: np.asarray(calibrator.apply(params, logits[0]))


def features_of(kind, logits):
  """What g reads: [n, F], of [1 + copies, n, K] logits."""
  copies = logits[1:] if kind == 'copies' else logits[:1]
  return networks.top_class_features(logits[0], list(copies))


def write(config, data, block, arm, known, curves=None, num_params=0,
          keep=None):
  """Fits an arm to each seed's logits and writes its rows.

  Args:
    config, data, block, arm: which.
    known: what `train_classifier` saved.
    curves, num_params: of the classifier, where it was trained for this.
    keep: what to save; default log-probabilities of the test images.
  """
  rows, kept = [], []
  held, y = data.labels('calibration'), data.labels('test')
  sets = (calibrating.TEST, *config.shifts)
  for i, seed in enumerate(block.seeds):
    why = str(known['why'][i])
    add = functools.partial(
        block.row, seed, dataset=config.dataset, method=arm, n=len(y),
        step=known['step'][i], state='last', why=why or 'not defined')
    log_p = None
    if not why:
      apply = fit_arm(config, arm, known['calibration'][i], held, seed)
      log_p = {name: apply(known[name][i]) for name in sets}
    kept.append(log_p[calibrating.TEST] if log_p else np.full(
        known[calibrating.TEST][i, 0].shape, np.nan))
    for split, metric, value in calibrating.measured(config, log_p, y):
      rows.append(add(metric, value, split=split))
    for metric, value, group, n in changes(config, log_p, known, i, y):
      rows.append(add(metric, value, split=calibrating.TEST, group=group)
                  | {'n': n})
  block.finish(rows, keep or {'seeds': np.array(block.seeds),
                              'log_p': np.stack(kept)}, curves or {},
               num_params)


def narrowly_wrong(probs, labels, margin):
  """Which predictions are wrong, and which of them narrowly, [N] bool each.

  Narrowly: the true class is second, or at most `margin` below the first.
  """
  order = np.argsort(-probs, axis=1, kind='stable')
  wrong = order[:, 0] != labels
  at = np.arange(len(labels))
  near = probs[at, order[:, 0]] - probs[at, labels] <= margin
  return wrong, wrong & (near | (order[:, 1] == labels))


def changes(config, log_p, known, i, labels):
  """(metric, value, group, n): how confidence moved, by how wrong it was."""
  probs = np.asarray(jax.nn.softmax(known[calibrating.TEST][i, 0]))
  wrong, narrow = narrowly_wrong(probs, labels, config.narrow_margin)
  means = {}
  for group, members in (('narrowly_wrong', narrow),
                         ('far_wrong', wrong & ~narrow), ('right', ~wrong)):
    means[group] = np.nan
    if log_p is not None and members.any():
      after = np.exp(log_p[calibrating.TEST]).max(axis=1)
      means[group] = (after - probs.max(axis=1))[members].mean()
    yield 'confidence_change', means[group], group, int(members.sum())
  yield ('narrow_excess', means['narrowly_wrong'] - means['far_wrong'], '',
         len(labels))


# --- The study ---------------------------------------------------------------


def run(config, study):
  """Trains a classifier a seed, fits every arm to it; returns the rows."""
  calibrating.check(config)
  check_names('arms', config.arms, sorted(
      [*CALIBRATORS, *NETWORKS, *CONTROLS, RELEASED]), 'arm')
  data = calibrating.Data(config, study.data_dir)
  for arm in study.chosen(config.arms):
    for block in study.blocks(arm):
      found = classified(config, data, study, block.seeds)
      if arm != TRAINED:
        write(config, data, block, arm, found)
  return study.rows()


def classified(config, data, study, seeds):
  """What `train_classifier` saved of some seeds."""
  for block in study.blocks(TRAINED):
    train_classifier(config, data, block)
  return study.predictions_of(TRAINED, seeds)


# --- Claims ------------------------------------------------------------------

_PAPER = 'Liu et al., 2024'
_OURS = 'ours'


def _claims(config):
  where = {'config': config}
  on = lambda split: dict(split=split, state='last')
  group = lambda arm, name: {'method': arm, 'group': name}

  def claim(name, sentence, source, check, gated=True):
    return Claim(f'{config}: {name}', sentence, source, check, where, gated)

  yield claim(
      'calibrates', 'In distribution the correctness-aware network lowers the '
      'calibration error of a classifier, to that of a temperature within '
      '0.015.', _PAPER, all_of(
          less('ece', 'copies_ca', 'uncalibrated', **on('test')),
          equal('ece', 'copies_ca', 'temperature', 0.015, **on('test'))))
  yield claim(
      'balanced below none, shifted', 'Under shift the balanced '
      'correctness-aware network, as released, has a lower calibration error '
      'than no calibrator.', _PAPER,
      less('ece', 'copies_ca_balanced', 'uncalibrated', **on('shifted')))
  yield claim(
      'balanced below a temperature, shifted', 'Under shift it has a lower '
      'calibration error than a temperature.', _PAPER,
      less('ece', 'copies_ca_balanced', 'temperature', **on('shifted')))
  yield claim(
      'unweighted below a temperature, shifted', 'Under shift the loss as '
      'written, without weights, has a lower calibration error than a '
      'temperature.', _PAPER,
      less('ece', 'copies_ca', 'temperature', **on('shifted')))
  yield claim(
      'unweighted below cross entropy, shifted', 'Under shift the network has '
      'a lower calibration error if trained with the correctness-aware loss '
      'than with cross entropy or squared error.', _PAPER, all_of(
          less('ece', 'copies_ca', 'copies_ce', **on('shifted')),
          less('ece', 'copies_ca', 'copies_mse', **on('shifted'))))
  yield claim(
      'more than the level, shifted', 'Under shift the balanced network beats '
      'one temperature of the same mean confidence: it does more than lower '
      'all confidences.', 'control ours',
      less('ece', 'copies_ca_balanced', 'temperature_matched', **on('shifted')))
  yield claim(
      'more than the weights, shifted', 'Under shift the balanced network '
      'beats a temperature fitted with the same weights.', 'control ours',
      less('ece', 'copies_ca_balanced', 'temperature_balanced',
           **on('shifted')))
  yield claim(
      'weights cost calibration', 'In distribution balanced weights raise the '
      'calibration error.', _OURS,
      greater('ece', 'copies_ca_balanced', 'copies_ca', **on('test')))
  yield claim(
      'weights lower confidence', 'Where most predictions are right, balanced '
      'weights lower the mean confidence.', _OURS,
      less('mean_confidence', 'copies_ca_balanced', 'copies_ca', **on('test')))
  yield claim(
      'narrowly wrong', 'The correctness-aware loss lowers the confidence of '
      'narrowly wrong predictions more than cross entropy does.', _PAPER,
      less('confidence_change', group('copies_ca', 'narrowly_wrong'),
           group('copies_ce', 'narrowly_wrong'), **on('test')))
  yield claim(
      'narrowly wrong more than far', 'The difference is larger for narrowly '
      'wrong predictions than for others that are wrong.', _PAPER,
      less('narrow_excess', 'copies_ca', 'copies_ce', **on('test')))
  yield claim(
      'copies tell right from wrong', 'Transformed copies raise the AUROC of '
      'confidence for being correct above that of own probabilities.', _PAPER,
      greater('auroc', 'copies_ca', 'own_ca', **on('test')))
  yield claim(
      'the loss tells right from wrong', 'With equal features, the '
      'correctness-aware loss gives a higher AUROC than cross entropy.', _PAPER,
      greater('auroc', 'copies_ca', 'copies_ce', **on('test')))
  yield claim(
      'a temperature leaves AUROC', 'One temperature for all changes the AUROC '
      'by less than 0.005.', _OURS,
      equal('auroc', 'temperature', 'uncalibrated', 0.005, **on('test')))
  yield claim(
      'dead as released', 'With the clamp, learning rate and epochs of the '
      'released code the network calibrates worse than none.', _OURS,
      greater('ece', RELEASED, 'uncalibrated', **on('test')))
  yield claim(
      'not other calibration losses', 'In place of the correctness-aware loss, '
      'MDCA and DCA give the same calibration error within 0.01.',
      "the reviews' question", all_of(
          equal('ece', 'copies_mdca', 'copies_ca', 0.01, **on('test')),
          equal('ece', 'copies_dca', 'copies_ca', 0.01, **on('test'))))


CLAIMS = (
    *(claim._replace(gated=config != 'digits' and claim.source == _PAPER)
      for config in ('digits', 'cifar10', 'cifar10_resnet18', 'cifar10_wrn')
      for claim in _claims(config)),
    Claim('cifar10_early: weights raise confidence', 'Where most predictions '
          'are wrong, balanced weights raise the mean confidence.', _OURS,
          greater('mean_confidence', 'copies_ca_balanced', 'copies_ca',
                  split='test', state='last'), {'config': 'cifar10_early'},
          False),
    Claim('cifar10_early: balanced worse than a temperature, shifted', 'Where '
          'most predictions are wrong, the gain of balanced weights under '
          'shift turns into a loss.', _OURS,
          greater('ece', 'copies_ca_balanced', 'temperature', split='shifted',
                  state='last'), {'config': 'cifar10_early'}, False),
)


# --- Figures -----------------------------------------------------------------

# Four classes, the true one first and narrowly second.
EXAMPLE = (.412, .455, .068, .065)


def optimal_temperature(loss, probs=EXAMPLE, label=0):
  """The T in [0.1, 10] that minimizes a loss of one example, by a grid."""
  grid = np.geomspace(0.1, 10, 20_001)
  logits = np.log(np.array(probs)) / grid[:, None]
  with jax.enable_x64(True):
    values = loss(jnp.asarray(logits), jnp.full(len(grid), label))
  return grid[int(np.argmin(values))]


def figures(rows):
  """{file name: Figure} of one variant's rows."""
  from assay.report import plots

  bars = {'network': EXAMPLE}
  for name, label in (('ce', 'cross entropy'), ('mse', 'squared error'),
                      ('ca', 'correctness-aware')):
    t = optimal_temperature(OBJECTIVES[name])
    p = np.array(EXAMPLE) ** (1 / t)
    bars[f'{label}\nT = {t:.2f}'] = p / p.sum()
  names = [f'class {i + 1}' + ', true' * (i == 0) for i in range(4)]
  return {
      'narrowly_wrong': plots.bars(names, bars, 'probability at the\n'
                                   'best T for this example'),
      'ece_test': plots.comparison(rows, 'ece', state='last'),
      'ece_shifted': plots.comparison(rows, 'ece', split='shifted',
                                      state='last'),
      'auroc_test': plots.comparison(rows, 'auroc', state='last')}


if __name__ == '__main__':
  sys.exit(cli.main('correctness_aware'))
