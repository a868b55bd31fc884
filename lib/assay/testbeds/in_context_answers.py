"""What a trained model says to prompts, part of the testbed `in_context`.

It is kept where the model's training is, as other outputs are: a model that was
asked the same prompts before is not asked again.
"""

import functools
import types

import jax
import numpy as np

from assay.train import evaluate, fits

AT_ONCE = 256  # prompts that a model reads in one call


@functools.lru_cache
def predictor(apply):
  """`(params, tokens) -> outputs`, compiled, in full precision."""

  def predict(params, tokens):
    # Bits of a prompt are the same on all devices; so are products of it.
    with jax.default_matmul_precision('float32'):
      return apply(params, {}, tokens)

  return jax.jit(predict)


def answers(apply, params, tokens):
  """Outputs [N, T, ...] of one trained model for tokens [N, L, D]."""
  predict = predictor(apply)
  return joined(np.concatenate, [
      predict(params, tokens[i:i + AT_ONCE])
      for i in range(0, len(tokens), AT_ONCE)])


def kept(store, keys, apply, params, batch):
  """As `answers`; read from the store where they are there, else put there.

  Args:
    store: a `Store`, or None.
    keys: (key of the fit,), or () where it is not kept.
    apply: the model's, see `in_context.make_apply`.
    params: its parameters, with a leading axis of one.
    batch: tokens [N, L, D] and y [N, T].
  """
  own = {k: np.asarray(batch[k])[None] for k in ('tokens', 'y')}
  found = types.SimpleNamespace(params=params, extra={})
  (flat,), _ = fits.outputs(store, keys, 'last', _Asked(apply), found, {}, own,
                            len(batch['y']))
  like = jax.eval_shape(predictor(apply), jax.tree.map(lambda x: x[0], params),
                        own['tokens'][0])
  leaves, structure = jax.tree.flatten(like)
  sizes = [leaf.size // flat[..., 0].size for leaf in leaves]
  parts = np.split(flat, np.cumsum(sizes)[:-1], axis=-1)
  return jax.tree.unflatten(structure, [
      part.reshape(leaf.shape) for part, leaf in zip(
          parts, leaves, strict=True)])


class _Asked:
  """A model in the form of `evaluate.Predictor`: what it says, in one array."""

  def __init__(self, apply):
    self.apply, self.compiled = apply, _of_all(apply)
    self.batch_size = AT_ONCE

  def items(self, num_rows):
    return np.zeros(0, np.int32)  # prompts are read whole

  def __call__(self, *args):
    return self.of([0], *args)

  def of(self, positions, params, extra, shared, own, num_rows):
    del extra, shared, num_rows
    said = []
    for i in positions:
      outputs = answers(self.apply, evaluate.seed_of(params, i),
                        own['tokens'][i])
      said.append(np.concatenate([
          leaf.reshape(*leaf.shape[:2], -1)
          for leaf in jax.tree.leaves(outputs)], axis=-1))
    return np.stack(said), own['y'][np.array(positions)]


@functools.lru_cache  # of an equal model the same object, which is lowered once
def _of_all(apply):
  predict = predictor(apply)
  return jax.jit(lambda params, extra, shared, own, items: predict(
      params, own['tokens']))


def joined(function, trees):
  """Trees of equal form as one, by a function of their leaves."""
  return jax.tree.map(lambda *leaves: function(leaves), *trees)
