"""assay.data.images, and the readers of image files in assay.data.files."""
import functools
import gzip
import hashlib
import io
import tarfile

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
import pytest
from scipy import stats

from assay.data import files, images
from assay.data.files import search, sources
from assay.errors import UserError

# As their publishers give them: of the unpacked files, MNIST; of the gzipped
# ones, Fashion-MNIST.
MNIST_MD5 = '6bbc9ace898e44ae57da46a324031adb'
FASHION_MD5 = {
    'train-images-idx3-ubyte.gz': '8d4fb7e6c68d591d4c3dfef9ec88bf0d',
    'train-labels-idx1-ubyte.gz': '25c81989df183df01b3e8a0aad5dffbe',
    't10k-images-idx3-ubyte.gz': 'bef4ecab320f06d8554ea6380940ec79',
    't10k-labels-idx1-ubyte.gz': 'bb300cfdad3c16e7a12a480ee83cd310'}
# Of all pixels, images in order, [N, 32, 32, 3].
CIFAR10_SHA256 = {
    'train': '47af8b02cfcfb6cdf3dbbd1969ad7f1b'
             '70f4413f6f80f437b020ee4e5bc8304a',
    'test': 'f9b1e2130bab680db56eb06d886f7f1a'
            'd0f1183907ceff4659d1735c890f5b04'}

load = functools.cache(images.load)  # decoding CIFAR-10 takes seconds


@pytest.fixture(autouse=True)
def no_other_files(tmp_path, monkeypatch):
  """An empty cache, no ASSAY_DATA, and no publisher that answers."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'xdg'))
  monkeypatch.setenv('HOME', str(tmp_path))
  monkeypatch.delenv('ASSAY_DATA', raising=False)
  monkeypatch.delenv('TFDS_DATA_DIR', raising=False)

  def unreachable(url, timeout):
    raise OSError('no network in this test')

  monkeypatch.setattr(search.urllib.request, 'urlopen', unreachable)


def idx(array, shape=None):
  """The bytes of an idx file, by hand."""
  header = bytes([0, 0, 8, array.ndim])
  for n in shape or array.shape:
    header += n.to_bytes(4, 'big')
  return header + array.tobytes()


def write(path, content):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(content)
  return path


# files: formats.


@pytest.mark.parametrize('shape', [(5,), (2, 3, 4)])
def test_read_idx_by_hand(shape, tmp_path):
  array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
  got = files.read_idx(write(tmp_path / 'f', gzip.compress(idx(array))))
  np.testing.assert_array_equal(got, array)
  assert got.dtype == np.uint8


ARRAY = np.arange(6, dtype=np.uint8).reshape(2, 3)


@pytest.mark.parametrize('content, message', [
    (idx(ARRAY, (2, 2)), 'holds 6 values.*2x2'),
    (idx(ARRAY)[:-1], 'holds 5 values.*2x3'),
    (idx(ARRAY)[:9], 'no idx array'),
    (b'', 'no idx array'),
    (b'\0\0\x0d' + idx(ARRAY)[3:], 'no idx array of bytes'),  # of floats
], ids=['shape', 'torn', 'header', 'empty', 'dtype'])
def test_read_idx_errors(content, message, tmp_path):
  path = write(tmp_path / 'f', gzip.compress(content))
  with pytest.raises(ValueError, match=message):
    files.read_idx(path)


def test_read_sheet_by_hand(tmp_path):
  # Image n of the sheet has the color (n // 100, n % 100, 7), and a red pixel
  # in its row 1, column 2.
  sheet = np.zeros((3200, 3200, 3), np.uint8)
  sheet[..., 0] = np.repeat(np.arange(100), 32)[:, None]
  sheet[..., 1] = np.repeat(np.arange(100), 32)
  sheet[..., 2] = 7
  sheet[1::32, 2::32] = 255, 0, 0
  path = tmp_path / 'f'
  Image.fromarray(sheet).save(path, 'webp', lossless=True, quality=0)
  got = files.read_sheet(path)
  assert got.shape == (10000, 32, 32, 3) and got.dtype == np.uint8
  for n in (0, 1, 100, 4273):
    want = np.full((32, 32, 3), (n // 100, n % 100, 7))
    want[1, 2] = 255, 0, 0
    np.testing.assert_array_equal(got[n], want)


def archive(path, batches):
  """CIFAR-10's binary version of (pixels [N, 32, 32, 3], labels [N])."""
  path.parent.mkdir(parents=True, exist_ok=True)
  with tarfile.open(path, 'w:gz', compresslevel=1) as tar:
    for name, (x, y) in batches.items():
      content = b''.join(
          bytes([label]) + b''.join(image[..., c].tobytes() for c in range(3))
          for image, label in zip(x, y, strict=True))
      member = tarfile.TarInfo(f'cifar-10-batches-bin/{name}.bin')
      member.size = len(content)
      tar.addfile(member, io.BytesIO(content))
  return path


def test_read_binary_by_hand(tmp_path):
  rng = np.random.default_rng(0)
  x = rng.integers(0, 256, (2, 3, 32, 32, 3), np.uint8)
  path = archive(tmp_path / 'f', {'data_batch_2': (x[1], (3, 4, 5)),
                                  'batches.meta': ((), ()),
                                  'data_batch_1': (x[0], (9, 8, 7))})
  for i in range(2):
    np.testing.assert_array_equal(
        files.read_binary_images(path, f'data_batch_{i + 1}'), x[i])
  # In the order asked for, and not that of the archive.
  got = files.read_binary_labels(path, ('data_batch_1', 'data_batch_2'))
  np.testing.assert_array_equal(got, [9, 8, 7, 3, 4, 5])
  with pytest.raises(ValueError, match=r"lacks \['test_batch'\]"):
    files.read_binary_labels(path, ('data_batch_1', 'test_batch'))


