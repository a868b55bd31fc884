"""Training losses times calibrators, in distribution and under shift.

  python -m experiments.calibration_overview \
    --config=configs/calibration_overview.py:fashion_mnist

An arm is a loss; each of its classifiers is then calibrated in every way of
`config.calibrators`. Rows carry the field `calibrator`.
"""

import functools
import sys

import jax
import jax.numpy as jnp

from assay import cli, losses
from assay.errors import check_names
from assay.methods import correctness_ranking
from assay.methods import temperature_networks as networks
from assay.testbeds import vision
from assay.testbeds.vision import make_apply  # noqa: F401, for `assay.load`
from configs import calibration_overview as card

ce = losses.cross_entropy
# arm: (config.net, logits [B, K], labels [B]) -> [B] or []
LOSSES = {
    'cross_entropy': lambda c, z, y: ce(z, y),
    'label_smoothing': lambda c, z, y: ce(z, y, c.smoothing),
    'brier': lambda c, z, y: losses.brier(z, y),
    'focal': lambda c, z, y: losses.focal(z, y, c.focal_gamma),
    'mmce': lambda c, z, y: ce(z, y) + c.mmce_weight * losses.mmce(z, y),
    'mdca': lambda c, z, y: ce(z, y) + c.mdca_weight * losses.mdca(z, y),
    'margin': lambda c, z, y: (
        ce(z, y) + c.margin_weight * losses.margin_penalty(z, c.margin)),
}

CALIBRATORS = {**vision.CALIBRATORS,
               'correctness_aware': networks.correctness_aware}


def ranked(net, logits, batch, extra):
  """Cross entropy, and confidences ranked by how often each image was right."""
  history, y = extra['history'], batch['y']
  loss = jnp.mean(ce(logits, y))
  loss += net.ranking_weight * jnp.mean(losses.correctness_ranking(
      jnp.max(jax.nn.softmax(logits), axis=1),
      correctness_ranking.shares(history, batch['index'])))
  right = jnp.argmax(logits, axis=1) == y
  return loss, {'history': correctness_ranking.updated(
      history, batch['index'], right)}, {}


def arms(config):
  """name -> `vision.Arm`."""
  chosen = {name: CALIBRATORS[name] for name in config.calibrators}
  found = {name: vision.Arm(vision.mean_of(functools.partial(loss, config.net)))
           for name, loss in LOSSES.items()}
  found['correctness_ranking'] = vision.Arm(
      functools.partial(ranked, config.net),
      memory=lambda num_images: {
          'history': correctness_ranking.start(num_images)})
  return {k: arm._replace(calibrators=chosen) for k, arm in found.items()}


def run(config, study):
  """Trains every arm on every seed; returns the rows."""
  check_names('calibrators', config.calibrators, CALIBRATORS, 'calibrator')
  return vision.run(config, study, arms, card.METRICS, ('test', 'shifted'))


if __name__ == '__main__':
  sys.exit(cli.main('calibration_overview'))
