"""The command line of every experiment: what is asked, what is told.

    flags      what was asked, checked before anything is imported or written
    running    the runs, one after another
    sweeps     one run for each value of a field
    devices    JAX, readied before its first use
    kept       python -m assay fits

JAX takes seconds to import, so nothing here does it before it is needed: help
and a wrong flag are told at once.
"""

import sys

from assay import papers
from assay.cli import flags
from assay.cli.devices import set_up_devices  # noqa: F401
from assay.errors import UserError, plain


def main(paper, argv=None):
  """Runs `experiments.<paper>` as its flags say; returns the exit status."""
  argv = sys.argv[1:] if argv is None else argv
  debug = '--debug' in argv
  try:
    papers.check(paper)
    asked = flags.asked(paper, argv)
    if asked.listed:
      return _list(asked.listed)
    from assay.cli import running  # imports JAX

    return running.run(asked)
  except UserError as error:
    if debug:
      raise
    print(f'error: {plain(error)}', file=sys.stderr)
    return 2
  except KeyboardInterrupt:
    if debug:
      raise
    print('\nStopped.', file=sys.stderr)
    return 130


def before_imports():
  """Ends a `python -m experiments.<paper>` that needs no import of the paper.

  Python imports the folder before the paper's file, and the paper's imports
  take seconds. Help, the list of variants and a flag that is wrong are told
  here; else nothing is done, and `main` looks again.
  """
  if sys.argv[0] != '-m':  # of a module that is being located
    return
  package, _, paper = sys.orig_argv[-len(sys.argv)].removeprefix(
      '-m').partition('.')
  if package != 'experiments' or not paper:
    return
  try:
    papers.check(paper)
    asked = flags.asked(paper, sys.argv[1:])
  except UserError:
    sys.exit(main(paper))
  if asked.listed:
    sys.exit(main(paper))


def _list(variants):
  """Prints the variants; returns the exit status."""
  width = max(map(len, variants))
  for name, text in variants.items():
    print(f'{name:{width}}  {text}')
  # The list alone is the output; this is a hint.
  print(f'Of each: --config.FIELD=VALUE, {flags.SWEEP}.', file=sys.stderr)
  return 0
