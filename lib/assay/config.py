"""Configs and their fields: FILE:VARIANT, --config.FIELD=VALUE.

A field of a group has a path, `net.width`. No two fields of a config have one
name, so that rows can call it `width`.
"""

import ast
import difflib
import importlib.util
import os
import pathlib
import re
import sys
from typing import NamedTuple

from assay.errors import UserError, hint


def config_module(file):
  """The module of a configuration file; what its code raises is not hidden.

  Raises:
    UserError: there is no such file, or it is none.
  """
  if not os.path.isfile(file):
    raise UserError(f'--config={file}: there is no such file; run from the '
                    "repository's root, or give the file's path.")
  path = pathlib.Path(file)
  spec = importlib.util.spec_from_file_location(f'config_{path.stem}', path)
  if spec is not None:  # the name ends in .py
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if hasattr(module, 'get_config') and hasattr(module, 'VARIANTS'):
      return module
  raise UserError(f'--config={file}: is no configuration; give a Python file '
                  'with get_config and VARIANTS.')


def chosen(flag):
  """(configuration module, variant) of `FILE:VARIANT`; default the first one.

  Raises:
    UserError: see `config_module`.
  """
  file, _, variant = flag.partition(':')
  module = config_module(file)
  return module, variant or next(iter(module.VARIANTS))


def pairs(arguments, known):
  """{'field': 'value'} of ['--config.field=value'].

  Args:
    arguments: those that are none of the known flags.
    known: names of flags, to suggest one.

  Raises:
    UserError: an argument of another form.
  """
  found = {}
  for argument in arguments:
    name, equals, value = argument.partition('=')
    if not name.startswith('--config.') or not equals:
      raise UserError(f'unknown flag {argument}; {hint(name, known)}')
    found[name.removeprefix('--config.')] = value
  return found


def paths(config, prefix=''):
  """{'net.width': value} of all fields, those of groups by their path.

  Args:
    config: ConfigDict or dict, with groups of fields that are such again.
    prefix: put before each.
  """
  found = {}
  for name, value in config.items():
    found |= paths(value, f'{prefix}{name}.') if _is_group(value) else {
        f'{prefix}{name}': value}
  return found


def leaves(config):
  """{'width': value} of all fields; which group each is in does not matter.

  Args:
    config: ConfigDict or dict; runs of before there were groups have none.

  Raises:
    UserError: two fields have one name.
  """
  found = {}
  for path, value in paths(config).items():
    name = path.rpartition('.')[2]
    if name in found:
      raise UserError(f'{path}: another group of the config has a field {name} '
                      'too; give one of them another name.')
    found[name] = value
  return found


def place(config, name):
  """(group, field) of the field of a path, or of a name wherever it is.

  Args:
    config: ConfigDict.
    name: `net.width`, or `width`.

  Raises:
    UserError: there is none, or several.
  """
  known = list(paths(config))
  found = [name] if name in known else [
      path for path in known if path.endswith(f'.{name}')]
  if len(found) > 1:
    raise UserError(f'{name:.60}: the config has {len(found)} such fields; use '
                    f'one of {", ".join(found)}.')
  if not found:
    near = _near(name, known)
    raise UserError(f'{name:.60}: the config has no such field; '
                    + (f'did you mean {near}?' if near
                       else f'it has {", ".join(sorted(known))}.'))
  *groups, field = found[0].split('.')
  for group in groups:
    config = config[group]
  return config, field


def restored(fields):
  """The locked ConfigDict of what a JSON file has of one."""
  import ml_collections  # not where flags are only listed

  def value(x):
    if isinstance(x, dict):
      return {k: value(v) for k, v in x.items()}
    if isinstance(x, list):
      return tuple(map(value, x))
    return float(x) if x in ('inf', '-inf') else x  # see `disk.dumps`

  return ml_collections.ConfigDict(value(fields)).lock()


class Bound(NamedTuple):
  """What the values of a field may be; of a tuple, each value in it.

  Attributes:
    low, high: of numbers, both included.
    above: low is not included.
    length: how many values a tuple has: (fewest, most).
    among: the values, where they are none of numbers.
  """
  low: float = -sys.float_info.max
  high: float = sys.float_info.max
  above: bool = False
  length: tuple = (0, 10**6)
  among: tuple = ()


def between(low, high, length=(0, 10**6)):
  """A `Bound` from a number to another."""
  return Bound(low, high, length=length)


def above(low, high=sys.float_info.max, length=(0, 10**6)):
  """A `Bound` that leaves out its lowest number."""
  return Bound(low, high, True, length)


def among(*values, length=(0, 10**6)):
  """A `Bound` of some values."""
  return Bound(among=values, length=length)


# What every config has.
COMMON = {
    'arms': Bound(length=(1, 10**4)), 'num_seeds': between(1, 10**5),
    'seed_varies': among('fresh', 'resplit', 'fixed_split'),
    'trials': between(0, 10**4), 'tuning_seeds': between(0, 2**31 - 1)}


