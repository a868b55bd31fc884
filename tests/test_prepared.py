"""Sets of TensorFlow Datasets: prepared here, read without TensorFlow."""

import functools
import io
import json
import sys

import numpy as np
from PIL import Image
import pytest
import tensorflow_datasets as tfds

from assay.data import files, images
from assay.data.files import prepared, sources
from assay.errors import UserError

CLASSES = np.arange(30) % 10


@pytest.fixture(autouse=True)
def nowhere_else(tmp_path, monkeypatch):
  """No other folder, and the memory of the last one empty."""
  monkeypatch.setenv('HOME', str(tmp_path))
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'xdg'))
  for name in ('ASSAY_DATA', 'TFDS_DATA_DIR'):
    monkeypatch.delenv(name, raising=False)
  prepared._columns.cache_clear()


def pictures(num, shape, seed=0):
  return np.random.default_rng(seed).integers(256, size=(num, *shape),
                                              dtype=np.uint8)


def as_png(pixels):
  file = io.BytesIO()
  Image.fromarray(pixels).save(file, 'PNG')
  return io.BytesIO(file.getvalue())  # what TFDS takes without TensorFlow


def prepare(folder, name, version='3.0.1', **parts):
  """Writes splits {split: (x [N, H, W(, C)], y [N])} as TFDS prepares them."""
  shape = next(iter(parts.values()))[0].shape[1:]
  channels = shape if len(shape) == 3 else (*shape, 1)

  with tfds.core.registered.skip_registration():
    class Set(tfds.core.GeneratorBasedBuilder):
      VERSION = tfds.core.Version(version)

      def _info(self):
        return tfds.core.DatasetInfo(builder=self, features=(
            tfds.features.FeaturesDict({
                'image': tfds.features.Image(shape=channels),
                'label': tfds.features.ClassLabel(num_classes=10)})))

      def _split_generators(self, manager):
        return {split: self._generate_examples(*xy)
                for split, xy in parts.items()}

      def _generate_examples(self, x, y):
        for i in range(len(x)):
          yield i, {'image': as_png(x[i]), 'label': int(y[i])}

  Set.name = name
  Set(data_dir=str(folder), file_format='array_record').download_and_prepare()
  return folder / name / version


def source(name, split, feature, array, start=0, **changes):
  return (dict(tfds=name, array_sha256=files.array_sha256(array),
               read=functools.partial(
                   prepared.read, split=split, feature=feature,
                   shape=array.shape, start=start)) | changes,)


@pytest.fixture
def gray(tmp_path, monkeypatch):
  """A prepared set `small` with its sources, and where it lies."""
  x, y = pictures(30, (28, 28)), CLASSES.astype(np.uint8)
  folder = prepare(tmp_path / 'd', 'small', train=(x, y), test=(x[:9], y[:9]))
  monkeypatch.setattr(sources, 'SOURCES', {
      f'small/{split}_{what}s': source('small', split, what, array)
      for split, n in (('train', 30), ('test', 9))
      for what, array in (('image', x[:n]), ('label', y[:n]))})
  return folder


def test_examples_are_in_the_order_of_the_publisher(gray, tmp_path):
  x = files.read('small/train_images', tmp_path / 'd')
  np.testing.assert_array_equal(x, pictures(30, (28, 28)))
  np.testing.assert_array_equal(
      files.read('small/train_labels', tmp_path / 'd'), CLASSES)
  assert files.find('small/test_labels', tmp_path / 'd') == gray
  assert 'tensorflow' not in sys.modules
  # In the folder itself they are not.
  stored = tfds.builder_from_directory(gray).as_data_source('train')
  assert [e['label'] for e in stored] != CLASSES.tolist()


@pytest.mark.parametrize('variable', ['ASSAY_DATA', 'TFDS_DATA_DIR', 'HOME'])
def test_where_a_prepared_folder_is_looked_for(
    variable, gray, tmp_path, monkeypatch):
  folder = tmp_path / 'd'
  if variable == 'HOME':
    folder = (tmp_path / 'd').rename(tmp_path / 'tensorflow_datasets')
  else:
    monkeypatch.setenv(variable, str(folder))
  assert files.find('small/test_images') == folder / 'small' / '3.0.1'


def test_colors_and_a_part_of_a_split(tmp_path, monkeypatch):
  x = pictures(30, (32, 32, 3))
  prepare(tmp_path, 'colors', train=(x, CLASSES))
  monkeypatch.setattr(sources, 'SOURCES', {
      'second': source('colors', 'train', 'image', x[10:20], start=10)})
  np.testing.assert_array_equal(files.read('second', tmp_path), x[10:20])


def test_the_newest_version_is_read(tmp_path):
  for version in ('3.0.2', '3.0.10', '2.9.9'):
    prepare(tmp_path, 'small', version,
            train=(pictures(3, (28, 28)), CLASSES[:3]))
  (tmp_path / 'small' / 'incomplete.X_9.0.0').mkdir()
  (tmp_path / 'small' / 'incomplete.X_9.0.0' / 'dataset_info.json').touch()
  assert prepared.find_folder('small', tmp_path).name == '3.0.10'
  assert prepared.find_folder('other', tmp_path) is None


