"""The prepared command for a GPU, with tiny sizes on a CPU."""

import argparse
import json
import tarfile

import jax
import jax.numpy as jnp
import numpy as np

from assay import papers, results
from assay.models import resnet
from benchmarks import gpu, gpu_queue, reference_images


def entries(*names):
  return [entry for entry in gpu_queue.ENTRIES if entry.name in names]


def run(folder, *flags, entries, minutes=30):
  return gpu_queue.main([f'--out={folder}', f'--minutes={minutes}', '--quick',
                         f'--pack={folder}_packed', *flags], entries)


def test_a_study_and_what_completes_it_are_run_once_and_packed(tmp_path):
  folder = tmp_path / 'out'
  of = [entry._replace(flags=(*entry.flags, '--config.net.model=mlp'))
        for entry in entries('correctness_aware', 'calibrators')]
  assert run(folder, entries=of) == 0
  rows = results.read([folder / 'correctness_aware'])
  assert {row['method'] for row in rows} == set(
      papers.configs('correctness_aware').get_config('smoke').arms)
  with tarfile.open(f'{folder}_packed/results_0.tar.gz') as archive:
    names = archive.getnames()
  assert 'queue.md' in names and 'correctness_aware.log' in names
  assert 'correctness_aware/rows.jsonl' in names
  assert not [name for name in names if 'seeds_' in name or 'cache' in name]
  with tarfile.open(f'{folder}_packed/results_1.tar.gz') as archive:
    assert 'correctness_aware/predictions/uncalibrated.0.npz' in (
        archive.getnames())
  text = (folder / 'queue.md').read_text()
  assert text.count('| done |') == 2
  logs = {path: path.read_bytes() for path in folder.glob('*.log')}
  assert run(folder, entries=of) == 0
  assert logs == {path: path.read_bytes() for path in folder.glob('*.log')}


def test_what_does_not_fit_is_left_and_what_fails_is_told(tmp_path, capsys):
  folder = tmp_path / 'out'
  unknown = gpu_queue.Entry('unknown', 'benchmarks.unknown', seconds=0)
  after = unknown._replace(name='later', after='unknown')
  assert run(folder, entries=[unknown, after]) == 1
  state = json.loads((folder / 'queue.json').read_text())
  assert state['unknown']['status'] == 'failed'
  assert state['later']['why'] == 'unknown is not done'
  assert 'No module named' in capsys.readouterr().out
  assert run(tmp_path / 'none', entries=[unknown], minutes=.5) == 0
  assert json.loads((tmp_path / 'none' / 'queue.json').read_text()) == {
      'unknown': {'status': 'left', 'why': 'no time'}}


def test_what_still_runs_at_the_end_is_stopped(tmp_path, monkeypatch):
  monkeypatch.setattr(gpu_queue, 'OVER', 0.)
  entry = gpu_queue.Entry('sleep', 'timeit', flags=(
      '-n1', '-r1', 'import time; time.sleep(60)'), seconds=0)
  monkeypatch.setattr(gpu_queue.Entry, 'words', lambda self, *_: [
      self.module, *self.flags])
  run(tmp_path / 'out', '--grace=0', entries=[entry], minutes=7 / 60)
  state = json.loads((tmp_path / 'out' / 'queue.json').read_text())['sleep']
  assert state['status'] == 'stopped' and state['seconds'] < 30


def test_a_benchmark_is_alone_and_studies_are_two_at_once(tmp_path):
  make = lambda name, variant='v', **fields: gpu_queue.Entry(
      name, 'm', variant, **fields)
  a, b, c, late, bench, cpu = (
      make('a'), make('b'), make('c'), make('late', after='a'),
      make('bench', ''), make('cpu', on_cpu=True))
  waits = lambda entry, pending, running: gpu_queue.Queue(
      [], tmp_path, flags)._has_to_wait(
          entry, pending, [(other, None) for other in running])
  flags = argparse.Namespace(minutes=1, quick=False, at_once=2, grace=0,
                             data_dir=None, pack=None)
  assert not waits(b, [b], [a]) and waits(c, [c], [a, b])
  assert waits(b, [bench, b], []) and waits(b, [b], [bench])
  assert waits(bench, [bench], [a]) and not waits(bench, [bench, a], [cpu])
  assert waits(late, [late], [a]) and not waits(cpu, [cpu], [bench])


def test_archives_are_within_their_size(tmp_path, monkeypatch):
  monkeypatch.setattr(gpu_queue, 'PART', 3000)
  (tmp_path / 'a' / 'fit' / 'seeds_0-1').mkdir(parents=True)
  (tmp_path / 'a' / 'fit' / 'seeds_0-1' / 'save.npz').write_bytes(b'0' * 9)
  for i in range(9):
    (tmp_path / 'a' / f'{i}.npz').write_bytes(bytes([i]) * 1400)
  (tmp_path / 'a' / 'uncalibrated.npz').write_bytes(b'0' * 1400)
  (tmp_path / 'large.npz').write_bytes(b'0' * 4000)
  gpu_queue.pack(tmp_path, tmp_path.parent / 'packed')
  names = [sorted(tarfile.open(path).getnames()) for path in sorted(
      (tmp_path.parent / 'packed').glob('*.tar.gz'))]
  assert [len(each) for each in names] == [0, 2, 2, 2, 2]
  assert 'a/uncalibrated.npz' in names[1]
  left = (tmp_path.parent / 'packed' / 'left_out.txt').read_text().split()
  assert len(left) == 3 and 'large.npz' in left


# --- What is measured --------------------------------------------------------


def test_resnet_by_hand_is_ours():
  x = jax.random.normal(jax.random.key(0), (4, 16, 16, 3))
  model = resnet.resnet18(10, 4)
  variables = jax.jit(model.init)(jax.random.key(1), x)
  want, new = jax.jit(lambda variables: model.apply(
      variables, x, train=True, mutable=['batch_stats']))(variables)
  got, found = jax.jit(lambda params: reference_images.forward(
      params, x, jnp.float32))(variables['params'])
  np.testing.assert_allclose(got, want, atol=2e-4)
  running = jax.tree.map(lambda a, b: .9 * a + .1 * b,
                         variables['batch_stats'], found)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4),
               running, dict(new['batch_stats']))


def test_products_are_those_that_the_compiler_counts():
  config = papers.configs('useful').get_config('cifar10_resnet18')
  model = resnet.resnet18(10, 64)
  x = jnp.zeros((config.net.batch_size, 32, 32, 3))
  variables = jax.eval_shape(model.init, jax.random.key(0), x)
  cost = jax.jit(model.apply).lower(variables, x).cost_analysis()
  # Forward alone; the compiler leaves out the products with padded borders.
  assert 1 < gpu.products_of_resnet(config.net) / 3 / cost['flops'] < 1.2
