"""Speed of a meta-step beside one written by hand; a miss is no error.

  python -m benchmarks.meta [--only=step,orders] [--quick] [--json=FILE]

What is compared takes turns (A B A B ...), so that other work on the machine
hits both. A line gives the median and, in brackets, the extremes.
"""

import functools
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from assay import train
from assay.data.tasks import few_shot
from assay.methods import maml
from assay.testbeds import meta as testbed
from assay.testbeds import meta_networks, meta_tasks
from benchmarks import measuring

STEPS = 50  # in one call


def config_of(**fields):
  """Sinusoids as MAML has them, 25 tasks of ten examples a step."""
  import ml_collections
  config = ml_collections.ConfigDict({'net': meta_networks.few_shot()})
  config.net.update(fields)
  return config


def ours(config, arm):
  """(`(state, keys) -> state` of the testbed, the state it begins with)."""
  net, law = config.net, meta_tasks.law_of(config.net)
  model, tx = testbed.make_model(net), optax.adam(net.learning_rate)
  step = train.make_step(testbed.make_grad(config, arm, model), tx)

  rates = {'inner_learning_rate': jnp.full(net.batch_tasks,
                                           net.inner_learning_rate)}

  def one(state, key):
    batch = meta_tasks.tasks(law, 'train', {}, key, net.batch_tasks) | rates
    return step(state, batch, key, 0.)[0], None

  state = train.make_init(
      lambda key: model.init(key, jnp.zeros((1, 1))), tx)(jax.random.key(0))
  return jax.jit(lambda state, keys: jax.lax.scan(one, state, keys)[0]), state


def by_hand(net):
  """The same without Assay and Flax: three matrices, two gradients, Adam.

  Tasks are drawn by the same function; all else is written out.
  """
  tx = optax.adam(net.learning_rate)

  def mse(layers, x, y):
    for i, (weight, bias) in enumerate(layers):
      x = x @ weight + bias
      if i < 2:
        x = jnp.maximum(x, 0)
    return jnp.mean((x - y)**2)

  def of_task(layers, task):
    slopes = jax.grad(mse)(layers, task['x'], task['y'])
    mine = jax.tree.map(lambda p, g: p - net.inner_learning_rate * g, layers,
                        slopes)
    return mse(mine, task['query_x'], task['query_y'])

  def loss(layers, tasks):
    return jnp.mean(jax.vmap(of_task, in_axes=(None, 0))(layers, tasks))

  draw = functools.partial(few_shot.sinusoid, num_support=net.num_support,
                           num_query=net.num_query)

  def one(state, key):
    layers, opt_state = state
    of_tasks = jax.vmap(jax.random.fold_in, (None, 0))(
        key, jnp.arange(net.batch_tasks))
    slopes = jax.grad(loss)(layers, jax.vmap(draw)(of_tasks))
    updates, opt_state = tx.update(slopes, opt_state)
    return (optax.apply_updates(layers, updates), opt_state), None

  return (jax.jit(lambda state, keys: jax.lax.scan(one, state, keys)[0]),
          tx.init)


def layers_of(params):
  """Weights and biases of the testbed's network, from the first layer on."""
  return [(params[name]['affine']['kernel'], params[name]['affine']['bias'])
          for name in ('hidden_0', 'hidden_1', 'output')]


def compared(running, rounds):
  """name -> seconds a step, of `(call, state)` each that take turns."""
  keys = jax.random.split(jax.random.key(1), STEPS)
  states = {}
  for name, (call, state) in running.items():
    states[name] = jax.block_until_ready(call(state, keys))
  seconds = {name: [] for name in running}
  for _ in range(rounds):
    for name, (call, _) in running.items():
      start = time.perf_counter()
      states[name] = jax.block_until_ready(call(states[name], keys))
      seconds[name].append((time.perf_counter() - start) / STEPS)
  return {name: np.array(values) for name, values in seconds.items()}


def measure_step(report, quick):
  """A step of the testbed over one by hand."""
  config = config_of()
  call, state = ours(config, testbed.Arm())
  other, start = by_hand(config.net)
  layers = layers_of(state.params)
  seconds = compared({'ours': (call, state),
                      'by hand': (other, (layers, start(layers)))},
                     3 if quick else 25)
  report('meta-step by hand, 25 tasks', 'ms', 1e3 * seconds['by hand'])
  report('meta-step of the testbed / by hand', '',
         seconds['ours'] / seconds['by hand'], 1.1)


def measure_orders(report, quick):
  """First-order over second-order MAML, by inner steps."""
  first = functools.partial(maml.adapted, first_order=True)
  for inner in (1, 5):
    config = config_of(inner_steps=inner)
    seconds = compared({'first': ours(config, testbed.Arm(adapt=first)),
                        'second': ours(config, testbed.Arm())},
                       3 if quick else 15)
    report(f'{inner} inner step{"s" * (inner > 1)}: first order / second', '',
           seconds['first'] / seconds['second'], 1.)
    if inner > 1:
      report(f'meta-step with {inner} inner steps', 'ms',
             1e3 * seconds['second'])


MEASURES = {'step': measure_step, 'orders': measure_orders}

if __name__ == '__main__':
  sys.exit(measuring.main(
      sys.argv[1:], 'meta', 'Measures a step of MAML on sinusoids; a minute.',
      MEASURES))
