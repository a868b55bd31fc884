"""USEFUL's experiment: what each arm trains on, and the image networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from assay import papers
from assay.data import images
from assay.errors import UserError
from assay.study import Block, Study, replaced

useful = papers.load('useful')


def small(variant='smoke', **fields):
  return replaced(papers.configs('useful').get_config(variant), fields)


@pytest.fixture(scope='module')
def data():
  return useful.Data(small())


def found(num_seeds, num_train, every=5):
  """Every fifth example is slow, from another start for each seed."""
  slow = np.stack([(np.arange(num_train) + s) % every == 0
                   for s in range(num_seeds)])
  return {'slow': slow, 'wrong': np.roll(slow, 1, axis=1)}


def drawn_rows(source, i):
  """How often the seed at i trains on each row, and in how many steps."""
  steps = int(source.own['num_steps'][i])
  items = source.items(i, 0, steps)
  rows, counts = np.unique(source.own['train_rows'][i][items],
                           return_counts=True)
  return dict(zip(rows.tolist(), counts.tolist(), strict=True)), steps


def test_arms_train_on_what_they_say(data):
  # A batch that divides all sizes, so that no example is dropped.
  config = small(batch_size=1, num_epochs=2)
  n, rows = data.num_train, data.shared['train_rows']
  clusters = found(2, n)
  masked = data.groups(config)['masked']
  assert 0 < masked.sum() < n
  for arm, extra in (
      ('sgd', lambda i: np.zeros(n)), ('sam', lambda i: np.zeros(n)),
      ('sgd_useful', lambda i: clusters['slow'][i]),
      ('sam_useful', lambda i: clusters['slow'][i]),
      ('sgd_jtt', lambda i: config.jtt_copies * clusters['wrong'][i]),
      ('sgd_oracle', lambda i: masked), ('sgd_weighted', lambda i: np.zeros(n)),
  ):
    source = useful.make_source(config, data, arm, (0, 1), clusters)
    for i in range(2):
      counts, steps = drawn_rows(source, i)
      expected = 2 * (1 + extra(i))
      assert [counts[r] for r in rows.tolist()] == expected.tolist(), arm
      assert steps == expected.sum()


def test_controls_have_the_size_of_useful(data):
  config = small(batch_size=1, num_epochs=2)
  n, rows = data.num_train, data.shared['train_rows']
  clusters = found(2, n)
  for i in range(2):
    slow = clusters['slow'][i]
    wanted = 2 * (n + slow.sum())
    for arm in ('sgd_random', 'sgd_fast', 'sgd_equal_steps'):
      counts, steps = drawn_rows(
          useful.make_source(config, data, arm, (0, 1), clusters), i)
      assert steps == wanted, arm
      extra = np.array([counts[r] for r in rows.tolist()])
      assert extra.sum() == wanted
      if arm == 'sgd_fast':
        assert (extra[slow] == 2).all() and set(extra[~slow]) == {2, 4}
      if arm == 'sgd_random':
        assert set(extra) == {2, 4}
        assert (extra[slow] == 4).sum() < slow.sum()
      if arm == 'sgd_equal_steps':
        assert set(extra) <= {2, 3}


def test_weighted_arm_weighs_slow_examples_twice(data):
  config = small()
  clusters = found(2, data.num_train)
  source = useful.make_source(config, data, 'sgd_weighted', (0, 1), clusters)
  own = {k: v[1] for k, v in source.own.items()}
  batch = useful.make_draw(config, data, 'sgd_weighted')(
      data.shared, own, np.arange(data.num_train), jax.random.key(0))
  weight = np.asarray(batch['weight'])
  np.testing.assert_allclose(weight.mean(), 1, rtol=1e-5)
  slow = clusters['slow'][1]
  np.testing.assert_allclose(weight[slow] / weight[~slow][0], 2, rtol=1e-5)


def test_separation_has_the_schedule_of_the_whole_run(monkeypatch, data):
  """It is the beginning of the arm itself: same losses, step by step."""
  config = small(num_epochs=4, separating_epoch=2)
  study = Study('useful', 'smoke', config)
  seen = []
  fit = useful.train.fit

  def recording(*args, **kwargs):
    seen.append(fit(*args, **kwargs))
    return seen[-1]

  monkeypatch.setattr(useful.train, 'fit', recording)
  block = Block(study, 'separate_sgd', (0, 1))
  useful.find_slow(config, data, block, 'sgd', {})
  useful.train_block(config, data, block, 'sgd', 'fit', useful.make_source(
      config, data, 'sgd', (0, 1)))
  short, whole = (s.curves['loss'] for s in seen)
  assert len(short) == 2 and len(whole) == 4
  np.testing.assert_array_equal(short, whole[:2])
  saved = study.predictions_of('separate_sgd', (1, 0))
  assert saved['slow'].shape == (2, data.num_train)
  assert saved['digest'][0] == useful.useful.digest(saved['slow'][0])


def test_the_elbow_is_found_and_may_differ_by_seed(data):
  config = small(num_epochs=6, separating_epoch=0, elbow_epochs=5,
                 learning_rate=.1)
  study = Study('useful', 'smoke', config)
  useful.find_slow(config, data, Block(study, 'separate_sgd', (0, 1)), 'sgd',
                   {})
  rows = [r for r in study.rows() if r['metric'] == 'separating_epoch']
  assert len(rows) == 2
  for row in rows:
    assert 1 <= row['value'] <= 5
    assert row['step'] == row['value'] * (data.num_train // config.batch_size)


def test_all_arms_with_tuning():
  """Derived arms take over the setting of their optimizer."""
  settings = papers.configs('useful')
  config = small(arms=settings.ARMS, trials=2, num_epochs=2, num_seeds=1,
                 tuning_seeds=(100,), sharpness_examples=0)
  study = Study('useful', 'smoke', config)
  rows = useful.run(config, study)
  test = [r for r in rows if r['metric'] == 'error' and r['split'] == 'test'
          and r['group'] == '']
  assert {r['method'] for r in test} == set(settings.ARMS)
  chosen = {r['method']: (r['learning_rate'], r.get('rho'), r.get('asam_rho'))
            for r in test}
  for arm, (optimizer, _) in useful.ARMS.items():
    assert chosen[arm] == chosen[optimizer]
  assert chosen['sgd'][1:] == (None, None)
  assert chosen['sam'][1] and chosen['asam'][2]
  tried = [r for r in rows if 'setting' in r]
  assert {r['seed'] for r in tried} == {100} and {
      r['split'] for r in tried} == {'val'}
  assert {(r['method'], r['setting']) for r in tried} == {
      (m, i) for m in ('sgd', 'sam', 'asam') for i in (0, 1)}


def plain(config, num_per_class=12, seed=0):
  """A table like CIFAR-10's, of noise."""
  rng = np.random.default_rng(seed)
  part = lambda n: {
      'x': rng.integers(0, 256, (10 * n, 32, 32, 3)).astype(np.uint8),
      'y': np.repeat(np.arange(10, dtype=np.int32), n)}
  return {f'{name}_{k}': v for name in ('train', 'test')
          for k, v in part(num_per_class).items()}


