"""In-context uncertainty: claims on made-up rows, no leak, exact rows."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from assay import papers
from assay.data import tasks
from assay.errors import UserError
from assay.study import Study, replaced

icl = papers.load('icl_uncertainty')
settings = papers.configs('icl_uncertainty')
KEY = jax.random.key(11)


@pytest.fixture(autouse=True, scope='module')
def quick_to_compile():
  """Most of the time would go into making these programs fast."""
  jax.config.update('jax_disable_most_optimizations', True)
  yield
  jax.config.update('jax_disable_most_optimizations', False)


def small(variant='smoke', **fields):
  return replaced(settings.get_config(variant), fields)


# --- Claims on made-up rows --------------------------------------------------


def rows_of(config, values, num_seeds=6):
  """Rows of (fields, value), nearly the same for each seed."""
  rng = np.random.default_rng(0)
  common = dict(
      paper='icl_uncertainty', config=config, run='0' * 8, method='none',
      dataset='regression', split='test', state='last', group='', n=2048,
      step=9, seed_varies='fresh', planned_seeds=num_seeds, scale='reduced')
  return [common | fields | {
      'seed': seed, 'value': value * (1 + .001 * rng.normal())}
          for seed in range(num_seeds) for fields, value in values]


def of(metric, value, **fields):
  return fields | {'metric': metric}, value


def against(value, other, metric='nll_gap', split='beyond', method='learned'):
  """A value of `none`, say, beside that of another arm or split."""
  return lambda arm='none': [
      of(metric, value, method=arm, split=split),
      of(metric, other, method=method, split=split)]


def moved(metric, value, split, inside, method='none'):
  return [of(metric, value, split=split, method=method),
          of(metric, inside, method=method)]


def near(gap, errors):
  return [of('nll_gap', gap), of('nll_gap_in_standard_errors', errors)]


def few(value):
  return [of('nll_gap', value, method='least_squares', group='few pairs'),
          of('nll_gap', .1, group='few pairs')]


def pool(size, split, value):
  return [of('pool_excess', value, num_tasks=size, split=split)]


OF_A_MODEL = ('near Bayes', 'instance by instance', 'the prior is used',
              'not Bayes where noisier', 'not Bayes where less noisy')


def cases(config, name):
  """Values on which a claim holds, and some on each of which it fails."""
  gap, spread = (.1, .25) if config.startswith('small') else (.05, .15)
  size, split = (0, 'pool 64') if config == 'small_pools' else (
      65_536, 'pool 65536')
  a_third = against(.05, 1.)
  more = against(.9, 1.)
  return {
      'near Bayes': (near(gap / 2, 8.), near(2 * gap, 8.), near(gap / 2, -9.)),
      'instance by instance': ([of('rms_log_std', spread / 2)],
                               [of('rms_log_std', 2 * spread)]),
      'the prior is used': (few(.5), few(.2)),
      'not Bayes where noisier': (
          moved('log_std_gap', .5, 'noise x 4', .05),
          moved('log_std_gap', .06, 'noise x 4', .05)),
      'not Bayes where less noisy': (
          moved('log_std_gap', .5, 'noise x 0.25', .05),
          moved('log_std_gap', .06, 'noise x 0.25', .05)),
      'learned positions break': (
          moved('nll_gap', 2., 'beyond', .1, 'learned'),
          moved('nll_gap', .2, 'beyond', .1, 'learned')),
      'none go on': (a_third(), more()),
      'segments recover': (a_third('segments'), more('segments')),
      'offsets recover': (a_third('offsets'), more('offsets')),
      'drawn covariances help': tuple(
          against(1., value, split='covariates', method='meta')()
          for value in (.3, .8)),
      'a small pool is known': (pool(64, 'pool 64', -.2),
                                pool(64, 'pool 64', .2)),
      'a large pool is not': (pool(size, split, .2), pool(size, split, -.2)),
  }[name]


@pytest.mark.parametrize('claim', icl.CLAIMS, ids=lambda claim: claim.name)
def test_claims_hold_and_fail(claim):
  config, name = claim.name.split(': ')
  name, mark, _ = name.partition(', no positions')
  # Of the paper's model, with learned positions, unless the name says other.
  paper = name in OF_A_MODEL and not mark and config != 'full_support'

  def rows(values):
    return [row | ({'method': 'learned'} if paper and row['method'] == 'none'
                   else {}) for row in rows_of(config, values)]

  good, *bad = cases(config, name)
  verdict = claim.check(rows(good))
  assert verdict.state == 'holds' and verdict.n == 6
  for values in bad:
    assert claim.check(rows(values)).state == 'fails'
  assert claim.where == {'config': config} and claim.gated


# --- The model ---------------------------------------------------------------


@functools.cache
def pairs(num=4):
  """x [B, T, 2] and y [B, T] of `smoke`, as long as in training."""
  rng = np.random.default_rng(0)
  return (rng.normal(size=(num, 8, 2)).astype(np.float32),
          rng.normal(size=(num, 8)).astype(np.float32))


@functools.cache
def start(positions='none'):
  """The parameters before training."""
  model = icl.make_model(small(), positions)
  return jax.jit(model.init)(
      jax.random.key(0), jnp.zeros((1, 1, 4)))['params']


@functools.cache
def drawn(positions='none'):
  """Parameters of order 1: the read-out starts at zero."""
  rng = np.random.default_rng(1)
  return jax.tree.map(lambda p: np.float32(
      p + .5 * rng.normal(size=p.shape)), start(positions))


def compiled(arm):
  """`(params, x, y) -> (mean, log_std)`, as predictions are made."""
  return icl._compiled(icl.make_apply(small(), arm))


@functools.cache
def compiled_from(arm):
  """The same with the position of the first token."""
  apply = icl.make_apply(small(), arm)
  return jax.jit(lambda params, x, y, offset: apply(
      params, {}, tasks.regression_tokens(x, y), offset))


@pytest.mark.parametrize('arm', ['none', 'learned'])
def test_no_prediction_has_seen_its_answer(arm):
  x, y = pairs(8)
  x, y = (np.repeat(a[:1], 8, axis=0) for a in (x, y))
  before = compiled(arm)(drawn(arm), x, y)
  changed = y.copy()
  changed[np.arange(8), np.arange(8)] += 1.5  # row t: that of pair t
  after = compiled(arm)(drawn(arm), x, changed)
  known = np.tri(8, dtype=bool)  # positions <= t
  for a, b in zip(before, after, strict=True):
    assert a.shape == (8, 8) and a.dtype == jnp.float32
    np.testing.assert_array_equal(np.asarray(a)[known], np.asarray(b)[known])
    np.testing.assert_array_equal(np.asarray(a != b), ~known)
  # Its own x is read, and no later one.
  turned = x.copy()
  turned[np.arange(8), np.arange(8)] += 1.5
  after = compiled(arm)(drawn(arm), turned, y)
  np.testing.assert_array_equal(
      np.asarray(before[0] != after[0]), ~np.tri(8, k=-1, dtype=bool))


@pytest.mark.parametrize('arm', ['none', 'learned'])
def test_the_start_is_the_best_constant(arm):
  x, y = pairs()
  mean, log_std = compiled(arm)(start(arm), x, y)
  np.testing.assert_array_equal(mean, 0)
  want = .5 * np.log1p(2)  # the variance of w . x + noise is about d + 1
  np.testing.assert_allclose(start(arm)['read_out']['bias'], [0, want],
                             rtol=1e-6)
  np.testing.assert_allclose(log_std, 6 * np.tanh(want / 6), rtol=1e-6)
  np.testing.assert_allclose(log_std, want, atol=.002)  # hardly bounded here
  (loss, _), grads = jax.jit(icl.make_grad(small(), arm))(
      start(arm), {}, {'x': x, 'y': y, 'offset': np.zeros(4, np.int32)}, None)
  s = np.exp(log_std)
  np.testing.assert_allclose(
      loss, np.mean(np.log(s) + y**2 / (2 * s**2)), rtol=1e-5)
  assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))
  assert np.abs(grads['read_out']['kernel']).max() > 1e-4


def test_log_std_is_bounded_softly():
  x, y = pairs()
  params, out = start(), []
  values = (-1e4, -20., -3., -.1, 0., .1, 3., 20., 1e4)
  for value in values:
    changed = params | {'read_out': params['read_out'] | {
        'bias': jnp.array([value, value])}}
    mean, log_std = compiled('none')(changed, x, y)
    np.testing.assert_array_equal(mean, np.float32(value))
    out.append(float(log_std[0, 0]))
  assert (np.diff(out) >= 0).all()
  np.testing.assert_allclose(out, 6 * np.tanh(np.array(values) / 6), rtol=1e-5)
  assert (out[0], out[-1]) == (-6, 6)
  assert abs(out[5] - .1) < 1e-4


def test_only_learned_positions_have_a_table():
  for positions, _, _ in icl.TRAINED.values():
    assert icl.make_model(small(), positions).positions == positions
    table = start(positions).get('position_table')
    assert (table is None) == (positions == 'none')
    if table is not None:
      assert table.shape == (2 * 12, 8)  # both tokens of all test pairs
  # Without one, prompts of any length; an offset has no effect.
  x, y = pairs()
  offset = np.array([0, 2, 4, 8], np.int32)
  for a, b in zip(compiled('none')(drawn(), x, y),
                  compiled_from('none')(drawn(), x, y, offset), strict=True):
    np.testing.assert_array_equal(a, b)


# --- Offsets -----------------------------------------------------------------


def test_both_tokens_of_a_pair_move_together():
  x, y = pairs()
  params = drawn('learned')
  for num in (2, 4):
    moved = params | {'position_table': np.roll(
        params['position_table'], -2 * num, axis=0)}
    want = compiled('learned')(moved, x, y)
    got = compiled_from('learned')(params, x, y, np.full(
        4, 2 * num, np.int32))
    for a, b in zip(want, got, strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('kind, starts', [
    ('zero', [0]), ('segment', [0, 2, 4]), ('anywhere', range(5))])
def test_a_sequence_starts_where_it_may(kind, starts):
  config = small(batch_size=300)
  inner = lambda shared, own, item, key: {'x': jax.random.normal(key, (2,))}
  batch = icl.with_offset(inner, kind, config)({}, {}, None, KEY)
  offset = np.asarray(batch['offset'])
  assert offset.shape == (300,) and offset.dtype == np.int32
  values, counts = np.unique(offset, return_counts=True)
  np.testing.assert_array_equal(values, 2 * np.array(starts))
  assert counts.min() > .6 * 300 / len(starts)
  assert batch['x'].shape == (2,)


def test_training_uses_the_offset_where_it_matters():
  x, y = pairs()
  batch = {'x': x, 'y': y, 'offset': np.full(4, 8, np.int32)}
  loss = {arm: float(jax.jit(icl.make_grad(small(), arm))(
      drawn('learned'), {}, batch, None)[0][0])
          for arm in ('learned', 'segments')}
  mean, log_std = compiled_from('learned')(drawn('learned'), x, y,
                                           batch['offset'])
  np.testing.assert_allclose(loss['segments'], np.mean(
      log_std + (y - mean)**2 / (2 * np.exp(2 * log_std))), rtol=1e-4)
  assert abs(loss['learned'] - loss['segments']) > 1e-3


def test_learned_tables_are_never_left():
  """The last pair of the last start is the last row of the table."""
  for variant in settings.VARIANTS:
    config = small(variant)
    for kind in ('segment', 'anywhere'):
      starts = {'segment': config.segment_starts,
                'anywhere': range(config.test_pairs - config.num_pairs + 1)}
      assert max(starts[kind]) + config.num_pairs <= config.test_pairs
    icl.check(config)
    # Positions that are called unseen are beyond all training.
    assert config.num_pairs <= icl._beyond(config)[0] < config.test_pairs


# --- What is measured --------------------------------------------------------

MANY = dict(num_prompts=2000, noise_shifts=(4., .25), weight_shifts=(2.,))


@functools.cache
def reference():
  return icl.Reference(small(**MANY))


def rows_by_name(reference, name, found=None, seed=0, fields=None):
  """{(split, metric): value}; positions and groups by their value."""
  config = reference.config
  found = found or {split: reference.predict(name, seed, split)
                    for split in icl.splits(config)}
  rows = {}
  for split, metric, value, more in icl.measured(
      config, reference, seed, found, name, fields or {}):
    key = (split, metric, *more.values())
    assert key not in rows
    rows[key] = float(value)
  return rows


def test_the_bayes_predictor_is_at_no_distance_from_itself():
  rows = rows_by_name(reference(), 'bayes')
  for key, value in rows.items():
    if key[1] in ('nll_gap', 'rms_mean', 'rms_log_std', 'log_std_gap',
                  'nll_gap_in_standard_errors'):
      assert value == 0, key
  known = rows_by_name(icl.Reference(small(
      noise=(.5, .5001), noise_shifts=(), num_prompts=2000)), 'bayes')
  for level in icl.LEVELS:
    # Gaussian where the noise is known; a scale mixture, with more mass near
    # its mean and in its tails, where it is not.
    assert abs(known['test', f'coverage_{level}'] - level / 100) < .01
    assert abs(rows['test', f'coverage_{level}'] - level / 100) < .07
  assert rows['test', 'coverage_50'] > .52 and rows['test', 'coverage_95'] < .95
  x, y = reference().prompts(0, 'long')
  mean, log_std = reference().predict('bayes', 0, 'long')
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
  rows = rows_by_name(reference(), 'oracle')
  assert rows['test', 'nll_gap'] == 0  # there is none
  for split in ('noise x 4', 'noise x 0.25', 'weights x 2'):
    assert rows[split, 'nll_gap'] < -.005, split
  assert rows['noise x 4', 'log_std_gap'] > .1
  # In distribution, what expects four times the noise is worse.
  config = reference().config
  x, y = reference().prompts(0, 'long')
  wrong = icl.bayes.predict(x, y, icl.noise_nodes(config, 4.))
  found = {split: reference().predict('bayes', 0, split)
           for split in icl.splits(config)}
  rows = rows_by_name(reference(), 'none', found | {
      'long': (wrong.mean, wrong.log_std)})
  assert rows['test', 'nll_gap'] > .05
  assert rows['test', 'nll_gap_in_standard_errors'] > 5
  assert rows['test', 'rms_log_std'] > .1
  assert rows['test', 'log_std_gap'] <= rows['test', 'rms_log_std']
  assert rows['test', 'coverage_80'] > .85
  assert rows['noise x 4', 'nll_gap'] == 0


def test_least_squares_has_rows_where_it_is_defined():
  rows = rows_by_name(reference(), 'least_squares')
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
  rows = rows_by_name(reference(), name)
  assert {key[1] for key in rows} == {'rmse', 'rms_mean'}
  assert {key[0] for key in rows} == {'test', 'beyond', 'positions'}
  bayes = rows_by_name(reference(), 'bayes')
  assert rows['test', 'rms_mean'] > 0
  assert rows['test', 'rmse'] > bayes['test', 'rmse']


def test_prompts_are_made_once_and_for_all_arms():
  one = reference()
  assert one.prompts(0, 'long')[0] is one.prompts(0, 'long')[0]
  assert one.predict('bayes', 0, 'long')[0] is one.predict(
      'bayes', 0, 'long')[0]
  other = icl.Reference(small(arms=('meta', 'offsets'), num_tasks=64, width=4,
                              num_steps=7, batch_size=9, **MANY))
  for a, b in zip(one.prompts(0, 'long'), other.prompts(0, 'long'),
                  strict=True):
    np.testing.assert_array_equal(a, b)
  for name in ((1, 'long'), (0, 'noise x 4')):
    assert not np.isin(one.prompts(*name)[0][:50],
                       one.prompts(0, 'long')[0]).all()


def test_splits():
  config = small('small_pools')
  assert list(icl.splits(config)) == ['long', 'pool 64']
  assert icl.splits(config)['pool 64'] == {
      'noise': 1., 'weights': 1., 'covariates': 'standard', 'num_pairs': 16,
      'pool': 64}
  assert icl.splits(config)['long']['num_pairs'] == 36
  found = icl.splits(small('small_covariates'))
  assert list(found) == ['long', 'doubled', 'halved', 'shifted', 'low_rank']
  assert [v['covariates'] for v in found.values()] == [
      'standard', 'doubled', 'halved', 'shifted', 'low_rank']
  found = icl.splits(small('small'))
  assert list(found) == [
      'long', 'noise x 0.25', 'noise x 0.5', 'noise x 0.667', 'noise x 1.5',
      'noise x 2', 'noise x 4', 'weights x 1.5', 'weights x 2', 'weights x 3']
  assert found['noise x 0.667']['noise'] == 2 / 3
  assert found['weights x 3']['weights'] == 3
  assert [k for k in icl.splits(small('pools')) if 'pool' in k] == [
      'pool 64', 'pool 4096', 'pool 65536']


def test_shifted_prompts_are_shifted():
  config = small(covariate_shifts=('doubled', 'halved', 'shifted', 'low_rank'),
                 num_prompts=2000)
  shifted = icl.Reference(config)
  found = {kind: shifted.prompts(0, kind)[0].reshape(-1, 2)
           for kind in config.covariate_shifts}
  for kind, std in (('doubled', 2.), ('halved', .5), ('shifted', 1.)):
    np.testing.assert_allclose(found[kind].std(axis=0), std, rtol=.05)
  np.testing.assert_allclose(found['shifted'].mean(axis=0), 1, atol=.05)
  of_prompts = found['low_rank'].reshape(2000, 8, 2)
  assert (np.linalg.matrix_rank(of_prompts, tol=1e-4) == 1).all()
  # Rows of each shift, and their mean.
  rows = rows_by_name(shifted, 'oracle', {
      split: (v[0], v[1] + .5) for split in icl.splits(config)
      for v in [shifted.predict('bayes', 0, split)]})
  each = [rows[kind, 'nll_gap'] for kind in config.covariate_shifts]
  np.testing.assert_allclose(rows['covariates', 'nll_gap'], np.mean(each))
  np.testing.assert_allclose(
      [rows[kind, 'log_std_gap'] for kind in config.covariate_shifts], .5)


def test_a_pool_is_that_of_training_and_can_be_known():
  config = small('small_pools', dimension=2, num_pairs=8, test_pairs=12,
                 segment_starts=(0,), num_prompts=2000, sweep_values=(4, 0))
  law = icl.make_task(config)
  w, sigma = tasks.pool(law, tasks.pool_key(3), 4)
  draw = icl.with_offset(tasks.draw_regression(
      law, icl.covariates_of(config, 'standard'), 16, 8), 'zero', config)
  batch = jax.jit(draw)({}, {'num_tasks': np.int32(4),
                             'pool_seed': np.int32(3)}, None, KEY)
  distance = np.abs(batch['w'][:, None] - w[None]).max(axis=-1)
  np.testing.assert_allclose(distance.min(axis=1), 0, atol=1e-6)
  np.testing.assert_allclose(batch['sigma'],
                             sigma[distance.argmin(axis=1)], rtol=1e-5)

  own = icl.Reference(config)
  bayes, known = (own.predict(name, 3, 'pool 4') for name in ('bayes', 'pool'))
  found = {'long': own.predict('bayes', 3, 'long')}
  excess = {}
  for name, prediction in (('bayes', bayes), ('pool', known)):
    rows = rows_by_name(own, 'none', found | {'pool 4': prediction}, 3,
                        {'num_tasks': 4})
    excess[name] = rows['pool 4', 'pool_excess']
  assert excess['pool'] < -.1
  np.testing.assert_allclose(excess['bayes'], -excess['pool'])
  assert rows['pool 4', 'nll_gap'] < -.1  # who knows the pool is better
  # A model of another pool has no row of this one, one of no pool has.
  for size, some in ((64, False), (0, True)):
    rows = rows_by_name(own, 'none', found | {'pool 4': known}, 3,
                        {'num_tasks': size})
    assert (('pool 4', 'pool_excess') in rows) == some


def test_priors_of_the_predictor_are_those_of_the_tasks():
  for config in (small(), small('full_support')):
    sigma = np.asarray(jax.jit(jax.vmap(icl.noise_law(config)))(
        jax.random.split(KEY, 20_000)))
    for factor in (1., 4.):
      nodes = icl.noise_nodes(config, factor)
      mass = np.exp(nodes.log_mass)
      np.testing.assert_allclose(mass.sum(), 1)
      np.testing.assert_allclose(mass @ nodes.sigma,
                                 factor * sigma.mean(), rtol=.02)


def test_predictions_do_not_depend_on_how_prompts_are_cut():
  x, y = pairs(8)
  whole, parts = (icl.predict(small(), 'none', drawn(), x, y, size)
                  for size in (8, 4))
  for a, b in zip(whole, parts, strict=True):
    assert a.shape == (8, 8) and a.dtype == np.float64
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('fields, text', [
    ({'arms': ('none', 'rotary')}, "arms: no arm 'rotary'; use some of none, "),
    ({'noise_law': 'gamma'}, "noise_law='gamma'; use 'uniform' or 'inverse_g"),
    ({'num_pairs': 6}, 'num_pairs=6 must be from 3 dimension . 1 = 7 to 44/60 '
     'of test_pairs=12'),
    ({'num_pairs': 9}, 'num_pairs=9 must be from'),
    ({'segment_starts': (0, 5)}, r'segment_starts=\(0, 5\): the last segment '
     'ends at pair 13, past test_pairs=12'),
])
def test_values_that_cannot_be_meant_are_refused(fields, text):
  config = small(**fields)
  with pytest.raises(UserError, match=text):
    icl.run(config, Study('icl_uncertainty', 'smoke', config))
