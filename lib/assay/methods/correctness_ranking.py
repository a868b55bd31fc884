"""How often each example was right in training, to rank confidences by (CRL).

Moon et al., 2020. The counts live in `extra`, so they are saved with the State.
A loss function reads the shares before it counts its own batch:

  history = extra['history']
  ranking = losses.correctness_ranking(
      confidences, shares(history, batch['index']))
  extra = extra | {'history': updated(history, batch['index'], right)}
"""

import jax.numpy as jnp


def start(num_examples):
  """The counts before training: `drawn`, `right`, int32 [N] each."""
  nothing = jnp.zeros(num_examples, jnp.int32)
  return {'drawn': nothing, 'right': nothing}


def updated(history, index, right):
  """The counts after a batch; a row that is in it twice counts twice.

  Args:
    history: as `start` gives it.
    index: [B] int, rows of the training data.
    right: [B] bool.

  Example:
    >>> import jax.numpy as jnp
    >>> from assay.methods import correctness_ranking
    >>> history, rows = correctness_ranking.start(2), jnp.arange(2)
    >>> for right in [True, True], [True, False]:
    ...   history = correctness_ranking.updated(history, rows, jnp.array(right))
    >>> correctness_ranking.shares(history, rows).tolist()
    [1.0, 0.5]
  """
  return {'drawn': history['drawn'].at[index].add(1),
          'right': history['right'].at[index].add(right.astype(jnp.int32))}


def shares(history, index):
  """Of the draws of a row so far, the share that was right; 0 before the first.

  The authors' code divides by one number for all, the epochs that are over,
  after it takes off the smallest count: the same, with one draw an epoch, as
  long as there is an example that was never right.

  Args:
    history: as `start` gives it.
    index: [B] int, rows of the training data.

  Returns:
    [B] float32 in [0, 1].
  """
  drawn = jnp.maximum(history['drawn'][index], 1).astype(jnp.float32)
  return history['right'][index] / drawn
