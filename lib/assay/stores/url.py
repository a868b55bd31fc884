"""Names of places in object stores."""

import hashlib
import pathlib
import re

from assay.errors import UserError

SCHEMES = ('s3', 'gs')
FORM = re.compile(r'(s3|gs)://([A-Za-z0-9][A-Za-z0-9._-]{1,221})(?:/(.*))?')


def is_url(path):
  """Whether a text or path is no name of a local file."""
  return '://' in str(path)


def path(text):
  """A local `pathlib.Path`, or the `epath.Path` of a place in a store.

  Raises:
    UserError: a store of another kind, or no bucket.
  """
  if not is_url(text):
    return pathlib.Path(text)
  split(text)
  from etils import epath  # 0.1 s

  return epath.Path(text)


def split(url):
  """(scheme, bucket, path in it without slashes around) of a place.

  Raises:
    UserError: as above.
  """
  found = FORM.fullmatch(str(url))
  if not found:
    raise UserError(f'{str(url):.200}: cannot be read as a place in an object '
                    'store; write s3://BUCKET/FOLDER or gs://BUCKET/FOLDER, or '
                    'name a folder.')
  scheme, bucket, below = found.groups(default='')
  return scheme, bucket, below.strip('/')


def folder_name(url):
  """A name for a local folder that stands for a place; others have others."""
  digest = hashlib.sha256(str(url).encode()).hexdigest()[:8]
  name = re.sub(r'[^\w.,=+-]+', '_', str(url), flags=re.ASCII)[:100]
  return f'{name}-{digest}'
