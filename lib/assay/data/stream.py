"""Data that does not fit in memory: records, decoded in worker processes.

`streamed` turns the indices of each step, as data in memory have them, into the
examples themselves. What a batch holds is still a function of seed and step:
resuming, other devices and other hosts see the same batches, and a host reads
only its own rows of each. grain does the prefetching.

    records = stream.array_records('imagenet/train')
    order = tabular.epoch_items(len(records), 256, seed)
    items = stream.streamed(lambda position, start, stop: order(start, stop),
                            records, stream.decode_image)
    source = train.Source(shared={}, own={}, items=items, batch_size=256)

`draw(shared, own, item, key)` then finds the examples in `item`.
"""

import functools
import io
import os
import pathlib
import sys
import weakref

import numpy as np

from assay.errors import UserError

SUFFIX = '.array_record'


def streamed(items, records, decode, num_workers=1, ahead=4):
  """Turns indices into decoded examples: the `items` of a `train.Source`.

  Args:
    items: `(position, start, stop) -> [stop - start, B]` indices of the records
      that the seed at this position sees at these steps.
    records: `len(records)`, `records[i]`, and perhaps many at once by
      `records.__getitems__(indices)`: from `array_records`, or what
      `tfds.data_source` gives.
    decode: record -> dict of arrays, of one shape and dtype for all records. It
      goes to other processes: a function of a module, or one that cloudpickle
      can send.
    num_workers: processes of each seed; 0 decodes in a thread of this one.
    ahead: batches that each worker has ready.

  Returns:
    `(position, start, stop, rows) -> dict` of arrays [stop - start, rows, ...];
    `rows` is a slice of a batch. Read ahead is what follows the last call; any
    other range is read when it is asked for.

  Raises:
    UserError: negative `num_workers`; `ahead` below 1. When called: a record
      cannot be read or decoded.

  Example:
    >>> import numpy as np
    >>> from assay.data import stream
    >>> order = np.array([[3, 0], [2, 1]])  # of two steps
    >>> read = stream.streamed(lambda position, start, stop: order[start:stop],
    ...                        'abcd', lambda record: {'x': ord(record)})
    >>> read(0, 0, 2, slice(0, 2))['x'].tolist()  # 'da', then 'cb'
    [[100, 97], [99, 98]]
  """
  if num_workers < 0 or ahead < 1:
    raise UserError(f'num_workers={num_workers}, ahead={ahead}: use 0 or more '
                    'workers, and 1 batch ahead or more.')
  readers = {}

  def read(position, start, stop, rows):
    key = position, rows.start, rows.stop
    if key not in readers:
      batch = functools.partial(_batch, items, records, decode, position, rows)
      readers[key] = _Reader(batch, num_workers, ahead)
    return readers[key](start, stop)

  return read


def _batch(items, records, decode, position, rows, step):
  """The rows of one step, a dict of arrays [rows, ...]."""
  indices = np.asarray(items(position, step, step + 1))[0, rows].tolist()
  get = getattr(records, '__getitems__', None)
  try:
    found = get(indices) if get else [records[i] for i in indices]
  except Exception as error:  # each kind of source has its own
    raise UserError(f'step {step}: records {_some(indices)} cannot be read: '
                    f'{error}; write the damaged file again.') from error
  examples = []
  for index, record in zip(indices, found, strict=True):
    try:
      examples.append(decode(record))
    except Exception as error:  # wrong bytes may break a decoder in any way
      raise UserError(f'record {index} cannot be decoded: {error!r}; write it '
                      'again, or mend `decode`.') from error
  return {k: np.stack([example[k] for example in examples])
          for k in examples[0]}


def _some(indices):
  text = ', '.join(map(str, indices[:5]))
  return text + ', ...' * (len(indices) > 5)


class _Reader:
  """Consecutive steps of one seed; workers start with the second call."""

  def __init__(self, batch, num_workers, ahead):
    self._batch = batch
    self._num_workers = num_workers
    self._ahead = ahead
    self._next = None  # step
    self._iterator = None
    self._close = lambda: None

  def __call__(self, start, stop):
    if start != self._next:
      self._close()
      self._iterator = None
      batches = [self._batch(step) for step in range(start, stop)]
    else:
      if self._iterator is None:
        self._iterator = self._started(start)
        # Also at the interpreter's exit, where workers would else complain.
        self._close = weakref.finalize(self, self._iterator.close)
      # Copied: what a worker sends lies in memory that it will use again.
      batches = [{k: np.array(v) for k, v in self._received().items()}
                 for _ in range(start, stop)]
    self._next = stop
    return {k: np.stack([batch[k] for batch in batches]) for k in batches[0]}

  def _started(self, start):
    """An iterator over the batches from a step on."""
    from absl import flags
    import grain  # only where data is streamed

    if not flags.FLAGS.is_parsed():
      flags.FLAGS.mark_as_parsed()  # grain's workers read some
    found = grain.MapDataset.range(start, sys.maxsize).map(
        functools.partial(_attempt, self._batch)).to_iter_dataset(
            grain.ReadOptions(num_threads=1, prefetch_buffer_size=self._ahead))
    if self._num_workers:
      found = found.mp_prefetch(grain.MultiprocessingOptions(
          num_workers=self._num_workers, per_worker_buffer_size=self._ahead))
    return iter(found)

  def _received(self):
    batch = next(self._iterator)
    if isinstance(batch, str):
      raise UserError(batch)
    return batch


