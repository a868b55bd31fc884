"""Simplicity bias: identities of the theory in float64, and times."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from assay import config as config_lib
from assay import papers
from assay.errors import UserError
from assay.methods import sam
from assay.study import Block, Study, replaced

experiment = papers.load('simplicity_bias')
settings = papers.configs('simplicity_bias')


def small(variant='smoke', **fields):
  return replaced(settings.get_config(variant), fields)


def gradient(config, weights, batch, rho=None):
  """What the experiment's loss and SAM give, in float64."""
  grad_fn = jax.value_and_grad(experiment.make_loss(config), has_aux=True)
  if rho is not None:
    grad_fn = sam.sam(grad_fn, rho)
  with jax.enable_x64(True):
    batch = {k: jnp.asarray(v, jnp.float64) for k, v in batch.items()}
    (loss, _), grads = jax.jit(grad_fn)(
        {'weights': jnp.asarray(weights, jnp.float64)}, {}, batch,
        jax.random.key(0))
    return float(loss), np.asarray(grads['weights'])


def by_patches(weights, x, y, weight):
  """Loss and gradient, neuron by neuron and patch by patch."""
  loss, grads = 0., np.zeros_like(weights)
  for patches, label, importance in zip(x, y, weight, strict=True):
    f = sum((w @ p) ** 3 for w in weights for p in patches)
    loss += importance * np.log1p(np.exp(-label * f)) / len(y)
    push = importance * label / (1 + np.exp(label * f)) / len(y)
    for j, w in enumerate(weights):
      grads[j] -= push * sum(3 * (w @ p) ** 2 * p for p in patches)
  return loss, grads


@pytest.fixture(scope='module')
def noisy():
  rng = np.random.default_rng(0)
  return rng.normal(0, .5, (5, 4)), {
      'x': rng.normal(size=(7, 3, 4)), 'y': rng.choice([-1., 1.], 7),
      'weight': rng.uniform(.5, 1.5, 7)}


def test_gradient_patch_by_patch_and_by_differences(noisy):
  weights, batch = noisy
  loss, grads = gradient(small(width=5), weights, batch)
  want_loss, want = by_patches(weights, **batch)
  assert abs(loss - want_loss) < 1e-12
  np.testing.assert_allclose(grads, want, rtol=0, atol=1e-12)
  for j, k in itertools.product(range(2), range(4)):
    step = np.zeros_like(weights)
    step[j, k] = 1e-6
    slope = (by_patches(weights + step, **batch)[0]
             - by_patches(weights - step, **batch)[0]) / 2e-6
    assert abs(slope - grads[j, k]) < 1e-7


def toy(seed, slow=.2, num_neurons=40):
  """Weights in R^2 (a_j, b_j) and the noise-free law in float64."""
  weights = np.random.default_rng(seed).normal(0, .01, (num_neurons, 2))
  x = np.zeros((2, 2, 2))
  x[:, 0, 0], x[0, 1, 1] = slow, 1.
  return weights, {'x': x, 'y': np.ones(2), 'weight': np.array([1.8, .2])}


def slopes(weights, batch):
  """The closed form of the gradient: [J, 2] of the law with alpha 0.9."""
  f = (batch['x'][0, 0, 0] * weights[:, 0]) ** 3
  slow, fast = f.sum(), (weights[:, 1] ** 3).sum()
  l_fast, l_masked = 1 / (1 + np.exp(slow + fast)), 1 / (1 + np.exp(slow))
  return -3 * weights ** 2 * np.array([
      batch['x'][0, 0, 0] ** 3 * (.9 * l_fast + .1 * l_masked), .9 * l_fast])


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('rho', [.005, .01, .02])
def test_sam_damps_each_neuron_by_its_closed_form(seed, rho):
  config = small('rho')
  weights, batch = toy(seed)
  plain = gradient(config, weights, batch)[1]
  np.testing.assert_allclose(plain, slopes(weights, batch), rtol=1e-12)
  damped = gradient(config, weights, batch, rho)[1]
  share = np.abs(plain) / np.linalg.norm(plain)
  factor = (1 - rho * share / weights) ** 2
  # Up to the change of the loss's slope, tiny as outputs are.
  np.testing.assert_allclose(damped / plain, factor, rtol=1e-4)
  a, b = weights.argmax(axis=0)
  got = (damped[a, 0] / damped[b, 1]) / (plain[a, 0] / plain[b, 1])
  np.testing.assert_allclose(got, factor[a, 0] / factor[b, 1], rtol=1e-4)
  assert got > 1


def test_random_directions_leave_the_ratio_alone():
  weights, batch = toy(0)
  grad_fn = sam.sam(
      jax.value_and_grad(experiment.make_loss(small('rho')), has_aux=True),
      .01, direction=sam.random)
  params = {'weights': jnp.asarray(weights, jnp.float32)}
  batch32 = {k: jnp.asarray(v, jnp.float32) for k, v in batch.items()}
  _, grads = jax.jit(jax.vmap(lambda key: grad_fn(params, {}, batch32, key)))(
      jax.random.split(jax.random.key(0), 2000))
  mean, plain = grads['weights'].mean(axis=0), slopes(weights, batch)
  a, b = weights.argmax(axis=0)
  got = (mean[a, 0] / mean[b, 1]) / (plain[a, 0] / plain[b, 1])
  assert abs(got - 1) < .03


