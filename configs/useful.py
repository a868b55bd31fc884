"""USEFUL (Nguyen et al., NeurIPS 2024, arXiv 2404.17768) and SAM on images.

  python -m experiments.useful --config=configs/useful.py:dominoes

The numbers of the paper's main tables are not repeated here: they could not be
read when this was written. `# ours` where the paper's setting is not known or
does not apply. `cifar10_*` need a GPU.
"""

from assay import papers

ABOUT = {
    'title': 'USEFUL: simplicity bias, SAM and the training distribution',
    'authors': 'Nguyen, Haddad, Gan and Mirzasoleiman',
    'published': 'NeurIPS 2024',
    'arxiv': '2404.17768',
    'idea': 'USEFUL trains for a few epochs, splits each class in two by the '
            "network's outputs, and trains again with one more copy of each "
            'example in the slower half. The claim is that data which are '
            'learned more uniformly generalize better, in distribution.',
}

VARIANTS = {
    'digits': 'default: dominoes of scikit-learn digits, no download',
    'dominoes': 'MNIST 0/1 above Fashion-MNIST pullover/coat, all arms',
    'dominoes_norm': 'the same with batch normalization',
    'dominoes_copies': 'the same, slow examples 2, 3, 5 times',
    'dominoes_epochs': 'the same, separated after 1 to 12 epochs',
    'fashion_mnist': 'Fashion-MNIST, 10,000 images',
    'cifar10_resnet18': "CIFAR-10, ResNet-18, the paper's recipe (GPU)",
    'cifar10_wrn': 'CIFAR-10, WRN-28-10, the recipe of the SAM paper (GPU)',
    'cifar10_noise': 'CIFAR-10, ResNet-18, 20 % of the labels wrong (GPU)',
    'cifar10_long_tail': 'CIFAR-10, ResNet-18, classes 1:10 (GPU)',
    'smoke': 'seconds: digits, three arms, three epochs',
}

ARMS = ('sgd', 'sam', 'asam', 'sgd_useful', 'sgd_random', 'sgd_fast',
        'sgd_oracle', 'sgd_weighted', 'sgd_equal_steps', 'sgd_jtt',
        'sam_useful')


