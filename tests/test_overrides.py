"""assay.config: what a flag may put into a config, and what it may not."""

import math

import hypothesis
import hypothesis.strategies as st
import ml_collections
import pytest

from assay import config as config_lib
from assay import papers
from assay.errors import UserError

CONFIG = ml_collections.ConfigDict(
    dict(rate=1.5, width=2, name='x', sizes=(1, 2), flag=True, empty=(),
         levels=(0.5, math.inf), arms=('erm', 'mixup'),
         classes=((0, 1), (2,)))).lock()
DEEP = 10**5
STEADY = hypothesis.settings(derandomize=True, deadline=None)


def typed(value):
  """The value with the types of all within, as 1 == 1.0 == True."""
  if isinstance(value, tuple):
    return tuple(map(typed, value))
  return type(value), value


def test_overrides_take_the_type_of_the_field():
  got = config_lib.apply(CONFIG, {'rate': '3', 'width': '4', 'name': '5',
                                 'sizes': '(3,)', 'flag': 'False'})
  want = CONFIG.to_dict() | dict(rate=3.0, width=4, name='5', sizes=(3,),
                                 flag=False)
  assert {k: typed(v) for k, v in got.items()} == {
      k: typed(v) for k, v in want.items()}
  assert got.is_locked and CONFIG.rate == 1.5


@pytest.mark.parametrize('field, text, value', [
    ('rate', 'inf', math.inf), ('rate', '-inf', -math.inf),
    ('rate', '1e-3', 0.001), ('width', '-3', -3),
    ('width', str(2**63 - 1), 2**63 - 1),
    ('name', '', ''), ('name', '(1, 2)', '(1, 2)'),
    ('sizes', '3', (3,)), ('sizes', '3, 4', (3, 4)), ('sizes', '()', ()),
    ('levels', '(1, 0.5, inf)', (1.0, 0.5, math.inf)),
    ('levels', '-inf', (-math.inf,)),
    ('arms', '"inf",', ('inf',)), ('arms', "'erm', 'mixup'", ('erm', 'mixup')),
    ('classes', '((3, 4),)', ((3, 4),)),
    ('empty', '1, 2.5', (1, 2.5)), ('empty', '"a", "b"', ('a', 'b')),
])
def test_texts_and_the_values_they_spell(field, text, value):
  assert typed(config_lib.apply(CONFIG, {field: text})[field]) == typed(value)


@pytest.mark.parametrize('field, text', [
    # Another type.
    ('width', 'True'), ('width', '1.0'), ('flag', '1'), ('rate', '"x"'),
    ('rate', 'True'), ('rate', ''), ('sizes', '[1, 2]'),
    # No number, or none that 64 bits hold.
    ('rate', 'nan'), ('rate', '-nan'), ('width', 'inf'),
    ('width', str(2**63)), ('width', '9' * 5000), ('width', '-1' + '0' * 400),
    # Another type within.
    ('sizes', '(1, 2.5)'), ('sizes', '("a",)'), ('sizes', '(1, True)'),
    ('sizes', '((1,),)'), ('levels', '("0.5",)'), ('levels', '(None,)'),
    ('arms', '(1,)'), ('arms', '("erm", 1)'), ('classes', '(1, 2)'),
    ('classes', '((1, "a"),)'),
    # Nothing that a config holds.
    ('empty', 'None'), ('empty', '{1: 2}'), ('empty', '{1}'),
    ('empty', '(b"x",)'), ('empty', '[1]'), ('empty', '1j'),
    ('empty', '((1, None),)'), ('empty', '...'),
    # Code.
    ('rate', '__import__("os").system("true")'), ('width', '9**9**9'),
    ('sizes', 'exit()'), ('sizes', '(lambda: 1,)'), ('sizes', 'f"{exit()}"'),
    ('sizes', '[x for x in (1,)]'),
    # What no parser likes.
    ('width', '1\0'), ('sizes', '\0'), ('width', '\ud800'),
    ('width', '1' * DEEP), ('sizes', '(' * DEEP), ('sizes', '[' * DEEP),
    ('width', '-' * DEEP + '1'), ('width', '1+' * DEEP + '1'),
    ('empty', '(1,' * 90 + 'x' + ')' * 90),
], ids=lambda text: ascii(text)[:20])
def test_other_texts_are_refused_and_named(field, text):
  with pytest.raises(UserError) as error:
    config_lib.apply(CONFIG, {field: text})
  assert str(error.value) == (
      f'--config.{field}={text[:60]}: must be of type '
      f'{type(CONFIG[field]).__name__}, like {CONFIG[field]!r}.')


