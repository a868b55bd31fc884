"""Which of the compiled forms of a step a run takes."""

import jax
import jax.numpy as jnp

from assay.errors import UserError


def traced(one, started, source):
  """Names of the metrics, and whether a step holds a convolution.

  Args:
    one: from `lanes.make_one`.
    started: from `lanes.start`.
    source: a `train.Source`.
  """
  own = {k: v[0] for k, v in source.own.items()}
  item = jax.tree.map(lambda x: x[0], source.items(0, 0, 1))
  jaxpr, (_, metrics) = jax.make_jaxpr(one, return_shape=True)(
      jax.eval_shape(started, jnp.int32(0)), item, source.shared, own)
  return sorted(metrics), 'conv_general_dilated' in str(jaxpr)


def choose(settings, convolves, num_steps, eval_every):
  """Steps per call, and `vmap` or `loop`.

  Measured on a CPU: a convolution's gradient inside a scan is 6 to 16 times
  slower than the jitted step, and mapped weights make grouped convolutions; a
  small MLP gains 8 times from the scan.
  """
  slow = convolves and jax.default_backend() == 'cpu'
  seed_map = settings.seed_map or ('loop' if slow else 'vmap')
  if seed_map not in ('vmap', 'loop'):
    raise UserError(f'seed_map={seed_map!r}; use vmap or loop.')
  wanted = settings.steps_per_call or (1 if slow else 1000)
  if wanted < 1:
    raise UserError(f'steps_per_call={wanted}; use 1 or more.')
  if wanted < eval_every:  # a divisor: selections fall between calls
    return max(k for k in range(1, wanted + 1) if eval_every % k == 0), seed_map
  num_points = -(-num_steps // eval_every)
  points = min(wanted // eval_every, num_points)
  if settings.steps_per_call is None:  # a divisor: no tail without updates
    points = max(k for k in range(1, points + 1) if num_points % k == 0)
  return points * eval_every, seed_map
