"""Counted language models, against counts by hand and one dict for each run."""

import collections
import math

import numpy as np
import pytest

from assay.models import ngrams

TEXTS = [b'abracadabra', b'alakazam', b'\xc3\xa9abab']


def by_recursion(documents, order):
  """p(byte, context), as the formula is written, of texts."""
  numbers = collections.defaultdict(collections.Counter)
  for text in documents:
    padded = b'\0' * (order - 1) + text
    for i in range(order - 1, len(padded)):
      for size in range(order):
        numbers[padded[i - size:i]][padded[i]] += 1

  def p(byte, context):
    below = p(byte, context[1:]) if context else 1 / 256
    seen = numbers.get(context)
    if not seen:
      return below
    return (seen[byte] + len(seen) * below) / (seen.total() + len(seen))

  return p


@pytest.mark.parametrize('order', [1, 2, 5, 8])
def test_equals_the_formula_as_it_is_written(order):
  p, model = by_recursion(TEXTS, order), ngrams.counted(TEXTS, order)
  for text, found in zip((b'abraxas', b'z'), ngrams.log_p(
      model, [b'abraxas', b'z']), strict=True):
    padded = b'\0' * (order - 1) + text
    np.testing.assert_allclose(np.exp(found), [
        p(padded[i], padded[i - order + 1:i])
        for i in range(order - 1, len(padded))], rtol=1e-12)


@pytest.mark.parametrize('context', [b'', b'abr', b'zzz'])
def test_probabilities_of_the_next_byte_sum_to_one(context):
  p = by_recursion(TEXTS, 4)
  model = ngrams.counted(TEXTS, 4)
  told = ngrams.log_p(model, [context + bytes([i]) for i in range(1, 256)])
  # No document has a zero byte, which keeps what a byte never seen has.
  rest = p(0, (b'\0\0\0' + context)[-3:])
  assert math.isclose(sum(math.exp(each[-1]) for each in told) + rest, 1)


def test_a_weight_is_a_repetition():
  one, other = TEXTS[:2], TEXTS[2:]
  for a, b in zip(ngrams.added(ngrams.counted(one), ngrams.counted(other), 3),
                  ngrams.counted(one + 3 * other), strict=True):
    for mine, theirs in zip(a, b, strict=True):
      np.testing.assert_array_equal(mine, theirs)


def test_what_cannot_be_counted():
  for documents, order, message in (
      ([b'a'], 9, 'order=9'), ([], 2, 'one or more'), ([b'a', b''], 2, 'empty'),
      ([b'a\0'], 2, 'zero byte')):
    with pytest.raises(ValueError, match=message):
      ngrams.counted(documents, order)
  with pytest.raises(ValueError, match='2 and 3'):
    ngrams.added(ngrams.counted([b'a'], 2), ngrams.counted([b'a'], 3))
