"""PALM: as its code has it, in loops; limits; what prototypes are looked at."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from assay.methods import contrastive, modes, palm
from assay.metrics import clusters

RNG = np.random.default_rng(0)
unit = lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True)
Z, Y = unit(RNG.normal(size=(10, 4))), np.arange(10) % 2
P = unit(RNG.normal(size=(3, 2, 4)))
float32 = lambda x: jnp.asarray(x, jnp.float32)
step = lambda z=Z, p=P, kept=2, momentum=.9, **changed: palm.step(
    float32(z), Y, float32(p), kept, momentum, **changed)


def in_loops(kept=2, momentum=.9, inside=False):
  def weights(p, chosen=None):
    q = np.exp(Z @ p.reshape(-1, 4).T / .05)
    for _ in range(3):
      q /= q.sum(axis=0)
      q /= q.sum(axis=1, keepdims=True)
    own = np.array([q[i, Y[i]::2] for i in range(10)])
    chosen = np.argsort(-own, axis=1)[:, :kept] if chosen is None else chosen
    own = np.array([[w if k in chosen[i] else 0 for k, w in enumerate(
        own[i])] for i in range(10)])
    return own / own.sum(axis=1, keepdims=True), chosen

  pull, chosen = weights(P)
  moved = P.copy()
  for k, c in np.ndindex(3, 2):
    w = pull[Y == c, k]
    mean = w @ Z[Y == c] / w.sum() if w.sum() else 0
    moved[k, c] = unit(momentum * P[k, c] + (1 - momentum) * mean)
  own, _ = weights(moved, chosen)
  s = np.einsum('nd,kcd->nkc', Z, moved) / .1
  mine = np.array([s[i, :, Y[i]] for i in range(10)])
  near = np.log((own * np.exp(mine)).sum(1)) if inside else (own * mine).sum(1)
  flat = moved.reshape(-1, 4)
  t = np.exp(flat @ flat.T / .5) * (1 - np.eye(6))
  apart = -np.log(t / t.sum(axis=1, keepdims=True) + np.eye(6))
  same = (np.arange(6)[:, None] % 2 == np.arange(6) % 2) & (np.eye(6) == 0)
  return (np.mean(np.log(np.exp(s).sum(axis=(1, 2))) - near)
          + np.mean((apart * same).sum(1) / 2)), moved


@pytest.mark.parametrize('inside', (False, True))
def test_a_step_is_that_of_the_released_code(inside):
  for got, want in zip(step(inside=inside), in_loops(inside=inside),
                       strict=True):
    np.testing.assert_allclose(got, want, rtol=2e-4, atol=1e-5)


def test_scaling_is_to_equal_sums():
  q = palm.sinkhorn(float32(Z @ P.reshape(-1, 4).T), rounds=99)
  np.testing.assert_allclose(q.sum(axis=1), 1, rtol=1e-5)
  np.testing.assert_allclose(q.sum(axis=0), 10 / 6, rtol=1e-2)
  # By logarithms: exp(1000) is no number.
  assert np.isfinite(palm.sinkhorn(float32(Z @ Z.T), epsilon=1e-3)).all()


def test_one_prototype_is_cider():
  p = P[:1]
  loss, moved = step(p=p, kept=1)
  mean = np.array([Z[Y == c].mean(axis=0) for c in (0, 1)])
  np.testing.assert_allclose(moved[0], unit(.9 * p[0] + .1 * mean), rtol=1e-4,
                             atol=1e-6)
  s = Z @ np.asarray(moved[0]).T / .1
  compact = np.mean(np.log(np.exp(s).sum(axis=1)) - s[np.arange(10), Y])
  apart = moved[0, 0] @ moved[0, 1] / .5  # of two, one is the other
  np.testing.assert_allclose(loss, compact + apart, rtol=1e-4)


def test_gradients_through_the_move_are_as_small_as_the_move():
  grad = lambda **changed: jax.grad(lambda z: step(z, **changed)[0])(float32(Z))
  far = [np.abs(grad(momentum=m) - grad(momentum=m, through=False)).max()
         for m in (.9, .99, 1.)]
  assert far[2] == 0 and far[1] < .2 * far[0]


def test_a_lot_moves_the_weights_of_an_example_on():
  own, moved = (np.asarray(palm.assigned(float32(Z), Y, float32(P), lot))
                for lot in (None, np.arange(10)))
  for i in range(10):
    np.testing.assert_allclose(moved[i], np.roll(own[i], i), rtol=1e-6)
  assert (np.asarray(step(lot=np.zeros(10, int))[1]) == step()[1]).all()


@pytest.mark.parametrize('positive, expected', ((True, .75), (False, 0)))
def test_prototypes_start_where_they_should(positive, expected):
  head = palm.Head(number=6, num_classes=3, positive=positive)
  z = jnp.ones((2, 9))
  p = head.init(jax.random.key(0), z)['prototypes']['prototypes']
  assert p.shape == (6, 3, contrastive.SIZE)
  cosine = p.reshape(18, -1) @ p.reshape(18, -1).T
  np.testing.assert_allclose(jnp.diag(cosine), 1, rtol=1e-5)
  assert (cosine.sum() - 18) / (18 * 17) == pytest.approx(expected, abs=.05)


def test_what_evaluation_says():
  head = palm.Head(number=2, num_classes=3)
  z = jnp.asarray(RNG.normal(size=(4, 9)), jnp.float32)
  variables = head.init(jax.random.key(0), z)
  logits, found = head.apply(variables, z, mutable=['intermediates'])
  both = head.apply(variables, z, train=True)
  np.testing.assert_allclose(both[:, contrastive.SIZE:], logits, rtol=1e-6)
  p = variables['prototypes']['prototypes']
  np.testing.assert_allclose(
      found['intermediates']['cosines'][0][1, 1, 2],
      both[1, :contrastive.SIZE] @ p[1, 2], rtol=1e-4, atol=1e-6)


def test_modes_of_classes():
  near = lambda *at: RNG.normal(at, .1, (40, 2))
  z = np.concatenate([near(9, 0), near(0, 9), near(-9, 0), near(0, -9)])
  y, fine = np.repeat([0, 0, 1, 1], 40), np.repeat(range(4), 40)
  out = {'train': {'features': z, 'labels': y}, 'test': {'features': z}}
  score = modes.kmeans
  state = score.fit(z, y, number=2).state
  found = modes.summary(modes._cosines(state, z), y, fine)
  assert found == {'purity': 1, 'evenness': pytest.approx(1)}
  one = modes.summary(np.ones((160, 1, 2)), y, fine)
  assert one['purity'] == .5 and np.isnan(one['evenness'])
  assert modes.cosines_of(out, 'test', score).shape == (160, 6, 2)
  assert score.fit(z, y, number=2).score([[5., 0.], [5., 5.]]).round(
      2).tolist() == [1, .71]


@pytest.mark.parametrize('call, message', [
    (lambda: clusters.purity([0], [1, 2]), 'groups has 1 and labels 2'),
    (lambda: clusters.purity([.5], [1]), 'must be .n. int'),
    (lambda: clusters.evenness([0, 2], 2), 'number=2 must be 2 or more'),
    (lambda: clusters.evenness([0], 1), 'number=1 must be 2 or more')])
def test_groups_that_cannot_be_meant(call, message):
  with pytest.raises(ValueError, match=message):
    call()
