"""Attention over pairs of tokens (Alman and Song, 2024): how near, what for.

  python -m experiments.kronecker_attention

Match3: of each number in a sequence, whether it and two others, which may be
the same, add up to a multiple of `num_numbers`. A layer of attention reads
tokens one by one (`pairs`, with its own token two) or two by two (`triples`).
"""

import functools
import sys

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from assay import cli, keys, train
from assay.methods import kronecker_attention as kronecker
from assay.study import replaced
from assay.train import evaluate

ARMS = {  # fields of the config that an arm has; None: nothing is trained
    'features': None,
    'majority': None,
    'knows_two': None,
    'triples': {'reads': 'triples'},
    'pairs': {'reads': 'pairs'},
    'pairs_wide': {'reads': 'pairs', 'mlp_width': 512},
    'pairs_2': {'reads': 'pairs', 'num_layers': 2},
}


def matches(x, num_numbers, different=3):
  """Whether each number of x [B, N] adds up with two others, bool [B, N].

  Args:
    x: int in [0, num_numbers).
    num_numbers: sums are taken modulo it.
    different: places that three numbers come from at most; 2 for what can be
      seen in pairs of places.
  """
  place = np.arange(x.shape[1])
  i, j, k = place[:, None, None], place[:, None], place
  counted = (different > 2) | (i == j) | (j == k) | (i == k)
  sums = x[:, :, None, None] + x[:, None, :, None] + x[:, None, None]
  return ((sums % num_numbers == 0) & counted).any((2, 3))


# --- The network -------------------------------------------------------------


class Layer(nn.Module):
  """Pre-norm attention, over tokens or pairs of them, and a GELU MLP.

  The MLP of `pairs` has as many more units as two projections have weights.
  """
  triples: bool
  num_heads: int
  head_size: int
  mlp_width: int

  @nn.compact
  def __call__(self, x):
    shape, width = (self.num_heads, self.head_size), x.shape[-1]
    read = nn.DenseGeneral((3 + 2 * self.triples, *shape))(nn.RMSNorm()(x))
    query, *of = jnp.moveaxis(read, 2, 0)
    if self.triples:
      over = jax.vmap(jax.vmap(lambda query, *of: kronecker.attention(
          query, of[:2], of[2:]), in_axes=1, out_axes=1))
      mixed = over(query * self.head_size**.5, *of)  # over sqrt(d), as usual
    else:
      mixed = jax.nn.dot_product_attention(query, *of)
    x = x + nn.DenseGeneral(width, axis=(-2, -1))(mixed)
    more = 0 if self.triples else self.num_heads * self.head_size
    hidden = nn.Dense(self.mlp_width + more)(nn.RMSNorm()(x))
    return x + nn.Dense(width)(nn.gelu(hidden))


class Reader(nn.Module):
  """Logits [B, N] of numbers [B, N], read as cosines and sines."""
  num_numbers: int
  width: int
  num_layers: int
  layer: dict

  @nn.compact
  def __call__(self, x):
    angle = 2 * np.pi / self.num_numbers * x[..., None] * np.arange(
        1, self.width // 2 + 1)
    x = jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=-1)
    x = jnp.pad(x, ((0, 0), (0, 1), (0, 0)))  # one to read that says nothing
    for _ in range(self.num_layers):
      x = Layer(**self.layer)(x)
    return nn.Dense(1)(nn.RMSNorm()(x))[:, :-1, 0]


def make_model(config):
  """The network of a config."""
  return Reader(config.num_numbers, config.width, config.num_layers, dict(
      triples=config.reads == 'triples', num_heads=config.num_heads,
      head_size=config.head_size, mlp_width=config.mlp_width))


def make_apply(config, arm):
  """`(params, extra, x [B, N] int) -> logits [B, N]`."""
  model = make_model(replaced(config, ARMS[arm]))
  return lambda params, extra, x: model.apply({'params': params}, x)


# --- Data and training -------------------------------------------------------


def numbers(config, key, num):
  """Sequences [num, N] int."""
  return jax.random.randint(
      key, (num, config.length), 0, config.num_numbers)


