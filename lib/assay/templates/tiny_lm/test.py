"""TODO: what is right by hand, and that no example is asked that was shown."""

from assay.data import texts
from experiments import my_paper as paper

TASK = paper.reversing(3, 4)


def test_what_is_right_by_hand():
  prompt = texts.encode(TASK, [*'cab', '<sep>'])
  for text, right in (('bac', True), ('cab', False), ('ba', False),
                      ('bacc', False)):
    said = TASK.verify(prompt, texts.encode(TASK, text))
    assert bool(said['right']) == right, text


def test_nothing_that_is_asked_was_shown():
  assert texts.leaked(TASK, ['test'], num=2000) == {'test': 0}
