"""A user's own table and images: what is read, and what each error says."""


import numpy as np
from PIL import Image
import pytest

from assay.data import images, tables, tabular
from assay.data.images import folders
from assay.errors import UserError

PRICES = """rooms,area,kind,price
2,50.5,flat,200
3,70,house,350.25
4,1e2,house,500
"""


@pytest.fixture
def table(tmp_path):
  """Writes text or bytes to a CSV file and gives its path."""

  def write(content, name='my.csv'):
    if isinstance(content, str):
      content = content.encode()
    (tmp_path / name).write_bytes(content)
    return str(tmp_path / name)

  return write


# Tables.


def test_a_table_by_hand(table):
  got = tables.read(table(PRICES), 'price')
  assert got.names == ['rooms', 'area', 'kind=flat', 'kind=house']
  np.testing.assert_array_equal(
      got.x, [[2, 50.5, 1, 0], [3, 70, 0, 1], [4, 100, 0, 1]])
  np.testing.assert_array_equal(got.y, [[200], [350.25], [500]])
  assert got.x.dtype == got.y.dtype == np.float32
  loaded = tabular.load(table(PRICES), target='price')
  assert set(loaded) == {'x', 'y'}
  np.testing.assert_array_equal(loaded['x'], got.x)


@pytest.mark.parametrize('content, delimiter', [
    ('\ufeff' + PRICES, ','), (PRICES.replace('\n', '\r\n'), ','),
    (PRICES.replace(',', ';'), ';'), (PRICES.replace(',', '\t'), '\t'),
    (PRICES.replace(',', ' , '), ','), (PRICES + '\n\n', ','),
    (PRICES.replace('rooms', '"rooms"').replace('flat', '"flat"'), ',')],
    ids=['mark', 'crlf', 'semicolon', 'tab', 'spaces', 'blank', 'quotes'])
def test_other_forms_of_the_same_table(content, delimiter, table):
  got = tables.read(table(content), 'price')
  explicit = tables.read(table(content), 'price', delimiter)
  np.testing.assert_array_equal(got.x, explicit.x)
  want = tables.read(table(PRICES), 'price')
  assert got.names == want.names
  np.testing.assert_array_equal(got.x, want.x)
  np.testing.assert_array_equal(got.y, want.y)


def test_several_targets_keep_the_order_they_are_named_in(table):
  for target in ('price,rooms', 'price, rooms', ('price', 'rooms')):
    got = tables.read(table(PRICES), target)
    assert got.names == ['area', 'kind=flat', 'kind=house']
    np.testing.assert_array_equal(got.y[0], [200, 2])
  got = tables.read(table(PRICES.replace('price', '"price,net"')), 'price,net')
  np.testing.assert_array_equal(got.y[:, 0], [200, 350.25, 500])


@pytest.mark.parametrize('content, message', [
    ('', 'is empty; its first line must name'),
    ('rooms,price\n', 'has 0 rows below its header; at least 2'),
    ('rooms,price\n1,2\n', 'has 1 rows below'),
    ('1,2\n3,4\n5,6\n', "begins with numbers, .'1', '2'.; its first line"),
    ('rooms,rooms,price\n1,2,3\n4,5,6\n', "two columns named 'rooms'; rename"),
    ('rooms,,price\n1,2,3\n4,5,6\n', 'column 2 of 3 has no name'),
    ('rooms,cost\n1,2\n3,4\n', r"no column 'price'.*\['rooms', 'cost'\]"),
    ('rooms,Price\n1,2\n3,4\n', "no column 'price'.*Did you mean 'Price'"),
    ('price\n1\n2\n', 'has no column beside the target'),
    ('rooms,price\n1,2\n3,4,5\n', 'line 3 has 3 cells, but there are 2 col'),
    ('rooms,price\n1,2\n\n3\n', 'line 4 has 1 cells'),
    ('rooms,price\n1,2\nmany,4\n', "line 3: column 'rooms' holds 'many'"),
    ('rooms,price\n1,2\n3,dear\n', "line 3: column 'price' holds 'dear'"),
    ('rooms,price\n1,2\n,4\n', "line 3: column 'rooms' has no value"),
    ('rooms,price\n1,2\n3,nan\n', "line 3: column 'price' has no value"),
    ('rooms,price\nNA,2\nNA,4\n', "line 2: column 'rooms' has no value"),
    ('rooms,price\n1,2\n3,?\n', "line 3: column 'price' has no value"),
    ('rooms,price\n1,2\n3,inf\n', "'inf', which is not a finite number"),
    ('rooms,price\n1,2\n3,1e39\n', "'1e39', which is not a finite"),
    ('rooms,price\n1,2\n3,1_000\n', "'1_000', which is not"),
    ('rooms;price\n1,5;2\n2,5;4\n', "line 2: column 'rooms' holds '1,5'"),
    ('rooms,price\n10 m,2\n20 m,4\n', "'10 m', which is not.*no unit"),
    ('day,price\n2024-01-01,2\n2024-01-02,4\n', "'2024-01-01', which is not"),
    ('rooms,price\n1,7\n2,7\n', "the target 'price' is 7 in all 2 rows"),
    ('rooms,price\n' + ''.join(f'name {chr(97 + i // 10)}{i % 10}x,{i}\n'
                               for i in range(60)),
     "column 'rooms' holds 60 different texts, such as 'name a0x'"),
    ('rooms,price\n1,2\n"3,4\n', 'line 3: '),
    ('rooms,price\n1,2\n3,4\n'.encode('utf-16'), 'byte 0 is 0xff.*UTF-8'),
    ('größe,price\n1,2\n3,4\n'.encode('latin-1'), 'byte 2 is 0xf6.*UTF-8'),
])
def test_tables_that_cannot_be_used(content, message, table):
  path = table(content)
  with pytest.raises(UserError, match=message) as error:
    tabular.load(f'{path}:price')
  assert path in str(error.value)


