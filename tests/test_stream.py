"""Streamed batches are those of data in memory, for anyone who asks."""

import io
import os
import pathlib
import socket
import subprocess
import sys
import textwrap
import tracemalloc

import jax
import jax.numpy as jnp
import kinds
import numpy as np
import optax
from PIL import Image
import pytest

from assay import papers, train
from assay.data import files, stream, tabular
from assay.errors import UserError
from assay.train import checkpoint

NUM, BATCH = 96, 8


@pytest.fixture(scope='module')
def images():
  """x [96, 6, 5, 3] uint8 and y, of noise that only lossless files keep."""
  rng = np.random.default_rng(0)
  return (rng.integers(0, 256, (NUM, 6, 5, 3)).astype(np.uint8),
          rng.integers(0, 10, NUM).astype(np.int32))


@pytest.fixture(scope='module')
def folder(images, tmp_path_factory):
  path = tmp_path_factory.mktemp('records')
  assert stream.write(path, map(stream.encode_image, *images), 3) == NUM
  return path


def order(num=NUM, seeds=(0,)):
  orders = [tabular.epoch_items(num, BATCH, seed) for seed in seeds]
  return lambda position, start, stop: orders[position](start, stop)


def where(num=NUM):
  """Record of each example: record i is in file i modulo three."""
  return np.argsort(np.arange(num) % 3, kind='stable').argsort()


def streamed(folder, seeds=(0,), num=NUM, **more):
  """As `order`, but the examples themselves."""
  mine, at = order(num, seeds), where(num)
  return stream.streamed(lambda *which: at[mine(*which)],
                         stream.array_records(folder), stream.decode_image,
                         **more)


def test_records_are_the_examples_in_the_order_of_their_files(folder, images):
  records = stream.array_records(folder)
  assert len(records) == NUM
  at = where()
  for i in (0, 1, 50, 95):
    found = stream.decode_image(records[int(at[i])])
    np.testing.assert_array_equal(found['x'], images[0][i])
    assert found['y'] == images[1][i] and found['y'].dtype == np.int32


def test_a_gray_image_keeps_its_channel():
  x = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
  found = stream.decode_image(stream.encode_image(x, 7))
  np.testing.assert_array_equal(found['x'], x)


def encoded(image, form='png', **how):
  """A record with the file of an image of Pillow."""
  file = io.BytesIO()
  image.save(file, form, **how)
  return bytes(4) + file.getvalue()


def palette():
  image = Image.new('P', (3, 2), 1)
  image.putpalette([9, 9, 9, 10, 20, 30])
  return image


# What a record may hold besides, and the pixel it gives; None: refused.
KINDS = {'palette': (palette(), [10, 20, 30]),
         'bits': (Image.new('1', (3, 2), 1), [255]),
         'gray': (Image.new('L', (3, 2), 7), [7]),
         'opaque': (Image.new('RGBA', (3, 2), (1, 2, 3, 255)), [1, 2, 3]),
         'gray_opaque': (Image.new('LA', (3, 2), (5, 255)), [5]),
         'transparent': (Image.new('RGBA', (3, 2), (1, 2, 3, 9)), None),
         'deep': (Image.new('I;16', (3, 2), 999), None)}


@pytest.mark.parametrize('kind', KINDS)
def test_any_image_is_what_is_promised_or_refused(kind):
  image, pixel = KINDS[kind]
  if pixel is None:
    with pytest.raises(ValueError, match='transparent|of the kind'):
      stream.decode_image(encoded(image))
    return
  x = stream.decode_image(encoded(image))['x']
  assert x.dtype == np.uint8 and x.shape == (2, 3, len(pixel))
  assert x.reshape(-1, len(pixel)).tolist() == 6 * [pixel]


@pytest.mark.parametrize('mode', ['RGB', 'CMYK'])
def test_a_photograph_is_read_or_refused(mode):
  record = encoded(Image.new(mode, (3, 2)), 'jpeg')
  if mode == 'RGB':
    assert stream.decode_image(record)['x'].shape == (2, 3, 3)
  else:
    with pytest.raises(ValueError, match="kind 'CMYK'; save it with 8 bits"):
      stream.decode_image(record)


