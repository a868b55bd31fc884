"""Speed of training on sequences; a miss is no error.

  python -m benchmarks.in_context [--only=gpicl,icl] [--quick] [--json=FILE]

A variant is trained by its experiment and by a step written by hand for this
comparison: the same tasks, model, clipping and Adam in plain jax.numpy, a scan
in one jit. The two take turns, call by call, so that other work on the machine
hits both. A line gives the median and, in brackets, the extremes.
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from assay import papers, train
from assay.data import tasks
from assay.study import Study, replaced
from assay.testbeds import in_context as testbed
from benchmarks import measuring

STEPS = 50  # of a call


# --- By hand -----------------------------------------------------------------


def normalized(p, x):
  wide = x.astype(jnp.float32)
  wide = wide - jnp.mean(wide, axis=-1, keepdims=True)
  return (p['scale'] * wide * jax.lax.rsqrt(
      jnp.mean(wide * wide, axis=-1, keepdims=True) + 1e-6) + p['bias']
          ).astype(x.dtype)


def forward(params, tokens, num_layers, dtype=jnp.float32):
  """The transformer of `assay.models`, from its parameters."""
  outer, params = params, jax.tree.map(lambda p: p.astype(dtype), params)
  dense = lambda p, x: x @ p['kernel'] + p['bias']
  x = dense(params['read_in'], tokens.astype(dtype))
  length = tokens.shape[1]
  if 'position_table' in params:
    x = x + params['position_table'][:length]
  future = jnp.triu(jnp.full((length, length), -1e30), 1)
  for i in range(num_layers):
    p = params[f'blocks_{i}']
    read = p['attention_in']
    qkv = jnp.einsum('btd,dshe->sbhte', normalized(p['attention_norm'], x),
                     read['kernel']) + read['bias'][:, None, :, None]
    q, k, v = qkv
    scores = jnp.einsum('bhte,bhse->bhts', q, k) * q.shape[-1] ** -.5 + future
    weights = jax.nn.softmax(scores.astype(jnp.float32)).astype(dtype)
    mixed = jnp.einsum('bhts,bhse->bthe', weights, v)
    out = p['attention_out']
    x = x + jnp.einsum('bthe,hed->btd', mixed, out['kernel']) + out['bias']
    hidden = jax.nn.gelu(dense(p['mlp_in'], normalized(p['mlp_norm'], x)))
    x = x + dense(p['mlp_out'], hidden)
  return dense(outer['read_out'], normalized(
      outer['norm'], x.astype(jnp.float32)))


def by_hand(loss, draw, shared, own, rate, clip, steps=STEPS):
  """`(params, m, v, count) -> the same` after so many steps, compiled."""

  def step(carry, _):
    params, m, v, count = carry
    batch = draw(shared, own, count, jax.random.fold_in(
        jax.random.key(1), count))
    value, grads = jax.value_and_grad(loss)(params, batch)
    norm = jnp.sqrt(sum(jnp.sum(g * g) for g in jax.tree.leaves(grads)))
    grads = jax.tree.map(lambda g: g * jnp.minimum(1, clip / norm), grads)
    t = count + 1.
    m = jax.tree.map(lambda m, g: .9 * m + .1 * g, m, grads)
    v = jax.tree.map(lambda v, g: .999 * v + .001 * g * g, v, grads)
    params = jax.tree.map(
        lambda p, m, v: p - rate * m / (1 - .9**t) / (
            jnp.sqrt(v / (1 - .999**t)) + 1e-8), params, m, v)
    return (params, m, v, count + 1), value

  return jax.jit(lambda carry: jax.lax.scan(step, carry, None, steps),
                 donate_argnums=0)


# --- Turns -------------------------------------------------------------------


def take_turns(report, quick, name, tokens, train_for, start, loss, draw,
               shared, own):
  """Reports tokens a second of both, and the share of making tasks.

  Args:
    report, quick: from the command.
    name: of the variant.
    tokens: in a batch.
    train_for: `(num_steps, progress) -> None`, the experiment's own training.
    start: parameters to start by hand from.
    loss, draw, shared, own: as the experiment has them, of one seed.
  """
  rounds = 3 if quick else 20
  hand = by_hand(loss, draw, shared, own, 1e-3, 1.)
  zeros = jax.tree.map(jnp.zeros_like, start)
  carry = (start, zeros, jax.tree.map(jnp.copy, zeros), jnp.int32(0))

  @jax.jit
  def only_draw(first):
    def step(total, count):
      batch = draw(shared, own, count, jax.random.fold_in(
          jax.random.key(1), count))
      return total + sum(jnp.sum(x.astype(jnp.float32))
                         for x in batch.values()), None
    return jax.lax.scan(step, 0., first + jnp.arange(STEPS))[0]

  (carry, _), _ = hand(carry), only_draw(jnp.int32(0)).block_until_ready()
  ours, theirs, making, since = [], [], [], None

  def turn(*report):
    nonlocal carry, since
    if since is not None:  # the first call compiles
      ours.append(time.perf_counter() - since)
    begin = time.perf_counter()
    carry, values = hand(carry)
    values.block_until_ready()
    middle = time.perf_counter()
    only_draw(jnp.int32(len(ours))).block_until_ready()
    since = time.perf_counter()
    theirs.append(middle - begin)
    making.append(since - middle)

  train_for(STEPS * (rounds + 1), turn)
  ours, theirs, making = map(np.array, (ours, theirs[:-1], making[:-1]))
  report(f'{name}: thousand tokens a second', 'k/s',
         tokens * STEPS / ours / 1000)
  report(f'{name}: by hand / ours, time of a step', '', theirs / ours,
         at_least=0.95)
  report(f'{name}: share of a step that makes the tasks', '', making / ours,
         at_most=0.15)


def one_seed(paper, variant, num_steps, progress):
  """(config, block) of one seed of a variant with a length of its own."""
  config = replaced(papers.configs(paper).get_config(variant), {
      'num_steps': num_steps, 'num_seeds': 1})
  study = Study(paper, variant, config, progress=progress,
                settings=train.Settings(steps_per_call=STEPS))
  return config, next(study.blocks(config.arms[0]))


def measure_gpicl(report, quick):
  variant = 'digits' if jax.default_backend() == 'cpu' else 'mnist'
  config, _ = one_seed('gpicl', variant, 1, None)
  learner, net = papers.load('gpicl').ARMS['transformer'], config.net
  found = tasks.image_sets(net.dataset, net.classes, net.reduce,
                           net.num_inputs)[net.dataset, 'seen']
  shared = dict(zip(('images', 'labels'), found, strict=True))

  def loss(params, batch):
    log_p = jax.nn.log_softmax(
        forward(params, batch['tokens'], net.num_layers))
    return -jnp.mean(jnp.take_along_axis(log_p, batch['y'][..., None], -1))

  start = learner.model(net).init(jax.random.key(0), jnp.zeros(
      (1, net.length, net.num_inputs + len(net.classes))))['params']

  def train_for(num_steps, progress):
    config, block = one_seed('gpicl', variant, num_steps, progress)
    testbed.fit(replaced(config, {'eval_every': STEPS}), block, learner,
                shared)

  take_turns(report, quick, f'gpicl {variant}', net.batch_tasks * net.length,
             train_for, start, loss, learner.draw(net),
             jax.tree.map(jnp.asarray, shared),
             {'num_tasks': jnp.int32(0), 'task_seed': jnp.int32(0)})


def measure_icl(report, quick):
  learner = papers.load('icl_uncertainty').ARMS['none']
  variant = 'small' if jax.default_backend() == 'cpu' else 'full'
  net = one_seed('icl_uncertainty', variant, 1, None)[0].net

  def loss(params, batch):
    out = forward(params, batch['tokens'], net.num_layers)[:, ::2]
    largest = net.largest_log_std
    log_std = largest * jnp.tanh(out[..., 1] / largest)
    return jnp.mean(log_std + .5 * jnp.square(
        (batch['y'] - out[..., 0]) * jnp.exp(-log_std)))

  start = learner.model(net).init(
      jax.random.key(0), jnp.zeros((1, 2, net.dimension + 2)))['params']

  def train_for(num_steps, progress):
    # Forty points of a curve, each a call.
    num_steps = STEPS * 40 if num_steps > STEPS * 4 else num_steps
    config, block = one_seed('icl_uncertainty', variant, num_steps, progress)
    testbed.fit(config, block, learner, {})

  take_turns(report, quick, f'icl_uncertainty {variant}',
             net.batch_size * net.num_pairs * 2, train_for, start, loss,
             learner.draw(net), {},
             {'num_tasks': jnp.int32(0), 'pool_seed': jnp.int32(0)})


MEASURES = {'gpicl': measure_gpicl, 'icl': measure_icl}


if __name__ == '__main__':
  sys.exit(measuring.main(
      sys.argv[1:], 'in_context', 'Measures training on sequences against a '
      'step written by hand; some five minutes on two cores.', MEASURES))
