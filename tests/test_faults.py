"""Nothing is lost by a machine that dies: promises kept by real processes.

`make faults` kills 200 times where the tests kill 4 times.
"""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import types

import jax
import jax.numpy as jnp
import kinds
import numpy as np
import pytest
import toy

from assay import cli, disk, papers, results, train
from assay import config as config_lib
from assay.errors import UserError
from assay.study import Study
from assay.testbeds import tabular
from assay.train import checkpoint

KILLS = int(os.environ.get('ASSAY_KILLS', 2))
SEED = 0  # of the moments
SMOKE = (f'--config={papers.ROOT}/configs/c_mixup.py:smoke', '--save_every=0',
         '--steps_per_call=16', '--arms=erm,mixup', '--mesh=seed:2')


def start(workdir, *flags, **env):
  """The smoke study, two of its arms, in a process of its own."""
  return subprocess.Popen(
      [sys.executable, '-m', 'experiments.c_mixup', *SMOKE,
       f'--workdir={workdir}', *flags], cwd=papers.ROOT, text=True,
      stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | env)


def end(process, status=0):
  """Waits for a process; returns what it said of errors, no traceback."""
  _, text = process.communicate(timeout=240)
  assert process.returncode == status, text
  assert 'Traceback' not in text
  return text


def assert_same(workdir, whole, arms=('erm', 'mixup')):
  """Rows, predictions and curves are those of `whole`, and nothing else is."""

  def rows(folder):
    # A run is named after the commit, which says nothing of the numbers.
    return [row | {'run': ''} for row in results.read_rows(
        folder / 'rows.jsonl') if row['method'] in arms]

  assert rows(workdir) and rows(workdir) == rows(whole)
  for kind in ('predictions', 'curves'):
    assert {p.name for p in (workdir / kind).iterdir()} == {
        f'{arm}.0.npz' for arm in arms}
    for path in (workdir / kind).iterdir():
      assert path.read_bytes() == (whole / kind / path.name).read_bytes()
  assert not list(workdir.rglob('*tmp*'))


def here(workdir, *flags):
  """The same command in this process, whose programs are compiled."""
  return cli.main('c_mixup', [*SMOKE, f'--workdir={workdir}', *flags])


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  """The `folder` of an uninterrupted run, and its `seconds` of work."""
  folder, began = tmp_path_factory.mktemp('whole'), time.monotonic()
  assert here(folder) == 0
  return types.SimpleNamespace(folder=folder, seconds=time.monotonic() - began)


@pytest.fixture
def mount(tmp_path):
  """`mount(options)` makes a file system in memory, where that is permitted."""
  folder = tmp_path / 'mounted'
  folder.mkdir()

  def mounted(options):
    done = subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'tmpfs',
                           str(folder)], capture_output=True, text=True)
    if done.returncode:
      pytest.skip(f'may not mount a file system: {done.stderr.strip()}')
    return folder

  yield mounted
  while os.path.ismount(folder):
    subprocess.run(['umount', str(folder)], check=True)


def wait_for(path, process):
  """Returns once a file is there."""
  limit = time.monotonic() + 120
  while not path.exists():
    assert process.poll() is None and time.monotonic() < limit
    time.sleep(.01)


def test_killed_at_random_moments_loses_nothing(whole, tmp_path,
                                                record_property):
  """Moments of its work: nothing is there to lose while modules are imported.
  """
  random = np.random.default_rng(SEED)
  kills, ended = 0, 0
  print(f'seed {SEED} of the moments')  # pytest shows it where this fails
  while kills < KILLS:
    workdir = tmp_path / str(ended)
    (workdir / '.lock').unlink(missing_ok=True)
    # In the beginning of what there is left to do, so that few runs end.
    moment = random.uniform(0, whole.seconds / 2)
    process = start(workdir)
    wait_for(workdir / '.lock', process)
    try:
      process.wait(moment)
    except subprocess.TimeoutExpired:
      process.kill()
      process.communicate()
      kills += 1
      print(f'{moment:.2f} s in run {ended}')
      continue
    end(process)
    assert_same(workdir, whole.folder)
    ended += 1
  end(start(workdir))
  assert_same(workdir, whole.folder)
  record_property('measured', f'{kills} kills at work, in {ended + 1} runs of '
                  f'{whole.seconds:.0f} s of work')


def test_kills_and_damage_together_lose_nothing(whole, tmp_path, caplog):
  for site in ('before_save:32', 'renaming:0'):
    end(start(tmp_path, '--arms=erm', ASSAY_STOP_AT=site), -signal.SIGKILL)
  assert list((tmp_path / 'rows').glob('.erm.0.jsonl.*.tmp'))
  assert not list((tmp_path / 'rows').glob('*.jsonl'))
  for step in ('16', '32'):
    save = tmp_path / 'erm' / 'fit' / 'seeds_0-1' / step
    damaged(max(save.rglob('d/*'), key=lambda f: f.stat().st_size), 'truncate')
  assert here(tmp_path, '--arms=erm') == 0
  assert caplog.text.count('Skipping the checkpoint') == 2
  assert_same(tmp_path, whole.folder, ['erm'])


