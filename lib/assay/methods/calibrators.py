"""Post-hoc calibration: maps from logits to log-probabilities, fitted apart.

A `Calibrator` is a pair of functions, so that arms are a dict and a loop:

    arms = {'temperature': temperature, 'ensemble': ensemble_temperature}
    for name, calibrator in arms.items():
      params = calibrator.fit(logits, labels)
      log_p = calibrator.apply(params, test_logits)

    logits: [N, C] float, finite; labels: [N] int in [0, C): arrays or lists,
      see `metrics.arguments`.
    params: a dict of arrays.
    log_p: [N, C] float32, log-probabilities of each row, normalized to 1e-5.

Those here and in `linear_maps` are fitted to the optimum: the start is fixed,
nothing is drawn, so the same data give the same parameters. They, and those of
`temperature_networks`, with one temperature per example, are pure and compiled
once for a shape; several splits are
`jax.vmap(temperature.fit)(logits [S, N, C], labels [S, N])`, and `apply` alike.
`binning` has those that run on the host.

Where accuracy is promised to stay (the temperatures and their ensemble), the
first argmax of each row is the first argmax of its logits, bit for bit, and
that of exp(log_p) too: what comes before it is kept below it by 4 roundings,
where dividing and subtracting would have made both equal.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from assay.metrics.arguments import check_scores, checked_first

LOWEST, HIGHEST = 0.01, 100.  # temperatures; what lies beyond is not found
BLOCK = 2**14  # logits of a block of rows: a pass should stay in the cache
NEWTON_STEPS, NEWTON_TOLERANCE = 50, 1e-4  # relative
BISECTIONS = 24  # of log T: to 6e-7, relative
LBFGS_STEPS, LBFGS_TOLERANCE = 1000, 1e-6  # of the largest slope


class Calibrator(NamedTuple):
  """A post-hoc calibrator.

  Attributes:
    fit: `(logits, labels, ...) -> params`; what else it takes has a default.
    apply: `(params, logits) -> log_p`.
  """
  fit: Callable
  apply: Callable


# --- One temperature ---------------------------------------------------------


@checked_first
@jax.jit
def fit_temperature(logits, labels, weights=None):
  """T that minimizes the mean of -w_i log softmax(z_i / T)_y.

  Temperature scaling (Guo et al., 2017). The objective is convex in 1 / T.
  Newton's method on its slope from T = 1, inside a bracket that every slope
  narrows; a step that leaves the bracket goes to its (geometric) middle. It
  ends after a step below 1e-4 of T, which leaves an error of some 1e-7. One
  pass over the logits a step and no copy of them: as a rule 4 to 8, at most 15
  in 3,000 random cases, never more than 50.

  An optimum beyond [`LOWEST`, `HIGHEST`] gives the bound: `LOWEST` if each
  label has the largest logit (the optimum is 0), `HIGHEST` if logits of labels
  are on average no better than others' (infinity). If all T are equal (all
  rows are constant, or all weights 0) T = 1. NaN gives NaN.

  Args:
    logits: z, [N, C] float.
    labels: y, [N] int in [0, C).
    weights: w, [N] float >= 0; only ratios matter; default: all equal.

  Returns:
    dict of temperature: [] float32.

  Example:
    >>> import jax.numpy as jnp, numpy as np
    >>> from assay.methods.calibrators import temperature
    >>> logits = jnp.log(jnp.array([[0.9, 0.1]] * 4))  # 0.9 is too sure:
    >>> params = temperature.fit(logits, jnp.array([0, 0, 0, 1]))  # 3 of 4
    >>> round(float(params['temperature']), 3)  # log 9 / T = log 3
    2.0
    >>> log_p = np.asarray(temperature.apply(params, logits[:1]))
    >>> print(np.exp(log_p).round(3))
    [[0.75 0.25]]
  """
  logits = checked(logits, labels)
  if weights is None:
    weights = jnp.ones(len(logits))
  if weights.shape != labels.shape:
    raise ValueError(f'weights {weights.shape} must be {labels.shape}, as the '
                     'labels.')
  weights = weights / jnp.maximum(jnp.sum(weights),
                                  jnp.finfo(jnp.float32).tiny)

  def ends(z, y):
    """Slopes in 1 / T as that goes to 0 and to infinity."""
    z = z - jnp.max(z)
    return jnp.mean(z) - z[y], -z[y]

  def moments(z, y, inverse):
    """Slope and curvature: mean - z_y, variance of z under softmax(z / T)."""
    z = z - jnp.max(z)
    p = jnp.exp(inverse * z)
    total = jnp.sum(p)
    mean = jnp.sum(z * p) / total
    return mean - z[y], jnp.sum(z * z * p) / total - mean * mean

  def step(state):
    count, inverse, _, low, high = state
    slope, curvature = by_row(lambda z, y: moments(z, y, inverse),
                              logits, labels)
    slope = jnp.sum(weights * slope)
    curvature = jnp.maximum(jnp.sum(weights * curvature), 0)
    low = jnp.where(slope < 0, inverse, low)
    high = jnp.where(slope > 0, inverse, high)
    # A step may go to a bound; there, a step beyond it is none.
    newton = jnp.where(slope == 0, inverse, inverse - slope / curvature)
    newton = jnp.clip(newton, 1 / HIGHEST, 1 / LOWEST)
    middle = jnp.sqrt(jnp.clip(low, 1 / HIGHEST, 1 / LOWEST)
                      * jnp.clip(high, 1 / HIGHEST, 1 / LOWEST))
    outside = (newton <= low) | (newton >= high)  # not if NaN, which stays
    return (count + 1, jnp.where(outside & (newton != inverse), middle, newton),
            inverse, low, high)

  def moves(state):
    count, inverse, before, *_ = state
    far = jnp.abs(inverse - before) > NEWTON_TOLERANCE * inverse
    return far & (count < NEWTON_STEPS)

  first, last = (jnp.sum(weights * s) for s in by_row(ends, logits, labels))
  # Where the end is known, the loop is left before the first pass.
  known = jnp.select([(first == 0) & (last == 0), last <= 0, first >= 0],
                     [1., 1 / LOWEST, 1 / HIGHEST], 0.)
  start = jnp.where(known > 0, known, 1.)
  before = jnp.where(known > 0, known, 0.)
  _, inverse, *_ = jax.lax.while_loop(
      moves, step, (0, start, before, jnp.zeros(()), jnp.full((), jnp.inf)))
  return {'temperature': 1 / inverse}


@checked_first
@jax.jit
def temperature_with_mean_confidence(logits, target):
  """T at which the mean of max softmax(z / T) is `target`, by bisection.

  The mean falls as T rises, from 1 (less at ties) to 1 / C. A control: what
  another method changes beside the level of its confidences shows against it.
  24 passes over the logits, no copy of them.

  Args:
    logits: z, [N, C] float.
    target: [] float; a bound is returned if it is out of reach.

  Returns:
    dict of temperature: [] float32 in [`LOWEST`, `HIGHEST`], for
    `temperature.apply`.
  """
  logits = checked(logits)

  def confidence(log_t):
    scale = jnp.exp(-log_t)
    return jnp.mean(by_row(
        lambda z: 1 / jnp.sum(jnp.exp(scale * (z - jnp.max(z)))), logits))

  def halve(_, bracket):
    low, high = bracket
    middle = (low + high) / 2
    above = confidence(middle) > target
    return jnp.where(above, middle, low), jnp.where(above, high, middle)

  low, high = jax.lax.fori_loop(
      0, BISECTIONS, halve,
      (jnp.log(jnp.float32(LOWEST)), jnp.log(jnp.float32(HIGHEST))))
  return {'temperature': jnp.exp((low + high) / 2)}


@checked_first
@jax.jit
def apply_temperature(params, logits):
  """log softmax(z / T); accuracy stays.

  Args:
    params: dict of temperature: [] or [N] float > 0.
    logits: z, [N, C] float.
  """
  logits = checked(logits)
  return keeping_top(scaled(logits, params['temperature']), logits)


@checked_first
@jax.jit
def class_balanced_weights(logits, labels):
  """[N] float32, 1 / (2 a) where right, 1 / (2 - 2 a) where wrong.

  a is the accuracy: right and wrong examples then count equally, as in
  `losses.correctness_aware`, and the mean is 1. All are 1 if a is 0 or 1.

  Example:
    >>> import jax.numpy as jnp, numpy as np
    >>> from assay.methods import calibrators
    >>> logits = jnp.array([[1., 0.]] * 4)  # all are taken for class 0
    >>> labels = jnp.array([0, 1, 1, 1])
    >>> weights = calibrators.class_balanced_weights(logits, labels)
    >>> print(np.asarray(weights).round(3))
    [2.    0.667 0.667 0.667]
  """
  logits = checked(logits, labels)
  right = jnp.argmax(logits, axis=1) == labels
  share = jnp.mean(right.astype(jnp.float32))
  group = jnp.where(right, share, 1 - share)
  return jnp.where((share > 0) & (share < 1), 0.5 / group, 1.)


# --- A mixture of temperatures -----------------------------------------------


@checked_first
@jax.jit
def fit_ensemble_temperature(logits, labels):
  """w of w_1 softmax(z / T) + w_2 softmax(z) + w_3 / C (Zhang et al., 2020).

  T is that of `fit_temperature`, then w on the simplex minimizes the mean NLL:
  in this order, as recalled from the authors' code. Convex in w; `minimized`
  over log w, from equal weights; a weight that should be 0 comes out at up to
  some 1e-3, as little is gained below. At T = 1 only w_1 + w_2 matters, and
  they come out equal.

  Args:
    logits: z, [N, C] float.
    labels: [N] int in [0, C).

  Returns:
    dict of temperature: [] float32; weights: [3] float32 >= 0, with sum 1.
  """
  t = fit_temperature(logits, labels)['temperature']
  logits = checked(logits, labels)

  def part(t):
    return jnp.take_along_axis(scaled(logits, t), labels[:, None], axis=1)

  uniform = jnp.full((len(logits), 1), -jnp.log(logits.shape[1]))
  parts = jnp.concatenate([part(t), part(jnp.ones(())), uniform], axis=1)

  def objective(u):
    return -jnp.mean(jax.nn.logsumexp(jax.nn.log_softmax(u) + parts, axis=1))

  return {'temperature': t,
          'weights': jax.nn.softmax(minimized(objective, jnp.zeros(3)))}


@checked_first
@jax.jit
def apply_ensemble_temperature(params, logits):
  """log(w_1 softmax(z / T) + w_2 softmax(z) + w_3 / C); accuracy stays."""
  logits = checked(logits)
  log_w = jnp.log(params['weights'])
  log_p = jnp.logaddexp(log_w[0] + scaled(logits, params['temperature']),
                        log_w[1] + scaled(logits, jnp.ones(())))
  log_p = jnp.logaddexp(log_p, log_w[2] - jnp.log(logits.shape[1]))
  return keeping_top(jax.nn.log_softmax(log_p), logits)


# --- Shared with the other calibrators ---------------------------------------


def checked(logits, labels=None):
  """The logits as float32 or wider; raises as `arguments.check_scores`."""
  check_scores(logits, labels)
  return jnp.asarray(logits, jnp.promote_types(logits.dtype, jnp.float32))


def scaled(logits, temperature):
  """log softmax(z / T), [N, C]; T [] or [N]. Constants go before dividing."""
  z = logits - jnp.max(logits, axis=1, keepdims=True)
  return jax.nn.log_softmax(z / jnp.reshape(temperature, (-1, 1)))


def keeping_top(log_p, logits):
  """`log_p` with the first argmax of the logits, whatever was rounded.

  For a `log_p` that rises with the logits of a row. Classes before the first
  argmax stay below it by 4 roundings, so that exp keeps it as well; those after
  it at most reach it, so that ties stay ties.
  """
  top = jnp.argmax(logits, axis=1, keepdims=True)
  peak = jnp.take_along_axis(log_p, top, axis=1)
  gap = 4 * jnp.finfo(log_p.dtype).eps * jnp.maximum(1, jnp.abs(peak))
  before = jnp.arange(logits.shape[1])[None] < top
  return jnp.minimum(log_p, jnp.where(before, peak - gap, peak))


def by_row(function, logits, *others):
  """`function` of each row, in blocks of some `BLOCK` logits.

  Three sums over exp(z) of all rows at once are written to memory and read
  again, which takes five times as long for 50,000 x 1,000 logits; blocks
  four times as large take twice as long.
  """
  rows = max(1, BLOCK // logits.shape[1])
  return jax.lax.map(lambda row: function(*row), (logits, *others),
                     batch_size=min(rows, len(logits)))


def minimized(objective, start):
  """Where a smooth convex function of a pytree is smallest, by L-BFGS.

  From `start`, until no slope exceeds `LBFGS_TOLERANCE`, or `LBFGS_STEPS`.
  Where the infimum is at infinity (separable data, a class without an example)
  it is approached until then.
  """
  solver = optax.lbfgs()
  value_and_grad = optax.value_and_grad_from_state(objective)

  def step(carry):
    params, state = carry
    value, grads = value_and_grad(params, state=state)
    updates, state = solver.update(grads, state, params, value=value,
                                   grad=grads, value_fn=objective)
    return optax.apply_updates(params, updates), state

  def moves(carry):
    state = carry[1]
    count = optax.tree.get(state, 'count')
    slope = optax.tree.norm(optax.tree.get(state, 'grad'), ord=jnp.inf)
    return (count == 0) | ((count < LBFGS_STEPS) & (slope > LBFGS_TOLERANCE))

  return jax.lax.while_loop(moves, step, (start, solver.init(start)))[0]


def _nothing(logits, labels):
  checked(logits, labels)
  return {}


@checked_first
@jax.jit
def _uncalibrated(params, logits):
  del params
  logits = checked(logits)
  return keeping_top(jax.nn.log_softmax(logits), logits)


uncalibrated = Calibrator(_nothing, _uncalibrated)
temperature = Calibrator(fit_temperature, apply_temperature)
ensemble_temperature = Calibrator(fit_ensemble_temperature,
                                  apply_ensemble_temperature)
