"""How often each test of `assay.judge` decides where there is nothing.

  python -m benchmarks.judging [--draws=1000] [--anchors=100] [--quick]
      [--into=docs/judging.md]

Draws results of two methods that are equal in the mean, under the law that is
least favorable to the test, and counts verdicts that are not `undecided`; 5 %
are allowed. Beside them other packages judge the same draws (fewer of them, as
some take their time), where they are installed: `pip install rliable baycomp
deepsig 'pandas<3'`. It imports no JAX.
"""

import argparse
from datetime import date
from importlib import metadata
import shlex
import sys

import numpy as np
from scipy import stats

from assay import judge
from assay.claims import intervals
from assay.judge import examples, many
from assay.report import page

LAWS = {
    'normal': lambda rng, shape: rng.normal(size=shape),
    'skewed (exponential)': lambda rng, shape: rng.exponential(size=shape) - 1,
    'heavy tails (t, 3)': lambda rng, shape: rng.standard_t(3, size=shape)}
SEEDS = (5, 10, 20)
RATIO = 0.25  # five re-splits of 80 % and 20 %


def differs(made):
  return made.state != 'undecided'


# --- Other packages ----------------------------------------------------------


def anchors():
  """Name -> (ours, baseline, ratio) -> whether it says that they differ."""
  found = {}
  try:
    import baycomp
    # It takes folds: five of each run are re-splits with n_test/n_train 1/4.
    found['baycomp, P > 0.975'] = lambda a, b, ratio: max(
        baycomp.two_on_single(a, b, rope=0, runs=len(a) // 5)) > 0.975
  except ImportError:
    pass
  try:
    from rliable import library, metrics

    def improvement(a, b, ratio):
      del ratio
      _, interval = library.get_interval_estimates(
          {'x': (a[:, None], b[:, None])}, lambda x, y: np.array(
              [metrics.probability_of_improvement(x, y)]), reps=200)
      low, high = interval['x'].ravel()
      return not low <= 0.5 <= high

    found['rliable, P(better)'] = improvement
  except ImportError:
    pass
  try:
    import deepsig
    # One-sided, so each side at half the level. Its almost stochastic order
    # has no level to be held to.
    found['deepsig, bootstrap'] = lambda a, b, ratio: min(
        deepsig.bootstrap_test(x, y, num_samples=300)
        for x, y in ((a, b), (b, a))) < 0.025
  except ImportError:
    pass
  return found


# --- One number a seed -------------------------------------------------------


def seeds(report, draws, few):
  """Independent seeds: the mean difference is 0, and follows each law."""
  others = {k: f for k, f in anchors().items() if 'baycomp' not in k}
  report.head('law of the differences', 'n', 'paired t (decides)',
              'sign-flip (beside)', 'Wilcoxon', 'bootstrap of the mean',
              *others)
  for name, law in LAWS.items():
    for n in SEEDS:
      rng = np.random.default_rng(n)
      x = law(rng, (draws, n))
      base = rng.normal(size=(draws, n))
      made = [judge.compare(b + d, b, 'fresh') for d, b in zip(
          x, base, strict=True)]
      drawn = rng.integers(n, size=(400, n))
      means = np.quantile(x[:few * 4][:, drawn].mean(-1), [0.025, 0.975], 1)
      report.line(
          name, n, share(map(differs, made)),
          share(c.verdict.p_sign_flip < 0.05 for c in made),
          share(stats.wilcoxon(d).pvalue < 0.05 for d in x[:few * 2]),
          share((means[0] > 0) | (means[1] < 0)),
          *(share(f(b + d, b, 0) for d, b in zip(x[:few], base, strict=False))
            for f in others.values()))


def resplits(report, draws, few):
  """Re-splits whose differences correlate by r / (1 + r), r = 1/4."""
  others = {k: f for k, f in anchors().items() if 'baycomp' in k}
  report.head('law of the differences', 'n', 'corrected t (decides)',
              'naive t', 'sign-flip', *others)
  correlation = RATIO / (1 + RATIO)
  for name, law in LAWS.items():
    for n in SEEDS:
      rng = np.random.default_rng(n)
      x = ((1 - correlation)**0.5 * law(rng, (draws, n))
           + correlation**0.5 * law(rng, (draws, 1)))
      zero = np.zeros(n)
      made = [judge.compare(d, zero, 'resplit', ratio=RATIO) for d in x]
      report.line(
          name, n, share(map(differs, made)),
          share(c.verdict.naive[0] > 0 or c.verdict.naive[1] < 0
                for c in made),
          share(intervals.sign_flip_p_value(d, 0) < 0.05 for d in x),
          *(share(f(d, zero, RATIO) for d in x[:few]) for f in others.values()))


# --- Single examples ---------------------------------------------------------


def on_examples(report, draws, few):
  """Equal methods on the same examples."""
  report.head('examples', 'exact McNemar', 'paired t of skewed losses',
              'bootstrap beside it', 'DeLong')
  for n in (30, 100, 300):
    rng = np.random.default_rng(n)
    right = rng.random((few * 2, 2, n)) < 0.7
    losses = np.stack([rng.exponential(size=(few * 2, n)) - 1,
                       np.zeros((few * 2, n))], 1)
    labels = rng.random((few * 2, n)) < 0.3
    scores = rng.normal(size=(few * 2, 2, n)) + labels[:, None]
    paired = [examples.paired(a, b) for a, b in losses[:few]]
    report.line(
        str(n), share(differs(examples.mcnemar(a, b)) for a, b in right),
        share(differs(examples.paired(a, b, bootstrap=False))
              for a, b in losses),
        share(c.verdict.bootstrap[0] > 0 or c.verdict.bootstrap[1] < 0
              for c in paired),
        share(differs(examples.delong(a, b, y.astype(int)))
              for (a, b), y in zip(scores, labels, strict=True)
              if 1 < y.sum() < n - 1))


# --- Many data sets ----------------------------------------------------------


def over_datasets(report, draws, few):
  """Five equal methods: whether any two are told apart."""
  report.head('law', 'data sets', 'Friedman, p < 0.05',
              'and Nemenyi tells two apart', 'Holm over ten paired t')
  for name, law in LAWS.items():
    for n in (6, 12, 30):
      x = law(np.random.default_rng(n), (few * 3, n, 5))
      found = [many.friedman(one, list('abcde'), 'higher') for one in x]
      report.line(name, n, share(f.p < 0.05 for f in found),
                  share(bool(f.differ) for f in found),
                  share(any_pair(one) for one in x))


def any_pair(x):
  """Whether Holm's correction leaves any of all pairs of columns decided."""
  i, j = np.triu_indices(x.shape[1], 1)
  ps = stats.ttest_1samp(x[:, i] - x[:, j], 0).pvalue
  return ps.min() * len(ps) < 0.05


# --- Tables ------------------------------------------------------------------


def share(flags):
  """Percent of what is true, as a text."""
  flags = np.fromiter(flags, bool)
  return f'{100 * flags.mean():.1f}'


class Report:
  """Markdown tables, printed as they grow."""

  def __init__(self):
    self.lines = []

  def head(self, *cells):
    self.add(cells)
    self.add([':--', *['--:'] * (len(cells) - 1)])

  def line(self, *cells):
    self.add(map(str, cells))

  def add(self, cells):
    self.say('| ' + ' | '.join(cells) + ' |')

  def say(self, text):
    self.lines.append(text)
    print(text, flush=True)


PARTS = {
    'One number a seed': seeds, 'Re-splits': resplits,
    'Single examples': on_examples, 'Many data sets': over_datasets}


def main(argv=None):
  argv = sys.argv[1:] if argv is None else argv
  parser = argparse.ArgumentParser(prog='python -m benchmarks.judging',
                                   description=__doc__.partition('\n')[0])
  parser.add_argument('--draws', type=int, default=1000)
  parser.add_argument('--anchors', type=int, default=100, metavar='N',
                      help='draws that other packages judge')
  parser.add_argument('--quick', action='store_true',
                      help='see that all works; the numbers mean little')
  parser.add_argument('--into', metavar='FILE')
  flags = parser.parse_args(argv)
  draws, few = (20, 5) if flags.quick else (flags.draws, flags.anchors)
  report = Report()
  report.say(f'Percent of false verdicts, 5 allowed; {draws:,} draws, other '
             f'packages and slower tests {few} to {4 * few}.')
  for title, part in PARTS.items():
    report.say(f'\n**{title}**: {part.__doc__}\n')
    part(report, draws, few)
  versions = ', '.join(f'{name} {_version(name)}' for name in (
      'numpy', 'scipy', 'rliable', 'baycomp', 'deepsig') if _version(name))
  words = [w for w in argv if not w.startswith('--into')]
  report.say(f'\n`{shlex.join(["python", "-m", "benchmarks.judging", *words])}`'
             f' on {date.today().isoformat()}: {versions}.')
  if flags.into:
    page.insert(flags.into, 'benchmarks/judging', '\n'.join(report.lines))
  return 0


def _version(name):
  try:
    return metadata.version(name)
  except metadata.PackageNotFoundError:
    return ''


if __name__ == '__main__':
  sys.exit(main())
