"""Ratios of likelihoods: what they are of, and which pairs count."""

import numpy as np
import pytest

from assay.errors import UserError
from assay.models import ngrams
from assay.study import replaced
from configs import llm_likelihood_ratio as card
from experiments import llm_likelihood_ratio as paper

CONFIG = card.get_config('smoke')
A, B = (ngrams.counted(texts, 3) for texts in ([b'abc', b'ab'], [b'bca']))
TEXTS = [b'abcab', b'ca']


def score(name, told):
  kind = paper.ARMS[name].score
  return kind.fit().score(**{k: told[k] for k in kind.reads})


def test_scores_of_two_texts():
  told = paper.said(A, B, {'x': TEXTS})['x']
  of = lambda model: np.array([each.sum() for each in ngrams.log_p(
      model, TEXTS)])
  np.testing.assert_allclose(score('ratio', told), of(B) - of(A))
  np.testing.assert_allclose(score('tuned', told), of(B))
  np.testing.assert_allclose(score('pretrained', told), of(A))
  np.testing.assert_allclose(score('pretrained_per_byte', told), of(A) / [5, 2])
  np.testing.assert_allclose(score('ratio', told),
                             score('ratio_per_byte', told) * [5, 2])
  assert score('length', told).tolist() == [-5, -2]


def test_a_model_that_was_not_tuned_tells_nothing():
  assert not score('ratio', paper.said(A, A, {'x': TEXTS})['x']).any()


def test_pairs_and_which_of_them_count():
  split = paper.pairs(CONFIG)
  assert split['near'] == [('north_1', 'north_2')]
  assert split['absent'] == [(known, 'north_2') for known in CONFIG.known]
  assert ('south_1', 'repeated') in split['simple']
  assert not {*split['near'], *split['simple']} & {*split['far']}
  found = lambda *pair: dict.fromkeys(paper.OF_A_PAIR, len(pair[2]))
  number = {'': dict.fromkeys(CONFIG.corpora, 7)}
  all_alike = dict.fromkeys([('', *each) for mine in split.values()
                             for each in mine], .5)
  near = lambda apart: paper.summary(CONFIG, found, apart, number)[
      'auroc', 'near', '']
  assert near(all_alike) == (7, 14)
  assert np.isnan(near(all_alike | {('', *split['near'][0]): .005})[0])


def test_what_cannot_be_meant():
  for fields, message in (({'known': ('west_1',)}, 'west_1'),
                          ({'near': ('a:b',)}, 'a:b'),
                          ({'absent': ('repeated',)}, 'leave out')):
    with pytest.raises(UserError, match=message):
      paper.check(replaced(CONFIG, fields))
