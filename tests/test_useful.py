"""USEFUL's experiment: what each arm trains on, who is slow, tuning."""

import jax
import kinds
import numpy as np
import pytest

from assay import papers, results
from assay.data import images
from assay.errors import UserError
from assay.report import figures
from assay.study import Block, Study, replaced
from assay.testbeds import vision, vision_nets

useful = papers.load('useful')
card = papers.configs('useful')
CONFIG = replaced(card.get_config('smoke'), {'model': 'mlp'})


def small(variant='smoke', **fields):
  # A perceptron is quickly compiled, and here all the same.
  return replaced(card.get_config(variant), {'model': 'mlp'} | fields)


@pytest.fixture(scope='module')
def data():
  return useful.load(CONFIG.net)


@pytest.fixture(scope='module')
def clusters(data):
  """Every fifth example is slow, from another start for each of two seeds."""
  slow = np.stack([(np.arange(data.num_train) + s) % 5 == 0 for s in (0, 1)])
  return {'slow': slow, 'wrong': np.roll(slow, 1, axis=1)}


@pytest.fixture
def drawn(data, clusters):
  """(arm, i) -> how often the seed at i trains on each example, its steps."""
  # A batch that divides all sizes, so that no example is dropped.
  net = small(batch_size=1, num_epochs=2).net

  def of(arm, i):
    source = vision.make_source(
        net, data, useful.arm_of(net, arm, clusters), (0, 1))
    steps = int(source.own['num_steps'][i])
    rows = source.own['train_rows'][i][source.items(i, 0, steps)]
    counts = np.bincount(rows.ravel(), minlength=len(data.shared['y']))
    counts = counts[data.shared['train_rows']]
    assert counts.sum() == steps
    return counts

  return of


def test_arms_train_on_what_they_say(data, clusters, drawn):
  masked = useful.groups_of(CONFIG.net, data)['masked']
  assert 0 < masked.sum() < data.num_train
  for arm, extra in (
      ('sgd', lambda i: 0), ('sam', lambda i: 0), ('sgd_weighted', lambda i: 0),
      ('sgd_useful', lambda i: clusters['slow'][i]),
      ('sam_useful', lambda i: clusters['slow'][i]),
      ('sgd_jtt', lambda i: CONFIG.net.jtt_copies * clusters['wrong'][i]),
      ('sgd_oracle', lambda i: masked)):
    for i in range(2):
      assert (drawn(arm, i) == 2 * (np.ones(len(masked)) + extra(i))).all(), arm
  for i, slow in enumerate(clusters['slow']):
    for arm in 'sgd_random', 'sgd_fast', 'sgd_equal_steps':
      assert drawn(arm, i).sum() == 2 * (data.num_train + slow.sum()), arm
    assert (drawn('sgd_fast', i)[slow] == 2).all()


