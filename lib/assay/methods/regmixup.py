"""RegMixup: the loss of mixtures beside the loss of the examples themselves.

Pinto, Yang, Lim, Torr and Dokania (NeurIPS 2022, arXiv 2206.14502) add mixup's
loss to the clean one, for classification: L(x, y) + weight L(x_mixed, y_mixed).
C-Mixup and mixup have no clean term. For regression the losses are squared
errors, and nothing else changes; that is ours. The mixtures stand in the batch
behind the examples, with weights that make the mean over both that sum:

    batch = regmixup.beside(batch, mixup.blend(batch), weight=1.0)
"""

import jax.numpy as jnp


def beside(batch, mixed, weight):
  """A batch twice as long, whose weighted mean loss is RegMixup's.

  Args:
    batch: dict of x [B, ...] and y [B, ...].
    mixed: dict of x and y, mixtures of the same shapes.
    weight: of the mixtures' loss, >= 0, [] float; 0 is training without them.

  Returns:
    dict of x and y [2 B, ...], and weight [2 B]: 2, then 2 `weight`.

  Example:
    >>> import jax.numpy as jnp
    >>> from assay.methods import regmixup
    >>> one, other = ({'x': jnp.array([v]), 'y': jnp.array([v])}
    ...               for v in (1., 5.))
    >>> batch = regmixup.beside(one, other, weight=0.5)
    >>> batch['x'].tolist(), batch['weight'].tolist()
    ([1.0, 5.0], [2.0, 1.0])
  """
  size = len(batch['x'])
  both = {k: jnp.concatenate([batch[k], mixed[k]]) for k in ('x', 'y')}
  weights = jnp.stack([jnp.float32(2), 2 * jnp.float32(weight)])
  return both | {'weight': jnp.repeat(weights, size)}