def test_other_arguments_that_cannot_be_used(table, tmp_path, monkeypatch):
  path = table(PRICES)
  for target, message in (('price,price', 'each column once'),
                          ((), 'needs a target'),
                          (None, "as in '.*my.csv:price'"),
                          ('kind', "'flat', which is not a finite number")):
    with pytest.raises(UserError, match=message):
      tabular.load(path, target=target)
  with pytest.raises(UserError, match="looks like several; give .*=','"):
    tabular.load(path, target='price', delimiter=';')
  for delimiter in ('', ', ', 7):
    with pytest.raises(UserError, match='must be one character'):
      tabular.load(path, target='price', delimiter=delimiter)
  with pytest.raises(UserError, match='none.csv cannot be read .No such file'):
    tabular.load(str(tmp_path / 'none.csv'), target='price')
  with pytest.raises(UserError, match='cannot be read .Is a directory'):
    tabular.load(f'{tmp_path}/', target='price')
  with pytest.raises(UserError, match="'diabetes' has its own"):
    tabular.load('diabetes', target='price')
  with pytest.raises(UserError, match="'crimes'; known: .*path of a CSV file"):
    tabular.load('crimes', target='price')
  monkeypatch.setattr(tables, 'MAX_BYTES', len(PRICES) - 1)
  with pytest.raises(UserError, match='more than 71; use `assay.data.stream`'):
    tabular.load(path, target='price')


def test_a_name_is_a_path_where_it_has_a_folder_or_a_suffix():
  for name in ('my.csv', './mine', '/data/mine', '~/mine.tsv', 'a/b'):
    assert tabular.is_own(name)
  for name in tabular.TABLES:
    assert not tabular.is_own(name)


def test_a_table_keeps_its_splits_where_it_is_moved():
  names = 'my.csv:price', '/data/my.csv:price', '~/my.tsv:price'
  assert {tabular.label(name) for name in names} == {'my:price'}
  assert tabular.label('airfoil') == 'airfoil'
  here, there, _ = (tabular.split(50, (30, 10, 10), 0, name) for name in names)
  np.testing.assert_array_equal(here['train'], there['train'])
  other = tabular.split(50, (30, 10, 10), 0, 'my.csv:area')
  assert (here['train'] != other['train']).any()


# Images.


def save(path, pixels, format='PNG', **options):
  path.parent.mkdir(parents=True, exist_ok=True)
  image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
  image.save(path, format, **options)


def pixels(seed, *shape):
  return np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)


@pytest.fixture
def pets(tmp_path):
  """Ten images of cats and five of dogs, 6 x 8, in colors."""
  folder = tmp_path / 'pets'
  for i in range(10):
    save(folder / 'cats' / f'{i}.png', pixels(i, 6, 8, 3))
  for i in range(5):
    save(folder / 'dogs' / f'{i}.png', pixels(20 + i, 6, 8, 3))
  return folder


