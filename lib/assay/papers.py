"""Papers by name, and what their cards are made of.

This is the only place that turns a string into an import.
"""

import dataclasses
import difflib
import importlib
import importlib.util
import pathlib
import re
import sys
from typing import NamedTuple

from assay import config as config_lib
from assay.errors import UserError, some_of

# lib/assay/papers.py -> the clone's root, where experiments/ and configs/ are.
ROOT = pathlib.Path(__file__).resolve().parents[2]

# What papers of a family are about, by its name.
FAMILIES = {
    'calibration_theory': 'Training, calibration and theory',
    'ood_and_shift': 'Known from unknown, and shift',
    'icl_prompt': 'Learning in context, and prompts',
    'tiny_lm_tasks': 'Composition and length, on small language models',
    'lm_confidence': 'Confidence of language models',
    'rlvr_grpo': 'Reinforcement with verifiable rewards',
    'verify_decode': 'Verification and decoding',
    'preference': 'Learning from preferences',
    'weak_supervision': 'Weak supervision and noisy labels',
    'distill_data': 'Distillation and choice of data',
    'editing': 'Editing, forgetting and continual learning',
    'clip_contrastive': 'Images with text',
    'control_agents': 'Control and agents',
    'dense_generative': 'Dense prediction and generation'}

# How the year of a paper and its identifier at arXiv look, where it has them.
YEAR, ARXIV = r'(\d{4})?', r'(\d{4}\.\d{4,5})?'

# How sure published numbers are.
TAGS = {'read': 'read in the paper',
        '2src': 'means agree with an independent restatement',
        'recall': 'from memory, not re-read'}


