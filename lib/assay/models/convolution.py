"""Convolutions of images that are fast on a CPU, too.

`Conv` is Flax's, with its names and initial values of parameters. On all other
devices it is `lax.conv_general_dilated`, to the letter. XLA's CPU compiler has
fast kernels for few convolutions. Up to a hundred times slower are gradients of
kernels in a network, gradients of inputs inside any loop, and mapped kernels,
which make grouped convolutions. Hence on a CPU

* few channels, and types other than float32, are patches times the kernel;
* the gradient of a kernel is that of the outputs times such patches;
* the gradient of an input is a convolution with the kernel turned around, or
  with strides the products of outputs and kernel, added up in their places;
* mapped kernels are taken one after another.

Patches are made of a chunk of the batch at a time, so that they stay in a
core's cache. The three are primitives, each a transpose of the others: all
derivatives (forward over reverse, too), `vmap` and `jit` hold for them.
"""

import functools
import math
from typing import Any

from flax import linen as nn
import jax
from jax import lax
from jax.extend import core
from jax.interpreters import ad, batching, mlir
import jax.numpy as jnp
import numpy as np

CHUNK = 3 * 2**19  # bytes of patches that are made at once, at most
FEW = 8  # channels below which XLA's kernels for CPUs are slow
NHWC = ('NHWC', 'HWIO', 'NHWC')


def convolve(lhs, rhs, window_strides, padding, lhs_dilation=None,
             rhs_dilation=None, dimension_numbers=NHWC, feature_group_count=1,
             precision=None):
  """`lax.conv_general_dilated`, in the form that is fast on the device.

  Args: as of `lax.conv_general_dilated`; without dilation and groups, as only
    these have such a form.
    lhs: [B, H, W, C] float.
    rhs: [h, w, C, O], of the same type.

  Returns:
    [B, H', W', O], of the same type.

  Raises:
    ValueError: there is a dilation or a group, or axes are in another order.
  """
  numbers = lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
  if {*(lhs_dilation or ()), *(rhs_dilation or ()), feature_group_count} != {1}:
    raise ValueError(
        f'lhs_dilation={lhs_dilation}, rhs_dilation={rhs_dilation}, '
        f'feature_group_count={feature_group_count}: all must be 1; use '
        'lax.conv_general_dilated.')
  if lhs.ndim != 4 or numbers != lax.conv_dimension_numbers(
      lhs.shape, rhs.shape, NHWC):
    raise ValueError(f'{lhs.shape} and {rhs.shape} with {dimension_numbers}: '
                     'use [B, H, W, C], [h, w, C, O] and NHWC, HWIO, NHWC.')
  if isinstance(padding, str):
    padding = lax.padtype_to_pads(
        lhs.shape[1:3], rhs.shape[:2], window_strides, padding)
  return _convolve.bind(
      lhs, rhs, strides=tuple(window_strides),
      padding=tuple(map(tuple, padding)), window=rhs.shape[:2],
      size=lhs.shape[1:3],
      precision=precision or jax.config.jax_default_matmul_precision)


class Conv(nn.Conv):
  """Flax's `Conv` of images, by `convolve`."""
  conv_general_dilated: Any = convolve


# --- Everywhere but on a CPU --------------------------------------------------


def _plain(x, w, *, strides, padding, precision, **_):
  return lax.conv_general_dilated(
      x, w, strides, padding, dimension_numbers=NHWC, precision=precision)


def _plain_input(g, w, **how):
  x = jax.ShapeDtypeStruct((len(g), *how['size'], w.shape[2]), g.dtype)
  return jax.linear_transpose(lambda x: _plain(x, w, **how), x)(g)[0]


def _plain_kernel(x, g, **how):
  w = jax.ShapeDtypeStruct((*how['window'], x.shape[3], g.shape[3]), x.dtype)
  return jax.linear_transpose(lambda w: _plain(x, w, **how), w)(g)[0]


# --- On a CPU -----------------------------------------------------------------


