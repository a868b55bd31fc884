"""Linear regression in context: laws, tasks, sequences, tokens."""

import jax
import jax.numpy as jnp

from assay import keys
from assay.data.tasks import drawing
from assay.errors import UserError


def pool_key(seed):
  """Key of the pool of regression tasks of a seed, int32 []."""
  return keys.named(seed, 'pool')


# --- Laws --------------------------------------------------------------------


def uniform_noise(low, high):
  """Noise law sigma ~ U(low, high).

  Raises:
    UserError: not 0 <= low < high.
  """
  if not 0 <= low < high:
    raise UserError(f'low={low}, high={high}: need 0 <= low < high.')
  return lambda key: jax.random.uniform(
      key, (), jnp.float32, minval=low, maxval=high)


def inverse_gamma_noise(shape, scale):
  """Noise law sigma^2 ~ InvGamma(shape, scale), with mean scale / (shape - 1).

  Raises:
    UserError: a parameter is not positive.
  """
  if not min(shape, scale) > 0:
    raise UserError(f'shape={shape} and scale={scale} must be above 0.')
  return lambda key: jnp.sqrt(scale / jax.random.gamma(
      key, shape, (), jnp.float32))


def gaussian_weights(dimension, tau=1.):
  """Weight law w ~ N(0, tau^2 I), float32 [dimension]."""
  return lambda key: tau * jax.random.normal(key, (dimension,), jnp.float32)


def standard_covariates(dimension):
  """Covariate law x ~ N(0, I)."""
  return lambda key, num: jax.random.normal(
      key, (num, dimension), jnp.float32)


def covariance_factor(key, dimension, low=-2., high=2.):
  """A matrix F [d, d] with F F' = Q diag(e^u) Q', scaled to trace d.

  Q is a Haar rotation up to the signs of its columns, which the product does
  not show; u ~ U(low, high) for each column.
  """
  rotation_key, scale_key = jax.random.split(key)
  scales = jnp.exp(jax.random.uniform(
      scale_key, (dimension,), jnp.float32, minval=low, maxval=high))
  return drawing.rotation(rotation_key, dimension) * jnp.sqrt(
      scales / jnp.mean(scales))[None]


def random_covariance(dimension, low=-2., high=2.):
  """Covariate law N(0, F F') with a new `covariance_factor` per sequence."""

  def covariates(key, num):
    factor_key, key = jax.random.split(key)
    factor = covariance_factor(factor_key, dimension, low, high)
    x = jax.random.normal(key, (num, dimension), jnp.float32)
    return jnp.matmul(x, factor.T, precision=drawing.EXACT)

  return covariates


def scaled_covariates(covariates, factor):
  """The covariate law of factor * x."""
  return lambda key, num: factor * covariates(key, num)


def shifted_covariates(covariates, by=1.):
  """The covariate law of x + by in each coordinate.

  For laws with variance 1 (and mean 0) `by` is in standard deviations.
  """
  return lambda key, num: covariates(key, num) + by


def low_rank_covariates(dimension, rank):
  """Covariate law N(0, (d / rank) P), P on a new random subspace per sequence.

  The trace is d, as that of the standard law.

  Raises:
    UserError: the rank is not in 1 .. d.
  """
  if not 1 <= rank <= dimension:
    raise UserError(f'rank={rank} must be in 1 .. {dimension}.')

  def covariates(key, num):
    rotation_key, key = jax.random.split(key)
    basis = drawing.rotation(rotation_key, dimension)[:, :rank]
    x = (dimension / rank) ** 0.5 * jax.random.normal(
        key, (num, rank), jnp.float32)
    return jnp.matmul(x, basis.T, precision=drawing.EXACT)

  return covariates


# --- Tasks and sequences -----------------------------------------------------


def regression_task(weights, noise):
  """Task law `key -> (w [d], sigma [])`, the two independent."""

  def task(key):
    weight_key, noise_key = jax.random.split(key)
    return weights(weight_key), noise(noise_key)

  return task


def scaled(task, noise=1., weights=1.):
  """The task law of (weights * w, noise * sigma): a shift of the task."""

  def shifted(key):
    w, sigma = task(key)
    return weights * w, noise * sigma

  return shifted


