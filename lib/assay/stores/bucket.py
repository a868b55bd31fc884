"""Objects by name below a place in S3 or Google Cloud Storage.

TensorStore asks and answers. It tries again what was dropped or refused for the
moment, for half a minute in all; then, and where more tries cannot help, there
is a line that says what to do.

What `AWS_ENDPOINT_URL`, `AWS_REGION` and `TENSORSTORE_GCS_HTTP_URL` say holds:
servers of other makers speak the same.
"""

import os
import re

from assay.errors import UserError
from assay.stores.url import split

ABSENT = b'\x02'  # the generation of what is not there, in TensorStore
RETRIES = {'max_retries': 8, 'initial_delay': '200ms', 'max_delay': '8s'}
# Of a connection that says nothing: it is dropped and tried again.
PATIENCE = {'TENSORSTORE_CURL_CONNECT_TIMEOUT_SECONDS': '10',
            'TENSORSTORE_CURL_LOW_SPEED_TIME_SECONDS': '20',
            'TENSORSTORE_CURL_LOW_SPEED_LIMIT_BYTES': '1'}
CREDENTIALS = {
    's3': 'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws',
    'gs': 'GOOGLE_APPLICATION_CREDENTIALS, or gcloud auth application-default '
    'login'}


class Bucket:
  """All objects whose names begin with a place's.

  Attributes:
    url: of the place.

  Raises:
    UserError: the place cannot be read as one, or the store refuses or does
      not answer; so do all methods.
  """

  def __init__(self, url):
    import tensorstore as ts  # 0.4 s

    scheme, bucket, below = split(url)
    self.url = f'{scheme}://{bucket}' + f'/{below}' * bool(below)
    self._scheme, self._ts = scheme, ts
    for name, value in PATIENCE.items():
      os.environ.setdefault(name, value)
    spec = {'driver': {'s3': 's3', 'gs': 'gcs'}[scheme], 'bucket': bucket,
            'path': below and f'{below}/'}
    if scheme == 's3':
      spec |= _of_s3()
    self._store = self._told(ts.KvStore.open(spec, context=ts.Context(
        {f'{spec["driver"]}_request_retries': RETRIES})))

  def read(self, name, seen=None):
    """(bytes, generation) of an object; (None, `ABSENT`) where there is none.

    Args:
      name: of the object.
      seen: a generation: (None, seen) where the object is still that one.
    """
    return self._found(self._told(self._store.read(name, if_not_equal=seen)))

  def read_all(self, names):
    """{name: (bytes, generation)} of those that are there, asked at once."""
    asked = {name: self._store.read(name) for name in names}
    found = {name: self._found(self._told(one)) for name, one in asked.items()}
    return {name: one for name, one in found.items() if one[0] is not None}

  def write(self, name, data, seen=None):
    """Writes an object as a whole, or not at all.

    Args:
      name: of the object.
      data: bytes.
      seen: a generation: nothing is written where another is there by now.

    Returns:
      Its generation; None where another is there.
    """
    stamp = self._told(self._store.write(name, data, if_equal=seen))
    return stamp.generation or None

  def write_all(self, objects):
    """Writes {name: bytes}, in no order."""
    for one in [self._store.write(*each) for each in objects.items()]:
      self._told(one)

  def names(self, under=''):
    """The names of all objects, sorted; of those that begin so."""
    every = self._ts.KvStore.KeyRange(under, under and _after(under))
    found = (name.decode(errors='replace') for name in self._told(
        self._store.list(every)))
    return sorted(name for name in found if name.startswith(under))

  def remove(self, names):
    """Removes objects, in no order; those that are not there too."""
    for one in [self._store.write(name, None) for name in names]:
      self._told(one)

  def _found(self, result):
    return (result.value if result.state == 'value' else None,
            result.stamp.generation)

  def _told(self, future):
    """What a future gives; a UserError where it fails."""
    try:
      return future.result()
    except (ValueError, NotImplementedError, OSError) as error:
      raise self._error(str(error)) from error

  def _error(self, text):
    """A UserError: what is wrong, in a line, and what to do."""
    kind, plain = text.partition(':')[0], re.sub(r'\s*\[.*', '', text,
                                                 flags=re.S)
    if 'redential' in text or kind in ('PERMISSION_DENIED', 'UNAUTHENTICATED'):
      return UserError(
          f'{self.url}: access is denied ({plain:.120}); give credentials that '
          f'may read and write there: {CREDENTIALS[self._scheme]}.')
    if kind == 'NOT_FOUND':
      return UserError(f'{self.url}: there is no such bucket; make it, or name '
                       'one that is there.')
    if kind in ('ABORTED', 'UNAVAILABLE', 'DEADLINE_EXCEEDED'):
      last = plain.rpartition('failed: ')[2]
      code = re.search("http_response_code='([0-9]+)'", text)
      said = f'status {code[1]}' if code else f'{last:.120}'
      return UserError(
          f'{self.url}: the store does not answer ({said}, '
          f'{RETRIES["max_retries"] + 1} tries); when it does, give the same '
          'command again: it continues.')
    return UserError(f'{self.url}: the store cannot do what is needed '
                     f'({plain:.160}); use another, or a folder.')


def _after(prefix):
  """The first name after all that begin with a prefix."""
  return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _of_s3():
  """What the environment says of an S3 server."""
  found = {'endpoint': os.environ.get('AWS_ENDPOINT_URL_S3')
           or os.environ.get('AWS_ENDPOINT_URL'),
           'aws_region': os.environ.get('AWS_REGION')
           or os.environ.get('AWS_DEFAULT_REGION')}
  if os.environ.get('AWS_ACCESS_KEY_ID'):
    found['aws_credentials'] = {'type': 'environment'}
  else:  # what looks for files complains on stderr of each that is not there
    for name, file in (('AWS_CONFIG_FILE', 'config'),
                       ('AWS_SHARED_CREDENTIALS_FILE', 'credentials')):
      if not os.path.exists(os.path.expanduser(f'~/.aws/{file}')):
        os.environ.setdefault(name, os.devnull)
  return {k: v for k, v in found.items() if v}