@pytest.mark.parametrize('size', [(2**13, 2**12 + 1), (2**15, 2**13)])
def test_an_image_that_expands_is_not_decoded(size):
  record = encoded(Image.new('1', size))
  tracemalloc.start()
  with pytest.raises(ValueError, match='pixels'):
    stream.decode_image(record)
  peak = tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()
  assert peak < 2**20 + 3 * len(record)


@pytest.mark.parametrize('record', [
    b'', b'abc', bytes(4), bytes(4) + b'no image', encoded(palette())[:60],
    encoded(Image.new('L', (3, 2)), 'gif')])
def test_bytes_that_are_no_image_are_refused(record):
  with pytest.raises(ValueError, match='are not a label and an image: .*write'):
    stream.decode_image(record)


@pytest.mark.parametrize('shape', [(3, 4), (3, 4, 1), (3, 4, 3)])
def test_arrays_come_back(shape):
  x = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
  found = stream.decode_image(stream.encode_image(x, np.int64(3)))
  np.testing.assert_array_equal(found['x'], x.reshape(*shape[:2], -1))


@pytest.mark.parametrize('x,y', [
    (np.zeros((2, 2)), 0), (np.zeros((2, 2, 2), np.uint8), 0),
    (np.zeros((2, 2, 4), np.uint8), 0), (np.zeros((0, 2), np.uint8), 0),
    (np.zeros(4, np.uint8), 0), (np.zeros((2, 2), bool), 0),
    (np.zeros((2, 2), np.uint8), 2**31), (np.zeros((2, 2), np.uint8), 0.5)])
def test_arrays_that_are_no_image_are_refused(x, y):
  with pytest.raises(ValueError, match='give '):
    stream.encode_image(x, y)


RANGES = ((0, 1), (1, 3), (3, 9), (9, 10),  # read ahead
          (20, 22), (22, 30),  # continued elsewhere
          (4, 5), (4, 5), (5, 40))  # back, and again


# Workers are processes, others at each place that is not the next.
@pytest.mark.parametrize('num_workers, ranges', [
    (0, RANGES), (2, ((3, 9), (20, 40))), *kinds.nightly((2, RANGES))])
def test_batches_are_those_in_memory_from_any_step_on(num_workers, ranges,
                                                      folder, images):
  read = streamed(folder, num_workers=num_workers)
  steps = order()(0, 0, 40)  # over three epochs
  whole = slice(0, BATCH)
  for start, stop in ranges:
    got = read(0, start, stop, whole)
    np.testing.assert_array_equal(got['x'], images[0][steps[start:stop]])
    np.testing.assert_array_equal(got['y'], images[1][steps[start:stop]])


def test_what_was_received_is_not_overwritten(folder, images):
  read = streamed(folder, num_workers=1, ahead=1)
  kept = [read(0, t, t + 1, slice(0, BATCH))['x'] for t in range(30)]
  np.testing.assert_array_equal(np.concatenate(kept),
                                images[0][order()(0, 0, 30)])


def test_seeds_and_rows_have_readers_of_their_own(folder, images):
  read = streamed(folder, seeds=(3, 4), num_workers=0)
  orders = order(seeds=(3, 4))
  for t in range(6):
    for position in (0, 1):
      for rows in (slice(0, 3), slice(3, BATCH)):
        got = read(position, t, t + 1, rows)
        want = orders(position, t, t + 1)[:, rows]
        np.testing.assert_array_equal(got['x'], images[0][want])


def test_only_the_rows_asked_for_are_read(images):
  seen = []

  class Records:
    def __getitem__(self, index):
      seen.append(index)
      return {'x': images[0][index]}

  read = stream.streamed(order(), Records(), lambda record: record,
                         num_workers=0)
  read(0, 0, 2, slice(2, 5))
  assert seen == order()(0, 0, 2)[:, 2:5].ravel().tolist()


def loss_fn(params, extra, batch, key):
  del key
  x = batch['x'].reshape(len(batch['x']), -1)
  logits = x @ params['w'] + params['b']
  return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(
      logits, batch['y'])), (extra, {})


