"""Answers that are accepted or not, of networks of the testbed `ood`.

The papers ask which rule accepts what is right, also among shifted images, and
nothing that is unknown. An arm is a rule,

    fit(config, held, seed, kept) -> (read, accepts)

that is fitted to held-out images. `held` and what `read` takes are name ->
array, see `ood_nets.Said`; `kept` is a dict that the arms of one network share.
`read(images)` gives a dict with log_p [n, C], and `accepts(alpha)` a function
of it, -> [n] bool.

Rows have a field `alpha`, the accuracy that is promised; splits are those of
`ood`: of unknown images the share that is accepted, `admitted`, of known ones
all of `metrics.accepted`. Of all answers, accepted or not, are the rows of the
group `all answers`: error and ece.

Of the config are read: what `ood` reads, and alphas.
"""

import numpy as np
from scipy import special

from assay.metrics import accepted, calibration, classification
from assay.testbeds import ood

ALL = 'all answers'


def run(config, study, arms):
  """Fits every rule to every network; returns the rows.

  Args:
    config, study: the run's.
    arms: name -> `fit`; all read networks with a linear head.
  """
  ood.check(config, arms)
  kept = {}  # (networks, position) -> dict
  for arm, mine, said, recorder, block in ood.units(
      config, study, dict.fromkeys(arms, ood.Arm())):
    with recorder as add:
      found = [None if i in add.why else _of_seed(
          mine, arms[arm], said.of(i), said.counted, seed,
          kept.setdefault((id(said), i), {}))
               for i, seed in enumerate(block.seeds)]
      _record(add, found)
      add('error', classification.error, said.by_seed['test']['logits'],
          np.tile(said.shared['test']['labels'], (len(found), 1)),
          split='test', group=ALL)
  return study.rows()


def _of_seed(config, arm, out, counted, seed, kept):
  """{(metric, split, alpha): (value, n)} of one network."""
  held = out['val']
  read, rule = arm(config, held, seed, kept)
  sets = (*config.near, *config.far)
  said = {split: read(out[split]) for split in ('test', *sets, *config.shifts)}
  labels, values = out['test']['labels'], {}
  n = len(labels)
  log_p = said['test']['log_p']
  values['ece', 'test', None] = calibration.expected_calibration_error(
      special.softmax(np.asarray(log_p, float), axis=1), labels,
      config.num_bins), n
  for alpha in config.alphas:
    accepts = rule(alpha)
    known = {split: accepted.summary(
        np.argmax(said[split]['log_p'], axis=1), labels, accepts(said[split]),
        alpha) for split in ('test', *config.shifts)}
    if config.shifts:
      known['shifted'] = {metric: np.mean([
          known[shift][metric] for shift in config.shifts])
                          for metric in known['test']}
    values |= {(metric, split, alpha): (value, n)
               for split, each in known.items()
               for metric, value in each.items()}
    share = {name: (float(accepts(said[name]).mean()),
                    len(said[name]['log_p'])) for name in sets}
    for kind, names in counted.items():
      if names:
        share[kind] = tuple(map(float, (
            np.mean([share[name][0] for name in names]),
            sum(share[name][1] for name in names))))
    values |= {('admitted', split, alpha): each
               for split, each in share.items()}
  return values


def _record(add, found):
  """Adds a row of each value of each seed."""
  some = next(each for each in found if each)
  for metric, split, alpha in some:
    values, n = zip(*(each[metric, split, alpha] if each else (
        np.nan, some[metric, split, alpha][1]) for each in found), strict=True)
    add(metric, list(values), split=split, n=list(map(int, n)),
        why='not defined', **{'group': ALL} if alpha is None else {
            'alpha': alpha})
