"""The examples in docstrings are true, and every module has its page."""

import doctest
import importlib
import pathlib
import re
import warnings

import kinds
import pdoc
import pytest

import assay

LIBRARY = pathlib.Path(assay.__file__).parent
# jax and optax annotate some fields with names for their type checkers alone.
FOREIGN = 'Error parsing type annotation'


def modules():
  """The text of each module, by its name."""
  found = {}
  for file in sorted(LIBRARY.rglob('*.py')):
    *folders, name = file.relative_to(LIBRARY.parent).with_suffix('').parts
    # Templates are not imported but filled in; a `__main__` is a command.
    if 'templates' not in folders and name != '__main__':
      parts = folders if name == '__init__' else [*folders, name]
      found['.'.join(parts)] = file.read_text()
  return found


def prompts(text):
  return len(re.findall(r'^ *>>> ', text, re.MULTILINE))


@pytest.mark.parametrize(
    'name', [name for name, text in modules().items() if prompts(text)])
def test_examples(name):
  # No names are given: what a page shows can be pasted as it is.
  found = doctest.DocTestFinder().find(importlib.import_module(name), globs={})
  # Those of functions that a decorator has hidden would not be run.
  assert sum(len(test.examples) for test in found) == prompts(modules()[name])
  runner, said = doctest.DocTestRunner(verbose=False), []
  for test in found:
    runner.run(test, out=said.append)
  assert not runner.failures, ''.join(said)


def test_methods_and_metrics_have_examples():
  assert [] == [name for name, text in modules().items() if not prompts(text)
                and name.startswith(('assay.methods.', 'assay.metrics.'))]


# To render all takes as long as all examples.
@pytest.mark.parametrize('package', [
    'assay.methods', *kinds.nightly('assay')])
def test_every_module_has_a_page(package, tmp_path):
  pdoc.render.configure(docformat='google', show_source=False)
  with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter('always')
    pdoc.pdoc(package, output_directory=tmp_path)
  pages = {'.'.join(page.relative_to(tmp_path).with_suffix('').parts)
           for page in tmp_path.rglob('*.html')} - {'index'}
  assert pages == {name for name in modules()
                   if f'{name}.'.startswith(f'{package}.')}
  assert [] == [str(w.message) for w in caught if 'pdoc' in w.filename
                and not str(w.message).startswith(FOREIGN)]
  # Sections are lists; formulas and examples are code.
  page = (tmp_path / 'assay' / 'methods' / 'sam.html').read_text()
  for shown in ('<li><strong>rho:</strong>', '<code>e = rho T^2 g / |T g|,',
                '>Example:</h6>', '<span class="gp">&gt;&gt;&gt; </span>'):
    assert shown in page, shown
