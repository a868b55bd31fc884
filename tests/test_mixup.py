"""assay.methods.mixup: the laws of pairing, lam, blending and bandwidths."""
import itertools

import jax
import jax.numpy as jnp
import kinds
import numpy as np
import pytest
from scipy import stats

from assay.data import tabular
from assay.errors import UserError
from assay.methods import bandwidths, mixup
from assay.methods import sorted_partners as far
from assay.models import mlp

BELOW_ONE = float(np.nextafter(np.float32(1), np.float32(0)))
# A right law fails one chi-square or Kolmogorov test in 10,000; keys are
# fixed in advance, so that a test which passes once always passes.
LEVEL = 1e-4

# Shared, so that a shape compiles once.
similar_partners = jax.jit(mixup.similar_partners)
log_similarity = jax.jit(mixup.log_similarity)
sample_lams = jax.jit(mixup.sample_lam, static_argnums=(2, 3))


# --- Frequencies -------------------------------------------------------------


def law(anchors, candidates, bandwidth):
  """[B, N] float64 by the closed form, from all pairwise differences."""
  anchors, candidates = (np.asarray(a, np.float64)
                         for a in (anchors, candidates))
  squared = np.square(anchors[:, None] - candidates[None]).sum(-1)
  weights = np.exp(-squared / (2 * bandwidth ** 2))
  return weights / weights.sum(1, keepdims=True)


def chi_square(drawn, probabilities):
  """(statistic, threshold) of draws [T, B] against rows [B, N] of a law.

  Columns expected fewer than five times count with the rarest other column.
  """
  statistic = freedom = 0
  for column, row in zip(np.asarray(drawn).T, probabilities, strict=True):
    counts = np.bincount(column, minlength=len(row))
    assert len(counts) == len(row), 'a column beyond the last'
    expected = len(column) * row
    kept = expected >= 5
    rarest = np.where(kept, expected, np.inf).argmin()
    for values in (counts, expected):
      values[rarest] += values[~kept].sum()
    statistic += np.sum((counts - expected)[kept] ** 2 / expected[kept])
    freedom += kept.sum() - 1
  return statistic, stats.chi2.isf(LEVEL, max(freedom, 1))


def assert_follows(drawn, probabilities):
  statistic, threshold = chi_square(drawn, probabilities)
  assert statistic < threshold


def labels(count, num_outputs, seed=0):
  """Distinct labels of spread 3, as far from 0 as Airfoil's [count, Q]."""
  rng = np.random.default_rng(seed)
  return rng.normal(125, 3, (count, num_outputs)).astype(np.float32)


def partner_draws(anchors, candidates, bandwidth, repeats):
  """[repeats, B]: each anchor stands `repeats` times in one batch."""
  return np.asarray(similar_partners(
      jax.random.key(0), np.tile(anchors, (repeats, 1)), candidates,
      bandwidth)).reshape(repeats, len(anchors))


# Up to 16 outputs the differences are formed, beyond that inner products.
@pytest.mark.parametrize('num_outputs', [1, 3, 16, 17])
def test_partner_frequencies_follow_the_closed_form(num_outputs):
  y = labels(70, num_outputs)
  anchors = np.concatenate([y[:20], labels(5, num_outputs, seed=1)])
  bandwidth = 1.75 * num_outputs ** 0.5
  drawn = partner_draws(anchors, y, bandwidth, 1000)
  assert_follows(drawn, law(anchors, y, bandwidth))
  # The test has power: a bandwidth off by a sixth is rejected.
  other = law(anchors, y, bandwidth * 7 / 6)
  statistic, threshold = chi_square(drawn, other)
  assert statistic > threshold


@pytest.mark.parametrize('num_outputs', [1, 3, 16, 17])
def test_rows_of_the_law_sum_to_one(num_outputs):
  y = labels(70, num_outputs)
  bandwidth = 1.75 * num_outputs ** 0.5
  scores = log_similarity(y, y, bandwidth)
  want = law(y, y, bandwidth)
  # At distance 0 a weight is exp(0) = 1: a self pair's share is 1 / sum.
  got = np.exp(np.asarray(scores, np.float64)) * np.diag(want)[:, None]
  np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-6)
  np.testing.assert_allclose(got.sum(1), 1, rtol=1e-4)


def test_uniform_partners_are_uniform():
  drawn = mixup.uniform_partners(jax.random.key(0), 7, 20_000)
  assert drawn.dtype == jnp.int32 and drawn.shape == (20_000,)
  assert_follows(drawn[:, None], np.full((1, 7), 1 / 7))


def test_infinite_bandwidth_is_the_uniform_law():
  y = labels(10, 1)
  np.testing.assert_array_equal(log_similarity(y, y, np.inf), 0)
  wide = np.full((10, 10), 0.1)
  assert_follows(partner_draws(y, y, np.inf, 2000), wide)
  statistic, threshold = chi_square(partner_draws(y, y, 3.0, 2000), wide)
  assert statistic > threshold