def check(config, bounds):
  """Looks at all fields before anything is done or written.

  Args:
    config: ConfigDict.
    bounds: name of a field -> its `Bound`; those of `COMMON` need not be there.
      Of a field that is swept, all values of the sweep are looked at.

  Raises:
    UserError: names the first field with a value that cannot be meant.
  """
  fields, bounds = leaves(config), COMMON | bounds
  for name, value in fields.items():
    if name in bounds:
      check_value(name, value, bounds[name])
  arms = fields.get('arms', ())
  if len(set(arms)) < len(arms):
    raise UserError(f'arms={arms!r}: one is there twice; give each once.')
  if field := fields.get('sweep', ''):
    field = field.rpartition('.')[2]
    if field not in fields:
      raise UserError(f'sweep={field}: the config has no such field; it has '
                      f'{", ".join(sorted(fields))}.')
    values = fields['sweep_values']
    if not values or len(set(values)) < len(values):
      raise UserError(f'sweep_values={values!r} must be one or more values, '
                      'each once.')
    for value in values:
      try:
        value = _typed(value, fields[field])
      except ValueError as error:
        raise UserError(f'sweep_values={values!r}: {value!r} must be of the '
                        f'type of {field}={fields[field]!r}.') from error
      check_value(f'sweep_values={values!r}: {field}', value,
             bounds.get(field, Bound()))


def check_value(name, value, bound):
  """Raises a UserError, naming it so, for a value that is not in a bound."""
  if isinstance(value, tuple):
    few, most = bound.length
    if not few <= len(value) <= most:
      raise UserError(
          f'{name}={value!r} must have '
          + (f'{few} values.' if few == most else f'{few} values or more.'
             if len(value) < few else f'no more than {most} values.'))
    for each in value:
      check_value(name, each, bound._replace(length=(0, most)))
  elif bound.among:
    if value not in bound.among:
      raise UserError(f'{name}={value!r}; use one of '
                      f'{", ".join(map(repr, bound.among))}.')
  elif not isinstance(value, (bool, str)):
    inside = bound.low <= value <= bound.high and not (
        bound.above and value == bound.low)
    if not inside:  # NaN, too
      low = (f'above {bound.low:g}' if bound.above else 'finite'
             if bound.low < -1e300 else f'{bound.low:g} or more')
      raise UserError(f'{name}={value!r} must be {low}'
                      + (f' and at most {bound.high:g}.'
                         if bound.high < sys.float_info.max else '.'))


def apply(config, overrides, flag='--config.'):
  """A locked copy of the config with fields replaced by parsed texts.

  Args:
    config: ConfigDict of numbers, booleans, texts and tuples, and of groups of
      them.
    overrides: path of a field -> text, read as a value of the field's type.
    flag: what errors put before a path.

  Raises:
    UserError: unknown field, or a text that is not of its type.
  """
  config = config.copy_and_resolve_references().unlock()
  known = paths(config)
  for path, text in overrides.items():
    if path not in known:
      near = _near(path, known)
      raise UserError(f'{flag}{path:.60}: the config has no such field; '
                      + (f'did you mean {flag}{near}?' if near
                         else f'it has {", ".join(sorted(known))}.'))
    try:
      value = _parsed(text, known[path])
    # A text that is long or deep breaks Python's parser in other ways.
    except (ValueError, SyntaxError, OverflowError, MemoryError,
            RecursionError) as error:
      raise UserError(
          f'{flag}{path}={text:.60}: must be of type '
          f'{type(known[path]).__name__}, like {known[path]!r}.') from error
    group, field = place(config, path)
    group[field] = value
  return config.lock()


def _is_group(value):
  return hasattr(value, 'items')


def _near(path, known):
  """The known path that was most likely meant; None where none is like it."""
  inside = sorted((k for k in known if k.endswith(f'.{path}')
                   or k.startswith(f'{path}.')), key=lambda k: k.count('.'))
  name = lambda k: k.rpartition('.')[2]
  return next(iter(inside or difflib.get_close_matches(path, known, 1) or [
      k for k in known
      if difflib.get_close_matches(name(path), [name(k)], 1)]), None)


def _parsed(text, like):
  """The value that a text spells, of the type of `like`; runs no code."""
  if isinstance(like, str):
    return text
  if isinstance(like, float):
    return _typed(float(text), like)
  if not set(text) & set('\'"'):  # only a text could hold another `inf`
    text = re.sub(r'\binf\b', '1e999', text)  # Python's literals lack it
  value = ast.literal_eval(text)
  if isinstance(like, tuple) and not isinstance(value, tuple):
    value = (value,)
  return _typed(value, like)


def _typed(value, like):
  """The value, if it is of the type of `like`; an int may stand for a float.

  All of a tuple is of the type of the first that is there in `like`; of an
  empty one that is not known.

  Raises:
    ValueError: it is not; it is no number; an int of more than 64 bits.
  """
  if isinstance(like, float) and type(value) is int:
    value = float(value)
  if (type(value) not in (bool, int, float, str, tuple)
      or type(value) is not type(like) or value != value
      or type(value) is int and not -2**63 <= value < 2**63):
    raise ValueError(value)
  if isinstance(value, tuple):
    return tuple(_typed(v, like[0] if like else v) for v in value)
  return value
