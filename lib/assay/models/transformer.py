"""One causal transformer for all papers that read sequences.

    model = transformer.Transformer(
        64, num_layers=3, num_heads=2, num_outputs=10)
    variables = model.init(key, jnp.zeros((1, 1, 20)))
    outputs = model.apply(variables, x)  # [B, T, 20] -> [B, T, 10]

One token at a time, the same numbers, also inside `jax.lax.scan`:

    cache = model.start(batch_size=8, length=100)
    outputs, cache = model.apply(variables, x[:, 0], cache, method='step')

With `vocabulary` it reads tokens, [B, T] int, or a distribution over tokens at
each place, [B, T, vocabulary] float; `models.sampling` writes with it.
"""

from collections.abc import Callable
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P
import numpy as np

from assay.models import blocks
from assay.models import positions as places
from assay.models.positions import rotated

POSITIONS = ('none', 'learned', 'sinusoidal', 'rotary', 'relative')


class Transformer(nn.Module):
  """[B, T, D] float -> [B, T, num_outputs] float32; output t reads inputs <= t.

  GPT-2's form (Radford et al., 2019): a linear read-in, pre-norm blocks of
  causal attention and a GELU MLP (the tanh form), a last LayerNorm and a linear
  read-out, with biases; no dropout.

  Positions, see `models.positions`: `none`; `learned`, a table whose rows are
  added to the tokens; `sinusoidal`, added too; `rotary` turns queries and keys
  of each layer; `relative`, a learned bias of each head for each distance, the
  same in all layers (Raffel et al., 2020, without their buckets).

  Initialization: `lecun`, Flax's default for kernels and N(0, 0.02^2) for a
  table; `width`, N(0, 1 / width) for what is read in and out and for a table,
  LeCun's normal else, and on the way into the residual stream that over
  sqrt(2 layers); `gpt2`, N(0, 0.02^2), and on that way over sqrt(2 layers): for
  a width of 768, and small for a narrow model.

  Attributes:
    width: of the residual stream.
    num_layers: blocks.
    num_heads: heads of each block.
    num_outputs: outputs per token.
    head_size: of queries, keys and values; default width / num_heads.
    mlp_width: hidden units of the MLP; default 4 width.
    positions: one of `POSITIONS`.
    max_length: rows of the learned table; the other kinds have no limit.
    max_distance: distances that `relative` tells apart.
    initialization: one of `blocks.INITIALIZATIONS`.
    vocabulary: tokens that there are, of a model that reads tokens.
    scan_layers: compiles one block and scans it; its parameters are stacked on
      axis 0 under `blocks` instead of `blocks_0`, `blocks_1`, ...
    rematerialize: keeps each block's input alone for the gradient and computes
      the rest again.
    read_out_init: of the read-out kernel, e.g. `nn.initializers.zeros`, in
      place of what the initialization says.
    read_out_bias_init: of the read-out bias.
    dtype: of the computation and the cache; parameters, softmax, the statistics
      of LayerNorm, the last LayerNorm and the read-out are float32.

  Raises:
    ValueError: unknown positions or initialization, sizes that do not divide,
      tokens without a vocabulary, or a sequence that is longer than the learned
      table.
  """
  width: int
  num_layers: int
  num_heads: int
  num_outputs: int
  head_size: int | None = None
  mlp_width: int | None = None
  positions: str = 'learned'
  max_length: int = 128
  max_distance: int = 32
  initialization: str = 'lecun'
  vocabulary: int | None = None
  scan_layers: bool = False
  rematerialize: bool = False
  read_out_init: Callable | None = None
  read_out_bias_init: Callable = nn.initializers.zeros
  dtype: Any = jnp.float32

  def setup(self):
    head_size = blocks.head_size_of(self.width, self.num_heads, self.head_size)
    if self.positions not in POSITIONS:
      raise ValueError(f'positions={self.positions!r}; use one of '
                       f'{", ".join(POSITIONS)}.')
    turned = {'sinusoidal': self.width, 'rotary': head_size}
    if turned.get(self.positions, 0) % 2:
      name = 'width' if self.positions == 'sinusoidal' else 'head_size'
      raise ValueError(f'{name}={turned[self.positions]} must be even for '
                       f'positions={self.positions!r}.')
    laws = blocks.laws_of(self.initialization, self.width, self.num_layers)
    block = lambda: blocks.Block(
        self.width, self.num_heads, head_size,
        self.mlp_width or 4 * self.width, self.dtype, laws)
    self.read_in = nn.Dense(self.width, kernel_init=laws.read_in,
                            dtype=self.dtype)
    self.blocks = block() if self.scan_layers else [
        block() for _ in range(self.num_layers)]
    self.norm = nn.LayerNorm(dtype=jnp.float32)
    self.read_out = nn.Dense(
        self.num_outputs, kernel_init=self.read_out_init or laws.read_out,
        bias_init=self.read_out_bias_init, dtype=jnp.float32)
    if self.positions == 'learned':
      self.position_table = self.param(
          'position_table', laws.positions, (self.max_length, self.width))
    if self.positions == 'relative':
      self.distance_table = self.param(
          'distance_table', nn.initializers.zeros,
          (self.max_distance, self.num_heads))

  def __call__(self, x, offset=None, segment=None):
    """Outputs [B, T, num_outputs] float32 of whole sequences.

    Args:
      x: [B, T, D] float, or [B, T] int.
      offset: int32 [B], position of each sequence's first token; default 0.
        No effect without positions. A traced offset cannot be checked: past
        the end of a learned table the outputs are NaN.
      segment: int32 [B, T], of sequences that stand one behind the other in a
        row: each reads itself alone, and its positions start at `offset`.

    Raises:
      ValueError: T, or an offset that is not traced, exceeds a learned table.
    """
    return self._whole(x, offset, segment, lambda key, value: None)[0]

  def prefill(self, x, length, room, offset=None):
    """Outputs after the last token of each prompt, and a cache for `step`.

    Args:
      x: prompts as in `__call__`, each followed by anything up to T.
      length: int32 [B], tokens of each prompt, in [1, T].
      room: tokens that the cache will hold at most, T or more.
      offset: as in `__call__`, and the same for each `step`.

    Returns:
      [B, num_outputs] float32; and a cache as `start` gives it, with a
      `position` for each sequence, int32 [B].
    """
    if self.positions == 'learned':
      self._check(0, room)
    outputs, kept = self._whole(x, offset, None, lambda *both: both)
    more = ((0, 0), (0, room - x.shape[1]), (0, 0))
    keys, values = jax.tree.map(lambda x: jnp.pad(
        jnp.swapaxes(x, -3, -2), ((0, 0),) * (x.ndim - 3) + more), kept)
    last = jnp.take_along_axis(outputs, length[:, None, None] - 1, axis=1)
    return last[:, 0], {'keys': keys, 'values': values,
                        'position': jnp.asarray(length, jnp.int32)}

  def _whole(self, x, offset, segment, keep):
    """Outputs, and what `keep(key, value)` gives in each layer, stacked."""
    x, rotation = self._begin(x, 0, offset, segment)
    bias = self._bias(jnp.arange(x.shape[1])[None], x.shape[1])
    mask = None if segment is None else (
        segment[:, None, :, None] == segment[:, None, None])

    def layer(block, x, _):
      query, key, value = block.project(x)
      if rotation is not None:
        query, key = rotated(query, rotation), rotated(key, rotation)
      mixed = blocks.causal_attention(
          query, key, value, bias=bias, mask=mask)
      return block.finish(x, mixed), keep(key, value)

    x, kept = self._through(layer, x, None)
    return self.read_out(self.norm(x)), kept

  def step(self, x, cache, offset=None):
    """Outputs for the next token of each sequence, and the new cache.

    Args:
      x: [B, D] float, or [B] int.
      cache: from `start`, `prefill` or the last step.
      offset: as in `__call__`, the same at every step.

    Returns:
      [B, num_outputs] float32, NaN where a traced position is past the end of
      the cache or of a learned table; and the cache.

    Raises:
      ValueError: the position is not traced and past the end of one of them.
    """
    position = cache['position']
    length = jax.tree.leaves(cache['keys'])[0].shape[-2]
    if not isinstance(position, jax.core.Tracer) and (
        np.max(position) >= length):
      raise ValueError(f'position={position} is past the end of a cache of '
                       f'length={length}; start a longer one.')
    x, rotation = self._begin(x[:, None], position, offset)
    each = jnp.reshape(position, (-1, 1))
    seen = (jnp.arange(length) <= each)[:, None, None]
    bias = self._bias(each, length)

    def layer(block, x, cached):
      query, key, value = block.project(x)
      if rotation is not None:
        query, key = rotated(query, rotation), rotated(key, rotation)
      keys, values = (_written(old, new, position) for old, new in zip(
          cached, (key, value), strict=True))
      return block.finish(x, blocks.attention_of_next(
          query, keys, values, bias, seen)), (keys, values)

    x, (keys, values) = self._through(
        layer, x, (cache['keys'], cache['values']))
    outputs = self.read_out(self.norm(x))[:, 0]
    # The update above would overwrite the last token without a word.
    outputs = jnp.where(each < length, outputs, jnp.nan)
    return outputs, {'keys': keys, 'values': values, 'position': position + 1}

  @nn.nowrap
  def start(self, batch_size, length):
    """An empty cache for `length` tokens; needs no variables.

    Args:
      batch_size: sequences B.
      length: tokens that `step` will read at most.

    Returns:
      dict of `keys` and `values`, [B, heads, length, head_size] of `dtype`, a
      tuple of them for the layers or, of scanned ones, stacked on axis 0; and
      `position`, int32 [], tokens read.

    Raises:
      ValueError: the length exceeds a learned table.
    """
    if self.positions == 'learned':
      self._check(0, length)
    shape = (batch_size, self.num_heads, length,
             blocks.head_size_of(self.width, self.num_heads, self.head_size))
    # A stack would be copied at each step.
    empty = jnp.zeros((self.num_layers, *shape), self.dtype)
    kept = empty if self.scan_layers else tuple(empty)
    return {'keys': kept, 'values': kept, 'position': jnp.zeros((), jnp.int32)}

  @nn.nowrap
  def state_size(self, length):
    """Floats that the prediction after `length` tokens may read: the keys and
    values, 2 * layers * heads * head_size * length."""
    return 2 * self.num_layers * self.num_heads * length * (
        blocks.head_size_of(self.width, self.num_heads, self.head_size))

  def _begin(self, x, start, offset, segment=None):
    """Tokens [B, T, width], and cosine and sine if `rotary`."""
    length = x.shape[1]
    if jnp.issubdtype(x.dtype, jnp.integer):
      if self.vocabulary is None:
        raise ValueError(f'x is {x.dtype}: give the model a vocabulary to read '
                         'tokens.')
      x = jax.nn.one_hot(x, self.vocabulary, dtype=self.dtype)
    x = self.read_in(x)
    if self.positions in ('none', 'relative'):
      return x, None
    first = start if offset is None else start + offset
    if self.positions == 'learned':
      self._check(first, length)
      if isinstance(first, int) and segment is None:
        # The gradient of a slice needs no scatter.
        return x + self.position_table[first:first + length].astype(
            self.dtype), None
    positions = jnp.reshape(first, (-1, 1)) + (
        jnp.arange(length) if segment is None else places.within(segment))
    if self.positions == 'rotary':
      a = places.angles(positions, blocks.head_size_of(
          self.width, self.num_heads, self.head_size))[:, :, None]
      return x, (jnp.cos(a), jnp.sin(a))
    if self.positions == 'learned':
      rows = jnp.asarray(self.position_table).at[positions].get(
          mode='fill', fill_value=jnp.nan, wrap_negative_indices=False)
    else:
      rows = places.sinusoids(positions, self.width)
    return x + rows.astype(self.dtype), None

  def _bias(self, last, length):
    """Of scores, [B or 1, H, N, length] for readers at `last` [B or 1, N]."""
    if self.positions != 'relative':
      return None
    told = places.distances(last, length, self.max_distance)
    return jnp.moveaxis(jnp.asarray(self.distance_table)[told], -1, 1).astype(
        self.dtype)

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
    """Runs `layer(block, x, cached) -> (x, new cached)` over blocks.

    `cached` is a pair of what all layers have, as `start` gives it, or None.
    """
    if self.rematerialize:
      # A scan keeps the compiler from undoing it; a loop needs the barrier.
      layer = nn.remat(layer, prevent_cse=not self.scan_layers)
    if self.scan_layers:
      return nn.scan(layer, variable_axes={'params': 0},
                     split_rngs={'params': True}, length=self.num_layers)(
                         self.blocks, x, cached)
    new = []
    for i, block in enumerate(self.blocks):
      x, y = layer(block, x, cached and tuple(each[i] for each in cached))
      new.append(y)
    return x, None if new[0] is None else tuple(zip(*new, strict=True))


def _written(cached, new, position):
  """`cached` [B, H, S, d] with `new` [B, 1, H, d] at a position [] or [B]."""
  if jnp.ndim(position) == 0:
    return jax.lax.dynamic_update_slice_in_dim(
        cached, jnp.swapaxes(new, 1, 2), position, axis=2)
  return cached.at[jnp.arange(len(cached)), :, position].set(
      new[:, 0], mode='drop')


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
