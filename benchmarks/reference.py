"""Manifold C-Mixup in plain JAX: draws, trains, selects as `fit` does."""
import math
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import optax


def draw(key, item, d):
  """Partners [B] by the law of blocks, then inside a block; lam [1]."""
  _, choose_key, lam_key = jax.random.split(jax.random.split(key)[0], 3)
  uniform = jax.random.uniform(choose_key, (len(item), 1))
  rows = d['table'][item]
  block = jnp.sum(rows <= uniform, axis=1) - 1
  start, stop = (rows[jnp.arange(len(item)), block + i] for i in (0, 1))
  y = jnp.pad(d['y'], (0, -len(d['y']) % 32), constant_values=jnp.inf)
  gap = y.reshape(-1, 32)[block] - d['y'][item][:, None]
  inner = jnp.cumsum(jnp.exp(-(gap / d['bandwidth']) ** 2 / 2), axis=1)
  rest = (uniform[:, 0] - start) / (stop - start) * inner[:, -1]
  inside = jnp.sum(inner[:, :-1] <= rest[:, None], axis=1)
  u, v = jax.random.uniform(lam_key, (2, 1))  # Bailey's polar form
  w, cosine = (1 - u) ** (1 / d['alpha']), jnp.cos(2 * jnp.pi * v)
  ratio = (1 - w) / jnp.maximum(w + (1 - w) * cosine ** 2, 1e-30)
  return block * 32 + inside, 0.5 + 0.5 * cosine * jnp.sqrt(ratio)


def train(params, keys, seeds, data, num_epochs, per_call, batch_size=16):
  """Yields (carry, (loss, grad_norm, val) [S, epochs]) after each call.

  `data`: x [S, n, D], scaled, y [S, n]; val_x, val_y; alpha, bandwidth [S];
  table [S, n, 1 + blocks], cumulative laws of partners by blocks of 32.
  """
  tx = optax.adam(1e-2)
  affine = lambda p, x: x @ p['affine']['kernel'] + p['affine']['bias']
  hidden = lambda p, name, x: jax.nn.leaky_relu(affine(p[name], x), 0.1)
  decode = lambda p, h: affine(p['output'], hidden(p, 'hidden_1', h))[:, 0]

  def step(carry, item, d):
    p, opt_state, count, key, best = carry
    partner, lam = draw(jax.random.fold_in(key, count), item, d)
    mix = lambda a, b: b + lam * (a - b)
    x, y = d['x'][jnp.r_[item, partner]], mix(d['y'][item], d['y'][partner])
    loss, grads = jax.value_and_grad(lambda p: jnp.mean(jnp.square(
        decode(p, mix(*jnp.split(hidden(p, 'hidden_0', x), 2))) - y)))(p)
    updates, opt_state = tx.update(grads, opt_state)
    new = optax.apply_updates(p, updates), opt_state, count + 1, key, best
    measured = jnp.stack([loss, optax.tree.norm(grads)])
    kept = jnp.all(jnp.isfinite(measured))  # a seed that diverges stands still
    return optax.tree.where(kept, new, carry), measured

  def epoch(carry, items, d):
    carry, measured = jax.lax.scan(lambda *c: step(*c, d), carry, items)
    p, _, count, _, best = carry
    val = decode(p, hidden(p, 'hidden_0', d['val_x'])) - d['val_y']
    new = jnp.mean(val ** 2), count, p
    best = optax.tree.where(new[0] <= best[0], new, best)
    return (*carry[:4], best), (*jnp.mean(measured, axis=0), new[0])

  mesh = jax.make_mesh((math.gcd(jax.device_count(), len(seeds)),), ('seed',))
  split = jax.NamedSharding(mesh, jax.P('seed'))
  advance = jax.jit(jax.shard_map(
      jax.vmap(lambda c, i, d: jax.lax.scan(lambda *e: epoch(*e, d), c, i)),
      mesh=mesh, in_specs=split.spec, out_specs=split.spec))
  zeros = np.zeros(len(seeds), np.int32)
  best = np.full(zeros.shape, np.inf, np.float32), zeros, params
  carry = params, jax.vmap(tx.init)(params), zeros, keys, best
  (carry, data), n = jax.device_put((carry, data), split), data['x'].shape[1]
  order = lambda seed, epoch: np.random.default_rng(
      (seed, zlib.crc32(b'order'), epoch)).permutation(n).astype(np.int32)
  for e in range(0, num_epochs, per_call):
    items = np.array([[order(s, i)[:n // batch_size * batch_size].reshape(
        -1, batch_size) for i in range(e, e + per_call)] for s in seeds])
    carry, means = advance(carry, jax.device_put(items, split), data)
    assert np.isfinite(means := jax.device_get(means)).all(), means
    yield carry, means
