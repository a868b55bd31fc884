"""Comparisons as text: a sentence, lines, tables, LaTeX, HTML and JSON."""

import html as html_lib
import math
import re
import textwrap

from assay.judge.varies import KINDS
from assay.report import bars, tables, verdicts

COLUMNS = ('metric', 'ours', 'baseline', 'difference [95 %]', 'n', 't p',
           'flip p', 'Holm p', 'verdict')
WIDTH = 80  # of lines


def p_text(p):
  """`p = 0.03`, `p < 0.001`, or ''."""
  if p is None:
    return ''
  return 'p < 0.001' if p < 0.001 else f'p = {p:.2g}'


def claim(c):
  """`ours has a lower error than baseline`, and on what."""
  on = f' on {c.dataset}' * bool(c.dataset)
  if c.check == 'equal':
    return (f'the {c.metric} of {c.ours} and of {c.baseline}{on} differ by '
            f'less than {verdicts.digits(c.by)}')
  side = 'lower' if c.check == 'less' else 'higher'
  return (f'{c.ours} has a {side} {c.metric} than {c.baseline}{on}'
          + f' by more than {verdicts.digits(c.by)}' * bool(c.by))


def denied(c):
  """The claim, denied."""
  if c.check == 'equal':
    return claim(c).replace(' differ by less', ' do not differ by less')
  return claim(c).replace(f'{c.ours} has a ', f'{c.ours} does not have a ', 1)


def evidence(c):
  """The numbers of a sentence, as they stand in its brackets."""
  v = c.verdict
  level = 90 if c.check == 'equal' else 95
  parts = [f'mean difference {verdicts.digits(v.estimate)}']
  if math.isfinite(v.low):
    parts.append(f'{level} % confidence interval {verdicts.digits(v.low)} to '
                 f'{verdicts.digits(v.high)}')
  unit = c.unit.removesuffix('s') if v.n == 1 else c.unit
  parts += [f'n = {v.n} {unit}', _test(v), p_text(v.p)]
  if c.verdict.p_sign_flip is not None:
    parts.append(f'sign-flip {p_text(c.verdict.p_sign_flip)}')
  if c.count > 1 and c.p_holm is not None:
    parts.append(f'{p_text(c.p_holm)} after Holm over {c.count} comparisons')
  return ', '.join(filter(None, parts))


def _test(verdict):
  """`paired t test`, with what belongs to it."""
  test = verdict.method.partition(',')[0]
  name, _, rest = test.partition(' (')
  name, over, where = name.partition(' over ')
  return (name + ' test' * (name.endswith(' t')) + over + where
          + f' ({rest}' * bool(rest)).replace('_', ' ').replace(
              'n test/n train', 'n_test/n_train')


def sentence(c):
  """A sentence that can be pasted into a paper."""
  if c.corrected == 'holds':
    text = f'{claim(c)} ({evidence(c)}).'
  elif c.corrected == 'fails':
    text = f'{denied(c)} ({evidence(c)}).'
  else:
    note = c.verdict.note or ''
    if c.alone:
      note = f'alone it {c.state}, after correction it does not'
    text = f'whether {claim(c)} is undecided ({evidence(c)}' + (
        f'; {note}' if note else '') + ').'
  # A method's name keeps its case.
  return text if text.startswith(c.ours) else text[0].upper() + text[1:]


def title(c):
  """`ours < baseline in error`."""
  sign = {'less': '<', 'greater': '>', 'equal': '='}[c.check]
  by = f' by {c.by:g}' if c.by and c.check != 'equal' else (
      f' ± {c.by:g}' * (c.check == 'equal'))
  return f'{c.ours} {sign} {c.baseline}{by}, {c.metric}' + (
      f' on {c.dataset}' * bool(c.dataset))


def paragraph(c):
  """Lines on one comparison: word, sentence, bar, what stands beside it."""
  v, indent = c.verdict, ' ' * 11
  lines = [f'{c.standing.upper():10} {title(c)}',
           *wrapped(sentence(c), indent)]
  means = (f'{c.ours} {verdicts.digits(c.means[0])}, {c.baseline} '
           f'{verdicts.digits(c.means[1])}'
           + f' ({c.better} is better)' * bool(c.better))
  sd = '' if c.sd is None else (
      f'standard deviation of the differences {verdicts.digits(c.sd)}')
  bar = bars.bar(v)
  if bar and len(indent + bar + means) + 2 <= WIDTH:
    bar, means = f'{bar}  {means}', ''
  beside = verdicts.beside(v, 'bootstrap over examples')
  if v.naive:
    beside += ', as if re-splits shared no examples'
  note = v.note if c.corrected != 'undecided' else ''
  for text in (bar, means, sd, beside, note):
    lines += wrapped(text, indent) if text else []
  return '\n'.join(lines)


