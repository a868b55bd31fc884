"""Speed of SAM, of eigenvalues and of the theory; a miss is no error.

  python -m benchmarks.sam [--only=step,sharpness] [--quick] [--json=FILE]

What is compared takes turns (A B A B ...), so that other work on the machine
hits both. A line gives the median and, in brackets, the extremes.
"""

import sys
import tempfile
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from assay import losses, train
from assay.methods import sam
from assay.metrics import sharpness
from assay.models import cnn, mlp
from benchmarks import measuring


def cross_entropy(model):
  """`(params, batch) -> []`, the mean over a batch."""
  return lambda params, batch: jnp.mean(losses.cross_entropy(
      model.apply({'params': params}, batch['x']), batch['y']))


def images(num):
  """Noise of the size of the dominoes, with a label that can be learned."""
  rng = np.random.default_rng(0)
  y = rng.integers(0, 2, num)
  x = rng.standard_normal((num, 56, 28, 1), np.float32)
  x[:, :28] += y[:, None, None, None] * 0.1
  return {'x': jnp.asarray(x), 'y': jnp.asarray(y)}


def table(num):
  rng = np.random.default_rng(0)
  return {'x': jnp.asarray(rng.standard_normal((num, 64), np.float32)),
          'y': jnp.asarray(rng.integers(0, 2, num))}


def stepper(model, batch, wrap):
  """A jitted update and its state, compiled."""
  loss = cross_entropy(model)
  gradient = wrap(jax.value_and_grad(
      lambda params, extra, batch, key: (loss(params, batch), (extra, {})),
      has_aux=True))
  tx = optax.sgd(.05, .9)
  state = jax.jit(train.make_init(
      lambda key: model.init(key, batch['x'][:1]), tx))(jax.random.key(0))
  step = jax.jit(train.make_step(gradient, tx), donate_argnums=0)
  state, _ = step(state, batch, jax.random.key(1), 0.)
  return step, state


def measure_step(report, quick):
  """A step of SAM over a plain step: two gradients and a norm."""
  arms = {
      'plain': lambda g: g, 'SAM': lambda g: sam.sam(g, .1),
      'ASAM': lambda g: sam.sam(g, 1., weights=sam.asam()),
      'm-SAM, 4 groups': lambda g: sam.in_groups(sam.sam(g, .1), 16)}
  for name, model, batch, calls in (
      ('CNN, batch of 64', cnn.CNN(), images(64), 20),
      ('MLP of 256, batch of 64', mlp.MLP(256, 2), table(64), 400)):
    running = {k: stepper(model, batch, wrap) for k, wrap in arms.items()}
    seconds = {k: [] for k in arms}
    for _ in range(3 if quick else 15):
      for arm, (step, state) in running.items():
        start = time.perf_counter()
        for _ in range(calls):
          state, _ = step(state, batch, jax.random.key(1), 0.)
        jax.block_until_ready(state.params)
        seconds[arm].append((time.perf_counter() - start) / calls)
        running[arm] = step, state
    report(f'{name}: plain step', 'ms', 1e3 * np.array(seconds['plain']))
    for arm in list(arms)[1:]:
      report(f'{name}: {arm} / plain', '', np.divide(
          seconds[arm], seconds['plain']), 2.1 if arm == 'SAM' else None)


def measure_sharpness(report, quick):
  """Five eigenvalues of the CNN's Hessian, compiling not counted."""
  model, data = cnn.CNN(), images(500 if quick else 2000)
  loss = cross_entropy(model)
  params = model.init(jax.random.key(0), data['x'][:1])['params']
  gradient = jax.jit(jax.grad(loss))
  for i in range(20 if quick else 60):
    batch = jax.tree.map(lambda v, i=i: v[64 * i % 400:][:64], data)
    params = jax.tree.map(lambda p, g: p - .05 * g, params,
                          gradient(params, batch))
  parts = [jax.tree.map(lambda v, i=i: v[i:i + 125], data)
           for i in range(0, len(data['y']), 125)]
  hvp = sharpness.hessian_vector_product(loss, parts)
  jax.block_until_ready(hvp(params, params))
  seconds, steps = [], []
  for seed in range(1 if quick else 3):
    start = time.perf_counter()
    found = sharpness.top_eigenvalues(hvp, params, seed=seed)
    seconds.append(time.perf_counter() - start)
    steps.append(found.num_steps)
  report(f'five eigenvalues of the CNN, {len(data["y"]):,} examples', 's',
         seconds, 30)
  report('products that this takes', '', steps)


def measure_theory(report, quick):
  """All variants of the theory's experiment, nothing compiled before."""
  from configs import simplicity_bias
  total = 0.
  for variant in simplicity_bias.VARIANTS:
    if quick and variant != 'smoke':
      continue
    with tempfile.TemporaryDirectory() as temporary:
      seconds, _ = measuring.run(
          'experiments.simplicity_bias',
          f'--config=configs/simplicity_bias.py:{variant}',
          f'--workdir={temporary}/run', cache=f'{temporary}/cache')
    report(f'theory, {variant}', 's', [seconds])
    total += seconds
  report('theory, all variants', 's', [total], 180)


MEASURES = {'theory': measure_theory, 'step': measure_step,
            'sharpness': measure_sharpness}

if __name__ == '__main__':
  sys.exit(measuring.main(
      sys.argv[1:], 'sam', 'Measures the speed of SAM, eigenvalues and the '
      'theory against the targets; some five minutes on two cores.', MEASURES))