@pytest.mark.parametrize('num_outputs', [1, 3, 20])
@pytest.mark.parametrize('bandwidth', [1e-30, 1e-6])
def test_tiny_bandwidth_keeps_the_self_pair(bandwidth, num_outputs):
  y = labels(50, num_outputs)
  assert not np.isnan(log_similarity(y, y, bandwidth)).any()
  for seed in range(5):
    partners = similar_partners(jax.random.key(seed), y, y, bandwidth)
    np.testing.assert_array_equal(partners, np.arange(50))


@pytest.mark.parametrize('num_outputs', [1, 20])
def test_tied_labels_share_the_weight(num_outputs):
  y = np.repeat(labels(3, num_outputs), (3, 1, 2), axis=0)
  tied = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 0, 0],
                   [0, 0, 0, 0, 1, 1]]) / [[3], [1], [2]]
  assert_follows(partner_draws(y, y, 1e-6, 2000), np.repeat(tied, (3, 1, 2), 0))


# --- draw_columns ------------------------------------------------------------


def draw_repeatedly(weights, num_keys, num_rows):
  """[num_keys * num_rows] columns of one row of weights [N]."""
  rows = lambda w: jnp.broadcast_to(w, (num_rows, len(w)))
  draw = jax.jit(lambda keys, w: jax.lax.map(
      lambda key: mixup.draw_columns(key, rows(w)), keys))
  keys = jax.random.split(jax.random.key(0), num_keys)
  return np.asarray(draw(keys, jnp.asarray(weights, jnp.float32))).ravel()


@pytest.mark.parametrize('num_columns', [1, 31, 33, 1000])
def test_draw_columns_follows_the_weights(num_columns):
  weights = np.random.default_rng(0).exponential(size=num_columns)
  weights[1::5] = 0
  drawn = draw_repeatedly(weights, 1, 20_000)
  assert drawn.min() >= 0 and (weights[drawn] > 0).all()
  assert_follows(drawn[:, None], (weights / weights.sum())[None])


def test_draw_columns_follows_the_weights_of_many_columns():
  # Half of the mass lies on few columns at ends of blocks of 320, the other
  # half is spread over all; a chi-square cell is a column or a tenth of all.
  n = 102_400
  special = np.array([0, 1, 319, 320, 639, 51_200, n - 321, n - 320, n - 1])
  weights = np.random.default_rng(0).random(n)
  weights[special] = weights.sum() / len(special)
  drawn = draw_repeatedly(weights, 100, 32)
  cell = len(special) + np.arange(n) * 10 // n
  cell[special] = np.arange(len(special))
  mass = np.bincount(cell, weights)
  assert_follows(cell[drawn][:, None], (mass / mass.sum())[None])