def wrapped(text, indent, hanging=0):
  """Lines of a text of up to `WIDTH`, all but the first `hanging` further in.
  """
  # No number is parted from what it belongs to.
  text = re.sub(r' %|[pn] [=<] [\d.,]+|\[[^]]*\]|\d+ seeds?',
                lambda found: found[0].replace(' ', '\xa0'), text)
  return [line.replace('\xa0', ' ') for line in textwrap.wrap(
      text, WIDTH, initial_indent=indent,
      subsequent_indent=indent + ' ' * hanging,
      break_on_hyphens=False, break_long_words=False)]


def table(made):
  """Comparisons as a table that `report.tables` shows in any form."""
  several = len({c.dataset for c in made}) > 1
  columns = ('dataset',) * several + COLUMNS
  rows = []
  for c in made:
    v, cells = c.verdict, [c.dataset] * several
    sign = {'less': '<', 'greater': '>', 'equal': '='}[c.check]
    cells += [
        c.metric, f'{c.ours} {verdicts.digits(c.means[0])}',
        f'{sign} {c.baseline} {verdicts.digits(c.means[1])}',
        verdicts.numbers(v), str(v.n), _p(v.p), _p(c.verdict.p_sign_flip),
        _p(c.p_holm), c.standing]
    rows.append(cells)
  notes = []
  if any(c.alone for c in made):
    notes.append('alone: not after Holm over all '
                 f'{len(made)} comparisons')
  return {'config': '', 'columns': list(columns), 'labels': len(columns),
          'rows': rows, 'note': '; '.join(notes), 'texts': True}


def _p(p):
  return '' if p is None else '<0.001' if p < 0.001 else f'{p:.2g}'


def terminal(made):
  """Comparisons as lines: all of each if they are few, else a line for each."""
  if len(made) <= 6:
    return '\n\n'.join(map(paragraph, made))
  return '\n'.join(_aligned(table(made)))


def _aligned(shown):
  """The table in columns of text; numbers are on the right."""
  rows = [shown['columns'], *shown['rows']]
  widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
  left = {'dataset', 'metric', 'ours', 'baseline', 'verdict'}
  lines = ['  '.join(
      cell.ljust(w) if name in left else cell.rjust(w) for cell, w, name in zip(
          row, widths, shown['columns'], strict=True)).rstrip()
           for row in rows]
  lines.insert(1, '-' * max(map(len, lines)))
  return [*lines, *filter(None, [shown['note']])]


def latex(made):
  """A booktabs table of comparisons, and their sentences as comments."""
  lines = [tables.to_latex(table(made))]
  return '\n'.join(lines + [f'% {sentence(c)}' for c in made]) + '\n'


def html(made):
  """A table and the sentences, for a notebook."""
  text = html_lib.escape
  shown = table(made)
  head = ''.join(f'<th>{text(name)}</th>' for name in shown['columns'])
  body = ''.join('<tr>' + ''.join(f'<td>{text(cell)}</td>' for cell in row)
                 + '</tr>' for row in shown['rows'])
  few = ''.join(f'<p>{text(sentence(c))}</p>' for c in made[:3]
                ) if len(made) <= 3 else ''
  return (f'{few}<table><tr>{head}</tr>{body}</table>'
          + f'<p>{text(shown["note"])}</p>' * bool(shown['note']))


def as_dict(c):
  """A comparison for JSON: numbers as they are, null where there is none."""
  v = c.verdict
  finite = lambda x: x if x is not None and math.isfinite(x) else None
  both = lambda ends: ends and list(map(finite, ends))
  return {
      'metric': c.metric, 'dataset': c.dataset, 'ours': c.ours,
      'baseline': c.baseline, 'claim': claim(c), 'state': v.state,
      'standing': c.standing, 'sentence': sentence(c),
      'mean_ours': finite(c.means[0]), 'mean_baseline': finite(c.means[1]),
      'difference': finite(v.estimate), 'low': finite(v.low),
      'high': finite(v.high), 'naive': both(v.naive),
      'bootstrap': both(v.bootstrap),
      'n': v.n, 'n_that_would_settle_it': v.needed,
      'sd_of_differences': c.sd, 'p': v.p,
      'p_sign_flip': c.verdict.p_sign_flip, 'p_holm': c.p_holm,
      'comparisons': c.count, 'test': v.method, 'note': v.note,
      'better': c.better, 'varies': c.varies.kind if c.varies else 'examples',
      'n_test/n_train': c.varies.ratio or None if c.varies else None}


