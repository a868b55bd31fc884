"""PT-OOD: which images are known to whom, and probes in a network's place."""

import types

import numpy as np

from assay.data import images
from assay.methods import ood_scores
from assay.testbeds import ood_data, ood_nets, ood_probes
from configs import pt_ood as card
from experiments import pt_ood as paper

CONFIG = card.get_config('smoke')
DATA, MINE = ood_data.load(CONFIG.net), ood_probes.data_of(CONFIG, None)
RNG = np.random.default_rng(0)


def test_who_knows_which_classes():
  table = images.load('digits')
  of_image = {each.tobytes(): label for part in images.PARTS
              for each, label in zip(table[f'{part}_x'], table[f'{part}_y'],
                                     strict=True)}
  classes = lambda x: {of_image[each.tobytes()] for each in x}
  shown = ood_probes.shown(CONFIG, DATA, None)
  assert classes(DATA.shared['x']) == {0, 1, 2, 3, 4}
  assert classes(shown['probed_train']) == classes(
      shown['probed_test']) == {5, 6, 7}
  assert classes(shown['other_classes']) == {8, 9}


def test_a_probe_is_in_the_place_of_a_network():
  shown = ood_probes.shown(CONFIG, DATA, None)
  sizes = {k: len(x) for k, x in shown.items()} | {
      'train': 40, 'val': 40, 'test': 40}
  features = {k: RNG.normal(size=(2, n, 4)) for k, n in sizes.items()}
  y = {k: MINE.labels(k) for k in ('train', 'val', 'test')}
  for split, labels in y.items():
    features[f'probed_{split}'][1, :, 0] += 9 * labels  # seed 1 knows them
  said = ood_nets.Said(
      types.SimpleNamespace(why={0: 'diverged'}),
      {k: {'features': v} for k, v in features.items()},
      {k: {'image_features': ood_data.features(x)} for k, x in (
          shown | {'test': DATA.shared['x'][:40]}).items()}
      | dict.fromkeys(('train', 'val'), {}), None, {}, .1)
  config, probed = ood_probes.probed(CONFIG, said, MINE)
  assert config.near == ('pretrained', 'other_classes')
  test = probed.of(1)['test']
  np.testing.assert_allclose(
      test['features'] @ test['head'][0] + test['head'][1], test['logits'])
  assert (test['logits'].argmax(axis=1) == test['labels']).mean() > .9
  assert not probed.of(0)['test']['logits'].any()  # nothing to probe
  assert (probed.of(1)['pretrained']['features'] == features['test'][1]).all()
  assert set(probed.counted['near']) <= set(config.near)


def test_neighbors_of_logits_are_neighbors():
  train, test = RNG.normal(size=(30, 3)), RNG.normal(size=(8, 3))
  np.testing.assert_array_equal(
      paper.LOGIT_KNN.fit(train, k=3).score(test),
      ood_scores.knn.fit(train, k=3).score(test))
