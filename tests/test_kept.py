import json
import math
import os
import subprocess
import sys

import hypothesis
import hypothesis.strategies as st
import kinds
import pytest
from test_results import make_workdir, row, write_lines

from assay import claims, papers, results
from assay.claims import Claim, all_of, less, within
from assay.report import kept, page

PAPERS = sorted(path.name for path in (papers.ROOT / 'results').iterdir()
                if path.is_dir())
CLAIMS = (
    Claim('low', 'ERM is low.', '', within('rmse', 'erm', 0, 5), where={
        'config': 'small'}),
    Claim('both', 'Both.', '', all_of(
        less('rmse', 'erm', 'mixup'), within('rmse', 'mixup', 0, math.inf)),
          where={'config': 'small'}, gated=False),
    Claim('few', 'Of one seed.', '', within('mape', 'erm', 0, 1), where={
        'config': 'small'}),
    Claim('none', 'Of no arm.', '', less('rmse', 'erm', 'sgd'), where={
        'config': 'small'}),
    Claim('big', 'ERM is low.', '', within('rmse', 'erm', 0, 5), where={
        'config': 'big'}))
ROWS = [row(seed + (.5 + .01 * seed) * (method == 'mixup'), seed, method,
            config=config)
        for config in ('small', 'big') for method in ('erm', 'mixup')
        for seed in range(5)] + [row(.5, metric='mape')]


@pytest.fixture
def folder(tmp_path, monkeypatch):
  """Published rows of `CLAIMS`, with the verdicts on them."""
  monkeypatch.setattr(papers, 'claims', lambda name: CLAIMS)
  folder = tmp_path / 'results' / 'made_up'
  make_workdir(folder, ROWS)
  (folder / 'rows' / 'erm.0.jsonl').rename(folder / 'small.jsonl')
  (folder / 'rows').rmdir()
  kept.write(folder, kept.judge(CLAIMS, results.read([folder]), folder))
  return folder


def judged_anew(monkeypatch, everything, rows, folder):
  """(names of the claims that were judged again, what was said)."""
  names, verdict_of = [], claims.verdict_of
  monkeypatch.setattr(claims, 'verdict_of', lambda claim, rows: (
      names.append(claim.name), verdict_of(claim, rows))[1])
  found = kept.judge(everything, rows, folder)
  monkeypatch.setattr(claims, 'verdict_of', verdict_of)
  assert repr(found.judged) == repr(claims.judge(everything, rows))
  return names, found.changes


def test_code_is_hashed_only_for_what_is_kept(folder, monkeypatch):
  monkeypatch.setattr(kept, '_code', lambda: 1 / 0)
  found = kept.judge(CLAIMS, results.read([folder]))
  assert found.judged
  with pytest.raises(ZeroDivisionError):
    found.text  # noqa: B018


def test_verdicts_come_back_exactly_and_nothing_is_judged(folder, monkeypatch):
  rows = results.read([folder])
  want = claims.judge(CLAIMS, rows)
  assert [j.verdict and j.verdict.state for j in want] == [
      'holds', 'holds', 'undecided', None, 'holds']
  assert math.isnan(want[2].verdict.low) and want[1].verdict.parts
  assert judged_anew(monkeypatch, CLAIMS, rows, folder) == ([], [])


def test_the_seeds_that_would_settle_it_come_back(folder, monkeypatch):
  rows, near = results.read([folder]), [Claim(
      'near', 'Near.', '', within('rmse', 'erm', 0, 3), where={
          'config': 'small'})]
  made = kept.judge(near, rows, folder)
  assert made.judged[0].verdict.needed > 5
  kept.write(folder, made)
  assert judged_anew(monkeypatch, near, rows, folder) == ([], [])


def test_other_rows_are_judged_again(folder, monkeypatch):
  rows = results.read([folder])
  moved = [r | {'run': 'ffffffff'} for r in reversed(rows)]
  names, _ = judged_anew(monkeypatch, CLAIMS, moved, folder)
  assert names == []
  for change in {'value': 4.4}, {'scale': 'full'}, {'n': 201}:
    other = [r | change if r['config'] == 'big' else r for r in rows]
    assert judged_anew(monkeypatch, CLAIMS, other, folder) == (
        ['big'], ['big: judged again, another rows'])


def test_another_check_is_judged_again_and_another_sentence_is_not(
    folder, monkeypatch):
  rows, (low, *rest) = results.read([folder]), CLAIMS
  where = {'config': 'small'}
  reworded = Claim('low', 'It is.', 'p. 3', low.check, where=where)
  assert judged_anew(
      monkeypatch, (reworded, *rest), rows, folder) == ([], [])
  stricter = Claim('low', '', '', within('rmse', 'erm', 0, 4), where=where)
  assert judged_anew(monkeypatch, (stricter, *rest), rows, folder) == (
      ['low'], ['low: judged again, another check'])
  renamed = Claim('lower', '', '', low.check, where=where)
  assert judged_anew(monkeypatch, (renamed, *rest), rows, folder) == (
      ['lower'], ['lower: judged again, another verdict',
                  'low: no claim any longer'])


