"""DTI and PovertyMap: files of their formats are read, others refused."""

import io

import numpy as np
import pytest

from assay.data import drug_targets, poverty
from assay.errors import UserError

PAIRS = {'train_val': 'ID,Drug,Target,Y,Year\n'
                      'a,CC(=O)q,mkJ,1.5,2013\n'
                      'b,CC,MK,-2,2018\n' + 'c,N,M,0,2015\n' * 10,
         'test': 'Drug,Target,Y,Year\nN,MK,3,2019\nN,MK,4,2021\n'}
PLACES = ('country,year,urban,wealthpooled\nangola,2011,True,0.5\n'
          'kenya,2012,0,-1.25\nmali,2012,1,2\nbenin,2014,False,0\n')


@pytest.fixture
def folder(tmp_path, monkeypatch):
  """Writes files below a data folder, and names it."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  monkeypatch.setenv('ASSAY_DATA', str(tmp_path))

  def put(name, content):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)

  return put


def put_pairs(folder, **changed):
  for part, text in (PAIRS | changed).items():
    folder(f'{drug_targets.FOLDER}/{part}.csv', text)


def test_pairs_are_positions_of_their_characters(folder):
  put_pairs(folder)
  got = drug_targets.load()
  assert {k: (v.shape, v.dtype.name) for k, v in got.items()} == {
      'drug': ((14, 100), 'uint8'), 'protein': ((14, 1000), 'uint8'),
      'y': ((14, 1), 'float32'), 'year': ((14,), 'int32')}
  said = ''.join(drug_targets.DRUG[i] for i in got['drug'][0, :9])
  assert said == 'CC(=O)???'  # a q is not known
  assert ''.join(drug_targets.PROTEIN[i] for i in got['protein'][0, :4]) == (
      'MK??')
  np.testing.assert_array_equal(got['y'][:2, 0], [1.5, -2])
  assert len(set(drug_targets.DRUG)) == 63
  assert len(set(drug_targets.PROTEIN)) == 26
  found = drug_targets.splits(got['year'], seed=0)
  assert got['year'][found['test']].tolist() == [2019]
  assert sorted([*found['train'], *found['val']]) == list(range(12))
  assert (got['year'][found['train']] == 2015).sum() == 8


@pytest.mark.parametrize('changed, message', [
    (dict(test='Drug,Target,Y\nN,M,1\n'), r"lacks the columns \['Year'\]"),
    (dict(test='Drug,Target,Y,Year\nN,M,x,2019\n'), "line 2: Y is 'x'"),
    (dict(test='Drug,Target,Y,Year\nN,M,nan,2019\n'), "line 2: Y is 'nan'"),
    (dict(test='Drug,Target,Y,Year\nN,M,1,2018\n'), 'test.csv has 2019 to'),
    (dict(test='Drug,Target,Y,Year\n,M,1,2019\n'), 'line 2: Drug is empty'),
    (dict(test='Drug,Target,Y,Year\nN,M\n'), 'line 2: Y is None'),
    (dict(test=''), 'lacks the columns')])
def test_pairs_of_another_kind_are_refused(changed, message, folder):
  put_pairs(folder, **changed)
  with pytest.raises(UserError, match=message):
    drug_targets.load()


def image(**arrays):
  file = io.BytesIO()
  np.savez(file, **arrays)
  return file.getvalue()


def test_places_are_read_and_split_by_country(folder):
  folder(f'{poverty.FOLDER}/dhs_metadata.csv', PLACES)
  got = poverty.load()
  assert [poverty.COUNTRIES[i] for i in got['domain']] == [
      'angola', 'kenya', 'mali', 'benin']
  assert got['y'].tolist() == [[.5], [-1.25], [2], [0]]
  assert got['urban'].tolist() == [True, False, True, False]
  for fold, want in (('A', ([1], [3], [0, 2])), ('E', ([3], [0, 2], [1])),
                     ('C', ([0, 1, 2, 3], [], []))):
    found = poverty.splits(got['domain'], fold)
    assert tuple(v.tolist() for v in found.values()) == want
  assert len(poverty.COUNTRIES) == 23
  with pytest.raises(UserError, match="fold='F' must be one of A, B"):
    poverty.splits(got['domain'], 'F')


@pytest.mark.parametrize('text, message', [
    ('country,urban\nmali,1\n', r"lacks the columns \['wealthpooled'\]"),
    (PLACES.replace('kenya', 'france'), "line 3: country.*'france'"),
    (PLACES.replace('-1.25', 'inf'), "line 3: .*'inf'"),
    (PLACES.replace('True', 'yes'), "line 2: .*'yes'"),
    (PLACES + 'mali\n', 'line 6')])
def test_places_of_another_kind_are_refused(text, message, folder):
  folder(f'{poverty.FOLDER}/dhs_metadata.csv', text)
  with pytest.raises(UserError, match=message):
    poverty.load()


def test_images_are_looked_at(folder):
  put = lambda content: folder(
      f'{poverty.FOLDER}/images/landsat_poverty_img_7.npz', content)
  x = np.random.default_rng(0).normal(size=poverty.SHAPE).astype(np.float32)
  put(image(x=x))
  np.testing.assert_array_equal(poverty.image(7), x)
  for content, message in (
      (image(x=x[:7]), r'float32 \(7, 224, 224\), not finite'),
      (image(x=np.full(poverty.SHAPE, np.nan, np.float32)), 'not finite'),
      (image(y=x), 'holds no image'), (b'no', 'holds no image'),
      (image(x=np.array({1: 2}, object)), 'holds no image')):
    put(content)
    with pytest.raises(UserError, match=message):
      poverty.image(7)


@pytest.mark.parametrize('load, message', [
    (drug_targets.load, 'No dti_dg_group/.*train_val.csv in .*pip install PyT'),
    (poverty.load, 'No poverty_v1.1/dhs_metadata.csv in .*pip install wilds'),
    (lambda: poverty.image(3), 'No poverty_v1.1/images/.*_img_3.npz')])
def test_what_is_missing_says_who_makes_it(load, message, folder):
  with pytest.raises(UserError, match=message):
    load()
