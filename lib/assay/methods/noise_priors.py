"""Priors over the noise level sigma of a regression, as nodes with masses."""

from typing import NamedTuple

import numpy as np
from scipy import special

from assay.errors import UserError


class Nodes(NamedTuple):
  """A prior over sigma as points with masses.

  Attributes:
    sigma: float64 [J], or [B, J] where it differs between prompts; > 0.
    log_mass: float64 [J], logarithms of masses that sum to 1.
  """
  sigma: np.ndarray
  log_mass: np.ndarray


def known_noise(sigma):
  """Nodes of one sigma for all prompts, or [B] of one for each.

  Example:
    >>> from assay.methods import noise_priors
    >>> noise_priors.known_noise(0.5).sigma.tolist()
    [0.5]
  """
  sigma = np.asarray(sigma, np.float64)[..., None]
  if not (sigma > 0).all():
    raise UserError(f'sigma={sigma.min()} must be above 0.')
  return Nodes(sigma, np.zeros(1))


def uniform_nodes(low, high, num=64):
  """Gauss and Legendre's nodes for sigma ~ U(low, high).

  64 are enough for some 100 pairs.

  Raises:
    UserError: not 0 <= low < high.
  """
  if not 0 <= low < high:
    raise UserError(f'low={low}, high={high}: need 0 <= low < high.')
  points, weights = np.polynomial.legendre.leggauss(num)
  return Nodes(low + (high - low) * (points + 1) / 2, np.log(weights / 2))


def inverse_gamma_nodes(shape, scale, num=400):
  """An even grid in log sigma^2 for sigma^2 ~ InvGamma(shape, scale).

  It reaches from e^-8 times the scale, whose mass is below e^-2900, to where
  what is missing of E sigma^2 is e^-30 of it. There the density vanishes at
  both ends, so that the trapezoid rule converges exponentially. The posterior
  after k pairs has a width of sqrt(2 / k) in log sigma^2; 400 points with
  shape 3 are 0.06 apart.

  Raises:
    UserError: E sigma^2 is not finite, or the scale is not positive.
  """
  if not (shape > 1 and scale > 0):
    raise UserError(f'shape={shape} must be above 1, where sigma^2 has a '
                    f'mean, and scale={scale} above 0.')
  u = np.linspace(-8, 30 / (shape - 1), num)  # log(sigma^2 / scale)
  log_mass = -shape * u - np.exp(-u)
  return Nodes(np.sqrt(scale * np.exp(u)),
               log_mass - special.logsumexp(log_mass))
