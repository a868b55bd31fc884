"""Figures of arrays: training curves, bars, confidence against correctness."""

import numpy as np

from assay.report import drawing


def curves(curves, ylabel='', xlabel='step', log=False):
  """Median and interquartile band over seeds, a line per arm.

  Args:
    curves: name -> [num_points, seeds] float, NaN where a seed has stopped;
      'step' -> [num_points] the x axis.
    ylabel: what the curves measure.
    xlabel: what 'step' counts.
    log: logarithmic y axis.
  """
  figure, axes = drawing.new_figure(3.5)
  steps, labels = np.asarray(curves['step']), []
  for i, name in enumerate(k for k in curves if k != 'step'):
    values = np.asarray(curves[name], float)
    known = np.isfinite(values).any(axis=1)
    if not known.any():
      continue
    low, middle, high = np.nanquantile(
        np.where(np.isfinite(values), values, np.nan)[known],
        [0.25, 0.5, 0.75], axis=1)
    color = drawing.COLORS[i % 7]
    axes.fill_between(steps[known], low, high, color=color, alpha=0.18, lw=0)
    axes.plot(steps[known], middle, color=color, ls=drawing.LINES[i % 4],
              lw=1.5)
    labels.append((middle[-1], name, color))
  if log:
    axes.set_yscale('log')
  axes.set_xlabel(xlabel)
  axes.set_ylabel(ylabel)
  axes.set_title('median and interquartile band over seeds', fontsize=9,
                 loc='left')
  axes.margins(x=0)
  drawing.label_ends(axes, labels)
  return figure


def bars(names, groups, ylabel):
  """Groups of bars side by side, each with its number above it.

  Args:
    names: of the N bars in a group, told apart by color and hatching.
    groups: name -> [N] numbers.
    ylabel: what they are.
  """
  figure, axes = drawing.new_figure(3.2)
  width = 0.8 / len(names)
  for i, name in enumerate(names):
    drawn = axes.bar(
        np.arange(len(groups)) + (i + 0.5) * width - 0.4,
        [values[i] for values in groups.values()], 0.9 * width, label=name,
        color=drawing.COLORS[i % len(drawing.COLORS)], edgecolor='white',
        hatch=('', '//', '..', 'xx')[i % 4])
    axes.bar_label(drawn, fmt='%.3f', fontsize=7, padding=1)
  axes.set_xticks(range(len(groups)), groups, fontsize=9)
  axes.set_ylabel(ylabel, fontsize=9)
  drawing.key(axes)
  return figure


def reliability_diagram(arms):
  """Accuracy against mean confidence, a line per arm, and the diagonal.

  Args:
    arms: name -> `metrics.calibration.Reliability`, or (confidence, accuracy,
      count), each [num_bins]; empty bins are left out.
  """
  figure, axes = drawing.new_figure(4.2)
  axes.axline((0, 0), slope=1, color=drawing.GREY, lw=1, zorder=0,
              label='calibrated')
  for i, (name, bins) in enumerate(arms.items()):
    confidence, accuracy, count = map(np.asarray, bins)
    full = count > 0
    style = drawing.line_and_mark(i)
    mark = style.pop('marker')
    axes.plot(confidence[full], accuracy[full], lw=1.5, **style)
    axes.scatter(confidence[full], accuracy[full], marker=mark, lw=0,
                 s=12 + 120 * count[full] / count.sum(), alpha=0.8,
                 color=style['color'], zorder=2)
    axes.plot([], [], marker=mark, lw=1.5, ms=6, label=name, **style)
  axes.set_aspect('equal', anchor='W')
  axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02),
           xlabel='mean confidence of a bin', ylabel='accuracy of a bin')
  axes.set_title('the area of a mark grows with the share of examples;\n'
                 'below the diagonal: overconfident', fontsize=9, loc='left')
  _key_beside(axes)
  return figure


def risk_coverage_curves(arms):
  """Error among the most confident examples against their share, by arm.

  Args:
    arms: name -> (coverage, risk), each [N], as `metrics.selective` gives them.
      The height is that of the risk at coverage 0.05 and above: one error in
      the first few examples is much, and may lie above the frame.
  """
  figure, axes = drawing.new_figure(3.5)
  top, highest = 0.0, 0.0
  for i, (name, (coverage, risk)) in enumerate(arms.items()):
    coverage, risk = np.asarray(coverage), np.asarray(risk)
    # Marks at equal distances, each arm's beside those of the others.
    at = np.searchsorted(coverage, (0.1 + 0.02 * (i % 7)) + np.arange(8) / 8)
    axes.plot(coverage, risk, lw=1.5, ms=6, label=name,
              markevery=sorted({*at[at < len(risk)].tolist()}),
              **drawing.line_and_mark(i))
    top = max(top, 1.05 * risk[coverage >= 0.05].max())
    highest = max(highest, risk.max())
  if highest > top:
    axes.set_title(f'above the frame: up to {highest:.2g} at a coverage below '
                   '0.05', fontsize=9, loc='left')
  axes.set(xlim=(0, 1.01), ylim=(-0.03 * (top or 1), top or 1),
           xlabel='coverage: share of examples, the most confident first',
           ylabel='risk: error among them')
  _key_beside(axes)
  return figure


def _key_beside(axes):
  """The key to the right of the axes, a line per arm."""
  axes.legend(loc='upper left', bbox_to_anchor=(1.02, 1), frameon=False,
              fontsize=9, borderaxespad=0, handlelength=3)
