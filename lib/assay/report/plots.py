"""Figures as functions of rows or arrays; nothing here trains or reads a file.

Every mark is named beside it or in a key with its shape, so no meaning is
carried by color alone; colors are those of Okabe and Ito, which colorblind
readers tell apart.
"""

import io

import numpy as np

from assay import disk, results
from assay.claims.intervals import t_interval
from assay.errors import UserError
from assay.report import drawing, tables


def comparison(rows, metric, reported=None, split='test', state='best'):
  """Dots for seeds, mean with 95 % t interval, diamonds for published values.

  Args:
    rows: of one config and one data set.
    metric: a metric's name.
    reported: `REPORTED` of the paper's config module, or None.
    split, state: which rows to show, of all groups together.

  Returns:
    A matplotlib Figure with one line per arm and sweep value.
  """
  rows = _select(rows, metric, split, state)
  by = ['dataset', 'method', *tables.sweep_fields(rows)]
  arms = tables.sorted_arms(rows, reported or {}, by)
  summaries = {tuple(s[k] for k in by): s for s in tables.summarize(
      rows, metric, by, split, state)}
  figure, axes = drawing.dots(
      [_name(arm, by) for arm in arms],
      [list(_by_seed(rows, arm, by).values()) for arm in arms], t_interval,
      'mean, 95 % t interval',
      [tables.measured_text(summaries[arm]) for arm in arms])
  entries = [tables.published(reported or {}, metric, arm, arms, by)
             for arm in arms]
  shown = [(i, e) for i, e in enumerate(entries) if e]
  if shown:
    axes.errorbar(
        [e['mean'] for _, e in shown], [i + 0.3 for i, _ in shown],
        xerr=[e.get('std') or 0 for _, e in shown], fmt='D',
        color=drawing.THEIRS, mfc='white', ms=5, lw=1.2,
        label='published ± std')
  axes.set_xlabel(f'{metric}, {split} split of {rows[0]["dataset"]}; right: '
                  'mean ± std (seeds)' + _naive(rows, '\nThe interval is '))
  drawing.key(axes)
  return figure


def paired_differences(rows, metric, baseline, split='test', state='best'):
  """Each arm minus the baseline, seed by seed, with paired t intervals.

  Args:
    rows: of one config and one data set.
    metric: a metric's name.
    baseline: a method without sweep fields.
    split, state: which rows to show, of all groups together.
  """
  rows = _select(rows, metric, split, state)
  by = ['dataset', 'method', *tables.sweep_fields(rows)]
  arms = tables.sorted_arms(rows, {}, by)
  base = (rows[0]['dataset'], baseline) + (None,) * (len(by) - 2)
  if base not in arms:
    raise UserError(f'no arm {baseline!r} without sweep fields; there are '
                    f'{", ".join(_name(arm, by) for arm in arms)}.')
  arms.remove(base)
  if not arms:
    raise UserError(f'nothing to compare {baseline!r} with; give rows of '
                    'another arm.')
  theirs, differences, texts = _by_seed(rows, base, by), [], []
  for arm in arms:
    ours = _by_seed(rows, arm, by)
    pairs = sorted(ours.keys() & theirs.keys())
    differences.append([ours[s] - theirs[s] for s in pairs])
    lost = len({r['seed'] for r in rows if _arm(r, by) in (arm, base)}
               ) - len(pairs)
    mean = tables.NONE if not pairs else tables.number(
        np.mean(differences[-1]),
        np.std(differences[-1], ddof=1) if len(pairs) > 1 else None)
    texts.append(f'{mean} ({len(pairs)}{f", {lost} lost" * bool(lost)})')
  figure, axes = drawing.dots(
      [_name(arm, by) for arm in arms], differences, t_interval,
      'mean, 95 % interval', texts)
  axes.axvline(0, color='black', lw=0.8, zorder=0)
  axes.set_xlabel(f'{metric} minus that of {baseline}, same seed; interval: '
                  f'paired t{_naive(rows, ", ")};\nright: mean ± std (pairs)')
  drawing.key(axes)
  return figure


