"""assay.models.transformer: against NumPy, token by token, and over devices."""
import functools
import re

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
import numpy as np
import pytest

from assay.models import positions as places
from assay.models import transformer
from assay.train import sharding

B, T, D, Q = 3, 6, 5, 2
SIZES = dict(width=8, num_layers=2, num_heads=2, num_outputs=Q, max_length=16,
             max_distance=4)
POSITIONS = transformer.POSITIONS
X = np.random.default_rng(0).normal(size=(B, T, D)).astype(np.float32)
OFFSET = np.array([7, 0, 3], np.int32)
close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
# Most of the time would go into making these programs fast.
jit = functools.partial(jax.jit, compiler_options={
    'xla_backend_optimization_level': 0,
    'xla_llvm_disable_expensive_passes': True})


def make(**kwargs):
  return transformer.Transformer(**(SIZES | kwargs))


@functools.cache
def drawn(**kwargs):
  """Variables of order 1, so that no bias and no position is near zero."""
  rng = np.random.default_rng(1)
  shapes = jax.eval_shape(make(**kwargs).init, jax.random.key(0), X)

  def draw(path, p):
    if path[-1].key == 'kernel':
      fan_in = p.size // p.shape[-1]
      if path[-2].key == 'attention_in':
        fan_in = p.shape[0]
      return np.float32(rng.normal(size=p.shape) / np.sqrt(fan_in))
    return np.float32(rng.normal(size=p.shape) * 0.5
                      + (path[-1].key == 'scale'))

  return jax.tree.map_with_path(draw, shapes)


@functools.cache
def whole(**kwargs):
  """`(variables, x, offset) -> outputs`, compiled."""
  return jit(make(**kwargs).apply)


def stacked(variables, num_layers=2):
  """The variables of scanned layers, from those of single ones."""
  params = dict(variables['params'])
  blocks = [params.pop(f'blocks_{i}') for i in range(num_layers)]
  return {'params': params | {
      'blocks': jax.tree.map(lambda *p: np.stack(p), *blocks)}}


# --- The function -------------------------------------------------------------


def reference(params, x, positions, offset=0):
  """One layer and one sequence [T, D] in float64, position by position."""
  params = jax.tree.map(lambda p: np.asarray(p, np.float64), params)
  block = params['blocks_0']
  width, heads, size = 8, 2, 4

  def norm(x, p):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * p[
        'scale'] + p['bias']

  dense = lambda x, p: x @ p['kernel'] + p['bias']
  x = dense(x.astype(np.float64), params['read_in'])
  if positions == 'learned':
    x = x + params['position_table'][offset:offset + len(x)]
  if positions == 'sinusoidal':
    for t in range(len(x)):
      for i in range(width // 2):
        a = (offset + t) / 10_000 ** (2 * i / width)
        x[t, 2 * i] += np.sin(a)
        x[t, 2 * i + 1] += np.cos(a)
  y = norm(x, block['attention_norm'])
  mixed = np.zeros((len(x), width))
  for h in range(heads):
    query, key, value = (
        y @ block['attention_in']['kernel'][:, j, h]
        + block['attention_in']['bias'][j, h] for j in range(3))
    if positions == 'rotary':
      # Pairs as complex numbers; scores are real parts of products.
      turn = np.exp(1j * (offset + np.arange(len(x)))[:, None]
                    / 10_000 ** (np.arange(0, size, 2) / size))
      query, key = ((z[:, :2] + 1j * z[:, 2:]) * turn for z in (query, key))
    for t in range(len(x)):
      scores = (key[:t + 1].conj() @ query[t]).real / np.sqrt(size)
      if positions == 'relative':
        scores = scores + params['distance_table'][
            np.minimum(t - np.arange(t + 1), 3), h]
      weights = np.exp(scores) / np.exp(scores).sum()
      head = weights @ value[:t + 1]
      mixed[t] += head @ block['attention_out']['kernel'][h]
  x = x + mixed + block['attention_out']['bias']
  z = dense(norm(x, block['mlp_norm']), block['mlp_in'])
  z = z / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))
  x = x + dense(z, block['mlp_out'])
  return dense(norm(x, params['norm']), params['read_out'])


@pytest.mark.parametrize('positions', POSITIONS)
def test_one_layer_against_numpy(positions):
  kwargs = dict(positions=positions, num_layers=1)
  variables = drawn(**kwargs)
  got = whole(**kwargs)(variables, X, OFFSET)
  assert got.shape == (B, T, Q) and got.dtype == jnp.float32
  for b in range(B):
    close(got[b], reference(variables['params'], X[b], positions, OFFSET[b]))


