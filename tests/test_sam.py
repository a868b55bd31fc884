"""SAM and its family against values worked out by hand and against optax."""

import functools

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.sharding import AxisType
import kinds
import numpy as np
import optax
import pytest

from assay.methods import sam

KEY = jax.random.key(0)


def quartic(params, extra, batch, key):
  """sum p^4, whose gradient is 4 p^3."""
  loss = sum(jnp.sum(p ** 4) for p in jax.tree.leaves(params))
  return loss, (extra, {'size': sum(jnp.sum(jnp.abs(p)) for p in
                                    jax.tree.leaves(params))})


QUARTIC = jax.value_and_grad(quartic, has_aux=True)


def regression(params, extra, batch, key):
  predicted = jnp.tanh(batch['x'] @ params['w'] + params['b']) @ params['v']
  return jnp.mean((predicted - batch['y']) ** 2), (extra, {})


REGRESSION = jax.jit(jax.value_and_grad(regression, has_aux=True))


def toy(num_examples=8):
  keys = jax.random.split(jax.random.key(1), 4)
  params = {'w': jax.random.normal(keys[0], (3, 5)), 'b': jnp.ones(5) / 10,
            'v': jax.random.normal(keys[1], (5,))}
  return params, {'x': jax.random.normal(keys[2], (num_examples, 3)),
                  'y': jax.random.normal(keys[3], (num_examples,))}


def test_hand_worked_quartic():
  p, rho = jnp.array([1., -2.]), 0.1
  (loss, (_, metrics)), grads = sam.sam(QUARTIC, rho)(p, {}, {}, KEY)
  g = np.array([4., -32.])
  e = rho * g / np.sqrt(4. ** 2 + 32. ** 2)
  near = np.array([1., -2.]) + e
  np.testing.assert_allclose(grads, 4 * near ** 3, rtol=1e-5)
  assert loss == 17  # of the first pass, as its metrics
  assert metrics['size'] == 3
  np.testing.assert_allclose(metrics['loss_perturbed'], np.sum(near ** 4),
                             rtol=1e-5)
  np.testing.assert_allclose(metrics['size_perturbed'], np.sum(np.abs(near)),
                             rtol=1e-5)
  np.testing.assert_allclose(metrics['perturbation_norm'], rho, rtol=1e-6)
  after = 4 * near ** 3
  np.testing.assert_allclose(
      metrics['gradient_cosine'],
      g @ after / np.linalg.norm(g) / np.linalg.norm(after), rtol=1e-6)


def test_agrees_with_optax():
  params, batch = toy()
  rho, rate = 0.3, 0.1
  tx = optax.contrib.sam(
      optax.sgd(rate), optax.chain(optax.contrib.normalize(), optax.sgd(rho)),
      sync_period=2, opaque_mode=True)
  state, theirs = tx.init(params), params
  tx_ours = optax.sgd(rate)
  ours, state_ours = params, tx_ours.init(params)
  gradient = sam.sam(REGRESSION, rho)
  for _ in range(5):
    grads = REGRESSION(theirs, {}, batch, KEY)[1]
    updates, state = tx.update(
        grads, state, theirs,
        grad_fn=lambda p, i: REGRESSION(p, {}, batch, KEY)[1])
    theirs = optax.apply_updates(theirs, updates)
    updates, state_ours = tx_ours.update(
        gradient(ours, {}, batch, KEY)[1], state_ours, ours)
    ours = optax.apply_updates(ours, updates)
  for name in params:
    np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-4, atol=1e-6)


def test_rho_zero_is_the_gradient():
  params, batch = toy()
  plain = REGRESSION(params, {}, batch, KEY)[1]
  got = sam.sam(REGRESSION, 0.)(params, {}, batch, KEY)[1]
  for name in params:
    np.testing.assert_array_equal(got[name], plain[name])


@pytest.mark.parametrize('how', [{}, {'weights': sam.asam(0.)},
                                 {'weights': sam.asam_all}])
def test_zero_gradient_gives_a_zero_step(how):
  p = {'kernel': jnp.zeros(3), 'bias': jnp.zeros(2)}
  (loss, (_, metrics)), grads = sam.sam(QUARTIC, 0.1, **how)(p, {}, {}, KEY)
  assert loss == 0
  for leaf in jax.tree.leaves(grads):
    np.testing.assert_array_equal(leaf, 0)
  assert metrics['perturbation_norm'] == 0
  assert metrics['gradient_cosine'] == 0


