"""Steps of image networks on a CPU: `models.convolution` against `lax`.

  python -m benchmarks.convolutions [--only=cnn,peer] [--quick] [--json=FILE]

A step of SGD is called, scanned, and mapped over seeds. Forms take turns, and
what counts is the time of all threads, so that other work on the machine says
little. Where PyTorch can be imported, its step takes turns with ours.
"""

import functools
import sys
import time

import numpy as np

from benchmarks import measuring

STEPS = 4  # of a scan


def networks():
  """name -> (network, shape of a batch)."""
  from assay.models import cnn, resnet
  return {'cnn': (cnn.CNN(), (64, 56, 28, 1)),
          'resnet8': (resnet.ResNet((1, 1, 1), 10, 16), (64, 32, 32, 3))}


def of_ours(call, args, kwargs, context):
  """An interceptor that leaves all as it is."""
  del context
  return call(*args, **kwargs)


def of_lax(call, args, kwargs, context):
  """An interceptor that has `lax` compute what `Conv` does."""
  from jax import lax

  from assay.models import convolution
  if isinstance(context.module, convolution.Conv):
    object.__setattr__(context.module, 'conv_general_dilated',
                       lax.conv_general_dilated)
  return call(*args, **kwargs)


def stepper(model, shape, interceptor):
  """`step(carry, batch) -> (carry, loss)` of SGD, its carry and a batch."""
  from flax import linen as nn
  import jax
  import jax.numpy as jnp
  import optax

  from assay import losses

  rng, tx = np.random.default_rng(0), optax.sgd(.05, .9)
  batch = {'x': jnp.asarray(rng.normal(size=shape), jnp.float32),
           'y': jnp.asarray(rng.integers(0, 2, shape[0]))}

  def step(carry, batch):

    def loss(params, extra):
      logits, extra = model.apply({'params': params, **extra}, batch['x'],
                                  train=True, mutable=['batch_stats'])
      return jnp.mean(losses.cross_entropy(logits, batch['y'])), dict(extra)

    params, extra, opt_state = carry
    with nn.intercept_methods(interceptor):
      (value, extra), grads = jax.value_and_grad(loss, has_aux=True)(
          params, extra)
    updates, opt_state = tx.update(grads, opt_state, params)
    return (optax.apply_updates(params, updates), extra, opt_state), value

  extra = dict(model.init(jax.random.key(0), batch['x'][:1]))
  params = extra.pop('params')
  return step, (params, extra, tx.init(params)), batch


def forms(step, carry, batch, seeds):
  """form -> (a call of no arguments, the steps that it makes)."""
  import jax
  import jax.numpy as jnp
  stacked = lambda tree, n: jax.tree.map(lambda x: jnp.stack([x] * n), tree)
  scan = lambda carry, batches: jax.lax.scan(step, carry, batches)
  found = {'called': (step, carry, batch, 1),
           f'scan of {STEPS}': (scan, carry, stacked(batch, STEPS), STEPS)}
  for n in seeds:
    found[f'{n} seeds mapped'] = (
        jax.vmap(step), stacked(carry, n), stacked(batch, n), n)
  calls = {}
  for form, (function, carry, batch, steps) in found.items():
    compiled = jax.jit(function).lower(carry, batch).compile()
    calls[form] = functools.partial(
        lambda *args: jax.block_until_ready(args[0](*args[1:])),
        compiled, carry, batch), steps
  return calls


def seconds(call):
  """Of all threads."""
  start = time.process_time()
  call()
  return time.process_time() - start


def measure(name, report, quick):
  """All forms of a network."""
  model, shape = networks()[name]
  if quick:
    shape = (4, *shape[1:])
  seeds = (2,) if quick else (5, 10)
  ours, theirs = (forms(*stepper(model, shape, which), seeds)
                  for which in (of_ours, of_lax))
  for calls in (ours, theirs):
    for call, _ in calls.values():
      call()
  took = {}
  for turn in range(2 if quick else 8):
    for form, (call, steps) in ours.items():
      took.setdefault(form, []).append(seconds(call) / steps)
      if form == 'called' or turn < 2:  # of other forms one is a minute
        call, steps = theirs[form]
        took.setdefault(f'{form}, lax', []).append(seconds(call) / steps)
  for form in ours:
    mine, old = (np.array(took[form + more]) for more in ('', ', lax'))
    report(f'{name}: a step, {form}', 'CPU ms', 1e3 * mine)
    report(f'{name}: the same by lax', 'CPU ms', 1e3 * old)
    report(f'{name}: lax / ours, {form}', '', old / mine[:len(old)])
    if form != 'called':
      report(f'{name}: {form} / called', '', mine / took['called'],
             at_most=1.1)


# --- The peer -----------------------------------------------------------------


def measure_peer(report, quick):
  """PyTorch, channels last, if it is there."""
  try:
    import torch
  except ImportError:
    print('PyTorch cannot be imported: not compared.')
    return
  torch.set_num_threads(1)  # the time of threads that wait would count
  for name, (model, shape) in networks().items():
    if quick:
      shape = (4, *shape[1:])
    calls = forms(*stepper(model, shape, of_ours), ())
    calls['PyTorch'] = pytorch(name, shape), 1
    took = {form: [] for form in calls}
    for turn in range(3 if quick else 13):
      for form, (call, steps) in calls.items():
        spent = seconds(call) / steps
        if turn:
          took[form].append(spent)
    report(f'{name}: a step by PyTorch {torch.__version__}, channels last',
           'CPU ms', 1e3 * np.array(took['PyTorch']))
    for form in list(took)[:-1]:
      report(f'{name}: PyTorch / ours, {form}', '', np.divide(
          took['PyTorch'], took[form]), at_least=.8)


def pytorch(name, shape):
  """A call of one step by PyTorch."""
  import torch
  from torch import nn

  class Block(nn.Module):

    def __init__(self, before, after, stride):
      super().__init__()
      norm = lambda: nn.BatchNorm2d(after)
      self.main = nn.Sequential(
          nn.Conv2d(before, after, 3, stride, 1, bias=False), norm(), nn.ReLU(),
          nn.Conv2d(after, after, 3, 1, 1, bias=False), norm())
      self.short = nn.Identity() if stride == 1 else nn.Sequential(
          nn.Conv2d(before, after, 1, stride, bias=False), norm())

    def forward(self, x):
      return torch.relu(self.main(x) + self.short(x))

  if name == 'cnn':
    layers = [layer for before, after in ((1, 16), (16, 32), (32, 32))
              for layer in (nn.Conv2d(before, after, 3, 2, 1), nn.ReLU())]
    layers += [nn.Flatten(), nn.Linear(7 * 4 * 32, 2)]
  else:
    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16),
              nn.ReLU(), Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2),
              nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
  model = nn.Sequential(*layers).to(memory_format=torch.channels_last)
  tx = torch.optim.SGD(model.parameters(), .05, .9)
  x = torch.randn(shape[0], shape[3], *shape[1:3]).to(
      memory_format=torch.channels_last)
  y = torch.randint(0, 2, (shape[0],))

  def step():
    tx.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    tx.step()

  return step


MEASURES = {'peer': measure_peer} | {
    name: functools.partial(measure, name) for name in ('cnn', 'resnet8')}


if __name__ == '__main__':
  sys.exit(measuring.main(
      sys.argv[1:], 'convolutions', 'Measures steps of image networks on a CPU '
      'in all forms, against those of lax; five minutes on two cores.',
      MEASURES))
