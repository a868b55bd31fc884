"""USEFUL (Nguyen et al., NeurIPS 2024, arXiv 2404.17768) and SAM on images.

  python -m experiments.useful --config=configs/useful.py:dominoes

The numbers of the paper's main tables are not repeated here: they could not be
read when this was written. `# ours` where the paper's setting is not known or
does not apply. `cifar10_*` need a GPU.
"""

import functools

from assay import papers
from assay.claims import all_of, claims_of, greater, less
from assay.config import among, between
from assay.report import plots
from assay.testbeds import bounds, networks

PAPER = papers.Paper(
    'USEFUL: simplicity bias, SAM and the training distribution',
    authors='Nguyen, Haddad, Gan and Mirzasoleiman', year='2024',
    venue='NeurIPS', arxiv='2404.17768', family='calibration_theory',
    idea='USEFUL trains for a few epochs, splits each class in two by the '
         "network's outputs, and trains again with one more copy of each "
         'example in the slower half. The claim is that data which are '
         'learned more uniformly generalize better, in distribution.')

ARMS = ('sgd', 'sam', 'asam', 'sgd_useful', 'sgd_random', 'sgd_fast',
        'sgd_oracle', 'sgd_weighted', 'sgd_equal_steps', 'sgd_jtt',
        'sam_useful')
_NOT_THERE = dict(scale='not in the paper')  # its data at a GPU's scale are
_DIGITS = _NOT_THERE | dict(
    fast='digits', slow='digits', slow_classes=((3, 5), (8, 9)),
    split_sizes=(320, 40, 290), batch_size=16, num_seeds=5,
    sharpness_examples=320, sharpness_batch_size=160, eval_batch_size=320,
    arms=('sgd', 'sam', 'sgd_useful', 'sgd_random', 'sgd_oracle'))
_SWEPT = _NOT_THERE | dict(
    learning_rate=0.02, arms=('sgd', 'sgd_useful'), num_seeds=5,  # ours
    swept_arms=('sgd_useful',), sharpness_examples=0)
_CIFAR10 = networks.VISION['cifar10_resnet18'] | dict(
    split_sizes=(50_000, 0, 10_000), num_epochs=200, schedule='piecewise',
    separating_epoch=8, num_seeds=5, scale='as published',
    arms=('sgd', 'sgd_useful', 'sam', 'sgd_random', 'sam_useful',
          'sgd_equal_steps'))

VARIANTS = papers.variants({
    'digits': ('default: dominoes of scikit-learn digits, no download',
               _DIGITS),
    'dominoes': ('MNIST 0/1 above Fashion-MNIST pullover/coat, all arms',
                 _NOT_THERE | dict(trials=12)),
    'dominoes_norm': ('the same with batch normalization', _NOT_THERE | dict(
        normalize=True, num_seeds=5, arms=(
            'sgd', 'sam', 'sgd_useful', 'sgd_random', 'sam_useful'))),
    'dominoes_copies': ('the same, slow examples 2, 3, 5 times', _SWEPT | dict(
        sweep='copies', sweep_values=(1, 2, 4))),
    'dominoes_epochs': ('the same, separated after 1 to 12 epochs', _SWEPT
                        | dict(sweep='separating_epoch',
                               sweep_values=(1, 2, 4, 8, 12))),
    'fashion_mnist': ('Fashion-MNIST, 10,000 images', _NOT_THERE | dict(
        dataset='fashion_mnist', split_sizes=(10_000, 1000, 10_000),
        trials=12, num_seeds=5, arms=(
            'sgd', 'sam', 'sgd_useful', 'sgd_random', 'sgd_equal_steps'))),
    'cifar10_resnet18': ("CIFAR-10, ResNet-18, the paper's recipe (GPU)",
                         _CIFAR10),
    'cifar10_resnet18_reduced': (
        'the same, 8 of 200 epochs, three arms: minutes on a GPU',
        _CIFAR10 | dict(
            num_epochs=8, separating_epoch=2, sharpness_examples=0,
            arms=('sgd', 'sam', 'sgd_useful'), scale='reduced')),
    'cifar10_wrn': (
        'CIFAR-10, WRN-28-10, the recipe of the SAM paper (GPU)',
        _CIFAR10 | dict(
            model='wide_resnet28_10', augment='crop_flip_cutout',
            schedule='cosine', nesterov=True, batch_size=256, rho=0.05,
            group_size=32,  # 256 examples on 8 devices
            decay_in_perturbation=True,  # as the authors' code
            arms=('sgd', 'sam'), sharpness_examples=0)),
    'cifar10_noise': ('CIFAR-10, ResNet-18, 20 % of the labels wrong (GPU)',
                      _CIFAR10 | dict(label_noise=0.2)),
    'cifar10_long_tail': ('CIFAR-10, ResNet-18, classes 1:10 (GPU)',
                          _CIFAR10 | dict(imbalance=10.0)),
    'smoke': ('seconds: digits, three arms, three epochs', _DIGITS | dict(
        arms=('sgd', 'sam', 'sgd_useful'), split_sizes=(64, 16, 40),
        num_epochs=3, separating_epoch=1, num_seeds=2, width=4,
        sharpness_examples=32, sharpness_batch_size=16, eval_batch_size=64)),
})


