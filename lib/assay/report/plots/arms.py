"""Arms beside each other: seeds, means, intervals, one figure a metric."""

import numpy as np

from assay import claims
from assay.claims import samples
from assay.errors import UserError
from assay.report import drawing, tables
from assay.report.plots.chosen import (
    arm_of,
    by_seed,
    name_of,
    names_of,
    select,
)


def comparison(rows, metric, reported=None, split='test', state='best',
               baseline=None):
  """Seeds, means and published values; beside them, differences of arms.

  A difference is that of the same seed, and its interval is the one by which a
  verdict on these two arms is decided; its mark is hollow where the interval
  holds 0. Published values have no bar: their spread is no interval of ours.

  Args:
    rows: of one config and one data set, with all that a verdict reads.
    metric: a metric's name.
    reported: published numbers, see `papers.reported`, or None.
    split, state: which rows to show, of all groups together.
    baseline: the arm that differences are from, a method or a dict of row
      fields; the first where there is none such.

  Returns:
    A matplotlib Figure with one line per arm and sweep value.
  """
  shown = select(rows, metric, split, state)
  by = ['dataset', 'method', *tables.sweep_fields(shown)]
  arms = tables.sorted_arms(shown, reported or {}, by)
  base = _base(arms, baseline, by) if _found(arms, baseline, by) else arms[0]
  summaries = {tuple(s[k] for k in by): s for s in tables.summarize(
      shown, metric, by, split, state)}
  names = names_of(arms, by)
  figure, panels = drawing.beside(names, 1 + (len(arms) > 1))
  drawing.dots(panels[0], [list(by_seed(shown, arm, by).values())
                           for arm in arms])
  published = [tables.published(reported or {}, metric, arm, arms, by)
               for arm in arms]
  known = [(entry['mean'], i + 0.3) for i, entry in enumerate(published)
           if entry]
  if known:
    panels[0].plot(*zip(*known, strict=True), 'D', color=drawing.THEIRS,
                   mfc='white', ms=5, label='published')
  panels[0].set_xlabel(metric)
  drawing.key(panels[0])
  told = f'{split} split of {shown[0]["dataset"]}; right: mean ± std (seeds)'
  if len(panels) > 1:
    told += _differences(panels[1], rows, metric, arms, base, by, split, state)
  drawing.below(figure, told)
  drawing.right_texts(panels[-1], [tables.measured_text(summaries[arm])
                                   for arm in arms])
  return figure


def paired_differences(rows, metric, baseline, split='test', state='best'):
  """Each arm minus the baseline, as in `comparison`, with every seed's.

  Args:
    rows: of one config and one data set, with all that a verdict reads.
    metric: a metric's name.
    baseline: as for `comparison`; a method alone has no sweep fields.
    split, state: which rows to show, of all groups together.
  """
  shown = select(rows, metric, split, state)
  by = ['dataset', 'method', *tables.sweep_fields(shown)]
  arms = tables.sorted_arms(shown, {}, by)
  base = _base(arms, baseline, by)
  arms.remove(base)
  if not arms:
    raise UserError(f'nothing to compare {baseline!r} with; give rows of '
                    'another arm.')
  theirs, pairs = by_seed(shown, base, by), []
  for arm in arms:
    ours = by_seed(shown, arm, by)
    pairs.append([ours[s] - theirs[s] for s in sorted(ours.keys() & theirs)])
  figure, (axes,) = drawing.beside(names_of(arms, by), 1)
  drawing.dots(axes, pairs, mean=False)
  told = (f'{split} split of {shown[0]["dataset"]}; right: mean ± std (pairs)'
          + _differences(axes, rows, metric, arms, base, by, split, state))
  texts = []
  for arm, own in zip(arms, pairs, strict=True):
    lost = len({r['seed'] for r in shown if arm_of(r, by) in (arm, base)}
               ) - len(own)
    mean = tables.NONE if not own else tables.number(
        np.mean(own), np.std(own, ddof=1) if len(own) > 1 else None)
    texts.append(f'{mean} ({len(own)}' + (f', {lost} lost)' if lost else ')'))
  drawing.right_texts(axes, texts)
  axes.set_xlabel(f'{metric} {axes.get_xlabel()}')
  drawing.key(axes)
  drawing.below(figure, told)
  return figure


def _found(arms, baseline, by):
  """The arms that a method, or a dict of row fields, may mean; none of None."""
  want = samples.fields_of(baseline)
  return [arm for arm in arms if baseline and samples.matches(
      dict(zip(by, arm, strict=True)), want)]


def _base(arms, baseline, by):
  """The arm that others are compared with."""
  found = _found(arms, baseline, by)
  found = [arm for arm in found if set(arm[2:]) <= {None}] or found
  if len(found) != 1:
    raise UserError(f'no arm {baseline!r} without sweep fields; there are '
                    f'{", ".join(name_of(arm, by) for arm in arms)}.')
  return found[0]


def _differences(axes, rows, metric, arms, base, by, split, state):
  """Draws each arm minus `base`; returns what the intervals are, in words."""
  methods, ends = [], []
  for i, arm in enumerate(arms):
    if arm == base:
      continue
    verdict = claims.less(
        metric, *(dict(zip(by, a, strict=True)) for a in (arm, base)),
        split=split, state=state)(rows)
    if not np.isfinite(verdict.estimate):
      continue
    methods.append(verdict.method)
    ends += filter(np.isfinite, (verdict.low, verdict.estimate, verdict.high))
    clear = not verdict.low <= 0 <= verdict.high
    drawing.interval(axes, i, verdict.low, verdict.estimate, verdict.high,
                     hollow=not clear)
  axes.axvline(0, color='black', lw=0.8, zorder=0)
  if base in arms:
    # On the side with more room.
    left = abs(min(ends, default=0)) > abs(max(ends, default=0))
    axes.text(0, arms.index(base), ' baseline ', va='center', fontsize=9,
              color=drawing.GREY, ha='right' if left else 'left')
  name = name_of(base, by) if sum(
      arm[1] == base[1] for arm in arms) > 1 else base[1]
  axes.set_xlabel(f'minus that of {name}, same seed'.replace('\n', ', '))
  test = ' or '.join(dict.fromkeys(methods))
  return f'; interval: 95 %, {test}; hollow: it holds 0' if methods else ''


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
    for i, (arm, name) in enumerate(zip(arms, names_of(arms, by),
                                        strict=True)):
      first, second = (by_seed(r, arm, by) for r in (across, up))
      pairs = np.array([(first[s], second[s])
                        for s in sorted(first.keys() & second.keys())])
      if not len(pairs):
        continue
      style = drawing.line_and_mark(i) | {'ls': ''}
      axes.plot(*pairs.T, ms=4, alpha=0.35, mew=0, **style)
      axes.plot(*pairs.mean(axis=0), ms=9, mec='white',
                label=name, **style)
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
