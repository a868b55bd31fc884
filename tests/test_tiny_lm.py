"""The testbed of tiny language models, on a task that is learned in seconds."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from assay import train
from assay.data import texts
from assay.errors import UserError
from assay.models import transformer
from assay.study import Study, replaced
from assay.testbeds import networks, tiny_lm
from assay.testbeds import tiny_lm_answers as answers
from assay.testbeds import tiny_lm_rows as rows
from assay.train.store import Store
from configs import cot_mirage_dataalchemy as card

LETTERS, NUM = 5, 64


@functools.lru_cache
def copying(shuffled=False):
  """Two letters, and the same again; or any two, which nobody can know."""
  base = len(texts.SPECIAL)

  def example(key, split):
    prompt_key, other = jax.random.split(key)
    draw = lambda key: texts.redrawn(
        lambda key: {'prompt': base + jax.random.randint(
            key, (2,), 0, LETTERS)},
        lambda made: texts.held_out(made['prompt'], 256) == (split == 'test'),
        key)['prompt']
    prompt = draw(prompt_key)
    return {'prompt': prompt, 'completion': jnp.where(
        shuffled & (split == 'train'), draw(other), prompt)}

  return texts.Task(tuple('abcde'), 6, example, texts.exactly(lambda x: x))


def net_of(**fields):
  return networks.tiny_lm(**(dict(
      dataset='copying', num_layers=1, width=16, num_heads=2, batch_size=32,
      num_steps=200, learning_rate=1e-2, max_length=8) | fields))


def study_of(net, seeds=1, **settings):
  config = card.get_config('smoke').copy_and_resolve_references()
  config = config.unlock() or config
  config.net = net
  config.num_prompts, config.splits = NUM, ('test',)
  return config.lock(), Study(
      'cot_mirage_dataalchemy', 'smoke', config, num_seeds=seeds,
      settings=train.Settings(**settings))


@pytest.fixture(scope='module')
def trained():
  """(net, block, fitted, Model) of one that can copy."""
  config, study = study_of(net_of())
  block = next(study.blocks('learned'))
  fitted = tiny_lm.fit(config, block, tiny_lm.Arm(None), copying())
  return config, block, fitted, answers.Model(
      block, fitted, tiny_lm.make_model(config.net, copying()), copying(), NUM)


def test_it_learns_and_one_pass_says_what_greedy_decoding_does(trained):
  *_, model = trained
  best, log_p, counted = model.forced('test')
  said = model.written('test')
  exact = np.all(best | ~counted, axis=2)
  assert exact.mean() > 0.6  # one answer always: 0.2
  np.testing.assert_array_equal(exact, said['right'])
  # Where it is right, what it wrote is as likely as the one pass says.
  np.testing.assert_allclose(
      np.where(exact, np.sum(log_p * counted, axis=2), 0),
      np.where(exact, np.sum(said['log_p'], axis=2), 0), atol=1e-4)
  assert (model.written('test', 1.)['tokens'] != said['tokens']).any()


def test_shuffled_answers_teach_nothing():
  config, study = study_of(net_of(num_steps=100))
  block, task = next(study.blocks('learned')), copying(True)
  fitted = tiny_lm.fit(config, block, tiny_lm.Arm(None), task)
  exact, said, counted = answers.Model(
      block, fitted, tiny_lm.make_model(config.net, task), task,
      400).forced('test')
  right = np.all(exact | ~counted, axis=2).mean()
  assert right < 0.15  # one answer always: 1 of 6 of those held out at most
  nll = -np.sum(said * counted) / said.shape[1]
  assert nll > 2.5  # of two letters, log 19 = 2.9


def test_what_always_the_same_answer_scores():
  """Of a machine that accepts half of all words, about half."""
  config = study_of(net_of())[0]
  found = {}
  rows.majority(lambda net: texts.automaton(1, chain=False))(
      config, lambda metric, values, **fields: found.update(
          {metric: values} | fields), (0, 1))
  task = texts.automaton(1, chain=False)
  gold = rows.completions(answers.asked(task, 'test', (0, 1), NUM))[..., 0]
  shares = [np.bincount(each).max() / NUM for each in gold]
  assert found['split'] == 'test' and found['n'] == NUM
  for got, share in zip(found['exact_match'], shares, strict=True):
    assert got in (share, 1 - share) and abs(got - .5) < .2


def test_tuning_goes_on_from_where_training_ended(trained):
  config, block, fitted, _ = trained
  after = tiny_lm.fit(
      replaced(config, {'num_steps': 1, 'learning_rate': 1e-12}), block,
      tiny_lm.Arm(None), copying(), 'tune', fitted.state.params)
  jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-6),
               after.state.params, fitted.state.params)
  moved = tiny_lm.fit(
      replaced(config, {'num_steps': 2, 'num_examples': 3}), block,
      tiny_lm.Arm(None), copying(), 'tune', fitted.state.params)
  assert max(jax.tree.leaves(jax.tree.map(
      lambda a, b: np.abs(a - b).max(), moved.state.params,
      fitted.state.params))) > 1e-4


def test_a_base_is_trained_once(tmp_path):
  """And its answers are kept beside it."""
  config, study = study_of(net_of(num_steps=4), fits=Store(tmp_path))
  taken = []
  for _ in range(2):
    block = next(study.blocks('learned'))
    fitted = tiny_lm.fit(config, block, tiny_lm.Arm(None), copying())
    model = answers.Model(block, fitted, tiny_lm.make_model(
        config.net, copying()), copying(), NUM)
    taken.append((fitted.taken, model.written('test')['tokens']))
  assert [bool(t) for t, _ in taken] == [False, True]
  np.testing.assert_array_equal(taken[0][1], taken[1][1])


def test_the_loss_is_a_mean_over_what_counts():
  task = copying()
  model = tiny_lm.make_model(net_of(), task)
  batch = texts.draw_lines(task, 8)(
      {}, {'data_seed': jnp.int32(0), 'num_examples': jnp.int32(0)},
      jnp.int32(0), jax.random.key(0))
  params = jax.jit(model.init)(jax.random.key(1), batch['x'])['params']
  grad = tiny_lm.make_grad(model, tiny_lm.cross_entropy)
  (loss, _), _ = jax.jit(lambda params: grad(params, {}, batch, None))(params)
  log_p = jax.nn.log_softmax(jax.jit(model.apply)({'params': params},
                                                  batch['x']))
  each = -np.take_along_axis(np.asarray(log_p), np.asarray(
      batch['y'])[..., None], axis=2)[..., 0]
  np.testing.assert_allclose(
      loss, each[np.asarray(batch['mask']) > 0].mean(), rtol=1e-5)
  with pytest.raises(AssertionError):
    tiny_lm.make_grad(model, lambda logits, y: jnp.mean(logits))(
        params, {}, batch, None)


def test_isolated_lines_are_read_alone():
  """And in an open row, or without restarting positions, they are not."""
  task, own = copying(), {'data_seed': jnp.int32(0),
                          'num_examples': jnp.int32(0)}
  row = texts.draw_lines(task, 2, pack='isolated', row_length=20)(
      {}, own, jnp.int32(0), jax.random.key(0))
  at = int(np.flatnonzero(np.asarray(row['segment'][0]) == 1)[0])
  alone = row['x'][:1, at:at + 5]
  for positions in ('learned', 'relative'):
    model = transformer.Transformer(16, 1, 2, 10, vocabulary=10,
                                    positions=positions, max_length=32)
    params = jax.jit(model.init)(jax.random.key(2), alone)
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda p, rng=rng: p + .1 * rng.normal(
        size=p.shape).astype(p.dtype), params)
    apply = jax.jit(model.apply)
    want = apply(params, alone)[0]
    isolated = apply(params, row['x'], None, row['segment'])
    np.testing.assert_allclose(isolated[0, at:at + 5], want, atol=1e-4)
    opened = apply(params, row['x'])[0, at:at + 5]
    assert np.abs(opened - want).max() > 1e-2


def test_initializations_by_width():
  task = copying()
  for kind, of_read_in, of_out in (
      ('width', 64**-.5, 256**-.5 / 2), ('gpt2', .02, .01)):
    model = tiny_lm.make_model(net_of(
        width=64, num_heads=4, num_layers=2, initialization=kind), task)
    params = jax.jit(model.init)(
        jax.random.key(0), jnp.zeros((1, 1), int))['params']
    for name, want in ((params['read_in'], of_read_in),
                       (params['blocks_0']['mlp_out'], of_out)):
      np.testing.assert_allclose(np.std(name['kernel']), want, rtol=.15)
  with pytest.raises(ValueError, match="initialization='x'; use one of lecun"):
    tiny_lm.make_model(net_of(initialization='x'), task).init(
        jax.random.key(0), jnp.zeros((1, 1), int))


def test_values_that_cannot_be_meant():
  config, study = study_of(net_of(pack='tight'))
  with pytest.raises(UserError, match="pack='tight'; use one of"):
    tiny_lm.run(config, study, {'learned': tiny_lm.Arm(lambda net: copying())})
