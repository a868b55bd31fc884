"""The command `python -m assay fits`: what is kept, and what may go.

    python -m assay fits list
    python -m assay fits verify
    python -m assay fits prune --days=90 --megabytes=5000
    python -m assay fits prune KEY ...
"""

import argparse

from assay import config as config_lib
from assay.errors import parsed, told


@told
def main(argv=None):
  """Lists, verifies or prunes the store; returns the exit status."""
  parser = argparse.ArgumentParser(
      prog='python -m assay fits', description='Kept fits, in $ASSAY_FITS. '
      'Nothing goes by itself. Runs whose networks were read from here need '
      'them for assay.load.')
  commands = parser.add_subparsers(dest='command', required=True)
  commands.add_parser('list', help='each fit, and how much there is')
  commands.add_parser('verify', help='reads all, and names what is damaged')
  prune = commands.add_parser('prune', help='removes fits')
  prune.add_argument('keys', nargs='*', metavar='KEY', help='these')
  prune.add_argument('--days', type=float, help='not of use for so long')
  prune.add_argument('--megabytes', type=float, help='those longest not of '
                     'use, until no more than this is left')
  flags = parsed(parser, argv)
  for name in ('days', 'megabytes'):
    if getattr(flags, name, None) is not None:
      config_lib.check_value(f'--{name}', getattr(flags, name),
                             config_lib.between(0, 1e12))

  from assay.train import kept  # imports JAX

  store = kept.store()
  if flags.command == 'list':
    kept.show(store)
  elif flags.command == 'verify':
    return 0 if kept.verify(store) else 1
  else:
    kept.prune(store, flags.keys, flags.days, flags.megabytes)
  return 0
