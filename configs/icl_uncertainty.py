"""In-context uncertainty (Liu et al., 2024, arXiv 2405.15115).

  python -m experiments.icl_uncertainty \
    --config=configs/icl_uncertainty.py:small

The paper's prior, dimension, length and severities of shift could not be read
when this was written: they are ours, and no number of the paper is repeated.
Its claims are orderings against an exact predictor, which do not depend on
them. Variants without `small` in their name are for a GPU.
"""

import functools

import numpy as np

from assay import papers
from assay.claims import all_of, claims_of, ratio, within
from assay.config import above
from assay.testbeds import bounds, networks

PAPER = papers.Paper(
    'In-context uncertainty', 'Liu, Cai, Chen and Li', '2024',
    arxiv='2405.15115', family='icl_prompt',
    idea='A transformer reads pairs (x, y) of a noisy linear function and '
         'predicts the mean and the standard deviation of the next y. The '
         'predictor that is best on average is known exactly, so every claim '
         'is a distance to it.')

REFERENCES = ('bayes', 'oracle', 'least_squares', 'flat_prior', 'ridge',
              'nearest_neighbors')

_PLAIN = dict(noise_shifts=(), weight_shifts=())
_COVARIATES = dict(
    arms=('none', 'meta', *REFERENCES),
    covariate_shifts=('doubled', 'halved', 'shifted', 'low_rank'))
_POOLS = dict(arms=('none', *REFERENCES), sweep='num_tasks',
              swept_arms=('none',))
_FULL = dict(
    dimension=8, num_pairs=44, test_pairs=100, segment_starts=(0, 28, 56),
    width=128, num_layers=6, num_heads=4, batch_size=128, num_steps=40_000,
    learning_rate=1e-3)

VARIANTS = papers.variants({
    'small': ('default: 2 inputs, 16 pairs, four kinds of positions', {}),
    'small_covariates': (
        'the same, covariances drawn anew in training or not',
        _COVARIATES | _PLAIN),
    'small_pools': ('the same, trained on 64 or on unlimited tasks',
                    _POOLS | _PLAIN | dict(sweep_values=(64, 0))),
    'full': ('8 inputs, 44 pairs, four kinds of positions (GPU)', _FULL),
    'covariates': (
        '8 inputs, covariances drawn anew in training or not (GPU)',
        _FULL | _COVARIATES | _PLAIN),
    'pools': (
        '8 inputs, trained on 64, 4096, 65536 or unlimited tasks (GPU)',
        _FULL | _POOLS | dict(sweep_values=(64, 4096, 65_536, 0))),
    'full_support': (
        '8 inputs, a noise prior without bounds (GPU)', _FULL | dict(
            arms=('none', *REFERENCES), noise_law='inverse_gamma',
            noise=(3.0, 1.0))),
    'smoke': ('seconds: 2 inputs, 8 pairs', dict(
        arms=('none', 'segments', 'bayes', 'least_squares'), num_pairs=8,
        test_pairs=12, segment_starts=(0, 2, 4), width=8, num_layers=1,
        batch_size=4, num_steps=16, num_seeds=2, num_prompts=32,
        noise_shifts=(4.0,), weight_shifts=())),
})


def get_config(variant='small'):
  """The settings of one variant, locked."""
  c = papers.new_config('icl_uncertainty', VARIANTS, variant)
  # What is compared: positions of trained models, and predictors that are not.
  c.arms = ('none', 'learned', 'segments', 'offsets', *REFERENCES)
  c.num_seeds = 5  # planned before the run
  c.seed_varies = 'fresh'  # initialization, training tasks, test prompts
  c.scale = 'reduced'
  c.net = networks.in_context_regression()
  # What is measured.
  c.num_prompts = 2048
  c.noise_shifts = (0.25, 0.5, 2 / 3, 1.5, 2.0, 4.0)
  c.weight_shifts = (1.5, 2.0, 3.0)
  c.covariate_shifts = ()
  return papers.config_of(c, VARIANTS, variant)

BOUNDS = bounds.IN_CONTEXT_REGRESSION | {
    'noise_shifts': above(0), 'weight_shifts': above(0)}


PUBLISHED = ()  # see the docstring

METRICS = ('nll', 'nll_gap', 'rmse', 'rms_mean', 'rms_log_std', 'coverage_80')
# (metric, split) that the table shows beside those of the test set.
COLUMNS = (('nll_gap', 'beyond'), ('rms_log_std', 'noise x 4'),
           ('rms_log_std', 'noise x 0.25'), ('nll_gap', 'covariates'))

# --- Claims ------------------------------------------------------------------

_claims = functools.partial(claims_of, 'Liu et al., 2024')
# Arms that were added to a variant were run later, with the same settings.
_LATER = ('run',)


