"""Training losses times calibrators: which folklore on calibration holds here.

  python -m experiments.calibration_overview \
    --config=configs/calibration_overview.py:fashion_mnist

No paper's table: each loss with the setting that its paper recommends, each
calibrator with the defaults of its module, one network and data set.
"""

from assay import papers

ABOUT = {
    'title': 'Training losses times calibrators',
    'authors': '',
    'published': '',
    'arxiv': '',
    'idea': 'Each training loss meets each calibrator, in distribution and '
            "under shift, on one network and data set. This is no paper's "
            'table: it asks which folklore on calibration holds here.',
}

VARIANTS = {
    'digits': 'default: scikit-learn digits, no download',
    'fashion_mnist': 'Fashion-MNIST, 10,000 images, a small convolutional net',
    'cifar10_resnet18': 'CIFAR-10, 45,000 images, ResNet-18 (GPU)',
    'smoke': 'seconds: digits, three losses, three calibrators',
}


def get_config(variant='digits'):
  """The settings of one variant, locked."""
  c = papers.new_config('calibration_overview', VARIANTS, variant)
  # What is compared: losses in training, times calibrators.
  c.arms = ('cross_entropy', 'label_smoothing', 'brier', 'focal', 'mmce',
            'mdca', 'margin', 'correctness_ranking')
  c.calibrators = ('uncalibrated', 'temperature', 'ensemble_temperature',
                   'vector', 'matrix', 'isotonic', 'adaptive_temperature',
                   'correctness_aware')
  c.num_seeds = 5  # planned before the run
  c.seed_varies = 'fixed_split'  # initialization and order
  c.scale = 'not in the paper'
  # Data.
  c.dataset = 'fashion_mnist'
  c.split_sizes = (10_000, 5000, 5000)  # train, calibration, test
  c.data_seed = 0
  c.augment = ''  # or 'crop_flip'
  c.shifts = ('blur', 'noise', 'contrast', 'flip', 'rotation')
  c.level = 3  # of 5
  # The classifier.
  c.model = 'cnn'
  c.width = 16  # of the first convolution
  c.normalize = False  # batch normalization, for 'cnn'
  c.dtype = 'float32'  # of the computation
  c.num_epochs = 20
  c.batch_size = 64
  c.learning_rate = 0.05
  c.schedule = 'cosine'  # or 'piecewise': a tenth after 50 % and 75 %
  c.momentum = 0.9
  c.nesterov = False
  c.weight_decay = 0.0
  c.eval_batch_size = 1000
  # The losses: weights are beside cross entropy.
  c.smoothing = 0.05
  c.focal_gamma = 3.0
  c.mmce_weight = 2.0
  c.mdca_weight = 1.0
  c.margin = 10.0
  c.margin_weight = 0.1
  c.ranking_weight = 1.0
  # What is measured.
  c.num_bins = 15

  if variant in ('digits', 'smoke'):
    c.dataset = 'digits'
    c.split_sizes = (300, 700, 700)
    c.batch_size = 20
    c.eval_batch_size = 700
  if variant == 'cifar10_resnet18':
    c.dataset = 'cifar10'
    c.split_sizes = (45_000, 5000, 10_000)
    c.model = 'resnet18'
    c.width = 64
    c.augment = 'crop_flip'
    c.dtype = 'bfloat16'
    c.num_epochs = 30
    c.batch_size = 128
    c.learning_rate = 0.1
    c.weight_decay = 5e-4
  if variant == 'smoke':
    c.arms = ('cross_entropy', 'focal', 'correctness_ranking')
    c.calibrators = ('uncalibrated', 'temperature', 'isotonic')
    c.split_sizes = (60, 40, 30)
    c.shifts = ('noise',)
    c.num_epochs = 3
    c.num_seeds = 2
    c.width = 4
    c.eval_batch_size = 40
  return c.lock()


REPORTED = {}  # see the docstring

METRICS = ('error', 'nll', 'ece', 'classwise_ece', 'auroc', 'mean_confidence')
# (metric, split) that the table shows beside those of the test set.
COLUMNS = (('ece', 'shifted'), ('nll', 'shifted'), ('auroc', 'shifted'))
