"""What a run will take, said before anything is made."""

import functools
import os
import subprocess
import sys

import jax
from jax.sharding import PartitionSpec as P
import kinds
import numpy as np
import optax
import pytest
import toy

from assay import cli, papers, train
from assay.data import files, images, tabular
from assay.errors import UserError
from assay.train import dry_run, items, loop


def figures(seeds=(0,), mesh=None, rules=(), **more):
  """What a dry run of the toy finds."""
  forms = {k: more.pop(k) for k in ('seed_map', 'steps_per_call') if k in more}
  settings = train.Settings(
      mesh=mesh or {'seed': 1}, **forms,
      dry_run=functools.partial(dry_run.stop, 'toy', seeds))
  with pytest.raises(dry_run.DryRun) as stopped:
    toy.fit(seeds, settings=settings, rules=rules, **more)
  return stopped.value.figures


# float32: w [3, 8], b [8], v [8, 1]; a rule may split w over two devices.
WHOLE = {'w': 96, 'b': 32, 'v': 32}
HALVED = WHOLE | {'w': 48}
# step 4, key 8 and the mark of a seed that diverged 4.
REST = 16
# x [48, 3] and y [48, 1]; 2 lists of 24 rows and one number of steps.
SHARED, OWN = 768, 2 * 24 * 4 + 4


@pytest.mark.parametrize('rules,want,spec', [
    ((), WHOLE, P()), ((('/w', P(None, 'model')),), HALVED, P(None, 'model'))])
def test_bytes_are_those_worked_out_by_hand(rules, want, spec):
  got = figures(mesh={'seed': 1, 'model': 2}, rules=rules)
  assert {path: size for path, *_, size in got['params']} == want
  assert {path: found for path, _, _, found, _ in got['params']} == {
      'w': spec, 'b': P(), 'v': P()}
  params = sum(want.values())
  assert got['bytes'] == {
      'parameters': params, 'optimizer state': 2 * params + 4,  # Adam's count
      'rest of the state': REST,
      'best so far': params + 8,  # its value and step
      'data, shared': SHARED, 'data, own': OWN, 'other seeds': 0}
  # The compiler agrees: its arguments are these, the 18 items of 4 rows, and
  # the number of points.
  call = got['calls']['training']
  assert call['arguments'] == sum(
      got['bytes'].values()) + 18 * toy.BATCH * 4 + 4
  assert call['peak'] >= call['arguments'] + call['temporaries']
  assert call['flops'] > 0
  assert list(got['calls']) == ['training']
  assert got['steps_per_call'] == got['num_steps'] == 18


def test_seeds_and_batches_are_spread_over_their_axes():
  got = figures((0, 1, 2), mesh={'seed': 2, 'data': 2})
  assert got['seeds_per_device'] == 2  # one of the four is padding
  assert got['bytes']['parameters'] == 2 * sum(WHOLE.values())
  assert got['bytes']['data, shared'] == SHARED
  assert got['mesh'] == {'seed': 2, 'data': 2, 'model': 1}
  assert (got['batch'], got['batch_per_host'], got['batch_per_device']) == (
      4, 4, 2)


def test_what_devices_exchange_is_counted():
  exchanged = lambda **more: figures(**more)['calls']['training']['collectives']
  assert exchanged(seeds=(0, 1), mesh={'seed': 2}) == {}
  # The gradient of each parameter, and the loss, in one.
  assert exchanged(mesh={'data': 2}, select=None) == {
      'all-reduce': (1, sum(WHOLE.values()) + 4)}
  text = dry_run.show(figures(mesh={'data': 2}, select=None))
  assert '\n  all-reduce                 164 B in 1' in text


def test_collectives_of_a_program_are_read_from_its_text():
  assert dry_run.collectives("""
    %a = f32[2,6]{1,0} all-reduce(%x), channel_id=1, to_apply=%add
    %b = (f32[5]{0}, /*index=1*/bf16[]) all-reduce(%y, %z), channel_id=2
    %c = bf16[4,8]{1,0} all-gather-start(%x), dimensions={0}
    %d = bf16[4,8]{1,0} all-gather-done(%c)
    %e = f32[7]{0} fusion(%x), calls=%all-reduce.clone
  """) == {'all-reduce': (2, 48 + 22), 'all-gather': (1, 64)}


