"""The one exception for conditions that the person at the keyboard can mend."""


class UserError(ValueError):
  """Says what value is wrong and what to do; the CLI prints it plainly."""
