"""USEFUL's experiment: what each arm trains on, who is slow, tuning."""

import jax
import numpy as np
import pytest

from assay import papers
from assay.data import images
from assay.errors import UserError
from assay.study import Block, Study, replaced
from assay.testbeds import vision, vision_nets

useful = papers.load('useful')
card = papers.configs('useful')
CONFIG = card.get_config('smoke')


def small(variant='smoke', **fields):
  return replaced(card.get_config(variant), fields)


@pytest.fixture(scope='module')
def data():
  return useful.load(CONFIG.net)


def found(num_seeds, num_train, every=5):
  """Every fifth example is slow, from another start for each seed."""
  slow = np.stack([(np.arange(num_train) + s) % every == 0
                   for s in range(num_seeds)])
  return {'slow': slow, 'wrong': np.roll(slow, 1, axis=1)}


def drawn(config, data, arm, clusters, i):
  """How often the seed at i trains on each example, and in how many steps."""
  source = vision.make_source(config.net, data, useful.arm_of(
      config.net, arm, clusters), (0, 1))
  steps = int(source.own['num_steps'][i])
  rows = source.own['train_rows'][i][source.items(i, 0, steps)]
  counts = np.bincount(rows.ravel(), minlength=len(data.shared['y']))
  assert counts.sum() == counts[data.shared['train_rows']].sum()
  return counts[data.shared['train_rows']], steps


def test_arms_train_on_what_they_say(data):
  # A batch that divides all sizes, so that no example is dropped.
  config, n = small(batch_size=1, num_epochs=2), data.num_train
  clusters = found(2, n)
  masked = useful.groups_of(config.net, data)['masked']
  assert 0 < masked.sum() < n
  for arm, extra in (
      ('sgd', lambda i: 0), ('sam', lambda i: 0), ('sgd_weighted', lambda i: 0),
      ('sgd_useful', lambda i: clusters['slow'][i]),
      ('sam_useful', lambda i: clusters['slow'][i]),
      ('sgd_jtt', lambda i: config.net.jtt_copies * clusters['wrong'][i]),
      ('sgd_oracle', lambda i: masked)):
    for i in range(2):
      counts, steps = drawn(config, data, arm, clusters, i)
      assert counts.tolist() == (2 * (np.ones(n) + extra(i))).tolist(), arm
      assert steps == counts.sum()


def test_controls_have_the_size_of_useful(data):
  config, n = small(batch_size=1, num_epochs=2), data.num_train
  clusters = found(2, n)
  for i in range(2):
    slow = clusters['slow'][i]
    random, fast, equal = (
        drawn(config, data, arm, clusters, i)
        for arm in ('sgd_random', 'sgd_fast', 'sgd_equal_steps'))
    for counts, steps in (random, fast, equal):
      assert steps == counts.sum() == 2 * (n + slow.sum())
    assert (fast[0][slow] == 2).all() and set(fast[0][~slow]) == {2, 4}
    assert set(random[0]) == {2, 4}
    assert (random[0][slow] == 4).sum() < slow.sum()
    assert set(equal[0]) <= {2, 3}


def test_weighted_arm_weighs_slow_examples_twice(data):
  clusters = found(2, data.num_train)
  arm = useful.arm_of(CONFIG.net, 'sgd_weighted', clusters)
  source = vision.make_source(CONFIG.net, data, arm, (0, 1))
  batch = vision.make_draw(CONFIG.net, data, arm)(
      data.shared, {k: v[1] for k, v in source.own.items()},
      np.arange(data.num_train), jax.random.key(0))
  weight, slow = np.asarray(batch['weight']), clusters['slow'][1]
  np.testing.assert_allclose(weight.mean(), 1, rtol=1e-5)
  np.testing.assert_allclose(weight[slow] / weight[~slow][0], 2, rtol=1e-5)


