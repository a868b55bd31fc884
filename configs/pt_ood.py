"""PT-OOD: unknown, but seen in pretraining (Miyai et al., 2023, 2310.00847).

  python -m experiments.pt_ood --config=configs/pt_ood.py:fashion

The paper probes networks pretrained on ImageNet; neither its numbers nor code
were to be had. Here small networks are trained on five classes of a set, a
linear probe learns three others, and images of the five are unknown to the
probe, as are those of the last two. All networks see two views of each image,
in as many steps. An untrained one shows how hard classes are by themselves.
"""

import functools

from assay import papers
from assay.claims import all_of, claims_of, equal, greater, greater_change, less
from assay.report import plots
from assay.testbeds import bounds, networks

PAPER = papers.Paper(
    'Familiar out-of-distribution data', authors='Miyai, Yu, Irie and Aizawa',
    year='2023', arxiv='2310.00847', family='ood_and_shift',
    idea='What a network saw in pretraining is unknown to a probe of its '
         'features all the same. Logits of the probe are said to miss it if '
         'pretraining had no labels, and nearest neighbors to find it.')

_DIGITS = networks.OOD['digits'] | dict(
    known=(0, 1, 2, 3, 4), probed=(5, 6, 7), augment='shift_jitter',
    split_sizes=(300, 150, 236), probe_sizes=(180, 120, 236), num_unknown=236,
    eval_batch_size=236, batch_size=60, num_epochs=60, num_seeds=10,
    far=('shuffled', 'uniform_noise'))
_FASHION = _DIGITS | dict(
    dataset='fashion_mnist', known=(0, 2, 5, 7, 8), probed=(1, 4, 9),
    split_sizes=(3000, 1000, 1000), probe_sizes=(1500, 500, 1000),
    num_unknown=1000, batch_size=100, num_epochs=10, num_seeds=5,
    eval_batch_size=1000, far=('mnist', 'kmnist', 'shuffled'))
VARIANTS = papers.variants({
    'digits': ('default: trained on digits 0 to 4, probed for 5 to 7',
               _DIGITS),
    'digits_turned': ('trained on digits 5 to 9, probed for 0 to 2',
                      _DIGITS | dict(known=(5, 6, 7, 8, 9),
                                     probed=(0, 1, 2))),
    'fashion': ('Fashion-MNIST: trained on five kinds of clothes', _FASHION),
    'cifar10': ('CIFAR-10: trained on 0 to 4, ResNet-18 (GPU)', _FASHION | dict(
        dataset='cifar10', known=(0, 1, 2, 3, 4), probed=(5, 6, 7),
        model='resnet18', width=64, augment='crop_flip_jitter',
        split_sizes=(24_000, 1000, 1000), probe_sizes=(5000, 1000, 1000),
        batch_size=256, num_epochs=200, dtype='bfloat16', weight_decay=1e-4,
        learning_rates=(.03, .1, .3))),
    'smoke': ('seconds: digits, three arms', _DIGITS | dict(
        networks.OOD['smoke'], known=(0, 1, 2, 3, 4), split_sizes=(40, 40, 40),
        probe_sizes=(40, 40, 40), num_epochs=2, num_unknown=40, num_seeds=2,
        far=('shuffled',), arms=('ce_msp', 'simclr_msp', 'simclr_knn'))),
})


