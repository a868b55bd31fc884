"""Rows and run files of any kind, through all that reads and shows them."""

import contextlib
import io
import json
import re
from xml.etree import ElementTree

import hypothesis
import hypothesis.strategies as st
import kinds
import pytest

from assay import claims, disk, papers, results
from assay.errors import UserError
from assay.report import compare, figures, page, plots, site, verdicts

STEADY = hypothesis.settings(
    derandomize=True, deadline=None, max_examples=25,
    suppress_health_check=list(hypothesis.HealthCheck))
PAPER = 'c_mixup'
ROW = {'paper': PAPER, 'config': 'airfoil', 'run': '0123abcd',
       'dataset': 'airfoil', 'method': 'erm', 'seed': 0, 'split': 'test',
       'group': '', 'metric': 'rmse', 'value': 1.5, 'n': 200, 'step': 10,
       'state': 'best'}
RUN = {'seed_varies': 'resplit', 'planned_seeds': 2, 'scale': 'reduced',
       'config_name': 'airfoil', 'config': {'width': 2}, 'commit': '0' * 40,
       'versions': {'jax': '0.10'}, 'wall_seconds': 1.5, 'run': '0123abcd',
       'command': 'python -m experiments.c_mixup', 'device_kind': 'cpu',
       'device_count': 1, 'num_params': 3, 'fits': {'erm': ['k']},
       'spent': {'1': 1.5}, 'code': {'experiments.c_mixup': '0123abcd'},
       'made_with': [{'commit': '0' * 40, 'sources': '0'}]}
HTML, ESCAPE = '<script>alert(1)</script>', '\x1b[2J\x1b]0;x\x07'
# Names that mean something to a terminal, a page, a figure or a path.
NAMES = (HTML, '<img src=x onerror=alert(1)>', '--><script>1</script>',
         '$\\frac$', '$a', 'a$b$c', '$$', '\\', '[/red]', '[bold]', '[x](y)',
         '| a |', '`x`', '{{ 7 * 7 }}', '{% raw %}', '&amp;', '"', "'", 'é漢字',
         '%s', '{0}', '../x', 'x' * 500, '#', '__', 'nan', '-inf', ' ')
NUMBERS = (0, -0.0, 1e308, -1e308, 5e-324, 1e-300, 10**300, 2**53 + 1)
NOTHING = st.just({})
CHANGES = st.dictionaries(
    st.sampled_from(['dataset', 'method', 'split', 'group', 'metric', 'kernel',
                     'bandwidth', HTML, '$x$', '[/b]']),
    st.sampled_from(NAMES), max_size=3)
COUNTS = st.fixed_dictionaries({}, optional={
    'value': st.sampled_from(NUMBERS) | st.floats(allow_nan=False,
                                                  allow_infinity=False),
    'n': st.sampled_from((0, 1, 2**62)), 'step': st.sampled_from((0, 2**62)),
    'seed': st.sampled_from((0, 2**62))})
LOST = st.sampled_from([{}, {'value': None, 'why': ESCAPE + HTML + '\ud800'}])
TEXTS = st.sampled_from((*NAMES, ESCAPE, '\ud800', 'a\nb', ''))
VALUES = st.recursive(
    TEXTS | st.sampled_from(NUMBERS) | st.booleans() | st.none(),
    lambda x: st.lists(x, max_size=2) | st.dictionaries(TEXTS, x, max_size=2),
    max_leaves=4)
RUNS = st.dictionaries(st.sampled_from(list(RUN)), VALUES, max_size=2)


@st.composite
def folders(draw):
  """[rows], run: two arms with seeds, some of them changed."""
  rows = [ROW | {'method': method, 'seed': seed, 'value': seed + .5,
                 'split': split, 'metric': metric}
          for method in ('erm', 'c_mixup') for seed in range(5)
          for split in ('train', 'test') for metric in ('rmse', 'mape')]
  for_all, one_arm = draw(CHANGES), draw(CHANGES)
  rows = [row | for_all | (one_arm if row['method'] == 'erm' else {})
          for row in rows]
  for at in draw(st.lists(st.integers(0, len(rows) - 1), max_size=4)):
    rows[at] |= draw(COUNTS) | draw(LOST)
  return rows, RUN | draw(st.just({}) | RUNS)


def written(folder, rows, run):
  """Writes a folder of results; false where the rows are refused."""
  (folder / 'runs').mkdir(parents=True, exist_ok=True)
  (folder / 'runs' / '0123abcd.json').write_text(json.dumps(run))
  try:
    results.write(folder / 'airfoil.jsonl', rows)
  except UserError:
    return False
  return True


def assert_harmless(text, tags=''):
  """No control characters, no HTML but what pages are made of."""
  assert all(c.isprintable() or c in '\n\xa0' for c in text), repr(text)
  text.encode()
  for tag in re.findall(r'<(?=[A-Za-z/!?])[^>]*', text):
    assert re.fullmatch(tags, tag), tag


MARKDOWN = r'<(br|/?details|/?summary)'


def shown(rows, runs):
  """All that is shown of rows, as {form: text}."""
  texts = {'markdown': page.report(rows, PAPER, runs)}
  for form in ('terminal', 'latex'):
    with contextlib.redirect_stdout(io.StringIO()) as out:
      page.show(rows, PAPER, form)
    texts[form] = out.getvalue()
  with contextlib.redirect_stdout(io.StringIO()) as out:
    verdicts.show(claims.judge(papers.claims(PAPER), rows))
  texts['verdicts'] = out.getvalue()
  return texts


