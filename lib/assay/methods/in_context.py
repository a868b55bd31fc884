"""Classifiers that learn from a sequence alone: what learning in context is up
against.

Each takes one sequence, x [T, n] float and y [T] int in [0, C), and returns
the predictions [T] int32 of y_t from the examples before t and x_t. All are
pure; `jax.vmap` maps over sequences. None has a prior over tasks.
"""

import jax
import jax.numpy as jnp


def nearest_neighbor(x, y):
  """The label of the nearest example so far, of equal ones the first; 0 at t=0.

  Under a random projection distances are kept up to some sqrt(2 / n), so that
  the same rule on the images themselves brackets what can be reached.

  Example:
    >>> import jax.numpy as jnp
    >>> from assay.methods import in_context
    >>> x, y = jnp.array([[0.], [9.], [1.], [8.]]), jnp.array([0, 1, 0, 1])
    >>> in_context.nearest_neighbor(x, y).tolist()  # 9 was not seen before
    [0, 0, 0, 1]
  """
  before = jnp.tril(jnp.ones((len(x), len(x)), bool), -1)
  square = jnp.sum(x**2, axis=1)
  # |x_t|^2 is the same for all candidates of a row.
  distance = square[None] - 2 * jnp.matmul(
      x, x.T, precision=jax.lax.Precision.HIGHEST)
  nearest = jnp.argmin(jnp.where(before, distance, jnp.inf), axis=1)
  return jnp.where(jnp.arange(len(x)) > 0, y[nearest], 0).astype(jnp.int32)


def class_mean(x, y, num_classes):
  """The class whose mean so far is nearest; classes not seen are not guessed.

  0 at t = 0.
  """
  shown = jax.nn.one_hot(y, num_classes, dtype=x.dtype)
  earlier = lambda values: jnp.cumsum(values, axis=0) - values
  count = earlier(shown)  # [T, C]
  total = earlier(shown[:, :, None] * x[:, None])  # [T, C, n]
  mean = total / jnp.maximum(count, 1)[..., None]
  distance = jnp.sum((mean - x[:, None]) ** 2, axis=-1)
  return jnp.argmin(jnp.where(count > 0, distance, jnp.inf),
                    axis=1).astype(jnp.int32)


def online_sgd(key, x, y, num_classes, learning_rate, width=64):
  """A network with a hidden layer that takes a step on each example it saw.

  It starts afresh in each sequence: predict y_t, then one step of gradient
  descent on the cross entropy of example t.

  Args:
    key: typed key, of the initialization: He's normal, biases 0.
    x, y: as above.
    num_classes: C.
    learning_rate: [] float.
    width: hidden units, with ReLU.
  """
  keys = jax.random.split(key)
  params = {
      'w_0': jax.random.normal(keys[0], (x.shape[1], width)) * (
          2 / x.shape[1]) ** 0.5,
      'b_0': jnp.zeros(width),
      'w_1': jax.random.normal(keys[1], (width, num_classes)) * width ** -0.5,
      'b_1': jnp.zeros(num_classes)}

  def loss(params, x, y):
    hidden = jax.nn.relu(x @ params['w_0'] + params['b_0'])
    logits = hidden @ params['w_1'] + params['b_1']
    return -jax.nn.log_softmax(logits)[y], logits

  def step(params, example):
    grads, logits = jax.grad(loss, has_aux=True)(params, *example)
    params = jax.tree.map(lambda p, g: p - learning_rate * g, params, grads)
    return params, jnp.argmax(logits).astype(jnp.int32)

  return jax.lax.scan(step, params, (x, y))[1]
