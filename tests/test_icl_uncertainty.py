"""In-context uncertainty: no leak, exact rows, values worked out by hand."""

import functools

import jax
import numpy as np
import pytest

from assay import papers
from assay.data import tasks
from assay.errors import UserError
from assay.methods import bayes_regression as bayes
from assay.study import Study, replaced
from assay.testbeds import in_context
from assay.testbeds import in_context_regression as regression

icl = papers.load('icl_uncertainty')
settings = papers.configs('icl_uncertainty')
KEY = jax.random.key(11)


def small(variant='smoke', **fields):
  return replaced(settings.get_config(variant), fields)


# --- Arms --------------------------------------------------------------------


def test_the_start_is_the_best_constant():
  learner, net = icl.ARMS['learned'], small().net
  model = learner.model(net)
  rng = np.random.default_rng(0)
  normal = lambda *shape: rng.normal(size=shape).astype(np.float32)
  tokens = tasks.regression_tokens(normal(4, 8, 2), normal(4, 8))
  params = jax.jit(model.init)(jax.random.key(0), tokens)['params']
  mean, log_std = model.apply({'params': params}, tokens)
  np.testing.assert_array_equal(mean, 0)
  want = .5 * np.log1p(2)  # the variance of w . x + noise is about d + 1
  np.testing.assert_allclose(log_std, 6 * np.tanh(want / 6), rtol=1e-6)
  # Both tokens of all test pairs have a position.
  assert params['position_table'].shape == (2 * 12, 8)
  assert icl.make_apply(small(), 'learned') is in_context.make_apply(model)


def test_positions_that_move_are_those_of_two_arms():
  own = in_context.make_source(small().net, {}, [5]).own
  own = jax.tree.map(lambda v: v[0], own)
  moved = []
  for arm in ('none', 'learned', 'segments', 'offsets', 'meta'):
    batch = jax.eval_shape(icl.ARMS[arm].draw(small().net), {}, own, 0, KEY)
    assert batch['tokens'].shape == (4, 16, 4) and batch['y'].shape == (4, 8)
    moved += [arm] * ('offset' in batch)
  assert moved == ['segments', 'offsets']


def test_learned_tables_are_never_left():
  """The last pair of the last start is the last row of the table."""
  for variant in settings.VARIANTS:
    net = small(variant).net
    assert max(net.segment_starts) + net.num_pairs <= net.test_pairs
    assert max(regression.anywhere(net)) + net.num_pairs == net.test_pairs
    regression.check(small(variant).net)
    # Positions that are called unseen are beyond all training.
    assert net.num_pairs <= icl._beyond(net)[0] < net.test_pairs


# --- What is measured --------------------------------------------------------


def many(**fields):
  return small(**dict(num_prompts=2000, noise_shifts=(4., .25),
                      weight_shifts=(2.,)) | fields)


def prompts_of(config):
  """`(seed, split) -> ` prompts, made once."""
  return functools.cache(functools.partial(regression.prompts, config))


MANY = many(), prompts_of(many())


def rows_of(name, of=MANY, said=None, seed=0, fitted=None):
  """{(split, metric, position or group): value} of one seed.

  Args:
    name: of an arm.
    of: (config, prompts).
    said: split -> (mean, log_std), where it is not what the predictor says.
    seed, fitted: as the testbed has them.
  """
  (config, prompts), rows = of, {}

  def ask(split, arm=name):
    batch = prompts(seed, split)
    mine = said and arm == name and split in said
    return jax.tree.map(lambda x: x[None], (
        said[split] if mine else batch['predict'](arm), batch['y']))

  def add(metric, values, *arrays, split, n, dataset, **more):
    key = (split, metric, *more.values())
    assert key not in rows and n == config.num_prompts
    rows[key] = float(values(*(x[0] for x in arrays)))

  add.save = lambda predictions: None
  icl.add_rows(config, add, ask, name, fitted)
  return rows


