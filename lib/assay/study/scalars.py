"""Learning curves as TensorBoard reads them.

    tensorboard --logdir=out/c_mixup/diabetes/tensorboard

A run for each seed, `<arm>/seed_3`, and one for the mean over those seeds of
the block that have not diverged, `<arm>/mean_of_seeds_0-9`. They have the last
point of each call; `curves/` in the workdir has every point.
"""

import pathlib

import numpy as np

from assay.errors import UserError
from assay.study import progress


class Scalars:
  """Records the metrics of each report; see `progress`.

  Raises:
    UserError: tensorboardX is not installed.
  """

  def __init__(self, folder):
    try:
      import tensorboardX
    except ImportError as error:
      raise UserError('--tensorboard needs tensorboardX, which is not '
                      'installed: pip install tensorboardX') from error
    self._make = tensorboardX.SummaryWriter
    self._folder = pathlib.Path(folder)
    self._stages = progress.Stages()
    self._fit, self._eval_every, self._start = None, None, 0
    self._writers = {}

  def __enter__(self):
    return self

  def __exit__(self, *error):
    self._close()

  def starting(self, step, coming, eval_every, lengths):
    del coming, lengths
    self._stages.starting()
    self._eval_every, self._start = eval_every, step

  def __call__(self, arm, seeds, step, num_steps, metrics):
    fit = arm, tuple(seeds), self._stages.of(arm, seeds)
    if fit != self._fit:
      self._close()
      self._fit = fit
    if not progress.whole(step, num_steps, self._eval_every):
      return
    for name, values in metrics.items():
      # A seed that diverged, or is past its own steps, has no loss.
      kept = np.isfinite(values) & np.isfinite(metrics['loss'])
      for seed, value in zip(np.array(seeds)[kept], values[kept], strict=True):
        self._writer(f'seed_{seed}').add_scalar(name, value, step)
      if len(seeds) > 1 and kept.any():
        mean = f'mean_of_{progress.name_of(seeds)}'.replace(' ', '_')
        self._writer(mean).add_scalar(name, np.mean(values[kept]), step)

  def _writer(self, run):
    if run not in self._writers:
      arm, _, stage = self._fit
      folder = self._folder / (arm + f',stage={stage}' * (stage > 1)) / run
      # Points that an interrupted run made after its last save are dropped.
      self._writers[run] = self._make(str(folder), purge_step=self._start + 1)
    return self._writers[run]

  def _close(self):
    for writer in self._writers.values():
      writer.close()
    self._writers = {}