def test_weighted_arm_weighs_slow_examples_twice(data, clusters):
  arm = useful.arm_of(CONFIG.net, 'sgd_weighted', clusters)
  own = vision.make_source(CONFIG.net, data, arm, (0, 1)).own
  batch = vision.make_draw(CONFIG.net, data, arm)(
      data.shared, {k: v[1] for k, v in own.items()},
      np.arange(data.num_train), jax.random.key(0))
  weight, slow = np.asarray(batch['weight']), clusters['slow'][1]
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
  useful.find_slow(config, data, Block(study, 'slow', (0, 1)), 'sgd', {})
  rows = [r for r in study.rows() if r['metric'] == 'separating_epoch']
  assert len(rows) == 2 and all(1 <= r['value'] <= 5 and r['step'] == r[
      'value'] * (data.num_train // 16) for r in rows)


@pytest.mark.parametrize('arms', [('sgd', 'sam', 'asam', 'sgd_useful'),
                                  *kinds.nightly((card.ARMS,))])
def test_arms_with_tuning(arms, monkeypatch):
  """Derived arms take over their optimizer's setting; a trial may diverge."""
  monkeypatch.setitem(card.GRID, 'learning_rate', (.05, 1e38))
  config = small(arms=arms, trials=2, num_epochs=2, num_seeds=1,
                 tuning_seeds=(100,), sharpness_examples=0)
  rows = useful.run(config, Study('useful', 'smoke', config))
  test = [r for r in rows if r['metric'] == 'error' and r['split'] == 'test'
          and r['group'] == '']
  chosen = {r['method']: (r['learning_rate'], r.get('rho'), r.get('asam_rho'))
            for r in test}
  assert chosen == {arm: chosen[useful.ARMS[arm][0]] for arm in arms}
  assert chosen['sgd'] == (.05, None, None)
  assert chosen['sam'][1] and chosen['asam'][2]
  tried = [r for r in rows if 'setting' in r]
  assert {(r['seed'], r['split'], r['method'], r['setting'])
          for r in tried} == {(100, 'val', m, i)
                              for m in ('sgd', 'sam', 'asam') for i in (0, 1)}
  assert {'not finite' in r.get('why', '') for r in tried
          if r['learning_rate'] == 1e38} == {True}


@pytest.mark.parametrize('variant, fields', [
    ('cifar10_wrn', dict(normalize=True, group_size=2, arms=('sam',))),
    *kinds.nightly(('cifar10_resnet18', {}), ('cifar10_noise', {}),
                   ('cifar10_long_tail', {}))])
def test_cifar_variants_train_a_few_steps(variant, fields, monkeypatch):
  config = small(variant, **dict(
      split_sizes=(120, 0, 120), batch_size=4, width=2, num_epochs=1,
      separating_epoch=1, num_seeds=1, eval_batch_size=20,
      sharpness_examples=0, arms=('sgd_useful',)) | fields)
  table = {'x': np.random.default_rng(0).integers(
      0, 256, (120, 32, 32, 3), np.uint8), 'y': np.int32(np.arange(120) // 12)}
  monkeypatch.setattr(images, 'load', lambda name, folder: {
      f'{part}_{k}': v for part in ('train', 'test') for k, v in table.items()})
  rows = useful.run(config, Study('useful', variant, config))
  errors = {r['split']: r for r in rows
            if r['metric'] == 'error' and r['group'] == ''}
  assert errors.keys() == {'train', 'test'}
  assert all(0 <= r['value'] <= 1 and r['step'] >= 1 for r in errors.values())
  noisy = any(r['group'] == 'noisy' for r in rows)
  assert noisy == (variant == 'cifar10_noise')
  assert (errors['train']['n'] < 120) == (variant == 'cifar10_long_tail')


def test_groups_of_examples_have_perturbations_of_their_own(data):
  fits = [useful.train(config, data, Block(
      Study('useful', 'smoke', config), 'sam', (0,)), useful.arm_of(
          config.net, 'sam')) for config in (
              small(rho=1.), small(rho=1., group_size=4))]
  assert not np.allclose(*(fitted.curves['loss'] for fitted in fits))


def test_values_that_cannot_be_meant_are_refused(data):
  for field, value, text in (
      ('separating_epoch', 4, 'separating_epoch=4 must be at most 3'),
      ('sharpness_examples', 33, 'must be a multiple of')):
    config = small(**{field: value})
    with pytest.raises(UserError, match=text):
      useful.run(config, Study('useful', 'smoke', config))
  plain = vision_nets.Data({k: v for k, v in data.shared.items()
                            if k != 'group'})
  oracle = useful.arm_of(CONFIG.net, 'sgd_oracle')
  with pytest.raises(UserError, match='leave the arm out'):
    vision.make_source(CONFIG.net, plain, oracle, (0,))


def test_figures_are_of_rows_alone():
  rows = results.read([papers.ROOT / 'results' / 'useful' / 'digits.jsonl'])
  fewer = [row for row in rows if row['metric'] != 'lambda_max']
  lost = set(figures.of('useful', rows)) - set(figures.of('useful', fewer))
  assert {name[-24:] for name in lost} == {'sharpness_and_uniformity'}
