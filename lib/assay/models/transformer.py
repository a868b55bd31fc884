"""One causal transformer for all papers that read sequences.

    model = transformer.Transformer(
        64, num_layers=3, num_heads=2, num_outputs=10)
    variables = model.init(key, jnp.zeros((1, 1, 20)))
    outputs = model.apply(variables, x)  # [B, T, 20] -> [B, T, 10]

One token at a time, the same numbers, also inside `jax.lax.scan`:

    cache = model.start(batch_size=8, length=100)
    outputs, cache = model.apply(variables, x[:, 0], cache, method='step')
"""

from collections.abc import Callable
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P
import numpy as np

POSITIONS = ('none', 'learned', 'sinusoidal', 'rotary')


def angles(positions, size):
  """Angles p * 10000^(-2i / size), i = 0 ... size / 2 - 1.

  Args:
    positions: [...] int, p.
    size: even.

  Returns:
    [..., size / 2] float32.
  """
  rates = 10_000. ** (-np.arange(0, size, 2) / size)
  return positions[..., None] * rates.astype(np.float32)


def sinusoids(positions, width):
  """Sine and cosine of `angles` in turn (Vaswani et al., 2017).

  Args:
    positions: [...] int.
    width: even.

  Returns:
    [..., width] float32: channel 2i is a sine, 2i + 1 the cosine.

  Example:
    >>> import jax.numpy as jnp
    >>> from assay.models import transformer
    >>> transformer.sinusoids(jnp.array([0]), width=4).tolist()
    [[0.0, 1.0, 0.0, 1.0]]
  """
  a = angles(positions, width)
  return jnp.stack([jnp.sin(a), jnp.cos(a)], axis=-1).reshape(
      *positions.shape, width)


