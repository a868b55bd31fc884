"""Attention over pairs of tokens, and its approximation (Alman and Song, 2024).

  out_i = sum_jk exp(<q_i, k_j * l_k> / d) (v_j * w_k) / sum_jk exp(...)

with * the product of elements: n^3 scores. Where all entries are small the
exponential is nearly a polynomial, whose monomials are products of one of q,
one of k and one of l, so that the sum over pairs is a product of two sums.
"""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np


def attention(query, keys, values):
  """What each token reads of all pairs of tokens, [N, D].

  Args:
    query: [N, d].
    keys: (first, second), [M, d] each.
    values: (first, second), [M, D] each.

  Example:
    >>> import numpy as np
    >>> from assay.methods import kronecker_attention as kronecker
    >>> zero, v = np.zeros((1, 1)), np.array([[1.], [3.]])
    >>> kronecker.attention(zero, (v, v), (v, v)).tolist()  # mean of products
    [[4.0]]
  """
  scores = jnp.einsum('id,jd,kd->ijk', query, *keys) / query.shape[-1]
  shares = jax.nn.softmax(scores, axis=(1, 2))
  return jnp.einsum('ijk,jd,kd->id', shares, *values)


def exponents(width, degree):
  """Of all monomials of `width` factors up to a degree, int [F, width].

  There are C(width + degree, degree).

  Example:
    >>> from assay.methods import kronecker_attention as kronecker
    >>> len(kronecker.exponents(4, 6))
    210
  """
  return np.array([
      np.bincount(chosen, minlength=width + 1)[:width] for chosen in
      itertools.combinations_with_replacement(range(width + 1), degree)])


def approximate(query, keys, values, degree):
  """As `attention`, with the Taylor polynomial of exp of a degree.

  Takes N + M times the number of monomials, and no table of pairs. Of an even
  degree all weights are above 0.

  Args:
    query, keys, values: as of `attention`.
    degree: 0 or more; 0 weighs all pairs alike.
  """
  powers = exponents(query.shape[-1], degree)
  # Of exp(x / d), where x is a sum of d products.
  weights = np.array([1 / math.prod(map(math.factorial, p)) for p in (
      powers.tolist())]) / float(query.shape[-1])**powers.sum(axis=1)
  of_query, *of_keys = (jnp.prod(x[:, None]**powers, axis=-1) for x in (
      query, *keys))
  read, total = (
      jnp.einsum('if,f,fd->id', of_query, weights, math.prod(
          f.T @ x for f, x in zip(of_keys, parts, strict=True)))
      for parts in (values, [jnp.ones((len(k), 1), k.dtype) for k in keys]))
  return read / total


def bound(largest, degree):
  """Of |exp(x) - its Taylor polynomial|, for |x| <= largest.

  Example:
    >>> from assay.methods import kronecker_attention as kronecker
    >>> round(kronecker.bound(1., 3), 4)  # e / 4!
    0.1133
  """
  return largest**(degree + 1) * math.exp(largest) / math.factorial(degree + 1)
