"""assay.metrics.sharpness: against dense Hessians and known spectra."""
from flax import linen as nn
import jax
from jax.flatten_util import ravel_pytree
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from assay.metrics import sharpness

NUM_EXAMPLES = 48


def mlp_loss(params, batch):
  """Mean cross entropy of a tanh network 5-6-3."""
  hidden = jnp.tanh(batch['x'] @ params['w'] + params['b'][None])
  return optax.softmax_cross_entropy_with_integer_labels(
      hidden @ params['v'], batch['y']).mean()


def mlp_case(seed=0, num_batches=1):
  """(params, batches) of `mlp_loss`; 54 parameters."""
  rng = np.random.default_rng(seed)
  draw = lambda *shape: rng.normal(size=shape).astype(np.float32)
  params = {'w': draw(5, 6), 'b': draw(6), 'v': draw(6, 3)}
  rng = np.random.default_rng(7)
  x, y = draw(NUM_EXAMPLES, 5), rng.integers(0, 3, NUM_EXAMPLES)
  return params, [{'x': a, 'y': b} for a, b in zip(
      np.split(x, num_batches), np.split(y, num_batches), strict=True)]


def dense_eigenvalues(loss, params, batch):
  """All eigenvalues, descending, float64."""
  flat, unravel = ravel_pytree(params)
  hessian = jax.jit(jax.hessian(lambda f: loss(unravel(f), batch)))(flat)
  return np.linalg.eigvalsh(np.asarray(hessian, np.float64))[::-1]