def fit(source, draw, seeds=(0,), num_steps=30, num_inputs=90, **more):
  tx = optax.sgd(.1, momentum=.9)
  init = train.make_init(lambda key: {'params': {
      'w': .01 * jax.random.normal(key, (num_inputs, 10)),
      'b': jnp.zeros(10)}}, tx)
  step = train.make_step(jax.value_and_grad(loss_fn, has_aux=True), tx)
  settings = train.Settings(**{'steps_per_call': 5} | more.pop('settings', {}))
  return train.fit(init, step, draw, source, seeds=seeds, num_steps=num_steps,
                   eval_every=5, settings=settings, **more)


def scaled(x):
  return x.astype(jnp.float32) / 255 - .5


def in_memory(images, seeds):
  x, y = images
  source = train.Source({'x': x, 'y': y}, {}, order(len(x), seeds))
  return source, lambda shared, own, item, key: {
      'x': scaled(shared['x'][item]), 'y': shared['y'][item]}


def from_files(folder, seeds, num=NUM, **more):
  source = train.Source({}, {}, streamed(folder, seeds, num, **more), BATCH)
  return source, lambda shared, own, item, key: {
      'x': scaled(item['x']), 'y': item['y']}


def assert_equal(got, want):
  jax.tree.map(np.testing.assert_array_equal, got.state.params,
               want.state.params)
  jax.tree.map(np.testing.assert_array_equal, got.curves, want.curves)


@pytest.mark.parametrize('settings', [
    dict(mesh={'seed': 2}, seed_map='loop'),
    dict(mesh={'seed': 1, 'data': 4}, steps_per_call=1), *kinds.nightly(
        dict(mesh={'seed': 1}), dict(mesh={'seed': 2}), dict(mesh={'seed': 4}),
        dict(mesh={'seed': 1, 'data': 2}))], ids=str)
def test_training_on_a_stream_is_training_in_memory(settings, folder, images):
  seeds = (0, 1, 2)
  own = {'num_steps': np.int32([30, 17, 30])}  # one ends early
  (source, draw), (memory, gather) = (
      from_files(folder, seeds, num_workers=0), in_memory(images, seeds))
  got = fit(source._replace(own=own), draw, seeds, settings=settings)
  want = fit(memory._replace(own=own), gather, seeds, settings=settings)
  assert_equal(got, want)


def test_a_stream_continues_where_it_was_stopped(folder, tmp_path):
  source, draw = from_files(folder, (0,))
  whole = fit(source, draw)
  asked = iter([False, False, True])
  with pytest.raises(checkpoint.Interrupted, match='step 15 of 30, saved'):
    fit(*from_files(folder, (0,)), directory=tmp_path,
        settings=dict(stopping=lambda: next(asked)))
  assert_equal(fit(*from_files(folder, (0,)), directory=tmp_path), whole)


def test_thousands_of_images_of_cifar10_are_streamed(data_dir, tmp_path):
  num = 1500
  x = files.read('cifar10/data_batch_1', data_dir)[:num]
  y = files.read('cifar10/train_labels', data_dir)[:num].astype(np.int32)
  stream.write(tmp_path, map(stream.encode_image, x, y), 3)
  options = dict(num_steps=20, num_inputs=x[0].size)
  got = fit(*from_files(tmp_path, (0,), num, num_workers=2), **options)
  assert_equal(got, fit(*in_memory((x, y), (0,)), **options))


