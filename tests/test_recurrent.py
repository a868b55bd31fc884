"""assay.models.recurrent: by hand, causal, and the state they carry."""
import functools

import jax
from jax import extend
import jax.numpy as jnp
import numpy as np
import pytest

from assay.models import recurrent

B, T, D, Q = 3, 6, 5, 2
X = np.random.default_rng(0).normal(size=(B, T, D)).astype(np.float32)
MODELS = {
    'lstm': recurrent.LSTM(4, Q, num_layers=2),
    'gru': recurrent.GRU(4, Q, num_layers=2),
    'outer_product_lstm': recurrent.OuterProductLSTM(2, 3, Q, num_layers=2),
    'linear_attention': recurrent.LinearAttention(8, 2, 2, Q),
    'delta': recurrent.LinearAttention(8, 2, 2, Q, rule='delta'),
}
close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
# Most of the time would go into making these programs fast.
jit = functools.partial(jax.jit, compiler_options={
    'xla_backend_optimization_level': 0,
    'xla_llvm_disable_expensive_passes': True})
sigmoid = lambda x: 1 / (1 + np.exp(-x))


@functools.cache
def variables_of(name):
  return drawn(MODELS[name])


def drawn(model):
  """Variables with kernels of order 1 and biases away from zero."""
  rng = np.random.default_rng(1)
  shapes = jax.eval_shape(model.init, jax.random.key(0), X)
  return jax.tree.map_with_path(lambda path, p: np.float32(
      rng.normal(size=p.shape) / 2 + (path[-1].key == 'scale')), shapes)


@functools.cache
def outputs_of(name):
  return jit(MODELS[name].apply)(variables_of(name), X)


@pytest.mark.parametrize('name', MODELS)
def test_no_output_reads_a_later_input(name):
  variables = variables_of(name)
  jacobian = jit(jax.jacrev(
      lambda x: MODELS[name].apply(variables, x[None])[0]))(X[0])
  size = np.abs(jacobian).max((1, 3))  # [output's t, input's t]
  np.testing.assert_array_equal(np.triu(size, 1), 0)
  assert (size[np.tril_indices(T)] > 1e-8).all()


@pytest.mark.parametrize('name', MODELS)
def test_outputs_are_float32_and_of_each_sequence_alone(name):
  outputs = outputs_of(name)
  assert outputs.shape == (B, T, Q) and outputs.dtype == jnp.float32
  others = np.concatenate([X[:1], 3 * X[1:]])
  got = jit(MODELS[name].apply)(variables_of(name), others)
  close(got[0], outputs[0])
  assert np.abs(got[1:] - outputs[1:]).max() > 1e-3


@pytest.mark.parametrize('model, want', [
    (recurrent.LSTM(256, 10), 512),
    (recurrent.LSTM(256, 10, num_layers=3), 3 * 512),
    (recurrent.GRU(256, 10), 256),
    (recurrent.GRU(64, 10, num_layers=2), 128),
    (recurrent.OuterProductLSTM(8, 32, 10), 8192 + 256),
    (recurrent.OuterProductLSTM(8, 32, 10, num_layers=2), 2 * (8192 + 256)),
    (recurrent.LinearAttention(256, 1, 8, 10), 8192 + 256),
    (recurrent.LinearAttention(256, 4, 8, 10, rule='delta'), 4 * 8192),
    (recurrent.LinearAttention(6, 2, 2, 10, head_size=5), 2 * 2 * (25 + 5))])
def test_state_size(model, want):
  assert model.state_size(1) == model.state_size(100) == want


@pytest.mark.parametrize('name', ['lstm', 'gru', 'outer_product_lstm',
                                  'linear_attention', 'delta'])
def test_state_size_is_what_the_scans_carry(name):
  model = MODELS[name]
  jaxpr = jax.make_jaxpr(model.apply)(variables_of(name), X[:1])

  def scans(jaxpr):
    for eqn in jaxpr.eqns:
      if eqn.primitive.name == 'scan':
        yield eqn
      else:
        for sub in extend.core.jaxprs_in_params(eqn.params):
          yield from scans(sub)

  floats = sum(
      v.aval.size for eqn in scans(jaxpr.jaxpr)
      for v in eqn.outvars[:eqn.params['num_carry']]
      if jnp.issubdtype(v.aval.dtype, jnp.floating))
  assert floats == model.state_size(T)