@pytest.mark.parametrize('size', [1e-30, 1e30])
def test_squares_neither_vanish_nor_overflow(size):
  linear = lambda p, extra, batch, key: (
      (jnp.sum(p) * size, (extra, {})), jnp.full_like(p, size))
  _, (_, metrics) = sam.sam(linear, 0.1)(jnp.ones(4), {}, {}, KEY)[0]
  np.testing.assert_allclose(metrics['perturbation_norm'], 0.1, rtol=1e-6)
  np.testing.assert_allclose(metrics['gradient_cosine'], 1, rtol=1e-6)


def named(gradient_at):
  """A gradient that records the parameters it is asked for."""
  asked = []

  def grad_fn(params, extra, batch, key):
    asked.append(params)
    return (jnp.float32(0), (extra, {})), gradient_at

  return grad_fn, asked


def test_asam_of_the_authors():
  params = {'dense': {'kernel': jnp.array([2., -1.]), 'bias': jnp.array([3.])},
            'norm': {'scale': jnp.array([0.5])}}
  grads = {'dense': {'kernel': jnp.array([1., 1.]), 'bias': jnp.array([2.])},
           'norm': {'scale': jnp.array([4.])}}
  grad_fn, asked = named(grads)
  sam.sam(grad_fn, 0.5, weights=sam.asam(1.))(params, {}, {}, KEY)
  t = np.array([3., 2., 1., 1.5])  # |w| + 1, but 1 for the bias
  g = np.array([1., 1., 2., 4.])
  e = 0.5 * t ** 2 * g / np.linalg.norm(t * g)
  got = asked[1]
  np.testing.assert_allclose(got['dense']['kernel'], [2 + e[0], -1 + e[1]],
                             rtol=1e-6)
  np.testing.assert_allclose(got['dense']['bias'], [3 + e[2]], rtol=1e-6)
  np.testing.assert_allclose(got['norm']['scale'], [.5 + e[3]], rtol=1e-6)


def test_asam_of_all_never_moves_a_zero():
  params = {'kernel': jnp.array([2.]), 'bias': jnp.array([0., 1.])}
  grads = {'kernel': jnp.array([1.]), 'bias': jnp.array([5., 1.])}
  grad_fn, asked = named(grads)
  sam.sam(grad_fn, 0.5, weights=sam.asam_all)(params, {}, {}, KEY)
  norm = np.sqrt(2. ** 2 + 1.)
  np.testing.assert_allclose(asked[1]['kernel'], [2 + .5 * 4 / norm], rtol=1e-6)
  np.testing.assert_allclose(asked[1]['bias'], [0, 1 + .5 / norm], rtol=1e-6)


def test_asam_does_not_see_a_rescaling():
  """f(aw1, w2/a) = f(w1, w2): the loss at the worst point is the same."""
  def product(p, extra, batch, key):
    return (p['one']['kernel'] * p['two']['kernel'] - 1) ** 2, (extra, {})
  gradient = jax.value_and_grad(product, has_aux=True)
  found = []
  for a in (1., 7.):
    p = {'one': {'kernel': jnp.float32(2 * a)},
         'two': {'kernel': jnp.float32(3 / a)}}
    values = [sam.sam(gradient, .1, **how)(p, {}, {}, KEY)[0][1][1][
        'loss_perturbed'] for how in ({'weights': sam.asam(0.)}, {})]
    found.append(values)
  np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5)
  assert abs(found[0][1] - found[1][1]) > 0.1  # SAM sees it


def test_only_normalization_is_perturbed():
  params = {'BatchNorm_0': {'scale': jnp.ones(2), 'bias': jnp.zeros(2)},
            'Dense_0': {'kernel': jnp.ones((2, 2))}}
  grads = jax.tree.map(lambda p: jnp.full_like(p, 3.), params)
  grad_fn, asked = named(grads)
  sam.sam(grad_fn, 1., perturbs=sam.normalization)(params, {}, {}, KEY)
  np.testing.assert_array_equal(asked[1]['Dense_0']['kernel'], 1)
  np.testing.assert_allclose(asked[1]['BatchNorm_0']['scale'], 1.5)  # 1 / 2
  np.testing.assert_allclose(asked[1]['BatchNorm_0']['bias'], .5)


def test_random_direction_has_the_norm_and_not_the_gradient():
  params, batch = toy()
  run = lambda key: sam.sam(REGRESSION, .2, direction=sam.random)(
      params, {}, batch, key)
  (_, (_, metrics)), grads = run(KEY)
  np.testing.assert_allclose(metrics['perturbation_norm'], .2, rtol=1e-6)
  _, other = run(jax.random.key(5))
  assert not np.allclose(grads['w'], other['w'])
  # A random direction of many coordinates is orthogonal to the gradient.
  wide = {'w': jnp.ones(100_000)}
  grad_fn, asked = named({'w': jnp.ones(100_000)})
  sam.sam(grad_fn, 1., direction=sam.random)(wide, {}, {}, KEY)
  e = np.asarray(asked[1]['w'] - 1)
  assert abs(e.sum() / 100_000 ** .5) < 0.02


