"""Configs from the command line: FILE:VARIANT and --config.FIELD=VALUE."""

import ast
import difflib
import importlib.util
import os
import pathlib
import re

from assay.errors import UserError


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
      near = difflib.get_close_matches(name, known, 1)
      hint = f'did you mean {near[0]}?' if near else '--help lists them.'
      raise UserError(f'unknown flag {argument}; {hint}')
    found[name.removeprefix('--config.')] = value
  return found


def apply(config, overrides):
  """A locked copy of the config with fields replaced by parsed texts.

  Args:
    config: ConfigDict of numbers, booleans, texts and tuples.
    overrides: field -> text, read as a value of the field's type.

  Raises:
    UserError: unknown field, or a text that is not of its type.
  """
  config = config.copy_and_resolve_references().unlock()
  for field, text in overrides.items():
    if field not in config:
      near = difflib.get_close_matches(field, config.keys(), 1)
      raise UserError(
          f'--config.{field:.60}: the config has no such field; '
          + (f'did you mean {near[0]}?' if near
             else f'it has {", ".join(sorted(config))}.'))
    try:
      value = _parsed(text, config[field])
    # A text that is long or deep breaks Python's parser in other ways.
    except (ValueError, SyntaxError, OverflowError, MemoryError,
            RecursionError) as error:
      raise UserError(
          f'--config.{field}={text:.60}: must be of type '
          f'{type(config[field]).__name__}, like {config[field]!r}.') from error
    config[field] = value
  return config.lock()


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
