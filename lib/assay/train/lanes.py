"""The two compiled forms of a step, and seeds over devices.

A chunk of steps is one pure function of one seed's carry. `Lanes` maps it over
seeds: all in one program (`vmap` inside, `shard_map` over the mesh axis `seed`
outside), or one after another (`loop`), each on its share of the mesh.
"""

from concurrent import futures
import functools
from typing import Any

from flax import struct
import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
import numpy as np

from assay.train import evaluate, sharding

SEED = jax.ShapeDtypeStruct((), jnp.uint32)
CHECKED = ('loss', 'grad_norm')  # a seed stops where one is not finite


@struct.dataclass
class Best:
  """The state with the lowest selection value so far; ties: the later."""
  value: jax.Array  # float32 []
  step: jax.Array  # int32 []
  params: Any
  extra: Any


@struct.dataclass
class Carry:
  """What a checkpoint holds of each seed."""
  state: Any  # train.State
  best: Best | None
  broken: jax.Array  # int32 []; 0, or 1 + the index in CHECKED


@jax.jit
def _joined(trees):
  """One tree [S, ...] of trees on the same devices."""
  return jax.tree.map(lambda *xs: jnp.concatenate(xs), *trees)


def start(init, selects):
  """Turns `init(key) -> State` into `(seed []) -> Carry`.

  It is one function for all that ask with the same one, see `evaluate.Same`, so
  that arms of one network trace it once.
  """
  return _started(evaluate.Same(init), selects)


@functools.lru_cache(maxsize=32)
def _started(init, selects):

  def started(seed):
    state = init.function(jax.random.key(seed))
    best = Best(jnp.float32(jnp.inf), state.step, state.params,
                state.extra) if selects else None
    return Carry(state, best, jnp.int32(0))

  return started


def make_one(step, draw, mesh):
  """`(carry, item, shared, own) -> (carry, metrics)`: draw, step, keep.

  A seed past its own number of steps, or broken, keeps its state; so does the
  step that breaks it. `metrics` then are 0, and `updates` counts the others.
  """

  def one(carry, item, shared, own):
    state = carry.state
    draw_key, step_key = jax.random.split(
        jax.random.fold_in(state.key, state.step))
    batch = sharding.over_data(draw(shared, own, item, draw_key), mesh)
    progress = state.step / own.get('schedule_steps', own['num_steps'])
    new, metrics = step(state, batch, step_key, progress)
    finite = jnp.stack([jnp.isfinite(metrics[name]) for name in CHECKED])
    active = (state.step < own['num_steps']) & (carry.broken == 0)
    kept = active & jnp.all(finite)
    first = 1 + jnp.argmin(finite).astype(jnp.int32)
    broken = jnp.where(active & ~jnp.all(finite), first, carry.broken)
    choose = lambda new, old: jnp.where(kept, new, old)
    state = jax.tree.map(choose, new.replace(key=None),
                         state.replace(key=None)).replace(key=state.key)
    metrics = {k: jnp.where(kept, v, 0).astype(jnp.float32)
               for k, v in metrics.items()}
    metrics['updates'] = kept.astype(jnp.float32)
    return carry.replace(state=state, broken=broken), metrics

  return one


def make_validate(select, watch):
  """`(carry, shared, own) -> (carry, values)`: keeps the best, and looks on.

  Args:
    select: `(params, extra, shared, own) -> []`, smaller is better, or None.
    watch: name -> function of the same type, only recorded.
  """

  def validate(carry, shared, own):
    state, best = carry.state, carry.best
    measured = {name: f(state.params, state.extra, shared, own).astype(
        jnp.float32) for name, f in watch.items()}
    if select is None:
      return carry, measured
    value = select(state.params, state.extra, shared, own).astype(jnp.float32)
    better = value <= best.value  # false for NaN
    new = Best(value, state.step, state.params, state.extra)
    best = jax.tree.map(lambda n, b: jnp.where(better, n, b), new, best)
    return carry.replace(best=best), measured | {'val': value}

  return validate


def make_chunk(one, validate):
  """`(carry, (shared, rows), own, items) -> (carry, metrics)`.

  `items` has leading axes [rows, steps], the most that there may be; `rows`
  int32 [] says how many are done. Metrics of steps are [rows, steps], those of
  `validate`, which is called after each row, [rows]; of rows that are not done
  they are 0.

  Args:
    one: from `make_one`.
    validate: from `make_validate`, or None: nothing is selected.
  """

  def chunk(carry, shared, own, items):
    shared, rows = shared

    def row(carry, items):
      carry, metrics = _scan(lambda c, i: one(c, i, shared, own), carry, items)
      if validate is not None:
        carry, values = validate(carry, shared, own)
        metrics |= values
      return carry, metrics

    return _first(row, carry, items, rows)

  return chunk


def _first(function, carry, items, count):
  """`lax.scan` over the first `count` items; a call where there is one item."""
  most = jax.tree.leaves(items)[0].shape[0]
  if most == 1:
    return _scan(function, carry, items)
  of = lambda i: jax.tree.map(
      lambda x: jax.lax.dynamic_index_in_dim(x, i, keepdims=False), items)
  _, out = jax.eval_shape(lambda: function(carry, of(0)))

  def body(i, both):
    carry, metrics = both
    carry, new = function(carry, of(i))
    return carry, jax.tree.map(lambda all_, x: all_.at[i].set(x), metrics, new)

  return jax.lax.fori_loop(0, count, body, (carry, jax.tree.map(
      lambda x: jnp.zeros((most, *x.shape), x.dtype), out)))


