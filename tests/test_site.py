"""The report page says what the rows say, and all that it links is there."""

import collections
import dataclasses
import html.parser
import json
import math
import re
import shutil
import subprocess

from matplotlib.figure import Figure
import pytest
from test_results import RUN, card, make_workdir, row

from assay import disk, papers, results
from assay.claims import Claim, rules, within
from assay.errors import UserError
from assay.report import coverage, kept, site, stale, verdicts

HOSTILE = '<script>alert("x")</script>&amp; \'"'
VOID = {'meta', 'link', 'img', 'wbr'}


class Page(html.parser.HTMLParser):
  """Tags that stand open, links, identifiers and text of a page."""

  def __init__(self, text):
    super().__init__()
    self.open, self.links, self.ids, self.tags = [], [], [], []
    self.images, self.text = [], []
    self.feed(text)
    self.close()

  def handle_starttag(self, tag, attrs):
    attrs = dict(attrs)
    self.tags.append((tag, attrs))
    self.ids += filter(None, [attrs.get('id')])
    self.links += filter(None, [attrs.get('href'), attrs.get('src')])
    if tag == 'img':
      self.images.append(attrs)
    if tag not in VOID:
      self.open.append(tag)

  def handle_startendtag(self, tag, attrs):
    self.handle_starttag(tag, attrs)
    if tag not in VOID:
      self.handle_endtag(tag)

  def handle_endtag(self, tag):
    assert self.open and self.open[-1] == tag, (tag, self.open[-3:])
    self.open.pop()

  def handle_data(self, data):
    self.text.append(data)


def read(folder):
  return {path.name: Page(path.read_text()) for path in folder.glob('*.html')}


def files(folder):
  return {path.relative_to(folder).as_posix(): path.read_bytes()
          for path in folder.rglob('*') if path.is_file()}


def names():
  return sorted(path.name for path in (papers.ROOT / 'results').iterdir()
                if list(path.glob('*.jsonl')))


@pytest.fixture(scope='module')
def judged():
  """{paper: all that was judged}, filled when its page is built."""
  return {}


@pytest.fixture(scope='module')
def built(tmp_path_factory, judged):
  """The site of the committed rows, without figures, which take longest."""
  judge = kept.judge

  def noted(everything, rows, folder):
    found = judge(everything, rows, folder)
    judged[folder.name] = found.judged
    return found

  out = tmp_path_factory.mktemp('site') / 'site'
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(kept, 'judge', noted)
    site.build(papers.ROOT / 'results', out, draw=False)
  return out


def test_every_paper_with_rows_has_a_page_that_the_front_page_links(built):
  front = read(built)['index.html']
  for name in names():
    assert f'{name}.html' in front.links and (built / f'{name}.html').is_file()
  text = ' '.join(front.text)
  for name in papers.names():
    assert site.about(name)['title'] in text


def check_pages(folder):
  pages = read(folder)
  for name, page in pages.items():
    assert page.open == [], name
    assert len(page.ids) == len(set(page.ids)), name
    assert page.tags[0] == ('html', {'lang': 'en'})
    tags = [tag for tag, _ in page.tags]
    assert tags.count('title') == tags.count('h1') == tags.count('main') == 1
    assert not {'script', 'style', 'iframe'} & set(tags)
    for link in page.links:
      path, _, anchor = link.partition('#')
      if link.startswith('https://'):
        assert link.startswith('https://arxiv.org/abs/')
      elif link != 'data:,':
        assert (folder / (path or name)).is_file(), link
        if path.endswith('.html') or not path:
          assert not anchor or anchor in pages[path or name].ids, link
    for image in page.images:
      assert image['loading'] == 'lazy' and len(image['alt']) > 10
      assert image['width'] and image['height']
    assert (folder / name).stat().st_size < 500_000, name
  return pages


def test_pages_are_well_formed_small_and_complete(built):
  check_pages(built)


def test_nothing_is_loaded_from_elsewhere(built):
  for name, data in files(built).items():
    text = data.decode()
    # A name after # is one in the same file.
    assert not re.search(r'@import|url\((?!#)|src="(?!figures/)', text), name


def test_every_paper_of_the_plan_is_on_the_front_page(built):
  front = read(built)['index.html']
  text = ' '.join(''.join(front.text).split())
  for entry in coverage.read():
    assert ' '.join(entry.title.split()) in text and entry.asks in text
    assert not entry.why or entry.why in text


def test_a_page_begins_with_what_came_out_and_its_figure(built):
  for name in names():
    text = (built / f'{name}.html').read_text()
    figure = f'src="figures/{name}.svg"'
    assert (text.index('What came out') < text.index(figure)
            < text.index('How to read this') < text.index('Tested on'))
    assert (built / 'figures' / f'{name}.svg').read_bytes() == (
        papers.ROOT / 'results' / name / 'figure.svg').read_bytes()


def told(page):
  """The numbers of claims that a page tells, as it writes them."""
  text = ' '.join(' '.join(page.text).split())
  return {found[0] for found in re.finditer(
      r'\d+ (holds|fails|undecided|not tested)(, \d+ after correction)?', text)}