def test_lstm_against_numpy():
  params = variables_of('lstm')['params']
  x = X.astype(np.float64)
  for layer in range(2):
    p = params[f'cell_{layer}']
    cell = hidden = np.zeros((B, 4))
    states = []
    for t in range(T):
      gate = {g: x[:, t] @ p['i' + g]['kernel'] + hidden @ p['h' + g]['kernel']
              + p['h' + g]['bias'] for g in 'ifgo'}
      cell = sigmoid(gate['f']) * cell + sigmoid(gate['i']) * np.tanh(gate['g'])
      hidden = sigmoid(gate['o']) * np.tanh(cell)
      states.append(hidden)
    x = np.stack(states, axis=1)
  close(outputs_of('lstm'),
        x @ params['read_out']['kernel'] + params['read_out']['bias'])


def test_gru_against_numpy():
  params = variables_of('gru')['params']
  x = X.astype(np.float64)
  for layer in range(2):
    p = params[f'cell_{layer}']
    affine = lambda x, name: x @ p[name]['kernel'] + p[name].get('bias', 0)
    hidden = np.zeros((B, 4))
    states = []
    for t in range(T):
      r = sigmoid(affine(x[:, t], 'ir') + affine(hidden, 'hr'))
      z = sigmoid(affine(x[:, t], 'iz') + affine(hidden, 'hz'))
      new = np.tanh(affine(x[:, t], 'in') + r * affine(hidden, 'hn'))
      hidden = (1 - z) * new + z * hidden
      states.append(hidden)
    x = np.stack(states, axis=1)
  close(outputs_of('gru'),
        x @ params['read_out']['kernel'] + params['read_out']['bias'])


def outer_product_step(p, matrix, hidden, x, forget_bias=1.):
  """One sequence and one token; loops over heads [2] and size [3]."""
  z = np.concatenate([x, hidden]) @ p['kernel'] + p['bias']
  new_matrix, new_hidden = np.zeros((2, 3, 3)), np.zeros(6)
  for h in range(2):
    own = z[14 * h:14 * (h + 1)]
    key, value, query, output = own[:3], own[3:6], own[6:9], own[9:12]
    enter, forget = sigmoid(own[12]), sigmoid(own[13] + forget_bias)
    new_matrix[h] = forget * matrix[h] + enter * np.outer(value, key)
    new_hidden[3 * h:3 * h + 3] = sigmoid(output) * np.tanh(
        new_matrix[h] @ query / np.sqrt(3))
  return new_matrix, new_hidden


def test_outer_product_step_by_hand():
  rng = np.random.default_rng(2)
  p = {'kernel': rng.normal(size=(D + 6, 28)), 'bias': rng.normal(size=28)}
  matrix, hidden = rng.normal(size=(2, 3, 3)), rng.normal(size=6)
  cell = recurrent.OuterProductCell(2, 3, forget_bias=0.5)
  f32 = lambda tree: jax.tree.map(np.float32, tree)
  carry, output = cell.apply({'params': {'controller': f32(p)}}, f32(
      (matrix[None], hidden[None])), X[:1, 0])
  want = outer_product_step(p, matrix, hidden, X[0, 0], forget_bias=0.5)
  close(carry[0][0], want[0])
  close(carry[1][0], want[1])
  np.testing.assert_array_equal(output, carry[1])


def test_outer_product_lstm_against_numpy():
  params = variables_of('outer_product_lstm')['params']
  x = X[0].astype(np.float64)
  for layer in range(2):
    matrix, hidden = np.zeros((2, 3, 3)), np.zeros(6)
    states = []
    for t in range(T):
      matrix, hidden = outer_product_step(
          params[f'cell_{layer}']['controller'], matrix, hidden, x[t])
      states.append(hidden)
    x = np.stack(states)
  close(outputs_of('outer_product_lstm')[0],
        x @ params['read_out']['kernel'] + params['read_out']['bias'])


# --- Linear attention ---------------------------------------------------------


