"""A small regression that the tests of the loop share."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from assay import train

ROWS, DIMS, BATCH = 24, 3, 4
STEPS_PER_EPOCH = ROWS // BATCH


def source(seeds, **own):
  """Each seed has rows of its own and an order of its own."""
  rng = np.random.default_rng(0)
  dtype = jnp.zeros(()).dtype  # float64 under enable_x64
  shared = {'x': rng.normal(size=(2 * ROWS, DIMS)).astype(dtype),
            'y': rng.normal(size=(2 * ROWS, 1)).astype(dtype)}
  rows = [np.random.default_rng((1, s)).permutation(2 * ROWS) for s in seeds]
  own = {'train_rows': np.stack([r[:ROWS] for r in rows]),
         'val_rows': np.stack([r[ROWS:] for r in rows])} | own

  def items(position, start, stop):
    # By step alone, so that any range is the same part of one sequence.
    return np.stack([np.random.default_rng((2, seeds[position], t)).integers(
        0, ROWS, BATCH) for t in range(start, stop)])

  return train.Source(shared, own, items)


def draw(shared, own, item, key):
  """Rows with a little noise, so that the key of a step matters."""
  rows = own['train_rows'][item]
  x = shared['x'][rows]
  return {'x': x + 0.1 * jax.random.normal(key, x.shape, x.dtype),
          'y': shared['y'][rows]}


def predict(params, x):
  return jnp.tanh(x @ params['w'] + params['b']) @ params['v']


def loss_fn(params, extra, batch, key):
  del key
  loss = jnp.mean((predict(params, batch['x']) - batch['y']) ** 2)
  return loss, (extra, {})


def init_variables(key):
  dtype = jnp.zeros(()).dtype
  w, v = jax.random.split(key)
  return {'params': {'w': jax.random.normal(w, (DIMS, 8), dtype),
                     'b': jnp.zeros(8, dtype),
                     'v': jax.random.normal(v, (8, 1), dtype)}}


def select(params, extra, shared, own):
  del extra
  rows = own['val_rows']
  return jnp.mean((predict(params, shared['x'][rows]) - shared['y'][rows])**2)


def fit(seeds=(0, 1, 2), num_steps=18, tx=None, src=None, settings=None,
        draw=draw, **more):
  """`train.fit` of the toy."""
  tx = tx or optax.adam(1e-2)
  step = train.make_step(jax.value_and_grad(loss_fn, has_aux=True), tx)
  options = dict(eval_every=STEPS_PER_EPOCH, select=select,
                 settings=settings or train.Settings()) | more
  return train.fit(train.make_init(init_variables, tx), step, draw,
                   src or source(seeds), seeds=seeds, num_steps=num_steps,
                   **options)


def assert_same_bits(got, want):
  got, want = jax.device_get((got, want))
  assert jax.tree.structure(got) == jax.tree.structure(want)
  jax.tree.map(lambda g, w: np.testing.assert_array_equal(
      np.asarray(g).view(np.uint8), np.asarray(w).view(np.uint8)), got, want)