def three_answers(answers):
  """What each kind of seeds would say of some comparisons, and that it asks.

  Args:
    answers: dicts, kind -> `Comparison`.
  """
  ratio = answers[0]['resplit'].varies.ratio
  lines = ['Nothing is decided: what does a seed vary? The verdict depends on '
           'it. Say one of']
  for kind, (_, text) in KINDS.items():
    lines += wrapped(f'--varies {kind}: {text}'
                      + ' (and --train and --test)' * (kind == 'resplit'),
                      '  ')
  lines.append(f'and it would say (re-splits: with test/train {ratio:.3g})')
  for own in answers:
    lines += ['', f'  {title(own["fresh"])}']
    for kind, c in own.items():
      p = p_text(c.verdict.p)
      lines.append(f'    {kind:12} {c.state:10} {verdicts.numbers(c.verdict)}'
                   + f', {p}' * bool(p))
    note = own['fresh'].verdict.note
    if own['fresh'].verdict.p is None and note:
      lines += wrapped(note, ' ' * 17)
  return '\n'.join(lines)


def summary(found):
  """What a metric says over data sets, or a posterior, as lines."""
  if 'rope' in found:
    return (f'{found["title"]}: the mean difference is below '
            f'-{found["rope"]:g} with probability {found["below"]:.3f}, within '
            f'± {found["rope"]:g} with {found["inside"]:.3f}, above with '
            f'{found["above"]:.3f} (Bayesian correlated t)')
  lines = [f'{found["metric"]} over {found["datasets"]} data sets '
           f'({found["better"]} is better)']
  iqm = found.get('iqm', {})
  if 'ranks' in found:
    ranks = found['ranks']
    for method, rank in zip(ranks.methods, ranks.ranks, strict=True):
      lines.append(f'  mean rank {rank:5.2f}  {method}'
                   + f'  {_of_three("interquartile mean", iqm.get(method))}')
    apart = '; '.join(f'{a} before {b}' for a, b in ranks.differ)
    lines += wrapped(
        f'Friedman: chi2 = {ranks.chi2:.3g}, {p_text(ranks.p)} (Iman and '
        'Davenport); ranks closer than '
        f'{ranks.critical_difference:.3g} are not told apart (Nemenyi). '
        + (f'Told apart: {apart}.' if apart else 'None are told apart.'), '  ')
  else:
    lines += [f'  {m}  {_of_three("interquartile mean", v)}'
              for m, v in iqm.items()]
  if 'pair' in found:
    lines.append(paragraph(found['pair']))
  for (a, b), n in found.get('records', {}).items():
    lines.append(f'  {a} against {b}: {n["win"]} wins, {n["tie"]} undecided, '
                 f'{n["loss"]} losses, after Holm')
  for (a, b), three in found.get('improvement', {}).items():
    lines.append('  ' + _of_three(f'P({a} is better than {b})', three))
  return '\n'.join(line.rstrip() for line in lines)


def _of_three(name, three):
  if three is None:
    return ''
  value, low, high = map(verdicts.digits, three)
  return f'{name} {value} [{low}, {high}]'


def summary_as_dict(found):
  """A summary for JSON."""
  shown = {k: v for k, v in found.items() if k not in (
      'ranks', 'pair', 'records', 'improvement')}
  if 'ranks' in found:
    ranks = found['ranks']
    shown['ranks'] = dict(zip(ranks.methods, map(float, ranks.ranks),
                              strict=True))
    shown |= {'friedman_chi2': ranks.chi2, 'friedman_p': ranks.p,
              'critical_difference': ranks.critical_difference,
              'told_apart': ranks.differ}
  if 'pair' in found:
    shown['pair'] = as_dict(found['pair'])
  for name in ('records', 'improvement'):
    if name in found:
      shown[name] = [{'ours': a, 'baseline': b, name: v}
                     for (a, b), v in found[name].items()]
  return shown
