"""What scale costs: saves, seeds, rows, depth, meshes, streams.

  python -m benchmarks.scaling [--only=saves,depth] [--quick] [--json=FILE]

What is compared takes turns, so that other work on the machine hits both. A
line gives the median and, in brackets, the extremes. What devices exchange is
read from the compiled program: exact, where the time of pretended devices says
nothing.
"""

import functools
import json
import pathlib
import sys
import tempfile
import time

import numpy as np

from benchmarks import measuring

STEPS = 50  # of a call


# --- Commands ----------------------------------------------------------------


def measure_commands(report, quick):
  """A command with an empty cache of programs, a full one, and no work left."""
  turns = 1 if quick else 3
  words = ('experiments.c_mixup', '--config=configs/c_mixup.py:smoke')
  cold, warm, done = [], [], []
  for _ in range(turns):
    with tempfile.TemporaryDirectory() as folder:
      at = lambda name, folder=folder: f'--workdir={folder}/{name}'
      run = functools.partial(measuring.run, *words, cache=f'{folder}/cache')
      cold.append(run(at('a'))[0])
      warm.append(run(at('b'))[0])
      done.append(run(at('a'))[0])
  report('command, smoke study: nothing compiled before', 's', cold)
  report('command, smoke study: compiled before', 's', warm)
  report('command, smoke study: finished before', 's', done)


# --- One network, trained ----------------------------------------------------


def regression(num_rows, width, seeds, batch_size=64, num_inputs=32):
  """`fit(num_steps, **more)` of an MLP on generated rows, and its source."""
  import jax
  import jax.numpy as jnp
  import optax

  from assay import train
  from assay.data import tabular
  from assay.models import mlp

  rng = np.random.default_rng(0)
  shared = {'x': rng.standard_normal((num_rows, num_inputs), np.float32),
            'y': rng.standard_normal((num_rows, 1), np.float32)}
  orders = [tabular.epoch_items(num_rows, batch_size, seed) for seed in seeds]
  source = train.Source(shared, {}, lambda i, *steps: orders[i](*steps))
  model = mlp.MLP(width)
  tx = optax.adam(1e-3)

  def loss_fn(params, extra, batch, key):
    del key
    out = model.apply({'params': params}, batch['x'])
    return jnp.mean((out - batch['y'])**2), (extra, {})

  draw = lambda shared, own, item, key: {k: v[item] for k, v in shared.items()}
  init = train.make_init(
      lambda key: model.init(key, jnp.zeros((1, num_inputs))), tx)
  step = train.make_step(jax.value_and_grad(loss_fn, has_aux=True), tx)

  def fit(num_steps, directory=None, draw=draw, source=source, **settings):
    return train.fit(
        init, step, draw, source, seeds=seeds, num_steps=num_steps,
        eval_every=STEPS, directory=directory, settings=train.Settings(
            **{'steps_per_call': STEPS} | settings))

  return fit, source


def seconds_of_calls(fit, num_calls, **more):
  """Seconds of each call of a fit but the first, which compiles."""
  times = []
  fit(STEPS * (num_calls + 1), progress=lambda *_: times.append(
      time.perf_counter()), **more)
  return np.diff(times)


def measure_saves(report, quick):
  """What a save takes from training, beside it."""
  width, calls = (64, 3) if quick else (1024, 12)
  fit, _ = regression(2_000, width, (0,))
  extra, restored = [], []
  for _ in range(1 if quick else 3):
    with tempfile.TemporaryDirectory() as folder:
      plain = seconds_of_calls(fit, calls)
      saving = seconds_of_calls(fit, calls, directory=folder, save_every=0.)
      extra.append(saving.sum() / calls - plain.sum() / calls)
      start = time.perf_counter()
      fit(STEPS * (calls + 1), directory=folder)  # nothing is left to do
      restored.append(time.perf_counter() - start)
  size = 3 * 4 * ((32 + 1 + width + 1) * width + width + 1) / 1e6
  report(f'a save of {size:.3g} MB beside training takes', 'ms',
         1000 * np.array(extra))
  report('of the time, at a save a minute', '%', 100 * np.array(extra) / 60,
         at_most=3)
  report('restoring it, with what comes before', 's', restored)


def measure_seeds(report, quick):
  """Seeds mapped in one program, against one."""
  calls, single = (2 if quick else 10), {}
  for num_seeds in (1, 4) if quick else (1, 2, 4, 8, 16, 32, 64):
    fit, _ = regression(1_000, 64, tuple(range(num_seeds)))
    times = seconds_of_calls(fit, calls, seed_map='vmap') / STEPS
    single.setdefault('time', np.median(times))
    peak = _peak(fit)
    single.setdefault('peak', peak)
    against = f'{num_seeds} mapped seeds / {num_seeds} x that of one'
    report(f'a step of {against}', '',
           times / (num_seeds * single['time']), at_most=1)
    report(f'memory of {against}', '', [peak / (num_seeds * single['peak'])])