def get_config(variant='digits'):
  """The values of one variant, locked."""
  c = papers.new_config('useful', VARIANTS, variant)
  # What is compared.
  c.arms = ARMS
  c.num_seeds = 10  # planned before the run
  c.seed_varies = 'fixed_split'  # initialization and order
  c.scale = 'reduced'
  c.net = networks.vision(
      **networks.DOMINOES,
      # SAM.
      rho=0.1, asam_rho=1.0,
      asam_eta=0.01,  # of the authors' class; their script has 0
      group_size=0,  # examples that share a perturbation (m); 0: the batch
      decay_in_perturbation=False,
      # USEFUL.
      separating_epoch=0,  # 0: the elbow of the training error
      elbow_epochs=12,  # trained to find it  # ours
      separate_with='same',  # optimizer before clustering: the arm's, or 'sgd'
      cluster_on='logits',  # or 'probabilities'; the paper does not say
      copies=1,  # more of each slow example
      jtt_copies=4)  # more of each misclassified example  # ours
  # What is measured.
  c.sharpness_examples = 2000  # 0: no sharpness
  c.sharpness_batch_size = 125
  c.sharpness_tolerance = 1e-3  # of eigenvalues, relative to the largest
  # Tuning of sgd, sam and asam; the other arms take over their setting.
  c.trials = 0  # settings tried for each; 0 takes those above
  c.tuning_seeds = (100, 101, 102)
  return papers.config_of(c, VARIANTS, variant)


BOUNDS = bounds.VISION | bounds.VISION_GROUPS | bounds.SHARPNESS | {
    'rho': between(0, 1e6), 'asam_rho': between(0, 1e6),
    'asam_eta': between(0, 1e6), 'group_size': between(0, 10**9),
    'separating_epoch': between(0, 10**9), 'elbow_epochs': between(2, 10**9),
    'copies': between(0, 1000), 'jtt_copies': between(0, 1000),
    'cluster_on': among('logits', 'probabilities'),
    'separate_with': among('same', 'sgd', 'sam', 'asam')}

# The grid of tuned variants, which try all of it (trials=12): each learning
# rate with each radius, where an optimizer has one.  # ours
GRID = {'learning_rate': (0.005, 0.01, 0.02, 0.05), 'rho': (0.05, 0.1, 0.2),
        'asam_rho': (0.5, 1.0, 2.0)}

PUBLISHED = ()  # see the docstring

# (metric, split) that the table shows beside those of the test set.
COLUMNS = (('error', 'masked'), ('lambda_max', 'train'),
           ('learning_gap', 'train'), ('forgetting', 'train'))

# --- Claims ------------------------------------------------------------------

_PAPER = 'Nguyen et al., 2024'
_SAM = 'Foret et al., 2021: 2.3 against 2.6 % on CIFAR-10 with cutout'
# An arm, one of a higher error, the sentence and who says so.
_PAIRS = (
    ('sam', 'sgd', 'SAM has a lower test error than SGD', _SAM),
    ('sgd_useful', 'sgd', 'USEFUL lowers the test error of SGD', _PAPER),
    ('sgd_useful', 'sgd_random', 'USEFUL beats as many random copies', _PAPER),
    ('sgd_useful', 'sgd_equal_steps', 'USEFUL beats as many steps on the '
     'original data', f'{_PAPER}; control ours'),
    ('sgd_useful', 'sgd_fast', 'Copies of slow examples beat copies of fast '
     'ones', f'{_PAPER}; control ours'),
    ('sgd_useful', 'sgd_weighted', 'Copies beat a doubled loss weight', _PAPER),
    ('sgd_useful', 'sgd_jtt', 'USEFUL beats JTT', _PAPER),
    ('sam_useful', 'sam', 'USEFUL lowers the test error of SAM', _PAPER))
# The paper trains all for as many epochs: copies take more steps. Arms that are
# not among these are controls with as many.
_FEWER_STEPS, _BUDGET = ('sgd', 'sam', 'sgd_weighted', 'sgd_jtt'), ('step',)