def in_words(counts):
  """{'9 holds, 6 after correction', ...} of counts by standing."""
  return {f'{counts[state] + counts[f"{state} alone"]} {state}'
          + (f', {counts[state]} after correction'
             if counts[f'{state} alone'] else '')
          for state in (*site.page.STATES, 'not tested')}


def test_verdict_counts_are_those_of_the_claims(built, judged):
  pages, totals = read(built), collections.Counter()
  for name in names():
    everything = papers.claims(name)
    configs = {f.stem for f in (papers.ROOT / 'results' / name).glob('*.jsonl')}
    assert [j.claim for j in judged[name]] == [
        c for c in everything if c.where['config'] in configs]
    want = collections.Counter(j.standing for j in judged[name] if j.verdict)
    want['not tested'] = len(everything) - want.total()
    totals += want
    page = pages[f'{name}.html']
    assert told(page) >= in_words(want)
    # Once in the head, and each verdict once in the forest plot.
    badges = collections.Counter(
        attrs['class'].split()[1] for tag, attrs in page.tags
        if tag == 'span' and attrs.get('class', '').startswith('verdict '))
    assert all(badges[standing.replace(' ', '-')] == want[standing]
               for standing in verdicts.STANDINGS)
  assert totals['holds alone'] and totals['fails alone']
  assert told(pages['index.html']) >= in_words(totals)


# A paper made up.


def draw(rows):
  figure = Figure()
  axes = figure.subplots()
  axes.plot([r['value'] for r in rows])
  axes.set_xlabel(rows[0]['method'])
  return figure


@pytest.fixture
def made_up(monkeypatch, tmp_path):
  """(results folder, config module) of a paper with hostile rows."""
  claim = Claim(f'low {HOSTILE}', f'It is low {HOSTILE}.', 'table 1',
                within('rmse', HOSTILE, 0, 5), where={'config': 'small'})
  module = card(
      __doc__='A docstring.\n\n  python -m made_up <x>\n\nWith `code <y>`.',
      VARIANTS={'small': f'small {HOSTILE}'},
      PAPER=papers.Paper(
          f'Made up {HOSTILE}', authors='', year='', family='ood_and_shift',
          idea='An idea. Another.'),
      CLAIMS=(claim, dataclasses.replace(
          claim, name='big', where={'config': 'big'})),
      FIGURES={'a figure/../<b>': draw})
  monkeypatch.setattr(papers, 'names', lambda package='': ['made_up'])
  monkeypatch.setattr(papers, 'configs', lambda name: module)
  make_workdir(tmp_path / 'work', [
      row(1.0 + seed, seed, method=HOSTILE, dataset=HOSTILE, sweep=HOSTILE)
      for seed in range(5)], RUN | {
          'planned_seeds': 5, 'command': HOSTILE,
          'versions': {HOSTILE: HOSTILE}, 'config': {'width': HOSTILE}})
  results.publish(tmp_path / 'work', tmp_path / 'results')
  return tmp_path / 'results', module


def test_hostile_text_is_escaped(made_up, tmp_path):
  names = site.build(made_up[0], tmp_path / 'site')
  assert names == ['figures/made_up.small.a_figure_..__b_.svg', 'index.html',
                   'made_up.html', 'style.css']
  page = check_pages(tmp_path / 'site')['made_up.html']
  assert ''.join(page.text).count(HOSTILE) >= 8
  assert 'code <y>' in page.text and 'python -m made_up <x>' in page.text
  assert HOSTILE in page.images[0]['alt']
  figure = (tmp_path / 'site' / names[0]).read_text()
  assert '<script>' not in figure and 'alert' in figure


def test_a_run_twice_gives_the_same_bytes(made_up, tmp_path):
  site.build(made_up[0], tmp_path / 'a')
  (tmp_path / 'a/figures/old.svg').touch()  # of a variant that is gone
  (tmp_path / 'a/notes.txt').touch()
  before = files(tmp_path / 'a')
  site.build(made_up[0], tmp_path / 'a')
  site.build(made_up[0], tmp_path / 'b')
  assert before.keys() - files(tmp_path / 'a').keys() == {'figures/old.svg'}
  assert files(tmp_path / 'a') == files(tmp_path / 'b') | {'notes.txt': b''}


def test_a_figure_without_its_rows_is_said_to_be_missing(made_up, tmp_path,
                                                         monkeypatch):
  def refuse(rows):
    raise UserError('no row has <metric>')

  monkeypatch.setattr(made_up[1], 'FIGURES', {'a figure': refuse})
  site.build(made_up[0], tmp_path / 'site')
  page = check_pages(tmp_path / 'site')['made_up.html']
  assert 'No figures: no row has <metric>' in ' '.join(page.text)


