"""Scalars of TensorBoard event files, without TensorFlow.

A file is a sequence of records: length (uint64), its checksum (uint32), that
many bytes, their checksum. A record is a protocol buffer `Event`, of which the
fields 2 (step) and 5 (summary) are read here, and of a summary's values 1
(tag), 2 (simple_value) and 8 (a tensor, what TensorFlow 2 writes).
"""

import struct

from assay.errors import UserError
from assay.judge import files, names

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
FLOAT, DOUBLE = 1, 2  # DataType of a tensor


def table(paths, root):
  """The last value of each tag of each run: a `files.Table`.

  A run is a folder; its path below `root` ends in a number, which is the seed,
  and what stands before it is the method: `ours/seed3`, `ours_3`.

  Raises:
    UserError: a folder has no such name, or a file is damaged.
  """
  runs = {}
  for path in paths:
    run = path.parent.relative_to(root).as_posix()
    own = runs.setdefault(run, {})
    for step, tag, value in scalars(path):
      if tag not in own or step >= own[tag][0]:
        own[tag] = step, value
  known = names.of_runs(runs)
  if known is None:
    raise UserError(f'{root}: folders of runs must end in their seed, as '
                    'METHOD/SEED or METHOD_seedSEED, two or more of a method; '
                    f'found: {", ".join(list(runs)[:6])}.')
  tags = dict.fromkeys(tag for own in runs.values() for tag in own)
  if not tags:
    raise UserError(f'{root}: its event files hold no scalars; write some by '
                    'add_scalar, or give a table of results.')
  columns = {'method': [known[run][0] for run in runs],
             'seed': [known[run][1] for run in runs]}
  columns |= {tag: [own.get(tag, (0, None))[1] for own in runs.values()]
              for tag in tags}
  return files.Table(str(root), columns, list(runs), 'run')


def scalars(path):
  """Yields (step, tag, value) of an event file, in its order.

  What a run that was killed left half written at the end is passed over.

  Raises:
    UserError: it is no event file.
  """
  data, at = path.read_bytes(), 0
  while at + 12 <= len(data):
    length, = struct.unpack_from('<Q', data, at)
    end = at + 12 + length
    if end + 4 > len(data):
      if at:
        return  # half written
      raise UserError(f'{path}: is no TensorBoard event file; write it '
                      'anew, or take it away.')
    try:
      yield from _of_event(data[at + 12:end])
    except (IndexError, struct.error, UnicodeDecodeError, ValueError) as error:
      raise UserError(f'{path}: damaged at byte {at} ({error}); write it '
                      'anew, or take it away.') from error
    at = end + 4


def _of_event(data):
  step, summaries = 0, []
  for field, value in _fields(data):
    if field == 2:
      step = value
    elif field == 5:
      summaries.append(value)
  for summary in summaries:
    for field, value in _fields(summary):
      if field == 1:
        tag, number = _of_value(value)
        if number is not None:
          yield step, tag, number


def _of_value(data):
  tag, number = '', None
  for field, value in _fields(data):
    if field == 1:
      tag = value.decode()
    elif field == 2 and len(value) == 4:
      number, = struct.unpack('<f', value)
    elif field == 8:
      number = _of_tensor(value)
  return tag, number


def _of_tensor(data):
  """The number in a tensor of one; None of any other tensor."""
  kind, content = 0, b''
  for field, value in _fields(data):
    if field == 1:
      kind = value
    elif field in (4, 5, 6):  # content, or a list of floats or of doubles
      content += value
  form = {FLOAT: '<f', DOUBLE: '<d'}.get(kind)
  if form is None or len(content) != struct.calcsize(form):
    return None
  return struct.unpack(form, content)[0]


def _fields(data):
  """Yields (number of a field, its int or bytes)."""
  at = 0
  while at < len(data):
    key, at = _varint(data, at)
    kind = key & 7
    if kind == _VARINT:
      value, at = _varint(data, at)
    else:
      if kind == _BYTES:
        size, at = _varint(data, at)
      elif kind in (_EIGHT, _FOUR):
        size = 8 if kind == _EIGHT else 4
      else:
        raise ValueError(f'a field of kind {kind}')
      value, at = data[at:at + size], at + size
      if at > len(data):
        raise ValueError('a field ends behind its record')
    yield key >> 3, value


def _varint(data, at):
  value, shift = 0, 0
  while True:
    byte = data[at]
    value |= (byte & 127) << shift
    at, shift = at + 1, shift + 7
    if not byte & 128:
      return value, at
