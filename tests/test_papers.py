"""What every paper must have, asked without training.

`test_experiments.py` asks what only a run can show.
"""

import ast
import collections
import functools
import itertools
import re

import pytest

from assay import claims, metrics, papers, results
from assay import config as config_lib
from assay.claims import examples
from assay.errors import UserError
from assay.report import figures

ROOT = papers.ROOT
PAPERS = papers.names('configs')
card_of = papers.configs


@functools.cache
def config_of(paper, variant):
  return card_of(paper).get_config(variant)


def test_every_card_has_an_experiment():
  assert PAPERS == papers.names()


@pytest.mark.parametrize('paper', PAPERS)
def test_variants_are_locked_configs(paper):
  card = card_of(paper)
  assert 'smoke' in card.VARIANTS
  for variant, text in card.VARIANTS.items():
    assert text, variant
    config = config_of(paper, variant)
    assert config.is_locked
    assert {'num_seeds', 'seed_varies', 'scale', 'arms'} <= set(config.keys())
    assert config.arms and len(set(config.arms)) == len(config.arms)
    assert set(config.swept_arms) <= set(config.arms)
    assert config.seed_varies in ('fresh', 'resplit', 'fixed_split')
    assert config.scale in ('as published', 'reduced', 'recast',
                            'not in the paper')


@pytest.mark.parametrize('paper', PAPERS)
def test_its_arms_are_known_to_the_experiment(paper):
  experiment, card = papers.load(paper), card_of(paper)
  for variant in card.VARIANTS:
    config = config_of(paper, variant)
    known = (experiment.arms(config) if hasattr(experiment, 'arms')
             else experiment.ARMS)
    assert set(config.arms) <= set(known), variant


@pytest.mark.parametrize('paper', PAPERS)
def test_what_the_pages_say_about_it(paper):
  card = card_of(paper)
  assert isinstance(card.PAPER, papers.Paper)  # which checks its fields
  assert re.findall(r'\.(?: |$)', card.PAPER.idea) == ['. ', '.']  # two
  assert f'configs/{paper}.py' in card.__doc__ or (
      f'experiments.{paper}' in card.__doc__)


@pytest.mark.parametrize('paper', PAPERS)
def test_published_numbers_are_of_its_variants(paper):
  card = card_of(paper)
  for number in card.PUBLISHED:
    assert isinstance(number, papers.Published)  # source and tag: `published`
    assert set(number.variants) <= set(card.VARIANTS)
    assert number.metric in metrics.KNOWN and number.entry['source']
  for variant in card.VARIANTS:
    papers.reported(paper, variant)


# Claims.


@pytest.mark.parametrize('paper', PAPERS)
def test_claims_are_about_what_a_variant_runs(paper):
  everything = papers.claims(paper)
  names = [claim.name for claim in everything]
  assert len(set(names)) == len(names)
  for claim in everything:
    assert claim.where['config'] in card_of(paper).VARIANTS, claim.name
    assert claim.sentence.endswith('.') and claim.source, claim.name
    config = config_of(paper, claim.where['config'])
    for cell in claim.check.cells:
      assert cell['metric'] in metrics.KNOWN, claim.name
      method = cell.get('method')
      assert method is None or method in config.arms, (claim.name, method)
      if config.sweep and config.sweep in cell:
        assert method in config.swept_arms, (claim.name, method)
        assert cell[config.sweep] in config.sweep_values, (claim.name, cell)


def example(paper, claim, holds):
  """Cells for which a claim holds or fails; None if there are none."""
  config = config_of(paper, claim.where['config'])
  return examples.example(claim.check, holds,
                          {config.sweep: config.sweep_values})


def made_up(paper, variant, cells):
  config = config_of(paper, variant)
  return examples.rows(
      # Few seeds decide nothing where their ranks, say, are all the same.
      cells, num_seeds=max(20, config.num_seeds), paper=paper, config=variant,
      seed_varies=config.seed_varies, scale=config.scale,
      dataset=config_lib.leaves(config).get('dataset', 'made_up'))


@pytest.mark.parametrize('paper', PAPERS)
def test_each_claim_can_hold_and_can_fail(paper):
  for claim in papers.claims(paper):
    for state in ('holds', 'fails'):
      cells = example(paper, claim, state == 'holds')
      assert cells, f'{claim.name}: there is nothing for which it {state}'
      judged, = claims.judge(
          [claim], made_up(paper, claim.where['config'], cells))
      assert judged.verdict, (claim.name, judged.where_tested)
      assert judged.verdict.state == state, (claim.name, judged.verdict)


