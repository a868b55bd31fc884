
import ml_collections
import pytest
from test_results import RUN, card, make_workdir, row, write_lines

from assay import papers, results
from assay.claims import Claim, within
from assay.errors import UserError
from assay.report import coverage, kept, page


def test_insert_replaces_between_the_markers_only(tmp_path):
  path = tmp_path / 'README.md'
  path.write_text('a\n<!-- begin x/y -->\nold\n<!-- end x/y -->\nb\n'
                  '<!-- begin x/yz -->\nkept\n<!-- end x/yz -->\n')
  want = ('a\n<!-- begin x/y -->\nnew \\1 text\n<!-- end x/y -->\nb\n'
          '<!-- begin x/yz -->\nkept\n<!-- end x/yz -->\n')
  assert any('new' in line for line in page.insert(
      path, 'x/y', 'new \\1 text\n', check=True))
  assert 'old' in path.read_text()
  page.insert(path, 'x/y', 'new \\1 text\n')
  assert path.read_text() == want
  assert page.insert(path, 'x/y', 'new \\1 text\n') == []
  assert path.read_text() == want


@pytest.mark.parametrize('text', [
    '', '<!-- begin x -->', '<!-- end x -->', '<!-- end x --><!-- begin x -->',
    '<!-- begin x --><!-- begin x --><!-- end x -->',
    '<!-- begin x --><!-- end x --><!-- end x -->'])
def test_insert_without_a_pair_of_markers_is_refused(tmp_path, text):
  path = tmp_path / 'README.md'
  path.write_text(text)
  with pytest.raises(UserError, match='<!-- begin x -->'):
    page.insert(path, 'x', 'new')
  assert path.read_text() == text


@pytest.fixture
def paper(monkeypatch):
  """A paper with two claims, so that these tests need no real experiment."""
  monkeypatch.setattr(papers, 'configs', lambda name: card(CLAIMS=(
      Claim('low', 'ERM has a low error.', 'table 1',
            within('rmse', 'erm', 0, 5), where={'config': 'small'}),
      Claim('big', 'A big one.', 'table 2', within('rmse', 'erm', 0, 5),
            where={'config': 'big'}))))


def sections(rows, runs):
  by_paper = {'made_up': rows}
  return page.sections(by_paper, runs, {
      paper: kept.judge(papers.claims(paper), own).judged
      for paper, own in by_paper.items()})


def test_report_has_table_where_tested_and_verdicts(tmp_path, paper):
  make_workdir(tmp_path)
  got = page.report(results.read([tmp_path]), 'made_up',
                       results.read_runs([tmp_path]))
  table, _, verdict = got.partition('| verdict')
  assert table == """### made_up/small

| arm | rmse | rmse published |
| :-- | --: | --: |
| erm | 2.0 ± 1.4 (2) | 2.901 ± 0.067 (3) 2src |

Published: table 1. 2src: means agree with an independent restatement.

mean ± standard deviation (seeds). Tested on airfoil (200 test examples), \
2 seeds (0 to 1, fresh), reduced, 1 x cpu, commit 0123456789ab+: \
`python -m experiments.made_up`

### made_up/claims

"""
  row_, = verdict.splitlines()[2:]
  assert row_.startswith(
      '| UNDECIDED | **low**: ERM has a low error. (table 1)')


def test_where_tested_counts_the_seeds_that_are_reported():
  rows = [row(1.0, seed_varies='fresh', scale='reduced')]
  rows += [r | {'seed': 100, 'split': 'val'} for r in rows]
  assert ', 1 seed (0 to 0, fresh), ' in page.tested_on(rows, {})


def test_claims_that_are_not_tested_are_listed_for_a_readme_only(tmp_path,
                                                                 paper):
  make_workdir(tmp_path)
  rows, runs = results.read([tmp_path]), results.read_runs([tmp_path])
  assert 'NOT TESTED' not in page.report(rows, 'made_up', runs)
  assert sections(rows, runs)['made_up/claims'].endswith(
      '\n\nNot tested: 1 claim on big (`make reproduce PAPER=made_up '
      'VARIANT=big`).')


def test_overview_counts_verdicts_and_seconds(tmp_path, paper):
  make_workdir(tmp_path)
  rows, runs = results.read([tmp_path]), results.read_runs([tmp_path])
  line = sections(rows, runs)['made_up/overview'].splitlines()[-1]
  seconds = sum(run['wall_seconds'] for run in runs.values())
  assert line == (
      f'| **small**: a small one | 2 | 0 | 0 | 1 | {seconds:.0f} on 1 x cpu | '
      '`make reproduce PAPER=made_up VARIANT=small` |')
  runs = {run: told | {'fits': {'erm': ['a' * 32]}}
          for run, told in runs.items()}
  assert 'read: a first run' in sections(rows, runs)['made_up/overview']


def test_main_prints_each_format(tmp_path, paper, capsys):
  make_workdir(tmp_path)
  wants = {'terminal': ['2.0 ± 1.4 (2)', '\nUNDECIDED  low\n'],
           'markdown': ['| 2.0 ± 1.4 (2) |', '| UNDECIDED | **low**'],
           'latex': [r'2.0 $\pm$ 1.4 (2)', '\n% UNDECIDED  low\n']}
  for form, parts in wants.items():
    assert page.main([str(tmp_path), f'--format={form}']) == 0
    out = capsys.readouterr().out
    assert all(part in out for part in parts), out


