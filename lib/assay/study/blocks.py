"""A block: seeds of one arm that are trained together, and what they leave.

    fitted = block.fit('fit', config, init, step, draw, source, num_steps=100,
                       eval_every=10)
    with block.recorder(fitted, dataset='airfoil', method='erm') as add:
      add('rmse', regression.rmse, predictions, y, split='test')
      add.save(last=predictions, y=y)
"""

import dataclasses
import functools
import math
import re

import jax
import numpy as np

from assay import disk, results, train
from assay.train import fits, sharding, whose

FOLDER = re.compile(r'seeds_(\d{1,18})-(\d{1,18})')  # of a block's checkpoints


@dataclasses.dataclass(frozen=True)
class Block:
  """Seeds of one arm that are trained together; see `Settings.tolerant`."""
  study: object  # the `Study`
  arm: str
  seeds: tuple
  tolerant: bool = False

  @property
  def name(self):
    return f'{self.arm}.{self.seeds[0]}'

  @property
  def settings(self):
    """The study's settings, with reports under the arm's name."""
    settings = self.study.settings
    report = functools.partial(self.study.progress, self.arm, self.seeds)
    return dataclasses.replace(
        settings, progress=report, tolerant=self.tolerant,
        announce=self.study.announce,
        dry_run=settings.dry_run and functools.partial(
            settings.dry_run, self.arm, self.seeds))

  def directory(self, stage):
    """Where this block's checkpoints of a stage go; None without a workdir."""
    if self.study.workdir is None:
      return None
    return (self.study.workdir / self.arm / stage
            / f'seeds_{self.seeds[0]}-{self.seeds[-1]}')

  def claim(self, stage, config):
    """Makes that folder, once all has been checked, and says whose it is.

    Raises:
      UserError: what is described there is another block.
    """
    self.study.claim()
    mine = self.directory(stage)
    if mine is None:
      return
    folder = mine.parent
    if not mine.exists() and folder.exists():
      done = {row['seed'] for row in self.study.rows_of(self.arm)}
      for other in folder.glob('seeds_*'):
        if not (named := FOLDER.fullmatch(other.name)):
          continue  # a copy that somebody made
        first, last = map(int, named.groups())
        if last - first >= len(done) or not done.issuperset(
            range(first, last + 1)):
          self.study.announce(
              f'{self.arm}: seeds {self.seeds[0]} to {self.seeds[-1]} start '
              f'afresh; the unfinished block {first} to {last} was grouped '
              'otherwise.')
    if jax.process_index() == 0:
      owner = self.label(stage, config) | {'seeds': list(self.seeds)}
      file = mine / 'config.json'
      if file.exists():
        whose.check(file, disk.read_json(file, {'config': dict}), owner)
      disk.write_json(file, owner)

  def label(self, stage, config):
    """What this block's training of a stage is called, see `train.whose`."""
    return {'paper': self.study.paper, 'variant': self.study.variant,
            'arm': self.arm, 'stage': stage, 'config': config.to_dict()}

  def fit(self, stage, config, init, step, draw, source, *, num_steps,
          eval_every, select=None, watch=None, rules=()):
    """Trains the block's seeds, or continues, or reads what is kept.

    See `train.fit`, and `fits`: from now on the rows of the arm stand on these.

    Args:
      stage: names the folder of its checkpoints; an arm may train in several.
      config: ConfigDict that is written beside them.
      init, step, draw, source, num_steps, eval_every, select, watch, rules: as
        `train.fit` takes them.

    Returns:
      A `train.Fitted`.

    Raises:
      What `train.fit` raises.
    """
    fitted = train.fit(
        init, step, draw, source, seeds=self.seeds, num_steps=num_steps,
        eval_every=eval_every, select=select, watch=watch, rules=rules,
        directory=self.directory(stage), settings=dataclasses.replace(
            self.settings, checked=lambda: self.claim(stage, config),
            label=self.label(stage, config)))
    self.study.stand_on(self.arm, fitted)
    return fitted

  def outputs(self, fitted, predict, shared, own, num_rows, state='last'):
    """What networks say about a split; kept where the networks are.

    Args:
      fitted: from `fit`.
      predict: from `evaluate.predictor`.
      shared, own, num_rows: as `predict` takes them.
      state: 'last' or 'best', whose parameters.

    Returns:
      (predictions [S, n, Q], y [S, n, ...]) on the host.
    """
    found = fitted.best if state == 'best' else fitted.state
    return fits.outputs(self.study.settings.fits, fitted.keys, state, predict,
                        found, shared, own, num_rows)

  def recorder(self, fitted=None, *, step=0, num_params=None, states=('last',),
               **fields):
    """A `Recorder`: a context whose end finishes the block.

    Args:
      fitted: what `fit` gave, or None where nothing was trained.
      step: of rows where nothing was trained; an integer, or [S] of them.
      num_params: of one seed; default the size of `fitted.state.params`.
      states: of rows where nothing was trained, those that they may name.
      **fields: of all rows: `dataset`, `method` and the swept ones.
    """
    if num_params is None:
      num_params = 0 if fitted is None else sum(
          math.prod(x.shape[1:]) for x in jax.tree.leaves(fitted.state.params))
    steps = dict.fromkeys(states, step) if fitted is None else {
        'last': fitted.state.step} | (
            {'best': fitted.best.step} if fitted.best is not None else {})
    return Recorder(
        self, {k: np.broadcast_to(v, len(self.seeds)) for k, v in
               sharding.fetch(steps).items()}, fields,
        {} if fitted is None else fitted.why,
        {} if fitted is None else dict(fitted.curves), num_params)

  def row(self, seed, metric, value, *, dataset, method, split, n, step, state,
          group='', why='not finite', **sweep):
    """One row; a value that is not finite becomes null with a reason.

    Of a classifier `wrong` may be given, bool [n]: see `results.pack`.
    """
    row = {'paper': self.study.paper, 'config': self.study.variant,
           'run': self.study.run, 'dataset': dataset, 'method': method,
           'seed': int(seed), 'split': split, 'group': group, 'metric': metric,
           'value': float(value), 'n': int(n), 'step': int(step),
           'state': state} | sweep
    if 'wrong' in row:
      row['wrong'] = results.pack(row['wrong'])
    if not np.isfinite(row['value']):
      row.pop('wrong', None)
      row |= {'value': None, 'why': why}
    return row

  def finish(self, rows, predictions, curves, num_params):
    """Writes the block; it is done then, and not run again."""
    self.study.finish(self, rows, {'predictions': predictions,
                                   'curves': curves}, num_params=num_params)


