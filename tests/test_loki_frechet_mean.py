"""Loki: exact cases, what can be reached, data of turned images."""

import itertools

import numpy as np
import pytest
from scipy.sparse import csgraph

from assay import papers
from assay.errors import UserError
from assay.methods import loki
from assay.study import replaced
from assay.testbeds import vision_labels

RNG = np.random.default_rng(0)
P = RNG.dirichlet(np.ones(4), 50)


def tree(size):
  """[size, size] distances in a random tree."""
  edges = np.zeros((size, size))
  for node in range(1, size):
    edges[node, RNG.integers(node)] = 1
  return csgraph.shortest_path(edges, directed=False)


def test_by_definition_and_in_limits():
  d = tree(9)
  cost = [[sum(p[k] * d[y, k]**2 for k in range(4)) for y in range(9)]
          for p in P]
  equal = np.testing.assert_array_equal
  equal(loki.frechet_mean(P, d[:, :4]), np.argmin(cost, axis=1))
  equal(loki.frechet_mean(P, 1 - np.eye(4)), P.argmax(axis=1))
  equal(loki.frechet_mean(np.eye(4), d[:, :4]), range(4))
  equal(loki.frechet_mean(P, 3 * d[:, :4]), np.argmin(cost, axis=1))


def test_what_can_be_reached():
  path = np.abs(np.arange(10)[:, None] - np.arange(10)).astype(float)
  assert loki.locus(path[:, [0, 9]]).tolist() == list(range(10))
  assert loki.locus(1 - np.eye(5)[:, :3]).tolist() == [0, 1, 2]
  d = tree(8)
  leaves = [i for i in range(8) if np.sum(d[i] == 1) == 1]
  assert loki.locus(d[:, leaves]).tolist() == list(range(8))
  pair = next(pair for pair in itertools.combinations(range(8), 2)
              if len(loki.locus(d[:, list(pair)])) < 8)
  away = d[:, loki.locus(d[:, list(pair)])].min(axis=1)
  assert away[loki.next_label(d, pair)] == away.max() > 0


def test_images_are_turned_and_some_turns_are_never_trained():
  config = papers.configs('loki_frechet_mean').get_config('smoke')
  data = vision_labels.load(config.net)
  assert set(data.labels('train')) == set(data.labels('val')) == {0, 1, 2}
  assert np.bincount(data.labels('test')).tolist() == [10] * 10
  x = data.shared['x'][data.shared['test_rows']].reshape(10, 10, 8, 8)
  quarter = np.rot90(x[0], axes=(1, 2)).astype(int)  # 90 degrees is the last
  assert np.abs(x[9] - quarter).max() <= 1
  with pytest.raises(UserError, match="observed='4-0' must be two or more"):
    vision_labels.load(replaced(config, {'observed': '4-0'}).net)