def sweep(rows, metric, over, baselines=(), split='test', state='best'):
  """Mean and 95 % t interval against a sweep field, a line per method.

  An axis is logarithmic if its positive values span more than 20 times, means
  5 times; 0, infinity and a value far from all others then stand at the ends,
  joined by dots.

  Args:
    rows: of one config and one data set.
    metric: a metric's name.
    over: sweep field; numbers, or names, which get equal distances.
    baselines: methods without that field, shown as horizontal bands.
    split, state: which rows to show, of all groups together.
  """
  rows = _select(rows, metric, split, state)
  swept = [r for r in rows if r.get(over) is not None]
  if not swept:
    raise UserError(f'no row has a value of {over!r}; use a sweep field: '
                    f'{tables.sweep_fields(rows)}.')
  values = [v for v, in tables.sorted_arms(swept, {}, [over])]
  place, log, broken = drawing.places(values)
  named = any(isinstance(v, (str, bool)) for v in values)
  others = [f for f in tables.sweep_fields(swept) if f != over]
  by = ['dataset', 'method', *others]
  figure, axes = drawing.new_figure(3.5)
  labels, heights = [], []
  for i, arm in enumerate(tables.sorted_arms(swept, {}, by)):
    own = [r for r in swept if _arm(r, by) == arm]
    xs, groups = [], []
    for value in values:
      found = [r['value'] for r in own if r[over] == value
               and r['value'] is not None]
      if found:
        xs.append(value)
        groups.append(found)
    means = [np.mean(g) for g in groups]
    at = [place[x] for x in xs]
    style = dict(color=drawing.COLORS[i % 7], lw=1.5)
    # Names have no order, so no line may suggest one.
    inner = [j for j, x in enumerate(xs) if not named and x not in broken]
    axes.plot(at, means, **style | {'lw': 1, 'ls': '' if named else ':'})
    axes.errorbar(
        at, means, yerr=np.abs(np.array([t_interval(g) for g in groups]).T
                               .reshape(2, -1) - means),
        fmt='osv^DPX'[i % 7], ms=5, **style)
    axes.plot([at[j] for j in inner], [means[j] for j in inner],
              ls=drawing.LINES[i % 4], **style)
    if means:
      labels.append((means[-1], _name(arm, by), style['color']))
      heights += means
  for i, method in enumerate(baselines):
    found = [r['value'] for r in rows if r['method'] == method
             and r.get(over) is None and r['value'] is not None]
    if not found:
      raise UserError(f'baseline {method!r} has no value of {metric}; leave it '
                      'out.')
    style = dict(color=drawing.COLORS[len(labels) % 7])
    axes.axhspan(*t_interval(found), alpha=0.15, lw=0, **style)
    axes.axhline(np.mean(found), ls=drawing.LINES[(i + 1) % 4], lw=1.2, **style)
    labels.append((np.mean(found), f'{method} (band)', style['color']))
    heights.append(np.mean(found))
  tall = bool(0 < 5 * min(heights, default=0) < max(heights, default=0))
  if tall:
    drawing.log_axis(axes, 'y')
  if log:
    axes.set_xscale('log')
    axes.xaxis.minorticks_off()
  where = np.array(list(place.values()), float)
  where = np.log(where) if log else where
  texts = [results.text_of(v) for v in values]
  crowded = np.diff(where).min(initial=np.inf) < (
      0.016 * np.ptp(where) * max(map(len, texts)))
  axes.set_xticks(list(place.values()), texts, rotation=60 if crowded else 0)
  axes.set_xlabel(over + ' (log scale)' * log)
  axes.set_ylabel(f'{metric}, {split} split' + ' (log scale)' * tall)
  axes.set_title('mean and 95 % t interval over seeds' + _naive(rows, ', '),
                 fontsize=9, loc='left')
  drawing.label_ends(axes, labels)
  return figure


def against(rows, y, xs):
  """One measured value against others: seeds small, means large, by arm.

  Args:
    rows: of one config and one data set.
    y: row fields that select the value of the height, such as
      {'metric': 'error', 'split': 'masked', 'state': 'last'}; `group` is '' if
      it is not named.
    xs: a list of such dicts, for each a panel. An axis is logarithmic if its
      means span more than 5 times.
  """
  figure, panels = drawing.new_panels(3.8, len(xs))
  for axes, x in zip(panels, xs, strict=True):
    across, up = (_select(rows, **{'group': ''} | f) for f in (x, y))
    by = ['dataset', 'method', *tables.sweep_fields(across)]
    arms, means = tables.sorted_arms(across, {}, by), []
    # Settings are named only where they tell arms apart.
    several = len({arm[1] for arm in arms}) < len(arms)
    for i, arm in enumerate(arms):
      first, second = (_by_seed(r, arm, by) for r in (across, up))
      pairs = np.array([(first[s], second[s])
                        for s in sorted(first.keys() & second.keys())])
      if not len(pairs):
        continue
      style = _line_and_mark(i) | {'ls': ''}
      axes.plot(*pairs.T, ms=4, alpha=0.35, mew=0, **style)
      axes.plot(*pairs.mean(axis=0), ms=9, mec='white',
                label=_name(arm, by) if several else arm[1], **style)
      means.append(pairs[:, 0].mean())
    log = bool(means and 0 < 5 * min(means) < max(means))
    if log:
      drawing.log_axis(axes, 'x')
    axes.set_xlabel(_axis(x) + '\n(log scale)' * log)
  panels[0].set_ylabel(_axis(y))
  figure.suptitle('small: one seed, large: mean over seeds', fontsize=9,
                  x=0.01, ha='left')
  figure.legend(*panels[0].get_legend_handles_labels(), fontsize=9,
                loc='outside right center', frameon=False, numpoints=1)
  return figure


