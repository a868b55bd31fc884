"""What the papers of a family show together: their curves, their claims.

A card says which curves it has, in CURVES; the page of the family shows all of
one kind in one panel, and what became of the claims that are not ours.
"""

import hashlib
from typing import NamedTuple

import numpy as np

from assay import papers
from assay.claims import intervals, samples
from assay.report import drawing, figures, tables


class Curve(NamedTuple):
  """A line of a figure of the family.

  Attributes:
    panel: its title, the same of all papers; what stands across.
    label: of the line.
    variant: whose rows.
    points: ((place, row fields), ...); places are numbers, or names.
    metric: that is shown.
  """
  panel: str
  label: str
  variant: str
  points: tuple
  metric: str = 'exact_match'


def curves(family, by_paper):
  """{panel: [(paper, Curve, [(place, values), ...])]} that rows are there for.

  Args:
    family: of `papers.FAMILIES`.
    by_paper: paper -> its rows.
  """
  panels = {}
  for paper, rows in by_paper.items():
    card = papers.configs(paper)
    for curve in getattr(card, 'CURVES', ()):
      found = [(place, _values(rows, curve, fields))
               for place, fields in curve.points]
      if not any(isinstance(place, str) for place, _ in found):
        found.sort()  # a line ends where its label is
      if card.PAPER.family == family and any(values for _, values in found):
        panels.setdefault(curve.panel, []).append((paper, curve, found))
  return panels


def _values(rows, curve, fields):
  want = {'config': curve.variant, 'metric': curve.metric, **fields}
  return [row['value'] for row in rows if samples.matches(row, want)
          and row['value'] is not None]


def figure(panels):
  """One panel above the other: mean and 95 % interval over seeds (t)."""
  drawn, grid = drawing.new_grid(2.7 * len(panels), len(panels))
  for axes, (title, found) in zip(grid, panels.items(), strict=True):
    axes.spines[['top', 'right']].set_visible(False)
    axes.tick_params(labelsize=9)
    places = list(dict.fromkeys(
        place for _, _, points in found for place, _ in points))
    named = isinstance(places[0], str)
    at, log, _ = drawing.places(places if named else sorted(places))
    if log:
      axes.set_xscale('log')
      axes.xaxis.minorticks_off()
    labels = []
    for i, (_, curve, points) in enumerate(found):
      points = [(at[place], values) for place, values in points if values]
      x, means = zip(*((x, np.mean(values)) for x, values in points),
                     strict=True)
      ends = np.array([intervals.t_interval(np.array(values))
                       for _, values in points])
      style = drawing.line_and_mark(i)
      axes.plot(x, means, **style, ms=5, lw=1.4)
      axes.vlines(x, *np.clip(ends, 0, 1).T, color=style['color'], lw=1.2)
      labels.append((means[-1], curve.label, style['color']))
    axes.set_xticks(list(at.values()), [str(place) for place in at],
                    rotation=60 if len(at) > 5 else 0)
    axes.margins(x=0.08)
    axes.set_ylim(-0.04, 1.04)
    axes.set_ylabel('share right')
    axes.set_xlabel(title, fontsize=9)
    drawing.label_ends(axes, labels)
  grid[0].set_title('mean and 95 % interval over seeds', fontsize=9, loc='left')
  return drawn


def update(folder, family, by_paper, check=False):
  """As `figures.update`, the figure of a family, `<family>.svg`."""
  panels = curves(family, by_paper)
  if not panels:
    return '', []
  want = hashlib.sha256(repr(panels).encode()).hexdigest()[:16]
  return figures.committed(
      folder / f'{family}.svg', want, lambda: figure(panels),
      f'{papers.FAMILIES[family].lower()}: {", ".join(panels)}',
      f'the rows of {family}', check)


def claims(family, judged):
  """Markdown: what became of the claims of papers, those of ours left out.

  Args:
    family: of `papers.FAMILIES`.
    judged: paper -> its `claims.Judged`.
  """
  lines = [['paper', 'claim', 'here', 'tested on'], [':--'] * 4]
  for paper, items in judged.items():
    if papers.configs(paper).PAPER.family != family:
      continue
    for item in items:
      if item.verdict and item.claim.source != 'ours':
        lines.append([
            f'[{paper}](../results/{paper}/README.md)', item.claim.sentence,
            item.standing if item.alone else f'**{item.standing}**',
            f'`{item.claim.where["config"]}`: {item.where_tested}'])
  return tables.markdown_of(lines) if len(lines) > 2 else ''


def sections(judged):
  """{`<family>/claims`: Markdown} of families whose cards have curves."""
  families = {card.PAPER.family for card in map(papers.configs, judged)
              if hasattr(card, 'CURVES')}
  return {f'{family}/claims': claims(family, judged)
          for family in sorted(families)}