def _attempt(batch, step):
  """What `batch(step)` gives, or the text of its error.

  A worker that raised would end the pipeline with its own traceback.
  """
  try:
    return batch(step)
  except UserError as error:
    return str(error)


# --- Files -------------------------------------------------------------------


def array_records(folder):
  """The records of all ArrayRecord files in a folder, in the order of names.

  Raises:
    UserError: no such files; of those written by `write`, one is missing.
  """
  import grain

  files = sorted(pathlib.Path(folder).glob(f'*{SUFFIX}'))
  if not files:
    raise UserError(f'{folder} holds no *{SUFFIX} files; name the folder that '
                    'does, or write them with assay.data.stream.write.')
  names = {file.name for file in files}
  for name in sorted(names):
    stem, of, count = name.removesuffix(SUFFIX).rpartition('-of-')
    if of and count.isdecimal():
      missing = {_name(i, int(count)) for i in range(int(count))} - names
      if stem.startswith('part-') and missing:
        raise UserError(f'{folder} lacks {min(missing)}; write the records '
                        'again.')
  return grain.sources.ArrayRecordDataSource([str(file) for file in files])


def write(folder, records, num_parts=1):
  """Writes records to new ArrayRecord files; returns how many.

  Args:
    folder: made where it does not exist.
    records: iterable of bytes, for example from `encode_image`.
    num_parts: files; record i goes to file i modulo their number.

  Raises:
    UserError: the folder has such files already; no record; no file.
  """
  from array_record.python import array_record_module

  folder = pathlib.Path(folder)
  if num_parts < 1:
    raise UserError(f'num_parts={num_parts}; use 1 or more.')
  if list(folder.glob(f'*{SUFFIX}')):
    raise UserError(f'{folder} holds *{SUFFIX} files already; use an empty '
                    'folder.')
  folder.mkdir(parents=True, exist_ok=True)
  # One record a group: any of them is read alone.
  written = [folder / f'.{_name(i, num_parts)}.tmp' for i in range(num_parts)]
  writers = [array_record_module.ArrayRecordWriter(str(file), 'group_size:1')
             for file in written]
  count = 0
  for record in records:
    writers[count % num_parts].write(record)
    count += 1
  for writer in writers:
    writer.close()
  if count:
    for i, file in enumerate(written):
      os.replace(file, folder / _name(i, num_parts))
    return count
  for file in written:
    file.unlink()
  raise UserError('there are no records to write; give one or more.')


def _name(index, count):
  return f'part-{index:05}-of-{count:05}{SUFFIX}'


def encode_image(x, y):
  """A record of an image: its label, int32 little-endian, then a PNG file.

  Args:
    x: [H, W, C] uint8, C 1 or 3; or [H, W], which is read back as C 1.
    y: integer in the range of int32.

  Raises:
    ValueError: an array of another kind, or a label that does not fit.
  """
  from PIL import Image

  x = np.asarray(x)
  if x.ndim == 3 and x.shape[2] == 1:
    x = x[..., 0]
  if x.dtype != np.uint8 or not x.size or not (
      x.ndim == 2 or x.ndim == 3 and x.shape[2] == 3):
    raise ValueError(f'x is {x.dtype} {x.shape}; give uint8 [H, W], [H, W, 1] '
                     'or [H, W, 3], of one pixel or more.')
  if int(y) != y or not -2**31 <= y < 2**31:
    raise ValueError(f'y={y!r:.40}; give an integer in [-2**31, 2**31).')
  file = io.BytesIO()
  Image.fromarray(x).save(file, 'png')
  return np.array(y, '<i4').tobytes() + file.getvalue()


def decode_image(record):
  """`x` [H, W, C] uint8 and `y` [] int32 of a record from `encode_image`.

  C is 1 or 3. A JPEG file in place of the PNG is read too; a palette gives its
  colors, and black and white are 0 and 255.

  Raises:
    ValueError: another format, transparent pixels, more than 8 bits, or more
      than `images.folders.MAX_PIXELS`.

  Example:
    >>> import numpy as np
    >>> from assay.data import stream
    >>> record = stream.encode_image(np.zeros((4, 4, 1), np.uint8), 7)
    >>> example = stream.decode_image(record)
    >>> example['x'].shape, int(example['y'])
    ((4, 4, 1), 7)
  """
  from PIL import Image

  from assay.data.images import folders

  try:
    with Image.open(io.BytesIO(record[4:]), formats=('PNG', 'JPEG')) as file:
      folders.bound(file)
      x = np.asarray(folders.plain(file))
  except Exception as error:  # wrong bytes may break a decoder in any way
    what = str(error) or type(error).__name__
    raise ValueError(f'{len(record)} bytes are not a label and an image: '
                     f'{what:.200}; write the record again.') from error
  return {'x': x if x.ndim == 3 else x[..., None],
          'y': np.frombuffer(record[:4], '<i4')[0]}
