"""Correctness-aware calibration (Liu et al., 2024, arXiv 2404.13016).

  python -m experiments.correctness_aware \
    --config=configs/correctness_aware.py:cifar10

The numbers of the paper's tables are not repeated here: they could not be read
when this was written. Its networks are ImageNet's; ours are small and trained
here. `# ours` where the paper's setting is not known or does not apply.
`cifar10_resnet18` and `cifar10_wrn` need a GPU.
"""

import functools

from assay import papers
from assay.claims import all_of, claims_of, equal, greater, less
from assay.config import between
from assay.report import plots
from assay.testbeds import bounds, networks

PAPER = papers.Paper(
    'Correctness-aware calibration', authors='Liu, Wang, Zou, Zou and Zheng',
    year='2024', arxiv='2404.13016', family='calibration_theory',
    idea='A network gives each example a temperature, trained such that '
         'confidence is near 1 where the prediction is right and near 0 where '
         'it is wrong. It is compared with the same network under other '
         'losses, and with other calibrators of the same logits.')

# Temperatures of the network g are named by its features and objective: `own`
# are the four largest probabilities, `copies` those of transformed copies.
ARMS = ('uncalibrated', 'temperature', 'temperature_balanced',
        'temperature_matched', 'ensemble_temperature', 'vector', 'matrix',
        'dirichlet', 'parameterized_temperature', 'adaptive_temperature',
        'isotonic', 'multi_isotonic', 'histogram', 'spline', 'own_ce', 'own_ca',
        'own_ca_balanced', 'copies_ce', 'copies_mse', 'copies_mdca',
        'copies_dca', 'copies_ca', 'copies_ca_balanced', 'copies_ca_released')

_NOT_THERE = dict(scale='not in the paper')
_CIFAR10 = dict(dataset='cifar10', split_sizes=(12_000, 5000, 5000), width=32)
VARIANTS = papers.variants({
    'digits': ('default: scikit-learn digits, no download',
               networks.VISION['digits'] | _NOT_THERE),
    'cifar10': ('CIFAR-10, 12,000 images, a small convolutional network',
                _CIFAR10 | dict(num_epochs=18)),
    'cifar10_early': (
        'the same after one epoch, most predictions wrong', _CIFAR10 | dict(
            num_epochs=1,
            arms=('uncalibrated', 'temperature', 'temperature_balanced',
                  'own_ca', 'own_ca_balanced', 'copies_ce', 'copies_ca',
                  'copies_ca_balanced'))),
    'cifar10_resnet18': ('CIFAR-10, 45,000 images, ResNet-18 (GPU)',
                         networks.VISION['cifar10_resnet18']),
    'cifar10_resnet18_reduced': (
        'the same, 10 of 30 epochs, half of the test images: minutes on a GPU',
        networks.VISION['cifar10_resnet18'] | dict(
            num_epochs=10, split_sizes=(45_000, 5000, 5000))),
    'cifar10_wrn': (
        'CIFAR-10, 45,000 images, WRN-28-4 (GPU)',
        networks.VISION['cifar10_resnet18'] | dict(model='wide_resnet28_4')),
    'smoke': ('seconds: digits, five arms', networks.VISION['smoke']
              | _NOT_THERE | dict(
                  arms=('uncalibrated', 'temperature', 'isotonic', 'own_ca',
                        'copies_ca'), shifts=('noise',), num_seeds=2,
                  calibrator_steps=4)),
})


def get_config(variant='digits'):
  """The values of one variant, locked."""
  c = papers.new_config('correctness_aware', VARIANTS, variant)
  c.arms = ARMS
  c.num_seeds = 5  # planned before the run
  c.seed_varies = 'fixed_split'  # initialization and order
  c.scale = 'reduced'
  c.net = networks.vision()  # ours
  # The network g, the same for all its objectives.
  c.calibrator_steps = 600  # ours
  c.calibrator_learning_rate = 0.03  # ours
  c.calibrator_batch_size = 1000
  c.released_steps = 50  # 10 epochs of 5,000 examples, as in their code
  c.released_learning_rate = 1e-4
  # What is measured.
  c.shifts = ('blur', 'noise', 'contrast', 'flip', 'rotation')
  c.level = 3  # of 5
  c.num_bins = 15
  c.narrow_margin = 0.1  # p of the top class less that of the true  # ours
  return papers.config_of(c, VARIANTS, variant)


BOUNDS = bounds.VISION | bounds.SHIFTED | {
    'calibrator_steps': bounds.COUNT, 'released_steps': bounds.COUNT,
    'calibrator_batch_size': bounds.COUNT, 'narrow_margin': between(0, 1e6),
    'calibrator_learning_rate': bounds.RATE,
    'released_learning_rate': bounds.RATE}

PUBLISHED = ()  # see the docstring

METRICS = ('error', 'nll', 'ece', 'adaptive_ece', 'classwise_ece', 'ks',
           'top_label_brier', 'auroc')