def make_draw(config):
  """`draw` of a batch that is made of the step's key."""

  def draw(shared, own, item, key):
    del shared, own, item
    x = numbers(config, key, config.batch_size)
    return {'x': x, 'y': matches(x, config.num_numbers)}

  return draw


def fit(config, block, arm):
  """Trains an arm on a block of seeds; a `Fitted`."""
  apply, model = make_apply(config, arm), make_model(
      replaced(config, ARMS[arm]))

  def loss_fn(params, extra, batch, key):
    del key
    logits = apply(params, extra, batch['x'])
    loss = optax.sigmoid_binary_cross_entropy(logits, batch['y'])
    return jnp.mean(loss), (extra, {})

  tx = optax.chain(
      optax.clip_by_global_norm(1.), optax.scale_by_adam(b2=0.98),
      train.scale_by_progress(train.rise_and_fall(0.1)),
      optax.scale(-config.learning_rate))
  x = jnp.zeros((1, config.length), jnp.int32)
  own = {'seed': np.array(block.seeds, np.int32)}
  return block.fit(
      'fit', config, train.make_init(lambda key: model.init(key, x), tx),
      train.make_step(jax.value_and_grad(loss_fn, has_aux=True), tx),
      make_draw(config), train.Source({}, own, lambda position, first, stop: (
          np.arange(first, stop, dtype=np.int32))),
      num_steps=config.num_steps, eval_every=max(1, config.num_steps // 40))


# --- Rows --------------------------------------------------------------------


def log_error(config, seed, largest, degree):
  """log10 of the largest error of the approximation, entries up to `largest`.
  """
  shape = (5, config.num_tokens, config.num_dims)
  query, *of = largest * keys.generator(seed, 'entries').uniform(-1, 1, shape)
  with jax.enable_x64(True):
    exact, near = (function(query, of[:2], of[2:]) for function in (
        kronecker.attention, functools.partial(
            kronecker.approximate, degree=degree)))
    return float(np.log10(np.max(np.abs(exact - near))))


def add_errors(config, add, seeds):
  """Rows of the approximation, of each seed's own entries."""
  for largest in config.largest:
    for degree in config.degrees:
      add('log_error', [log_error(config, seed, largest, degree)
                        for seed in seeds], split='test', n=config.num_tokens,
          largest=largest, degree=degree)


def asked(config, seeds):
  """What all arms are asked: numbers [S, num_test, N], and what is right."""
  x = np.stack([numbers(config, keys.named(seed, 'test'), config.num_test)
                for seed in seeds])
  return x, np.stack([matches(each, config.num_numbers) for each in x])


def measure(config, block, arm, fields):
  """Trains or computes one arm on a block of seeds and writes its rows."""
  fitted = fit(config, block, arm) if ARMS[arm] else None
  with block.recorder(
      fitted, dataset='match3' if arm != 'features' else 'entries', method=arm,
      **fields) as add:
    if arm == 'features':
      add_errors(config, add, block.seeds)
      return
    x, y = asked(config, block.seeds)
    if fitted:
      predict = evaluate.predictor(
          make_apply(config, arm),
          lambda shared, own, item, key: {'x': own['x'][item], 'y': item}, 500)
      logits, _ = block.outputs(fitted, predict, {}, {'x': x}, x.shape[1])
      said = logits > 0
    else:
      said = np.zeros_like(y)
      if arm == 'knows_two':
        said = np.stack([matches(each, config.num_numbers, 2) for each in x])
      said |= np.mean(y[~said]) > 0.5  # where nothing is known
    add('accuracy', np.mean(said == y, axis=(1, 2)), split='test',
        n=y[0].size)
    if fitted:
      add('num_params', add.num_params, split='test', n=1)


def run(config, study):
  """Trains or computes every arm on every seed; returns the rows."""
  for name, arm, fields in study.planned():
    for block in study.blocks(name):
      measure(replaced(config, fields), block, arm, fields)
  return study.rows()


if __name__ == '__main__':
  sys.exit(cli.main('kronecker_attention'))
