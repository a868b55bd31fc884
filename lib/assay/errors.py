"""The one exception for conditions that the person at the keyboard can mend."""

import difflib
import functools
import os
import re
import sys

READER_GONE = 141  # as of a process that SIGPIPE ended


class UserError(ValueError):
  """Says what value is wrong and what to do; the CLI prints it plainly."""


_called = {}  # folder that a person has not named -> what they named


def call(folder, name):
  """Lets messages give a folder of ours the name that the user gave."""
  _called[str(folder)] = str(name)


def plain(message):
  """An error or a message as text, with folders as the user named them."""
  text = str(message)
  for folder in sorted(_called, key=len, reverse=True):
    text = re.sub(re.escape(folder) + r'(?![\w-])', lambda _, name=_called[
        folder]: name, text) if folder in text else text
  return text


def told(main):
  """Turns `main(argv) -> status` into one that tells such an error in a line.

  Its status then is 2. An OSError, of a file that was named, is told so too;
  but where who reads the output wants no more, as `head`, nothing is told.
  """

  @functools.wraps(main)
  def wrapped(argv=None):
    try:
      status = main(argv)
      sys.stdout.flush()  # not when the process ends, where nobody looks
      return status
    except BrokenPipeError:
      os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
      return READER_GONE
    except (UserError, OSError) as error:
      print('error:', ' '.join(plain(error).split()), file=sys.stderr)
      return 2

  return wrapped


def parsed(parser, argv):
  """The flags of an `argparse` parser; an unknown one is told what is near."""
  flags, others = parser.parse_known_args(argv)
  if others:
    known = [name for action in parser._actions for name in (
        action.option_strings if not isinstance(action.choices, dict) else [
            name for sub in action.choices.values()
            for each in sub._actions for name in each.option_strings])]
    parser.error(f'unknown flag {others[0]}; '
                 + hint(others[0].partition('=')[0], known))
  return flags


def hint(flag, known):
  """Which of the known flags may be meant, as the end of a message."""
  near = difflib.get_close_matches(flag, known, 1)
  return f'did you mean {near[0]}?' if near else '--help lists them.'


def check_names(field, names, known, what):
  """Raises a UserError for the first of the names that is not known.

  Args:
    field: of the config that holds them.
    names: texts.
    known: texts, in the order of the message.
    what: one of them is, in a word.
  """
  for name in names:
    if name not in known:
      raise UserError(f'{field}: no {what} {name!r}; use some of '
                      f'{", ".join(known)}.')


def some_of(values, most=8, between=', '):
  """The first of the values, for a message: `a, b, c and 4 more`."""
  values = list(map(str, values))
  return between.join(values[:most]) + f' and {len(values) - most} more' * (
      len(values) > most)
