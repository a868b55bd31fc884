"""The one training loop: State, make_step, fit.

A step is a pure function. `fit` maps it over seeds, scans it, selects the best
parameters, logs, saves and continues; no experiment has a loop of its own.
"""

from collections.abc import Callable
import contextlib
import dataclasses
from typing import Any, NamedTuple

from flax import struct
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
import numpy as np
import optax

from assay.errors import UserError
from assay.train import checkpoint, fits, lanes, loop, sharding
from assay.train.store import Store


@struct.dataclass
class State:
  """All that one seed needs to go on."""
  step: jax.Array  # int32 [], updates done
  params: Any
  extra: Any  # collections not trained by gradient, e.g. batch_stats
  opt_state: optax.OptState
  key: jax.Array  # typed key []; never changes


class Source(NamedTuple):
  """Where batches come from, apart from `draw`.

  Attributes:
    shared: dict of arrays that all seeds read.
    own: dict of arrays with a leading seed axis [S, ...]; with `num_steps` [S]
      where seeds differ in length, and `schedule_steps` [S] where training
      ends before its schedule does: `progress` is the share of these.
    items: `(position, start, stop) -> [stop - start, ...]` host arrays: what
      `draw` gets at these steps for the seed at this position. Called in
      another thread, one call ahead.
    batch_size: of examples that are streamed, else None. `items` then takes a
      fourth argument, a slice of the batch, and gives these rows of it, leaves
      [stop - start, rows, ...]: a host asks for those on its devices. See
      `data.stream`.
    checksum: text that tells all items of all steps, where they are not to be
      hashed: streamed data are kept, see `fits`, only with one.
  """
  shared: dict
  own: dict
  items: Callable
  batch_size: int | None = None
  checksum: str | None = None


class Fitted(NamedTuple):
  """What training leaves; each leaf has the leading seed axis [S].

  `state` has no `opt_state` and no `key` where it was read, see `fits`.
  """
  state: State
  best: lanes.Best | None
  curves: dict  # metric -> float32 [points, S]; `step` int [points]
  broken: dict  # position of a seed that diverged -> (step, metric)
  keys: tuple = ()  # [S] of the kept fits, see `fits`; () where none are kept
  taken: tuple = ()  # positions of the seeds that were read from there

  @property
  def why(self):
    """Position of a seed that diverged -> text for its rows."""
    return {i: f'{metric} not finite after step {step}'
            for i, (step, metric) in self.broken.items()}


@dataclasses.dataclass(frozen=True)
class Settings:
  """How a run is carried out; may differ on resume.

  Attributes:
    mesh: sizes of axes, see `sharding.make_mesh`.
    steps_per_call: steps in one compiled call; 1 calls the jitted step itself,
      the default for convolutions on a CPU, but those of `models.convolution`.
      Else by default as many as take two seconds, measured.
    seed_map: `vmap`, or `loop` (one seed after another; the default for
      convolutions on a CPU or GPU, and attention on a CPU).
    save_every: seconds between saves.
    strict: stop at the first loss that is not finite.
    tolerant: no error where every seed diverged, as trials of tuning may.
    checked: called once all that can be refused has been looked at, before
      anything is written.
    starting: called with (step, `() -> ` steps of the call that comes next,
      eval_every, steps of each seed [S]) before the first call.
    progress: called with (step, num_steps, {metric: [S]}) after each call.
    stopping: asked after each call whether to save and stop.
    dry_run: called, where given, instead of training; see `dry_run.stop`.
    fits: where what was trained is kept and read, see `fits`; or None.
    fresh: train what is kept, too, and compare.
    label: dict that is written beside kept fits, and says whose checkpoints
      are.
    announce: called with messages for the user.
  """
  mesh: dict | Mesh | None = None
  steps_per_call: int | None = None
  seed_map: str | None = None
  save_every: float = 60.
  strict: bool = False
  tolerant: bool = False
  checked: Callable = lambda: None
  starting: Callable = lambda step, coming, eval_every, lengths: None
  progress: Callable = lambda step, num_steps, metrics: None
  stopping: Callable = lambda: False
  dry_run: Callable | None = None
  fits: Store | None = None
  fresh: bool = False
  label: dict = dataclasses.field(default_factory=dict)
  announce: Callable = lambda text: None

  def owner(self, seeds):
    """Whose the checkpoints of these seeds are, see `whose`."""
    return self.label | {'seeds': [int(seed) for seed in seeds]}


def make_init(init_variables, tx):
  """Turns `init_variables(key) -> {'params': ..., ...}` into `init(key)`."""

  def init(key):
    init_key, key = jax.random.split(key)
    extra = dict(init_variables(init_key))
    params = extra.pop('params')
    return State(jnp.int32(0), params, extra, tx.init(params), key)

  return init


