"""Contrast of projections: the formula, limits, what does not matter."""

import jax
import jax.numpy as jnp
import numpy as np

from assay.methods import contrastive

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(6, 3))
Z /= np.linalg.norm(Z, axis=1, keepdims=True)


def test_by_the_formula():
  y, t = np.array([0, 1, 0, 0, 1, 2]), .5
  want = np.zeros(6)
  for i in range(6):
    others = [j for j in range(6) if j != i]
    total = sum(np.exp(Z[i] @ Z[j] / t) for j in others)
    mine = [j for j in others if y[j] == y[i]]
    want[i] = -sum(np.log(np.exp(Z[i] @ Z[j] / t) / total)
                   for j in mine) / max(1, len(mine))
  np.testing.assert_allclose(contrastive.supervised(
      jnp.asarray(Z, jnp.float32), y, t), want, rtol=1e-4, atol=1e-6)
  assert want[5] == 0  # nobody is with it


def test_each_image_a_class_is_the_cross_entropy_of_the_other_view():
  index = jnp.array([4, 9, 7, 4, 9, 7])
  z = jnp.asarray(Z, jnp.float32)
  logits = z @ z.T / .1 - 1e9 * jnp.eye(6)
  log_p = jax.nn.log_softmax(logits)[jnp.arange(6), (jnp.arange(6) + 3) % 6]
  found, _ = contrastive.by_image(z, {'index': index}, {})
  np.testing.assert_allclose(found, -log_p.mean(), rtol=1e-4)


def test_two_views_are_drawn_apart():
  draw = lambda shared, own, item, key: {
      'x': jax.random.normal(key, (2, 3)), 'y': item}
  batch = contrastive.views(draw)(None, None, jnp.arange(2), jax.random.key(0))
  assert batch['x'].shape == (4, 3) and batch['y'].tolist() == [0, 1, 0, 1]
  assert not np.isclose(batch['x'][:2], batch['x'][2:]).any()


def test_the_probe_teaches_the_head_alone():
  head = contrastive.Head(num_classes=2)
  z = jnp.asarray(RNG.normal(size=(4, 5)), jnp.float32)
  variables = head.init(jax.random.key(0), z)
  batch = {'y': jnp.array([0, 1, 0, 1])}
  loss = contrastive.taught(lambda z, batch, extra: (jnp.float32(0), {}))
  of = lambda variables, z: loss(
      head.apply(variables, z, train=True), batch, {})[0]
  assert not jax.grad(of, argnums=1)(variables, z).any()
  grads = jax.grad(of)(variables, z)['params']
  assert grads['probe']['kernel'].any() and not grads['Dense_0']['kernel'].any()
  # Directions do not change with the scale of what is behind them.
  p = lambda scale: contrastive.directions(scale * z)
  np.testing.assert_allclose(p(7.), p(1.), rtol=1e-5)
  assert np.isfinite(jax.grad(lambda z: p(0.).sum())(z)).all()
