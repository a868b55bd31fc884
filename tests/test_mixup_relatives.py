"""Mixup's relatives against formulas of their own, and in their limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from assay import papers
from assay.errors import UserError
from assay.methods import (
    anchor_augmentation,
    cutmix,
    foma,
    kernel_mixup,
    mixup,
    rc_mixup,
    regmixup,
)
from assay.study import Block, Study, replaced
from assay.testbeds import tabular, tabular_mixing, tabular_relatives

RNG = np.random.default_rng(0)
X = RNG.normal(size=(7, 3)).astype(np.float32)
Y = RNG.normal(size=(7, 1)).astype(np.float32)
GROUP = np.array([0, 1, 1, 0, 4, 1, 0])


# --- CutMix -------------------------------------------------------------------


def test_a_box_is_as_large_as_lam_says_and_cut_at_borders():
  keys = jax.random.split(jax.random.key(0), 2000)
  inside = np.asarray(jax.vmap(lambda key: cutmix.box(key, 10, 20, .75))(keys))
  height, width = (inside.any(axis).sum(-1) for axis in (2, 1))
  # Half of 10 and of 20 pixels, rounded down to even numbers.
  np.testing.assert_array_equal(inside.sum((1, 2)), height * width)
  assert height.max() == 4 and width.max() == 10
  # Not cut: centers 2 to 8 of 10 rows, 5 to 15 of 20 columns.
  whole = (height == 4) & (width == 10)
  assert whole.mean() == pytest.approx(.7 * .55, abs=.03)
  assert inside.mean(0)[2:8, 5:15].std() < .02  # no place is preferred
  assert not cutmix.box(keys[0], 10, 20, 1.).any()


def test_labels_are_mixed_by_the_pixels_that_are_seen():
  images = jnp.stack([jnp.zeros((6, 8, 2)), jnp.ones((6, 8, 2))])
  arm = tabular_mixing.mixing(mixup.uniform, 'box')
  config = papers.configs('c_mixup').get_config('smoke')
  batch = arm.draw(config, lambda shared, own, item, key: {
      'x': images[item], 'y': item[:, None].astype(jnp.float32)})
  own = {'train_rows': np.arange(2), 'alpha': np.float32(1)}
  shares = set()
  for seed in range(20):
    got = batch({}, own, jnp.arange(2), jax.random.key(seed))
    np.testing.assert_allclose(got['x'].mean((1, 2, 3)), got['y'][:, 0],
                               atol=1e-6)
    shares |= set(np.round(got['y'][:, 0].tolist(), 3))
  assert len(shares) > 8


def test_only_images_have_boxes():
  with pytest.raises(ValueError, match=r'x must be images .* shape \(7, 3\)'):
    cutmix.paste(jax.random.key(0), {'x': X})
  config = replaced(papers.configs('c_mixup').get_config('smoke'), {
      'arms': ('cutmix',), 'num_seeds': 1})
  with pytest.raises(UserError, match=r'diabetes has inputs of shape \(10,\)'):
    papers.load('c_mixup').run(config, Study('c_mixup', 'smoke', config))


# --- Anchor data augmentation ------------------------------------------------


@pytest.mark.parametrize('gamma', [.25, 1., 3.])
def test_it_is_the_projection_of_anchor_regression(gamma):
  anchors = (GROUP[:, None] == np.unique(GROUP)).astype(float)
  onto = anchors @ np.linalg.inv(anchors.T @ anchors) @ anchors.T
  moved = np.eye(7) + (gamma ** .5 - 1) * onto
  want = moved @ (X - X.mean(0)) / moved.sum(1, keepdims=True) + X.mean(0)
  got = anchor_augmentation.toward_means(X, GROUP, gamma)
  np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(got[4], X[4], rtol=1e-6)  # alone in its group


def test_shapes_and_limits_of_moving():
  series = X.reshape(7, 3, 1)
  np.testing.assert_allclose(
      anchor_augmentation.toward_means(series, GROUP, 4.)[..., 0],
      anchor_augmentation.toward_means(X, GROUP, 4.))
  np.testing.assert_array_equal(
      anchor_augmentation.toward_means(X, GROUP, np.inf)[1],
      anchor_augmentation.toward_means(X, GROUP, np.inf)[5])


def test_clusters_are_of_inputs_and_labels_together():
  x = np.zeros((40, 2), np.float32)
  y = np.repeat([0., 100.], 20)[:, None]
  found = anchor_augmentation.clusters(x, y, 2)
  assert found.dtype == np.int32 and len(set(found[:20])) == 1
  assert found[0] != found[-1]
  assert set(anchor_augmentation.clusters(X, Y, 50)) == set(range(7))
  with pytest.raises(UserError, match='num_clusters=0'):
    anchor_augmentation.clusters(X, Y, 0)
  with pytest.raises(UserError, match='spread=0.5'):
    anchor_augmentation.gammas(.5)
  with pytest.raises(UserError, match='count=3'):
    anchor_augmentation.gammas(2., 3)


# --- FOMA --------------------------------------------------------------------


@pytest.mark.parametrize('small', [True, False])
@pytest.mark.parametrize('lam', [0., .3, 1.])
def test_singular_values_are_scaled_as_by_numpy(small, lam):
  u, s, v = np.linalg.svd(X, full_matrices=False)
  share = (s[0] + .5 * s[1]) / s.sum()  # the first is large, the others not
  s = s * [1, lam, lam] if small else s * [lam, 1, 1]
  np.testing.assert_allclose(foma.scaled(X, lam, share, small), u * s @ v,
                             rtol=1e-4, atol=1e-6)


def test_without_small_values_it_projects():
  u, s, v = np.linalg.svd(X, full_matrices=False)
  found = foma.scaled(X, 0., (s[0] + s[1] / 2) / s.sum())
  np.testing.assert_allclose(found, s[0] * np.outer(u[:, 0], v[0]), atol=1e-5)


def test_where_the_first_is_above_the_share_all_is_scaled():
  # Labels near 125, as on Airfoil, and inputs in [0, 1].
  x, y = np.abs(X), 125 + Y
  new_x, new_y = foma.augmented(x, y, .5, .9)
  np.testing.assert_allclose(new_x, .5 * x, rtol=1e-3, atol=1e-4)
  np.testing.assert_allclose(new_y, .5 * y, rtol=1e-5)


def test_inputs_of_any_shape_change_with_their_labels():
  x, y = foma.augmented(X.reshape(7, 3, 1), Y[:, 0], .3, .6)
  both = foma.scaled(np.hstack([X, Y]), .3, .6)
  np.testing.assert_allclose(np.hstack([x[..., 0], y[:, None]]), both)


@pytest.mark.parametrize('small', [True, False])
@pytest.mark.parametrize('values', [X, X.T])
def test_its_gradient_is_that_of_differences(values, small):
  def value(a):
    return jnp.sum(jnp.sin(foma.scaled(a, .3, .6, small)))

  with jax.enable_x64(True):
    a, step = jnp.asarray(values, jnp.float64), 1e-6
    got = jax.grad(value)(a)
    for at in ((0, 0), (2, 2)):
      up, down = (value(a.at[at].add(s)) for s in (step, -step))
      np.testing.assert_allclose(got[at], (up - down) / (2 * step), rtol=1e-5)


def test_its_gradient_is_finite_where_singular_values_are_equal():
  equal = jnp.diag(jnp.array([3., 1., 1.]))
  got = jax.grad(lambda a: jnp.sum(foma.scaled(a, .5, .7) ** 2))(equal)
  np.testing.assert_allclose(got, jnp.diag(jnp.array([6., .5, .5])), atol=1e-5)


# --- RegMixup, and the kernel ------------------------------------------------


def test_the_mean_over_both_is_the_sum_of_two_losses():
  mixed = {'x': X[::-1], 'y': Y[::-1]}
  batch = regmixup.beside({'x': X, 'y': Y}, mixed, .3)
  loss = lambda x, y: np.square(x.sum(1) - y[:, 0])
  got = np.mean(batch['weight'] * loss(batch['x'], batch['y']))
  want = loss(X, Y).mean() + .3 * loss(mixed['x'], mixed['y']).mean()
  np.testing.assert_allclose(got, want, rtol=1e-5)


def test_tau_falls_with_the_distance_over_its_mean():
  squared = np.square(X - X[::-1]).sum(1)
  want = 2 * np.exp(-(squared / squared.mean() - 1) / (2 * .5 ** 2))
  got = kernel_mixup.concentration(X.reshape(7, 3, 1), X[::-1].reshape(
      7, 3, 1), 2., .5)
  np.testing.assert_allclose(got, want, rtol=1e-4)
  np.testing.assert_array_equal(kernel_mixup.concentration(X, X, 2., .5), 2)


@pytest.mark.parametrize('tau', [.3, 4.])
def test_its_weights_are_beta_as_by_the_warp_of_the_code(tau):
  lam = mixup.sample_lam(jax.random.key(0), jnp.full(4000, tau), 4000, True)
  assert stats.kstest(lam, stats.beta(tau, tau).cdf).pvalue > .01
  # A uniform number through the inverse distribution function, as there.
  warped = stats.beta.ppf(RNG.uniform(size=4000), tau, tau)
  assert stats.ks_2samp(lam, warped).pvalue > .01


def test_a_tiny_tau_mixes_nothing():
  lam = mixup.sample_lam(jax.random.key(0), jnp.full(
      200, kernel_mixup.SMALLEST), 200, True)
  np.testing.assert_allclose(lam * (1 - lam), 0, atol=1e-6)
  assert 50 < lam.sum() < 150


def test_units_of_labels_do_not_change_foma():
  """A batch of labels a y + b is that of y, times a plus b."""
  config = replaced(papers.configs('regression_mixup_overview').get_config(
      'smoke'), {'share': .7})
  source = tabular_relatives.ARMS['foma'].prepare(config, Block(Study(
      'regression_mixup_overview', 'smoke', config), 'foma', (0,)),
      tabular.make_source(config.net, (0,)))
  rows = source.own['train_rows'][0]
  labels = source.shared['y'][rows]
  np.testing.assert_allclose(source.own['mean'], [labels.mean(0)], 1e-5)
  np.testing.assert_allclose(source.own['std'], [labels.std(0)], 1e-5)
  x, y = (source.shared[k][rows[:8]] for k in ('x', 'y'))
  got = []
  for a, b in ((1., 0.), (30., 1000.)):
    own = {'alpha': 1., 'mean': a * labels.mean(0) + b,
           'std': a * labels.std(0)}
    draw = lambda *args, a=a, b=b: {'x': x, 'y': a * y + b}
    batch = tabular_relatives.draw_foma(config, draw)(
        {}, own, np.arange(8), jax.random.key(3))
    got.append((batch['x'], (batch['y'] - b) / a))
  assert np.abs(got[0][1] - y).max() > .1 * y.std()  # not the identity
  for first, second in zip(*got, strict=True):
    np.testing.assert_allclose(first, second, 1e-3, 1e-3)


# --- RC-Mixup ----------------------------------------------------------------


def test_the_largest_losses_are_left_out():
  losses = jnp.asarray(RNG.permutation(100).astype(np.float32))
  for share in (0., .29, .5):
    clean = rc_mixup.small_losses(losses, np.float32(share))
    np.testing.assert_array_equal(clean, losses < 100 - round(100 * share))
  assert rc_mixup.small_losses(jnp.full(9, 1e38), .5).all()  # nothing is seen


def test_pairs_of_two_clean_examples_count():
  clean = jnp.array([True, True, False])
  anchors, partners = jnp.array([0, 1, 2, 0]), jnp.array([1, 2, 2, 0])
  np.testing.assert_allclose(
      rc_mixup.pair_weights(clean, anchors, partners), [2, 0, 0, 2])
  np.testing.assert_array_equal(
      rc_mixup.pair_weights(~clean, anchors[:2], anchors[:2]), [0, 0])
  memory = rc_mixup.remembered(jnp.zeros(3), jnp.array([2, 0]),
                               jnp.array([5., 7.]))
  assert memory.tolist() == [7, 0, 5]


def test_a_bandwidth_is_chosen_for_each_phase_and_seed():
  errors = RNG.uniform(size=(3, 10, 2))
  got = rc_mixup.chosen(errors, 4)
  parts = np.split(errors, [3, 6, 8], axis=1)
  np.testing.assert_array_equal(
      got, [[part[:, :, s].min(1).argmin() for s in (0, 1)] for part in parts])
  for phases in (0, 11):
    with pytest.raises(UserError, match=f'num_phases={phases}'):
      rc_mixup.chosen(errors, phases)
