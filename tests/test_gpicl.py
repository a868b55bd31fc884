"""GPICL: what models are shown, data, small parts worked out by hand."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from assay import papers
from assay.data import tasks
from assay.errors import UserError
from assay.study import Study, replaced
from assay.testbeds import in_context
from assay.testbeds import in_context_answers as answering
from assay.testbeds import in_context_images as images

gpicl = papers.load('gpicl')
settings = papers.configs('gpicl')
INF = settings.UNLIMITED
KEYS = ('x', 'y', 'task', 'tokens')


def small(variant='smoke', **fields):
  return replaced(settings.get_config(variant), fields)


@functools.cache
def digits():
  net = small().net
  return tasks.image_sets(net.dataset, net.classes, net.reduce,
                          net.num_inputs)


def asked(config, name=('digits', 'test'), seed=0):
  """All sequences of a set, in one batch."""
  parts = list(images.prompts(digits(), None, config, seed, name))
  return {k: np.concatenate([part[k] for part in parts]) for k in KEYS}


def drawn(config, arm):
  """Parameters of an arm, those of a model that was not trained."""
  rng, net = np.random.default_rng(0), config.net
  tokens = jnp.zeros((1, net.length, net.num_inputs + len(net.classes)))
  shapes = jax.eval_shape(gpicl.ARMS[arm].model(net).init,
                          jax.random.key(0), tokens)['params']
  return jax.tree.map(lambda p: np.float32(rng.normal(
      size=p.shape) / max(1, p.size // p.shape[-1])**.5), shapes)


# --- What a model is shown ---------------------------------------------------


@pytest.mark.parametrize('arm', sorted(
    {*gpicl.ARMS} - {'mlp', *settings.REFERENCES}))
def test_labels_come_late_and_the_first_is_a_guess(arm):
  config = small(num_prompts=512)
  batch, classes, length = asked(config), 5, config.net.length
  logits = answering.predictor(gpicl.make_apply(config, arm))
  tokens_of = images.tokens_of(config.net)
  params = drawn(config, arm)
  # Row j: the first sequence, with another label of example j.
  x, y = batch['x'].copy(), batch['y'].copy()
  x[:length], y[:length] = x[:1], y[:1]
  before = np.asarray(logits(params, tokens_of(x, y)))
  rows = np.arange(length)
  y[rows, rows] = (y[rows, rows] + 1) % classes
  after = np.asarray(logits(params, tokens_of(x, y)))
  known = np.tri(length, dtype=bool)  # positions <= j
  changed = (before != after).any(axis=-1)
  np.testing.assert_array_equal(changed[:length], ~known)
  assert not changed[length:].any()
  # Of an unseen task nothing is known before the first label.
  guess = before[length:, 0].argmax(axis=-1)
  right = np.mean(guess == batch['y'][length:, 0])
  assert abs(right - 1 / classes) < 4 * (.16 / 500)**.5


def test_the_mlp_reads_the_image_alone():
  config = small()
  batch, apply = asked(config), gpicl.make_apply(config, 'mlp')
  params, tokens_of = drawn(config, 'mlp'), images.tokens_of(config.net)
  logits = [np.asarray(apply(params, {}, tokens_of(batch['x'], y)))
            for y in (batch['y'], batch['y'][::-1])]
  np.testing.assert_array_equal(*logits)
  assert params['hidden_0']['affine']['kernel'].shape == (16, 8)


def test_sequences_do_not_depend_on_how_a_model_was_trained():
  want = asked(small())
  assert want['x'].shape == (64, 6, 16) and want['y'].shape == (64, 6)
  np.testing.assert_array_equal(want['tokens'][..., :16], want['x'])
  for fields in (
      dict(num_steps=99, batch_tasks=7, bias=.25, learning_rate=1.),
      dict(width=4, num_layers=3, repeat_share=0.), dict(num_tasks=1.)):
    got = asked(small(**fields))
    for k in want:
      np.testing.assert_array_equal(got[k], want[k])
  assert (want['task'] >= tasks.FIRST_UNSEEN).all()
  more = asked(small(num_prompts=96))
  np.testing.assert_array_equal(more['x'][:64], want['x'])
  for other in (asked(small(eval_seed=1)), asked(small(), seed=1),
                asked(small(), ('digits', 'seen_test'))):
    assert np.mean(other['x'] != want['x']) > .999


def made_of(x, y, projection, permutation, found, labels):
  """Asserts that x are projected images of a part, with permuted labels."""
  every = found @ np.asarray(projection).T
  for one, label in zip(x.reshape(-1, x.shape[-1]), y.ravel(), strict=True):
    distance = np.abs(every - one).max(axis=1)
    assert distance.min() < 1e-5
    # Some images are in the part twice.
    assert label in np.asarray(permutation)[labels[distance < 1e-5]]


def test_a_single_seen_task_is_that_of_training():
  config, seed = small(num_tasks=1., bias=0., num_prompts=32,
                       repeat_share=0., num_distinct=0), 3
  task = tasks.projection_task(tasks.task_key(seed), 0, 16, 5)
  for split in ('seen', 'seen_test'):
    batch = asked(config, ('digits', split), seed)
    assert not batch['task'].any()
    made_of(batch['x'], batch['y'], *task, *digits()['digits', split])
  found = digits()['digits', 'seen']
  source = in_context.make_source(config.net, dict(zip(
      ('images', 'labels'), found, strict=True)), [seed])
  batch = jax.jit(images.draw(config.net))(
      source.shared, jax.tree.map(lambda x: x[0], source.own), None,
      jax.random.key(9))
  made_of(np.asarray(batch['x']), np.asarray(batch['y']), *task, *found)


def test_a_single_task_is_memorized_and_no_other():
  config = small(num_tasks=1., bias=0., width=16, learning_rate=5e-3,
                 warmup_steps=20, num_prompts=256, batch_tasks=8,
                 repeat_share=0., num_distinct=0)
  learner, net = gpicl.ARMS['transformer'], config.net
  tx, draw = learner.optimizer(net), learner.draw(net)
  grad = in_context.make_grad(net, learner)
  found = digits()['digits', 'seen']
  shared = {'images': found[0], 'labels': found[1]}
  own = {'num_tasks': np.int32(1), 'task_seed': np.int32(0)}

  @jax.jit
  def step(params, state, i):
    batch = draw(shared, own, None, jax.random.key(i))
    (loss, _), grads = grad(params, {}, batch, None)
    updates, state = tx.update(grads, state, params)
    return optax.apply_updates(params, updates), state, loss

  params = drawn(config, 'transformer')
  state, losses = tx.init(params), []
  for i in range(300):
    params, state, loss = step(params, state, i)
    losses.append(float(loss))
  assert np.mean(losses[-20:]) < .3 * math.log(5) < losses[0]

  def accuracy(split):
    batch = asked(config, ('digits', split))
    return images.by_position(answering.answers(
        gpicl.make_apply(config, 'transformer'), params, batch['tokens']),
                              batch['y'])

  assert accuracy('seen').shape == (6,)
  assert accuracy('seen').min() > .7 and accuracy('seen_test').min() > .6
  assert accuracy('test').max() < .35


# --- Small parts -----------------------------------------------------------


def test_references_are_those_of_in_context():
  batch = asked(small()) | {'rate': lambda: .1}
  said = {arm: gpicl.ARMS[arm](small(), 0, None, batch)
          for arm in settings.REFERENCES}
  assert all(guess.shape == (64, 6, 5) for guess in said.values())
  want = np.zeros(6)
  for a, b in zip(batch['x'], batch['y'], strict=True):
    want[0] += b[0] == 0
    for t in range(1, 6):
      distances = np.sum((a[:t] - a[t])**2, axis=1)
      want[t] += b[t] == b[distances.argmin()]
  got = images.by_position(said['nearest_neighbor'], batch['y'])
  np.testing.assert_allclose(got, want / 64, atol=1e-6)


def test_models_have_the_sizes_of_their_names():
  net = small('digits_state').net
  sizes = {arm: gpicl.ARMS[arm].model(net).state_size(net.length)
           for arm in small('digits_state').arms}
  # Keys and values of two layers, two heads; cell and output of an LSTM.
  assert sizes['transformer'] == 2 * 2 * 2 * 32 * 24
  assert sizes['transformer_16'] == 2 * 2 * 2 * 16 * 24
  assert sizes['lstm'] == 2 * 64 and sizes['lstm_256'] == 2 * 256
  assert sizes['outer_product_16'] > sizes['outer_product_8']
  assert len(set(sizes.values())) >= 6
  # Compiled once for all configs with the same model.
  assert gpicl.make_apply(small(), 'lstm') is gpicl.make_apply(
      small(bias=.1), 'lstm')


@pytest.mark.parametrize('fields, text', [
    ({'arms': ('mlp', 'gru')}, "arms: no arm 'gru'; use some of transformer, "),
    ({'num_tasks': .5}, r'num_tasks=0.5; use 1 to 2\^31 - 1, or inf'),
    ({'num_tasks': 2.**31}, r'num_tasks=2147483648.0; use 1 to'),
    ({'sweep': 'num_tasks', 'sweep_values': (1., -1.), 'swept_arms': ('mlp',)},
     'num_tasks=-1.0; use 1'),
    ({'num_prompts': 65}, 'num_prompts=65 must be a multiple of '
     'eval_batch_size=32'),
])
def test_values_that_cannot_be_meant_are_refused(fields, text):
  config = small(**fields)
  with pytest.raises(UserError, match=text):
    gpicl.run(config, Study('gpicl', 'smoke', config))
