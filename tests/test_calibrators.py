"""Post-hoc calibrators: SciPy's optimum, known truth, limits, invariances."""
import functools
import itertools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, special

from assay import losses
from assay.methods import (
    binning,
    calibrators,
    isotonic_regression,
    linear_maps,
    temperature_networks,
)

N, C = 240, 4
SMOOTH = {'temperature': calibrators.temperature,
          'ensemble_temperature': calibrators.ensemble_temperature,
          'vector': linear_maps.vector, 'matrix': linear_maps.matrix,
          'dirichlet': linear_maps.dirichlet}
NETWORKS = {
    'correctness_aware': temperature_networks.correctness_aware,
    'clamped': temperature_networks.correctness_aware_clamped,
    'parameterized': temperature_networks.parameterized_temperature,
    'adaptive': temperature_networks.adaptive_temperature}
HOST = {'isotonic': binning.isotonic, 'multi_isotonic': binning.multi_isotonic,
        'histogram': binning.histogram, 'spline': binning.spline}
ALL = {'uncalibrated': calibrators.uncalibrated} | SMOOTH | NETWORKS | HOST
KEEP_TOP = ['uncalibrated', 'temperature', 'ensemble_temperature',
            'multi_isotonic', 'spline', *NETWORKS]
balanced = functools.partial(losses.correctness_aware, class_balanced=True)


def draw(seed, factor=1., n=N):
  """Logits [n, C] float32, `factor` times those that the labels are from."""
  rng = np.random.default_rng(seed)
  logits = 2 * rng.normal(size=(n, C))
  labels = (logits + rng.gumbel(size=(n, C))).argmax(axis=1)
  return (factor * logits).astype(np.float32), labels


def nll(logits, labels, weights=None):
  log_p = special.log_softmax(logits, axis=1)[np.arange(len(labels)), labels]
  return -np.average(log_p, weights=weights)


def check_log_probabilities(log_p, shape):
  assert log_p.shape == shape
  assert np.isfinite(log_p).all()
  np.testing.assert_allclose(special.logsumexp(log_p, axis=1), 0, atol=1e-5)


def calibrated():
  """Logits and labels whose frequencies are exactly softmax(logits).

  All orders of (.4, .3, .2, .1), with ten labels each: N x C.
  """
  rows, labels = [], []
  for counts in itertools.permutations((4, 3, 2, 1)):
    rows += 10 * [np.log(np.array(counts) / 10)]
    labels += np.repeat(np.arange(C), counts).tolist()
  return np.array(rows, np.float32), np.array(labels)


# --- All ----------------------------------------------------------------------


@pytest.mark.parametrize('name', [n for n in ALL if n != 'clamped'])
def test_what_is_calibrated_stays(name):
  logits, labels = calibrated()
  if name in ('matrix', 'dirichlet'):
    fit = functools.partial(ALL[name].fit, off_diagonal=0., intercept=0.)
  else:
    fit = ALL[name].fit
  p = np.exp(ALL[name].apply(fit(logits, labels), logits))
  tolerance = {'ensemble_temperature': 1e-3} | dict.fromkeys(NETWORKS, 0.01)
  np.testing.assert_allclose(p, special.softmax(logits, axis=1),
                             atol=tolerance.get(name, 1e-4))


@pytest.mark.parametrize('name', ALL)
def test_logits_of_any_size_give_log_probabilities(name, request):
  if name == 'vector':  # otherwise x * a + b is rounded in two ways in one sum
    request.getfixturevalue('optimized')
  logits, labels = draw(0)
  small = ALL[name].fit(logits, labels)
  large = (1e4 * np.sign(logits)).astype(np.float32)
  large[0] = [-1e4, -1e4, -1e4, 1e4]
  for params in small, ALL[name].fit(large, labels):
    for given in logits, large, np.zeros_like(logits):
      log_p = ALL[name].apply(params, given)
      check_log_probabilities(np.asarray(log_p, np.float64), (N, C))


