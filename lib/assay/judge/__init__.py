"""Judge results that Assay did not make: is ours better, or is it the seeds?

    python -m assay judge results.csv
    python -m assay judge plan --effect 0.5 --sd 1.2 --varies fresh

Two arrays of one number a seed, or a whole table:

    >>> from assay import judge
    >>> ours, baseline = [2.1, 1.9, 2.2, 2.0, 1.8], [2.6, 2.5, 2.5, 2.7, 2.4]
    >>> judge.compare(ours, baseline, varies='fresh', metric='error').sentence
    ... # doctest: +ELLIPSIS
    'ours has a lower error than baseline (mean difference -0.54, 95 % ...).'

`examples` judges results of single examples, `many` results on many data sets,
`plan` says how many seeds it takes. No part imports JAX.
"""

from assay.judge import columns as _columns
from assay.judge import files as _files
from assay.judge import show as _show
from assay.judge.pairs import Comparison as Comparison
from assay.judge.pairs import as_pairs, by_seed, every_pair
from assay.judge.varies import Varies as Varies
from assay.judge.varies import varies_of


class Comparisons(list):
  """`Comparison`s that show as a table in a notebook and a terminal."""

  def __str__(self):
    return _show.terminal(self)

  def _repr_html_(self):
    return _show.html(self)


def compare(ours, baseline, varies, *, train=None, test=None, ratio=None,
            metric='value', names=('ours', 'baseline'), check=None, by=0.0,
            better=None):
  """The `Comparison` of two methods, seed by seed.

  Args:
    ours: [n] float, one number a seed; NaN where a seed diverged.
    baseline: the same, of the same seeds in the same order.
    varies: what a seed varies: 'fresh' data and all else; 'resplit': another
      split of one data set, and all else; 'fixed_split': initialization and
      order, on the same data.
    train: number of training examples; needed for 'resplit'.
    test: number of test examples; needed for 'resplit'.
    ratio: test / train, in place of both.
    metric: its name, for sentences, and for which end of it is better.
    names: of the two methods.
    check: 'less', 'greater' or 'equal'; None: that ours is better, and where
      it is not known what is better, on the side on which its mean lies.
    by: the margin of the check.
    better: 'higher' or 'lower', if the metric's name does not tell.

  Raises:
    UserError: arrays that cannot be compared, or what is missing, by name.
  """
  return by_seed(as_pairs(ours, baseline), names,
                 varies_of(varies, train, test, ratio), metric=metric,
                 check=check, by=by, better=better)


def table(frame, varies, *, train=None, test=None, ratio=None, ours=None,
          **options):
  """`Comparisons` of all pairs of methods, of each metric and data set.

  Args:
    frame: a data frame of pandas or polars, a dict of columns, a list of dicts
      or the name of a file.
    varies: as for `compare`, as are train, test and ratio.
    train: see `varies`.
    test: see `varies`.
    ratio: see `varies`.
    ours: a method: only the pairs that it is part of.
    **options: of `columns.Options`.

  Raises:
    UserError: as `compare`.
  """
  read = _files.read if isinstance(frame, str) or hasattr(
      frame, '__fspath__') else _files.from_frame
  data = _columns.load(read(frame), _columns.Options(**options))
  return Comparisons(every_pair(data, varies_of(varies, train, test, ratio),
                                ours))
