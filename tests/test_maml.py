"""assay.methods.maml and its relatives, against formulas and differences."""

import pathlib
import re

import jax
from jax import flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from assay.methods import gaussian_weights, maml, task_augmentation

RNG = np.random.default_rng(0)
RATE, STEPS = .1, 3
X, Y = RNG.normal(size=(2, 4, 6, 3)), RNG.normal(size=(2, 4, 6))
SUPPORT, QUERY = ((X[i], Y[i]) for i in range(2))  # of four tasks


def linear(w, examples):
  x, y = examples
  return jnp.mean((x @ w - y)**2) / 2


def network(params, examples):
  x, y = examples
  return jnp.mean((jnp.tanh(x @ params['hidden']) @ params['output'] - y)**2)


def closed_form(w, rate, first_order):
  """Steps of least squares are linear: w_K - w* = (I - rate A)^K (w - w*)."""
  slopes = []
  for (x, y), (q, z) in zip(zip(*SUPPORT, strict=True),
                            zip(*QUERY, strict=True), strict=True):
    best = np.linalg.solve(x.T @ x, x.T @ y)
    shrink = np.linalg.matrix_power(np.eye(3) - rate * x.T @ x / 6, STEPS)
    slope = q.T @ (q @ (best + shrink @ (w - best)) - z) / 6
    slopes.append(slope if first_order else shrink.T @ slope)
  return np.mean(slopes, axis=0)


@pytest.mark.parametrize('first_order', [False, True])
def test_the_gradient_of_least_squares_in_closed_form(first_order):
  with jax.enable_x64(True):
    w = jnp.asarray(RNG.normal(size=3))
    got = jax.jit(jax.grad(lambda w: maml.meta_loss(
        linear, w, SUPPORT, QUERY, RATE, STEPS, first_order)))(w)
  np.testing.assert_allclose(got, closed_form(np.asarray(w), RATE, first_order),
                             rtol=1e-10)


def test_the_gradient_by_finite_differences():
  with jax.enable_x64(True):
    flat, unravel = flatten_util.ravel_pytree({
        'hidden': RNG.normal(size=(3, 5)), 'output': RNG.normal(size=5)})
    of = jax.jit(lambda v: maml.meta_loss(
        network, unravel(v), SUPPORT, QUERY, RATE, STEPS))
    got = jax.grad(of)(flat)
    for direction in np.eye(len(flat))[::4]:
      want = (of(flat + 1e-6 * direction) - of(flat - 1e-6 * direction)) / 2e-6
      np.testing.assert_allclose(got @ direction, want, rtol=1e-6, atol=1e-9)


def test_rates_may_be_of_parts_and_are_learned_themselves():
  params = {'hidden': RNG.normal(size=(3, 5)), 'output': RNG.normal(size=5)}
  params = jax.tree.map(jnp.float32, params)
  one = jax.tree.map(lambda a: a[0], SUPPORT)
  upper = maml.adapted(network, params, one, {'hidden': 0., 'output': RATE})
  np.testing.assert_array_equal(upper['hidden'], params['hidden'])
  plain = maml.adapted(network, params, one, RATE)
  np.testing.assert_allclose(upper['output'], plain['output'], rtol=1e-6)
  assert np.abs(plain['hidden'] - params['hidden']).max() > 1e-3
  # Meta-SGD: the slope with respect to a rate, against a difference.
  of = lambda rate: maml.meta_loss(network, params, SUPPORT, QUERY,
                                   {'hidden': rate, 'output': RATE})
  np.testing.assert_allclose(jax.grad(of)(RATE), (
      of(RATE + 1e-2) - of(RATE - 1e-2)) / 2e-2, rtol=2e-2)


def test_the_path_begins_at_the_parameters_and_leads_to_the_end():
  one, w = jax.tree.map(lambda a: a[0], SUPPORT), jnp.ones(3)
  last, before = maml.path(linear, w, one, RATE, STEPS)
  np.testing.assert_array_equal(before[0], w)
  np.testing.assert_array_equal(before[2], maml.adapted(linear, w, one, RATE,
                                                        2))
  np.testing.assert_array_equal(last, maml.adapted(linear, w, one, RATE, STEPS))
  np.testing.assert_array_equal(maml.adapted(linear, w, one, RATE, 0), w)
  with pytest.raises(ValueError, match='num_steps=-1 must be 0 or more'):
    maml.adapted(linear, w, one, RATE, -1)


# Weights with noise.


