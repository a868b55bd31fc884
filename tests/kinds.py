"""Of what there are many of: the few of it that `make test` asks all of.

The papers: one of each testbed and those on none. Values of a test: the first.
"""

import re

import pytest

from assay import papers


def testbed(paper):
  """The testbed that a paper stands on, '' if on none."""
  text = (papers.ROOT / 'experiments' / f'{paper}.py').read_text()
  found = re.search(r'^from assay\.testbeds import (?:bounds, |networks, )*'
                    r'(\w+)', text, re.MULTILINE)
  return found[1] if found else ''


def of_each():
  """The first paper of each testbed, and those on none."""
  found = {}
  for paper in papers.names():
    found.setdefault(testbed(paper) or paper, paper)
  return set(found.values())


def nightly(*cases):
  """Cases of a parametrized test, of which `--all` alone asks.

  Args:
    *cases: a value each; or a tuple, of as many values as the test has.
  """
  return [pytest.param(*(case if isinstance(case, tuple) else (case,)),
                       marks=pytest.mark.nightly) for case in cases]
