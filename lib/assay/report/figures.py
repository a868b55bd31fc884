"""A paper's figures: those of its card, or one a metric; and the first of all.

The first, `results/<paper>/figure.svg`, stands on top of the paper's page and
is committed beside the rows. It holds a digest of the rows and the name that it
was drawn from, and is drawn anew only where that differs: a newer matplotlib,
which draws other bytes, changes nothing. To have it drawn anew, delete it.
"""

import collections
import contextlib
import hashlib
import io
import re
import textwrap
from typing import NamedTuple

from assay import disk, papers, results
from assay.claims import samples
from assay.report import drawing, plots, tables

NAME = 'figure.svg'
MANY = 12  # arms; of more only those are drawn that claims read


def of(paper, rows):
  """{name: Figure} of the rows of one variant.

  Those of the card's FIGURES that the rows have something for; if it has none,
  `plots.comparison` of each metric that the table shows.
  """
  card = papers.configs(paper)
  if hasattr(card, 'FIGURES'):
    made = {}
    for name, draw in card.FIGURES.items():
      with contextlib.suppress(samples.NoRows):
        made[name] = draw(rows)
    return {name: figure for name, figure in made.items() if figure}
  return {f'{metric}_test': _comparison(paper, rows, metric)
          for metric in page_metrics(paper, rows)}


def page_metrics(paper, rows):
  """The metrics of the table of a variant."""
  return tables.table(rows, papers.reported(paper, rows[0]['config']),
                      getattr(papers.configs(paper), 'METRICS', None))[
                          'metrics']


def _comparison(paper, rows, metric, arms=(), baseline=()):
  """`plots.comparison` on the first data set, of the state a table shows."""
  test = [r for r in rows if (r['split'], r['group']) == ('test', '')
          and r['metric'] == metric]
  own = [r for r in rows if r['dataset'] == test[0]['dataset']]
  if arms:
    own = [r for r in own if r['split'] == 'train' or any(
        samples.matches(r, dict(arm)) for arm in arms)]
  state = 'best' if any(r['state'] == 'best' for r in test) else 'last'
  return plots.comparison(
      own, metric, papers.reported(paper, rows[0]['config']), state=state,
      baseline=dict(baseline) if baseline else None)


class First(NamedTuple):
  """What the first figure shows."""
  variant: str
  name: str  # of the card's FIGURES, or a metric
  arms: tuple = ()  # of a metric: those that claims read, see `_fields`; () all
  baseline: tuple = ()  # of a metric: the one that differences are from


def first(paper, rows, judged):
  """The `First` figure of a paper, or None without any.

  The card's LEAD, (variant, name of its FIGURES), if these rows have that
  variant. Else the variant with most decided claims; of it the metric that most
  claims read, and the arm with which they compare others most often.
  """
  by_config = results.group_by(rows, 'config')
  lead = getattr(papers.configs(paper), 'LEAD', None)
  if lead and lead[0] in by_config:
    return First(*lead)
  decided = collections.Counter(
      item.claim.where.get('config') for item in judged
      if item.verdict and item.verdict.state != 'undecided')
  for variant in sorted(by_config, key=lambda name: -decided[name]):
    own = by_config[variant]
    test = results.group_by(
        [r for r in own if (r['split'], r['group']) == ('test', '')], 'metric')
    if test:
      read = [part for item in judged
              if item.claim.where.get('config') == variant
              for part in _comparisons(item.claim.check)
              if part.metric in test]
      metrics = collections.Counter(part.metric for part in read)
      metric = (metrics.most_common(1)[0][0] if read
                else page_metrics(paper, own)[0])
      pairs = [tuple(map(_fields, part.arms)) for part in read
               if part.metric == metric]
      against = collections.Counter(b for _, b in pairs)
      arms = tuple(dict.fromkeys(arm for pair in pairs for arm in pair))
      many = len({_arm_of(row) for row in test[metric]}) > MANY
      return First(variant, metric, arms if many else (),
                   against.most_common(1)[0][0] if against else ())
  return None


def _comparisons(check):
  """The parts of a check that compare two arms on the test set."""
  arms = list(map(samples.fields_of, getattr(check, 'arms', ())))
  own = [check] if len(arms) == 2 and check.split == 'test' and not any(
      arm.keys() & {'split', 'group', 'state', 'metric'} for arm in arms
      ) else []
  return own + [inner for part in getattr(check, 'parts', ())
                for inner in _comparisons(part)]


def _fields(arm):
  """((field, value), ...) of an arm, on any data; equal ones are equal."""
  return tuple(sorted((k, v) for k, v in samples.fields_of(arm).items()
                      if k != 'dataset'))


def _arm_of(row):
  return row['method'], *(row.get(k) for k in tables.sweep_fields([row]))


def digest(rows, chosen):
  """Hex digits over the rows of a figure and what it shows of them."""
  text = f'{results.digest(rows)} {tuple(chosen)}'
  return hashlib.sha256(text.encode()).hexdigest()[:16]