def test_main_reports_what_to_do_without_results(tmp_path, capsys, made_up):
  (tmp_path / 'empty').mkdir()
  for folder in ('none', 'empty'):
    assert site.main([str(tmp_path / folder), f'--out={tmp_path}/site']) == 2
    out, err = capsys.readouterr()
    assert out == '' and err.count('\n') == 1 and '--publish' in err
  assert not (tmp_path / 'site').exists()
  # A folder with something else in it is left alone.
  assert site.main([str(made_up[0]), f'--out={tmp_path}']) == 2
  assert 'choose another folder' in capsys.readouterr().err
  assert site.main([str(made_up[0]), f'--out={tmp_path}/site']) == 0
  assert 'index.html' in capsys.readouterr().out


# Stale rows.

COMMIT = RUN['commit'].rstrip('+')


@pytest.mark.parametrize('then, marked', [('1', False), ('0', True)])
def test_stale_rows_are_marked(made_up, tmp_path, monkeypatch, then, marked):
  monkeypatch.setattr(stale.code, 'of', lambda root, paper: {
      'experiments.made_up': '1'})
  run, = (made_up[0] / 'made_up/runs').glob('*.json')
  disk.write_json(run, json.loads(run.read_text()) | {
      'commit': COMMIT, 'code': {'experiments.made_up': then}})
  site.build(made_up[0], tmp_path / 'site')
  pages = {name: ' '.join(' '.join(page.text).split())
           for name, page in read(tmp_path / 'site').items()}
  assert ('1 stale' in pages['index.html']) == marked
  # Beside the claims and beside the table.
  assert pages['made_up.html'].count('STALE') == 2 * marked
  assert ('experiments.made_up has changed since' in pages['made_up.html']
          ) == marked
  assert 'age unknown' not in pages['made_up.html']


# Strips and texts.


def verdict(estimate, low, high, region, state='holds'):
  return rules.Verdict(state, estimate, low, high, 5, 't', region=region)


def test_a_strip_shows_interval_and_region_to_scale():
  # From 0 to 10, and 8 % of it on either side.
  at = site.strip(verdict(6, 4, 10, (0, math.inf)))
  scale = site.STRIP / 11.6
  for name, value in {'estimate': 6, 'low': 4, 'high': 10}.items():
    assert at[name] == pytest.approx((value + 0.8) * scale, abs=0.06)
  assert at['region'] == (pytest.approx(0.8 * scale, abs=0.06), site.STRIP)
  assert at['ends'] == [(at['region'][0], '0', 'start')]
  assert at['text'] == 'above 0'


@pytest.mark.parametrize('region, shown, text', [
    ((-math.inf, 0.5), ['0.5'], 'below 0.5'),
    ((-1, 1), ['-1', '1'], 'from -1 to 1'),
    ((0, 1e6), ['0'], 'from 0 to 1000000'),  # too far to be shown
    ((-20, -19.5), ['-20 to -19.5', ''], 'from -20 to -19.5'),  # too near
    (None, [], '')])
def test_ends_of_a_region_are_named_where_there_is_room(region, shown, text):
  at = site.strip(verdict(0.2, -0.5, 0.9, region))
  assert [name for _, name, _ in at['ends']] == shown
  assert at['text'] == text


def test_a_verdict_without_interval_or_value_has_what_there_is():
  nan = math.nan
  at = site.strip(verdict(2, nan, nan, (2, math.inf)))
  assert at['low'] is None and 0 < at['estimate'] < site.STRIP
  assert site.strip(verdict(nan, nan, nan, (0, 1))) is None


def test_durations_and_seeds():
  assert [site.duration(s) for s in (44, 119, 120, 7199, 7200)] == [
      '44 s', '119 s', '2 min', '120 min', '2.0 h']


@pytest.mark.skipif(not shutil.which('chromium'), reason='no browser')
def test_no_page_is_wider_than_the_screen(built, tmp_path):
  shutil.copytree(built, tmp_path / 'site')
  pages, frames, want = sorted((tmp_path / 'site').glob('*.html')), '', set()
  for page in pages:
    # With all details open; it tells the frame that it stands in its width.
    page.write_text(
        page.read_text().replace('<details', '<details open')
        + f'<script>parent.postMessage("{page.name} " + innerWidth + " " +'
        ' document.documentElement.scrollWidth, "*")</script>')
    for width in (360, 1200):
      frames += f'<iframe width={width} style="border:0" src={page.name}>'
      frames += '</iframe>'
      want.add(f'{page.name} {width} {width}')
  frame = tmp_path / 'site/frame.htm'
  frame.write_text('<!DOCTYPE html><title>-</title><script>onmessage = e => '
                   f'document.title += ";" + e.data</script>{frames}')
  done = subprocess.run(
      ['chromium', '--headless', '--no-sandbox', '--disable-gpu',
       '--hide-scrollbars', '--window-size=1300,900', '--dump-dom',
       '--virtual-time-budget=9000', frame.as_uri()], text=True, timeout=60,
      capture_output=True)
  title, = re.findall('<title>-;(.*)</title>', done.stdout)
  assert set(title.split(';')) == want
