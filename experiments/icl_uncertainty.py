"""In-context uncertainty: a transformer beside the exact Bayes predictor.

  python -m experiments.icl_uncertainty \
    --config=configs/icl_uncertainty.py:small

Liu et al. (2024): a transformer reads pairs (x, y) of a noisy linear function
and predicts the mean and the standard deviation of the next y. The predictor
that is best on average is known exactly, so every claim is a distance to it.

Splits: `test` are prompts as long as in training, `beyond` positions that no
training prompt had, `positions` single positions (field `position`, the number
of pairs before), `noise x 4` and so on prompts of shifted tasks.
"""

import functools
import sys

import jax
import numpy as np
from scipy import stats

from assay import cli
from assay.methods import bayes_regression as bayes
from assay.testbeds import in_context
from assay.testbeds import in_context_regression as regression
from configs import icl_uncertainty as settings

LEVELS = (50, 80, 95)  # of coverage, %
SHOWN = 24  # positions, at most, that have rows

ARMS = {
    'none': regression.learner('none'),
    'learned': regression.learner('learned'),
    'segments': regression.learner('learned', lambda net: net.segment_starts),
    'offsets': regression.learner('learned', regression.anywhere),
    # A new covariance for each sequence.
    'meta': regression.learner('none', covariates='random'),
    # `pool` knows the pool of a split.
    **{arm: regression.reference(arm)
       for arm in (*settings.REFERENCES, 'pool')},
}
make_apply = in_context.loader(ARMS)


# --- Rows --------------------------------------------------------------------


def add_rows(config, add, ask, arm, fitted):
  """Adds the rows of an arm on all splits; see `in_context.run`."""
  net, d = config.net, config.net.dimension
  add_row = functools.partial(add, dataset='regression', n=config.num_prompts)
  (mean, log_std), y = _float64(ask('long'))
  best, best_log_std = ask('long', 'bayes')[0]
  # Without a variance what is saved of it is NaN.
  saved = mean, np.full_like(mean, np.nan) if log_std is None else log_std
  add.save(predictions=np.stack(saved, axis=1).astype(np.float32))
  inside, later = slice(0, net.num_pairs), slice(2, net.num_pairs)
  parts = {'test': inside, 'beyond': slice(*_beyond(net))}
  positions = in_context.shown(net.test_pairs, SHOWN)
  for split, part in parts.items():
    add_row('rmse', rms(part), mean - y, split=split)
    add_row('rms_mean', rms(part), mean - best, split=split)
  for k in positions:
    add_row('rmse', rms(k), mean - y, split='positions', position=k)
  if log_std is None:
    return
  with np.errstate(over='ignore', invalid='ignore'):
    nll = bayes.gaussian_nll(mean, log_std, y)
  gap = nll - bayes.gaussian_nll(best, best_log_std, y)
  # Without a prior there is no variance before d + 1 pairs. Near them it has no
  # mean; a few pairs on it has.
  defined = arm not in ('least_squares', 'flat_prior')
  if d > 1:
    add_row('nll_gap', mean_of(slice(d + 3, 3 * d + 1)), gap, split='test',
            group='few pairs')
  for k in positions:
    if defined or k > d + 2:
      add_row('nll_gap', mean_of(k), gap, split='positions', position=k)
      add_row('log_std', mean_of(k), log_std, split='positions', position=k)
  if not defined:
    return
  for split, part in parts.items():
    for metric, values in (('nll', nll), ('nll_gap', gap),
                           ('log_std', log_std)):
      add_row(metric, mean_of(part), values, split=split)
  on_test = functools.partial(add_row, split='test')
  # Far below 0 it would be a mistake: nothing beats the exact predictor.
  on_test('nll_gap_in_standard_errors', lambda gap: _in_standard_errors(
      gap[:, inside].mean(axis=1)), gap)
  on_test('rms_log_std', rms(later), log_std - best_log_std)
  for level in LEVELS:
    within = stats.norm.ppf(0.5 + level / 200)
    on_test(f'coverage_{level}', lambda error, log_std: np.mean(
        np.abs(error)[:, inside] * np.exp(-log_std[:, inside]) <= within),
            mean - y, log_std)
  _add_shifts(config, add_row, ask, later, fitted)


def _add_shifts(config, add_row, ask, later, fitted):
  """Adds the rows of shifted prompts; `later` are positions."""
  gaps = []
  for split, how in regression.splits(config).items():
    # A model of one pool says nothing of another.
    other = fitted and config.net.num_tasks not in (0, how.get('pool'))
    if split == 'long' or 'pool' in how and other:
      continue
    on_split = functools.partial(add_row, split=split)
    (mean, log_std), y = _float64(ask(split))
    best, best_log_std = ask(split, 'bayes')[0]
    gap = (bayes.gaussian_nll(mean, log_std, y)
           - bayes.gaussian_nll(best, best_log_std, y))
    gaps += [gap] * (split in config.covariate_shifts)
    on_split('nll_gap', np.mean, gap)
    on_split('log_std', mean_of(later), log_std)
    on_split('rms_log_std', rms(later), log_std - best_log_std)
    if 'pool' in how:
      known, known_log_std = ask(split, 'pool')[0]
      apart = lambda a, b: np.sqrt(np.mean(a**2 + b**2))
      on_split('pool_excess', lambda *of: apart(*of[:2]) - apart(*of[2:]),
               mean - known, log_std - known_log_std, mean - best,
               log_std - best_log_std)
  if gaps:
    add_row('nll_gap', lambda *each: np.mean([gap.mean() for gap in each]),
            *gaps, split='covariates')


def mean_of(part):
  """The mean of values [N, T] over prompts and some positions."""
  return lambda values: values[:, part].mean()


def rms(part):
  """Their root mean square."""
  return lambda values: np.sqrt(np.mean(values[:, part]**2))


def _float64(asked):
  """Outputs of a model as the predictors have them."""
  outputs, y = asked
  return jax.tree.map(lambda x: x.astype(np.float64), outputs), y


def _in_standard_errors(values):
  """The mean of n values in its standard errors."""
  return values.mean() / max(values.std(ddof=1) / len(values)**.5, 1e-30)


def _beyond(net):
  """First and last position, in pairs, of `beyond`: 60 to 99 of 44 and 100."""
  return round(net.num_pairs * 60 / 44), net.test_pairs


def run(config, study):
  """Trains or computes every arm on every seed; returns the rows."""
  return regression.run(config, study, ARMS, add_rows)


if __name__ == '__main__':
  sys.exit(cli.main('icl_uncertainty'))
