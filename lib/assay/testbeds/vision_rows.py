"""Rows of the testbed `vision`: errors, confidence, sharpness."""

import functools

import jax
import numpy as np

from assay.data import corruptions, images
from assay.errors import UserError
from assay.metrics import calibration, classification, confidence, sharpness
from assay.study import replaced
from assay.testbeds import vision_nets as nets

TEST, SHIFTED = 'test', 'shifted'  # the second: the mean over shifts
SPLITS = ('train', 'val', TEST, *corruptions.CORRUPTIONS, SHIFTED)
METRICS = calibration.SUMMARY
# What is measured on each shift alone; on the test set and the mean all.
OF_A_SHIFT = ('error', 'ece', 'auroc', 'mean_confidence')


def record_errors(add, data, say, splits=(), groups=None):
  """Adds errors and negative log-likelihoods, and saves what is said of `test`.

  Rows of the splits `test` and `masked` tell which examples are wrong, see
  `results.pack`.

  Args:
    add: from `block.recorder`.
    data: of all seeds.
    say: split -> [S, n, K] logits.
    splits: names; default all.
    groups: name -> bool [n] of test images, whose errors are added too, if none
      is empty.
  """
  for split in splits or [k[:-5] for k in data.shared if k.endswith('_rows')]:
    logits = say(split)
    y = np.tile(data.labels(split), (len(logits), 1))
    more = {'wrong': [classification.wrong(*each) for each in zip(
        logits, y, strict=True)]} if split in (TEST, 'masked') else {}
    add('error', classification.error, logits, y, split=split, **more)
    add('nll', classification.nll, logits, y, split=split)
    if split == TEST:
      add.save(last=logits, y=y)
      known = groups or {}
      for name in known if all(map(np.any, known.values())) else ():
        add('error', classification.error, logits[:, known[name]],
            y[:, known[name]], split=split, group=name)


def check_sharpness(config):
  """Raises a UserError if `record_sharpness` cannot use whole batches."""
  if config.sharpness_examples % config.sharpness_batch_size:
    raise UserError(
        f'sharpness_examples={config.sharpness_examples} must be a multiple of '
        f'sharpness_batch_size={config.sharpness_batch_size}.')


def record_sharpness(add, config, data, state):
  """Adds eigenvalues of the Hessian of the loss.

  On the first `sharpness_examples` training examples (0: no rows), without
  augmentation, batch statistics frozen, weight decay left out.

  Args:
    add: from `block.recorder`.
    config: its fields that begin with `sharpness_` are read.
    data: of all seeds.
    state: as training leaves it.
  """
  count, size = config.sharpness_examples, config.sharpness_batch_size
  if not count:
    return
  # In float32, whatever the computation of training is.
  model = nets.make_model(replaced(config.net, {'dtype': 'float32'}),
                          data.num_classes)
  draw = images.draw_from('train', *data.statistics)
  batches = [draw(data.shared, {}, np.arange(start, start + size), None)
             for start in range(0, count, size)]
  found = sharpness.by_seed(
      nets.mean_loss(model), state.params, {
          k: v for k, v in state.extra.items() if k != 'learning'},
      [{k: batch[k] for k in 'xy'} for batch in batches], skip=add.why,
      tolerance=config.sharpness_tolerance)
  for metric in ('lambda_max', 'lambda_ratio'):
    add(metric, [values.get(metric, np.nan) for values in found],
        split='train', n=count)


def measured(config, log_p, labels):
  """{(split, metric): value} of one seed.

  Args:
    config: its `shifts` and `num_bins` are read.
    log_p: {'test' or a shift: [n, K] log-probabilities}, or None of a
      classifier that diverged: all values are then NaN.
    labels: [n] int.
  """
  found = {split: dict.fromkeys(METRICS, np.nan) if log_p is None else
           # In float64, where few probabilities round to 0.
           calibration.summary(np.exp(log_p[split].astype(np.float64)), labels,
                               config.num_bins)
           for split in (TEST, *config.shifts)}
  if config.shifts:
    found[SHIFTED] = {metric: np.mean([found[shift][metric]
                                       for shift in config.shifts])
                      for metric in METRICS}
  return {(split, metric): value for split, values in found.items()
          for metric, value in values.items()
          if split in (TEST, SHIFTED) or metric in OF_A_SHIFT}


def record(add, config, log_p, labels, metrics=METRICS, splits=SPLITS,
           **fields):
  """Adds the rows of `measured` to a recorder.

  Args:
    add: from `block.recorder`.
    config, labels: as in `measured`.
    log_p: S of what `measured` takes.
    metrics, splits: which rows.
    **fields: of the rows.
  """
  found = [measured(config, each, labels) for each in log_p]
  for split, metric in found[0]:
    if metric in metrics and split in splits:
      add(metric, [values[split, metric] for values in found], split=split,
          n=len(labels), why='not defined', **fields)


def record_changes(add, config, log_p, logits, labels):
  """Adds how confidence changed, by how wrong a prediction was.

  Args:
    add: from `block.recorder`.
    config: its `narrow_margin` is read, see `confidence.narrowly_wrong`.
    log_p: S of what `measured` takes.
    logits: [S, n, K] of the classifiers.
    labels: [n] int.
  """
  found = [confidence.changes(
      np.asarray(jax.nn.softmax(before)),
      np.exp(after[TEST]).max(axis=1) if after else np.nan, labels,
      config.narrow_margin) for before, after in zip(
          logits, log_p, strict=True)]
  add = functools.partial(add, split=TEST, why='not defined')
  for group in found[0]:
    values, counts = zip(*(each[group] for each in found), strict=True)
    add('confidence_change', values, group=group, n=counts)
  add('narrow_excess', [each['narrowly_wrong'][0] - each['far_wrong'][0]
                        for each in found], n=len(labels))
