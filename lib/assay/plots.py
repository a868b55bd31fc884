"""Figures as functions of rows; nothing here trains or reads a file.

Every mark is named beside it or in the line above the axes, so no meaning is
carried by color alone; colors are those of Okabe and Ito, which colorblind
readers tell apart.
"""
import io
import math

import numpy as np

from assay import results
from assay.errors import UserError

OURS, THEIRS, GREY = '#0072B2', '#D55E00', '#767676'
COLORS = (OURS, THEIRS, '#009E73', '#CC79A7', '#000000', '#E69F00', '#56B4E9')
LINES = ('-', '--', '-.', ':')
WIDTH = 7  # inches; a README shows about 900 pixels


def t_interval(values):
  """95 % t interval of the mean as (low, high); NaN below two values."""
  from scipy import stats

  if len(values) < 2:
    return math.nan, math.nan
  half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
  return float(np.mean(values) - half), float(np.mean(values) + half)


def comparison(rows, metric, reported=None, split='test'):
  """Dots for seeds, mean with 95 % t interval, diamonds for published values.

  Args:
    rows: of one config and one data set.
    metric: a metric's name.
    reported: `REPORTED` of the paper's config module, or None.
    split: which rows to show, of all groups together.

  Returns:
    A matplotlib Figure with one line per arm and sweep value.
  """
  rows, state = _select(rows, metric, split)
  by = ['dataset', 'method', *results.sweep_fields(rows)]
  arms = results.sorted_arms(rows, reported or {}, by)
  summaries = {tuple(s[k] for k in by): s for s in results.summarize(
      rows, metric, by, split, state)}
  figure, axes = _dots(
      [_name(arm, by) for arm in arms],
      [list(_by_seed(rows, arm, by).values()) for arm in arms], t_interval,
      'mean, 95 % t interval',
      [results.measured_text(summaries[arm]) for arm in arms])
  entries = [results.published(reported or {}, metric, arm, arms, by)
             for arm in arms]
  shown = [(i, e) for i, e in enumerate(entries) if e]
  if shown:
    axes.errorbar(
        [e['mean'] for _, e in shown], [i + 0.3 for i, _ in shown],
        xerr=[e.get('std') or 0 for _, e in shown], fmt='D', color=THEIRS,
        mfc='white', ms=5, lw=1.2, label='published ± std')
  axes.set_xlabel(f'{metric}, {split} split of {rows[0]["dataset"]}; right: '
                  'mean ± std (seeds)' + _naive(rows, '\nThe interval is '))
  _key(axes)
  return figure


def paired_differences(rows, metric, baseline, interval=None,
                       interval_name=None, split='test'):
  """Each arm minus the baseline, seed by seed, with intervals of the mean.

  Args:
    rows: of one config and one data set.
    metric: a metric's name.
    baseline: a method without sweep fields.
    interval: `differences [n] -> (low, high)`; default the paired t interval.
    interval_name: what the axis calls it.
    split: which rows to show, of all groups together.
  """
  rows, _ = _select(rows, metric, split)
  by = ['dataset', 'method', *results.sweep_fields(rows)]
  arms = results.sorted_arms(rows, {}, by)
  base = (rows[0]['dataset'], baseline) + (None,) * (len(by) - 2)
  if base not in arms:
    raise UserError(f'no arm {baseline!r} without sweep fields; there are '
                    f'{", ".join(_name(arm, by) for arm in arms)}.')
  arms.remove(base)
  if not arms:
    raise UserError(f'nothing to compare {baseline!r} with.')
  if interval is None:
    interval, interval_name = t_interval, 'paired t' + _naive(rows, ', ')
  theirs, differences, texts = _by_seed(rows, base, by), [], []
  for arm in arms:
    ours = _by_seed(rows, arm, by)
    pairs = sorted(ours.keys() & theirs.keys())
    differences.append([ours[s] - theirs[s] for s in pairs])
    lost = len({r['seed'] for r in rows if _arm(r, by) in (arm, base)}
               ) - len(pairs)
    mean = results.NONE if not pairs else results.number(
        np.mean(differences[-1]),
        np.std(differences[-1], ddof=1) if len(pairs) > 1 else None)
    texts.append(f'{mean} ({len(pairs)}{f", {lost} lost" * bool(lost)})')
  figure, axes = _dots([_name(arm, by) for arm in arms], differences, interval,
                       'mean, 95 % interval', texts)
  axes.axvline(0, color='black', lw=0.8, zorder=0)
  low, high = axes.get_xlim()
  axes.set_xlim(min(low, 0), max(high, 0))
  axes.set_xlabel(f'{metric} minus that of {baseline}, same seed; interval: '
                  f'{interval_name or "as given"};\nright: mean ± std (pairs)')
  _key(axes)
  return figure