@pytest.mark.parametrize('positions', POSITIONS)
def test_no_output_reads_a_later_input(positions):
  model, variables = make(positions=positions), drawn(positions=positions)
  jacobian = jit(jax.jacrev(lambda x: model.apply(variables, x[None])[0]))
  size = np.abs(jacobian(X[0])).max((1, 3))  # [output's t, input's t]
  np.testing.assert_array_equal(np.triu(size, 1), 0)
  assert (size[np.tril_indices(T)] > 1e-4).all()


def test_order_is_told_by_positions_or_by_depth():
  moved = np.concatenate([X[:, :-1][:, ::-1], X[:, -1:]], axis=1)
  last = lambda x, **kwargs: whole(**kwargs)(
      drawn(**kwargs), x, 0 * OFFSET)[:, -1]
  change = lambda **kwargs: np.abs(
      last(X, **kwargs) - last(moved, **kwargs)).max()
  assert change(positions='none', num_layers=1) < 1e-5
  assert change(positions='none') > 1e-3  # a second layer reads partial sets
  for positions in POSITIONS[1:]:
    assert change(positions=positions, num_layers=1) > 1e-3


@pytest.mark.parametrize('positions', POSITIONS)
def test_what_an_offset_changes(positions):
  apply, variables = whole(positions=positions), drawn(positions=positions)
  plain, moved = (apply(variables, X, o) for o in (0 * OFFSET, OFFSET))
  if positions in ('learned', 'rotary'):
    close(apply(variables, X), plain)
  if positions in ('none', 'rotary', 'relative'):
    close(moved, plain, rtol=1e-4, atol=1e-5)
  else:
    assert np.abs(moved - plain)[[0, 2]].max((1, 2)).min() > 1e-3
    close(moved[1], plain[1])


def test_a_moved_table_is_an_offset():
  variables = drawn(positions='learned')
  table = variables['params']['position_table']
  moved = {'params': variables['params'] | {
      'position_table': np.roll(table, -4, axis=0)}}
  apply = whole(positions='learned')
  close(apply(variables, X, np.full(B, 4, np.int32)), apply(moved, X))


def test_sinusoids_by_formula():
  got = places.sinusoids(jnp.array([0, 1, 50]), 6)
  a = np.array([0, 1, 50])[:, None] / [1, 10_000 ** (1 / 3), 10_000 ** (2 / 3)]
  np.testing.assert_allclose(got[:, 0::2], np.sin(a), atol=1e-5)
  np.testing.assert_allclose(got[:, 1::2], np.cos(a), atol=1e-5)


def test_rotation_by_hand():
  # A quarter turn of the pair (0, 2); the pair (1, 3) stays.
  x = jnp.array([1., 2., 3., 4.]).reshape(1, 1, 1, 4)
  rotation = jnp.array([0., 1.]), jnp.array([1., 0.])
  got = places.rotated(x, tuple(r[None, None, None] for r in rotation))
  np.testing.assert_allclose(got.ravel(), [-3, 2, 1, 4], atol=1e-6)


# --- Token by token -----------------------------------------------------------


@pytest.mark.parametrize('kwargs', [
    *(dict(positions=p) for p in POSITIONS),
    dict(positions='rotary', scan_layers=True)], ids=str)
def test_token_by_token_equals_the_whole_sequence(kwargs):
  model, variables = make(**kwargs), drawn(**kwargs)

  @jax.jit
  def steps(x, offset):
    def step(cache, x):
      outputs, cache = model.apply(variables, x, cache, offset, method='step')
      return cache, outputs
    cache, outputs = jax.lax.scan(
        step, model.start(B, T + 2), jnp.swapaxes(x, 0, 1))
    return cache, jnp.swapaxes(outputs, 0, 1)

  for offset in (0 * OFFSET, OFFSET):
    cache, outputs = steps(X, offset)
    assert cache['position'] == T and outputs.dtype == jnp.float32
    close(outputs, whole(**kwargs)(variables, X, offset))
    for keys in jax.tree.leaves(cache['keys']):
      assert (keys[..., T:, :] == 0).all() and keys.any()


