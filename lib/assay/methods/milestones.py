"""When something first becomes true in training, and the parameters then.

Exact to the step, whatever the number of steps between points of the curves:
the notes live in `extra`, so they are saved with the State.
"""

import jax
import jax.numpy as jnp


def start(params, count):
  """The notes before training, for `extra['milestones']`.

  Returns:
    dict of `updates` int32 [], gradients so far; `step` int32 [count], updates
    done when a milestone was first seen, -1 if it was not; `params`, a tree
    like params with a leading axis [count], zero if it was not.
  """
  return {'updates': jnp.int32(0), 'step': jnp.full(count, -1, jnp.int32),
          'params': jax.tree.map(
              lambda p: jnp.zeros((count,) + p.shape, p.dtype), params)}


def noted(grad_fn, reached):
  """Notes milestones in `extra['milestones']`; a gradient -> gradient.

  The outermost of a gradient's wrappers, so that around SAM it sees the
  parameters and the loss before the perturbation. The parameters after the
  last update are not seen.

  Args:
    grad_fn: any gradient, which sees the rest of `extra`.
    reached: `(params, loss, batch) -> bool [count]`.

  Example:
    >>> import jax.numpy as jnp
    >>> from assay.methods import milestones
    >>> grad_fn = milestones.noted(
    ...     lambda w, extra, batch, key: ((w**2, (extra, {})), 2 * w),
    ...     lambda w, loss, batch: loss < jnp.array([0.5, 0.01]))
    >>> extra = {'milestones': milestones.start(jnp.array(1.), count=2)}
    >>> for w in 1., 0.5, 0.25:
    ...   (_, (extra, _)), _ = grad_fn(jnp.array(w), extra, {}, None)
    >>> notes = extra['milestones']
    >>> notes['step'].tolist(), notes['params'].tolist()
    ([1, -1], [0.5, 0.0])
  """

  def with_notes(params, extra, batch, key):
    rest = {k: v for k, v in extra.items() if k != 'milestones'}
    (loss, (rest, metrics)), grads = grad_fn(params, rest, batch, key)
    old = extra['milestones']
    now = reached(params, loss, batch) & (old['step'] < 0)
    notes = {
        'updates': old['updates'] + 1,
        'step': jnp.where(now, old['updates'], old['step']),
        'params': jax.tree.map(lambda p, kept: jnp.where(
            now.reshape(now.shape + (1,) * p.ndim), p, kept), params,
                               old['params'])}
    return (loss, (rest | {'milestones': notes}, metrics)), grads

  return with_notes
