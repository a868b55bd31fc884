"""Sharpness: eigenvalues and trace of the Hessian of a training loss.

The loss is `loss(params, batch) -> []`, the mean over the examples of a batch,
in float32. It has to be a fixed smooth function of `params`: batch statistics
frozen (evaluation mode), no dropout, and without weight decay, which would add
its constant to every eigenvalue. With batch normalization the numbers still
depend on the scale of weights that the network's outputs do not depend on:
compare such models with care.

Example:
  >>> import jax.numpy as jnp
  >>> from assay.metrics import sharpness
  >>> def loss(w, batch):  # the Hessian is diag(3, 1)
  ...   return jnp.mean(batch['x']) * (3 * w[0]**2 + w[1]**2) / 2
  >>> hvp = sharpness.hessian_vector_product(loss, [{'x': jnp.ones(8)}])
  >>> sharpness.top_eigenvalues(hvp, jnp.zeros(2), k=2).values.round(3)
  array([3., 1.])
  >>> sharpness.trace(hvp, jnp.zeros(2)).estimate
  4.0
"""

from concurrent import futures
from typing import NamedTuple
import warnings

import jax
from jax.flatten_util import ravel_pytree
import jax.numpy as jnp
import numpy as np
import scipy.linalg

# What is shorter than this, relative to the largest eigenvalue by magnitude, is
# taken for rounding: products in float32 have an error of about 1e-6.
ROUNDING = 1e-5


class Eigenvalues(NamedTuple):
  """The k largest eigenvalues, as Lanczos found them.

  Attributes:
    values: [k] float64, descending.
    residuals: [k] float64, bounds: an exact eigenvalue lies within
      `residuals[i]` of `values[i]`, up to the rounding of the products.
    num_steps: products used.
    converged: whether all residuals are within the tolerance.
  """
  values: np.ndarray
  residuals: np.ndarray
  num_steps: int
  converged: bool


class Trace(NamedTuple):
  """Estimate of a trace and its standard error, both float."""
  estimate: float
  standard_error: float


def hessian_vector_product(loss, batches):
  """`hvp(params, vector)`: the Hessian of the mean loss times `vector`.

  Forward over reverse differentiation, one batch at a time in a Python loop:
  the gradient of `lax`'s convolution is slow in a scan on a CPU, and on an
  accelerator the loop runs ahead of the device anyway. Smaller batches need
  less memory and give the same product.

  Args:
    loss: `(params, batch) -> []`, see the top of this file. It is compiled once
      for all parameters of one structure. What else differs from model to
      model, such as batch statistics, is bound as
      `jax.tree_util.Partial(loss, extra=extra)`, which does not compile again
      either; a new lambda for each model would.
    batches: list of dicts of arrays with a leading axis of examples, all of
      equal shapes: then the mean of their losses is the mean over all
      examples. They are kept on the device.

  Returns:
    A function of two trees of the same structure that returns a third one.

  Raises:
    ValueError: no batches, or batches of different shapes.
  """
  _check_batches(batches)
  if not isinstance(loss, jax.tree_util.Partial):
    loss = jax.tree_util.Partial(loss)
  batches = [jax.device_put(batch) for batch in batches]

  def hvp(params, vector):
    total = jax.tree.map(jnp.zeros_like, params)
    for batch in batches:
      total = _add_product(total, loss, params, vector, batch, len(batches))
    return total

  return hvp


