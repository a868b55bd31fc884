"""Which of the compiled forms of a step a run takes."""

import re

import jax

from assay.errors import UserError
from assay.train import lanes

MAX_BYTES = 2**26  # of the items of a call; those of two calls are held

# A matrix product over two axes at once, those of examples and heads.
ATTENTION = re.compile(
    r'dimension_numbers=\(\(\[[^]]*\], \[[^]]*\]\), \(\[\d+, \d')


def traced(one, started, source, item):
  """Names of the metrics; and which of 'convolution', 'attention' a step holds.

  Args:
    one: from `lanes.make_one`.
    started: from `lanes.start`.
    source: a `train.Source`.
    item: one of its items.
  """
  own = {k: v[0] for k, v in source.own.items()}
  # As `naming` asks for it again: what was traced is kept by the function.
  traced = jax.jit(one).trace(jax.eval_shape(started, lanes.SEED), item,
                              source.shared, own)
  _, metrics = traced.out_info
  text = str(traced.jaxpr)
  held = {'convolution': 'conv_general_dilated' in text,
          'attention': bool(ATTENTION.search(text))}
  return sorted(metrics), {kind for kind, found in held.items() if found}


def choose(settings, held, num_steps, eval_every, step_bytes):
  """Steps per call, and `vmap` or `loop`.

  Measured on a CPU: a convolution's gradient inside a scan is 6 to 16 times
  slower than the jitted step, and mapped weights make grouped convolutions; a
  small MLP gains 8 times from the scan; five transformers one after another
  take .77 of the time of mapped ones. Mapped convolutions are grouped ones on
  a GPU, too.

  Args:
    settings: a `train.Settings`; what it says is taken.
    held: what a step holds, from `traced`.
    num_steps, eval_every: as `train.fit` takes them.
    step_bytes: of the items of one step of all seeds.

  Raises:
    UserError: a setting has no such value.
  """
  # Several hosts all run each program: seeds apart would leave some without.
  device = jax.default_backend() if jax.process_count() == 1 else 'several'
  slow = device == 'cpu' and 'convolution' in held
  apart = {'cpu': held, 'gpu': held & {'convolution'}}.get(device)
  seed_map = settings.seed_map or ('loop' if apart else 'vmap')
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
