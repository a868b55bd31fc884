"""Labels of class and turn: by hand, as sums, in a limit; copies of images."""

import jax
import jax.numpy as jnp
import numpy as np

from assay import losses
from assay.methods import self_label_augmentation as sla
from assay.testbeds import vision_copies

RNG = np.random.default_rng(0)
Y = jnp.array([2, 0] * 4)
BATCH = {'y': Y, 'turn': jnp.repeat(jnp.arange(4), 2)}


def test_a_batch_has_all_turns_and_their_labels():
  x = RNG.normal(size=(2, 3, 3, 1))
  draw = lambda shared, own, item, key: {'x': x, 'y': Y[:2]}
  batch = sla.turned(draw)(None, None, None, None)
  for t in range(4):
    np.testing.assert_allclose(batch['x'][2 * t:2 * t + 2], np.rot90(
        x, t, axes=(1, 2)), rtol=1e-6)
  assert all((batch[k] == BATCH[k]).all() for k in BATCH)


def test_two_tasks_are_joint_labels_with_logits_that_are_sums():
  classes, turns = RNG.normal(size=(8, 3)), RNG.normal(size=(8, 4))
  sums = (classes[:, :, None] + turns[:, None]).reshape(8, -1)
  np.testing.assert_allclose(
      sla.multi_task(np.append(classes, turns, axis=1), BATCH),
      sla.joint(sums, BATCH), rtol=1e-5)


def test_equal_columns_make_aggregation_one_look():
  classes = RNG.normal(size=(5, 3))
  logits = np.repeat(classes, 4, axis=1)  # the same for each turn
  np.testing.assert_allclose(sla.single(logits), classes)
  np.testing.assert_allclose(sla.aggregated([logits] * 4), classes)


def test_the_head_learns_what_is_aggregated():
  joined = jnp.asarray(RNG.normal(size=(8, 12)))
  target = sla.aggregated(joined.reshape(4, 2, 12))
  said = lambda head: jnp.concatenate([joined, jnp.tile(head, (4, 1))], axis=1)
  extra = lambda head: (sla.distilled(said(head), BATCH)
                        - sla.joint(joined, BATCH))[:2]
  # With the same answer the divergence is zero and labels alone are left.
  np.testing.assert_allclose(extra(target), losses.cross_entropy(
      target, Y[:2]), rtol=1e-4)
  through = jax.grad(lambda z: jnp.sum(sla.distilled(jnp.concatenate(
      [z, jnp.zeros((8, 3))], axis=1), BATCH)))(joined)
  alone = jax.grad(lambda z: jnp.sum(sla.joint(z, BATCH)))(joined)
  np.testing.assert_allclose(through, alone, atol=1e-6)  # it is a constant


def test_copies_by_hand():
  x = np.arange(4).reshape(1, 2, 2, 1)
  for name, want in dict(turned_1=[1, 3, 0, 2], shifted_down=[0, 1, 0, 1],
                         shifted_right=[0, 0, 2, 2]).items():
    assert vision_copies.COPIES[name](x).ravel().tolist() == want
