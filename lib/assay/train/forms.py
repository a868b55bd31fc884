"""Which of the compiled forms of a step a run takes."""

import re
from typing import NamedTuple

import jax

from assay.errors import UserError
from assay.train import lanes

MAX_BYTES = 2**26  # of the items of a call; those of two calls are held
MAX_STEPS = 10_000  # of a call that follows measured time
# The shortest of such calls is a row: a point of up to so many steps where
# something is selected after it, else a divisor of one up to so many.
POINT, ROW = 100, 16

# A matrix product over two axes at once, those of examples and heads.
ATTENTION = re.compile(
    r'dimension_numbers=\(\(\[[^]]*\], \[[^]]*\]\), \(\[\d+, \d')


def traced(one, started, source, item):
  """Names of the metrics; and the set of what a step holds.

  Of 'convolution', 'attention', and 'foreign' for convolutions that are not
  those of `models.convolution`.

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
  foreign = 'conv_general_dilated' in text
  held = {'convolution': foreign or 'convolve[' in text, 'foreign': foreign,
          'attention': bool(ATTENTION.search(text))}
  return sorted(metrics), {kind for kind, found in held.items() if found}


class Form(NamedTuple):
  """How a plan is cut into compiled calls.

  A call makes some rows, each a scan of the same number of steps. How many is
  an argument of the program, so that it can follow measured time: any number
  gives the same bits.

  Attributes:
    row: steps of a row.
    rows: of a call, at most.
    inside: whether a row is a point of the curves, after which is selected.
    paced: whether calls follow measured time; else they are as long as they
      may be.
    seed_map: `vmap` or `loop`.
  """
  row: int
  rows: int
  inside: bool
  paced: bool
  seed_map: str


def choose(settings, held, num_steps, eval_every, step_bytes, selects=True):
  """The `Form` of a plan.

  Measured on a CPU: inside a scan the gradient of a convolution is 6 to 40
  times slower than in the jitted step, but those of `models.convolution` are
  not; these take 1.3 times as long where seeds are mapped; a small MLP gains 8
  times from the scan; five transformers one after another take .77 of the time
  of mapped ones. Mapped convolutions are grouped ones on a GPU.

  Args:
    settings: a `train.Settings`; what it says is taken.
    held: what a step holds, from `traced`.
    num_steps, eval_every: as `train.fit` takes them.
    step_bytes: of the items of one step of all seeds.
    selects: whether something is looked at after each point.

  Raises:
    UserError: a setting has no such value.
  """
  # Several hosts all run each program: seeds apart would leave some without.
  device = jax.default_backend() if jax.process_count() == 1 else 'several'
  slow = device == 'cpu' and 'foreign' in held
  apart = {'cpu': held, 'gpu': held & {'convolution'}}.get(device)
  seed_map = settings.seed_map or ('loop' if apart else 'vmap')
  if seed_map not in ('vmap', 'loop'):
    raise UserError(f'seed_map={seed_map!r}; use vmap or loop.')
  asked = settings.steps_per_call or (1 if slow else None)
  num_points = -(-num_steps // eval_every)
  if asked is None:
    most = min(MAX_STEPS, MAX_BYTES // max(1, step_bytes),
               num_points * eval_every)
    inside = selects and eval_every <= min(POINT, most)
    row = eval_every if inside else _divisor(eval_every, min(ROW, most))
    return Form(row, max(1, most // row), inside, True, seed_map)
  if asked < 1:
    raise UserError(f'steps_per_call={asked}; use 1 or more.')
  if asked < eval_every:  # selections fall between calls
    return Form(_divisor(eval_every, asked), 1, False, False, seed_map)
  return Form(eval_every, min(asked // eval_every, num_points), True, False,
              seed_map)


def _divisor(number, most):
  """The largest divisor of a number up to `most`, at least 1."""
  return max(k for k in range(1, max(1, most) + 1) if number % k == 0)
