"""Task distributions: laws, pairing, regeneration, and what leaks nowhere."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from assay.data import tasks
from assay.data.tasks import drawing
from assay.errors import UserError

KEY = jax.random.key(7)
LAW = tasks.regression_task(tasks.gaussian_weights(2),
                            tasks.uniform_noise(.1, 1.))
TRACES = []  # of `_drawn`
BATCH_TRACES = []  # of `_batch`


@functools.cache
def digits():
  from sklearn import datasets  # takes a second, so only where used
  data = datasets.load_digits()
  return tasks.normalized(data.images), data.target.astype(np.int32)


def many(law, num=20_000, key=KEY):
  return jax.device_get(jax.jit(jax.vmap(law))(jax.random.split(key, num)))


# --- Linear regression -------------------------------------------------------


def test_noise_laws_have_their_distributions():
  sigma = many(tasks.uniform_noise(.1, 1.))
  assert stats.kstest(sigma, stats.uniform(.1, .9).cdf).pvalue > .01
  sigma = many(tasks.inverse_gamma_noise(3., 1.))
  assert stats.kstest(sigma**2, stats.invgamma(3., scale=1.).cdf).pvalue > .01
  assert abs(np.mean(sigma**2) - .5) < .02


def test_sequences_follow_the_equation():
  law = tasks.regression_task(tasks.gaussian_weights(3, tau=2.),
                              tasks.uniform_noise(.1, 1.))
  batch = jax.device_get(jax.jit(lambda: tasks.regression_prompts(
      KEY, law, tasks.standard_covariates(3), 4000, 10))())
  assert batch['x'].shape == (4000, 10, 3) and batch['y'].shape == (4000, 10)
  noise = batch['y'] - np.einsum('btd,bd->bt', batch['x'], batch['w'])
  z = noise / batch['sigma'][:, None]
  assert stats.kstest(z.ravel(), 'norm').pvalue > .01
  assert stats.kstest(batch['w'].ravel() / 2, 'norm').pvalue > .01
  # No randomness is used twice: noise, covariates, weights, noise level.
  columns = np.stack([z[:, 0], batch['x'][:, 0, 0], batch['x'][:, 1, 0],
                      batch['w'][:, 0], batch['sigma']])
  assert np.abs(np.corrcoef(columns) - np.eye(5)).max() < .07


def test_random_covariances_have_their_trace_and_turn():
  factors = many(lambda key: tasks.covariance_factor(key, 4), 4000)
  covariances = factors @ factors.swapaxes(1, 2)
  np.testing.assert_allclose(np.trace(covariances, axis1=1, axis2=2), 4,
                             rtol=1e-5)
  # The mean of a law that no rotation changes is the identity.
  np.testing.assert_allclose(covariances.mean(axis=0), np.eye(4), atol=.1)
  values = np.linalg.eigvalsh(covariances)
  ratios = np.log(values[:, -1] / values[:, 0])
  assert 0 < ratios.min() and ratios.max() < 4 and ratios.mean() > 2
  # A sequence has one covariance: that of its own factor.
  key = jax.random.key(3)
  x = jax.jit(lambda: tasks.random_covariance(4)(key, 50_000))()
  factor = tasks.covariance_factor(jax.random.split(key)[0], 4)
  np.testing.assert_allclose(np.cov(x.T), factor @ factor.T, atol=.15)


def test_shifted_covariates():
  plain = tasks.standard_covariates(4)
  x = plain(KEY, 1000)
  np.testing.assert_allclose(
      tasks.scaled_covariates(plain, 2.)(KEY, 1000), 2 * x)
  np.testing.assert_allclose(
      tasks.shifted_covariates(plain, 1.)(KEY, 1000), x + 1)
  flat = np.asarray(tasks.low_rank_covariates(4, 2)(KEY, 20_000))
  assert np.linalg.matrix_rank(flat, tol=1e-2) == 2
  assert abs(np.trace(np.cov(flat.T)) - 4) < .15
  with pytest.raises(UserError, match='rank=5'):
    tasks.low_rank_covariates(4, 5)


def test_a_task_can_be_scaled():
  w, sigma = LAW(KEY)
  got = tasks.scaled(LAW, noise=4., weights=.5)(KEY)
  np.testing.assert_allclose(got[0], .5 * w)
  np.testing.assert_allclose(got[1], 4 * sigma)




@jax.jit
def _drawn(own, key):
  TRACES.append(1)
  draw = tasks.draw_regression(LAW, tasks.standard_covariates(2), 500, 3)
  return draw({}, own, jnp.int32(0), key)


def drawn(num_tasks, seed=0, key=KEY):
  return jax.device_get(_drawn({
      'num_tasks': jnp.int32(num_tasks), 'pool_seed': jnp.int32(seed)}, key))


def test_pooled_tasks_are_entries_of_the_pool():
  batch = drawn(16)
  w, sigma = jax.device_get(tasks.pool(LAW, tasks.pool_key(0), 16))
  distances = np.abs(batch['w'][:, None] - w).max(axis=-1)
  entry = distances.argmin(axis=1)
  np.testing.assert_allclose(batch['w'], w[entry], rtol=1e-6)
  # Weights of one entry with the noise of another would fail here.
  np.testing.assert_allclose(batch['sigma'], sigma[entry], rtol=1e-6)
  assert len(np.unique(sigma.round(5))) == 16
  assert stats.chisquare(np.bincount(entry, minlength=16)).pvalue > .01
  # The first entries of a larger pool are those of a smaller one.
  np.testing.assert_allclose(
      tasks.pool(LAW, tasks.pool_key(0), 20)[0][:16], w, rtol=1e-6)
  # Another seed is another pool; another key of the step is the same one.
  assert not np.isin(drawn(16, seed=1)['w'], w).any()
  other = drawn(16, key=jax.random.key(8))
  assert np.isclose(other['w'][:, None], w, rtol=1e-6).all(-1).any(-1).all()
  assert not np.isclose(other['x'][:5], batch['x'][:5]).any()


def test_no_pool_gives_new_tasks():
  batch, other = drawn(0), drawn(0, key=jax.random.key(8))
  assert len(np.unique(batch['w'][:, 0])) == 500
  assert not np.isin(other['w'], batch['w']).any()


def test_a_sweep_over_pools_is_one_program():
  number = lambda k: len(np.unique(drawn(k)['sigma'].round(6)))
  assert [number(k) for k in (1, 2, 4)] == [1, 2, 4]
  assert number(2**30) > 490 and len(TRACES) == 1


def test_seeds_can_be_mapped_and_have_their_own_pools():
  own = {'num_tasks': jnp.array([4, 0, 4]), 'pool_seed': jnp.array([0, 0, 1])}
  got = jax.jit(jax.vmap(_drawn, in_axes=(0, None)))(own, KEY)
  for i, how in enumerate([(4, 0), (0, 0), (4, 1)]):
    jax.tree.map(lambda a, b, i=i: np.testing.assert_allclose(
        a[i], b, rtol=1e-5, atol=1e-5), got, drawn(*how))


def test_prompts_do_not_depend_on_their_number():
  few = jax.jit(lambda: tasks.regression_prompts(
      KEY, tasks.pooled(LAW, tasks.pool_key(0), 0),
      tasks.standard_covariates(2), 3, 3))()
  jax.tree.map(lambda a, b: np.testing.assert_allclose(
      a, b[:3], rtol=1e-5, atol=1e-6), few, drawn(0))


def test_regression_tokens():
  x = jnp.arange(1., 13.).reshape(2, 3, 2)
  y = -jnp.arange(1., 7.).reshape(2, 3)
  tokens = tasks.regression_tokens(x, y)
  assert tokens.shape == (2, 6, 4)
  np.testing.assert_array_equal(
      tokens[0], [[1, 2, 0, 0], [0, 0, -1, 1], [3, 4, 0, 0], [0, 0, -2, 1],
                  [5, 6, 0, 0], [0, 0, -3, 1]])
  # y_t stands behind x_t, so that a causal model cannot read it there.
  changed = tasks.regression_tokens(x, y.at[:, 1].set(9.))
  assert np.flatnonzero((changed != tokens).any((0, 2))).tolist() == [3]


def test_impossible_laws_are_refused():
  with pytest.raises(UserError, match='low=1'):
    tasks.uniform_noise(1., .5)
  with pytest.raises(UserError, match='above 0'):
    tasks.inverse_gamma_noise(0., 1.)


# --- Classification: tasks ---------------------------------------------------


def test_projections_keep_the_scale_and_mix_pixels():
  images, _ = digits()
  a, _ = made(np.arange(32, dtype=np.uint32))  # compiled for a batch anyway
  x = np.einsum('kij,nj->kni', a, images)
  assert abs(np.mean(x**2) / np.mean(images**2) - 1) < .02
  # Every output reads every pixel, so that no pixel can be told from another.
  share = np.mean(np.square(a), axis=0) * 64
  assert np.abs(share - 1).max() < 1.5 and (np.abs(a) > 1e-3).mean() > .98
  off = np.asarray(a) * (1 - np.eye(64))
  assert (off**2).sum() / np.square(a).sum() > .97
  z = np.asarray(a).ravel() * 8
  assert stats.kstest(z[:50_000], 'norm').pvalue > .01


def test_permutations_are_uniform_and_unlike_each_other():
  base = tasks.task_key(0)
  perms = np.asarray(jax.jit(jax.vmap(
      lambda i: tasks.projection_task(base, i, 2, 4)[1]))(jnp.arange(4800)))
  assert (np.sort(perms, axis=1) == np.arange(4)).all()
  code = perms @ 4 ** np.arange(4)
  counts = np.unique(code, return_counts=True)[1]
  assert len(counts) == 24 and stats.chisquare(counts).pvalue > .01
  # Neighbors in the index are independent: so are two tasks of a batch.
  table = np.zeros((4, 4))
  np.add.at(table, (perms[:-1, 0], perms[1:, 0]), 1)
  assert stats.chi2_contingency(table).pvalue > .01


def test_a_task_has_the_same_bits_everywhere():
  base, n = tasks.task_key(3), 7  # with 7^-1/2 products must be rounded
  make = lambda index: tasks.projection_task(base, index, n, 10)
  indices = jnp.array([0, 77, 2**25 - 1, 2**31 + 5, 2**32 - 1], jnp.uint32)
  loop = [jax.device_get(make(i)) for i in indices]
  mapped = jax.jit(jax.vmap(make))
  for batch in (1, 2, 5):
    a, permutation = mapped(indices[:batch])
    for i in range(batch):
      np.testing.assert_array_equal(a[i], loop[i][0])
      np.testing.assert_array_equal(permutation[i], loop[i][1])
  np.testing.assert_array_equal(make(jnp.int32(77))[0], loop[1][0])  # signed
  in_scan = jax.jit(lambda: jax.lax.scan(
      lambda _, i: (None, make(i)[0]), None, indices)[1])()
  np.testing.assert_array_equal(in_scan, np.stack([a for a, _ in loop]))
  # A program that goes on with the result must not change how it is rounded.
  tripled = jax.jit(lambda i: 3 * make(i)[0])(indices[2])
  np.testing.assert_array_equal(tripled, np.float32(3) * loop[2][0])
  assert all((loop[0][0] != a).all() for a, _ in loop[1:])


def test_indices_of_seen_and_unseen_tasks_never_meet():
  indices = lambda unseen: jax.jit(jax.vmap(
      lambda key, k: tasks.task_index(key, k, unseen), in_axes=(0, None)))
  keys = jax.random.split(KEY, 4000)
  seen = np.asarray(indices(False)(keys, jnp.int32(5)))
  assert stats.chisquare(np.bincount(seen, minlength=5)).pvalue > .01
  assert len(np.bincount(seen)) == 5
  every = np.asarray(indices(False)(keys, jnp.int32(0)))
  assert every.max() < 2**31
  assert stats.kstest(every / 2**31, 'uniform').pvalue > .01
  unseen = np.asarray(indices(True)(keys, jnp.int32(5)))
  assert unseen.min() >= 2**31 and unseen.max() > 2**32 - 2**23
  np.testing.assert_array_equal(unseen, indices(True)(keys, jnp.int32(0)))
  assert indices(False)(keys, jnp.int32(2**25)).max() < 2**25


# --- Classification: sequences -----------------------------------------------


@jax.jit
def _batch(images, labels, own, key):
  BATCH_TRACES.append(1)
  draw = tasks.draw_classification(
      32, 24, 10, bias=.45, num_distinct=8, repeat_share=.5)
  return draw({'images': images, 'labels': labels}, own, jnp.int32(0), key)


def batch_of(num_tasks=0, key=KEY, seed=0):
  return jax.device_get(_batch(*digits(), {
      'num_tasks': jnp.int32(num_tasks), 'task_seed': jnp.int32(seed)}, key))


@jax.jit
def made(indices, seed=0):
  return jax.vmap(lambda i: tasks.projection_task(
      tasks.task_key(seed), i, 64, 10))(indices)


def rows_and_permutations(batch, seed=0):
  """Rows of the images, found in their projection; and the permutations."""
  images, _ = digits()
  a, permutations = jax.device_get(made(batch['task'], seed))
  # Eight projected pixels tell the rows apart.
  distances = np.stack([
      np.abs(x[:, None, :8] - (images @ p[:8].T)[None]).max(axis=-1)
      for x, p in zip(batch['x'], a, strict=True)])
  assert distances.min(axis=-1).max() < 1e-4
  return distances.argmin(axis=-1), permutations


def test_a_sequence_is_of_one_task_and_some_share_their_labels():
  _, labels = digits()
  pairs = []
  for key in (KEY, jax.random.key(8)):
    batch = batch_of(key=key)
    assert len(np.unique(batch['task'])) == 32
    rows, permutations = rows_and_permutations(batch)
    want = np.take_along_axis(permutations, labels[rows], axis=1)
    wrong = (batch['y'] != want).any(axis=1)
    # round(0.45 * 32) = 14, each with a projection of its own.
    assert wrong[:14].all() and not wrong[14:].any()
    pairs += [np.stack([labels[r], y])
              for r, y in zip(rows[:14], batch['y'][:14], strict=True)]
  # The 14 have one permutation, and it is that of the run, not of a batch.
  pairs = np.unique(np.concatenate(pairs, axis=1), axis=1)
  assert pairs.shape == (2, 10) and set(pairs[1]) == set(range(10))
  other = batch_of(seed=1)
  rows, _ = rows_and_permutations(other, 1)
  assert (pairs[1][labels[rows[:14]]] != other['y'][:14]).any()


def test_repeats_in_every_second_sequence():
  rows, _ = rows_and_permutations(batch_of())
  distinct = np.array([len(np.unique(r)) for r in rows])
  assert distinct[1::2].max() <= 8 and distinct[1::2].mean() > 7
  assert distinct[::2].min() > 20
  # Different images in each sequence, not 8 for the run.
  assert len(np.unique(rows[1::2])) > 100


def test_distinct_rows_are_a_uniform_subset():
  sets = many(lambda key: jnp.sort(drawing.distinct(key, 3, 5)), 5000)
  assert (np.diff(sets, axis=1) > 0).all()
  assert sets.min() == 0 and sets.max() == 4
  counts = np.unique(sets @ 5 ** np.arange(3), return_counts=True)[1]
  assert len(counts) == 10 and stats.chisquare(counts).pvalue > .01


def test_a_sweep_over_task_numbers_is_one_program():
  assert set(batch_of(1)['task'].tolist()) == {0}
  assert set(batch_of(4)['task'].tolist()) == {0, 1, 2, 3}
  assert 2**20 < batch_of(2**25)['task'].max() < 2**25
  assert 2**25 < batch_of(0)['task'].max() < 2**31
  assert len(BATCH_TRACES) == 1


def test_evaluation_knows_seen_tasks_and_not_the_training_key():
  images, labels = digits()
  prompts = jax.jit(lambda num_tasks, unseen: tasks.classification_prompts(
      jax.random.key(100), tasks.task_key(0), images, labels,
      num_prompts=32, length=24, num_classes=10, num_tasks=num_tasks,
      unseen=unseen), static_argnums=1)
  seen = jax.device_get(prompts(jnp.int32(4), False))
  assert set(seen['task'].tolist()) == {0, 1, 2, 3}
  # Projections and labels are those that `batch_of` trains on; no label is
  # shared between tasks and hardly an image repeated.
  rows, permutations = rows_and_permutations(seen)
  np.testing.assert_array_equal(
      seen['y'], np.take_along_axis(permutations, labels[rows], axis=1))
  assert min(len(np.unique(r)) for r in rows) > 20
  for seed in (1, 2):  # training keys
    batch = batch_of(4, jax.random.key(seed))
    _, again = rows_and_permutations(batch)
    for task in range(4):
      np.testing.assert_array_equal(again[batch['task'] == task][0],
                                    permutations[seen['task'] == task][0])
  # The same unseen tasks for models of all numbers of tasks, bit for bit.
  few, more = (prompts(jnp.int32(k), True) for k in (4, 0))
  jax.tree.map(np.testing.assert_array_equal, few, more)
  assert np.asarray(few['task']).min() >= 2**31


def test_classification_tokens_show_labels_one_step_late():
  x = jnp.ones((1, 4, 2))
  y = jnp.array([[2, 0, 1, 2]])
  tokens = tasks.classification_tokens(x, y, 3)
  np.testing.assert_array_equal(
      tokens[0, :, 2:], [[0, 0, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]])
  np.testing.assert_array_equal(tokens[..., :2], x)
  changed = tasks.classification_tokens(x, y.at[0, 1].set(1), 3)
  assert np.flatnonzero((changed != tokens).any((0, 2))).tolist() == [2]
  changed = tasks.classification_tokens(x, y.at[0, 3].set(1), 3)
  np.testing.assert_array_equal(changed, tokens)  # the last label is unseen


@pytest.mark.parametrize('how, match', [
    (dict(bias=1.1), 'bias=1.1'), (dict(num_distinct=8), 'set both'),
    (dict(repeat_share=.5), 'set both'),
    (dict(num_distinct=2000, repeat_share=.5), 'more than the 1797')])
def test_impossible_batches_are_refused(how, match):
  images, labels = digits()
  with pytest.raises(UserError, match=match):
    tasks.draw_classification(8, 4, 10, **how)(
        {'images': images, 'labels': labels}, {}, 0, KEY)


# --- Images ------------------------------------------------------------------


def test_random_20():
  images, labels = jax.device_get(tasks.random_20(KEY, 16))
  assert images.shape == (20, 16) and labels.shape == (20,)
  assert abs(images.std() - 1) < .1 and abs(images.mean()) < .15
  assert labels.min() >= 0 and labels.max() <= 9 and len(set(labels)) > 5
  task = jnp.eye(16), jnp.arange(10)
  sequence = jax.device_get(jax.jit(lambda: tasks.classification_sequence(
      KEY, task, jnp.asarray(images), jnp.asarray(labels), 100))())
  distances = np.abs(sequence['x'][:, None] - images).max(axis=-1)
  rows = distances.argmin(axis=1)
  assert distances.min(axis=1).max() < 1e-5
  assert 15 <= len(set(rows)) <= 20  # with replacement, from 20
  np.testing.assert_array_equal(sequence['y'], labels[rows])


def test_gaussian_clusters():
  images, labels = jax.device_get(jax.jit(
      lambda: tasks.gaussian_clusters(KEY, 4000, 16, 5, .5))())
  assert set(labels) == set(range(5))
  within = np.concatenate([images[labels == k] - images[labels == k].mean(0)
                           for k in range(5)])
  centers = np.stack([images[labels == k].mean(0) for k in range(5)])
  assert abs(within.std() - .5) < .02 and abs(centers.std() - 1) < .25


def test_normalized_has_one_mean_and_one_scale():
  images = np.random.default_rng(0).integers(0, 256, (30, 4, 4, 1), np.uint8)
  x = tasks.normalized(images)
  assert x.shape == (30, 16) and x.dtype == np.float32
  assert abs(x.mean()) < 1e-6 and abs(x.std() - 1) < 1e-6
  flat = images.reshape(30, 16).astype(float)
  np.testing.assert_allclose(  # one line through all pixels
      np.polyfit(flat.ravel(), x.ravel(), 1)[0] * flat.std(), 1, rtol=1e-6)
  with pytest.raises(UserError, match='differ'):
    tasks.normalized(np.ones((3, 4)))


def test_principal_components_are_of_the_training_split():
  from sklearn import decomposition  # takes a second, so only where used
  images, _ = digits()
  train, test = images[:1400], images[1400:]
  project = tasks.principal_components(train, 16)
  pca = decomposition.PCA(16, svd_solver='full').fit(train)
  for part in (train, test):
    want, got = pca.transform(part), project(part)
    signs = np.sign(np.sum(want * got, axis=0))
    scale = np.sqrt(np.mean(pca.transform(train) ** 2))
    np.testing.assert_allclose(got, want * signs / scale, atol=1e-4)
  assert got.dtype == np.float32
  assert abs(np.mean(project(train) ** 2) - 1) < 1e-5
  # The test split has another mean and scale, which must show.
  assert abs(project(test).mean(axis=0)).max() > .02
  with pytest.raises(UserError, match='num=65'):
    tasks.principal_components(train, 65)


@pytest.mark.parametrize('starts', [(0, 2, 4), range(5), ()])
def test_a_sequence_starts_where_it_may(starts):
  inner = lambda shared, own, item, key: {'x': jax.random.normal(
      key, (300, 2, 1))}
  draw = jax.jit(tasks.with_offset(inner, starts))
  batch = draw({}, {}, None, jax.random.key(11))
  assert batch['x'].shape == (300, 2, 1)
  assert ('offset' in batch) == bool(len(starts))
  if len(starts):
    offset = np.asarray(batch['offset'])
    assert offset.shape == (300,) and offset.dtype == np.int32
    values, counts = np.unique(offset, return_counts=True)
    np.testing.assert_array_equal(values, 2 * np.array(starts))
    assert counts.min() > .6 * 300 / len(starts)