def test_read_npz_does_not_unpickle(tmp_path):
  np.savez(tmp_path / 'f.npz', a=ARRAY, b=np.array([{}], object))
  np.testing.assert_array_equal(files.read_npz(tmp_path / 'f.npz', 'a'), ARRAY)
  with pytest.raises(ValueError, match='allow_pickle=False'):
    files.read_npz(tmp_path / 'f.npz', 'b')


def test_array_sha256_of_bytes_is_that_of_the_bytes():
  want = hashlib.sha256(bytes(range(6))).hexdigest()
  assert files.array_sha256(ARRAY) == want
  assert files.array_sha256(np.asfortranarray(ARRAY)) == want
  assert files.array_sha256(ARRAY.astype(float)) != want


# files: the real ones.


def test_mnist_train_images_have_the_published_md5(data_dir):
  path = files.find('mnist/train_images', data_dir)
  content = gzip.decompress(path.read_bytes())
  assert hashlib.md5(content).hexdigest() == MNIST_MD5
  # So these are the pixels that the checksum written down stands for.
  pixels = hashlib.sha256(content[16:]).hexdigest()
  alternative, _ = files.SOURCES['mnist/train_images']
  assert alternative['array_sha256'] == pixels


@pytest.mark.parametrize('file', FASHION_MD5)
def test_fashion_mnist_has_the_published_md5(file, data_dir):
  content = (data_dir / 'fashion_mnist' / file).read_bytes()
  assert hashlib.md5(content).hexdigest() == FASHION_MD5[file]


@pytest.mark.parametrize('part', images.PARTS)
def test_cifar10_has_the_known_pixels(part, data_dir):
  x = load('cifar10', data_dir)[f'{part}_x']
  assert hashlib.sha256(x.tobytes()).hexdigest() == CIFAR10_SHA256[part]


@pytest.mark.parametrize('name', ['mnist/test_images', 'mnist/test_labels'])
def test_other_gzip_of_the_same_images(name, data_dir, tmp_path):
  path = files.find(name, data_dir)
  content = gzip.decompress(path.read_bytes())
  again = write(tmp_path / path.name,
                gzip.compress(content, compresslevel=1, mtime=12345))
  assert files.find(name, tmp_path) == again
  np.testing.assert_array_equal(files.read(name, tmp_path),
                                files.read(name, data_dir))


def test_cifar10_from_the_publishers_archive(data_dir, tmp_path):
  real = load('cifar10', data_dir)
  path = archive(tmp_path / 'cifar10/cifar-10-binary.tar.gz',
                 {'test_batch': (real['test_x'], real['test_y'])})
  assert files.find('cifar10/test_batch', tmp_path) == path
  np.testing.assert_array_equal(files.read('cifar10/test_labels', tmp_path),
                                real['test_y'])
  # The right archive with a batch missing is not the file expected.
  with pytest.raises(UserError, match="expected for 'cifar10/data_batch_1'"):
    files.find('cifar10/data_batch_1', tmp_path)


def test_an_array_that_was_read_to_check_it_is_not_read_again(
    tmp_path, monkeypatch):
  reads = []

  def read(path):
    reads.append(path)
    return ARRAY

  path = write(tmp_path / 'f', b'any')
  monkeypatch.setattr(sources, 'SOURCES', {'f': (dict(
      file='f', size=None, sha256=None, read=read, url=None,
      array_sha256=files.array_sha256(ARRAY)),)})
  assert files.read('f', tmp_path) is ARRAY
  assert reads == [path]


# files: wrong ones.


def test_one_changed_pixel_is_found(data_dir, tmp_path):
  content = bytearray(gzip.decompress(
      files.find('mnist/test_images', data_dir).read_bytes()))
  content[5000] ^= 1
  path = write(tmp_path / 'mnist/t10k-images-idx3-ubyte.gz',
               gzip.compress(content, 1))
  with pytest.raises(UserError, match='not the file expected') as e:
    files.find('mnist/test_images', tmp_path)
  alternative, _ = files.SOURCES['mnist/test_images']
  for part in (str(path), 'remove or replace', alternative['sha256'],
               alternative['array_sha256'], '10000x28x28 numbers',
               hashlib.sha256(content[16:]).hexdigest()):
    assert part in str(e.value)


def test_fashion_mnist_does_not_pass_for_mnist(data_dir, tmp_path):
  # Both publishers give their files the same names.
  folder = data_dir / 'fashion_mnist'
  assert images.load('fashion_mnist', folder)  # by bare names
  with pytest.raises(UserError) as e:
    images.load('mnist', folder)
  alternative, _ = files.SOURCES['mnist/train_images']
  for part in (str(folder / 'train-images-idx3-ubyte.gz'),
               "not the file expected for 'mnist/train_images'",
               alternative['url'], alternative['array_sha256'],
               'DIR/mnist/train-images-idx3-ubyte.gz with ASSAY_DATA=DIR'):
    assert part in str(e.value)


@pytest.mark.parametrize('name, file', [
    ('mnist/train_labels', 'train-labels-idx1-ubyte.gz'),
    ('cifar10/data_batch_3', 'data_batch_3.webp'),
    ('cifar10/data_batch_3', 'cifar-10-binary.tar.gz'),
    ('cifar10/train_labels', 'labels.npz')])
