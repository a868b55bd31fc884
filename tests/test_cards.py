"""What a card is made of: citation, published numbers, variants."""

import types

import ml_collections
import pytest

from assay import papers
from assay.errors import UserError

GOOD = dict(title='Mixing', authors='Doe and Roe', year='2024', venue='ICML',
            arxiv='2401.12129', family='ood_and_shift', idea='It mixes.')


def test_what_a_page_says_about_a_paper(monkeypatch):
  monkeypatch.setattr(papers, 'configs', lambda name: types.SimpleNamespace(
      PAPER=papers.Paper(**GOOD)))
  assert papers.about('mixing') == {
      'title': 'Mixing', 'authors': 'Doe and Roe', 'published': 'ICML 2024',
      'arxiv': '2401.12129', 'idea': 'It mixes.'}


@pytest.mark.parametrize(('field', 'value'), [
    ('title', ''), ('idea', ''), ('authors', ''), ('year', '24'),
    ('arxiv', 'arXiv 2401.12129'), ('family', 'ood'), ('family', '')])
def test_a_citation_is_whole(field, value):
  with pytest.raises(ValueError, match=f'^{field}={value!r}'):
    papers.Paper(**GOOD | {field: value})


def test_what_is_no_paper_has_no_authors():
  assert papers.Paper(**GOOD | dict(authors='', year='', arxiv='')).year == ''


# Published numbers.


def reported(monkeypatch, numbers, variant):
  card = types.SimpleNamespace(
      PUBLISHED=numbers, get_config=lambda variant: {
          'net': {'dataset': f'data of {variant}'}})
  monkeypatch.setattr(papers, 'configs', lambda name: card)
  return papers.reported('mixing', variant)


def test_published_numbers_stand_beside_their_variants(monkeypatch):
  numbers = papers.published('table 1', ('error', 'auroc'), {
      'msp': ((60.52, 15.2), (89.59, 3.8)),
      'knn': (39.7, None)}, of=('small', 'large'), percent=True, n=3)
  assert reported(monkeypatch, numbers, 'other') == {}
  assert reported(monkeypatch, numbers, 'small') == {'data of small': {
      'msp': {'error': {'mean': .6052, 'std': .152, 'n': 3, 'tag': None,
                        'source': 'table 1'},
              'auroc': {'mean': .8959, 'std': .038, 'n': 3, 'tag': None,
                        'source': 'table 1'}},
      'knn': {'error': {'mean': .397, 'std': None, 'n': 3, 'tag': None,
                        'source': 'table 1'}}}}


def test_published_numbers_of_one_metric_and_a_data_set(monkeypatch):
  numbers = papers.published(
      'table 2', 'rmse', {'erm': (2.9, .067), 'mixup': 3.7}, of='small',
      dataset='airfoil', tag='recall', spread='over sets', bandwidth=1.75)
  found = reported(monkeypatch, numbers, 'small')['airfoil']
  assert found['erm']['rmse'] == {
      'mean': 2.9, 'std': .067, 'n': None, 'tag': 'recall',
      'source': 'table 2, ± over sets', 'bandwidth': 1.75}
  assert found['mixup']['rmse']['mean'] == 3.7


def test_published_numbers_are_read_with_care():
  with pytest.raises(ValueError, match="tag='sure' is none of read, 2src"):
    papers.published('table 1', 'rmse', {'erm': 1.}, of='small', tag='sure')
  with pytest.raises(ValueError, match='erm has 1 values for 2 metrics'):
    papers.published('table 1', ('rmse', 'mape'), {'erm': (1.,)}, of='small')


# Variants.


def test_a_variant_is_what_differs():
  table = papers.variants({'small': ('default: small', {}),
                           'large': ('a large one', {'width': 9, 'arms': ()})})
  assert list(table) == ['small', 'large']
  assert table['large'] == 'a large one'

  def get_config(variant):
    base = ml_collections.ConfigDict({
        'net': {'width': 3}, 'arms': ('a', 'b')})
    return papers.config_of(base, table, variant)

  assert get_config('small').net.width == 3
  large = get_config('large')
  assert large.net.width == 9 and large.arms == () and large.is_locked


def test_what_differs_is_a_field_of_the_base():
  table = papers.variants({'large': ('a large one', {'width': 9})})
  with pytest.raises(UserError, match='width: the config has no such field'):
    papers.config_of(ml_collections.ConfigDict({'depth': 3}), table, 'large')
