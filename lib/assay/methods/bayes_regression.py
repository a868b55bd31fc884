"""The Bayes-optimal predictor of linear regression in context.

    y_t = w . x_t + sigma_t eps_t,  w ~ N(0, tau^2 I),  sigma from a prior

with one sigma per prompt. Under log s + (y - m)^2 / (2 s^2) the best m and s^2
are the mean and the variance of y given the pairs before it and its own x (Liu
et al., 2024, arXiv 2405.15115). That variance is the sum of two parts: E
sigma^2 (noise) and the variance of w . x (ignorance of w). Both are computed
here for every prefix of every prompt, on the host and in float64, since the
evidence for a small sigma cancels in float32.

Everywhere x is [B, T, d] and y [B, T]; position t, from 0, uses pairs 0 .. t -
1 and x_t. The law of x plays no part.
"""

from typing import NamedTuple

import numpy as np

from assay.errors import UserError
from assay.methods.noise_priors import Nodes
from assay.methods.noise_priors import (
    inverse_gamma_nodes as inverse_gamma_nodes,
)
from assay.methods.noise_priors import known_noise as known_noise
from assay.methods.noise_priors import uniform_nodes as uniform_nodes

CHUNK = 2**17  # numbers in one temporary array: few enough for a cache
PENALTIES = tuple(10 ** (i / 4) for i in range(-12, 9))  # 0.001 to 100


class Prediction(NamedTuple):
  """Mean and variance of y at each position, float64 [B, T].

  Attributes:
    mean: E[y | before].
    noise: E[sigma^2 | before].
    ignorance: Var(w . x | before).
  """
  mean: np.ndarray
  noise: np.ndarray
  ignorance: np.ndarray

  @property
  def variance(self):
    """Var(y | before), that of the prediction: not sigma^2."""
    return self.noise + self.ignorance

  @property
  def log_std(self):
    """Logarithm of the standard deviation of the prediction."""
    return 0.5 * np.log(self.variance)


# --- Bayes -------------------------------------------------------------------


def predict(x, y, nodes, tau=1.):
  """The Bayes-optimal predictor for a prior over sigma.

  Given v = sigma^2, with S = (X'X / v + I / tau^2)^-1,
    f = x' S X'y / v (ridge with penalty v / tau^2),  g = x' S x;
  over nodes with posterior mass pi_j,
    mean = sum pi_j f_j,  noise = sum pi_j v_j,
    ignorance = sum pi_j (g_j + (f_j - mean)^2).
  X'X of each prefix is diagonalized once for all nodes. The evidence of k
  pairs is the product of their predictive densities N(y_t; f_t, v + g_t), each
  given the pairs before: a sum of squares, where the usual formula takes the
  difference of two large numbers.

  Args:
    x: [B, T, d] float.
    y: [B, T] float.
    nodes: `Nodes`.
    tau: > 0, standard deviation of each weight.

  Returns:
    A `Prediction`.

  Example:
    >>> from assay.methods import bayes_regression
    >>> nodes = bayes_regression.known_noise(1.)
    >>> found = bayes_regression.predict([[[1.], [1.]]], [[2., 0.]], nodes)
    >>> found.mean.round(3).tolist()  # prior and pair count the same
    [[0.0, 1.0]]
    >>> found.variance.round(3).tolist()  # 1 of the noise, 1 / (1 + k) of w
    [[2.0, 1.5]]
  """
  x, y, sigma = _checked(x, y, nodes, tau)
  size = x.shape[1] * max(sigma.shape[1], x.shape[2] ** 2)

  def some(x, y, sigma):
    values, xs, xys = _diagonal(x, y)
    v = sigma[:, None] ** 2
    f, g = (np.zeros(y.shape + v.shape[-1:]) for _ in range(2))
    for i in range(x.shape[2]):
      shrunk = 1 / (values[..., i, None] + v / tau**2)
      f += (xs[..., i] * xys[..., i])[..., None] * shrunk
      g += (xs[..., i] ** 2)[..., None] * v * shrunk
    return _mixture(y, v, f, g, nodes.log_mass)

  return _in_chunks(some, size, x, y, sigma)