def get_config(variant='digits'):
  """The values of one variant, locked."""
  c = papers.new_config('pt_ood', VARIANTS, variant)
  c.arms = ('one_feature', *(
      f'{network}_{score}' for network in ('ce', 'simclr', 'untrained')
      for score in ('msp', 'energy', 'entropy', 'knn', 'logit_knn',
                    'mahalanobis', 'vim')))
  c.num_seeds = 5  # planned before the run
  c.seed_varies = 'fixed_split'  # initialization and order
  c.scale = 'reduced'
  c.net = networks.ood(learning_rate=.1)
  # Of all networks alike; or the best of these for each, by nll of the probe
  # of its training.
  c.learning_rates = ()
  c.tuning_seeds = (100,)
  c.probed = (5, 6, 7)  # classes that the probe learns
  c.probe_sizes = (180, 120, 236)  # its images: train, validation, test
  c.near = ('other_classes',)  # and `pretrained`, see `ood_probes`
  c.far = ('shuffled',)
  c.num_unknown = 236  # images of each set
  c.painted = True
  c.shifts = ()
  c.level = 3
  c.num_bins = 15
  return papers.config_of(c, VARIANTS, variant)


BOUNDS = bounds.OOD | {
    'probed': bounds.OOD['known'], 'probe_sizes': bounds.OOD['split_sizes']}

PUBLISHED = ()  # see the docstring
METRICS = ('error',)
COLUMNS = (('auroc', 'pretrained'), ('auroc', 'other_classes'),
           ('auroc', 'far'))

_told = functools.partial(claims_of, variants=('digits', 'digits_turned',
                                               'fashion'))
_LOGITS = ('msp', 'energy')
# AUROC of an arm on classes of the pretraining, and on those of neither.
_SEEN, _NEW = {'split': 'pretrained'}, {'split': 'other_classes'}


def _familiar(network, score):
  """The difference that a network's own classes make to a score."""
  arm = {'method': f'{network}_{score}'}
  return arm | _NEW, arm | _SEEN


# Margins: 0.01 of an AUROC, as nothing published says how large effects are.
CLAIMS = (
    *_told('Miyai et al., 2023', table={
        'logits miss what was seen without labels': (
            'On classes of the pretraining the energy and the largest '
            'probability have a lower AUROC after training without labels than '
            'after training with them, by 0.01.',
            all_of(*(less('auroc', f'simclr_{score}', f'ce_{score}', .01,
                          split='pretrained') for score in _LOGITS))),
        'neighbors mend it': (
            'There nearest neighbors gain more over the largest probability '
            'after training without labels than with them.',
            greater_change('auroc', ('simclr_knn', 'simclr_msp'),
                           ('ce_knn', 'ce_msp'), split='pretrained')),
        'neighbors are better': (
            'After training without labels nearest neighbors have a higher '
            'AUROC there than the energy and the largest probability.',
            all_of(*(greater('auroc', 'simclr_knn', f'simclr_{score}',
                             split='pretrained') for score in _LOGITS))),
        'it is harder to separate': (
            'A probe that is shown both tells pretrained classes from known '
            'ones less well after training without labels.',
            less('auroc', 'simclr_msp', 'ce_msp', split='pretrained',
                 group='separable'))}),
    *_told('control ours', gated=False, table={
        'networks are alike': (
            'Probes of both kinds of network have the same error, within 0.02.',
            equal('error', 'simclr_energy', 'ce_energy', .02)),
        'it is the features, not the neighbors': (
            'After training without labels nearest neighbors of features have '
            'a higher AUROC than those of logits.',
            greater('auroc', 'simclr_knn', 'simclr_logit_knn',
                    split='pretrained'))}),
    *_told('ours', gated=False, table={
        'what was seen is harder than what is new': (
            'By the energy new classes are told better than those of the '
            'pretraining, more so after training without labels than with no '
            'training at all.',
            greater_change('auroc', _familiar('simclr', 'energy'),
                           _familiar('untrained', 'energy'))),
        'labels protect what was seen': (
            'That difference is larger after training without labels than '
            'after training with them.',
            greater_change('auroc', _familiar('simclr', 'energy'),
                           _familiar('ce', 'energy')))}))

FIGURES = {f'auroc_{split}': functools.partial(
    plots.comparison, metric='auroc', split=split, state='last',
    baseline='ce_msp') for split in ('pretrained', 'other_classes')}
LEAD = ('digits', 'auroc_pretrained')
