"""The theory of simplicity bias (Nguyen et al., NeurIPS 2024), exactly.

  python -m experiments.simplicity_bias --config=configs/simplicity_bias.py:rho

A slow and a fast feature, a two-layer cubic network, full-batch gradient
descent and SAM. The paper's figures do not give initialization, learning rate
and noise of every run: `# ours` where a value is a choice. Time to the fast
feature should come out near 71 steps in `rho`, to the slow one near 8700.
"""

import functools
import itertools

import numpy as np

from assay import papers
from assay.claims import (
  all_of,
  claims_of,
  every_seed,
  greater,
  less,
  monotone,
  ratio,
  within,
)
from assay.config import Bound, above, among, between

PAPER = papers.Paper(
    'Simplicity bias in a network that theory can follow',
    'Nguyen, Haddad, Gan and Mirzasoleiman', '2024', venue='NeurIPS',
    arxiv='2404.17768', family='calibration_theory',
    idea='A two-layer cubic network learns a slow and a fast feature by '
         'full-batch gradient descent or SAM. What is compared is how '
         'gradients are taken and which examples weigh more.')

RADII = dict(arms=('sam', 'sam_random'), swept_arms=('sam',), sweep='rho',
             sweep_values=(0.0, 0.005, 0.01, 0.02))  # 0 is gradient descent
MASKED = ('gd_masked', 'sam_masked')
TRAJECTORY = (0.05, 0.1, 0.2, 1.0)

VARIANTS = papers.variants({
    'rho': ('default: noise-free, a weak slow feature, SAM by its radius',
            RADII),
    'rho_strong': ('the same with a strong slow feature', RADII | dict(
        slow_strength=0.8, num_steps=2000)),
    'radii': ('radii up to those of image models', RADII | dict(
        arms=('sam',), num_steps=2000,
        sweep_values=(0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06),
        metrics=('time_fast', 'initial_alignment'))),
    'early': ('gradient descent until the fast feature is learned', dict(
        arms=('gd',), slow_strength=0.2, learning_rate=0.1, num_steps=1000,
        metrics=('time_fast', 'slow_growth', 'initial_alignment'))),
    'upsampling': ('masked examples k times, with and without SAM', dict(
        arms=MASKED, swept_arms=MASKED, sweep='upsampling',
        sweep_values=(1.0, 2.0, 3.0, 5.0),
        metrics=('time_fast', 'time_slow', 'time_ratio'))),
    'trajectories': ('alignments at equal iteration and at equal progress',
                     dict(
        eval_every=10, more_fast_levels=TRAJECTORY,
        curves=('slow_alignment', 'alignment_gap'),
        report_steps=(30, 60, 100, 150, 300, 1000, 5000, 10_000, 20_000),
        metrics=('time_fast', 'time_slow'))),
    'separability': ('noisy data: clusters of the outputs by loss so far', dict(
        scale='reduced',  # 2000 examples for 10 000
        noise=True, slow_strength=0.2, num_steps=200, rho=0.01,
        loss_drops=(0.00001, 0.0001, 0.001, 0.01), metrics=('time_fast',))),
    'useful': ('noisy data: USEFUL from clusters to test accuracy', dict(
        arms=('gd', 'gd_useful', 'gd_random', 'sam', 'sam_useful'),
        noise=True, num_examples=1000, slow_strength=0.6, rho=0.01,
        num_steps=4000,  # in a first run of 3000 one seed had not arrived
        eval_every=20, curves=('masked_accuracy',),
        metrics=('steps_to_accuracy', 'total_steps'),
        report_steps=(100, 300, 600, 1000, 1500, 2000, 3000, 4000))),
    'smoke': ('seconds: noisy data, three arms', dict(
        arms=('gd', 'gd_useful', 'sam'), num_seeds=2, noise=True,
        curves=('slow_alignment', 'alignment_gap', 'masked_accuracy'),
        num_examples=128, num_dims=8, init_scale=0.15, fast_probability=0.7,
        slow_strength=0.8, num_steps=16, eval_every=2, proxy_steps=8,
        loss_drops=(0.01,), masked_accuracy=0.2, report_steps=(8, 16),
        metrics=('time_fast', 'total_steps', 'slow_alignment'))),
})

_STEPS, _POSITIVE, _LEVEL = between(1, 10**9), above(0, 1e6), between(0, 100)
BOUNDS = {
    'curves': among('slow_alignment', 'alignment_gap', 'masked_accuracy'),
    'metrics': Bound(length=(1, 100)), 'slow_strength': between(0, 1e6),
    'fast_strength': between(0, 1e6), 'fast_probability': between(0, 1),
    'num_examples': _STEPS, 'num_patches': between(1, 10**6),
    'num_dims': between(2, 10**6), 'noise_scale': between(0, 1e6),
    'width': between(1, 10**6), 'init_scale': _POSITIVE,
    'learning_rate': _POSITIVE, 'num_steps': _STEPS, 'eval_every': _STEPS,
    'rho': between(0, 1e6), 'upsampling': _POSITIVE, 'fast_level': _LEVEL,
    'slow_level': _LEVEL, 'more_fast_levels': _LEVEL, 'loss_drops': between(
        0, 1), 'report_steps': _STEPS, 'cluster_drop': between(0, 1),
    'proxy_steps': _STEPS, 'masked_accuracy': between(0, 1)}

