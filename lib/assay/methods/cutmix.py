"""CutMix: a box of the partner's image in place of one's own.

Yun et al. (ICCV 2019, arXiv 1905.04899) mix labels by the share of pixels that
stay. For regression Yao et al. (2022) draw the partner by its label; the rest
is the same. As in the released code of CutMix, a batch has one box. On your own
images [N, H, W, C] and labels [N, ...]:

    batch = {'x': x, 'y': y, 'partner_x': x[partner], 'partner_y': y[partner],
             'lam': mixup.sample_lam(key, alpha=1.0, batch_size=len(x))}
    batch = mixup.blend(cutmix.paste(box_key, batch), ('y',))
"""

import jax
import jax.numpy as jnp

from assay.metrics import arguments


def box(key, height, width, lam):
  """Where the partner is seen: a box around a uniform center, cut at borders.

  Its sides are a share sqrt(1 - lam) of the image's, rounded down to even
  numbers of pixels, as in the released code.

  Args:
    key: typed key [].
    height, width: of the images, in pixels.
    lam: the share that is to stay where no border cuts, in [0, 1], [] float.

  Returns:
    bool [height, width].

  Example:
    >>> import jax
    >>> from assay.methods import cutmix
    >>> inside = cutmix.box(jax.random.key(0), 100, 100, lam=1.)
    >>> bool(inside.any())
    False
  """
  sizes = jnp.array([height, width])
  half = (sizes * jnp.sqrt(1 - lam)).astype(jnp.int32) // 2
  center = jax.random.randint(key, (2,), 0, sizes)
  rows, columns = (
      (jnp.arange(size) >= center[i] - half[i])
      & (jnp.arange(size) < center[i] + half[i])
      for i, size in enumerate((height, width)))
  return rows[:, None] & columns[None]


def paste(key, batch):
  """The batch with a box of the partners' images; labels are still apart.

  Args:
    key: typed key [].
    batch: dict with x and partner_x [B, H, W, C] and lam [B], one value for
      all, see `mixup.sample_lam`.

  Returns:
    The batch with x so changed, and lam [B] float32, the share of pixels of
    the box's outside: what `mixup.blend` then takes for labels.

  Raises:
    ValueError: x are no images.

  Example:
    >>> import jax, jax.numpy as jnp
    >>> from assay.methods import cutmix
    >>> batch = {'x': jnp.zeros((2, 8, 8, 1)), 'lam': jnp.full(2, .5),
    ...          'partner_x': jnp.ones((2, 8, 8, 1))}
    >>> mixed = cutmix.paste(jax.random.key(0), batch)
    >>> bool(jnp.allclose(mixed['x'].mean((1, 2, 3)), 1 - mixed['lam']))
    True
  """
  x = arguments.array(batch['x'], 'x')
  if x.ndim != 4:
    raise ValueError(f'x must be images [B, H, W, C], got shape {x.shape}: '
                     'CutMix cuts boxes.')
  inside = box(key, *x.shape[1:3], batch['lam'][0])
  return batch | {
      'x': jnp.where(inside[:, :, None], batch['partner_x'], x),
      'lam': jnp.full(len(x), 1 - inside.mean(), jnp.float32)}