def names(package='experiments'):
  """The papers that have a file in `experiments/` (or `configs/`), sorted.

  A file whose name begins with an underscore is a part of another.

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
  return sorted(s for s in stems if re.fullmatch('[a-z0-9][a-z_0-9]*', s))


def load(name):
  """The module `experiments.<name>`, with `run`.

  Raises:
    UserError: there is no such paper.
  """
  return _import('experiments', name)


def configs(name):
  """The card of a paper: the module `configs.<name>`.

  It has PAPER (see `Paper`), VARIANTS (see `variants`), `get_config`, PUBLISHED
  (see `published`) and CLAIMS.

  It may have FIGURES, name -> function of one variant's rows that gives a
  figure, or None or a NoRows where these rows have nothing to show; METRICS,
  those that its tables show of the test set (default: what is published, else
  all); COLUMNS, (metric, split) of further columns, or (metric, split, '%');
  CHANCE, metric -> (low, high) of chance on the test set: arms there that no
  claim reads stand behind a fold; LEAD, variant and name in FIGURES of the
  figure on top of its page (default: see `report.figures.first`); SECTIONS,
  name -> function of all the paper's rows that gives Markdown, which stands on
  its page between markers of that name (see `report.gains`); CURVES, lines of
  the figure of its family (see `report.families`); and FIRST, the variants that
  a command runs which names none (default: the first).

  Raises:
    UserError: there is no such paper.
  """
  return _import('configs', name)


@dataclasses.dataclass(frozen=True)
class Paper:
  """What the pages say about a paper, beside its numbers.

  Attributes:
    title: its title, or a short one.
    authors: '' where this is no paper of others.
    year: four digits, or '' as for `authors`.
    venue: where it was published, such as 'NeurIPS', or ''.
    arxiv: its identifier there, or ''.
    family: one of `FAMILIES`.
    idea: it in two sentences.

  Raises:
    ValueError: one of them is something else.
  """
  title: str
  authors: str
  year: str
  venue: str = ''
  arxiv: str = ''
  family: str = ''
  idea: str = ''

  def __post_init__(self):
    for field, pattern, what in (
        ('title', '.+', 'some text'), ('idea', '.+', 'some text'),
        ('authors', '.+' if self.year else '', 'text if there is a year'),
        ('year', YEAR, "four digits, or ''"),
        ('arxiv', ARXIV, "an identifier like 2210.05775, or ''"),
        ('family', '|'.join(FAMILIES), f'one of {", ".join(FAMILIES)}')):
      if not re.fullmatch(pattern, getattr(self, field)):
        raise ValueError(f'{field}={getattr(self, field)!r} of a paper must be '
                         f'{what}.')


# Published numbers.


class Published(NamedTuple):
  """One published number; see `published`."""
  method: str
  metric: str
  entry: dict  # mean, std, n, tag and source, as tables show them
  variants: tuple
  dataset: str


def published(source, metrics, values, *, of, dataset='', n=None, spread='',
              percent=False, tag='read', **fields):
  """Published numbers: one table of a paper, of one data set.

  Args:
    source: which table.
    metrics: one metric, or several.
    values: arm -> the value of each metric; a number, (mean, spread), or None
      where there is none. Of a single metric it may stand alone.
    of: variant or variants that these numbers stand beside.
    dataset: its name; '': that of the variant's config.
    n: runs behind a mean.
    spread: what stands behind ±, if that is not the deviation over runs.
    percent: whether they are in percent, and ours are not.
    tag: how sure they are, one of `TAGS`.
    **fields: values of sweep fields, if an arm is swept.

  Returns:
    A tuple of `Published`; tuples of several tables are added.

  Raises:
    ValueError: an unknown tag, or another number of values than of metrics.
  """
  if tag not in TAGS:
    raise ValueError(f'tag={tag!r} is none of {", ".join(TAGS)}.')
  metrics = (metrics,) if isinstance(metrics, str) else tuple(metrics)
  made = []
  for method, given in values.items():
    given = (given,) if len(metrics) == 1 else tuple(given)
    if len(given) != len(metrics):
      raise ValueError(f'{method} has {len(given)} values for '
                       f'{len(metrics)} metrics.')
    for metric, value in zip(metrics, given, strict=True):
      mean, std = value if isinstance(value, tuple) else (value, None)
      if mean is None:
        continue
      scaled = lambda x: round(x / 100, 12) if percent and x is not None else x
      made.append(Published(
          method, metric,
          {'mean': scaled(mean), 'std': scaled(std), 'n': n,
           'tag': None if tag == 'read' else tag,
           'source': source + f', ± {spread}' * bool(spread), **fields},
          (of,) if isinstance(of, str) else tuple(of), dataset))
  return tuple(made)


def reported(name, variant):
  """Published numbers that may stand beside a variant's, as tables read them.

  Returns:
    dataset -> method -> metric -> dict of mean, std, n, tag, source and sweep
    fields.
  """
  card = configs(name)
  made = {}
  for number in card.PUBLISHED:
    if variant in number.variants:
      dataset = number.dataset or config_lib.leaves(
          card.get_config(variant))['dataset']
      made.setdefault(dataset, {}).setdefault(
          number.method, {})[number.metric] = number.entry
  return made


# What reports ask of a card.


def about(name):
  """What the pages say about a paper, as a dict of texts.

  `title`, `authors`, `published` (where and when), `arxiv` and `idea`; '' for
  what is missing.
  """
  paper = configs(name).PAPER
  return {'title': paper.title, 'authors': paper.authors,
          'published': f'{paper.venue} {paper.year}'.strip(),
          'arxiv': paper.arxiv, 'idea': paper.idea}


def claims(name):
  """The claims of a paper."""
  return configs(name).CLAIMS


# Variants of a card.


class Variants(dict):
  """Name -> text of each variant, and `differs`: name -> field -> value."""

  def __init__(self, texts, differs):
    super().__init__(texts)
    self.differs = differs


def variants(table):
  """`Variants` of name -> (text, {field: value that differs from the base}).

  The first is the default. `config_of` applies what differs.
  """
  return Variants({name: text for name, (text, _) in table.items()},
                  {name: dict(differs) for name, (_, differs) in table.items()})


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


def config_of(config, variants, variant):
  """The config of a variant: the base, with what differs; locked.

  Args:
    config: ConfigDict with the base value of each field. What differs names one
      wherever it is: `width` may be that of `config.net`.
    variants: VARIANTS of the card, made by `variants`.
    variant: one of them.

  Raises:
    UserError: what differs is no field of the base, or in two places there.
  """
  for name, value in variants.differs[variant].items():
    group, field = config_lib.place(config, name)
    group[field] = value
  return config.lock()


def check(name, package='experiments'):
  """Raises a UserError, the most similar names first, for no paper there."""
  known = names(package)
  if name not in known:
    near = sorted(known, key=lambda other: -difflib.SequenceMatcher(
        None, name, other).ratio())
    raise UserError(f'no paper {name!r} in {package}/; there '
                    f'{"is" if len(known) == 1 else "are"}: '
                    f'{some_of(near) or "none"}.')


def _import(package, name):
  check(name, package)
  # What the paper's own imports raise is a bug there, and is not hidden.
  return importlib.import_module(f'{package}.{name}')
