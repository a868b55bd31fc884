"""Classifiers of one sequence: against loops in NumPy, and what they see."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from assay.methods import in_context

B, T, N, C = 20, 12, 3, 5
KEY = jax.random.key(3)
# Most of the time would go into making these programs fast.
jit = functools.partial(jax.jit, compiler_options={
    'xla_backend_optimization_level': 0,
    'xla_llvm_disable_expensive_passes': True})


def sequences(seed=0, classes=range(C)):
  """x [B, T, N] without ties and y [B, T]."""
  rng = np.random.default_rng(seed)
  return (rng.normal(size=(B, T, N)).astype(np.float32),
          rng.choice(list(classes), (B, T)).astype(np.int32))


nearest = jit(jax.vmap(in_context.nearest_neighbor))
means = jit(jax.vmap(functools.partial(
    in_context.class_mean, num_classes=C)))
online = jit(jax.vmap(
    lambda x, y, rate: in_context.online_sgd(KEY, x, y, C, rate),
    in_axes=(0, 0, None)))
RULES = {'nearest': nearest, 'means': means,
         'online': lambda x, y: online(x, y, .3)}


def nearest_by_loops(x, y):
  x, found = x.astype(np.float64), np.zeros_like(y)
  for b, t in np.ndindex(y.shape):
    if t:
      distances = [np.sum((x[b, s] - x[b, t]) ** 2) for s in range(t)]
      found[b, t] = y[b, distances.index(min(distances))]
  return found


def means_by_loops(x, y):
  x, found = x.astype(np.float64), np.zeros_like(y)
  for b, t in np.ndindex(y.shape):
    best = np.inf
    for k in sorted(set(y[b, :t].tolist())):
      center = x[b, :t][y[b, :t] == k].mean(axis=0)
      distance = np.sum((center - x[b, t]) ** 2)
      if distance < best:
        best, found[b, t] = distance, k
  return found


BY_LOOPS = {'nearest': nearest_by_loops, 'means': means_by_loops}


@pytest.mark.parametrize('name', BY_LOOPS)
def test_rules_by_loops(name):
  x, y = sequences()
  got = RULES[name](x, y)
  assert got.dtype == jnp.int32 and got.shape == (B, T)
  np.testing.assert_array_equal(got, BY_LOOPS[name](x, y))
  np.testing.assert_array_equal(got[:, 0], 0)
  assert len(np.unique(got)) == C


def test_the_first_of_equally_near_examples_counts():
  # Whole numbers: no distance is rounded.
  rng = np.random.default_rng(1)
  x = rng.integers(-1, 2, (B, T, N)).astype(np.float32)
  y = rng.integers(0, C, (B, T)).astype(np.int32)
  np.testing.assert_array_equal(nearest(x, y), nearest_by_loops(x, y))
  x = np.zeros((B, T, N), np.float32)
  np.testing.assert_array_equal(nearest(x, y)[:, 1:], y[:, :1] + 0 * y[:, 1:])
  # Of equally near classes, the first number: two examples left and right.
  x[0, :3, 0] = 1., -1., 0.
  y[0, :2] = 4, 2
  assert means(x, y)[0, 2] == 2


@pytest.mark.parametrize('name', BY_LOOPS)
def test_classes_that_were_not_seen_are_not_guessed(name):
  x, y = sequences(2, (1, 4))
  got = np.asarray(RULES[name](x, y))
  np.testing.assert_array_equal(got, BY_LOOPS[name](x, y))
  assert set(got[:, 1:].ravel().tolist()) == {1, 4}
  np.testing.assert_array_equal(got[:, 1], y[:, 0])


@pytest.mark.parametrize('name', BY_LOOPS)
def test_a_rotation_changes_nothing(name):
  x, y = sequences(3)
  turn = np.linalg.qr(np.random.default_rng(3).normal(size=(N, N)))[0]
  np.testing.assert_array_equal(RULES[name](x, y), RULES[name](
      (x @ turn).astype(np.float32), y))


@pytest.mark.parametrize('name', RULES)
def test_a_label_is_not_known_before_it_is_shown(name):
  x, y = sequences(4)
  x, y = (np.repeat(a[:1], B, axis=0) for a in (x, y))
  changed = y.copy()
  rows = np.arange(T)
  changed[rows, rows] = (y[rows, rows] + 1) % C
  before, after = (np.asarray(RULES[name](x, labels))
                   for labels in (y, changed))
  known = np.tri(T, dtype=bool)  # row t: positions <= t
  np.testing.assert_array_equal(before[:T][known], after[:T][known])
  assert (before[:T][~known] != after[:T][~known]).any()


# --- Online SGD --------------------------------------------------------------


@functools.cache
def start(width=64):
  """The parameters before the first example, float64."""
  keys = jax.random.split(KEY)
  w_0 = jax.random.normal(keys[0], (N, width)) * (2 / N)**.5
  w_1 = jax.random.normal(keys[1], (width, C)) / width**.5
  return [np.asarray(w, np.float64) for w in (
      w_0, np.zeros(width), w_1, np.zeros(C))]


def forward(params, x):
  w_0, b_0, w_1, b_1 = params
  hidden = np.maximum(x @ w_0 + b_0, 0)
  return hidden, hidden @ w_1 + b_1


def stepped(params, x, label, rate):
  """One step on the cross entropy of one example."""
  hidden, logits = forward(params, x)
  p = np.exp(logits - logits.max())
  d_logits = p / p.sum() - np.eye(C)[label]
  d_hidden = (params[2] @ d_logits) * (hidden > 0)
  grads = (np.outer(x, d_hidden), d_hidden, np.outer(hidden, d_logits),
           d_logits)
  return [p - rate * g for p, g in zip(params, grads, strict=True)]


def online_by_loops(x, y, rate):
  found = np.zeros_like(y)
  for b in range(len(x)):
    params = start()
    for t in range(x.shape[1]):
      found[b, t] = forward(params, x[b, t])[1].argmax()
      params = stepped(params, x[b, t], y[b, t], rate)
  return found


@pytest.mark.parametrize('rate', [.03, .3])
def test_online_sgd_by_loops(rate):
  x, y = sequences(5)
  got = online(x, y, rate)
  assert got.dtype == jnp.int32
  np.testing.assert_array_equal(got, online_by_loops(x, y, rate))


def test_one_step_is_as_long_as_it_should_be():
  """The rate at which the label of a repeated example is just learned."""
  x, y = sequences(6)
  x[:, 1] = x[:, 0]
  for b in range(3):
    params = start()
    y[b, 0] = forward(params, x[b, 0])[1].argmin()
    low, high = 0., 10.
    for _ in range(40):
      rate = (low + high) / 2
      learned = y[b, 0] == forward(stepped(params, x[b, 0], y[b, 0], rate),
                                   x[b, 0])[1].argmax()
      low, high = (low, rate) if learned else (rate, high)
    assert .01 < rate < 9
    assert online(x, y, rate * .999)[b, 1] != y[b, 0]
    assert online(x, y, rate * 1.001)[b, 1] == y[b, 0]


def test_without_a_step_the_network_stays_as_it_was():
  x, y = sequences(7)
  want = forward(start(), x.astype(np.float64))[1].argmax(axis=-1)
  assert len(np.unique(want)) > 1
  np.testing.assert_array_equal(online(x, y, 0.), want)
  np.testing.assert_array_equal(online(x, (y + 1) % C, 0.), want)
