"""One door to what is done with results: `python -m assay COMMAND ...`."""

import importlib
import sys

# command: (module whose `main(argv)` does it, what it does)
COMMANDS = {
    'results': ('assay.report.page', 'tables and verdicts of rows'),
    'claims': ('assay.report.verdicts', 'the verdicts alone'),
    'judge': ('assay.judge.command', 'results from any trainer: better, or '
              'the seeds?'),
    'compare': ('assay.report.compare', 'two runs of a paper side by side'),
    'site': ('assay.report.site', 'a website of all papers'),
    'fits': ('assay.cli.kept', 'kept trainings: list, verify, prune'),
    'coverage': ('assay.report.coverage', 'all papers of the plan by family'),
    'new': ('assay.new', 'the files of a new paper'),
}


def main(argv=None):
  """Runs a command; returns its exit status (2: no such command)."""
  argv = sys.argv[1:] if argv is None else argv
  if argv[:1] and argv[0] in COMMANDS:
    module, _ = COMMANDS[argv[0]]
    return importlib.import_module(module).main(argv[1:])
  asked = argv[:1] in (['-h'], ['--help'])
  if argv and not asked:
    print(f'error: no command {argv[0]!r}; use one of these.', file=sys.stderr)
  print('usage: python -m assay COMMAND ...\n', file=None if asked else
        sys.stderr)
  for name, (_, text) in COMMANDS.items():
    print(f'  {name:8} {text}', file=None if asked else sys.stderr)
  return 0 if asked else 2


if __name__ == '__main__':
  sys.exit(main())
