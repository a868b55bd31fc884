"""The testbed of scores: its sets, its networks, its rows, what it refuses."""

import numpy as np
import pytest

from assay import papers
from assay.data import images
from assay.errors import UserError
from assay.judge import examples
from assay.methods import abet, ood_scores
from assay.metrics import detection
from assay.study import Block, Study, replaced
from assay.testbeds import (
  bounds,
  ood,
  ood_data,
  ood_nets,
  ood_rows,
  vision_nets,
)

ARMS = {
    'one_feature': ood.ONE_FEATURE,
    'msp': ood.Arm(against=('energy',)),
    'energy': ood.Arm(score=ood_scores.energy),
    'knn': ood.Arm(score=ood_scores.knn, settings={'k': (1, 5)}),
    'react': ood.Arm(score=ood_scores.react),
    'abet': ood.Arm(abet.Head, ood_scores.energy)}


def small(**fields):
  return replaced(papers.configs('abet').get_config('smoke'), {
      'num_epochs': 1, 'arms': tuple(ARMS), 'num_seeds': 2} | fields)


def study(config, **fields):
  return Study('abet', 'smoke', config, **fields)


@pytest.fixture(scope='module')
def ran(tmp_path_factory):
  """(config, study, rows, steps by arm) of all arms."""
  config, steps = small(), {}
  made = study(config, workdir=tmp_path_factory.mktemp('ood'),
               progress=lambda arm, *report: steps.update({arm: report}))
  return config, made, ood.run(config, made, ARMS), steps


def values(rows, **fields):
  """[seeds] in order."""
  found = {row['seed']: row['value'] for row in rows if all(
      row[k] == v for k, v in ({'group': ''} | fields).items())}
  return np.array([found[seed] for seed in sorted(found)])


# --- Data --------------------------------------------------------------------


def test_only_known_classes_are_known_and_no_image_is_twice():
  config = small()
  data, table = ood_data.load(config.net), images.load('digits')
  x, y = data.shared['x'], data.shared['y']
  assert (len(x), data.num_classes, data.num_train) == (140, 7, 60)
  rows = np.concatenate([data.shared[f'{k}_rows']
                         for k in ('train', 'val', 'test')])
  assert len(set(rows.tolist())) == 140
  of_image = {each.tobytes(): label for part in images.PARTS
              for each, label in zip(table[f'{part}_x'], table[f'{part}_y'],
                                     strict=True)}
  assert [of_image[each.tobytes()] for each in x] == y.tolist()
  near = ood_data.unknown(config, data)['other_classes']
  assert {of_image[each.tobytes()] for each in near} == {7, 8, 9}


