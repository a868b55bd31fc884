"""Attention over pairs: by hand, its limits, and sums of three numbers."""

import itertools

import jax
import numpy as np
import pytest

from assay.methods import kronecker_attention as kronecker
from experiments import kronecker_attention as paper


def parts(largest, num=6, width=3):
  query, *of = np.random.default_rng(0).uniform(
      -largest, largest, (5, num, width))
  return query, of[:2], of[2:]


def test_by_brute_force():
  query, (k, m), (v, w) = parts(2.)
  want = np.zeros_like(v)
  for i, q in enumerate(query):
    weights = [(np.exp(q @ (k[a] * m[b]) / 3), v[a] * w[b])
               for a, b in itertools.product(range(6), repeat=2)]
    want[i] = sum(x * y for x, y in weights) / sum(x for x, _ in weights)
  np.testing.assert_allclose(
      kronecker.attention(query, (k, m), (v, w)), want, rtol=2e-5)


def test_with_a_second_part_of_ones_it_is_attention():
  query, (k, _), (v, _) = parts(2.)
  ones = np.ones_like(k)
  scores = np.exp(query @ k.T / 3)
  np.testing.assert_allclose(
      kronecker.attention(query, (k, ones), (v, ones)),
      scores @ v / scores.sum(axis=1, keepdims=True), rtol=2e-5)


@pytest.mark.parametrize('largest', [.5, 1.5])
def test_the_approximation_keeps_its_bound(largest):
  """Of weights that are all wrong by a share e at most, a mean by 2e."""
  with jax.enable_x64(True):
    of = parts(largest)
    exact, errors = kronecker.attention(*of), []
    for degree in range(0, 9, 2):
      errors.append(np.max(abs(kronecker.approximate(*of, degree) - exact)))
      share = kronecker.bound(largest**3, degree) * np.exp(
          largest**3)
      assert share > 1 or errors[-1] <= 2 * share / (1 - share) * largest**2
    assert errors[-1] < 1e-3 * errors[0]


def test_triples_by_hand():
  # Modulo 10: 1 + 4 + 5, 1 + 1 + 8, 4 + 8 + 8.
  x = np.array([[1, 4, 5, 8]])
  assert paper.matches(x, 10).tolist() == [[True, True, True, True]]
  assert paper.matches(x, 10, 2).tolist() == [[True, True, False, True]]
  assert not paper.matches(np.array([[1, 2]]), 10).any()
