"""Steps of LSTNet, of the gradient of its GRU, and of what could stand there.

  python -m benchmarks.series [--only=step] [--quick] [--json=FILE]

The forms of the recurrence take turns, and what counts is the time of all
threads, so that other work on the machine says little. They differ in their
gradient alone: `models.recurrent.gru` adds up those of the weights in a scan of
its own, `a plain scan` is the same cell with the gradient that JAX makes.
"""

import functools
import sys
import time
from unittest import mock

import numpy as np

from benchmarks import measuring

BATCH, WINDOW, SERIES = 128, 168, 8  # Exchange-Rate's


def plain(x, input_kernel, input_bias, kernel, bias):
  """`recurrent.gru` without a gradient of its own."""
  import jax
  import jax.numpy as jnp
  width = len(kernel)

  def step(h, token):
    i, g = token @ input_kernel + input_bias, h @ kernel + bias
    r, z = (jax.nn.sigmoid(i[:, k:k + width] + g[:, k:k + width])
            for k in (0, width))
    n = jnp.tanh(i[:, 2 * width:] + r * g[:, 2 * width:])
    return n + z * (h - n), None

  return jax.lax.scan(step, jnp.zeros((x.shape[1], width)), x)[0]


def forms():
  """form -> what stands in the place of `recurrent.gru`."""
  from assay.models import recurrent
  return {'LSTNet': recurrent.gru, 'a plain scan': plain}


def stepper(gru, batch_size, window):
  """A call of no arguments: one compiled step of Adam."""
  import jax
  import jax.numpy as jnp
  import optax

  from assay import losses
  from assay.models import lstnet, recurrent

  model, tx, rng = lstnet.LSTNet(SERIES), optax.adam(1e-3), (
      np.random.default_rng(0))
  x = jnp.asarray(rng.random((batch_size, window, SERIES)), jnp.float32)
  y = jnp.asarray(rng.random((batch_size, SERIES)), jnp.float32)

  def step(params, opt_state, key):

    def loss(params):
      predictions = model.apply(params, x, train=True, rngs={'dropout': key})
      return jnp.mean(losses.squared(predictions, y))

    value, grads = jax.value_and_grad(loss)(params)
    updates, opt_state = tx.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state, value

  params = model.init(jax.random.key(0), x)
  args = params, tx.init(params), jax.random.key(1)
  with mock.patch.object(recurrent, 'gru', gru):
    compiled = jax.jit(step).lower(*args).compile()
  return functools.partial(
      lambda *args: jax.block_until_ready(compiled(*args)), *args)


def gradients(gru, batch_size, window):
  """A call of no arguments: the gradient of a GRU of LSTNet's sizes."""
  import jax
  import jax.numpy as jnp
  rng = np.random.default_rng(0)
  args = [jnp.asarray(rng.normal(size=shape) / 7, jnp.float32) for shape in (
      (window, batch_size, 50), (50, 150), (150,), (50, 150), (150,))]
  gradient = jax.grad(lambda *args: jnp.sum(gru(*args) ** 2), tuple(range(5)))
  compiled = jax.jit(gradient).lower(*args).compile()
  return lambda: jax.block_until_ready(compiled(*args))


def measure(make, what, report, quick):
  """Both forms of a call."""
  sizes = (4, 32) if quick else (BATCH, WINDOW)
  calls = {form: make(gru, *sizes) for form, gru in forms().items()}
  took = {form: [] for form in calls}
  for turn in range(3 if quick else 12):
    for form, call in calls.items():
      start = time.process_time()
      call()
      took[form] += [time.process_time() - start] * (turn > 0)
  ours, scans = map(np.array, took.values())
  report(f'{what}, by processor time', '1/s', 1 / ours)
  report(f'{what} with a plain scan, by processor time', '1/s', 1 / scans)
  report(f'{what} / with a plain scan', '', scans / ours, at_least=1.1)


MEASURES = {
    'step': functools.partial(measure, stepper, 'steps of LSTNet'),
    'gradient': functools.partial(measure, gradients, 'gradients of its GRU')}


def main(argv=None):
  return measuring.main(
      sys.argv[1:] if argv is None else argv, 'series',
      'Measures steps of LSTNet; under a minute on two cores.', MEASURES)


if __name__ == '__main__':
  sys.exit(main())