def top_eigenvalues(hvp, params, k=5, num_steps=100, seed=0, tolerance=1e-3):
  """The k largest eigenvalues (not magnitudes) of a Hessian, by Lanczos.

  Every new vector is made orthogonal to all earlier ones, twice, so that no
  eigenvalue is found again by mistake. When the Krylov space is exhausted (low
  rank, few parameters, multiple eigenvalues), the search goes on from a random
  vector orthogonal to it until what is left has no larger eigenvalue: then
  each eigenvalue counts as often as it occurs. When it converges earlier, as
  for a network it mostly does, eigenvalues closer to each other than about
  `tolerance` times the largest may count once.

  Memory: `num_steps` vectors as large as `params` on the device, 4 GB for 1e7
  parameters and 100 steps; mostly 20 to 40 steps do.

  Args:
    hvp: `(params, vector) -> tree`, symmetric, as of `hessian_vector_product`.
    params: tree of float32 arrays, n numbers in all.
    k: eigenvalues wanted, in [1, n].
    num_steps: most products to use, >= k; n of them always do.
    seed: of the random vectors.
    tolerance: stops when the k residual bounds are below this fraction of the
      largest eigenvalue's magnitude (or below `ROUNDING`). The eigenvalues
      are then mostly closer: their error is at most the square of the residual
      over the gap to the others. Where the fifth is far smaller than the
      largest, its own relative error is larger in proportion.

  Returns:
    `Eigenvalues`.

  Raises:
    ValueError: arguments out of range; parameters or products not finite.
  """
  flat, unravel = _checked_flat(params)
  if not 1 <= k <= flat.size:
    raise ValueError(f'k={k} must be in [1, {flat.size}], the number of '
                     'parameters.')
  if num_steps < k:
    raise ValueError(f'num_steps={num_steps} must be at least k={k}.')
  num_steps = min(num_steps, flat.size)
  key = jax.random.key(seed)
  # Rows not yet found are zero and take nothing out. One shape, one program.
  basis = jnp.zeros((num_steps, flat.size), flat.dtype)
  diagonal, coupling = np.zeros(num_steps), np.zeros(num_steps)
  dropped = np.zeros(num_steps)  # lengths of residuals not followed up
  start = 0  # steps until the Krylov space was last exhausted
  vector = _random_orthogonal(basis, key)
  for m in range(num_steps):
    basis = _with_row(basis, m, vector)
    product = _ravel(hvp(params, unravel(vector)))
    vector, components, length = _orthogonalized(basis, product)
    diagonal[m], length = float(components[m]), float(length)
    if not np.isfinite([diagonal[m], length]).all():
      raise ValueError(f'The Hessian-vector product of step {m} is not finite: '
                       'is the loss finite and smooth at these parameters?')
    values, weights = scipy.linalg.eigh_tridiagonal(
        diagonal[:m + 1], coupling[:m])
    # Of all Ritz vectors: how far the product leaves the space.
    dropped[m] = length
    residuals = dropped[:m + 1] @ np.abs(weights)
    rounding = ROUNDING * np.abs(values).max()
    small = max(tolerance * abs(values[-1]), rounding)
    is_full, is_exhausted = m + 1 == flat.size, length <= small
    if is_full:
      residuals = residuals * 0  # nothing is left outside, but rounding
    done = m + 1 >= k and (residuals[-k:] <= small).all()
    if done and (is_exhausted or start):
      # Everything found before may have copies in what is left.
      done = is_full or _is_rest_smaller(
          diagonal[:m + 1], coupling[:m], start, length, k, small)
    if done or m + 1 == num_steps:
      break
    if is_exhausted:
      start = m + 1
    if length <= rounding:
      vector = _random_orthogonal(basis, jax.random.fold_in(key, m + 1))
    else:
      coupling[m], dropped[m] = length, 0
  top = slice(-1, -k - 1, -1)
  return Eigenvalues(values[top], residuals[top], m + 1, bool(done))


def trace(hvp, params, num_samples=100, seed=0):
  """The trace of a Hessian as the mean of z^T H z (Hutchinson).

  The entries of z are -1 or 1, each with probability 1/2: the variance is twice
  the sum of squares of the entries off the diagonal.

  Args:
    hvp: `(params, vector) -> tree`, as of `hessian_vector_product`.
    params: tree of float32 arrays.
    num_samples: products to use, >= 2.
    seed: of the random vectors.

  Returns:
    `Trace`; the standard error is that of the mean, with ddof 1.

  Raises:
    ValueError: too few samples; parameters or products not finite.
  """
  flat, unravel = _checked_flat(params)
  if num_samples < 2:
    raise ValueError(f'num_samples={num_samples} must be at least 2.')
  key = jax.random.key(seed)
  samples = np.zeros(num_samples)
  for i in range(num_samples):
    z = jax.random.rademacher(jax.random.fold_in(key, i), flat.shape,
                              flat.dtype)
    # Fetched one by one: else all samples would lie in memory together.
    samples[i] = _dot(z, _ravel(hvp(params, unravel(z))))
    if not np.isfinite(samples[i]):
      raise ValueError(f'The Hessian-vector product of sample {i} is not '
                       'finite: is the loss finite and smooth at these '
                       'parameters?')
  return Trace(float(samples.mean()),
               float(samples.std(ddof=1) / np.sqrt(num_samples)))


def sharpness(loss, params, batches, num_steps=100, tolerance=1e-3,
              num_samples=0, seed=0):
  """Sharpness of the mean loss at `params`, as named numbers for a row.

  Warns when the eigenvalues have not converged in `num_steps`.

  Args:
    loss: `(params, batch) -> []`, as in `hessian_vector_product`.
    params: tree of float32 arrays, at least 5 numbers.
    batches: list of dicts of arrays of equal shapes.
    num_steps: most products to use for the eigenvalues.
    tolerance: see `top_eigenvalues`.
    num_samples: products to use for the trace; 0 leaves it out.
    seed: of the random vectors.

  Returns:
    dict of floats: `lambda_max`, the largest eigenvalue; `lambda_ratio`, it
    over the fifth largest (Foret et al., 2021), NaN where that is not positive;
    with `num_samples`, `hessian_trace`.
  """
  hvp = hessian_vector_product(loss, batches)
  found = top_eigenvalues(hvp, params, 5, num_steps, seed, tolerance)
  if not found.converged:
    warnings.warn(
        f'Eigenvalues {found.values} have not converged in {found.num_steps} '
        f'steps: error bounds {found.residuals}.', stacklevel=2)
  largest, fifth = float(found.values[0]), float(found.values[4])
  row = {'lambda_max': largest,
         'lambda_ratio': largest / fifth if fifth > 0 else float('nan')}
  if num_samples:
    row['hessian_trace'] = trace(hvp, params, num_samples, seed).estimate
  return row


