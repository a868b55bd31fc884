"""Post-hoc calibration by a linear map of the logits.

Calibrators as described in `calibrators`: vector scaling, matrix scaling and
Dirichlet calibration. All objectives are convex; accuracy may change.
"""

import jax
import jax.numpy as jnp

from assay import losses
from assay.methods.calibrators import Calibrator, checked, minimized
from assay.metrics.arguments import checked_first


@checked_first
@jax.jit
def fit_vector(logits, labels):
  """w, b of softmax(w * z + b) that minimize the mean NLL (Guo et al., 2017).

  `minimized` from w = 1, b = 0, over b and w times the root mean square of z.
  A constant added to a row of z changes the result, as in the paper.

  Args:
    logits: z, [N, C] float.
    labels: [N] int in [0, C).

  Returns:
    dict of weights, bias: [C] float32 each.

  Example:
    >>> import jax.numpy as jnp, numpy as np
    >>> from assay.methods.linear_maps import vector
    >>> logits = jnp.zeros((4, 2))  # nothing but the bias can tell
    >>> params = vector.fit(logits, jnp.array([0, 0, 0, 1]))
    >>> log_p = np.asarray(vector.apply(params, logits[:1]))
    >>> print(np.exp(log_p).round(3))
    [[0.75 0.25]]
  """
  logits = checked(logits, labels)
  scale = _size(logits)

  def params(u):
    return {'weights': 1 + u[0] / scale, 'bias': u[1]}

  def objective(u):
    return jnp.mean(losses.cross_entropy(_vector(params(u), logits), labels))

  return params(minimized(objective, jnp.zeros((2, logits.shape[1]))))


@checked_first
@jax.jit
def apply_vector(params, logits):
  """log softmax(w * z + b); accuracy may change."""
  return jax.nn.log_softmax(_vector(params, checked(logits)))


@checked_first
def fit_matrix(logits, labels, off_diagonal=1e-2, intercept=1e-2):
  """W, b of softmax(W z + b) that minimize the mean NLL + ODIR.

  Matrix scaling (Guo et al., 2017) with the off-diagonal and intercept penalty
  of Kull et al. (2019),

      off_diagonal sum_(i != j) W_ij^2 / (C (C - 1))
      + intercept sum_j b_j^2 / C.

  `minimized` from the identity, as `fit_vector`, which is the limit of a large
  `off_diagonal` with `intercept` = 0. A step costs N C^2. Where C^2 is near N
  and the penalty small, 1,000 steps end before the optimum, and it would be a
  bad one: Kull et al. choose both weights by cross-validation. The defaults are
  ours.

  Args:
    logits: z, [N, C] float.
    labels: [N] int in [0, C).
    off_diagonal: [] float >= 0.
    intercept: [] float >= 0.

  Returns:
    dict of weights: [C, C] float32; bias: [C] float32.
  """
  return _fit_matrix(logits, labels, off_diagonal, intercept)


@jax.jit
def _fit_matrix(logits, labels, off_diagonal, intercept):
  logits = checked(logits, labels)
  num_classes = logits.shape[1]
  eye, scale = jnp.eye(num_classes), _size(logits)

  def params(u):
    return {'weights': eye + u['weights'] / scale, 'bias': u['bias']}

  def objective(u):
    p = params(u)
    off = jnp.sum(jnp.square(p['weights'] * (1 - eye)))
    off = off / max(1, num_classes * (num_classes - 1))
    nll = jnp.mean(losses.cross_entropy(_matrix(p, logits), labels))
    return (nll + off_diagonal * off
            + intercept * jnp.mean(jnp.square(p['bias'])))

  return params(minimized(objective, {'weights': jnp.zeros_like(eye),
                                      'bias': jnp.zeros(num_classes)}))


@checked_first
@jax.jit
def apply_matrix(params, logits):
  """log softmax(W z + b); accuracy may change."""
  return jax.nn.log_softmax(_matrix(params, checked(logits)))


@checked_first
def fit_dirichlet(logits, labels, off_diagonal=1e-2, intercept=1e-2):
  """`fit_matrix` of log softmax(z): Dirichlet calibration (Kull et al., 2019).

  Unlike matrix scaling it does not depend on a constant added to a row.
  """
  return fit_matrix(_log_softmax(logits), labels, off_diagonal, intercept)


def apply_dirichlet(params, logits):
  """log softmax(W log softmax(z) + b); accuracy may change."""
  return apply_matrix(params, _log_softmax(logits))


def _vector(params, logits):
  return params['weights'] * logits + params['bias']


def _matrix(params, logits):
  return jnp.matmul(logits, params['weights'].T,
                    precision='highest') + params['bias']


def _size(x):
  """Root mean square, and 1 where that is 0."""
  size = jnp.sqrt(jnp.mean(jnp.square(x)))
  return jnp.where(size > 0, size, 1.)


@checked_first
@jax.jit
def _log_softmax(logits):
  return jax.nn.log_softmax(checked(logits))


vector = Calibrator(fit_vector, apply_vector)
matrix = Calibrator(fit_matrix, apply_matrix)
dirichlet = Calibrator(fit_dirichlet, apply_dirichlet)
