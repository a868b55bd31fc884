"""What transformers are made of: a block, attention, and laws of weights."""

from collections.abc import Callable
from typing import Any, NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp

INITIALIZATIONS = ('lecun', 'width', 'gpt2')
LECUN = nn.initializers.lecun_normal()


class Laws(NamedTuple):
  """Of what weights are drawn: read-in, positions, matrices, and ways out."""
  read_in: Callable = LECUN
  positions: Callable = nn.initializers.normal(0.02)
  matrix: Callable = LECUN
  out: Callable = LECUN  # of attention and MLP, into the residual stream
  read_out: Callable = LECUN


def laws_of(initialization, width, num_layers):
  """The `Laws` of an initialization; for their names see `Transformer`.

  Raises:
    ValueError: there is none of this name.
  """
  normal, layers = nn.initializers.normal, (2 * num_layers) ** -0.5
  if initialization == 'width':
    of_width = normal(width ** -0.5)
    return Laws(of_width, of_width, LECUN, nn.initializers.variance_scaling(
        layers**2, 'fan_in', 'truncated_normal'), of_width)
  if initialization == 'gpt2':
    return Laws(*[normal(0.02)] * 3, normal(0.02 * layers), normal(0.02))
  if initialization != 'lecun':
    raise ValueError(f'initialization={initialization!r}; use one of '
                     f'{", ".join(INITIALIZATIONS)}.')
  return Laws()


def head_size_of(width, num_heads, head_size=None):
  """`head_size`, or by default the heads' equal shares of `width`.

  Raises:
    ValueError: there is no equal share.
  """
  if head_size is not None:
    return head_size
  if width % num_heads:
    raise ValueError(f'num_heads={num_heads} does not divide width={width}; '
                     'change one of them or give head_size.')
  return width // num_heads


class Block(nn.Module):
  """A pre-norm block around a mixing of tokens that the caller brings.

      query, key, value = block.project(x)
      x = block.finish(x, mix(query, key, value))

  Attributes:
    width: of the residual stream.
    num_heads: heads H.
    head_size: d, of queries, keys and values.
    mlp_width: hidden units of the MLP.
    dtype: of the computation; parameters are float32.
    laws: of which `matrix` and `out` are read.
  """
  width: int
  num_heads: int
  head_size: int
  mlp_width: int
  dtype: Any = jnp.float32
  laws: Laws = Laws()

  def setup(self):
    self.attention_norm = nn.LayerNorm(dtype=self.dtype)
    # One product, not three: a tenth faster on a CPU where seeds are mapped.
    matrix = {'kernel_init': self.laws.matrix, 'dtype': self.dtype}
    out = {'kernel_init': self.laws.out, 'dtype': self.dtype}
    self.attention_in = nn.DenseGeneral(
        (3, self.num_heads, self.head_size), **matrix)
    self.attention_out = nn.DenseGeneral(self.width, axis=(-2, -1), **out)
    self.mlp_norm = nn.LayerNorm(dtype=self.dtype)
    self.mlp_in = nn.Dense(self.mlp_width, **matrix)
    self.mlp_out = nn.Dense(self.width, **out)

  def project(self, x):
    """Query, key and value, [B, T, H, d] each, of x [B, T, width]."""
    x = self.attention_in(self.attention_norm(x))
    return x[..., 0, :, :], x[..., 1, :, :], x[..., 2, :, :]

  def finish(self, x, mixed):
    """x [B, T, width] plus what was read, [B, T, H, d]; plus the MLP of it."""
    x = x + self.attention_out(mixed)
    return x + self.mlp_out(nn.gelu(self.mlp_in(self.mlp_norm(x))))


def causal_attention(query, key, value, fused=True, bias=None, mask=None):
  """What each token reads of those up to it, [B, T, H, d] like the arguments.

  Args:
    query, key, value: [B, T, H, d].
    fused: by cuDNN's kernel, which keeps no [T, T] weights, where there is one:
      on one GPU since Ampere, in half precision, for these sizes.
    bias: added to scores, [1, H, T, T] float, or None.
    mask: of what may be read, [B, 1, T, T] bool, or None.
  """
  *_, length, _, size = query.shape
  fused = (fused and bias is None and mask is None
           and query.dtype in (jnp.bfloat16, jnp.float16)
           and length % 2 == 0 and size % 8 == 0 and size <= 128
           and jax.default_backend() == 'gpu' and jax.device_count() == 1
           and float(jax.devices()[0].compute_capability) >= 8)
  return jax.nn.dot_product_attention(
      query, key, value, bias, mask, is_causal=True,
      implementation='cudnn' if fused else None)


def attention_of_next(query, keys, values, bias, mask):
  """What one more token reads of a cache, [B, 1, H, d].

  Args:
    query: [B, 1, H, d].
    keys, values: [B, H, S, d], as a cache has them: with the heads in front
      nothing of it has to be moved for a product.
    bias: added to scores, [1 or B, H, 1, S] float, or None.
    mask: of what may be read, [1 or B, 1, 1, S] bool.
  """
  scores = jnp.einsum('bthd,bhsd->bhts', query, keys,
                      preferred_element_type=jnp.float32)
  scores *= query.shape[-1] ** -.5
  if bias is not None:
    scores += bias
  shares = jax.nn.softmax(jnp.where(mask, scores, -1e30), axis=-1)
  return jnp.einsum('bhts,bhsd->bthd', shares.astype(keys.dtype), values)
