"""A linear adaptor of frozen features, trained with SDM activations.

`sdm` says what these are. Features are standardized; then h' = W h + b and z' =
W' h' + b'. Adam on the mean loss; q and d are constants that are found anew
after each epoch, and the first epoch is that of plain softmax. Of several
restarts, each with its own halves of the examples to train on and to hold out,
the one with the lowest loss on what it held out is taken, where each class
counts equally.

Example:
  >>> import jax, jax.numpy as jnp
  >>> from assay.methods import sdm_adaptor
  >>> x = jax.random.normal(jax.random.key(0), (80, 2))
  >>> labels = (x[:, 0] > 0).astype(int)
  >>> params = sdm_adaptor.fit(x, labels, 0, num_classes=2, restarts=1)
  >>> found = sdm_adaptor.said(params, jnp.array([[1., 0.], [50., 0.]]))
  >>> found['log_p'].argmax(axis=1).tolist()[0], found['d'].tolist()[1]
  (1, 0.0)
  >>> jnp.exp(found['log_p'][1]).tolist()  # far from all
  [0.5, 0.5]
"""

import functools

import jax
import jax.numpy as jnp
import optax

from assay.methods import sdm
from assay.models import mlp

LEAST_STD = 1e-6  # of a feature


def fit(features, labels, seed, similar=True, distant=True, *, num_classes,
        width=64, num_epochs=30, batch_size=50, learning_rate=1e-3,
        restarts=3):
  """Parameters of the best of several restarts, as `said` takes them.

  Args:
    features: [N, D] float, of a network that did not train on these examples.
    labels: [N] int in [0, num_classes).
    seed: int, of halves, initialization and order.
    num_classes: C.
    similar: whether q counts; else it is e - 2.
    distant: whether d counts; else it is 1. Without both it is softmax.
    width: M, of h'.
    num_epochs, batch_size, learning_rate: of Adam; the paper has 200, 50, 1e-5.
    restarts: >= 1; the paper has 10.

  Returns:
    dict; in its `held` is what `said` says of the examples that the chosen
    restart held out, and their labels.
  """
  each = [_restart(
      jax.random.fold_in(jax.random.key(seed), i), jnp.asarray(features),
      jnp.asarray(labels), learning_rate, num_classes=num_classes,
      similar=similar, distant=distant, width=width, num_epochs=num_epochs,
      batch_size=min(batch_size, len(labels) // 2)) for i in range(restarts)]
  return min(each, key=lambda made: float(made[0]))[1]


@functools.partial(jax.jit, static_argnames=(
    'num_classes', 'similar', 'distant', 'width', 'num_epochs', 'batch_size'))
def _restart(key, features, labels, learning_rate, *, num_classes, similar,
             distant, width, num_epochs, batch_size):
  """(balanced loss on what is held out, parameters) of one restart."""
  halves, start, order = jax.random.split(key, 3)
  train, held = jnp.split(jax.random.permutation(halves, len(labels))[
      :len(labels) // 2 * 2], 2)
  x, y = features[train], labels[train]
  params = _initial(start, x, num_classes, width)
  fixed, tx = {k: params.pop(k) for k in ('mean', 'std')}, optax.adam(
      learning_rate)

  def update(state, rows):
    params, opt_state, q, d = state
    mean = lambda params: jnp.mean(sdm.loss(
        sdm.adapted(fixed | params, x[rows])[1], y[rows], q[rows], d[rows]))
    updates, opt_state = tx.update(jax.grad(mean)(params), opt_state)
    return (optax.apply_updates(params, updates), opt_state, q, d), None

  def epoch(state, key):
    steps = len(x) // batch_size
    rows = jax.random.permutation(key, len(x))[:steps * batch_size]
    (params, opt_state, q, d), _ = jax.lax.scan(
        update, state, rows.reshape(steps, -1))
    if similar or distant:
      h, logits = sdm.adapted(fixed | params, x)
      q, d = _found(sdm.bank_of(h, logits, y), h, logits, y, similar, distant,
                    jnp.arange(len(x)))[:2]
    return (params, opt_state, q, d), None

  state = params, tx.init(params), jnp.full(len(x), jnp.e - 2), jnp.ones(len(x))
  (params, *_), _ = jax.lax.scan(epoch, state, jax.random.split(
      order, num_epochs))
  h, logits = sdm.adapted(fixed | params, x)
  bank = sdm.bank_of(h, logits, y)
  h, logits = sdm.adapted(fixed | params, features[held])
  q, d, known = _found(bank, h, logits, labels[held], similar, distant)
  losses = sdm.loss(logits, labels[held], q, d)
  of_class = jax.nn.one_hot(labels[held], num_classes)
  balanced = jnp.mean(losses @ of_class / jnp.maximum(of_class.sum(axis=0), 1))
  return balanced, fixed | params | {
      'bank': bank, 'known': known, 'held': {
          'log_p': sdm.activation(logits, q, d), 'q': q, 'd': d,
          'labels': labels[held]},
      'similar': jnp.asarray(similar), 'distant': jnp.asarray(distant)}


def _initial(key, x, num_classes, width):
  """PyTorch's law for both layers; mean and deviation of the features."""
  std, made, shape = jnp.std(x, axis=0), {}, (x.shape[1], width, num_classes)
  for i, name in enumerate(('in', 'out')):
    key, *keys = jax.random.split(key, 3)
    draw = mlp.fan_in_uniform(shape[i])
    made[name] = {'kernel': draw(keys[0], shape[i:i + 2], jnp.float32),
                  'bias': draw(keys[1], shape[i + 1:i + 2], jnp.float32)}
  return made | {'mean': jnp.mean(x, axis=0),
                 'std': jnp.where(std > LEAST_STD, std, 1.)}


def _found(bank, h, logits, labels, similar, distant, own_rows=None):
  """(q, d, (distances, labels, which count)) of examples with labels."""
  q, nearest = sdm.similarity(bank, h, jnp.argmax(logits, axis=1), own_rows)
  known = nearest, labels, q > 0
  d = sdm.distance(nearest, *known, logits.shape[1])
  return (jnp.where(similar, q, jnp.e - 2.), jnp.where(distant, d, 1.), known)


@jax.jit
def said(params, features):
  """dict of log_p [n, C], the log of the activation, q [n] and d [n].

  Args:
    params: from `fit`.
    features: [n, D] float.
  """
  h, logits = sdm.adapted(params, features)
  q, nearest = sdm.similarity(params['bank'], h, jnp.argmax(logits, axis=1))
  d = sdm.distance(nearest, *params['known'], logits.shape[1])
  q = jnp.where(params['similar'], q, jnp.e - 2.)
  d = jnp.where(params['distant'], d, 1.)
  return {'log_p': sdm.activation(logits, q, d), 'q': q, 'd': d}
