"""An S3 server on loopback, which may be told to fail."""

import contextlib
import os
import socket
import sys
import threading
import urllib.request

ENV = {'AWS_ACCESS_KEY_ID': 'made', 'AWS_SECRET_ACCESS_KEY': 'up',
       'AWS_REGION': 'us-east-1', 'AWS_EC2_METADATA_DISABLED': 'true'}
BUCKET = 'assay'


class Server:
  """moto's, in a thread of this process, with one bucket.

  Attributes:
    env: what the environment of who uses it must have.
    failing: `(method, path) -> ` a status to answer with, 'drop' to answer
      nothing, 'lose' to do what is asked and answer nothing, or None to answer
      as S3 does.
    asked: [(method, path)] of all requests that were answered as S3 does.
  """

  def __init__(self):
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug import serving

    made = DomainDispatcherApplication(create_backend_app)
    self.failing, self.asked = lambda method, path: None, []

    def answer(environ, start_response):
      # What is not read of a request would be taken for the next one.
      asked = environ['REQUEST_METHOD'], environ['PATH_INFO']
      status = self.failing(*asked)
      if status is None:
        self.asked.append(asked)
        return made(environ, start_response)
      if status == 'lose':
        made(environ, lambda *head: None)
      else:
        environ['wsgi.input'].read(int(environ.get('CONTENT_LENGTH') or 0))
      if status in ('drop', 'lose'):
        environ['werkzeug.socket'].shutdown(socket.SHUT_RDWR)
        raise ConnectionError
      start_response(f'{status} made up', [('Content-Length', '0')])
      return []

    class Quiet(serving.WSGIRequestHandler):
      protocol_version = 'HTTP/1.1'

      def log(self, *message):
        pass

    self._server = serving.make_server('127.0.0.1', 0, answer, threaded=True,
                                       request_handler=Quiet)
    threading.Thread(target=self._server.serve_forever, daemon=True).start()
    self.env = ENV | {
        'AWS_ENDPOINT_URL': f'http://127.0.0.1:{self._server.server_port}'}
    urllib.request.urlopen(urllib.request.Request(
        f'{self.env["AWS_ENDPOINT_URL"]}/{BUCKET}', method='PUT')).close()

  @contextlib.contextmanager
  def fails(self, failing):
    """Fails meanwhile as `failing` says."""
    before, self.failing = self.failing, failing
    try:
      yield
    finally:
      self.failing = before

  def close(self):
    self._server.shutdown()


@contextlib.contextmanager
def serving():
  """A `Server`, found by who looks at this process's environment."""
  server = Server()
  before = {name: os.environ.get(name) for name in server.env}
  os.environ.update(server.env)
  try:
    yield server
  finally:
    server.close()
    for name, value in before.items():
      os.environ.pop(name)
      if value is not None:
        os.environ[name] = value


if __name__ == '__main__':  # until its input ends
  made = Server()
  print(*(f'{name}={value}' for name, value in made.env.items()), '', sep='\n',
        flush=True)
  sys.stdin.read()
  made.close()
