"""Sweeps from the command line: --sweep.rho=0.01,0.05,0.1.

A sweep is one run of a variant for each value of one field of its config, as
`--config.rho=0.01` would make it, each in a workdir of its own; so all that an
experiment makes of its config, data too, follows the value. More values extend
a sweep. What is printed and written beside the runs is all rows together, with
the value as a field of each:

    out/<paper>/<variant>-rho/
      rho=0.01/ ...                   workdirs, see `assay.study`
      rows.jsonl, runs/               all rows; how they came about
      table.md, <metric>_by_rho.png
"""

import pathlib
import re
from typing import NamedTuple

from assay import config as config_lib
from assay import stores
from assay.errors import UserError, plain

FLAG = '--sweep.'
USAGE = f'{FLAG}FIELD=VALUE,VALUE'
# They say how a study was planned; no computed number depends on them.
PLANS = ('num_seeds', 'seed_varies', 'scale', 'sweep')


def taken(arguments):
  """((field, texts) of the one flag for a sweep, or None; the other arguments).

  Raises:
    UserError: two such flags, or one of another form.
  """
  mine = [a for a in arguments if a.startswith(FLAG) or
          a.partition('=')[0] == FLAG[:-1]]
  if not mine:
    return None, arguments
  if len(mine) > 1:
    raise UserError(f'{" ".join(mine)}: sweep one field at a time; for others '
                    'repeat the command with --config.FIELD=VALUE.')
  found = re.fullmatch(re.escape(FLAG) + r'([\w.]+)=(.*)', mine[0])
  if not found:
    raise UserError(f'{mine[0]}: must be of the form {USAGE}.')
  texts = [text.strip() for text in found[2].split(',')]
  return (found[1], texts), [a for a in arguments if a not in mine]


def values_of(module, config, field, texts):
  """The values of a sweep, of the field's type.

  Args:
    module: configuration module; the fields in its GRID are tuned by a variant
      with `trials`.
    config: the variant's, as it is without the sweep.
    field: path of the field.
    texts: the values as texts.

  Raises:
    UserError: no such field, a text that is not of its type, a value that is
      there twice or can be in no row, or a field whose value would not count.
  """
  configs = [config_lib.apply(config, {field: text}, FLAG) for text in texts]
  for each in configs:
    config_lib.check(each, getattr(module, 'BOUNDS', {}))
  values = [config_lib.paths(each)[field] for each in configs]
  given = f'{FLAG}{field}={",".join(texts)}'
  field = field.rpartition('.')[2]
  if field in PLANS:
    raise UserError(f'{given}: no number depends on {field}; sweep '
                    'another field.')
  if isinstance(values[0], tuple):
    raise UserError(f'{given}: {field} is a tuple, and rows hold numbers and '
                    'words; make variants in the config instead.')
  for text in texts:
    if not re.fullmatch(r'[\w.+-]*', text):
      raise UserError(f'{given}: {text!r} cannot be part of a file name.')
  if len(set(values)) < len(values):
    raise UserError(f'{given}: a value is there twice; give each once.')
  if field == config.sweep.rpartition('.')[2]:
    raise UserError(f'{given}: the variant sweeps {field} itself; use '
                    '--config.sweep_values.')
  if config.get('trials') and field in getattr(module, 'GRID', {}):
    raise UserError(f'{given}: the variant tunes {field} itself; use '
                    '--config.trials=0 to stop that.')
  return values


class Sweep(NamedTuple):
  """What is shown of all runs together.

  Attributes:
    field: that is swept, by its own name.
    workdir: of the whole sweep.
    folders: {value: workdir of its run}.
  """
  field: str
  workdir: pathlib.Path
  folders: dict


def planned(paper, variant, name, module, fields, sweep, workdir):
  """(the `Sweep`, (override, workdir, title) of each run).

  Args:
    paper: its name.
    variant: the variant's.
    name: of a folder, of the variant and what `fields` change in it.
    module: configuration module.
    fields: path of a field -> text, overrides of the config.
    sweep: (path of the field, texts) from `taken`.
    workdir: of the whole sweep, or None.

  Raises:
    UserError: see `values_of`; the field is overridden, too.
  """
  path, texts = sweep
  if path in fields:
    raise UserError(f'--config.{path} and {FLAG}{path}: use one of them.')
  config = config_lib.apply(module.get_config(variant), fields)
  values = values_of(module, config, path, texts)
  field = path.rpartition('.')[2]
  # `airfoil,alpha=1.0` swept over bandwidths is `airfoil-bandwidth,alpha=1.0`.
  default = f'out/{paper}/{variant}-{field}{name.removeprefix(variant)}'
  workdir = stores.path(workdir or default)
  folders = {value: workdir / f'{field}={value}' for value in values}
  return Sweep(field, workdir, folders), [
      ({path: text}, folder, f'{paper}:{variant} with {field}={text}')
      for text, folder in zip(texts, folders.values(), strict=True)]


def joined(field, folders):
  """The rows of all folders, each with the value of the field.

  Args:
    field: name of the field.
    folders: {value: workdir}.

  Raises:
    UserError: the experiment sets the field itself, so the sweep is not true.
  """
  from assay import results

  rows = []
  for value, folder in folders.items():
    for row in results.read([folder]):
      if field in row:
        raise UserError(f'{folder}: its rows have {field}={row[field]} of '
                        'their own; sweep another field.')
      rows.append(row | {field: value})
  return rows


def show(paper, sweep):
  """Prints the table of a `Sweep`; writes its rows, table and figures."""
  from rich.console import Console

  from assay import disk, results
  from assay.report import page, tables

  field, _, folders = sweep
  rows = joined(field, folders)
  runs = results.read_runs(folders.values())
  table = page.table_of(rows, paper)
  console = Console()
  console.print('', tables.to_terminal(table, console.width), sep='\n')
  with stores.written(sweep.workdir) as workdir:
    results.write(workdir / 'rows.jsonl', rows)
    for name, run_info in runs.items():
      disk.write_json(workdir / 'runs' / f'{name}.json', run_info)
    text = '\n\n'.join([tables.to_markdown(table), page.tested_on(rows, runs)])
    disk.write_bytes(workdir / 'table.md', f'{text}\n'.encode())
    written = [workdir / 'rows.jsonl', workdir / 'table.md',
               *_plotted(rows, field, table['metrics'], workdir)]
  print('\nWritten: ' + ', '.join(plain(path) for path in written))


def _plotted(rows, field, metrics, workdir):
  """Draws each metric over the field; returns the files."""
  from assay import results
  from assay.report import plots

  files = []
  test = [row for row in rows if row['split'] == 'test' and row['group'] == '']
  state = 'best' if any(row['state'] == 'best' for row in test) else 'last'
  datasets = results.group_by(test, 'dataset')
  for dataset, tested in datasets.items():
    # The interval over re-splits asks rows of training for their number.
    own = [row for row in rows if row['dataset'] == dataset]
    measured = results.group_by(tested, 'metric')
    for metric in filter(measured.get, metrics):
      where = f'_{dataset}' if len(datasets) > 1 else ''
      files.append(workdir / f'{metric}_by_{field}{where}.png')
      plots.save(plots.sweep(own, metric, field, state=state), files[-1])
  return files
