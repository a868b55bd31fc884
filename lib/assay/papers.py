"""Papers by name: the only place that turns a string into an import."""
import importlib
import importlib.util
import pathlib
import re
import sys

from assay.errors import UserError

# lib/assay/papers.py -> the clone's root, where experiments/ and configs/ are.
ROOT = pathlib.Path(__file__).resolve().parents[2]


def names(package='experiments'):
  """The papers that have a file in `experiments/` (or `configs/`), sorted.

  Raises:
    UserError: no such folder; experiments run from a clone.
  """
  if not importlib.util.find_spec(package) and (ROOT / package).is_dir():
    sys.path.append(str(ROOT))
    importlib.invalidate_caches()
  spec = importlib.util.find_spec(package)
  folders = spec and spec.submodule_search_locations
  if not folders:
    raise UserError(f'no folder {package}/ in {ROOT} or on the Python path: '
                    'run from a clone of the repository.')
  stems = {f.stem for folder in folders
           for f in pathlib.Path(folder).glob('*.py')}
  return sorted(s for s in stems if s != '__init__'
                and re.fullmatch('[a-z_0-9]+', s))


def load(name):
  """The module `experiments.<name>`, with `run`, `CLAIMS` and `figures`.

  Raises:
    UserError: there is no such paper.
  """
  return _import('experiments', name)


def configs(name):
  """The module `configs.<name>`, with `get_config`, `VARIANTS`, `REPORTED`.

  ABOUT says what the report page says about the paper, as texts: `title`,
  `authors`, `published` (where and when, such as 'NeurIPS 2022') and `arxiv`
  (its identifier), '' where there is none, and `idea`, in two sentences.

  It may have METRICS, those that its tables show of the test set (default: what
  is published, else all); COLUMNS, (metric, split) of further columns; and
  REPORTED_FOR, the variants that published numbers may stand beside (default:
  all).

  Raises:
    UserError: there is no such paper.
  """
  return _import('configs', name)


def about(name):
  """ABOUT of a paper, with '' for what is missing and its name as title."""
  return dict.fromkeys(('authors', 'published', 'arxiv', 'idea'), '') | {
      'title': name, **getattr(configs(name), 'ABOUT', {})}


def new_config(name, variants, variant):
  """An unlocked config of a paper's variant, in which no field is swept yet.

  Args:
    name: the paper's.
    variants: its VARIANTS.
    variant: one of them.

  Raises:
    UserError: it is none of them.
  """
  import ml_collections  # not where papers are only listed

  if variant not in variants:
    raise UserError(f'unknown variant {variant!r} of {name}; use one of '
                    f'{", ".join(variants)}.')
  config = ml_collections.ConfigDict()
  config.sweep = ''  # field of the config that the arms below are run with
  config.sweep_values = ()
  config.swept_arms = ()
  return config


def _import(package, name):
  known = names(package)
  if name not in known:
    raise UserError(f'no paper {name!r} in {package}/; there '
                    f'{"is" if len(known) == 1 else "are"}: '
                    f'{", ".join(known) or "none"}.')
  # What the paper's own imports raise is a bug there, and is not hidden.
  return importlib.import_module(f'{package}.{name}')