def pooled(task, pool_key, num_tasks):
  """Task law that is uniform over N tasks drawn once, as in `pool`.

  Weights and noise come from one entry: drawn from two, they would have the
  continuous product law again.

  Args:
    task: law of an entry.
    pool_key: key of the pool.
    num_tasks: N, int32 [], may be traced; 0 gives a new task for each key.
  """

  def one_of(key):
    index_key, fresh = jax.random.split(key)
    index = drawing.below(index_key, (), jnp.maximum(num_tasks, 1))
    entry = jax.random.fold_in(pool_key, index)
    return task(jnp.where(num_tasks > 0, entry, fresh))

  return one_of


def pool(task, pool_key, num_tasks):
  """All tasks of a pool, for the predictor that knows them.

  Returns:
    (w [N, d], sigma [N]) float32, in the order of the index.
  """
  return jax.jit(jax.vmap(lambda index: task(jax.random.fold_in(
      pool_key, index))))(jnp.arange(num_tasks))


def regression_sequence(key, task, covariates, num_pairs):
  """Pairs of one task: y_t = w . x_t + sigma * N(0, 1).

  Args:
    key: typed key.
    task: task law.
    covariates: covariate law.
    num_pairs: T.

  Returns:
    dict of float32 x [T, d], y [T], w [d] and sigma [].
  """
  task_key, x_key, noise_key = jax.random.split(key, 3)
  w, sigma = task(task_key)
  x = covariates(x_key, num_pairs)
  noise = jax.random.normal(noise_key, (num_pairs,), jnp.float32)
  y = jnp.matmul(x, w, precision=drawing.EXACT) + sigma * noise
  return {'x': x, 'y': y, 'w': w, 'sigma': sigma}


def regression_prompts(key, task, covariates, num_prompts, num_pairs):
  """Sequences with a task each; the first of them do not depend on the number.

  Returns:
    A batch of `regression_sequence`: x [B, T, d], y [B, T], w [B, d] and
    sigma [B].
  """
  return jax.vmap(lambda key: regression_sequence(
      key, task, covariates, num_pairs))(
          keys.each(key, jnp.arange(num_prompts)))


def draw_regression(task, covariates, batch_size, num_pairs):
  """A `draw(shared, own, item, key)` of regression sequences.

  It reads, of one seed, own['num_tasks'] int32 [], 0 for a new task in each
  sequence or else the size of its pool, and own['pool_seed'] int32 []; the
  tasks are `pool(task, pool_key(seed), num_tasks)`. A sweep over pools is one
  program. The batch is that of `regression_prompts`.
  """

  def draw(shared, own, item, key):
    del shared, item
    law = pooled(task, pool_key(own['pool_seed']), own['num_tasks'])
    return regression_prompts(key, law, covariates, batch_size, num_pairs)

  return draw


def with_offset(draw, starts):
  """A draw whose batch has `offset` int32 [B], of the first token's position.

  Both tokens of a pair move together, by a number of pairs, one of `starts`,
  that is the same for a whole sequence. Without starts there is no offset.

  Args:
    draw: of sequences with x [B, T, d].
    starts: pairs, integers.
  """

  def drawn(shared, own, item, key):
    draw_key, offset_key = jax.random.split(key)
    batch = draw(shared, own, item, draw_key)
    if not len(starts):
      return batch
    chosen = jax.random.choice(offset_key, jnp.array(starts, jnp.int32),
                               (len(batch['x']),))
    return batch | {'offset': 2 * chosen}

  return drawn


def regression_tokens(x, y):
  """Two tokens per pair, (x_t, 0, 0) and then (0, y_t, 1).

  The last coordinate tells the two kinds apart. Predictions of y_t are read at
  the even positions, before y_t is seen.

  Args:
    x: [B, T, d] float.
    y: [B, T] float.

  Returns:
    [B, 2 T, d + 2] of the dtype of x.
  """
  num_prompts, num_pairs, dimension = x.shape
  questions = jnp.pad(x, ((0, 0), (0, 0), (0, 2)))
  answers = jnp.stack([y, jnp.ones_like(y)], axis=-1).astype(x.dtype)
  answers = jnp.pad(answers, ((0, 0), (0, 0), (dimension, 0)))
  return jnp.stack([questions, answers], axis=2).reshape(
      num_prompts, 2 * num_pairs, dimension + 2)
