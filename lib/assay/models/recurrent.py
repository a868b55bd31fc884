"""Recurrent sequence models, from a vector to a matrix as the state.

Each reads [B, T, D], writes [B, T, num_outputs] and tells by `state_size` how
many floats carry the past, as `transformer.Transformer` does:

    LSTM               2 width          cell and hidden
    GRU                width            hidden
    OuterProductLSTM   H d^2 + H d      a matrix for each head, and hidden
    LinearAttention    H d^2 + H d      a matrix for each head, and normalizer
                       H d^2            the same with the delta rule

for each layer, with H heads of size d. The recurrences are scans over time; for
the gradient the scan keeps the state of each token, B T H d^2 floats a layer
for the last two. Of a sequence as a whole `GRULast` says one vector.
"""

from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp

from assay.models import blocks, mlp

RULES = ('sum', 'delta')


class LSTM(nn.Module):
  """[B, T, D] float -> [B, T, num_outputs] float32.

  Hochreiter and Schmidhuber (1997) with forget gates; Flax's cell: orthogonal
  recurrent kernels, zero biases, also of the forget gate. A linear read-out.

  Attributes:
    width: cells of each layer.
    num_outputs: outputs per token.
    num_layers: layers, one upon the other.
  """
  width: int
  num_outputs: int
  num_layers: int = 1

  @nn.compact
  def __call__(self, x):
    for i in range(self.num_layers):
      x = nn.RNN(nn.OptimizedLSTMCell(self.width, name=f'cell_{i}'))(x)
    return nn.Dense(self.num_outputs, name='read_out')(x)

  @nn.nowrap
  def state_size(self, length=None):
    """Floats of cells and hidden states, 2 * width * layers at any length."""
    del length
    return 2 * self.width * self.num_layers


class GRU(nn.Module):
  """[B, T, D] float -> [B, T, num_outputs] float32.

  Cho et al. (2014); Flax's cell: the reset gate acts behind the recurrent
  kernel, orthogonal recurrent kernels, zero biases. A linear read-out.

  Attributes:
    width: hidden units of each layer.
    num_outputs: outputs per token.
    num_layers: layers, one upon the other.
  """
  width: int
  num_outputs: int
  num_layers: int = 1

  @nn.compact
  def __call__(self, x):
    for i in range(self.num_layers):
      x = nn.RNN(nn.GRUCell(self.width, name=f'cell_{i}'))(x)
    return nn.Dense(self.num_outputs, name='read_out')(x)

  @nn.nowrap
  def state_size(self, length=None):
    """Floats of the hidden states, width * layers at any length."""
    del length
    return self.width * self.num_layers


@jax.custom_vjp
def gru(x, input_kernel, input_bias, kernel, bias):
  """The last hidden state of a GRU, in PyTorch's form, from h = 0.

      i, g = W x + b, U h + c, each for reset gate r, update gate z and n
      r, z = sigmoid(i_r + g_r), sigmoid(i_z + g_z)
      n = tanh(i_n + r g_n),  h <- (1 - z) n + z h

  Its gradient is a scan of its own, which adds up the gradients of the weights
  as it goes, while what a token left is in the cache: on a CPU it takes half
  the time of the one that JAX makes. Reverse mode alone.

  Args:
    x: [T, B, D] float.
    input_kernel: W, [D, 3 H] float, columns in the order r, z, n.
    input_bias: b, [3 H] float.
    kernel: U, [H, 3 H] float.
    bias: c, [3 H] float.

  Returns:
    [B, H] float.

  Example:
    >>> import jax.numpy as jnp
    >>> from assay.models import recurrent
    >>> kernel = jnp.array([[0., 0., 9.]])  # half open, towards tanh(9)
    >>> zero = jnp.zeros(3)
    >>> x = jnp.ones((3, 1, 1))
    >>> last = recurrent.gru(x, kernel, zero, zero[None], zero)
    >>> print(f'{last.item():.3f}')
    0.875
  """
  return _gru_forward(x, input_kernel, input_bias, kernel, bias)[0]


def _gru_forward(x, input_kernel, input_bias, kernel, bias):
  """The last state; and the arguments with what each token left."""

  def step(h, token):
    width = h.shape[1]
    i, g = token @ input_kernel + input_bias, h @ kernel + bias
    gates = nn.sigmoid(i[:, :2 * width] + g[:, :2 * width])
    g = g[:, 2 * width:]
    n = jnp.tanh(i[:, 2 * width:] + gates[:, :width] * g)
    return n + gates[:, width:] * (h - n), (h, gates, n, g)

  start = jnp.zeros((x.shape[1], len(kernel)), x.dtype)
  last, left = jax.lax.scan(step, start, x)
  return last, ((input_kernel, input_bias, kernel, bias), (x, *left))


