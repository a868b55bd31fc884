"""Speed and memory of C-Mixup, measured in one run; a miss is no error.

  python -m benchmarks.c_mixup [--only=fit,drawing] [--quick] [--json=FILE]

What is compared takes turns (A B A B ...), so that other work on the machine
hits both. A line gives the median and, in brackets, the extremes.
"""

import functools
import os
import pathlib
import sys
import tempfile
import time
import types

import numpy as np

from benchmarks import measuring

COMMAND = 'experiments.c_mixup'
ARM = 'manifold_c_mixup'
SEEDS = range(10)
SIZES, DIMS = (1003, 300, 200), 5  # Airfoil's


# --- What is trained here ----------------------------------------------------


def generated(num_rows):
  """A table of Airfoil's shape and ranges, without a file."""
  rng = np.random.default_rng(0)
  x = rng.random((num_rows, DIMS), np.float32)
  y = 125 + 7 * rng.standard_normal((num_rows, 1), np.float32)
  return {'x': x, 'y': y}


def make_source(config, seeds, num_train=SIZES[0], candidates=None):
  """What the arm prepares, of a generated table.

  Args:
    config: the config.
    seeds: integers.
    num_train: training rows.
    candidates: a stream of second indices: items are then [2, B].
  """
  from assay import train
  from assay.data import tabular
  from assay.testbeds import tabular_mixing

  sizes = num_train, *SIZES[1:]
  shared = generated(sum(sizes))
  own = tabular.own_splits(shared, sizes, seeds, 'generated')
  own['features'] = shared['y'][own['train_rows']]
  for name in ('alpha', 'bandwidth'):
    own[name] = np.full(len(seeds), config[name], np.float32)
  own |= tabular_mixing.prepared_draws(config, own['features'],
                                       own['bandwidth'])
  orders = lambda stream: [tabular.epoch_items(
      num_train, config.net.batch_size, seed, stream) for seed in seeds]
  first = orders('order')
  if not candidates:
    return train.Source(shared, own, lambda i, *steps: first[i](*steps))
  second = orders(candidates)
  return train.Source(shared, own, lambda i, *steps: np.stack(
      [first[i](*steps), second[i](*steps)], axis=1))


def fit(config, seeds, source, **settings):
  """`train.fit` of manifold C-Mixup, as the testbed calls it."""
  from assay import train
  from assay.testbeds import tabular
  from experiments import c_mixup

  block = types.SimpleNamespace(fit=lambda stage, config, *args, **more: (
      train.fit(*args, seeds=seeds, settings=train.Settings(**settings),
                **more)))
  return tabular.fit(config, block, c_mixup.ARMS[ARM], source)


def make_config(**fields):
  """The config of the Airfoil study with some fields replaced."""
  from assay.study import replaced
  from configs import c_mixup as configs
  return replaced(configs.get_config('airfoil'), fields)


def make_reference(config, seeds, source, per_call):
  """`reference.train` from where `fit` starts."""
  import jax
  import jax.numpy as jnp

  from assay.data import tabular
  from assay.testbeds.tabular import make_model
  from benchmarks import reference

  def scaled(split):
    draw = functools.partial(tabular.draw_from(split), source.shared)
    num_rows = source.own[f'{split}_rows'].shape[1]
    batch = jax.vmap(lambda own: draw(own, np.arange(num_rows), None))(
        source.own)
    return np.asarray(batch['x']), np.asarray(batch['y'])[..., 0]

  def start(seed):
    init_key, key = jax.random.split(jax.random.key(seed))
    model = make_model(config.net)
    return model.init(init_key, jnp.zeros((1, DIMS)))['params'], key

  params, keys = jax.vmap(start)(np.asarray(seeds, np.uint32))
  data = dict(zip(('x', 'y', 'val_x', 'val_y'),
                  scaled('train') + scaled('val'), strict=True))
  data |= {name: source.own[name] for name in ('alpha', 'bandwidth')}
  data['table'] = source.own['partner_table']
  return reference.train(params, keys, seeds, data, config.net.num_epochs,
                         per_call, config.net.batch_size)


def difference(fitted, carry):
  """Largest difference of last and best parameters, relative to each array."""
  import jax
  pairs = zip(jax.tree.leaves((fitted.state.params, fitted.best.params)),
              jax.tree.leaves((carry[0], carry[4][2])), strict=True)
  return max(float(np.abs(a - b).max() / np.abs(a).max())
             for a, b in map(jax.device_get, pairs))


# --- Steps -------------------------------------------------------------------