@pytest.mark.parametrize('content', [
    b'<html>Please log in</html>', b'', gzip.compress(b'no archive'),
    gzip.compress(b'torn' * 99)[:-9], b'PK\3\4 torn'],
    ids=['page', 'empty', 'gzip', 'torn gzip', 'torn zip'])
def test_what_no_reader_reads_is_a_user_error(name, file, content, tmp_path):
  path = write(tmp_path / file, content)
  with pytest.raises(UserError, match='no numbers') as e:
    files.find(name, tmp_path)
  assert str(path) in str(e.value)
  assert hashlib.sha256(content).hexdigest() in str(e.value)


def test_a_missing_file_is_named_with_its_source_and_place(tmp_path):
  with pytest.raises(UserError, match="'cifar10/data_batch_1'") as e:
    images.load('cifar10', tmp_path)
  sheet, binary, _ = files.SOURCES['cifar10/data_batch_1']
  for part in (binary['url'], 'no network in this test', sheet['sha256'],
               binary['array_sha256'], 'Put data_batch_1.webp',
               'DIR/cifar10/data_batch_1.webp with ASSAY_DATA=DIR',
               'Put cifar-10-binary.tar.gz',
               str(files.cache_dir() / 'cifar10/cifar-10-binary.tar.gz')):
    assert part in str(e.value)
  with pytest.raises(UserError, match='Put train-images-idx3-ubyte.gz from '
                                      'https://ossci-datasets'):
    images.load('mnist', tmp_path)


# Loading.


@pytest.mark.parametrize('name', sorted(
    set(images.IMAGES) - {'kmnist', 'cifar100', 'svhn_cropped'}))
def test_load_gives_what_the_table_says(name, data_dir):
  got, spec = load(name, data_dir), images.IMAGES[name]
  assert set(got) == {'train_x', 'train_y', 'test_x', 'test_y'}
  assert len(spec['class_names']) == spec['num_classes'] == len(
      spec['train_counts']) == len(spec['test_counts'])
  for part in images.PARTS:
    x, y = got[f'{part}_x'], got[f'{part}_y']
    assert x.shape == (len(y), *spec['shape']) and y.ndim == 1
    assert x.dtype == np.uint8 and y.dtype == np.int32


def test_first_images(data_dir):
  # MNIST starts with 5 0 4 1 and 7 2 1 0, Fashion-MNIST with an ankle boot,
  # CIFAR-10 with a frog and two trucks.
  mnist = load('mnist', data_dir)
  assert mnist['train_y'][:4].tolist() == [5, 0, 4, 1]
  assert mnist['test_y'][:4].tolist() == [7, 2, 1, 0]
  for name, want in (('fashion_mnist', ['Ankle boot']),
                     ('cifar10', ['frog', 'truck', 'truck'])):
    names = images.IMAGES[name]['class_names']
    got = [names[k] for k in load(name, data_dir)['train_y'][:len(want)]]
    assert got == want
  # The first image of the publisher's CIFAR-10 starts with this pixel.
  assert load('cifar10', data_dir)['train_x'][0, 0, 0].tolist() == [59, 62, 63]


def test_digits_need_no_file_and_are_scikit_learns():
  from sklearn import datasets
  published = datasets.load_digits()
  got = images.load('digits')
  assert len(got['train_x']) == 1000 and len(got['test_x']) == 797
  x = np.concatenate([got['train_x'], got['test_x']])[..., 0]
  assert set(np.unique(x)) == {round(v * 255 / 16) for v in range(17)}
  # Every published image once, with its label.
  as_rows = lambda x, y: sorted(
      zip(x.reshape(len(x), -1).tolist(), y.tolist(), strict=True))
  y = np.concatenate([got['train_y'], got['test_y']])
  assert as_rows(np.rint(x / (255 / 16)), y) == as_rows(
      published.images, published.target)