def test_no_text_is_run(tmp_path):
  target = tmp_path / 'made'
  code = f'__import__("pathlib").Path({str(target)!r}).touch()'
  exec(code)  # it would do harm
  target.unlink()
  for field in CONFIG:
    try:
      config_lib.apply(CONFIG, {field: code})
    except UserError:
      assert field != 'name'
  assert not target.exists()


# Pieces of Python, so that texts come near to values.
TEXTS = st.text(max_size=20) | st.lists(st.sampled_from(
    '( ) [ ] { } , . : - + * 1 23 0.5 1e9 inf nan True None "a" \'b\' b"" j _'
    .split() + [' ', '\n', '\\', '\0', '#', 'é', '\udcff']),
    max_size=12).map(''.join)


@pytest.mark.filterwarnings('ignore::SyntaxWarning',
                            'ignore::DeprecationWarning')
@hypothesis.settings(STEADY, max_examples=400)
@hypothesis.given(st.sampled_from(list(CONFIG)) | st.text(max_size=8), TEXTS)
def test_any_flag_gives_a_value_of_the_same_type_or_a_user_error(field, text):
  try:
    got = config_lib.apply(CONFIG, {field: text})
  except UserError as error:
    assert field in str(error) and len(str(error)) < 300
    return
  assert {k: v for k, v in got.items() if k != field} == {
      k: v for k, v in CONFIG.items() if k != field}
  holds_type_of(got[field], CONFIG[field])


def holds_type_of(value, like):
  assert type(value) is type(like)
  assert value == value  # not nan
  if isinstance(value, tuple):
    for v in value:
      assert type(v) in (bool, int, float, str, tuple)
      holds_type_of(v, like[0] if like else v)


@hypothesis.settings(STEADY, max_examples=100)
@hypothesis.given(st.fixed_dictionaries(dict(
    rate=st.floats(allow_nan=False), width=st.integers(-2**63, 2**63 - 1),
    flag=st.booleans(), sizes=st.lists(st.integers(-9, 9)).map(tuple),
    levels=st.lists(st.floats(allow_nan=False)).map(tuple),
    arms=st.lists(st.text(max_size=5)).map(tuple))))
def test_what_python_prints_is_read_back(values):
  got = config_lib.apply(CONFIG, {k: repr(v) for k, v in values.items()})
  assert {k: repr(got[k]) for k in values} == {
      k: repr(v) for k, v in values.items()}


def test_an_unknown_field_is_named_with_the_nearest_or_with_all():
  with pytest.raises(UserError, match='widht: .* mean --config.width?'):
    config_lib.apply(CONFIG, {'widht': '1'})
  with pytest.raises(UserError, match='config.q: .*; it has arms, classes, .*'):
    config_lib.apply(CONFIG, {'q': '1'})
  with pytest.raises(UserError, match='no such field'):
    config_lib.apply(CONFIG, {'q' * DEEP: '1'})


NESTED = ml_collections.ConfigDict(
    dict(rate=1., net=dict(width=2, deep=dict(sizes=(1,))))).lock()