def get_config(variant='digits'):
  """The settings of one variant, locked."""
  c = papers.new_config('useful', VARIANTS, variant)
  # What is compared.
  c.arms = ARMS
  c.num_seeds = 10  # planned before the run
  c.seed_varies = 'fixed_split'  # initialization and order
  c.scale = 'reduced'
  # Data.
  c.dataset = 'dominoes'
  c.fast = 'mnist'
  c.slow = 'fashion_mnist'
  c.fast_classes = ((0,), (1,))
  c.slow_classes = ((2,), (4,))  # pullover, coat
  c.alpha = 0.9  # share of examples that have the fast half
  c.split_sizes = (3000, 500, 2000)  # train, validation, test
  c.data_seed = 0
  c.label_noise = 0.0  # share of training labels that are wrong
  c.imbalance = 1.0  # largest class : smallest class in training
  c.augment = ''  # or 'crop_flip', 'crop_flip_cutout'
  # Model and training.
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
  # SAM.
  c.rho = 0.1
  c.asam_rho = 1.0
  c.asam_eta = 0.01  # of the authors' class; their script has 0
  c.group_size = 0  # examples that share a perturbation (m); 0: the batch
  c.decay_in_perturbation = False
  # USEFUL.
  c.separating_epoch = 0  # 0: the elbow of the training error
  c.elbow_epochs = 12  # trained to find it  # ours
  c.separate_with = 'same'  # optimizer before clustering: the arm's, or 'sgd'
  c.cluster_on = 'logits'  # or 'probabilities'; the paper does not say
  c.copies = 1  # more of each slow example
  c.jtt_copies = 4  # more of each misclassified example  # ours
  # What is measured.
  c.sharpness_examples = 2000  # 0: no sharpness
  c.sharpness_batch_size = 125
  c.sharpness_tolerance = 1e-3  # of eigenvalues, relative to the largest
  c.eval_batch_size = 1000
  # Tuning of sgd, sam and asam; the other arms take over their setting.
  c.trials = 0  # settings tried for each; 0 takes those above
  c.tuning_seeds = (100, 101, 102)

  if variant in ('digits', 'smoke'):
    c.fast = c.slow = 'digits'
    c.slow_classes = ((3, 5), (8, 9))
    c.split_sizes = (320, 40, 290)
    c.scale = 'not in the paper'
    c.batch_size = 16
    c.num_seeds = 5
    c.sharpness_examples = 320
    c.sharpness_batch_size = 160
    c.eval_batch_size = 320
    c.arms = ('sgd', 'sam', 'sgd_useful', 'sgd_random', 'sgd_oracle')
  if variant.startswith('dominoes'):
    c.scale = 'not in the paper'  # its data sets at a GPU's scale are
  if variant in ('dominoes', 'fashion_mnist'):
    c.trials = 4
  if variant == 'dominoes_norm':
    c.normalize = True
    c.arms = ('sgd', 'sam', 'sgd_useful', 'sgd_random', 'sam_useful')
    c.num_seeds = 5
  if variant in ('dominoes_copies', 'dominoes_epochs'):
    c.learning_rate = 0.02  # as tuned in `dominoes`
  if variant == 'dominoes_copies':
    c.arms = ('sgd', 'sgd_useful')
    c.swept_arms = ('sgd_useful',)
    c.sweep = 'copies'
    c.sweep_values = (1, 2, 4)
    c.num_seeds = 5
    c.sharpness_examples = 0
  if variant == 'dominoes_epochs':
    c.arms = ('sgd', 'sgd_useful')
    c.swept_arms = ('sgd_useful',)
    c.sweep = 'separating_epoch'
    c.sweep_values = (1, 2, 4, 8, 12)
    c.num_seeds = 5
    c.sharpness_examples = 0
  if variant == 'fashion_mnist':
    c.dataset = 'fashion_mnist'
    c.split_sizes = (10_000, 1000, 10_000)
    c.num_seeds = 5
    c.arms = ('sgd', 'sam', 'sgd_useful', 'sgd_random', 'sgd_equal_steps')
    c.scale = 'not in the paper'
  if variant.startswith('cifar10'):
    c.dataset = 'cifar10'
    c.split_sizes = (50_000, 0, 10_000)
    c.augment = 'crop_flip'
    c.model = 'resnet18'
    c.width = 64
    c.dtype = 'bfloat16'  # ours
    c.num_epochs = 200
    c.batch_size = 128
    c.learning_rate = 0.1
    c.schedule = 'piecewise'
    c.weight_decay = 5e-4
    c.separating_epoch = 8
    c.num_seeds = 5
    c.scale = 'as published'
    c.arms = ('sgd', 'sgd_useful', 'sam', 'sgd_random', 'sam_useful',
              'sgd_equal_steps')
  if variant == 'cifar10_wrn':
    c.model = 'wide_resnet28_10'
    c.augment = 'crop_flip_cutout'
    c.schedule = 'cosine'
    c.nesterov = True
    c.batch_size = 256
    c.rho = 0.05
    c.group_size = 32  # 256 examples on 8 devices
    c.decay_in_perturbation = True  # as the authors' code
    c.arms = ('sgd', 'sam')
    c.sharpness_examples = 0
  if variant == 'cifar10_noise':
    c.label_noise = 0.2
    c.num_seeds = 3
  if variant == 'cifar10_long_tail':
    c.imbalance = 10.0
    c.num_seeds = 3
  if variant == 'smoke':
    c.arms = ('sgd', 'sam', 'sgd_useful')
    c.split_sizes = (64, 16, 40)
    c.num_epochs = 3
    c.separating_epoch = 1
    c.num_seeds = 2
    c.width = 4
    c.sharpness_examples = 32
    c.sharpness_batch_size = 16
    c.eval_batch_size = 64
  return c.lock()


# The grid of tuned variants; sgd has its learning rate alone.  # ours
GRID = {
    'learning_rate': (0.02, 0.05, 0.1, 0.2),
    'rho': (0.05, 0.1, 0.2),
    'asam_rho': (0.5, 1.0, 2.0),
}

REPORTED = {}  # see the docstring

# (metric, split) that the table shows beside those of the test set.
COLUMNS = (('error', 'masked'), ('lambda_max', 'train'),
           ('learning_gap', 'train'), ('forgetting', 'train'))