def test_what_killed_processes_left_of_files_is_removed(tmp_path):
  config = papers.configs('c_mixup').get_config('smoke')
  left = [tmp_path / folder / f'.rows.jsonl.{"0f" * 16}.tmp' for folder in (
      '', 'rows', 'runs', 'erm/fit/seeds_0-1')]
  kept = [tmp_path / name for name in ('.own.tmp', 'rows/erm.0.jsonl')]
  for path in left + kept:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('')
  Study('c_mixup', 'smoke', config, workdir=tmp_path).claim()
  assert not any(path.exists() for path in left)
  assert all(path.exists() for path in kept)


# --- Damaged saves -----------------------------------------------------------

def damaged(path, damage):
  """Truncates a file, flips a bit of it, empties or deletes it."""
  content = bytearray(path.read_bytes())
  if damage == 'delete':
    path.unlink()
  elif damage == 'flip' and content:
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
  else:
    path.write_bytes(content[:len(content) // 2 if damage == 'truncate' else 0])


def saved(step):
  """What is saved at a step: arrays small and large, whole and not."""
  key = jax.random.key(step)
  return {'carry': {'weights': jax.random.normal(key, (2, 128, 40)),
                    'half': jnp.arange(999.).astype(jnp.bfloat16) + step,
                    'flags': jnp.arange(2000) % 3 == step, 'key': key,
                    'step': jnp.full(2, step)},
          'curves': {'loss': jnp.arange(4000.) * step}}


def assert_saved(tree, step):
  raw = lambda tree: jax.tree.map(
      lambda x: jax.random.key_data(x) if jnp.issubdtype(
          x.dtype, jax.dtypes.prng_key) else x, tree)
  toy.assert_same_bits(raw(tree), raw(saved(step)))


@pytest.fixture(scope='module')
def saves(tmp_path_factory):
  """A folder with saves at steps 1 and 2."""
  folder = tmp_path_factory.mktemp('saves')
  manager = checkpoint.open_manager(folder)
  for step in (1, 2):
    checkpoint.save(manager, step, saved(step))
  manager.close()
  return folder


def files_of(folder):
  return sorted(path.relative_to(folder) for path in folder.rglob('*')
                if path.is_file())


@pytest.mark.parametrize('damage', [
    'truncate', 'flip', *kinds.nightly('empty', 'delete')])
def test_no_damaged_file_gives_another_state(damage, saves, tmp_path):
  skipped = []
  for file in files_of(saves / '2'):
    folder = tmp_path / str(file).replace('/', '_')
    shutil.copytree(saves, folder)
    damaged(folder / '2' / file, damage)
    try:
      tree = checkpoint.read(folder)
    except UserError as error:
      assert str(folder) in str(error)
    else:  # a save without its mark of success may be no save
      assert_saved(tree, int(tree['carry']['step'][0]))
    manager = checkpoint.open_manager(folder)
    step, tree = checkpoint.restore(manager, saved(0))
    assert_saved(tree, step)
    if step == 1:
      skipped.append(file)
    checkpoint.save(manager, 3, saved(3))  # and goes on
    manager.close()
    assert_saved(checkpoint.read(folder), 3)
  largest = max(files_of(saves / '2'), key=lambda f: (
      saves / '2' / f).stat().st_size)
  assert largest in skipped


def test_a_flipped_bit_of_any_array_is_noticed(saves):
  # As if the files had hidden it.
  tree = saved(2)['carry']
  for name in ('weights', 'half', 'flags', 'step'):
    changed = np.array(tree[name])
    changed.reshape(-1).view(np.uint8)[-1] ^= 1
    other = tree | {name: jnp.asarray(changed)}
    assert checkpoint._checksum(other) != checkpoint._checksum(tree), name
  swapped = tree | {'weights': tree['weights'][::-1]}
  assert checkpoint._checksum(swapped) != checkpoint._checksum(tree)


def test_starts_afresh_where_no_save_can_be_read(tmp_path, caplog):
  settings = train.Settings(save_every=0, steps_per_call=6)
  first = toy.fit(directory=tmp_path, settings=settings)
  for step in ('12', '18'):
    for file in files_of(tmp_path / step / 'default' / 'd'):
      damaged(tmp_path / step / 'default' / 'd' / file, 'empty')
  seen = []
  again = toy.fit(directory=tmp_path, settings=train.Settings(
      save_every=0, steps_per_call=6, progress=lambda s, *_: seen.append(s)))
  assert seen == [6, 12, 18]
  assert 'starting afresh' in caplog.text
  toy.assert_same_bits(again.state.params, first.state.params)


# --- Disks -------------------------------------------------------------------

def assert_told(text, workdir):
  last = text.splitlines()[-1]
  assert last.startswith(f'error: {workdir}') and 'Free space' in last, text


def test_a_full_disk_is_told_and_the_run_continues(whole, mount, tmp_path):
  folder = mount('size=900k')
  text = end(start(folder / 'w', '--arms=erm'), 2)
  assert 'No space left' in text
  assert_told(text, folder / 'w')
  shutil.copytree(folder / 'w', tmp_path / 'w')  # where there is space
  assert here(tmp_path / 'w', '--arms=erm') == 0
  assert_same(tmp_path / 'w', whole.folder, ['erm'])


def test_a_save_that_cannot_be_written_is_told(tmp_path):
  limit = 100_000  # bytes of a file; a save has a larger one
  process = start(tmp_path, '--arms=erm')
  resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))
  text = end(process, 2)
  assert 'File too large' in text
  assert_told(text, tmp_path)


