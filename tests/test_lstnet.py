"""assay.models.lstnet and its GRU: each part against loops, and gradients."""
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from assay.methods import mixup
from assay.models import lstnet, recurrent

B, T, D, Q = 3, 16, 3, 2
SIZES = dict(num_outputs=Q, num_filters=4, kernel_size=3, width=5, skip=4,
             skip_width=2, highway=6)
MODEL = lstnet.LSTNet(**SIZES)
X = np.random.default_rng(0).normal(size=(B, T, D)).astype(np.float32)
close = functools.partial(np.testing.assert_allclose, rtol=2e-5, atol=2e-6)
sigmoid = lambda x: 1 / (1 + np.exp(-x))


@functools.cache
def variables():
  return jax.jit(MODEL.init)(jax.random.key(0), X)


def layer(name):
  """Parameters of a part, float64."""
  found = variables()['params']
  for part in name.split('.'):
    found = found[part]
  return jax.tree.map(np.float64, found.get('affine', found))


def gru_loop(p, x):
  """The last state of one sequence [T, D]: PyTorch's equations, gate by gate.

  Weights of PyTorch are transposed: W_ir is the first third of `input_kernel`.
  """
  width = len(p['kernel'])
  third = lambda a, i: a[..., i * width:(i + 1) * width]
  h = np.zeros(width)
  for t in range(len(x)):
    into = [x[t] @ third(p['input_kernel'], i) + third(p['input_bias'], i)
            for i in range(3)]
    again = [h @ third(p['kernel'], i) + third(p['bias'], i) for i in range(3)]
    r, z = sigmoid(into[0] + again[0]), sigmoid(into[1] + again[1])
    n = np.tanh(into[2] + r * again[2])
    h = (1 - z) * n + z * h
  return h


def convolved(x):
  """ReLU of the convolution of one window [T, D], filter by filter."""
  p = layer('filters')
  kernel = p['kernel'].reshape(3, D, 4)  # step, series, filter
  found = np.zeros((T - 2, 4))
  for t in range(T - 2):
    for f in range(4):
      found[t, f] = p['bias'][f] + sum(
          kernel[k, d, f] * x[t + k, d] for k in range(3) for d in range(D))
  return np.maximum(found, 0)


def test_gru_is_that_of_pytorch():
  model = recurrent.GRULast(5)
  params = jax.jit(model.init)(jax.random.key(1), X)
  p = jax.tree.map(np.float64, params['params'])
  assert {k: v.shape for k, v in p.items()} == {
      'input_kernel': (D, 15), 'kernel': (5, 15), 'input_bias': (15,),
      'bias': (15,)}
  assert all(.3 < np.abs(v).max() < 5 ** -.5 for v in p.values())
  close(jax.jit(model.apply)(params, X), [gru_loop(p, x) for x in X])


def test_gradient_of_the_gru_is_that_of_its_loop():
  rng = np.random.default_rng(1)
  args = [jnp.float32(rng.normal(size=shape) / 2) for shape in (
      (T, B, D), (D, 15), (15,), (5, 15), (15,))]
  weight = jnp.float32(rng.normal(size=(B, 5)))

  def loop(x, input_kernel, input_bias, kernel, bias):
    h = jnp.zeros((B, 5))
    for token in x:
      i, g = token @ input_kernel + input_bias, h @ kernel + bias
      r, z = (jax.nn.sigmoid(i[:, k:k + 5] + g[:, k:k + 5]) for k in (0, 5))
      h = (1 - z) * jnp.tanh(i[:, 10:] + r * g[:, 10:]) + z * h
    return h

  gradient = lambda f: jax.grad(lambda *args: jnp.sum(weight * f(*args)),
                                tuple(range(5)))
  got, want = (jax.jit(gradient(f))(*args) for f in (recurrent.gru, loop))
  compare = functools.partial(close, rtol=1e-4, atol=1e-5)
  jax.tree.map(compare, got, want)
  # Mapped over seeds it is the same.
  mapped = jax.jit(jax.vmap(gradient(recurrent.gru)))(
      *(jnp.stack([a, 2 * a]) for a in args))
  jax.tree.map(lambda m, g: compare(m[0], g), mapped, got)


def test_encoding_is_the_convolution_and_the_last_steps():
  found, recent = MODEL.apply(variables(), X, method='encode')
  close(found, [convolved(x) for x in np.float64(X)])
  np.testing.assert_array_equal(recent, X[:, -6:, :Q])


def test_forecast_against_loops_over_time_and_phases():
  want = []
  for x in np.float64(X):
    found = convolved(x)
    states = [gru_loop(layer('gru'), found)]
    # 14 steps: three whole periods of 4, the last ones.
    for phase in range(4):
      states.append(gru_loop(layer('gru_skip'), found[2 + phase::4]))
    p, highway = layer('output.states'), layer('output.highway')
    y = np.concatenate(states) @ p['kernel'] + p['bias']
    for q in range(Q):
      y[q] += x[-6:, q] @ highway['kernel'][:, 0] + highway['bias'][0]
    want.append(y)
  close(jax.jit(MODEL.apply)(variables(), X), want)


