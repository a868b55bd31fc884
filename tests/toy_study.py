"""A study of the toy, in this process or in one of its own.

    python tests/toy_study.py WORKDIR [wait]
"""

import sys
import time

import jax
import ml_collections
import optax
import toy

from assay import errors, train
from assay.stores import lease
from assay.study import Study
from assay.train import checkpoint, hosts

ARMS, SEEDS = ('erm', 'other'), 2


def study(workdir=None, **fields):
  settings = {'save_every': 0., 'steps_per_call': 6} | fields.pop(
      'settings', {})
  return Study('made_up', 'small', ml_collections.ConfigDict(dict(
      arms=ARMS, num_seeds=SEEDS, seed_varies='fresh', scale='reduced',
      width=8)).lock(), workdir=workdir, settings=train.Settings(**settings),
               **fields)


def run(made):
  """The rows of a `Study`."""
  for arm in made.config.arms:
    for block in made.blocks(arm):
      tx = optax.adam(1e-2 if arm == 'erm' else 1e-3)
      source = toy.source(block.seeds)
      fitted = block.fit(
          'fit', made.config, train.make_init(toy.init_variables, tx),
          train.make_step(jax.value_and_grad(toy.loss_fn, has_aux=True), tx),
          toy.draw, source, num_steps=18, eval_every=toy.STEPS_PER_EPOCH,
          select=toy.select)
      with block.recorder(fitted, dataset='made', method=arm) as add:
        add('rmse', fitted.curves['val'][-1], split='test', n=toy.ROWS)
        add.save(v=fitted.state.params['v'])
  return made.rows()


def main(workdir, wait=''):
  """Prints a line after each call, and waits to be stopped if it is to."""
  lease.EVERY = .5
  if jax.config.jax_num_cpu_devices < 0:
    jax.config.update('jax_num_cpu_devices', 4)  # as in conftest

  def progress(arm, seeds, step, *more):
    print(arm, step, flush=True)
    while wait and not stopping():
      time.sleep(.05)

  hosts.join()
  with checkpoint.signals() as stopping, hosts.together():
    try:
      run(study(workdir, progress=progress, settings={'stopping': stopping}))
    except checkpoint.Interrupted:
      return 143
    except errors.UserError as error:
      print(f'error: {errors.plain(error)}', file=sys.stderr)
      return 2
  return 0


if __name__ == '__main__':
  sys.exit(main(*sys.argv[1:]))