def rotated(x, rotation):
  """Channels i and i + d / 2 of `x`, turned by an angle (Su et al., 2021).

  Args:
    x: [B, T, heads, d] float, d even.
    rotation: cosine and sine of the angles, [B or 1, T, 1, d / 2] float32.

  Returns:
    [B, T, heads, d] of the dtype of x; the arithmetic is float32.
  """
  cosine, sine = rotation
  first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
  return jnp.concatenate([first * cosine - second * sine,
                          second * cosine + first * sine],
                         axis=-1).astype(x.dtype)


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
  """
  width: int
  num_heads: int
  head_size: int
  mlp_width: int
  dtype: Any = jnp.float32

  def setup(self):
    self.attention_norm = nn.LayerNorm(dtype=self.dtype)
    # One product, not three: a tenth faster on a CPU where seeds are mapped.
    self.attention_in = nn.DenseGeneral(
        (3, self.num_heads, self.head_size), dtype=self.dtype)
    self.attention_out = nn.DenseGeneral(
        self.width, axis=(-2, -1), dtype=self.dtype)
    self.mlp_norm = nn.LayerNorm(dtype=self.dtype)
    self.mlp_in = nn.Dense(self.mlp_width, dtype=self.dtype)
    self.mlp_out = nn.Dense(self.width, dtype=self.dtype)

  def project(self, x):
    """Query, key and value, [B, T, H, d] each, of x [B, T, width]."""
    x = self.attention_in(self.attention_norm(x))
    return x[..., 0, :, :], x[..., 1, :, :], x[..., 2, :, :]

  def finish(self, x, mixed):
    """x [B, T, width] plus what was read, [B, T, H, d]; plus the MLP of it."""
    x = x + self.attention_out(mixed)
    return x + self.mlp_out(nn.gelu(self.mlp_in(self.mlp_norm(x))))


def causal_attention(query, key, value, fused=True):
  """What each token reads of those up to it, [B, T, H, d] like the arguments.

  Args:
    query, key, value: [B, T, H, d].
    fused: by cuDNN's kernel, which keeps no [T, T] weights, where there is one:
      on one GPU since Ampere, in half precision, for these sizes.
  """
  *_, length, _, size = query.shape
  fused = (fused and query.dtype in (jnp.bfloat16, jnp.float16)
           and length % 2 == 0 and size % 8 == 0 and size <= 128
           and jax.default_backend() == 'gpu' and jax.device_count() == 1
           and float(jax.devices()[0].compute_capability) >= 8)
  return jax.nn.dot_product_attention(
      query, key, value, is_causal=True,
      implementation='cudnn' if fused else None)


class Transformer(nn.Module):
  """[B, T, D] float -> [B, T, num_outputs] float32; output t reads inputs <= t.

  GPT-2's form (Radford et al., 2019): a linear read-in, pre-norm blocks of
  causal attention and a GELU MLP (the tanh form), a last LayerNorm and a linear
  read-out, with biases; no dropout. Kernels have Flax's default law, LeCun's
  normal, where GPT-2 has N(0, 0.02^2).

  Positions: `none`; `learned`, a table of N(0, 0.02^2) whose rows are added to
  the tokens; `sinusoidal`, see `sinusoids`, added too; `rotary`, see `rotated`,
  turns queries and keys of each layer.

  Attributes:
    width: of the residual stream.
    num_layers: blocks.
    num_heads: heads of each block.
    num_outputs: outputs per token.
    head_size: of queries, keys and values; default width / num_heads.
    mlp_width: hidden units of the MLP; default 4 width.
    positions: one of `POSITIONS`.
    max_length: rows of the learned table; the other kinds have no limit.
    scan_layers: compiles one block and scans it; its parameters are stacked on
      axis 0 under `blocks` instead of `blocks_0`, `blocks_1`, ...
    rematerialize: keeps each block's input alone for the gradient and computes
      the rest again.
    read_out_init: of the read-out kernel, e.g. `nn.initializers.zeros`.
    read_out_bias_init: of the read-out bias.
    dtype: of the computation and the cache; parameters, softmax, the statistics
      of LayerNorm, the last LayerNorm and the read-out are float32.

  Raises:
    ValueError: unknown positions, sizes that do not divide, or a sequence that
      is longer than the learned table.
  """
  width: int
  num_layers: int
  num_heads: int
  num_outputs: int
  head_size: int | None = None
  mlp_width: int | None = None
  positions: str = 'learned'
  max_length: int = 128
  scan_layers: bool = False
  rematerialize: bool = False
  read_out_init: Callable = nn.initializers.lecun_normal()
  read_out_bias_init: Callable = nn.initializers.zeros
  dtype: Any = jnp.float32

  def setup(self):
    head_size = head_size_of(self.width, self.num_heads, self.head_size)
    if self.positions not in POSITIONS:
      raise ValueError(f'positions={self.positions!r}; use one of '
                       f'{", ".join(POSITIONS)}.')
    turned = {'sinusoidal': self.width, 'rotary': head_size}
    if turned.get(self.positions, 0) % 2:
      name = 'width' if self.positions == 'sinusoidal' else 'head_size'
      raise ValueError(f'{name}={turned[self.positions]} must be even for '
                       f'positions={self.positions!r}.')
    block = lambda: Block(self.width, self.num_heads, head_size,
                          self.mlp_width or 4 * self.width, self.dtype)
    self.read_in = nn.Dense(self.width, dtype=self.dtype)
    self.blocks = block() if self.scan_layers else [
        block() for _ in range(self.num_layers)]
    self.norm = nn.LayerNorm(dtype=jnp.float32)
    self.read_out = nn.Dense(
        self.num_outputs, kernel_init=self.read_out_init,
        bias_init=self.read_out_bias_init, dtype=jnp.float32)
    if self.positions == 'learned':
      self.position_table = self.param(
          'position_table', nn.initializers.normal(0.02),
          (self.max_length, self.width))

  def __call__(self, x, offset=None):
    """Outputs [B, T, num_outputs] float32 of whole sequences.

    Args:
      x: [B, T, D] float.
      offset: int32 [B], position of each sequence's first token; default 0.
        No effect without positions. A traced offset cannot be checked: past
        the end of a learned table the outputs are NaN.

    Raises:
      ValueError: T, or an offset that is not traced, exceeds a learned table.
    """
    x, rotation = self._begin(x, 0, offset)

    def layer(block, x, _):
      query, key, value = block.project(x)
      if rotation is not None:
        query, key = rotated(query, rotation), rotated(key, rotation)
      return block.finish(x, causal_attention(query, key, value)), None

    x, _ = self._through(layer, x, None)
    return self.read_out(self.norm(x))

  def step(self, x, cache, offset=None):
    """Outputs for the next token of each sequence, and the new cache.

    Args:
      x: [B, D] float.
      cache: from `start` or the last step.
      offset: as in `__call__`, the same at every step.

    Returns:
      [B, num_outputs] float32, NaN where a traced position is past the end of
      the cache or of a learned table; and the cache.

    Raises:
      ValueError: the position is not traced and past the end of one of them.
    """
    position, length = cache['position'], cache['keys'].shape[2]
    if not isinstance(position, jax.core.Tracer) and position >= length:
      raise ValueError(f'position={position} is past the end of a cache of '
                       f'length={length}; start a longer one.')
    x, rotation = self._begin(x[:, None], position, offset)
    seen = (jnp.arange(length) <= position)[None, None, None]

    def layer(block, x, cached):
      query, key, value = block.project(x)
      if rotation is not None:
        query, key = rotated(query, rotation), rotated(key, rotation)
      keys, values = (
          jax.lax.dynamic_update_slice_in_dim(old, new, position, axis=1)
          for old, new in zip(cached, (key, value), strict=True))
      return block.finish(x, jax.nn.dot_product_attention(
          query, keys, values, mask=seen)), (keys, values)

    x, (keys, values) = self._through(
        layer, x, (cache['keys'], cache['values']))
    outputs = self.read_out(self.norm(x))[:, 0]
    # The update above would overwrite the last token without a word.
    outputs = jnp.where(position < length, outputs, jnp.nan)
    return outputs, {'keys': keys, 'values': values, 'position': position + 1}

  @nn.nowrap
  def start(self, batch_size, length):
    """An empty cache for `length` tokens; needs no variables.

    Args:
      batch_size: sequences B.
      length: tokens that `step` will read at most.

    Returns:
      dict of `keys` and `values`, [num_layers, B, length, heads, head_size] of
      `dtype`, and `position`, int32 [], tokens read.

    Raises:
      ValueError: the length exceeds a learned table.
    """
    if self.positions == 'learned':
      self._check(0, length)
    shape = (self.num_layers, batch_size, length, self.num_heads,
             head_size_of(self.width, self.num_heads, self.head_size))
    return {'keys': jnp.zeros(shape, self.dtype),
            'values': jnp.zeros(shape, self.dtype),
            'position': jnp.zeros((), jnp.int32)}

  @nn.nowrap
  def state_size(self, length):
    """Floats that the prediction after `length` tokens may read: the keys and
    values, 2 * layers * heads * head_size * length."""
    return 2 * self.num_layers * self.num_heads * length * head_size_of(
        self.width, self.num_heads, self.head_size)

  def _begin(self, x, start, offset):
    """Tokens [B, T, width], and cosine and sine if `rotary`."""
    length = x.shape[1]
    x = self.read_in(x)
    if self.positions == 'none':
      return x, None
    first = start if offset is None else start + offset
    if self.positions == 'learned':
      self._check(first, length)
      if isinstance(first, int):  # the gradient of a slice needs no scatter
        return x + self.position_table[first:first + length].astype(
            self.dtype), None
    positions = jnp.reshape(first, (-1, 1)) + jnp.arange(length)
    if self.positions == 'rotary':
      a = angles(positions, head_size_of(
          self.width, self.num_heads, self.head_size))[:, :, None]
      return x, (jnp.cos(a), jnp.sin(a))
    if self.positions == 'learned':
      rows = jnp.asarray(self.position_table).at[positions].get(
          mode='fill', fill_value=jnp.nan, wrap_negative_indices=False)
    else:
      rows = sinusoids(positions, self.width)
    return x + rows.astype(self.dtype), None

  @nn.nowrap
  def _check(self, first, length):
    """Raises if the table lacks one of `length` rows from `first` on."""
    low = high = 0
    if not isinstance(first, jax.core.Tracer):
      low, high = int(np.min(first)), int(np.max(first))
    if low < 0 or high + length > self.max_length:
      raise ValueError(
          f'positions {low} to {high + length - 1} do not fit a learned table '
          f'of max_length={self.max_length}; raise max_length, shorten the '
          'sequence or change the offset.')

  def _through(self, layer, x, cached):
    """Scans `layer(block, x, cached[i]) -> (x, new cached[i])` over blocks."""
    if self.rematerialize:
      # A scan keeps the compiler from undoing it; a loop needs the barrier.
      layer = nn.remat(layer, prevent_cse=not self.scan_layers)
    if self.scan_layers:
      return nn.scan(layer, variable_axes={'params': 0},
                     split_rngs={'params': True}, length=self.num_layers)(
                         self.blocks, x, cached)
    new = []
    for i, block in enumerate(self.blocks):
      x, y = layer(block, x, jax.tree.map(lambda c: c[i], cached))
      new.append(y)
    return x, jax.tree.map(lambda *leaves: jnp.stack(leaves), *new)


def placement_rules():
  """Rules for `sharding.state_specs` that split blocks over the axis `model`.

  Shoeybi et al. (2019): query, key, value and the MLP's hidden units by output,
  attention's and the MLP's way out by input, so that a block sums over devices
  twice; all else is on every device. For stacked layers and single ones.
  `num_heads` and `mlp_width` must be multiples of the axis.

  Returns:
    tuple of (suffix of a parameter's path, PartitionSpec).
  """
  split = (('attention_in/kernel', P(None, None, 'model')),
           ('attention_in/bias', P(None, 'model')),
           ('attention_out/kernel', P('model')),
           ('mlp_in/kernel', P(None, 'model')),
           ('mlp_in/bias', P('model')),
           ('mlp_out/kernel', P('model')))
  # `blocks/` marks stacked layers, which have an axis more; they match first.
  stacked = tuple((f'blocks/{name}', P(None, *spec)) for name, spec in split)
  return stacked + split