@pytest.mark.parametrize('variant, fields', [
    ('cifar10_resnet18', {}), ('cifar10_noise', {'model': 'cnn'}),
    ('cifar10_long_tail', {'model': 'cnn'}),
    ('cifar10_wrn', {'model': 'cnn', 'normalize': True, 'group_size': 2})])
def test_cifar_variants_train_a_few_steps(variant, fields, monkeypatch):
  config = small(variant, split_sizes=(120, 0, 120), batch_size=4, width=2,
                 num_epochs=1, separating_epoch=1, num_seeds=1,
                 eval_batch_size=20, sharpness_examples=0,
                 arms=('sgd_useful',) if variant != 'cifar10_wrn' else ('sam',),
                 **fields)
  monkeypatch.setattr(images, 'load', lambda name, folder: plain(config))
  rows = useful.run(config, Study('useful', variant, config))
  errors = {(r['method'], r['split']): r for r in rows
            if r['metric'] == 'error' and r['group'] == ''}
  assert {split for _, split in errors} == {'train', 'test'}
  for row in errors.values():
    assert 0 <= row['value'] <= 1 and row['step'] >= 1
  if variant == 'cifar10_noise':
    assert any(r['group'] == 'noisy' for r in rows)
  if variant == 'cifar10_long_tail':
    assert errors['sgd_useful', 'train']['n'] < 120


