"""Names of folders: what a command changes in a config has one of its own."""

import hashlib
import pathlib
import re

from assay import config as config_lib
from assay import disk

LONGEST = 100  # characters of a name; a file system may have 255 bytes


def name_of(variant, planned, config, more=''):
  """`diabetes,bandwidth=10.0`: a variant, and what differs from its plan.

  Equal configs have one name and others have others: where the values cannot be
  written out, a hash of them ends the name. What a user typed of them does not
  matter (`10` and `10.0`), nor what they typed that changes nothing.

  Args:
    variant: its name.
    planned: the variant's config.
    config: the one that is run, with the same fields.
    more: put after the variant's name.
  """
  before, after = config_lib.paths(planned), config_lib.paths(config)
  differ = {path: value for path, value in sorted(after.items())
            if repr(value) != repr(before[path])}
  texts = {path.rpartition('.')[2]: _text(value)
           for path, value in differ.items()}
  name = ','.join([f'{variant}{more}', *(f'{k}={v}' for k, v in texts.items())])
  if len(name) <= LONGEST and all(map(_is_plain, differ.values())):
    return name
  digest = hashlib.sha256(disk.dumps(list(differ.items())).encode())
  return f'{name[:LONGEST]},{digest.hexdigest()[:8]}'


def default(paper):
  """Where the folders of a paper's runs are, where no --workdir is given."""
  return pathlib.Path(f'out/{paper}')


def finished(paper):
  """The variants whose run, with nothing changed in it, came to its end."""
  return sorted(file.parent.name
                for file in default(paper).glob('*/table.md'))


def _text(value):
  if isinstance(value, tuple):
    return '+'.join(map(_text, value))
  return re.sub(r'[^\w.+-]+', '_', str(value), flags=re.ASCII)


def _is_plain(value):
  """Whether no other value of the same type has this one's text."""
  if isinstance(value, tuple):
    return value != () and all(
        _is_plain(x) and not isinstance(x, tuple) for x in value)
  return not isinstance(value, str) or bool(
      re.fullmatch(r'[\w.-]+', value, flags=re.ASCII))
