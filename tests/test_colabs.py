"""Every notebook is clean, and runs to its last cell, an assertion.

Those of `RUN` run here, shrunk; `--all` runs all, in full too, as `make
nightly` does.
"""

import ast
import pathlib
import re

import kinds
import nbclient
import nbformat
import pytest

from assay import papers

COLABS = pathlib.Path(__file__).parents[1] / 'colabs'
# In place of the values in a notebook's cell of parameters: minutes become
# seconds. A bound differs where so little training cannot reach that one.
SHRUNK = {
    'start': {'SEEDS': 2, 'EPOCHS': 20, 'BOUND': 70},
    'c_mixup': {'SEEDS': 2, 'EPOCHS': 80, 'BOUND': 0.9},
    'c_mixup_tasks': {'SEEDS': 2, 'STEPS': 200, 'BOUND': 1.1},
    'useful': {'SEEDS': 1, 'EPOCHS': 6, 'ELBOW_EPOCHS': 5, 'BOUND': 0.25},
    'simplicity_bias': {'SEEDS': 2, 'STEPS': 600, 'BOUND': 0.8},
    'correctness_aware': {'SEEDS': 2, 'EPOCHS': 6, 'CALIBRATOR_STEPS': 60,
                          'BOUND': 0.25},
    'calibration_overview': {'SEEDS': 2, 'EPOCHS': 8, 'BOUND': 0.7},
    # Tasks are known by heart by then, but nothing is learned in context.
    'gpicl': {'SEEDS': 1, 'STEPS': 150, 'PROMPTS': 256, 'LEARNED': 0},
    'icl_uncertainty': {'SEEDS': 1, 'STEPS': 250, 'PROMPTS': 256,
                        'BOUND': 0.35},
    'judge': {'SEEDS': 8, 'GAIN': 0.03},
    'any_paper': {'PAPER': 'abet', 'VARIANT': 'smoke', 'SEEDS': 1,
                  'OVERRIDES': {}, 'SHARE': 0.9},
    # Nothing is learned in so few steps.
    'your_own_task': {'SEEDS': 1, 'STEPS': 20, 'PROMPTS': 32, 'BOUND': -1},
    'cot_mirage_dataalchemy': {'SEEDS': 1, 'STEPS': 20, 'PROMPTS': 32,
                               'BOUND': -1},
    'cot_information': {'TARGETS': 4, 'REPEATS': 10},
    'known_from_unknown': {'EPOCHS': 30, 'RATE': 0.1, 'FOUND': 0.3},
}
RUN = ('start', 'judge')


def read(name):
  """The notebook, and its cell of parameters."""
  notebook = nbformat.read(COLABS / f'{name}.ipynb', as_version=4)
  cell, = (cell for cell in notebook.cells
           if 'parameters' in cell.metadata.get('tags', []))
  return notebook, cell


def assigned(cell):
  """name -> value of a cell that only assigns."""
  tree = ast.parse(cell.source)
  assert all(isinstance(node, ast.Assign) for node in tree.body)
  return {node.targets[0].id: ast.literal_eval(node.value)
          for node in tree.body}


def test_every_notebook_is_of_a_paper_or_named_here():
  """`any_paper` has all papers; some have one of their own."""
  there = {path.stem for path in COLABS.glob('*.ipynb')}
  others = {'start', 'judge', 'your_own_task', 'any_paper',
            'known_from_unknown'}
  assert others <= there == set(SHRUNK) <= others | set(papers.names())


@pytest.mark.parametrize('name', SHRUNK)
def test_notebook_is_clean(name):
  path = COLABS / f'{name}.ipynb'
  notebook, _ = read(name)
  nbformat.validate(notebook)
  assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
  assert nbformat.writes(notebook) + '\n' == path.read_text()  # one form
  ids = [cell.id for cell in notebook.cells]
  assert len(set(ids)) == len(ids)
  for cell in notebook.cells:
    # Words, as a tool that makes up new ones would change every diff.
    assert re.fullmatch('[a-z]+(-[a-z]+)*', cell.id), cell.id
    if cell.cell_type == 'code':
      assert not cell.outputs and cell.execution_count is None
  # All begin with the same cell, which installs.
  code = [cell for cell in notebook.cells if cell.cell_type == 'code']
  assert code[0] == read('start')[0].cells[1]


def execute(notebook, timeout):
  nbclient.NotebookClient(
      notebook, timeout=timeout, kernel_name='python3',
      resources={'metadata': {'path': str(COLABS)}}).execute()


@pytest.mark.parametrize('name', [
    *RUN, *kinds.nightly(*(name for name in SHRUNK if name not in RUN))])
def test_notebook_runs(name):
  notebook, cell = read(name)
  assert assigned(cell).keys() == SHRUNK[name].keys()
  cell.source = '\n'.join(f'{k} = {v!r}' for k, v in SHRUNK[name].items())
  execute(notebook, timeout=300)


@pytest.mark.nightly
@pytest.mark.parametrize('name', SHRUNK)
def test_notebook_runs_in_full(name):
  execute(read(name)[0], timeout=1800)


@pytest.mark.parametrize('name', SHRUNK)
def test_last_cell_can_fail(name):
  notebook, parameters = read(name)
  last = [cell for cell in notebook.cells if cell.cell_type == 'code'][-1]
  asserted = [node.test for node in ast.walk(ast.parse(last.source))
              if isinstance(node, ast.Assert)]
  # Each is about what was measured, not about constants alone.
  assert asserted and all(
      {node.id for node in ast.walk(test) if isinstance(node, ast.Name)}
      - assigned(parameters).keys() for test in asserted)