def _errors(variants, splits=('test',), gated=True):
  """The claims on errors of the arms that each variant has."""
  for variant in variants:
    arms = VARIANTS.differs[variant].get('arms', ARMS)
    for a, b, sentence, source in _PAIRS:
      for split in splits if {a, b} <= set(arms) else ():
        on = '' if split == 'test' else ', fast half missing'
        yield from claims_of(source, (variant,), {f'{a} below {b}{on}': (
            f'{sentence}{on}.', less(
                'error', a, b, split=split,
                across=_BUDGET * (b in _FEWER_STEPS)))}, gated=gated)


def _slow_above_fast(metric):
  """In a training that did not choose who is slow, of SGD in another order."""
  return greater(metric, *({'method': 'sgd_random', 'group': group}
                           for group in ('slow', 'fast')), split='train')


def _in_order(metric, *pairs, across=()):
  return all_of(*(less(metric, a, b, split='train', across=across)
                  for a, b in pairs))


# Copies mean more steps, which change much by themselves: SGD's are as many.
_BELOW_SGD = (('sam', 'sgd'), ('sgd_useful', 'sgd_equal_steps'))
_MASKED = ('test', 'masked')

CLAIMS = (
    *_errors(('digits',), _MASKED, gated=False),
    *_errors(('dominoes', 'dominoes_norm'), _MASKED),
    *_errors(('fashion_mnist', 'cifar10_resnet18', 'cifar10_wrn',
              'cifar10_long_tail')),
    *_errors(('cifar10_noise', 'cifar10_resnet18_reduced'), gated=False),
    # What the paper says about who is slow, sharpness and weights.
    *claims_of(
        f'{_PAPER}: forgetting scores, first-learned epochs, sharpness and L1 '
        'norms', ('dominoes', 'fashion_mnist', 'cifar10_resnet18'), {
            'slow examples are forgotten more': (
                'Who is slow for SGD has more events of forgetting in another '
                'training, with random copies.',
                _slow_above_fast('forgetting')),
            'slow examples are learned later': (
                'Who is slow for SGD is first right in a later epoch in '
                'another training, with random copies.',
                _slow_above_fast('first_learned')),
            'order of sharpness': (
                'The largest eigenvalue of the Hessian: SAM below SGD with '
                'USEFUL below SGD with as many steps.',
                _in_order('lambda_max', ('sam', 'sgd_useful'),
                          ('sgd_useful', 'sgd_equal_steps'), across=_BUDGET)),
            'fewer events of forgetting': (
                'SAM forgets less than SGD, and SGD with USEFUL less than with '
                'as many steps.', _in_order('forgetting', *_BELOW_SGD)),
            'smaller weights': (
                'SAM has a smaller L1 norm of weights than SGD, and SGD with '
                'USEFUL than with as many steps.',
                _in_order('weight_l1', *_BELOW_SGD))},
        gated=('slow examples are forgotten more',
               'slow examples are learned later', 'order of sharpness')),
    *claims_of('ours', ('dominoes',), {'the oracle is best': (
        'Copies of exactly the examples without the fast half do better than '
        'USEFUL, fast half missing.',
        less('error', 'sgd_oracle', 'sgd_useful', split='masked',
             across=_BUDGET))},
               gated=False),
    *claims_of(f'{_PAPER}, theory', ('dominoes',), {
        'SAM learns more uniformly': (
            'Between examples with and without the fast half, the gap of '
            'first-learned epochs is smaller for SAM than for SGD.',
            less('learning_gap', 'sam', 'sgd', split='train'))}),
    # A quarter of USEFUL's smallest gain that could be read: 16.10 - 14.93 %
    # for Swin-T on CIFAR-10 (Nguyen et al., 2025, on TADA).
    *claims_of(f'{_PAPER}, upsampling factor; weak', ('dominoes_copies',), {
        'twice is enough': (
            'With one more copy the error is no more than 0.003 above that '
            'with two or four more, fast half missing.',
            all_of(*(less('error', *({'method': 'sgd_useful', 'copies': count}
                                     for count in (1, more)), by=-0.003,
                          split='masked', across=_BUDGET)
                     for more in (2, 4))))}, gated=False),
)

# --- Figures -----------------------------------------------------------------

_LAST = {'state': 'last'}
FIGURES = {
    f'error_{split}{name}': functools.partial(draw, **arguments)
    for split in _MASKED for name, draw, arguments in (
        ('', plots.comparison, _LAST | dict(
            metric='error', split=split, baseline='sgd')),
        *((f'_by_{over}', plots.sweep, _LAST | dict(
            metric='error', over=over, baselines=('sgd',), split=split))
          for over in ('copies', 'separating_epoch')),
        ('_sharpness_and_uniformity', plots.against, dict(
            y=_LAST | {'metric': 'error', 'split': split},
            xs=[_LAST | {'metric': metric, 'split': 'train'}
                for metric in ('lambda_max', 'learning_gap')])))}
