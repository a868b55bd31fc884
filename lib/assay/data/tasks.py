"""Distributions of tasks for learning in context, as pure functions of a key.

A sequence shows examples of one task, and each sequence has its own task:
linear regression with an unknown noise level (Liu et al., 2024, arXiv
2405.15115), or images under a random projection and a random permutation of
the labels (Kirsch et al., 2022, arXiv 2212.04458). Tasks and sequences are
made inside the compiled step; not even a set of 2^25 tasks is stored, as task
k is a function of k.

A law is a function: a noise law `key -> sigma []`, a weight law `key -> w
[d]`, a task law `key -> (w, sigma)`, a covariate law `(key, num) -> x [num,
d]`. A change of a law takes a law and gives one.
"""

import jax
import jax.numpy as jnp
import numpy as np

from assay import keys
from assay.errors import UserError

# Indices below are for training, those from here on for unseen tasks.
FIRST_UNSEEN = np.uint32(2**31)
# TF32 products would be another task than that of a CPU.
EXACT = jax.lax.Precision.HIGHEST


def pool_key(seed):
  """Key of the pool of regression tasks of a seed, int32 []."""
  return keys.named(seed, 'pool')


def task_key(seed):
  """Key of the classification tasks of a seed, int32 []."""
  return keys.named(seed, 'tasks')


# --- Linear regression: laws -------------------------------------------------


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
  return _rotation(rotation_key, dimension) * jnp.sqrt(
      scales / jnp.mean(scales))[None]


def random_covariance(dimension, low=-2., high=2.):
  """Covariate law N(0, F F') with a new `covariance_factor` per sequence."""

  def covariates(key, num):
    factor_key, key = jax.random.split(key)
    factor = covariance_factor(factor_key, dimension, low, high)
    x = jax.random.normal(key, (num, dimension), jnp.float32)
    return jnp.matmul(x, factor.T, precision=EXACT)

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
    basis = _rotation(rotation_key, dimension)[:, :rank]
    x = (dimension / rank) ** 0.5 * jax.random.normal(
        key, (num, rank), jnp.float32)
    return jnp.matmul(x, basis.T, precision=EXACT)

  return covariates


# --- Linear regression: tasks and sequences ----------------------------------


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
    index = _below(index_key, (), jnp.maximum(num_tasks, 1))
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
  y = jnp.matmul(x, w, precision=EXACT) + sigma * noise
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


# --- Classification: tasks and sequences -------------------------------------


def task_index(key, num_tasks=0, unseen=False):
  """Index of a task, uint32 [].

  Args:
    key: typed key.
    num_tasks: K, int32 [], may be traced: uniform over 0 .. K - 1; 0 stands
      for all 2^31 indices of training.
    unseen: uniform over the 2^31 indices that training never uses, whatever
      num_tasks is.
  """
  if unseen:
    return FIRST_UNSEEN + _below(key, (), FIRST_UNSEEN)
  limit = jnp.asarray(num_tasks).astype(jnp.uint32)
  return _below(key, (), jnp.where(limit == 0, FIRST_UNSEEN, limit))


def projection_task(base_key, index, num_inputs, num_classes):
  """Task number `index`: a projection A and a permutation of the labels.

      x = A xbar,  A_ij ~ N(0, 1 / n);  y = permutation[ybar], uniform

  1 / n is the variance, so that normalized images keep their scale. The same
  index gives the same bits, alone or in a batch of any size, compiled or not.

  Args:
    base_key: typed key of all tasks.
    index: int32 or uint32 [], may be traced.
    num_inputs: n.
    num_classes: C.

  Returns:
    (A [n, n] float32, permutation [C] int32).
  """
  projection_key, label_key = jax.random.split(
      jax.random.fold_in(base_key, index))
  # Without barriers a compiler merges this factor with one inside of `normal`,
  # or of the caller, and rounds otherwise than where they are apart.
  apart = jax.lax.optimization_barrier
  normals = apart(jax.random.normal(
      projection_key, (num_inputs, num_inputs), jnp.float32))
  return (apart(normals * np.float32(num_inputs**-0.5)),
          _permutation(label_key, num_classes))


def classification_sequence(key, task, images, labels, length, num_distinct=0,
                            repeats=True):
  """Examples of one task, drawn independently and with replacement.

  Args:
    key: typed key.
    task: (A [n, n], permutation [C]), from `projection_task`.
    images: [N, n] float32, normalized.
    labels: [N] int in [0, C).
    length: T.
    num_distinct: D <= N. Above 0, and where `repeats` is true, the examples
      are drawn with replacement from D different images of the sequence, so
      that exact matches occur, and at most D images.
    repeats: bool [], may be traced.

  Returns:
    dict of x [T, n] float32 and y [T] int32.
  """
  projection, permutation = task
  row_key, few_key, choice_key = jax.random.split(key, 3)
  rows = _below(row_key, (length,), len(images))
  if num_distinct:
    few = _distinct(few_key, num_distinct, len(images))
    again = few[_below(choice_key, (length,), num_distinct)]
    rows = jnp.where(repeats, again, rows)
  x = jnp.matmul(images[rows], projection.T, precision=EXACT)
  return {'x': x, 'y': permutation[labels[rows]]}