def sweep(rows, metric, over, baselines=(), split='test'):
  """Mean and 95 % t interval against a sweep field, a line per method.

  The axis is logarithmic if the positive values span more than 20 times; 0
  and infinity then stand at its ends, joined by dots.

  Args:
    rows: of one config and one data set.
    metric: a metric's name.
    over: sweep field; numbers, or names, which get equal distances.
    baselines: methods without that field, shown as horizontal bands.
    split: which rows to show, of all groups together.
  """
  rows, _ = _select(rows, metric, split)
  swept = [r for r in rows if r.get(over) is not None]
  if not swept:
    raise UserError(f'no row has a value of {over!r}; sweep fields are '
                    f'{results.sweep_fields(rows)}.')
  values = [v for v, in results.sorted_arms(swept, {}, [over])]
  place, log, broken = _axis(values)
  named = any(isinstance(v, (str, bool)) for v in values)
  others = [f for f in results.sweep_fields(swept) if f != over]
  by = ['dataset', 'method', *others]
  figure, axes = _figure(3.5)
  labels = []
  for i, arm in enumerate(results.sorted_arms(swept, {}, by)):
    own = [r for r in swept if _arm(r, by) == arm]
    xs, groups = [], []
    for value in values:
      found = [r['value'] for r in own if r[over] == value
               and r['value'] is not None]
      if found:
        xs.append(value)
        groups.append(found)
    means = [np.mean(g) for g in groups]
    at, style = [place[x] for x in xs], dict(color=COLORS[i % 7], lw=1.5)
    # Names have no order, so no line may suggest one.
    inner = [j for j, x in enumerate(xs) if not named and x not in broken]
    axes.plot(at, means, **style | {'lw': 1, 'ls': '' if named else ':'})
    axes.errorbar(
        at, means, yerr=np.abs(np.array([t_interval(g) for g in groups]).T
                               .reshape(2, -1) - means),
        fmt='osv^DPX'[i % 7], ms=5, **style)
    axes.plot([at[j] for j in inner], [means[j] for j in inner],
              ls=LINES[i % 4], **style)
    if means:
      labels.append((means[-1], _name(arm, by), style['color']))
  for i, method in enumerate(baselines):
    found = [r['value'] for r in rows if r['method'] == method
             and r.get(over) is None and r['value'] is not None]
    if not found:
      raise UserError(f'baseline {method!r} has no value of {metric}.')
    style = dict(color=COLORS[(len(labels) + i) % 7])
    axes.axhspan(*t_interval(found), alpha=0.15, lw=0, **style)
    axes.axhline(np.mean(found), ls=LINES[(i + 1) % 4], lw=1.2, **style)
    labels.append((np.mean(found), f'{method} (band)', style['color']))
  if log:
    axes.set_xscale('log')
    axes.minorticks_off()
  where = np.array(list(place.values()), float)
  where = np.log(where) if log else where
  texts = [_short(v) for v in values]
  crowded = np.diff(where).min(initial=np.inf) < (
      0.016 * np.ptp(where) * max(map(len, texts)))
  axes.set_xticks(list(place.values()), texts, rotation=60 if crowded else 0)
  axes.set_xlabel(over + ' (log scale)' * log)
  axes.set_ylabel(f'{metric}, {split} split')
  axes.set_title('mean and 95 % t interval over seeds', fontsize=9, loc='left')
  _label_ends(axes, labels)
  return figure


def curves(curves, ylabel='', xlabel='step', log=False):
  """Median and interquartile band over seeds, a line per arm.

  Args:
    curves: name -> [num_points, seeds] float, NaN where a seed has stopped;
      'step' -> [num_points] the x axis.
    ylabel: what the curves measure.
    xlabel: what 'step' counts.
    log: logarithmic y axis.
  """
  figure, axes = _figure(3.5)
  steps, labels = np.asarray(curves['step']), []
  for i, name in enumerate(k for k in curves if k != 'step'):
    values = np.asarray(curves[name], float)
    known = np.isfinite(values).any(axis=1)
    if not known.any():
      continue
    low, middle, high = np.nanquantile(
        np.where(np.isfinite(values), values, np.nan)[known],
        [0.25, 0.5, 0.75], axis=1)
    color = COLORS[i % 7]
    axes.fill_between(steps[known], low, high, color=color, alpha=0.18, lw=0)
    axes.plot(steps[known], middle, color=color, ls=LINES[i % 4], lw=1.5)
    labels.append((middle[-1], name, color))
  if log:
    axes.set_yscale('log')
  axes.set_xlabel(xlabel)
  axes.set_ylabel(ylabel)
  axes.set_title('median and interquartile band over seeds', fontsize=9,
                 loc='left')
  axes.margins(x=0)
  _label_ends(axes, labels)
  return figure


