"""Rows of the testbed `ood`: what a score tells, and what its network says."""

import itertools

import numpy as np
from scipy import special

from assay.methods import calibrators
from assay.metrics import calibration, classification, detection, selective
from assay.testbeds import ood_data

OF_A_SET = ('auroc', 'fpr95_id', 'fpr95_ood')


def fitted(score, settings, out):
  """(detector, settings) of a score that is fitted on training images.

  Of several settings those count that tell held-out images best from mixtures
  of two of them; of equal ones the first.

  Args:
    score: a `Score`.
    settings: name -> values.
    out: split -> name -> array, of one network.
  """
  given = {k: out['train'][k] for k in score.fits_on if k in out['train']}
  best, found = -1, None
  for values in itertools.product(*settings.values()):
    chosen = dict(zip(settings, values, strict=True))
    detector = score.fit(**given, **chosen)
    auroc = detection.summary(
        *(scores(detector, out[split]) for split in ('val', 'mixed'))
        )['auroc'] if settings else 0
    if auroc > best:
      best, found = auroc, (detector, chosen)
  return found


def scores(detector, out):
  """[n] of what a network says about a split, name -> array."""
  return detector.score(**{
      k: out[k] for k in detector.kind.reads if k in out})


def scored(arm, out, splits):
  """(split -> [n] scores, settings that were chosen) of an `ood.Arm`."""
  detector, settings = fitted(arm.score, arm.settings, out)
  return {split: scores(detector, out[split]) for split in splits}, settings


def measured(config, arms, arm, out, counted):
  """({(metric, split, group): (value, n)}, split -> [n] scores) of one seed.

  Args:
    config: of the run.
    arms: name -> `ood.Arm`.
    arm: a name; one without a score has none of single images.
    out: split -> name -> array, of one network.
    counted: kind -> the sets that are part of its means.
  """
  right, found, values = _right(out['test']), {}, {}
  pair = lambda name: ood_data.best_feature(*(
      out[split]['image_features'] for split in ('test', name)))
  if arms[arm].score is not None:
    sets = (*config.near, *config.far)
    found, settings = scored(arms[arm], out, ('test', *sets, *config.shifts))
    pair = lambda name: (found['test'], found[name])
    values = {('chosen', 'val', name): (value, len(out['val']['labels']))
              for name, value in settings.items()}
    values |= _of_known(found['test'], right) | _of_shifts(config, found)
  for other in arms[arm].against:
    theirs, _ = scored(arms[other], out, found)
    for kind, names in counted.items():
      gain = detection.auroc_gain(*(
          (x['test'], [x[name] for name in names]) for x in (found, theirs)))
      n = len(right) + sum(len(found[name]) for name in names)
      values |= {(metric, kind, f'against {other}'): (value, n) for
                 metric, value in zip(('auroc_gain', 'auroc_gain_low'), gain,
                                      strict=False)}
  return values | _of_sets(config, counted, pair, right), found


def _right(out):
  return ~classification.wrong(out['logits'], out['labels'])


def _of_known(test, right):
  """How a score tells right from wrong on known images."""
  both = 0 < right.sum() < len(right)
  return {('auroc', 'test', ''): (
      selective.auroc(test, right) if both else np.nan, len(right)),
          ('aurc', 'test', ''): (
              selective.area_under_risk_coverage(test, right), len(right))}


def _of_shifts(config, found):
  """AUROC of test images over shifted ones, and of shifted over near ones."""
  if not config.shifts:
    return {}
  test, n = found['test'], 2 * len(found['test'])
  flagged = {shift: detection.summary(test, found[shift])['auroc']
             for shift in config.shifts}
  near = [detection.summary(found[shift], found[name])['auroc']
          for shift in config.shifts for name in config.near]
  return {('auroc', shift, ''): (value, n) for shift, value in
          (flagged | {'shifted': np.mean([*flagged.values()])}).items()} | {
              ('auroc', 'near_shifted', ''): (np.mean(near), n)}


def _of_sets(config, counted, pair, right):
  """Metrics of each set, of the kinds, and of the worst set of all."""
  every, sizes = {}, {}
  for name in (*config.near, *config.far):
    known, unknown = pair(name)
    sizes[name] = len(known) + len(unknown)
    every[name] = detection.summary(known, unknown) | {
        'joint_aurc': detection.joint_area_under_risk_coverage(
            known, right, unknown),
        'correct_at_fpr05': detection.correct_at_rate(known, right, unknown)}
  values = {(metric, name, ''): (every[name][metric], sizes[name])
            for name in every for metric in OF_A_SET}
  for kind, names in counted.items():
    n = len(right) + sum(sizes[name] - len(right) for name in names)
    values |= {(metric, kind, ''): (np.mean([
        every[name][metric] for name in names]), n)
               for metric in (every[names[0]] if names else ())}
  worst = min(every, key=lambda name: every[name]['auroc'])
  return values | {(metric, 'worst', ''): (every[worst][metric], sizes[worst])
                   for metric in OF_A_SET}


def record(add, config, said, arms, arm, more):
  """Adds the rows of an arm to a recorder, and saves its scores.

  Args:
    add: from `block.recorder`.
    config, arms, arm: as for `measured`.
    said: an `ood_nets.Said`.
    more: see `ood.run`.
  """
  seeds = range(len(said.by_seed['test']['logits']))

  def of_seed(out):
    values, found = measured(config, arms, arm, out, said.counted)
    return values | more(out, arms[arm]), found

  found = [None if i in add.why else of_seed(said.of(i)) for i in seeds]
  some = next(each for each in found if each)
  for metric, split, group in some[0]:
    values, n = zip(*(each[0][metric, split, group] if each else (
        np.nan, some[0][metric, split, group][1]) for each in found),
                    strict=True)
    add(metric, list(values), split=split, group=group, n=list(n),
        why='not defined')
  add.save(**{split: np.stack([
      each[1][split] if each else np.full_like(scores, np.nan)
      for each in found]) for split, scores in some[1].items()})
  _record_network(add, config, said)


def _record_network(add, config, said):
  """Adds error, negative log-likelihood and calibration on known images."""
  logits, held = (said.by_seed[split]['logits'] for split in ('test', 'val'))
  y = said.shared['test']['labels']
  labels = np.tile(y, (len(logits), 1))
  add('error', classification.error, logits, labels, split='test', wrong=[
      classification.wrong(each, y) for each in logits])
  add('nll', classification.nll, logits, labels, split='test')
  ece = lambda log_p: calibration.expected_calibration_error(
      np.exp(log_p), y, config.num_bins)
  scaled = lambda logits, held: ece(np.asarray(calibrators.temperature.apply(
      calibrators.temperature.fit(held, said.shared['val']['labels']), logits)))
  add('ece', lambda logits: ece(special.log_softmax(
      logits.astype(float), axis=1)), logits, split='test')
  add('ece', scaled, logits, held, split='test', group='scaled',
      n=len(y))
  add('chosen', said.learning_rate, split='val', group='learning_rate',
      n=held.shape[1])