@functools.cache
def tokens():
  """Query, key and value [B, T, 2, 4], and strengths [B, T, 2, 1]."""
  rng = np.random.default_rng(3)
  normal = lambda: rng.normal(size=(B, T, 2, 4)).astype(np.float32)
  return normal(), normal(), normal(), np.float32(rng.uniform(
      0.2, 1, (B, T, 2, 1)))


feature = lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))) + 1


def test_linear_attention_is_the_quadratic_masked_form():
  query, key, value, _ = tokens()
  scores = np.einsum('bthd,bshd->bhts', feature(query), feature(key))
  scores = np.tril(scores)
  weights = scores / scores.sum(-1, keepdims=True)
  want = np.einsum('bhts,bshd->bthd', weights, value)
  got = jit(recurrent.linear_attention)(query, key, value)
  np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
  # The first token reads its own value.
  np.testing.assert_allclose(got[:, 0], value[:, 0], rtol=1e-4)


def test_delta_rule_against_numpy():
  query, key, value, strength = tokens()
  got = jit(recurrent.linear_attention)(query, key, value, strength)
  shares = lambda x: feature(x) / feature(x).sum(-1, keepdims=True)
  for b in range(B):
    for h in range(2):
      matrix = np.zeros((4, 4))
      for t in range(T):
        k, q = shares(key[b, t, h]), shares(query[b, t, h])
        matrix += strength[b, t, h] * np.outer(
            value[b, t, h] - matrix @ k, k)
        np.testing.assert_allclose(got[b, t, h], matrix @ q, rtol=1e-4,
                                   atol=1e-5)


def test_the_delta_rule_forgets_an_orthogonal_pair_never():
  # phi(k) of a large one-hot key is nearly one-hot after division by its sum:
  # a second value under a key replaces the first, another key's value stays.
  hot = lambda i: 1e4 * np.eye(4)[i] - 20
  key = np.stack([hot(0), hot(1), hot(0)])
  value = np.arange(1., 13).reshape(3, 4)
  as_tokens = lambda x: jnp.asarray(x, jnp.float32)[None, :, None]
  run = lambda query: recurrent.linear_attention(
      as_tokens(query), as_tokens(key), as_tokens(value),
      jnp.ones((1, 3, 1, 1)))[0, -1, 0]
  read = jit(run)
  np.testing.assert_allclose(read(np.stack([hot(0)] * 3)), value[2], rtol=1e-3)
  np.testing.assert_allclose(read(np.stack([hot(1)] * 3)), value[1], rtol=1e-3)


def test_a_sum_has_no_order_and_the_delta_rule_has():
  moved = np.concatenate([X[:, :-1][:, ::-1], X[:, -1:]], axis=1)
  for rule, smallest, largest in (('sum', 0, 1e-5), ('delta', 1e-4, np.inf)):
    model = recurrent.LinearAttention(8, 1, 2, Q, rule=rule)
    variables = drawn(model)
    apply = jit(model.apply)
    change = np.abs(apply(variables, X)[:, -1]
                    - apply(variables, moved)[:, -1]).max()
    assert smallest <= change < largest


def test_bfloat16_is_close_and_the_state_float32():
  model = recurrent.LinearAttention(8, 2, 2, Q, rule='delta',
                                    dtype=jnp.bfloat16)
  got = jit(model.apply)(variables_of('delta'), X)
  want = outputs_of('delta')
  assert got.dtype == jnp.float32
  assert 1e-4 < np.abs(got - want).max() / np.abs(want).max() < 0.1
  assert recurrent.linear_attention(
      *(x.astype(jnp.bfloat16) for x in tokens()[:3])).dtype == jnp.float32


@pytest.mark.parametrize('model, message', [
    (recurrent.LinearAttention(8, 1, 3, Q), 'num_heads=3.*width=8; change one'),
    (recurrent.LinearAttention(8, 1, 2, Q, rule='add'),
     "rule='add'; use one of sum, delta")])
def test_errors_name_the_value_and_the_remedy(model, message):
  with pytest.raises(ValueError, match=message):
    jax.eval_shape(model.init, jax.random.key(0), X)
  with pytest.raises(ValueError, match=message):
    model.state_size(3)