def test_fields_of_groups_have_paths():
  got = config_lib.apply(NESTED, {'net.width': '3', 'net.deep.sizes': '4'})
  assert got.to_dict() == dict(rate=1., net=dict(width=3, deep=dict(
      sizes=(4,)))) and got.is_locked and NESTED.net.width == 2
  assert config_lib.paths(got) == {'rate': 1., 'net.width': 3,
                                   'net.deep.sizes': (4,)}
  assert config_lib.leaves(got) == dict(rate=1., width=3, sizes=(4,))
  with pytest.raises(UserError, match='net.width=x: must be of type int'):
    config_lib.apply(NESTED, {'net.width': 'x'})


@pytest.mark.parametrize('given, meant', [
    ('width', 'net.width'), ('sizes', 'net.deep.sizes'), ('net', 'net.width'),
    ('net.widht', 'net.width'), ('widht', 'net.width'),
    ('net.rate', 'rate'), ('deep.sizes', 'net.deep.sizes')])
def test_a_field_elsewhere_is_pointed_to(given, meant):
  with pytest.raises(UserError) as error:
    config_lib.apply(NESTED, {given: '1'})
  assert str(error.value) == (
      f'--config.{given}: the config has no such field; did you mean '
      f'--config.{meant}?')


def test_two_fields_of_one_name_are_refused():
  with pytest.raises(UserError, match='net.rate: .*another group'):
    config_lib.leaves({'rate': 1, 'net': {'rate': 2}})
  with pytest.raises(UserError, match='rate: the config has 2 such fields'):
    config_lib.place(ml_collections.ConfigDict(
        {'a': {'rate': 1}, 'net': {'rate': 2}}), 'rate')


def test_fields_of_every_variant_have_names_of_their_own():
  for paper in papers.names():
    for variant in papers.configs(paper).VARIANTS:
      config_lib.leaves(papers.configs(paper).get_config(variant))


def test_every_field_of_every_variant_takes_its_own_value():
  for paper in papers.names():
    module = papers.configs(paper)
    for variant in module.VARIANTS:
      config = module.get_config(variant)
      texts = {k: v if isinstance(v, str) else repr(v)
               for k, v in config_lib.paths(config).items()}
      assert config_lib.apply(config, texts).to_dict() == config.to_dict()


def test_pairs_by_hand():
  assert config_lib.pairs(['--config.a=1', '--config.b=x=y', '--config.c='],
                         ['--seeds']) == {'a': '1', 'b': 'x=y', 'c': ''}


@hypothesis.settings(STEADY, max_examples=200)
@hypothesis.given(st.lists(st.text(max_size=12)
                           | st.tuples(st.just('--config.'), TEXTS).map(''.join)
                           | st.tuples(st.just('--config.a='), TEXTS)
                           .map(''.join), max_size=3))
def test_any_arguments_are_pairs_or_a_user_error(arguments):
  try:
    found = config_lib.pairs(arguments, ['--seeds', '--arms'])
  except UserError as error:
    assert any(f'unknown flag {a}' in str(error) for a in arguments)
    return
  assert {f'--config.{k}={v}' for k, v in found.items()} <= set(arguments)
  assert all(a.startswith('--config.') for a in arguments)


@pytest.mark.parametrize('file', ['none.py', '.', '', '\0', 'a' * 5000])
def test_a_config_file_that_is_not_there(file):
  with pytest.raises(UserError, match='no such file'):
    config_lib.config_module(file)


@pytest.mark.parametrize('name', ['rows.jsonl', 'empty.py'])
def test_a_file_that_is_no_config(tmp_path, name):
  path = tmp_path / name
  path.write_text('VARIANTS = {}')
  with pytest.raises(UserError, match=f'{name}: .*get_config and VARIANTS'):
    config_lib.config_module(path)


def test_a_bug_in_a_config_file_is_not_hidden(tmp_path):
  path = tmp_path / 'broken.py'
  path.write_text('import no_such_module')
  with pytest.raises(ModuleNotFoundError, match='no_such_module'):
    config_lib.config_module(path)