def test_the_end_of_the_cache():
  model, variables = make(num_layers=1), drawn(num_layers=1)
  cache = model.start(B, 2)
  assert cache['keys'][0].shape == (B, 2, 2, 4)
  cache['position'] += 2
  step = functools.partial(model.apply, method='step')
  with pytest.raises(ValueError, match='position=2.*length=2; start a longer'):
    step(variables, X[:, 2], cache)
  assert np.isnan(jit(step)(variables, X[:, 2], cache)[0]).all()


def test_state_size():
  model = transformer.Transformer(256, 4, 8, 10)
  assert model.state_size(100) == 204_800
  assert make(head_size=3).state_size(7) == 2 * 2 * 2 * 3 * 7
  cache = make(head_size=3, positions='none').start(1, 7)
  assert sum(x.size for name in ('keys', 'values')
             for x in cache[name]) == 2 * 2 * 2 * 3 * 7


# --- Layers, precision, parameters --------------------------------------------


@functools.cache
def loss_and_gradient(**kwargs):
  model = make(**kwargs)
  loss = lambda variables, x: jnp.sum(
      jnp.sin(jnp.arange(Q)) * jnp.square(model.apply(variables, x)))
  return jit(jax.value_and_grad(loss))


def test_scanned_and_rematerialized_layers_change_nothing():
  plain = drawn()
  want, want_grads = loss_and_gradient()(plain, X)
  for kwargs in (dict(rematerialize=True),
                 dict(scan_layers=True, rematerialize=True)):
    restack = stacked if 'scan_layers' in kwargs else lambda v: v
    assert jax.tree.map(np.shape, restack(plain)) == jax.tree.map(
        np.shape, drawn(**kwargs))
    got, grads = loss_and_gradient(**kwargs)(restack(plain), X)
    close(got, want)
    jax.tree.map(functools.partial(close, rtol=1e-4, atol=1e-5), grads,
                 restack(want_grads))


@pytest.mark.parametrize('scan', [False, True])
def test_rematerialized_layers_keep_less(scan):
  def saved(**kwargs):
    model = make(scan_layers=scan, **kwargs)
    variables = drawn(scan_layers=scan)
    _, pull = jax.eval_shape(lambda x: jax.vjp(
        lambda x: model.apply(variables, x), x), X)
    return sum(p.size for p in jax.tree.leaves(pull))
  assert saved(rematerialize=True) < 0.5 * saved()


def test_scanned_layers_are_drawn_apart():
  # Returning one parameter, the program draws no other.
  model = make(scan_layers=True)
  kernel = jit(lambda key: model.init(key, X)['params']['blocks']['mlp_in'][
      'kernel'])(jax.random.key(0))
  assert kernel.shape == (2, 8, 32)
  assert abs(np.corrcoef(kernel[0].ravel(), kernel[1].ravel())[0, 1]) < 0.25
  np.testing.assert_allclose(kernel.var(), 1 / 8, rtol=0.25)


@pytest.mark.parametrize('positions', ['learned', 'rotary'])
def test_bfloat16_is_close_and_the_softmax_float32(positions):
  kwargs = dict(positions=positions)
  variables, model = drawn(**kwargs), make(**kwargs, dtype=jnp.bfloat16)
  shapes = jax.eval_shape(model.init, jax.random.key(0), X)
  assert {p.dtype for p in jax.tree.leaves(shapes)} == {jnp.dtype('float32')}
  got = jit(model.apply)(variables, X, OFFSET)
  want = whole(**kwargs)(variables, X, OFFSET)
  assert got.dtype == jnp.float32
  assert 1e-4 < np.abs(got - want).max() / np.abs(want).max() < 0.1
  program = str(jax.make_jaxpr(model.apply)(variables, X))
  assert set(re.findall(r':(\w+)\[[^]]*\] = exp\b', program)) == {'f32'}
  assert 'bf16[3,6,3,2,4]' in program  # query, key and value are not
  assert model.start(B, T)['keys'][0].dtype == jnp.bfloat16


@pytest.mark.parametrize('positions, scan', [
    ('learned', False), ('rotary', True)])
def test_parameter_count_by_formula(positions, scan):
  model = transformer.Transformer(
      256, 4, 8, 10, mlp_width=1024, positions=positions, max_length=100,
      scan_layers=scan)
  shapes = jax.eval_shape(
      model.init, jax.random.key(0), jnp.zeros((1, 1, 794)))
  block = 4 * (256**2 + 256) + 2 * 256 * 1024 + 1024 + 256 + 2 * 2 * 256
  want = 4 * block + 794 * 256 + 256 + 2 * 256 + 256 * 10 + 10
  assert sum(p.size for p in jax.tree.leaves(shapes)) == want + (
      100 * 256 if positions == 'learned' else 0)


