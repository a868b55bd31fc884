"""Sharpness-aware minimization (Foret et al., 2021) and its family.

Each is a gradient -> gradient, so they compose with one another and with any
optimizer, which steps from the unperturbed parameters:

    sam(grad_fn, rho)                          SAM
    sam(grad_fn, rho, weights=asam(0.01))      ASAM of Kwon et al. (2021)
    sam(grad_fn, rho, weights=asam_all)        ASAM without exceptions
    sam(grad_fn, rho, perturbs=normalization)  SAM-ON: normalization alone
    sam(grad_fn, rho, direction=random)        control: a random direction
    in_groups(sam(grad_fn, rho), m)            m-SAM: one perturbation a group
    sam(decayed(grad_fn, 5e-4), rho)           decay inside the perturbation

Weight decay that is part of the optimizer (`optax.add_decayed_weights`) stays
outside: it neither turns the perturbation nor is it evaluated there.
"""

import zlib

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P
import optax

STATISTICS = ('first', 'second', 'both')
SIGNATURE = (
    '`(params, extra, batch, key) -> ((loss, (extra, metrics)), grads)`, as '
    'jax.value_and_grad(loss_fn, has_aux=True) of a loss_fn(params, extra, '
    'batch, key) -> (loss, (extra, metrics)) is; without a state or metrics '
    'these are {}')


def sam(grad_fn, rho, *, weights=None, perturbs=None, direction=None,
        statistics='first'):
  """Gradient at params + e, the first-order worst point near params.

      e = rho T^2 g / |T g|,   T = 1 for SAM (Foret et al., 2021)

  with one L2 norm over all perturbed parameters. e counts as a constant: no
  derivative goes through it. A zero gradient gives e = 0, never NaN. Both
  passes get the same key, so dropout agrees.

  Args:
    grad_fn: `(params, extra, batch, key) -> ((loss, (extra, metrics)), grads)`.
    rho: radius >= 0; may be traced, so that seeds can differ.
    weights: `(path, param) -> array like param`, the T of each parameter, see
      `asam`; None is 1. `path` is a tuple of names.
    perturbs: `path -> bool`, whether a parameter is perturbed, see
      `normalization`; None perturbs all. The norm is over these alone.
    direction: `(grads, key) -> tree like grads` in place of the gradient, see
      `random`; None is the gradient.
    statistics: whose `extra` (batch statistics) is kept: of the `first`,
      unperturbed pass, as the authors' code; of the `second` pass; or of
      `both`, one after another, as a loop that forgets about them does.

  Returns:
    A gradient of the same type. Its loss and metrics are those of the first
    pass, beside `loss_perturbed` and each metric's `<name>_perturbed` of the
    second; `perturbation_norm`, |e|; `gradient_cosine`, between the gradients
    of both passes (0 where one is zero).

  Raises:
    ValueError: unknown `statistics`; parameters narrower than float32, in
      which a perturbation of 1e-5 per coordinate would be lost; `perturbs`
      selects none.
    TypeError: called otherwise than a gradient is.

  Example:
    >>> import jax, jax.numpy as jnp, numpy as np
    >>> from assay.methods import sam
    >>> def loss(params, extra, batch, key):  # its gradient is params
    ...   return jnp.sum(params**2) / 2, (extra, {})
    >>> grad_fn = sam.sam(jax.value_and_grad(loss, has_aux=True), rho=0.5)
    >>> _, grads = grad_fn(jnp.array([3., 4.]), {}, {}, jax.random.key(0))
    >>> print(np.asarray(grads).round(3))  # (3, 4) + 0.5 (3, 4) / 5
    [3.3 4.4]
  """
  if statistics not in STATISTICS:
    raise ValueError(f'statistics={statistics!r}; use one of '
                     f'{", ".join(STATISTICS)}.')

  def ascended(*arguments):
    if len(arguments) != 4:
      raise TypeError(f'{len(arguments)} arguments for {SIGNATURE}.')
    params, extra, batch, key = arguments
    try:
      (loss, (first, metrics)), grads = grad_fn(params, extra, batch, key)
    except (TypeError, ValueError) as e:
      e.add_note(f'A gradient here is {SIGNATURE}.')
      raise
    chosen = grads if direction is None else direction(grads, key)
    e = _perturbation(params, chosen, rho, weights, perturbs)
    nearby = jax.tree.map(jnp.add, params, e)
    (loss_e, (second, metrics_e)), grads_e = grad_fn(
        nearby, first if statistics == 'both' else extra, batch, key)
    metrics = metrics | {f'{k}_perturbed': v for k, v in metrics_e.items()} | {
        'loss_perturbed': loss_e, 'perturbation_norm': optax.tree.norm(e),
        'gradient_cosine': optax.tree.vdot(_unit(grads), _unit(grads_e))}
    kept = first if statistics == 'first' else second
    return (loss, (kept, metrics)), grads_e

  return ascended


