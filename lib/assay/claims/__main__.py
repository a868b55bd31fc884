"""The command `python -m assay claims`, also as `python -m assay.claims`."""

import sys

from assay.report import verdicts

if __name__ == '__main__':
  sys.exit(verdicts.main())