@pytest.mark.parametrize('without', ['skip', 'highway'])
def test_parts_can_be_left_out(without):
  model = lstnet.LSTNet(**SIZES | {without: 0})
  shapes = jax.eval_shape(model.init, jax.random.key(0), X)['params']
  paths = lambda tree: {jax.tree_util.keystr(path[:2]) for path, _ in
                        jax.tree.leaves_with_path(tree)}
  gone = paths(variables()['params']) - paths(shapes)
  assert gone and all(without in path for path in gone)
  y, _ = jax.eval_shape(model.init_with_output, jax.random.key(0), X)
  assert y.shape == (B, Q)


def test_published_sizes_by_hand():
  shapes = jax.eval_shape(
      lstnet.LSTNet(8).init, jax.random.key(0), np.zeros((1, 168, 8)))
  count = sum(p.size for p in jax.tree.leaves(shapes))
  # Convolution, GRU, skip-GRU, output, highway.
  assert count == (6 * 8 * 50 + 50 + 2 * (50 * 150 + 150)
                   + 50 * 15 + 5 * 15 + 2 * 15 + (50 + 24 * 5) * 8 + 8
                   + 24 + 1)


def test_gradient_against_finite_differences():
  # Steps of a size at which float32 still tells them, where no ReLU turns.
  weight = np.random.default_rng(2).normal(size=(B, Q)).astype(np.float32)
  params = variables()['params']
  loss = jax.jit(lambda p: jnp.sum(weight * MODEL.apply({'params': p}, X)))
  grads = jax.grad(loss)(params)
  for name in params:
    rng = np.random.default_rng(3)
    along = jax.tree.map(lambda p, rng=rng: np.float32(
        rng.normal(size=p.shape)), params[name])
    moved = lambda h, name=name, along=along: float(loss(params | {
        name: jax.tree.map(lambda p, a: p + h * a, params[name], along)}))
    slope = (moved(2e-3) - moved(-2e-3)) / 4e-3
    want = sum(float(jnp.sum(g * a)) for g, a in zip(
        jax.tree.leaves(grads[name]), jax.tree.leaves(along), strict=True))
    np.testing.assert_allclose(slope, want, rtol=.02, atol=.02, err_msg=name)


def test_dropout_is_of_training_and_of_its_key():
  train = jax.jit(lambda key: MODEL.apply(
      variables(), X, train=True, rngs={'dropout': key}))
  one, same, other = (train(jax.random.key(k)) for k in (0, 0, 1))
  np.testing.assert_array_equal(one, same)
  assert np.abs(one - other).max() > 1e-3
  found, _ = MODEL.apply(variables(), X, train=True, method='encode',
                         rngs={'dropout': jax.random.key(0)})
  kept = np.stack([convolved(x) for x in np.float64(X)])
  left = np.asarray(found) != 0
  np.testing.assert_allclose(found[left], kept[left] / .8, rtol=1e-4)
  assert .05 < 1 - left.sum() / (kept > 0).sum() < .4
  # Two halves of a batch that are mixed have masks of their own.
  twice, _ = MODEL.apply(
      variables(), np.concatenate([X, X]), train=True, method='encode',
      rngs={'dropout': jax.random.key(0)})
  assert (np.asarray(twice[:B] != 0) != np.asarray(twice[B:] != 0)).any()


def test_mixing_hidden_states_mixes_convolutions_and_what_the_highway_reads():
  lam = np.float32([.3, .5, .9])
  batch = {'x': X, 'partner_x': X[::-1], 'lam': lam}
  predict = mixup.manifold(functools.partial(MODEL.apply, method='encode'),
                           functools.partial(MODEL.apply, method='decode'))
  first, second = X.astype(np.float64), X[::-1].astype(np.float64)
  blend = lambda a, b: np.float32([
      w * one + (1 - w) * other for w, one, other in zip(lam, a, b,
                                                         strict=True)])
  mixed = blend(first, second)
  found = blend([convolved(x) for x in first], [convolved(x) for x in second])
  close(predict(variables(), batch), MODEL.apply(
      variables(), (found, mixed[:, -6:, :Q]), method='decode'))
  # The highway is linear: mixing what it says is the same.
  inputs = MODEL.apply(variables(), mixed)
  assert np.abs(predict(variables(), batch) - inputs).max() > 1e-4


def test_a_window_that_is_too_short_is_an_error():
  with pytest.raises(ValueError, match='6 steps is too short.*use 7 or more'):
    jax.eval_shape(MODEL.init, jax.random.key(0), X[:, :6])