def predict_by_conditioning(x, y, nodes, tau=1.):
  """As `predict`, by another route: y ~ N(0, tau^2 X X' + v I), conditioned.

  With the Cholesky factor L of this T x T matrix, whose leading blocks are the
  factors of all prefixes, and z = L^-1 y: y_t given the pairs before it is
  N(y_t - L_tt z_t, L_tt^2). T^3 operations for each prompt and node: for tests
  and short prompts.
  """
  x, y, sigma = _checked(x, y, nodes, tau)
  size = sigma.shape[1] * x.shape[1] ** 2

  def some(x, y, sigma):
    v = np.broadcast_to(sigma, (len(x), sigma.shape[1])) ** 2
    gram = tau**2 * x @ x.swapaxes(-1, -2)
    factor = np.linalg.cholesky(
        gram[:, None] + v[..., None, None] * np.eye(x.shape[1]))  # [B, J, T, T]
    z = np.linalg.solve(factor, y[:, None, :, None])[..., 0]
    scale = np.diagonal(factor, axis1=-2, axis2=-1)
    f = (y[:, None] - scale * z).swapaxes(1, 2)
    g = (scale**2 - v[..., None]).swapaxes(1, 2)
    return _mixture(y, v[:, None], f, g, nodes.log_mass)

  return _in_chunks(some, size, x, y, sigma)


def predict_conjugate(x, y, shape, scale, tau=1.):
  """Mean and variance in closed form where weights scale with the noise.

  Another model: v = sigma^2 ~ InvGamma(shape, scale) and w ~ N(0, v tau^2 I).
  After k pairs, with P = X'X + I / tau^2 and m = P^-1 X'y, y is Student's t
  with 2 a degrees of freedom, a = shape + k / 2, around x . m and with
  variance b / (a - 1) (1 + x' P^-1 x), where
    b = scale + (y'y - m'P m) / 2,
  computed as a sum of squared prediction errors over 1 + x' P^-1 x.

  Args:
    x: [B, T, d] float.
    y: [B, T] float.
    shape: > 0.
    scale: > 0.
    tau: > 0.

  Returns:
    A `Prediction`; infinite variances where a <= 1.
  """
  x, y, _ = _checked(x, y, Nodes(np.ones(1), np.zeros(1)), tau)
  values, xs, xys = _diagonal(x, y)
  shrunk = 1 / (values + 1 / tau**2)
  mean = np.sum(xs * xys * shrunk, axis=-1)
  leverage = np.sum(xs**2 * shrunk, axis=-1)
  b = scale + _before((y - mean) ** 2 / (1 + leverage)) / 2
  a = np.broadcast_to(shape + np.arange(y.shape[1])[None] / 2, b.shape)
  noise = np.full(b.shape, np.inf)
  np.divide(b, a - 1, out=noise, where=a > 1)
  return Prediction(mean, noise, noise * leverage)


def predict_pool(x, y, w, sigma):
  """The Bayes-optimal predictor where the task is one of a finite pool.

      log pi_j = -sum_s [log sigma_j + (y_s - w_j . x_s)^2 / (2 sigma_j^2)]

  Args:
    x: [B, T, d] float.
    y: [B, T] float.
    w: [N, d] float.
    sigma: [N] float, > 0, of the same tasks.

  Returns:
    A `Prediction`.
  """
  w, sigma = np.asarray(w, np.float64), np.asarray(sigma, np.float64)
  if w.shape != sigma.shape + np.shape(x)[2:]:
    raise ValueError(f'w {w.shape}, sigma {sigma.shape} and x {np.shape(x)}: '
                     'need [N, d], [N] and [B, T, d].')
  x, y, _ = _checked(x, y, Nodes(sigma, sigma), 1.)
  v, log_sigma, half = sigma**2, np.log(sigma)[None], 0.5 / sigma[None] ** 2

  def some(x, y, _):
    log_mass = np.zeros((len(x), len(w)))
    out = []
    for t in range(x.shape[1]):
      log_mass -= log_mass.max(axis=1, keepdims=True)
      mass = np.exp(log_mass)
      total = mass.sum(axis=1)
      f = x[:, t] @ w.T
      mean = np.einsum('bn,bn->b', mass, f) / total
      spread = (f - mean[:, None]) ** 2
      out.append((mean, mass @ v / total,
                  np.einsum('bn,bn->b', mass, spread) / total))
      log_mass -= log_sigma + (y[:, t, None] - f) ** 2 * half
    return Prediction(*(np.stack(part, axis=1) for part in zip(
        *out, strict=True)))

  return _in_chunks(some, len(w), x, y, np.zeros((1, 1)))