def test_all_is_judged_again_by_other_code(folder, monkeypatch):
  monkeypatch.setattr(kept, '_code', lambda: 'f' * 16)
  names, changes = judged_anew(monkeypatch, CLAIMS, results.read([folder]),
                               folder)
  assert names == [claim.name for claim in CLAIMS]
  assert changes == [f'{name}: judged again, another code' for name in names]


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda x: st.lists(x) | st.dictionaries(st.text(), x), max_leaves=5)


@hypothesis.given(
    st.sampled_from(CLAIMS), st.sampled_from([
        'state', 'estimate', 'low', 'n', 'method', 'note', 'p', 'parts',
        'region', 'tested', 'untested', 'check', 'rows']), JSON)
@hypothesis.settings(deadline=None, suppress_health_check=[
    hypothesis.HealthCheck.function_scoped_fixture])
def test_a_damaged_entry_is_judged_again_or_is_a_verdict(
    folder, claim, field, value):
  file = folder / kept.FILE
  whole = file.read_text()
  data = json.loads(whole)
  data['claims'][claim.name][field] = value
  file.write_text(json.dumps(data))
  found = kept.judge(CLAIMS, results.read([folder]), folder)
  file.write_text(whole)
  assert found.changes or all(
      j.verdict is None or j.verdict.state in ('holds', 'fails', 'undecided')
      for j in found.judged)


@pytest.mark.parametrize('content', [
    b'', b'{', b'[]', b'{"code": 3}', b'\xff', b'{"code": "", "claims": []}',
    b'{"code": "", "claims": {"low": 3}}', None])
def test_a_damaged_file_is_judged_again(folder, monkeypatch, content):
  (folder / kept.FILE).unlink()
  if content is not None:
    (folder / kept.FILE).write_bytes(content)
  names, _ = judged_anew(monkeypatch, CLAIMS, results.read([folder]), folder)
  assert len(names) == len(CLAIMS)


def test_the_command_writes_and_checks_them(folder, tmp_path, monkeypatch,
                                            capsys):
  monkeypatch.setattr(papers, 'configs', lambda name: None)
  monkeypatch.setattr(page, 'sections', lambda *args: {'a': 'text'})
  file, readme = folder / kept.FILE, tmp_path / 'README.md'
  readme.write_text('<!-- begin a -->\n<!-- end a -->')
  into = [str(folder), f'--into={readme}']
  before = file.read_bytes()
  assert page.main(into) == 0 and page.main([*into, '--check']) == 0
  assert file.read_bytes() == before
  file.write_bytes(before.replace(b'"check": "', b'"check": "0', 1))
  assert page.main([*into, '--check']) == 1
  assert f'{file}: low: judged again, another check' in capsys.readouterr().out
  # Beside other rows a folder is not all there is to say.
  write_lines(tmp_path / 'other.jsonl', [row(config='other')])
  (tmp_path / 'runs').symlink_to(folder / 'runs')
  assert page.main([str(tmp_path / 'other.jsonl'), *into]) == 0
  assert file.read_bytes() != before
  assert page.main(into) == 0 and file.read_bytes() == before


# The intervals of one take longer than those of all others.
@pytest.mark.parametrize('paper', [
    *(paper for paper in PAPERS if paper != 'useful'),
    *kinds.nightly('useful')])
def test_committed_verdicts_are_those_of_the_rows(paper):
  """Judged by all the code there is; `--check` trusts the digests."""
  folder = papers.ROOT / 'results' / paper
  rows, everything = results.read([folder]), papers.claims(paper)
  found = kept.judge(everything, rows, folder)
  want = kept.judge(everything, rows)
  assert found.changes == []
  for ours, anew in zip(found.judged, want.judged, strict=True):
    assert (ours.verdict is None) == (anew.verdict is None)
    if anew.verdict:
      assert ours.verdict.state == anew.verdict.state, ours.claim.name
      for field in 'estimate', 'low', 'high', 'p':
        one, other = (getattr(j.verdict, field) for j in (ours, anew))
        assert one == other if other is None else one == pytest.approx(
            other, rel=1e-9, abs=1e-12, nan_ok=True)


def test_checking_committed_pages_imports_no_experiment():
  """Of papers whose claims stand on their cards."""
  folders = [papers.ROOT / 'results' / paper for paper in PAPERS
             if hasattr(papers.configs(paper), 'CLAIMS')]
  pages = [f'--into={folder}/README.md' for folder in folders]
  done = subprocess.run(
      [sys.executable, '-c', 'import sys\nfrom assay.report import page\n'
       'status = page.main(sys.argv[1:])\nprint(status, [m for m in '
       'sys.modules if m.split(".")[0] in ("jax", "experiments", "matplotlib")'
       '])',
       *map(str, folders), *pages, '--check'],
      capture_output=True, text=True, cwd=papers.ROOT, check=True,
      env=os.environ | {'PYTHONPATH': str(papers.ROOT / 'lib')})
  assert done.stdout == '0 []\n'
