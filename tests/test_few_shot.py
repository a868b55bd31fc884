"""Few-shot tasks by their formulas, and each socket of the testbed `meta`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from assay import config as config_lib
from assay import papers
from assay.data.tasks import few_shot
from assay.errors import UserError
from assay.study import replaced
from assay.testbeds import meta, meta_arms, meta_errors, meta_tasks

KEYS = jax.random.split(jax.random.key(0), 2000)


def drawn(function, num_tasks=2000, **fields):
  return jax.tree.map(np.asarray, jax.jit(jax.vmap(functools.partial(
      function, num_support=3, num_query=2, **fields)))(KEYS[:num_tasks]))


def test_sinusoids_have_the_ranges_of_the_field():
  tasks = drawn(few_shot.sinusoid)
  assert tasks['x'].shape == (2000, 3, 1) and tasks['query_y'].shape == (
      2000, 2, 1)
  x = np.concatenate([tasks['x'], tasks['query_x']], axis=1)[..., 0]
  y = np.concatenate([tasks['y'], tasks['query_y']], axis=1)[..., 0]
  assert stats.kstest(x.ravel(), stats.uniform(-5, 10).cdf).pvalue > 1e-3
  # a sin x + b cos x through two points goes through all others.
  basis = np.stack([np.sin(x), np.cos(x)], axis=-1).astype(float)
  ab = np.stack([np.linalg.lstsq(m, v, rcond=None)[0]
                 for m, v in zip(basis, y, strict=True)])
  np.testing.assert_allclose(np.einsum('ijk,ik->ij', basis, ab), y, atol=1e-4)
  amplitude, phase = np.hypot(*ab.T), np.arctan2(ab[:, 1], ab[:, 0])
  for got, law in ((amplitude, stats.uniform(.1, 4.9)),
                   (phase, stats.uniform(0, np.pi))):
    assert stats.kstest(got, law.cdf).pvalue > 1e-3


@pytest.mark.parametrize('told, known', [(True, True), (False, True),
                                         (True, False)])
def test_codes_tell_amplitudes_where_they_should(told, known):
  tasks = drawn(few_shot.coded_sinusoid, told=told, known=known)
  u, code = tasks['x'][..., :1], tasks['x'][..., 1:]
  assert (code.sum(axis=-1) == 1).all() and (code == code[:, :1]).all()
  amplitude = np.sum(tasks['y'] * np.sin(u), axis=(1, 2)) / np.sum(
      np.sin(u)**2, axis=(1, 2))
  said = np.linspace(.1, 4, 20)[np.argmax(code[:, 0], axis=-1)]
  sure = np.sum(np.sin(u)**2, axis=(1, 2)) > 1  # a deviation of 0.1 at most
  agree = np.abs(amplitude - said)[sure] < .4
  assert agree.all() if told and known else agree.mean() < .35
  if not known:
    assert stats.kstest(amplitude[sure], stats.uniform(.1, 3.9).cdf
                        ).pvalue > 1e-3


def test_views_are_turned_and_their_directions_have_a_zero():
  image = np.zeros((2, 5, 5, 1), np.uint8)
  image[0, 2, 3:] = 200  # to the right
  image[1, :2, 2] = 100  # up
  x, angles = few_shot.views(image, 4, 360.)
  np.testing.assert_allclose(angles, np.pi / 2 * np.arange(4), rtol=1e-6)
  np.testing.assert_array_equal(x[0, 1].reshape(5, 5),
                                np.rot90(image[0, ..., 0]))
  np.testing.assert_array_equal(x[1, 2].reshape(5, 5),
                                np.rot90(image[1, ..., 0], 2))
  zero = np.float32([.3, 2.])
  of = functools.partial(few_shot.pose, x=jnp.asarray(x), angles=angles,
                         num_support=2, num_query=2)
  firsts = set()
  for key in KEYS[:10]:
    task = of(key, own_zero=zero)
    shown = np.concatenate([task['x'], task['query_x']]) * 255
    which = int(shown.max() < 150)
    order = [int(np.argmin(np.abs(x[which] - s).sum(axis=1))) for s in shown]
    assert sorted(order) == [0, 1, 2, 3]  # all different
    direction = angles[np.array(order)] + zero[which]
    np.testing.assert_allclose(
        np.concatenate([task['y'], task['query_y']]),
        np.stack([np.cos(direction), np.sin(direction)], axis=1), atol=1e-5)
    firsts.add(round(float(of(key, own_zero=None)['y'][0, 0]), 3))
  assert len(firsts) == 10  # anew for each task
  with pytest.raises(UserError, match='num_views=1 of 2 images: give one'):
    few_shot.views(image, 1)


# The testbed.


def small(**fields):
  return replaced(papers.configs('c_mixup_tasks').get_config('smoke'), fields)


@pytest.fixture(scope='module')
def shared():
  return meta_tasks.load(small().net)


def drawn_tasks(shared, split='train', count=3):
  return meta_tasks.held_out(meta_tasks.law_of(small().net), split, shared, 0,
                             count)


def initial(model):
  return jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 100)))['params']


def gradient(shared, arm, traced_only=False, **fields):
  """Of an arm, at its first weights."""
  config = small(**fields)
  model = meta.make_model(config.net)
  args = (arm.weights.start(initial(model)), {}, drawn_tasks(shared) | {
      k: jnp.full(3, v) for k, v in config_lib.leaves(config).items()
      if k in ('inner_learning_rate', *arm.fields)}, jax.random.key(1))
  function = meta.make_grad(config, arm, model)
  if traced_only:
    return jax.eval_shape(function, *args)
  return jax.jit(function)(*args)[1]


def test_splits_have_other_objects_and_the_same_tasks_for_all(shared):
  seen = {split: {v.tobytes() for v in shared[f'{split}_views'][:, 0]}
          for split in ('train', 'val', 'test')}
  assert list(map(len, seen.values())) == [6, 4, 5]
  assert len(set.union(*seen.values())) == 15
  few, more = (drawn_tasks(shared, 'test', n) for n in (2, 5))
  jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b[:2]), few, more)
  with pytest.raises(UserError, match='has 9999 to test on'):
    meta_tasks.load(small(num_objects=(6, 4, 9999)).net)
  with pytest.raises(UserError, match='test_steps=0 must be inner_steps=1'):
    meta.run(small(test_steps=0), None, {})


def test_errors_after_steps_are_those_of_a_loop(shared):
  model, tasks = meta.make_model(small().net), drawn_tasks(shared, 'test', 2)
  params = initial(model)
  got = meta_errors.compiled(model, 2, params, .1, tasks)
  mse = lambda p, x, y: jnp.mean((model.apply({'params': p}, x) - y)**2)
  slope = jax.jit(jax.grad(mse))
  for i in range(2):
    one, mine = jax.tree.map(lambda a, i=i: a[i], tasks), params
    for k in range(3):
      np.testing.assert_allclose(
          got[i, k], mse(mine, one['query_x'], one['query_y']), rtol=1e-4)
      mine = jax.tree.map(lambda p, g: p - .1 * g, mine,
                          slope(mine, one['x'], one['y']))
  # By hand: deviation of n - 1 is sqrt(5/3), of a mean half of it.
  np.testing.assert_allclose(meta_errors.half_width(np.array([0., 1, 2, 3])),
                             1.96 * (5 / 3)**.5 / 2)


def close(got, want):
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-4, 1e-6), got,
               want)


def test_sockets_in_limits(shared):
  """No noise at no price is none; steps of no length are no steps."""
  quiet = meta_arms.NOISY._replace(
      sample=lambda key, weights: meta_arms.NOISY.mean(weights))
  got = gradient(shared, meta_arms.ARMS['mr_maml']._replace(weights=quiet),
                 divergence_weight=0.)
  close(quiet.mean(got), gradient(shared, meta_arms.ARMS['upper_maml']))
  close(gradient(shared, meta.Arm(rates=lambda rate: 0.)),
        gradient(shared, meta_arms.ARMS['pretrained']))


def test_sockets_are_asked(shared):
  asked, plain = [], meta.Arm()

  def noting(name, function):
    return lambda *args: (asked.append(name), function(*args))[1]

  sockets = {k: noting(k, getattr(plain, k))
             for k in ('change', 'adapt', 'predict', 'rates')}
  weights = meta.Weights(*(noting(k, function) for k, function in zip(
      meta.Weights._fields, plain.weights, strict=True)))
  arm = meta.Arm(**sockets, weights=weights)
  gradient(shared, arm, traced_only=True)
  assert set(asked) == {*sockets, *meta.Weights._fields} - {'mean'}


def test_arms_differ_as_they_say(shared):
  task = jax.tree.map(lambda x: x[0], drawn_tasks(shared))
  turned = meta_arms.augmented(small(), jax.random.key(5), task)
  np.testing.assert_allclose(np.linalg.norm(turned['y'], axis=1), 1, rtol=1e-5)
  np.testing.assert_array_equal(turned['x'], task['x'])
  one = few_shot.sinusoid(KEYS[0], 3, 2) | {'shift': 0.}
  close(meta_arms.augmented(papers.configs('c_mixup_tasks').get_config(
      'sinusoid'), KEYS[1], one), one)
  # First order: no second derivative is taken.
  of = meta_arms.ARMS['first_order_maml'].adapt
  square = lambda w, support: w**2 * support
  assert jax.grad(lambda w: of(square, w, 1., .1, 2))(1.) == 1
