"""What the testbed `meta` measures of tasks: errors as they are learned."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from assay import losses
from assay.methods import maml

Z = 1.96  # standard errors on each side of a mean over tasks, for 95 %


def parted(task):
  """(support, query) of a task or of many, each a dict of x and y."""
  return ({k: task[k] for k in 'xy'}, {k: task[f'query_{k}'] for k in 'xy'})


@functools.lru_cache  # of an equal model the same object again
def squared(model):
  """`(params, {x, y}) -> []`, the loss of a task's examples."""
  return lambda params, examples: jnp.mean(losses.squared(
      model.apply({'params': params}, examples['x']), examples['y']))


def after(model, num_steps, params, rates, tasks):
  """Mean squared error of each task's query after 0, 1, ..., num_steps steps.

  Args:
    model: a Linen module, [B, D] -> [B, Q].
    num_steps: K.
    params: the module's.
    rates: of the steps, as `maml.path` takes them.
    tasks: T of them, from `meta_tasks.tasks`.

  Returns:
    [T, K + 1] float32.
  """
  loss = squared(model)

  def of_task(task):
    support, query = parted(task)
    last, before = maml.path(loss, params, support, rates, num_steps)
    return jnp.append(jax.vmap(lambda p: loss(p, query))(before),
                      loss(last, query))

  return jax.vmap(of_task)(tasks)


compiled = jax.jit(after, static_argnums=(0, 1))


def half_width(values):
  """Half the 95 % interval of a mean over tasks; values [T]."""
  return Z * values.std(ddof=1) / len(values)**.5


def means(function, tasks):
  """{name: [S]} of `function(task) -> {name: []}`, means over tasks of a seed.

  Args:
    function: of one task.
    tasks: those of each of S seeds.
  """
  of_seed = jax.jit(lambda tasks: jax.tree.map(
      jnp.mean, jax.vmap(function)(tasks)))
  found = [of_seed(each) for each in tasks]
  return {k: np.array([of[k] for of in found]) for k in found[0]}
