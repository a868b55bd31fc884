"""Correctness-aware calibration against the same network under other losses.

  python -m experiments.correctness_aware \
    --config=configs/correctness_aware.py:cifar10

Liu et al. (2024): a network g gives each example a temperature, trained such
that confidence is near 1 where the prediction is right and near 0 where it is
wrong. A classifier is trained once a seed, on none of the images that
calibrators are fitted to; all arms read its logits.
"""

import collections
import functools
import sys

import jax
import numpy as np

from assay import cli, losses
from assay.data import corruptions, images
from assay.errors import check_names
from assay.methods import calibrators
from assay.methods import temperature_networks as networks
from assay.testbeds import vision, vision_nets, vision_rows
from assay.testbeds.vision import make_apply  # noqa: F401, for `assay.load`

TRAINED = 'uncalibrated'  # the arm whose block trains the classifier

# The last two are controls, see `fit_arm`.
CALIBRATORS = vision.CALIBRATORS | dict.fromkeys(
    ('temperature_balanced', 'temperature_matched'), calibrators.temperature)

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
RELEASED = 'copies_ca_released'  # clamp, learning rate and epochs of their code
NETWORKS = {f'{features}_{objective}': (features, objective)
            for features in ('own', 'copies') for objective in OBJECTIVES} | {
                RELEASED: ('copies', 'ca_balanced')}
ARMS = collections.ChainMap(NETWORKS, CALIBRATORS)


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
  if arm in NETWORKS:
    features, objective = NETWORKS[arm]
    calibrator, rate, steps = (
        networks.correctness_aware, config.calibrator_learning_rate,
        config.calibrator_steps) if arm != RELEASED else (
            networks.correctness_aware_clamped, config.released_learning_rate,
            config.released_steps)
    params = calibrator.fit(
        own, labels, features_of(features, logits),
        objective=OBJECTIVES[objective], seed=seed, learning_rate=rate,
        num_steps=steps, batch_size=config.calibrator_batch_size)
    return lambda logits: np.asarray(calibrator.apply(
        params, logits[0], features_of(features, logits)))
  calibrator, more = CALIBRATORS[arm], ()
  if arm == 'temperature_balanced':  # the weights of the balanced network
    more = calibrators.class_balanced_weights(own, labels),
  if arm == 'temperature_matched':  # its mean confidence, and nothing else
    other = fit_arm(config, 'copies_ca_balanced', logits, labels, seed)
    params = calibrators.temperature_with_mean_confidence(
        own, np.exp(other(logits)).max(axis=1).mean())
  else:
    params = calibrator.fit(own, labels, *more)
  return lambda logits: np.asarray(calibrator.apply(params, logits[0]))


def features_of(kind, logits):
  """What g reads: [n, F], of [1 + copies, n, K] logits."""
  copies = logits[1:] if kind == 'copies' else logits[:1]
  return networks.top_class_features(logits[0], list(copies))


def narrowly_wrong(probs, labels, margin):
  """Which predictions are wrong, and which of them narrowly, [N] bool each.

  Narrowly: the true class is second, or at most `margin` below the first.
  """
  order = np.argsort(-probs, axis=1, kind='stable')
  wrong = order[:, 0] != labels
  at = np.arange(len(labels))
  near = probs[at, order[:, 0]] - probs[at, labels] <= margin
  return wrong, wrong & (near | (order[:, 1] == labels))


def changes(config, log_p, logits, labels):
  """{group: (mean change of confidence, n)}, by how wrong a prediction was.

  Args:
    config: its `narrow_margin` is read.
    log_p: [n, K] of an arm, or None of a classifier that diverged.
    logits: [n, K] of the classifier.
    labels: [n] int.
  """
  probs = np.asarray(jax.nn.softmax(logits))
  wrong, narrow = narrowly_wrong(probs, labels, config.narrow_margin)
  change = np.nan if log_p is None else (
      np.exp(log_p).max(axis=1) - probs.max(axis=1))
  change = np.broadcast_to(change, len(labels))
  return {group: (change[members].mean() if members.any() else np.nan,
                  members.sum())
          for group, members in (('narrowly_wrong', narrow),
                                 ('far_wrong', wrong & ~narrow),
                                 ('right', ~wrong))}


# --- The study ---------------------------------------------------------------


def run(config, study):
  """Trains a classifier a seed, fits every arm to it; returns the rows."""
  vision.check(config)
  vision.check_shifts(config)
  check_names('arms', config.arms, ARMS, 'arm')
  data = vision_nets.load(config.net, study.data_dir)
  for arm in study.chosen(config.arms):
    for block in study.blocks(arm):
      known = classified(config, data, study, block.seeds)
      if arm != TRAINED:
        with block.recorder(step=known['step'], method=arm,
                            dataset=images.label(config.net.dataset)) as add:
          add.why = {i: str(why) for i, why in enumerate(known['why']) if why}
          measure(add, config, data, arm, known, block.seeds)
  return study.rows()


def classified(config, data, study, seeds):
  """What is saved of the classifiers of some seeds, trained where they lack.

  By 'val', 'test' and each shift, [S, 1 + copies, n, K] logits of the images
  and of their transformed copies; `step` and, of one that diverged, `why`.
  """
  sets = {'val': ('val', ''), 'test': ('test', '')} | {
      shift: ('test', shift) for shift in config.shifts}
  for block in study.blocks(TRAINED):
    fitted = vision.fit(config, data, block)
    known = {name: np.stack([
        vision_nets.logits(config.net, data, block, fitted, split, config.level,
                           shift, copy) for copy in ('', *corruptions.COPIES)],
                            axis=1) for name, (split, shift) in sets.items()}
    with block.recorder(fitted, dataset=images.label(config.net.dataset),
                        method=TRAINED) as add:
      measure(add, config, data, TRAINED, known, block.seeds)
      why = [fitted.why.get(i, '') for i in range(len(block.seeds))]
      add.save(why=np.array(why), step=fitted.state.step, **known)
  return study.predictions_of(TRAINED, seeds)


def measure(add, config, data, arm, known, seeds):
  """Fits an arm to what `classified` saves of the seeds, and adds its rows."""
  held, y, found = data.labels('val'), data.labels('test'), []
  for i, seed in enumerate(seeds):
    log_p = None
    if i not in add.why:
      apply = fit_arm(config, arm, known['val'][i], held, seed)
      log_p = {name: apply(known[name][i])
               for name in ('test', *config.shifts)}
    found.append(log_p)
    change = changes(config, log_p and log_p['test'], known['test'][i, 0], y)
    one = functools.partial(add.one, i, split='test', why='not defined')
    for group, (value, n) in change.items():
      one('confidence_change', value, group=group, n=n)
    one('narrow_excess', change['narrowly_wrong'][0] - change['far_wrong'][0],
        n=len(y))
  vision_rows.record(add, config, found, y)
  add.save(log_p=np.stack([
      np.full(known['test'][i, 0].shape, np.nan) if each is None
      else each['test'] for i, each in enumerate(found)]))


if __name__ == '__main__':
  sys.exit(cli.main('correctness_aware'))
