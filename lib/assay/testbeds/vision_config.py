"""What image classifiers depend on: values for `config.net`, without JAX."""

# A small convolutional network, for 28 x 28 pixels.
BASE = dict(
    # Data.
    dataset='fashion_mnist',
    split_sizes=(10_000, 5000, 5000),  # train, validation, test
    data_seed=0,
    augment='',  # or 'crop_flip', 'crop_flip_cutout'
    # Model.
    model='cnn',
    width=16,  # of the first convolution
    normalize=False,  # batch normalization, for 'cnn'
    dtype='float32',  # of the computation
    # Training: SGD.
    num_epochs=20,
    batch_size=64,
    learning_rate=0.05,
    schedule='cosine',  # or 'piecewise': a tenth after 50 % and 75 %
    momentum=0.9,
    nesterov=False,
    weight_decay=0.0,
    eval_batch_size=1000)

# What differs in other settings that several papers share.
DIGITS = dict(dataset='digits', split_sizes=(300, 700, 700), batch_size=20,
              eval_batch_size=700)
CIFAR10_RESNET18 = dict(
    dataset='cifar10', split_sizes=(45_000, 5000, 10_000), model='resnet18',
    width=64, augment='crop_flip', dtype='bfloat16', num_epochs=30,
    batch_size=128, learning_rate=0.1, weight_decay=5e-4)
SMOKE = DIGITS | dict(split_sizes=(60, 40, 30), num_epochs=3, width=4,
                      eval_batch_size=40)


def get_config(**fields):
  """An unlocked ConfigDict of `BASE`, with these fields in place, or more."""
  import ml_collections  # not where cards are only listed

  return ml_collections.ConfigDict(BASE | fields)