def _on_cpu(x, w, **how):
  few = x.shape[3] < FEW or x.dtype != jnp.float32
  if not few and how['window'] != (1, 1):
    return _plain(x, w, **how)
  shape = jax.eval_shape(functools.partial(_plain, **how), x, w).shape

  def one(x):
    y = _product(_patches(x, **how), w.reshape(-1, shape[3]), (1, 0))
    return y.astype(x.dtype).reshape(len(x), *shape[1:])

  return _in_chunks(one, x, _chunk(x, shape, how['window']))


def _on_cpu_input(g, w, **how):
  places = list(zip(how['window'], how['padding'], how['strides'], how['size'],
                    g.shape[1:3], strict=True))
  turned = tuple((k - 1 - low, size + low - n)
                 for k, (low, _), _, size, n in places)
  if how['strides'] == (1, 1) and min(map(min, turned)) >= 0:
    return _on_cpu(g, jnp.flip(w, (0, 1)).swapaxes(2, 3),
                   **how | {'padding': turned})

  def one(g):
    each = _product(g.reshape(-1, g.shape[3]), w.reshape(-1, g.shape[3]),
                    (1, 1)).reshape(*g.shape[:3], *w.shape[:3])
    x = 0
    for at in np.ndindex(*how['window']):
      spread = [(i - low, size + low - i - (n - 1) * stride - 1, stride - 1)
                for i, (_, (low, _), stride, size, n) in zip(
                    at, places, strict=True)]
      x += lax.pad(each[:, :, :, *at], jnp.zeros((), each.dtype),
                   [(0, 0, 0), *spread, (0, 0, 0)])
    return x.astype(g.dtype)

  return _in_chunks(one, g, _chunk(g, g.shape, how['window'], w.shape[2]))


def _on_cpu_kernel(x, g, **how):

  def one(x, g):
    return _product(g.reshape(-1, g.shape[3]), _patches(x, **how), (0, 0))

  kernel = (*how['window'], x.shape[3], g.shape[3])
  size = _chunk(x, g.shape, how['window'],
                at_least=math.prod(kernel) * x.dtype.itemsize)
  (xs, gs), (rest_x, rest_g) = zip(_cut(x, size), _cut(g, size), strict=True)
  first = jax.eval_shape(one, xs[0], gs[0])
  total, _ = lax.scan(lambda total, xg: (total + one(*xg), None),
                      jnp.zeros(first.shape, first.dtype), (xs, gs))
  if len(rest_x):
    total += one(rest_x, rest_g)
  return total.T.reshape(kernel).astype(x.dtype)


def _patches(x, *, strides, padding, window, **_):
  """[B * H' * W', h * w * C]: what each output reads, as kernels order it."""
  x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
  spans = [range(0, size - k + 1, s) for size, k, s in zip(
      x.shape[1:3], window, strides, strict=True)]
  down, right = (lambda i, r=r: slice(i, i + r[-1] + 1, r.step) for r in spans)
  patches = jnp.concatenate([x[:, down(i), right(j)]
                             for i, j in np.ndindex(*window)], axis=3)
  return patches.reshape(-1, patches.shape[3])


def _product(a, b, contracted):
  """[M, N], summed in float32 at least."""
  return lax.dot_general(
      a, b, (([contracted[0]], [contracted[1]]), ((), ())),
      preferred_element_type=jnp.promote_types(a.dtype, jnp.float32))


