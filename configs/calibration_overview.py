"""Training losses times calibrators: which folklore on calibration holds here.

  python -m experiments.calibration_overview \
    --config=configs/calibration_overview.py:fashion_mnist

No paper's table: each loss with the setting that its paper recommends, each
calibrator with the defaults of its module, one network and data set.
"""

from assay import papers
from assay.testbeds import vision_config

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
  c.net = vision_config.get_config(
      variant,
      # The losses: weights are beside cross entropy.
      smoothing=0.05, focal_gamma=3.0, mmce_weight=2.0, mdca_weight=1.0,
      margin=10.0, margin_weight=0.1, ranking_weight=1.0)
  # What is measured.
  c.shifts = ('blur', 'noise', 'contrast', 'flip', 'rotation')
  c.level = 3  # of 5
  c.num_bins = 15
  if variant == 'smoke':
    c.arms = ('cross_entropy', 'focal', 'correctness_ranking')
    c.calibrators = ('uncalibrated', 'temperature', 'isotonic')
    c.shifts = ('noise',)
    c.num_seeds = 2
  return c.lock()


REPORTED = {}  # see the docstring

METRICS = ('error', 'nll', 'ece', 'classwise_ece', 'auroc', 'mean_confidence')
# (metric, split) that the table shows beside those of the test set.
COLUMNS = (('ece', 'shifted'), ('nll', 'shifted'), ('auroc', 'shifted'))
