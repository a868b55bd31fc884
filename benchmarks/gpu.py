"""Speed on a GPU; a miss is no error.

  python -m benchmarks.gpu [--only=resnet,transformer] [--quick] [--json=FILE]

ResNet-18 and the transformer are trained by the loop as studies train them,
and by steps written by hand for this comparison, see `reference_images` and
`in_context`. What is compared takes turns in one process, after a call that
compiles, and each call is waited for; a line gives the median and the extremes.
Data are generated. What is most worth knowing comes first.
"""

import functools
import os
import subprocess
import sys
import tempfile
import time
from unittest import mock

# A process that is started here has to have memory, too.
os.environ.setdefault('XLA_PYTHON_CLIENT_PREALLOCATE', 'false')

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from assay import papers, train
from assay.methods import calibrators, sam
from assay.metrics import calibration
from assay.models import blocks
from assay.study import replaced
from assay.testbeds import in_context, vision, vision_nets
from assay.train import loop
from benchmarks import in_context as sequences
from benchmarks import measuring, reference_images, scaling


def steps(quick):
  """Steps of a call."""
  return 2 if quick else 50


# --- Turns -------------------------------------------------------------------


class Planned:
  """Stands where a testbed has a block: of what it would fit, the `Run`."""

  def __init__(self, quick, num_seeds=1, steps_per_call=None, seed_map=None):
    self.seeds, self._steps = tuple(range(num_seeds)), steps(quick)
    self._settings = train.Settings(
        steps_per_call=steps_per_call or self._steps, seed_map=seed_map)

  def fit(self, stage, config, init, step, draw, source, *, num_steps,
          eval_every, rules=()):
    del stage, config, num_steps, eval_every
    return loop.Run(loop.make_plan(
        init, step, draw, source, seeds=self.seeds, settings=self._settings,
        num_steps=10**5 * self._steps, eval_every=self._steps, select=None,
        watch=None, rules=rules))