def test_one_lane_is_reported_and_those_that_share_its_devices():
  got = figures((0, 1, 2), mesh={'seed': 2}, seed_map='loop', steps_per_call=1)
  params = sum(WHOLE.values())
  assert got['bytes']['parameters'] == params
  carry = params + (2 * params + 4) + REST + (params + 8)
  assert got['bytes']['other seeds'] == carry + OWN  # the third, on the first
  assert list(got['calls']) == ['training', 'selection']  # between calls
  text = dry_run.show(got)
  assert '1 step a call; seeds one after another' in text
  assert 'other seeds included' in text


@pytest.mark.parametrize('form', ['vmap', 'loop'])
def test_what_is_compiled_is_what_training_calls(form):
  run, seeds, rules = {}, (0, 1, 2), (('params/w', P(None, 'data')),)

  def stop(**arguments):
    run.update(arguments)
    raise StopIteration

  with pytest.raises(StopIteration):
    toy.fit(seeds, rules=rules, settings=train.Settings(
        mesh={'seed': 2, 'data': 2}, seed_map=form, dry_run=stop))
  lanes = run['lanes']
  args, batch = dry_run._arguments(*(run[k] for k in (
      'lanes', 'started', 'rules', 'draw', 'source', 'shape')))
  call = loop.Call(0, 6, 1, run['shape'])
  real = (lanes.start(run['started'], seeds, rules)[0],
          lanes.share((run['source'].shared, np.int32(call.rows)))[0],
          lanes.put(run['source'].own)[0],
          items.put(run['source'], call, lanes)[0])
  program = lanes.program(run['chunk'], lanes.meshes[0])
  assert program.lower(*args).as_text() == program.lower(*real).as_text()
  assert batch == toy.BATCH


def test_a_state_of_terabytes_is_never_made(tmp_path, monkeypatch):
  """Nor is anything else: to allocate it, or to run a step, would raise."""
  side = 2**20

  def never(*args, **kwargs):
    raise AssertionError('something was put on a device')

  def init_variables(key):
    return {'params': {'w': jax.random.normal(key, (side, side))}}

  def loss_fn(params, extra, batch, key):
    out = batch['x'][:, :1] @ params['w'][:1]
    return (out ** 2).mean(), (extra, {})

  monkeypatch.setattr(jax, 'device_put', never)
  tx = optax.adam(1e-3)
  with pytest.raises(dry_run.DryRun) as stopped:
    train.fit(
        train.make_init(init_variables, tx),
        train.make_step(jax.value_and_grad(loss_fn, has_aux=True), tx),
        toy.draw, toy.source((0,)), seeds=(0,), num_steps=10**6,
        eval_every=10**3, directory=tmp_path / 'saves', settings=train.Settings(
            mesh={'data': 4}, progress=never, dry_run=functools.partial(
                dry_run.stop, 'huge', (0,))))
  assert not (tmp_path / 'saves').exists()
  assert stopped.value.figures['bytes']['parameters'] == side**2  # a quarter
  text = str(stopped.value)
  for words in ('huge, seed 0, 1,000,000 steps', 'seed:1, data:4, model:1',
                'float32 [1048576, 1048576]', "P('data')", '1 TiB', '2 TiB',
                'batch             4 of each seed; 4 per host, 1 per device'):
    assert words in text


def test_a_batch_that_does_not_split_is_refused():
  with pytest.raises(UserError, match='batch of 4 .* data:3'):
    toy.fit((0,), settings=train.Settings(mesh={'data': 3}, dry_run=print))


def test_sizes_are_read_by_people():
  sizes = {0: '0 B', 1023: '1023 B', 1536: '1.5 KiB', 2**20: '1 MiB',
           5 * 2**30: '5 GiB', 2**52: '4096 TiB'}
  assert {n: dry_run._size(n) for n in sizes} == sizes


