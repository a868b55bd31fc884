"""Tables with published splits: files of their form, and of others."""

import functools
import io
import zipfile

import numpy as np
import pytest

from assay.data import files, published, tabular
from assay.data.files import sources
from assay.errors import UserError
from assay.testbeds import networks
from assay.testbeds import tabular as testbed

TABLE = np.array([[1., 5, 9], [2, 6, 8], [3, 7, 7], [4, 8, 1], [5, 9, 3]])
TESTED = [[4], [0]]  # rows of the two splits


def made(tested=TESTED, train=None,
         data='1 5 9\n2  6 8\n3 7 7\n4 8 1\n5 9 3\n'):
  """A zip file as that of the published splits, of one set."""
  texts = {'data': data, 'n_splits': f'{len(tested)}\n'}
  for i, rows in enumerate(tested):
    rest = [j for j in range(5) if j not in rows] if train is None else train
    texts |= {f'index_test_{i}': '\n'.join(map(str, rows)),
              f'index_train_{i}': '\n'.join(f'{j}.0' for j in rest)}
  file = io.BytesIO()
  with zipfile.ZipFile(file, 'w') as archive:
    for name, text in texts.items():
      archive.writestr(f'tiny/data/{name}.txt', text)
  return file.getvalue()


@pytest.fixture
def tiny(monkeypatch, tmp_path):
  """Writes the file of a set named `tiny`, which the testbed then knows."""
  mask = np.array([[0, 0, 0, 0, 1], [1, 0, 0, 0, 0]], np.uint8)
  for name, array, read in (
      ('uci/tiny', TABLE, functools.partial(
          files.read_zipped_numbers, member='tiny/data/data.txt')),
      ('uci/tiny/splits', mask, functools.partial(
          files.read_splits, folder='tiny'))):
    monkeypatch.setitem(sources.SOURCES, name, (dict(
        file='splits.zip', size=None, sha256=None, url=None, read=read,
        array_sha256=files.array_sha256(array)),))
  monkeypatch.setitem(tabular.TABLES, 'tiny', dict(
      read=functools.partial(files.read, 'uci/tiny'), target=2, num_rows=5,
      splits=(2, 1), low=(1, 5, 1), high=(5, 9, 9)))
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  monkeypatch.setenv('ASSAY_DATA', str(tmp_path))
  return lambda content: (tmp_path / 'splits.zip').write_bytes(content)


def net(**fields):
  found = networks.tabular('tiny')
  found.update(dict(split_sizes=(3, 1, 1)) | fields)
  return found


def test_a_seed_is_on_the_split_of_its_number(tiny):
  tiny(made())
  shared, own = testbed.load(net(), (0, 1, 2))
  np.testing.assert_array_equal(shared['x'], TABLE[:, :2])
  assert own['test_rows'].tolist() == [[4], [0], [4]]
  for seed in range(3):
    rows = np.concatenate([own[f'{s}_rows'][seed] for s in tabular.SPLITS])
    assert sorted(rows) == [0, 1, 2, 3, 4]
  assert own['val_rows'].dtype == np.int32
  low, scale = (testbed.load(net(normalize='train'), (1,))[1][k]
                for k in ('low', 'scale'))
  rows = testbed.load(net(), (1,))[1]['train_rows'][0]
  np.testing.assert_allclose(low[0], TABLE[rows, :2].min(0))
  np.testing.assert_allclose(1 / scale[0], np.ptp(TABLE[rows, :2], axis=0))


@pytest.mark.parametrize('content, what', [
    (made(train=[0, 1, 2]), 'split 0 in .* is not of 4 rows'),
    (made(data='1 5 9\n2 6\n'), 'inhomogeneous'),
    (made(data='1 5 x\n'), 'could not convert'),
    (b'PK, but no zip file', 'not a zip file')])
def test_a_file_of_another_form_is_refused(content, what, tmp_path):
  path = tmp_path / 'f'
  path.write_bytes(content)
  with pytest.raises((ValueError, zipfile.BadZipFile), match=what):
    files.read_zipped_numbers(path, 'tiny/data/data.txt')
    files.read_splits(path, 'tiny')


def test_other_numbers_and_other_counts_are_refused(tiny):
  tiny(made(tested=[[4], [1]]))
  with pytest.raises(UserError, match="not the file expected for 'uci/tiny/s"):
    testbed.load(net(), (0,))
  tiny(made())
  with pytest.raises(UserError, match=r'test on 1 rows .*use \(4, 0, 1\)'):
    testbed.load(net(split_sizes=(2, 1, 2)), (0,))
  with pytest.raises(UserError, match='test on 1 rows and leave 4'):
    testbed.load(net(split_sizes=(4, 1, 1)), (0,))


def test_without_the_file_it_is_said_where_it_belongs(monkeypatch, tmp_path):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  monkeypatch.delenv('ASSAY_DATA', raising=False)
  with pytest.raises(UserError, match='uci_regression_splits.zip'):
    tabular.load('yacht')


def test_what_is_described_has_splits_too():
  found = published.tested('naval', files.Described())
  assert found.shape == (20, 11_934) and (found.sum(1) == 1193).all()
  assert published.has_splits('protein') and not published.has_splits('no2')


@pytest.mark.skipif(not files.search._folders(None)[1],
                    reason='no data folder is named')
@pytest.mark.parametrize('name', ['yacht', 'energy'])
def test_the_published_file(name):
  table = tabular.load(name)
  tested = published.tested(name)
  assert (tested.sum(0) > 0).mean() > .8 and len(tested) == 20
  sizes = networks.tabular(name).split_sizes
  own = published.own_splits(table, tested, sizes, range(20), name)
  assert own['train_rows'].shape == (20, sizes[0])