def update(folder, paper, rows, judged, check=False):
  """Draws the first figure if it is not that of these rows.

  Args:
    folder: of the paper's results; the figure is written there.
    paper, rows: all of them.
    judged: see `claims.judge`.
    check: whether to draw nothing and only say.

  Returns:
    (Markdown that shows the figure, lines that say what differs).
  """
  chosen = first(paper, rows, judged)
  if chosen is None:
    return '', []
  own = results.group_by(rows, 'config')[chosen.variant]
  card = papers.configs(paper)
  draw = lambda: (card.FIGURES[chosen.name](own)
                  if chosen[:2] == getattr(card, 'LEAD', None)
                  else _comparison(paper, own, *chosen[1:]))
  return committed(
      folder / NAME, digest(own, chosen), draw,
      f'{chosen.name.replace("_", " ")}, {chosen.variant}',
      f'the rows of {chosen.variant}', check)


def committed(file, want, draw, name, of_what, check=False):
  """A figure that is committed, drawn where it is not the one that is wanted.

  Args:
    file: of the figure.
    want: digest of what it shows.
    draw: `() -> Figure`.
    name: that stands below it.
    of_what: it is, in words.
    check: whether to draw nothing and only say.

  Returns:
    (Markdown that shows the figure, lines that say what differs).
  """
  if _said(file, 'digest') != want:
    if check:
      return '', [f'{file}: is not that of {of_what}']
    figure = draw()
    disk.write_bytes(file, small_svg(figure, {
        'digest': want, 'alt': alt_text(name, figure), 'name': name}).encode())
  alt = _said(file, 'alt').replace('[', '(').replace(']', ')')
  return tables.harmless(
      f'![{alt}]({file.name})\n\n*{_said(file, "name")}*'), []


def told(file):
  """What a page needs to show the first figure: alt, name, width, height."""
  size = re.search('viewBox="0 0 ([0-9.]+) ([0-9.]+)"', file.read_text())
  width, height = (round(float(x) * 96 / 72) for x in size.groups())
  return dict(alt=_said(file, 'alt'), name=_said(file, 'name'), width=width,
              height=height)


def _said(file, what):
  """What a figure says of itself, '' if there is none."""
  if not file.exists():
    return ''
  found = re.search(f'<!-- {what}: (.*?) -->', file.read_text(), re.DOTALL)
  return found[1] if found else ''


def svg(figure):
  """A matplotlib figure as SVG on white, the same text for the same figure."""
  # Letters as shapes: a reader's fonts cannot make them overlap.
  return _svg(figure, 'path')


def small_svg(figure, said):
  """The same at a third of the bytes: letters as text, two decimals.

  Args:
    figure: the Figure.
    said: name -> text that goes into comments on top.
  """
  text = _svg(figure, 'none')
  text = text[text.index('<svg '):]
  text = re.sub(r'<metadata>.*?</metadata>|<!--.*?-->', '', text,
                flags=re.DOTALL)
  # All have nearly the widths that the figure was laid out for.
  text = re.sub(r"font: ([\d.]+px) [^;\"]*",
                r"font: \1 'DejaVu Sans', Verdana, sans-serif", text)
  short = lambda number: f'{float(number[0]):.2f}'
  text = re.sub('<[^>]*>', lambda tag: re.sub(  # not what the letters say
      r'\d+\.\d{3,}', short, tag[0]), text)
  text = re.sub(r'\s+', ' ', text).replace('> <', '>\n<').strip() + '\n'
  # Two hyphens would end the comment.
  return ''.join(f'<!-- {k}: {re.sub("-(?=-)", "- ", v)} -->\n'
                 for k, v in said.items()) + text


def _svg(figure, letters):
  import matplotlib

  buffer = io.BytesIO()
  with matplotlib.rc_context(
      {'svg.hashsalt': 'assay', 'svg.fonttype': letters}):
    drawing.literal(figure).savefig(
        buffer, format='svg', facecolor='white',
        metadata={'Date': None, 'Creator': None})
  return buffer.getvalue().decode()


def alt_text(name, figure):
  """What a figure shows, in words: its axes and what is named in it."""
  texts = [name.replace('_', ' ')]
  for axes in figure.axes:
    named = [t.get_text() for t in axes.get_yticklabels()]
    key = axes.get_legend()
    named = [t for t in named if re.search('[A-Za-z]', t)] + (
        [t.get_text() for t in key.get_texts()] if key else [])
    texts += [axes.get_title(loc='left') or axes.get_title(),
              f'across: {axes.get_xlabel()}' if axes.get_xlabel() else '',
              f'up: {axes.get_ylabel()}' if axes.get_ylabel() else '',
              f'named: {", ".join(named)}' if named else '']
  text = '. '.join(dict.fromkeys(' '.join(t.split()) for t in texts if t))
  return textwrap.shorten(text, 600, placeholder=' …')
