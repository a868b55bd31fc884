"""assay.models: initialization and forward pass of the MLP."""
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from assay.models import cubic, mlp

LAYERS = 'hidden_0', 'hidden_1', 'output'
INPUTS, WIDTH, OUTPUTS, NUM_KEYS = 5, 16, 3, 200
FAN_IN = [('hidden_0', 5), ('hidden_1', 16), ('output', 16)]


@functools.cache
def initialized(initialization='fan_in_uniform'):
  """Layer -> kernels and biases of many keys, [NUM_KEYS, ...]."""
  model = mlp.MLP(WIDTH, OUTPUTS, initialization=initialization)
  keys = jax.random.split(jax.random.key(0), NUM_KEYS)
  params = jax.jit(jax.vmap(lambda key: model.init(
      key, jnp.zeros((1, INPUTS)))['params']))(keys)
  return {name: jax.tree.map(np.asarray, params[name]['affine'])
          for name in LAYERS}


def test_parameter_count_by_hand():
  # Airfoil: 5 * 128 + 128, 128 * 128 + 128, 128 + 1.
  params = jax.eval_shape(
      mlp.MLP(128).init, jax.random.key(0), jnp.zeros((1, 5)))['params']
  count = sum(p.size for p in jax.tree.leaves(params))
  assert count == 768 + 16_512 + 129


def test_shapes_of_the_layers():
  got = {name: {k: v.shape[1:] for k, v in layer.items()}
         for name, layer in initialized().items()}
  assert got == {'hidden_0': {'kernel': (5, 16), 'bias': (16,)},
                 'hidden_1': {'kernel': (16, 16), 'bias': (16,)},
                 'output': {'kernel': (16, 3), 'bias': (3,)}}


@pytest.mark.parametrize('what', ['kernel', 'bias'])
@pytest.mark.parametrize('layer, fan_in', FAN_IN)
def test_fan_in_uniform_law(layer, fan_in, what):
  values = initialized()[layer][what].ravel()
  bound = fan_in ** -0.5
  assert 0.98 * bound < np.abs(values).max() <= bound * (1 + 1e-6)
  # The variance of U(-b, b) is b^2 / 3; that of n such values has a relative
  # standard deviation of sqrt((9 / 5 - 1) / n).
  np.testing.assert_allclose(values.var(), bound ** 2 / 3,
                             rtol=4 * np.sqrt(0.8 / values.size))
  uniform = stats.uniform(-bound, 2 * bound)
  assert stats.kstest(values, uniform.cdf).pvalue > 1e-4
  assert (values != 0).all()


def test_parameters_are_drawn_apart():
  params = initialized()
  pairs = [(params['hidden_0']['bias'], params['hidden_0']['kernel'][:, 0]),
           (params['hidden_1']['bias'], params['hidden_1']['kernel'][:, 0]),
           (params['hidden_0']['bias'], params['hidden_1']['bias']),
           (params['hidden_0']['kernel'], params['hidden_1']['kernel'][:, :5])]
  for first, second in pairs:
    # Independent values correlate by 1 / sqrt(3200) at most times four.
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.07


@pytest.mark.parametrize('layer, fan_in', FAN_IN)
def test_lecun_normal_law(layer, fan_in):
  params = initialized('lecun_normal')[layer]
  np.testing.assert_array_equal(params['bias'], 0)
  kernel = params['kernel'].ravel()
  np.testing.assert_allclose(kernel.var(), 1 / fan_in,
                             rtol=4 * np.sqrt(2 / kernel.size))
  assert np.abs(kernel).max() > fan_in ** -0.5  # not the uniform law


def test_unknown_initialization_names_the_known_ones():
  model = mlp.MLP(4, initialization='zeros')
  with pytest.raises(ValueError,
                     match="'zeros'.*fan_in_uniform, lecun_normal"):
    model.init(jax.random.key(0), jnp.zeros((1, 2)))


@pytest.mark.parametrize('slope, x, want', [
    # Kernels 1, 1, 10 and biases 0, 0, 1: 10 * slope^2 * x + 1 for x < 0.
    (0.1, -2.0, 0.8), (0.1, 3.0, 31.0), (0.5, -2.0, -4.0), (0.0, -2.0, 1.0)])
def test_leaky_slope_by_hand(slope, x, want):
  affine = lambda kernel, bias: {'affine': {
      'kernel': jnp.array([[kernel]]), 'bias': jnp.array([bias])}}
  params = {'hidden_0': affine(1., 0.), 'hidden_1': affine(1., 0.),
            'output': affine(10., 1.)}
  got = mlp.MLP(1, negative_slope=slope).apply(
      {'params': params}, jnp.array([[x]]))
  np.testing.assert_allclose(got, [[want]], rtol=1e-6)


def test_the_slope_is_a_tenth_unless_said():
  assert mlp.MLP(1).negative_slope == 0.1


def forward_inputs():
  x = np.random.default_rng(0).normal(size=(7, INPUTS)).astype(np.float32)
  params = jax.tree.map(lambda p: p[0], initialized())
  variables = {'params': {k: {'affine': v} for k, v in params.items()}}
  return mlp.MLP(WIDTH, OUTPUTS), variables, params, x


def test_forward_pass_against_numpy():
  model, variables, params, x = forward_inputs()
  hidden = x.astype(np.float64)
  for name in LAYERS[:2]:
    hidden = hidden @ params[name]['kernel'] + params[name]['bias']
    assert (hidden < 0).any() and (hidden > 0).any()
    hidden = np.maximum(hidden, 0) + 0.1 * np.minimum(hidden, 0)
    if name == 'hidden_0':
      np.testing.assert_allclose(
          model.apply(variables, x, method='encode'), hidden, rtol=1e-4,
          atol=1e-6)
  want = hidden @ params['output']['kernel'] + params['output']['bias']
  got = model.apply(variables, x)
  assert got.shape == (7, OUTPUTS) and got.dtype == jnp.float32
  np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


def test_decode_goes_on_where_encode_ends():
  model, variables, _, x = forward_inputs()
  hidden = model.apply(variables, x, method='encode')
  assert hidden.shape == (7, WIDTH)
  np.testing.assert_array_equal(
      model.apply(variables, hidden, method='decode'),
      model.apply(variables, x))


def test_the_cubic_network_is_odd_and_cubic():
  model = cubic.CubicNetwork(3, .1)
  x = jax.random.normal(jax.random.key(0), (5, 2, 4))
  variables = jax.jit(model.init)(jax.random.key(1), x)
  out = model.apply(variables, x)
  assert out.shape == (5,)
  np.testing.assert_allclose(model.apply(variables, -2 * x), -8 * out,
                             rtol=1e-5)


def test_alignments_are_those_of_the_nearest_neuron():
  weights = np.array([[[1., 2.], [3., -4.]]])
  np.testing.assert_array_equal(
      cubic.alignments(weights, np.array([[1., 0.], [0., -1.]])), [[3., 4.]])
