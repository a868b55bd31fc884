"""Patches with a slow and a fast feature: the toy data of simplicity bias.

An input is a set of patches in R^d. One holds the slow feature, always; one
holds the fast feature or, in the masked examples, nothing; all others are
noise (the model of Nguyen et al., 2024).
"""

import jax
import jax.numpy as jnp
import numpy as np

from assay.errors import UserError


def patches(key, num_examples, *, num_patches, num_dims, slow_strength,
            fast_strength, fast_probability, noise_scale):
  """Labeled sets of patches in random order.

      slow_strength * y * v_slow  always
      fast_strength * y * v_fast  with `fast_probability`, else zeros
      noise_scale * N(0, I)       all other patches

  The fast feature is never wrong, only missing: the label is not noisy.

  Args:
    key: typed key; also draws the directions, so that all splits that are to
      share them must be rows of one call.
    num_examples: N.
    num_patches: P >= 2.
    num_dims: d >= 2.
    slow_strength: beta_d of the paper, >= 0.
    fast_strength: beta_e of the paper, >= 0.
    fast_probability: alpha of the paper, in [0, 1].
    noise_scale: standard deviation of the noise in each coordinate.

  Returns:
    float32 x [N, P, d], float32 y [N] in {-1, 1}, bool has_fast [N] and
    float32 directions [2, d], orthonormal: v_slow, v_fast.

  Raises:
    UserError: too few patches or dimensions, or no probability.
  """
  if min(num_patches, num_dims) < 2 or not 0 <= fast_probability <= 1:
    raise UserError(
        f'num_patches={num_patches}, num_dims={num_dims}, fast_probability='
        f'{fast_probability}: must be at least 2, at least 2, and in [0, 1].')
  direction_key, y_key, mask_key, noise_key, order_key = jax.random.split(
      key, 5)
  q, r = jnp.linalg.qr(jax.random.normal(
      direction_key, (num_dims, 2), jnp.float32))
  directions = (q * jnp.sign(jnp.diag(r))).T  # as Gram and Schmidt's
  y = jax.random.rademacher(y_key, (num_examples,), jnp.float32)
  has_fast = jax.random.bernoulli(mask_key, fast_probability, (num_examples,))
  strengths = jnp.stack([jnp.full(num_examples, slow_strength),
                         fast_strength * has_fast], axis=1).astype(jnp.float32)
  features = (strengths * y[:, None])[..., None] * directions[None]
  noise = noise_scale * jax.random.normal(
      noise_key, (num_examples, num_patches - 2, num_dims), jnp.float32)
  order = jnp.argsort(jax.random.uniform(
      order_key, (num_examples, num_patches)), axis=1)
  x = jnp.take_along_axis(jnp.concatenate([features, noise], axis=1),
                          order[..., None], axis=1)
  return {'x': x, 'y': y, 'has_fast': has_fast, 'directions': directions}


def population(*, slow_strength, fast_strength, fast_probability):
  """The law of noise-free patches as two weighted examples in R^2.

  A network that is odd in its input has the same y f(x) for both labels, so
  y = 1 stands for both; without noise only the two directions matter.

  Returns:
    As `patches`, with N = P = d = 2, and float32 weight [2], whose mean is 1:
    the mean of weight * loss is the expected loss.
  """
  x = np.zeros((2, 2, 2), np.float32)
  x[:, 0, 0], x[0, 1, 1] = slow_strength, fast_strength
  weight = 2 * np.array([fast_probability, 1 - fast_probability], np.float32)
  return {'x': x, 'y': np.ones(2, np.float32),
          'has_fast': np.array([True, False]),
          'directions': np.eye(2, dtype=np.float32), 'weight': weight}


def own_splits(seeds, num_examples, law, size=None):
  """What belongs to each of S seeds: training and test examples of one law.

  Args:
    seeds: S integers.
    num_examples: n to train on, and as many to test on.
    law: slow_strength, fast_strength, fast_probability.
    size: num_patches, num_dims, noise_scale; None: the `population`, which is
      trained and tested on.

  Returns:
    As `patches` with a leading axis [S], `weight` [S, n] with mean 1, and
    test_x, test_y, test_has_fast.
  """
  own = []
  for seed in seeds:
    if size is None:
      data = population(**law)
      own.append(data | {f'test_{k}': data[k] for k in ('x', 'y', 'has_fast')})
      continue
    data = jax.device_get(patches(
        jax.random.fold_in(jax.random.key(seed), 1), 2 * num_examples, **law,
        **size))
    more = {'directions': data.pop('directions'),
            'weight': np.ones(num_examples, np.float32)}
    own.append({k: v[:num_examples] for k, v in data.items()} | more
               | {f'test_{k}': v[num_examples:] for k, v in data.items()})
  return {k: np.stack([one[k] for one in own]) for k in own[0]}