def _gru_backward(residuals, dh):
  weights, tokens = residuals
  input_kernel, _, kernel, _ = weights

  def step(carry, token):
    dh, sums = carry
    x, h, gates, n, g = token
    r, z = jnp.split(gates, 2, axis=1)
    dn = dh * (1 - z) * (1 - n * n)  # of what tanh is applied to
    dr, dz = dn * g * r * (1 - r), dh * (h - n) * z * (1 - z)
    di = jnp.concatenate([dr, dz, dn], axis=1)
    dg = jnp.concatenate([dr, dz, dn * r], axis=1)
    found = x.T @ di, jnp.sum(di, axis=0), h.T @ dg, jnp.sum(dg, axis=0)
    return ((dh * z + dg @ kernel.T, jax.tree.map(jnp.add, sums, found)),
            di @ input_kernel.T)

  start = jax.tree.map(jnp.zeros_like, weights)
  (_, sums), dx = jax.lax.scan(step, (dh, start), tokens, reverse=True)
  return dx, *sums


gru.defvjp(_gru_forward, _gru_backward)


class GRULast(nn.Module):
  """[B, T, D] float -> [B, width] float: the last hidden state, by `gru`.

  Weights and biases are those of PyTorch's GRU, two biases for each gate among
  them, and start as there: uniform up to 1 / sqrt(width).

  Attributes:
    width: hidden units.
  """
  width: int

  @nn.compact
  def __call__(self, x):
    start, size = mlp.fan_in_uniform(self.width), 3 * self.width
    shapes = {'input_kernel': (x.shape[-1], size), 'input_bias': (size,),
              'kernel': (self.width, size), 'bias': (size,)}
    return gru(x.swapaxes(0, 1), *(
        self.param(name, start, shape, x.dtype)
        for name, shape in shapes.items()))


class OuterProductCell(nn.RNNCellBase):
  """An LSTM cell whose every head keeps a d x d matrix C instead of a vector.

      C <- f C + i v k^T,    h = o * tanh(C q / sqrt(d))

  One linear map of (input, previous h of all heads) gives key k, value v, query
  q and the output gate o of each head, [d] each, and the input and forget gates
  i and f of each head, []. Gates are sigmoids. As of attention scores, the
  scale keeps C q of order 1, where tanh is not flat.

  Attributes:
    num_heads: heads H.
    head_size: d.
    forget_bias: added to the forget gate's input.
  """
  num_heads: int
  head_size: int
  forget_bias: float = 1.

  @nn.compact
  def __call__(self, carry, x):
    """`((C [B, H, d, d], h [B, H d]), x [B, D]) -> ((C, h), h)`."""
    matrix, hidden = carry
    heads, size = self.num_heads, self.head_size
    x = nn.Dense(heads * (4 * size + 2), name='controller')(
        jnp.concatenate([x, hidden], axis=-1))
    x = x.reshape(*x.shape[:-1], heads, 4 * size + 2)
    key, value, query, output = jnp.split(x[..., :4 * size], 4, axis=-1)
    enter, forget = jnp.split(x[..., 4 * size:, None], 2, axis=-2)
    matrix = (nn.sigmoid(forget + self.forget_bias) * matrix
              + nn.sigmoid(enter) * value[..., :, None] * key[..., None, :])
    read = jnp.einsum('...vk,...k->...v', matrix, query) * size ** -0.5
    hidden = nn.sigmoid(output) * jnp.tanh(read)
    hidden = hidden.reshape(*hidden.shape[:-2], heads * size)
    return (matrix, hidden), hidden

  @nn.nowrap
  def initialize_carry(self, rng, input_shape):
    """Zeros."""
    del rng
    batch, heads, size = input_shape[:-1], self.num_heads, self.head_size
    return (jnp.zeros((*batch, heads, size, size)),
            jnp.zeros((*batch, heads * size)))

  @property
  def num_feature_axes(self):
    return 1


class OuterProductLSTM(nn.Module):
  """[B, T, D] float -> [B, T, num_outputs] float32.

  Layers of `OuterProductCell`, with a state that grows with the square of the
  head size; a linear read-out.

  Attributes:
    num_heads: heads H of each layer.
    head_size: d.
    num_outputs: outputs per token.
    num_layers: layers, one upon the other.
    forget_bias: see `OuterProductCell`.
  """
  num_heads: int
  head_size: int
  num_outputs: int
  num_layers: int = 1
  forget_bias: float = 1.

  @nn.compact
  def __call__(self, x):
    for i in range(self.num_layers):
      x = nn.RNN(OuterProductCell(self.num_heads, self.head_size,
                                  self.forget_bias, name=f'cell_{i}'))(x)
    return nn.Dense(self.num_outputs, name='read_out')(x)

  @nn.nowrap
  def state_size(self, length=None):
    """Floats of matrices and hidden states, (H d^2 + H d) * layers."""
    del length
    size = self.head_size
    return self.num_layers * self.num_heads * (size ** 2 + size)


