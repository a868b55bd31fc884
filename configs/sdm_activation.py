"""SDM activations (Schmaltz, 2025, arXiv 2502.20167 and 2509.12760).

  python -m experiments.sdm_activation --config=configs/sdm_activation.py:cifar6

The papers have features of large language models and texts; here they are those
of a small network, and images: recast. The rule, and the choice among restarts,
are those of the second paper. Adaptors learn from images that the network did
not train on, 3 restarts in place of 10.
"""

import functools

from assay import papers
from assay.claims import all_of, claims_of, greater, less, within
from assay.config import above, between
from assay.report import plots
from assay.testbeds import bounds, networks

PAPER = papers.Paper(
    'Similarity-Distance-Magnitude activations', authors='Schmaltz',
    year='2025', arxiv='2502.20167', family='calibration_theory',
    idea='An activation counts the nearest training examples that are like an '
         'input and measures how far away they are. Answers in the region '
         'where that is enough should be right as often as promised.')

_NO_FILE = dict(near=('other_classes',), far=('shuffled', 'uniform_noise'))
VARIANTS = papers.variants({
    'digits': ('default: digits 0 to 6 are known, 7 to 9 near, no download',
               networks.OOD['digits'] | _NO_FILE),
    'cifar6': ('CIFAR-10: six classes known, four near; a small network',
               networks.OOD['cifar6'] | dict(num_unknown=2000)),
    'smoke': ('seconds: digits, four arms', networks.OOD['smoke']
              | _NO_FILE | dict(
                  num_unknown=40, num_seeds=2, shifts=('noise',),
                  adaptor_restarts=1, adaptor_num_epochs=3, adaptor_width=8,
                  arms=('network', 'adaptor_scaled', 'adaptor_matched',
                        'sdm'))),
})


def get_config(variant='digits'):
  """The values of one variant, locked."""
  c = papers.new_config('sdm_activation', VARIANTS, variant)
  c.arms = ('network', 'network_scaled', 'adaptor', 'adaptor_scaled',
            'adaptor_matched', 'distance', 'similarity', 'sdm_threshold',
            'sdm')
  c.num_seeds = 5  # planned before the run
  c.seed_varies = 'fixed_split'  # initialization, order, halves
  c.scale = 'recast'
  c.net = networks.ood()
  c.learning_rates = ()
  c.tuning_seeds = (100,)
  # Adaptors, the same for all activations.
  c.adaptor_width = 64  # 1,000 in the papers
  c.adaptor_num_epochs = 50  # 200 there
  c.adaptor_learning_rate = 1e-3  # 1e-5 there, with more steps  # ours
  c.adaptor_restarts = 3  # 10 there
  c.alphas = (0.9, 0.95)
  # What is unknown, as in `abet`.
  c.near = ('other_classes',)
  c.far = ('mnist', 'fashion_mnist', 'kmnist', 'notmnist', 'scrambled',
           'gaussian_noise')
  c.num_unknown = 500
  c.painted = True
  c.shifts = ('blur', 'noise', 'contrast', 'rotation')
  c.level = 3  # of 5
  c.num_bins = 15
  return papers.config_of(c, VARIANTS, variant)


BOUNDS = bounds.OOD | {
    'adaptor_width': between(1, 10**5), 'adaptor_num_epochs': bounds.COUNT,
    'adaptor_learning_rate': bounds.RATE, 'adaptor_restarts': bounds.COUNT,
    'alphas': above(0, 1)}

# Of texts and of features of language models: nothing that is comparable.
PUBLISHED = ()
METRICS = ('admitted', 'admitted_accuracy', 'shortfall')
COLUMNS = (('admitted', 'near'), ('admitted', 'far'),
           ('admitted_wrong', 'shifted'))


def _at(method, alpha=.95):
  return {'method': method, 'alpha': alpha}


def _all(check, *others, ours='sdm', alphas=(.9, .95)):
  return all_of(*(check(_at(ours, alpha), _at(other, alpha))
                  for other in others for alpha in alphas))


_told = functools.partial(claims_of, variants=('digits', 'cifar6'))
_fewer = functools.partial(less, 'admitted')

CLAIMS = (
    *_told('Schmaltz, 2025', table={
        'what is promised': (
            'Of known images in the region, by class that is predicted and by '
            'true class, a share of alpha is right, but for two standard '
            'errors of it; alpha is 0.9 and 0.95.',
            all_of(*(within('shortfall', _at('sdm', alpha), -2, 0)
                     for alpha in (.9, .95)))),
        'fewer wrong ones under shift': (
            'Of shifted images fewer are accepted and wrong than by thresholds '
            'on the softmax of an adaptor, and of one with a temperature.',
            _all(functools.partial(less, 'admitted_wrong', split='shifted'),
                 'adaptor', 'adaptor_scaled')),
        'fewer near ones': (
            'Fewer images of near classes are accepted than by these '
            'thresholds.',
            _all(functools.partial(_fewer, split='near'), 'adaptor',
                 'adaptor_scaled')),
        'fewer far ones': (
            'Fewer far images are accepted than by these thresholds.',
            _all(functools.partial(_fewer, split='far'), 'adaptor',
                 'adaptor_scaled')),
        'it costs known ones': (
            'Fewer known images are accepted than by these thresholds, too.',
            _all(_fewer, 'adaptor', 'adaptor_scaled'))}),
    *_told('control ours', gated=False, table={
        'more than a stricter threshold, near': (
            'It accepts fewer images of near classes than the threshold on the '
            'softmax of an adaptor that accepts as many held-out known ones.',
            _all(functools.partial(_fewer, split='near'), 'adaptor_matched')),
        'more than a stricter threshold, far': (
            'It accepts fewer far images than that threshold.',
            _all(functools.partial(_fewer, split='far'), 'adaptor_matched')),
        'more than a stricter threshold, shifted': (
            'Fewer shifted images are accepted and wrong than by that '
            'threshold.',
            _all(functools.partial(less, 'admitted_wrong', split='shifted'),
                 'adaptor_matched')),
        'a threshold breaks the promise': (
            'A threshold of alpha on the softmax of the adaptor falls short '
            'of it for some class.', all_of(*(
                within('shortfall', _at('adaptor', alpha), 0, 1)
                for alpha in (.9, .95))))}),
    *_told('Schmaltz, 2025, ablations', gated=False, table={
        'distance alone is too shy': (
            'With the distance alone fewer known images are above the '
            'threshold than with all three.',
            all_of(*(greater('admitted', _at('sdm_threshold', alpha),
                             _at('distance', alpha)) for alpha in (.9, .95)))),
        'similarity alone takes far ones': (
            'Without the distance more far images are above the threshold.',
            all_of(*(greater('admitted', _at('similarity', alpha),
                             _at('sdm_threshold', alpha), split='far')
                     for alpha in (.9, .95))))}))

FIGURES = {f'{metric}_{split}': functools.partial(
    plots.comparison, metric=metric, split=split, state='last',
    baseline={'method': 'adaptor', 'alpha': .95}) for metric, split in (
        ('admitted', 'far'), ('admitted', 'near'),
        ('admitted_wrong', 'shifted'))}
LEAD = ('digits', 'admitted_far')