def classification_prompts(key, base_key, images, labels, *, num_prompts,
                           length, num_classes, num_tasks=0, unseen=False):
  """Sequences to evaluate on: neither shared labels nor repeats.

  The splits of the paper, and one more, are choices of the arguments:
    seen task: unseen=False, images of the training split.
    unseen task: unseen=True, images of the test split.
    unseen data set: unseen=True, another data set's test split.
    seen task, test images: unseen=False, images of the test split.
  The first sequences do not depend on the number of them, unseen tasks not on
  `num_tasks`, and nothing on the key of training. The projections take
  num_prompts * n^2 floats; for large n call it with a few keys.

  Args:
    key: typed key of the sequences.
    base_key: that of training, `task_key(seed)`.
    images: [N, n] float32, normalized.
    labels: [N] int in [0, num_classes).
    num_prompts: B.
    length: T.
    num_classes: C.
    num_tasks: that of training, int32 [], may be traced; 0: unlimited.
    unseen: bool, see `task_index`.

  Returns:
    dict of x [B, T, n] float32, y [B, T] int32 and task [B] uint32.
  """
  none = np.zeros(num_prompts, bool)
  return _classification(
      key, base_key, images, labels, num_tasks, unseen, length, num_classes,
      none, np.arange(num_classes, dtype=np.int32), none, 0)


def draw_classification(batch_tasks, length, num_classes, bias=0.,
                        num_distinct=0, repeat_share=0.):
  """A `draw(shared, own, item, key)` of sequences with a task each.

  It reads shared['images'] [N, n] float32 and shared['labels'] [N] int and,
  of one seed, own['num_tasks'] int32 [], 0 for unlimited tasks, and
  own['task_seed'] int32 []. A sweep over `num_tasks` is one program.

  Args:
    batch_tasks: B, the tasks of a batch.
    length: T.
    num_classes: C.
    bias: in [0, 1]; the first round(bias * B) sequences have one permutation,
      fixed for the run, and still a projection of their own.
    num_distinct: D, the images of a sequence with repeats.
    repeat_share: in [0, 1], share of sequences with repeats, evenly spaced:
      0.5 is every second. A curriculum of ours, not the paper's.

  Returns:
    `draw`; its batch is x [B, T, n] float32, y [B, T] int32, task [B] uint32.

  Raises:
    UserError: a share is out of range; repeats of no image. `draw` raises it
      where there are fewer images than `num_distinct`.
  """
  if not (0 <= bias <= 1 and 0 <= repeat_share <= 1):
    raise UserError(f'bias={bias} and repeat_share={repeat_share} must be in '
                    '[0, 1].')
  if (num_distinct > 0) != (repeat_share > 0):
    raise UserError(f'num_distinct={num_distinct} and repeat_share='
                    f'{repeat_share}: set both above 0, or none.')
  biased = np.arange(batch_tasks) < round(bias * batch_tasks)
  # The small number is for products that should be whole.
  repeats = np.diff(np.floor(
      np.arange(batch_tasks + 1) * repeat_share + 1e-9)) > 0

  def draw(shared, own, item, key):
    del item
    if num_distinct > len(shared['images']):
      raise UserError(f'num_distinct={num_distinct} is more than the '
                      f"{len(shared['images'])} images; use fewer.")
    fixed = _permutation(
        keys.named(own['task_seed'], 'fixed labels'), num_classes)
    return _classification(
        key, task_key(own['task_seed']), shared['images'], shared['labels'],
        own['num_tasks'], False, length, num_classes, biased,
        fixed, repeats, num_distinct)

  return draw


def classification_tokens(x, y, num_classes):
  """Tokens (x_j, onehot(y_(j - 1))), zeros in place of the first label.

  Args:
    x: [B, T, n] float.
    y: [B, T] int in [0, num_classes).
    num_classes: C.

  Returns:
    [B, T, n + C] of the dtype of x.
  """
  seen = jax.nn.one_hot(y[:, :-1], num_classes, dtype=x.dtype)
  return jnp.concatenate(
      [x, jnp.pad(seen, ((0, 0), (1, 0), (0, 0)))], axis=-1)


# --- Images, generated and real ----------------------------------------------


def random_20(key, num_inputs, num_points=20, num_classes=10):
  """The set "Random": a few points N(0, I) with labels uniform at random.

  Nothing can be known of it but from its repetitions in a sequence.

  Returns:
    (images [num_points, num_inputs] float32, labels [num_points] int32).
  """
  image_key, label_key = jax.random.split(key)
  return (jax.random.normal(image_key, (num_points, num_inputs), jnp.float32),
          jax.random.randint(label_key, (num_points,), 0, num_classes))


