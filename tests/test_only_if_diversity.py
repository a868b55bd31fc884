"""Diversity of instructions: what each arm trains on, and is asked."""

import collections

import jax
import numpy as np

from assay import keys
from assay.data import texts
from assay.study import replaced
from configs import only_if_diversity as card
from experiments import only_if_diversity as paper

NET = replaced(card.get_config('smoke'), {'num_rules': 8}).net


def left_sides(arm, split, num=400):
  """Of a split, how often each comes, without its letters' base."""
  task = paper.ARMS[arm].task(NET)
  made = jax.jit(jax.vmap(lambda key: task.example(key, split)['identity']))(
      keys.each(keys.named(0, split), np.arange(num)))
  return collections.Counter(map(tuple, np.asarray(made).tolist()))


def test_one_domain_trains_on_no_other_and_is_asked_all():
  trained, asked = (left_sides('one_domain', split)
                    for split in ('train', 'test'))
  assert len(trained) == NET.num_rules
  assert all(a == c != b for a, b, c in trained)
  assert not all(a == c != b for a, b, c in asked)
  assert not trained.keys() & asked.keys()


def test_a_power_law_has_these_frequencies():
  counts = left_sides('skewed', 'train', 2000)
  rank = np.arange(1, NET.num_rules + 1)
  share = rank**-1. / np.sum(rank**-1.)
  got = np.sort(list(counts.values()))[::-1] / 2000
  np.testing.assert_allclose(got, share, atol=0.04)  # four standard errors


def test_an_answer_by_hand():
  task = paper.ARMS['any'].task(NET)
  prompt = texts.encode(task, 'aab>cdc:aabaab=')
  said = lambda text: bool(task.verify(prompt, texts.encode(task, text))[
      'right'])
  assert said('cdcaab') and not said('cdccdc') and not said('aabcdc')