def test_separation_is_the_beginning_of_the_arm_itself(monkeypatch, data):
  """Same losses, step by step: it has the schedule of the whole run."""
  config = small(num_epochs=4, separating_epoch=2)
  study, seen, fit = Study('useful', 'smoke', config), [], vision.fit
  monkeypatch.setattr(vision, 'fit', lambda *args: (
      seen.append(fit(*args)), seen[-1])[1])
  block = Block(study, 'separate_sgd', (0, 1))
  useful.find_slow(config, data, block, 'sgd', {})
  useful.train(config, data, block, useful.arm_of(config.net, 'sgd'))
  short, whole = (fitted.curves['loss'] for fitted in seen)
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
  assert len(rows) == 2 and all(1 <= row['value'] <= 5 and row['step'] == row[
      'value'] * (data.num_train // config.net.batch_size) for row in rows)


def test_all_arms_with_tuning(monkeypatch):
  """Derived arms take over their optimizer's setting; a trial may diverge."""
  monkeypatch.setitem(card.GRID, 'learning_rate', (.05, 1e38))
  config = small(arms=card.ARMS, trials=2, num_epochs=2, num_seeds=1,
                 tuning_seeds=(100,), sharpness_examples=0)
  rows = useful.run(config, Study('useful', 'smoke', config))
  test = [r for r in rows if r['metric'] == 'error' and r['split'] == 'test'
          and r['group'] == '']
  assert {r['method'] for r in test} == set(card.ARMS)
  chosen = {r['method']: (r['learning_rate'], r.get('rho'), r.get('asam_rho'))
            for r in test}
  for arm, (optimizer, _) in useful.ARMS.items():
    assert chosen[arm] == chosen[optimizer]
  assert chosen['sgd'] == (.05, None, None)
  assert chosen['sam'][1] and chosen['asam'][2]
  tried = [r for r in rows if 'setting' in r]
  assert {(r['seed'], r['split']) for r in tried} == {(100, 'val')}
  assert {(r['method'], r['setting']) for r in tried} == {
      (m, i) for m in ('sgd', 'sam', 'asam') for i in (0, 1)}
  lost = [r for r in tried if r['learning_rate'] == 1e38]
  assert lost and all(
      r['value'] is None and 'not finite' in r['why'] for r in lost)


@pytest.mark.parametrize('variant, fields', [
    ('cifar10_resnet18', {}), ('cifar10_noise', {'model': 'cnn'}),
    ('cifar10_long_tail', {'model': 'cnn'}),
    ('cifar10_wrn', {'model': 'cnn', 'normalize': True, 'group_size': 2})])
def test_cifar_variants_train_a_few_steps(variant, fields, monkeypatch):
  config = small(variant, split_sizes=(120, 0, 120), batch_size=4, width=2,
                 num_epochs=1, separating_epoch=1, num_seeds=1,
                 eval_batch_size=20, sharpness_examples=0,
                 arms=('sam',) if variant == 'cifar10_wrn' else ('sgd_useful',),
                 **fields)
  rng = np.random.default_rng(0)
  noise = rng.integers(0, 256, (120, 32, 32, 3)).astype(np.uint8)
  table = {'x': noise, 'y': np.repeat(np.arange(10, dtype=np.int32), 12)}
  monkeypatch.setattr(images, 'load', lambda name, folder: {
      f'{part}_{k}': v for part in ('train', 'test') for k, v in table.items()})
  rows = useful.run(config, Study('useful', variant, config))
  errors = {(r['method'], r['split']): r for r in rows
            if r['metric'] == 'error' and r['group'] == ''}
  assert {split for _, split in errors} == {'train', 'test'}
  assert all(0 <= r['value'] <= 1 and r['step'] >= 1 for r in errors.values())
  assert any(r['group'] == 'noisy' for r in rows) == (
      variant == 'cifar10_noise')
  assert (errors[config.arms[0], 'train']['n'] < 120) == (
      variant == 'cifar10_long_tail')


def test_groups_of_examples_have_perturbations_of_their_own(data):
  """m-SAM differs from SAM, and its counts of forgetting stay right."""
  fits = [useful.train(config, data, Block(
      Study('useful', 'smoke', config), 'sam', (0,)), useful.arm_of(
          config.net, 'sam')) for config in (
              small(rho=1.), small(rho=1., group_size=4))]
  assert not np.allclose(*(fitted.curves['loss'] for fitted in fits))
  for fitted in fits:
    counts = fitted.state.extra['learning']
    assert counts['step'][0] == 3 * (data.num_train // 16)
    # Most have been right once, in whatever group they were.
    rows = data.shared['train_rows']
    assert np.mean(np.asarray(counts['first'][0])[rows] < 10**9) > .8


def test_values_that_cannot_be_meant_are_refused(data):
  for fields, text in (
      ({'separate_with': 'adam'}, "separate_with='adam'; use one of 'same'"),
      ({'cluster_on': 'x'}, "cluster_on='x'; use one of 'logits', 'prob"),
      ({'separating_epoch': 4}, 'separating_epoch=4 must be from 0 to 3'),
      ({'sharpness_examples': 33}, 'must be a multiple of')):
    config = small(**fields)
    with pytest.raises(UserError, match=text):
      useful.run(config, Study('useful', 'smoke', config))
  plain = vision_nets.Data(
      {k: v for k, v in data.shared.items() if k != 'group'})
  net = small(dataset='digits').net
  with pytest.raises(UserError, match='leave the arm out'):
    vision.make_source(net, plain, useful.arm_of(net, 'sgd_oracle'), (0,))