def _peak(fit, name='peak', **settings):
  """Of the training call, as a dry run finds it."""
  from assay.train import dry_run

  try:
    fit(STEPS, dry_run=functools.partial(dry_run.stop, '', (0,)), **settings)
  except dry_run.DryRun as stopped:
    return stopped.figures['calls']['training'][name]
  raise AssertionError('a dry run that trains')


def measure_rows(report, quick):
  """A step by the number of rows that lie on the device."""
  calls, base = (2 if quick else 10), None
  for num_rows in (10**3, 10**4) if quick else (10**3, 10**4, 10**5, 10**6):
    fit, _ = regression(num_rows, 64, (0,))
    times = seconds_of_calls(fit, calls) / STEPS
    base = base or np.median(times)
    report(f'{num_rows:,} rows: a step', 'us', 1e6 * times)
    report(f'{num_rows:,} rows: memory of a device', 'MB',
           [_peak(fit) / 1e6])


def measure_results(report, quick):
  """Writing and reading result rows."""
  from assay import disk, results

  row = {'paper': 'made_up', 'config': 'small', 'run': '0123abcd',
         'dataset': 'airfoil', 'method': 'erm', 'split': 'test', 'group': '',
         'n': 100, 'step': 10, 'state': 'best'}
  run = {'seed_varies': 'fresh', 'planned_seeds': 10, 'scale': 'reduced'}
  for count in (10**3,) if quick else (10**3, 10**4, 10**5):
    with tempfile.TemporaryDirectory() as folder:
      folder = pathlib.Path(folder)
      disk.write_json(folder / 'runs' / '0123abcd.json', run)
      start = time.perf_counter()
      file = folder / 'rows' / 'erm.0.jsonl'
      results.write(file, (
          row | {'metric': f'm{i // 10}', 'seed': i % 10, 'value': i / 7}
          for i in range(count)))
      written = time.perf_counter()
      found = results.read([folder])
      seconds = time.perf_counter() - written
      plain = time.perf_counter()
      for line in file.read_bytes().splitlines():
        json.loads(line)
      plain = time.perf_counter() - plain
      report(f'{count:,} result rows: writing', 's', [written - start])
      report(f'{count:,} result rows: reading', 's', [seconds])
      report(f'{count:,} result rows: reading / json.loads', '',
             [seconds / plain], at_most=None if quick else 15)
      assert len(found) == count


# --- A transformer -----------------------------------------------------------


def transformer(num_layers, scanned, width=32):
  """(init, loss) of a language model on random tokens."""
  import jax
  import jax.numpy as jnp

  from assay.models import transformer as models

  model = models.Transformer(
      width=width, num_layers=num_layers, num_heads=4, num_outputs=16,
      scan_layers=scanned)
  x = jnp.zeros((2, 32, 16))

  def loss(params):
    return jnp.mean(model.apply({'params': params}, x)**2)

  init = lambda: model.init(jax.random.key(0), x)['params']
  return init, loss


def measure_depth(report, quick):
  """Compile time of a gradient by depth; scanned layers are one layer."""
  import jax

  depths = (2, 4) if quick else (2, 4, 8, 16)
  jax.config.update('jax_enable_compilation_cache', False)
  for scanned in (True, False):
    form, first = 'scanned' if scanned else 'unrolled', None
    for depth in depths:
      init, loss = transformer(depth, scanned)
      params, times = jax.eval_shape(init), []
      for _ in range(1 if quick else 3):
        jax.clear_caches()
        start = time.perf_counter()
        jax.jit(jax.grad(loss)).lower(params).compile()
        times.append(time.perf_counter() - start)
      first = first or np.median(times)
      target = {'at_most': 1.5} if scanned else {}
      report(f'{form} layers, {depth}: compiling / that of {depths[0]}', '',
             np.array(times) / first, **target)
  jax.config.update('jax_enable_compilation_cache', True)


MESHES = ('seed:8', 'data:8', 'model:2,data:4', 'model:4,data:2')


def measure_meshes(report, quick):
  """What eight devices exchange in a step of the full-size GPICL."""
  import subprocess

  program = ('import sys; from benchmarks import scaling; '
             'scaling.print_exchange(sys.argv[1])')
  for mesh in MESHES[:1] if quick else MESHES:
    done = subprocess.run(
        [sys.executable, '-c', program, mesh], cwd=measuring.ROOT,
        capture_output=True, text=True, check=False)
    if done.returncode:
      raise subprocess.CalledProcessError(done.returncode, done.args,
                                          done.stdout + done.stderr)
    count, size, held = map(float, done.stdout.split())
    report(f'gpicl full on {mesh}: collectives in a step', '', [count])
    report(f'gpicl full on {mesh}: exchanged in a step, a device', 'MB',
           [size / 1e6])
    report(f'gpicl full on {mesh}: held, a device', 'MB', [held / 1e6])


