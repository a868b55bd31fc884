"""LSTNet (Lai et al., 2018, arXiv 1703.07015): forecasts of several series.

A convolution over time looks at all series at once, a GRU reads what it finds,
a second one every `skip`-th step of that, and an autoregression of each series,
the highway, is added. As in the authors' code; what differs from the paper: the
hidden states are those of PyTorch's GRU, and the last ones alone are used.
"""

from flax import linen as nn
import jax.numpy as jnp

from assay.models import mlp, recurrent


class LSTNet(nn.Module):
  """[B, T, D] -> [B, num_outputs], the first series at a later time.

  `encode` ends after the convolution and `decode` goes on from there, so that
  hidden representations can be mixed in between, as the code of C-Mixup does.

  Attributes:
    num_outputs: Q, how many of the D series are predicted, the first; 0: all.
    num_filters: of the convolution.
    kernel_size: steps that a filter sees.
    width: hidden units of the GRU.
    skip: steps between those that the second GRU reads; 0: there is none.
    skip_width: hidden units of the second GRU.
    highway: last steps that the autoregression reads; 0: there is none.
    dropout: share of what convolution and GRUs say that is left out in
      training, of the rng `dropout`.

  Raises:
    ValueError: the window is too short.

  Example:
    >>> import jax, jax.numpy as jnp
    >>> from assay.models import lstnet
    >>> model, x = lstnet.LSTNet(num_outputs=8), jnp.ones((5, 168, 8))
    >>> y, _ = jax.eval_shape(model.init_with_output, jax.random.key(0), x)
    >>> y.shape
    (5, 8)
  """
  num_outputs: int
  num_filters: int = 50
  kernel_size: int = 6
  width: int = 50
  skip: int = 24
  skip_width: int = 5
  highway: int = 24
  dropout: float = 0.2

  def setup(self):
    self.filters = mlp.Dense(self.num_filters)
    self.gru = recurrent.GRULast(self.width)
    if self.skip:
      self.gru_skip = recurrent.GRULast(self.skip_width)
    self.output = _Output()
    self.drop_filters, self.drop_gru, self.drop_skip = (
        nn.Dropout(self.dropout) for _ in range(3))

  def __call__(self, x, train=False):
    return self.decode(self.encode(x, train), train)

  def encode(self, x, train=False):
    """What the convolution says, [B, T - kernel_size + 1, num_filters], and
    what the highway reads, [B, highway, Q]."""
    length = x.shape[1] - self.kernel_size + 1
    shortest = max(self.kernel_size + self.skip, self.highway)
    if x.shape[1] < shortest:
      raise ValueError(f'a window of {x.shape[1]} steps is too short for '
                       f'kernel_size={self.kernel_size}, skip={self.skip} and '
                       f'highway={self.highway}; use {shortest} or more.')
    # One product for all patches: a kernel sees all series, so the convolution
    # slides in one direction only.
    patches = jnp.concatenate(
        [x[:, k:k + length] for k in range(self.kernel_size)], axis=2)
    found = self.drop_filters(nn.relu(self.filters(patches)),
                              deterministic=not train)
    return found, x[:, x.shape[1] - self.highway:,
                    :self.num_outputs or x.shape[2]]

  def decode(self, hidden, train=False):
    """Of what `encode` gives, [B, num_outputs]."""
    found, recent = hidden
    states = [self.drop_gru(self.gru(found), deterministic=not train)]
    if self.skip:
      batch, length, filters = found.shape
      periods = (length - 1) // self.skip
      phases = found[:, length - periods * self.skip:].reshape(
          batch, periods, self.skip, filters).swapaxes(1, 2)
      last = self.gru_skip(phases.reshape(-1, periods, filters))
      states.append(self.drop_skip(last.reshape(batch, -1),
                                   deterministic=not train))
    return self.output(jnp.concatenate(states, axis=1), recent)


class _Output(nn.Module):
  """[B, W] and [B, highway, Q] -> [B, Q]; one autoregression for all series."""

  @nn.compact
  def __call__(self, states, recent):
    y = mlp.Dense(recent.shape[2], name='states')(states)
    if recent.shape[1]:
      y += mlp.Dense(1, name='highway')(recent.swapaxes(1, 2))[..., 0]
    return y
