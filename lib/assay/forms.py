"""Which of the compiled forms of a step a run takes."""

import jax
import jax.numpy as jnp

from assay.errors import UserError

MAX_BYTES = 2**26  # of the items of a call; those of two calls are held


def traced(one, started, source, item):
  """Names of the metrics, and whether a step holds a convolution.

  Args:
    one: from `lanes.make_one`.
    started: from `lanes.start`.
    source: a `train.Source`.
    item: one of its items.
  """
  own = {k: v[0] for k, v in source.own.items()}
  jaxpr, (_, metrics) = jax.make_jaxpr(one, return_shape=True)(
      jax.eval_shape(started, jnp.int32(0)), item, source.shared, own)
  return sorted(metrics), 'conv_general_dilated' in str(jaxpr)


def choose(settings, convolves, num_steps, eval_every, step_bytes):
  """Steps per call, and `vmap` or `loop`.

  Measured on a CPU: a convolution's gradient inside a scan is 6 to 16 times
  slower than the jitted step, and mapped weights make grouped convolutions; a
  small MLP gains 8 times from the scan.

  Args:
    settings: a `train.Settings`; what it says is taken.
    convolves: whether a step holds a convolution.
    num_steps, eval_every: as `train.fit` takes them.
    step_bytes: of the items of one step of all seeds.

  Raises:
    UserError: a setting has no such value.
  """
  slow = convolves and jax.default_backend() == 'cpu'
  seed_map = settings.seed_map or ('loop' if slow else 'vmap')
  if seed_map not in ('vmap', 'loop'):
    raise UserError(f'seed_map={seed_map!r}; use vmap or loop.')
  fitting = max(1, MAX_BYTES // max(1, step_bytes))
  wanted = settings.steps_per_call or (1 if slow else min(1000, fitting))
  if wanted < 1:
    raise UserError(f'steps_per_call={wanted}; use 1 or more.')
  if wanted < eval_every:  # a divisor: selections fall between calls
    return max(k for k in range(1, wanted + 1) if eval_every % k == 0), seed_map
  num_points = -(-num_steps // eval_every)
  points = min(wanted // eval_every, num_points)
  if settings.steps_per_call is None:  # a divisor: no tail without updates
    points = max(k for k in range(1, points + 1) if num_points % k == 0)
  return points * eval_every, seed_map