@pytest.mark.parametrize('name', ALL)
def test_one_example_and_one_class_and_a_class_that_is_missing(name):
  logits, labels = draw(1)
  missing = np.minimum(labels, C - 2)
  tiny = (logits[:1, :1], 0 * labels[:1])
  for z, y in ((logits, missing), tiny):
    params = ALL[name].fit(z, y)
    check_log_probabilities(
        np.asarray(ALL[name].apply(params, z), np.float64), z.shape)


@pytest.mark.parametrize('name', KEEP_TOP)
def test_accuracy_stays_bit_for_bit(name):
  # Neighbors in float32, in any order, about 0 and elsewhere, and ties.
  rng = np.random.default_rng(0)
  steps = rng.integers(-2, 3, size=(N, C))
  base = rng.normal(size=(N, 1)) * 10. ** rng.integers(-8, 4, size=(N, 1))
  near = base.astype(np.float32)
  near = (near + steps * np.spacing(np.abs(near))).astype(np.float32)
  near[:20] = 0
  assert (np.sort(near)[:, -1] == np.sort(near)[:, -2]).mean() > 0.2
  calibrator = ALL[name]
  fitted = calibrator.fit(*draw(0, 3.))
  options = [fitted]
  if name in ('temperature', 'ensemble_temperature'):
    for t in (0.01, 0.77, 3.1, 100.):
      options.append(fitted | {'temperature': np.float32(t)})
  if name == 'ensemble_temperature':
    options += [fitted | {'weights': np.array(w, np.float32)}
                for w in ([0, 0, 1], [0.3, 0, 0.7], [0, 1, 0])]
  for params in options:
    log_p = calibrator.apply(params, near)
    top = near.argmax(axis=1)
    np.testing.assert_array_equal(np.argmax(log_p, axis=1), top)
    np.testing.assert_array_equal(np.exp(log_p).argmax(axis=1), top)
    np.testing.assert_array_equal(jnp.argmax(jnp.exp(log_p), axis=1), top)
    check_log_probabilities(np.asarray(log_p, np.float64), (N, C))
    # What ties with the first argmax in the logits may not pass it.
    tied = near == near.max(axis=1, keepdims=True)
    assert (np.asarray(log_p)[tied]
            <= np.repeat(np.max(log_p, axis=1), tied.sum(axis=1))).all()


@pytest.mark.parametrize('name', ['temperature', 'dirichlet', 'parameterized'])
def test_mapped_fits_equal_single_ones(name):
  calibrator = ALL[name]
  # Rounding grows in training: few steps.
  options = {'num_steps': 20} if name == 'parameterized' else {}
  splits = [draw(seed, factor) for seed, factor in ((0, 1.), (1, 4.), (2, .3))]
  logits, labels = (np.stack(a) for a in zip(*splits, strict=True))
  fit = functools.partial(calibrator.fit, **options)
  params = jax.vmap(fit)(logits, labels)
  log_p = jax.vmap(calibrator.apply)(params, logits)
  for i, (z, y) in enumerate(splits):
    single = calibrator.apply(fit(z, y), z)
    np.testing.assert_allclose(np.exp(log_p[i]), np.exp(single), atol=2e-4)


@pytest.mark.parametrize('name', [*SMOOTH, *NETWORKS])
def test_new_data_of_a_shape_compile_nothing(name):
  compiled = [calibrators.fit_temperature, calibrators.apply_temperature,
              calibrators.fit_ensemble_temperature,
              calibrators.apply_ensemble_temperature, linear_maps.fit_vector,
              linear_maps.apply_vector, linear_maps._fit_matrix,
              linear_maps.apply_matrix, temperature_networks.fitted,
              temperature_networks._applied]
  sizes = []
  for seed in range(3):
    logits, labels = draw(seed)
    ALL[name].apply(ALL[name].fit(logits, labels), logits)
    # What looks at the values first has the compiled function inside.
    sizes.append([(f if hasattr(f, '_cache_size') else f.__wrapped__
                   )._cache_size() for f in compiled])
  assert sizes[1] == sizes[0] and sizes[2] == sizes[0]


