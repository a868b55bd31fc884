"""One temperature per example: a small network from features to T.

    T = 0.1 + softplus(network(features)),   log p = log softmax(z / T)

The last layer starts such that T is near 1 and has a slope. All arms share
features, initialization, optimizer and batches, and differ in the objective
alone, any loss of `assay.losses`, which is averaged over a batch:

    correctness_aware.fit(logits, labels)                       the default
    correctness_aware.fit(logits, labels, objective=losses.brier)
    correctness_aware.fit(logits, labels, features)             of copies

`fit` is pure and compiled once for an objective and a shape. Objectives are
compared by identity: define a `functools.partial` once, not in each call. The
same data give the same bits; fits that are mapped over splits drift from single
ones, as rounding grows in training.
Calibrators and their contract are described in `calibrators`; accuracy stays,
as T > 0.

Example:
  >>> import jax.numpy as jnp, numpy as np
  >>> from assay.methods import temperature_networks as networks
  >>> logits = jnp.log(jnp.array([[0.9, 0.1]] * 14))
  >>> labels = jnp.array([0, 0, 0, 1] + [0] * 9 + [1])  # 3 of 4, then 9 of 10
  >>> features = jnp.array([[0.]] * 4 + [[1.]] * 10)  # tell which
  >>> params = networks.adaptive_temperature.fit(logits, labels, features)
  >>> found = networks.temperatures(params, features[3:5])
  >>> print(np.asarray(found).round(2))  # log 9 / log 3, and none needed
  [2. 1.]
"""

import functools

import jax
import jax.numpy as jnp
import optax

from assay import losses
from assay.methods import calibrators
from assay.metrics.arguments import checked_first
from assay.models import mlp

LOWEST, HIGHEST = 0.1, 10.  # of T: the floor, and the released code's ceiling
LARGEST = 10  # logits that parameterized temperature scaling reads
LEAST_ENTROPY = 1e-6  # as a share of log C; its logarithm is a feature
LEAST_STD = 1e-3  # features that differ less than this are not blown up


# --- Features ----------------------------------------------------------------


def top_class_features(logits, copies, k=4):
  """Probabilities, in copies of an image, of the original's k largest classes.

  The classes are those of the original, in descending order (equal logits: the
  lower index first), for every copy. The original's own probabilities are not
  among the features unless it is one of the copies. (Liu et al., 2024: three
  transformed copies, k = 4.)

  Args:
    logits: [N, C] float, of the original.
    copies: sequence of [N, C] float, logits of each copy.
    k: number of classes, >= 1; all C if there are fewer.

  Returns:
    [N, len(copies) min(k, C)] float32 in [0, 1], copy by copy.
  """
  logits = calibrators.checked(logits)
  if not len(copies) or k < 1:
    raise ValueError(f'{len(copies)} copies and k={k} give no feature.')
  for i, copy in enumerate(copies):
    if jnp.shape(copy) != logits.shape:
      raise ValueError(f'copies[{i}] {jnp.shape(copy)} must be '
                       f'{logits.shape}, as the logits of the original.')
  _, classes = jax.lax.top_k(logits, min(k, logits.shape[1]))
  return jnp.concatenate(
      [jnp.take_along_axis(jax.nn.softmax(calibrators.checked(copy)), classes,
                           axis=1) for copy in copies], axis=1)


def own_top_classes(logits):
  """[N, 4] largest probabilities, descending: without any copy."""
  return top_class_features(logits, [logits])


def largest_logits(logits):
  """[N, 10] largest logits, descending; all C if there are fewer."""
  return jax.lax.top_k(logits, min(LARGEST, logits.shape[1]))[0]


def log_entropy(logits):
  """[N, 1], log(entropy of softmax(z) / log C), at least log 1e-6."""
  log_p = jax.nn.log_softmax(logits)
  entropy = -jnp.sum(jnp.exp(log_p) * log_p, axis=1, keepdims=True)
  share = entropy / jnp.log(jnp.maximum(2., logits.shape[1]))
  return jnp.log(jnp.maximum(share, LEAST_ENTROPY))