def _axis(fields):
  group = fields.get('group')
  return f'{fields["metric"]}, {fields["split"]} split' + (
      f', group {group}' if group else '')


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


def heat_map(rows, metric, down, across, panels, split='test', state='last'):
  """Means over seeds as numbers on colors, a panel for each group of rows.

  Args:
    rows: of one config.
    metric: a metric's name.
    down, across: row fields, such as 'method' and a sweep field; numbers are
      sorted, names stand in the order of the rows.
    panels: title -> row fields in place of `split` and `state`, one above the
      other with a common scale.
    split, state: which rows, where a panel does not say.
  """
  chosen = {}
  for title, fields in panels.items():
    want = {'metric': metric, 'split': split, 'state': state, 'group': '',
            **fields}
    chosen[title] = [r for r in rows if r['value'] is not None and all(
        r.get(k) == v for k, v in want.items())]
  shown = [row for own in chosen.values() for row in own]
  if not shown:
    raise UserError(f'no row has metric={metric}, split={split}, '
                    f'state={state}; choose what the rows have.')

  def levels(field):
    found = dict.fromkeys(row[field] for row in shown)
    return sorted(found) if not any(
        isinstance(v, str) for v in found) else list(found)

  lines, columns = levels(down), levels(across)
  figure, axes = drawing.new_grid(
      0.6 + len(panels) * (1.0 + 0.28 * len(lines)), len(panels))
  means = {}
  for title, own in chosen.items():
    values = [[[r['value'] for r in own if (r[down], r[across]) == (a, b)]
               for b in columns] for a in lines]
    means[title] = np.array([[np.mean(v) if v else np.nan for v in line]
                             for line in values])
  low = min(np.nanmin(m) for m in means.values())
  high = max(np.nanmax(m) for m in means.values())
  for each, (title, mean) in zip(axes, means.items(), strict=True):
    each.imshow(mean, cmap='cividis', vmin=low, vmax=high, aspect='auto')
    each.set_title(title, fontsize=9, loc='left')
    each.set_xticks(range(len(columns)), map(results.text_of, columns),
                    fontsize=8, rotation=30, ha='right')
    each.set_yticks(range(len(lines)), map(results.text_of, lines), fontsize=8)
    each.set_ylabel(down if down != 'method' else '', fontsize=9)
    for (i, j), value in np.ndenumerate(mean):
      if np.isfinite(value):
        dark = value < (low + high) / 2
        each.text(j, i, f'{value:.3f}', ha='center', va='center', fontsize=7,
                  color='white' if dark else 'black')
  axes[-1].set_xlabel(f'{across}; numbers: mean {metric} over '
                      f'{len(results.group_by(shown, "seed"))} seeds',
                      fontsize=9)
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
    style = _line_and_mark(i)
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
              **_line_and_mark(i))
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


def save(figure, path):
  """Writes a PNG at 150 dots per inch, all or nothing."""
  buffer = io.BytesIO()
  # Without the version of matplotlib equal figures are equal bytes.
  figure.savefig(buffer, format='png', dpi=150, metadata={'Software': None})
  disk.write_bytes(path, buffer.getvalue())


def _key_beside(axes):
  """The key to the right of the axes, a line per arm."""
  axes.legend(loc='upper left', bbox_to_anchor=(1.02, 1), frameon=False,
              fontsize=9, borderaxespad=0, handlelength=3)


def _line_and_mark(i):
  """Color, line and mark of arm i, each of which tells arms apart."""
  return dict(color=drawing.COLORS[i % 7], ls=drawing.LINES[i % 4],
              marker='osv^DPX'[(i + i // 7) % 7])


def _select(rows, metric, split, state, group=''):
  """Rows of the metric, split, state and group, '' for all together."""
  want = {'metric': metric, 'split': split, 'state': state, 'group': group}
  found = [r for r in rows if all(r[k] == v for k, v in want.items())]
  shown = sorted({(r['config'], r['dataset']) for r in found})
  if len(shown) != 1:
    raise UserError(f'a figure shows {metric} ({split}, {state}) of one config '
                    f'and one data set, not of {shown}.')
  return found


def _naive(rows, before):
  shared = any(r.get('seed_varies') == 'resplit' for r in rows)
  return f'{before}naive: re-splits share rows' if shared else ''


def _arm(row, by):
  return tuple(row.get(k) for k in by)


def _by_seed(rows, arm, by):
  return {r['seed']: r['value'] for r in rows
          if _arm(r, by) == arm and r['value'] is not None}


def _name(arm, by):
  fields = [f'{k} {results.text_of(v)}'
            for k, v in zip(by[2:], arm[2:], strict=True) if v is not None]
  return '\n'.join([arm[1], *fields])
