"""What a transformer writes, one token after another.

    written = sampling.sample(model, variables, prompts, lengths, keys, eos=2,
                              num_tokens=24, temperature=1.)

Prompts of different length start at the left and are padded on the right: each
row goes on at its own end, so positions are those of training.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Samples(NamedTuple):
  """Completions.

  Attributes:
    tokens: int32 [B, N]; after the end, which belongs to it, 0.
    log_p: float32 [B, N], log-probability of each under the model; 0 after the
      end.
    log_q: the same under what was sampled from, after temperature and
      truncation; greedy, 0.
  """
  tokens: jax.Array
  log_p: jax.Array
  log_q: jax.Array


def sample(model, variables, prompts, lengths, keys, *, eos, num_tokens,
           temperature=1., truncate=lambda logits: logits):
  """`Samples` of a prompt each, all in one loop that stops with the last one.

  Args:
    model: a `Transformer` with a vocabulary.
    variables: its parameters.
    prompts: int32 [B, P].
    lengths: int32 [B], tokens of each prompt, in [1, P].
    keys: typed keys [B], of each row, so that its draws do not depend on which
      rows are written together.
    eos: the token that ends a completion.
    num_tokens: N, most tokens that are written.
    temperature: what logits are divided by; 0 takes the most likely token.
    truncate: logits [B, V] -> logits, -inf for what is never taken; after the
      temperature.
  """
  size, width = prompts.shape

  def choose(logits, t):
    """(tokens [B], log p, log q) of the next place."""
    log_p = jax.nn.log_softmax(logits)
    if temperature:
      scaled = jax.nn.log_softmax(truncate(logits / temperature))
      tokens = jax.vmap(jax.random.categorical)(
          jax.vmap(jax.random.fold_in, (0, None))(keys, t), scaled)
      log_q = _at(scaled, tokens)
    else:
      tokens = jnp.argmax(truncate(logits), axis=-1)
      log_q = jnp.zeros(size)
    return tokens.astype(jnp.int32), _at(log_p, tokens), log_q

  def write(carry):
    t, logits, cache, done, made = carry
    chosen = choose(logits, t)
    made = Samples(*(
        jax.lax.dynamic_update_slice_in_dim(
            old, jnp.where(done, 0, new)[:, None].astype(old.dtype), t, axis=1)
        for old, new in zip(made, chosen, strict=True)))
    done |= chosen[0] == eos
    logits, cache = model.apply(variables, chosen[0], cache, method='step')
    return t + 1, logits, cache, done, made

  # What is written last is not read any more.
  logits, cache = model.apply(variables, prompts, lengths, width + num_tokens,
                              method='prefill')
  made = Samples(jnp.zeros((size, num_tokens), jnp.int32),
                 *jnp.zeros((2, size, num_tokens)))
  *_, made = jax.lax.while_loop(
      lambda carry: (carry[0] < num_tokens) & ~jnp.all(carry[3]), write,
      (jnp.int32(0), logits, cache, jnp.zeros(size, bool), made))
  return made


def _at(log_p, tokens):
  return jnp.take_along_axis(log_p, tokens[:, None], axis=1)[:, 0]