@pytest.mark.parametrize('change, message', [
    (lambda d: d | {'train_x': d['train_x'][1:]}, r'shape of the train part'),
    (lambda d: d | {'test_x': d['test_x'].astype(float)}, 'dtype.*float64'),
    (lambda d: d | {'test_x': d['test_x'] // 2}, r'range.*test.*\(0, 127\)'),
    (lambda d: d | {'test_y': d['test_y'][1:]}, 'shape of labels'),
    (lambda d: d | {'train_y': d['train_y'] // 2}, 'counts by class'),
], ids=['rows', 'dtype', 'range', 'labels', 'counts'])
def test_load_rejects_another_set(change, message, monkeypatch):
  spec = images.IMAGES['digits']
  changed = change({f'{part}_{k}': array for part in images.PARTS
                    for k, array in zip('xy', spec['read'](part, None),
                                        strict=True)})
  monkeypatch.setitem(images.IMAGES, 'digits', spec | {
      'read': lambda part, _: (changed[f'{part}_x'], changed[f'{part}_y'])})
  with pytest.raises(UserError, match=f"'digits'.*{message}.*setup.cfg"):
    images.load('digits')


def test_load_lists_the_sets_it_knows():
  with pytest.raises(UserError, match="'svhn'.*cifar10.*digits.*fashion_mnis"):
    images.load('svhn')


@pytest.mark.parametrize('name', ['kmnist', *sorted(images.TEST_ONLY)])
def test_sets_to_test_on_are_what_the_table_says(name, data_dir):
  x, y = images.load_test(name, data_dir)
  spec = (images.TEST_ONLY | images.IMAGES)[name]
  assert x.shape == (sum(spec['test_counts']), *spec['shape'])
  assert x.dtype == np.uint8 and y.dtype == np.int32
  assert tuple(np.bincount(y)) == spec['test_counts']
  first = {'kmnist': [2, 9, 3, 8], 'notmnist': [3, 5, 9, 2], 'usps': [1] * 4}
  assert y[:4].tolist() == first[name]


def test_usps_labels_are_the_digits(data_dir):
  x, y = images.load_test('usps', data_dir)
  np.testing.assert_array_equal(y, np.repeat(np.r_[1:10, 0], 1100))
  middle = [x[y == k, 6:10, 6:10].mean() for k in range(10)]
  # A 0 has nothing in its middle, a 1 and an 8 have.
  assert np.argmin(middle) == 0 and set(np.argsort(middle)[-2:]) == {1, 8}


def test_load_test_of_other_sets_is_the_test_part_of_load():
  x, y = images.load_test('digits')
  table = images.load('digits')
  np.testing.assert_array_equal(x, table['test_x'])
  np.testing.assert_array_equal(y, table['test_y'])
  with pytest.raises(UserError, match="'svhn'; known: .*digits.*kmnist.*usps"):
    images.load_test('svhn')


def test_load_test_rejects_another_set(monkeypatch):
  spec = images.TEST_ONLY['usps']
  wrong = np.full((11_000, 16, 16, 1), 255, np.uint8), np.zeros(11_000, int)
  monkeypatch.setitem(images.TEST_ONLY, 'usps',
                      spec | {'read': lambda part, data_dir: wrong})
  with pytest.raises(UserError, match="'usps': the range of the test part"):
    images.load_test('usps')


# Choosing rows.

LABELS = np.array([2, 0, 1, 2, 5, 0, 1, 2])


def test_choose_by_hand():
  rows, labels = images.choose(LABELS, ((2,), (5, 0)))
  np.testing.assert_array_equal(rows, [0, 1, 3, 4, 5, 7])
  np.testing.assert_array_equal(labels, [0, 1, 0, 1, 1, 0])
  assert rows.dtype == labels.dtype == np.int32


def test_choose_some_of_each_class():
  rng = np.random.default_rng(0)
  seen = set()
  for _ in range(50):
    rows, labels = images.choose(LABELS, ((2,), (5, 0)), 2, rng)
    np.testing.assert_array_equal(labels, [0, 0, 1, 1])
    np.testing.assert_array_equal(LABELS[rows[:2]], 2)
    assert set(LABELS[rows[2:]]) <= {0, 5} and len(set(rows)) == 4
    seen |= set(rows.tolist())
  assert seen == {0, 1, 3, 4, 5, 7}


@pytest.mark.parametrize('classes, message', [
    (((2,), (5, 2)), 'label twice'),
    (((2,), (9, 0)), r'no image has the labels \[9\]'),
    (((2,), (3,)), r'no image has the labels \[3\]'),
    (((2,), ()), 'at least one'),
    (((2,), (0, 1)), r'4 images of the labels \(2,\) are needed.*there are 3'),
])
def test_choose_errors(classes, message):
  with pytest.raises(UserError, match=message):
    images.choose(LABELS, classes, 4, np.random.default_rng(0))


def toy(counts, num_test, shape=(2, 2, 1), first=1):
  """Images whose top left pixels are a number of their own, first, ..."""
  out, number = {}, first
  for part, by_class in (('train', counts),
                         ('test', (num_test,) * len(counts))):
    y = np.repeat(np.arange(len(by_class)), by_class).astype(np.int32)
    x = np.zeros((len(y), *shape), np.uint8)
    numbers = np.arange(number, number + len(y))
    x[:, 0, 0, 0], x[:, 0, 1, 0] = numbers // 256, numbers % 256
    x[:, 1, 1, 0] = 10 + y  # and the label at the bottom right
    out |= {f'{part}_x': x, f'{part}_y': y}
    number += len(y)
  return out


def numbers_of(x):
  """The numbers of `toy`, 0 for a blank image."""
  return x[:, 0, 0, 0].astype(int) * 256 + x[:, 0, 1, 0]


def test_subset_is_balanced_and_disjoint():
  table = toy((20, 20, 20), 5)
  got = images.subset(table, 31, 12, seed=0)
  assert {k: (v.shape, str(v.dtype)) for k, v in got.items()} == {
      'x': ((75, 2, 2, 1), 'uint8'), 'y': ((75,), 'int32'),
      'train_rows': ((31,), 'int32'), 'val_rows': ((12,), 'int32'),
      'test_rows': ((15,), 'int32')}
  train, val, test = (set(got[f'{k}_rows'].tolist())
                      for k in ('train', 'val', 'test'))
  assert len(train) == 31 and len(val) == 12 and not train & val
  assert train | val <= set(range(60)) and test == set(range(60, 75))
  assert np.bincount(got['y'][got['train_rows']]).tolist() == [11, 10, 10]
  assert np.bincount(got['y'][got['val_rows']]).tolist() == [4, 4, 4]
  np.testing.assert_array_equal(
      got['x'][got['test_rows']], table['test_x'])
  np.testing.assert_array_equal(numbers_of(got['x']), np.arange(1, 76))
  np.testing.assert_array_equal(got['x'][:, 1, 1, 0], 10 + got['y'])


def test_subset_takes_more_of_the_others_where_a_class_is_small():
  # 9 for validation; of the 1, 7 and 17 left, 15 are 1 + 7 + 7.
  got = images.subset(toy((4, 10, 20), 1), 15, 9, seed=0)
  assert np.bincount(got['y'][got['val_rows']]).tolist() == [3, 3, 3]
  assert np.bincount(got['y'][got['train_rows']]).tolist() == [1, 7, 7]
  got = images.subset(toy((4, 10, 20), 1), 34, 0, seed=0)
  assert sorted(got['train_rows'].tolist()) == list(range(34))
  assert got['val_rows'].shape == (0,)


def test_subset_depends_on_the_seed_only_and_grows():
  table = toy((20, 20), 1)
  lists = lambda **k: {part: images.subset(table, **k)[f'{part}_rows'].tolist()
                       for part in ('train', 'val')}
  small, other = (lists(num_train=10, num_val=6, seed=s) for s in (0, 1))
  assert small == lists(num_train=10, num_val=6, seed=0)
  assert sorted(small['train']) != sorted(other['train'])
  large = lists(num_train=20, num_val=6, seed=0)
  assert set(small['train']) < set(large['train'])
  assert small['val'] == large['val']


@pytest.mark.parametrize('num_train, num_val, seed, message', [
    (30, 11, 0, 'num_train=30 and num_val=11 add up to 41.*the 40 images'),
    (0, 1, 0, 'num_train=0 must be at least 1'),
    (1, -1, 0, 'num_val=-1 at least 0'),
    (1, 1, -1, 'seed=-1'),
])
def test_subset_errors(num_train, num_val, seed, message):
  with pytest.raises(UserError, match=message):
    images.subset(toy((20, 20), 1), num_train, num_val, seed)


def test_long_tail_of_cifar10_as_published():
  # CIFAR-10-LT of Cui et al. (2019), ratio 100: 12406 images.
  labels = np.random.default_rng(0).permutation(np.arange(50000) % 10)
  rows = images.long_tail(np.arange(50000), labels, 100, seed=0)
  assert np.bincount(labels[rows]).tolist() == [
      5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
  assert rows.dtype == np.int32 and (np.diff(rows) > 0).all()
  again = images.long_tail(np.arange(50000), labels, 100, seed=0)
  np.testing.assert_array_equal(rows, again)
  other = images.long_tail(np.arange(50000), labels, 100, seed=1)
  assert not np.array_equal(rows, other)


def test_long_tail_takes_only_of_the_rows_given():
  labels = np.arange(90) % 3
  rows = np.arange(89, 29, -1)  # 20 of each class, backwards
  got = images.long_tail(rows, labels, 4, seed=0)
  assert np.bincount(labels[got]).tolist() == [20, 10, 5]
  assert (np.diff(got) < 0).all() and got.min() >= 30
  np.testing.assert_array_equal(images.long_tail(rows, labels, 1, 0), rows)


def test_long_tail_keeps_its_ratio_where_a_class_is_small():
  labels = np.repeat([0, 1, 2], [40, 10, 40])
  got = images.long_tail(np.arange(90), labels, 4, seed=0)
  assert np.bincount(labels[got]).tolist() == [20, 10, 5]


def test_long_tail_does_not_lose_an_image_to_rounding():
  labels = np.arange(196) % 2  # 98 * (1 / 49) is below 2 in float64
  got = images.long_tail(np.arange(196), labels, 49, seed=0)
  assert np.bincount(labels[got]).tolist() == [98, 2]


@pytest.mark.parametrize('labels, ratio, message', [
    ([0, 1], 0.5, 'ratio=0.5 must be at least 1'),
    ([0, 1, 0, 1], 3, r'\[2, 2\] images and would keep \[2, 0\]'),
    ([0, 2, 0, 2], 1, r'\[2, 0, 2\] images'),
    ([0, 0], 1, 'at least two classes'),
])
def test_long_tail_errors(labels, ratio, message):
  with pytest.raises(UserError, match=message):
    images.long_tail(np.arange(len(labels)), np.array(labels), ratio, 0)


def test_noisy_labels_changes_exactly_the_fraction_of_the_rows():
  labels = (np.arange(1000) % 10).astype(np.int32)
  before = labels.copy()
  rows = np.arange(100, 700)
  got, changed = images.noisy_labels(labels, rows, 0.41, 10, seed=0)
  assert got.dtype == np.int32 and changed.dtype == bool
  np.testing.assert_array_equal(labels, before)  # the argument is left alone
  np.testing.assert_array_equal(changed, got != labels)
  assert changed.sum() == 246 and changed[rows].sum() == 246
  assert got.min() >= 0 and got.max() < 10
  again = images.noisy_labels(labels, rows, 0.41, 10, seed=0)
  np.testing.assert_array_equal(got, again[0])
  other = images.noisy_labels(labels, rows, 0.41, 10, seed=1)
  assert not np.array_equal(got, other[0])


def test_noisy_labels_is_uniform_over_the_other_classes():
  labels = np.arange(40000) % 4
  got, _ = images.noisy_labels(labels, np.arange(40000), 1, 4, seed=0)
  table = np.zeros((4, 4))
  np.add.at(table, (labels, got), 1)
  assert (np.diag(table) == 0).all()
  assert stats.chisquare(table[~np.eye(4, dtype=bool)]).pvalue > 1e-3
  # Without noise nothing changes.
  same, changed = images.noisy_labels(labels, np.arange(40000), 0, 4, seed=0)
  np.testing.assert_array_equal(same, labels)
  assert not changed.any()


@pytest.mark.parametrize('fraction, num_classes, message', [
    (1.5, 10, r'fraction=1.5 must be in \[0, 1\]'),
    (0.5, 1, 'num_classes=1 must be at least 2')])
def test_noisy_labels_errors(fraction, num_classes, message):
  with pytest.raises(UserError, match=message):
    images.noisy_labels(LABELS, np.arange(8), fraction, num_classes, 0)


# Dominoes.


def test_pad_to_by_hand():
  x = np.array([[[1, 2], [3, 4]]], np.uint8)[..., None]
  got = images.pad_to(x, (3, 4, 3))
  assert got.shape == (1, 3, 4, 3) and got.dtype == np.uint8
  for c in range(3):
    np.testing.assert_array_equal(
        got[0, :, :, c], [[0, 1, 2, 0], [0, 3, 4, 0], [0, 0, 0, 0]])
  np.testing.assert_array_equal(images.pad_to(x, (2, 2, 1)), x)
  for shape in ((1, 4, 1), (4, 1, 1)):
    with pytest.raises(UserError, match=r'\(2, 2, 1\) do not fit'):
      images.pad_to(x, shape)
  with pytest.raises(UserError, match='do not fit'):
    images.pad_to(np.zeros((1, 2, 2, 3), np.uint8), (2, 2, 1))


FAST, SLOW = toy((120, 120, 120), 60), toy((90, 70, 0, 90, 70), 60, first=5000)
CLASSES = dict(fast_classes=((2,), (0,)), slow_classes=((3, 1), (0, 4)))
SIZES = dict(num_train=100, num_val=41, num_test=80)
SETS = ('train', 'val', 'test', 'masked', 'fast_shuffled', 'slow_shuffled')


def make(alpha=0.7, seed=0, **changes):
  return images.dominoes(
      FAST, SLOW, alpha=alpha, seed=seed, **(CLASSES | SIZES | changes))


def halves(table, name):
  """Fast and slow half, label and group of one set."""
  rows = table[f'{name}_rows']
  x = table['x'][rows]
  return x[:, :2], x[:, 2:], table['y'][rows], table['group'][rows]


def test_dominoes_shapes_and_rows():
  got = make()
  assert {k: (v.shape, str(v.dtype)) for k, v in got.items()} == {
      'x': ((461, 4, 2, 1), 'uint8'), 'y': ((461,), 'int32'),
      'group': ((461,), 'int32'), 'train_rows': ((100,), 'int32'),
      'val_rows': ((41,), 'int32'), 'test_rows': ((80,), 'int32'),
      'masked_rows': ((80,), 'int32'), 'fast_shuffled_rows': ((80,), 'int32'),
      'slow_shuffled_rows': ((80,), 'int32')}
  rows = np.concatenate([got[f'{name}_rows'] for name in SETS])
  np.testing.assert_array_equal(np.sort(rows), np.arange(461))


def test_dominoes_are_of_one_label_and_balanced():
  got = make()
  for name, counts in (('train', [50, 50]), ('val', [21, 20]),
                       ('test', [40, 40]), ('masked', [40, 40]),
                       ('fast_shuffled', [40, 40]),
                       ('slow_shuffled', [40, 40])):
    fast, slow, y, group = halves(got, name)
    assert np.bincount(y).tolist() == counts
    present = fast.any(axis=(1, 2, 3))
    np.testing.assert_array_equal(group, present)
    # 10 + original label is at the bottom right of each half.
    if name != 'fast_shuffled':
      np.testing.assert_array_equal(
          fast[present, 1, 1, 0], np.array([12, 10])[y[present]])
    if name != 'slow_shuffled':
      new = {13: 0, 11: 0, 10: 1, 14: 1}
      assert [new[v] for v in slow[:, 1, 1, 0].tolist()] == y.tolist()
      assert len(set(slow[:, 1, 1, 0].tolist())) == 4


def test_dominoes_share_no_image_between_sets():
  got = make(alpha=1)
  for half, table, first in ((0, FAST, 1), (1, SLOW, 5000)):
    numbers = {k: numbers_of(halves(got, k)[half]).tolist() for k in SETS}
    first_test = first + len(table['train_y'])
    assert first <= min(numbers['train'] + numbers['val'])
    assert max(numbers['train'] + numbers['val']) < first_test
    for name in SETS[2:]:
      shown = set(numbers[name]) - {0}
      assert bool(shown) == ((half, name) != (0, 'masked'))
      assert all(number >= first_test for number in shown)
    # No image is used twice, in training and validation together.
    seen = numbers['train'] + numbers['val']
    assert len(set(seen)) == len(seen) == 141
    assert len(set(numbers['test'])) == 80


def test_dominoes_draws_fast_images_again_only_where_they_are_too_few():
  few = toy((30, 30, 120), 60)  # class 0 has 30 images for 70 examples
  got = images.dominoes(few, SLOW, alpha=1, seed=0, **CLASSES, **SIZES)
  fast = np.concatenate([halves(got, k)[0] for k in ('train', 'val')])
  y = np.concatenate([halves(got, k)[2] for k in ('train', 'val')])
  numbers = numbers_of(fast)
  assert len(set(numbers[y == 0])) == 71
  assert len(set(numbers[y == 1])) <= 30
  assert set(numbers[y == 1]) <= set(range(1, 31))


@pytest.mark.parametrize('alpha', [0, 1])
def test_dominoes_limits_of_alpha(alpha):
  got = make(alpha=alpha)
  for name in ('train', 'val', 'test'):
    fast, _, _, group = halves(got, name)
    assert (group == alpha).all()
    assert (fast.any(axis=(1, 2, 3)) == bool(alpha)).all()


def test_dominoes_presence_has_probability_alpha_whatever_the_label():
  present, y = (np.concatenate([halves(make(seed=s), 'train')[i]
                                for s in range(30)]) for i in (3, 2))
  for k in range(2):
    test = stats.binomtest(int(present[y == k].sum()), (y == k).sum(), 0.7)
    assert test.pvalue > 1e-3


def test_dominoes_of_a_smaller_alpha_only_blank_more():
  small, large = make(alpha=0.3), make(alpha=0.6)
  assert (small['group'] <= large['group']).all()
  assert small['group'].sum() < large['group'].sum()
  both = small['group'] == large['group']
  np.testing.assert_array_equal(small['x'][both], large['x'][both])
  np.testing.assert_array_equal(small['x'][:, 2:], large['x'][:, 2:])


def test_dominoes_depend_on_the_seed_only():
  a, b, other = make(), make(), make(seed=1)
  for k in a:
    np.testing.assert_array_equal(a[k], b[k])
  assert not np.array_equal(a['x'], other['x'])


def test_shifted_sets_differ_from_the_test_set_in_one_half_only():
  got = make()
  fast, slow, y, group = halves(got, 'test')
  full = halves(make(alpha=1), 'test')[0]  # the same, nothing blank
  for name, same_fast, same_slow in (('masked', None, slow),
                                     ('fast_shuffled', None, slow),
                                     ('slow_shuffled', full, None)):
    shifted_fast, shifted_slow, shifted_y, shifted_group = halves(got, name)
    np.testing.assert_array_equal(shifted_y, y)
    assert (shifted_group == (name != 'masked')).all()
    if same_slow is not None:
      np.testing.assert_array_equal(shifted_slow, same_slow)
    if same_fast is not None:
      np.testing.assert_array_equal(shifted_fast, same_fast)
  assert not halves(got, 'masked')[0].any()
  # The shuffled halves are those of the test set in another order.
  for name, half, want in (('fast_shuffled', 0, full),
                           ('slow_shuffled', 1, slow)):
    numbers = numbers_of(halves(got, name)[half])
    assert (numbers != numbers_of(want)).mean() > 0.9
    np.testing.assert_array_equal(np.sort(numbers), np.sort(numbers_of(want)))
  np.testing.assert_array_equal(fast[group == 1], full[group == 1])


@pytest.mark.parametrize('name, half, classes', [
    ('fast_shuffled', 0, {12: 0, 10: 1}),
    ('slow_shuffled', 1, {13: 0, 11: 0, 10: 1, 14: 1})])
def test_shuffled_half_says_nothing_about_the_label(name, half, classes):
  table = np.zeros((2, 2))
  for seed in range(40):
    parts = halves(make(seed=seed), name)
    shown = [classes[v] for v in parts[half][:, 1, 1, 0].tolist()]
    np.add.at(table, (parts[2], shown), 1)
  # 3200 examples with fixed margins vary a little less than free ones.
  assert stats.chi2_contingency(table).pvalue > 1e-3


def test_dominoes_of_mnist_on_cifar10(data_dir):
  # As Shah et al. (2020): 0 and 1 above automobile and truck, 64 x 32 x 3.
  mnist, cifar10 = load('mnist', data_dir), load('cifar10', data_dir)
  got = images.dominoes(mnist, cifar10, ((0,), (1,)), ((1,), (9,)), 1.0,
                        num_train=40, num_val=10, num_test=20, seed=3)
  assert got['x'].shape == (40 + 10 + 4 * 20, 64, 32, 3)
  test = got['x'][got['test_rows']]
  frame = np.ones((32, 32), bool)
  frame[2:30, 2:30] = False
  assert not test[:, :32][:, frame].any()
  as_bytes = lambda x: {one.tobytes() for one in x}
  digits = mnist['test_x'][mnist['test_y'] < 2]
  assert as_bytes(test[:, 2:30, 2:30, :1]) <= as_bytes(digits)
  np.testing.assert_array_equal(test[:, :32, :, 0], test[:, :32, :, 2])
  vehicles = cifar10['test_x'][np.isin(cifar10['test_y'], (1, 9))]
  assert as_bytes(test[:, 32:]) <= as_bytes(vehicles)
  train = got['x'][np.r_[got['train_rows'], got['val_rows']]]
  assert as_bytes(train[:, 32:]) <= as_bytes(cifar10['train_x'])
  for half in (slice(32), slice(32, None)):
    assert not as_bytes(train[:, half]) & as_bytes(test[:, half])


@pytest.mark.parametrize('changes, message', [
    (dict(num_train=300, num_val=21),
     r'161 slow train images of the labels \(3, 1\).*there are 160'),
    (dict(num_test=242),
     r'121 slow test images of the labels \(3, 1\).*there are 120'),
    (dict(alpha=1.1), r'alpha=1.1 must be in \[0, 1\]'),
    (dict(alpha=float('nan')), 'alpha=nan'),
    (dict(num_train=0), 'num_train=0 must be at least 1'),
    (dict(num_test=-1), 'num_test=-1 at least 0'),
    (dict(seed=-1), 'seed=-1'),
    (dict(fast_classes=((0,), (1,), (2,))), 'equally many'),
    (dict(fast_classes=((0,),), slow_classes=((1,),)), 'at least 2'),
    (dict(slow_classes=((0, 1), (1,))), 'label twice'),
    (dict(slow_classes=((0,), (2,))), r'no image has the labels \[2\]'),
])
def test_dominoes_errors(changes, message):
  with pytest.raises(UserError, match=message):
    make(**changes)


def test_dominoes_may_lack_validation_and_test_sets():
  got = make(num_val=0, num_test=0)
  assert got['x'].shape == (100, 4, 2, 1)
  assert got['val_rows'].shape == got['masked_rows'].shape == (0,)


# Batches.


def test_channel_statistics_against_numpy():
  x = np.random.default_rng(0).integers(0, 256, (2500, 2, 3, 2), np.uint8)
  x[..., 1] //= 3
  mean, std = images.channel_statistics(x)
  wide = x.astype(np.float64) / 255
  np.testing.assert_allclose(mean, wide.mean((0, 1, 2)), rtol=1e-12)
  np.testing.assert_allclose(std, wide.std((0, 1, 2)), rtol=1e-12)
  assert {type(v) for v in mean + std} == {float}
  rows = np.array([3, 1, 2400])
  mean, std = images.channel_statistics(x, rows)
  np.testing.assert_allclose(mean, wide[rows].mean((0, 1, 2)), rtol=1e-12)
  np.testing.assert_allclose(std, wide[rows].std((0, 1, 2)), rtol=1e-12)


def test_channel_statistics_by_hand():
  x = np.array([0, 255, 255, 0], np.uint8).reshape(1, 2, 2, 1)
  assert images.channel_statistics(x) == ((0.5,), (0.5,))
  # One value 254 among 255s: a float32 sum of squares would lose it.
  x = np.full((1000, 10, 10, 1), 255, np.uint8)
  x[0, 0, 0] = 254
  mean, std = images.channel_statistics(x)
  np.testing.assert_allclose(mean, 1 - 1 / 255e5, rtol=1e-15)
  np.testing.assert_allclose(std, (1e-5 * (1 - 1e-5))**0.5 / 255, rtol=1e-12)
  with pytest.raises(ValueError, match='float64'):
    images.channel_statistics(x / 255)
  with pytest.raises(ValueError, match='0 rows'):
    images.channel_statistics(x, np.arange(0))


def test_channel_statistics_of_cifar10(data_dir):
  # As commonly rounded.
  mean, std = images.channel_statistics(load('cifar10', data_dir)['train_x'])
  np.testing.assert_allclose(mean, (0.4914, 0.4822, 0.4465), atol=5e-5)
  np.testing.assert_allclose(std, (0.2470, 0.2435, 0.2616), atol=5e-5)


def small_shared():
  rng = np.random.default_rng(0)
  return {'x': rng.integers(0, 256, (9, 2, 2, 3), np.uint8),
          'y': np.arange(9, dtype=np.int32) % 4,
          'train_rows': np.array([7, 2, 5], np.int32)}


MEAN, STD = (0.1, 0.2, 0.3), (0.5, 1.0, 2.0)


def test_draw_gives_the_normalized_rows_under_jit_and_vmap():
  shared = small_shared()
  own = {'val_rows': np.array([[0, 3], [8, 1]], np.int32)}
  items = np.array([[1, 0, 1], [0, 1, 1]], np.int32)
  rows = np.array([[3, 0, 3], [8, 1, 1]])
  draw = images.draw_from('val', MEAN, STD)
  got = jax.jit(jax.vmap(draw, in_axes=(None, 0, 0, None)))(
      shared, own, items, None)
  assert {k: (v.shape, str(v.dtype)) for k, v in got.items()} == {
      'x': ((2, 3, 2, 2, 3), 'float32'), 'y': ((2, 3), 'int32'),
      'index': ((2, 3), 'int32')}
  want = (shared['x'][rows] / 255 - np.array(MEAN)) / np.array(STD)
  np.testing.assert_allclose(got['x'], want, rtol=1e-5, atol=1e-6)
  np.testing.assert_array_equal(got['y'], rows % 4)
  np.testing.assert_array_equal(got['index'], rows)


def test_draw_prefers_what_the_seed_owns():
  shared = small_shared()
  draw, item = images.draw_from('train', 0., 1.), jnp.arange(2)
  got = draw(shared, {}, item, None)
  np.testing.assert_array_equal(got['index'], [7, 2])
  np.testing.assert_array_equal(got['y'], [3, 2])
  np.testing.assert_allclose(
      got['x'], shared['x'][[7, 2]] / np.float32(255), rtol=1e-6)
  own = {'train_rows': np.array([4, 6], np.int32),
         'y': np.full(9, 1, np.int32)}  # such as noisy labels
  got = draw(shared, own, item, None)
  np.testing.assert_array_equal(got['index'], [4, 6])
  np.testing.assert_array_equal(got['y'], [1, 1])


@pytest.mark.parametrize('item', [3, 100, -1, -3])
def test_draw_of_an_item_beyond_the_split_is_nan(item):
  draw = jax.jit(images.draw_from('train', MEAN, STD))
  got = draw(small_shared(), {}, jnp.array([item, 1]), None)
  assert np.isnan(got['x'][0]).all() and not np.isnan(got['x'][1]).any()
  assert got['index'].tolist() == [-1, 2] and got['y'].tolist() == [-1, 2]


def test_draw_of_a_row_beyond_the_images_is_nan():
  shared = small_shared() | {'train_rows': np.array([9, 8], np.int32)}
  got = images.draw_from('train', MEAN, STD)(shared, {}, jnp.arange(2), None)
  assert np.isnan(got['x'][0]).all() and not np.isnan(got['x'][1]).any()


def test_draw_from_normalizes_what_channel_statistics_measures():
  table = images.load('digits')
  shared = images.subset(table, 500, 0, seed=0)
  stats_ = images.channel_statistics(shared['x'], shared['train_rows'])
  x = images.draw_from('train', *stats_)(
      shared, {}, jnp.arange(500), None)['x']
  np.testing.assert_allclose(np.mean(x), 0, atol=1e-6)
  np.testing.assert_allclose(np.std(x), 1, rtol=1e-5)


def test_draw_errors():
  with pytest.raises(UserError, match=r"'val'; known: \['train'\]"):
    images.draw_from('val', 0., 1.)(small_shared(), {}, jnp.arange(2), None)
  with pytest.raises(UserError, match='std=.*must be above 0'):
    images.draw_from('train', 0., (1., 0., 1.))