def calls_of(run):
  """`() -> None`: the next steps of a `loop.Run`, waited for; see `steps`."""
  items = run.calls()

  def call():
    for _ in range(run.plan.eval_every // run.plan.most):
      run.advance(*next(items))  # its metrics are fetched

  return call


def turns(calls, rounds):
  """{name: seconds [rounds]} of calls that take turns; each compiles before."""
  for call in calls.values():
    call()
    call()  # what a first call leaves may be placed otherwise than its start
  seconds = {name: [] for name in calls}
  for _ in range(rounds):
    for name, call in calls.items():
      start = time.perf_counter()
      call()
      seconds[name].append(time.perf_counter() - start)
  return {name: np.array(times) for name, times in seconds.items()}


def repeated(function, rounds):
  """Seconds [rounds] of a function that is waited for, compiled before."""
  return turns({'': lambda: jax.block_until_ready(function())}, rounds)['']


# --- The device --------------------------------------------------------------


@functools.cache
def peak(quick, dtype='bfloat16'):
  """Floating-point operations a second [n] of a large product of matrices."""
  size = 256 if quick else 8192
  a, b = (jax.random.normal(jax.random.key(i), (size, size), dtype)
          for i in range(2))
  # Eight products in one call, so that starting it does not count.
  product = jax.jit(lambda a: jax.lax.fori_loop(
      0, 8, lambda i, x: (b @ x) / size**.5, a).astype(a.dtype))
  return 8 * 2 * size**3 / repeated(lambda: product(a), 8)


def measure_peak(report, quick):
  """What the device does at best."""
  for dtype in ('bfloat16', 'float32'):
    report(f'a product of matrices, {dtype}', 'TFLOP/s',
           peak(quick, dtype) / 1e12)
  x = jax.random.normal(jax.random.key(0), (2**(20 if quick else 29),))
  copy = jax.jit(lambda x: x + 1)
  report('memory, read and written', 'TB/s',
         2 * x.nbytes / repeated(lambda: copy(x), 8) / 1e12)


# --- ResNet-18 ---------------------------------------------------------------


@functools.cache
def resnet(quick):
  """(config, data): CIFAR-10's recipe on made-up images, an epoch a call."""
  config = replaced(papers.configs('useful').get_config('cifar10_resnet18'), {
      'num_epochs': 10**6} | ({
          'model': 'cnn', 'width': 4, 'batch_size': 8} if quick else {}))
  num = steps(quick) * config.net.batch_size
  rng = np.random.default_rng(0)
  return config, vision_nets.Data({
      'x': rng.integers(0, 256, (num, *[8 if quick else 32] * 2, 3), np.uint8),
      'y': (np.arange(num) % 10).astype(np.int32),
      'train_rows': np.arange(num, dtype=np.int32)})


def resnet_call(quick, gradient=lambda gradient: gradient, dtype='bfloat16',
                **planned):
  """A call of the loop, as the testbed trains; see `calls_of`."""
  config, data = resnet(quick)
  return calls_of(vision.fit(
      replaced(config, {'dtype': dtype}), data, Planned(quick, **planned),
      vision.Arm(gradient=gradient)))


def resnet_by_hand(quick):
  """The same by hand."""
  config, data = resnet(quick)
  net, (mean, std) = config.net, map(np.float32, data.statistics)
  variables = vision_nets.MODELS['resnet18'](net, 10, None).init(
      jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
  params, running = variables['params'], variables['batch_stats']
  carry = (params, running, jax.tree.map(jnp.zeros_like, params), jnp.int32(0))
  advance = reference_images.trainer(
      {k: jnp.asarray(data.shared[k]) for k in 'xy'}, mean, std,
      jnp.dtype(net.dtype))
  rng = np.random.default_rng(0)

  def call():
    nonlocal carry
    items = rng.permutation(len(data.shared['y'])).astype(np.int32)
    carry, losses = advance(carry, items.reshape(steps(quick), -1))
    jax.device_get(losses)

  return call


def products_of_resnet(net):
  """Floating-point operations of a training step, those of products alone."""
  size, width = 32, net.width
  total = 9 * 3 * width * size**2
  for stage in range(4):
    before, after = width * 2**max(stage - 1, 0), width * 2**stage
    size = 32 // 2**stage
    total += size**2 * after * 9 * (before + 3 * after)
    total += size**2 * after * before * (stage > 0)  # the shortcut
  # A multiplication and an addition; forward, and backward twice as many.
  return 2 * 3 * net.batch_size * (total + 10 * after)


def measure_resnet(report, quick):
  """A step of ResNet-18 by the loop and by hand."""
  rounds, net, num = 3 if quick else 8, resnet(quick)[0].net, steps(quick)
  found = turns({'ours': resnet_call(quick), 'hand': resnet_by_hand(quick)},
                rounds)
  ours = found['ours']
  report('ResNet-18, batch of 128: a step', 'ms', 1e3 * ours / num)
  report('ResNet-18: images a second', 'k/s',
         net.batch_size * num / ours / 1e3)
  report('ResNet-18: by hand / ours, time of a step', '', found['hand'] / ours,
         at_least=0.95)
  for name in ('ours', 'hand'):
    report(f'ResNet-18: share of a product of matrices, {name}', '',
           products_of_resnet(net) * num / found[name]
           / np.median(peak(quick)))


def measure_forms(report, quick):
  """Steps in one call against called steps; bfloat16 against float32."""
  found = turns({
      'scan': resnet_call(quick), 'call': resnet_call(quick, steps_per_call=1),
      'float32': resnet_call(quick, dtype='float32')}, 3 if quick else 5)
  report('ResNet-18: called steps / steps in one call', '',
         found['call'] / found['scan'])
  report('ResNet-18: float32 / bfloat16, time of a step', '',
         found['float32'] / found['scan'])


def measure_mapped(report, quick):
  """Seeds of ResNet-18 in one program against one after another."""
  found = turns({
      'one': resnet_call(quick),
      'mapped': resnet_call(quick, num_seeds=2, seed_map='vmap')}, 3)
  report('ResNet-18: 2 mapped seeds / 2 x that of one', '',
         found['mapped'] / found['one'] / 2)


def measure_sam(report, quick):
  """SAM and m-SAM over a plain step."""
  config, _ = resnet(quick)
  ascended = lambda gradient: sam.sam(gradient, .1)
  found = turns({
      'plain': resnet_call(quick), 'SAM': resnet_call(quick, ascended),
      'm-SAM, 4 groups': resnet_call(quick, lambda gradient: sam.in_groups(
          ascended(gradient), config.net.batch_size // 4))},
                3 if quick else 5)
  for name in list(found)[1:]:
    report(f'ResNet-18: {name} / plain', '', found[name] / found['plain'],
           2.1 if name == 'SAM' else None)


# --- The transformer ---------------------------------------------------------


def gpt(quick, **fields):
  """(config, learner, shared) of GPICL's transformer, on made-up images."""
  config = replaced(papers.configs('gpicl').get_config('mnist'), fields | (
      {'width': 32, 'head_size': 8, 'batch_tasks': 4, 'length': 10}
      if quick else {}))
  rng = np.random.default_rng(0)
  return config, papers.load('gpicl').ARMS['transformer'], {
      'images': rng.standard_normal((1000 if quick else 60_000,
                                     config.net.num_inputs), np.float32),
      'labels': (np.arange(1000 if quick else 60_000) % 10).astype(np.int32)}


def gpt_call(quick, fused=True, num_seeds=1, **fields):
  """A call of the loop, as the testbed trains; see `calls_of`."""
  config, learner, shared = gpt(quick, **fields)
  chosen = mock.patch.object(
      blocks, 'causal_attention', functools.partial(
          blocks.causal_attention, fused=fused))
  with chosen:
    call = calls_of(in_context.fit(
        config, Planned(quick, num_seeds, seed_map='vmap'), learner, shared))

  def called():
    with chosen:  # the first call makes the program
      call()

  return called


def gpt_by_hand(quick):
  """The same by hand."""
  config, learner, shared = gpt(quick)
  net = config.net
  model, dtype = learner.model(net), jnp.dtype(net.dtype)
  params = model.init(jax.random.key(0), jnp.zeros(
      (1, net.length, net.num_inputs + 10)))['params']

  def loss(params, batch):
    log_p = jax.nn.log_softmax(sequences.forward(
        params, batch['tokens'], net.num_layers, dtype))
    return -jnp.mean(jnp.take_along_axis(log_p, batch['y'][..., None], -1))

  advance = sequences.by_hand(
      loss, learner.draw(net), jax.tree.map(jnp.asarray, shared),
      {'num_tasks': jnp.int32(0), 'task_seed': jnp.int32(0)}, 3e-4, 1.,
      steps(quick))
  zeros = jax.tree.map(jnp.zeros_like, params)
  carry = (params, zeros, jax.tree.map(jnp.copy, zeros), jnp.int32(0))

  def call():
    nonlocal carry
    carry, values = advance(carry)
    jax.device_get(values)

  return call


def products_of_gpt(net):
  """Floating-point operations of a training step, those of products alone."""
  inner = net.num_heads * net.head_size
  token = net.num_layers * (4 * net.width * inner + 8 * net.width**2
                            + net.length * inner)  # half the pairs, twice
  token += net.width * (net.num_inputs + 10 + 10)
  return 2 * 3 * net.batch_tasks * net.length * token


def measure_transformer(report, quick):
  """A step of GPICL's transformer by the loop and by hand."""
  rounds, net, num = 3 if quick else 8, gpt(quick)[0].net, steps(quick)
  found = turns({
      'ours': gpt_call(quick, fused=False), 'hand': gpt_by_hand(quick),
      'mapped': gpt_call(quick, fused=False, num_seeds=4)}, rounds)
  ours = found['ours']
  tokens = net.batch_tasks * net.length
  report('transformer, 12,800 tokens: a step', 'ms', 1e3 * ours / num)
  report('transformer: million tokens a second', 'M/s',
         tokens * num / ours / 1e6)
  report('transformer: by hand / ours, time of a step', '',
         found['hand'] / ours, at_least=0.95)
  report('transformer: share of a product of matrices', '',
         products_of_gpt(net) * num / ours / np.median(peak(quick)))
  report('transformer: 4 mapped seeds / 4 x that of one', '',
         found['mapped'] / ours / 4, at_most=1)
  found = turns({'plain': gpt_call(quick, fused=False),
                 'fused': gpt_call(quick)}, rounds)
  report("transformer: cuDNN's attention / XLA's, time of a step", '',
         found['fused'] / found['plain'])


def measure_attention(report, quick):
  """cuDNN's attention is the same function."""
  q, k, v = (jax.random.normal(jax.random.key(i), (8, 100, 8, 32),
                               jnp.bfloat16) for i in range(3))

  def gradients(fused, q, k, v):
    return jax.grad(lambda *x: jnp.sum(jnp.sin(blocks.causal_attention(
        *x, fused=fused).astype(jnp.float32))), (0, 1, 2))(q, k, v)

  want = jax.jit(functools.partial(gradients, False))(
      *(x.astype(jnp.float32) for x in (q, k, v)))
  for fused in (True, False):
    found = jax.jit(functools.partial(gradients, fused))(q, k, v)
    report('gradients of attention in bfloat16, relative error, '
           + ("cuDNN's" if fused else "XLA's"), '', [max(
               float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b))
               for a, b in zip(found, want, strict=True))], at_most=.02)


# --- What else depends on the device -----------------------------------------


def measure_seeds(report, quick):
  """A small MLP, 1 to 64 seeds in one program."""
  single = None
  for num_seeds in (1, 4) if quick else (1, 4, 16, 64):
    fit, _ = scaling.regression(1000, 64, tuple(range(num_seeds)))
    times = scaling.seconds_of_calls(
        fit, 2 if quick else 20, seed_map='vmap') / scaling.STEPS
    single = single or np.median(times)
    report(f'MLP of 64: {num_seeds} mapped seeds / {num_seeds} x that of one',
           '', times / (num_seeds * single), at_most=1)
  report('MLP of 64, one seed: a step', 'us', [1e6 * single])


def measure_calibration(report, quick):
  """A temperature, and the calibration error, of 50,000 x 100 logits."""
  num, rng = 1000 if quick else 50_000, np.random.default_rng(0)
  logits = rng.standard_normal((num, 100), np.float32) * 3
  labels = rng.integers(0, 100, num)
  on_device = jnp.asarray(logits), jnp.asarray(labels)
  times = repeated(lambda: calibrators.temperature.fit(*on_device), 5)
  report('temperature of 50,000 x 100 logits', 'ms', 1e3 * times)
  probs = special.softmax(logits, axis=1)
  times = repeated(lambda: calibration.expected_calibration_error(
      probs, labels), 5)
  report('calibration error of 50,000 x 100, on the host', 'ms', 1e3 * times)


def first_step(quick):
  """Prints the seconds to the first call, and those of further ones."""
  start = time.perf_counter()
  call = resnet_call(quick)
  call()
  first = time.perf_counter() - start
  print('measured', first, *repeated(call, 5), flush=True)


def measure_start(report, quick):
  """Seconds to the first step; and what --deterministic costs."""
  program = (f'import sys; sys.path.insert(0, {str(measuring.ROOT / "lib")!r})'
             f'\nfrom assay import cli\ncli.set_up_devices("", 1, %s)\n'
             f'from benchmarks import gpu\ngpu.first_step({quick})')

  # A cache that is named for this process would have been filled by it.
  plain_env = {k: v for k, v in os.environ.items()
               if k != 'JAX_COMPILATION_CACHE_DIR'}

  def of(deterministic, cache):
    done = subprocess.run(
        [sys.executable, '-c', program % deterministic], cwd=measuring.ROOT,
        env=plain_env | {'XDG_CACHE_HOME': cache}, capture_output=True,
        text=True, timeout=200)
    words = [line.split()[1:] for line in done.stdout.splitlines()
             if line.startswith('measured')]
    if not words:
      raise RuntimeError(done.stderr[-2000:])
    return np.array(words[0], float)

  with tempfile.TemporaryDirectory() as cache:
    plain, exact = of(False, cache), of(True, cache)
  report('ResNet-18: to the end of the first call of 50 steps, nothing '
         'compiled before', 's', plain[:1])
  report('ResNet-18: --deterministic / without, time of a step', '',
         exact[1:] / plain[1:])


MEASURES = {
    'peak': measure_peak, 'resnet': measure_resnet,
    'transformer': measure_transformer, 'attention': measure_attention,
    'calibration': measure_calibration, 'start': measure_start,
    'sam': measure_sam, 'mapped': measure_mapped, 'seeds': measure_seeds,
    'forms': measure_forms}


def main(argv):
  """The command; a program that is asked for again is not compiled again."""
  with tempfile.TemporaryDirectory() as cache:
    if jax.config.jax_compilation_cache_dir is None:
      jax.config.update('jax_compilation_cache_dir', cache)
    return measuring.main(
        argv, 'gpu', 'Measures training on a GPU against steps written by '
        'hand; some minutes on one H100.', MEASURES)


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