def gaussian_clusters(key, num_examples, num_inputs, num_classes=10, std=0.7):
  """A class is N(center, std^2 I), with its center drawn from N(0, I).

  Args:
    key: typed key; also draws the centers, so that splits that are to share
      them must be rows of one call.
    num_examples: N.
    num_inputs: n.
    num_classes: C.
    std: within a class, >= 0.

  Returns:
    (images [N, n] float32, labels [N] int32 in [0, C), uniform).
  """
  center_key, label_key, noise_key = jax.random.split(key, 3)
  centers = jax.random.normal(
      center_key, (num_classes, num_inputs), jnp.float32)
  labels = jax.random.randint(label_key, (num_examples,), 0, num_classes)
  noise = jax.random.normal(noise_key, (num_examples, num_inputs), jnp.float32)
  return centers[labels] + std * noise, labels


def normalized(images):
  """Flat images with mean 0 and variance 1 over all pixels of all images.

  One scalar mean and one scalar standard deviation (ddof 0), those of this
  set: each set is normalized by its own, also where it is only evaluated.

  Args:
    images: [N, ...] number.

  Returns:
    [N, n] float32.

  Raises:
    UserError: all pixels are equal, or one is not finite.
  """
  images = np.asarray(images, np.float64).reshape(len(images), -1)
  mean, std = images.mean(), images.std()
  if not (np.isfinite(std) and std > 0):
    raise UserError(f'The pixels have mean {mean} and standard deviation '
                    f'{std}; they must be finite and differ.')
  return ((images - mean) / std).astype(np.float32)


def principal_components(train, num):
  """A projection onto the first principal components of the training images.

  All components are divided by one number, so that their mean square over the
  training images is 1: directions keep their relative scale.

  Args:
    train: [N, n] float.
    num: components, in 1 .. min(N, n).

  Returns:
    `project(images [M, n]) -> [M, num] float32`, for the images of any split.

  Raises:
    UserError: too many components, or images without variance.
  """
  train = np.asarray(train, np.float64)
  if not 1 <= num <= min(train.shape):
    raise UserError(f'num={num} must be in 1 .. {min(train.shape)}.')
  mean = train.mean(axis=0, keepdims=True)
  _, singular, axes = np.linalg.svd(train - mean, full_matrices=False)
  scale = np.sqrt(np.sum(singular[:num] ** 2) / (num * len(train)))
  if not scale > 0:
    raise UserError('All training images are equal and have no principal '
                    'components; use other images.')
  axes = axes[:num]
  # The sign of a component is arbitrary: its largest weight is positive.
  largest = np.abs(axes).argmax(axis=1)
  axes = axes * np.sign(axes[np.arange(num), largest])[:, None]
  return lambda images: (
      (np.asarray(images, np.float64) - mean) @ axes.T / scale).astype(
          np.float32)


# --- Helpers -----------------------------------------------------------------


def _classification(key, base_key, images, labels, num_tasks, unseen, length,
                    num_classes, biased, fixed, repeats, num_distinct):
  """Sequences; `biased` and `repeats` [B] bool, `fixed` [C] a permutation."""

  def one(key, biased, repeats):
    index_key, key = jax.random.split(key)
    index = task_index(index_key, num_tasks, unseen)
    projection, permutation = projection_task(
        base_key, index, images.shape[1], num_classes)
    task = projection, jnp.where(biased, fixed, permutation)
    return classification_sequence(
        key, task, images, labels, length, num_distinct, repeats) | {
            'task': index}

  images, labels = jnp.asarray(images), jnp.asarray(labels)
  each = keys.each(key, jnp.arange(len(biased)))
  return jax.vmap(one)(each, biased, repeats)


def _below(key, shape, limit):
  """Integers in [0, limit), uint32.

  The rest of 32 random bits: frequencies are equal to limit / 2^32, exactly
  so for powers of two. `randint` takes twice as many and compiles twice as
  long.
  """
  return jax.random.bits(key, shape, jnp.uint32) % jnp.asarray(
      limit, jnp.uint32)


def _permutation(key, num):
  """A uniform permutation of 0 .. num - 1, int32: ranks of random numbers.

  For the few classes of a task this is a fraction of the time of a sort.
  """
  bits = jax.random.bits(key, (num,), jnp.uint32)
  less = bits[None] < bits[:, None]
  tied = (bits[None] == bits[:, None]) & np.tri(num, k=-1, dtype=bool)
  return jnp.sum(less | tied, axis=1, dtype=jnp.int32)


def _distinct(key, num, total):
  """`num` different numbers below `total`, each set of them equally likely.

  Floyd's algorithm: no permutation of all, which may be many.
  """
  lasts = np.arange(total - num, total, dtype=np.uint32)
  numbers = _below(key, (num,), lasts + np.uint32(1))
  chosen = []
  for number, last in zip(numbers, lasts, strict=True):
    taken = jnp.any(jnp.array([number == c for c in chosen], bool))
    chosen.append(jnp.where(taken, last, number))
  return jnp.stack(chosen)


def _rotation(key, dimension):
  """An orthogonal matrix [d, d], Haar up to the signs of its columns."""
  return jnp.linalg.qr(jax.random.normal(
      key, (dimension, dimension), jnp.float32))[0]
