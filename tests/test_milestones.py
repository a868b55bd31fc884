"""Milestones: when something first became true, and the parameters then."""

import jax
import jax.numpy as jnp
import numpy as np

from assay.methods import milestones


def test_milestones_note_the_first_time_only():
  loss_fn = lambda p, extra, batch, key: (jnp.sum(p ** 2), (extra, {}))
  grad_fn = milestones.noted(
      jax.value_and_grad(loss_fn, has_aux=True),
      lambda p, loss, batch: jnp.stack([p[0] > 2, loss > 1e9]))
  params = jnp.array([1., 0.])
  extra = {'milestones': milestones.start(params, 2), 'other': 7}
  for value in (1., 3., 0., 5.):
    (_, (extra, _)), grads = grad_fn(params.at[0].set(value), extra, {}, None)
  np.testing.assert_allclose(grads, [10., 0.])
  notes = extra['milestones']
  assert extra['other'] == 7 and int(notes['updates']) == 4
  np.testing.assert_array_equal(notes['step'], [1, -1])
  np.testing.assert_array_equal(notes['params'], [[3., 0.], [0., 0.]])
