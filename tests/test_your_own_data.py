"""The page "Your own data" is true: its commands and its code run."""

import re
import shlex

import numpy as np
from PIL import Image
import pytest

from assay import cli, papers, results
from assay.report import page

PAGE = (papers.ROOT / 'docs' / 'your_own_data.md').read_text()
SHORT = ['--seeds=1', '--config.net.num_epochs=1']


def commands():
  """(paper, flags) of each command on the page."""
  for block in re.findall(r'```\n(python .*?)```', PAGE, re.DOTALL):
    _, _, module, *flags = shlex.split(block.replace('\\\n', ' '))
    yield module.removeprefix('experiments.'), flags


@pytest.fixture
def folder(tmp_path, monkeypatch):
  """A table of 200 rows and 120 images of three classes, found from here."""
  rng = np.random.default_rng(0)
  rooms, area = rng.integers(1, 6, 200), rng.uniform(20, 200, 200)
  kind = rng.choice(['flat', 'house'], 200)
  price = 50 * rooms + 3 * area + 100 * (kind == 'house')
  lines = [f'{r},{a:.1f},{k},{p:.1f}' for r, a, k, p in zip(
      rooms, area, kind, price, strict=True)]
  (tmp_path / 'my.csv').write_text('\n'.join(['rooms,area,kind,price', *lines]))
  sales = 20 + 5 * np.sin(2 * np.pi * np.arange(230) / 7)
  (tmp_path / 'days.csv').write_text('\n'.join(['sales,visits', *(
      f'{s:.2f},{4 * s + v:.1f}' for s, v in zip(
          sales, rng.normal(size=230), strict=True))]))
  for level, name in ((60, 'birds'), (120, 'cats'), (200, 'dogs')):
    (tmp_path / 'pets' / name).mkdir(parents=True)
    for i in range(40):
      noise = rng.normal(level, 40, (20, 24, 3)).clip(0, 255)
      Image.fromarray(noise.astype(np.uint8)).save(
          tmp_path / 'pets' / name / f'{i}.png')
  monkeypatch.chdir(tmp_path)
  return tmp_path


def run(paper, flags):
  """Runs a command of the page, from the clone's configs."""
  flags = [flag.replace('=configs/', f'={papers.ROOT}/configs/')
           for flag in flags]
  return cli.main(paper, [*flags, *SHORT])


def test_a_table(folder):
  (paper, flags), *_ = commands()
  assert run(paper, [*flags, '--arms=c_mixup']) == 0
  rows = results.read([folder / 'runs' / 'my_price'])
  assert {row['dataset'] for row in rows} == {'my:price'}
  assert {row['n'] for row in rows if row['split'] == 'test'} == {40}


def test_which_augmentation_a_table_should_get(folder, capsys):
  _, (paper, flags), *_ = commands()
  flags, then = flags[:flags.index('python')], flags[flags.index('assay') + 1:]
  assert run(paper, [*flags, '--arms=erm,ada', '--config.trials=1']) == 0
  capsys.readouterr()
  assert then.pop(0) == 'results' and page.main(then) == 0
  said = capsys.readouterr().out
  assert '/which' in said and '| ada | ' in said


def test_series(folder):
  *_, (paper, flags), _ = commands()
  assert run(paper, [*flags, '--arms=last_value,manifold_c_mixup']) == 0
  rows = results.read([folder / 'runs' / 'days'])
  assert {row['dataset'] for row in rows} == {'days:sales'}
  assert {row['n'] for row in rows if row['split'] == 'test'} == {30}


def test_images(folder):
  *_, (paper, flags) = commands()
  assert run(paper, [*flags, '--arms=cross_entropy', '--config.net.model=mlp',
                     "--config.calibrators=('temperature',)",
                     "--config.shifts=('noise',)"]) == 0
  rows = results.read([folder / 'runs' / 'pets'])
  assert {row['dataset'] for row in rows} == {'pets:32x32'}
  assert {row['n'] for row in rows if row['split'] == 'test'} == {24}


@pytest.mark.parametrize('field, value, message', [
    ('dataset', 'my.csv', "my.csv needs a target.*'my.csv:price'"),
    ('dataset', 'my.csv:cost', "no column 'cost'"),
    ('dataset', 'my.csv:price,area', 'dataset=my.csv:price,area has several'),
    ('dataset', 'none.csv:price', 'none.csv cannot be read'),
    ('split_sizes', '300,40,40', "more than the 200 rows of 'my.csv:price'")])
def test_errors_of_a_command_are_told_in_a_line(
    field, value, message, folder, capfd):
  (paper, flags), *_ = commands()
  assert run(paper, [*flags, f'--config.net.{field}={value}']) == 2
  said = capfd.readouterr().err
  assert re.search(f'error: .*{message}', said) and 'Traceback' not in said


def test_the_code(folder):
  _, code = re.findall(r'```python\n(.*?)```', PAGE, re.DOTALL)
  scope = {}
  exec(code, scope)
  assert scope['names'] == ['rooms', 'area', 'kind=flat', 'kind=house']
  assert scope['table']['x'].shape == (200, 4)
  assert scope['days'].shape == (230, 2)
  assert scope['pets']['train_x'].shape == (96, 32, 32, 3)
  assert scope['classes'] == ('birds', 'cats', 'dogs')


def test_mixing_arrays():
  code, _ = re.findall(r'```python\n(.*?)```', PAGE, re.DOTALL)
  scope = {}
  exec(code, scope)
  x, y, lam, partner = (scope[k] for k in ('x', 'y', 'lam', 'partner'))
  assert scope['mixup'].effective_partners(
      y, scope['bandwidth']) == pytest.approx(.1, rel=.05)
  for values, mixed in ((x, scope['x_mixed']), (y, scope['y_mixed'])):
    np.testing.assert_allclose(
        mixed[5], lam[5] * values[5] + (1 - lam[5]) * values[partner[5]], 1e-4)