class Normalized(nn.Module):

  @nn.compact
  def __call__(self, x, train):
    x = nn.Dense(4)(x)
    x = nn.BatchNorm(use_running_average=not train, momentum=.5)(x)
    return nn.Dense(1)(nn.relu(x))


def normalized():
  model = Normalized()
  variables = jax.jit(lambda key: model.init(key, jnp.ones((2, 3)), True))(KEY)

  def loss_fn(params, extra, batch, key):
    out, new = model.apply({'params': params, **extra}, batch['x'], True,
                           mutable=['batch_stats'])
    return jnp.mean((out[:, 0] - batch['y']) ** 2), (dict(new), {})

  gradient = jax.jit(jax.value_and_grad(loss_fn, has_aux=True))
  return gradient, variables['params'], {
      'batch_stats': variables['batch_stats']}


def test_which_pass_owns_batch_statistics():
  gradient, params, extra = normalized()
  _, batch = toy(16)
  (_, (first, _)), grads = gradient(params, extra, batch, KEY)
  e = jax.tree.map(lambda g: g / optax.tree.norm(grads), grads)
  nearby = jax.tree.map(jnp.add, params, e)
  expected = {
      'first': first, 'second': gradient(nearby, extra, batch, KEY)[0][1][0],
      'both': gradient(nearby, first, batch, KEY)[0][1][0]}
  found = {which: sam.sam(gradient, 1., statistics=which)(
      params, extra, batch, KEY)[0][1][0] for which in sam.STATISTICS}
  for which, tree in expected.items():
    for a, b in zip(jax.tree.leaves(found[which]), jax.tree.leaves(tree),
                    strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
  means = {k: np.asarray(jax.tree.leaves(v)[0]) for k, v in found.items()}
  assert not np.allclose(means['first'], means['second'])
  assert not np.allclose(means['second'], means['both'])
  with pytest.raises(ValueError, match="'none'; use one of first, second"):
    sam.sam(gradient, 1., statistics='none')


def test_decay_inside_turns_the_perturbation_and_outside_does_not():
  p = jnp.array([3., 1.])
  gradient = jax.value_and_grad(
      lambda p, extra, batch, key: (p[1], (extra, {})), has_aux=True)
  rho, decay = .1, .5
  (loss, _), inside = sam.sam(sam.decayed(gradient, decay), rho)(
      p, {}, {}, KEY)
  g = np.array([1.5, 1.5])  # (0, 1) + decay * p
  near = np.array([3., 1.]) + rho * g / np.linalg.norm(g)
  np.testing.assert_allclose(inside, np.array([0., 1.]) + decay * near,
                             rtol=1e-6)
  np.testing.assert_allclose(loss, 1 + .25 * 10)
  tx = optax.chain(optax.add_decayed_weights(decay), optax.sgd(1.))
  updates, _ = tx.update(sam.sam(gradient, rho)(p, {}, {}, KEY)[1],
                         tx.init(p), p)
  np.testing.assert_allclose(updates, [-1.5, -1.5])  # decay at p, not p + e


def test_bfloat16_compute_keeps_a_small_perturbation():
  """1e-5 a coordinate is below the resolution of bfloat16 at 1, 4e-3."""
  num = 10_000
  params = {'kernel': jnp.ones((num,), jnp.float32)}

  def loss_fn(params, extra, batch, key):
    return jnp.sum(params['kernel'].astype(jnp.bfloat16)
                   * jnp.bfloat16(.01)).astype(jnp.float32), (extra, {})

  gradient = jax.value_and_grad(loss_fn, has_aux=True)
  (_, (_, metrics)), grads = sam.sam(gradient, 1e-5 * num ** .5)(
      params, {}, {}, KEY)
  np.testing.assert_allclose(metrics['perturbation_norm'], 1e-3, rtol=1e-5)
  assert grads['kernel'].dtype == jnp.float32
  grad_fn, asked = named({'kernel': jnp.ones(num, jnp.bfloat16)})
  sam.sam(grad_fn, 1e-5 * num ** .5)(params, {}, {}, KEY)
  assert asked[1]['kernel'].dtype == jnp.float32
  np.testing.assert_allclose(asked[1]['kernel'] - 1, 1e-5, rtol=.01)
  with pytest.raises(ValueError, match='float32'):
    sam.sam(grad_fn, .1)({'kernel': jnp.ones(num, jnp.bfloat16)}, {}, {}, KEY)


def test_m_sam_is_the_mean_over_groups():
  params, batch = toy(8)
  one = sam.sam(REGRESSION, .3)
  parts = [one(params, {}, {k: v[i:i + 2] for k, v in batch.items()}, KEY)
           for i in range(0, 8, 2)]
  (loss, (_, metrics)), grads = sam.in_groups(one, 2)(params, {}, batch, KEY)
  np.testing.assert_allclose(loss, np.mean([p[0][0] for p in parts]), rtol=1e-6)
  np.testing.assert_allclose(
      metrics['loss_perturbed'],
      np.mean([p[0][1][1]['loss_perturbed'] for p in parts]), rtol=1e-6)
  for name in params:
    np.testing.assert_allclose(
        grads[name], np.mean([p[1][name] for p in parts], axis=0), rtol=1e-4,
        atol=1e-6)
  whole = one(params, {}, batch, KEY)[1]
  assert not np.allclose(grads['w'], whole['w'], rtol=1e-3)
  same = sam.in_groups(one, 8)(params, {}, batch, KEY)[1]
  np.testing.assert_allclose(same['w'], whole['w'], rtol=1e-5)


@pytest.mark.parametrize('m', [2, *kinds.nightly(1, 4)])
def test_same_m_same_result_however_it_is_spread(m):
  """In float64: normalizing two examples makes much of a rounding error."""
  with jax.enable_x64(True):
    gradient, params, extra = normalized()
    params = jax.tree.map(lambda p: p.astype(jnp.float64), params)
    _, batch = toy(16)

    def noisy(params, extra, batch, key):  # groups differ in their key too
      batch = batch | {'x': batch['x'] + jax.random.normal(
          key, batch['x'].shape)}
      return gradient(params, extra, batch, key)

    one = sam.sam(noisy, .3)
    mesh = jax.make_mesh((4,), ('data',), axis_types=(AxisType.Auto,),
                         devices=jax.devices()[:4])
    forms = [sam.in_groups(one, m), sam.in_groups(one, m, mapped=True),
             sam.in_groups(one, m, axis='data', mesh=mesh),
             sam.in_groups(one, m, mapped=True, axis='data', mesh=mesh)]
    results = [jax.jit(form)(params, extra, batch, KEY) for form in forms]
  for other in results[1:]:
    for a, b in zip(jax.tree.leaves(results[0]), jax.tree.leaves(other),
                    strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-8)


def test_groups_are_spread_within_a_map_over_seeds():
  """As `fit` runs it: the seeds' axis is manual, `data` is nested in it."""
  params, batch = toy(8)
  one = sam.sam(REGRESSION, .3)
  mesh = jax.make_mesh((2, 2), ('seed', 'data'),
                       axis_types=(AxisType.Auto,) * 2,
                       devices=jax.devices()[:4])
  spec = jax.sharding.PartitionSpec('seed')
  step = functools.partial(sam.in_groups(one, 2, axis='data'), params, {})
  mapped = lambda x, y, key: step({'x': x[0], 'y': y[0]}, key)[1]['w'][None]
  stacked = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), batch)
  got = jax.jit(jax.shard_map(
      mapped, mesh=mesh, in_specs=(spec, spec, jax.sharding.PartitionSpec()),
      out_specs=spec, axis_names={'seed'}, check_vma=False))(
          stacked['x'], stacked['y'], KEY)
  for i in range(2):
    alone = sam.in_groups(one, 2)(
        params, {}, jax.tree.map(lambda x, i=i: x[i], stacked), KEY)[1]['w']
    np.testing.assert_allclose(got[i], alone, rtol=1e-4, atol=1e-6)


def test_groups_that_do_not_fit_are_refused():
  params, batch = toy(8)
  one = sam.sam(REGRESSION, .3)
  with pytest.raises(ValueError, match='m=3 does not divide the batch of 8'):
    sam.in_groups(one, 3)(params, {}, batch, KEY)
  mesh = jax.make_mesh((4,), ('data',), axis_types=(AxisType.Auto,),
                       devices=jax.devices()[:4])
  with pytest.raises(ValueError, match='2 groups of m=4.*4 devices'):
    sam.in_groups(one, 4, axis='data', mesh=mesh)(params, {}, batch, KEY)


def test_no_derivative_goes_through_the_perturbation():
  """Second-order terms would change the gradient of a cubic."""
  cubic = jax.value_and_grad(
      lambda p, extra, batch, key: (jnp.sum(p ** 3), (extra, {})), has_aux=True)
  p, rho = jnp.array([1., 2.]), .5
  g = 3 * np.array([1., 4.])
  got = sam.sam(cubic, rho)(p, {}, {}, KEY)[1]
  np.testing.assert_allclose(
      got, 3 * (np.array([1., 2.]) + rho * g / np.linalg.norm(g)) ** 2,
      rtol=1e-6)
