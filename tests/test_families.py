"""What a family's papers show together: which rows a curve takes, its page."""

import numpy as np

from assay import papers, results
from assay.report import families, page

FAMILY = 'tiny_lm_tasks'


def rows_of(config, **fields):
  same = dict(paper='only_if_diversity', config=config, metric='exact_match')
  return [same | fields | {'seed': seed, 'value': value}
          for seed, value in enumerate((.2, .4, None))]


def test_curves_are_of_their_variant_and_fields():
  rows = [row for split in ('test', 'seen') for row in (
      *rows_of('rules', method='any', num_rules=32, split=split),
      *rows_of('smoke', method='any', num_rules=256, split=split))]
  (_, found), = families.curves(FAMILY, {'only_if_diversity': rows}).items()
  for _, curve, points in found:
    assert points == [(32, [.2, .4]), (256, []), (2048, [])], curve
  figure = families.figure({'panel': found})
  line = figure.axes[0].lines[0]
  assert np.allclose(line.get_xydata(), [[32, .3]])
  assert families.curves('editing', {'only_if_diversity': rows}) == {}


def test_curves_end_at_the_right_however_a_card_lists_them():
  folders = [papers.ROOT / 'results' / paper for paper in papers.names()
             if papers.configs(paper).PAPER.family == FAMILY]
  panels = families.curves(FAMILY, {
      folder.name: results.read([folder]) for folder in folders})
  lines = [line for axes in families.figure(panels).axes
           for line in axes.lines]
  assert len(lines) > 10
  for line in lines:
    assert (np.diff(line.get_xdata()) > 0).all()


def test_claims_are_those_that_are_not_ours():
  folder = papers.ROOT / 'results' / 'only_if_diversity'
  judged = page.kept.judge(papers.claims(folder.name), results.read([folder]),
                           folder).judged
  text = families.claims(FAMILY, {folder.name: judged})
  for item in judged:
    assert (item.claim.sentence in text) == (
        item.claim.source != 'ours' and item.verdict is not None)


def test_the_page_of_the_family_is_up_to_date():
  """`make tables` writes it."""
  folders = [papers.ROOT / 'results' / paper for paper in papers.names()
             if papers.configs(paper).PAPER.family == FAMILY]
  assert page.main([
      *(str(folder) for folder in folders if folder.exists()),
      f'--into={papers.ROOT}/docs/tiny_language_models.md', '--check']) == 0