def _in_distribution(variant, gap, spread, arm, mark=''):
  """Claims on one model."""
  departs = lambda by: ratio(
      'rms_log_std', {'method': arm, 'split': f'noise x {by:g}'},
      {'method': arm, 'split': 'test'}, 3, np.inf)
  return _claims((variant,), {
      f'near Bayes{mark}': (
          'In distribution the loss is that of the Bayes predictor, within '
          f'{gap} nats and never below it.', all_of(
              within('nll_gap', arm, 0, gap),
              within('nll_gap_in_standard_errors', arm, -3, np.inf))),
      f'instance by instance{mark}': (
          'The predicted standard deviation is that of the Bayes predictor, '
          f'prompt by prompt, within {spread} nats (root mean square).',
          within('rms_log_std', arm, 0, spread)),
      f'the prior is used{mark}': (
          'With few pairs the loss of a predictor that differs from that of '
          'Bayes in its prior alone, a flat one, exceeds it by three times as '
          'much as that of the transformer, or more.', ratio(
              'nll_gap', 'flat_prior', arm, 3, np.inf, group='few pairs',
              across=_LATER)),
      **{f'not Bayes where {what}{mark}': (
          f'On tasks four times {what} than in training, the log of the '
          'predicted standard deviation departs from that of the Bayes '
          'predictor (training prior), prompt by prompt, three times as far '
          'as in distribution, or more.',
          departs(by)) for by, what in ((4., 'noisier'), (.25, 'less noisy'))}})


def _beyond(variant):
  """Claims on positions that no training prompt had."""
  recovers = lambda what, arm: (
      f'Learned positions that start {what} in training lose a third of what '
      'plain ones do at unseen lengths, or less.',
      ratio('nll_gap', arm, 'learned', 0, 1 / 3, split='beyond',
            across=_LATER))
  return _claims((variant,), {
      'learned positions break': (
          'With learned positions the loss at positions that no training '
          'prompt had exceeds that of the Bayes predictor by three times as '
          'much as within, or more.', ratio(
              'nll_gap', {'method': 'learned', 'split': 'beyond'},
              {'method': 'learned', 'split': 'test'}, 3, np.inf)),
      'none go on': (
          'Without positions it does so by a third of what it does with '
          'learned ones, or less.',
          ratio('nll_gap', 'none', 'learned', 0, 1 / 3, split='beyond')),
      'segments recover': recovers('one of three segments', 'segments'),
      'offsets recover': recovers('anywhere in the table', 'offsets')})


def _pools(variant, large):
  """Claims on the number of tasks; `large` 0 for unlimited ones."""
  of = lambda size, pool: {'method': 'none', 'num_tasks': size,
                           'split': f'pool {pool}'}
  return _claims((variant,), {
      'a small pool is known': (
          'Trained on 64 tasks, on these the model is nearer to the Bayes '
          'predictor of the pool than to that of the continuous prior.',
          within('pool_excess', of(64, 64), -np.inf, 0)),
      'a large pool is not': (
          'Trained on ' + (f'{large:,}' if large else 'unlimited')
          + ' tasks, it is nearer to that of the continuous prior.',
          within('pool_excess', of(large, large or 64), 0, np.inf))})


CLAIMS = (
    # The paper's model has learned positions.
    *_in_distribution('small', 0.10, 0.25, 'learned'),
    *_in_distribution('small', 0.10, 0.25, 'none', ', no positions'),
    *_beyond('small'), *_pools('small_pools', 0),
    *_in_distribution('full', 0.05, 0.15, 'learned'),
    *_in_distribution('full', 0.05, 0.15, 'none', ', no positions'),
    *_beyond('full'), *_pools('pools', 65_536),
    *_in_distribution('full_support', 0.05, 0.15, 'none'),
    *_claims(('small_covariates', 'covariates'), {
        'drawn covariances help': (
            'Over four shifts of the covariates the loss exceeds that of the '
            'Bayes predictor by half as much, or less, if each training '
            'sequence had its own covariance.',
            ratio('nll_gap', 'meta', 'none', 0, 0.5, split='covariates'))}),
)

# --- Figures -----------------------------------------------------------------


def _by_position(rows, metric, without=()):
  from assay.report import plots

  mine = [row for row in rows if row['method'] not in without
          and (row['metric'], row['split']) == (metric, 'positions')]
  return plots.sweep(mine, metric, 'position', split='positions',
                     state='last') if mine else None


def _by_noise(rows, metric):
  from assay.report import plots

  moved = [row | {'noise': float(row['split'].split()[-1]),
                  'split': 'noise times a factor'} for row in rows
           if row['metric'] == metric and row['split'].startswith('noise x')]
  return plots.sweep(moved, metric, 'noise', split='noise times a factor',
                     state='last') if moved else None


FIGURES = {
    # Least squares has no variance at first, and then one without a mean.
    'nll_gap_by_position': functools.partial(
        _by_position, metric='nll_gap',
        without=('least_squares', 'flat_prior', 'bayes', 'oracle')),
    'log_std_by_position': functools.partial(_by_position, metric='log_std'),
    'rmse_by_position': functools.partial(_by_position, metric='rmse'),
    **{f'{metric}_by_noise': functools.partial(_by_noise, metric=metric)
       for metric in ('log_std', 'rms_log_std')},
}

LEAD = ('small', 'nll_gap_by_position')
