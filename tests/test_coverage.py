"""The list of papers says what is there, and its reader says what is wrong."""

import pytest

from assay import papers
from assay.errors import UserError
from assay.report import coverage


def entry(id, standing='planned', **more):
  return coverage.Entry(id, id.title(), '', '', '', 'ood_and_shift', 'own',
                        standing, 'Does it?', '')._replace(**more)


COUNTS = {'a': {'holds': 1, 'fails': 2, 'undecided': 0},
          'b': {'holds': 1, 'holds alone': 2, 'fails': 1, 'undecided': 4}}
ENTRIES = [entry('a', 'tested', arxiv='2401.12129', authors='Lee', year='2024'),
           entry('b', 'tested', family='weak_supervision'), entry('c'),
           entry('d', 'recast', why='Toys | only.', arxiv='2401.00001')]


def test_the_list_the_cards_and_the_rows_say_the_same():
  entries = coverage.read()
  with_rows = {f.parent.name for f in papers.ROOT.glob('results/*/*.jsonl')}
  assert not coverage.disagreements(entries, papers.names('configs'), with_rows)
  rooms = {f.stem for f in papers.ROOT.glob('lib/assay/testbeds/*.py')}
  assert {e.testbed for e in entries if e.standing == 'tested'} <= {
      'own', *rooms}
  # Each family has something to offer.
  assert {e.family for e in entries} == set(papers.FAMILIES)


def test_cards_say_of_their_papers_what_the_list_says():
  listed = {entry.id: entry for entry in coverage.read()}
  for name in papers.names('configs'):
    card = papers.configs(name)
    if hasattr(card, 'PAPER'):
      for field in ('authors', 'year', 'arxiv', 'family'):
        assert getattr(card.PAPER, field) == getattr(listed[name], field), (
            name, field)


def write(path, *lines):
  path.write_text('\n'.join(['\t'.join(coverage.Entry._fields),
                             *map('\t'.join, lines)]))
  return path


def test_each_fault_of_the_list_is_named_with_its_line(tmp_path):
  path = write(
      tmp_path / 'papers.tsv', entry('a'), entry('a'), ['b', 'too few'],
      entry('C!'), entry('d', family='vision'), entry('e', 'recast'),
      entry('f', 'tried'), entry('g', year='24', arxiv='x', testbed=''),
      entry('h', 'out', testbed='', why='Nothing.'), entry('i', asks='No'))
  with pytest.raises(UserError) as error:
    coverage.read(path)
  first, *lines = str(error.value).splitlines()
  assert first == f'{path}: change these lines.'
  found = [(int(line.split(':')[1]), line.split(': ', 1)[1]) for line in lines]
  for number, part in ((3, "'a' stands in line 2 too"), (4, '2 columns'),
                       (5, "id 'C!'"), (6, "family 'vision'"),
                       (7, 'recast needs a reason'), (8, "standing 'tried'"),
                       (9, "year '24'"), (9, "arxiv 'x'"), (9, "testbed ''"),
                       (11, "asks 'No'")):
    assert any(n == number and part in text for n, text in found), part
  assert {n for n, _ in found} == {3, 4, 5, 6, 7, 8, 9, 11}


@pytest.mark.parametrize('text', ['', 'id,title\n'])
def test_a_list_without_its_columns_is_refused(tmp_path, text):
  path = tmp_path / 'papers.tsv'
  path.write_text(text)
  with pytest.raises(UserError, match=':1: the first line must name'):
    coverage.read(path)
  with pytest.raises(UserError, match='cannot be read'):
    coverage.read(tmp_path / 'none.tsv')


def test_disagreements_by_hand():
  assert coverage.disagreements(ENTRIES, ['a', 'b'], ['a', 'b']) == []
  assert coverage.disagreements(ENTRIES, ['a', 'z'], ['b', 'c']) == [
      'the card z is not in configs/papers.tsv; add a line for it',
      'a is called tested and has no rows',
      'b is called tested and has no card',
      'c has rows and is called planned; call it tested']


def test_families_and_index_by_hand():
  table = {row[0].partition(']')[0].strip('['): row[1:]
           for row in coverage.family_table(ENTRIES, COUNTS)}
  assert table['Known from unknown, and shift'] == [
      '1', '1', '1', '0', '1 / 2 / 0', '`make reproduce PAPER=a`']
  assert table['Images with text'] == ['0', '0', '0', '0', '', '']
  assert table['**All**'] == ['2', '1', '1', '0', '4 (2) / 3 / 4', '']
  text = coverage.index(ENTRIES, COUNTS)
  assert ('| [A](a/README.md)<br>Lee, 2024, [arXiv](https://arxiv.org/abs/2401.'
          '12129) | **tested**: 1 holds, 2 fail, 0 undecided | Does it? |'
          ) in text
  assert ('[B](b/README.md) | **tested**: 3 hold (1 of them after correction), '
          '1 fails, 4 undecided | ') in text
  assert '| C | planned | Does it? |' in text
  assert ('| [D](https://arxiv.org/abs/2401.00001) | recast | Does it?<br>'
          '*Toys \\| only.* |') in text
  # A link of the README leads to its heading.
  for name in papers.FAMILIES.values():
    assert f'### {name}\n' in text
  assert coverage.anchor('Images, with text') == 'images-with-text'


def test_a_part_of_the_results_is_not_called_all(monkeypatch):
  monkeypatch.setattr(coverage, 'read', lambda: ENTRIES)
  assert coverage.sections({'a': COUNTS['a']}) == {}
  assert set(coverage.sections(COUNTS)) == {'families', 'index'}


def test_the_command_counts_and_tells_what_disagrees(tmp_path, monkeypatch,
                                                     capsys):
  monkeypatch.setattr(papers, 'names', lambda package: ['a', 'b'])
  monkeypatch.setattr(coverage, 'read', lambda: ENTRIES)
  for name in ('a', 'b'):
    (tmp_path / name).mkdir()
    (tmp_path / name / 'x.jsonl').touch()
  assert coverage.main([str(tmp_path)]) == 0
  assert 'disagree' not in capsys.readouterr().out
  (tmp_path / 'b' / 'x.jsonl').unlink()
  assert coverage.main([str(tmp_path)]) == 1
  assert 'b is called tested and has no rows' in capsys.readouterr().out
