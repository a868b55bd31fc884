"""Correctness-aware calibration (Liu et al., 2024, arXiv 2404.13016).

  python -m experiments.correctness_aware \
    --config=configs/correctness_aware.py:cifar10

The numbers of the paper's tables are not repeated here: they could not be read
when this was written. Its networks are ImageNet's; ours are small and trained
here. `# ours` where the paper's setting is not known or does not apply.
`cifar10_resnet18` and `cifar10_wrn` need a GPU.
"""

from assay import papers

ABOUT = {
    'title': 'Correctness-aware calibration',
    'authors': 'Liu, Wang, Zou, Zou and Zheng',
    'published': '2024',
    'arxiv': '2404.13016',
    'idea': 'A network gives each example a temperature, trained such that '
            'confidence is near 1 where the prediction is right and near 0 '
            'where it is wrong. It is compared with the same network under '
            'other losses, and with other calibrators of the same logits.',
}

VARIANTS = {
    'digits': 'default: scikit-learn digits, no download',
    'cifar10': 'CIFAR-10, 12,000 images, a small convolutional network',
    'cifar10_early': 'the same after one epoch, most predictions wrong',
    'cifar10_resnet18': 'CIFAR-10, 45,000 images, ResNet-18 (GPU)',
    'cifar10_wrn': 'CIFAR-10, 45,000 images, WRN-28-4 (GPU)',
    'smoke': 'seconds: digits, five arms',
}

# Temperatures of the network g are named by its features and objective: `own`
# are the four largest probabilities, `copies` those of transformed copies.
ARMS = ('uncalibrated', 'temperature', 'temperature_balanced',
        'temperature_matched', 'ensemble_temperature', 'vector', 'matrix',
        'dirichlet', 'parameterized_temperature', 'adaptive_temperature',
        'isotonic', 'multi_isotonic', 'histogram', 'spline', 'own_ce', 'own_ca',
        'own_ca_balanced', 'copies_ce', 'copies_mse', 'copies_mdca',
        'copies_dca', 'copies_ca', 'copies_ca_balanced', 'copies_ca_released')


def get_config(variant='digits'):
  """The settings of one variant, locked."""
  c = papers.new_config('correctness_aware', VARIANTS, variant)
  # What is compared.
  c.arms = ARMS
  c.num_seeds = 5  # planned before the run
  c.seed_varies = 'fixed_split'  # initialization and order
  c.scale = 'reduced'
  # Data.
  c.dataset = 'cifar10'
  c.split_sizes = (12_000, 5000, 5000)  # train, calibration, test  # ours
  c.data_seed = 0
  c.augment = ''  # or 'crop_flip'
  c.shifts = ('blur', 'noise', 'contrast', 'flip', 'rotation')
  c.level = 3  # of 5
  # The classifier.  # ours
  c.model = 'cnn'
  c.width = 32  # of the first convolution
  c.normalize = False  # batch normalization, for 'cnn'
  c.dtype = 'float32'  # of the computation
  c.num_epochs = 18
  c.batch_size = 64
  c.learning_rate = 0.05
  c.schedule = 'cosine'  # or 'piecewise': a tenth after 50 % and 75 %
  c.momentum = 0.9
  c.nesterov = False
  c.weight_decay = 0.0
  c.eval_batch_size = 1000
  # The network g, the same for all its objectives.
  c.calibrator_steps = 600  # ours
  c.calibrator_learning_rate = 0.03  # ours
  c.calibrator_batch_size = 1000
  c.released_steps = 50  # 10 epochs of 5,000 examples, as in their code
  c.released_learning_rate = 1e-4
  # What is measured.
  c.num_bins = 15
  c.narrow_margin = 0.1  # p of the top class less that of the true  # ours

  if variant in ('digits', 'smoke'):
    c.dataset = 'digits'
    c.split_sizes = (300, 700, 700)
    c.scale = 'not in the paper'
    c.width = 16
    c.batch_size = 20
    c.num_epochs = 20
    c.eval_batch_size = 700
  if variant == 'cifar10_early':
    c.num_epochs = 1
    c.arms = ('uncalibrated', 'temperature', 'temperature_balanced', 'own_ca',
              'own_ca_balanced', 'copies_ce', 'copies_ca',
              'copies_ca_balanced')
  if variant in ('cifar10_resnet18', 'cifar10_wrn'):
    c.split_sizes = (45_000, 5000, 10_000)
    c.model = 'resnet18' if variant == 'cifar10_resnet18' else 'wide_resnet28_4'
    c.width = 64
    c.augment = 'crop_flip'
    c.dtype = 'bfloat16'
    c.num_epochs = 30
    c.batch_size = 128
    c.learning_rate = 0.1
    c.weight_decay = 5e-4
  if variant == 'smoke':
    c.arms = ('uncalibrated', 'temperature', 'isotonic', 'own_ca', 'copies_ca')
    c.split_sizes = (60, 40, 30)
    c.shifts = ('noise',)
    c.num_epochs = 3
    c.num_seeds = 2
    c.width = 4
    c.calibrator_steps = 4
    c.eval_batch_size = 40
  return c.lock()


REPORTED = {}  # see the docstring

METRICS = ('error', 'nll', 'ece', 'adaptive_ece', 'classwise_ece', 'ks',
           'top_label_brier', 'auroc')
# (metric, split) that the table shows beside those of the test set.
COLUMNS = (('ece', 'shifted'), ('auroc', 'shifted'),
           ('top_label_brier', 'shifted'))
