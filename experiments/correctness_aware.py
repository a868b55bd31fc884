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

import numpy as np

from assay import cli, losses
from assay.data import corruptions, images
from assay.errors import check_names
from assay.methods import calibrators
from assay.methods import temperature_networks as networks
from assay.testbeds import vision, vision_nets, vision_rows
from assay.testbeds.vision import make_apply  # noqa: F401, for `assay.load`

TRAINED = 'uncalibrated'  # the arm whose block trains the classifier

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
MATCHED = 'temperature_matched'  # a control, see `fit_arm`
ARMS = collections.ChainMap(
    NETWORKS, {MATCHED: calibrators.temperature}, vision.CALIBRATORS)


def fit_arm(config, arm, logits, labels, seed):
  """`logits [1 + copies, n, K] -> [n, K] log-probabilities` of a fitted arm.

  Args:
    config: the config.
    arm: one of its arms.
    logits: [1 + copies, N, K], of the images that were held out to calibrate.
    labels: [N] int.
    seed: of the network's initialization and order, the same for all arms.
  """
  if arm in NETWORKS:
    return fit_network(config, arm, logits, labels, seed)
  if arm == MATCHED:  # the mean confidence of the network, and nothing else
    network = fit_arm(config, 'copies_ca_balanced', logits, labels, seed)
    params = calibrators.temperature_with_mean_confidence(
        logits[0], np.exp(network(logits)).max(axis=1).mean())
  else:
    params = ARMS[arm].fit(logits[0], labels)
  return lambda logits: np.asarray(ARMS[arm].apply(params, logits[0]))


def fit_network(config, arm, logits, labels, seed):
  """As `fit_arm`, of a network g."""
  features, objective = NETWORKS[arm]
  kind, setting = (
      (networks.correctness_aware_clamped, 'released') if arm == RELEASED
      else (networks.correctness_aware, 'calibrator'))
  params = kind.fit(
      logits[0], labels, features_of(features, logits),
      objective=OBJECTIVES[objective], seed=seed,
      learning_rate=config[f'{setting}_learning_rate'],
      num_steps=config[f'{setting}_steps'],
      batch_size=config.calibrator_batch_size)
  return lambda logits: np.asarray(kind.apply(
      params, logits[0], features_of(features, logits)))


def features_of(kind, logits):
  """What g reads: [n, F], of [1 + copies, n, K] logits."""
  copies = logits[1:] if kind == 'copies' else logits[:1]
  return networks.top_class_features(logits[0], list(copies))


# --- The study ---------------------------------------------------------------


def run(config, study):
  """Trains a classifier a seed, fits every arm to it; returns the rows."""
  vision.check(config)
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
  for block in study.blocks(TRAINED):
    fitted = vision.fit(config, data, block)
    said = [vision_nets.all_logits(config, data, block, fitted, copy)
            for copy in ('', *corruptions.COPIES)]
    known = {name: np.stack([each[name] for each in said], axis=1)
             for name in said[0]}
    with block.recorder(fitted, dataset=images.label(config.net.dataset),
                        method=TRAINED) as add:
      measure(add, config, data, TRAINED, known, block.seeds)
      why = [fitted.why.get(i, '') for i in range(len(block.seeds))]
      add.save(why=np.array(why), step=fitted.state.step, **known)
  return study.predictions_of(TRAINED, seeds)


def measure(add, config, data, arm, known, seeds):
  """Fits an arm to what `classified` saves of the seeds, and adds its rows."""
  held, found = data.labels('val'), [None] * len(seeds)
  for i in set(range(len(seeds))) - add.why.keys():
    apply = fit_arm(config, arm, known['val'][i], held, seeds[i])
    found[i] = {name: apply(known[name][i])
                for name in ('test', *config.shifts)}
  logits, labels = known['test'][:, 0], data.labels('test')
  vision_rows.record_changes(add, config, found, logits, labels)
  vision_rows.record(add, config, found, labels)
  add.save(log_p=np.stack([
      each['test'] if each else np.full_like(logits[0], np.nan)
      for each in found]))


if __name__ == '__main__':
  sys.exit(cli.main('correctness_aware'))
