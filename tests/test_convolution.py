"""Convolutions: those of `lax`, with all derivatives, and mapped."""

import functools
import itertools
import re

from flax import linen as nn
import jax
from jax import lax
import jax.numpy as jnp
import kinds
import numpy as np
import pytest

from assay.models import convolution

PADDINGS = ('SAME', 'VALID', ((1, 1), (1, 1)), ((0, 3), (4, 1)))


def ours(x, w, strides=(1, 1), padding='SAME'):
  return convolution.convolve(x, w, strides, padding)


def lax_own(x, w, strides=(1, 1), padding='SAME'):
  return lax.conv_general_dilated(x, w, strides, padding,
                                  dimension_numbers=convolution.NHWC)


def arrays(*shapes, dtype=np.float32):
  rng = np.random.default_rng(0)
  return [jnp.asarray(rng.normal(size=shape), dtype) for shape in shapes]


def same(got, want, tolerance=1e-5):
  """Up to the tolerance of the largest value."""
  assert jax.tree.structure(got) == jax.tree.structure(want)
  for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
    assert a.dtype == b.dtype and a.shape == b.shape
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    np.testing.assert_allclose(
        a, b, rtol=0, atol=tolerance * max(1, np.abs(b).max(initial=0)))


def op_by_op(function, x, w, **how):
  """The value, and the gradients of a sum whose cotangents differ."""

  def total(x, w):
    y = function(x, w, **how)
    weights = jnp.cos(jnp.arange(y.size)).reshape(y.shape).astype(y.dtype)
    return jnp.sum(y * weights), y

  grads, y = jax.grad(total, (0, 1), has_aux=True)(x, w)
  return y, grads


def value_and_gradients(function, x, w, **how):
  """The same as one program."""
  return jax.jit(functools.partial(op_by_op, function, **how))(x, w)


# Few channels are made patches of, many are left to XLA's kernel.
@pytest.mark.parametrize('channels, window', [
    (3, (3, 3)), (8, (2, 3)), *kinds.nightly(
        (3, (1, 1)), (8, (1, 1)), (8, (3, 3)), (3, (2, 3)), (3, (5, 1)),
        (8, (5, 1)))])
def test_values_and_gradients_are_those_of_lax(channels, window):
  for strides, padding in itertools.product(
      ((1, 1), (2, 2), (3, 1)), PADDINGS):
    x, w = arrays((3, 9, 7, channels), (*window, channels, 4))
    how = dict(strides=strides, padding=padding)
    want = value_and_gradients(lax_own, x, w, **how)
    same(value_and_gradients(ours, x, w, **how), want)
    if strides == (2, 2):
      same(op_by_op(ours, x, w, **how), want)


@pytest.mark.parametrize('batch', [1, 7, *kinds.nightly(5, 12)])
@pytest.mark.parametrize('channels', [3, 8])
@pytest.mark.parametrize('strides', [(1, 1), (2, 2)])
def test_chunks_of_any_number(batch, channels, strides, monkeypatch):
  # Patches of 2 examples in a chunk: 7 leave a rest.
  monkeypatch.setattr(convolution, 'CHUNK', 2 * 8 * 8 * 9 * channels * 4)
  x, w = arrays((batch, 8, 8, channels), (3, 3, channels, 8))
  same(value_and_gradients(ours, x, w, strides=strides),
       value_and_gradients(lax_own, x, w, strides=strides))


@pytest.mark.parametrize('dtype, tolerance', [
    (jnp.float64, 1e-12), (jnp.float32, 1e-5), (jnp.bfloat16, 2e-2),
    (jnp.float16, 5e-3)])
@pytest.mark.parametrize('strides', [(1, 1), (2, 2)])
def test_types(dtype, tolerance, strides):
  with jax.enable_x64(dtype == jnp.float64):
    x, w = arrays((4, 8, 8, 8), (3, 3, 8, 4), dtype=dtype)
    same(value_and_gradients(ours, x, w, strides=strides),
         value_and_gradients(lax_own, x, w, strides=strides), tolerance)


@pytest.mark.parametrize('axes', [(0, 0), (0, None), (None, 0), (3, 1)])
@pytest.mark.parametrize('strides', [(1, 1), (2, 2)])
def test_mapped(axes, strides):
  n = 3
  shapes = [(4, 6, 6, 5), (3, 3, 5, 4)]
  x, w = arrays(*(shape if axis is None else (*shape[:axis], n, *shape[axis:])
                  for shape, axis in zip(shapes, axes, strict=True)))
  mapped = lambda f: lambda x, w: jax.vmap(
      functools.partial(f, strides=strides), axes)(x, w)
  # The gradient of a mapped function, and the mapped gradient.
  same(value_and_gradients(mapped(ours), x, w),
       value_and_gradients(mapped(lax_own), x, w))
  each = lambda f: jax.jit(jax.vmap(functools.partial(
      op_by_op, f, strides=strides), axes))
  same(each(ours)(x, w), each(lax_own)(x, w))