# --- The network -------------------------------------------------------------


def network(features_of, hidden=(5,), clamp=False,
            objective=losses.cross_entropy):
  """A calibrator with one temperature per example.

  `fit(logits, labels, features=None, ...)` and `apply(params, logits,
  features=None)` take features [N, F] float, or `features_of(logits)`; see
  `fitted` for what else `fit` takes.

  Args:
    features_of: `[N, C] -> [N, F]`, what is read where no features are given.
    hidden: widths of hidden layers, with ReLU.
    clamp: T = clip(raw, 0.1, 10), features as they are and an initialization
      about raw = 0, as in the code of Liu et al. (2024). Many or all examples
      start at the floor, where the slope is 0: it may never move.
    objective: the default of `fit`.
  """

  def fit(logits, labels, features=None, *, objective=objective, seed=0,
          learning_rate=0.03, num_steps=600, batch_size=1000):
    return fitted(logits, labels, features, seed, learning_rate,
                  features_of=features_of, hidden=tuple(hidden), clamp=clamp,
                  objective=objective, num_steps=num_steps,
                  batch_size=batch_size)

  def apply(params, logits, features=None):
    return _applied(params, logits, features, features_of=features_of,
                    clamp=clamp)

  return calibrators.Calibrator(fit, apply)


@checked_first
@functools.partial(jax.jit, static_argnames=(
    'features_of', 'hidden', 'clamp', 'objective', 'num_steps', 'batch_size'))