def by_seed(loss, params, extra, batches, skip=(), **how):
  """`sharpness` of S networks, on as many devices as there are.

  Args:
    loss: `(params, batch, extra) -> []`.
    params, extra: trees of arrays with a leading seed axis [S, ...].
    batches: as in `sharpness`.
    skip: positions of networks that are not looked at, as they diverged.
    **how: as in `sharpness`.

  Returns:
    S dicts, {} for those that were skipped.
  """
  devices = jax.local_devices()

  def of_one(i):
    if i in skip:
      return {}
    device = devices[i % len(devices)]
    mine, rest = jax.device_put(jax.tree.map(
        lambda x: np.asarray(x[i]), (params, extra)), device)
    with jax.default_device(device):
      return sharpness(jax.tree_util.Partial(loss, extra=rest), mine,
                       jax.device_put(batches, device), **how)

  with futures.ThreadPoolExecutor(len(devices)) as pool:
    return list(pool.map(of_one, range(len(jax.tree.leaves(params)[0]))))


@jax.jit
def _add_product(total, loss, params, vector, batch, count):
  """`total` plus the product of one of `count` batches, over `count`.

  Highest precision, in convolutions too: a GPU would else multiply in TF32,
  whose ten bits are an error of 1e-3, larger than what Lanczos tolerates.
  """
  with jax.default_matmul_precision('highest'):
    gradient = jax.grad(loss)
    product = jax.jvp(lambda p: gradient(p, batch), (params,), (vector,))[1]
  return jax.tree.map(lambda t, p: t + p / count, total, product)


@jax.jit
def _orthogonalized(basis, vector):
  """`vector` without its components in `basis`, of length 1; what was left.

  Args:
    basis: [M, n], orthonormal rows or zeros.
    vector: [n].

  Returns:
    [n], zeros where nothing is left; [M] components; [] length of the rest.
  """
  with jax.default_matmul_precision('highest'):
    first = basis @ vector
    vector = vector - first @ basis
    second = basis @ vector
    vector = vector - second @ basis
  length = jnp.linalg.norm(vector)
  scaled = vector / jnp.where(length > 0, length, 1)
  return scaled, first + second, length


def _random_orthogonal(basis, key):
  """[n] of length 1 in a random direction orthogonal to the rows of `basis`."""
  vector = jax.random.normal(key, basis.shape[1:], basis.dtype)
  # Little is left of it when the space is nearly full: rounding then too.
  for _ in range(2):
    vector, _, _ = _orthogonalized(basis, vector)
  return vector


def _is_rest_smaller(diagonal, coupling, start, length, k, small):
  """Whether the newest Krylov space adds nothing to the k largest.

  It began in a random direction of what the first `start` vectors left (drawn
  or, where the coupling is small, made by rounding), so its largest eigenvalue
  is that of all the rest.
  """
  if start < k:
    return False
  found = scipy.linalg.eigh_tridiagonal(
      diagonal[:start], coupling[:start - 1], eigvals_only=True)
  values, weights = scipy.linalg.eigh_tridiagonal(
      diagonal[start:], coupling[start:])
  is_accurate = length * abs(weights[-1, -1]) <= small
  return bool(is_accurate and values[-1] <= found[-k] + small)


@jax.jit
def _ravel(tree):
  return ravel_pytree(tree)[0]


@jax.jit
def _dot(a, b):
  return jnp.vdot(a, b, precision='highest')


@jax.jit(donate_argnums=0)
def _with_row(basis, i, row):
  return basis.at[i].set(row)


def _checked_flat(params):
  """All parameters as one array [n], and its inverse."""
  for path, leaf in jax.tree_util.tree_leaves_with_path(params):
    name = jax.tree_util.keystr(path)
    if leaf.dtype not in (np.float32, np.float64):
      raise ValueError(f'params{name} is {leaf.dtype}; use float32.')
    if not bool(jnp.isfinite(leaf).all()):
      raise ValueError(f'params{name} is not finite.')
  flat, unravel = ravel_pytree(params)
  return flat, unravel


def _check_batches(batches):
  """Refuses batches whose mean losses cannot be averaged."""
  if not batches:
    raise ValueError('batches is empty; at least one is needed.')
  shapes = [{k: np.shape(v) for k, v in batch.items()} for batch in batches]
  for i, shape in enumerate(shapes):
    if shape != shapes[0]:
      raise ValueError(f'batches[{i}] has shapes {shape} but batches[0] '
                       f'{shapes[0]}: all must be equal.')
  if len({shape[:1] for shape in shapes[0].values()}) != 1:
    raise ValueError(f'The arrays of a batch must have one leading axis of '
                     f'examples; they are {shapes[0]}.')
