"""What the fields of configs may be, and what is said of other values."""

import math

import ml_collections
import pytest

from assay import cli, papers
from assay import config as config_lib
from assay.config import Bound, above, among, between
from assay.errors import UserError
from assay.study import replaced

BOUNDS = {'width': between(1, 10), 'rate': above(0), 'wide': above(0, math.inf),
          'kind': among('a', 'b'), 'sizes': between(0, 9, (3, 3)),
          'kinds': among('a', 'b', length=(1, 2)), 'any': Bound(),
          'classes': between(0, 9)}


def config(**fields):
  return ml_collections.ConfigDict(dict(
      arms=('erm',), num_seeds=1, seed_varies='fresh', sweep='',
      sweep_values=(), net=dict(width=2, rate=.1, wide=math.inf, kind='a'),
      sizes=(1, 2, 3), kinds=('a',), any=.5, classes=((0, 1), (2,)),
      free=-7.) | fields).lock()


def test_what_may_be_is_let_through():
  config_lib.check(config(), BOUNDS)
  config_lib.check(config(sizes=(0, 9, 0), kinds=('b', 'a'), any=-1e300),
                   BOUNDS)
  config_lib.check(config(sweep='net.width', sweep_values=(1, 10)), BOUNDS)


@pytest.mark.parametrize('fields, words', [
    ({'width': 0}, 'width=0 must be 1 or more and at most 10.'),
    ({'width': 11}, 'width=11 must be'),
    ({'rate': 0.}, 'rate=0.0 must be above 0.'),
    ({'rate': math.nan}, 'rate=nan must be above 0.'),
    ({'rate': math.inf}, 'rate=inf must be'),
    ({'wide': math.nan}, 'wide=nan must be'),
    ({'any': math.inf}, 'any=inf must be finite'),
    ({'kind': 'c'}, "kind='c'; use one of 'a', 'b'."),
    ({'sizes': (1, 2)}, r'sizes=\(1, 2\) must have 3 values'),
    ({'sizes': (1, 2, 3, 4)}, 'must have 3 values'),
    ({'sizes': (1, -2, 3)}, 'sizes=-2 must be 0 or more'),
    ({'kinds': ()}, r'kinds=\(\) must have 1 values or more'),
    ({'kinds': ('a', 'b', 'a')}, 'no more than 2'),
    ({'kinds': ('c',)}, "kinds='c'; use one of"),
    ({'classes': ((0, 10),)}, 'classes=10 must be'),
    ({'arms': ()}, r'arms=\(\) must have 1 values or more'),
    ({'arms': ('erm', 'erm')}, 'one is there twice'),
    ({'num_seeds': 0}, 'num_seeds=0 must be 1 or more'),
    ({'seed_varies': 'all'}, "seed_varies='all'; use one of 'fresh'"),
    ({'sweep': 'widht', 'sweep_values': (1,)}, 'no such field'),
    ({'sweep': 'width'}, r'sweep_values=\(\) must be one or more'),
    ({'sweep': 'width', 'sweep_values': (1, 1)}, 'each once'),
    ({'sweep': 'width', 'sweep_values': (1, 11)}, 'width=11 must be'),
    ({'sweep': 'width', 'sweep_values': (1.5,)}, '1.5 must be of the type of'),
])
def test_what_cannot_be_is_named(fields, words):
  with pytest.raises(UserError, match=words):
    config_lib.check(replaced(config(), fields), BOUNDS)


def every_variant():
  for paper in papers.names():
    card = papers.configs(paper)
    if hasattr(card, 'BOUNDS'):
      for variant in card.VARIANTS:
        yield card, variant, card.get_config(variant)


def is_number(value):
  return isinstance(value, (int, float)) and not isinstance(value, bool)


def numbers_in(value):
  """The numbers of a field, those of nested tuples too."""
  if isinstance(value, tuple):
    return [x for each in value for x in numbers_in(each)]
  return [value] if is_number(value) else []


HOSTILE = (-2**63, -1, 0, 2**62, -math.inf, math.nan, math.inf, -.5, 1e300)


def test_every_variant_is_within_its_bounds():
  count = 0
  for card, _, made in every_variant():
    config_lib.check(made, card.BOUNDS)
    count += 1
  assert count > 30


def test_no_bound_is_of_a_field_that_is_not_there():
  cards = {}
  for card, _, made in every_variant():
    cards.setdefault(card, set()).update(config_lib.leaves(made))
  for card, fields in cards.items():
    assert card.BOUNDS.keys() <= fields, card.__name__


def test_hostile_values_of_every_number_of_every_variant():
  """A bound for each, that refuses what is no number and what is far out."""
  for card, variant, made in every_variant():
    for name, value in config_lib.leaves(made).items():
      if name == 'sweep_values' or not numbers_in(value):
        continue
      where = f'{card.__name__}:{variant}: {name}'
      refused = []
      for x in HOSTILE:
        if isinstance(numbers_in(value)[0], int) and not isinstance(x, int):
          continue  # an int cannot have it, see `apply`
        x = type(numbers_in(value)[0])(x)
        hostile = (x,) * max(1, len(value)) if isinstance(value, tuple) else x
        try:
          config_lib.check(replaced(made, {name: hostile}), card.BOUNDS)
        except UserError as error:
          assert str(error).startswith(f'{name}='), where
          assert len(str(error).splitlines()) == 1
          refused.append(x)
      assert {-2**63, 2**62} & set(map(int, filter(math.isfinite, refused))), (
          where)
      if isinstance(numbers_in(value)[0], float):
        assert any(map(math.isnan, refused)), where


@pytest.mark.parametrize('flag, words', [
    ('--config.arms=()', 'arms=()'), ('--config.net.width=0', 'width=0'),
    ('--config.net.split_sizes=300,20,0', 'split_sizes=0'),
    ('--config.net.split_sizes=300,20', 'split_sizes=(300, 20)'),
    ('--config.bandwidth=-1', 'bandwidth=-1'),
    ('--config.alpha=-1', 'alpha=-1'),
    ('--config.net.batch_size=0', 'batch_size=0'),
    ('--config.num_seeds=0', 'num_seeds=0'),
    ('--config.similarity=near', "similarity='near'"),
    ('--config.sweep=none', 'sweep=none'),
    ('--sweep.bandwidth=1,-1', 'bandwidth=-1.0')])
def test_the_command_says_so_in_a_line_and_writes_nothing(flag, words, tmp_path,
                                                          capsys):
  workdir = tmp_path / 'work'
  assert cli.main('c_mixup', ['--config=configs/c_mixup.py:smoke', flag,
                              f'--workdir={workdir}']) == 2
  out = capsys.readouterr()
  assert out.err.startswith('error: ') and len(out.err.splitlines()) == 1
  assert words in out.err and not workdir.exists()
