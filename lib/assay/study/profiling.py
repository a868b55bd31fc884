"""A trace of some steps of a run, for xprof or Perfetto."""

import contextlib
import pathlib

from assay.errors import UserError


class Profile:
  """Traces the calls that hold a range of steps, once; see `progress`.

  They are those of the first fit that makes these steps. Nothing but time
  changes by it.

  Args:
    steps: (10, 20) for the steps 10 to 19, counted from 0.
    folder: where the trace goes.
    say: called with messages for the user.
  """

  def __init__(self, steps, folder, say):
    self._first, self._end = steps
    self._folder = pathlib.Path(folder)
    self._say = say
    self._done = False
    self._since = None  # the first step of the trace that is on
    self._annotation = contextlib.ExitStack()

  def __enter__(self):
    return self

  def __exit__(self, kind, *error):
    if self._since is not None:
      self._stop(None)
    elif not self._done and kind is None:
      self._say(f'--profile={self._first}:{self._end}: nothing was traced, '
                'since no fit had these steps still to make.')

  def starting(self, step, coming, eval_every, lengths):
    """Before the first call of a fit.

    Raises:
      UserError: the fit never makes these steps.
    """
    del eval_every
    self._start, self._coming, self._calls = step, coming, 0
    if self._since is not None:  # a fit ended early, as all seeds diverged
      self._stop(None)
    if not self._done and self._first >= max(lengths):
      raise UserError(f'--profile={self._first}:{self._end}: there are only '
                      f'{max(lengths)} steps; use a smaller range.')
    self._before_call(step)

  def __call__(self, arm, seeds, step, num_steps, metrics):
    del seeds, metrics
    self._annotation.close()
    if self._since is not None and step >= min(self._end, num_steps):
      self._stop(step, arm)
    if step < num_steps:
      self._before_call(step)

  def _before_call(self, step):
    """Starts the trace if it is time, and names the call in it."""
    import jax

    if not self._done and self._since is None and (
        self._first < step + self._coming() and step < self._end):
      # JAX makes Perfetto's file of one host's trace only.
      jax.profiler.start_trace(
          self._folder, create_perfetto_trace=jax.process_count() == 1)
      self._since = step
    if self._since is not None:
      self._calls += 1
      self._annotation.enter_context(
          jax.profiler.StepTraceAnnotation('call', step_num=step))

  def _stop(self, step, arm=''):
    """Ends the trace after a step, or None where the run itself ends."""
    import jax

    self._annotation.close()
    jax.profiler.stop_trace()
    since, self._since, self._done = self._since, None, True
    upto = 'until the run stopped' if step is None else f'to {step - 1}'
    of = f' of {arm}' if arm else ''
    self._say(
        f'Traced steps {since} {upto}{of}, in {self._calls} call'
        + 's' * (self._calls != 1)
        + ', with compiling' * (since == self._start)
        + f': {self._folder}/plugins/profile/. To look at it: pip install '
        f'xprof; xprof --logdir={self._folder}'
        + ', or drop its perfetto_trace.json.gz on https://ui.perfetto.dev'
        * (jax.process_count() == 1))
