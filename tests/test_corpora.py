"""Texts: what is made up, what is in files, and how they are split."""

import pytest

from assay.data import corpora
from assay.errors import UserError

TEXTS = corpora.load((*corpora.INVENTED, 'repeated'), 0, 60)


def test_made_up_texts_are_of_their_seed():
  assert TEXTS == corpora.load(list(TEXTS), 0, 60)
  other = corpora.load(['north_1'], 1, 60)['north_1']
  assert not set(TEXTS['north_1']) & set(other)


def words(name):
  return {word.strip(b'.') for text in TEXTS[name] for word in text.split()}


def test_topics_share_a_language_and_have_words_of_their_own():
  shared = lambda a, b: len(words(a) & words(b)) / len(words(a))
  assert .3 < shared('north_1', 'north_2') < .9
  assert shared('north_1', 'south_1') < .1


def test_repeated_texts_are_one_word():
  every = {word for name in corpora.INVENTED for text in TEXTS[name]
           for word in text.split()}
  for text in TEXTS['repeated']:
    first, *_, last = text.split()
    assert first in every and first.startswith(last)


def test_no_two_texts_of_a_corpus_begin_alike():
  for texts in TEXTS.values():
    assert len({text[:corpora.ALIKE_BYTES] for text in texts}) == len(texts)
    assert min(map(len, texts)) >= corpora.FEWEST_BYTES


def test_parts_are_disjoint_and_of_their_sizes():
  parts = corpora.split(TEXTS['north_1'], (20, 0, 30), 3, 'north_1')
  assert [len(part) for part in parts] == [20, 0, 30]
  assert len({text for part in parts for text in part}) == 50
  with pytest.raises(UserError, match=r'split_sizes=\(99, 1\).*smaller'):
    corpora.split(TEXTS['north_1'], (99, 1), 0, 'north_1')
  with pytest.raises(UserError, match='west_1'):
    corpora.load(['west_1'], 0)


def test_written_texts(data_dir):
  found = corpora.load(corpora.WRITTEN, 0, data_dir=data_dir)
  assert {name: len(texts) for name, texts in found.items()} == {
      'law': 1745, 'medicine': 1555, 'humanities': 1608, 'mathematics': 1053,
      'science': 1209, 'gsm8k': 7473, 'shakespeare': 6819, 'wikitext': 3806,
      'scan': 20906}
  assert found['shakespeare'][0].startswith(b'First Citizen:\nBefore we ')
  assert found['scan'][0].startswith(b'IN: ')
  assert found['law'][0].count(b'\n') >= 4  # a question and four choices
