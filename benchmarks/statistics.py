"""How often each rule of verdicts decides falsely, and how much it sees.

  python -m benchmarks.statistics [--trials=1000] [--into=docs/statistics.md]

Each rule is asked about numbers whose true mean lies just where the claim ends,
its least favorable null, so that every verdict one way is false: normal,
exponential (skewed) and heavy-tailed (Student's t with 3 degrees of freedom)
differences, n = 5, 10 and 20 seeds. Power is against an effect of one standard
deviation. Seeds of the simulation are fixed; no JAX is needed.
"""

import argparse
import collections
import pathlib
import sys

import numpy as np

from assay import disk
from assay.claims import intervals, rules, samples
from assay.report import page, tables

NUMBERS = (5, 10, 20)
ROOT = pathlib.Path(__file__).resolve().parents[1]
LAWS = {  # of mean 0 and standard deviation 1
    'normal': lambda rng, n: rng.normal(size=n),
    'exponential': lambda rng, n: rng.exponential(size=n) - 1,
    'heavy-tailed': lambda rng, n: rng.standard_t(3, size=n) / 3**.5}
RATIO = 0.25  # n_test / n_train of re-splits
ABOVE, BOUNDED = (0.0, np.inf), (0.9, 1.0)


def verdict(values, region=ABOVE, ratio=0.0, **how):
  return rules.mean_verdict(samples.Sample(
      np.asarray(values, float), ratio, 't', '', [], {}), None, region, **how)


def is_decided(values, **how):
  return verdict(values, **how).state != 'undecided'


def paired(draw, rng, n):
  """less, greater, within: both ways are false at the end of the region."""
  return is_decided(draw(rng, n))


def flipped(draw, rng, n):
  """The same where a verdict also needs the sign-flip p below .05."""
  found = verdict(draw(rng, n))
  return found.state != 'undecided' and found.p_sign_flip <= rules.LEVEL


def equality(draw, rng, n):
  """equal: the difference is as large as its margin, and it holds."""
  return verdict(draw(rng, n) + 2, (-2.0, 2.0),
                 tail=.05).state == 'holds'


def resplits(draw, rng, n):
  """Splits that share rows, so that their numbers do: Nadeau and Bengio's law.
  """
  shared = RATIO / (1 + RATIO)
  return is_decided(shared**.5 * draw(rng, 1) + (1 - shared)**.5 * draw(rng, n),
                    ratio=RATIO)


def whole(draw, rng, n):
  """all_of six parts that all just hold: that one fails is false."""
  share = rules.ALONE.among(6, every=True)
  return any(verdict(draw(rng, n), closed=True, shared=share).state == 'fails'
             for _ in range(6))


def majority(draw, rng, n):
  """every_seed(.., .5): above the median of its law in half of the seeds."""
  middle = np.median(draw(np.random.default_rng(1), 100_001))
  good = int(np.sum(draw(rng, n) > middle))
  return intervals.binomial_p_value(good, n, .5) <= rules.LEVEL


def alike(draw, rng, n):
  """within [.9, 1] of 0 or 1 with a mean just below .9, mostly all 1: holds."""
  del draw
  return verdict(rng.random(n) < .9 - 1e-9, BOUNDED, closed=True,
                 reach=(0.0, 1.0)).state == 'holds'


def one_test_set(draw, rng, n):
  """fixed_split, read as a word on data sets: the test set is drawn once."""
  return is_decided(draw(rng, 1) + draw(rng, n))


def looked_at(draw, rng, n):
  """Deciding at 5 seeds, else at 10, else at 20."""
  values = draw(rng, 20)
  return any(is_decided(values[:k]) for k in NUMBERS if k <= n)


def many(draw, rng, n):
  """One of twenty claims is decided, each by itself."""
  return any(is_decided(draw(rng, n)) for _ in range(20))


def corrected(draw, rng, n):
  """One of twenty claims is decided after correction."""
  ps = intervals.holm([verdict(draw(rng, n)).p for _ in range(20)])
  return min(ps) <= rules.LEVEL


FALSE = {
    '`less`, `greater`, `within`: paired t': paired,
    'the same, if sign flips must agree': flipped,
    '`equal`: two one-sided tests': equality,
    're-splits: corrected resampled t': resplits,
    '`all_of` six parts': whole,
    '`every_seed(.., .5)`: exact binomial': majority,
    'values of 0 or 1, mostly all equal': alike,
    '`fixed_split`, read as over data sets': one_test_set,
    'a plan extended from 5 to 10 to 20': looked_at,
    'one of 20 claims, by itself': many,
    'one of 20 claims, after correction': corrected}
POWER = {
    '`less`, `greater`, `within`: paired t': lambda draw, rng, n: verdict(
        draw(rng, n) + 1).state == 'holds',
    'the same, if sign flips must agree': lambda draw, rng, n: flipped(
        lambda *args: draw(*args) + 1, rng, n),
    're-splits: corrected resampled t': lambda draw, rng, n: verdict(
        draw(rng, n) + 1, ratio=RATIO).state == 'holds'}


def rates(rule, trials):
  """{law: [rate for each of NUMBERS]}."""
  return {law: [np.mean([rule(draw, np.random.default_rng((n, i)), n)
                         for i in range(trials)]) for n in NUMBERS]
          for law, draw in LAWS.items()}


def table(rules_of, trials):
  """Markdown: a line for each rule, rates in percent at each n."""
  rows = [['rule', *LAWS], [':--'] + ['--:'] * len(LAWS)]
  for name, rule in rules_of.items():
    found = rates(rule, trials)
    rows.append([name, *(' / '.join(f'{100 * x:.1f}' for x in found[law])
                         for law in LAWS)])
    print(*rows[-1], flush=True)
  return tables.markdown_of(rows)


def of_one_test_set():
  """A sentence: how many of the decided verdicts speak of one test set."""
  states = collections.Counter()
  for file in sorted(ROOT.glob('results/*/verdicts.json')):
    for entry in disk.read_json(file, {'claims': dict})['claims'].values():
      if entry.get('state') in ('holds', 'fails'):
        states['one test set' in entry['method']] += 1
  return (f'Of {states.total()} decided verdicts in `results/`, {states[True]} '
          'are of this kind.')


def main(argv):
  parser = argparse.ArgumentParser(prog='python -m benchmarks.statistics',
                                   description='False verdicts and power.')
  parser.add_argument('--trials', type=int, default=1000)
  parser.add_argument('--into', metavar='FILE')
  flags = parser.parse_args(argv)
  texts = {'false': table(FALSE, flags.trials),
           'power': table(POWER, flags.trials),
           'one_test_set': of_one_test_set()}
  error = 100 * (.05 * .95 / flags.trials) ** .5
  for name in ('false', 'power'):
    texts[name] += (f'\n\nPercent at n = 5 / 10 / 20, {flags.trials} trials '
                    f'each: 5 % is known to {error:.1f}.')
  for name, text in texts.items():
    if flags.into:
      page.insert(flags.into, f'benchmarks/statistics_{name}', text)
    else:
      print(text)


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