def linear_attention(query, key, value, strength=None):
  """What `query` reads from a matrix S to which each token has written.

  With phi(x) = elu(x) + 1 the sum rule (Katharopoulos et al., 2020) is

      S <- S + v phi(k)^T,  z <- z + phi(k),  y = S phi(q) / (z . phi(q)),

  causal attention with weights phi(q) . phi(k). The delta rule (Schlag et al.,
  2021), with phi divided by its sum and a writing strength b, replaces what S
  holds under the key:

      S <- S + b (v - S phi(k)) phi(k)^T,  y = S phi(q).

  Args:
    query, key, value: [B, T, H, d] float.
    strength: b, [B, T, H, 1] float in [0, 1]; None gives the sum rule.

  Returns:
    [B, T, H, d] float32; the state is float32.

  Example:
    >>> import jax.numpy as jnp
    >>> from assay.models import recurrent
    >>> same, value = jnp.zeros((1, 2, 1, 1)), jnp.array([[[[1.]], [[3.]]]])
    >>> read = recurrent.linear_attention(same, same, value)
    >>> print(read.ravel().round(3))  # equal weights: a running mean
    [1. 2.]
  """
  feature = lambda x: nn.elu(x.astype(jnp.float32)) + 1
  query, key, value = feature(query), feature(key), value.astype(jnp.float32)
  batch, _, heads, size = key.shape
  start = jnp.zeros((batch, heads, size, size)), jnp.zeros((batch, heads, size))
  read = lambda matrix, x: jnp.einsum('bhvk,bhk->bhv', matrix, x)

  def add(state, token):
    matrix, total = state
    query, key, value = token
    matrix = matrix + value[..., :, None] * key[..., None, :]
    total = total + key
    # Positive: phi is, up to underflow far below zero.
    scale = jnp.sum(total * query, axis=-1, keepdims=True) + 1e-6
    return (matrix, total), read(matrix, query) / scale

  def replace(matrix, token):
    query, key, value, strength = token
    change = strength * (value - read(matrix, key))
    matrix = matrix + change[..., :, None] * key[..., None, :]
    return matrix, read(matrix, query)

  first = lambda x: jnp.swapaxes(x, 0, 1)  # time first
  if strength is None:
    tokens = tuple(map(first, (query, key, value)))
    return first(jax.lax.scan(add, start, tokens)[1])
  shares = lambda x: x / (jnp.sum(x, axis=-1, keepdims=True) + 1e-6)
  tokens = tuple(map(first, (
      shares(query), shares(key), value, strength.astype(jnp.float32))))
  return first(jax.lax.scan(replace, start[0], tokens)[1])


class LinearAttention(nn.Module):
  """[B, T, D] float -> [B, T, num_outputs] float32, a fast-weight programmer.

  The blocks of `transformer.Transformer` without positions, where
  `linear_attention` mixes the tokens: a state of fixed size instead of all keys
  and values.

  Attributes:
    width: of the residual stream.
    num_layers: blocks.
    num_heads: heads H of each block.
    num_outputs: outputs per token.
    head_size: d; default width / num_heads.
    mlp_width: hidden units of the MLP; default 4 width.
    rule: `sum`, or `delta`, whose writing strength is a sigmoid of a linear map
      of the block's input, one for each head.
    dtype: of the computation; parameters, the recurrence, LayerNorm's
      statistics, the last LayerNorm and the read-out are float32.

  Raises:
    ValueError: an unknown rule, or heads that do not divide the width.
  """
  width: int
  num_layers: int
  num_heads: int
  num_outputs: int
  head_size: int | None = None
  mlp_width: int | None = None
  rule: str = 'sum'
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x):
    size = blocks.head_size_of(self.width, self.num_heads, self.head_size)
    self._check_rule()
    x = nn.Dense(self.width, dtype=self.dtype, name='read_in')(x)
    for i in range(self.num_layers):
      block = blocks.Block(
          self.width, self.num_heads, size, self.mlp_width or 4 * self.width,
          self.dtype, name=f'blocks_{i}')
      strength = None
      if self.rule == 'delta':
        strength = nn.sigmoid(nn.Dense(
            self.num_heads, dtype=self.dtype, name=f'strength_{i}')(x))[
                ..., None]
      mixed = linear_attention(*block.project(x), strength)
      x = block.finish(x, mixed.astype(self.dtype))
    x = nn.LayerNorm(dtype=jnp.float32, name='norm')(x)
    return nn.Dense(self.num_outputs, dtype=jnp.float32, name='read_out')(x)

  @nn.nowrap
  def state_size(self, length=None):
    """Floats of the matrices, H d^2 * layers, and of the sum rule's normalizer
    z, H d * layers."""
    del length
    self._check_rule()
    size = blocks.head_size_of(self.width, self.num_heads, self.head_size)
    per_head = size ** 2 + (size if self.rule == 'sum' else 0)
    return self.num_layers * self.num_heads * per_head

  @nn.nowrap
  def _check_rule(self):
    if self.rule not in RULES:
      raise ValueError(f'rule={self.rule!r}; use one of {", ".join(RULES)}.')