def make_step(grad_fn, tx):
  """Turns a gradient into an update.

  Args:
    grad_fn: `(params, extra, batch, key) -> ((loss, (extra, metrics)), grads)`,
      what `jax.value_and_grad(loss_fn, has_aux=True)` gives.
    tx: optax transformation; gets `progress`, the share of this seed's steps
      done, in [0, 1), as an extra argument (see `scale_by_progress`).

  Returns:
    `step(state, batch, key, progress) -> (state, metrics)`.
  """
  tx = optax.with_extra_args_support(tx)

  def step(state, batch, key, progress):
    (loss, (extra, metrics)), grads = grad_fn(
        state.params, state.extra, batch, key)
    updates, opt_state = tx.update(grads, state.opt_state, state.params,
                                   progress=progress)
    params = optax.apply_updates(state.params, updates)
    metrics = metrics | {'loss': loss, 'grad_norm': optax.tree.norm(grads)}
    return State(state.step + 1, params, extra, opt_state, state.key), metrics

  return step


def scale_by_progress(schedule):
  """Scales updates by `schedule(progress)`; seeds may differ in length."""

  def init(params):
    del params
    return optax.EmptyState()

  def update(updates, state, params=None, *, progress, **extra_args):
    del params, extra_args
    return optax.tree.scale(schedule(progress), updates), state

  return optax.GradientTransformationExtraArgs(init, update)


def rise_and_fall(rise):
  """A schedule for `scale_by_progress`: linear from 0, then a cosine to 0.

  Args:
    rise: share of the steps of the rise, in [0, 1).
  """

  def schedule(progress):
    fall = 0.5 * (1 + jnp.cos(jnp.pi * (progress - rise) / (1 - rise)))
    return jnp.where(progress < rise, progress / rise, fall)

  return schedule


def fit(init, step, draw, source, *, seeds, num_steps, eval_every,
        select=None, watch=None, directory=None, rules=(),
        settings=Settings()):
  """Trains all seeds.

  Args:
    init: `key -> State`, from `make_init`.
    step: from `make_step`.
    draw: `(shared, own, item, key) -> batch`; batch is a dict, leading axis B.
    source: a `Source`.
    seeds: S integers.
    num_steps: updates; where seeds differ in length, the largest number.
    eval_every: steps between selections, and per point of the curves.
    select: `(params, extra, shared, own) -> []`, smaller is better, computed
      inside the program; see `evaluate.mean_loss`.
    watch: name -> function like `select`, recorded in the curves only.
    directory: where to save and from where to continue, or None.
    rules: placement of large parameters, see `sharding.state_specs`.
    settings: a `Settings`.

  Returns:
    A `Fitted`.

  Raises:
    Interrupted: `settings.stopping()` said so; the state has been saved.
    DryRun: with `settings.dry_run`; nothing has been allocated.
    UserError: every seed diverged, unless `settings.tolerant`; one did, with
      `settings.strict`; no steps; other numbers than are kept, with
      `settings.fresh`.
  """
  plan = loop.make_plan(
      init, step, draw, source, seeds=seeds, num_steps=num_steps,
      eval_every=eval_every, select=select, watch=watch, rules=rules,
      settings=settings)
  if settings.dry_run:
    settings.dry_run(**plan.for_dry_run())
  settings.checked()
  carry, curves, keys, taken = fits.fitted(
      plan, settings, directory, lambda: _trained(plan, settings, directory))
  if sharding.on_any_host(settings.stopping())[0]:
    raise checkpoint.Interrupted(f'stopped after all {num_steps} steps'
                                 + ', saved' * (directory is not None))
  ends = np.arange(1, plan.num_points + 1) * eval_every
  curves = {'step': np.minimum(ends, num_steps)} | loop.means(
      curves, plan.watched)
  return _fitted(carry, curves, plan, settings)._replace(keys=keys,
                                                         taken=taken)


def _trained(plan, settings, directory):
  """The `Run` of a plan, at its end."""
  run, saves = loop.Run(plan), loop.Saves(directory, settings)
  saves.restore(run)
  settings.starting(run.step, run.coming, plan.eval_every,
                    plan.source.own['num_steps'])
  with contextlib.closing(run.calls()) as calls:
    for call in calls:
      run.advance(*call)
      run.report(settings.progress)
      if saves.after(run):
        break
  saves.close(run)
  return run


def _fitted(carry, curves, plan, settings):
  """The result, or an error where too many seeds diverged."""
  codes, steps = sharding.fetch((carry.broken, carry.state.step))
  broken = {int(i): (int(steps[i]), lanes.CHECKED[codes[i] - 1])
            for i in np.flatnonzero(codes)}
  all_broken = len(broken) == len(plan.seeds) and not settings.tolerant
  if broken and (settings.strict or all_broken):
    text = '; '.join(
        f'seed {plan.seeds[i]}: {metric} is not finite after step {at}'
        for i, (at, metric) in broken.items())
    raise UserError(f'{text}. {_remedy(broken, plan.source)}')
  return Fitted(carry.state, carry.best, curves, broken)


def _remedy(broken, source):
  """What to do about seeds that diverged, in a sentence."""
  for name, x in {**source.shared, **source.own}.items():
    # Infinities may be meant, as those of a bandwidth are.
    if jnp.issubdtype(x.dtype, jnp.floating) and (
        count := int(np.isnan(sharding.fetch(x)).sum())):
      return (f'{count:,} of the {x.size:,} values of {name} in the data are '
              'NaN: replace them, or leave their rows out.')
  if min(at for at, _ in broken.values()) == 0:
    return ('No update had been made: look at the data, and at the fields of '
            'the config that the loss reads.')
  return 'Lower the learning rate, or look at the data.'
