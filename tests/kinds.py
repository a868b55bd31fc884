"""The papers that all is asked of: one of each testbed, those on none."""

import re

from assay import papers


def testbed(paper):
  """The testbed that a paper stands on, '' if on none."""
  text = (papers.ROOT / 'experiments' / f'{paper}.py').read_text()
  found = re.search(r'^from assay\.testbeds import (\w+)', text, re.MULTILINE)
  return found[1] if found else ''


def of_each():
  """The first paper of each testbed, and those on none."""
  found = {}
  for paper in papers.names():
    found.setdefault(testbed(paper) or paper, paper)
  return set(found.values())