# --- Without a prior ---------------------------------------------------------


def least_squares(x, y):
  """Least squares of the pairs before, of minimum norm where it is not unique.

  The noise is RSS / (k - r), r the rank of the k pairs (d, unless the
  covariates lie in a subspace), and the ignorance is noise times the leverage
  x' (X'X)^+ x. Near k = r + 1 the variance has no finite mean over prompts.

  Returns:
    A `Prediction`; noise and ignorance are NaN where k <= r. The mean is 0
    before the first pair.

  Example:
    >>> from assay.methods import bayes_regression
    >>> x, y = [[[1.], [2.], [3.]]], [[2., 4., 0.]]  # y = 2 x, and a query
    >>> bayes_regression.least_squares(x, y).mean.round(3).tolist()
    [[0.0, 4.0, 6.0]]
  """
  x, y, _ = _checked(x, y, Nodes(np.ones(1), np.zeros(1)), 1.)
  mean, noise, ignorance = (np.zeros(y.shape) for _ in range(3))
  noise[:, 0] = ignorance[:, 0] = np.nan
  for k in range(1, y.shape[1]):
    left, singular, right = np.linalg.svd(x[:, :k], full_matrices=False)
    cutoff = singular.max(axis=1, keepdims=True) * max(k, x.shape[2]) * (
        np.finfo(float).eps)
    used = singular > cutoff
    inverse = np.divide(1, singular, out=np.zeros_like(singular), where=used)
    along = np.einsum('bki,bk->bi', left, y[:, :k])
    query = np.einsum('bid,bd->bi', right, x[:, k]) * inverse
    mean[:, k] = np.sum(query * along, axis=1)
    fitted = np.einsum('bki,bi->bk', left, along * used)
    residual = np.sum((y[:, :k] - fitted) ** 2, axis=1)
    free = k - used.sum(axis=1)
    noise[:, k] = np.where(free > 0, residual / np.maximum(free, 1), np.nan)
    ignorance[:, k] = noise[:, k] * np.sum(query**2, axis=1)
  return Prediction(mean, noise, ignorance)


def ridge(x, y, penalties=PENALTIES):
  """Ridge regression with the penalty of the best leave-one-out error.

  The error of pair s when left out is (y_s - f_s) / (1 - h_s), h_s its
  leverage. Of equal penalties (with one pair all are) the largest is taken.

  Args:
    x: [B, T, d] float.
    y: [B, T] float.
    penalties: on |w|^2, each > 0.

  Returns:
    Mean [B, T] float64; 0 before the first pair.

  Raises:
    UserError: a penalty is not positive.
  """
  if not min(penalties) > 0:
    raise UserError(f'penalties={penalties} must all be above 0.')
  x, y, _ = _checked(x, y, Nodes(np.ones(1), np.zeros(1)), 1.)
  mean = np.zeros(y.shape)
  for k in range(1, y.shape[1]):
    left, singular, right = np.linalg.svd(x[:, :k], full_matrices=False)
    along = np.einsum('bki,bk->bi', left, y[:, :k])
    query = np.einsum('bid,bd->bi', right, x[:, k])
    best = np.full(len(x), np.inf)
    for penalty in sorted(penalties, reverse=True):
      kept = singular**2 / (singular**2 + penalty)
      fitted = np.einsum('bki,bi->bk', left, kept * along)
      leverage = np.einsum('bki,bi->bk', left**2, kept)
      error = np.sum(((y[:, :k] - fitted) / (1 - leverage)) ** 2, axis=1)
      better = error < best * (1 - 1e-9)  # not by rounding alone
      best = np.where(better, error, best)
      found = np.sum(query * along * singular / (singular**2 + penalty),
                     axis=1)
      mean[:, k] = np.where(better, found, mean[:, k])
  return mean


