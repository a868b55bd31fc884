"""The testbed of models that learn in context."""

import functools
import math

import chex
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
import pytest

from assay import losses
from assay.errors import UserError
from assay.models import gaussian
from assay.testbeds import in_context
from assay.testbeds import in_context_answers as answering
from assay.train.store import Store


def net_of(**fields):
  return ml_collections.ConfigDict({
      'num_tasks': 0, 'learning_rate': .1, 'warmup': .25, 'clip_norm': 1e9}
                                   | fields)


def learner_of(loss=lambda outputs, y: losses.gaussian(*outputs, y)):
  return in_context.Learner(
      lambda net: gaussian.with_start(.5, 8, 1, 2, max_length=16), None, loss)


@functools.cache
def drawn(num=8):
  """(parameters of order 1, a batch of so many sequences of four pairs)."""
  rng = np.random.default_rng(0)
  batch = {'tokens': rng.normal(size=(num, 8, 4)).astype(np.float32),
           'y': rng.normal(size=(num, 4)).astype(np.float32)}
  params = jax.jit(learner_of().model(None).init)(
      jax.random.key(0), batch['tokens'][:1])['params']
  return jax.tree.map(lambda p: np.float32(
      p + .5 * rng.normal(size=p.shape)), params), batch


def test_number_of_tasks():
  got = [in_context.limit_of(net_of(num_tasks=size))
         for size in (1., 65_536, 2.**25, 0, math.inf)]
  assert got == [1, 65_536, 2**25, 0, 0]
  own = in_context.make_source(net_of(num_tasks=7), {}, [3, 4]).own
  assert {k: v.tolist() for k, v in own.items()} == {
      'num_tasks': [7, 7], 'task_seed': [3, 4], 'pool_seed': [3, 4]}
  for size in (.5, -1, 2.**31, math.nan):
    with pytest.raises(UserError, match=f'num_tasks={size}; use 1 to 2'):
      in_context.limit_of(net_of(num_tasks=size))


def test_the_loss_is_a_mean_and_reads_the_offset():
  params, batch = drawn()
  model, grad = learner_of().model(None), in_context.make_grad(
      None, learner_of())
  found = []
  for offset in (None, np.full(8, 6, np.int32)):
    mean, log_std = jax.jit(model.apply)(
        {'params': params}, batch['tokens'], offset)
    more = {} if offset is None else {'offset': offset}
    (loss, (extra, metrics)), _ = jax.jit(grad)(
        params, {'e': 1}, batch | more, None)
    np.testing.assert_allclose(loss, np.mean(
        log_std + (batch['y'] - mean)**2 / (2 * np.exp(2 * log_std))),
                               rtol=1e-4)
    assert extra == {'e': 1} and metrics == {}
    found.append(loss)
  assert abs(found[0] - found[1]) > 1e-3


def test_what_does_not_fit_is_refused():
  params, batch = drawn()
  bad = [(learner_of(), {'y': batch['y'][:, :3]}),
         (learner_of(), {'tokens': batch['tokens'][0]}),
         (learner_of(lambda outputs, y: jnp.mean(y)), {})]
  for learner, fields in bad:
    with pytest.raises(AssertionError):
      in_context.make_grad(None, learner)(params, {}, batch | fields, None)


def test_cross_entropy_by_hand():
  logits = jnp.log(jnp.array([[[.5, .25, .25], [.1, .1, .8]]]))
  got = in_context.cross_entropy(logits, jnp.array([[0, 1]]))
  np.testing.assert_allclose(got, [math.log(2), math.log(10)], rtol=1e-5)


def test_the_rate_rises_and_falls():
  tx = optax.with_extra_args_support(in_context.adam(net_of()))
  params, sizes = jnp.ones(1), []
  for progress in (0., .125, .25, .625, 1.):
    updates, _ = tx.update(jnp.ones(1), tx.init(params), params,
                           progress=progress)
    sizes.append(-float(updates[0]))  # Adam's first step is the rate itself
  np.testing.assert_allclose(sizes, [0, .05, .1, .05, 0], atol=1e-6)


def test_predictions_do_not_depend_on_how_prompts_are_cut(monkeypatch):
  params, batch = drawn()
  model = learner_of().model(None)
  apply = in_context.make_apply(model)
  # One program for equal models.
  assert apply is in_context.make_apply(learner_of().model(None))
  whole = answering.answers(apply, params, batch['tokens'])
  monkeypatch.setattr(answering, 'AT_ONCE', 3)
  # Traced for the parts of three and for the rest of two, and once for all.
  traced = chex.assert_max_traces(apply, 2)
  for a, b in zip(whole, answering.answers(traced, params, batch['tokens']),
                  strict=True):
    assert a.shape == b.shape == (8, 4)
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_a_model_is_asked_once(tmp_path, monkeypatch):
  params, batch = drawn()
  apply, calls = in_context.make_apply(learner_of().model(None)), []
  answers = answering.answers
  monkeypatch.setattr(answering, 'answers', lambda *args: (
      calls.append(args), answers(*args))[1])
  want = answers(apply, params, batch['tokens'])
  store, first = Store(tmp_path), jax.tree.map(lambda x: x[None], params)
  store.write('aa', {'x': np.zeros(1)}, {})
  other = batch | {'tokens': batch['tokens'] + 1}
  for now, keys, asked, num_calls in (
      (store, ('aa',), batch, 1), (store, ('aa',), batch, 1),
      (store, ('aa',), other, 2), (store, (), batch, 3), (None, (), batch, 4)):
    got = answering.kept(now, keys, apply, first, asked)
    assert len(calls) == num_calls
    if asked is batch:
      jax.tree.map(np.testing.assert_array_equal, got, want)


def test_positions_that_are_shown():
  assert list(in_context.shown(6, 10)) == [0, 1, 2, 3, 4, 5]
  assert list(in_context.shown(100, 10)) == list(range(0, 100, 10))
  assert list(in_context.shown(101, 10)) == list(range(0, 101, 11))