def test_read_out_initializers():
  init = jax.nn.initializers
  model = make(read_out_init=init.zeros, read_out_bias_init=init.constant(0.3))
  own = jit(lambda key: model.init(key, X)['params']['read_out'])(
      jax.random.key(0))
  np.testing.assert_array_equal(own['kernel'], 0)
  params = drawn()['params'] | {'read_out': own}
  np.testing.assert_array_equal(whole()({'params': params}, X), np.float32(0.3))


# --- Errors -------------------------------------------------------------------


@pytest.mark.parametrize('kwargs, message', [
    (dict(positions='random'), "'random'; use one of none, learned, sinu"),
    (dict(num_heads=3), 'num_heads=3.*width=8; change one of them'),
    (dict(width=9, num_heads=3, positions='sinusoidal'), 'width=9.*even'),
    (dict(head_size=3, positions='rotary'), 'head_size=3.*even'),
    (dict(max_length=5), '0 to 5.*max_length=5; raise max_length')])
def test_errors_name_the_value_and_the_remedy(kwargs, message):
  with pytest.raises(ValueError, match=message):
    jax.eval_shape(make(**kwargs).init, jax.random.key(0), X)


@pytest.mark.parametrize('offset, message', [
    ([0, 11, 2], '0 to 16.*max_length=16'), ([0, -1, 2], '-1 to 7')])
def test_offsets_outside_the_table(offset, message):
  model, variables = make(), drawn()
  with pytest.raises(ValueError, match=message):
    model.apply(variables, X, np.array(offset, np.int32))
  outputs = whole()(variables, X, np.array(offset, np.int32))
  bad = np.isnan(outputs).any((1, 2))
  np.testing.assert_array_equal(bad, [False, True, False])


def test_a_cache_longer_than_the_table():
  with pytest.raises(ValueError, match='0 to 16.*max_length=16'):
    make().start(B, 17)
  make(positions='rotary').start(B, 17)
  with pytest.raises(ValueError, match='num_heads=3'):
    make(num_heads=3).start(B, 2)


# --- Devices ------------------------------------------------------------------


@pytest.mark.parametrize('axes, scan', [
    ({'data': 1, 'model': 2}, False), ({'data': 2, 'model': 2}, True)])
def test_split_over_devices_changes_nothing(axes, scan):
  mesh = sharding.make_mesh(axes)
  x = np.concatenate([X, X[:1]])  # four sequences
  variables = stacked(drawn()) if scan else drawn()
  specs = sharding.state_specs(
      jax.eval_shape(lambda: variables), mesh, transformer.placement_rules())
  placed = jax.tree.map(lambda p, spec: jax.device_put(
      p, NamedSharding(mesh, spec)), variables, specs)
  block = placed['params']['blocks' if scan else 'blocks_0']
  parts = axes.get('model', 1)
  for name, axis in (('attention_in', 2), ('attention_out', 0),
                     ('mlp_in', 1), ('mlp_out', 0)):
    whole_shape = block[name]['kernel'].shape
    part = block[name]['kernel'].sharding.shard_shape(whole_shape)
    assert part[axis + scan] * parts == whole_shape[axis + scan]
    assert np.prod(part) * parts == np.prod(whole_shape)
  x_placed = jax.device_put(x, NamedSharding(mesh, P('data')))
  run = loss_and_gradient(scan_layers=True) if scan else loss_and_gradient()
  got, grads = run(placed, x_placed)
  want, want_grads = run(variables, x)
  close(got, want)
  # Sums over sequences and devices come in another order.
  jax.tree.map(functools.partial(close, atol=1e-5), grads, want_grads)


def test_a_block_sums_over_devices_twice():
  mesh = sharding.make_mesh({'model': 2})
  specs = sharding.state_specs(
      jax.eval_shape(drawn), mesh, transformer.placement_rules())
  shardings = jax.tree.map(lambda spec: NamedSharding(mesh, spec), specs)
  everywhere = NamedSharding(mesh, P())
  text = jit(make().apply, in_shardings=(shardings, everywhere),
                 out_shardings=everywhere).lower(drawn(), X).compile().as_text()
  assert len(re.findall(r' = \S+ all-reduce(?:-start)?\(', text)) == 2 * 2
  assert 'all-gather' not in text