def test_a_folder_of_classes(pets):
  got = images.load(str(pets))
  assert images.class_names(str(pets)) == ('cats', 'dogs')
  assert got['train_x'].shape == (12, 6, 8, 3)
  assert got['test_x'].shape == (3, 6, 8, 3)
  assert got['train_x'].dtype == np.uint8 and got['train_y'].dtype == np.int32
  assert np.bincount(got['train_y']).tolist() == [8, 4]
  assert np.bincount(got['test_y']).tolist() == [2, 1]
  # Every image once, with its label, in the order of its name within a part.
  seen = {}
  for part in images.PARTS:
    for x, y in zip(got[f'{part}_x'], got[f'{part}_y'], strict=True):
      seen.setdefault(int(y), []).append(x.tobytes())
  for label, seeds in ((0, range(10)), (1, range(20, 25))):
    assert sorted(seen[label]) == sorted(
        pixels(i, 6, 8, 3).tobytes() for i in seeds)
  again = images.load(str(pets))
  for key, value in got.items():
    np.testing.assert_array_equal(value, again[key])
  # It is a set as any other.
  subset = images.subset(got, 6, 4, seed=0)
  assert len(subset['test_rows']) == 3 and subset['x'].shape == (15, 6, 8, 3)


def test_parts_of_ones_own(pets):
  for name in ('cats', 'dogs'):
    (pets / 'train').mkdir(exist_ok=True)
    (pets / name).rename(pets / 'train' / name)
    save(pets / 'test' / name / 'a.PNG', pixels(99, 6, 8, 3))
  got = images.load(str(pets))
  assert np.bincount(got['train_y']).tolist() == [10, 5]
  assert got['test_y'].tolist() == [0, 1]
  np.testing.assert_array_equal(got['train_x'][3], pixels(3, 6, 8, 3))
  (pets / 'val').mkdir()
  with pytest.raises(UserError, match='val is neither train nor test'):
    images.load(str(pets))
  (pets / 'val').rename(pets / 'test' / 'birds')
  with pytest.raises(UserError, match=r"\['birds'\] are classes of train or"):
    images.load(str(pets))
  (pets / 'test').rename(pets.parent / 'test')
  with pytest.raises(UserError, match="has a folder 'train' alone"):
    images.load(str(pets))


def test_sizes_and_channels_are_made_equal_by_name_only(pets):
  save(pets / 'cats' / '10.jpg', pixels(0, 12, 16), 'JPEG')
  with pytest.raises(UserError, match=r'10.jpg is of shape \(12, 16, 1\).*'
                     r'0.png of \(6, 8, 3\); give size='):
    images.load(str(pets))
  with pytest.raises(UserError, match='is of shape'):
    images.load(str(pets), size=(6, 8))
  got = images.load(str(pets), size=(3, 4), channels=1)
  assert got['train_x'].shape[1:] == (3, 4, 1)
  named = images.load(f'{pets}:3x4x1')
  np.testing.assert_array_equal(named['train_x'], got['train_x'])
  assert images.class_names(f'{pets}:3x4x1') == ('cats', 'dogs')
  assert images.label(f'{pets}:3x4x1') == 'pets:3x4x1'
  assert images.label(f'{pets}/') == 'pets'
  assert images.label('digits') == 'digits'
  with pytest.raises(UserError, match='channels=2 must be'):
    images.load(f'{pets}:3x4x2')
  # What has the size already stays as it is.
  (pets / 'cats' / '10.jpg').unlink()
  same = images.load(str(pets), size=(6, 8), channels=3)
  np.testing.assert_array_equal(same['train_x'],
                                images.load(str(pets))['train_x'])