class Recorder:
  """Collects a block's rows and predictions; see `Block.recorder`.

  Attributes:
    why: position of a seed that diverged -> the reason; its values are null.
    curves: name -> array, written at the end; those of the training at first.
    num_params: of one seed.
  """

  def __init__(self, block, steps, fields, why, curves, num_params):
    self.why, self.curves = why, curves
    self._block, self._steps, self._fields = block, steps, fields
    self.num_params = num_params
    self._rows, self._saved = [], {'seeds': np.array(block.seeds)}

  def __enter__(self):
    return self

  def __exit__(self, kind, error, trace):
    if kind is None:
      self._block.finish(self._rows, self._saved, self.curves,
                         self.num_params)

  def __call__(self, metric, values, /, *arrays, n=None, **more):
    """Adds one row for each of the S seeds.

    Args:
      metric: its name.
      values: a number for all seeds; [S] numbers; or a function, called for
        each seed that did not diverge, with its part of each of the arrays.
      *arrays: [S, ...] each.
      n: examples behind a value; default how many the last array has of a
        seed.
      **more: as `one` takes them, or an array or list with the [S] of them.

    Raises:
      ValueError: an array has another number of seeds.
    """
    num_seeds = len(self._block.seeds)
    if not callable(values):
      values = np.broadcast_to(values, num_seeds)
    if n is None and arrays:
      n = np.shape(arrays[-1])[1]
    for name, array in enumerate(arrays):
      self._check(f'array {name} of {metric}', array)
    more = {'n': n} | more
    of_each = {k: v for k, v in more.items()
               if isinstance(v, (np.ndarray, list, tuple, jax.Array))}
    for name, array in of_each.items():
      self._check(f'{name} of {metric}', array)
    for i in range(num_seeds):
      value = None
      if i not in self.why:
        value = values(*(array[i] for array in arrays)) if callable(
            values) else values[i]
      self.one(i, metric, value, **more | {k: v[i] for k, v in of_each.items()})

  def one(self, position, metric, value, /, *, split, n, state='last', group='',
          step=None, why='not finite', **more):
    """Adds a row of one seed.

    Args:
      position: of the seed in the block, 0 .. S - 1.
      metric, split, n, group: fields of the row.
      value: number; null is written where it is not finite, or None, or where
        the seed diverged.
      state: `last`, or `best` where training selected one.
      step: updates done; default those of this state of the seed.
      why: the reason for null, unless the seed diverged.
      **more: fields of this row.
    """
    if state not in self._steps:
      raise ValueError(f'state={state!r} of {metric}: training left '
                       f'{" and ".join(self._steps)}; use one of these.')
    if n is None:
      raise ValueError(f'{metric}: give n, the number of examples behind it.')
    broken = position in self.why or value is None
    self._rows.append(self._block.row(
        self._block.seeds[position], metric, np.nan if broken else value,
        split=split, n=n, state=state, group=group,
        step=self._steps[state][position] if step is None else step,
        why=self.why.get(position, why), **self._fields | more))

  def save(self, **arrays):
    """Keeps arrays [S, ...] with the block's predictions."""
    for name, array in arrays.items():
      self._check(name, array)
    self._saved |= sharding.fetch(arrays)

  def _check(self, name, array):
    if np.shape(array)[:1] != (len(self._block.seeds),):
      raise ValueError(
          f'{name} has shape {np.shape(array)}; its first axis must be that of '
          f'the {len(self._block.seeds)} seeds of {self._block.name}.')
