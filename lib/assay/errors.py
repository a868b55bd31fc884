"""The one exception for conditions that the person at the keyboard can mend."""


class UserError(ValueError):
  """Says what value is wrong and what to do; the CLI prints it plainly."""


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
