"""Compressed features and wrong labels (Chen et al., 2022, arXiv 2206.13140).

  python -m experiments.compress_noisy_labels

The paper trains a ResNet-18 on CIFAR-10, 350 epochs, and tunes two such
networks to each other for 100 more; here a small network on digits learns from
wrong labels, and the last third of one training is co-teaching: reduced. The
paper chooses by held-out images with right labels; here by wrong ones, and the
rows say what right ones would choose. The authors' pairs answer by their mean;
here one of both answers, so that two do not win by being two. Each arm but
cross entropy has one knob, tuned over five values; `decay` has weight decay.
The share of wrong labels is known to pairs, which forget as many.
"""

import functools

from assay import papers
from assay.claims import all_of, claims_of, equal, greater, less
from assay.config import above, among, between
from assay.report import plots
from assay.testbeds import bounds, networks

PAPER = papers.Paper(
    'Compressed features and noisy labels', authors='Chen, Hu, Shen, Ai and '
    'Suykens', year='2022', venue='TNNLS', arxiv='2206.13140',
    family='weak_supervision',
    idea='Nested dropout puts features in order of use, and the first ones are '
         'too few to learn wrong labels by heart. Two such networks then '
         'choose the examples that the other one learns.')

_DIGITS = networks.VISION['digits'] | dict(
    model='mlp', width=16, split_sizes=(800, 200, 797), batch_size=50,
    num_epochs=60, eval_batch_size=800)
VARIANTS = papers.variants({
    'digits': ('default: digits, two of five labels are wrong', _DIGITS),
    'digits_next': ('digits, three of ten labels are that of the next class',
                    _DIGITS | dict(noise='next', label_noise=.3, forget=.3)),
    'digits_clean': ('digits, all labels are right',
                     _DIGITS | dict(label_noise=0., forget=0., arms=(
                         'ce', 'decay', 'dropout', 'nested', 'nested_each',
                         'low_rank'))),
    'fashion_mnist': ('Fashion-MNIST, two of five labels are wrong', dict(
        model='mlp', split_sizes=(5000, 1000, 5000), batch_size=100,
        num_epochs=40, num_seeds=5)),
    'smoke': ('seconds: digits, few images, three arms', dict(
        networks.VISION['smoke'], model='mlp', width=2, num_epochs=2,
        etas=(), ranks=(), weight_decays=(), num_seeds=2,
        arms=('nested', 'low_rank', 'ce_co'))),
})


def get_config(variant='digits'):
  """The values of one variant, locked."""
  c = papers.new_config('compress_noisy_labels', VARIANTS, variant)
  c.arms = ('ce', 'decay', 'dropout', 'nested', 'nested_each', 'low_rank',
            'ce_co', 'decay_co', 'dropout_co', 'nested_co')
  c.num_seeds = 10  # planned before the run
  c.seed_varies = 'fixed_split'  # which labels are wrong, initialization, order
  c.scale = 'reduced'
  c.net = networks.vision(  # ours
      label_noise=.4, noise='symmetric', forget=.4, co_start=2 / 3,
      dropout=.5, eta=16., rank=16, weight_decay=5e-4)
  # Each arm has that of five values of its knob with the lowest error on
  # held-out images, whose labels are as wrong. A first run had three, of which
  # all arms took the strongest or the widest.
  c.weight_decays = (5e-4, 3e-3, 1e-2, 3e-2, .1)
  c.dropouts = (.3, .5, .7, .8, .9)
  c.etas = (4., 8., 16., 32., 64.)
  c.ranks = (4, 8, 16, 32, 64)
  c.tuning_seeds = (100, 101, 102)
  return papers.config_of(c, VARIANTS, variant)


BOUNDS = bounds.VISION | {
    'label_noise': between(0, .99), 'noise': among('symmetric', 'next'),
    'forget': between(0, .99), 'co_start': bounds.SHARE,
    'dropout': between(0, .99), 'dropouts': between(0, .99),
    'eta': above(0, 1e9), 'etas': above(0, 1e9), 'rank': bounds.COUNT,
    'ranks': bounds.COUNT, 'weight_decays': bounds.VISION['weight_decay']}

# Of Clothing1M, accuracies: 67.2 plain, 72.8 with dropout, 73.1 nested, 74.9
# with co-teaching: a million images, nothing that is comparable.
PUBLISHED = ()
METRICS = ('error',)

_told = functools.partial(claims_of, variants=(
    'digits', 'digits_next', 'fashion_mnist'))
_WRONG = {'split': 'train', 'group': 'wrong'}


def _below(ours, other, by=.005):
  """Half a point: a quarter of what the paper gains on CIFAR-10 or less."""
  return less('error', ours, other, by)


def _first(method, number):
  return {'method': method, 'group': 'first', 'first': number}


CLAIMS = (
    *_told('Chen et al., 2022', table={
        'compression resists wrong labels': (
            'With nested dropout the error on right labels is lower than with '
            'cross entropy alone, by 0.005.', _below('nested', 'ce')),
        'more than dropout': (
            'It is lower than with dropout, by 0.005.',
            _below('nested', 'dropout')),
        'two networks help': (
            'Two networks that choose for each other have a lower error than '
            'one, by 0.005, with nested dropout.',
            _below('nested_co', 'nested')),
        'both together': (
            'They have a lower error than two networks without nested dropout, '
            'by 0.005.', _below('nested_co', 'ce_co'))}),
    *_told('control ours', gated=False, table={
        'more than weight decay': (
            'Nested dropout has a lower error than weight decay, tuned alike.',
            _below('nested', 'decay', by=0)),
        'more than weight decay, for two': (
            'So has a pair of networks.',
            _below('nested_co', 'decay_co', by=0)),
        'more than a narrow layer': (
            'Nested dropout has a lower error than a linear layer of few units '
            'before the last.', _below('nested', 'low_rank', by=0)),
        'more than dropout, for two': (
            'Of two networks, too, those with nested dropout have a lower '
            'error than those with dropout.',
            _below('nested_co', 'dropout_co', by=0)),
        'two networks alone': (
            'Without anything else two networks have a lower error than one.',
            _below('ce_co', 'ce', by=0))}),
    *_told('ours', gated=False, table={
        'wrong labels are not learned': (
            'With nested dropout more of the wrong labels in training are '
            'contradicted.', greater('error', 'nested', 'ce', **_WRONG)),
        'a number for each image': (
            'The error is the same, within 0.01, if each image of a batch has '
            'its own number of features.',
            equal('error', 'nested_each', 'nested', .01)),
        'wrong labels choose as well': (
            'Held-out images with right labels would choose a number of '
            'features with the same error, within 0.01.',
            equal('error', {'method': 'nested', 'group': 'clean choice'},
                  'nested', .01)),
        'the first features are enough': (
            'With nested dropout 64 of 128 features have the error of all, '
            'within 0.01; without it they do worse than all.',
            all_of(equal('error', _first('nested', 64), _first('nested', 128),
                         .01),
                   greater('error', _first('ce', 64), _first('ce', 128))))}),
    *claims_of('control ours', ('digits_clean',), {
        'right labels': (
            'Where all labels are right the error is the same, within 0.01.',
            equal('error', 'nested', 'ce', .01))}, gated=False))

FIGURES = {'error_test': functools.partial(
    plots.comparison, metric='error', state='last', baseline='ce')}
LEAD = ('digits', 'error_test')
