"""What a table shows at first sight: columns that vary, arms that matter.

The rest of it stands behind a fold, see `tables_of` of `page`.
"""

import numpy as np

from assay.report.tables import NONE


def short(table, read=None, chance=None):
  """A table without what says nothing; the same object if all of it does.

  Left out are columns in which nothing varies: those that show one text, and
  measured ones without published numbers that no claim reads and whose means
  differ by less than one of their standard deviations. Left out too are arms at
  chance, on their data and setting, that no claim reads.

  Args:
    table: of `tables.table`.
    read: row fields of each mean that a claim on this variant reads, see
      `cells`; None: any.
    chance: metric -> (low, high) of chance on the test set, {} if unknown.
  """
  arms = [i for i in range(len(table['rows']))
          if read is None or not _at_chance(table, i, chance or {})
          or any(_names(cell, table['arms'][i]) for cell in read)]
  arms = arms or list(range(len(table['rows'])))
  columns = [j for j, name in enumerate(table['columns'])
             if _varies(table, name, j, arms, read)]
  if columns[-1] < table['labels']:  # no measured one
    columns = list(range(len(table['columns'])))
  if len(arms) == len(table['rows']) and len(columns) == len(table['columns']):
    return table
  return table | {
      'columns': [table['columns'][j] for j in columns],
      'labels': sum(j < table['labels'] for j in columns),
      'arms': [table['arms'][i] for i in arms],
      'rows': [[table['rows'][i][j] for j in columns] for i in arms]}


def cells(claims):
  """Row fields of all means that claims read; None where one does not say."""
  if not all(hasattr(claim.check, 'cells') for claim in claims):
    return None
  return [claim.where | cell for claim in claims for cell in claim.check.cells]


def _names(cell, arm):
  """Whether what a claim reads may be a mean of this arm."""
  return 'method' in cell and all(
      cell[k] == v for k, v in arm.items() if k in cell)


def _at_chance(table, i, chance):
  """Whether all that chance is known of is at chance."""
  means = [(chance[metric], summaries[i]['mean'])
           for metric, split, summaries in table['cells'].values()
           if metric in chance and split == 'test' and summaries[i]
           and summaries[i]['mean'] is not None]
  return bool(means) and all(low <= mean <= high for (low, high), mean in means)


def _varies(table, name, j, arms, read):
  """Whether a column says something of these arms."""
  texts = {table['rows'][i][j] for i in arms} - {NONE}
  if name == 'arm' or len(arms) == 1:
    return True
  if len(texts) < 2 and not name.endswith(' published'):
    return False
  if name not in table['cells'] or f'{name} published' in table['columns']:
    return True
  metric, split, summaries = table['cells'][name]
  if read is None or any(cell['metric'] == metric and cell['split'] == split
                         for cell in read):
    return True
  known = [s for i in arms if (s := summaries[i]) and s['mean'] is not None]
  return np.ptp([s['mean'] for s in known]) > max(
      [s['std'] or 0 for s in known])