def asam(eta=0.01):
  """`weights` of ASAM as its authors' code has them (Kwon et al., 2021).

  T = |w| + eta for tensors that PyTorch names weight: kernels and the scale of
  normalizations; T = 1 for biases. The code's class has eta = 0.01, its example
  script 0.
  """

  def weights(path, param):
    if path[-1] in ('kernel', 'scale', 'embedding'):
      return jnp.abs(param) + eta
    return jnp.ones_like(param)

  return weights


def asam_all(path, param):
  """`weights` of the other public ASAM: T = |w| for all, biases too.

  Coordinates that are zero are never perturbed. Its best rho is larger.
  """
  del path
  return jnp.abs(param)


def normalization(path):
  """`perturbs` of SAM-ON: scale and bias of normalization layers alone."""
  return any('Norm' in name for name in path)


def random(grads, key):
  """`direction` of the control: normal, independent of the gradient."""
  key = jax.random.fold_in(key, zlib.crc32(b'random direction'))
  return optax.tree.random_like(key, grads)


def decayed(grad_fn, weight_decay):
  """Adds weight_decay / 2 * |params|^2 to the loss, over all parameters.

  Within `sam` it is part of both gradients and turns the perturbation, as in
  the authors' code.
  """

  def with_decay(params, extra, batch, key):
    (loss, aux), grads = grad_fn(params, extra, batch, key)
    squared = optax.tree.norm(params, squared=True)
    grads = jax.tree.map(lambda g, p: g + weight_decay * p, grads, params)
    return (loss + weight_decay / 2 * squared, aux), grads

  return with_decay


