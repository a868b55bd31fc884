"""The testbed of image classifiers: sockets, rows, values it refuses."""

import subprocess
import sys

import jax
import numpy as np
import pytest

from assay import losses, papers
from assay.data import corruptions
from assay.errors import UserError
from assay.methods import calibrators
from assay.metrics import calibration
from assay.study import Block, Study, replaced
from assay.testbeds import bounds, vision, vision_nets, vision_rows
from assay.train import evaluate


def small(**fields):
  """Five steps an epoch for 60 digits, one epoch."""
  config = papers.configs('calibration_overview').get_config('smoke')
  return replaced(config, {
      'model': 'mlp', 'num_epochs': 1, 'batch_size': 12, 'num_seeds': 1,
      'shifts': (), 'arms': ('plain',)} | fields)


def study(config):
  return Study('calibration_overview', 'smoke', config)


def test_cards_need_no_jax():
  code = ('import sys; from configs import calibration_overview as card; '
          'card.get_config(); assert "jax" not in sys.modules')
  subprocess.run([sys.executable, '-c', code], cwd=papers.ROOT, check=True)


def test_logits_are_the_same_in_pieces(monkeypatch):
  """Those of images with noise, too: it goes by the place in the split."""
  config = small(eval_batch_size=5)
  data, block = vision_nets.load(config.net), Block(
      study(config), 'plain', (0,))
  fitted = vision.fit(config, data, block)
  said = lambda: vision_nets.logits(config.net, data, block, fitted, 'test', 3,
                                    'noise')
  whole = said()
  monkeypatch.setattr(evaluate, 'room', lambda: 64 * 12)  # twelve images
  np.testing.assert_array_equal(said(), whole)


def params_of(fitted):
  return np.concatenate([np.ravel(x) for x in jax.tree.leaves(
      fitted.state.params)])


