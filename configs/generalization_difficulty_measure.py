"""A measure of generalization difficulty (Boopathy et al., 2023).

  python -m experiments.generalization_difficulty_measure

From the dimension of the inputs, their size and the distance between classes: a
number of bits that a task asks of what is known before. The formula is that of
the released code, evaluated to 1 % with its constants in the tests. Ours:
images of each seed are few, their least distance between classes is taken as it
is, where the code fits a law of extremes to it, and n and the wanted error are
the same of all.
"""

import functools

from assay import papers
from assay.claims import all_of, claims_of, less, within
from assay.config import above, between
from assay.report import plots

PAPER = papers.Paper(
    'Model-agnostic Measure of Generalization Difficulty',
    'Boopathy, Liu, Hwang, Ge, Mohammedsaleh and Fiete', '2023', venue='ICML',
    family='calibration_theory',
    idea='How much must be known beforehand to learn a task grows with the '
         'dimension of its inputs and with how finely classes are '
         'interwoven. It is a formula, for which nothing has to be trained.')

_DIMENSIONS = (2, 5, 10)
_IMAGES = ('mnist', 'fashion_mnist', 'cifar10')

VARIANTS = papers.variants({
    'spheres': ('default: dimensions that are known, estimated', {}),
    'images': ('the measure of three sets of images', dict(
        arms=_IMAGES, num_points=3000)),
    'smoke': ('seconds: few points', dict(
        arms=('sphere_2', 'digits'), num_points=200, num_seeds=2)),
})


def get_config(variant='spheres'):
  """The values of one variant, locked."""
  c = papers.new_config('generalization_difficulty_measure', VARIANTS, variant)
  c.arms = (*(f'sphere_{m}' for m in _DIMENSIONS), 'sphere_20')
  c.num_seeds = 5  # planned before the run
  c.seed_varies = 'fresh'  # points; no image is of two seeds
  c.scale = 'reduced'
  c.num_points = 5000
  c.num_examples = 60_000  # of the formula
  c.error = 0.001
  return papers.config_of(c, VARIANTS, variant)


BOUNDS = {'num_points': between(10, 10**6), 'num_examples': between(1, 10**9),
          'error': above(0, 1)}

PUBLISHED = ()  # constants of the code are in the tests
METRICS = ('intrinsic_dimension', 'largest_norm', 'class_distance',
           'log_difficulty')

# --- Claims, written before the run -----------------------------------------

CLAIMS = (
    *claims_of('ours', ('spheres',), {
        **{f'dimension {m}': (
            f'Of a sphere of dimension {m}, the estimate is within 15 of 100.',
            within('intrinsic_dimension', f'sphere_{m}', .85 * m, 1.15 * m))
           for m in _DIMENSIONS},
        'above it is too low': (
            'Of a sphere of dimension 20, the estimate is 10 of 100 too low or '
            'more.', within('intrinsic_dimension', 'sphere_20', 0, 18))}),
    # The code's constants rank MNIST below CIFAR-10.
    *claims_of('Boopathy et al., 2023', ('images',), {
        'photographs are harder than digits': (
            'CIFAR-10 is harder than MNIST, by a factor of ten or more.', less(
                'log_difficulty', 'mnist', 'cifar10', by=1))}),
    *claims_of('ours', ('images',), {'and clothes in between': (
        'Fashion-MNIST is harder than MNIST and less hard than CIFAR-10.',
        all_of(less('log_difficulty', 'mnist', 'fashion_mnist'),
               less('log_difficulty', 'fashion_mnist', 'cifar10')))}),
)

FIGURES = {metric: functools.partial(plots.comparison, metric=metric,
                                     state='last')
           for metric in ('intrinsic_dimension', 'log_difficulty')}
LEAD = 'images', 'log_difficulty'
