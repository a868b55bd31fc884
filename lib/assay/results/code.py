"""The code that a paper's rows stand on, as digests that comments leave alone.

From `run` of the experiment it is all that is named, and what that names in
turn: in the experiment, in `assay.methods` and `assay.losses` (the paper's
own), in `assay.testbeds` and `assay.metrics` (its hosts). What `run` does not
reach, such as a claim or a figure, is no part of it, nor are the loop, data and
models: their tests are to notice when they change numbers.
"""

import ast
import functools
import hashlib
import pathlib

PACKAGE = pathlib.Path(__file__).parents[1]
# Rooms that make no number of a row.
SHOWN = ('claims', 'report', 'judge')
OWN = ('experiments', 'assay.methods', 'assay.losses')
HOSTS = ('assay.testbeds', 'assay.metrics')


def digests(paper, read):
  """{module: 8 hex digits over what is reached of it}; {} without a `run`.

  Args:
    paper: its name.
    read: relative path in the clone -> text, or None if there is no such file.
  """
  reached, modules = {}, functools.cache(lambda name: _module(name, read))

  def visit(module, name):
    """Follows a name as it is known in a module."""
    if (module, name) in reached or not module.startswith(OWN + HOSTS):
      return
    found = modules(module)
    if found is None:
      return
    definitions, imports = found
    if name in definitions:
      reached[module, name] = code_of(definitions[name])
      for named, attribute in _named(definitions[name]):
        if not attribute:
          visit(module, named)
        elif named in imports:
          visit(imports[named], attribute)
    elif '.' in imports.get(name, ''):  # `from module import name`
      visit(*imports[name].rsplit('.', 1))

  visit(f'experiments.{paper}', 'run')
  told = {}
  for (module, name), text in sorted(reached.items()):
    told.setdefault(module, []).append(f'{name} {text}')
  return {module: hashlib.sha256('\n'.join(texts).encode()).hexdigest()[:8]
          for module, texts in told.items()}


def of(root, paper):
  """`digests` of the files of a clone."""
  def read(path):
    file = pathlib.Path(root, path)
    return file.read_text() if file.is_file() else None

  return digests(paper, read)


def sources(root, paper):
  """{file: 8 hex digits over its bytes} of all that a paper runs.

  The library but for what only shows rows, the experiment and its card, with
  the parts of a card, `_<paper>_*.py`. What stands where is compared between
  hosts, and between the parts of a run.
  """
  found = {f'lib/assay/{file.relative_to(PACKAGE)}': file
           for file in PACKAGE.rglob('*.py')
           if file.relative_to(PACKAGE).parts[0] not in SHOWN}
  found |= {f'{folder}/{file.name}': file for folder, pattern in (
      ('experiments', f'{paper}.py'), ('configs', f'{paper}.py'),
      ('configs', f'_{paper}_*.py'))
            for file in pathlib.Path(root, folder).glob(pattern)}
  # What editors leave beside a file is no module, and may be a broken link.
  return {name: hashlib.sha256(file.read_bytes()).hexdigest()[:8]
          for name, file in sorted(found.items())
          if file.stem.isidentifier() and file.is_file()}


@functools.cache  # of trees that `_read` keeps
def _named(tree):
  """{(name, '') or (name, attribute)} of what a syntax tree names."""
  return {(node.id, '') for node in ast.walk(tree)
          if isinstance(node, ast.Name)} | {
              (node.value.id, node.attr) for node in ast.walk(tree)
              if isinstance(node, ast.Attribute)
              and isinstance(node.value, ast.Name)}


@functools.cache
def code_of(tree):
  """What a syntax tree does: without comments and docstrings, as text."""
  cut = []
  for node in ast.walk(tree):
    body = getattr(node, 'body', None)
    if isinstance(body, list) and body and isinstance(body[0], ast.Expr) and (
        isinstance(body[0].value, ast.Constant)):
      cut.append((body, body.pop(0)))
  text = ast.dump(ast.Module([tree], []))
  for body, docstring in cut:  # others look at the tree, too
    body.insert(0, docstring)
  # Python 3.12 names what 3.11 does not know, empty in either.
  return text.replace(', type_params=[]', '')


def _module(name, read):
  """({name: definition}, {name: what is imported under it}) of a module.

  None if it has no file.
  """
  folder = '/'.join((['lib'] if name.startswith('assay.') else [])
                    + name.split('.'))
  text = next(filter(None, (read(f'{folder}{end}')
                            for end in ('.py', '/__init__.py'))), None)
  return None if text is None else _read(text)


@functools.cache  # papers share modules, and the runs of a process papers
def _read(text):
  """What `_module` gives, of a module's text."""
  try:
    tree, definitions, imports = ast.parse(text), {}, {}
  except SyntaxError:
    return {}, {}
  for node in tree.body:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
      definitions[node.name] = node
    elif isinstance(node, (ast.Assign, ast.AnnAssign)):
      for target in getattr(node, 'targets', None) or [node.target]:
        definitions |= {part.id: node for part in ast.walk(target)
                        if isinstance(part, ast.Name)}
  for node in ast.walk(tree):
    if isinstance(node, ast.ImportFrom) and node.module:
      imports |= {alias.asname or alias.name: f'{node.module}.{alias.name}'
                  for alias in node.names}
    elif isinstance(node, ast.Import):
      imports |= {alias.asname: alias.name for alias in node.names
                  if alias.asname}
  return definitions, imports
