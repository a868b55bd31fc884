"""Figures: differences with their intervals, mean ranks, power, profiles."""

import math
import re
import warnings

import numpy as np

from assay.errors import UserError
from assay.judge import many
from assay.report import drawing, verdicts

MOST = 30  # comparisons in one panel
SUFFIXES = ('.svg', '.png', '.pdf')


def save(found, path):
  """Draws what was found to a file, by its ending.

  Returns:
    The characters of names that the font lacks.

  Raises:
    UserError: another ending, or nothing to draw.
  """
  if path.suffix.lower() not in SUFFIXES:
    raise UserError(f'--figure: {path} must end in {", ".join(SUFFIXES)}.')
  ranks = [s for s in found.summaries if 'ranks' in s]
  if not found.comparisons and not ranks:
    raise UserError(f'--figure={path}: there is nothing to draw; '
                    + ('choose what a seed varies by --varies'
                       if found.answers else 'give three or more methods, or '
                       'several seeds of each') + '.')
  shown = figure(found.comparisons, ranks)
  with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter('always')
    shown.savefig(path, dpi=150)
  lacks = {}
  for warning in caught:
    glyph = re.match(r'Glyph (\d+) ', str(warning.message))
    if glyph:
      lacks[chr(int(glyph[1]))] = True
    else:
      warnings.warn_explicit(warning.message, warning.category,
                             warning.filename, warning.lineno)
  return ''.join(lacks)


def figure(comparisons, summaries=()):
  """A panel of differences for each metric, one of ranks for each summary."""
  by_metric = {}
  for c in comparisons:
    by_metric.setdefault(c.metric, []).append(c)
  heights = [1.1 + 0.36 * min(len(own), MOST) for own in by_metric.values()]
  heights += [1.2 + 0.13 * len(s['ranks'].methods) for s in summaries]
  from matplotlib.figure import Figure

  shown = Figure(figsize=(drawing.WIDTH, sum(heights)), layout='constrained')
  panels = shown.subplots(len(heights), 1, squeeze=False, gridspec_kw={
      'height_ratios': heights})[:, 0]
  for axes, own in zip(panels, by_metric.values(), strict=False):
    differences(axes, own)
  for axes, summary in zip(panels[len(by_metric):], summaries, strict=True):
    mean_ranks(axes, summary['ranks'])
    axes.set_title(f'{plain(summary["metric"])}: mean rank over '
                   f'{summary["datasets"]} data sets', fontsize=9, loc='left')
  return shown


def plain(text):
  """A text in which `$` is no formula."""
  return text.replace('$', r'\$')


def differences(axes, own):
  """Intervals of ours - baseline, a line for each; hollow if undecided."""
  shown = own[:MOST]
  axes.spines[['top', 'right']].set_visible(False)
  axes.tick_params(labelsize=9)
  axes.axvline(0, color='black', lw=0.8)
  for i, c in enumerate(shown):
    v = c.verdict
    drawing.interval(axes, i, v.low, v.estimate, v.high,
                     c.corrected == 'undecided')
    if c.by:
      for end in v.region:
        if math.isfinite(end):
          axes.plot([end, end], [i - 0.3, i + 0.3], color=drawing.THEIRS, lw=1)
  axes.set_yticks(range(len(shown)), [plain(
      f'{c.ours} - {c.baseline}' + f' ({c.dataset})' * bool(c.dataset))
                                      for c in shown])
  axes.set_ylim(len(shown) - 0.4, -0.6)
  axes.grid(axis='x', lw=0.4, color='#cccccc')
  axes.set_axisbelow(True)
  drawing.right_texts(axes, [
      f'{c.standing}, n = {c.verdict.n}' for c in shown])
  better = own[0].better
  axes.set_xlabel(plain(f'difference in {own[0].metric}')
                  + f', {better} is better' * bool(better)
                  + f'; the first {MOST} of {len(own)}' * (len(own) > MOST),
                  fontsize=9)


def mean_ranks(axes, ranks):
  """Mean ranks on a line, with bars over those that are not told apart."""
  k, cliques = len(ranks.methods), ranks.cliques
  axes.set_xlim(0.6, k + 0.4)
  axes.set_xticks(range(1, k + 1))
  axes.xaxis.tick_top()
  axes.tick_params(labelsize=9)
  axes.spines[['left', 'right', 'bottom']].set_visible(False)
  axes.set_yticks([])
  half, low = -(-k // 2), 0.35 + 0.22 * len(cliques)
  for i, (method, rank) in enumerate(zip(ranks.methods, ranks.ranks,
                                         strict=True)):
    first = i < half
    depth = low + 0.4 * ((i if first else k - 1 - i) + 1)
    end = 0.95 if first else k + 0.05
    axes.plot([rank, rank, end], [0, depth, depth], color=drawing.GREY, lw=1,
              clip_on=False)
    axes.plot(rank, 0, 'o', color=drawing.OURS, ms=5, clip_on=False)
    axes.text(end + (-0.05 if first else 0.05), depth,
              plain(f'{method} ({verdicts.digits(rank)})'), fontsize=9,
              va='center', ha='right' if first else 'left')
  for i, (first, last) in enumerate(cliques):
    height = 0.3 + 0.22 * i
    axes.plot([ranks.ranks[first] - 0.04, ranks.ranks[last] + 0.04],
              [height, height], color=drawing.OURS, lw=4,
              solid_capstyle='butt')
  bottom = low + 0.4 * (half + 1.4)
  axes.set_ylim(bottom, 0)
  if ranks.p < 0.05:
    axes.plot([1, 1 + ranks.critical_difference], [bottom - 0.1] * 2,
              color='black', lw=1.5)
    axes.text(1 + ranks.critical_difference / 2, bottom - 0.15,
              'critical difference', fontsize=8, ha='center', va='bottom')


def profiles(scores, axes=None):
  """Performance profiles with 95 % bands; returns the figure.

  Args:
    scores: method -> [runs, tasks] float, on one scale.
    axes: to draw on, of a figure of the caller's; default a new one.
  """
  shown = None
  if axes is None:
    shown, axes = drawing.new_figure(3)
  everything = np.concatenate([np.ravel(x) for x in scores.values()])
  taus = np.linspace(everything.min(), everything.max(), 101)
  for i, (method, x) in enumerate(scores.items()):
    x, style = np.asarray(x, float), drawing.line_and_mark(i)
    low, high = many.stratified_bootstrap(
        lambda x: many.performance_profile(x, taus), x, num_resamples=500)
    axes.fill_between(taus, low, high, color=style['color'], alpha=0.15, lw=0)
    axes.plot(taus, many.performance_profile(x, taus), color=style['color'],
              ls=style['ls'], label=plain(method))
  axes.set_xlabel('score', fontsize=9)
  axes.set_ylabel('share of runs above it', fontsize=9)
  drawing.key(axes)
  return shown or axes.figure