def ragged_weights(num_rows, num_columns):
  """Weights [B, N] with runs of zeros at both ends, and zeros in between."""
  rng = np.random.default_rng(0)
  weights = rng.random((num_rows, num_columns), np.float32) + np.float32(0.1)
  weights[1::2] *= rng.random((num_rows // 2, num_columns), np.float32) < 0.5
  ends = np.sort(rng.integers(0, num_columns, (num_rows, 2)), axis=1)
  columns = np.arange(num_columns)
  weights[(columns < ends[:, :1]) | (columns > ends[:, 1:])] = 0
  for row, both in enumerate(ends):
    weights[row, both] = 0.5
  weights[:2] = 0
  weights[0, 0] = weights[1, -1] = 1e-20  # a single positive entry
  return weights


SIZES = (1, 31, 33, 1000, 102_400)


@pytest.mark.parametrize('num_columns', SIZES)
def test_columns_without_weight_are_never_drawn(num_columns):
  weights = ragged_weights(50, num_columns)
  draw = jax.jit(mixup.draw_columns)
  for seed in range(5):
    drawn = np.asarray(draw(jax.random.key(seed), weights))
    assert drawn.dtype == np.int32
    assert drawn.min() >= 0 and drawn.max() < num_columns
    assert (np.take_along_axis(weights, drawn[:, None], 1) > 0).all()


@pytest.mark.parametrize('num_columns', SIZES)
def test_extreme_uniforms_draw_the_outer_positive_columns(
    num_columns, monkeypatch):
  # The outer weights are at least 2^-17 of the total, far above its rounding.
  weights = ragged_weights(200, num_columns)
  draw = jax.jit(lambda key, w: mixup.draw_columns(key, w))
  monkeypatch.setattr(jax.random, 'uniform', lambda key, shape, dtype:
                      jnp.broadcast_to(key, shape))  # the key is the uniform
  positive = weights > 0
  first = positive.argmax(1)
  np.testing.assert_array_equal(draw(np.float32(0), weights), first)
  last = num_columns - 1 - positive[:, ::-1].argmax(1)
  np.testing.assert_array_equal(draw(np.float32(BELOW_ONE), weights), last)


# --- Pairing -----------------------------------------------------------------


def training_data(num_seeds=1, num_rows=40):
  """(shared, own) with a training split of all rows, and labels as features."""
  rng = np.random.default_rng(0)
  shared = {'x': rng.normal(size=(num_rows, 3)).astype(np.float32),
            'y': labels(num_rows, 1)}
  own = tabular.own_splits(shared, (num_rows, 0, 0), range(num_seeds), 'x')
  own = own | {'alpha': np.full(num_seeds, 2, np.float32),
               'bandwidth': np.full(num_seeds, 2, np.float32),
               'features': shared['y'][own['train_rows']]}
  return shared, own


def of_seed(own, seed):
  return {k: v[seed] for k, v in own.items()}


DRAW = tabular.draw_from('train')


def test_paired_adds_the_partners_and_lam():
  shared, own = training_data(num_seeds=2)
  items = np.array([[[0, 5, 9], [1, 1, 39]], [[3, 2, 1], [0, 38, 7]]])
  draw = jax.jit(jax.vmap(mixup.paired(DRAW, mixup.matched),
                          in_axes=(None, 0, 0, 0)))
  batch = draw(shared, own, items, jax.random.split(jax.random.key(0), 2))
  assert set(batch) == {'x', 'y', 'partner_x', 'partner_y', 'lam'}
  for seed in range(2):
    anchors, partners = (DRAW(shared, of_seed(own, seed), i, None)
                         for i in items[seed])
    for name in 'xy':
      np.testing.assert_allclose(batch[name][seed], anchors[name], rtol=1e-6)
      np.testing.assert_allclose(batch[f'partner_{name}'][seed],
                                 partners[name], rtol=1e-6)
  # One lam per batch, as C-Mixup; seeds have their own.
  np.testing.assert_array_equal(batch['lam'], batch['lam'][:, :1].repeat(3, 1))
  assert batch['lam'][0, 0] != batch['lam'][1, 0]


def test_paired_can_draw_one_lam_per_example():
  shared, own = training_data()
  draw = jax.jit(mixup.paired(DRAW, mixup.uniform, per_example=True))
  batch = draw(shared, of_seed(own, 0), np.arange(8), jax.random.key(0))
  assert len(set(batch['lam'].tolist())) == 8


def test_uniform_draws_from_the_training_rows():
  _, own = training_data(num_rows=11)
  own, item = of_seed(own, 0), jnp.array([3, 3, 10])
  choose = jax.jit(jax.vmap(mixup.uniform, in_axes=(0, None, None)))
  anchors, partners = choose(
      jax.random.split(jax.random.key(0), 3000), own, item)
  np.testing.assert_array_equal(anchors, np.tile(item, (3000, 1)))
  assert_follows(partners, np.full((3, 11), 1 / 11))


def test_similar_reads_features_and_bandwidth():
  _, own = training_data()
  own, item = of_seed(own, 0), jnp.array([0, 20, 39, 20])
  choose = jax.jit(jax.vmap(mixup.similar, in_axes=(0, None, None)))
  anchors, partners = choose(
      jax.random.split(jax.random.key(0), 2000), own, item)
  np.testing.assert_array_equal(anchors, np.tile(item, (2000, 1)))
  features = own['features']
  assert_follows(partners, law(features[item], features, 2.0))


@pytest.mark.parametrize('choose', [mixup.similar, mixup.pooled])
def test_tiny_bandwidth_trains_on_the_clean_batch(choose):
  shared, own = training_data()
  own = of_seed(own, 0)
  item = np.random.default_rng(0).permutation(40)[:32].reshape(2, 16)
  item = item if choose is mixup.pooled else item[0]
  draw = mixup.paired(DRAW, choose)
  mixed = jax.jit(lambda *args: mixup.blend(draw(*args)))
  clean = jax.jit(DRAW)(shared, own, item.reshape(-1)[:16], None)
  for bandwidth in np.float32([1e-30, 1e-6]):
    got = mixed(shared, own | {'bandwidth': bandwidth}, item,
                jax.random.key(0))
    for name in 'xy':
      np.testing.assert_array_equal(got[name], clean[name])


def test_pooled_over_the_whole_set_is_the_full_law():
  _, own = training_data()
  own = of_seed(own, 0)
  item = np.random.default_rng(0).permutation(40).reshape(2, 20)
  choose = jax.jit(jax.vmap(mixup.pooled, in_axes=(0, None, None)))
  anchors, partners = choose(
      jax.random.split(jax.random.key(0), 2000), own, jnp.asarray(item))
  np.testing.assert_array_equal(anchors, np.tile(item[0], (2000, 1)))
  features = own['features']
  assert_follows(partners, law(features[item[0]], features, 2.0))


def test_pooled_partners_come_from_the_pool():
  _, own = training_data()
  own = of_seed(own, 0)
  # The second anchor comes again as a candidate, so it counts twice.
  item = np.array([[7, 30, 2, 19], [30, 11, 25, 4]])
  choose = jax.jit(jax.vmap(mixup.pooled, in_axes=(0, None, None)))
  anchors, partners = choose(
      jax.random.split(jax.random.key(0), 2000), own, jnp.asarray(item))
  np.testing.assert_array_equal(anchors, np.tile(item[0], (2000, 1)))
  features = own['features']
  in_pool = law(features[item[0]], features[item.ravel()], 2.0)
  want = np.zeros((4, 40))
  np.add.at(want.T, item.ravel(), in_pool.T)
  assert_follows(partners, want)
  assert set(np.unique(partners)) <= set(item.ravel())


# --- lam ---------------------------------------------------------------------


# At 0.2, float32 rounds a fiftieth of the mass to 1 itself; see below.
@pytest.mark.parametrize('alpha', [0.5, 1.0, 2.0, 8.0])
def test_lam_is_beta_distributed(alpha):
  lam = np.asarray(sample_lams(jax.random.key(0), alpha, 60_000, True))
  assert lam.shape == (60_000,) and lam.dtype == np.float32
  assert lam.min() >= 0 and lam.max() <= 1
  assert stats.kstest(lam, stats.beta(alpha, alpha).cdf).pvalue > LEVEL
  # The test has power: an alpha off by a tenth is rejected.
  other = stats.beta(1.1 * alpha, 1.1 * alpha)
  assert stats.kstest(lam, other.cdf).pvalue < LEVEL


def test_lam_is_beta_distributed_at_small_alpha():
  lam = np.asarray(sample_lams(jax.random.key(0), 0.2, 20_000, True))
  assert lam.min() >= 0 and lam.max() <= 1
  wanted = np.array([0.05, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 0.95])
  quantiles = stats.beta(0.2, 0.2).ppf(wanted)
  got = np.mean(lam[:, None] <= quantiles, axis=0)
  deviation = np.sqrt(wanted * (1 - wanted) / 20_000)
  assert (np.abs(got - wanted) < 4 * deviation).all()


def test_lam_of_a_batch_is_one_value_with_the_same_law():
  keys = jax.random.split(jax.random.key(0), 5000)
  lam = jax.jit(jax.vmap(lambda key: mixup.sample_lam(key, 2.0, 4)))(keys)
  assert lam.shape == (5000, 4) and lam.dtype == jnp.float32
  np.testing.assert_array_equal(lam, np.tile(lam[:, :1], 4))
  assert stats.kstest(lam[:, 0], stats.beta(2, 2).cdf).pvalue > LEVEL


def test_lam_per_example_is_many_values():
  lam = sample_lams(jax.random.key(0), 2.0, 100, True)
  assert len(set(lam.tolist())) == 100


def test_lam_of_tiny_alpha_is_0_or_1():
  lam = np.asarray(sample_lams(jax.random.key(0), 0.01, 20_000, True))
  assert ((lam >= 0) & (lam <= 1)).all()  # false for NaN too
  # Beta(a, a) has a mass of about a log(1 / 0.0001) = 9 % in between.
  inside = stats.beta(0.01, 0.01).cdf([1e-4, 1 - 1e-4]) @ [-1, 1]
  np.testing.assert_allclose(
      np.mean((lam > 1e-4) & (lam < 1 - 1e-4)), inside, atol=0.01)
  np.testing.assert_allclose(np.mean(lam > 0.5), 0.5, atol=0.02)


@pytest.mark.parametrize('alpha', [0.01, 2.0])
def test_lam_of_extreme_uniforms_is_in_range(alpha, monkeypatch):
  pairs = np.array(list(itertools.product(
      (0, 0.5, BELOW_ONE), (0, 0.25, 0.5, 0.75, BELOW_ONE))), np.float32).T
  monkeypatch.setattr(jax.random, 'uniform',
                      lambda key, shape: jnp.asarray(pairs).reshape(shape))
  lam = np.asarray(mixup.sample_lam(None, alpha, pairs.shape[1], True))
  assert ((lam >= 0) & (lam <= 1)).all()


def test_lam_takes_an_alpha_traced_under_vmap():
  alphas = jnp.array([0.2, 1.0, 2.0, 8.0])
  keys = jax.random.split(jax.random.key(0), 4)
  got = jax.jit(jax.vmap(lambda key, a: mixup.sample_lam(key, a, 3)))(
      keys, alphas)
  for one, key, alpha in zip(got, keys, alphas, strict=True):
    np.testing.assert_allclose(
        one, mixup.sample_lam(key, float(alpha), 3), rtol=1e-5, atol=1e-6)


# --- Blending ----------------------------------------------------------------


@pytest.mark.parametrize('shape', [(64,), (64, 3), (64, 2, 3, 1)])
def test_mix_of_equal_examples_changes_nothing(shape):
  rng = np.random.default_rng(0)
  x = jnp.asarray(rng.normal(0, 125, shape), jnp.float32)
  lam = jnp.asarray(rng.random(64), jnp.float32)
  np.testing.assert_array_equal(mixup.mix(x, x, lam), x)
  np.testing.assert_array_equal(jax.jit(mixup.mix)(x, x, lam), x)


def test_mix_at_the_ends_of_lam():
  rng = np.random.default_rng(0)
  first, second = jnp.asarray(rng.normal(size=(2, 64, 3)), jnp.float32)
  at_one = mixup.mix(first, second, jnp.ones(64))
  np.testing.assert_allclose(at_one, first, rtol=1e-6, atol=1e-6)
  at_zero = mixup.mix(first, second, jnp.zeros(64))
  np.testing.assert_array_equal(at_zero, second)


def test_mix_keeps_the_precision_of_the_examples():
  x = jnp.ones((2, 3), jnp.bfloat16)
  assert mixup.mix(x, 2 * x, jnp.array([0.5, 0.25])).dtype == jnp.bfloat16


def hand_batch():
  return {'x': jnp.array([[0., 4.], [2., 2.]]), 'y': jnp.array([[10.], [20.]]),
          'partner_x': jnp.array([[4., 0.], [2., 6.]]),
          'partner_y': jnp.array([[30.], [0.]]),
          'lam': jnp.array([0.25, 0.5])}


def test_blend_by_hand():
  batch = hand_batch()
  got = mixup.blend(batch)
  assert set(got) == set(batch)
  np.testing.assert_array_equal(got['x'], [[3, 1], [2, 4]])
  np.testing.assert_array_equal(got['y'], [[25], [10]])
  np.testing.assert_array_equal(batch['x'], hand_batch()['x'])


def test_blend_of_labels_leaves_the_inputs():
  got = mixup.blend(hand_batch(), ('y',))
  np.testing.assert_array_equal(got['x'], [[0, 4], [2, 2]])
  np.testing.assert_array_equal(got['y'], [[25], [10]])


def test_manifold_with_identity_encoder_is_input_mixing():
  weight = jnp.array([[1.], [10.]])
  predict = mixup.manifold(lambda params, x: x, lambda params, h: h @ params)
  got = predict(weight, hand_batch())
  np.testing.assert_allclose(got, [[3 + 10], [2 + 40]])


def test_manifold_mixes_after_the_first_hidden_layer():
  model = mlp.MLP(width=6, num_outputs=2)
  rng = np.random.default_rng(0)
  x, partner = rng.normal(size=(2, 5, 3)).astype(np.float32)
  lam = rng.random(5).astype(np.float32)
  shapes = jax.eval_shape(model.init, jax.random.key(0), x)
  variables = jax.tree.map(
      lambda s: rng.normal(size=s.shape).astype(np.float32), shapes)
  predict = mixup.manifold(
      lambda v, x: model.apply(v, x, method='encode'),
      lambda v, h: model.apply(v, h, method='decode'))
  got = jax.jit(predict)(
      variables, {'x': x, 'partner_x': partner, 'lam': lam})

  leaky = lambda z: np.where(z > 0, z, 0.1 * z)
  layers = [variables['params'][name]['affine']
            for name in ('hidden_0', 'hidden_1', 'output')]
  (w0, b0), (w1, b1), (w2, b2) = (
      (np.asarray(p['kernel']), np.asarray(p['bias'])) for p in layers)
  hidden = (lam[:, None] * leaky(x @ w0 + b0)
            + (1 - lam[:, None]) * leaky(partner @ w0 + b0))
  np.testing.assert_allclose(
      got, leaky(hidden @ w1 + b1) @ w2 + b2, rtol=1e-5, atol=1e-5)
  # The activation is inside: mixing the inputs gives something else.
  mixed = model.apply(variables, mixup.mix(x, partner, lam))
  assert np.abs(got - mixed).max() > 1e-3


# --- Peers -------------------------------------------------------------------


def test_match_is_the_best_of_all_permutations():
  rng = np.random.default_rng(0)
  first, second = rng.normal(size=(2, 5, 4, 3))
  got = mixup.match(first, second)
  assert got.shape == (5, 4) and np.issubdtype(got.dtype, np.integer)
  orders = [list(order) for order in itertools.permutations(range(4))]
  num_identity = 0
  for a, b, order in zip(first, second, got, strict=True):
    total = lambda o, a=a, b=b: np.sum((a - b[o]) ** 2)
    assert order.tolist() == min(orders, key=total)
    assert total(order) <= total([0, 1, 2, 3])
    num_identity += order.tolist() == [0, 1, 2, 3]
  assert num_identity < 5  # so that the identity would not pass


def test_match_undoes_a_shuffle():
  rng = np.random.default_rng(0)
  first = rng.random((2, 32, 5)).astype(np.float32)
  shuffle = rng.permutation(32)
  got = mixup.match(first, first[:, shuffle])
  np.testing.assert_array_equal(shuffle[got], np.tile(np.arange(32), (2, 1)))


def test_local_weights_by_hand():
  zero = jnp.zeros((4, 2, 1))  # a trailing axis, as of images
  partner = jnp.array([[3., 4.], [3., 4.1], [0., 0.], [-5., 0.]])[:, :, None]
  batch = {'x': zero, 'partner_x': partner, 'y': jnp.ones((4, 1))}
  got = mixup.local_weights(batch, 5.0)  # a pair at the threshold is kept
  np.testing.assert_array_equal(got['weight'], [1, 0, 1, 1])
  assert got['weight'].dtype == jnp.float32
  assert set(got) == {'x', 'partner_x', 'y', 'weight'}


def test_distance_quantile_by_hand():
  # Partners are drawn with self pairs, so these count as pairs: of the nine,
  # three are 0 apart, four 5, two 10; the fraction k / 8 is number k.
  x = np.array([[0., 0.], [3., 4.], [6., 8.]])
  got = [mixup.distance_quantile(x, f) for f in (0, 0.25, 0.375, 0.75, 0.875)]
  np.testing.assert_allclose(got, [0, 0, 5, 5, 10])
  # Three evenly spaced anchors of five: 0, 2, 4 on a line; farthest 4.
  line = np.arange(5.)[:, None]
  assert mixup.distance_quantile(line, 1.0, max_anchors=3) == 4


# --- How much does a bandwidth select? ---------------------------------------


def test_effective_partners_by_hand():
  # With d^2 / (2 s^2) = log 3 the two partners have 3/4 and 1/4.
  bandwidth = 2 / np.sqrt(2 * np.log(3))
  want = 0.75 ** -0.75 * 0.25 ** -0.25 / 2
  np.testing.assert_allclose(
      mixup.effective_partners(np.array([[1.], [3.]]), bandwidth), want)


@pytest.mark.parametrize('num_outputs', [1, 20])
def test_effective_partners_are_the_exponential_of_the_entropy(num_outputs):
  y = labels(70, num_outputs)
  for bandwidth in (0.5, 2.0, 10.0):
    rows = law(y, y, bandwidth)
    want = np.exp(stats.entropy(rows, axis=1)).mean() / 70
    np.testing.assert_allclose(
        mixup.effective_partners(y, bandwidth), want, rtol=1e-6)


def test_effective_partners_lie_between_self_and_all():
  y = labels(50, 1)
  np.testing.assert_allclose(mixup.effective_partners(y, np.inf), 1)
  np.testing.assert_allclose(mixup.effective_partners(y, 1e9), 1)
  for tiny in (1e-9, 1e-30):
    np.testing.assert_allclose(mixup.effective_partners(y, tiny), 1 / 50)
  tied = np.repeat(y[:10], 5, axis=0)
  np.testing.assert_allclose(mixup.effective_partners(tied, 1e-9), 5 / 50)


def test_effective_partners_of_some_anchors():
  y = labels(900, 1)
  np.testing.assert_allclose(
      mixup.effective_partners(y, 1.0, max_anchors=300),
      mixup.effective_partners(y, 1.0), rtol=0.03)
  # Anchors 0 and 2 of three; the middle one alone has near neighbors.
  three = np.array([[0.], [1.], [2.]])
  rows = law(three[[0, 2]], three, 0.7)
  np.testing.assert_allclose(
      mixup.effective_partners(three, 0.7, max_anchors=2),
      np.exp(stats.entropy(rows, axis=1)).mean() / 3)


@pytest.mark.parametrize('fraction', [0.015, 0.05, 0.29, 0.9, 0.9999])
@pytest.mark.parametrize('num_outputs', [1, 20])
def test_bandwidth_for_is_the_inverse(fraction, num_outputs):
  # Labels in millionths: the search must not depend on the unit.
  y = labels(100, num_outputs).astype(np.float64) * 1e-6
  bandwidth = mixup.bandwidth_for(y, fraction)
  np.testing.assert_allclose(
      mixup.effective_partners(y, bandwidth), fraction, rtol=1e-2)


def test_bandwidth_for_has_the_accuracy_it_promises():
  # The law of two labels can be solved: see the test by hand above.
  fraction = 0.75 ** -0.75 * 0.25 ** -0.25 / 2
  np.testing.assert_allclose(
      mixup.bandwidth_for(np.array([[1.], [3.]]), fraction),
      2 / np.sqrt(2 * np.log(3)), rtol=1e-3)


@pytest.mark.parametrize('repeats, fraction, between', [
    (1, 0.005, '0.01 and 1'), (1, 1.0, '0.01 and 1'), (1, 1.5, '0.01 and 1'),
    (4, 0.02, '0.04 and 1'), (100, 0.5, '1 and 1')])
def test_bandwidth_for_says_which_fractions_are_reachable(
    repeats, fraction, between):
  y = np.repeat(labels(100 // repeats, 1), repeats, axis=0)
  with pytest.raises(UserError, match=f'no bandwidth gives {fraction} .*100 '
                                      rf'examples.*between {between}\.'):
    mixup.bandwidth_for(y, fraction)


def training_labels(data_dir, name, sizes, seed):
  """[n, 1] labels of a real training split."""
  y = tabular.load(name, data_dir)['y']
  return y[tabular.split(len(y), sizes, seed, name)['train']]


AIRFOIL = 'airfoil', (1003, 300, 200)
NO2 = 'no2', (200, 200, 100)


# The wanted figures are of one other split each. From split to split they
# have a standard deviation of 0.004 (Airfoil) and 0.008 (NO2, 200 labels):
# twice this is allowed, and the rounding of the figure. Neighboring settings
# are outside: Airfoil at 2.0 has 0.326, NO2 at 1.0 has 0.902, at 1.4 0.961.
@pytest.mark.parametrize('data, bandwidth, want, tolerance', [
    (AIRFOIL, 1.75, 0.29, 0.012), (NO2, 1.2, 0.94, 0.018),
    (NO2, 0.05, 0.087, 0.018)])
def test_effective_partners_of_the_real_labels(
    data, bandwidth, want, tolerance, data_dir):
  got = np.mean([mixup.effective_partners(
      training_labels(data_dir, *data, seed), bandwidth) for seed in range(10)])
  assert abs(got - want) < tolerance


def test_partners_of_the_real_airfoil_labels(data_dir):
  y = training_labels(data_dir, *AIRFOIL, 0)
  keys = jax.random.split(jax.random.key(0), 40)
  partners = jax.jit(lambda y: jax.lax.map(
      lambda key: mixup.similar_partners(key, y, y, 1.75), keys))(y)
  gap = np.abs(y - y[partners])
  # 40,000 draws leave 0.0005 and 0.006 dB of sampling error. By the split,
  # the first figure varies by 0.0002, the second by 0.001 dB and the third by
  # 0.1 dB (standard deviations); about 2.5 in all are allowed.
  np.testing.assert_allclose(
      np.mean(np.asarray(partners) == np.arange(len(y))), 0.008, atol=0.0015)
  np.testing.assert_allclose(gap.mean(), 1.38, atol=0.03)
  uniform = mixup.uniform_partners(keys[0], len(y), 40 * len(y))
  far = np.abs(np.tile(y, (40, 1)) - y[uniform])
  np.testing.assert_allclose(far.mean(), 7.83, atol=0.25)


# --- Use as a library --------------------------------------------------------


@pytest.mark.parametrize('array', [jnp.asarray, np.asarray])
def test_the_lines_of_the_docstring_work_as_printed(array):
  lines = [line.strip() for line in mixup.__doc__.splitlines()
           if line.startswith('  ')]
  assert len(lines) == 3
  x = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
  y = labels(30, 1)
  key, other_key = jax.random.split(jax.random.key(0))
  scope = {'mixup': mixup, 'x': array(x), 'y': array(y), 'key': key,
           'other_key': other_key}
  exec('\n'.join(lines), scope)
  partner, lam = (np.asarray(scope[name]) for name in ('partner', 'lam'))
  assert partner.shape == (30,) and partner.dtype == np.int32
  assert (partner != np.arange(30)).any()
  np.testing.assert_allclose(
      scope['x_mixed'], lam[:, None] * x + (1 - lam[:, None]) * x[partner],
      rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(
      scope['y_mixed'], lam[:, None] * y + (1 - lam[:, None]) * y[partner],
      rtol=1e-5)


# --- The table of partners ---------------------------------------------------

tabled_partners = jax.jit(mixup.tabled_partners)


def tabled(y, item, bandwidth, key=0):
  table = mixup.partner_table(y, bandwidth)
  return np.asarray(tabled_partners(jax.random.key(key), np.asarray(item), y,
                                    bandwidth, table))


# 70 and 1,003 are no multiples of the block; 64 is.
@pytest.mark.parametrize('count,num_outputs', [(70, 1), (64, 3), (1003, 1)])
def test_tabled_partners_follow_the_closed_form(count, num_outputs):
  y = labels(count, num_outputs)
  bandwidth = 1.75 * num_outputs ** 0.5
  rows = np.linspace(0, count - 1, 8).astype(int)
  drawn = tabled(y, np.tile(rows, 4000), bandwidth).reshape(4000, 8)
  assert_follows(drawn, law(y[rows], y, bandwidth))
  statistic, threshold = chi_square(drawn, law(y[rows], y, bandwidth * 7 / 6))
  assert statistic > threshold


def test_partner_table_is_the_law_by_blocks():
  y = labels(70, 2)
  table = mixup.partner_table(y, 2.5)
  blocks = np.add.reduceat(law(y, y, 2.5), [0, 32, 64], axis=1)
  assert table.shape == (70, 4) and table.dtype == np.float32
  np.testing.assert_allclose(np.diff(table, axis=1), blocks, atol=1e-6)
  np.testing.assert_array_equal(table[:, [0, -1]], [[0, 1]] * 70)


def test_tabled_limits_are_the_self_pair_and_the_uniform_law():
  y = labels(70, 1)
  rows = np.arange(70)
  np.testing.assert_array_equal(tabled(y, rows, 1e-30), rows)
  np.testing.assert_array_equal(tabled(y, rows, 1e-6), rows)
  drawn = tabled(y, np.full(20_000, 69), np.inf)
  assert_follows(drawn[:, None], np.full((1, 70), 1 / 70))


@pytest.mark.parametrize('uniform,want', [(0., 5), (BELOW_ONE, 66)])
def test_tabled_extreme_uniforms_draw_the_outer_positive_rows(
    uniform, want, monkeypatch):
  # Only rows 5 and 66 have the label of row 5, all others are far.
  y = np.full((70, 1), 1000, np.float32) + np.arange(70)[:, None] * 100
  y[[5, 66]] = 0
  monkeypatch.setattr(jax.random, 'uniform',
                      lambda key, shape, *a, **k: jnp.full(shape, uniform))
  got = mixup.tabled_partners(jax.random.key(0), np.array([5, 66]), y, 1.0,
                              mixup.partner_table(y, 1.0))
  np.testing.assert_array_equal(got, [want, want])


# --- Partners among sorted labels --------------------------------------------

sorted_partners = jax.jit(mixup.sorted_partners)


def sorted_draws(y, anchors, bandwidth, repeats, key=0):
  """[repeats, A] partners among labels y [n]."""
  labels, order = mixup.sort_labels(y)
  return np.asarray(sorted_partners(
      jax.random.key(key), np.tile(anchors, repeats), labels, order,
      bandwidth)).reshape(repeats, len(anchors))


# 8 blocks of up to 64 rows, or 16. 70 and 1,003 leave the last block shorter
# than the others; 64 does not.
@pytest.mark.parametrize('tail, count', [
    *((tail, count) for tail in (False, True) for count in (1, 64, 70)),
    (False, 1003), *kinds.nightly((True, 1003))])
def test_partners_among_sorted_labels_follow_the_closed_form(
    count, tail, monkeypatch):
  monkeypatch.setattr(far, 'BLOCKS', 8)
  monkeypatch.setattr(far, 'LONGEST', 64)
  y = labels(count, 1)[:, 0]
  if tail:  # wide blocks, most of whose rows are far from its near end
    y = 125 + (y - 125) ** 3 / 10
  anchors = np.sort(y)[np.linspace(0, count - 1, 8).astype(int)]
  anchors = np.append(anchors, y.max() + np.float32(1))  # not of the labels
  drawn = sorted_draws(y, anchors, 1.75, 4000)
  of = lambda bandwidth: law(anchors[:, None], y[:, None], bandwidth)
  assert_follows(drawn, of(1.75))
  statistic, threshold = chi_square(drawn, of(1.75 * 7 / 6))
  assert statistic > threshold or count == 1


def test_limits_among_sorted_labels():
  y = labels(70, 1)[:, 0]
  for bandwidth in (1e-30, 1e-6):
    np.testing.assert_array_equal(sorted_draws(y, y, bandwidth, 3),
                                  [np.arange(70)] * 3)
  assert_follows(sorted_draws(y, y[:1], np.inf, 20_000),
                 np.full((1, 70), 1 / 70))
  tied = np.repeat(np.float32([3, 1, 2]), (2, 1, 3))
  wanted = [[3, 3, 0, 0, 0, 0], [0, 0, 6, 0, 0, 0], [0, 0, 0, 2, 2, 2]]
  assert_follows(sorted_draws(tied, np.float32([3, 1, 2]), 1e-6, 2000),
                 np.array(wanted) / 6)


def test_seeds_among_sorted_labels_are_those_alone():
  both = labels(70, 1)[:, 0], labels(70, 1, seed=1)[:, 0]
  pairs = [np.stack(each) for each in zip(*map(mixup.sort_labels, both),
                                          strict=True)]
  keys = jax.random.split(jax.random.key(0), 2)
  anchors = np.stack([y[:16] for y in both])
  mapped = jax.jit(jax.vmap(mixup.sorted_partners, (0, 0, 0, 0, None)))(
      keys, anchors, *pairs, 1.75)
  for i in range(2):
    np.testing.assert_array_equal(mapped[i], sorted_partners(
        keys[i], anchors[i], pairs[0][i], pairs[1][i], 1.75))


def test_similar_takes_what_makes_it_cheap():
  y = labels(70, 1)
  ordered, order = mixup.sort_labels(y)
  own = {'features': y, 'bandwidth': np.float32(1.75),
         'sorted_labels': ordered, 'label_order': order}
  item, got = mixup.similar(jax.random.key(0), own, np.arange(16))
  np.testing.assert_array_equal(got, sorted_partners(
      jax.random.key(0), y[:16, 0], ordered, order, 1.75))


def test_parts_of_the_anchors_make_the_whole(monkeypatch):
  y = labels(70, 2)
  measures = lambda: (
      mixup.partner_table(y, 2.5), mixup.effective_partners(y, 2.5),
      mixup.bandwidth_for(y, 0.3))
  whole = measures()
  monkeypatch.setattr(bandwidths, 'MAX_PAIRS', 630)  # 9 rows a part
  for got, want in zip(measures(), whole, strict=True):
    np.testing.assert_array_equal(got, want)


def test_series_and_several_targets_are_labels_like_others():
  rng = np.random.default_rng(0)
  y = rng.normal(size=(30, 4, 5)).astype(np.float32)  # series of five targets
  key, flat = jax.random.key(0), y.reshape(30, 20)
  bandwidth = mixup.bandwidth_for(y, .3)
  assert mixup.effective_partners(flat, bandwidth) == pytest.approx(.3, rel=.02)
  got = mixup.similar_partners(key, y, y, bandwidth)
  np.testing.assert_array_equal(
      got, mixup.similar_partners(key, flat, flat, bandwidth))
  lam = mixup.sample_lam(key, 2., 30, per_example=True)
  mixed = mixup.mix(y, y[got], lam)
  np.testing.assert_allclose(
      mixed[3], lam[3] * y[3] + (1 - lam[3]) * y[got[3]], rtol=1e-5, atol=1e-6)