def fitted(logits, labels, features, seed, learning_rate, *, features_of,
           hidden, clamp, objective, num_steps, batch_size):
  """Adam on the mean of `objective(z / T, labels)` over batches.

  Each epoch has its own order, N // B batches, and drops the rest; one batch
  of all if there are fewer than B. A fixed budget, not run to convergence: one
  step moves the output, and so T, by about the learning rate.

  Args:
    logits: z, [N, C] float.
    labels: [N] int in [0, C).
    features: [N, F] float, or None for `features_of(logits)`.
    seed: [] int, of initialization and order; the same for all objectives.
    learning_rate: [] float > 0, constant. In `network`'s `fit` 0.03 for 600
      steps, ours; the code of Liu et al. (2024) has 1e-4 and 10 epochs, with
      5,000 examples 50 steps, in which T barely moves.
    features_of, hidden, clamp: as in `network`.
    objective: `(logits [B, C], labels [B]) -> [B] or []`.
    num_steps: updates, >= 1.
    batch_size: B, >= 1; 1,000 as in their code.

  Returns:
    dict of mean, std: [F] float32; layers: a tuple of dicts of kernel, bias.
  """
  logits = calibrators.checked(logits, labels)
  features = _features(features, logits, features_of)
  init_key, order_key = jax.random.split(jax.random.key(seed))
  start = initial(init_key, features, hidden, clamp)
  fixed = {name: start[name] for name in ('mean', 'std')}
  tx = optax.adam(learning_rate)
  size = min(batch_size, len(logits))
  per_epoch = len(logits) // size
  num_epochs = -(-num_steps // per_epoch)

  def loss(layers, rows):
    t = temperatures(fixed | {'layers': layers}, features[rows], clamp)
    return jnp.mean(objective(logits[rows] / t[:, None], labels[rows]))

  def step(state, rows):
    layers, opt_state = state
    updates, opt_state = tx.update(jax.grad(loss)(layers, rows), opt_state)
    return (optax.apply_updates(layers, updates), opt_state), None

  def order(epoch):
    key = jax.random.fold_in(order_key, epoch)
    return jax.random.permutation(key, len(logits))[:per_epoch * size]

  batches = jax.lax.map(order, jnp.arange(num_epochs)).reshape(-1, size)
  layers = start['layers']
  (layers, _), _ = jax.lax.scan(step, (layers, tx.init(layers)),
                                batches[:num_steps])
  return fixed | {'layers': layers}


def initial(key, features, hidden=(5,), clamp=False):
  """Parameters before the first step.

  Weights and biases are PyTorch's, U(-1/sqrt(fan_in), 1/sqrt(fan_in)). With
  `clamp` this is all. Else features get mean 0 and standard deviation 1, as of
  units that see only positive numbers often all are dead; and the last layer
  has a tenth of these weights and the bias at which T = 1.

  Args:
    key: typed key [].
    features: [N, F] float.
    hidden: as in `network`, and so on.

  Returns:
    dict as `fitted` gives it.
  """
  num_features = features.shape[1]
  mean, std = jnp.zeros(num_features), jnp.ones(num_features)
  if not clamp:
    mean, std = jnp.mean(features, axis=0), jnp.std(features, axis=0)
    std = jnp.maximum(std, LEAST_STD)
  widths, layers = (num_features, *hidden, 1), []
  for i, (fan_in, fan_out) in enumerate(zip(widths, widths[1:], strict=False)):
    draw = mlp.fan_in_uniform(fan_in)
    kernel_key, bias_key = jax.random.split(jax.random.fold_in(key, i))
    layers.append({'kernel': draw(kernel_key, (fan_in, fan_out), jnp.float32),
                   'bias': draw(bias_key, (fan_out,), jnp.float32)})
  if not clamp:
    layers[-1] = {'kernel': layers[-1]['kernel'] / 10,
                  'bias': jnp.log(jnp.expm1(jnp.full(1, 1 - LOWEST)))}
  return {'mean': mean, 'std': std, 'layers': tuple(layers)}


def temperatures(params, features, clamp=False):
  """T of each example, [N] float32 > 0.

  Args:
    params: as `fitted` gives them.
    features: [N, F] float.
    clamp: as in `network`.
  """
  x = (features - params['mean']) / params['std']
  *hidden, last = params['layers']
  for layer in hidden:
    x = jax.nn.relu(x @ layer['kernel'] + layer['bias'])
  raw = (x @ last['kernel'] + last['bias'])[:, 0]
  if clamp:
    return jnp.clip(raw, LOWEST, HIGHEST)
  return LOWEST + jax.nn.softplus(raw)


@checked_first
@functools.partial(jax.jit, static_argnames=('features_of', 'clamp'))
def _applied(params, logits, features, *, features_of, clamp):
  logits = calibrators.checked(logits)
  features = _features(features, logits, features_of)
  if features.shape[1:] != params['mean'].shape:
    raise ValueError(f'features {features.shape} must have the '
                     f'{len(params["mean"])} columns of those in `fit`.')
  t = temperatures(params, features, clamp)
  return calibrators.keeping_top(calibrators.scaled(logits, t), logits)


def _features(features, logits, features_of):
  """[N, F] float32, as given or made from the logits."""
  if features is None:
    features = features_of(logits)
  if features.ndim != 2 or len(features) != len(logits):
    raise ValueError(f'features {features.shape} and logits {logits.shape} '
                     'must be [N, F] and [N, C].')
  return jnp.asarray(features, jnp.float32)


# --- The calibrators ---------------------------------------------------------

# The calibrator g of Liu et al. (2024); features of copies are an argument.
correctness_aware = network(own_top_classes,
                            objective=losses.correctness_aware)

# The same as released: T is clamped, and may be dead from the start.
correctness_aware_clamped = network(own_top_classes, clamp=True,
                                    objective=losses.correctness_aware)

# PTS (Tomani et al., 2022): two hidden layers of 5 on the 10 largest logits, as
# recalled. Theirs minimizes a squared calibration error of batches at a rate of
# 5e-5, as recalled; cross entropy and the rate are ours.
parameterized_temperature = network(largest_logits, hidden=(5, 5))

# T = 0.1 + softplus(a log H + b), H the entropy, after Balanya et al. (2024);
# the floor is ours.
adaptive_temperature = network(log_entropy, hidden=())