def test_main_rewrites_and_checks_marked_sections(tmp_path, paper, capsys):
  workdir = make_workdir(tmp_path / 'work')
  readme = tmp_path / 'README.md'
  readme.write_text('<!-- begin made_up/small -->\n<!-- end made_up/small -->')
  into = [str(workdir), f'--into={readme}']
  assert page.main([*into, '--check']) == 1
  assert '+| erm | 2.0 ± 1.4 (2)' in capsys.readouterr().out
  assert '2.0' not in readme.read_text()
  assert page.main(into) == 0
  assert '| erm | 2.0 ± 1.4 (2)' in readme.read_text()
  assert 'ERM has' not in readme.read_text()  # no marker for the claims
  assert page.main([*into, '--check']) == 0
  assert capsys.readouterr().out == ''


def test_main_rewrites_several_files_and_the_table_of_families(
    tmp_path, paper, capsys, monkeypatch):
  monkeypatch.setattr(coverage, 'read', lambda: [coverage.Entry(
      'made_up', 'Made up', '', '', '', 'ood_and_shift', 'own', 'tested',
      'Is it?', '')])
  workdir, files = make_workdir(tmp_path / 'work'), []
  for name in ('families', 'made_up/claims'):
    files.append(tmp_path / f'{name[-6:]}.md')
    files[-1].write_text(f'<!-- begin {name} -->\n<!-- end {name} -->')
  into = [str(workdir), *(f'--into={file}' for file in files)]
  assert page.main([*into, '--check']) == 1
  assert page.main(into) == 0
  assert '| 1 | 0 | 0 | 0 | 0 / 0 / 1 | `make reproduce PAPER=made_up` |' in (
      files[0].read_text())
  assert 'ERM has' in files[1].read_text()
  assert page.main([*into, '--check']) == 0


def test_main_publishes_and_shows_what_is_published(tmp_path, paper, capsys,
                                                    monkeypatch):
  monkeypatch.chdir(tmp_path)
  make_workdir(tmp_path / 'a')
  make_workdir(tmp_path / 'b', [row(7.0, s, config='big') for s in range(2)])
  assert page.main(['a', 'b', '--publish', '--format=markdown']) == 0
  out = capsys.readouterr().out
  assert '7 ± 0 (2)' in out and '2.0 ± 1.4 (2)' in out
  assert '**low**' in out and '**big**' in out
  assert len(results.read(['results/made_up'])) == 4
  assert '"big": {"check": ' in (
      tmp_path / 'results/made_up/verdicts.json').read_text()
  readme = tmp_path / 'results/made_up/README.md'
  assert readme.read_text().startswith(
      '# Made up\n\nAn idea. Another.\n\n## What came out\n\n<!-- begin ')
  assert page.main(['results/made_up', f'--into={readme}']) == 0
  for part in ('| **small**', '2.0 ± 1.4 (2)', '**low**'):
    assert part in readme.read_text()
  readme.write_text('mine')  # what is there stays
  assert page.main(['b', '--publish']) == 0
  assert readme.read_text() == 'mine'


def test_main_migrates_rows_of_lines(tmp_path, paper, capsys):
  file = make_workdir(tmp_path) / 'rows' / 'erm.0.jsonl'
  cells = file.read_bytes()
  write_lines(file, [row(1.0), row(3.0, seed=1)])
  assert page.main([str(tmp_path), '--migrate']) == 0
  assert capsys.readouterr().out == f'{file}\n' and file.read_bytes() == cells
  assert page.main([str(tmp_path), '--migrate']) == 0
  assert capsys.readouterr().out == ''


def test_a_run_with_another_config_is_not_published(tmp_path, paper, capsys,
                                                    monkeypatch):
  monkeypatch.chdir(tmp_path)
  asked = ml_collections.ConfigDict({'bandwidth': 12.})
  run = RUN | {'paper': 'made_up', 'config_name': 'small',
               'config': {'bandwidth': 3.}}
  make_workdir(tmp_path / 'work', run=run)
  monkeypatch.setattr(papers, 'configs', lambda name: card(
      get_config=lambda name: asked))
  assert page.main(['work', '--publish']) == 2
  assert 'config.bandwidth was 3.0, is 12.0; make a variant' in (
      capsys.readouterr().err)
  assert not (tmp_path / 'results').exists()
  asked.bandwidth = 3.
  assert page.main(['work', '--publish']) == 0
  assert (tmp_path / 'results').exists()


def test_main_reports_user_errors_in_one_line(tmp_path, paper, capsys):
  workdir = str(make_workdir(tmp_path / 'work'))
  (tmp_path / 'README.md').write_text('nothing marked')
  (tmp_path / 'empty.jsonl').touch()
  for argv, message in [
      ([str(tmp_path / 'none')], 'no rows there'),
      ([str(tmp_path / 'empty.jsonl')], 'no rows in'),
      ([workdir, f'--into={tmp_path}/README.md'], 'made_up/small'),
      ([workdir, f'--into={tmp_path}/none.md'], 'none.md'),
      ([workdir, f'--into={tmp_path}'], 'cannot be read')]:
    assert page.main(argv) == 2
    out, err = capsys.readouterr()
    assert out == '' and err.count('\n') == 1 and message in err
  with pytest.raises(SystemExit) as exit_:
    page.main([workdir, '--check'])
  assert exit_.value.code == 2