PUBLISHED = ()  # no number of the paper's toy runs could be read


def get_config(variant='rho'):
  """The settings of one variant, locked."""
  c = papers.new_config('simplicity_bias', VARIANTS, variant)
  # What is compared.
  c.arms = ('gd', 'sam')
  c.metrics = ('time_fast', 'time_slow', 'time_ratio', 'slow_alignment',
               'initial_alignment')
  c.num_seeds = 10  # planned before the run
  c.seed_varies = 'fresh'  # initialization, and data where there is noise
  c.scale = 'not in the paper'
  # Data.
  c.dataset = 'patches'
  c.noise = False  # False: the expected loss; True: `num_examples` with noise
  c.slow_strength = 0.4  # beta_d
  c.fast_strength = 1.0  # beta_e
  c.fast_probability = 0.9  # alpha
  c.num_examples = 2000  # for training, and as many for testing
  c.num_patches = 3
  c.num_dims = 50
  c.noise_scale = 0.125  # standard deviation in each coordinate
  # Network and training.
  c.width = 40
  c.init_scale = 0.01  # ours
  c.learning_rate = 0.5  # ours: 5 times the toy code of the paper's ancestor
  c.num_steps = 20_000
  c.eval_every = 100  # steps, of curves
  c.rho = 0.02  # radius of SAM; to be compared with alignments of 0.02
  c.upsampling = 2.0  # weight of upsampled examples
  # What is noted at the first step at which it is true.
  c.fast_level = 0.5  # largest alignment of a neuron with the fast feature
  c.slow_level = 0.5  # the same for the slow feature
  c.more_fast_levels = ()
  c.loss_drops = ()  # shares of ln 2 that the training loss has lost
  c.curves = ()  # slow_alignment, alignment_gap, masked_accuracy
  c.report_steps = ()  # steps for rows of these, multiples of eval_every
  # USEFUL.
  c.cluster_drop = 0.01  # cluster when the loss has lost this share of ln 2
  c.proxy_steps = 400  # enough for that
  c.masked_accuracy = 0.95  # goal, on masked test examples
  return papers.config_of(c, VARIANTS, variant)


def _rho(value):
  return {'method': 'sam', 'rho': value}


def _k(value, arm='gd_masked'):
  return {'method': arm, 'upsampling': value}


# SAM learns both features at more equal times, and what that is made of.
_UNIFORM = {
    'more uniform in time': (
        'The larger the radius of SAM, the smaller the time to the slow '
        'feature over that to the fast.', monotone(
            'time_ratio', 'rho', 0, method='sam', increasing=False)),
    'in most seeds': (
        'The same, from each radius to the next, in most seeds.', all_of(*(
            every_seed(less('time_ratio', _rho(b), _rho(a)), .5)
            for a, b in itertools.pairwise(RADII['sweep_values'])))),
    'more uniform at equal progress': (
        'The larger the radius, the larger the slow alignment when the fast '
        'feature is learned.', monotone('slow_alignment', 'rho', 0,
                                        method='sam'))}
_SAID = 'Nguyen et al., 2024, '

