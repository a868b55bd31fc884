"""Co-teaching (Han et al., 2018): two networks choose what the other learns.

Wrong labels are learned late, so at first their losses are large. Of a batch
each network picks the examples with the smallest losses, and the other network
is trained on these alone; as two networks err differently, what one has taken
for right by mistake is filtered by the other.

Example:
  >>> import jax.numpy as jnp
  >>> from assay.methods import co_teaching
  >>> mine, theirs = jnp.array([1., 2., 9.]), jnp.array([3., .5, 1.])
  >>> [each.tolist() for each in co_teaching.taught(mine, theirs, 1 / 3)]
  [[0.0, 2.0, 9.0], [3.0, 0.5, 0.0]]
"""

import jax
import jax.numpy as jnp


def smallest(losses, rate):
  """[B] bool, whether an example is kept: all but the share with large losses.

  Args:
    losses: [B] float.
    rate: in [0, 1), the share that is forgotten, [] float which may be traced;
      round((1 - rate) B) are kept, of equal losses the first, and always one.
  """
  place = jnp.argsort(jnp.argsort(losses, stable=True))
  return place < jnp.maximum(jnp.round((1 - rate) * len(losses)), 1)


def taught(mine, theirs, rate, seen=None):
  """Losses of two networks [B] each, 0 where the other one forgets an example.

  Args:
    mine, theirs: [B] float, losses of the same examples.
    rate: as for `smallest`.
    seen: the losses that decide, a pair like the others; default these. What
      makes a loss random in training makes a choice by it random, too.
  """
  by_me, by_them = seen or (mine, theirs)
  keep = jax.lax.stop_gradient(
      (smallest(by_them, rate), smallest(by_me, rate)))
  return jnp.where(keep[0], mine, 0), jnp.where(keep[1], theirs, 0)
