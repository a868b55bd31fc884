"""DTI: drugs and proteins with their affinity, by the year of the patent.

BindingDB_Patent of the DTI_DG group of Therapeutics Data Commons (Huang et al.,
2021), as C-Mixup's code reads it: a model is trained on the years 2013 to 2018
and tested on 2019 and 2020. TDC makes the files; no checksum of them is known
here, so that each cell is looked at.
"""

import csv

import numpy as np

from assay.data import files
from assay.errors import UserError

FOLDER = 'dti_dg_group/bindingdb_patent'
FILES = {'train_val': range(2013, 2019), 'test': range(2019, 2022)}
HOW = ('Therapeutics Data Commons makes it: pip install PyTDC, and in Python '
       "tdc.BenchmarkGroup(name='DTI_DG_Group', path=DIR)"
       ".get('BindingDB_Patent').")
# Position of each character; the first stands for others and for the end.
PROTEIN = '?ABCDEFGHIKLMNOPQRSTUVWXYZ'
DRUG = '?#%()+-.0123456789=ABCDEFGHIKLMNOPRSTUVWYZ[]_abcdefghilmnorstuy'
LENGTHS = {'Drug': (DRUG, 100), 'Target': (PROTEIN, 1000)}


def load(data_dir=None):
  """The pairs of both files, in their order.

  Args:
    data_dir: as `files.find` takes it.

  Returns:
    dict of drug [N, 100] uint8, positions in `DRUG`; protein [N, 1000] uint8,
    positions in `PROTEIN`; y [N, 1] float32, log affinity; year [N] int32.
    jax.nn.one_hot makes of a position what the published network reads.

  Raises:
    UserError: a file is missing, with how to make it; a column or a cell is
      not as it must be, with its line.
  """
  found = {'drug': [], 'protein': [], 'y': [], 'year': []}
  encoded = {}  # few drugs and fewer proteins make many pairs
  for part, years in FILES.items():
    path = files.find_unverified(f'{FOLDER}/{part}.csv', HOW, data_dir)
    with open(path, newline='', encoding='utf-8') as file:
      rows = csv.DictReader(file)
      lacking = {'Drug', 'Target', 'Y', 'Year'}.difference(
          rows.fieldnames or ())
      if lacking:
        raise UserError(f'{path} lacks the columns {sorted(lacking)}; make it '
                        f'again. {HOW}')
      for row in rows:
        where = f'{path}, line {rows.line_num}'
        for name, column in (('drug', 'Drug'), ('protein', 'Target')):
          if not row[column]:
            raise UserError(f'{where}: {column} is empty; make the file again.')
          key = column, row[column]
          if key not in encoded:
            encoded[key] = encode(row[column], *LENGTHS[column])
          found[name].append(encoded[key])
        found['y'].append([_number(row['Y'], 'Y', where)])
        found['year'].append(_number(row['Year'], 'Year', where))
        if found['year'][-1] not in years:
          raise UserError(f'{where}: Year is {row["Year"]!r:.20}; {part}.csv '
                          f'has {years[0]} to {years[-1]}: make it again.')
  dtypes = {'y': np.float32, 'year': np.int32}
  return {k: np.array(v, dtypes.get(k, np.uint8)) for k, v in found.items()}


def encode(text, alphabet, length):
  """Positions of characters in an alphabet, [length] uint8, cut or padded.

  Where the alphabet has no small letters the text's are read as capitals.
  """
  text = text if alphabet != alphabet.upper() else text.upper()
  known = {c: i for i, c in enumerate(alphabet)}
  found = np.zeros(length, np.uint8)
  for i, c in enumerate(text[:length]):
    found[i] = known.get(c, 0)
  return found


def splits(year, seed):
  """Rows to train on, 80 % of each year to 2018, to validate and to test on.

  Args:
    year: [N] int.
    seed: of the choice within a year.

  Returns:
    dict of train, val, test: [n] int32; 2021 is left out, as by the code.
  """
  rng, parts = np.random.default_rng(seed), {'train': [], 'val': []}
  for one in FILES['train_val']:
    rows = rng.permutation(np.flatnonzero(year == one))
    cut = int(.8 * len(rows))
    parts['train'].append(rows[:cut])
    parts['val'].append(rows[cut:])
  return {k: np.concatenate(v).astype(np.int32) for k, v in parts.items()} | {
      'test': np.flatnonzero(np.isin(year, (2019, 2020))).astype(np.int32)}


def _number(text, column, where):
  try:
    value = float(text)
  except (TypeError, ValueError):
    value = np.nan
  if not np.isfinite(value):
    raise UserError(f'{where}: {column} is {text!r:.40}; it must be a finite '
                    'number: make the file again.')
  return value