@hypothesis.settings(STEADY, max_examples=60)
@hypothesis.given(folders())
def test_any_rows_are_shown_harmlessly_or_refused(tmp_path_factory, given):
  folder = tmp_path_factory.mktemp('rows') / PAPER
  if not written(folder, *given):
    return
  try:
    rows, runs = results.read_both([folder])
    texts = shown(rows, runs)
  except UserError as error:
    assert len(str(error)) < 3000
    return
  assert_harmless(texts['markdown'], MARKDOWN)
  for form in ('terminal', 'verdicts', 'latex'):
    assert all(c.isprintable() or c in '\n\xa0' for c in texts[form])


@hypothesis.settings(STEADY, max_examples=15)
@hypothesis.given(folders())
def test_any_rows_make_a_site_or_are_refused(tmp_path_factory, given):
  base = tmp_path_factory.mktemp('site')
  if not written(base / 'results' / PAPER, *given):
    return
  try:
    site.build(base / 'results', base / 'out', draw=False)
  except UserError:
    return
  text = (base / 'out' / f'{PAPER}.html').read_text()
  assert '<script' not in text and '<img src=x' not in text
  assert all(c.isprintable() or c == '\n' for c in text)
  assert '49' not in re.findall(r'kernel[^<]{0,9}(49)', text)


# Markup, formulas, escapes, an entity, a quote, no letters, too many, none.
DRAWN = (HTML, '$\\frac$', 'a$b$c', '\\', '&amp;', "'", 'é漢字', 'x' * 500, ' ')


@pytest.mark.parametrize('name', [*DRAWN, *kinds.nightly(
    *(name for name in NAMES if name not in DRAWN))])
def test_a_figure_of_any_name_is_drawn(name, tmp_path):
  rows = [ROW | {'method': method, 'seed': seed, 'value': seed + .5,
                 'seed_varies': 'fresh', 'scale': name, 'planned_seeds': 5}
          for method in (name, 'erm') for seed in range(5)]
  figure = plots.comparison(rows, 'rmse')
  plots.save(figure, tmp_path / 'a.png')
  text = figures.small_svg(figure, {'alt': figures.alt_text(name, figure),
                                    'name': name})
  root = ElementTree.fromstring(text)
  assert not [e for e in root.iter() if e.tag.endswith('script')]
  told = ''.join(root.itertext())
  if len(name) < 20 and name.strip():
    assert ' '.join(name.split()) in ' '.join(told.split()), told
  swept = [row | {'width': w, 'value': row['value'] * w} for row in rows
           for w in (1, 30, 1000)]
  plots.save(plots.sweep(swept, 'rmse', 'width'), tmp_path / 'b.png')


@hypothesis.settings(STEADY, max_examples=15)
@hypothesis.given(folders(), folders())
def test_any_rows_are_compared_harmlessly_or_refused(tmp_path_factory, a, b):
  base = tmp_path_factory.mktemp('compare')
  if not (written(base / 'a', *a) and written(base / 'b', *b)):
    return
  with contextlib.redirect_stdout(io.StringIO()) as out, (
      contextlib.redirect_stderr(io.StringIO())):
    compare.main([str(base / 'a'), str(base / 'b')])
  assert all(c.isprintable() or c in '\n\xa0' for c in out.getvalue())


@pytest.mark.parametrize('change', [
    {'planned_seeds': 10**9}, {'planned_seeds': 10**400},
    {'planned_seeds': -1}, {'wall_seconds': 10**400}])
def test_numbers_of_a_run_that_cannot_be_are_refused(change, tmp_path):
  rows = [ROW | {'seed': seed} for seed in range(5)]
  assert written(tmp_path, rows, RUN | change)
  with pytest.raises(UserError, match=f'{[*change][0]}: .*is not in'):
    results.publish(tmp_path, tmp_path / 'out')


def test_texts_of_a_run_are_harmless_at_any_depth(tmp_path):
  deep = ESCAPE
  for _ in range(20):
    deep = {ESCAPE: [deep]}
  assert written(tmp_path, [ROW], RUN | {'config': deep, 'commit': ESCAPE})
  told = disk.dumps(results.read_runs([tmp_path]), ensure_ascii=False)
  assert told.isprintable() and told.count('\\\\x1b[2J') == 22
  for _ in range(60):
    deep = {'x': deep}
  assert written(tmp_path, [ROW], RUN | {'config': deep})
  with pytest.raises(UserError, match='nested more than 50 deep; restore'):
    results.read_runs([tmp_path])


def test_strays_among_results_stop_no_report(tmp_path, caplog):
  run = RUN | {'seed_varies': 'fresh'}
  for name in (PAPER, 'c_mixup (copy)', '.hidden'):
    assert written(tmp_path / name, [ROW], run)
  for name in ('.DS_Store', 'notes.txt', 'README.md~', '#x#'):
    for folder in (tmp_path, tmp_path / PAPER, tmp_path / PAPER / 'runs'):
      (folder / name).write_text('x')
  (tmp_path / PAPER / '.#airfoil.jsonl').symlink_to('nowhere')
  (tmp_path / PAPER / '._airfoil.jsonl').write_bytes(b'\0\5')
  (tmp_path / PAPER / 'old.jsonl').mkdir()
  site.build(tmp_path, tmp_path.parent / 'out', draw=False)
  assert len(results.read([tmp_path / PAPER])) == 1
  assert [f.name for f in results.files.of_papers(tmp_path)] == [PAPER]
  assert caplog.text.count('c_mixup (copy) is left alone') == 1
