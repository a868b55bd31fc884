"""USEFUL's parts, and counts of forgetting, against values by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from assay.errors import UserError
from assay.methods import forgetting, sam, useful


@pytest.mark.parametrize('errors, epoch', [
    # Falls .4, .05, .01: the second is the first below a fifth of .4.
    ([.9, .5, .45, .44], 2),
    ([.5, .5, .5, .1, .09, .08], 4),  # nothing is learned at first
    ([.5, .4, .3, .2], 4),  # falls to the end
    ([.3, .3, .3], 3),  # never falls
])
def test_elbow(errors, epoch):
  assert useful.elbow(errors, fraction=.2, window=1) == epoch


def test_elbow_is_of_the_smoothed_error():
  noisy = [.9, .5, .52, .3, .28, .29, .27]
  assert useful.elbow(noisy, window=1) == 2  # error rises once
  assert useful.elbow(noisy, window=3) == 5
  # Means of three: .7, .64, .44, .367, .29, .28, .28; a tenth of .2 is .02.


@pytest.mark.parametrize('errors', [[.5], [.5, np.nan]])
def test_elbow_of_too_little(errors):
  with pytest.raises(UserError, match='at least two finite'):
    useful.elbow(errors)


def blobs(scale, seed=0, hard=(20, 5)):
  """Two classes, each with an easy and a hard blob of outputs."""
  rng = np.random.default_rng(seed)
  outputs, labels, slow = [], [], []
  for label, count in enumerate(hard):
    for number, center, late in ((100, 3., False), (count, 0.1, True)):
      center = np.array([center, -center]) * (1 - 2 * label)
      outputs.append(center + .1 * rng.normal(size=(number, 2)))
      labels += [label] * number
      slow += [late] * number
  outputs, labels = np.concatenate(outputs), np.array(labels)
  margin = outputs[np.arange(len(labels)), labels] - outputs[
      np.arange(len(labels)), 1 - labels]
  return scale * outputs, labels, np.log1p(np.exp(-margin)), np.array(slow)


@pytest.mark.parametrize('scale', [1., 1e-6, 1e6])
def test_separate_finds_the_hard_examples_at_any_scale(scale):
  outputs, labels, losses, slow = blobs(scale)
  found = useful.separate(outputs, labels, losses)
  np.testing.assert_array_equal(found.slow, slow)
  assert found.remarks == ()


def test_slow_is_decided_by_loss_within_each_class():
  """The loss of one class's fast half may exceed that of another's slow."""
  outputs, labels, losses, slow = blobs(1.)
  shifted = losses + 10. * (labels == 0)
  np.testing.assert_array_equal(
      useful.separate(outputs, labels, shifted).slow, slow)
  # By loss and not by size or by the order of clusters.
  np.testing.assert_array_equal(
      useful.separate(outputs, labels, -losses).slow, ~slow)


def test_separate_does_not_depend_on_the_order_of_examples():
  outputs, labels, losses, slow = blobs(1.)
  order = np.random.default_rng(3).permutation(len(labels))
  found = useful.separate(outputs[order], labels[order], losses[order])
  np.testing.assert_array_equal(found.slow, slow[order])


def test_a_class_that_cannot_be_split_has_no_slow_examples():
  outputs, labels, losses, slow = blobs(1.)
  same = np.where((labels == 1)[:, None], 1., outputs)
  found = useful.separate(same, labels, losses)
  np.testing.assert_array_equal(found.slow, slow & (labels == 0))
  assert found.remarks == ('class 1: all 105 outputs are the same',)
  equal = np.where(labels == 1, .5, losses)
  found = useful.separate(outputs, labels, equal)
  assert not found.slow[labels == 1].any()
  assert found.remarks == ('class 1: both clusters have loss 0.5',)


def test_separate_refuses_what_is_not_finite_or_does_not_fit():
  outputs, labels, losses, _ = blobs(1.)
  outputs[3, 1] = np.nan
  with pytest.raises(UserError, match='not finite'):
    useful.separate(outputs, labels, losses)
  with pytest.raises(UserError, match='225 outputs, 224 labels'):
    useful.separate(outputs, labels[1:], losses)


def test_upsample():
  own = {'train_rows': np.array([[5, 6, 7, 8], [5, 6, 7, 8]]), 'other': 1}
  got = useful.upsample(own, [[0, 3, 3], []], batch_size=2, num_epochs=10)
  np.testing.assert_array_equal(
      got['train_rows'], [[5, 6, 7, 8, 5, 8, 8], [5, 6, 7, 8, 8, 8, 8]])
  np.testing.assert_array_equal(got['num_train'], [7, 4])
  np.testing.assert_array_equal(got['num_steps'], [30, 20])
  assert got['other'] == 1


def test_same_number():
  rng = np.random.default_rng(0)
  some = np.array([True, False, True, True])
  assert sorted(useful.same_number(some, 3, rng)) == [0, 2, 3]
  assert len(set(useful.same_number(some, 2, rng))) == 2
  counts = np.bincount(useful.same_number(some, 8, rng), minlength=4)
  assert counts[1] == 0 and counts.sum() == 8
  assert set(counts[[0, 2, 3]]) == {2, 3}
  assert len(useful.same_number(some, 0, rng)) == 0
  assert len(useful.same_number(np.zeros(4, bool), 3, rng)) == 0
  drawn = np.concatenate([useful.same_number(some, 1, rng)
                          for _ in range(3000)])
  np.testing.assert_allclose(np.bincount(drawn)[[0, 2, 3]] / 3000, 1 / 3,
                             atol=.03)


def test_weights_give_the_mean_gradient_of_copies():
  slow = np.array([True, False, False, True, False])
  each = np.random.default_rng(0).normal(size=5)
  copies = np.concatenate([each, each[slow], each[slow]])
  np.testing.assert_allclose(np.mean(useful.weights(slow, 3.) * each),
                             copies.mean(), rtol=1e-6)


def test_weighted_draw_takes_the_weight_of_the_row():
  draw = lambda shared, own, item, key: {'index': own['train_rows'][item]}
  own = {'train_rows': np.array([4, 2]), 'weight': np.arange(6) / 10}
  batch = useful.weighted(draw)({}, own, np.array([1, 0]), None)
  np.testing.assert_allclose(batch['weight'], [.2, .4])


def test_digest_tells_sets_apart():
  slow = np.arange(100) % 7 == 0
  assert useful.digest(slow) == useful.digest(slow.copy())
  other = slow.copy()
  other[50] = ~other[50]
  assert useful.digest(slow) != useful.digest(other)
  assert len(useful.digest(slow)) == 16


def known(correct):
  """A gradient whose answers are known: `correct` of each row, by step."""

  def grad_fn(params, extra, batch, key):
    right = jnp.asarray(correct)[params['step']][batch['index']]
    return (jnp.float32(0), (extra, {'correct': right})), params

  return forgetting.counted(grad_fn)


def test_counts_by_hand():
  correct = np.array([[0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 0], [0, 1, 1, 0],
                      [1, 1, 1, 0]], bool)
  gradient = known(correct)
  extra = {'learning': forgetting.start(4), 'other': jnp.ones(2)}
  errors = []
  for step in range(5):
    # Row 2 is not drawn in the step in which it would be wrong.
    index = jnp.array([0, 1, 3] if step == 2 else [0, 1, 2, 3, 0])
    (_, (extra, metrics)), _ = gradient(
        {'step': step}, extra, {'index': index}, None)
    errors.append(float(metrics['error']))
  found = extra['learning']
  np.testing.assert_array_equal(found['forgotten'], [1, 1, 0, 0])
  never = forgetting.NEVER
  np.testing.assert_array_equal(found['first'], [1, 0, 0, never])
  np.testing.assert_array_equal(found['since'], [4, 2, 0, never])
  np.testing.assert_array_equal(found['right'], [1, 1, 1, 0])
  assert found['step'] == 5
  # Row 0 is drawn twice, and counts twice in the error of the batch.
  np.testing.assert_allclose(errors, [.6, .4, 1 / 3, .6, .2], rtol=1e-6)
  np.testing.assert_array_equal(extra['other'], 1)
  np.testing.assert_allclose(
      forgetting.epochs(found['first'], 5, 2), [.5, 0, 0, 2.5])


def test_within_sam_the_first_pass_counts():
  """At p the row is right, at the perturbed p it is wrong."""

  def loss_fn(params, extra, batch, key):
    correct = jnp.full(batch['index'].shape, params['p'] < 1.05)
    return params['p'] ** 2, (extra, {'correct': correct})

  gradient = forgetting.counted(sam.sam(
      jax.value_and_grad(loss_fn, has_aux=True), .1))
  extra = {'learning': forgetting.start(1)}
  (_, (extra, metrics)), _ = gradient(
      {'p': jnp.float32(1)}, extra, {'index': jnp.array([0])}, None)
  assert bool(extra['learning']['right'][0])
  assert extra['learning']['step'] == 1
  assert metrics['error'] == 0


def test_groups_of_a_batch_are_counted_together():
  correct = jnp.array([True, False, True, True, False, False])

  def loss_fn(params, extra, batch, key):
    return jnp.sum(params ** 2), (extra, {'correct': correct[batch['index']]})

  gradient = jax.value_and_grad(loss_fn, has_aux=True)
  index = jnp.array([5, 0, 1, 3])
  for grouped in (sam.in_groups(sam.sam(gradient, .1), 2),
                  sam.in_groups(gradient, 1, mapped=True)):
    extra = {'learning': forgetting.start(6)}
    (_, (extra, metrics)), _ = forgetting.counted(grouped)(
        jnp.ones(2), extra, {'index': index}, jax.random.key(0))
    np.testing.assert_array_equal(extra['learning']['right'],
                                  [True, False, False, True, False, False])
    assert extra['learning']['step'] == 1
    assert metrics['error'] == .5


def test_summary_of_groups():
  learning = {'step': 8, 'forgotten': np.array([9, 1, 0, 2]),
              'first': np.array([9, 2, forgetting.NEVER, 4])}
  groups = {'slow': np.array([False, True, False]), 'none': np.zeros(3, bool)}
  assert forgetting.summary(learning, np.array([1, 2, 3]), 2, groups) == {
      ('forgetting', ''): (1, 3), ('forgetting', 'slow'): (0, 1),
      ('first_learned', ''): (pytest.approx(7 / 3), 3),  # 1, 4, 2 epochs
      ('first_learned', 'slow'): (4, 1)}  # never, so at the end