@pytest.mark.parametrize('name', ALL)
def test_wrong_arrays_are_refused(name):
  logits, labels = draw(0)
  calibrator = ALL[name]
  params = calibrator.fit(logits, labels)
  for z, y, message in (
      (logits[None], labels, 'must be .N, C.'), (logits[0], labels, 'N, C'),
      (logits[:0], labels[:0], 'at least 1'), (logits, labels[1:], r'\(239,\)'),
      (logits, labels[:, None], r'\(240, 1\)'),
      (logits, labels.astype(float), 'must be integers'),
      (logits.astype(int), labels, 'must be float')):
    with pytest.raises(ValueError, match=message):
      calibrator.fit(z, y)
  for z in logits[None], logits[0], logits.astype(int):
    with pytest.raises(ValueError, match='logits'):
      calibrator.apply(params, z)
  if name in HOST:
    for bad in (-1, C):
      with pytest.raises(ValueError, match=rf'labels\[3\] is {bad}'):
        calibrator.fit(logits, np.where(np.arange(N) == 3, bad, labels))
    with pytest.raises(ValueError, match='finite'):
      calibrator.apply(params, np.full_like(logits, np.nan))
  if name in ('isotonic', 'histogram'):
    with pytest.raises(ValueError, match='4 classes'):
      calibrator.apply(params, logits[:, :3])


# --- Temperature --------------------------------------------------------------


@pytest.mark.parametrize('factor', [0.02, 0.3, 1., 3., 40.])
@pytest.mark.parametrize('weighted', [False, True])
def test_temperature_is_the_optimum_of_scipy(factor, weighted):
  logits, labels = draw(3, factor)
  weights = np.ones(N, np.float32)
  if weighted:
    weights = np.random.default_rng(4).uniform(0, 5, N).astype(np.float32)
    weights[:50] = 0
  got = calibrators.fit_temperature(logits, labels, weights)['temperature']
  z = logits.astype(np.float64)
  best = optimize.minimize_scalar(
      lambda log_t: nll(z / np.exp(log_t), labels, weights),
      bounds=np.log([0.01, 100]), method='bounded', options={'xatol': 1e-9})
  np.testing.assert_allclose(got, np.exp(best.x), rtol=1e-4)