def _scan(function, carry, items):
  """`lax.scan`, but a call where there is one item.

  On a CPU the gradient of `lax`'s convolution is many times slower in a scan.
  """
  if jax.tree.leaves(items)[0].shape[0] > 1:
    return jax.lax.scan(function, carry, items)
  carry, out = function(carry, jax.tree.map(lambda x: x[0], items))
  return carry, jax.tree.map(lambda x: x[None], out)


def placements(one, mesh, rules):
  """The sharding of each array of a lane's carry, which has a seed axis.

  Args:
    one: tree of ShapeDtypeStruct, the carry of one seed.
    mesh: the lane's.
    rules: see `sharding.state_specs`.
  """
  return jax.tree.map(lambda spec: NamedSharding(mesh, P('seed', *spec)),
                      sharding.state_specs(one, mesh, rules),
                      is_leaf=lambda x: isinstance(x, P))


def _compile(programs, calls):
  """Compiles what calls will find compiled, all at once.

  Each device has a program of its own, which takes half a minute for some
  networks. Several hosts have to compile in the same order.

  Args:
    programs: mesh -> jitted function.
    calls: [(mesh, *arguments)].
  """
  first = {m: args for m, *args in reversed(calls)}
  if len(first) > 1 and jax.process_count() == 1:
    lowered = [programs[m].lower(*args) for m, args in first.items()]
    with futures.ThreadPoolExecutor(len(lowered)) as pool:
      list(pool.map(lambda each: each.compile(), lowered))


class Lanes:
  """Seeds over the mesh: one lane of all seeds (`vmap`), or one each (`loop`).

  Per-seed trees are lists with one entry per lane, each with a leading seed
  axis. A single lane is padded with copies of its last seed up to a multiple
  of the mesh's seed axis; `join` drops them.
  """

  def __init__(self, mesh, seed_map, num_seeds):
    self.seed_map = seed_map
    self.num_seeds = num_seeds
    if seed_map == 'vmap':
      padded = -(-num_seeds // mesh.shape['seed']) * mesh.shape['seed']
      self.meshes = [mesh]
      self.positions = [np.minimum(np.arange(padded), num_seeds - 1)]
    else:
      parts = sharding.seed_lanes(mesh)
      self.meshes = [parts[i % len(parts)] for i in range(num_seeds)]
      self.positions = [np.array([i]) for i in range(num_seeds)]

  def share(self, tree):
    """Arrays that all seeds read, on every device."""
    placed = {m: sharding.put(tree, m) for m in set(self.meshes)}
    return [placed[m] for m in self.meshes]

  def put(self, tree):
    """Host arrays [S, ...] over the lanes."""
    return [sharding.put(jax.tree.map(lambda x, p=p: np.asarray(x)[p], tree),
                         m, 'seed')
            for m, p in zip(self.meshes, self.positions, strict=True)]

  def start(self, started, seeds, rules):
    """Carries of all seeds, created where they will live."""
    one = jax.eval_shape(started, SEED)
    programs = {m: jax.jit(jax.vmap(started),
                           out_shardings=placements(one, m, rules))
                for m in set(self.meshes)}
    calls = list(zip(self.meshes, self.put(np.asarray(seeds, np.uint32)),
                     strict=True))
    _compile(programs, calls)
    return [programs[m](seed) for m, seed in calls]

  def map(self, function):
    """`function(carry, shared, own, ...)` of one seed, for lists of lanes."""
    programs = {m: self.program(function, m) for m in set(self.meshes)}
    new = True

    def call(carries, shared, own, *rest):
      nonlocal new
      calls = list(zip(self.meshes, carries, shared, own, *rest, strict=True))
      if new:
        _compile(programs, calls)
        new = False
      out = [programs[m](*args) for m, *args in calls]
      return [c for c, _ in out], [o for _, o in out]

    return call

  def program(self, function, mesh):
    """What `map` calls for the lanes on a mesh, jitted."""

    def mapped(carry, shared, own, *rest):
      if self.seed_map == 'vmap':
        axes = (0, None, 0) + (0,) * len(rest)
        return jax.vmap(function, in_axes=axes)(carry, shared, own, *rest)
      carry, own, rest = jax.tree.map(lambda x: x[0], (carry, own, rest))
      return jax.tree.map(lambda x: x[None],
                          function(carry, shared, own, *rest))

    def program(carry, shared, own, *rest):
      seed = P('seed')
      specs = (seed, P(), seed) + (seed,) * len(rest)
      # A sharded vmap would synchronize the seeds at every random draw.
      return jax.shard_map(mapped, mesh=mesh, in_specs=specs, out_specs=seed,
                           axis_names={'seed'}, check_vma=False)(
                               carry, shared, own, *rest)

    return jax.jit(program, donate_argnums=0)

  def join(self, trees):
    """One tree [S, ...] of the lanes' trees, on the first lane's devices."""
    if len(trees) == 1:
      # No slice where nothing is padded: shardings stay as they are.
      return trees[0] if len(self.positions[0]) == self.num_seeds else (
          jax.tree.map(lambda x: x[:self.num_seeds], trees[0]))
    first = NamedSharding(self.meshes[0], P())
    return _joined([sharding.move(tree, first) for tree in trees])

  def place(self, tree):
    """Host arrays [S, ...], placed as `join` leaves what has no rules."""
    if self.seed_map == 'vmap':
      return self.join(self.put(tree))
    return sharding.put(tree, self.meshes[0])

  def fetch(self, trees):
    """One tree [S, ...] of small arrays of the lanes, on the host."""
    return jax.tree.map(lambda *xs: np.concatenate(xs)[:self.num_seeds],
                        *sharding.fetch(trees))

  def cut(self, tree, like):
    """The lanes' trees of one tree [S, ...], placed as the trees `like`."""
    return [jax.tree.map(lambda x, y, p=p: sharding.move(x[p], y.sharding),
                         tree, lane)
            for p, lane in zip(self.positions, like, strict=True)]
