"""What the fields of networks and of their data may be, testbed by testbed.

A card joins its testbed's table with one of its own fields; the command checks
both before anything is written, see `assay.config.check`.
"""

import math

from assay.config import above, among, between

COUNT = between(1, 10**9)
SHARE = between(0, 1)
RATE = above(0)

TABULAR = {
    # Rows to train on, hold out and test on.
    'split_sizes': between(1, 10**9, (3, 3)),
    'normalize': among('all', 'train'), 'width': between(1, 10**5),
    'initialization': among('fan_in_uniform', 'lecun_normal'),
    'batch_size': COUNT, 'num_epochs': COUNT, 'learning_rate': RATE}
# Of images in place of a table.
TABULAR_IMAGES = {
    'model': among('resnet8', 'resnet18'),
    'data_seed': between(0, 2**31 - 1), 'dtype': among('float32', 'bfloat16')}

# Of windows of series, and of LSTNet.
SERIES = {name: TABULAR[name] for name in (
    'split_sizes', 'normalize', 'width', 'batch_size', 'num_epochs',
    'learning_rate')} | {
        'window': COUNT, 'horizon': COUNT, 'num_filters': between(1, 10**5),
        'kernel_size': COUNT, 'skip': between(0, 10**9),
        'skip_width': between(1, 10**5), 'highway': between(0, 10**9),
        'dropout': between(0, 0.99)}

# The names are those of `vision_nets` and `data.corruptions`, which need JAX.
VISION = {
    'model': among('cnn', 'mlp', 'resnet8', 'resnet20', 'resnet18', 'resnet34',
                   'wide_resnet28_4', 'wide_resnet28_10', 'vgg19',
                   'densenet121'),
    'split_sizes': between(0, 10**9, (3, 3)),
    'data_seed': between(0, 2**31 - 1),
    'augment': among('', 'crop_flip', 'crop_flip_cutout', 'crop_flip_jitter',
                     'shift_jitter'),
    'width': between(1, 10**5), 'dtype': among('float32', 'bfloat16'),
    'num_epochs': COUNT, 'batch_size': COUNT, 'learning_rate': RATE,
    'schedule': among('cosine', 'piecewise'), 'momentum': between(0, 1),
    'weight_decay': between(0, 1e6), 'eval_batch_size': COUNT}

# Of images that are shifted, and of what is measured there.
SHIFTED = {
    'shifts': among('blur', 'noise', 'contrast', 'flip', 'rotation'),
    'level': between(1, 5), 'num_bins': between(1, 10**5)}

# Known classes, and unknown images; the names are those of `ood_data.SETS`.
UNKNOWN = among('other_classes', 'shuffled', 'scrambled', 'uniform_noise',
                'gaussian_noise', 'cifar10', 'svhn_cropped', 'mnist',
                'fashion_mnist', 'kmnist', 'notmnist', 'cifar100')
OOD = VISION | SHIFTED | {
    'model': among('cnn', 'resnet8', 'resnet20', 'resnet18', 'resnet34'),
    'known': between(0, 10**4, (2, 10**4)),
    'near': UNKNOWN._replace(length=(1, 100)),
    'far': UNKNOWN._replace(length=(1, 100)), 'num_unknown': COUNT,
    'learning_rates': RATE}

# Of turned images.
VISION_LABELS = VISION | {
    'num_labels': between(2, 1000), 'degrees': between(-360, 360),
    'classes': between(0, 10**4)}

# Of images of which some are harder, and of the sharpness there.
VISION_GROUPS = {
    'alpha': SHARE, 'label_noise': SHARE, 'imbalance': between(1, 1e6),
    'fast_classes': between(0, 10**4), 'slow_classes': between(0, 10**4)}
SHARPNESS = {
    'sharpness_examples': between(0, 10**9), 'sharpness_batch_size': COUNT,
    'sharpness_tolerance': above(0, 1)}

# Of a transformer and its training.
_SEQUENCES = {
    'width': between(1, 10**5), 'num_layers': between(1, 1000),
    'num_heads': between(1, 10**4), 'learning_rate': RATE,
    'clip_norm': above(0), 'num_steps': COUNT, 'num_prompts': COUNT}

TINY_LM = _SEQUENCES | {
    'positions': among('none', 'learned', 'sinusoidal', 'rotary', 'relative'),
    'initialization': among('lecun', 'width', 'gpt2'), 'max_length': COUNT,
    'max_distance': COUNT, 'num_examples': between(0, 2**31 - 1),
    'loss_on': among('completion', 'all'),
    'pack': among('none', 'isolated', 'open'),
    'row_length': between(0, 10**6), 'starts': COUNT, 'batch_size': COUNT,
    'adam_b2': above(0, 1), 'weight_decay': between(0, 1e6), 'warmup': SHARE}

IN_CONTEXT_IMAGES = _SEQUENCES | {
    'classes': between(0, 9, (2, 10)), 'reduce': among('components', 'pixels'),
    'num_inputs': between(1, 10**6), 'length': between(2, 10**6),
    'num_tasks': between(1, math.inf), 'batch_tasks': COUNT, 'bias': SHARE,
    'repeat_share': SHARE, 'num_distinct': between(0, 10**6),
    'head_size': between(1, 10**4), 'dtype': among('float32', 'bfloat16'),
    'adam_eps': above(0, 1), 'warmup_steps': between(0, 10**9),
    'eval_every': COUNT}

IN_CONTEXT_REGRESSION = _SEQUENCES | {
    'dimension': between(1, 10**4), 'num_pairs': between(1, 10**6),
    'test_pairs': between(1, 10**6), 'noise_law': among(
        'uniform', 'inverse_gamma'), 'noise': above(0, length=(2, 2)),
    'num_tasks': between(0, 2**31 - 1), 'covariance': between(
        -100, 100, (2, 2)), 'segment_starts': between(0, 10**6, (1, 100)),
    'batch_size': COUNT, 'warmup': SHARE, 'largest_log_std': above(0, 100)}

META = {
    'num_support': between(1, 10**6), 'num_query': between(1, 10**6),
    'batch_tasks': COUNT, 'width': between(1, 10**5),
    'num_steps': COUNT, 'learning_rate': RATE, 'inner_steps': between(0, 10**4),
    'inner_learning_rate': above(0, 1e6), 'eval_every': COUNT,
    'side': between(1, 10**4), 'num_objects': between(1, 10**9, (3, 3)),
    'num_views': between(2, 10**4), 'degrees': above(0, 360),
    'data_seed': between(0, 2**31 - 1), 'test_tasks': between(2, 10**9),
    'test_steps': between(0, 10**4)}