def measure_fit(report, quick):
  """Steps per second of `fit` and of the reference; compiling not counted.

  `fit` reports after each call, and waits while the reference makes its call.
  """
  config = make_config(num_epochs=1)
  source = make_source(config, SEEDS)
  (carry, _), = make_reference(config, SEEDS, source, 1)
  report('parameters of fit and reference differ after 62 steps by', '',
         [difference(fit(config, SEEDS, source), carry)], 1e-5)

  config = make_config(num_epochs=20 if quick else 100)
  turns = []
  for _ in range(1 if quick else 3):
    turns += _turns(config, source, 248 if quick else None)
  (ours, ours_cpu), (its, its_cpu) = np.moveaxis(turns, 0, -1)
  report('fit, steps of ten seeds', '1/s', 1 / ours)
  report('reference, steps of ten seeds', '1/s', 1 / its)
  report('fit / reference', '', its / ours, at_least=0.95)
  report('fit / reference, by processor time', '', its_cpu / ours_cpu)


def _turns(config, source, steps_per_call):
  """((seconds, processor seconds) of fit, of the reference), each per step."""
  clock = lambda: np.array([time.perf_counter(), time.process_time()])
  turns, since, calls = [], clock(), None

  def progress(step, num_steps, metrics):
    nonlocal since, calls
    del num_steps, metrics
    fitted = clock()
    if calls is None:
      calls = step, make_reference(config, SEEDS, source, step // 62)
    next(calls[1])
    now = clock()
    turns.append(((fitted - since) / calls[0], (now - fitted) / calls[0]))
    since = clock()

  fit(config, SEEDS, source, progress=progress, steps_per_call=steps_per_call)
  return turns[1:]  # the first of both compiles


def measure_alone(report, quick):
  """One seed on a device: what its mapped axis of length one costs."""
  config = make_config(num_epochs=12 if quick else 40)
  source = make_source(config, [0])

  def seconds(seed_map):
    """Of processors, a step."""
    told = []
    fit(config, [0], source, seed_map=seed_map, mesh={'seed': 1},
        steps_per_call=248, progress=lambda step, *_: told.append(
            (time.process_time(), step)))
    taken, steps = np.subtract(told[-1], told[0])  # the first call compiles
    return taken / steps

  report('fit, one seed: without its mapped axis / with it', '', [
      seconds('loop') / seconds('vmap') for _ in range(1 if quick else 5)])


def measure_drawing(report, quick):
  """Choosing partners beside the rest of the step, which is given them."""
  from assay.methods import mixup
  from assay.testbeds import tabular_mixing

  rounds = 3 if quick else 15
  for num_train, steps in ((SIZES[0], 310), (100_000, 62)):
    size = f'{num_train:,} rows'
    given = _stepper(mixup.matched, num_train, steps, 'partners')
    kinds = {'all rows': _stepper(mixup.similar, num_train, steps)}
    if num_train > tabular_mixing.MAX_TABLE:
      kinds['a pool'] = _stepper(mixup.pooled, num_train, steps, 'partners')
    seconds = {kind: [] for kind in (None, *kinds)}
    for i in range(rounds + 1):
      found = {None: given()} | {k: call() for k, call in kinds.items()}
      for kind, value in found.items():
        seconds[kind] += [value] * (i > 0)  # the first call compiles
    rest = np.array(seconds.pop(None))
    report(f'step of ten seeds, partners given, {size}', 'CPU ms',
           1e3 * rest)
    for kind, values in seconds.items():
      report(f'drawing from {kind}, {size}', 'CPU ms', 1e3 * (values - rest))
      report(f'drawing from {kind} / step without, {size}', '',
             (values - rest) / rest, 1)


def _stepper(choose, num_train, steps, candidates=None):
  """A function that makes some steps; returns the processor seconds of one."""
  import jax
  import jax.numpy as jnp
  import optax

  from assay import train
  from assay.data import tabular
  from assay.methods import mixup
  from assay.testbeds.tabular import make_grad, make_model
  from assay.train import lanes, sharding
  from experiments import c_mixup

  config = make_config()
  net = config.net
  model, tx = make_model(net), optax.adam(net.learning_rate)
  source = make_source(config, SEEDS, num_train, candidates)
  paired = mixup.paired(tabular.draw_from('train'), choose)
  draw = lambda *args: mixup.blend(paired(*args), ('y',))
  init = train.make_init(lambda key: model.init(key, jnp.zeros((1, DIMS))), tx)
  step = train.make_step(make_grad(config, c_mixup.ARMS[ARM], model), tx)
  mesh = sharding.make_mesh(num_seeds=len(SEEDS))
  lane = lanes.Lanes(mesh, 'vmap', len(SEEDS))
  carries = lane.start(lanes.start(init, False), SEEDS, ())
  advance = lane.map(lanes.make_chunk(lanes.make_one(step, draw, mesh), None))
  endless = np.full(len(SEEDS), 2**30, np.int32)
  shared, own, items = (
      lane.share((source.shared, np.int32(1))),
      lane.put(source.own | {'num_steps': endless}),
      lane.put(np.stack([source.items(i, 0, steps) for i in SEEDS])[:, None]))

  def call():
    nonlocal carries
    start = time.process_time()
    carries, _ = jax.block_until_ready(advance(carries, shared, own, items))
    return (time.process_time() - start) / steps

  return call


# --- Commands, from outside --------------------------------------------------


def measure_study(report, quick):
  """The Airfoil study, nothing compiled before."""
  folder = _airfoil_folder()
  words = ['--config=configs/c_mixup.py:airfoil', f'--seeds={len(SEEDS)}']
  words += ['--config.net.num_epochs=2'] if quick else []
  words += [f'--data_dir={folder}'] if folder else ['--stand-in']
  with tempfile.TemporaryDirectory() as temporary:
    seconds, _ = measuring.run(
        COMMAND if folder else 'benchmarks.c_mixup', *words,
        f'--workdir={temporary}/run', cache=f'{temporary}/cache')
  data = 'real' if folder else 'generated'
  report(f'Airfoil study, 7 arms x 10 seeds, {data} data', 's', [seconds], 90)


def _airfoil_folder():
  """Where Airfoil's file is, or None."""
  from assay.data import files
  names = [pathlib.Path(source['file']) for source in files.SOURCES['airfoil']]
  for folder in filter(None, (os.environ.get('ASSAY_DATA'),
                              files.cache_dir())):
    folder = pathlib.Path(folder).absolute()
    if any((folder / name).is_file() or (folder / name.name).is_file()
           for name in names):
      return folder
  return None


def measure_start(report, quick):
  """From the command to the table, its memory; and to the help text."""
  seconds, peaks = {'empty cache': [], 'programs cached': []}, []
  words = ['--config.net.num_epochs=2'] if quick else []
  for _ in range(1 if quick else 2):
    with tempfile.TemporaryDirectory() as temporary:
      for cached in seconds:
        found = measuring.run(
            COMMAND, *words, f'--workdir={temporary}/{cached.split()[0]}',
            cache=f'{temporary}/cache')
        seconds[cached].append(found[0])
        peaks.append(found[1])
  for cached, values in seconds.items():
    report(f'default study to its last line, {cached}', 's', values, 60)
  report('peak memory of the default study', 'GB', peaks, 1.5)
  report('--help', 's', [measuring.run(COMMAND, '--help')[0]
                         for _ in range(5)], 1.5)


def measure_memory(report, quick):
  """Peak memory over the number of rows, above that of a small table."""
  sizes = [2_000] + [n // (10 if quick else 1) for n in (100_000, 400_000)]
  peaks = np.array([[measuring.run(
      'benchmarks.c_mixup', f'--fit-rows={n}')[1]
                     for n in sizes] for _ in range(1 if quick else 3)])
  for n, values in zip(sizes, peaks.T, strict=True):
    report(f'peak memory of fit, ten seeds, {n:,} rows', 'GB', values)
  rows = np.subtract(sizes, sizes[0])
  above = np.maximum(peaks - np.median(peaks[:, 0]), 1e-3)
  # 1 if linear, 4 if quadratic; the peak of one program varies by 20 MB.
  report(f'memory a row above {sizes[0]:,} rows, {sizes[2]:,} / {sizes[1]:,}',
         '', above[:, 2] / rows[2] / np.median(above[:, 1] / rows[1]), 1.5)


# --- The command -------------------------------------------------------------


def fit_rows(num_rows):
  """Trains a few dozen steps; for measuring from outside."""
  measuring.set_up_devices()
  # An "epoch" of some 24 steps, whatever the rows.
  config = make_config(num_epochs=2, split_sizes=(24 * 16, *SIZES[1:]))
  fit(config, SEEDS, make_source(config, SEEDS, num_rows))


def stand_in(argv):
  """The experiment with a generated table in Airfoil's place."""
  from assay import cli
  from assay.data import tabular
  table = np.column_stack(list(generated(1503).values())).astype(float)
  tabular.TABLES['airfoil'] |= {'read': lambda data_dir: table,
                                'low': table.min(0), 'high': table.max(0)}
  return cli.main('c_mixup', argv)


# What is measured from outside comes first: a process that is started counts
# the memory of the one that starts it as its own peak.
MEASURES = {'memory': measure_memory, 'start': measure_start,
            'study': measure_study, 'fit': measure_fit, 'alone': measure_alone,
            'drawing': measure_drawing}


def main(argv=None):
  argv = sys.argv[1:] if argv is None else argv
  if '--stand-in' in argv:
    return stand_in([word for word in argv if word != '--stand-in'])
  if len(argv) == 1 and argv[0].startswith('--fit-rows='):
    return fit_rows(int(argv[0].removeprefix('--fit-rows=')))
  return measuring.main(
      argv, 'c_mixup', 'Measures speed and memory of C-Mixup against the '
      'targets; some five minutes on two cores.', MEASURES)


if __name__ == '__main__':
  sys.exit(main())