def test_the_bayes_predictor_is_at_no_distance_from_itself():
  rows = rows_of('bayes')
  assert not any(value for key, value in rows.items() if key[1] in (
      'nll_gap', 'rms_mean', 'rms_log_std', 'nll_gap_in_standard_errors'))
  exact = many(noise=(.5, .5001), noise_shifts=())
  known = rows_of('bayes', (exact, prompts_of(exact)))
  for level in icl.LEVELS:
    # Gaussian where the noise is known; a scale mixture, with more mass near
    # its mean and in its tails, where it is not.
    assert abs(known['test', f'coverage_{level}'] - level / 100) < .01
    assert abs(rows['test', f'coverage_{level}'] - level / 100) < .07
  assert rows['test', 'coverage_50'] > .52 and rows['test', 'coverage_95'] < .95
  batch = MANY[1](0, 'long')
  x, y, (mean, log_std) = batch['x'], batch['y'], batch['predict']('bayes')
  assert x.shape == (2000, 12, 2) and y.shape == mean.shape == (2000, 12)
  # E[log s + (y - m)^2 / (2 s^2)] = E log s + 1/2.
  half = (.5 * ((y - mean) / np.exp(log_std))**2)[:, :8].mean(axis=1)
  risk = rows['test', 'nll'] - rows['test', 'log_std']
  np.testing.assert_allclose(risk, half.mean(), rtol=1e-6)
  assert abs(risk - .5) < 4 * half.std() / len(half)**.5 < .05
  # The variance is that of the error, so the error can be told in advance.
  np.testing.assert_allclose(
      rows['test', 'rmse'], np.exp(2 * log_std[:, :8]).mean()**.5, rtol=.03)
  np.testing.assert_allclose(
      rows['positions', 'rmse', 5],
      np.sqrt(np.mean((mean[:, 5] - y[:, 5].astype(float))**2)), rtol=1e-12)
  # 8 pairs in training; tested beyond 60/44 of that, rounded.
  np.testing.assert_allclose(rows['beyond', 'log_std'],
                             log_std[:, 11:].mean(), rtol=1e-12)
  assert rows['positions', 'log_std', 0] > rows['positions', 'log_std', 11]


def test_nothing_beats_bayes_but_who_knows_the_shift():
  rows = rows_of('oracle')
  assert rows['test', 'nll_gap'] == 0  # there is none
  for split in ('noise x 4', 'noise x 0.25', 'weights x 2'):
    assert rows[split, 'nll_gap'] < -.005, split
  assert rows['noise x 4', 'rms_log_std'] > .1
  # In distribution, what expects four times the noise is worse.
  config, prompts = MANY
  long = prompts(0, 'long')
  wrong = bayes.predict(long['x'], long['y'], regression.noise_nodes(
      config.net, 4.))
  rows = rows_of('none', said={
      split: prompts(0, split)['predict']('bayes')
      for split in regression.splits(config)} | {
          'long': (wrong.mean, wrong.log_std)})
  assert rows['test', 'nll_gap'] > .05
  assert rows['test', 'nll_gap_in_standard_errors'] > 5
  assert rows['test', 'rms_log_std'] > .1
  assert rows['test', 'coverage_80'] > .85
  assert rows['noise x 4', 'nll_gap'] == 0


@pytest.mark.parametrize('name', ['least_squares', 'flat_prior'])
def test_without_a_prior_there_are_rows_where_it_is_defined(name):
  rows = rows_of(name)
  assert all(np.isfinite(value) for value in rows.values())
  # With two inputs the variance is defined from 3 pairs on, and has a mean,
  # as its logarithm has, after two more.
  at = lambda metric: [key[2] for key in rows
                       if key[:2] == ('positions', metric)]
  assert at('nll_gap') == at('log_std') == list(range(5, 12))
  assert at('rmse') == list(range(12))
  assert rows['test', 'nll_gap', 'few pairs'] > .05
  assert {key[0] for key in rows} == {'test', 'beyond', 'positions'}
  assert {key[1] for key in rows if key[0] == 'test' and len(key) == 2} == {
      'rmse', 'rms_mean'}


@pytest.mark.parametrize('name', ['ridge', 'nearest_neighbors'])
def test_predictors_of_a_mean_have_rows_of_it_alone(name):
  rows = rows_of(name)
  assert {key[1] for key in rows} == {'rmse', 'rms_mean'}
  assert {key[0] for key in rows} == {'test', 'beyond', 'positions'}
  bayes = rows_of('bayes')
  assert rows['test', 'rms_mean'] > 0
  assert rows['test', 'rmse'] > bayes['test', 'rmse']


def test_prompts_depend_on_the_seed_and_the_split_alone():
  prompts = MANY[1]
  want = prompts(0, 'long')
  other = regression.prompts(
      many(num_tasks=64, width=4, num_steps=7, batch_size=9), 0, 'long')
  for k in 'xy':
    np.testing.assert_array_equal(want[k], other[k])
  for seed, split in ((1, 'long'), (0, 'noise x 4')):
    assert not np.isin(prompts(seed, split)['x'][:50], want['x']).all()