def in_groups(grad_fn, m, *, mapped=False, axis=None, mesh=None):
  """Mean over groups of m examples of a batch's gradient, each on its own.

  Of `sam` this is m-SAM: each group has a perturbation of its own, as in
  training on devices that do not share the first gradient (m is then the batch
  of one device). The result depends on m alone, not on how groups are spread.

  Args:
    grad_fn: a gradient whose loss is a mean over the batch.
    m: examples in a group; divides the batch.
    mapped: the groups of a device all at once (`vmap`, with the memory of as
      many gradients), instead of one after another.
    axis: mesh axis to spread the groups over by `shard_map`, each device doing
      its share; None leaves the batch to the compiler.
    mesh: the mesh of `axis`; None is that of the surrounding `shard_map`.

  Returns:
    A gradient of the same type. Loss, metrics and floating `extra` (batch
    statistics, each of m examples) are means over groups; other `extra` is
    that of the last group. Metrics that are not floating, such as which
    examples are right, are joined again [B].

  Raises:
    ValueError: m does not divide the batch, or the axis not the groups.
  """

  def grouped(params, extra, batch, key):
    size = jax.tree.leaves(batch)[0].shape[0]
    if m < 1 or size % m:
      raise ValueError(f'm={m} does not divide the batch of {size}.')
    count = size // m
    groups = jax.tree.map(
        lambda x: x.reshape((count, m) + x.shape[1:]), batch), jnp.arange(count)
    if axis is None:
      return joined(over(groups, params, extra, key))
    found = mesh or jax.sharding.get_abstract_mesh()
    if count % found.shape[axis]:
      raise ValueError(f'{count} groups of m={m} cannot be spread evenly over '
                       f'{found.shape[axis]} devices; choose another m.')

    def share(*args):  # all devices have equally many groups
      return jax.tree.map(
          lambda x: jax.lax.pmean(x, axis) if _floating(x)
          else jax.lax.all_gather(x, axis, tiled=True), over(*args))

    return joined(jax.shard_map(
        share, mesh=mesh, in_specs=(P(axis), P(), P(), P()), out_specs=P(),
        axis_names={axis}, check_vma=False)(groups, params, extra, key))

  def over(groups, params, extra, key):
    """Means of what is floating, the rest with a leading axis of groups."""
    one = lambda group: grad_fn(params, extra, group[0],
                                jax.random.fold_in(key, group[1]))
    if mapped:
      return jax.tree.map(
          lambda x: jnp.mean(x, axis=0) if _floating(x) else x,
          jax.vmap(one)(groups))
    count = groups[1].shape[0]
    like = jax.eval_shape(one, jax.tree.map(lambda x: x[0], groups))

    def add(total, group):
      new = one(group)
      return (jax.tree.map(lambda t, x: t + x / count if _floating(x) else t,
                           total, new),
              jax.tree.map(lambda x: None if _floating(x) else x, new))

    # A few groups without a loop: on a CPU the gradient of `lax`'s convolution
    # is many times slower inside one.
    total, rest = jax.lax.scan(
        add, jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), like), groups,
        unroll=min(count, 8))
    return jax.tree.map(lambda t, r: t if r is None else r, total, rest,
                        is_leaf=lambda x: x is None)

  def joined(result):
    (loss, (extra, metrics)), grads = result
    extra = jax.tree.map(lambda x: x if _floating(x) else x[-1], extra)
    metrics = {k: v if _floating(v) else v.reshape((-1,) + v.shape[2:])
               for k, v in metrics.items()}
    return (loss, (extra, metrics)), grads

  return grouped


def _floating(x):
  return jnp.issubdtype(x.dtype, jnp.floating)


def _perturbation(params, grads, rho, weights, perturbs):
  """e = rho T^2 g / |T g|, zero where the gradient is zero."""
  if any(jnp.finfo(p.dtype).bits < 32 for p in jax.tree.leaves(params)):
    raise ValueError('SAM needs parameters in float32; compute in a narrower '
                     "type through the model's dtype.")
  # The leaves of a Flax NNX tree are called `.value`.
  names = lambda path: tuple(str(getattr(k, 'key', k)) for k in path
                             if str(k) != '.value')
  if perturbs is not None:
    paths = [names(path) for path, _ in
             jax.tree_util.tree_leaves_with_path(params)]
    if not any(map(perturbs, paths)):
      raise ValueError('perturbs selects no parameter, which leaves the plain '
                       f'gradient; paths are {paths[:20]}.')
    grads = jax.tree_util.tree_map_with_path(
        lambda path, g: g if perturbs(names(path)) else jnp.zeros_like(g),
        grads)
  if weights is None:
    return jax.tree.map(lambda g: rho * g, _unit(grads))
  scale = jax.tree_util.tree_map_with_path(
      lambda path, p: weights(names(path), p), params)
  unit = _unit(jax.tree.map(jnp.multiply, scale, grads))
  return jax.tree.map(lambda t, g: rho * t * g, scale, unit)


def _unit(tree):
  """The tree over its L2 norm, in float32 or wider; zero if it is zero."""
  # Divided by the largest first: squares of 1e-23 would all be zero.
  tree = jax.tree.map(lambda x: x.astype(jnp.promote_types(x.dtype, 'float32')),
                      tree)
  largest = jax.tree.reduce(jnp.maximum, jax.tree.map(
      lambda x: jnp.max(jnp.abs(x), initial=0), tree))
  tree = jax.tree.map(lambda x: x / jnp.where(largest == 0, 1, largest), tree)
  norm = optax.tree.norm(tree)
  return jax.tree.map(lambda x: x / jnp.where(norm == 0, 1, norm), tree)