def descend(weights, batch, rate, rho, num_steps):
  """Steps at which the largest fast and slow alignments first exceed 0.5."""
  fast = slow = None
  for step in range(num_steps):
    a, b = weights.max(axis=0)
    fast = step if fast is None and b > .5 else fast
    slow = step if slow is None and a > .5 else slow
    grads = slopes(weights, batch)
    if rho:
      grads = slopes(weights + rho * grads / np.linalg.norm(grads), batch)
    weights = weights - rate * grads
  return fast, slow


@pytest.fixture(scope='module')
def fitted():
  """`fit` of a strong slow feature, and its initial weights."""
  def of(rho):
    config = small('rho_strong', num_steps=1500, rho=rho)
    block = Block(Study('simplicity_bias', 'rho_strong', config), 'sam',
                  (0, 1, 2))
    found = experiment.train_block(config, block, 'sam', 'fit',
                                   experiment.make_data(config, block.seeds))
    return experiment.first_times(config, found)
  return {rho: of(rho) for rho in (0., .02)}


@pytest.mark.parametrize('rho', [0., .02])
def test_crossing_times_are_those_of_float64(rho, fitted):
  times = fitted[rho]
  starts = times['start', 0.]
  np.testing.assert_array_equal(starts[0], 0)
  for i, start in enumerate(starts[1]):
    _, batch = toy(0, .8)
    fast, slow = descend(start.astype(float), batch, .5, rho, 1500)
    assert abs(times['fast', .5][0][i] - fast) <= max(1, .005 * fast)
    assert abs(times['slow', .5][0][i] - slow) <= max(1, .005 * slow)


def test_closed_forms_of_the_times():
  # Per step, with l = 1/2: 1/b falls by 1.5 eta alpha beta^3; 1/a by 1.5 eta
  # beta^3 until the fast feature is learned, then by (1 - alpha) of that.
  rate, alpha, strength, errors = .5, .9, .4, []
  for seed in range(4):
    weights, batch = toy(seed, strength)
    a, b = weights.max(axis=0)
    fast, slow = descend(weights, batch, rate, 0, 20_000)
    until = (1 / b - 2) / (1.5 * rate * alpha)
    fall = 1.5 * rate * strength ** 3
    after = (1 / a - 2 - fall * until) / (fall * (1 - alpha))
    errors.append([fast / until, slow / (until + after)])
    # The plain form counts the masked examples alone, all along.
    assert .8 < slow * fall * (1 - alpha) * a < 1
  # Near the end l of the fast feature is below 1/2: a few steps more.
  np.testing.assert_allclose(errors, 1, atol=.1)
  np.testing.assert_allclose(np.array(errors)[:, 1], 1, atol=.01)


def test_clusters_are_the_masked_examples():
  config = small('separability', num_examples=500)
  own = experiment.make_data(config, (0,))
  weights = np.random.default_rng(0).normal(0, .01, (40, 50))
  weights[0] += .05 * own['directions'][0, 1]  # a little of the fast feature
  slow = experiment.slow_examples(weights, own, 0)
  np.testing.assert_array_equal(slow, ~own['has_fast'][0])


def test_upsampling_weighs_as_copies_do():
  config = small('useful', upsampling=3., num_examples=40)
  study = Study('simplicity_bias', 'useful', config)
  own = experiment.make_data(config, (0,))
  heavier, steps = experiment.upsampled(
      config, Block(study, 'gd_masked', (0,)), 'gd_masked', own)
  rows = np.concatenate([np.arange(40)] + 2 * [
      np.flatnonzero(~own['has_fast'][0])])
  weights = np.random.default_rng(0).normal(0, .3, (40, 50))
  batch = lambda own: {k: own[k][0] for k in ('x', 'y', 'weight')}
  copies = {k: own[k][:, rows] for k in ('x', 'y', 'weight')}
  assert steps == 0
  np.testing.assert_allclose(
      gradient(config, weights, batch(heavier))[1],
      gradient(config, weights, batch(copies))[1], atol=1e-7)


def test_an_accuracy_counts_from_when_it_stays():
  config = small('useful')
  ones = np.ones((4, 40, 50))
  times = {event: (np.ones(4), ones) for event in experiment.events(config)}
  curves = {'step': np.array([20, 40, 60, 80]), 'masked_accuracy': np.array(
      [[1, 0, 1, 0], [0, 0, 1, 1], [1, 0, 1, 1], [1, 1, 1, 0.]])}
  found = experiment.results_of(
      config, times, {'directions': np.ones((4, 2, 50))}, curves, 7)
  np.testing.assert_array_equal(found['steps_to_accuracy'],
                                [60, 80, 20, np.nan])
  np.testing.assert_array_equal(found['total_steps'], [67, 87, 27, np.nan])


def test_a_seed_that_never_gets_there_says_so():
  config = small('early', num_steps=20, num_seeds=2, learning_rate=1e-3)
  rows = experiment.run(config, Study('simplicity_bias', 'early', config))
  late = [r for r in rows if r['metric'] == 'time_fast']
  assert len(late) == 2
  for row in late:
    assert row['value'] is None and row['why'] == 'not reached in 20 steps'


@pytest.mark.parametrize('field, value', [('width', 0), ('upsampling', -1.)])
def test_sizes_that_cannot_be_are_refused(field, value):
  with pytest.raises(UserError, match=f'{field}={value}'):
    config_lib.check(small(**{field: value}), settings.BOUNDS)
