"""Arms beside each other: seeds, means, intervals, one figure a metric."""

import numpy as np

from assay.claims.intervals import t_interval
from assay.errors import UserError
from assay.report import drawing, tables
from assay.report.plots.chosen import arm_of, by_seed, naive, name_of, select


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
  rows = select(rows, metric, split, state)
  by = ['dataset', 'method', *tables.sweep_fields(rows)]
  arms = tables.sorted_arms(rows, reported or {}, by)
  summaries = {tuple(s[k] for k in by): s for s in tables.summarize(
      rows, metric, by, split, state)}
  figure, axes = drawing.dots(
      [name_of(arm, by) for arm in arms],
      [list(by_seed(rows, arm, by).values()) for arm in arms], t_interval,
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
                  'mean ± std (seeds)' + naive(rows, '\nThe interval is '))
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
  rows = select(rows, metric, split, state)
  by = ['dataset', 'method', *tables.sweep_fields(rows)]
  arms = tables.sorted_arms(rows, {}, by)
  base = (rows[0]['dataset'], baseline) + (None,) * (len(by) - 2)
  if base not in arms:
    raise UserError(f'no arm {baseline!r} without sweep fields; there are '
                    f'{", ".join(name_of(arm, by) for arm in arms)}.')
  arms.remove(base)
  if not arms:
    raise UserError(f'nothing to compare {baseline!r} with; give rows of '
                    'another arm.')
  theirs, differences, texts = by_seed(rows, base, by), [], []
  for arm in arms:
    ours = by_seed(rows, arm, by)
    pairs = sorted(ours.keys() & theirs.keys())
    differences.append([ours[s] - theirs[s] for s in pairs])
    lost = len({r['seed'] for r in rows if arm_of(r, by) in (arm, base)}
               ) - len(pairs)
    mean = tables.NONE if not pairs else tables.number(
        np.mean(differences[-1]),
        np.std(differences[-1], ddof=1) if len(pairs) > 1 else None)
    texts.append(f'{mean} ({len(pairs)}{f", {lost} lost" * bool(lost)})')
  figure, axes = drawing.dots(
      [name_of(arm, by) for arm in arms], differences, t_interval,
      'mean, 95 % interval', texts)
  axes.axvline(0, color='black', lw=0.8, zorder=0)
  axes.set_xlabel(f'{metric} minus that of {baseline}, same seed; interval: '
                  f'paired t{naive(rows, ", ")};\nright: mean ± std (pairs)')
  drawing.key(axes)
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
    across, up = (select(rows, **{'group': ''} | f) for f in (x, y))
    by = ['dataset', 'method', *tables.sweep_fields(across)]
    arms, means = tables.sorted_arms(across, {}, by), []
    # Settings are named only where they tell arms apart.
    several = len({arm[1] for arm in arms}) < len(arms)
    for i, arm in enumerate(arms):
      first, second = (by_seed(r, arm, by) for r in (across, up))
      pairs = np.array([(first[s], second[s])
                        for s in sorted(first.keys() & second.keys())])
      if not len(pairs):
        continue
      style = drawing.line_and_mark(i) | {'ls': ''}
      axes.plot(*pairs.T, ms=4, alpha=0.35, mew=0, **style)
      axes.plot(*pairs.mean(axis=0), ms=9, mec='white',
                label=name_of(arm, by) if several else arm[1], **style)
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
