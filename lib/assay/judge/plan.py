"""Power before the run: how many seeds would settle it, and whether any would.

The chance that the interval of a difference lies on the right side of zero, of
Student's t or the corrected resampled t, is that of a noncentral t; of the
latter if re-splits are correlated as its correction assumes.
"""

import argparse
import json
import math
import sys

from scipy import special

from assay.claims import intervals
from assay.claims.intervals import MAX_SEEDS, TAIL
from assay.claims.rules import MIN_SEEDS
from assay.errors import UserError, parsed, told
from assay.judge.varies import KINDS, varies_of

SEEDS = (5, 8, 10, 15, 20, 30, 50, 100, 200, 500, 1000)
WANTED = 0.8


def power(n, effect, sd, ratio=0.0, tail=TAIL):
  """The chance that n seeds decide that the difference is on its side of 0.

  Args:
    n: seeds, 2 or more.
    effect: the true mean difference.
    sd: the standard deviation over seeds of the differences.
    ratio: n_test / n_train of re-splits.
    tail: probability left out on each side of the interval.
  """
  shift = abs(effect) / (sd * math.sqrt(1 / n + ratio))
  beyond = special.stdtrit(n - 1, 1 - tail)
  # The noncentral t of many degrees of freedom is normal.
  if n > 1000:
    return float(special.ndtr(shift - beyond))
  value = float(1 - special.nctdtr(n - 1, shift, beyond))
  return value if math.isfinite(value) else float(
      special.ndtr(shift - beyond))


def limit(effect, sd, ratio):
  """The power of endlessly many seeds: 1 unless they are re-splits."""
  if not ratio:
    return 1.0
  return float(special.ndtr(abs(effect) / (sd * math.sqrt(ratio))
                            - special.ndtri(1 - TAIL)))


def plan(effect, sd, varies, *, train=None, test=None, ratio=None,
         wanted=WANTED):
  """Power by number of seeds: a dict.

  Args:
    effect: the mean difference that would matter, not 0.
    sd: the standard deviation over seeds of the paired differences.
    varies: 'fresh', 'resplit' or 'fixed_split'.
    train: number of training examples, for re-splits.
    test: number of test examples, for re-splits.
    ratio: test / train, in place of both.
    wanted: the power that is asked for.

  Returns:
    `seeds` (the fewest with the wanted power, None if no number has it),
    `limit` (the power of endlessly many), `table` [(seeds, power)], and what
    was asked.

  Raises:
    UserError: a number that makes no sense, named.
  """
  kind = varies_of(varies, train, test, ratio)
  if not (math.isfinite(effect) and effect != 0):
    raise UserError(f'effect={effect}: give the difference that would matter, '
                    'not 0: no number of seeds shows that there is none.')
  if not 0 < sd < math.inf:
    raise UserError(f'sd={sd}: give the standard deviation over seeds of the '
                    'paired differences, above 0; a pilot of five seeds has '
                    'one.')
  if not 0 < wanted < 1:
    raise UserError(f'power={wanted}: must be between 0 and 1.')
  enough = lambda n: power(n, effect, sd, kind.ratio) >= wanted
  highest = limit(effect, sd, kind.ratio)
  needed = intervals.seeds_needed(enough, MIN_SEEDS)
  shown = [n for n in SEEDS if n == SEEDS[0] or not needed
           or n <= 4 * needed] + [needed] * bool(needed)
  return {
      'effect': effect, 'sd': sd, 'varies': varies, 'ratio': kind.ratio,
      'wanted': wanted, 'seeds': needed, 'limit': highest,
      'table': [(n, power(n, effect, sd, kind.ratio))
                for n in sorted(set(shown))]}


def lines(found):
  """A plan as text."""
  unit, about = KINDS[found['varies']]
  ratio = f', n_test/n_train {found["ratio"]:.3g}' if found['ratio'] else ''
  text = [f'A difference of {found["effect"]:g} with a standard deviation of '
          f'{found["sd"]:g} over {unit}{ratio}',
          f'({about}):', '', f'{unit:>14}  chance to decide it']
  for n, chance in found['table']:
    text.append(f'{n:14,}  {100 * chance:4.0f} %  '
                + '#' * round(30 * chance))
  text.append('')
  if found['seeds']:
    text.append(f'{found["seeds"]:,} {unit} have a chance of '
                f'{100 * found["wanted"]:g} %.')
  elif found['limit'] < found['wanted']:
    text.append(f'No number of {unit} reaches {100 * found["wanted"]:g} %: '
                f'endlessly many have {100 * found["limit"]:.0f} %. They share '
                'examples; a larger test set, or other data, would help.')
  else:
    text.append(f'It takes more than {MAX_SEEDS:,} {unit}.')
  return '\n'.join(text)


@told
def main(argv=None):
  """Prints power by number of seeds; returns the exit status."""
  argv = sys.argv[1:] if argv is None else argv
  parser = argparse.ArgumentParser(
      prog='python -m assay judge plan', description='How many seeds does it '
      'take to decide on a difference, and would any number do?')
  add = parser.add_argument
  add('--effect', type=float, required=True, help='the mean difference of the '
      'two methods that would matter')
  add('--sd', type=float, required=True, help='the standard deviation over '
      'seeds of their paired differences, as of a pilot')
  add('--varies', required=True, metavar='KIND', help='what a seed varies: '
      'fresh, resplit or fixed_split')
  add('--train', type=int, metavar='N', help='training examples of a split')
  add('--test', type=int, metavar='N', help='test examples of a split')
  add('--ratio', type=float, help='test / train, in place of both')
  add('--power', type=float, default=WANTED, help='the chance that is wanted '
      '(default: %(default)s)')
  add('--json', action='store_true', help='print JSON')
  flags = parsed(parser, argv)
  found = plan(flags.effect, flags.sd, flags.varies, train=flags.train,
               test=flags.test, ratio=flags.ratio, wanted=flags.power)
  print(json.dumps(found, indent=2) if flags.json else lines(found))
  return 0
