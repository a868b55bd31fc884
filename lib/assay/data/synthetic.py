"""Generated regression data on which the idea of a method must show."""
import math

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from assay.errors import UserError


def link(z, curvature):
  """g(z) = (b^(z + 1) - 1) / (b^2 - 1), b = e^curvature; any shape.

  Increasing and convex, [-1, 1] onto [0, 1]; b^2 times as steep at 1 as at -1.
  """
  b = math.exp(curvature)
  return (b ** (z + 1) - 1) / (b**2 - 1)


def single_index(key, num_examples, num_nuisance, nuisance_scale=1.0,
                 noise_scale=0.05, curvature=3.0):
  """A curved target of one direction of the input, beside nuisance directions.

      x = z theta + nuisance,  y = g(z) + noise,  z ~ U(-1, 1)

  with a random unit vector theta orthogonal to the nuisance, so that
  g(theta . x) is the best prediction (theory of Yao et al., 2022).

  g is convex, so a mixed label l g(z_i) + (1 - l) g(z_j) lies above g at the
  mixed index, the more the farther apart the two are (the Jensen gap): with
  uniform partners the fit is bent upwards. As g increases, both values lie
  between g(z_i) and g(z_j): the gap of partners with near labels is at most
  |g(z_i) - g(z_j)|. These still differ in their nuisance, which mixing
  averages at an unchanged label. Near in x is not near in z, as the nuisance
  makes up most of that distance.

  Args:
    key: typed key; also draws theta, so that all splits that are to share it
      must be rows of one call.
    num_examples: N.
    num_nuisance: nuisance directions, D - 1.
    nuisance_scale: standard deviation in each nuisance direction.
    noise_scale: standard deviation of the label's noise; g lies in [0, 1].
    curvature: of `link`, > 0.

  Returns:
    float32 x [N, D], y [N, 1] and clean [N, 1], the target without noise.

  Raises:
    UserError: curvature is not positive.
  """
  if curvature <= 0:
    raise UserError(f'curvature={curvature} must be above 0.')
  theta_key, z_key, nuisance_key, noise_key = jax.random.split(key, 4)
  theta = jax.random.normal(theta_key, (1 + num_nuisance,), jnp.float32)
  theta = (theta / jnp.linalg.norm(theta))[None]
  z = jax.random.uniform(
      z_key, (num_examples, 1), jnp.float32, minval=-1, maxval=1)
  nuisance = nuisance_scale * jax.random.normal(
      nuisance_key, (num_examples, 1 + num_nuisance), jnp.float32)
  nuisance -= (nuisance @ theta.T) * theta
  clean = link(z, curvature)
  noise = noise_scale * jax.random.normal(noise_key, clean.shape, jnp.float32)
  return {'x': z * theta + nuisance, 'y': clean + noise, 'clean': clean}


def jensen_gap(bandwidth, curvature=3.0, alpha=2.0, num_nodes=400):
  """Mean squared distance of a mixed label from the curve, by quadrature.

      E[(l g(z_i) + (1 - l) g(z_j) - g(l z_i + (1 - l) z_j))^2]

  over z_i ~ U(-1, 1), l ~ Beta(alpha, alpha) and a partner drawn with weight
  exp(-(g(z_i) - g(z_j))^2 / (2 bandwidth^2)): no noise, endless data.

  Args:
    bandwidth: > 0 in units of the label; np.inf draws partners uniformly.
    curvature: of `link`, > 0.
    alpha: > 0.
    num_nodes: quadrature nodes for z.

  Raises:
    ValueError: the bandwidth falls between the nodes.
  """
  z, weight = np.polynomial.legendre.leggauss(num_nodes)
  g = link(z, curvature)
  if bandwidth < np.diff(g).max():
    raise ValueError(f'bandwidth={bandwidth} is below {np.diff(g).max():.2g}, '
                     f'the largest step between the labels of {num_nodes} '
                     'nodes; raise num_nodes.')
  partner = weight * np.exp(-0.5 * ((g[:, None] - g) / bandwidth) ** 2)
  partner /= partner.sum(axis=1, keepdims=True)
  # Gauss and Jacobi on [0, 1]: its weights are the density of the Beta law.
  mix, mix_weight = special.roots_sh_jacobi(20, 2 * alpha - 1, alpha)
  total = 0.0
  for m, w in zip(mix, mix_weight / mix_weight.sum(), strict=True):
    gap = (m * g[:, None] + (1 - m) * g
           - link(m * z[:, None] + (1 - m) * z, curvature))
    total += w * np.sum(weight[:, None] / 2 * partner * gap**2)
  return float(total)