def test_kinds_of_pixels(tmp_path):
  gray = pixels(0, 6, 8)
  flat = Image.fromarray(gray // 128 * 255)
  colors = Image.fromarray(pixels(1, 6, 8, 3))
  for name, image, want in (
      ('gray', Image.fromarray(gray), gray[..., None]),
      ('bits', flat.convert('1'), np.asarray(flat)[..., None]),
      ('colors', colors, np.asarray(colors)),
      ('palette', flat.convert('P'), np.asarray(flat.convert('RGB'))),
      ('opaque', colors.convert('RGBA'), np.asarray(colors)),
      ('gray_opaque', Image.fromarray(gray).convert('LA'), gray[..., None])):
    save(tmp_path / name / 'i.png', image)
    np.testing.assert_array_equal(
        folders._pixels(tmp_path / name / 'i.png', None, None), want)
  turned = Image.Exif()
  turned[0x0112] = 6  # the camera was held upright
  save(tmp_path / 'turned.png', colors, exif=turned)
  assert folders._pixels(tmp_path / 'turned.png', None, None).shape == (8, 6, 3)


def damaged(path):
  path.write_bytes(path.read_bytes()[:100])


def transparent(path):
  image = Image.fromarray(pixels(0, 6, 8, 3)).convert('RGBA')
  image.putalpha(7)
  save(path, image)


def large(path):
  save(path, Image.new('1', (2**13, 2**12 + 1)))


@pytest.mark.parametrize('change, message', [
    (damaged, '0.png cannot be used: '),
    (transparent, 'cannot be used: transparent pixels; save it without'),
    (large, 'cannot be used: 8192 x 4097 pixels, more than 33554432'),
    (lambda p: p.write_bytes(b''), 'cannot be used: cannot identify'),
    (lambda p: p.write_bytes(b'%!PS-Adobe-3.0 EPSF-3.0\n'), 'cannot identify'),
    (lambda p: save(p, np.zeros((6, 8), np.uint16)), "kind 'I;16'; save it"),
    (lambda p: save(p, Image.new('CMYK', (8, 6)), 'JPEG'), "kind 'CMYK'"),
    (lambda p: (p.parent / 'notes.txt').touch(), 'notes.txt is not an image'),
    (lambda p: (p.parent / 'more').mkdir(), 'more is not an image'),
    (lambda p: save(p.parents[1] / 'a.jpg', pixels(0, 6, 8), 'JPEG'),
     'a.jpg lies in no folder of a class'),
    (lambda p: (p.parents[1] / 'birds').mkdir(), 'birds holds no image'),
    (lambda p: save(p.parents[1] / 'birds' / 'a.png', pixels(0, 6, 8, 3)),
     'birds holds one image; a class needs two'),
    (lambda p: p.parent.rename(p.parents[2] / 'cats'), r"folders \['dogs'\]"),
], ids=['damaged', 'transparent', 'large', 'nothing', 'script', 'deep', 'cmyk',
        'notes', 'folder', 'outside', 'empty', 'one', 'one_class'])
def test_folders_that_cannot_be_used(change, message, pets):
  change(pets / 'cats' / '0.png')
  with pytest.raises(UserError, match=message):
    images.load(str(pets))


def test_what_systems_leave_behind_is_passed_over(pets):
  before = images.load(str(pets))
  for name in ('.DS_Store', 'Thumbs.db', 'cats/.DS_Store', 'cats/desktop.ini'):
    (pets / name).write_bytes(b'x')
  (pets / '.cache').mkdir()
  (pets / 'README.txt').write_text('beside the classes')
  np.testing.assert_array_equal(images.load(str(pets))['train_x'],
                                before['train_x'])


def test_other_arguments_of_images(pets, tmp_path, monkeypatch):
  for arguments, message in (
      (dict(size=(0, 8)), 'size=.0, 8. must be'),
      (dict(size=(8,)), 'size=.8,. must be'),
      (dict(channels=2), 'channels=2 must be 1'),
      (dict(test_share=1.), 'test_share=1.0 must be between')):
    with pytest.raises(UserError, match=message):
      images.load(str(pets), **arguments)
  with pytest.raises(UserError, match='none is not a folder'):
    images.load(str(tmp_path / 'none'))
  with pytest.raises(UserError, match="'pets'; known: .*path of a folder"):
    images.load('pets')
  with pytest.raises(UserError, match="'digits' is as published"):
    images.load('digits', size=(4, 4))
  assert images.class_names('digits') == tuple('0123456789')
  monkeypatch.chdir(tmp_path)
  assert len(images.load('pets')['test_y']) == 3
  monkeypatch.setattr(folders, 'MAX_BYTES', 6 * 8 * 3 * 5)
  with pytest.raises(UserError, match='more than 720 bytes of pixels'):
    images.load('pets')


def test_a_file_that_is_too_large_is_not_read(pets, monkeypatch):
  monkeypatch.setattr(folders, 'MAX_FILE_BYTES', 20)
  with pytest.raises(UserError, match='more than 20 bytes'):
    images.load(str(pets))