def test_rows_that_cannot_be_written_are_told(tmp_path, monkeypatch):
  def full(*args):
    raise OSError(28, 'x')

  (tmp_path / 'a').write_text('before')
  monkeypatch.setattr(os, 'replace', full)
  with pytest.raises(UserError, match='a cannot be written: No space left'):
    disk.write_bytes(tmp_path / 'a', b'after')
  assert [path.name for path in tmp_path.iterdir()] == ['a']
  assert (tmp_path / 'a').read_text() == 'before'


def test_a_read_only_workdir_is_refused(mount, capsys):
  workdir = mount('ro') / 'w'
  assert here(workdir) == 2
  text = capsys.readouterr().err
  assert f'--workdir={workdir}: Read-only file system; choose a fol' in text


# --- Other processes, signals ------------------------------------------------

def test_a_killed_run_does_not_hold_its_workdir(tmp_path, capsys):
  process = start(tmp_path, '--config.net.num_epochs=100000')
  try:
    wait_for(tmp_path / 'config.json', process)
    assert here(tmp_path, '--config.net.num_epochs=100000') == 2
    assert 'another run is using' in capsys.readouterr().err
  finally:
    process.kill()
    process.communicate()
  config = papers.configs('c_mixup').get_config('smoke').unlock()
  config.net.num_epochs = 100000
  Study('c_mixup', 'smoke', config.lock(), workdir=tmp_path)


def test_terminated_before_the_first_call_ends(whole, tmp_path):
  # No program is cached there: it compiles first.
  workdir = tmp_path / 'w'
  process = start(workdir, '--arms=erm',
                  JAX_COMPILATION_CACHE_DIR=str(tmp_path / 'cache'))
  wait_for(workdir / 'erm' / 'fit' / 'seeds_0-1' / 'config.json', process)
  process.send_signal(signal.SIGTERM)
  text = end(process, 128 + signal.SIGTERM)
  assert 'stopped at step 16 of 32, saved' in text
  assert 'give the same command again' in text
  assert here(workdir, '--arms=erm') == 0
  assert_same(workdir, whole.folder, ['erm'])


@pytest.mark.skipif(os.environ.get('ASSAY_FAULTS') != '1',
                    reason='minutes: set ASSAY_FAULTS=1')
@pytest.mark.parametrize('paper', papers.names())
def test_sigterm_is_answered_within_seconds(paper, data_dir, tmp_path,
                                            record_property):
  """By the default variant of each paper, at its full size."""
  _, variant = config_lib.chosen(f'configs/{paper}.py')
  process = subprocess.Popen(
      [sys.executable, '-m', f'experiments.{paper}', '--save_every=0',
       f'--config=configs/{paper}.py:{variant}', f'--workdir={tmp_path}',
       f'--data_dir={data_dir}'], cwd=papers.ROOT, text=True,
      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
  try:
    while not list(tmp_path.glob('*/*/seeds_*/[1-9]*')):
      assert process.poll() is None, process.stderr.read()
      time.sleep(.1)
    time.sleep(10)  # calls are as long as they will be
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, text = process.communicate(timeout=100)
  finally:
    process.kill()
  seconds = time.monotonic() - began
  assert process.returncode == 128 + signal.SIGTERM, text
  assert 'give the same command again' in text
  record_property('measured', f'{paper} {seconds:.1f} s')
  assert seconds < 15


# --- Seeds -------------------------------------------------------------------

def test_a_seed_that_diverges_leaves_the_others_as_they_are(tmp_path):
  config = papers.configs('c_mixup').get_config('smoke')
  diverging = []

  def prepare(config, block, source):
    del config
    huge = np.array([seed in diverging for seed in block.seeds])
    return source._replace(own=source.own | {'huge': huge})

  def draw_of(config, draw):
    del config

    def drawn(shared, own, item, key):
      batch = draw(shared, own, item, key)
      return batch | {'y': jnp.where(own['huge'], 1e30, batch['y'])}

    return drawn

  def run(name):
    study = Study('c_mixup', 'smoke', config, workdir=tmp_path / name,
                  num_seeds=3, only=('erm',))
    return tabular.run(config, study, dict.fromkeys(
        config.arms, tabular.Arm(draw=draw_of, prepare=prepare)))

  healthy = run('healthy')
  diverging.append(1)
  rows = run('diverged')
  of = lambda rows, *seeds: [row for row in rows if row['seed'] in seeds]
  assert of(rows, 0, 2) == of(healthy, 0, 2)
  assert len(rows) == len(healthy)
  for row in of(rows, 1):
    assert row['value'] is None and 'not finite' in row['why']
  assert of(healthy, 1) and None not in [row['value'] for row in healthy]