def test_made_sets_keep_what_they_should_of_known_images():
  config = small(far=('shuffled', 'scrambled', 'uniform_noise',
                      'gaussian_noise'), num_unknown=60)
  data = ood_data.load(config.net)
  found = ood_data.unknown(config, data)
  known = data.shared['x'][data.shared['train_rows']]
  pixels = lambda x: sorted(tuple(sorted(each.ravel())) for each in x)
  assert pixels(found['shuffled']) == pixels(known)
  # Of images that are never clipped the spectrum stays, but for rounding.
  pale = (data.shared['x'] // 8 + 112).astype(np.uint8)
  spectra = lambda x: np.sort(np.abs(np.fft.fft2(x[..., 0])), axis=0)
  np.testing.assert_allclose(
      spectra(ood_data.unknown(config, vision_nets.Data(
          data.shared | {'x': pale}))['scrambled']),
      spectra(pale[data.shared['train_rows']]), atol=8)
  mean, std = (255 * np.array(v) for v in data.statistics)
  assert found['gaussian_noise'].mean() == pytest.approx(mean[0], rel=.2)
  assert found['uniform_noise'].mean() == pytest.approx(127.5, rel=.05)


def test_mixtures_are_of_two_classes():
  config = small()
  data = ood_data.load(config.net)
  x, y = (data.shared[k][data.shared['val_rows']].astype(int) for k in 'xy')
  for each in ood_data.mixed(config, data):
    off = np.abs((x[:, None] + x) // 2 - each).max(axis=(2, 3, 4))
    i, j = np.argwhere(off == 0)[0]
    assert y[i] != y[j]


def test_paint_is_of_a_known_image_and_gray_gives_itself_away():
  rng = np.random.default_rng(0)
  colors = rng.integers(0, 256, (50, 4, 4, 3), np.uint8)
  gray = rng.choice([0, 255], (50, 6, 6, 1)).astype(np.uint8)
  found = ood_data.painted(gray, colors, rng)
  for each, own in zip(found, colors, strict=True):
    used = {tuple(pixel) for pixel in each.reshape(-1, 3).tolist()}
    assert used <= {tuple(pixel) for pixel in own.reshape(-1, 3).tolist()}
    assert len(used) <= 2
  known, told = ood_data.best_feature(*map(
      ood_data.features, (colors, np.repeat(gray, 3, axis=3))))
  assert known.min() > told.max()


def test_one_size_for_all_sets():
  x = np.zeros((2, 28, 28, 1), np.uint8)
  x[:, 7:21, 7:21] = 200
  found = ood_data.resized(x, (32, 32))
  assert found.shape == (2, 32, 32, 1) and found.dtype == np.uint8
  assert found.mean() == pytest.approx(x.mean(), rel=.05)
  assert ood_data.resized(x, (28, 28)) is x


@pytest.mark.parametrize('name', ('mnist', 'kmnist', 'notmnist', 'cifar100'))
@pytest.mark.nightly
def test_sets_of_files_are_made_as_the_known_ones_are(name, data_dir):
  config = replaced(papers.configs('abet').get_config('cifar6'), {
      'near': ('other_classes',), 'far': (name,), 'num_unknown': 20})
  data = ood_data.load(config.net, data_dir)
  found = ood_data.unknown(config, data, data_dir)
  assert found[name].shape == (20, 32, 32, 3)


# --- Networks and rows -------------------------------------------------------


def test_a_head_is_trained_once_for_all_its_arms(ran):
  config, made, rows, steps = ran
  assert set(steps) == {'one_feature', 'abet'}
  same = lambda arm: values(rows, method=arm, metric='nll', split='test')
  np.testing.assert_array_equal(same('knn'), same('msp'))
  assert (same('abet') != same('msp')).all()
  assert {row['method'] for row in rows} == set(ARMS)


def test_what_a_network_says_fits_together(ran):
  config, made, rows, _ = ran
  data = ood_data.load(config.net)
  said = ood_nets.said(config, data, Block(made, 'one_feature', (0, 1)),
                       ood.linear, ood_data.unknown(config, data),
                       ood.Arm().train)
  for out in map(said.of, (0, 1)):
    weights, bias = out['test']['head']
    for split in ('train', 'other_classes', 'noise'):
      np.testing.assert_allclose(
          out[split]['features'] @ weights + bias, out[split]['logits'],
          rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(out['test']['labels'], data.labels('test'))
    np.testing.assert_array_equal(out['noise']['labels'], data.labels('test'))
  saved = made.predictions_of('msp', (0, 1))
  test, near, far = (saved[k] for k in ('test', 'other_classes', 'shuffled'))
  for i in range(2):
    want = detection.summary(test[i], near[i])
    for metric in want:
      got = values(rows, method='msp', metric=metric, split='near')
      assert got[i] == pytest.approx(want[metric])
  # The gain over another score on the same network, as `judge` has it.
  other = made.predictions_of('energy', (0, 1))
  c = examples.delong(np.append(test[0], near[0]),
                      np.append(other['test'][0], other['other_classes'][0]),
                      np.arange(80) < 40)
  for metric, want in (('auroc_gain', c.verdict.estimate),
                       ('auroc_gain_low', c.verdict.low)):
    assert values(rows, method='msp', metric=metric, split='near',
                  group='against energy')[0] == pytest.approx(want)


def test_settings_are_chosen_without_the_unknown():
  rng = np.random.default_rng(0)
  known = np.concatenate([rng.normal([9, 0], 1, (40, 2)),
                          rng.normal([0, 9], 1, (40, 2))])
  out = {'train': {'features': known, 'labels': np.repeat([0, 1], 40)},
         'val': {'features': known[::2] + .1},
         'mixed': {'features': (known[:40] + known[40:]) / 2}}
  arm = ood.Arm(score=ood_scores.knn, settings={'k': (79, 5)})
  _, chosen = ood_rows.scored(arm, out, ())
  assert chosen == {'k': 5}  # the farthest of all is far from all
  assert ood_rows.scored(ood.Arm(score=ood_scores.knn), out, ())[1] == {}


def test_what_one_feature_tells_is_no_part_of_a_mean(ran):
  config, _, rows, _ = ran
  auroc = lambda arm, split: values(rows, method=arm, metric='auroc',
                                    split=split)
  one = {name: auroc('one_feature', name)[0] for name in config.far}
  assert one['uniform_noise'] > ood_data.TRIVIAL > one['shuffled']
  np.testing.assert_array_equal(auroc('msp', 'far'), auroc('msp', 'shuffled'))
  worst = np.min([auroc('msp', name) for name in (*config.near, *config.far)],
                 axis=0)
  np.testing.assert_array_equal(auroc('msp', 'worst'), worst)


def test_a_head_has_the_rate_with_the_lowest_nll():
  config = small(learning_rates=(.001, .1), tuning_seeds=(7,), num_seeds=1,
                 arms=('msp',), shifts=())
  rows = ood.run(config, study(config), {'msp': ood.Arm()})
  tried = {row['learning_rate']: row['value'] for row in rows
           if row['seed'] == 7}
  assert set(tried) == {.001, .1}
  assert values([row for row in rows if row['seed'] == 0], metric='chosen',
                group='learning_rate') == [min(tried, key=tried.get)]


def test_bounds_name_what_there_is():
  assert bounds.UNKNOWN.among == tuple(ood_data.SETS)


@pytest.mark.parametrize('fields, message', [
    ({'near': ('lsun',)}, "near='lsun'; use one of 'other_classes'"),
    ({'far': ()}, 'must have 1 values or more'),
    ({'num_unknown': 600}, 'num_unknown=600: other_classes has 533 images'),
    ({'known': (1,)}, 'must have 2 values or more'),
    ({'known': (1, 11)}, r'no image has the labels \[11\]'),
    ({'split_sizes': (60, 0, 40)}, 'must be 2 or more each'),
    ({'batch_size': 61}, 'batch_size=61 must be at most 60'),
    ({'model': 'vgg19'}, "model='vgg19'; use one of 'cnn'")])
def test_values_that_cannot_be_meant_are_refused(fields, message):
  config = small(**fields)
  with pytest.raises(UserError, match=message):
    ood.run(config, study(config), ARMS)