def test_divergence_is_the_integral():
  for mean, log_std in ((0., 0.), (1.5, -1.), (-.3, .4)):
    law = stats.norm(mean, np.exp(log_std))
    want, _ = integrate.quad(lambda v, law=law: law.pdf(v) * (
        law.logpdf(v) - stats.norm.logpdf(v)), -9, 9)
    weights = gaussian_weights.start({'a': jnp.full(2, mean)}, log_std)
    np.testing.assert_allclose(gaussian_weights.divergence(weights), 2 * want,
                               rtol=1e-5, atol=1e-6)


def test_samples_have_the_law_and_no_noise_is_the_mean():
  params = {'a': jnp.full((2, 4000), 2.), 'b': jnp.zeros(4000)}
  weights = gaussian_weights.start(params, np.log(.5))
  got = gaussian_weights.sample(jax.random.key(0), weights)
  for name, mean in (('a', 2), ('b', 0)):
    assert stats.kstest(np.ravel(got[name]), stats.norm(mean, .5).cdf
                        ).pvalue > 1e-3
  assert abs(np.corrcoef(got['a'][0], got['b'])[0, 1]) < .06
  still = gaussian_weights.sample(
      jax.random.key(0), gaussian_weights.start(params, -50.))
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6),
               still, params)


# Tasks made of a task.

TASK = jax.tree.map(jnp.float32, {
    'x': RNG.normal(size=(3, 2)), 'y': np.array([[0.], [1.], [3.]]),
    'query_x': RNG.normal(size=(2, 2)), 'query_y': np.array([[0.], [2.]])})


def partners(bandwidth, repeats=4000):
  found = jax.jit(jax.vmap(lambda key: task_augmentation.paired(
      key, TASK, 2., bandwidth)))(jax.random.split(jax.random.key(1), repeats))
  which = np.argmin(np.abs(np.asarray(found['partner_y'])
                           - np.array([0., 1., 3.])), axis=-1)
  np.testing.assert_array_equal(found['partner_x'], TASK['x'][which])
  assert (found['lam'][:, :1] == found['lam']).all()  # one for all of a task
  return np.stack([(which == k).mean(axis=0) for k in range(3)], axis=1)


def test_partners_are_drawn_by_the_law():
  gaps = np.array([[0., 1., 3.], [2., 1., 1.]])
  for bandwidth in (.8, np.inf):
    law = np.exp(-(gaps / bandwidth)**2 / 2)
    law /= law.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(partners(bandwidth), law, atol=.04)
    entropy = -(law * np.log(law)).sum(axis=1)
    np.testing.assert_allclose(
        task_augmentation.effective_partners(TASK, bandwidth),
        np.exp(entropy).mean() / 3, rtol=1e-5)


def test_queries_are_mixed_and_the_support_is_not():
  key = jax.random.key(2)
  pair = task_augmentation.paired(key, TASK, 2., .5)
  got = task_augmentation.mixed(key, TASK, 2., .5)
  lam = pair['lam'][:, None]
  for k in 'xy':
    np.testing.assert_array_equal(got[k], TASK[k])
    np.testing.assert_allclose(got[f'query_{k}'], lam * TASK[f'query_{k}'] + (
        1 - lam) * pair[f'partner_{k}'], rtol=1e-5, atol=1e-6)
  hidden = task_augmentation.mixed(key, TASK, 2., .5, ('y',))
  np.testing.assert_array_equal(hidden['query_x'], TASK['query_x'])
  np.testing.assert_array_equal(hidden['query_y'], got['query_y'])


def test_labels_change_alike_within_a_task():
  for seed in range(5):
    got = task_augmentation.shifted(jax.random.key(seed), TASK, 2.)
    by = got['y'] - TASK['y']
    assert np.ptp(by) < 1e-6 and 0 < abs(by[0, 0]) <= 2
    np.testing.assert_allclose(got['query_y'] - TASK['query_y'], by[:2], 1e-5)
  directions = TASK | {k: jnp.concatenate([TASK[k], 1 + TASK[k]], axis=1)
                       for k in ('y', 'query_y')}
  plane = directions['y'] @ np.array([1, 1j])
  turns = set()
  for seed in range(20):
    got = task_augmentation.turned(jax.random.key(seed), directions)
    turn = (got['y'] @ np.array([1, 1j])) / plane
    assert np.ptp(turn) < 1e-5
    turns.add(complex(np.round(turn[0])))
  assert turns == {1, 1j, -1, -1j}


def test_the_page():
  page = (pathlib.Path(__file__).parents[1] / 'docs'
          / 'learning_across_tasks.md').read_text()
  scope = {}
  for code in re.findall(r'```python\n(.*?)```', page, re.DOTALL):
    exec(code, scope)
  # It learns: a new task's error after five steps, and before.
  assert scope['after'] < .5 * scope['before']