def test_each_socket_of_training_is_used():
  config = small()
  data = vision_nets.load(config.net)
  train = lambda **sockets: vision.fit(
      config, data, Block(study(config), 'plain', (0,)),
      vision.Arm(**sockets))
  plain = params_of(train())
  np.testing.assert_array_equal(plain, params_of(train(
      loss=vision.mean_of(losses.cross_entropy))))
  halved = lambda gradient: lambda *of: (
      lambda value, grads: (value, jax.tree.map(lambda x: x / 2, grads)))(
          *gradient(*of))
  black = lambda draw: lambda *of: (
      lambda batch: batch | {'x': 0 * batch['x']})(draw(*of))
  one_class = lambda own, data, seeds: own | {
      'train_rows': own['train_rows'][:, data.labels('train') < 5],
      'num_train': own['num_train'] // 2}
  for sockets in (dict(loss=vision.mean_of(losses.brier)),
                  dict(gradient=halved), dict(draw=black),
                  dict(own=one_class)):
    assert np.abs(params_of(train(**sockets)) - plain).max() > 1e-4, sockets
  kept = train(memory=lambda num_images: {'seen': np.zeros(num_images)})
  assert kept.state.extra['seen'].shape == (1, len(data.shared['y']))
  np.testing.assert_array_equal(params_of(kept), plain)


def test_a_seed_may_take_more_steps_or_train_on_more():
  config = small()
  data = vision_nets.load(config.net)
  fitted = vision.fit(config, data, Block(study(config), 'plain', (0, 1)),
                      vision.Arm(own=lambda own, data, seeds: own | {
                          'num_train': np.array([60, 30]),
                          'num_steps': np.array([7, 2], np.int32)}))
  assert fitted.state.step.tolist() == [7, 2]


def test_rows_name_the_calibrator_where_there_are_several():
  arms = lambda config: {
      'plain': vision.Arm(), 'two': vision.Arm(calibrators={
          'none': calibrators.uncalibrated, 't': calibrators.temperature})}
  config = small(arms=('plain', 'two'), shifts=('noise', 'blur'))
  rows = vision.run(config, study(config), arms, metrics=('nll', 'error'),
                    splits=('test', 'noise', 'shifted'))
  got = {(r['method'], r.get('calibrator'), r['split'], r['metric']): r['value']
         for r in rows}
  assert len(got) == len(rows) == 3 * 5  # of a shift alone no nll
  for split in ('test', 'shifted'):
    assert got['plain', None, split, 'nll'] == got['two', 'none', split, 'nll']
    assert got['two', 't', split, 'nll'] != got['two', 'none', split, 'nll']


def test_a_field_of_the_data_may_be_swept():
  plain = lambda config: {'plain': vision.Arm()}
  nll = lambda config: [r['value'] for r in vision.run(
      config, study(config), plain, metrics=('nll',))]
  swept = nll(small(sweep='data_seed', swept_arms=('plain',),
                    sweep_values=(0, 1)))
  assert swept == nll(small(data_seed=0)) + nll(small(data_seed=1))
  assert len(set(swept)) == 2


def test_an_arm_after_a_sweep_of_the_data_has_the_data_of_the_config():
  arms = lambda config: dict.fromkeys(('swept', 'plain'), vision.Arm())
  errors = lambda config: [row['value'] for row in vision.run(
      config, study(config), arms) if row['method'] == 'plain']
  assert errors(small(
      arms=('swept', 'plain'), sweep='data_seed', sweep_values=(1,),
      swept_arms=('swept',))) == errors(small())


def test_measured_are_the_metrics_and_shifted_is_their_mean():
  rng = np.random.default_rng(0)
  labels = rng.integers(0, 3, 50)
  log_p = {name: np.log(rng.dirichlet(np.ones(3), 50))
           for name in ('test', 'noise', 'blur')}
  config = small(shifts=('noise', 'blur'))
  got = vision_rows.measured(config, log_p, labels)
  for name in log_p:
    assert got[name, 'ece'] == calibration.expected_calibration_error(
        np.exp(log_p[name]), labels)
  nll = {name: -each[np.arange(50), labels].mean()
         for name, each in log_p.items()}
  assert got['test', 'nll'] == pytest.approx(nll['test'])
  assert got['shifted', 'nll'] == pytest.approx(
      (nll['noise'] + nll['blur']) / 2)
  assert ('noise', 'nll') not in got and ('noise', 'auroc') in got
  nothing = vision_rows.measured(config, None, labels)
  assert nothing.keys() == got.keys() and np.isnan([*nothing.values()]).all()


@pytest.mark.parametrize('fields, message', [
    ({'arms': ('plane',)}, "arms: no arm 'plane'; use some of plain"),
    ({'shifts': ('fog',)}, "shifts='fog'; use one of 'blur'"),
    ({'level': 6}, 'level=6 must be 1 or more and at most 5'),
    ({'num_bins': 0}, 'num_bins=0 must be'),
    ({'split_sizes': (60, 40, 800)}, 'digits has 797 test images'),
    ({'split_sizes': (60, 40)}, 'must have 3 values'),
    ({'split_sizes': (60, 0, 30)}, 'must be 1 or more'),
    ({'batch_size': 61}, 'batch_size=61 must be at most 60'),
    ({'num_epochs': 0}, 'num_epochs=0 must be 1 or more'),
    ({'model': 'vit'}, "model='vit'; use one of 'cnn'"),
    ({'schedule': 'step'}, "schedule='step'; use one of 'cosine'"),
    ({'augment': 'flip'}, "augment='flip'; use one of '', 'crop_flip'")])
def test_values_that_cannot_be_meant_are_refused(fields, message):
  config = small(**fields)
  with pytest.raises(UserError, match=message):
    vision.run(config, study(config), lambda config: {'plain': vision.Arm()})


def test_bounds_name_what_there_is():
  named = bounds.VISION | bounds.SHIFTED
  for field, known in (
      ('model', vision_nets.MODELS), ('schedule', vision_nets.SCHEDULES),
      ('augment', vision.AUGMENTS), ('shifts', corruptions.CORRUPTIONS)):
    assert named[field].among == tuple(known), field
  assert named['level'].high == corruptions.NUM_LEVELS


def test_balanced_temperature_weighs_right_and_wrong_alike():
  rng = np.random.default_rng(0)
  labels = rng.integers(0, 4, 400)
  logits = (3. * np.eye(4)[labels] + rng.normal(0, 3, (400, 4))).astype(
      np.float32)
  right = logits.argmax(axis=1) == labels
  assert right.mean() > .5

  def loss(t):
    nll = -np.asarray(jax.nn.log_softmax(logits / t))[np.arange(400), labels]
    return nll[right].mean() + nll[~right].mean()

  grid = np.geomspace(.5, 20, 400)
  best = grid[np.argmin([loss(t) for t in grid])]
  balanced = vision.CALIBRATORS['temperature_balanced']
  np.testing.assert_allclose(
      balanced.apply(balanced.fit(logits, labels), logits),
      jax.nn.log_softmax(logits / best), atol=.05)
