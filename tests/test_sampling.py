"""assay.models.sampling: what is written, against the model without a cache."""

import functools

import jax
import jax.numpy as jnp
import kinds
import numpy as np
import pytest
from scipy import stats

from assay import keys
from assay.models import sampling, transformer

V, EOS, WRITTEN = 7, 2, 6
PROMPTS = np.array([[1, 3, 0, 0], [1, 4, 5, 6], [1, 5, 3, 0]], np.int32)
LENGTHS = np.array([2, 4, 3], np.int32)


@functools.cache
def made(positions):
  """A model and parameters of order 1, so that no choice is by a hair."""
  model = transformer.Transformer(
      8, 2, 2, V, positions=positions, vocabulary=V, max_length=16,
      max_distance=5)
  rng = np.random.default_rng(5)
  shapes = jax.eval_shape(model.init, jax.random.key(0), PROMPTS)
  return model, jax.tree.map(
      lambda p: np.float32(rng.normal(size=p.shape)), shapes)


@functools.cache
def write(positions, temperature=0., num_tokens=WRITTEN):
  model, variables = made(positions)
  return model, variables, jax.jit(lambda prompts, lengths, of_rows:
                                   sampling.sample(
      model, variables, prompts, lengths, of_rows, eos=EOS,
      num_tokens=num_tokens, temperature=temperature))


def rows(num, key=0):
  return keys.each(jax.random.key(key), jnp.arange(num))


@pytest.mark.parametrize('positions', [
    'learned', 'relative', *kinds.nightly('none', 'sinusoidal', 'rotary')])
def test_greedy_is_the_argmax_without_a_cache(positions):
  """And its log-probability is that of the text, for prompts of all lengths."""
  model, variables, sample = write(positions)
  got = sample(PROMPTS, LENGTHS, rows(3))
  apply = jax.jit(model.apply)
  for i, size in enumerate(LENGTHS):
    text = np.zeros((1, 10), np.int32)
    text[0, :size] = PROMPTS[i, :size]
    ended = False
    for t in range(WRITTEN):
      log_p = jax.nn.log_softmax(apply(variables, text)[0, size + t - 1])
      want = 0 if ended else int(np.argmax(log_p))
      assert got.tokens[i, t] == want, (i, t)
      np.testing.assert_allclose(
          got.log_p[i, t], 0 if ended else log_p[want], rtol=1e-4, atol=1e-4)
      text[0, size + t], ended = want, ended or want == EOS
    assert (got.log_q == 0).all()


def test_samples_follow_their_distribution():
  """Chi-square of two tokens over all pairs, at temperature 1 and at 2."""
  num = 5000
  for temperature in (1., 2.):
    model, variables, sample = write('learned', temperature, 2)
    got = sample(np.tile(PROMPTS[1:2], (num, 1)), np.full(num, 4), rows(num))
    pairs = np.bincount(got.tokens[:, 0] * V + got.tokens[:, 1],
                        minlength=V * V)
    apply = jax.jit(model.apply)
    first = jax.nn.softmax(apply(
        variables, PROMPTS[1:2])[0, -1] / temperature)
    texts = np.concatenate([np.tile(PROMPTS[1:2], (V, 1)),
                            np.arange(V, dtype=np.int32)[:, None]], axis=1)
    second = np.array(jax.nn.softmax(
        apply(variables, texts)[:, -1] / temperature))
    second[EOS] = np.arange(V) == 0  # after the end there is nothing
    expected = (num * np.asarray(first)[:, None] * second).ravel()
    often = expected > 5
    pooled = lambda x: np.append(x[often], x[~often].sum())
    assert stats.chisquare(pooled(pairs), pooled(expected), sum_check=False
                           ).pvalue > 1e-3
    # Both log-probabilities are those of what was taken.
    np.testing.assert_allclose(
        got.log_q[:, 0], np.log(np.asarray(first))[got.tokens[:, 0]],
        rtol=1e-4, atol=1e-4)


def test_a_row_does_not_depend_on_the_others():
  _, _, sample = write('rotary', 1.)
  whole, alone = sample(PROMPTS, LENGTHS, rows(3)), sample(
      PROMPTS[1:2], LENGTHS[1:2], rows(3)[1:2])
  np.testing.assert_array_equal(whole.tokens[1:2], alone.tokens)


def test_after_the_end_there_is_nothing():
  _, _, sample = write('none', 1., 12)
  num = 200
  got = sample(np.tile(PROMPTS[:1], (num, 1)), np.full(num, 2), rows(num))
  after = np.cumsum(got.tokens == EOS, axis=1) - (got.tokens == EOS) > 0
  assert after.any()
  for each in got:
    assert (np.asarray(each)[after] == 0).all()
  assert (np.asarray(got.log_p)[~after] < 0).all()


def test_truncation_changes_what_is_sampled_alone():
  model, variables = made('none')
  keep = lambda logits: jnp.where(jnp.arange(V) < 3, logits, -jnp.inf)
  got = sampling.sample(model, variables, PROMPTS, LENGTHS, rows(3), eos=EOS,
                        num_tokens=3, truncate=keep)
  assert (got.tokens < 3).all()
  assert (got.log_q >= got.log_p).all()


def test_a_distribution_over_tokens_is_read_as_its_token():
  model, variables = made('learned')
  one_hot = np.eye(V, dtype=np.float32)[PROMPTS]
  np.testing.assert_allclose(model.apply(variables, one_hot),
                             model.apply(variables, PROMPTS), atol=1e-5)
  _, cache = model.apply(variables, PROMPTS, LENGTHS, 8, method='prefill')
  step = functools.partial(model.apply, variables, method='step')
  token = np.array([3, 4, 5], np.int32)
  np.testing.assert_allclose(
      step(np.eye(V, dtype=np.float32)[token], cache)[0],
      step(token, cache)[0], atol=1e-5)