def print_exchange(mesh):
  """Collectives, their bytes and those held, of a mesh of eight devices."""
  from assay import cli, papers, train
  from assay.study import Study, replaced
  from assay.train import dry_run

  seeds = 8 if 'seed' in mesh else 1
  sizes = cli.set_up_devices(mesh, seeds, pretend=True)
  config = replaced(papers.configs('gpicl').get_config('full'),
                    {'arms': ('transformer',)})
  study = Study('gpicl', 'full', config, num_seeds=seeds, settings=(
      train.Settings(mesh=sizes, dry_run=dry_run.stop)))
  try:
    papers.load('gpicl').run(config, study)
  except dry_run.DryRun as stopped:
    call = stopped.figures['calls']['training']
    found = call['collectives'].values()
    print(sum(count for count, _ in found), sum(size for _, size in found),
          call['peak'])


# --- Streams -----------------------------------------------------------------


def measure_streams(report, quick):
  """Images a second that are read and decoded, by worker processes."""
  from assay.data import stream, tabular

  num, batch_size = (512, 64) if quick else (10_000, 250)
  rng = np.random.default_rng(0)
  # Smooth, so that they compress as photographs do.
  coarse = rng.integers(0, 256, (num, 8, 8, 3)).astype(np.uint8)
  x = coarse.repeat(8, axis=1).repeat(8, axis=2)
  order = tabular.epoch_items(num, batch_size, 0)
  with tempfile.TemporaryDirectory() as folder:
    stream.write(pathlib.Path(folder), (
        stream.encode_image(image, 0) for image in x), 4)
    records = stream.array_records(folder)
    for num_workers in (0, 1, 2):
      read = stream.streamed(lambda i, *steps: order(*steps), records,
                             stream.decode_image, num_workers)
      times = []
      for t in range(4 if quick else 60):
        start = time.perf_counter()
        read(0, t, t + 1, slice(0, batch_size))
        times.append(time.perf_counter() - start)
      steady = np.array(times[len(times) // 2:])
      # What was read ahead comes at once: only a sum says how fast it goes.
      report(f'64 x 64 images streamed, {num_workers} workers', '1/s',
             [batch_size * len(steady) / steady.sum()])
  times = []
  for t in range(20):
    start = time.perf_counter()
    x[order(t, t + 1)[0]]
    times.append(time.perf_counter() - start)
  report('64 x 64 images gathered in memory', '1/s',
         batch_size / np.array(times))


# --- A GPU -------------------------------------------------------------------


def measure_gpu(report, quick):
  """Share of the peak of matrix products, and bfloat16 against float32."""
  import jax
  import jax.numpy as jnp

  if jax.default_backend() != 'gpu':
    print('gpu: there is none here', flush=True)
    return
  from assay.models import transformer as models

  def seconds(function, *args):
    jax.block_until_ready(function(*args))
    times = []
    for _ in range(3 if quick else 20):
      start = time.perf_counter()
      jax.block_until_ready(function(*args))
      times.append(time.perf_counter() - start)
    return np.array(times)

  side = 8192
  square = jnp.ones((side, side), jnp.bfloat16)
  peak = 2 * side**3 / seconds(jax.jit(jnp.dot), square, square).min()
  report('matrix product of 8192, bfloat16', 'TF/s', [peak / 1e12])
  x, times = jnp.ones((128, 100, 794)), {}
  for dtype in (jnp.float32, jnp.bfloat16):
    model = models.Transformer(width=256, num_layers=4, num_heads=8,
                               num_outputs=10, dtype=dtype)
    params = model.init(jax.random.key(0), x)['params']
    gradient = jax.jit(jax.grad(lambda p, model=model: jnp.mean(model.apply(
        {'params': p}, x).astype(jnp.float32)**2)))
    compiled = gradient.lower(params).compile()
    times[dtype] = seconds(compiled, params)
    rate = compiled.cost_analysis()['flops'] / times[dtype]
    report(f'gradient of the full-size GPICL, {jnp.dtype(dtype)}: of the peak',
           '%', 100 * rate / peak)
  report('float32 / bfloat16, time of that gradient', '',
         times[jnp.float32] / times[jnp.bfloat16])


MEASURES = {'commands': measure_commands, 'meshes': measure_meshes,
            'saves': measure_saves, 'seeds': measure_seeds,
            'rows': measure_rows, 'results': measure_results,
            'depth': measure_depth, 'streams': measure_streams,
            'gpu': measure_gpu}


if __name__ == '__main__':
  sys.exit(measuring.main(
      sys.argv[1:], 'scaling', 'Measures what scale costs; some ten minutes on '
      'two cores.', MEASURES))