CLAIMS = (
    *claims_of(f'{_SAID}theory of gradient descent', ('early',), {
        'fast feature first': (
            'When gradient descent has learned the fast feature, the slow '
            'alignment is at most 1.5 times its initial value, in the mean and '
            'in most seeds.', all_of(
                within('slow_growth', 'gd', 1, 1.5),
                every_seed(within('slow_growth', 'gd', 1, 1.5), .5)))}),
    *claims_of(f'{_SAID}theory of SAM', ('rho', 'rho_strong'), _UNIFORM),
    *claims_of('ours: a stronger reading of the theory', ('rho', 'rho_strong'),
               {'fast feature later': (
                   'SAM learns the fast feature later, by at least a half.',
                   ratio('time_fast', _rho(.02), _rho(0.), 1.5, np.inf)),
                'slow feature sooner': (
                    'SAM learns the slow feature in fewer steps.',
                    less('time_slow', _rho(.02), _rho(0.)))}, gated=False),
    *claims_of('ours: control', ('rho', 'rho_strong'), {'random direction': (
        'A perturbation of the same size in a random direction changes the '
        'ratio of times by at most 3 %.',
        ratio('time_ratio', 'sam_random', _rho(0.), .97, 1.03))}),
    *claims_of(
        'ours, the factor after a first look: a radius means nothing without '
        'the size of the weights', ('radii',), {'radius of image models': (
            'With the radius 0.05 SAM takes more than 5 times as long to the '
            'fast feature.',
            ratio('time_fast', _rho(.05), _rho(0.), 5, np.inf))}, gated=False),
    *claims_of('ours: follows from the gradient of the theory', ('upsampling',),
               {f'by {k:g}': (
                   f'Masked examples {k:g} times: the slow feature takes '
                   '(alpha + k (1 - alpha)) / k of the time, to 5 %.',
                   ratio('time_slow', _k(k), _k(1.),
                         .95 * (.9 + k * .1) / k, 1.05 * (.9 + k * .1) / k))
                for k in (2., 3., 5.)}),
    *claims_of('ours', ('upsampling',), {'adds to SAM': (
        'SAM on masked examples twice has a smaller ratio of times than either '
        'alone.', all_of(*(less('time_ratio', _k(2., 'sam_masked'), alone)
                           for alone in (_k(2.), _k(1., 'sam_masked')))))},
               gated=False),
    *claims_of(f'{_SAID}theory of SAM; stated after the rows', (
        'trajectories',), {
        'slow feature at equal progress': (
            'Whenever the fast feature is as far under SAM as under gradient '
            'descent, from 0.05 to 1, the slow one is farther.', all_of(*(
                greater('slow_alignment', *(
                    {'method': arm, 'fast_reached': level}
                    for arm in ('sam', 'gd')), split='train',
                        across=('step',))  # as progress is
                for level in TRAJECTORY)))}, gated=False),
    *claims_of(f'{_SAID}early separability', ('separability',), {
        f'separable early, {arm}': (
            'When the loss has lost 0.1 % of ln 2, clusters of the outputs '
            'within each class tell masked examples with an accuracy of at '
            'least 0.99.', within('cluster_accuracy', {
                'method': arm, 'loss_drop': .001}, .99, 1, split='train'))
        for arm in ('gd', 'sam')}, gated=('separable early, gd',)),
    *claims_of(f'{_SAID}method', ('useful',), {
        name: ('Training reaches 95 % accuracy on masked test inputs in fewer '
               f'steps {text}.', less(metric, a, b))
        for name, text, metric, a, b in (
            ('below GD', 'with USEFUL', 'steps_to_accuracy', 'gd_useful', 'gd'),
            ('below random', 'with USEFUL than with as many random examples '
             'upsampled', 'steps_to_accuracy', 'gd_useful', 'gd_random'),
            ('with all steps', 'with USEFUL, also if those before clustering '
             'count', 'total_steps', 'gd_useful', 'gd'),
            ('with SAM', 'with SAM and USEFUL than with SAM',
             'steps_to_accuracy', 'sam_useful', 'sam'),
            ('SAM alone', 'with SAM, without USEFUL', 'steps_to_accuracy',
             'sam', 'gd'))}, gated=('below GD', 'below random')),
)


def _over_descent(rows):
  """Each metric of SAM over that of radius 0, seed by seed.

  The radius is taken over the mean initial alignment, which gives it a meaning.
  """
  from assay.report import plots

  found = [r for r in rows if 'rho' in r and r['value']]
  size = np.mean([r['value'] for r in found
                  if r['metric'] == 'initial_alignment'] or np.nan)
  base = {(r['metric'], r['seed']): r['value'] for r in found if not r['rho']}
  over = [{k: v for k, v in r.items() if k != 'rho'} | {
      'rho / initial alignment': float(round(r['rho'] / size, 2)),
      'method': r['metric'], 'metric': 'value over that of GD',
      'value': r['value'] / base[r['metric'], r['seed']]} for r in found
          if r['metric'] != 'initial_alignment'
          and (r['metric'], r['seed']) in base]
  return plots.sweep(over, 'value over that of GD', 'rho / initial alignment',
                     state='last') if over else None


def _figure(rows, metric, over, split):
  """A metric over what is swept or noted along the way."""
  from assay.report import plots

  if any(r['metric'] == metric and r['split'] == split and over in r
         for r in rows):
    return plots.sweep(rows, metric, over, split=split, state='last')
  return None


def _times(rows):
  from assay.report import plots

  metric = rows[0]['metric']  # the first that the config names
  return plots.comparison([r for r in rows if r['split'] == 'test'], metric,
                          state='last')


FIGURES = {'over_descent': _over_descent, 'arms': _times} | {
    f'{metric}_by_{over}': functools.partial(
        _figure, metric=metric, over=over, split=split)
    for metric, over, split in (
        ('time_slow', 'upsampling', 'test'),
        ('time_ratio', 'upsampling', 'test'),
        ('slow_alignment', 'fast_reached', 'train'),
        ('cluster_accuracy', 'loss_drop', 'train'),
        ('alignment_gap', 'iteration', 'train'),
        ('masked_accuracy', 'iteration', 'masked'))}