def test_the_command_says_it_and_writes_nothing(capsys, tmp_path, monkeypatch):
  monkeypatch.chdir(papers.ROOT)
  status = cli.main('c_mixup', ['--config=configs/c_mixup.py:smoke',
                                '--dry_run', f'--workdir={tmp_path / "w"}'])
  out = capsys.readouterr().out
  assert status == 0
  assert not list(tmp_path.iterdir())
  for word in ('c_mixup:smoke', 'nothing was trained', 'erm, seeds 0 to 1',
               'hidden_0/affine/kernel', 'optimizer state', 'temporaries',
               'peak', 'flops'):
    assert word in out


def test_a_study_without_training_is_said_to_have_none(capsys, tmp_path,
                                                       monkeypatch):
  monkeypatch.chdir(papers.ROOT)
  monkeypatch.setattr(papers.load('c_mixup'), 'run',
                      lambda config, study: study.rows())
  assert cli.main('c_mixup', ['--config=configs/c_mixup.py:smoke', '--dry_run',
                              f'--workdir={tmp_path / "w"}']) == 0
  assert 'nothing would be trained' in capsys.readouterr().out
  assert not list(tmp_path.iterdir())


def test_a_mesh_larger_than_the_machine(tmp_path):
  env = os.environ | {'JAX_NUM_CPU_DEVICES': '1'}
  done = subprocess.run(
      [sys.executable, '-m', 'experiments.useful', '--dry_run',
       '--config=configs/useful.py:smoke', '--mesh=data:128,model:2',
       '--config.net.batch_size=256',
       '--config.net.split_sizes=(256,64,64)',
       f'--workdir={tmp_path / "w"}'],
      cwd=papers.ROOT, env=env, capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr
  assert 'seed:1, data:128, model:2; 256 devices' in done.stdout
  assert '256 of each seed; 256 per host, 2 per device' in done.stdout
  assert not list(tmp_path.iterdir())


FOR_GPUS = [(paper, variant) for paper in papers.names()
            for variant, text in papers.configs(paper).VARIANTS.items()
            if '(GPU)' in text]


@pytest.mark.nightly
@pytest.mark.parametrize('paper,variant', FOR_GPUS)
def test_what_is_for_gpus_compiles_at_its_size(paper, variant, no_data,
                                               monkeypatch, capsys):
  monkeypatch.chdir(papers.ROOT)
  assert cli.main(paper, [f'--config=configs/{paper}.py:{variant}',
                          '--dry_run']) == 0
  assert 'nothing was trained' in capsys.readouterr().out


@pytest.fixture
def no_data(monkeypatch):
  """A clean machine: to look for a file, or to fetch one, is an error."""
  def never(*args):
    raise AssertionError(f'{args} was looked for')

  monkeypatch.setattr(files.search, '_find', never)


@pytest.mark.parametrize('paper,fields,told', [
    ('c_mixup', ['--config.net.dataset=airfoil'], 'airfoil'),
    ('useful', ['--config.net.dataset=cifar10'], 'cifar10'),
    ('useful', [], None),  # what is shipped with scikit-learn is read
    *kinds.nightly(('gpicl', ['--config.net.dataset=mnist',
                              '--config.net.num_inputs=4'], 'mnist'))])
def test_no_data_are_needed(paper, fields, told, no_data, monkeypatch, capsys):
  monkeypatch.chdir(papers.ROOT)
  assert cli.main(paper, [f'--config=configs/{paper}.py:smoke', '--dry_run',
                          *fields]) == 0
  out = capsys.readouterr().out
  assert 'nothing was trained' in out
  assert ('No file was read of' in out) == (told is not None)
  assert told is None or f'read of {told}' in out


def test_what_is_made_up_is_as_described(no_data):
  """Loaders assert shapes, ranges and counts of it as of what is read."""
  described = files.Described()
  for name, spec in images.IMAGES.items():
    table = images.load(name, described)
    for part in images.PARTS:
      assert table[f'{part}_x'].shape[1:] == spec['shape']
      assert tuple(np.bincount(table[f'{part}_y'])) == spec[f'{part}_counts']
  for name in images.TEST_ONLY:
    images.load_test(name, described)
  for name in tabular.TABLES:
    assert len(tabular.load(name, described)['x']) == (
        tabular.TABLES[name]['num_rows'])
  assert 'digits' not in described.names and 'svhn_cropped' in described.names