def _chunk(x, outputs, window, channels=None, at_least=0):
  """Examples of a chunk; they divide the batch where such a number is near.

  Args:
    x: [B, H, W, C], of which patches are made.
    outputs: [B, H', W', ...], the shape of the outputs.
    window: (h, w).
    channels: of a patch, if not C.
    at_least: bytes that patches may have in any case.
  """
  if window == (1, 1):  # as large as x
    return len(x)
  example = math.prod((*outputs[1:3], *window, channels or x.shape[3],
                       x.dtype.itemsize))
  size = min(len(x), max(1, max(CHUNK, at_least) // max(1, example)))
  near = (n for n in range(size, size // 2, -1) if len(x) % n == 0)
  return next(near, size)


def _cut(x, size):
  """([n, size, ...] whole chunks, [r, ...] the rest)."""
  whole = len(x) - len(x) % size
  return x[:whole].reshape(-1, size, *x.shape[1:]), x[whole:]


def _in_chunks(function, x, size):
  """`function(x)`, of so many examples at once."""
  chunks, rest = _cut(x, size)
  y = lax.map(function, chunks)
  y = y.reshape(-1, *y.shape[2:])
  return jnp.concatenate([y, function(rest)]) if len(rest) else y


# --- Primitives ---------------------------------------------------------------

# Each of the two operands may have an axis in front, over which all is mapped.


def _mapped(function, a, b, **how):
  axes = tuple(0 if v.ndim == 5 else None for v in (a, b))
  function = functools.partial(function, **how)
  return function(a, b) if axes == (None, None) else jax.vmap(
      function, axes)(a, b)


def _in_turn(function, a, b, **how):
  function = functools.partial(function, **how)
  if a.ndim == b.ndim == 4:
    return function(a, b)
  if a.ndim == 4:
    return lax.map(lambda b: function(a, b), b)
  if b.ndim == 5:
    return lax.map(lambda both: function(*both), (a, b))
  if function.func is _on_cpu_kernel:
    return lax.map(lambda a: function(a, b), a)
  y = function(a.reshape(-1, *a.shape[2:]), b)
  return y.reshape(*a.shape[:2], *y.shape[1:])


def _batched(bind, operands, dims, **how):
  """The rule of `vmap`; a second axis is joined with the first."""
  n = next(v.shape[d] for v, d in zip(operands, dims, strict=True)
           if d is not None)
  front = [v if d is None else jnp.moveaxis(v, d, 0)
           for v, d in zip(operands, dims, strict=True)]
  before = [v.ndim - (d is not None) == 5
            for v, d in zip(front, dims, strict=True)]
  if not any(before):
    return bind(*front, **how), 0
  m = next(v.shape[d is not None] for v, d, was in zip(
      front, dims, before, strict=True) if was)
  joined = []
  for v, d, was in zip(front, dims, before, strict=True):
    if d is None:
      v = jnp.broadcast_to(v, (n, *v.shape))
    if not was:
      v = jnp.broadcast_to(v[:, None], (n, m, *v.shape[1:]))
    joined.append(v.reshape(n * m, *v.shape[2:]))
  y = bind(*joined, **how)
  return y.reshape(n, m, *y.shape[1:]), 0


def _primitive(name, plain, on_cpu):
  """A function of two arrays, in one form on a CPU and in one elsewhere."""
  primitive = core.Primitive(name)

  @primitive.def_abstract_eval
  def _(a, b, **how):
    y = jax.eval_shape(functools.partial(_mapped, plain, **how), *(
        jax.ShapeDtypeStruct(v.shape, v.dtype) for v in (a, b)))
    return jax.core.ShapedArray(y.shape, y.dtype)

  primitive.def_impl(jax.jit(
      primitive.bind, static_argnames=(
          'strides', 'padding', 'window', 'size', 'precision')))
  batching.primitive_batchers[primitive] = functools.partial(
      _batched, primitive.bind)
  for form, platform in (functools.partial(_mapped, plain), None), (
      functools.partial(_in_turn, on_cpu), 'cpu'):
    mlir.register_lowering(primitive, mlir.lower_fun(
        form, multiple_results=False), platform)
  return primitive


_convolve = _primitive('convolve', _plain, _on_cpu)
_input = _primitive('convolve_input', _plain_input, _on_cpu_input)
_kernel = _primitive('convolve_kernel', _plain_kernel, _on_cpu_kernel)


def _transposes(primitive, first, second):
  """Says what of (result, other operand) are gradients of both operands."""

  def rule(bind, operand, ct, other, **how):
    y = bind(ct, other, **how)
    return y if y.ndim == operand.aval.ndim else y.sum(0)

  ad.defbilinear(
      primitive, lambda ct, a, b, **how: rule(first, a, ct, b, **how),
      lambda ct, a, b, **how: rule(second, b, ct, a, **how))


def _turned(bind):
  return lambda a, b, **how: bind(b, a, **how)


_transposes(_convolve, _input.bind, _turned(_kernel.bind))
_transposes(_input, _convolve.bind, _kernel.bind)
_transposes(_kernel, _turned(_input.bind), _turned(_convolve.bind))
