"""A transformer that says a mean and a standard deviation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from assay import losses
from assay.models import gaussian


def made(positions='none'):
  """(model, its parameters, tokens of four prompts of eight pairs)."""
  model = gaussian.with_start(.55, 8, 1, 2, positions=positions,
                              max_length=16)
  tokens = jax.random.normal(jax.random.key(1), (4, 16, 4))
  params = jax.jit(model.init)(jax.random.key(0), tokens[:1, :2])['params']
  return model, params, tokens


@pytest.mark.parametrize('positions', ['none', 'learned'])
def test_the_start_is_a_constant(positions):
  model, params, tokens = made(positions)
  mean, log_std = jax.jit(model.apply)({'params': params}, tokens)
  assert mean.shape == log_std.shape == (4, 8)
  np.testing.assert_array_equal(mean, 0)
  np.testing.assert_allclose(params['read_out']['bias'], [0, .55], rtol=1e-6)
  np.testing.assert_allclose(log_std, 6 * np.tanh(.55 / 6), rtol=1e-6)
  np.testing.assert_allclose(log_std, .55, atol=.002)  # hardly bounded here
  y = jax.random.normal(jax.random.key(2), (4, 8))

  def loss(params):
    return jnp.mean(losses.gaussian(*model.apply({'params': params}, tokens),
                                    y))

  value, grads = jax.jit(jax.value_and_grad(loss))(params)
  s = np.exp(log_std)
  np.testing.assert_allclose(
      value, np.mean(np.log(s) + np.square(y) / (2 * s**2)), rtol=1e-5)
  assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))
  assert np.abs(grads['read_out']['kernel']).max() > 1e-4
  # Equal models are equal, so that they are compiled once.
  assert model == made(positions)[0] and hash(model) == hash(made(positions)[0])


def test_log_std_is_bounded_softly():
  model, params, tokens = made()
  values, out = np.array((-1e4, -20., -3., -.1, 0., .1, 3., 20., 1e4)), []
  for value in values:
    changed = params | {'read_out': params['read_out'] | {
        'bias': jnp.array([value, value])}}
    mean, log_std = model.apply({'params': changed}, tokens)
    np.testing.assert_array_equal(mean, np.float32(value))
    out.append(float(log_std[0, 0]))
  assert (np.diff(out) >= 0).all()
  np.testing.assert_allclose(out, 6 * np.tanh(values / 6), rtol=1e-5)
  assert (out[0], out[-1]) == (-6, 6)
  assert abs(out[5] - .1) < 1e-4


def test_only_learned_positions_have_a_table():
  assert 'position_table' not in made('none')[1]
  assert made('learned')[1]['position_table'].shape == (16, 8)
  model, params, tokens = made('none')
  offset = np.array([0, 2, 4, 8], np.int32)  # has no effect without one
  for a, b in zip(model.apply({'params': params}, tokens),
                  model.apply({'params': params}, tokens, offset),
                  strict=True):
    np.testing.assert_array_equal(a, b)


def drawn(positions):
  """As `made`, with parameters of order 1: the read-out starts at zero."""
  model, params, tokens = made(positions)
  rng = np.random.default_rng(1)
  params = jax.tree.map(lambda p: np.float32(
      p + .5 * rng.normal(size=p.shape)), params)
  return jax.jit(lambda params, tokens, offset=None: model.apply(
      {'params': params}, tokens, offset)), params, tokens


@pytest.mark.parametrize('positions', ['none', 'learned'])
def test_no_prediction_has_seen_its_answer(positions):
  apply, params, tokens = drawn(positions)
  # Row t: the first prompt, with another token 2 t (of x) or 2 t + 1 (of y).
  rows, tokens = np.arange(8), jnp.repeat(tokens[:1], 8, axis=0)
  before = apply(params, tokens)
  for of_answer in (0, 1):
    changed = tokens.at[rows, 2 * rows + of_answer].add(1.5)
    # Its own x is read, and no later one; no answer before it was shown.
    same = np.tri(8, k=of_answer - 1, dtype=bool)
    for a, b in zip(before, apply(params, changed), strict=True):
      np.testing.assert_array_equal(np.asarray(a != b), ~same)


def test_both_tokens_of_a_pair_move_together():
  apply, params, tokens = drawn('learned')
  for num in (2, 4):
    moved = params | {'position_table': np.roll(
        params['position_table'], -2 * num, axis=0)}
    want = apply(moved, tokens[:, :8])
    got = apply(params, tokens[:, :8], np.full(4, 2 * num, np.int32))
    for a, b in zip(want, got, strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
