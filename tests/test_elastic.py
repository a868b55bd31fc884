"""Saved on eight devices, continued on one, two and four: the same training."""

import os
import shutil
import subprocess
import sys
import textwrap

import chex
import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P
import kinds
import numpy as np
import optax
import pytest
import toy

from assay import train
from assay.train import checkpoint

STEPS, BATCH, STEPS_PER_CALL = 50, 8, 5
SAVED_AT = STEPS // 2
RULES = (('w', P(None, 'data')), ('b', P('data')))  # and their moments


def loss_fn(params, extra, batch, key):
  """The toy's, with a number that changes with any bit of the batch."""
  loss, (extra, _) = toy.loss_fn(params, extra, batch, key)
  bits = jax.lax.bitcast_convert_type(batch['x'], jnp.uint32)
  odd = 2 * jnp.arange(bits.size, dtype=jnp.uint32).reshape(bits.shape) + 1
  drawn = jnp.sum(bits * odd) % 2**24  # exact in float32, in any order
  return loss, (extra, {'drawn': drawn.astype(jnp.float32)})


def source(seeds):
  """The toy's, in batches that eight devices can share."""
  items = lambda position, start, stop: np.stack([
      np.random.default_rng((3, seeds[position], t)).integers(
          0, toy.ROWS, BATCH) for t in range(start, stop)])
  return toy.source(seeds)._replace(items=items)


def fit(num_seeds, mesh, directory=None, **settings):
  """Trains on a mesh; every step is a point of the curves."""
  tx = optax.adam(1e-2)
  seeds = tuple(range(num_seeds))
  return train.fit(
      train.make_init(toy.init_variables, tx),
      train.make_step(jax.value_and_grad(loss_fn, has_aux=True), tx), toy.draw,
      source(seeds), seeds=seeds, num_steps=STEPS, eval_every=1,
      select=toy.select, rules=RULES, directory=directory,
      settings=train.Settings(mesh=mesh, steps_per_call=STEPS_PER_CALL,
                              **settings))


def save_half(folder):
  """Trains half of the steps on eight devices, by `data` and by `seed`."""
  assert jax.device_count() == 8
  save = checkpoint.save

  def spy(manager, step, tree, owner):
    print('saved', step, *tree['carry'].state.params['w'].sharding.shard_shape(
        tree['carry'].state.params['w'].shape))
    save(manager, step, tree, owner)

  checkpoint.save = spy
  for axis, num_seeds in (('data', 2), ('seed', 8)):
    seen = []
    try:
      fit(num_seeds, {axis: 8}, os.path.join(folder, axis),
          progress=lambda step, *_, s=seen: s.append(step),
          stopping=lambda s=seen: s[-1] >= SAVED_AT)
    except checkpoint.Interrupted:
      pass


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
  """The folder of `save_half`, from a process that has eight devices."""
  folder = tmp_path_factory.mktemp('eight')
  script = textwrap.dedent(f'''
      import sys
      sys.path.insert(0, {os.path.dirname(__file__)!r})
      import test_elastic
      test_elastic.save_half({str(folder)!r})
  ''')
  done = subprocess.run(
      [sys.executable, '-c', script], capture_output=True, text=True,
      timeout=240, env=os.environ | {'JAX_NUM_CPU_DEVICES': '8'})
  # w is [S, 3, 8]: split over `data` by its rule, or over seeds.
  assert done.stdout.split('\n')[:2] == [
      f'saved {SAVED_AT} 2 {toy.DIMS} 1',
      f'saved {SAVED_AT} 1 {toy.DIMS} 8'], done.stderr
  return folder


@pytest.fixture(scope='module')
def whole():
  """Without an interruption, on one device; for each number of seeds."""
  return {num_seeds: fit(num_seeds, {'seed': 1}) for num_seeds in (2, 8)}


@pytest.mark.parametrize('axis, devices', [
    ('data', 4), ('seed', 1), *kinds.nightly(
        ('data', 1), ('data', 2), ('seed', 2), ('seed', 4))])
def test_saved_on_eight_continues_on_fewer(axis, devices, saved, whole,
                                           tmp_path, record_property):
  num_seeds = {'data': 2, 'seed': 8}[axis]
  folder = tmp_path / axis
  shutil.copytree(saved / axis, folder)  # each continues from the same save
  seen = []
  mesh = {'seed': 1, 'data': 1} | {axis: devices}
  got = fit(num_seeds, mesh, folder, progress=lambda s, *_: seen.append(s))
  assert seen[0] == SAVED_AT + STEPS_PER_CALL
  want = whole[num_seeds]
  np.testing.assert_array_equal(got.curves['drawn'], want.curves['drawn'])
  assert len(np.unique(want.curves['drawn'])) > .9 * STEPS * num_seeds
  chex.assert_trees_all_close(got.curves, want.curves, rtol=1e-5, atol=1e-6)
  chex.assert_trees_all_close(
      got.state.params, want.state.params, rtol=1e-5, atol=1e-6)
  chex.assert_trees_all_close(
      got.best.params, want.best.params, rtol=1e-5, atol=1e-6)
  gap = max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(
      *map(jax.tree.leaves, jax.device_get(
          (got.state.params, want.state.params))), strict=True))
  record_property('measured', f'{axis}:8 to {axis}:{devices}: {gap:.1g}')