def test_groups_of_examples_have_perturbations_of_their_own(data):
  """m-SAM differs from SAM, and its counts of forgetting stay right."""
  config = small(batch_size=16, rho=1.)
  study = Study('useful', 'smoke', config)
  block = Block(study, 'sam', (0,))
  source = useful.make_source(config, data, 'sam', (0,))
  whole, parts = (useful.train_block(c, data, block, 'sam', 'fit', source)
                  for c in (config, replaced(config, {'group_size': 4})))
  assert not np.allclose(whole.curves['loss'], parts.curves['loss'])
  for fitted in (whole, parts):
    counts = fitted.state.extra['learning']
    assert counts['step'][0] == source.own['num_steps'][0]
    # Most have been right once, in whatever group they were.
    rows = data.shared['train_rows']
    assert np.mean(np.asarray(counts['first'][0])[rows] < 10**9) > .8


def test_unknown_values_are_refused(data):
  for fields, text in (
      ({'model': 'vit'}, "model='vit'; use one of 'cnn'"),
      ({'schedule': 'step'}, "schedule='step'; use one of 'cosine'"),
      ({'separate_with': 'adam'}, "separate_with='adam'; use one of 'same'"),
      ({'cluster_on': 'x'}, "cluster_on='x'; use one of 'logits', 'prob"),
      ({'batch_size': 0}, 'batch_size=0 must be from 1 to 64'),
      ({'num_epochs': 0}, 'num_epochs=0 must be from 1'),
      ({'separating_epoch': 4}, 'separating_epoch=4 must be from 0 to 3')):
    config = small(**fields)
    with pytest.raises(UserError, match=text):
      useful.run(config, Study('useful', 'smoke', config))
  with pytest.raises(UserError, match='unknown variant'):
    small('cifar100')
  with pytest.raises(UserError, match='leave the arm out'):
    noisy = useful.Data.__new__(useful.Data)
    noisy.shared = {k: v for k, v in data.shared.items() if k != 'group'}
    useful.make_source(small(dataset='digits'), noisy, 'sgd_oracle', (0,))


def test_apply_is_the_same_object_for_the_same_model():
  a, b = useful.make_apply(small()), useful.make_apply(small(rho=.5))
  assert a is b
  x = jnp.zeros((2, 16, 8, 1))
  params = useful.make_model(small()).init(jax.random.key(0), x)['params']
  assert a(params, {'learning': {}}, x).shape == (2, 2)


def test_a_trial_that_diverges_is_a_result(monkeypatch):
  config = small(arms=('sgd',), trials=2, num_epochs=1, num_seeds=1,
                 tuning_seeds=(100, 101), sharpness_examples=0)
  monkeypatch.setitem(papers.configs('useful').GRID, 'learning_rate',
                      (.05, 1e38))
  rows = useful.run(config, Study('useful', 'smoke', config))
  tried = [r for r in rows if r.get('learning_rate') == 1e38]
  assert {r['seed'] for r in tried} == {100, 101}
  assert all(r['value'] is None and 'not finite' in r['why'] for r in tried)
  assert all(r['learning_rate'] == .05 for r in rows if 'setting' not in r)
