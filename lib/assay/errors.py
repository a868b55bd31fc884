"""The one exception for conditions that the person at the keyboard can mend."""

import functools
import re
import sys


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

  Its status then is 2. An OSError, of a file that was named, is told so too.
  """

  @functools.wraps(main)
  def wrapped(argv=None):
    try:
      return main(argv)
    except (UserError, OSError) as error:
      print('error:', ' '.join(plain(error).split()), file=sys.stderr)
      return 2

  return wrapped


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
