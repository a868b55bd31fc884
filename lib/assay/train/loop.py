"""The nouns of `train.fit`: a plan, a run of it, and the saves of the run."""

from concurrent import futures
import dataclasses
import time
from typing import Any

import jax
from jax.sharding import Mesh
import numpy as np

from assay.errors import UserError
from assay.train import checkpoint, forms, items, lanes, sharding


@dataclasses.dataclass(frozen=True)
class Plan:
  """What is decided before anything is allocated.

  Attributes:
    seeds, num_steps, eval_every, step, draw, rules: as `train.fit` takes them.
    source: a `train.Source`; its `own` has `num_steps`.
    item: what `draw` gets at the first step of the first seed.
    started: `(seed []) -> Carry`.
    one: a step of one seed, see `lanes.make_one`.
    validate: from `lanes.make_validate`, or None where nothing is looked at.
    names: of the metrics of a step.
    watched: of what `validate` gives.
    per_call: steps of one call.
    mesh: the mesh.
    lanes: a `lanes.Lanes`.
  """
  seeds: tuple
  num_steps: int
  eval_every: int
  step: Any
  draw: Any
  rules: tuple
  source: Any
  item: Any
  started: Any
  one: Any
  validate: Any
  names: list
  watched: list
  per_call: int
  mesh: Mesh
  lanes: Any

  @property
  def inside(self):
    """Whether selection is part of the call."""
    return self.per_call >= self.eval_every

  @property
  def between(self):
    """What is called between calls, or None."""
    return None if self.inside else self.validate

  @property
  def chunk(self):
    """The steps of one call."""
    return lanes.make_chunk(self.one, self.validate if self.inside else None)

  @property
  def shape(self):
    """Points and steps of one call."""
    return (max(1, self.per_call // self.eval_every),
            min(self.per_call, self.eval_every))

  @property
  def num_points(self):
    """Points of a curve."""
    return -(-self.num_steps // self.eval_every)

  @property
  def lengths(self):
    """[S] updates of each seed."""
    return [min(int(n), self.num_steps) for n in self.source.own['num_steps']]

  @property
  def end(self):
    """The step after the last call, whose tail makes no updates."""
    calls = -(-self.num_points * self.eval_every // self.per_call)
    return calls * self.per_call

  def for_dry_run(self):
    """The arguments of `dry_run.measure`."""
    return {'lanes': self.lanes, 'started': self.started, 'rules': self.rules,
            'draw': self.draw, 'source': self.source,
            'num_steps': self.num_steps, 'shape': self.shape,
            'chunk': self.chunk, 'validate': self.between}


def make_plan(init, step, draw, source, *, seeds, num_steps, eval_every, select,
              watch, rules, settings):
  """The `Plan` of what `train.fit` is asked for.

  Raises:
    UserError: no steps, or a setting that cannot be.
  """
  if num_steps < 1 or eval_every < 1:
    raise UserError(f'num_steps={num_steps}, eval_every={eval_every}: both '
                    'must be 1 or more; train for at least one epoch.')
  mesh = settings.mesh
  if not isinstance(mesh, Mesh):
    mesh = sharding.make_mesh(mesh, len(seeds))
  source = source._replace(own={
      'num_steps': np.full(len(seeds), num_steps, np.int32)} | source.own)
  started = lanes.start(init, select is not None)
  one = lanes.make_one(step, draw, mesh)
  watched = sorted(watch or {}) + ['val'] * (select is not None)
  item = items.first(source)
  names, held = forms.traced(one, started, source, item)
  step_bytes = len(seeds) * sum(x.nbytes for x in jax.tree.leaves(item))
  per_call, seed_map = forms.choose(settings, held, num_steps, eval_every,
                                    step_bytes)
  return Plan(
      tuple(seeds), num_steps, eval_every, step, draw, tuple(rules), source,
      item, started, one,
      lanes.make_validate(select, watch or {}) if watched else None, names,
      watched, per_call, mesh, lanes.Lanes(mesh, seed_map, len(seeds)))


class Run:
  """A plan being carried out: its arrays, and how far they have come.

  Attributes:
    step: steps done; the last ones make no updates, see `Plan.end`.
    first: the step that it went on from.
    carries: a tree for each lane.
    curves: name -> float32 [points, S]; sums over updates, or what is watched.
    broken: bool [S], the seeds that diverged.
  """

  def __init__(self, plan):
    self.plan = plan
    self.step = self.first = 0
    self.carries = plan.lanes.start(plan.started, plan.seeds, plan.rules)
    self._data = (plan.lanes.share(plan.source.shared),
                  plan.lanes.put(plan.source.own))
    self._advance = plan.lanes.map(plan.chunk)
    self._select = plan.lanes.map(plan.between) if plan.between else None
    self.curves = {
        name: np.zeros((plan.num_points, len(plan.seeds)), np.float32)
        for name in plan.names + plan.watched}
    self.broken = np.zeros(len(plan.seeds), bool)

  def tree(self):
    """What a checkpoint holds."""
    return {'carry': self.plan.lanes.join(self.carries),
            'curves': sharding.put(self.curves, self.plan.mesh)}

  def go_on(self, step, saved):
    """Takes the place of the run that saved."""
    self.step = self.first = step
    self.carries = self.plan.lanes.cut(saved['carry'], self.carries)
    self.curves = {k: np.array(v) for k, v in saved['curves'].items()}

  def calls(self):
    """The items of each call that is left, each made while one before it runs.

    A generator; to be closed where not all of them are taken.
    """
    plan = self.plan
    with futures.ThreadPoolExecutor(1) as host:
      make = lambda step: host.submit(
          items.put, plan.source, step, plan.shape, plan.lanes)
      step, coming = self.step, None
      while step < plan.end:
        ready, step = coming or make(step), step + plan.per_call
        coming = make(step) if step < plan.end else None
        yield ready.result()

  def advance(self, call):
    """Makes the steps of one call, with its items."""
    plan = self.plan
    self.carries, metrics = self._advance(self.carries, *self._data, call)
    point, self.step = self.step // plan.eval_every, self.step + plan.per_call
    if self._select and self.step % plan.eval_every == 0:
      self.carries, values = self._select(self.carries, *self._data)
      metrics = [m | {k: x[:, None] for k, x in v.items()}
                 for m, v in zip(metrics, values, strict=True)]
    self._record(point, plan.lanes.fetch(metrics))
    self.broken = plan.lanes.fetch([c.broken for c in self.carries]) > 0
    checkpoint.stop_here('step', self.step)

  def _record(self, point, metrics):
    """Enters what one call measured, leaves [S, points], into the curves."""
    for name, values in metrics.items():
      curve = self.curves[name]
      rows = slice(point, min(point + values.shape[1], len(curve)))
      values = values.T[:rows.stop - point]  # the tail makes no updates
      if name not in self.plan.watched:  # sums: a point may take many calls
        values = values + curve[rows]
      curve[rows] = values

  def report(self, progress):
    """Tells the newest point of the curves; the tail makes no updates."""
    plan = self.plan
    if self.step - plan.per_call < plan.num_steps:
      point = (self.step - plan.per_call) // plan.eval_every + plan.shape[0]
      newest = min(point, plan.num_points) - 1
      progress(min(self.step, plan.num_steps), plan.num_steps,
               means({k: v[newest] for k, v in self.curves.items()},
                     plan.watched))


def means(curves, watched):
  """Sums over updates as means; NaN where a seed made none."""
  with np.errstate(invalid='ignore', divide='ignore'):
    return {k: v if k in watched else v / curves['updates']
            for k, v in curves.items() if k != 'updates'}


class Saves:
  """The checkpoints of a run, and whether it is to stop.

  Args:
    directory: of the checkpoints, or None.
    settings: a `train.Settings`.
  """

  def __init__(self, directory, settings):
    self._settings = settings
    self._manager = None if directory is None else checkpoint.open_manager(
        directory)
    self._at = time.monotonic()
    self._stopping = self._finished = False

  def restore(self, run):
    """Lets a new run go on from the last save."""
    if self._manager:
      step, saved = checkpoint.restore(self._manager, run.tree(),
                                       self._settings.owner(run.plan.seeds))
      if saved is not None:
        run.go_on(step, saved)
    self._at = time.monotonic()

  def after(self, run):
    """Saves after a call where it is time; true where it was the last one."""
    self._finished = (run.step >= run.plan.end or run.broken.all()
                      or self._settings.strict and run.broken.any())
    self._stopping, due = sharding.on_any_host(
        self._settings.stopping() or self._manager is not None
        and self._manager.reached_preemption(run.step),
        time.monotonic() - self._at >= self._settings.save_every)
    last = self._finished or self._stopping
    if self._manager and (last or due):
      checkpoint.save(self._manager, run.step, run.tree(),
                      self._settings.owner(run.plan.seeds))
      checkpoint.stop_here('after_save', run.step)
      self._at = time.monotonic()
    return last

  def close(self, run):
    """Waits for the last save.

    Raises:
      Interrupted: the run was asked to stop and has not come to its end.
    """
    if self._manager:
      self._manager.close()
    if self._stopping and not self._finished:
      raise checkpoint.Interrupted(
          f'stopped at step {run.step} of {run.plan.num_steps}'
          + (', saved' if self._manager else ', nothing saved: no directory'))