def nearest_neighbors(x, y, num=3):
  """Mean y of the `num` nearest pairs before, of all while there are fewer.

  Returns:
    Mean [B, T] float64; 0 before the first pair.
  """
  if num < 1:
    raise UserError(f'num={num} must be at least 1.')
  x, y, _ = _checked(x, y, Nodes(np.ones(1), np.zeros(1)), 1.)
  mean = np.zeros(y.shape)
  for k in range(1, y.shape[1]):
    distances = np.sum((x[:, :k] - x[:, k, None]) ** 2, axis=-1)
    nearest = np.argsort(distances, axis=1, kind='stable')[:, :num]
    mean[:, k] = np.take_along_axis(y[:, :k], nearest, axis=1).mean(axis=1)
  return mean


def gaussian_nll(mean, log_std, y):
  """log s + (y - m)^2 / (2 s^2), on the host.

  The negative log-likelihood of N(m, s^2) without log sqrt(2 pi). For the
  Bayes predictor its expectation is E[log s] + 1/2.

  Args:
    mean, log_std, y: floats of one shape.

  Returns:
    Loss of that shape.
  """
  return log_std + 0.5 * ((y - mean) * np.exp(-log_std)) ** 2


# --- Helpers -----------------------------------------------------------------


def _checked(x, y, nodes, tau):
  """x, y and sigma [1 or B, J] in float64."""
  x, y, sigma = (np.asarray(a, np.float64) for a in (x, y, nodes.sigma))
  if x.ndim != 3 or y.shape != x.shape[:2]:
    raise ValueError(f'x {x.shape} and y {y.shape}: need [B, T, d] and [B, T].')
  sigma = np.atleast_2d(sigma)
  if len(sigma) not in (1, len(x)):
    raise ValueError(f'sigma of {len(sigma)} prompts, but x of {len(x)}.')
  if not tau > 0:
    raise UserError(f'tau={tau} must be above 0.')
  return x, y, sigma


def _in_chunks(function, size, x, y, sigma):
  """`function` of blocks of prompts, with `size` numbers for each prompt."""
  step = max(1, CHUNK // size)
  parts = [function(x[i:i + step], y[i:i + step],
                    sigma if len(sigma) == 1 else sigma[i:i + step])
           for i in range(0, len(x), step)]
  return Prediction(*(np.concatenate(p) for p in zip(*parts, strict=True)))


def _before(values):
  """Sums over all earlier positions; axis 1."""
  sums = np.cumsum(values, axis=1)
  return np.concatenate([np.zeros_like(sums[:, :1]), sums[:, :-1]], axis=1)


def _diagonal(x, y):
  """In the eigenbasis of X'X of each prefix: eigenvalues, x_t and X'y.

  All [B, T, d].
  """
  values, basis = np.linalg.eigh(_before(x[..., None] * x[..., None, :]))
  xs, xys = (np.einsum('btdi,btd->bti', basis, a)
             for a in (x, _before(x * y[..., None])))
  return np.maximum(values, 0), xs, xys  # rounding may leave -1e-16


def _mixture(y, v, f, g, log_mass):
  """Mean and variance over nodes; v, f and g are [B or 1, T or 1, J]."""
  total = v + g
  log_density = -0.5 * (np.log(total) + (y[..., None] - f) ** 2 / total)
  log_post = log_mass + _before(log_density)
  post = np.exp(log_post - log_post.max(axis=-1, keepdims=True))
  post /= post.sum(axis=-1, keepdims=True)
  mean = np.sum(post * f, axis=-1)
  spread = (f - mean[..., None]) ** 2
  return Prediction(mean, np.sum(post * v, axis=-1),
                    np.sum(post * (g + spread), axis=-1))
