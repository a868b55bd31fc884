"""Configs from the command line: FILE:VARIANT and --config.FIELD=VALUE."""

import ast
import difflib
import importlib.util
import pathlib

from assay.errors import UserError


def config_module(file):
  """The module of a configuration file.

  Raises:
    UserError: there is no such file.
  """
  path = pathlib.Path(file)
  if not path.is_file():
    raise UserError(f'--config={file}: there is no such file; run from the '
                    "repository's root, or give the file's path.")
  spec = importlib.util.spec_from_file_location(f'config_{path.stem}', path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


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
          f'--config.{field}: the config has no such field; '
          + (f'did you mean {near[0]}?' if near
             else f'it has {", ".join(sorted(config))}.'))
    kind = type(config[field])
    try:
      value = text if kind is str else ast.literal_eval(text)
      if kind is float and type(value) is int:
        value = float(value)
      if kind is tuple and not isinstance(value, tuple):
        value = (value,)
    except (ValueError, SyntaxError):
      value = None
    if type(value) is not kind:
      raise UserError(f'--config.{field}={text}: must be of type '
                      f'{kind.__name__}, like {config[field]!r}.')
    config[field] = value
  return config.lock()
