"""How figures are drawn: sizes, colors, axes, names beside marks."""

import math
import re
import textwrap

import numpy as np

OURS, THEIRS, GREY = '#0072B2', '#D55E00', '#767676'
COLORS = (OURS, THEIRS, '#009E73', '#CC79A7', '#000000', '#E69F00', '#56B4E9')
LINES = ('-', '--', '-.', ':')
FAR = 1000  # times: such a value stands at the end of an axis
WIDTH = 7  # inches; a README shows about 900 pixels


def literal(figure):
  """A figure whose dollars are dollars: names in rows are no TeX.

  Numbers that matplotlib formats itself stay as they are.
  """
  from matplotlib import text, ticker

  plain = lambda found: re.sub(r'(?<!\\)\$', r'\\$', found)
  for each in figure.findobj(text.Text):
    if '$' in each.get_text():
      each.set_text(plain(each.get_text()))
  for axes in figure.axes:
    for axis in (axes.xaxis, axes.yaxis):
      formatter = axis.get_major_formatter()
      if isinstance(formatter, ticker.FuncFormatter):  # of names given
        axis.set_major_formatter(
            lambda x, at, told=formatter: plain(told(x, at)))
  return figure


def new_figure(height):
  """(figure, axes), `height` inches tall."""
  figure, (axes,) = new_panels(height, 1)
  return figure, axes


def new_panels(height, count):
  """(figure, [axes]) side by side with a common y axis."""
  from matplotlib.figure import Figure

  figure = Figure(figsize=(WIDTH, height), layout='constrained')
  panels = figure.subplots(1, count, sharey=True, squeeze=False)[0]
  for axes in panels:
    axes.spines[['top', 'right']].set_visible(False)
    axes.tick_params(labelsize=9)
  return figure, panels


def new_grid(height, count):
  """(figure, [axes]) one above the other."""
  from matplotlib.figure import Figure

  figure = Figure(figsize=(WIDTH, height), layout='constrained')
  return figure, list(figure.subplots(count, 1, squeeze=False)[:, 0])


def beside(names, count):
  """(figure, [axes]) side by side, a line for each name, the first on top."""
  tall = max(name.count('\n') for name in names)
  line = (0.42 if len(names) < 12 else 0.3) + 0.15 * tall
  figure, panels = new_panels(max(2.4, 1.5 + len(names) * line), count)
  for axes in panels:
    axes.grid(axis='x', lw=0.4, color='#cccccc')
    axes.set_axisbelow(True)
    axes.xaxis.label.set_fontsize(9)
    if count > 1:  # numbers of many digits need room
      axes.locator_params(axis='x', nbins=3)
  panels[0].set_yticks(range(len(names)), names)
  panels[0].set_ylim(len(names) - 0.4, -0.6)
  return figure, panels


def dots(axes, groups, mean=True):
  """The values of each group, faint, and their mean."""
  for i, values in enumerate(groups):
    axes.plot(values, [i - 0.22] * len(values), 'o', color=GREY, alpha=0.4,
              ms=4, mew=0, label=None if i else 'one seed', zorder=1)
    if mean and values:
      axes.plot(np.mean(values), i, 'o', color=OURS, ms=7, zorder=3)
  if mean:
    axes.plot([], [], 'o', color=OURS, ms=7, label='mean')


def interval(axes, i, low, middle, high, hollow):
  """A bar and its mark in line i; no bar if its ends are NaN or infinite."""
  if math.isfinite(high - low):
    axes.plot([low, high], [i, i], color=OURS, lw=2, zorder=2)
  axes.plot(middle, i, 'o', color=OURS, ms=7, zorder=3,
            mfc='white' if hollow else OURS, mew=1.6)


def below(figure, text):
  """What holds for the whole figure, in small lines below it."""
  figure.supxlabel(textwrap.fill(text, 110), fontsize=8, x=0.01, ha='left')


def right_texts(axes, texts):
  """A text for each line, to the right of the axes."""
  for i, text in enumerate(texts):
    axes.text(1.03, i, text, va='center', fontsize=9,
              transform=axes.get_yaxis_transform())


def line_and_mark(i):
  """Color, line and mark of arm i, each of which tells arms apart."""
  return dict(color=COLORS[i % 7], ls=LINES[i % 4],
              marker='osv^DPX'[(i + i // 7) % 7])


def key(axes):
  """The key in one line above the axes."""
  axes.legend(loc='lower left', bbox_to_anchor=(0, 1), ncols=3, frameon=False,
              fontsize=9, borderaxespad=0, handletextpad=0.4, numpoints=1)


def places(values):
  """({value: place on the axis}, whether it is log, values at broken ends).

  Args:
    values: sorted numbers, or names, which get equal distances.
  """
  if any(isinstance(v, (str, bool)) for v in values):
    return {v: i for i, v in enumerate(values)}, False, set()
  inner = [v for v in values if abs(v) < math.inf]
  positive = [v for v in inner if v > 0]
  log = min(inner, default=0) >= 0 and len(positive) > 1 and (
      positive[-1] > 20 * positive[0])
  if log:
    # One value far from all others would leave no room for these.
    inner = positive[len(positive) > 2 and positive[1] > FAR * positive[0]:]
    if len(inner) > 2 and inner[-1] > FAR * inner[-2]:
      inner = inner[:-1]
  scale, back = (np.log, np.exp) if log else (float, float)
  first, last = (scale(inner[0]), scale(inner[-1])) if inner else (0, 0)
  gap = 0.12 * (last - first) or 1
  below = [v for v in values if not inner or v < inner[0]]
  above = [v for v in values if inner and v > inner[-1]]
  place = {v: float(back(first - gap * (len(below) - i)))
           for i, v in enumerate(below)}
  place |= {v: v for v in inner}
  place |= {v: float(back(last + gap * (i + 1))) for i, v in enumerate(above)}
  return place, log, {*below, *above}


def log_axis(axes, which):
  """A logarithmic axis, 'x' or 'y', with plain numbers at 1, 2 and 5."""
  from matplotlib import ticker

  getattr(axes, f'set_{which}scale')('log')
  axis = getattr(axes, f'{which}axis')
  axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
  axis.set_major_formatter(ticker.FormatStrFormatter('%g'))
  axis.set_minor_locator(ticker.NullLocator())


def label_ends(axes, labels):
  """Names at the right edge, each near its height, moved apart."""
  if not labels:
    return
  to_axes = (axes.transData + axes.transAxes.inverted()).transform
  x = axes.get_xlim()[1]
  heights = np.array([to_axes((x, y))[1] for y, _, _ in labels])
  order, gap = np.argsort(heights), 0.07
  placed = np.sort(heights)
  for i in range(1, len(placed)):
    placed[i] = max(placed[i], placed[i - 1] + gap)
  placed -= max(0, (placed - np.sort(heights)).mean())
  for i, height in zip(order, placed, strict=True):
    _, name, color = labels[i]
    axes.annotate(
        name, xy=(1, heights[i]), xytext=(1.04, height), color=color,
        xycoords='axes fraction', textcoords='axes fraction', va='center',
        fontsize=9, arrowprops=dict(arrowstyle='-', color=color, lw=0.6,
                                    shrinkA=0, shrinkB=0, relpos=(0, 0.5)))
