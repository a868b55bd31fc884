"""Images under random projections and permuted labels, and their images."""

import jax
import jax.numpy as jnp
import numpy as np

from assay import keys
from assay.data.tasks import drawing
from assay.errors import UserError

# Indices below are for training, those from here on for unseen tasks.
FIRST_UNSEEN = np.uint32(2**31)


def task_key(seed):
  """Key of the classification tasks of a seed, int32 []."""
  return keys.named(seed, 'tasks')


# --- Tasks and sequences -----------------------------------------------------


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
    return FIRST_UNSEEN + drawing.below(key, (), FIRST_UNSEEN)
  limit = jnp.asarray(num_tasks).astype(jnp.uint32)
  return drawing.below(key, (), jnp.where(limit == 0, FIRST_UNSEEN, limit))


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
          drawing.permutation(label_key, num_classes))


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
  rows = drawing.below(row_key, (length,), len(images))
  if num_distinct:
    few = drawing.distinct(few_key, num_distinct, len(images))
    again = few[drawing.below(choice_key, (length,), num_distinct)]
    rows = jnp.where(repeats, again, rows)
  x = jnp.matmul(images[rows], projection.T, precision=drawing.EXACT)
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
    fixed = drawing.permutation(
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
