"""Mixing query with support examples in MAML, in limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from assay import papers
from assay.data.tasks import few_shot
from assay.study import replaced
from assay.testbeds import meta

experiment, card = papers.load('c_mixup_tasks'), papers.configs('c_mixup_tasks')
TASK = few_shot.sinusoid(jax.random.key(0), 6, 5)


def changed(arm, key=1, **fields):
  config = replaced(card.get_config('sinusoid'), fields)
  made = experiment.ARMS[arm]
  numbers = {k: jnp.float32(config[k]) for k in made.fields}
  return config, made.change(config, jax.random.key(key), TASK | numbers)


@pytest.mark.parametrize('layer', ['input', 'hidden'])
def test_a_huge_bandwidth_is_metamix(layer):
  _, want = changed('metamix', mix_layer=layer)
  _, got = changed('c_mixup', mix_layer=layer, bandwidth=1e6)
  _, near = changed('c_mixup', mix_layer=layer, bandwidth=.1)
  for name in want:
    np.testing.assert_array_equal(got[name], want[name])
  gap = lambda task: np.abs(task['query_y'] - TASK['query_y']).mean()
  assert gap(near) < .5 * gap(want)


def test_where_they_are_mixed():
  model = meta.make_model(card.get_config('sinusoid').net)
  variables = jax.jit(model.init)(jax.random.key(0), TASK['x'])
  said = {}
  for layer in ('input', 'hidden'):
    config, task = changed('metamix', mix_layer=layer)
    predict = experiment.ARMS['metamix'].predict
    said[layer] = predict(config, model, variables, task)
    alone = predict(config, model, variables, task | {'lam': 0 * task['lam']})
    np.testing.assert_allclose(alone, model.apply(variables, (
        task['partner_x'] if layer == 'hidden' else task['query_x'])), 1e-5)
  # The first layer is not linear.
  assert np.abs(said['input'] - said['hidden']).max() > 1e-3


def test_all_arms_are_tuned_alike():
  for variant in ('sinusoid', 'coded', 'digits'):
    config = card.get_config(variant)
    grid = card.grid_of(config)
    assert len(grid['inner_learning_rate']) == config.trials == 3
    assert not set(config.tuning_seeds) & set(range(config.num_seeds))
    for arm in config.arms:
      assert set(experiment.ARMS[arm].fields) <= set(grid)