def matrix_product(spectrum, seed=0):
  """(hvp, params) of a symmetric matrix with these eigenvalues."""
  n = len(spectrum)
  q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))
  matrix = jnp.asarray((q * spectrum) @ q.T, jnp.float32)
  params = {'a': jnp.zeros(n // 2), 'b': jnp.zeros((1, n - n // 2))}

  def hvp(params, vector):
    flat, unravel = ravel_pytree(vector)
    return unravel(jnp.matmul(matrix, flat, precision='highest'))

  return hvp, params


def check_spectrum(spectrum, k=5, **options):
  """Lanczos finds the k largest of `spectrum`; returns what it found."""
  hvp, params = matrix_product(np.asarray(spectrum, float))
  got = sharpness.top_eigenvalues(hvp, params, k, **options)
  want = np.sort(spectrum)[::-1][:k]
  scale = np.abs(spectrum).max()
  np.testing.assert_allclose(got.values, want, atol=1e-5 * scale)
  assert got.values.dtype == np.float64 and got.values.shape == (k,)
  assert got.converged and got.num_steps <= len(spectrum)
  return got


@pytest.mark.parametrize('num_batches', [1, 4])
def test_network_against_its_dense_hessian(num_batches):
  params, batches = mlp_case(num_batches=num_batches)
  want = dense_eigenvalues(mlp_loss, params, mlp_case()[1][0])
  hvp = sharpness.hessian_vector_product(mlp_loss, batches)
  got = sharpness.top_eigenvalues(hvp, params, tolerance=1e-5)
  assert got.converged
  np.testing.assert_allclose(got.values, want[:5], rtol=1e-4)
  total = sharpness.trace(hvp, params, num_samples=200)
  assert abs(total.estimate - want.sum()) < 4 * total.standard_error
  row = sharpness.sharpness(mlp_loss, params, batches, tolerance=1e-5,
                            num_samples=200)
  assert list(row) == ['lambda_max', 'lambda_ratio', 'hessian_trace']
  np.testing.assert_allclose(row['lambda_max'], want[0], rtol=1e-4)
  np.testing.assert_allclose(row['lambda_ratio'], want[0] / want[4], rtol=1e-4)
  assert row['hessian_trace'] == total.estimate
  assert 'hessian_trace' not in sharpness.sharpness(mlp_loss, params, batches)


def test_residuals_bound_the_error():
  params, batches = mlp_case()
  want = dense_eigenvalues(mlp_loss, params, batches[0])
  hvp = sharpness.hessian_vector_product(mlp_loss, batches)
  for num_steps in (6, 9, 12):
    got = sharpness.top_eigenvalues(hvp, params, 3, num_steps, tolerance=1e-9)
    assert got.num_steps == num_steps and not got.converged
    nearest = np.abs(want - got.values[:, None]).min(axis=1)
    assert (nearest <= got.residuals + 1e-5 * want[0]).all()
    assert got.residuals.max() > 1e-6


def test_stops_once_converged():
  spectrum = np.r_[np.linspace(-1, 1, 195), 10, 20, 30, 40, 50]
  got = check_spectrum(spectrum, num_steps=200)
  assert got.num_steps < 25
  # An eigenvalue's error is at most the square of its residual over the gap.
  assert (got.residuals <= 1e-3 * got.values[0]).all()


def test_negative_eigenvalues_of_larger_magnitude_are_not_the_top():
  spectrum = np.r_[-100, -50, -20, np.linspace(-1, 1, 60), 2, 3, 4, 5, 6]
  check_spectrum(spectrum, tolerance=1e-4)
  check_spectrum(-np.arange(1., 21))


def test_multiple_eigenvalues_count_as_often_as_they_occur():
  check_spectrum([9, 9, 4, 3, 2, 1, 0, 0, 0, 0, -1, -1])
  check_spectrum([9, 9, 4] + [0] * 97)
  check_spectrum([9, 9, 9, 4, 4] + [1, -30] * 20, k=6)
  check_spectrum([5] * 12)


@pytest.mark.parametrize('value', [7., -7.])
def test_rank_one(value):
  got = check_spectrum([value] + [0] * 99)
  assert got.num_steps <= 8


@pytest.mark.parametrize('k', [1, 5, 6])
def test_fewer_parameters_than_steps(k):
  check_spectrum([6, 5, 4, 3, -2, -8], k=k, num_steps=100)


def test_zero_hessian_has_no_ratio():
  params = {'a': jnp.ones(30)}
  loss = lambda p, batch: jnp.mean(batch['x'] @ p['a'])
  batches = [{'x': np.ones((4, 30), np.float32)}]
  row = sharpness.sharpness(loss, params, batches, num_samples=3)
  assert row['lambda_max'] == row['hessian_trace'] == 0
  assert np.isnan(row['lambda_ratio'])


def test_trace_of_a_diagonal_hessian_has_no_variance():
  scale = jnp.asarray(np.arange(-3, 30), jnp.float32)
  hvp = lambda params, vector: scale * vector
  got = sharpness.trace(hvp, jnp.zeros(33), num_samples=5)
  assert got == (float(scale.sum()), 0)


def test_trace_error_shrinks_with_samples_and_depends_on_the_seed():
  hvp, params = matrix_product(np.arange(20.))
  few, many = (sharpness.trace(hvp, params, n) for n in (50, 800))
  np.testing.assert_allclose(few.standard_error / many.standard_error, 4,
                             rtol=.3)
  other = sharpness.trace(hvp, params, 50, seed=1)
  assert other.estimate != few.estimate
  assert sharpness.trace(hvp, params, 50) == few


def test_product_over_batches_equals_one_big_batch():
  vector, _ = mlp_case(seed=3)
  products = []
  for num_batches in (1, 2, 6, NUM_EXAMPLES):
    params, batches = mlp_case(num_batches=num_batches)
    products.append(
        sharpness.hessian_vector_product(mlp_loss, batches)(params, vector))
  for product in products[1:]:
    for a, b in zip(jax.tree.leaves(product), jax.tree.leaves(products[0]),
                    strict=True):
      np.testing.assert_allclose(a, b, atol=1e-6)
  assert jnp.abs(products[0]['w']).max() > 1e-3


def test_unequal_batches_are_refused():
  _, batches = mlp_case(num_batches=2)
  shorter = {k: v[:-1] for k, v in batches[1].items()}
  with pytest.raises(ValueError, match=r'batches\[1\].*\(23, 5\).*\(24, 5\)'):
    sharpness.hessian_vector_product(mlp_loss, [batches[0], shorter])
  with pytest.raises(ValueError, match='leading axis'):
    sharpness.hessian_vector_product(
        mlp_loss, [{'x': batches[0]['x'], 'y': shorter['y']}])
  with pytest.raises(ValueError, match='empty'):
    sharpness.hessian_vector_product(mlp_loss, [])


def test_nothing_is_compiled_again_for_other_models():
  traced = []

  def loss(params, batch, scale):
    traced.append(1)
    return scale * mlp_loss(params, batch)

  found = []
  for seed in range(3):
    params, batches = mlp_case(seed, num_batches=2)
    bound = jax.tree_util.Partial(loss, scale=jnp.float32(1 + seed))
    found.append(sharpness.sharpness(bound, params, batches)['lambda_max'])
    if not seed:
      first = len(traced)
    want = dense_eigenvalues(mlp_loss, params, mlp_case()[1][0])
    np.testing.assert_allclose(found[-1], (1 + seed) * want[0], rtol=1e-4)
  assert len(traced) == first and len(set(found)) == 3


class CNN(nn.Module):
  """[B, 8, 8, 1] -> [B, 2], with batch normalization."""

  @nn.compact
  def __call__(self, x, train):
    x = nn.Conv(4, (3, 3), strides=2)(x)
    x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
    return nn.Dense(2)(x.reshape(len(x), -1))


def test_convolutions_with_frozen_batch_statistics():
  rng = np.random.default_rng(0)
  x = rng.normal(2, 3, size=(32, 8, 8, 1)).astype(np.float32)
  batch = {'x': x, 'y': rng.integers(0, 2, 32)}
  model = CNN()
  variables = jax.jit(lambda key: model.init(key, x, train=False))(
      jax.random.key(0))
  _, extra = model.apply(variables, x, train=True, mutable=['batch_stats'])

  def loss(params, batch, extra):
    logits = model.apply({'params': params, **extra}, batch['x'], train=False)
    return optax.softmax_cross_entropy_with_integer_labels(
        logits, batch['y']).mean()

  loss = jax.tree_util.Partial(loss, extra=extra)
  want = dense_eigenvalues(loss, variables['params'], batch)
  halves = [{k: v[i:i + 16] for k, v in batch.items()} for i in (0, 16)]
  hvp = sharpness.hessian_vector_product(loss, halves)
  got = sharpness.top_eigenvalues(hvp, variables['params'], tolerance=1e-5)
  np.testing.assert_allclose(got.values, want[:5], rtol=1e-4)


def test_bad_arguments_name_the_value():
  hvp, params = matrix_product(np.arange(6.))
  for k in (0, 7):
    with pytest.raises(ValueError, match=f'k={k} .*6'):
      sharpness.top_eigenvalues(hvp, params, k)
  with pytest.raises(ValueError, match='num_steps=4.*k=5'):
    sharpness.top_eigenvalues(hvp, params, 5, num_steps=4)
  with pytest.raises(ValueError, match='num_samples=1 '):
    sharpness.trace(hvp, params, num_samples=1)
  half = {'a': jnp.zeros(3, jnp.bfloat16)}
  with pytest.raises(ValueError, match="'a'.*bfloat16"):
    sharpness.trace(hvp, half)


@pytest.mark.parametrize('measure', [
    lambda hvp, p: sharpness.top_eigenvalues(hvp, p, 2), sharpness.trace])
def test_numbers_that_are_not_finite_are_refused(measure):
  hvp, params = matrix_product(np.arange(6.))
  broken = params | {'b': params['b'].at[0, 1].set(jnp.nan)}
  with pytest.raises(ValueError, match=r"'b'.*not finite"):
    measure(hvp, broken)
  infinite = lambda p, v: jax.tree.map(lambda a: a / 0, v)
  with pytest.raises(ValueError, match='product of .* 0 is not finite'):
    measure(infinite, params)


def test_warns_when_not_converged():
  params, batches = mlp_case()
  with pytest.warns(UserWarning, match='not converged in 6 steps'):
    sharpness.sharpness(mlp_loss, params, batches, num_steps=6)


def test_by_seed_is_each_network_alone():
  def loss(w, batch, extra):
    return jnp.mean(batch['x']) * jnp.sum(extra * w**2) / 2

  scales = np.array([[5., 4, 3, 2, 1], [1, 1, 1, 1, 1], [9, 1, 1, 1, .5]],
                    np.float32)
  found = sharpness.by_seed(loss, jnp.zeros((3, 5)), scales,
                            [{'x': jnp.ones(8)}], skip=(1,))
  assert found[1] == {}
  for i, ratio in ((0, 5), (2, 18)):
    assert found[i]['lambda_max'] == pytest.approx(scales[i].max(), rel=1e-4)
    assert found[i]['lambda_ratio'] == pytest.approx(ratio, rel=1e-3)