def test_splits():
  found = regression.splits(small('small_pools'))
  assert list(found) == ['long', 'pool 64']
  assert found['pool 64'] == {
      'noise': 1., 'weights': 1., 'covariates': 'standard', 'num_pairs': 16,
      'pool': 64}
  assert found['long']['num_pairs'] == 36
  found = regression.splits(small('small_covariates'))
  assert [v['covariates'] for v in found.values()] == [
      'standard', 'doubled', 'halved', 'shifted', 'low_rank']
  found = regression.splits(small('small', noise_shifts=(.25, 2 / 3)))
  assert list(found) == ['long', 'noise x 0.25', 'noise x 0.667',
                         'weights x 1.5', 'weights x 2', 'weights x 3']
  assert found['noise x 0.667']['noise'] == 2 / 3
  assert found['weights x 3']['weights'] == 3


def test_shifted_prompts_are_shifted():
  config = many(covariate_shifts=('doubled', 'halved', 'shifted', 'low_rank'),
                noise_shifts=(), weight_shifts=())
  prompts = prompts_of(config)
  found = {kind: prompts(0, kind)['x'].reshape(-1, 2)
           for kind in config.covariate_shifts}
  for kind, std in (('doubled', 2.), ('halved', .5), ('shifted', 1.)):
    np.testing.assert_allclose(found[kind].std(axis=0), std, rtol=.05)
  np.testing.assert_allclose(found['shifted'].mean(axis=0), 1, atol=.05)
  of_prompts = found['low_rank'].reshape(2000, 8, 2)
  assert (np.linalg.matrix_rank(of_prompts, tol=1e-4) == 1).all()
  # Rows of each shift, and their mean.
  bayes = {split: prompts(0, split)['predict']('bayes')
           for split in regression.splits(config)}
  rows = rows_of('none', (config, prompts), {
      # Wrong both ways, so that the mean is right.
      split: (mean, log_std + np.where(np.arange(2000) % 2, .5, -.5)[:, None])
      for split, (mean, log_std) in bayes.items()})
  each = [rows[kind, 'nll_gap'] for kind in config.covariate_shifts]
  np.testing.assert_allclose(rows['covariates', 'nll_gap'], np.mean(each))
  np.testing.assert_allclose(
      [rows[kind, 'rms_log_std'] for kind in config.covariate_shifts], .5)


def test_a_pool_is_that_of_training_and_can_be_known():
  of = lambda num_tasks: small(
      'small_pools', num_pairs=8, test_pairs=12, segment_starts=(0,),
      num_prompts=2000, sweep_values=(4, 0), num_tasks=num_tasks,
      batch_size=16)
  config = of(4)
  w, sigma = tasks.pool(regression.make_task(config.net), tasks.pool_key(3), 4)
  own = in_context.make_source(config.net, {}, [3]).own
  batch = jax.jit(icl.ARMS['none'].draw(config.net))(
      {}, jax.tree.map(lambda x: x[0], own), None, KEY)
  distance = np.abs(batch['w'][:, None] - w[None]).max(axis=-1)
  np.testing.assert_allclose(distance.min(axis=1), 0, atol=1e-6)
  np.testing.assert_allclose(batch['sigma'],
                             sigma[distance.argmin(axis=1)], rtol=1e-5)

  prompts = prompts_of(config)
  said = {name: {'long': prompts(3, 'long')['predict']('bayes'),
                 'pool 4': prompts(3, 'pool 4')['predict'](name)}
          for name in ('bayes', 'pool')}
  rows = {name: rows_of('none', (config, prompts), said[name], 3, 'fitted')
          for name in said}
  excess = {name: rows[name]['pool 4', 'pool_excess'] for name in rows}
  assert excess['pool'] < -.1
  np.testing.assert_allclose(excess['bayes'], -excess['pool'])
  assert rows['pool']['pool 4', 'nll_gap'] < -.1  # who knows it is better
  # A model of another pool has no row of this one, one of no pool has.
  for size, some in ((64, False), (0, True)):
    other = rows_of('none', (of(size), prompts), said['pool'], 3, 'fitted')
    assert (('pool 4', 'pool_excess') in other) == some


@pytest.mark.parametrize('fields, text', [
    ({'arms': ('none', 'rotary')}, "arms: no arm 'rotary'; use some of none, "),
    ({'noise_law': 'gamma'}, "noise_law: no law 'gamma'; use some of unif"),
    ({'num_pairs': 6}, 'num_pairs=6 must be from 3 dimension . 1 = 7 to 44/60 '
     'of test_pairs=12'),
    ({'num_pairs': 9}, 'num_pairs=9 must be from'),
    ({'segment_starts': (0, 5)}, r'segment_starts=\(0, 5\): the last segment '
     'ends at pair 13, past test_pairs=12'),
])
def test_values_that_cannot_be_meant_are_refused(fields, text):
  with pytest.raises(UserError, match=text):
    icl.run(small(**fields), Study('icl_uncertainty', 'smoke', small(**fields)))
