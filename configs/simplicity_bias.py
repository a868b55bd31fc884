"""The theory of simplicity bias (Nguyen et al., NeurIPS 2024), exactly.

  python -m experiments.simplicity_bias --config=configs/simplicity_bias.py:rho

A slow and a fast feature, a two-layer cubic network, full-batch gradient
descent and SAM. The paper's figures do not give initialization, learning rate
and noise of every run: `# ours` where a value is a choice. Time to the fast
feature should come out near 71 steps in `rho`, to the slow one near 8700.
"""

from assay import papers

ABOUT = {
    'title': 'Simplicity bias in a network that theory can follow',
    'authors': 'Nguyen, Haddad, Gan and Mirzasoleiman',
    'published': 'NeurIPS 2024',
    'arxiv': '2404.17768',
    'idea': 'A two-layer cubic network learns a slow and a fast feature by '
            'full-batch gradient descent or SAM. What is compared is how '
            'gradients are taken and which examples weigh more.',
}

VARIANTS = {
    'rho': 'default: noise-free, a weak slow feature, SAM by its radius',
    'rho_strong': 'the same with a strong slow feature',
    'radii': 'radii up to those of image models',
    'early': 'gradient descent until the fast feature is learned',
    'upsampling': 'masked examples k times, with and without SAM',
    'trajectories': 'alignments at equal iteration and at equal progress',
    'separability': 'noisy data: clusters of the outputs by loss so far',
    'useful': 'noisy data: USEFUL from clusters to test accuracy',
    'smoke': 'seconds: noisy data, three arms',
}

REPORTED = {}  # no number of the paper's toy runs could be read

TIMES = ('time_fast', 'time_slow', 'time_ratio', 'slow_alignment',
         'initial_alignment')


def get_config(variant='rho'):
  """The settings of one variant, locked."""
  c = papers.new_config('simplicity_bias', VARIANTS, variant)
  # What is compared.
  c.arms = ('gd', 'sam')
  c.metrics = TIMES
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

  if variant in ('rho', 'rho_strong', 'radii'):
    c.arms = c.swept_arms = ('sam',)
    c.sweep = 'rho'
    c.sweep_values = (0.0, 0.005, 0.01, 0.02)  # 0 is gradient descent
  if variant in ('rho', 'rho_strong'):
    c.arms = ('sam', 'sam_random')
  if variant == 'rho_strong':
    c.slow_strength = 0.8
    c.num_steps = 2000
  if variant == 'radii':
    c.sweep_values = (0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06)
    c.metrics = ('time_fast', 'initial_alignment')
    c.num_steps = 2000
  if variant == 'early':
    c.arms = ('gd',)
    c.slow_strength = 0.2
    c.learning_rate = 0.1
    c.num_steps = 1000
    c.metrics = ('time_fast', 'slow_growth', 'initial_alignment')
  if variant == 'upsampling':
    c.arms = c.swept_arms = ('gd_masked', 'sam_masked')
    c.sweep = 'upsampling'
    c.sweep_values = (1.0, 2.0, 3.0, 5.0)
    c.metrics = ('time_fast', 'time_slow', 'time_ratio')
  if variant == 'trajectories':
    c.eval_every = 10
    c.more_fast_levels = (0.05, 0.1, 0.2, 1.0)
    c.curves = ('slow_alignment', 'alignment_gap')
    c.report_steps = (30, 60, 100, 150, 300, 1000, 5000, 10_000, 20_000)
    c.metrics = ('time_fast', 'time_slow')
  if variant == 'separability':
    c.scale = 'reduced'  # 2000 examples for 10 000
    c.noise = True
    c.slow_strength = 0.2
    c.num_steps = 200
    c.rho = 0.01
    c.loss_drops = (0.00001, 0.0001, 0.001, 0.01)
    c.metrics = ('time_fast',)
  if variant == 'useful':
    c.arms = ('gd', 'gd_useful', 'gd_random', 'sam', 'sam_useful')
    c.noise = True
    c.num_examples = 1000
    c.slow_strength = 0.6
    c.num_steps = 4000  # in a first run of 3000 one seed had not arrived
    c.eval_every = 20
    c.rho = 0.01
    c.curves = ('masked_accuracy',)
    c.metrics = ('steps_to_accuracy', 'total_steps')
    c.report_steps = (100, 300, 600, 1000, 1500, 2000, 3000, 4000)
  if variant == 'smoke':
    c.arms = ('gd', 'gd_useful', 'sam')
    c.noise = True
    c.curves = ('slow_alignment', 'alignment_gap', 'masked_accuracy')
    c.num_examples = 128
    c.num_dims = 8
    c.init_scale = 0.15
    c.fast_probability = 0.7
    c.slow_strength = 0.8
    c.num_steps = 16
    c.eval_every = 2
    c.proxy_steps = 8
    c.loss_drops = (0.01,)
    c.metrics = ('time_fast', 'total_steps', 'slow_alignment')
    c.masked_accuracy = 0.2
    c.report_steps = (8, 16)
    c.num_seeds = 2
  return c.lock()
