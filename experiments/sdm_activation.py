"""SDM activations (Schmaltz, 2025): answers in a region of high reliability.

  python -m experiments.sdm_activation --config=configs/sdm_activation.py:cifar6

An adaptor of features says how likely its answer is, a rule whether it counts.
"""

import sys

from assay import cli
from assay.methods import sdm_adaptor, sdm_region
from assay.methods.calibrators import temperature
from assay.testbeds import ood, ood_selection

SDM, SOFTMAX = (True, True), (False, False)  # similar, distant
SETTINGS = ('width', 'num_epochs', 'learning_rate', 'restarts')


def adaptor(config, held, seed, kept, kind):
  """An adaptor, trained once for all that read it."""
  if kind not in kept:
    kept[kind] = sdm_adaptor.fit(
        held['features'], held['labels'], seed, *kind, **{
            k: config[f'adaptor_{k}'] for k in SETTINGS},
        num_classes=held['logits'].shape[1])
  return kept[kind]


def arm(kind=None, accepts=sdm_region.threshold, scaled=False):
  """The adaptor of an arm (None: the network), its rule, a temperature."""
  def fit(config, held, seed, kept):
    params = kind and adaptor(config, held, seed, kept, kind)
    read = lambda out: sdm_adaptor.said(params, out['features']) if kind else {
        'log_p': out['logits']}
    known = params['held'] if kind else held | read(held)
    t = temperature.fit(known['log_p'], known['labels']) if scaled else {
        'temperature': 1.}
    normal = lambda said: said | {'log_p': temperature.apply(t, said['log_p'])}
    sdm = adaptor(config, held, seed, kept, SDM)['held']
    return (lambda out: normal(read(out)),
            lambda alpha: accepts(alpha, known, sdm))
  return fit


ARMS = {
    'network': arm(), 'network_scaled': arm(scaled=True),
    'adaptor': arm(SOFTMAX), 'adaptor_scaled': arm(SOFTMAX, scaled=True),
    'adaptor_matched': arm(SOFTMAX, sdm_region.matched),
    'distance': arm((False, True)), 'similarity': arm((True, False)),
    'sdm_threshold': arm(SDM), 'sdm': arm(SDM, sdm_region.region)}
make_apply = ood.make_apply(dict.fromkeys(ARMS, ood.Arm()))


def run(config, study):
  """Fits every rule to every network; returns the rows."""
  return ood_selection.run(config, study, ARMS)


if __name__ == '__main__':
  sys.exit(cli.main('sdm_activation'))
