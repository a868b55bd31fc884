"""Training losses times calibrators: which folklore on calibration holds here.

  python -m experiments.calibration_overview \
    --config=configs/calibration_overview.py:fashion_mnist

No paper's table: each loss with the setting that its paper recommends, each
calibrator with the defaults of its module, one network and data set.
"""

import functools

from assay import papers
from assay.claims import all_of, claims_of, equal, greater, greater_change, less
from assay.config import Bound, between
from assay.report import plots
from assay.testbeds import bounds, networks

PAPER = papers.Paper(
    'Training losses times calibrators', authors='', year='',
    family='calibration_theory',
    idea='Each training loss meets each calibrator, in distribution and under '
         "shift, on one network and data set. This is no paper's table: it "
         'asks which folklore on calibration holds here.')

VARIANTS = papers.variants({
    'digits': ('default: scikit-learn digits, no download',
               networks.VISION['digits']),
    'fashion_mnist': (
        'Fashion-MNIST, 10,000 images, a small convolutional net', {}),
    'cifar10_resnet18': ('CIFAR-10, 45,000 images, ResNet-18 (GPU)',
                         networks.VISION['cifar10_resnet18']),
    'smoke': ('seconds: digits, three losses, three calibrators',
              networks.VISION['smoke'] | dict(
                  arms=('cross_entropy', 'focal', 'correctness_ranking'),
                  calibrators=('uncalibrated', 'temperature', 'isotonic'),
                  shifts=('noise',), num_seeds=2)),
})


def get_config(variant='digits'):
  """The values of one variant, locked."""
  c = papers.new_config('calibration_overview', VARIANTS, variant)
  # What is compared: losses in training, times calibrators.
  c.arms = ('cross_entropy', 'label_smoothing', 'brier', 'focal', 'mmce',
            'mdca', 'margin', 'correctness_ranking')
  c.calibrators = ('uncalibrated', 'temperature', 'ensemble_temperature',
                   'vector', 'matrix', 'isotonic', 'adaptive_temperature',
                   'correctness_aware')
  c.num_seeds = 5  # planned before the run
  c.seed_varies = 'fixed_split'  # initialization and order
  c.scale = 'not in the paper'
  c.net = networks.vision(  # weights are beside cross entropy
      smoothing=0.05, focal_gamma=3.0, mmce_weight=2.0, mdca_weight=1.0,
      margin=10.0, margin_weight=0.1, ranking_weight=1.0)
  c.shifts = ('blur', 'noise', 'contrast', 'flip', 'rotation')
  c.level = 3  # of 5
  c.num_bins = 15
  return papers.config_of(c, VARIANTS, variant)


BOUNDS = bounds.VISION | bounds.SHIFTED | {
    'calibrators': Bound(length=(1, 100)), 'smoothing': between(0, 1)} | (
        dict.fromkeys(('focal_gamma', 'margin', 'margin_weight', 'mdca_weight',
                       'mmce_weight', 'ranking_weight'), between(0, 1e6)))

PUBLISHED = ()  # see the docstring

METRICS = ('error', 'nll', 'ece', 'classwise_ece', 'auroc', 'mean_confidence')
# (metric, split) that the table shows beside those of the test set.
COLUMNS = (('ece', 'shifted'), ('nll', 'shifted'), ('auroc', 'shifted'))


def _of(method, calibrator='uncalibrated', **fields):
  return {'method': method, 'calibrator': calibrator} | fields


_PLAIN, _SCALED = _of('cross_entropy'), _of('cross_entropy', 'temperature')
_SMOOTHED = _of('label_smoothing', 'temperature')
_told = functools.partial(
    claims_of, variants=('digits', 'fashion_mnist', 'cifar10_resnet18'),
    gated=False)

# Margins are what nobody would act on: 0.01 of a calibration error or negative
# log-likelihood, 0.005 of an AUROC.
CLAIMS = (
    *_told('folklore', table={
        'focal needs no temperature': (
            'After focal training a temperature changes the calibration error '
            'by less than 0.01.',
            equal('ece', _of('focal'), _of('focal', 'temperature'), 0.01)),
        'a temperature leaves AUROC': (
            'One temperature changes the AUROC of confidence for being correct '
            'by less than 0.005.', equal('auroc', _SCALED, _PLAIN, 0.005)),
        'smoothing hurts calibrating': (
            'With a temperature, a network trained with smoothed labels has a '
            'higher calibration error and negative log-likelihood than one '
            'trained with hard labels.',
            all_of(greater('ece', _SMOOTHED, _SCALED),
                   greater('nll', _SMOOTHED, _SCALED))),
        'smoothing hurts selection': (
            'Smoothed labels lower the AUROC of confidence for being correct.',
            less('auroc', _of('label_smoothing'), _PLAIN)),
        **{f'{arm} against a temperature': (
            f'Training with {arm} has a lower calibration error than cross '
            'entropy with a temperature fitted afterwards.',
            less('ece', _of(arm), _SCALED))
           for arm in ('brier', 'mmce', 'mdca', 'margin')},
        # Under shift the error rises without a temperature too.
        'a temperature does not travel': (
            'From the test set to shifted images the calibration error rises '
            'more with a temperature fitted in distribution than without.',
            greater_change('ece', *(
                [arm | {'split': split} for split in ('shifted', 'test')]
                for arm in (_SCALED, _PLAIN)))),
        'losses help under shift': (
            'Under shift, focal training alone has a lower calibration error '
            'than cross entropy with a temperature.',
            less('ece', _of('focal'), _SCALED, split='shifted')),
        'more parameters calibrate no better': (
            'Matrix scaling has no lower negative log-likelihood than one '
            'temperature, to 0.01.',
            greater('nll', _of('cross_entropy', 'matrix'), _SCALED, by=-0.01)),
    }),
    *_told('Mukhoti et al., 2020', table={'focal calibrates': (
        'Focal training has a lower calibration error than cross entropy.',
        less('ece', _of('focal'), _PLAIN))}),
    *_told('Moon et al., 2020', table={'ranking helps selection': (
        'The correctness ranking loss raises the AUROC of confidence for being '
        'correct.', greater('auroc', _of('correctness_ranking'), _PLAIN))}),
)

FIGURES = {metric: functools.partial(
    plots.heat_map, metric=metric, down='method', across='calibrator', panels={
        'in distribution': {'split': 'test'},
        'shifted: mean over corruptions': {'split': 'shifted'}})
           for metric in ('ece', 'nll', 'auroc')}
