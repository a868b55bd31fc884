"""In-context uncertainty (Liu et al., 2024, arXiv 2405.15115).

  python -m experiments.icl_uncertainty \
    --config=configs/icl_uncertainty.py:small

The paper's prior, dimension, length and severities of shift could not be read
when this was written: they are ours, and no number of the paper is repeated.
Its claims are orderings against an exact predictor, which do not depend on
them. Variants without `small` in their name are for a GPU.
"""

from assay import papers

ABOUT = {
    'title': 'In-context uncertainty',
    'authors': 'Liu, Cai, Chen and Li',
    'published': '2024',
    'arxiv': '2405.15115',
    'idea': 'A transformer reads pairs (x, y) of a noisy linear function and '
            'predicts the mean and the standard deviation of the next y. The '
            'predictor that is best on average is known exactly, so every '
            'claim is a distance to it.',
}

VARIANTS = {
    'small': 'default: 2 inputs, 16 pairs, four kinds of positions',
    'small_covariates': 'the same, covariances drawn anew in training or not',
    'small_pools': 'the same, trained on 64 or on unlimited tasks',
    'full': '8 inputs, 44 pairs, four kinds of positions (GPU)',
    'covariates': '8 inputs, covariances drawn anew in training or not (GPU)',
    'pools': '8 inputs, trained on 64, 4096, 65536 or unlimited tasks (GPU)',
    'full_support': '8 inputs, a noise prior without bounds (GPU)',
    'smoke': 'seconds: 2 inputs, 8 pairs',
}

TRAINED = ('none', 'learned', 'segments', 'offsets')
REFERENCES = ('bayes', 'oracle', 'least_squares', 'ridge', 'nearest_neighbors')


def get_config(variant='small'):
  """The settings of one variant, locked."""
  c = papers.new_config('icl_uncertainty', VARIANTS, variant)
  # What is compared: positions of trained models, and predictors that are not.
  c.arms = TRAINED + REFERENCES
  c.num_seeds = 5  # planned before the run
  c.seed_varies = 'fresh'  # initialization, training tasks, test prompts
  c.scale = 'reduced'
  # Tasks.  # ours
  c.dimension = 2
  c.num_pairs = 16  # of a prompt in training
  c.test_pairs = 36  # of a prompt in testing, and rows of the position table
  c.noise_law = 'uniform'  # sigma in (low, high); or 'inverse_gamma'
  c.noise = (0.1, 1.0)  # or shape and scale of sigma^2
  c.num_tasks = 0  # in the pool of training; 0: each sequence has its own
  c.covariance = (-2.0, 2.0)  # range of log eigenvalues in arm `meta`
  # Model and training.
  c.width = 48
  c.num_layers = 3
  c.num_heads = 2
  c.batch_size = 32
  c.num_steps = 12_000
  c.learning_rate = 3e-3
  c.warmup = 0.05  # share of the steps
  c.clip_norm = 1.0
  c.largest_log_std = 6.0  # its absolute value is bounded softly
  # What is measured.
  c.num_prompts = 2048
  c.noise_shifts = (0.25, 0.5, 2 / 3, 1.5, 2.0, 4.0)
  c.weight_shifts = (1.5, 2.0, 3.0)
  c.covariate_shifts = ()
  c.segment_starts = (0, 10, 20)  # pairs, of arm `segments`

  if variant == 'small_covariates':
    c.arms = ('none', 'meta', *REFERENCES)
    c.covariate_shifts = ('doubled', 'halved', 'shifted', 'low_rank')
    c.noise_shifts = c.weight_shifts = ()
  if variant == 'small_pools':
    c.arms = ('none', *REFERENCES)
    c.sweep = 'num_tasks'
    c.sweep_values = (64, 0)
    c.swept_arms = ('none',)
    c.noise_shifts = c.weight_shifts = ()
  if variant in ('full', 'covariates', 'pools', 'full_support'):
    c.dimension = 8
    c.num_pairs = 44
    c.test_pairs = 100
    c.segment_starts = (0, 28, 56)
    c.width = 128
    c.num_layers = 6
    c.num_heads = 4
    c.batch_size = 128
    c.num_steps = 40_000
    c.learning_rate = 1e-3
    c.num_seeds = 3
  if variant == 'covariates':
    c.arms = ('none', 'meta', *REFERENCES)
    c.covariate_shifts = ('doubled', 'halved', 'shifted', 'low_rank')
    c.noise_shifts = c.weight_shifts = ()
  if variant == 'pools':
    c.arms = ('none', *REFERENCES)
    c.sweep = 'num_tasks'
    c.sweep_values = (64, 4096, 65_536, 0)
    c.swept_arms = ('none',)
  if variant == 'full_support':
    c.arms = ('none', *REFERENCES)
    c.noise_law = 'inverse_gamma'
    c.noise = (3.0, 1.0)
  if variant == 'smoke':
    c.arms = ('none', 'segments', 'bayes', 'least_squares')
    c.num_pairs = 8
    c.test_pairs = 12
    c.segment_starts = (0, 2, 4)
    c.width = 8
    c.num_layers = 1
    c.batch_size = 4
    c.num_steps = 16
    c.num_seeds = 2
    c.num_prompts = 32
    c.noise_shifts = (4.0,)
    c.weight_shifts = ()
  return c.lock()


REPORTED = {}  # see the docstring

METRICS = ('nll', 'nll_gap', 'rmse', 'rms_mean', 'rms_log_std', 'coverage_80')
# (metric, split) that the table shows beside those of the test set.
COLUMNS = (('nll_gap', 'beyond'), ('log_std_gap', 'noise x 4'),
           ('log_std_gap', 'noise x 0.25'), ('nll_gap', 'covariates'))
