"""MAML: parameters from which a few steps of SGD learn a new task.

Model-agnostic meta-learning (Finn et al., 2017, arXiv 1703.03400) trains what a
task starts from: the loss of a task's query examples after steps on its support
examples, as a function of where the steps began. On your own tasks, with a
`loss(params, examples) -> []` and trees of arrays with a leading axis of tasks:

    grads = jax.grad(maml.meta_loss, argnums=1)(
        loss, params, support, query, 0.01)  # as often as you like
    mine = maml.adapted(loss, params, my_support, 0.01, num_steps=10)

The rate of the steps may be a tree: one that is learned too is Meta-SGD (Li et
al., 2017), one that is 0 below the last layer is ANIL (Raghu et al., 2020).
"""

import functools

import jax
import jax.numpy as jnp


def adapted(loss, params, support, rates, num_steps=1, first_order=False):
  """Parameters after `num_steps` of params - rate * d loss / d params.

  Args:
    loss: `(params, support) -> []`.
    params: a tree of arrays.
    support: what the loss takes: the examples that a task is learned from.
    rates: >= 0, [] float; or a tree of them that is `params` or its upper part,
      {'hidden': 0., 'output': 0.1} for two layers, say.
    num_steps: >= 0.
    first_order: take the gradients of the steps for constants, so that through
      them no gradient flows: first-order MAML, without second derivatives.

  Returns:
    As `params`.

  Raises:
    ValueError: fewer than 0 steps.

  Example:
    >>> import jax.numpy as jnp
    >>> from assay.methods import maml
    >>> loss = lambda w, target: jnp.sum((w - target)**2) / 2
    >>> maml.adapted(loss, jnp.array([4.]), 0., 0.5, num_steps=2).tolist()
    [1.0]
  """
  return path(loss, params, support, rates, num_steps, first_order)[0]


def path(loss, params, support, rates, num_steps, first_order=False):
  """`adapted`, and where it came along.

  Args:
    loss, params, support, rates, num_steps, first_order: as `adapted` takes
      them.

  Returns:
    (params after all steps, a tree as `params` whose leaves have a leading axis
    of `num_steps`: before each step).

  Raises:
    ValueError: as `adapted`.
  """
  if num_steps < 0:
    raise ValueError(f'num_steps={num_steps} must be 0 or more.')

  def step(params, _):
    grads = jax.grad(loss)(params, support)
    if first_order:
      grads = jax.lax.stop_gradient(grads)
    # Of a tree that ends earlier than the parameters a rate is for all below.
    moved = jax.tree.map(
        lambda rate, part, slope: jax.tree.map(
            lambda p, g: p - jnp.asarray(rate, p.dtype) * g, part, slope),
        rates, params, grads)
    return moved, params

  return jax.lax.scan(step, params, length=num_steps)


def task_losses(loss, params, support, query, rates, num_steps=1,
                first_order=False):
  """The loss of each task's query examples after steps on its support.

  Args:
    loss, params, rates, num_steps, first_order: as `adapted` takes them.
    support, query: trees of arrays [T, ...] of T tasks.

  Returns:
    [T] float.
  """
  adapt = functools.partial(adapted, loss, params, rates=rates,
                            num_steps=num_steps, first_order=first_order)
  return jax.vmap(lambda support, query: loss(adapt(support=support), query))(
      support, query)


def meta_loss(loss, params, support, query, rates, num_steps=1,
              first_order=False):
  """The mean of `task_losses`, whose gradient is MAML's (their equation 1).

  Args:
    loss, params, support, query, rates, num_steps, first_order: as
      `task_losses` takes them.

  Returns:
    [] float.

  Example:
    >>> import jax, jax.numpy as jnp
    >>> from assay.methods import maml
    >>> loss = lambda w, target: jnp.sum((w - target)**2) / 2
    >>> args = jnp.array(4.), jnp.array([0.]), jnp.array([1.]), 0.25
    >>> slope = jax.grad(maml.meta_loss, argnums=1)
    >>> float(slope(loss, *args))  # (3 - 1) (1 - 0.25)
    1.5
    >>> float(slope(loss, *args, first_order=True))  # 3 - 1
    2.0
  """
  return jnp.mean(task_losses(loss, params, support, query, rates, num_steps,
                              first_order))
