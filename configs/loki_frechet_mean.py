"""Loki (Roberts et al., 2023, arXiv 2307.12226).

  python -m experiments.loki_frechet_mean \
    --config=configs/loki_frechet_mean.py:mnist

The paper's labels are classes of ImageNet and the like, in trees and graphs;
here they are turns of an image by 0 to 90 degrees, on a path: recast. What is
asked stays: labels that were never trained, reached by a metric. Its measure is
the squared distance, which Loki minimizes if probabilities are right; so plain
distances, accuracies, the best constant label and a random metric stand beside.
"""

import functools

from assay import papers
from assay.claims import all_of, claims_of, less, within
from assay.report import plots
from assay.testbeds import bounds, networks

PAPER = papers.Paper(
    'Geometry-aware adaptation', venue='NeurIPS', year='2023',
    authors='Roberts, Li, Adila, Cromp, Huang, Zhao and Sala',
    arxiv='2307.12226', family='calibration_theory',
    idea='A metric over labels turns the probabilities of a classifier into '
         'their Frechet mean. So it can predict labels that it was never '
         'trained on.')

_SETS = ('0-9', '0-4-9', '0-3-6-9')
VARIANTS = papers.variants({
    'digits': ('default: fours of scikit-learn, turned, no download',
               dict(dataset='digits', split_sizes=(70, 30, 79), batch_size=20,
                    eval_batch_size=100)),
    'mnist': ('MNIST: fours, turned', dict(dataset='mnist')),
    'fashion_mnist': ('Fashion-MNIST: ankle boots, turned',
                      dict(classes=(9,))),
    'smoke': ('seconds: fours of scikit-learn, two arms', dict(
        dataset='digits', split_sizes=(20, 10, 10), batch_size=10, width=4,
        num_epochs=2, eval_batch_size=20, num_seeds=2,
        arms=('loki_calibrated', 'random_metric'), sweep_values=('0-4-9',),
        swept_arms=('loki_calibrated', 'random_metric'))),
})


def get_config(variant='digits'):
  """The values of one variant, locked."""
  c = papers.new_config('loki_frechet_mean', VARIANTS, variant)
  c.arms = ('argmax', 'loki', 'loki_warm', 'loki_calibrated', 'median',
            'random_metric', 'constant')
  c.sweep, c.sweep_values, c.swept_arms = 'net.observed', _SETS, c.arms
  c.num_seeds = 10  # planned before the run
  c.seed_varies = 'fixed_split'  # initialization and order
  c.scale = 'recast'
  c.net = networks.vision(**networks.TURNED)  # ours
  return papers.config_of(c, VARIANTS, variant)


BOUNDS = bounds.VISION_LABELS

PUBLISHED = ()  # of other labels: nothing that is comparable
METRICS = ('squared_distance', 'distance', 'accuracy')


def _at(method, observed):
  return {'method': method, 'observed': observed}


def _below(metric, ours, *others, sets=_SETS, **fields):
  return all_of(*(less(metric, _at(ours, each), _at(other, each), **fields)
                  for each in sets for other in others))


_told = functools.partial(claims_of,
                          variants=('digits', 'mnist', 'fashion_mnist'))
CLAIMS = (
    *_told('Roberts et al., 2023', table={
        'nearer than the most likely label': (
            'The Frechet mean has a lower mean squared distance than the most '
            'likely label, whichever labels were trained.',
            _below('squared_distance', 'loki', 'argmax')),
        'more than hedging': (
            'The Frechet mean has a lower mean squared distance than the best '
            'single label for all images.',
            _below('squared_distance', 'loki', 'constant')),
        'new labels are reached': (
            'Of images with a label that was not trained more than a tenth, '
            'which is chance, get their label right, if three or four labels '
            'were trained.',
            all_of(*(within('accuracy', _at('loki', each), .1, 1,
                            group='unseen') for each in _SETS[1:])))}),
    *_told('control ours', gated=False, table={
        'a random metric does not do it': (
            'With a metric whose labels are shuffled the squared distance is '
            'above that of the most likely label.',
            _below('squared_distance', 'argmax', 'random_metric')),
        'plain distances are no worse': (
            'The mean distance is not above that of the most likely label by '
            '0.05 or more.', _below('distance', 'loki', 'argmax', by=-.05))}),
    *_told('ours', gated=False, table={
        'warmer is better': (
            'With a temperature of 3 the squared distance is lower than '
            'without one.', _below('squared_distance', 'loki_warm', 'loki')),
        'calibration finds it': (
            'It is lower, too, with the temperature that held-out images of '
            'the trained labels choose.',
            _below('squared_distance', 'loki_calibrated', 'loki'))}))

FIGURES = {f'{metric}': functools.partial(
    plots.comparison, metric=metric, state='last',
    baseline=_at('argmax', '0-4-9'))
           for metric in ('squared_distance', 'accuracy')}
LEAD = ('digits', 'squared_distance')
