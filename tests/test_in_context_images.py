"""Prompts of projected images: whose sets and which rate they have."""

import re

import jax
import kinds
import numpy as np
import pytest

from assay import papers
from assay.data import tasks
from assay.study import Study, replaced
from assay.testbeds import in_context_images as images


def small(**fields):
  """The smoke config of a paper on these prompts."""
  return replaced(papers.configs('gpicl').get_config('smoke'), fields)


def test_the_best_rate_is_chosen_by_its_last_position(monkeypatch):
  # Accuracy of the first and of the last example.
  table = {.01: (.9, .3), .03: (.2, .5), .1: (.2, .7), .3: (.95, .6)}
  net, made, asked = small().net, images.prompts, []
  sets = tasks.image_sets(net.dataset, net.classes, net.reduce, net.num_inputs)

  def prompts(sets, rate, config, seed, name):
    asked.append((seed, name, sets[name]))
    return made(sets, rate, config, seed, name)

  monkeypatch.setattr(images, 'prompts', prompts)
  monkeypatch.setattr(images, 'guesses', lambda arm, k, x, y, rate: rate)
  monkeypatch.setattr(images, 'by_position', lambda rate, y: table[rate])
  assert images.tuned_rate(small(), sets) == .1
  # Training images, unseen tasks, and sequences that no row is of.
  (seed, name, found), = asked
  assert (seed, name) == (0, ('tuning', 'test'))
  assert found is sets['digits', 'seen']


def test_tokens_of_prompts_are_one_program(caplog):
  config = replaced(small(), {'length': 13})
  net = config.net
  sets = tasks.image_sets(net.dataset, net.classes, net.reduce, net.num_inputs)
  with jax.log_compiles():
    batch, *_ = images.prompts(sets, None, config, 0, (net.dataset, 'test'))
  names = set(re.findall(r'Compiling jit\((\w+)\)', caplog.text))
  assert {'_prompts', 'classification_tokens'} <= names
  assert not names & {'_one_hot', '_pad', 'concatenate'}
  np.testing.assert_array_equal(
      batch['tokens'], images.tokens_of(net)(batch['x'], batch['y']))


@pytest.mark.parametrize('field, values', [
    ('random_points', (2, 8)), *kinds.nightly(('num_inputs', (4, 16)))])
def test_a_sweep_of_the_data_has_the_data_of_its_value(field, values):
  def of(**fields):
    config = small(arms=('class_mean',), num_seeds=1, **fields)
    return images.run(config, Study('gpicl', 'smoke', config),
                      {'class_mean': images.reference('class_mean')},
                      papers.load('gpicl').add_rows)

  swept = of(swept_arms=('class_mean',), sweep=field, sweep_values=values)
  said = [[row['value'] for row in swept if row[field] == value]
          for value in values]
  assert said[0] != said[1]
  for value, got in zip(values, said, strict=True):
    assert got == [row['value'] for row in of(**{field: value})]