def save(figure, path):
  """Writes a PNG at 150 dots per inch, all or nothing."""
  buffer = io.BytesIO()
  # Without the version of matplotlib equal figures are equal bytes.
  figure.savefig(buffer, format='png', dpi=150, metadata={'Software': None})
  results.write_bytes(path, buffer.getvalue())


def _select(rows, metric, split):
  """Rows of the metric, split and all groups; `best` states if there are."""
  found = [r for r in rows if r['metric'] == metric and r['split'] == split
           and r['group'] == '']
  state = 'best' if any(r['state'] == 'best' for r in found) else 'last'
  found = [r for r in found if r['state'] == state]
  if len({(r['config'], r['dataset']) for r in found}) != 1:
    raise UserError(f'a figure shows {metric} ({split}) of one config and one '
                    'data set, not of '
                    f'{sorted({(r["config"], r["dataset"]) for r in found})}.')
  return found, state


def _naive(rows, before):
  shared = any(r.get('seed_varies') == 'resplit' for r in rows)
  return f'{before}naive: re-splits share rows' if shared else ''


def _arm(row, by):
  return tuple(row.get(k) for k in by)


def _by_seed(rows, arm, by):
  return {r['seed']: r['value'] for r in rows
          if _arm(r, by) == arm and r['value'] is not None}


def _name(arm, by):
  fields = [f'{k} {_short(v)}' for k, v in zip(by[2:], arm[2:], strict=True)
            if v is not None]
  return '\n'.join([arm[1], *fields])


def _short(value):
  return f'{value:g}' if isinstance(value, float) else str(value)


def _figure(height):
  from matplotlib.figure import Figure

  figure = Figure(figsize=(WIDTH, height), layout='constrained')
  axes = figure.add_subplot()
  axes.spines[['top', 'right']].set_visible(False)
  axes.tick_params(labelsize=9)
  return figure, axes


def _dots(names, groups, interval, interval_name, texts):
  """A line per group: its values faint, its mean and interval strong."""
  tall = max(name.count('\n') for name in names)
  figure, axes = _figure(max(2.4, 1.3 + len(names) * (0.42 + 0.15 * tall)))
  for i, values in enumerate(groups):
    axes.plot(values, [i - 0.22] * len(values), 'o', color=GREY, alpha=0.4,
              ms=4, mew=0, label=None if i else 'one seed', zorder=1)
    if values:
      low, high = interval(np.array(values))
      axes.plot([low, high], [i, i], color=OURS, lw=2, zorder=2)
      axes.plot(np.mean(values), i, 'o', color=OURS, ms=7, zorder=3)
    axes.text(1.02, i, texts[i], va='center', fontsize=9,
              transform=axes.get_yaxis_transform())
  axes.plot([], [], 'o-', color=OURS, ms=7, lw=2, label=interval_name)
  axes.set_yticks(range(len(names)), names)
  axes.set_ylim(len(names) - 0.4, -0.6)  # the first arm on top
  axes.grid(axis='x', lw=0.4, color='#cccccc')
  axes.set_axisbelow(True)
  return figure, axes


def _key(axes):
  axes.legend(loc='lower left', bbox_to_anchor=(0, 1), ncols=3, frameon=False,
              fontsize=9, borderaxespad=0, handletextpad=0.4, numpoints=1)


def _axis(values):
  """({value: place on the axis}, whether it is log, values at broken ends)."""
  if any(isinstance(v, (str, bool)) for v in values):
    return {v: i for i, v in enumerate(values)}, False, set()
  finite = [v for v in values if abs(v) < math.inf]
  positive = [v for v in finite if v > 0]
  log = min(finite, default=0) >= 0 and len(positive) > 1 and (
      max(positive) > 20 * min(positive))
  place = {v: v for v in finite}
  broken = {v for v in values if abs(v) == math.inf} | ({0} if log else set())
  if log:
    gap = (max(positive) / min(positive)) ** 0.12
    place |= {0: min(positive) / gap} if 0 in place else {}
    ends = min(place.values()) / gap, max(positive) * gap
  else:
    gap = 0.12 * (max(finite, default=0) - min(finite, default=0)) or 1
    ends = min(finite, default=0) - gap, max(finite, default=0) + gap
  place |= {v: ends[v > 0] for v in values if abs(v) == math.inf}
  return {v: place[v] for v in values}, log, broken


def _label_ends(axes, labels):
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
                                    shrinkA=0, shrinkB=0))
