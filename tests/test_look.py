"""Neighbors that are asked: in loops, limits, the memory; linear probes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import datasets, linear_model, preprocessing

from assay.methods import look, probes
from assay.metrics import clusters

RNG = np.random.default_rng(0)
unit = lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True)
BANK, LABELS = unit(RNG.normal(size=(9, 4))), np.array([0, 1, 2] * 3)
Z, Y, OWN = unit(RNG.normal(size=(5, 4))), np.array([0, 1, 2, 0, 1]), np.arange(
    5)


def found(k, z=Z, labels=LABELS, bank=BANK, temperature=.1):
  return look.loss(jnp.asarray(z, jnp.float32), Y, OWN, jnp.asarray(
      bank, jnp.float32), labels, k, temperature)


@pytest.mark.parametrize('k', (1, 2, 5, None))
def test_in_loops(k):
  want = []
  for i in range(5):
    others = sorted((j for j in range(9) if j != OWN[i]),
                    key=lambda j, i=i: -Z[i] @ BANK[j])
    mine = [j for j in others if LABELS[j] == Y[i]]
    asked = set(others[:k]) | {mine[0]}
    w = {j: np.exp(Z[i] @ BANK[j] / .1) for j in asked}
    want.append(-np.log(sum(w[j] for j in asked if LABELS[j] == Y[i])
                        / sum(w.values())))
  np.testing.assert_allclose(found(k), want, rtol=1e-3, atol=1e-5)


def test_all_neighbors_are_a_contrast_with_the_sum_inside():
  # Of a batch that is the memory: less the logarithm of how many there are.
  z, y = BANK, LABELS
  logits = z @ z.T / .1 - 1e9 * np.eye(9)
  inside = -np.log(np.mean([[np.exp(logits[i, j]) for j in range(9)
                             if j != i and y[j] == y[i]] for i in range(9)],
                           axis=1) / np.exp(logits).sum(axis=1))
  got = look.loss(*(jnp.asarray(v) for v in (
      z.astype('float32'), y, np.arange(9), z.astype('float32'), y)), None)
  np.testing.assert_allclose(got, inside - np.log(2), rtol=1e-3, atol=1e-4)


def test_a_memory_that_knows_nothing_teaches_nothing():
  empty = np.full(9, -1)
  grad = jax.grad(lambda z: found(3, z, empty).sum())(jnp.asarray(
      Z, jnp.float32))
  assert not found(3, labels=empty).any() and not grad.any()
  # Nor does one without the label of an example; the others are as they were.
  some = np.where(LABELS == 2, 1, LABELS)
  assert found(3, labels=some)[2] == 0 and found(3, labels=some)[0] > 0


def test_only_those_that_are_asked_count():
  k, far = 2, np.argmin(Z @ BANK.T, axis=1)
  moved = BANK.copy()
  moved[far[0]] = -unit(Z[0])
  np.testing.assert_allclose(found(k, bank=moved)[0], found(k)[0], rtol=1e-5)


def test_the_memory_has_the_last_view():
  extra = look.memory(9)
  batch = {'index': jnp.array([3, 5, 3, 5]), 'y': jnp.array([1, 0, 1, 0])}
  z = jnp.ones((4, 64)) * jnp.arange(4.)[:, None]
  value, new = look.loss_of(4)(z, batch, extra)
  assert value == 0
  assert new['bank_labels'].tolist() == [-1, -1, -1, 1, -1, 0, -1, -1, -1]
  assert new['bank'][:, 0].tolist() == [0, 0, 0, 2, 0, 3, 0, 0, 0]


# --- Probes ------------------------------------------------------------------


def test_a_probe_is_that_of_standardized_features():
  x, y = datasets.load_iris(return_X_y=True)
  scaled = preprocessing.StandardScaler().fit(x)
  for strength in (.01, 1.):
    other = linear_model.LogisticRegression(C=strength, max_iter=1000).fit(
        scaled.transform(x), y)
    weights, bias = probes.linear(x, y, x, y, (strength,))
    log_p = x @ weights + bias
    log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(
        np.exp(log_p), other.predict_proba(scaled.transform(x)), atol=1e-6)


def test_a_strength_is_chosen_by_what_is_held_out():
  z = RNG.normal(size=(60, 20))
  z[:, 19] = 7.  # a unit that never varies
  y, held = RNG.integers(0, 2, 60), RNG.normal(size=(400, 20))
  labels = RNG.integers(0, 2, 400)  # of no features: the weakest is best
  size = lambda strengths: np.abs(probes.linear(
      z, y, held, labels, strengths)[0]).sum()
  assert size((1e-3, 10.)) == size((1e-3,)) < size((10.,))


def test_few_of_each():
  assert probes.few([1, 0, 1, 1, 0, 1], 2).tolist() == [0, 1, 2, 4]


def test_what_features_tell():
  fine = np.repeat(np.arange(4), 40)
  parts = dict(labels=fine // 2, fine=fine)
  far = RNG.normal(size=(160, 3)) * .1 + 4 * np.eye(4)[fine][:, :3]
  apart = probes.summary(*[parts | {'features': far}] * 3, 5)
  same = probes.summary(*[parts | {'features': RNG.normal(size=(160, 3))}] * 3,
                        5)
  assert apart['probe_accuracy'] == 1 and apart['few_probe_accuracy'] == 1
  assert apart['silhouette'] > .4 > .1 > same['silhouette']
  assert same['few_probe_accuracy'] < .6
  assert same['participation'] == pytest.approx(3, abs=.3)
  line = np.outer(RNG.normal(size=160), [1., 2., 0.])
  assert clusters.participation(line, fine) == pytest.approx(1)