# (metric, split) that the table shows beside those of the test set.
COLUMNS = (('ece', 'shifted'), ('auroc', 'shifted'),
           ('top_label_brier', 'shifted'))

# --- Claims ------------------------------------------------------------------

_PAPER = 'Liu et al., 2024'
_TESTED = ('cifar10', 'cifar10_resnet18', 'cifar10_resnet18_reduced',
           'cifar10_wrn')
_ALSO = ('digits', *_TESTED)
_BALANCED = 'copies_ca_balanced'
_NARROW = [{'method': arm, 'group': 'narrowly_wrong'}
           for arm in ('copies_ca', 'copies_ce')]
_reported = functools.partial(claims_of, gated=False)
_shifted = functools.partial(less, 'ece', split='shifted')
_OF_THE_PAPER = {
    'calibrates': (
        'In distribution the correctness-aware network lowers the calibration '
        'error of a classifier, to that of a temperature within 0.015.',
        all_of(less('ece', 'copies_ca', 'uncalibrated'),
               equal('ece', 'copies_ca', 'temperature', 0.015))),
    # Any calibrator is below none: one temperature is the control.
    'balanced below none and a temperature, shifted': (
        'Under shift the correctness-aware network with the weights of the '
        'released code has a lower calibration error than no calibrator and '
        'than a temperature.',
        all_of(_shifted(_BALANCED, 'uncalibrated'),
               _shifted(_BALANCED, 'temperature'))),
    'unweighted below a temperature, shifted': (
        'Under shift the loss as written, without weights, has a lower '
        'calibration error than a temperature.',
        _shifted('copies_ca', 'temperature')),
    'unweighted below cross entropy, shifted': (
        'Under shift the network has a lower calibration error if trained with '
        'the correctness-aware loss than with cross entropy and with squared '
        'error.', all_of(_shifted('copies_ca', 'copies_ce'),
                         _shifted('copies_ca', 'copies_mse'))),
    'narrowly wrong': (
        'The correctness-aware loss lowers the confidence of narrowly wrong '
        'predictions more than cross entropy does.',
        less('confidence_change', *_NARROW)),
    'narrowly wrong more than far': (
        'The difference is larger for narrowly wrong predictions than for '
        'others that are wrong.',
        less('narrow_excess', 'copies_ca', 'copies_ce')),
    'copies tell right from wrong': (
        'Transformed copies raise the AUROC of confidence for being correct '
        'above that of own probabilities.',
        greater('auroc', 'copies_ca', 'own_ca')),
    'the loss tells right from wrong': (
        'With equal features, the correctness-aware loss gives a higher AUROC '
        'than cross entropy.', greater('auroc', 'copies_ca', 'copies_ce')),
}

# Margins are what nobody would act on, 0.01 of a calibration error and 0.005 of
# an AUROC; 0.015 was chosen on a pilot.
# That balanced weights lower confidence where most predictions are right, and
# so cost calibration there, is algebra: a test has it.
CLAIMS = (
    *_reported(_PAPER, ('digits',), _OF_THE_PAPER),
    *claims_of(_PAPER, _TESTED, _OF_THE_PAPER),
    *_reported('control ours', _ALSO, {
        'more than the level, shifted': (
            'Under shift the balanced network beats one temperature of the '
            'same mean confidence: it does more than lower all confidences.',
            _shifted(_BALANCED, 'temperature_matched')),
        'more than the weights, shifted': (
            'Under shift the balanced network beats a temperature fitted with '
            'the same weights.', _shifted(_BALANCED, 'temperature_balanced'))}),
    *_reported('ours', _ALSO, {
        'a temperature leaves AUROC': (
            'One temperature for all changes the AUROC by less than 0.005.',
            equal('auroc', 'temperature', 'uncalibrated', 0.005)),
        'dead as released': (
            'With the clamp, learning rate and epochs of the released code the '
            'network calibrates worse than none.',
            greater('ece', 'copies_ca_released', 'uncalibrated'))}),
    *_reported("the reviews' question", _ALSO, {
        'other calibration losses do as well': (
            'In place of the correctness-aware loss, MDCA and DCA have no '
            'calibration error that is higher by 0.01 or more.',
            all_of(*(less('ece', arm, 'copies_ca', by=-0.01)
                     for arm in ('copies_mdca', 'copies_dca'))))}),
    *_reported('ours', ('cifar10_early',), {
        'balanced weights hurt where most are wrong, shifted': (
            'Where most predictions are wrong, balanced weights raise the '
            'calibration error under shift, above that without weights and '
            'that of a temperature.',
            all_of(*(greater('ece', _BALANCED, arm, split='shifted')
                     for arm in ('copies_ca', 'temperature'))))}))

FIGURES = {f'{metric}_{split}': functools.partial(
    plots.comparison, metric=metric, split=split, state='last',
    baseline='uncalibrated') for metric, split in (
        ('ece', 'test'), ('ece', 'shifted'), ('auroc', 'test'))}
