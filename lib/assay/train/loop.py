"""The nouns of `train.fit`: a plan, a run of it, and the saves of the run."""

from concurrent import futures
import contextlib
import dataclasses
import time
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh
import numpy as np

from assay.errors import UserError
from assay.train import checkpoint, forms, items, lanes, sharding

SECONDS = 2.  # that a call takes, where its length follows measured time


class Call(NamedTuple):
  """Some steps, made by one compiled program.

  Attributes:
    start: steps done before.
    steps: that it makes.
    rows: that it makes, the last one perhaps in part.
    shape: the most rows that there may be, and the steps of each.
  """
  start: int
  steps: int
  rows: int
  shape: tuple

  @property
  def end(self):
    """Steps done after it."""
    return self.start + self.steps


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
    form: a `forms.Form`.
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
  form: forms.Form
  mesh: Mesh
  lanes: Any

  @property
  def between(self):
    """What is called between calls, or None."""
    return None if self.form.inside else self.validate

  @property
  def chunk(self):
    """The steps of one call."""
    return lanes.make_chunk(self.one,
                            self.validate if self.form.inside else None)

  @property
  def most(self):
    """Steps of a call, at most."""
    return self.form.rows * self.form.row

  @property
  def num_points(self):
    """Points of a curve."""
    return -(-self.num_steps // self.eval_every)

  @property
  def lengths(self):
    """[S] updates of each seed."""
    return [min(int(n), self.num_steps) for n in self.source.own['num_steps']]

  def call(self, step, rows):
    """The `Call` that comes after so many steps, of about so many rows.

    It ends with a point where it may: there is something to tell, or to select.
    """
    row, left = self.form.row, self.eval_every - step % self.eval_every
    if step % row:  # what was saved was of another form: go on to a whole row
      rows, row = 1, row - step % row
      shape = 1, row
    else:
      shape = self.form.rows, row
      rows = min(rows, self.form.rows, -(-(self.num_steps - step) // row))
      if rows * row > left:
        rows -= (rows * row - left) % self.eval_every // row
        if self.between is not None:
          rows = left // row
    return Call(step, min(rows * row, self.num_steps - step), rows, shape)

  def for_dry_run(self):
    """The arguments of `dry_run.measure`."""
    return {'lanes': self.lanes, 'started': self.started, 'rules': self.rules,
            'draw': self.draw, 'source': self.source,
            'num_steps': self.num_steps,
            'shape': (self.form.rows, self.form.row),
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
  form = forms.choose(settings, held, num_steps, eval_every, step_bytes,
                      bool(watched))
  return Plan(
      tuple(seeds), num_steps, eval_every, step, draw, tuple(rules), source,
      item, started, one,
      lanes.make_validate(select, watch or {}) if watched else None, names,
      watched, form, mesh, lanes.Lanes(mesh, form.seed_map, len(seeds)))


class Run:
  """A plan being carried out: its arrays, and how far they have come.

  Attributes:
    step: steps done.
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
    self._pace, self._coming = Pace(plan.form), None
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

  def coming(self):
    """Steps of the call that comes next."""
    call = self._coming or self.plan.call(self.step, self._pace.rows)
    return call.steps

  def calls(self):
    """(call, its items) of each that is left, made while one before it runs.

    A generator; to be closed where not all of them are taken.
    """
    plan = self.plan
    with futures.ThreadPoolExecutor(1) as host:

      def make(step):
        if step >= plan.num_steps:
          return None, None
        call = plan.call(step, self._pace.rows)
        return call, host.submit(items.put, plan.source, call, plan.lanes)

      call, ready = make(self.step)
      while call is not None:
        self._coming, later = make(call.end)
        with self._pace.timed(call):
          made = ready.result()
        yield call, made
        call, ready = self._coming, later

  def advance(self, call, made):
    """Makes the steps of one call, with its items."""
    plan = self.plan
    rows = plan.lanes.share(np.int32(call.rows))
    with self._pace.timed(call):
      shared, own = self._data
      self.carries, metrics = self._advance(
          self.carries, list(zip(shared, rows, strict=True)), own, made)
      metrics = plan.lanes.fetch(metrics)
    self.step = call.end
    at_point = call.end % plan.eval_every == 0 or call.end == plan.num_steps
    if self._select and at_point:
      self.carries, values = self._select(self.carries, *self._data)
      metrics |= {k: v[:, None] for k, v in plan.lanes.fetch(values).items()}
    self._record(call, metrics)
    self.broken = plan.lanes.fetch([c.broken for c in self.carries]) > 0
    self._pace.follow(call)
    checkpoint.stop_here('step', self.step)

  def _record(self, call, metrics):
    """Enters what one call measured into the curves.

    Sums are made in the order of the steps, so that they are the same however
    these are cut into calls.

    Args:
      call: a `Call`.
      metrics: name -> [S, rows, steps], or [S, rows] of what is watched.
    """
    every, point = self.plan.eval_every, call.start // self.plan.eval_every
    for name, values in metrics.items():
      curve = self.curves[name]
      if name in self.plan.watched:
        values = values[:, :call.rows].T
        curve[point:point + len(values)] = values
        continue
      values = values.reshape(len(values), -1).T[:call.steps]
      # Of each point, from where it was; what is missing of the last is 0.
      before = call.start % every
      padded = np.zeros((-(-(before + call.steps) // every) * every,
                         values.shape[1]), np.float32)
      padded[before:before + call.steps] = values
      if before:
        padded[before - 1] = curve[point]
      sums = np.cumsum(padded.reshape(-1, every, values.shape[1]), axis=1,
                       dtype=np.float32)[:, -1]
      curve[point:point + len(sums)] = sums

  def report(self, progress):
    """Tells the newest point of the curves."""
    plan = self.plan
    newest = -(-self.step // plan.eval_every) - 1
    progress(self.step, plan.num_steps,
             means({k: v[newest] for k, v in self.curves.items()},
                   plan.watched))


class Pace:
  """How many rows a call has, so that it ends within seconds.

  Attributes:
    rows: of a call that is made from now on, at most.
  """

  def __init__(self, form):
    self._form, self._seconds, self._calls = form, {}, 0
    self.rows = 1 if form.paced else form.rows

  @contextlib.contextmanager
  def timed(self, call):
    """Around a part of what a call takes."""
    began = time.monotonic()
    yield
    self._seconds[call] = (self._seconds.get(call, 0.)
                           + time.monotonic() - began)

  def follow(self, call):
    """Sets `rows` by what a call took; the first one was compiled."""
    seconds, self._calls = self._seconds.pop(call), self._calls + 1
    if self._form.paced and self._calls > 1:
      seconds = sharding.largest_on_any_host(seconds)
      self.rows = int(np.clip(SECONDS * call.rows / max(seconds, 1e-6), 1,
                              self._form.rows))


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
    self._finished = (run.step >= run.plan.num_steps or run.broken.all()
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
