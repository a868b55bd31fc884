"""A metric over what was swept, and over two fields at once."""

import numpy as np

from assay import results
from assay.claims import samples
from assay.errors import UserError
from assay.report import drawing, tables
from assay.report.plots.chosen import (
    arm_of,
    interval_of,
    names_of,
    select,
)


def sweep(rows, metric, over, baselines=(), split='test', state='best',
          minus=None):
  """Mean and 95 % interval against a sweep field, a line per method.

  An axis is logarithmic if its positive values span more than 20 times, means
  5 times; 0, infinity and a value far from all others then stand at the ends,
  joined by dots.

  Args:
    rows: of one config and one data set.
    metric: a metric's name.
    over: sweep field; numbers, or names, which get equal distances.
    baselines: methods without that field, shown as horizontal bands.
    split, state: which rows to show, of all groups together.
    minus: a method without that field; all heights are differences from it,
      seed by seed, with the interval of a verdict on the two.
  """
  given, rows = rows, select(rows, metric, split, state)
  if minus:
    rows = _differences(rows, minus, over)
  swept = [r for r in rows if r.get(over) is not None]
  if not swept:
    raise samples.NoRows(f'no row has a value of {over!r}; use a sweep field: '
                         f'{tables.sweep_fields(rows)}.')
  values = [v for v, in tables.sorted_arms(swept, {}, [over])]
  interval, told = interval_of(given, rows)
  place, log, broken = drawing.places(values)
  named = any(isinstance(v, (str, bool)) for v in values)
  others = [f for f in tables.sweep_fields(swept) if f != over]
  by = ['dataset', 'method', *others]
  figure, axes = drawing.new_figure(3.5)
  labels, heights = [], []
  arms = tables.sorted_arms(swept, {}, by)
  for i, (arm, name) in enumerate(zip(arms, names_of(arms, by), strict=True)):
    own = [r for r in swept if arm_of(r, by) == arm]
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
        at, means, yerr=np.abs(np.array([interval(g) for g in groups]).T
                               .reshape(2, -1) - means),
        fmt='osv^DPX'[i % 7], ms=5, **style)
    axes.plot([at[j] for j in inner], [means[j] for j in inner],
              ls=drawing.LINES[i % 4], **style)
    if means:
      labels.append((means[-1], name, style['color']))
      heights += means
  for i, method in enumerate(baselines):
    found = [r['value'] for r in rows if r['method'] == method
             and r.get(over) is None and r['value'] is not None]
    if not found:
      raise UserError(f'baseline {method!r} has no value of {metric}; leave it '
                      'out.')
    style = dict(color=drawing.COLORS[len(labels) % 7])
    axes.axhspan(*interval(found), alpha=0.15, lw=0, **style)
    axes.axhline(np.mean(found), ls=drawing.LINES[(i + 1) % 4], lw=1.2, **style)
    labels.append((np.mean(found), f'{method} (band)', style['color']))
    heights.append(np.mean(found))
  tall = bool(0 < 5 * min(heights, default=0) < max(heights, default=0)
              and not minus)
  if minus:
    axes.axhline(0, color='black', lw=0.8, zorder=0)
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
  axes.set_ylabel((f'{metric} minus that of {minus},\nsame seed, {split} split'
                   if minus else f'{metric}, {split} split')
                  + ' (log scale)' * tall)
  axes.set_title(f'mean and 95 % interval over seeds, {told}', fontsize=9,
                 loc='left')
  drawing.label_ends(axes, labels)
  return figure


def _differences(rows, minus, over):
  """The rows of other methods, less the value of `minus` of the same seed."""
  theirs = {r['seed']: r['value'] for r in rows
            if r['method'] == minus and r.get(over) is None}
  if not theirs:
    raise UserError(f'no row of {minus!r} without {over}; take differences '
                    'from another method.')
  return [r | {'value': None if None in (r['value'], theirs.get(r['seed']))
               else r['value'] - theirs[r['seed']]}
          for r in rows if r['method'] != minus or r.get(over) is not None]


def heat_map(rows, metric, down, across, panels, split='test', state='last'):
  """Means over seeds as numbers on colors, a panel for each group of rows.

  Args:
    rows: of one config.
    metric: a metric's name.
    down, across: row fields, such as 'method' and a sweep field; numbers are
      sorted, names stand in the order of the rows.
    panels: title -> row fields in place of `split` and `state`, one above the
      other with a common scale; one without rows is left out.
    split, state: which rows, where a panel does not say.
  """
  chosen = {}
  for title, fields in panels.items():
    want = {'metric': metric, 'split': split, 'state': state, 'group': '',
            **fields}
    found = [r for r in rows if r['value'] is not None and all(
        r.get(k) == v for k, v in want.items())]
    if found:
      chosen[title] = found
  shown = [row for own in chosen.values() for row in own]
  if not shown:
    raise samples.NoRows(f'no row has metric={metric}, split={split}, '
                         f'state={state}; choose what the rows have.')

  def levels(field):
    found = dict.fromkeys(row[field] for row in shown)
    return sorted(found) if not any(
        isinstance(v, str) for v in found) else list(found)

  lines, columns = levels(down), levels(across)
  figure, axes = drawing.new_grid(
      0.6 + len(chosen) * (1.0 + 0.28 * len(lines)), len(chosen))
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
