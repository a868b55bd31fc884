"""PovertyMap of WILDS (Koh et al., 2021): wealth from images, by country.

Satellite images of places in 23 African countries with an index of wealth; a
fold trains on some countries, and validates and tests on others. WILDS fetches
the 13 GB; no checksum of them is known here, so that each number is looked at.
"""

import csv
import io
import zipfile

import numpy as np

from assay.data import files
from assay.errors import UserError

FOLDER = 'poverty_v1.1'
HOW = ('WILDS fetches it: pip install wilds, and in Python wilds.get_dataset('
       "'poverty', root_dir=DIR, download=True).")
SHAPE = 8, 224, 224  # of an image, bands first
MAX_BYTES = 2**23
# The test countries of each fold; those of the next one, and of A after E, are
# for validation.
TEST_COUNTRIES = {
    'A': ('angola', 'cote_d_ivoire', 'ethiopia', 'mali', 'rwanda'),
    'B': ('benin', 'burkina_faso', 'guinea', 'sierra_leone', 'tanzania'),
    'C': ('cameroon', 'ghana', 'malawi', 'zimbabwe'),
    'D': ('democratic_republic_of_congo', 'mozambique', 'nigeria', 'togo',
          'uganda'),
    'E': ('kenya', 'lesotho', 'senegal', 'zambia')}
COUNTRIES = tuple(sorted(sum(TEST_COUNTRIES.values(), ())))


def load(data_dir=None):
  """What is known of each place, in the order of its images.

  Args:
    data_dir: as `files.find` takes it.

  Returns:
    dict of y [N, 1] float32, the index of wealth; domain [N] int32, a position
    in `COUNTRIES`; urban [N] bool.

  Raises:
    UserError: the file is missing, with how to make it; a column or a cell is
      not as it must be, with its line.
  """
  path = files.find_unverified(f'{FOLDER}/dhs_metadata.csv', HOW, data_dir)
  found = {'y': [], 'domain': [], 'urban': []}
  with open(path, newline='', encoding='utf-8') as file:
    rows = csv.DictReader(file)
    lacking = {'country', 'urban', 'wealthpooled'}.difference(
        rows.fieldnames or ())
    if lacking:
      raise UserError(f'{path} lacks the columns {sorted(lacking)}; replace '
                      f'it. {HOW}')
    for row in rows:
      try:
        place = COUNTRIES.index(row['country'])
        wealth, urban = float(row['wealthpooled']), bool(int(
            {'True': 1, 'False': 0}.get(row['urban'], row['urban'])))
      except (TypeError, ValueError):
        wealth = np.nan
      if not np.isfinite(wealth):
        raise UserError(
            f'{path}, line {rows.line_num}: country, urban or wealthpooled is '
            f'not as it must be ({row["country"]!r:.40}, {row["urban"]!r:.20}, '
            f'{row["wealthpooled"]!r:.20}); replace the file.')
      for name, value in zip(found, ([wealth], place, urban), strict=True):
        found[name].append(value)
  dtypes = {'y': np.float32, 'domain': np.int32, 'urban': bool}
  return {k: np.array(v, dtypes[k]) for k, v in found.items()}


def image(index, data_dir=None):
  """The image of one place, [8, 224, 224] float32, standardized by band.

  Raises:
    UserError: the file is missing, or holds no such image.
  """
  path = files.find_unverified(
      f'{FOLDER}/images/landsat_poverty_img_{index}.npz', HOW, data_dir)
  try:
    with zipfile.ZipFile(path) as archive, archive.open('x.npy') as member:
      found = np.lib.format.read_array(io.BytesIO(member.read(MAX_BYTES)),
                                       allow_pickle=False)
  except Exception as e:  # wrong bytes may break a reader in any way
    raise UserError(f'{path} holds no image ({str(e) or type(e).__name__:.200})'
                    '; replace it.') from e
  if found.shape != SHAPE or not np.isfinite(found).all():
    raise UserError(f'{path} holds {found.dtype} {found.shape}, not finite '
                    f'numbers of shape {SHAPE}; replace it.')
  return found.astype(np.float32)


def splits(domain, fold):
  """Rows to train on, validate on and test on, each of its own countries.

  Args:
    domain: [N] int, positions in `COUNTRIES`.
    fold: 'A' to 'E'.

  Returns:
    dict of train, val, test: [n] int32.

  Raises:
    UserError: no such fold.
  """
  if fold not in TEST_COUNTRIES:
    raise UserError(f'fold={fold!r} must be one of '
                    f'{", ".join(TEST_COUNTRIES)}.')
  names = [*TEST_COUNTRIES, *TEST_COUNTRIES]
  of = {'val': names[names.index(fold) + 1], 'test': fold}
  held = {split: np.isin(domain, [COUNTRIES.index(c) for c in
                                  TEST_COUNTRIES[name]])
          for split, name in of.items()}
  held = {'train': ~(held['val'] | held['test'])} | held
  return {k: np.flatnonzero(v).astype(np.int32) for k, v in held.items()}
