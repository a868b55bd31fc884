"""Of what there are many of: the few of it that `make test` asks all of."""

import pytest


def nightly(*cases):
  """Cases of a parametrized test, of which `--all` alone asks.

  Args:
    *cases: a value each; or a tuple, of as many values as the test has.
  """
  return [pytest.param(*(case if isinstance(case, tuple) else (case,)),
                       marks=pytest.mark.nightly) for case in cases]