@pytest.mark.parametrize('outer, inner', [
    ((0, 0), (0, 0)), ((0, None), (None, 0)), ((None, 0), (0, 0)),
    ((0, 0), (0, None))])
def test_mapped_twice(outer, inner):
  shapes, sizes = [(2, 5, 5, 3), (3, 3, 3, 4)], (2, 3)
  x, w = arrays(*((*(n for n, axes in zip(sizes, (outer, inner), strict=True)
                     if axes[i] is not None), *shape)
                  for i, shape in enumerate(shapes)))
  twice = lambda f: jax.jit(jax.vmap(jax.vmap(functools.partial(
      op_by_op, f), inner), outer))
  same(twice(ours)(x, w), twice(lax_own)(x, w))


@pytest.mark.parametrize('strides', [(1, 1), (2, 2)])
def test_second_derivatives(strides):
  x, w = arrays((2, 5, 5, 3), (3, 3, 3, 4))
  vectors = arrays(x.shape, w.shape)

  def loss(function):
    return lambda x, w: jnp.sum(jnp.sin(function(x, w, strides=strides)))

  def products(function):
    gradient = jax.grad(loss(function), (0, 1))

    @jax.jit
    def both(x, w):
      forward = jax.jvp(gradient, (x, w), tuple(vectors))
      reverse = jax.grad(lambda *both: sum(
          jnp.vdot(g, v) for g, v in zip(gradient(*both), vectors,
                                         strict=True)), (0, 1))(x, w)
      return forward, reverse

    return both(x, w)

  forward, reverse = products(ours)
  same((forward, reverse), products(lax_own), 1e-4)
  same(forward[1], reverse, 1e-4)


def test_parameters_are_those_of_flax():
  x, = arrays((2, 8, 8, 3))
  for how in (dict(), dict(strides=2, padding=1, use_bias=False),
              dict(strides=(1, 2), padding='VALID', dtype=jnp.bfloat16)):

    class Net(nn.Module):
      made: type
      how: dict

      @nn.compact
      def __call__(self, x):
        return self.made(4, (3, 3), **self.how)(x)

    (got, mine), (want, theirs) = (
        Net(made, how).init_with_output(jax.random.key(0), x)
        for made in (convolution.Conv, nn.Conv))
    same(got, want, 1e-2 if 'dtype' in how else 1e-5)
    same(mine, theirs, 0)


def lowered(function, platform, *args):
  return jax.jit(function).trace(*args).lower(
      lowering_platforms=(platform,)).as_text()


@pytest.mark.parametrize('platform', ['cuda', 'tpu'])
@pytest.mark.parametrize('precision', [None, 'highest'])
def test_other_devices_get_the_program_of_lax(platform, precision):
  x, w = arrays((2, 6, 6, 3), (3, 3, 3, 4))

  def text(function, mapped):
    step = lambda x, w: op_by_op(function, x, w, strides=(2, 2))
    with jax.default_matmul_precision(precision):
      if not mapped:
        return lowered(step, platform, x, w)
      return lowered(jax.vmap(step), platform, *(
          jnp.stack([v] * 3) for v in (x, w)))

  assert text(ours, False) == text(lax_own, False)
  # Mapped, axes are moved at other places, and the convolutions are the same.
  of = lambda text: sorted(re.findall(
      r'stablehlo.convolution\(.*?\)(.*)', text))
  assert of(text(ours, True)) == of(text(lax_own, True)) != []


def test_memory_of_patches_is_bounded():
  x, w = arrays((256, 32, 32, 3), (3, 3, 3, 16))
  used = lambda f: jax.jit(f).lower(x, w).compile().memory_analysis(
      ).temp_size_in_bytes
  assert used(ours) < 4 * convolution.CHUNK + 2 * x.nbytes
  mapped = lambda x, w: op_by_op(jax.vmap(ours, (None, 0)), x, w)
  assert used(lambda x, w: mapped(x, jnp.stack([w] * 10))) < 10 * (
      4 * 256 * 32 * 32 * 16 * 4)


@pytest.mark.parametrize('bad, message', [
    (dict(rhs_dilation=(2, 2)), r'rhs_dilation=\(2, 2\).*conv_general_dilated'),
    (dict(feature_group_count=3), 'feature_group_count=3'),
    (dict(dimension_numbers=('NCHW', 'OIHW', 'NCHW')), 'NHWC')])
def test_what_has_no_such_form_is_said(bad, message):
  x, w = arrays((2, 6, 6, 3), (3, 3, 3, 3))
  with pytest.raises(ValueError, match=message):
    convolution.convolve(x, w, (1, 1), 'SAME', **bad)
