"""The house: which room imports which, how long files are, who needs no JAX."""

import ast
import graphlib
import re
import subprocess
import sys

from assay import papers

LIB = papers.ROOT / 'lib' / 'assay'

# What each room may import. Arrows run down, so what stands below a room knows
# nothing of it; `study` writes rows through `results`.
ROOMS = {
    '__main__': {'cli', 'new', 'judge', 'report', 'errors'},
    'cli': {'study', 'train', 'report', 'results', 'papers', 'config', 'stores',
            'disk', 'errors'},
    'new': {'errors'},
    'testbeds': {'study', 'train', 'methods', 'models', 'metrics', 'losses',
                 'data', 'keys', 'config', 'errors'},
    'study': {'train', 'results', 'papers', 'config', 'stores', 'disk',
              'errors'},
    'train': {'data', 'models', 'stores', 'disk', 'errors'},
    'methods': {'models', 'losses', 'metrics', 'errors'},
    'data': {'disk', 'keys', 'errors'},
    'judge': {'report', 'claims', 'results', 'metrics', 'errors'},
    'report': {'claims', 'results', 'papers', 'config', 'metrics', 'disk',
               'errors'},
    'claims': {'results', 'metrics', 'errors'},
    'results': {'stores', 'disk', 'errors'},
    'stores': {'disk', 'errors'},
    'models': {'errors'}, 'metrics': {'errors'},
    'losses': {'metrics', 'errors'},
    'papers': {'config', 'errors'}, 'config': {'errors'}, 'disk': {'errors'},
    'keys': {'errors'}, 'errors': set(),
}

# A list that only gets shorter.
OTHER_ARROWS = {('study.progress', 'report')}  # it shows a table


def modules():
  """Name below assay -> file, without the doors `python -m assay.room`."""
  found = {}
  for file in LIB.rglob('*.py'):
    parts = file.relative_to(LIB).with_suffix('').parts
    if parts[0] != 'templates' and (parts[-1] != '__main__' or len(parts) < 2):
      found['.'.join(parts[:-1] if parts[-1] == '__init__' else parts)] = file
  return found


def imports():
  """Module -> the modules of assay that it imports, at the top or inside."""
  known, found = modules(), {}
  for module, file in known.items():
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
      if isinstance(node, ast.Import):
        names |= {alias.name for alias in node.names}
      elif isinstance(node, ast.ImportFrom):
        names |= {f'{node.module}.{alias.name}' for alias in node.names}
    found[module] = set()
    for name in names:
      if name.startswith('assay.'):
        name = name.removeprefix('assay.')
        while name not in known:
          name = name.rpartition('.')[0]
        found[module].add(name)
    found[module] -= {module}
  return found


def test_arrows_run_down():
  other = set()
  for module, names in imports().items():
    room = module.partition('.')[0]
    for below in {name.partition('.')[0] for name in names} - {room}:
      if module and below not in ROOMS[room]:  # assay itself has `load`
        other.add((module, below))
  assert other == OTHER_ARROWS


def test_no_circle():
  graphlib.TopologicalSorter(ROOMS).prepare()
  graphlib.TopologicalSorter(imports()).prepare()


def test_few_files_at_the_top_and_no_long_ones():
  assert len(list(LIB.glob('*.py'))) <= 10
  for file in LIB.rglob('*.py'):
    assert len(file.read_text().splitlines()) <= 400, file


WITHOUT_JAX = """
import importlib, pathlib, sys
sys.modules.update(dict.fromkeys(('jax', 'flax', 'optax', 'orbax')))
for name in sys.argv[1:]:
  importlib.import_module(name)
"""


def test_claims_results_reports_and_cards_need_no_jax():
  names = [f'assay.{name}' for name in modules() if name.partition('.')[0] in (
      'claims', 'results', 'report', 'judge', 'papers', 'config', 'stores',
      'disk', 'errors')]
  names += [f'configs.{paper}' for paper in papers.names('configs')]
  subprocess.run([sys.executable, '-c', WITHOUT_JAX, *names], check=True,
                 cwd=papers.ROOT, timeout=120)


def test_no_file_has_marks_of_a_merge():
  marked = [path for folder in ('', 'colabs', 'configs', 'docs', 'experiments',
                                'lib', 'benchmarks', 'results', 'tests')
            for end in ('md', 'py', 'tsv', 'ipynb')
            for path in (papers.ROOT / folder).glob(
                f'{"**/" * bool(folder)}*.{end}')
            if re.search(r'^(<{7}|>{7}) ', path.read_text(), re.MULTILINE)]
  assert not marked
