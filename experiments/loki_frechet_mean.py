"""Loki (Roberts et al., 2023): labels that were never trained, by a metric.

  python -m experiments.loki_frechet_mean \
    --config=configs/loki_frechet_mean.py:mnist

A network tells some turns of an image; an arm makes labels of all turns of it.
"""

import sys

import numpy as np
from scipy import special

from assay import cli
from assay.methods import calibrators, loki
from assay.testbeds import vision, vision_labels
from assay.testbeds.vision_labels import make_apply  # noqa: F401, `assay.load`


def arm(metric=lambda d, rng: d, temperature=1., power=2):
  """Frechet means in a metric; temperature None: that of held-out images."""

  def predict(logits, held, labels, path, known, rng):
    t = temperature or float(calibrators.temperature.fit(
        held, labels)['temperature'])
    p = special.softmax(logits.astype(float) / t, axis=1)
    return loki.frechet_mean(p, metric(path, rng)[:, known], power)

  return predict


ARMS = {
    'argmax': arm(lambda d, rng: d > 0), 'loki': arm(),
    'loki_warm': arm(temperature=3.), 'loki_calibrated': arm(temperature=None),
    'median': arm(power=1), 'random_metric': arm(
        lambda d, rng: (lambda order: d[order][:, order])(
            rng.permutation(len(d)))),
    'constant': lambda logits, held, labels, path, known, rng: np.full(
        len(logits), np.argmin((path**2).sum(axis=1)))}


def run(config, study):
  """Makes every arm's labels of every seed's network; returns the rows."""
  vision_labels.check(config, ARMS)
  for name, arm, fields, mine, data in vision.units(
      config, study, vision_labels.load):
    for block in study.blocks(name):
      fitted = vision.fit(mine, data, block,
                          model=vision_labels.make_model(mine.net))
      with block.recorder(fitted, method=arm, dataset=mine.net.dataset,
                          **fields) as add:
        vision_labels.record_made(add, mine, data, block, fitted, ARMS[arm])
  return study.rows()


if __name__ == '__main__':
  sys.exit(cli.main('loki_frechet_mean'))