@pytest.mark.parametrize('paper', PAPERS)
def test_figures_take_made_up_rows(paper):
  card = card_of(paper)
  variant = next(iter(card.VARIANTS))
  cells = {}
  for claim in papers.claims(paper):
    if claim.where['config'] == variant:
      for cell in example(paper, claim, True):
        arm = {k: v for k, v in cell.items() if k != 'value'}
        for metric in {arm['metric'], *getattr(card, 'METRICS', ())}:
          arm = arm | {'metric': metric}
          cells.setdefault(repr(sorted(arm.items())), cell | arm)
  drawn, rows = 0, made_up(paper, variant, cells.values())
  if not hasattr(card, 'FIGURES'):
    assert figures.of(paper, rows)
    return
  for draw in card.FIGURES.values():
    try:
      drawn += draw(rows) is not None
    except UserError:  # what it shows is not among these rows
      pass
  assert drawn


# Limits of lines. What is above one is listed with what it may have at most: a
# list that only gets shorter.

EXCEPTIONS = {
    'lib/assay/methods/bayes_regression.py': 168,
    'lib/assay/methods/binning.py': 120,
    'lib/assay/methods/calibrators.py': 157,
    'lib/assay/methods/mixup.py': 101,
    'lib/assay/methods/sam.py': 135,
    'lib/assay/methods/temperature_networks.py': 122,
    'tests/test_c_mixup.py': 99,
    'experiments/calibration_overview.py': 72,
    'experiments/correctness_aware.py': 146,
    'tests/test_correctness_aware.py': 94,
    'experiments/gpicl.py': 138,
    'tests/test_gpicl.py': 225,
    'experiments/icl_uncertainty.py': 159,
    'tests/test_icl_uncertainty.py': 292,
    'tests/test_simplicity_bias.py': 230,
    'experiments/useful.py': 206,
    'tests/test_useful.py': 182,
}
# Papers that measure in a loop of their own.
OWN_PARTS = {
    'correctness_aware': ('measure',),
    'useful': ('measure',),
}


def code_lines(path):
  """Lines of a file that are neither empty, comments nor docstrings."""
  text = path.read_text()
  docs = set()
  for node in ast.walk(ast.parse(text)):
    if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and (
        ast.get_docstring(node, clean=False) is not None):
      doc = node.body[0]
      docs |= set(range(doc.lineno, doc.end_lineno + 1))
  return sum(bool(line.strip()) and not line.strip().startswith('#')
             for i, line in enumerate(text.splitlines(), 1) if i not in docs)


def lines(path):
  return len(path.read_text().splitlines())


def sizes():
  """(file, its lines, their limit) of all that has a limit."""
  for file in sorted((ROOT / 'lib/assay/testbeds').glob('*.py')):
    yield file, lines(file), 250
  for file in sorted((ROOT / 'lib/assay/methods').rglob('*.py')):
    yield file, code_lines(file), 80
  for paper in PAPERS:
    experiment = ROOT / 'experiments' / f'{paper}.py'
    in_testbed = 'assay.testbeds' in experiment.read_text()
    yield experiment, lines(experiment), 60 if in_testbed else 250
    yield (ROOT / 'tests' / f'test_{paper}.py',
           lines(ROOT / 'tests' / f'test_{paper}.py'), 60)


@pytest.mark.parametrize('paper', [
    paper for paper in PAPERS if (ROOT / 'results' / paper).exists()])
def test_no_two_arms_are_one(paper):
  """What equals another arm on all that is tested on tests nothing."""
  arms = collections.defaultdict(lambda: collections.defaultdict(list))
  for row in results.read([ROOT / 'results' / paper]):
    if row['split'] not in ('train', 'val'):
      cell = tuple(str(row.get(k)) for k in (
          'split', 'group', 'metric', 'state', 'dataset'))
      arms[row['config'], row['method']][cell].append(
          (row['seed'], row['value']))
  for (one, first), (other, second) in itertools.combinations(arms.items(), 2):
    shared = first.keys() & second.keys()
    varied = any(len({value for _, value in first[cell]}) > 1
                 for cell in shared)
    assert one[0] != other[0] or not varied or any(
        sorted(first[cell], key=str) != sorted(second[cell], key=str)
        for cell in shared), f'{one} and {other[1]} are the same'


def test_limits_of_lines():
  longer = {}
  for file, number, limit in sizes():
    name = str(file.relative_to(ROOT))
    assert number <= max(limit, EXCEPTIONS.get(name, 0)), (name, number)
    if number > limit:
      longer[name] = number
  assert set(longer) == set(EXCEPTIONS)  # what is short is no exception


def test_parts_of_a_testbed_are_not_written_again():
  found = {}
  for paper in PAPERS:
    text = (ROOT / 'experiments' / f'{paper}.py').read_text()
    if 'assay.testbeds' in text:
      defined = {node.name for node in ast.parse(text).body
                 if isinstance(node, ast.FunctionDef | ast.ClassDef)}
      found[paper] = defined & {'make_apply', 'measure', 'Data'}
  assert {paper: tuple(sorted(names)) for paper, names in found.items()
          if names} == OWN_PARTS