@pytest.mark.parametrize('factor', [0.2, 1., 7.])
def test_temperature_finds_the_factor_of_the_true_logits(factor):
  # All labels of each row, weighted by the true posterior: no sampling error.
  true = 2 * np.random.default_rng(5).normal(size=(N // C, C))
  logits = (factor * np.repeat(true, C, axis=0)).astype(np.float32)
  params = calibrators.fit_temperature(
      logits, np.tile(np.arange(C), N // C),
      special.softmax(true, axis=1).ravel().astype(np.float32))
  np.testing.assert_allclose(params['temperature'], factor, rtol=1e-5)
  # And with labels that are drawn.
  logits, labels = draw(6, factor, n=4000)
  params = calibrators.temperature.fit(logits, labels)
  np.testing.assert_allclose(params['temperature'], factor, rtol=0.06)


def test_a_constant_in_the_logits_does_not_matter_to_a_temperature():
  # Multiples of 1/64, so that adding a constant is exact.
  logits, labels = draw(7, 2.)
  logits = np.round(logits * 64) / 64
  moved = logits + np.random.default_rng(0).integers(-500, 500, (N, 1))
  for name in 'temperature', 'ensemble_temperature', 'dirichlet':
    one, other = (ALL[name].fit(z.astype(np.float32), labels)
                  for z in (logits, moved))
    np.testing.assert_allclose(
        ALL[name].apply(one, logits.astype(np.float32)),
        ALL[name].apply(other, moved.astype(np.float32)), atol=1e-4)


def test_temperatures_without_an_optimum_are_bounds():
  fit = calibrators.fit_temperature
  logits, labels = draw(8)
  right = logits.argmax(axis=1)
  cases = [
      (logits, right, np.ones(N), calibrators.LOWEST),  # separable
      (100 * logits, right, np.ones(N), calibrators.LOWEST),
      (logits, logits.argmin(axis=1), np.ones(N), calibrators.HIGHEST),
      (np.repeat(logits[:, :1], C, axis=1), labels, np.ones(N), 1.),  # constant
      (logits, labels, np.zeros(N), 1.),
      (1000 * logits, labels, np.ones(N), calibrators.HIGHEST),  # beyond
      (1e-3 * logits, labels, np.ones(N), calibrators.LOWEST)]
  for z, y, weights, expected in cases:
    t = fit(z.astype(np.float32), y, weights.astype(np.float32))['temperature']
    np.testing.assert_allclose(t, expected, rtol=1e-6)
  broken = np.where(np.arange(N) == 7, np.nan, 1)[:, None] * logits
  t = fit(broken.astype(np.float32), labels, np.ones(N, np.float32))
  assert np.isnan(t['temperature'])
  t = fit(logits, right, np.eye(N, dtype=np.float32)[0])['temperature']
  np.testing.assert_allclose(t, calibrators.LOWEST, rtol=1e-6)


def test_one_wrong_example_among_many_is_found_in_few_steps():
  # Newton's steps are short where the slope falls exponentially.
  logits = np.tile(np.float32([0, 5, 0, 0]), (N, 1))
  labels = np.where(np.arange(N) == 0, 0, 1)
  t = calibrators.temperature.fit(logits, labels)['temperature']
  # p of the others is 1 / (3 N) each.
  np.testing.assert_allclose(
      t, 5 / np.log((1 - 1 / N) / (1 / N / 3)), rtol=1e-5)


def test_weights_of_another_shape_are_refused():
  logits, labels = draw(0)
  with pytest.raises(ValueError, match='weights'):
    calibrators.fit_temperature(logits, labels, np.ones((N, 1), np.float32))


def test_temperature_has_the_mean_confidence_that_was_asked_for():
  logits, _ = draw(9)
  for target in (0.3, 0.6, 0.95):
    params = calibrators.temperature_with_mean_confidence(logits, target)
    log_p = calibrators.temperature.apply(params, logits)
    np.testing.assert_allclose(np.exp(log_p).max(axis=1).mean(), target,
                               atol=1e-5)
  for target, bound in ((0.25, calibrators.HIGHEST), (1., calibrators.LOWEST)):
    params = calibrators.temperature_with_mean_confidence(logits, target)
    np.testing.assert_allclose(params['temperature'], bound, rtol=1e-5)


def test_class_balanced_weights_are_those_of_the_loss():
  logits, labels = draw(10)
  weights = calibrators.class_balanced_weights(logits, labels)
  np.testing.assert_allclose(
      weights * losses.correctness_aware(logits, labels),
      balanced(logits, labels), rtol=1e-5)
  right = logits.argmax(axis=1) == labels
  np.testing.assert_allclose(weights[right].sum(), N / 2, rtol=1e-5)
  np.testing.assert_array_equal(
      calibrators.class_balanced_weights(logits, logits.argmax(axis=1)), 1)


# --- More parameters ----------------------------------------------------------


def scipy_minimum(objective, start):
  return optimize.minimize(objective, start, method='BFGS',
                           options={'gtol': 1e-8, 'maxiter': 2000})


def test_vector_scaling_is_the_optimum_of_scipy():
  logits, labels = draw(11, 2.)
  params = linear_maps.vector.fit(logits, labels)
  best = scipy_minimum(lambda u: nll(logits * u[:C] + u[C:], labels),
                       np.repeat([1., 0.], C))
  np.testing.assert_allclose(params['weights'], best.x[:C], atol=1e-4)
  np.testing.assert_allclose(params['bias'], best.x[C:], atol=1e-4)


@pytest.mark.parametrize('name', ['matrix', 'dirichlet'])
def test_matrix_scaling_is_the_optimum_of_scipy(name):
  logits, labels = draw(12, 2.)
  params = SMOOTH[name].fit(logits, labels, off_diagonal=0.3, intercept=0.2)
  z = logits.astype(np.float64)
  if name == 'dirichlet':
    z = special.log_softmax(z, axis=1)

  def objective(u):
    weights, bias = u[:C * C].reshape(C, C), u[C * C:]
    off = weights[~np.eye(C, dtype=bool)]
    return (nll(z @ weights.T + bias, labels) + 0.3 * np.mean(off**2)
            + 0.2 * np.mean(bias**2))

  best = scipy_minimum(objective, np.append(np.eye(C), np.zeros(C)))
  np.testing.assert_allclose(params['weights'].ravel(), best.x[:C * C],
                             atol=1e-4)
  np.testing.assert_allclose(params['bias'], best.x[C * C:], atol=1e-4)


def test_penalties_lead_from_matrix_to_vector_scaling_and_to_no_bias():
  logits, labels = draw(13, 2.)
  heavy = linear_maps.fit_matrix(logits, labels, off_diagonal=1e4,
                                 intercept=0.)
  vector = linear_maps.fit_vector(logits, labels)
  np.testing.assert_allclose(heavy['weights'], np.diag(vector['weights']),
                             atol=1e-3)
  np.testing.assert_allclose(heavy['bias'] - np.mean(heavy['bias']),
                             vector['bias'] - np.mean(vector['bias']),
                             atol=1e-3)
  both = linear_maps.fit_matrix(logits, labels, off_diagonal=1e4,
                                intercept=1e4)
  np.testing.assert_allclose(both['bias'], 0, atol=1e-4)
  free, light = (linear_maps.fit_matrix(logits, labels, w, w) for w in (0., 1))
  log_p = [linear_maps.matrix.apply(p, logits) for p in (free, light, both)]
  fits = [-np.mean(np.asarray(a)[np.arange(N), labels]) for a in log_p]
  assert fits[0] < fits[1] < fits[2]


@pytest.mark.parametrize('uniform', [0., 0.3])
def test_ensemble_temperature_is_the_optimum_of_scipy(uniform):
  logits, labels = draw(14, 2.)
  rng = np.random.default_rng(0)  # labels that are noise: a part of 1 / C
  labels = np.where(rng.random(N) < uniform, rng.integers(C, size=N), labels)
  params = calibrators.ensemble_temperature.fit(logits, labels)
  t = calibrators.temperature.fit(logits, labels)['temperature']
  np.testing.assert_array_equal(params['temperature'], t)
  own = [special.softmax(logits / s, axis=1)[np.arange(N), labels]
         for s in (float(t), 1.)] + [np.full(N, 1 / C)]
  best = optimize.minimize(
      lambda w: -np.log(w @ np.array(own)).mean(), np.full(3, 1 / 3),
      method='SLSQP', bounds=[(0, 1)] * 3, options={'ftol': 1e-14},
      constraints={'type': 'eq', 'fun': lambda w: w.sum() - 1})
  got = np.asarray(params['weights'], np.float64)
  assert got.min() >= 0
  np.testing.assert_allclose(got.sum(), 1, atol=1e-6)
  np.testing.assert_allclose(-np.log(got @ np.array(own)).mean(), best.fun,
                             atol=2e-6)
  log_p = calibrators.ensemble_temperature.apply(params, logits)
  np.testing.assert_allclose(
      np.exp(log_p[np.arange(N), labels]), got @ np.array(own), rtol=1e-4)
  if uniform:
    assert got[2] > 0.05


# --- Networks -----------------------------------------------------------------


def test_features_are_those_of_the_original_order():
  original = np.float32([[1, 5, 3, 5, 0], [9, 1, 1, 2, 8]])
  copy = np.log(np.float32([[.1, .2, .3, .15, .25], [.5, .2, .1, .1, .1]]))
  got = temperature_networks.top_class_features(original, [copy, original], k=3)
  np.testing.assert_allclose(
      got[:, :3], [[.2, .15, .3], [.5, .1, .1]], rtol=1e-5)
  np.testing.assert_allclose(
      got[:, 3:], -np.sort(-special.softmax(original, axis=1))[:, :3],
      rtol=1e-5)
  assert temperature_networks.top_class_features(
      original, [copy], k=9).shape == (2, 5)
  for copies, k in (([], 3), ([copy], 0), ([copy[:1]], 3)):
    with pytest.raises(ValueError, match='cop'):
      temperature_networks.top_class_features(original, copies, k)


def test_the_softplus_starts_near_one_and_alive_and_the_clamp_is_dead():
  logits, labels = draw(15, 3.)
  features = temperature_networks.top_class_features(logits, [logits] * 3)

  @functools.partial(jax.jit, static_argnums=1)
  def start(seed, clamp):
    params = temperature_networks.initial(jax.random.key(seed), features,
                                          clamp=clamp)

    def loss(layers):
      t = temperature_networks.temperatures(
          params | {'layers': layers}, features, clamp)
      loss = losses.correctness_aware(logits / t[:, None], labels)
      return jnp.mean(loss), t

    slopes, t = jax.grad(loss, has_aux=True)(params['layers'])
    return t, slopes

  dead = 0
  for seed in range(100):
    for clamp in (False, True):
      t, slopes = start(seed, clamp)
      slopes = jax.tree.leaves(slopes)
      if clamp:
        dead += all((g == 0).all() for g in slopes)
        assert (t >= 0.1).all() and (t <= 10).all()
      else:
        np.testing.assert_allclose(np.median(t), 1, atol=0.1)
        np.testing.assert_allclose(t, 1, atol=0.4)
        assert all(np.abs(g).max() > 0 for g in slopes)
  assert dead >= 20


def test_dead_clamp_stays_where_it_started():
  logits, labels = draw(15, 3.)
  low = np.full((N, 1), -100, np.float32)  # any network with kernel > 0 is 0
  calibrator = temperature_networks.network(temperature_networks.log_entropy,
                                            hidden=(), clamp=True)
  seed = next(s for s in range(20) if temperature_networks.initial(
      jax.random.split(jax.random.key(s))[0], low, (),
      True)['layers'][0]['kernel'][0, 0] > 0.1)
  params = calibrator.fit(logits, labels, low, seed=seed)
  t = temperature_networks.temperatures(params, low, clamp=True)
  np.testing.assert_array_equal(t, np.float32(0.1))


def test_without_features_a_network_is_one_temperature():
  logits, labels = draw(16, 3.)
  calibrator = temperature_networks.network(
      lambda z: jnp.zeros((len(z), 1)), hidden=())
  params = calibrator.fit(logits, labels)
  t = temperature_networks.temperatures(params, np.zeros((1, 1)))
  best = calibrators.temperature.fit(logits, labels)['temperature']
  np.testing.assert_allclose(t[0], best, rtol=1e-3)


def test_a_network_finds_temperatures_that_depend_on_the_features():
  logits, labels = draw(17, n=2000)
  group = np.arange(2000) % 2
  logits = (logits * np.where(group, 4., 0.5)[:, None]).astype(np.float32)
  features = np.eye(2, dtype=np.float32)[group]
  calibrator = temperature_networks.correctness_aware
  params = calibrator.fit(logits, labels, features)
  low, high = temperature_networks.temperatures(params, np.eye(2))
  np.testing.assert_allclose([low, high], [0.5, 4], rtol=0.2)
  with pytest.raises(ValueError, match='features'):
    calibrator.apply(params, logits, features[:, :1])
  with pytest.raises(ValueError, match='features'):
    calibrator.apply(params, logits, features[:-1])


def test_objectives_share_their_start_and_differ_in_the_end():
  logits, labels = draw(18, 3.)
  fit = temperature_networks.correctness_aware.fit
  objectives = (losses.correctness_aware, balanced, losses.mdca)
  ends = []
  for objective in objectives:
    start = fit(logits, labels, objective=objective, learning_rate=0.)
    end = fit(logits, labels, objective=objective)
    again = fit(logits, labels, objective=objective)
    ends.append(np.concatenate([np.ravel(a) for a in jax.tree.leaves(end)]))
    if objective is losses.correctness_aware:
      first = start
    jax.tree.map(np.testing.assert_array_equal, start, first)
    jax.tree.map(np.testing.assert_array_equal, again, end)
  for i in range(len(ends)):
    for j in range(i):
      assert np.abs(ends[i] - ends[j]).max() > 1e-3
  other = fit(logits, labels, seed=1)
  assert not np.array_equal(other['layers'][0]['kernel'],
                            first['layers'][0]['kernel'])


def test_entropy_feature_is_within_its_bounds():
  logits = np.float32([[0, 0, 0, 0], [1e4, 0, 0, 0], [0, 0, -1e4, -1e4]])
  np.testing.assert_allclose(
      temperature_networks.log_entropy(logits)[:, 0],
      [0, np.log(1e-6), np.log(0.5)], atol=1e-5)


# --- On the host --------------------------------------------------------------


def two_classes(p, right):
  """Logits with p for class 1, and the labels."""
  p = np.array(p, float)
  return np.log(np.stack([1 - p, p], axis=1)), np.array(right, int)


def test_isotonic_regression_pools_what_falls():
  # By p: labels 0, 1, 0, 1, 1, so that 0.3 and 0.4 are pooled at 1/2.
  logits, labels = two_classes([.1, .3, .4, .6, .9], [0, 1, 0, 1, 1])
  params = binning.isotonic.fit(logits, labels)
  new, _ = two_classes([.05, .2, .35, .5, .8, .95], [0] * 6)
  # Class 0 is the mirror image here, so rows sum to 1 before normalizing.
  np.testing.assert_allclose(np.exp(binning.isotonic.apply(params, new))[:, 1],
                             [0, .25, .5, .75, 1, 1], atol=1e-7)


def test_isotonic_regression_is_scikit_learns_bit_for_bit():
  from sklearn.isotonic import IsotonicRegression  # slow to import

  near = 2.0**-53  # values of which several count as one
  rng = np.random.default_rng(0)
  for draw in (rng.random, lambda n: rng.random(n).round(1),
               lambda n: 1 - near * rng.integers(0, 60, n),
               lambda n: rng.random(n) * 10.0**rng.integers(-18, -10)):
    for n in (1, 2, 30, 300):
      p, right = draw(n), rng.random(n) < 0.4
      want = IsotonicRegression(y_min=0, y_max=1).fit(p, right.astype(float))
      for got, of in zip(isotonic_regression.fit(p, right), (
          want.X_thresholds_, want.y_thresholds_), strict=True):
        np.testing.assert_array_equal(got, of)


def test_isotonic_regression_needs_no_scikit_learn(monkeypatch):
  # Whose import takes longer than most fits.
  for name in [name for name in sys.modules if name.startswith('sklearn')]:
    monkeypatch.setitem(sys.modules, name, None)
  monkeypatch.setitem(sys.modules, 'sklearn', None)
  assert binning.isotonic.fit(*two_classes([.1, .9], [0, 1]))['x'].size


def test_isotonic_functions_are_normalized_and_zero_rows_uniform():
  # Of three classes only class 0 is ever right, whatever its probability.
  logits = np.log([[.5, .3, .2], [.2, .3, .5], [.3, .4, .3]])
  params = binning.isotonic.fit(logits, np.array([0, 0, 0]))
  p = np.exp(binning.isotonic.apply(params, logits))
  np.testing.assert_allclose(p, [[1, 0, 0]] * 3, atol=1e-7)
  params = {name: value[[1, 1, 2]] for name, value in params.items()}
  p = np.exp(binning.isotonic.apply(params, logits))
  np.testing.assert_allclose(p, 1 / 3, rtol=1e-12)


def test_multi_isotonic_pools_classes():
  # Pairs by p: (.2: 0), (.3: 1), (.7: 0), (.8: 1); the middle ones give 1/2.
  logits, labels = two_classes([.8, .7], [1, 0])
  params = binning.multi_isotonic.fit(logits, labels)
  p = np.exp(binning.multi_isotonic.apply(params, logits))
  np.testing.assert_allclose(p, [[0, 1], [.5, .5]], atol=1e-6)
  assert p[1, 1] > p[1, 0]


def test_histogram_has_the_frequencies_of_bins():
  # Two bins: (0, .5] has p = .1, .5 with labels 0, 1; (.5, 1] .6, .7, .9 with
  # 1, 0, 1. Of class 0 the first has .1, .3, .4, .5 (labels of class 0: no,
  # yes, no, no) and the second .9 (yes).
  logits, labels = two_classes([.1, .5, .6, .7, .9], [0, 1, 1, 0, 1])
  params = binning.fit_histogram(logits, labels, num_bins=2)
  np.testing.assert_allclose(params['values'], [[1 / 4, 1], [1 / 2, 2 / 3]])
  p = np.exp(binning.apply_histogram(params, logits))
  np.testing.assert_allclose(p[0], [2 / 3, 1 / 3])  # 1 and 1/2
  np.testing.assert_allclose(p[1], [1 / 3, 2 / 3])  # 1/4 and 1/2
  np.testing.assert_allclose(p[2], [3 / 11, 8 / 11])  # 1/4 and 2/3
  params = binning.fit_histogram(logits[:1], labels[:1], num_bins=4)
  np.testing.assert_allclose(params['values'], [[.125, .375, .625, 1],
                                                [0, .375, .625, .875]])
  with pytest.raises(ValueError, match='num_bins'):
    binning.fit_histogram(logits, labels, num_bins=0)


def test_spline_moves_one_confidence_to_its_accuracy():
  # All confidences .8, three of four right: the gap falls linearly.
  logits, labels = two_classes([.8] * 8, [1, 1, 1, 0] * 2)
  params = binning.spline.fit(logits, labels)
  p = np.exp(binning.spline.apply(params, logits))
  np.testing.assert_allclose(p[:, 1], .75, rtol=1e-10)
  with pytest.raises(ValueError, match='num_knots'):
    binning.fit_spline(logits, labels, num_knots=1)


def test_spline_is_the_natural_cubic_fit_of_the_gap():
  logits, labels = draw(19, 3.)
  params = binning.spline.fit(logits, labels)
  # As a regression on truncated powers with natural ends (Hastie et al.).
  p = special.softmax(logits.astype(np.float64), axis=1)
  order = np.argsort(p.max(axis=1))
  gap = ((p.argmax(axis=1) == labels) - p.max(axis=1))[order]
  t, total = np.arange(N + 1) / N, np.append(0, np.cumsum(gap)) / N
  knots = np.linspace(0, 1, 6)

  def d(x, k):
    cube = lambda knot: np.maximum(x - knot, 0) ** 3
    return (cube(knots[k]) - cube(knots[-1])) / (knots[-1] - knots[k])

  basis = lambda x: np.stack([np.ones_like(x), x] + [
      d(x, k) - d(x, 4) for k in range(4)], axis=1)
  fit = basis(t) @ np.linalg.lstsq(basis(t), total)[0]
  np.testing.assert_allclose(binning._spline(params['values'])(t), fit,
                             atol=1e-10)
  # On average over the data, new confidences equal accuracy closely.
  q = np.exp(binning.spline.apply(params, logits))
  right = p.argmax(axis=1) == labels
  old = abs(p.max(axis=1).mean() - right.mean())
  assert abs(q.max(axis=1).mean() - right.mean()) < 0.02 < old
  # They are r + G'(t), where that is possible.
  slope = np.gradient(basis(t) @ np.linalg.lstsq(basis(t), total)[0], t)[1:]
  target = p.max(axis=1)[order] + slope
  np.testing.assert_allclose(q.max(axis=1)[order], np.clip(target, 1 / C, 1),
                             atol=0.01)


def test_spline_does_not_depend_on_the_order_of_equal_confidences():
  logits, labels = two_classes([.8] * 6 + [.6] * 3, [1, 1, 1, 0, 0, 1, 1, 0, 0])
  order = np.random.default_rng(0).permutation(9)
  one = binning.spline.fit(logits, labels)
  other = binning.spline.fit(logits[order], labels[order])
  np.testing.assert_allclose(one['values'], other['values'], atol=1e-12)
