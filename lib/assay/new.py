"""A paper of one's own: three files that run at once, to be changed.

    python -m assay new my_paper [--testbed=vision]

writes, in the clone it is called in, `configs/my_paper.py`,
`experiments/my_paper.py` and `tests/test_my_paper.py`: a small question with
two arms, claims and tests. With `--testbed=own` the experiment has data, a
network and training of its own. `docs/adding_a_paper.md` says what comes next.
"""

import argparse
import keyword
import pathlib
import re

from assay.errors import UserError, parsed, told

NAME = 'my_paper'  # in the templates, where the paper's name goes
LONGEST = 30  # characters of a name that leave lines within 80 columns
# What a paper may stand on, the first by default: a folder of `templates` each.
TESTBEDS = {'vision': 'image classifiers: a loss, a gradient, a calibrator',
            'tiny_lm': 'a language model on a task that you generate',
            'ood': 'known from unknown images: a score, a head of a network',
            'own': 'data, a network and training of its own'}
# A file of a paper: its template.
FILES = {
    'configs/{}.py': 'config.py',
    'experiments/{}.py': 'experiment.py',
    'tests/test_{}.py': 'test.py',
}


def create(name, root='.', testbed='vision'):
  """Writes the files of a new paper; returns their paths.

  Args:
    name: of the paper: lower case, digits and underscores.
    root: of the clone to write to.
    testbed: one of TESTBEDS.

  Raises:
    UserError: the name cannot be one, `root` is no clone, or a file is there;
      nothing is written then.
  """
  if not re.fullmatch('[a-z][a-z0-9_]*', name) or keyword.iskeyword(name):
    raise UserError(f'{name!r} cannot be the name of a paper: use lower case, '
                    'digits and underscores, a letter first, and no word of '
                    'Python.')
  if len(name) > LONGEST:
    raise UserError(f'{name!r} is longer than {LONGEST} characters; use '
                    'fewer.')
  root = pathlib.Path(root)
  for needed in ('configs/__init__.py', 'experiments/__init__.py', 'tests'):
    if not (root / needed).exists():
      raise UserError(f'no {needed} in {root.absolute()}: run from the root of '
                      'a clone of the repository.')
  made = {root / path.format(name): template
          for path, template in FILES.items()}
  for path in made:
    if path.exists():
      raise UserError(f'{path} exists already; choose another name.')
  folder = pathlib.Path(__file__).parent / 'templates' / testbed
  for path, template in made.items():
    text = (folder / template).read_text().replace(NAME, name)
    with open(path, 'x') as file:  # never over another one
      file.write(text)
  return list(made)


@told
def main(argv=None):
  """Writes the files and says what to do next; returns the exit status."""
  parser = argparse.ArgumentParser(
      prog='python -m assay new',
      description='Writes a card, an experiment and a test that run at once '
      'and are to be changed into a paper of your own.')
  parser.add_argument('name', metavar='my_paper', help='name of the paper: '
                      'lower case, digits and underscores')
  parser.add_argument(
      '--testbed', choices=TESTBEDS, default='vision',
      help='what it stands on (default: %(default)s); '
      + '; '.join(f'{name}: {text}' for name, text in TESTBEDS.items()))
  flags = parsed(parser, argv)
  paths = create(flags.name, testbed=flags.testbed)
  print('Written: ' + ', '.join(map(str, paths)))
  print('Run it:  python -m experiments.' + flags.name)
  print(f'Test it: python -m pytest {paths[-1]}')
  print('Then change what says TODO; docs/adding_a_paper.md goes through it.')
  return 0