def test_two_hosts_read_half_of_each_batch(folder, images):
  """Two real processes: the parameters of one, each record read once."""
  script = textwrap.dedent('''
      import sys
      from assay import cli, train
      from assay.train import sharding
      mesh = cli.set_up_devices('data:2', 1)
      import numpy as np
      import test_stream
      from assay.data import stream
      seen, order = [], test_stream.order()
      records, at = stream.array_records(sys.argv[1]), test_stream.where()
      class Counted:
        def __getitem__(self, index):
          seen.append(index)
          return records[index]
      items = stream.streamed(lambda *which: at[order(*which)], Counted(),
                              stream.decode_image, num_workers=0)
      _, draw = test_stream.from_files(sys.argv[1], (0,))
      fitted = test_stream.fit(
          train.Source({}, {}, items, test_stream.BATCH), draw,
          settings=dict(mesh=mesh))
      w = sharding.fetch(fitted.state.params['w'])
      np.savez(sys.argv[2], w=w, seen=np.array(seen))
  ''')
  with socket.socket() as free:
    free.bind(('127.0.0.1', 0))
    port = free.getsockname()[1]
  out = [pathlib.Path(folder.parent) / f'host{i}.npz' for i in (0, 1)]
  here = pathlib.Path(__file__).parent
  hosts = [subprocess.Popen(
      [sys.executable, '-c', script, folder, out[i]], cwd=papers.ROOT,
      stderr=subprocess.PIPE, text=True, env=os.environ | {
          'PYTHONPATH': os.pathsep.join([str(here), *sys.path]),
          'JAX_NUM_CPU_DEVICES': '1', 'JAX_NUM_PROCESSES': '2',
          'JAX_COORDINATOR_ADDRESS': f'127.0.0.1:{port}',
          'JAX_PROCESS_ID': str(i)}) for i in (0, 1)]
  errors = [host.communicate(timeout=240)[1] for host in hosts]
  assert [host.returncode for host in hosts] == [0, 0], errors
  want = fit(*in_memory(images, (0,))).state.params['w']
  steps = where()[order()(0, 0, 30)]
  for file, rows in zip(out, (slice(0, 4), slice(4, 8)), strict=True):
    with np.load(file) as found:
      np.testing.assert_allclose(found['w'], want, rtol=1e-5, atol=1e-7)
      # One whole batch for its shape; then its rows, and what is read ahead.
      mine = np.concatenate([steps[0], steps[:, rows].ravel()])
      np.testing.assert_array_equal(found['seen'][:len(mine)], mine)
      assert len(found['seen']) <= len(mine) + 4 * 6


# --- Errors ------------------------------------------------------------------


def test_a_damaged_record_is_named(folder):
  source = stream.array_records(folder)
  records = [source[i] for i in range(NUM)]
  at = int(order()(0, 12, 13)[0, 2])  # met by a worker in the second epoch
  records[at] = records[at][:40]
  for num_workers in (0, 1):
    read = stream.streamed(order(), records, stream.decode_image, num_workers)
    read(0, 0, 1, slice(0, 2))
    with pytest.raises(UserError, match=f'record {at} cannot be decoded'):
      for t in range(1, 13):
        read(0, t, t + 1, slice(2, 4))


def test_a_record_that_is_not_there_is_named():
  read = stream.streamed(order(), [b'', b''], stream.decode_image)
  with pytest.raises(UserError, match='step 0: records .* cannot be read'):
    read(0, 0, 1, slice(0, BATCH))


def test_files_are_whole_and_never_replaced(folder, tmp_path):
  with pytest.raises(UserError, match='holds no .*array_record'):
    stream.array_records(tmp_path)
  with pytest.raises(UserError, match='files already'):
    stream.write(folder, [b'x'])
  with pytest.raises(UserError, match='num_parts=0'):
    stream.write(tmp_path, [b'x'], 0)
  with pytest.raises(UserError, match='no records'):
    stream.write(tmp_path, [])
  assert not list(tmp_path.iterdir())
  stream.write(tmp_path, [b'a', b'b', b'c'], 3)
  next(tmp_path.glob('part-00001*')).unlink()
  with pytest.raises(UserError, match='lacks part-00001-of-00003'):
    stream.array_records(tmp_path)


def test_settings_of_a_stream_are_checked():
  for bad in (dict(num_workers=-1), dict(ahead=0)):
    with pytest.raises(UserError, match='-1|0'):
      stream.streamed(order(), [], stream.decode_image, **bad)


def test_a_batch_that_cannot_be_split_says_so(folder):
  source, draw = from_files(folder, (0,), num_workers=0)
  with pytest.raises(UserError, match='batch of 8 .* data:3'):
    fit(source, draw, settings=dict(mesh={'data': 3}))
