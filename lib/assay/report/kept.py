"""Verdicts kept beside the rows they were judged on: `verdicts.json`.

Judging takes longer than all else that a page needs. So claims are judged when
rows are published or tables written, and a verdict is kept with digests of what
it depends on: the rows that the claim selects, its check, and the code that
judges. Where one of them is another today, the claim is judged again. Beside it
stands what the correction for all claims together makes of it, `standing`.
"""

import ast
import functools
import hashlib
import math
import pathlib
from typing import NamedTuple

from assay import claims, disk, results
from assay.claims import checks, samples
from assay.claims.rules import Verdict
from assay.errors import UserError
from assay.report import verdicts
from assay.results import code

FILE = 'verdicts.json'


class Kept(NamedTuple):
  """What `judge` gives.

  Attributes:
    judged: a `claims.Judged` for each claim that speaks about the rows.
    changes: texts, for each claim that was judged again: which and why.
    told: name of a claim -> its entry of the file.
  """
  judged: list
  changes: list
  told: dict

  @property
  def text(self):
    """What the file should hold."""
    lines = ',\n'.join(f'{disk.dumps(name)}: {disk.dumps(entry)}'
                       for name, entry in self.told.items())
    return f'{{"code": "{_code()}", "claims": {{\n{lines}\n}}}}\n'


def judge(everything, rows, folder=None):
  """A `Kept` with the verdicts on the claims of a paper.

  Args:
    everything: the paper's claims.
    rows: of the paper, as `results.read` gives them.
    folder: `results/<paper>`, to take verdicts from; None: all are judged.
  """
  before, changes = _read(folder), []
  same = bool(before['claims']) and before['code'] == _code()
  digest = functools.cache(lambda where: results.digest(
      [row for row in rows if samples.matches(row, dict(where))]))
  tested, found, told = claims.about(everything, rows), [], {}
  for claim in tested:
    entry = before['claims'].get(claim.name)
    asked = {'check': checks.digest(claim.check),
             'rows': digest(tuple(claim.where.items()))}
    differ = ['verdict'] if entry is None else [] if same else ['code']
    differ = differ or [k for k in asked if entry.get(k) != asked[k]]
    verdict = None if differ else _decoded(entry)
    if verdict is None:
      verdict = claims.verdict_of(claim, rows)
      changes.append(f'{claim.name}: judged again, another '
                     + (' and other '.join(differ) or 'verdict'))
    found.append(verdict)
    told[claim.name] = asked | _encoded(*verdict)
  judged = claims.adjusted(tested, found)
  for item in judged:
    if item.verdict:
      told[item.claim.name] |= {'standing': item.standing,
                                'p_holm': item.p_holm}
  changes += [f'{name}: no claim any longer'
              for name in before['claims'] if name not in told]
  return Kept(judged, changes, told)


def write(folder, kept):
  """Writes the file of `results/<paper>`, if it is not what it should be."""
  file = pathlib.Path(folder) / FILE
  if not file.exists() or file.read_bytes() != kept.text.encode():
    disk.write_bytes(file, kept.text.encode())


def _read(folder):
  """What a folder's file holds; nothing if it is gone or damaged."""
  nothing = {'code': '', 'claims': {}}
  if folder is None:
    return nothing
  try:
    found = disk.read_json(pathlib.Path(folder) / FILE,
                           {'code': str, 'claims': dict})
  except UserError:
    return nothing
  return found if all(isinstance(entry, dict)
                      for entry in found['claims'].values()) else nothing


@functools.cache
def _code():
  """16 hex digits over the code that judges."""
  folder = pathlib.Path(claims.__file__).parent
  digest = hashlib.sha256()
  for file in sorted(folder.glob('*.py')):
    if file.stem not in ('examples', '__main__'):
      digest.update(code.code_of(ast.parse(file.read_text())).encode())
  return digest.hexdigest()[:16]


def _encoded(verdict, where):
  """What an entry says of a verdict, or of why there is none."""
  if verdict is None:
    return {'untested': where}
  return {field: _plain(value) for field, value in verdict._asdict().items()
          if field not in Verdict._field_defaults
          or value != Verdict._field_defaults[field]}


def _plain(value):
  """As JSON has it, which knows no NaN."""
  if isinstance(value, Verdict):
    return _encoded(value, '')
  if isinstance(value, tuple):
    return list(map(_plain, value))
  return 'nan' if isinstance(value, float) and math.isnan(value) else value


def _decoded(entry):
  """(verdict, where tested) of an entry; None if it is damaged."""
  if isinstance(entry.get('untested'), str):
    return None, entry['untested']
  try:
    verdict = _verdict(entry)
  except (KeyError, TypeError, ValueError):
    return None
  return verdict, verdict.tested


def _verdict(entry):
  state, texts = entry['state'], [
      entry.get(k, '') for k in ('method', 'note', 'tested', 'elsewhere')]
  if state not in verdicts.STATES or not all(
      isinstance(text, str) and text.isprintable() for text in texts):
    raise ValueError('no verdict')
  pair = lambda k: tuple(map(float, entry[k])) if k in entry else None
  method, note, tested, elsewhere = texts
  return Verdict(
      state, *(float(entry[k]) for k in ('estimate', 'low', 'high')),
      int(entry['n']), method, note,
      float(entry['p']) if 'p' in entry else None,
      pair('naive'), tested, elsewhere,
      tuple((str(name), _verdict(part)) for name, part in entry.get(
          'parts', ())), pair('bootstrap'), pair('region'),
      float(entry['p_sign_flip']) if 'p_sign_flip' in entry else None,
      int(entry['needed']) if 'needed' in entry else None)