def test_other_numbers_are_refused(tmp_path, monkeypatch):
  x, known = pictures(4, (28, 28)), pictures(4, (28, 28), seed=1)
  prepare(tmp_path, 'small', train=(x, CLASSES[:4]))
  monkeypatch.setattr(sources, 'SOURCES', {
      'it': source('small', 'train', 'image', known)})
  with pytest.raises(UserError, match='(?s)small/3.0.1 holds other numbers.*'
                     f'{files.array_sha256(x)}.*tfds build small'):
    files.read('it', tmp_path)
  # Where nobody knows the numbers, they are taken.
  monkeypatch.setattr(sources, 'SOURCES', {
      'it': source('small', 'train', 'image', known, array_sha256=None)})
  np.testing.assert_array_equal(files.read('it', tmp_path), x)


def refused(tmp_path):
  with pytest.raises(UserError) as error:
    files.read('small/train_images', tmp_path / 'd')
  assert "No file for the data set 'small/train_images'" in str(error.value)
  assert '`tfds build small --file_format=array_record`' in str(error.value)
  return str(error.value)


def test_other_forms_are_told(gray, tmp_path):
  info = json.loads((gray / 'dataset_info.json').read_text())
  (gray / 'dataset_info.json').write_text(
      json.dumps(info | {'fileFormat': 'tfrecord'}))
  assert 'holds no \'train\' images and labels as array records' in refused(
      tmp_path)


@pytest.mark.parametrize('damage', [
    lambda file: file.write_bytes(file.read_bytes()[:-200]),
    lambda file: file.write_bytes(b'\0' * 4096),
    lambda file: file.unlink()], ids=['torn', 'zeros', 'missing'])
def test_a_damaged_folder_is_told(damage, gray, tmp_path):
  (file,) = gray.glob('*train.array_record*')
  damage(file)
  assert str(gray) in refused(tmp_path)


@pytest.mark.parametrize('shape, words', [
    ((28, 27), 'pixels'), ((28, 28, 3), r'\(28, 28\) uint8'),
    ((28, 28, 1), r'\(28, 28\) uint8')])
def test_images_of_another_shape_are_told(shape, words, gray):
  with pytest.raises(prepared.Unreadable, match=words):
    prepared.read(gray, 'train', 'image', (30, *shape))
  with pytest.raises(prepared.Unreadable, match=r'\(30,\), not \(31,\)'):
    prepared.read(gray, 'train', 'label', (31,))


def test_without_the_package_the_error_names_it(gray, tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, 'tensorflow_datasets', None)
  assert "pip install -e '.[tfds]'" in refused(tmp_path)


def test_a_set_loads_whole_by_its_name(gray, tmp_path, monkeypatch):
  spec = images.IMAGES['kmnist'] | {
      'read': functools.partial(images.sets._read_parts, 'small'),
      'train_counts': (3,) * 10, 'test_counts': (1,) * 9}
  monkeypatch.setitem(images.IMAGES, 'kmnist', spec)
  got = images.load('kmnist', tmp_path / 'd')
  np.testing.assert_array_equal(got['train_x'][..., 0], pictures(30, (28, 28)))
  assert got['train_y'].dtype == np.int32 and got['test_x'].shape == (
      9, 28, 28, 1)
  monkeypatch.setitem(images.IMAGES, 'kmnist',
                      spec | {'test_counts': (2,) * 9})
  with pytest.raises(UserError, match='shape of the test part'):
    images.load('kmnist', tmp_path / 'd')


@pytest.mark.parametrize('name', [
    'mnist', 'fashion_mnist', 'kmnist', 'cifar10', 'cifar100', 'svhn_cropped'])
def test_six_sets_can_be_prepared(name):
  """Whole, and with the checksum of our files where there are some."""
  spec, rows = images.IMAGES[name], {}
  for key, alternatives in files.SOURCES.items():
    if key.split('/')[0] == name:
      *known, last = alternatives
      assert last['tfds'] == name
      assert {a['array_sha256'] for a in known} <= {last['array_sha256']}
      where = last['read'].keywords
      part = rows.setdefault((where['split'], where['feature']), [])
      part.append((where['start'], where['shape'][0]))
      if where['feature'] == 'image':
        assert (*where['shape'][1:], 1)[:3] == spec['shape']
  assert len(rows) == 4
  for (split, _), parts in rows.items():
    stops = np.cumsum([n for _, n in sorted(parts)])
    assert [start for start, _ in sorted(parts)] == [0, *stops[:-1]]
    assert stops[-1] == sum(spec[f'{split}_counts'])


def test_what_is_prepared_of_the_published_set_is_equal(data_dir, tmp_path):
  x, y = images.load_test('mnist', data_dir)
  prepare(tmp_path, 'mnist', test=(x[..., 0], y))
  got = images.load_test('mnist', tmp_path)
  for ours, theirs in zip((x, y), got, strict=True):
    np.testing.assert_array_equal(ours, theirs)


def test_pairs_are_known_in_any_order():
  x, y = pictures(30, (32, 32, 3)), CLASSES
  order = np.random.default_rng(1).permutation(30)
  known = images.pairs_sha256(x, y)
  assert known == images.pairs_sha256(x[order], y[order])
  assert known != images.pairs_sha256(x, y[order])


def test_the_test_images_of_cifar100_are_known(data_dir):
  x, y = images.load_test('cifar100_fifth', data_dir)
  spec = images.IMAGES['cifar100_fifth']
  assert images.pairs_sha256(x, y) == spec['test_pairs_sha256'] == (
      images.IMAGES['cifar100']['test_pairs_sha256'])
  assert spec['class_names'][0] == 'apple' and y[0] == 0
