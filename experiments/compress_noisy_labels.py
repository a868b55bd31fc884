"""Chen et al. (2022): features in order of use, and labels that are wrong.

  python -m experiments.compress_noisy_labels
"""

import functools
import sys

import jax
import jax.numpy as jnp

from assay import cli
from assay.methods import nested_dropout
from assay.testbeds import vision_noise
from assay.testbeds.vision_noise import Arm


def dropped(rate):
  """`Head.change` of dropout: each feature is kept by itself."""
  return lambda key, z: z if key is None else jnp.where(
      jax.random.bernoulli(key, 1 - rate, z.shape), z / (1 - rate), 0)


def nested(eta, **more):
  """`Head.change` of nested dropout; of more than 2 eta features few are kept.

  The authors pick examples by as many features as a held-out set would choose.
  """
  return lambda key, z: jnp.where(
      jnp.arange(z.shape[1]) < 2 * eta, z, 0) if key is None else (
          nested_dropout.truncated(key, z, eta, **more))


ARMS = {
    'ce': Arm(),
    'decay': Arm('weight_decay'),
    'dropout': Arm('dropout', dropped),
    'nested': Arm('eta', nested, ordered=True),
    # A number of features for each example, where the paper has one a batch.
    'nested_each': Arm('eta', functools.partial(nested, each=True),
                       ordered=True),
    'low_rank': Arm('rank', rank=lambda rank: rank)}
ARMS |= {f'{name}_co': ARMS[name]._replace(pair=True, of=name)
         for name in ('ce', 'decay', 'dropout', 'nested')}
make_apply = vision_noise.make_apply(ARMS)


def run(config, study):
  """Trains every arm on every seed; returns the rows."""
  return vision_noise.run(config, study, ARMS)


if __name__ == '__main__':
  sys.exit(cli.main('compress_noisy_labels'))
