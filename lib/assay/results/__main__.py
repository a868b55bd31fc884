"""The command `python -m assay results`, also as `python -m assay.results`."""

import sys

from assay.report import page

if __name__ == '__main__':
  sys.exit(page.main())
